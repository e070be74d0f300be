"""What is legal in a document but unwise, each with its reason; never an error, for people test with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from schemas.document.base import format_duration
from schemas.document.check_pool import units_on
from schemas.document.problem import Finding, Path

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue
    from schemas.document.group import ClusterGroup
    from schemas.document.pool import Pool

DEAD_AFTER: Final = timedelta(seconds=30)
"""Nomad notices a dead agent so late: TTL of its heartbeats (10-20 s) and ``heartbeat_grace`` (10 s)."""


def _plaintext(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    nomad = group.spec.nomad
    if nomad.gossip_key is None and group.spec.servers is not None:
        what = "gossip between the servers is not encrypted: whoever reaches port 4648 can join"
        yield Finding(at=("spec", "nomad", "gossipKey"), message=what, hint="keep the port closed to others")
    if nomad.tls is None:
        what = "TLS is off: whoever reaches port 4646 or 4647 can read and write the cluster"
        yield Finding(at=("spec", "nomad", "tls"), message=what, hint="keep the ports closed to others")


def _zones(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    zones = sorted({subnet.zone for subnet in group.spec.aws.subnets})
    servers, at = group.spec.servers, ("spec", "aws", "subnets")
    if len(zones) == 1:
        also = ", and quorum with them" if servers is not None and servers.count > 1 else ""
        what = f"all machines are in {zones[0]}: when the zone fails, all of them are lost{also}"
        yield Finding(at=at, message=what, hint="add subnets in two more zones")
    elif len(zones) == 2 and servers is not None and servers.count >= 3:
        what = f"{servers.count} servers in 2 zones: when the zone with more of them fails, quorum is lost"
        yield Finding(at=at, message=what, hint="add a subnet in a third zone")


def _nothing(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    if group.spec.servers is None and not group.spec.pools:
        yield Finding(at=("spec",), message="neither servers nor pools: there is nothing to do", hint="add pools:")


def _too_early(value: timedelta, at: Path, what: str) -> Iterator[Finding]:
    if value < DEAD_AFTER:
        late = format_duration(DEAD_AFTER)
        message = f"is {format_duration(value)}, shorter than the {late} in which Nomad notices a dead agent: {what}"
        yield Finding(at=at, message=message, hint=f"write {late} or more")


def _server_timers(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    servers, at = group.spec.servers, ("spec", "servers")
    if servers is not None:
        yield from _too_early(servers.replace_after, (*at, "replaceAfter"), "a restart may cost a server its place")
        what = "a server that boots normally may be given up"
        yield from _too_early(servers.registration_timeout, (*at, "registrationTimeout"), what)


def _canary(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    what = "a canary that died counts as well"
    yield from _too_early(group.spec.disruption.canary.soak, ("spec", "disruption", "canary", "soak"), what)


def _pool_timers(_: ClusterGroup, __: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    what = "a machine that boots normally may be given up"
    yield from _too_early(pool.registration.timeout, (*at, "registration", "timeout"), what)
    if pool.scale_down.enabled:
        idle, what = pool.scale_down.period * pool.scale_down.periods, "nodes may go before work finds them"
        yield from _too_early(idle, (*at, "scaleDown", "period"), what)


def _pool_numbers(group: ClusterGroup, catalogue: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    size, limit = pool.size, group.spec.limits.max_nodes
    if size.max == 0:
        yield Finding(at=(*at, "size", "max"), message="is 0: the pool never has a machine", hint="write 1 or more")
    elif size.max > limit:
        what = f"is {size.max}, but limits.maxNodes stops all pools together at {limit}"
        yield Finding(at=(*at, "size", "max"), message=what, hint=f"write {limit} or less, or raise the limit")
    if size.desired is not None and any(unit.units for unit in pool.headroom):
        what = f"has no effect: size.desired pins the pool at {size.desired}"
        yield Finding(at=(*at, "headroom"), message=what, hint="remove one of them")
        return
    allowed = pool.instances.allowed(catalogue)
    for i, unit in enumerate(pool.headroom):
        most = max((units_on(t, unit) for t in allowed), default=0)
        if most and unit.units > most * size.max:
            machines = -(-unit.units // most)
            what = f"{unit.units} units need {machines} of the largest allowed machines, size.max is {size.max}"
            yield Finding(at=(*at, "headroom", i), message=what, hint="raise size.max, or ask for fewer units")


def _cost(group: ClusterGroup, catalogue: Catalogue) -> Iterator[Finding]:
    limit, total = group.spec.limits.max_hourly_cost, 0.0
    for pool in group.spec.pools:
        if allowed := pool.instances.allowed(catalogue):
            wanted = pool.size.min if pool.size.desired is None else pool.size.desired
            total += wanted * min(t.on_demand_usd_per_hour for t in allowed)
    if total > limit:
        what = f"is {limit:g}, but the pools' least sizes alone may cost ${total:.2f} an hour, on-demand in us-east-1"
        yield Finding(at=("spec", "limits", "maxHourlyCost"), message=what, hint="raise it, or lower size.min")


GROUP_ADVICE: Final = (_plaintext, _zones, _nothing, _server_timers, _canary, _cost)
POOL_ADVICE: Final = (_pool_timers, _pool_numbers)
