"""Spot machines that EC2 wants back: advice, a notice two minutes before, and the end (source: aws.md §4.2)."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.lifecycle import shut_down
from providers.sandbox.world.ec2.messages import announce_interruption, announce_rebalance
from providers.sandbox.world.ec2.state import LIVE, RUNNING, SPOT, CapacityLimit, Instance

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

_NOTICE = 120.0
_DAY = 86_400.0


def register(cloud: Cloud) -> None:
    """Let EC2 take spot machines back."""
    cloud.kernel.on("ec2.advice", lambda instance_id: _advise(cloud, instance_id))
    cloud.kernel.on("ec2.notice", lambda instance_id: _notice(cloud, instance_id))
    cloud.kernel.on("ec2.burst", lambda place: _burst(cloud, place))
    cloud.kernel.on("ec2.reclaim", lambda instance_id: _reclaim(cloud, instance_id))


def expose_to_chance(cloud: Cloud, instance: Instance) -> None:
    """Draw when EC2 will want a new spot machine back, by the account's rate; most are never asked for."""
    if instance.market != SPOT or cloud.state.interruptions_per_day <= 0:
        return
    chance = cloud.kernel.chance()
    at = chance.expovariate(cloud.state.interruptions_per_day / _DAY)
    interrupt(cloud, instance.id, after=at, advice_seconds=chance.choice((0.0, 0.0, 60.0, 600.0)))


def expect_reclaims(cloud: Cloud) -> None:
    """Schedule the account's reclaims; once, when its world begins."""
    for place, reclaim in enumerate(cloud.state.reclaims):
        cloud.kernel.after(max(0.0, reclaim.at - reclaim.advice - cloud.kernel.now), "ec2.burst", place)


def _burst(cloud: Cloud, place: int) -> None:
    """Let EC2 want back many machines of some pools at once: the pools are empty for a while."""
    reclaim, now = cloud.state.reclaims[place], cloud.kernel.now
    cloud.state.capacity.append(
        CapacityLimit(
            live_max=0, market=SPOT, types=reclaim.types, zones=reclaim.zones, since=now, until=now + reclaim.lack
        )
    )
    for instance in list(cloud.state.instances.values()):
        matches = fnmatchcase(instance.type, reclaim.types) and fnmatchcase(instance.zone, reclaim.zones)
        wanted = instance.market == SPOT and instance.state in LIVE and matches
        if wanted and cloud.kernel.chance().random() < reclaim.share:
            interrupt(cloud, instance.id, after=reclaim.advice, advice_seconds=reclaim.advice)


def interrupt(cloud: Cloud, instance_id: str, *, after: float = 0.0, advice_seconds: float = 0.0) -> None:
    """Schedule the notice for a machine; with ``advice_seconds`` the rebalance advice comes so long before it."""
    if advice_seconds > 0:
        cloud.kernel.after(after - advice_seconds, "ec2.advice", instance_id)
    cloud.kernel.after(after, "ec2.notice", instance_id)


def _running(cloud: Cloud, instance_id: str) -> Instance | None:
    found = cloud.state.instances.get(instance_id)
    return found if found is not None and found.state == RUNNING else None


def _advise(cloud: Cloud, instance_id: str) -> None:
    if (instance := _running(cloud, instance_id)) is not None and instance.rebalance_at is None:
        instance.rebalance_at = cloud.kernel.now
        announce_rebalance(cloud, instance)


def _notice(cloud: Cloud, instance_id: str) -> None:
    if (instance := _running(cloud, instance_id)) is not None and instance.interruption_at is None:
        instance.interruption_at = cloud.kernel.now + _NOTICE
        announce_interruption(cloud, instance)
        cloud.kernel.after(_NOTICE, "ec2.reclaim", instance_id)


def _reclaim(cloud: Cloud, instance_id: str) -> None:
    if (instance := _running(cloud, instance_id)) is not None:
        shut_down(
            cloud,
            instance,
            "Server.SpotInstanceTermination",
            "Server.SpotInstanceTermination: Spot instance termination",
        )
