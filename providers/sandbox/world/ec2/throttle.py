"""How often EC2 may be asked: a bucket for each kind of request, refilled by the second (source: aws.md §6.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.state import Bucket

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

_BUCKETS: dict[str, tuple[float, float]] = {  # action: (burst, refill a second)
    "DescribeInstances": (100, 20),  # filtered or paged
    "DescribeInstanceStatus": (100, 20),
    "DescribeLaunchTemplates": (100, 20),
    "DescribeLaunchTemplateVersions": (100, 20),
    "DescribeSpotPriceHistory": (100, 20),
    "RunInstances": (5, 2),
    "TerminateInstances": (100, 5),
    "CreateFleet": (50, 5),
    "CreateLaunchTemplate": (50, 5),
    "DeleteLaunchTemplate": (50, 5),
}
_OTHER = (50.0, 5.0)


def spend(cloud: Cloud, action: str) -> None:
    """Count one request; RequestLimitExceeded (503) when its bucket is empty."""
    burst, refill = _BUCKETS.get(action, _OTHER)
    now = cloud.kernel.now
    bucket = cloud.state.buckets.setdefault(action, Bucket(left=burst, at=now))
    bucket.left, bucket.at = min(burst, bucket.left + (now - bucket.at) * refill), now
    if bucket.left < 1:
        raise Ec2Error("RequestLimitExceeded", f"Request limit exceeded for {action}.", status=503)
    bucket.left -= 1
