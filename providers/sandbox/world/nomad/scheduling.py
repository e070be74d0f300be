"""What both kinds of scheduler share: candidate nodes, tainted nodes, new allocations, the outcome of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad.allocation import Allocation, PlacementMetrics
from providers.sandbox.world.nomad.changes import LOST_NODE
from providers.sandbox.world.nomad.evaluation import DesiredUpdates, Evaluation

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.context import Eligibility, Plan
    from providers.sandbox.world.nomad.jobspec import GroupSpec, JobSpec
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.rank import Ranked
    from providers.sandbox.world.nomad.store import Store


@dataclass(slots=True)
class Outcome:
    """What one run of a scheduler wants and says; nothing of it is written yet."""

    plan: Plan
    eligibility: Eligibility
    queued: dict[str, int] = field(default_factory=dict)
    failed: dict[str, PlacementMetrics] = field(default_factory=dict)
    desired: dict[str, DesiredUpdates] = field(default_factory=dict)
    preempted: list[str] = field(default_factory=list)
    followups: list[Evaluation] = field(default_factory=list)
    blocked_nodes: list[tuple[str, Evaluation]] = field(default_factory=list)  # system: node and its blocked one
    deployment_id: str = ""


def candidates(store: Store, job: JobSpec) -> tuple[list[Node], dict[str, int], set[str]]:
    """Give the nodes that may take new work of a job, their number by datacenter, and its pool's others."""
    found: list[Node] = []
    by_datacenter: dict[str, int] = {}
    not_ready: set[str] = set()
    for node in store.state.nodes.values():
        if not node.in_pool(job.node_pool):
            continue
        if not node.ready:
            not_ready.add(node.id)
        elif node.in_datacenters(job.datacenters):
            found.append(node)
            by_datacenter[node.datacenter] = by_datacenter.get(node.datacenter, 0) + 1
    return found, by_datacenter, not_ready


def tainted_nodes(store: Store, allocs: list[Allocation]) -> dict[str, Node | None]:
    """Give the nodes of allocations that are gone (None), down, disconnected or draining."""
    found: dict[str, Node | None] = {}
    for node_id in dict.fromkeys(a.node_id for a in allocs):
        node = store.state.nodes.get(node_id)
        if node is None or node.status in (nd.DOWN, nd.DISCONNECTED) or node.drain is not None:
            found[node_id] = node
    return found


def write_off(plan: Plan, tainted: dict[str, Node | None], allocs: list[Allocation]) -> None:
    """What was being stopped on a node that is down or gone will not report any more: it is lost."""
    for alloc in allocs:
        if alloc.node_id not in tainted:
            continue
        node = tainted[alloc.node_id]
        if node is not None and node.status != nd.DOWN:
            continue
        if alloc.server_terminal and alloc.client in (al.RUNNING, al.PENDING):
            plan.stop(alloc, LOST_NODE, client=al.LOST)


def new_allocation(
    store: Store,
    evaluation: Evaluation,
    job: JobSpec,
    group: GroupSpec,
    *,
    name: str,
    ranked: Ranked,
    metrics: PlacementMetrics,
) -> Allocation:
    """Make the record of a copy on the chosen node."""
    return Allocation(
        id=store.kernel.new_id(),
        name=name,
        namespace=job.namespace,
        job_id=job.id,
        job_key=job.key,
        job_version=job.version,
        job_create_index=job.create_index,
        job_modify_index=job.modify_index,
        job_type=job.type,
        group=group.name,
        node_id=ranked.node.id,
        node_name=ranked.node.name,
        eval_id=evaluation.id,
        usage=ranked.usage,
        tasks=ranked.tasks,
        ports=ranked.ports,
        metrics=metrics,
    )


def blocked_eval(store: Store, evaluation: Evaluation, outcome: Outcome, *, max_plans: bool = False) -> Evaluation:
    """Make the evaluation that waits for capacity (``CreateBlockedEval``)."""
    seen = outcome.eligibility
    now = store.kernel.now
    return Evaluation(
        id=store.kernel.new_id(),
        namespace=evaluation.namespace,
        job_id=evaluation.job_id,
        type=evaluation.type,
        priority=evaluation.priority,
        triggered_by=ev.MAX_PLANS if max_plans else ev.QUEUED_ALLOCS,
        description=ev.DESC_BLOCKED_MAX_PLANS if max_plans else ev.DESC_BLOCKED,
        job_modify_index=evaluation.job_modify_index,
        status=ev.BLOCKED,
        previous=evaluation.id,
        failed=outcome.failed,
        class_eligibility=None if seen.has_escaped else seen.classes(),
        escaped=seen.has_escaped,
        missing=list(seen.missing),
        create_time=now,
        modify_time=now,
    )
