"""Carrying a plan out: each node's part is checked against the state as it is (source: ``nomad/plan_apply.go``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad.evaluation import Evaluation
from providers.sandbox.world.nomad.fit import misfit
from providers.sandbox.world.nomad.ports import Ports

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.context import Plan
    from providers.sandbox.world.nomad.deployment import Deployment
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.store import Store


@dataclass(slots=True)
class Applied:
    """What became of a plan."""

    placed: list[Allocation] = field(default_factory=list)  # new ones
    changed: list[Allocation] = field(default_factory=list)
    evals: list[Evaluation] = field(default_factory=list)  # for jobs that were preempted
    rejected: bool = False  # a node's part was refused
    progress: bool = False  # something was done


def apply_plan(store: Store, plan: Plan) -> Applied:
    """Write what of a plan still holds."""
    out = Applied()
    accepted: list[str] = []
    for node_id in dict.fromkeys([*plan.stops, *plan.places]):
        if _accepts(store, plan, node_id):
            accepted.append(node_id)
            continue
        out.rejected = True
        if plan.job is not None and plan.job.all_at_once:
            return out
    stops = [a for n in accepted for a in plan.stops.get(n, {}).values()]
    places = [a for n in accepted for a in plan.places.get(n, {}).values()]
    victims = [
        a
        for n in accepted
        for a in plan.preemptions.get(n, {}).values()
        if (now := store.state.allocs.get(a.id)) is not None and not now.terminal
    ]
    out.progress = bool(stops or places or plan.deployment is not None or plan.deployment_updates)
    if not out.progress and not victims:
        return out
    index = store.next_index("allocs")
    if plan.deployment is not None:
        if out.rejected:
            _correct_canaries(plan.deployment, places)
        store.upsert_deployment(index, plan.deployment)
    for update in plan.deployment_updates:
        store.update_deployment(index, update.deployment_id, update.status, update.description)
    evaluation = store.state.evals.get(plan.evaluation.id)
    if evaluation is not None:
        evaluation.modify_index = index
    out.placed = [a for a in places if a.id not in store.state.allocs]
    out.changed = places + stops + victims
    store.upsert_allocs(index, out.changed)
    out.evals = _preemption_evals(store, victims)
    store.upsert_evals(index, out.evals, nested=True)
    return out


def _accepts(store: Store, plan: Plan, node_id: str) -> bool:
    places = plan.places.get(node_id)
    if not places:
        return True
    node = store.state.nodes.get(node_id)
    if node is None:
        return False
    if node.status == nd.DISCONNECTED:
        return all(a.client == al.UNKNOWN for a in places.values())
    if node.status == nd.DOWN:
        return all(_may_change_on_down_node(store, a) for a in places.values())
    if node.status != nd.READY:
        return False
    existing = {a.id: a for a in store.node_allocs(node_id) if not a.terminal}
    if places.keys() <= existing.keys():
        return True
    if node.eligibility == nd.INELIGIBLE:
        return False
    gone = {*plan.stops.get(node_id, ()), *plan.preemptions.get(node_id, ()), *places}
    proposed = [a for i, a in existing.items() if i not in gone] + list(places.values())
    return _fits(node, [a for a in proposed if not a.client_terminal])


def _may_change_on_down_node(store: Store, alloc: Allocation) -> bool:
    if alloc.client == al.LOST:
        return True
    group = store.spec(alloc.job_key).groups.get(alloc.group)
    keeps = group is not None and group.disconnect is not None and not group.disconnect.replace
    return alloc.client == al.UNKNOWN and keeps


def _fits(node: Node, allocs: list[Allocation]) -> bool:
    dimension, _ = misfit(node, [a.usage for a in allocs])
    if dimension:
        return False
    if any(a.ports for a in allocs) and Ports(node).add(allocs):
        return False
    used: set[tuple[str, str]] = set()
    for alloc in allocs:
        for task in alloc.tasks.values():
            for given in task.devices:
                ids = {(given.group, i) for i in given.ids}
                if not used.isdisjoint(ids):
                    return False
                used |= ids
    return True


def _correct_canaries(deployment: Deployment, places: list[Allocation]) -> None:
    placed = {a.id for a in places}
    for group in deployment.groups.values():
        group.placed_canaries = [i for i in group.placed_canaries if i in placed]


def _preemption_evals(store: Store, victims: list[Allocation]) -> list[Evaluation]:
    evals = []
    for key in dict.fromkeys(f"{a.namespace}/{a.job_id}" for a in victims):
        job = store.state.jobs.get(key)
        if job is not None:
            evals.append(
                Evaluation(
                    id=store.kernel.new_id(),
                    namespace=job.namespace,
                    job_id=job.id,
                    type=job.type,
                    priority=job.priority,
                    triggered_by=ev.PREEMPTION,
                    create_time=store.kernel.now,
                    modify_time=store.kernel.now,
                )
            )
    return evals
