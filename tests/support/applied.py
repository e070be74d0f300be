"""The world after a plan was carried out: machines on their way, or nodes with their work on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.packing.candidate import of_node
from reconciler.packing.feasible import blocker
from reconciler.packing.room import less, room_of, shortage
from schemas.document import ClusterGroup
from schemas.plan import CreateNodePool, CreateTemplate, Launch, Plan
from schemas.world import (
    META_CLAIM,
    TAG_CLAIM,
    TAG_CLUSTER,
    TAG_POOL,
    TAG_ROLE,
    Allocation,
    Instance,
    Job,
    Node,
    Resources,
    Snapshot,
    TaskGroup,
)
from support.builders import GROUP, NOON


def launched(plan: Plan, snapshot: Snapshot, *, later: timedelta = timedelta(seconds=10)) -> Snapshot:
    """All launches were asked for, and nobody has answered yet."""
    launches = [a for a in plan.actions if isinstance(a, Launch)]
    ordinals = dict(snapshot.ordinals)
    for launch in launches:
        ordinals[launch.pool] = int(launch.claim.rpartition("-")[2])
    return replace(
        snapshot,
        observed_at=snapshot.observed_at + later,
        claims=(*snapshot.claims, *(a.claimed(snapshot.observed_at) for a in launches)),
        ordinals=ordinals,
        templates=snapshot.templates | {a.template.name for a in plan.actions if isinstance(a, CreateTemplate)},
        node_pools=snapshot.node_pools | {a.name for a in plan.actions if isinstance(a, CreateNodePool)},
    )


def settled(plan: Plan, snapshot: Snapshot, group: ClusterGroup, *, pick: int = 0) -> Snapshot:
    """All machines are nodes, the work is where the plan meant it to be, and the rest where it fits.

    ``pick`` says which of a launch's overrides EC2 took.
    """
    after = launched(plan, snapshot, later=timedelta(minutes=5))
    instances: list[Instance] = []
    nodes: list[Node] = []
    allocations: list[Allocation] = []
    queued = {(j.namespace, j.id): dict(j.queued) for j in snapshot.jobs}
    jobs = {(j.name, g.name): (j, g) for j in snapshot.jobs for g in j.groups}
    for launch in (a for a in plan.actions if isinstance(a, Launch)):
        for place in range(launch.count):
            instance = _instance(launch, place, pick)
            node = _node(instance, launch, snapshot, group)
            instances.append(instance)
            nodes.append(node)
            allocations += _overhead(snapshot, node)
            for content in launch.contents:
                job, task_group = jobs.get((content.job, content.group), (None, None))
                if job is None or task_group is None:
                    continue  # headroom
                for _ in range(min(content.copies, queued[job.namespace, job.id].get(task_group.name, 0))):
                    allocations.append(_allocation(job, task_group, node, len(allocations)))
                    queued[job.namespace, job.id][task_group.name] -= 1
    after = replace(
        after,
        claims=(),
        instances=(*after.instances, *instances),
        nodes=(*after.nodes, *nodes),
        allocations=(*after.allocations, *allocations),
    )
    after = _placed(after, queued)
    jobs_after = tuple(replace(j, queued=queued[j.namespace, j.id]) for j in after.jobs)
    waiting = {(j.namespace, j.id) for j in jobs_after if any(j.queued.values())}
    return replace(
        after, jobs=jobs_after, evaluations=tuple(e for e in after.evaluations if (e.namespace, e.job_id) in waiting)
    )


def _placed(snapshot: Snapshot, queued: dict[tuple[str, str], dict[str, int]]) -> Snapshot:
    """Place what fits on ready nodes, copy by copy, first node first."""
    allocations = list(snapshot.allocations)
    for job in sorted(snapshot.jobs, key=lambda j: (-j.priority, j.id)):
        for group in job.groups if job.type != "system" else ():
            for node in snapshot.nodes:
                room = room_of(node, [a for a in allocations if a.node_id == node.id])
                if not node.ready or blocker(job, group, room.candidate) is not None:
                    continue
                while queued[job.namespace, job.id].get(group.name, 0) and shortage(room, group) is None:
                    allocations.append(_allocation(job, group, node, len(allocations)))
                    room = less(room, job, group)
                    queued[job.namespace, job.id][group.name] -= 1
    return replace(snapshot, allocations=tuple(allocations))


def _overhead(snapshot: Snapshot, node: Node) -> list[Allocation]:
    """System jobs put a copy of each group on a new node."""
    return [
        _allocation(job, group, node, 0)
        for job in snapshot.jobs
        for group in (job.groups if job.type == "system" else ())
        if blocker(job, group, of_node(node)) is None
    ]


def _instance(launch: Launch, place: int, pick: int) -> Instance:
    override = launch.overrides[pick % len(launch.overrides)]
    return Instance(
        id=f"i-{launch.claim}-{place}",
        type=override.instance_type,
        zone=override.zone,
        subnet_id=override.subnet_id,
        market=launch.market,
        state="running",
        launched_at=NOON,
        image_id="ami-0123",
        tags={TAG_CLUSTER: GROUP, TAG_ROLE: "client", TAG_POOL: launch.pool, TAG_CLAIM: launch.claim},
    )


def _node(instance: Instance, launch: Launch, snapshot: Snapshot, group: ClusterGroup) -> Node:
    kind = snapshot.catalogue[instance.type]
    pool = next(p for p in group.spec.pools if p.name == launch.pool)
    return Node(
        id=f"node-{instance.id}",
        name=instance.id,
        status="ready",
        eligible=True,
        draining=False,
        datacenter=pool.datacenter,
        node_pool=pool.node_pool,
        node_class=pool.node_class,
        total=Resources(cpu_mhz=kind.cpu_mhz, memory_mib=int(kind.memory_mib * 0.925), disk_mib=20480, cores=kind.vcpu),
        attributes={
            "unique.platform.aws.instance-id": instance.id,
            "platform.aws.instance-type": instance.type,
            "platform.aws.placement.availability-zone": instance.zone,
            "cpu.arch": "arm64" if kind.arch == "arm64" else "amd64",
            "kernel.name": "linux",
        },
        meta={META_CLAIM: launch.claim, **pool.meta},
        drivers={"docker": True, "exec": True},
        registered_at=snapshot.observed_at + timedelta(minutes=2),
        modify_index=1000,
    )


def _allocation(job: Job, group: TaskGroup, node: Node, number: int) -> Allocation:
    clock = node.total.cpu_mhz // node.total.cores if node.total.cores else 0
    return Allocation(
        id=f"alloc-{job.id}-{group.name}-{node.id}-{number}",
        namespace=job.namespace,
        job_id=job.id,
        group=group.name,
        node_id=node.id,
        job_type=job.type,
        desired="run",
        client="running",
        usage=replace(group.ask, cpu_mhz=group.ask.cpu_mhz + group.ask.cores * clock),
        ports=group.static_ports,
    )
