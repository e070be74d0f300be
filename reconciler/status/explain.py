"""Why a job waits, why a node or a server is there, stays or goes: facts in sentences, from one snapshot. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.packing.explain import PoolAnswer, explain_job
from reconciler.reconcilers.servers import tell_server
from reconciler.status.tables import NodeRow, ServerRow, node_rows, server_rows
from schemas.document import ClusterGroup, Pool, format_duration
from schemas.faults import Source
from schemas.plan import Hold, Plan
from schemas.world import Instance, Job, Node, Resources, Snapshot

OURS = "nomad-reconciler"  # LastDrain.Meta "by" of our drains


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStands:
    """One group of a job."""

    group: str
    count: int  # wanted copies, by the job
    placed: int  # copies that take room
    waiting: int  # copies that Nomad could not place
    nodes: tuple[str, ...]  # "3 on i-0001"
    why: tuple[str, ...]  # it waits
    pools: tuple[PoolAnswer, ...]
    coming: tuple[str, ...]  # room that is there or on its way for what waits
    price: float | None  # USD an hour of the machines that it alone would need besides


@dataclass(frozen=True, slots=True, kw_only=True)
class JobExplained:
    """Where a job stands."""

    kind: str  # "job"
    name: str
    type: str
    priority: int
    node_pool: str
    datacenters: tuple[str, ...]
    verdict: str
    groups: tuple[GroupStands, ...]
    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeExplained:
    """Why a node is there, and whether it stays."""

    kind: str  # "node"
    name: str
    verdict: str
    node: NodeRow
    facts: tuple[str, ...]
    holds: tuple[Hold, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerExplained:
    """Why a server is there, and whether it stays."""

    kind: str  # "server"
    name: str
    verdict: str
    server: ServerRow
    facts: tuple[str, ...]
    holds: tuple[Hold, ...]


Explained = JobExplained | NodeExplained | ServerExplained


# --- jobs ------------------------------------------------------------------------------------------------------------


def explain_jobs(snapshot: Snapshot, group: ClusterGroup, plan: Plan, name: str) -> Iterator[JobExplained]:
    """Explain every job of this id or ``namespace/id``."""
    for job in snapshot.jobs:
        if name in {job.id, job.name, f"{job.namespace}/{job.id}"}:
            yield _job(snapshot, group, plan, job)


def _job(snapshot: Snapshot, group: ClusterGroup, plan: Plan, job: Job) -> JobExplained:
    machine_of = {row.node: row.name for row in node_rows(snapshot) if row.node}
    held = [a for a in snapshot.allocations if (a.namespace, a.job_id) == (job.namespace, job.id) and a.takes_room]
    groups = []
    for part, stands in zip(job.groups, explain_job(snapshot, group, job), strict=True):
        on = Counter(machine_of.get(a.node_id, a.node_id) for a in held if a.group == part.name)
        waits = stands.queued > 0
        groups.append(
            GroupStands(
                group=part.name,
                count=part.count,
                placed=sum(on.values()),
                waiting=stands.queued,
                nodes=tuple(f"{copies} on {machine}" for machine, copies in sorted(on.items())),
                why=stands.why if waits else (),
                pools=stands.pools,
                coming=stands.coming,
                price=stands.price if waits else None,
            )
        )
    return JobExplained(
        kind="job",
        name=job.name,
        type=job.type,
        priority=job.priority,
        node_pool=job.node_pool,
        datacenters=job.datacenters,
        verdict=_job_verdict(job, groups),
        groups=tuple(groups),
        holds=tuple(h for h in plan.holds if h.subject == f"job/{job.name}"),
    )


def _job_verdict(job: Job, groups: list[GroupStands]) -> str:
    if job.stopped:
        return "it is stopped and wants nothing"
    if job.parent:
        return "it is periodic or parameterized: its children want room, it does not"
    if job.type in {"system", "sysbatch"}:
        placed = sum(g.placed for g in groups)
        return f"it runs beside the work, {placed} copies now, and no machine is bought for it"
    waiting, placed = sum(g.waiting for g in groups), sum(g.placed for g in groups)
    if not waiting:
        return f"nothing of it waits, {placed} {'copy has' if placed == 1 else 'copies have'} room"
    helped = all(any(p.serves for p in g.pools) or g.coming for g in groups if g.waiting)
    coming = all(g.coming and g.price is None for g in groups if g.waiting)
    served = "machines can be had for them" if helped else "no pool can serve all of them"
    served = "room for them is there or on its way" if coming else served
    return f"{waiting} {'copy waits' if waiting == 1 else 'copies wait'} for room, {placed} have it; {served}"


# --- nodes -----------------------------------------------------------------------------------------------------------


def explain_nodes(snapshot: Snapshot, group: ClusterGroup, plan: Plan, name: str) -> Iterator[NodeExplained]:
    """Explain the clients of this instance, node name, claim, or beginning of a Nomad id (4 characters or more)."""
    for row in node_rows(snapshot):
        node = next((n for n in snapshot.nodes if n.id == row.node), None)
        claim = row.name.partition("#")[0]
        names = {row.name, claim} | ({node.id, node.name} if node else set())
        if name in names or (node and len(name) >= 4 and node.id.startswith(name)):
            yield _node(snapshot, group, plan, row, node)


def _node(snapshot: Snapshot, group: ClusterGroup, plan: Plan, row: NodeRow, node: Node | None) -> NodeExplained:
    pool = next((p for p in group.spec.pools if p.name == row.pool), None)
    instance = snapshot.instance_by_id.get(row.name)
    subjects = {f"node/{row.name}", f"node/{row.node}", f"claim/{row.name.partition('#')[0]}"}
    return NodeExplained(
        kind="node",
        name=row.name,
        verdict=_node_verdict(snapshot, row, pool, node),
        node=row,
        facts=tuple(_node_facts(snapshot, row, pool, node, instance)),
        holds=tuple(h for h in plan.holds if h.subject in subjects),
    )


def _node_verdict(snapshot: Snapshot, row: NodeRow, pool: Pool | None, node: Node | None) -> str:
    if not row.pool:
        return "it is nobody's: no machine of ours is under it, so it takes work and is never touched"
    if pool is None:
        return f"its pool {row.pool} is not in the document any more: it is left alone"
    match row.state:
        case "asked":
            return "it was asked for, and EC2 does not show it yet"
        case "booting" | "initializing":
            return _patience(snapshot, row, pool)
        case "draining":
            by_us = node is not None and node.drain_meta.get("by") == OURS
            return "it goes: it is drained" if by_us else "an operator drains it: it is left alone"
        case "ineligible":
            return "an operator made it ineligible: it is left alone"
        case "ready":
            return "it stays: giving idle nodes back is not implemented yet"
        case "down" | "disconnected":
            return f"it is {row.state}: replacing lost nodes is not implemented yet"
        case gone:
            return f"it goes: EC2 says {gone}"


def _patience(snapshot: Snapshot, row: NodeRow, pool: Pool) -> str:
    instance = snapshot.instance_by_id.get(row.name)
    timeout = pool.registration.timeout
    if instance is None:
        return "it boots"
    waited = snapshot.observed_at - instance.launched_at
    left = f"registration.timeout of {format_duration(timeout)}"
    if waited > timeout:
        return f"it should have registered: it boots for {_long(waited)} now, longer than the {left}"
    return f"it boots for {_long(waited)} now, and may take the {left}"


def _node_facts(
    snapshot: Snapshot, row: NodeRow, pool: Pool | None, node: Node | None, instance: Instance | None
) -> Iterator[str]:
    now = snapshot.observed_at
    claim = node.claim if node else instance.claim if instance else row.name.partition("#")[0]
    if instance is not None:
        yield f"launched {_ago(now, instance.launched_at)} under claim {claim or 'unknown'}, {row.market}"
    if node is not None and node.registered_at is not None:
        yield f"registered in Nomad {_ago(now, node.registered_at)} as {node.id}"
    if node is None and row.work:
        yield "bought for the work listed below"
    if node is not None:
        yield from _use(snapshot, node, pool)
    if pool is not None:
        live = [r for r in node_rows(snapshot) if r.pool == pool.name]
        size = (
            f"pinned to {pool.size.desired}" if pool.size.desired is not None else f"{pool.size.min} to {pool.size.max}"
        )
        yield f"one of {len(live)} machines of pool {pool.name}, whose size is {size}"


def _use(snapshot: Snapshot, node: Node, pool: Pool | None) -> Iterator[str]:
    held = snapshot.allocations_by_node.get(node.id, ())
    total = node.total - node.reserved
    free = total - sum((a.usage for a in held), Resources())
    yield (
        f"free are {free.cpu_mhz:,} of {total.cpu_mhz:,} MHz, {free.memory_mib:,} of {total.memory_mib:,} MiB memory,"
        f" {free.disk_mib:,} of {total.disk_mib:,} MiB disk"
    )
    if pool is None:
        return
    work = sum((a.usage for a in held if not a.overhead), Resources())
    cpu, memory = (
        (100 * work.cpu_mhz / total.cpu_mhz, 100 * work.memory_mib / total.memory_mib) if total.cpu_mhz else (0, 0)
    )
    limit = pool.scale_down
    idle = cpu < limit.cpu_below_percent and memory < limit.memory_below_percent
    yield (
        f"{'idle' if idle else 'in use'} by scaleDown's measure: work takes {cpu:.0f}% CPU and {memory:.0f}% memory,"
        f" idle is under {limit.cpu_below_percent}% and {limit.memory_below_percent}%"
    )


# --- servers ---------------------------------------------------------------------------------------------------------


def explain_servers(snapshot: Snapshot, group: ClusterGroup, plan: Plan, name: str) -> Iterator[ServerExplained]:
    """Explain the server of this instance, address or claim."""
    for row in server_rows(snapshot):
        instance = snapshot.instance_by_id[row.instance]
        if name in {row.instance, row.address, instance.claim}:
            yield ServerExplained(
                kind="server",
                name=row.instance,
                verdict=_server_verdict(snapshot, group, row),
                server=row,
                facts=tuple(_server_facts(snapshot, group, row, instance)),
                holds=tuple(h for h in plan.holds if h.subject in {"servers", f"server/{row.instance}"}),
            )


def _server_verdict(snapshot: Snapshot, group: ClusterGroup, row: ServerRow) -> str:
    if group.spec.servers is None:
        return "the document has no servers any more: it is left alone"
    if row.state == "shutting-down":
        return "it goes: EC2 says shutting-down"
    if (told := tell_server(snapshot, group, row.instance)) is not None:
        return told.outlook
    return "it stays; its quorum does not answer yet" if Source.NOMAD in snapshot.unanswered else "it stays"


def _server_facts(snapshot: Snapshot, group: ClusterGroup, row: ServerRow, instance: Instance) -> Iterator[str]:
    yield f"launched {_ago(snapshot.observed_at, instance.launched_at)} as {instance.claim or 'no claim of ours'}"
    if (told := tell_server(snapshot, group, instance.id)) is not None:
        yield from told.facts
        return
    view = next((v for v in snapshot.servers if v.address == row.address), None)
    if view is not None:
        leader = f"names {view.leader} as leader" if view.leader else "knows no leader"
        peers = f", counts {len(view.peers)} raft peers" if view.peers is not None else ""
        yield f"its agent {leader}{peers}" if view.reachable else "its agent does not answer"
    if (servers := group.spec.servers) is not None:
        running = sum(s.state == "running" for s in server_rows(snapshot))
        quorum = servers.count // 2 + 1
        left = running - (row.state == "running")
        keeps = "would keep" if left >= quorum else "would lose"
        yield f"{running} of {servers.count} run; without it the others {keeps} the quorum of {quorum}"


def _ago(now: datetime, then: datetime) -> str:
    return f"{_long(now - then)} ago"


def _long(span: timedelta) -> str:
    return format_duration(max(span, timedelta()))
