"""What DescribeInstances shows: new machines and their tags come into view some seconds late (source: aws.md §3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.state import RUNNING, Instance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.sandbox.world.ec2.context import Cloud

_CHECKS_TAKE = 150.0  # seconds until the first status checks are in


def describe_instances(
    cloud: Cloud, *, tags: Mapping[str, str], states: frozenset[str] | None = None
) -> list[Instance]:
    """List the machines that are seen to carry all of ``tags``, oldest first."""
    now, wanted = cloud.kernel.now, tags.items()
    return [
        i
        for i in cloud.state.instances.values()
        if i.tags_visible_at <= now and wanted <= i.tags.items() and (states is None or i.state in states)
    ]


def describe_by_id(cloud: Cloud, instance_ids: list[str]) -> list[Instance]:
    """List machines by id; one id that is not seen fails the whole call (InvalidInstanceID.NotFound)."""
    return [cloud.instance(instance_id) for instance_id in instance_ids]


def describe_by_token(cloud: Cloud, token: str) -> list[Instance]:
    """List the machines that RunInstances launched under a client token; fleets leave none."""
    now = cloud.kernel.now
    return [i for i in cloud.state.instances.values() if token and i.client_token == token and i.visible_at <= now]


def status_of(cloud: Cloud, instance: Instance) -> str:
    """Tell what the status checks say of a running machine: initializing, ok or impaired."""
    if instance.state != RUNNING or instance.running_at is None:
        raise Ec2Error("IncorrectInstanceState", f"{instance.id} is {instance.state}")
    if instance.impaired:
        return "impaired"
    return "initializing" if cloud.kernel.now - instance.running_at < _CHECKS_TAKE else "ok"
