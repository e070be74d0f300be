"""What the role of a document's machines may do: find the servers, and fetch what the document names by reference."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.iam.policy import ANY, Place, Policy, Statement
from reconciler.machine import references
from schemas.document import ClusterGroup


def machine_policy(group: ClusterGroup, *, account: str = ANY) -> Policy:
    """Give the least policy for the role in ``aws.instanceProfile``; without statements the machines need none."""
    place = Place(region=group.spec.aws.region, account=account)
    return Policy(statements=tuple(_statements(group, place)))


def _statements(group: ClusterGroup, place: Place) -> Iterator[Statement]:
    if group.spec.servers is not None:
        yield Statement(
            sid="FindServers",
            why="agents look for the servers by the join tag; EC2 knows no rights on single instances for its lists",
            actions=("ec2:DescribeInstances",),
            conditions={"StringEquals": {"aws:RequestedRegion": place.region}},
        )
    wanted = references(group)
    for sid, kind, action, named in (
        ("Parameters", "ssm:", "ssm:GetParameter", place.parameter),
        ("Secrets", "secretsmanager:", "secretsmanager:GetSecretValue", place.secret),
        ("Objects", "s3://", "s3:GetObject", place.bucket),
    ):
        if names := [reference.removeprefix(kind) for reference in wanted if reference.startswith(kind)]:
            yield Statement(
                sid=sid,
                why="fetched by the machines at boot, never in user data",
                actions=(action,),
                resources=tuple(named(name) for name in names),
            )


def role_of(profile: str, place: Place, role: str | None = None) -> str:
    """Name the role in an instance profile: unless told otherwise, one of the same name, where the profile is.

    IAM makes the two together with one name in its console; made by other tools they may differ.
    """
    if profile.startswith("arn:"):
        place = Place(region=place.region, account=profile.split(":")[4])
        profile = profile.rpartition("/")[2]
    if role is not None and role.startswith("arn:"):
        return role
    return place.arn("iam", f"role/{role or profile}", region=False)
