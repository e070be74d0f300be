"""Servers, pools and nodes of one snapshot as rows: machines that are only on their way have theirs already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.packing.census import price_of, unseen
from schemas.document import ClusterGroup, Pool
from schemas.world import Claim, Content, Instance, Market, Node, Resources, Role, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Copies of one group on a node, or meant for one."""

    job: str  # Job.name
    group: str
    copies: int
    system: bool = False  # overhead, not work


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRow:
    """One server's machine; prices are USD an hour."""

    instance: str
    instance_type: str
    zone: str
    market: Market
    state: str  # EC2's word
    address: str
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One client, from the moment when its machine was asked for; the name is the instance's id once EC2 tells it."""

    name: str
    node: str  # Nomad's id; "" until it registers
    pool: str
    instance_type: str
    zone: str
    market: Market
    state: str  # ready | ineligible | draining | initializing | down | disconnected | booting | asked | EC2's word
    price: float
    cpu_percent: float | None  # allocated share of what Nomad may give; None before it registers
    memory_percent: float | None
    work: tuple[Work, ...]  # what it holds; before it registers, what it is meant to hold


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRow:
    """One pool in figures."""

    name: str
    node_pool: str
    datacenter: str
    min: int
    max: int
    desired: int | None
    machines: int  # live and launching: what min and max count
    ready: int
    coming: int  # asked for or booting
    spot: int
    on_demand: int
    price: float
    cpu_percent: float | None  # allocated share over its ready nodes
    memory_percent: float | None


def server_rows(snapshot: Snapshot) -> tuple[ServerRow, ...]:
    """List servers' machines that are not gone, by zone."""
    rows = [
        ServerRow(
            instance=i.id,
            instance_type=i.type,
            zone=i.zone,
            market=i.market,
            state=i.state,
            address=i.private_ip,
            price=price_of(snapshot, i),
        )
        for i in snapshot.instances
        if i.role == Role.SERVER and i.state != "terminated"
    ]
    return tuple(sorted(rows, key=lambda r: (r.zone, r.instance)))


def node_rows(snapshot: Snapshot) -> tuple[NodeRow, ...]:
    """List clients: nodes, then machines that boot, then those asked for; nodes that are nobody's have no pool."""
    found = [_of_node(snapshot, node) for node in snapshot.nodes if _shown(snapshot, node)]
    found += _booting(snapshot)
    found += [row for claim in snapshot.claims for row in _asked(snapshot, claim)]
    return tuple(sorted(found, key=lambda r: (r.pool, r.state == "asked", r.state == "booting", r.zone, r.name)))


def pool_rows(group: ClusterGroup, nodes: Iterable[NodeRow], snapshot: Snapshot) -> tuple[PoolRow, ...]:
    """Sum nodes up by pool, in the document's order."""
    rows = tuple(nodes)
    return tuple(_pool(pool, [r for r in rows if r.pool == pool.name], snapshot) for pool in group.spec.pools)


# --- nodes -----------------------------------------------------------------------------------------------------------


def _shown(snapshot: Snapshot, node: Node) -> bool:
    """A dead node without a machine is history."""
    instance = snapshot.instance_by_id.get(node.instance_id or "")
    return node.status != "down" or (instance is not None and instance.live)


def _of_node(snapshot: Snapshot, node: Node) -> NodeRow:
    instance = snapshot.instance_by_id.get(node.instance_id or "")
    held = snapshot.allocations_by_node.get(node.id, ())
    used = sum((a.usage for a in held), Resources())
    free = node.total - node.reserved
    copies = Counter((a.overhead, _job_name(a.namespace, a.job_id), a.group) for a in held)
    return NodeRow(
        name=instance.id if instance else node.name,
        node=node.id,
        pool=instance.pool if instance else "",
        instance_type=instance.type if instance else node.attributes.get("platform.aws.instance-type", ""),
        zone=instance.zone if instance else node.attributes.get("platform.aws.placement.availability-zone", ""),
        market=instance.market if instance else Market.ON_DEMAND,
        state=_state(node, instance),
        price=price_of(snapshot, instance) if instance and instance.live else 0.0,
        cpu_percent=_percent(used.cpu_mhz, free.cpu_mhz),
        memory_percent=_percent(used.memory_mib, free.memory_mib),
        work=tuple(
            Work(job=job, group=group, copies=n, system=system)
            for (system, job, group), n in sorted(copies.items(), key=lambda kv: (kv[0][0], -kv[1], kv[0]))
        ),
    )


def _state(node: Node, instance: Instance | None) -> str:
    if instance is not None and instance.state not in {"pending", "running"}:
        return instance.state  # whether a machine exists is EC2's word
    if node.draining:
        return "draining"
    if node.status == "ready" and not node.eligible:
        return "ineligible"
    return node.status


def _booting(snapshot: Snapshot) -> Iterator[NodeRow]:
    """Give machines of ours that EC2 shows and Nomad does not."""
    contents = {claim.name: claim.contents for claim in snapshot.claims}
    for instance in snapshot.instances:
        if instance.role == Role.CLIENT and instance.live and instance.id not in snapshot.node_by_instance:
            yield NodeRow(
                name=instance.id,
                node="",
                pool=instance.pool,
                instance_type=instance.type,
                zone=instance.zone,
                market=instance.market,
                state="booting" if instance.state in {"pending", "running"} else instance.state,
                price=price_of(snapshot, instance),
                cpu_percent=None,
                memory_percent=None,
                work=_meant(contents.get(instance.claim, ())),
            )


def _asked(snapshot: Snapshot, claim: Claim) -> Iterator[NodeRow]:
    """Give a claim's machines that EC2 does not show yet."""
    dearest = max(claim.overrides, key=lambda o: o.price, default=None)
    for place in range(unseen(snapshot, claim)):
        yield NodeRow(
            name=f"{claim.name}#{place}",
            node="",
            pool=claim.pool,
            instance_type=" or ".join(dict.fromkeys(o.instance_type for o in claim.overrides)),
            zone=" or ".join(dict.fromkeys(o.zone for o in claim.overrides)),
            market=claim.market,
            state="asked",
            price=dearest.price if dearest else 0.0,
            cpu_percent=None,
            memory_percent=None,
            work=_meant(claim.contents),
        )


def _meant(contents: Iterable[Content]) -> tuple[Work, ...]:
    return tuple(Work(job=c.job, group=c.group, copies=c.copies) for c in contents)


def _job_name(namespace: str, job_id: str) -> str:
    return job_id if namespace == "default" else f"{namespace}/{job_id}"


# --- pools -----------------------------------------------------------------------------------------------------------


def _pool(pool: Pool, rows: list[NodeRow], snapshot: Snapshot) -> PoolRow:
    live = [r for r in rows if r.state not in {"shutting-down", "terminated"}]
    ready = [r for r in live if r.state == "ready"]
    used, free = _sums(snapshot, {r.node for r in ready})
    return PoolRow(
        name=pool.name,
        node_pool=pool.node_pool,
        datacenter=pool.datacenter,
        min=pool.size.min,
        max=pool.size.max,
        desired=pool.size.desired,
        machines=len(live),
        ready=len(ready),
        coming=sum(r.state in {"asked", "booting", "initializing"} for r in live),
        spot=sum(r.market is Market.SPOT for r in live),
        on_demand=sum(r.market is Market.ON_DEMAND for r in live),
        price=sum(r.price for r in live),
        cpu_percent=_percent(used.cpu_mhz, free.cpu_mhz),
        memory_percent=_percent(used.memory_mib, free.memory_mib),
    )


def _sums(snapshot: Snapshot, nodes: set[str]) -> tuple[Resources, Resources]:
    used = sum((a.usage for n in nodes for a in snapshot.allocations_by_node.get(n, ())), Resources())
    free = sum((n.total - n.reserved for n in snapshot.nodes if n.id in nodes), Resources())
    return used, free


def _percent(used: int, of: int) -> float | None:
    return round(100 * used / of, 1) if of > 0 else None
