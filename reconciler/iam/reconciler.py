"""What the reconciler itself may do at AWS for one document: the calls that it makes for it, on what is its own.

Whoever makes the providers call something new adds it here; a test compares the two in both directions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from reconciler.iam.machines import role_of
from reconciler.iam.policy import ANY, Place, Policy, Statement
from schemas.document import ClusterGroup, effective_machine
from schemas.document.effective import with_machines
from schemas.world import TAG_CLUSTER

REQUESTED = f"aws:RequestTag/{TAG_CLUSTER}"
ENFORCE = "enforce"
SECRET, S3 = "secretsmanager:", "s3://"
OWNED = f"aws:ResourceTag/{TAG_CLUSTER}"


def reconciler_policy(
    group: ClusterGroup, *, account: str = ANY, role: str | None = None, looks: bool = False
) -> Policy:
    """Give the least policy for a document.

    Args:
        group: the document; unless its mode is ``enforce``, nothing is done for it.
        account: twelve digits; without them any account is named, which in an account's own policy is that account.
        role: the name of the role in ``aws.instanceProfile``; None: it has the profile's name.
        looks: what ``plan``, ``status`` and ``explain`` need, whatever the mode.

    """
    place = Place(region=group.spec.aws.region, account=account)
    acts = not looks and group.spec.mode == ENFORCE
    steps = _acting(group, place, role) if acts else ()
    queue = () if looks else _queue(group, place)
    return Policy(statements=(*_looking(group, place, acts=acts), *steps, *queue))


def _looking(group: ClusterGroup, place: Place, *, acts: bool) -> Iterator[Statement]:
    yield _reads(group, acts=acts)
    yield Statement(sid="Prices", why="prices of on-demand machines", actions=("pricing:GetProducts",))
    if (token := group.spec.nomad.bootstrap_token or "").startswith(SECRET):
        yield Statement(
            sid="BootstrapToken",
            why="the first management token, which server steps and looks at raft need",
            actions=("secretsmanager:GetSecretValue",),
            resources=(place.secret(token.removeprefix(SECRET)),),
        )


def _acting(group: ClusterGroup, place: Place, role: str | None) -> Iterator[Statement]:
    yield from _launches(group, place)
    yield Statement(
        sid="EndOwn",
        why="what carries the group's tag, and nothing else, may be ended",
        actions=("ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"),
        resources=place.ec2("instance/*", "launch-template/*"),
        conditions={"StringEquals": {OWNED: group.metadata.name}},
    )
    yield from _servers(group, place)
    if group.spec.aws.instance_profile:
        yield Statement(
            sid="PassRole",
            why="machines get the role of aws.instanceProfile, and EC2 alone may use it for them",
            actions=("iam:PassRole",),
            resources=(role_of(group.spec.aws.instance_profile, place, role),),
            conditions={"StringEquals": {"iam:PassedToService": _ec2_service(place)}},
        )
    if group.spec.pools:
        yield _service_roles(group, place)
    if parameters := sorted(image.removeprefix("ssm:") for image in _images(group) if image.startswith("ssm:")):
        yield Statement(
            sid="ImageParameters",
            why="images that the document names by parameter",
            actions=("ssm:GetParameter",),
            resources=tuple(place.parameter(name) for name in parameters),
        )
    yield from _snapshots(group, place)


def _queue(group: ClusterGroup, place: Place) -> Iterator[Statement]:
    if (queue := group.spec.aws.interruption_queue) is not None:
        yield Statement(
            sid="InterruptionQueue",
            why="notices of interruptions",
            actions=("sqs:DeleteMessage", "sqs:ReceiveMessage"),
            resources=(_queue_arn(queue, place),),
        )


def _reads(group: ClusterGroup, *, acts: bool) -> Statement:
    """EC2 knows no rights on single resources for its lists."""
    actions = [
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstances",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribeSubnets",
    ]
    if acts:
        actions += ["ec2:DescribeImages", "ec2:DescribeLaunchTemplateVersions"]
    if group.spec.pools:
        actions.append("ec2:DescribeSpotPriceHistory")
    if _spot(group):
        actions.append("ec2:DescribeSpotInstanceRequests")
    if group.spec.servers is not None and group.spec.servers.elastic_ips:
        actions.append("ec2:DescribeAddresses")
    return Statement(
        sid="Look",
        why="what is there",
        actions=tuple(actions),
        conditions={"StringEquals": {"aws:RequestedRegion": group.spec.aws.region}},
    )


def _launches(group: ClusterGroup, place: Place) -> Iterator[Statement]:
    """Launch from the document's own inputs, and only what is tagged with the group's name at once.

    The request of a spot instance carries no tags, so that it stands among the inputs.
    """
    calls = ("ec2:CreateFleet", "ec2:RunInstances") if group.spec.pools else ("ec2:RunInstances",)
    made = ["instance/*", "network-interface/*", "volume/*", *(["fleet/*"] if group.spec.pools else [])]
    ours = {"StringEquals": {REQUESTED: group.metadata.name}}
    images = _images(group)
    named = [f"image/{image}" for image in sorted(images)]
    groups = [f"security-group/{g}" for g in group.spec.aws.security_groups] or ["security-group/*"]
    spot = ["spot-instances-request/*"] if _spot(group) else []
    yield Statement(
        sid="LaunchFrom",
        why="the images, subnets and security groups of the document",
        actions=calls,
        resources=place.ec2(
            *(["image/*"] if any(image.startswith("ssm:") for image in images) else named),
            "snapshot/*",
            *(f"subnet/{subnet.id}" for subnet in group.spec.aws.subnets),
            *groups,
            *spot,
        ),
    )
    yield Statement(
        sid="LaunchTagged",
        why="whatever is launched carries the group's tag from its first moment",
        actions=calls,
        resources=place.ec2(*made),
        conditions=ours,
    )
    yield Statement(
        sid="TemplateTagged",
        why="launch templates: of pools, of forming servers, and the marker that they were formed",
        actions=("ec2:CreateLaunchTemplate",),
        resources=place.ec2("launch-template/*"),
        conditions=ours,
    )
    if group.spec.pools:
        yield Statement(
            sid="LaunchByTemplate",
            why="fleets launch from the group's own templates",
            actions=calls,
            resources=place.ec2("launch-template/*"),
            conditions={"StringEquals": {OWNED: group.metadata.name}},
        )
    creators = sorted(call.removeprefix("ec2:") for call in (*calls, "ec2:CreateLaunchTemplate"))
    yield Statement(
        sid="TagOnCreate",
        why="tags are given while a thing is made, and never afterwards",
        actions=("ec2:CreateTags",),
        resources=place.ec2(*made, "launch-template/*"),
        conditions={"StringEquals": {REQUESTED: group.metadata.name, "ec2:CreateAction": creators}},
    )


def _servers(group: ClusterGroup, place: Place) -> Iterator[Statement]:
    if (servers := group.spec.servers) is None:
        return
    ours = {OWNED: group.metadata.name}
    yield Statement(
        sid="ProtectServers",
        why="servers are protected from being terminated by mistake; no other attribute may be changed",
        actions=("ec2:ModifyInstanceAttribute",),
        resources=place.ec2("instance/*"),
        conditions={"StringEquals": {**ours, "ec2:Attribute": "DisableApiTermination"}},
    )
    if not servers.elastic_ips:
        return
    yield Statement(
        sid="ServerAddresses",
        why="the Elastic IPs of the document ...",
        actions=("ec2:AssociateAddress",),
        resources=place.ec2(*(f"elastic-ip/{address}" for address in servers.elastic_ips)),
    )
    yield Statement(
        sid="AddressedServers",
        why="... and the group's own machines, which get them",
        actions=("ec2:AssociateAddress",),
        resources=place.ec2("instance/*", "network-interface/*"),
        conditions={"StringEquals": ours},
    )


def _snapshots(group: ClusterGroup, place: Place) -> Iterator[Statement]:
    """Keep snapshots of this group and list what is there, to know which are too old."""
    servers = group.spec.servers
    if servers is None or servers.snapshots.every is None or not (servers.snapshots.to or "").startswith(S3):
        return
    bucket, _, prefix = (servers.snapshots.to or "").removeprefix(S3).rstrip("/").partition("/")
    below = f"{prefix}/" if prefix else ""
    yield Statement(
        sid="Snapshots",
        why="servers.snapshots: written, read back, and the oldest removed",
        actions=("s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
        resources=(place.bucket(f"{bucket}/{below}{group.metadata.name}-*"),),
    )
    yield Statement(
        sid="ListSnapshots",
        why="which snapshots there are",
        actions=("s3:ListBucket",),
        resources=(place.bucket(bucket),),
        conditions={"StringEquals": {"s3:prefix": below}} if below else {},
    )


def _service_roles(group: ClusterGroup, place: Place) -> Statement:
    """EC2 makes these roles once in an account, at the first fleet and the first spot instance."""
    services = {
        "ec2fleet": "AWSServiceRoleForEC2Fleet",
        **({"spot": "AWSServiceRoleForEC2Spot"} if _spot(group) else {}),
    }
    return Statement(
        sid="ServiceRoles",
        why="the first fleet, and the first spot instance, of an account make a role for EC2's own use",
        actions=("iam:CreateServiceLinkedRole",),
        resources=tuple(
            place.arn("iam", f"role/aws-service-role/{name}.amazonaws.com/{role}", region=False)
            for name, role in services.items()
        ),
        conditions={"StringEquals": {"iam:AWSServiceName": [f"{name}.amazonaws.com" for name in services]}},
    )


def _spot(group: ClusterGroup) -> bool:
    return any(pool.capacity.spot_percent > 0 for pool in group.spec.pools)


def _images(group: ClusterGroup) -> frozenset[str]:
    return frozenset(image for part in with_machines(group) for image in effective_machine(group, part).images.values())


def _queue_arn(url: str, place: Place) -> str:
    """Name a queue by its URL: its account and name are the path, its region is in the host's name."""
    parts = urlsplit(url)
    account, _, name = parts.path.strip("/").rpartition("/")
    found = re.search(r"(?:^|\.)([a-z]{2}(?:-[a-z]+)+-\d)\.", parts.hostname or "")
    where = Place(region=found[1] if found else place.region, account=account or place.account)
    return where.arn("sqs", name)


def _ec2_service(place: Place) -> str:
    return "ec2.amazonaws.com.cn" if place.partition == "aws-cn" else "ec2.amazonaws.com"
