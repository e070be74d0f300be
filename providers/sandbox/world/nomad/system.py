"""The scheduler for system and sysbatch jobs (source: ``scheduler/scheduler_system.go``, ``scheduler_sysbatch.go``)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import deployment as dep
from providers.sandbox.world.nomad.allocation import DeploymentStatus, PlacementMetrics
from providers.sandbox.world.nomad.changes import IN_PLACE, LOST_NODE, NODE_TAINTED, NOT_NEEDED, UPDATING
from providers.sandbox.world.nomad.context import Context, DeploymentUpdate, Plan, exhaust_resources
from providers.sandbox.world.nomad.deployment import copy_deployment
from providers.sandbox.world.nomad.evaluation import DesiredUpdates
from providers.sandbox.world.nomad.reconcile_node import NodeReconciler, NodeResults, Tuple
from providers.sandbox.world.nomad.scheduling import (
    Outcome,
    blocked_eval,
    candidates,
    new_allocation,
    tainted_nodes,
    write_off,
)
from providers.sandbox.world.nomad.stack import SystemStack
from providers.sandbox.world.nomad.updates import tasks_updated

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.deployment import GroupState
    from providers.sandbox.world.nomad.evaluation import Evaluation
    from providers.sandbox.world.nomad.jobspec import GroupSpec, JobSpec
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.rank import Ranked
    from providers.sandbox.world.nomad.store import Store


class SystemScheduler:
    """One run over one job. ``job`` is None when it was purged."""

    def __init__(self, store: Store, evaluation: Evaluation, job: JobSpec | None) -> None:
        self._store = store
        self._eval = evaluation
        self._job = job
        self._sysbatch = evaluation.type == "sysbatch"
        self._plan = Plan(evaluation, job)
        self._ctx = Context(store, self._plan)
        self._out = Outcome(self._plan, self._ctx.eligibility)
        self._live = job is not None and not job.stop
        self._stack = SystemStack(self._ctx, job, sysbatch=self._sysbatch) if job is not None and self._live else None
        latest = None if self._sysbatch else store.latest_deployment(evaluation.job_key)
        self._deployment = copy_deployment(latest)
        self._nodes: dict[str, Node] = {}
        self._by_datacenter: dict[str, int] = {}
        self._wanted: dict[str, int] = {}  # nodes that count for a group
        self._replaced: dict[str, int] = {}  # copies that are replaced
        self._canaries: dict[str, int] = {}

    def run(self) -> Outcome:
        """Decide what is to be done."""
        job, plan = self._job, self._plan
        not_ready: set[str] = set()
        if job is not None and self._live:
            nodes, self._by_datacenter, not_ready = candidates(self._store, job)
            self._nodes = {n.id: n for n in nodes}
        allocs = self._store.job_allocs(self._eval.job_key)
        tainted = tainted_nodes(self._store, allocs)
        write_off(plan, tainted, allocs)
        reconciler = NodeReconciler(self._store, job, self._deployment)
        found = reconciler.compute(self._nodes, not_ready, tainted, allocs)
        if not self._sysbatch and reconciler.deployment is not None:
            self._deployment = reconciler.deployment
        self._stop(found)
        inplace = self._update_in_place(found)
        self._annotate(found, inplace)
        existing = {t.group.name for t in inplace if t.group is not None}
        self._evict(found)
        if job is not None and self._live:
            self._out.queued = dict.fromkeys(job.groups, 0)
        for item in found.place:
            if item.group is not None:
                self._out.queued[item.group.name] = self._out.queued.get(item.group.name, 0) + 1
        existing |= {t.group.name for t in found.ignore if t.group is not None}
        self._place_all(found, existing)
        if not self._sysbatch:
            self._finish_deployment(found, reconciler)
        return self._out

    def _stop(self, found: NodeResults) -> None:
        plan = self._plan
        for items, description, client in (
            (found.stop, NOT_NEEDED, ""),
            (found.migrate, NODE_TAINTED, ""),
            (found.lost, LOST_NODE, al.LOST),
        ):
            for item in items:
                if item.alloc is not None:
                    plan.stop(item.alloc, description, client)
        for item in found.disconnecting:
            if item.alloc is not None:
                plan.place(item.alloc)

    # -- updates

    def _update_in_place(self, found: NodeResults) -> list[Tuple]:
        destructive: list[Tuple] = []
        inplace: list[Tuple] = []
        for item in found.update + found.reconnecting:
            (inplace if self._in_place(item) else destructive).append(item)
        found.update = destructive
        return inplace

    def _in_place(self, item: Tuple) -> bool:
        job, old, group = self._job, item.alloc, item.group
        if job is None or old is None or group is None or self._stack is None:
            return False
        if tasks_updated(job, self._store.spec(old.job_key), group.name):
            return False
        if old.terminal:
            return True
        node = self._store.state.nodes.get(old.node_id)
        if node is None or not node.in_datacenters(job.datacenters) or not node.in_pool(job.node_pool):
            return False
        self._plan.stop(old, IN_PLACE)
        option = self._stack.select(node, group, old.name)
        self._plan.unstop(old)
        if option is None:
            return False
        new = old.clone()
        new.eval_id = self._eval.id
        new.job_key, new.job_version, new.job_modify_index = job.key, job.version, job.modify_index
        new.usage, new.tasks = option.usage, option.tasks
        for name, task in new.tasks.items():
            if name in old.tasks:
                task.devices = old.tasks[name].devices
        new.deployment_id = self._deployment.id if self._deployment is not None else ""
        new.deployment_status = None
        self._plan.place(new)
        return True

    def _annotate(self, found: NodeResults, inplace: list[Tuple]) -> None:
        desired = self._out.desired

        def count(items: list[Tuple], name: str) -> None:
            for item in items:
                group = item.alloc.group if item.group is None and item.alloc is not None else ""
                key = item.group.name if item.group is not None else group
                entry = desired.setdefault(key, DesiredUpdates())
                setattr(entry, name, getattr(entry, name) + 1)

        count(found.stop, "stop")
        count(found.place, "place")
        count(found.ignore, "ignore")
        count(found.migrate, "migrate")
        count(inplace, "in_place_update")
        count(found.update, "destructive_update")
        count(found.disconnecting, "disconnect")
        count(found.reconnecting, "reconnect")
        for items in (found.place, inplace, found.ignore, found.update):
            for item in items:
                if item.group is not None:
                    self._wanted[item.group.name] = self._wanted.get(item.group.name, 0) + 1
        for item in found.ignore:
            if item.group is not None and item.alloc is not None and item.alloc.is_canary:
                self._canaries[item.group.name] = self._canaries.get(item.group.name, 0) + 1
        for item in found.update:
            if item.group is not None:
                self._replaced[item.group.name] = self._replaced.get(item.group.name, 0) + 1

    def _evict(self, found: NodeResults) -> None:
        """Replace as many copies as a roll-out allows at a time."""
        limits: dict[str, int] = {}
        if self._job is not None and self._live:
            overall = self._job.update_max_parallel or len(found.update)
            for group in self._job.groups.values():
                own = group.update.max_parallel if group.update is not None else 0
                limits[group.name] = own or overall
        if self._deployment is not None:
            for item in found.ignore:
                alloc = item.alloc
                if alloc is not None and alloc.deployment_id == self._deployment.id and alloc.healthy is None:
                    limits[alloc.group] = limits.get(alloc.group, 0) - 1
        for item in found.update:
            if item.alloc is None or limits.get(item.alloc.group, 0) <= 0:
                continue
            self._plan.stop(item.alloc, UPDATING)
            found.place.append(item)
            if not item.canary:
                limits[item.alloc.group] -= 1

    # -- placements

    def _place_all(self, found: NodeResults, existing: set[str]) -> None:
        filtered: dict[str, PlacementMetrics] = {}
        for item in found.place:
            node, group = self._nodes.get(item.node_id), item.group
            if node is None or group is None or self._stack is None or self._job is None:
                continue
            option = self._stack.select(node, group, item.name)
            metrics = self._ctx.metrics
            if option is not None:
                self._placed(item, group, option)
                continue
            self._discount(item, group)
            if metrics.nodes_filtered:
                self._out.queued[group.name] -= 1
                filtered[group.name] = merged = _merge(filtered.get(group.name), metrics)
                if self._out.queued[group.name] <= 0 and group.name not in existing:
                    self._out.failed[group.name] = merged
                continue
            if (failed := self._out.failed.get(group.name)) is not None:
                failed.coalesced_failures += 1
                exhaust_resources(failed, group)
                continue
            self._fill(metrics)
            metrics.node_pool = self._job.node_pool
            exhaust_resources(metrics, group)
            self._out.failed[group.name] = metrics
            self._block(node)
        if not self._sysbatch:
            for name, count in self._wanted.items():
                self._out.desired.setdefault(name, DesiredUpdates()).place = count

    def _discount(self, item: Tuple, group: GroupSpec) -> None:
        if self._sysbatch:
            if self._ctx.metrics.nodes_filtered:
                self._out.desired[group.name].place -= 1
            return
        self._wanted[group.name] -= 1
        if item.alloc is not None:
            self._replaced[group.name] = self._replaced.get(group.name, 0) - 1

    def _fill(self, metrics: PlacementMetrics) -> None:
        metrics.nodes_available = self._by_datacenter
        metrics.nodes_in_pool = len(self._nodes)
        self._ctx.best_scores()

    def _block(self, node: Node) -> None:
        """The first node of a group without room gets an evaluation that waits for it."""
        waiting = blocked_eval(self._store, self._eval, self._out)
        waiting.failed = dict(self._out.failed)
        waiting.node_id = node.id
        self._out.blocked_nodes.append((node.id, waiting))

    def _placed(self, item: Tuple, group: GroupSpec, option: Ranked) -> None:
        if self._job is None:
            return
        metrics = self._ctx.metrics
        self._fill(metrics)
        alloc = new_allocation(
            self._store, self._eval, self._job, group, name=item.name, ranked=option, metrics=metrics
        )
        if self._deployment is not None and self._deployment.active:
            alloc.deployment_id = self._deployment.id
        if item.alloc is not None:
            alloc.previous = item.alloc.id
        if item.canary and self._deployment is not None:
            alloc.deployment_status = DeploymentStatus(canary=True)
        for victim in option.victims:
            self._plan.preempt(victim, alloc.id)
            alloc.preempted.append(victim.id)
        self._plan.place(alloc)

    # -- deployments

    def _finish_deployment(self, found: NodeResults, reconciler: NodeReconciler) -> None:
        d, job = self._deployment, self._job
        if d is None:
            return
        complete = True
        gone: set[str] = set()
        for group in job.groups.values() if job is not None else ():
            wanted = self._wanted.get(group.name, 0)
            if wanted < 1:
                if d.status == dep.SUCCESSFUL:
                    gone.add(group.name)
                continue
            state = d.groups.get(group.name)
            if state is None or job is None:
                continue
            canarying = (
                group.rolls
                and group.update is not None
                and group.update.canary > 0
                and not state.promoted
                and job.version != 0
                and self._replaced.get(group.name, 0) > 0
            )
            state.desired_total = wanted
            if canarying:
                self._canary(group, state, found)
            complete = complete and not canarying and state.healthy >= state.desired_total
        updates = reconciler.updates + self._status_updates(complete=complete)
        if all(name in gone for name in d.groups):
            self._deployment = None
            self._plan.deployment_updates = [] if job is not None and not job.stop else updates
            return
        self._out.deployment_id = d.id
        self._plan.deployment = d
        self._plan.deployment_updates = updates

    def _status_updates(self, *, complete: bool) -> list[DeploymentUpdate]:
        d = self._deployment
        if d is None:
            return []
        if d.requires_promotion:
            d.description = dep.DESC_AUTO_PROMOTION if d.auto_promotes else dep.DESC_NEEDS_PROMOTION
            return []
        return [DeploymentUpdate(d.id, dep.SUCCESSFUL, dep.DESC_SUCCESSFUL)] if complete else []

    def _canary(self, group: GroupSpec, state: GroupState, found: NodeResults) -> None:
        """Canaries of a system job are a share of its nodes; take back what is too many."""
        if group.update is None:
            return
        total = self._replaced.get(group.name, 0) + self._canaries.get(group.name, 0)
        required = min(math.ceil(group.update.canary * total / 100), group.update.max_parallel)
        state.desired_canaries = required
        kept = [
            t.alloc.id
            for t in found.ignore
            if t.group is not None and t.group.name == group.name and t.alloc is not None and t.alloc.is_canary
        ]
        left = required - len(kept)
        for places in self._plan.places.values():
            for alloc in [a for a in places.values() if a.group == group.name and a.is_canary]:
                if left > 0:
                    left -= 1
                    kept.append(alloc.id)
                    continue
                del places[alloc.id]
                before = self._store.state.allocs.get(alloc.previous)
                if before is not None:
                    self._plan.unstop(before)
        state.placed_canaries = kept
        self._out.desired.setdefault(group.name, DesiredUpdates()).canary = len(kept)


def _merge(total: PlacementMetrics | None, more: PlacementMetrics) -> PlacementMetrics:
    """Add up what was filtered on several nodes."""
    if total is None:
        return more
    total.nodes_evaluated += more.nodes_evaluated
    total.nodes_filtered += more.nodes_filtered
    for into, source in (
        (total.class_filtered, more.class_filtered),
        (total.constraint_filtered, more.constraint_filtered),
    ):
        for key, count in source.items():
            into[key] = into.get(key, 0) + count
    return total
