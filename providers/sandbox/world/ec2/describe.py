"""What DescribeInstances shows: new machines and their tags come into view some seconds late (source: aws.md §3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.capacity import out
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.state import RUNNING, Instance

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from providers.sandbox.world.ec2.context import Cloud

_CHECKS_TAKE = 150.0  # seconds until the first status checks are in


def describe_instances(
    cloud: Cloud, *, tags: Mapping[str, str], states: frozenset[str] | None = None
) -> list[Instance]:
    """List the machines that are seen to carry all of ``tags``, oldest first.

    While a zone is silent the whole list fails (InternalError), whatever else would be in it.
    """
    if any(out(cloud, zone, silent=True) for zone in cloud.state.zones):
        raise Ec2Error("InternalError", "An internal error has occurred", status=500)
    now, wanted = cloud.kernel.now, tags.items()
    return [
        i
        for i in cloud.state.instances.values()
        if i.tags_visible_at <= now and wanted <= i.tags.items() and (states is None or i.state in states)
    ]


def describe_by_id(cloud: Cloud, instance_ids: list[str]) -> list[Instance]:
    """List machines by id; one that is not seen, or in a silent zone, fails the whole call."""
    zones = {i.zone for i in map(cloud.state.instances.get, instance_ids) if i is not None}
    if any(out(cloud, zone, silent=True) for zone in zones):
        raise Ec2Error("InternalError", "An internal error has occurred", status=500)
    return [cloud.instance(instance_id) for instance_id in instance_ids]


def describe_by_token(cloud: Cloud, token: str) -> list[Instance]:
    """List the machines that RunInstances launched under a client token; fleets leave none."""
    now = cloud.kernel.now
    return [i for i in cloud.state.instances.values() if token and i.client_token == token and i.visible_at <= now]


def status_of(cloud: Cloud, instance: Instance) -> str:
    """Tell what the status checks say of a running machine, the worse of the two: initializing, ok or impaired."""
    told = checks_of(cloud, instance)
    return "impaired" if "impaired" in {told.instance, told.system} else told.instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What the two status checks say, and since when (virtual seconds) one fails."""

    instance: str
    system: str
    impaired_at: float | None = None


def checks_of(cloud: Cloud, instance: Instance) -> Checks:
    """Give both status checks; only running machines have any (IncorrectInstanceState)."""
    if instance.state != RUNNING or instance.running_at is None:
        raise Ec2Error("IncorrectInstanceState", f"{instance.id} is {instance.state}")
    if instance.impaired:
        system = "impaired" if instance.host_impaired else "ok"
        return Checks(instance="impaired", system=system, impaired_at=instance.impaired_at)
    young = cloud.kernel.now - instance.running_at < _CHECKS_TAKE
    return Checks(instance="initializing", system="initializing") if young else Checks(instance="ok", system="ok")


def describe_status(cloud: Cloud, instance_ids: Collection[str] = ()) -> list[Instance]:
    """List the running machines that are seen, those of ``instance_ids`` or all (DescribeInstanceStatus)."""
    found = describe_by_id(cloud, list(instance_ids)) if instance_ids else describe_instances(cloud, tags={})
    return [i for i in found if i.state == RUNNING and i.visible_at <= cloud.kernel.now]
