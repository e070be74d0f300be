"""The servers' state store: how a write changes records, summaries, deployments and job status (``state_store.go``).

Everything that others derive from the records (which allocations are on a node, ...) is kept here and made anew from
the records when a saved world is taken up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import deployment as dep
from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad import job as jb
from providers.sandbox.world.nomad.jobspec import JobSpec, job_spec

if TYPE_CHECKING:
    from providers.sandbox.world.kernel import Kernel
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.deployment import Deployment
    from providers.sandbox.world.nomad.evaluation import Evaluation
    from providers.sandbox.world.nomad.job import GroupSummary, Job
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.state import ClusterState

_COUNTED = {
    al.PENDING: "starting",
    al.RUNNING: "running",
    al.COMPLETE: "complete",
    al.FAILED: "failed",
    al.LOST: "lost",
    al.UNKNOWN: "unknown",
}
_LEFT = (al.PENDING, al.RUNNING, al.LOST, al.UNKNOWN)  # what ended well or badly stays counted


class Store:
    """The records with their indexes."""

    def __init__(self, state: ClusterState, kernel: Kernel) -> None:
        self.state = state
        self.kernel = kernel
        self.allocs_by_node: dict[str, dict[str, None]] = {}
        self.allocs_by_job: dict[str, dict[str, None]] = {}
        self.evals_by_job: dict[str, dict[str, None]] = {}
        self.deployments_by_job: dict[str, dict[str, None]] = {}
        self.children: dict[str, dict[str, None]] = {}
        self._specs: dict[str, JobSpec] = {}
        for alloc in state.allocs.values():
            self._index_alloc(alloc)
        for evaluation in state.evals.values():
            self.evals_by_job.setdefault(evaluation.job_key, {})[evaluation.id] = None
        for deployment in state.deployments.values():
            self.deployments_by_job.setdefault(f"{deployment.namespace}/{deployment.job_id}", {})[deployment.id] = None
        for job in state.jobs.values():
            if job.parent:
                self.children.setdefault(f"{job.namespace}/{job.parent}", {})[job.name] = None

    # -- reading

    def spec(self, key: str) -> JobSpec:
        """The typed form of a job's version."""
        spec = self._specs.get(key)
        if spec is None:
            spec = self._specs[key] = job_spec(self.state.versions[key].spec, key)
        return spec

    def forget_version(self, key: str) -> None:
        """Drop a version that nothing needs any more."""
        self.state.versions.pop(key, None)
        self._specs.pop(key, None)

    def node_allocs(self, node_id: str) -> list[Allocation]:
        """All allocations of a node, terminal ones too, oldest first."""
        allocs = self.state.allocs
        return [allocs[i] for i in self.allocs_by_node.get(node_id, ())]

    def job_allocs(self, job: str, *, create_index: int | None = None) -> list[Allocation]:
        """All allocations of a job, oldest first; with ``create_index`` only those of this life of the job."""
        allocs = self.state.allocs
        found = [allocs[i] for i in self.allocs_by_job.get(job, ())]
        return found if create_index is None else [a for a in found if a.job_create_index == create_index]

    def job_evals(self, job: str) -> list[Evaluation]:
        """All evaluations of a job, oldest first."""
        return [self.state.evals[i] for i in self.evals_by_job.get(job, ())]

    def job_deployments(self, job: str) -> list[Deployment]:
        """All deployments of a job, oldest first."""
        return [self.state.deployments[i] for i in self.deployments_by_job.get(job, ())]

    def latest_deployment(self, job: str) -> Deployment | None:
        """The newest deployment of a job."""
        ids = self.deployments_by_job.get(job)
        return self.state.deployments[next(reversed(ids))] if ids else None

    def next_index(self, *tables: str) -> int:
        """Begin a write to ``tables``: one step of the raft log."""
        self.state.index += 1
        for table in tables:
            self.state.tables[table] = self.state.index
        return self.state.index

    # -- evaluations

    def upsert_evals(self, index: int, evals: Iterable[Evaluation], *, nested: bool = False) -> None:
        """Write evaluations: queued counts go to the summary, full success cancels the job's blocked one.

        ``nested`` as part of another write: then the jobs' status is not said anew (Nomad does not either).
        """
        for new in evals:
            self._upsert_eval(index, new)
            job = self.state.jobs.get(new.job_key)
            if job is not None and not nested:
                self.set_job_status(index, job)
        self.state.tables["evals"] = index

    def _upsert_eval(self, index: int, new: Evaluation) -> None:
        now = self.kernel.now
        old = self.state.evals.get(new.id)
        new.create_index = old.create_index if old is not None else index
        new.modify_index = index
        job = self.state.jobs.get(new.job_key)
        if job is not None and new.queued:
            for group, count in new.queued.items():
                summary = job.summary.groups.get(group)
                if summary is not None and summary.queued != count:
                    summary.queued = count
                    job.summary.modify_index = index
                    self.state.tables["job_summary"] = index
        if new.status == ev.COMPLETE and not new.failed:
            for other in self.job_evals(new.job_key):
                if other.status == ev.BLOCKED and other.id != new.id:
                    other.status = ev.CANCELED
                    other.description = f'evaluation "{new.id}" successful'
                    other.modify_index, other.modify_time = index, now
        if old is None:
            self.evals_by_job.setdefault(new.job_key, {})[new.id] = None
        self.state.evals[new.id] = new

    def delete_eval(self, eval_id: str) -> None:
        """Forget an evaluation (garbage collection)."""
        gone = self.state.evals.pop(eval_id)
        self._unindex(self.evals_by_job, gone.job_key, eval_id)

    # -- allocations

    def upsert_allocs(self, index: int, allocs: Iterable[Allocation]) -> None:
        """Write what a plan or an operator decided about allocations."""
        touched: dict[str, str | None] = {}
        for new in allocs:
            old = self.state.allocs.get(new.id)
            if old is None:
                job = self.state.jobs.get(f"{new.namespace}/{new.job_id}")
                if job is None or job.stop:
                    continue
                new.create_index = index
                new.create_time = self.kernel.now
            else:
                new.create_index = old.create_index
                new.next = old.next or new.next
                new.task_states = old.task_states
                if new.client not in (al.LOST, al.UNKNOWN):
                    new.client, new.client_description = old.client, old.client_description
            new.modify_index = new.alloc_modify_index = index
            new.modify_time = self.kernel.now
            self._put_alloc(index, new, old)
            if new.previous and (before := self.state.allocs.get(new.previous)) is not None:
                before.next = new.id
                before.modify_index = index
            key = f"{new.namespace}/{new.job_id}"
            touched[key] = None if new.terminal else jb.RUNNING
        self.state.tables["allocs"] = index
        for key, force in touched.items():
            job = self.state.jobs.get(key)
            if job is not None:
                self.set_job_status(index, job, force=force)

    def client_update(self, index: int, new: Allocation) -> None:
        """Write what a client reported about one of its allocations."""
        old = self.state.allocs[new.id]
        if old.needs_reconnect and old.followup_eval_id and new.client in (al.RUNNING, al.COMPLETE, al.FAILED):
            self._cancel_followup(index, new)
        new.modify_index = index
        new.modify_time = self.kernel.now
        self._put_alloc(index, new, old)
        self.state.tables["allocs"] = index
        job = self.state.jobs.get(f"{new.namespace}/{new.job_id}")
        if job is not None:
            self.set_job_status(index, job, force=None if new.terminal else jb.RUNNING)

    def _cancel_followup(self, index: int, alloc: Allocation) -> None:
        """A copy that came back needs no timeout: the evaluation goes unless other copies wait for it too."""
        eval_id, alloc.followup_eval_id = alloc.followup_eval_id, ""
        for other in self.job_allocs(f"{alloc.namespace}/{alloc.job_id}"):
            if other.id != alloc.id and other.followup_eval_id == eval_id and not other.terminal:
                return
        waiting = self.state.evals.get(eval_id)
        if waiting is not None:
            waiting.status, waiting.description = ev.CANCELED, "allocs reconnected"
            waiting.modify_index = index
            self.state.tables["evals"] = index

    def _put_alloc(self, index: int, new: Allocation, old: Allocation | None) -> None:
        self._count_in_deployment(index, new, old)
        self._count_in_summary(index, new, old)
        self.state.allocs[new.id] = new
        if old is None:
            self._index_alloc(new)

    def _index_alloc(self, alloc: Allocation) -> None:
        self.allocs_by_node.setdefault(alloc.node_id, {})[alloc.id] = None
        self.allocs_by_job.setdefault(f"{alloc.namespace}/{alloc.job_id}", {})[alloc.id] = None

    def delete_alloc(self, alloc_id: str) -> None:
        """Forget an allocation (garbage collection)."""
        gone = self.state.allocs.pop(alloc_id)
        self._unindex(self.allocs_by_node, gone.node_id, alloc_id)
        self._unindex(self.allocs_by_job, f"{gone.namespace}/{gone.job_id}", alloc_id)

    @staticmethod
    def _unindex(table: dict[str, dict[str, None]], key: str, item: str) -> None:
        ids = table.get(key)
        if ids is not None:
            ids.pop(item, None)
            if not ids:
                del table[key]

    def _count_in_summary(self, index: int, new: Allocation, old: Allocation | None) -> None:
        job = self.state.jobs.get(f"{new.namespace}/{new.job_id}")
        if job is None or job.summary.create_index != new.job_create_index:
            return
        counts: GroupSummary | None = job.summary.groups.get(new.group)
        if counts is None:
            return
        if old is None:
            counts.starting += 1
            counts.queued = max(0, counts.queued - 1)
        elif old.client != new.client:
            name = _COUNTED[new.client]
            setattr(counts, name, getattr(counts, name) + 1)
            if old.client in _LEFT:
                name = _COUNTED[old.client]
                setattr(counts, name, max(0, getattr(counts, name) - 1))
        else:
            return
        job.summary.modify_index = index
        self.state.tables["job_summary"] = index

    def _count_in_deployment(self, index: int, new: Allocation, old: Allocation | None) -> None:
        deployment = self.state.deployments.get(new.deployment_id) if new.deployment_id else None
        group = deployment.groups.get(new.group) if deployment is not None else None
        if deployment is None or group is None:
            return
        placed = healthy = unhealthy = 0
        was = old.healthy if old is not None else None
        if old is None or old.deployment_id != new.deployment_id:
            placed = 1
        elif was is None and new.healthy is not None:
            healthy, unhealthy = (1, 0) if new.healthy else (0, 1)
        elif was and new.healthy is False:
            healthy, unhealthy = -1, 1
        if not (placed or healthy or unhealthy):
            return
        status = new.deployment_status
        if status is not None and healthy + unhealthy:
            status.modify_index = index
        group.placed += placed
        group.healthy += healthy
        group.unhealthy += unhealthy
        if status is not None and status.canary and new.id not in group.placed_canaries:
            group.placed_canaries.append(new.id)
        if group.progress_deadline:
            if placed and group.require_progress_by is None:
                group.require_progress_by = self.kernel.now + group.progress_deadline
            elif healthy and status is not None:
                group.require_progress_by = max(
                    group.require_progress_by or 0.0, status.timestamp + group.progress_deadline
                )
        deployment.modify_index, deployment.modify_time = index, self.kernel.now
        self.state.tables["deployment"] = index

    # -- deployments

    def upsert_deployment(self, index: int, new: Deployment) -> None:
        """Write a deployment as a scheduler sees it; what clients and people changed meanwhile is kept."""
        old = self.state.deployments.get(new.id)
        if old is None:
            new.create_index = index
            new.create_time = self.kernel.now
            key = f"{new.namespace}/{new.job_id}"
            if not self.deployments_by_job.get(key):  # the first one ends the job's earlier ones' roles
                self.deployments_by_job.setdefault(key, {})
            self.deployments_by_job[key][new.id] = None
        else:
            new.create_index, new.create_time = old.create_index, old.create_time
            for name, before in old.groups.items():
                after = new.groups.get(name)
                if after is None:
                    new.groups[name] = before
                else:
                    after.placed, after.healthy, after.unhealthy = before.placed, before.healthy, before.unhealthy
                    after.require_progress_by = before.require_progress_by
                    after.placed_canaries = list(dict.fromkeys(before.placed_canaries + after.placed_canaries))
        new.modify_index, new.modify_time = index, self.kernel.now
        self.state.deployments[new.id] = new
        self.state.tables["deployment"] = index

    def update_deployment(self, index: int, deployment_id: str, status: str, description: str) -> None:
        """Write a deployment's new status; success makes the job's version stable."""
        old = self.state.deployments.get(deployment_id)
        if old is None or not old.active:
            return
        old.status, old.description = status, description
        old.modify_index, old.modify_time = index, self.kernel.now
        if status in (dep.RUNNING, dep.PAUSED):
            for group in old.groups.values():
                if group.progress_deadline:
                    group.require_progress_by = self.kernel.now + group.progress_deadline
        self.state.tables["deployment"] = index
        job = self.state.jobs.get(f"{old.namespace}/{old.job_id}")
        if job is None:
            return
        if status == dep.SUCCESSFUL:
            self._mark_stable(index, job, old)

    def delete_deployment(self, deployment_id: str) -> None:
        """Forget a deployment (garbage collection)."""
        gone = self.state.deployments.pop(deployment_id)
        self._unindex(self.deployments_by_job, f"{gone.namespace}/{gone.job_id}", deployment_id)

    def _mark_stable(self, index: int, job: Job, deployment: Deployment) -> None:
        key = f"{job.name}@{deployment.job_create_index}.{deployment.job_version}"
        version = self.state.versions.get(key)
        if version is not None and not version.stable:
            version.stable = True
            if key == job.key:
                job.stable, job.modify_index = True, index
                self.state.tables["jobs"] = index
                self.set_job_status(index, job)

    # -- jobs

    def set_job_status(self, index: int, job: Job, *, force: str | None = None) -> None:
        """Say anew whether a job is pending, running or dead, and tell its parent's summary."""
        new = force or self._job_status(job)
        if new == job.status:
            return
        self._count_child(index, job, job.status, new)
        job.status = new
        job.modify_index = index
        self.state.tables["jobs"] = index

    def _count_child(self, index: int, job: Job, old: str, new: str) -> None:
        parent = self.state.jobs.get(f"{job.namespace}/{job.parent}") if job.parent else None
        if parent is None:
            return
        children = parent.summary.children
        if old:
            setattr(children, old, getattr(children, old) - 1)
        setattr(children, new, getattr(children, new) + 1)
        parent.summary.modify_index = index
        self.state.tables["job_summary"] = index

    def _job_status(self, job: Job) -> str:
        if job.type == "system" or job.periodic or job.parameterized:
            return jb.DEAD if job.stop else jb.RUNNING
        if any(d.active for d in self.job_deployments(job.name)):
            return jb.RUNNING
        if any(not a.terminal for a in self.job_allocs(job.name)):
            return jb.RUNNING
        evals = self.job_evals(job.name)
        if any(not e.terminal for e in evals):
            return jb.PENDING
        return jb.DEAD if evals or job.stop else jb.PENDING

    # -- nodes

    def touch_node(self, index: int, node: Node) -> None:
        """Note that a node's record changed."""
        node.modify_index = index
        self.state.tables["nodes"] = index


def replace_alloc(alloc: Allocation, **changes: object) -> Allocation:
    """Copy an allocation with changes."""
    return dataclasses.replace(alloc.clone(), **changes)  # type: ignore[arg-type]
