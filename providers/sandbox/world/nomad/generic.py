"""The scheduler for service and batch jobs (source: ``scheduler/generic_sched.go``)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad.allocation import DeploymentStatus, PlacementMetrics
from providers.sandbox.world.nomad.changes import IN_PLACE, UPDATING, Place, Results
from providers.sandbox.world.nomad.classify import Classifier
from providers.sandbox.world.nomad.context import Context, Plan, exhaust_resources
from providers.sandbox.world.nomad.deployment import copy_deployment
from providers.sandbox.world.nomad.reconcile import Reconciler
from providers.sandbox.world.nomad.reschedule import annotate, track
from providers.sandbox.world.nomad.scheduling import (
    Outcome,
    candidates,
    new_allocation,
    tainted_nodes,
    write_off,
)
from providers.sandbox.world.nomad.stack import GenericStack
from providers.sandbox.world.nomad.updates import tasks_updated

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.evaluation import Evaluation
    from providers.sandbox.world.nomad.jobspec import GroupSpec, JobSpec
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.rank import Ranked
    from providers.sandbox.world.nomad.store import Store


class GenericScheduler:
    """One run over one job. ``job`` is None when it was purged."""

    def __init__(self, store: Store, evaluation: Evaluation, job: JobSpec | None) -> None:
        self._store = store
        self._eval = evaluation
        self._job = job
        self._batch = evaluation.type == "batch"
        self._plan = Plan(evaluation, job)
        self._ctx = Context(store, self._plan)
        self._out = Outcome(self._plan, self._ctx.eligibility)
        self._stack = None if job is None or job.stop else GenericStack(self._ctx, job, batch=self._batch)
        latest = None if self._batch else store.latest_deployment(evaluation.job_key)
        self._deployment = copy_deployment(latest)

    def run(self) -> Outcome:
        """Decide what is to be done."""
        store, job = self._store, self._job
        allocs = store.job_allocs(self._eval.job_key)
        tainted = tainted_nodes(store, allocs)
        write_off(self._plan, tainted, allocs)
        results = Reconciler(
            store,
            job,
            self._eval,
            self._deployment,
            classifier=Classifier(store, tainted, store.kernel.now),
            update_check=self._update_check,
        ).compute(allocs)
        self._out.desired = results.desired
        self._out.followups = results.followups
        self._plan.deployment = results.deployment
        self._plan.deployment_updates = results.updates
        if results.deployment is not None:
            self._deployment = results.deployment
        self._out.deployment_id = self._deployment.id if self._deployment is not None else ""
        self._write_changes(results)
        if job is not None and not results.place and not results.destructive:
            self._out.queued = dict.fromkeys(job.groups, 0)
        for item in results.place + results.destructive:
            self._out.queued[item.group.name] = self._out.queued.get(item.group.name, 0) + 1
        if results.place or results.destructive:
            self._place_all(results)
        return self._out

    def _write_changes(self, results: Results) -> None:
        plan = self._plan
        for stop in results.stop:
            plan.stop(stop.alloc, stop.description, stop.client, stop.followup)
        for alloc in [*results.disconnects.values(), *results.reconnects.values()]:
            plan.place(alloc)
        for alloc in results.inplace:
            if alloc.deployment_id != self._out.deployment_id:
                alloc.deployment_id, alloc.deployment_status = self._out.deployment_id, None
            plan.place(alloc)
        for alloc in results.attributes.values():
            plan.place(alloc)

    # -- updates in place

    def _update_check(self, old: Allocation, job: JobSpec, group: GroupSpec) -> tuple[bool, bool, Allocation | None]:
        if old.job_modify_index == job.modify_index:
            return True, False, None
        before = self._store.spec(old.job_key)
        if tasks_updated(job, before, group.name):
            return False, True, None
        if old.terminal:
            return True, False, None
        node = self._store.state.nodes.get(old.node_id)
        if node is None or not node.in_datacenters(job.datacenters) or not node.in_pool(job.node_pool):
            return False, True, None
        option = self._try_in_place(old, node, group)
        if option is None:
            return False, True, None
        new = old.clone()
        new.eval_id = self._eval.id
        new.job_key, new.job_version, new.job_modify_index = job.key, job.version, job.modify_index
        new.usage = replace(option.usage, cores=old.usage.cores)
        new.tasks = option.tasks
        for name, task in new.tasks.items():
            if name in old.tasks:
                task.devices, task.cores = old.tasks[name].devices, old.tasks[name].cores
        return False, False, new

    def _try_in_place(self, old: Allocation, node: Node, group: GroupSpec) -> Ranked | None:
        if self._stack is None:
            return None
        self._stack.set_nodes([node])
        self._plan.stop(old, IN_PLACE)
        option = self._stack.select(group, old.name)
        self._plan.unstop(old)
        return option

    # -- placements

    def _place_all(self, results: Results) -> None:
        job, stack = self._job, self._stack
        if job is None or stack is None:
            return
        nodes, by_datacenter, _ = candidates(self._store, job)
        stack.set_nodes(nodes)
        active = self._deployment is not None and self._deployment.active
        deployment_id = self._deployment.id if active and self._deployment is not None else ""
        for item in results.destructive + results.place:
            group, older = item.group, None
            if item.downgrade and (found := self._older_job(item)) is not None:
                deployment_id, older = found
                group = older.groups[group.name]
            if (metrics := self._out.failed.get(group.name)) is not None:
                metrics.coalesced_failures += 1
                exhaust_resources(metrics, group)
                continue
            if older is not None:
                stack.set_job(older)
            option = self._choose(item, group)
            metrics = self._ctx.metrics
            metrics.nodes_available = by_datacenter
            metrics.nodes_in_pool = len(nodes)
            metrics.node_pool = job.node_pool
            self._ctx.best_scores()
            if older is not None:
                stack.set_job(job)
            if option is None:
                self._failed(item, group, metrics)
            else:
                self._placed(
                    results,
                    item,
                    group,
                    job=older or job,
                    option=option,
                    metrics=metrics,
                    deployment_id=deployment_id,
                )

    def _older_job(self, item: Place) -> tuple[str, JobSpec] | None:
        """While canaries are out, other copies are made from the last version that was rolled out."""
        job = self._job
        if job is None:
            return None
        key = f"{job.namespace}/{job.id}"
        record = self._store.state.jobs.get(key)
        versions = {self._store.spec(k).version: self._store.spec(k) for k in record.versions} if record else {}
        for d in sorted(self._store.job_deployments(key), key=lambda d: -d.job_version):
            state = d.groups.get(item.group.name)
            if state is not None and (state.promoted or state.desired_canaries == 0):
                found = versions.get(d.job_version)
                if found is not None and found.version >= item.min_version and item.group.name in found.groups:
                    return d.id, found
                return None
        found = versions.get(item.min_version)
        if found is not None and found.update_max_parallel == 0 and item.group.name in found.groups:
            return "", found
        return None

    def _choose(self, item: Place, group: GroupSpec) -> Ranked | None:
        if self._stack is None:
            return None
        before = item.previous
        if item.stops and before is not None:
            self._plan.stop(before, UPDATING)
        penalty: set[str] = set()
        if before is not None:
            if before.client == al.FAILED:
                penalty.add(before.node_id)
            if before.reschedule is not None:
                penalty.update(e.node_id for e in before.reschedule.events)
        preferred = self._preferred_node(item)
        found = self._stack.select(group, item.name, penalty=frozenset(penalty), preferred=preferred)
        config = self._store.state.scheduler
        if found is None and (config.preempt_batch if self._batch else config.preempt_service):
            found = self._stack.select(group, item.name, penalty=frozenset(penalty), preferred=preferred, preempt=True)
        return found

    def _preferred_node(self, item: Place) -> Node | None:
        """A sticky disk wants its node back."""
        before, job = item.previous, self._job
        if before is None or job is None or not (item.group.sticky or item.group.migrate_disk):
            return None
        old = self._store.spec(before.job_key)
        if old.node_pool != job.node_pool or old.datacenters != job.datacenters:
            return None
        node = self._store.state.nodes.get(before.node_id)
        return node if node is not None and node.ready else None

    def _placed(
        self,
        results: Results,
        item: Place,
        group: GroupSpec,
        *,
        job: JobSpec,
        option: Ranked,
        metrics: PlacementMetrics,
        deployment_id: str,
    ) -> None:
        name = item.name
        names = results.names[group.name]
        index = al.index_of(name)
        if names.is_duplicate(index):
            name = names.next(1)[0]
            names.release(index)
        alloc = new_allocation(self._store, self._eval, job, group, name=name, ranked=option, metrics=metrics)
        alloc.deployment_id = deployment_id
        if item.previous is not None:
            alloc.previous = item.previous.id
            if item.reschedule:
                self._track(alloc, item.previous)
        if item.canary and self._deployment is not None:
            alloc.deployment_status = DeploymentStatus(canary=True)
        for victim in option.victims:
            self._plan.preempt(victim, alloc.id)
            alloc.preempted.append(victim.id)
            self._out.preempted.append(victim.id)
            self._out.desired[group.name].preemptions += 1
        self._plan.place(alloc)

    def _planned(self, alloc: Allocation) -> Allocation:
        """Give the plan's own copy of an allocation that it changes anyway, else a new copy."""
        for table in (self._plan.stops, self._plan.places):
            if (found := table.get(alloc.node_id, {}).get(alloc.id)) is not None:
                return found
        return alloc.clone()

    def _track(self, new: Allocation, old: Allocation) -> None:
        before = self._planned(old)
        if old.id in self._plan.stops.get(old.node_id, ()):
            before.desired_description = ""  # replacing the planned stop loses it, in Nomad too
        group = self._store.spec(old.job_key).groups.get(old.group)
        track(new, before, group.reschedule if group is not None else None, self._store.kernel.now)

    def _failed(self, item: Place, group: GroupSpec, metrics: PlacementMetrics) -> None:
        exhaust_resources(metrics, group)
        self._out.failed[group.name] = metrics
        if item.stops and item.previous is not None:
            self._plan.unstop(item.previous)
        if item.reschedule and item.previous is not None:
            marked = item.previous.clone()
            annotate(marked, al.RESCHEDULE_FAILED)
            self._plan.unstop(item.previous)
            self._plan.place(marked)
