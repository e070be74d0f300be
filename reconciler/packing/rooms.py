"""All room that is there or on its way: ready nodes, machines that boot, and claims whose machines nobody has seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.packing.candidate import Candidate
from reconciler.packing.census import JUST_REGISTERED, unseen
from reconciler.packing.feasible import blocker
from reconciler.packing.learnt import pool_of
from reconciler.packing.promise import Promises
from reconciler.packing.room import Room, less, room_of
from schemas.world import Claim, Instance, Job, Node, Resources, Role, Snapshot

OVERDUE_MOST = 3  # so many claims in a row that never registered, and the pool stops growing


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What can take work without buying anything."""

    rooms: tuple[Room, ...]
    overdue: Mapping[str, tuple[str, ...]]  # pool → claims whose machines should have registered long ago

    def failing(self, pool: str) -> bool:
        """Tell whether a pool's machines keep not registering."""
        return len(self.overdue.get(pool, ())) >= OVERDUE_MOST


def rooms(snapshot: Snapshot, promises: Mapping[str, Promises]) -> Rooms:
    """List free room: on ready nodes first, then on machines that are on their way, each by name."""
    found = [room for node in snapshot.nodes if (room := _of_node(snapshot, node)) is not None]
    found.sort(key=lambda r: (not r.ready, r.candidate.name, r.key))
    overdue: dict[str, list[str]] = {}
    for claim in sorted(snapshot.claims, key=lambda c: (c.asked_at, c.name)):
        pool = promises.get(claim.pool)
        if pool is None:
            continue
        coming = list(_coming(snapshot, claim, pool))
        if coming and snapshot.observed_at - claim.asked_at > pool.pool.registration.timeout:
            overdue.setdefault(claim.pool, []).append(claim.name)
            continue
        found += coming
    return Rooms(rooms=tuple(found), overdue={pool: tuple(claims) for pool, claims in overdue.items()})


def _of_node(snapshot: Snapshot, node: Node) -> Room | None:
    """Give a node's room; None when it takes no work, or when EC2 says that its machine is going."""
    booting = node.status == "initializing" and node.eligible and not node.draining
    instance = snapshot.instance_by_id.get(node.instance_id or "")
    if not (node.ready or booting) or (instance is not None and instance.state not in {"pending", "running"}):
        return None
    room = room_of(node, snapshot.allocations_by_node.get(node.id, ()), pool=pool_of(snapshot, node), ready=node.ready)
    contents = next((c.contents for c in snapshot.claims if c.name == node.claim), ())
    if booting or (node.registered_at and snapshot.observed_at - node.registered_at < JUST_REGISTERED):
        room = _less_system_jobs(room, snapshot.jobs)
    return replace(room, contents=contents)


def _less_system_jobs(room: Room, jobs: Iterable[Job]) -> Room:
    """Keep room for the system jobs that have not reached a new node yet."""
    for job in jobs:
        if job.type != "system" or job.stopped:
            continue
        for group in job.groups:
            here = (job.namespace, job.id, group.name) in room.tenants
            if not here and blocker(job, group, room.candidate) is None:
                room = less(room, job, group)
    return room


def _coming(snapshot: Snapshot, claim: Claim, promises: Promises) -> Iterator[Room]:
    """Give the room of each of a claim's machines that has no node yet."""
    seen = [
        i
        for i in snapshot.instances
        if (i.claim == claim.name or i.id in claim.instance_ids) and i.state in {"pending", "running"}
    ]
    place = 0
    for instance in sorted(seen, key=lambda i: i.id):
        if instance.id not in snapshot.node_by_instance and instance.role in {Role.CLIENT, ""}:
            yield _promised(snapshot, claim, promises, place, instance)
            place += 1
    for _ in range(unseen(snapshot, claim)):
        yield _promised(snapshot, claim, promises, place, None)
        place += 1


def _promised(snapshot: Snapshot, claim: Claim, promises: Promises, place: int, instance: Instance | None) -> Room:
    """What a machine on its way will have; before EC2 says which it is, only what all that it may become have."""
    if instance is not None and (kind := snapshot.catalogue.get(instance.type)) is not None:
        options = [promises.room(kind, instance.zone, instance.market)]
    else:
        options = [
            promises.room(kind, o.zone, claim.market)
            for o in claim.overrides
            if (kind := snapshot.catalogue.get(o.instance_type)) is not None
        ]
    if not options:
        return Room(
            key=f"{claim.name}#{place}",
            candidate=Candidate(name=claim.name, datacenter="", node_pool="", node_class=""),
            free=Resources(),
            pool=claim.pool,
        )
    room = options[0] if len(options) == 1 else _common(options)
    return replace(
        room,
        key=f"{claim.name}#{place}",
        candidate=replace(room.candidate, name=f"{claim.name} (on its way)"),
        contents=claim.contents,
    )


def _common(options: Sequence[Room]) -> Room:
    """Give the room that every one of these has: the least in each dimension, and what all of them say."""
    first = options[0]
    layers = [{k: v for layer in reversed(o.candidate.attributes) for k, v in layer.items()} for o in options]
    shared = {k: v for k, v in layers[0].items() if all(other.get(k) == v for other in layers[1:])}
    allocations = [o.allocations for o in options if o.allocations is not None]
    return replace(
        first,
        candidate=replace(first.candidate, attributes=(shared,)),
        free=Resources(
            cpu_mhz=min(o.free.cpu_mhz for o in options),
            memory_mib=min(o.free.memory_mib for o in options),
            disk_mib=min(o.free.disk_mib for o in options),
            cores=min(o.free.cores for o in options),
        ),
        clock_mhz=max(o.clock_mhz for o in options),
        ports=frozenset().union(*(o.ports for o in options)),
        dynamic_ports=min(o.dynamic_ports for o in options),
        allocations=min(allocations) if allocations else None,
        devices={kind: min(o.devices.get(kind, 0) for o in options) for kind in first.devices},
    )
