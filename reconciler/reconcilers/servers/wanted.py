"""What a server should be: where and on what it is asked for, and what of a running one is not as specified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reconciler.machine import REVISION, server_template
from reconciler.packing.census import on_demand_price
from reconciler.packing.versions import parse_version
from schemas.document import ClusterGroup, Servers
from schemas.plan import ServerRequest
from schemas.world import TAG_REMOVE, TAG_REVISION, Instance, Market, Snapshot


def server_requests(snapshot: Snapshot, group: ClusterGroup, servers: Servers, slot: int) -> tuple[ServerRequest, ...]:
    """Give the ways to ask for a slot, best first: its own zone with each type, then the other zones.

    All are of the architecture of the first type, so that one image serves them. What a zone does not have, and full
    subnets, are left out; where nothing would be left, EC2 is asked all the same, and says it.
    """
    zones = sorted({subnet.zone for subnet in group.spec.aws.subnets})
    turned = zones[slot % len(zones) :] + zones[: slot % len(zones)]
    arch = arch_of(snapshot, servers.instance_types[0])
    ways = tuple(
        ServerRequest(instance_type=instance_type, subnet_id=subnet.id, zone=zone)
        for zone in turned
        for instance_type in servers.instance_types
        if arch_of(snapshot, instance_type) == arch
        for subnet in group.spec.aws.subnets
        if subnet.zone == zone
    )
    supply = snapshot.supply
    return tuple(w for w in ways if supply.sells(w.instance_type, w.zone) and not supply.full(w.subnet_id)) or ways


def arch_of(snapshot: Snapshot, instance_type: str) -> str:
    """Give a type's architecture; x86_64 for one of which nothing is known."""
    known = snapshot.catalogue.get(instance_type)
    return known.arch if known else "x86_64"


def outdated(snapshot: Snapshot, group: ClusterGroup, servers: Servers, instance: Instance) -> str | None:
    """Say what about a server's machine is no longer as the document wants it; None: nothing (semantics §9).

    A revision hashed by another rule than today's says nothing.
    """
    if instance.type not in servers.instance_types:
        return f"type {instance.type} is not among {', '.join(servers.instance_types)}"
    if instance.subnet_id not in {subnet.id for subnet in group.spec.aws.subnets}:
        return f"subnet {instance.subnet_id} is not in the document"
    has, wants = instance.tags.get(TAG_REVISION, ""), revision_of(snapshot, group, servers)
    if has != wants and has.startswith(f"{REVISION}-"):
        return f"revision {has} is not {wants}"
    return None


def revision_of(snapshot: Snapshot, group: ClusterGroup, servers: Servers) -> str:
    """Give the revision that a server launched now would have."""
    return server_template(group, arch_of(snapshot, servers.instance_types[0])).tags[TAG_REVISION]


def downgrade(snapshot: Snapshot, group: ClusterGroup) -> str | None:
    """Say why no server of the wanted version may join those that run: Nomad knows no way back (facts: nomad §6.6)."""
    running = {m.build for v in snapshot.servers for m in v.gossip or () if m.status == "alive"}
    running |= {s.version for s in (snapshot.look.autopilot.servers if snapshot.look.autopilot else ())}
    newest, wanted = "", parse_version(group.spec.nomad.version)
    for build in sorted(running):
        least, found = parse_version(newest) or wanted, parse_version(build)
        if least is not None and found is not None and found.compare(least) > 0:
            newest = build
    if not newest:
        return None
    return (
        f"servers run Nomad {newest}, nomad.version is {group.spec.nomad.version}: an older server must not join newer"
        f" ones; set nomad.version to {newest}, or restore a snapshot into a new cluster"
    )


def uneven(group: ClusterGroup, zones: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """Say how uneven the servers' zones are, and which of the document's should get one; None: even enough."""
    filled = Counter({subnet.zone: 0 for subnet in group.spec.aws.subnets})
    filled.update(zones)
    fullest = max(filled, key=lambda z: (filled[z], z))
    lacking = sorted((z for z in filled if filled[z] <= filled[fullest] - 2), key=lambda z: (filled[z], z))
    if not lacking:
        return None
    return f"zone {fullest} has {filled[fullest]} servers, {lacking[0]} has {filled[lacking[0]]}", tuple(lacking)


def marked(instance: Instance) -> bool:
    """An operator asked for it to go."""
    return instance.tags.get(TAG_REMOVE) == "true"


def best_request(
    snapshot: Snapshot, group: ClusterGroup, servers: Servers, zones: tuple[str, ...]
) -> ServerRequest | None:
    """Give the first way to ask for a server that EC2 has not just refused, zones in this order, types as listed."""
    ways = server_requests(snapshot, group, servers, 0)
    order = {instance_type: place for place, instance_type in enumerate(servers.instance_types)}
    known = [w for w in ways if w.zone in zones and not _refused(snapshot, w)]
    return min(known, key=lambda w: (zones.index(w.zone), order[w.instance_type], w.subnet_id), default=None)


def price_of(snapshot: Snapshot, request: ServerRequest) -> float:
    """USD an hour."""
    return on_demand_price(snapshot, request.instance_type)


def _refused(snapshot: Snapshot, way: ServerRequest) -> bool:
    return any(
        (r.instance_type, r.zone, r.market) == (way.instance_type, way.zone, Market.ON_DEMAND)
        and r.until > snapshot.observed_at
        for r in snapshot.refused
    )
