"""Garbage collection by the leader: old evaluations, allocations, jobs, nodes, … (``nomad/core_sched.go``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import node as nd

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.job import Job
    from providers.sandbox.world.nomad.jobs import Jobs
    from providers.sandbox.world.nomad.store import Store


class Collector:
    """Looks every few minutes while there is something to look at."""

    def __init__(self, store: Store, jobs: Jobs) -> None:
        self._store = store
        self._jobs = jobs
        store.kernel.on("nomad.gc", self._collect)

    def wake(self) -> None:
        """See that a look is to come."""
        state = self._store.state
        if not state.collecting:
            state.collecting = True
            self._store.kernel.after(state.settings.gc_interval, "nomad.gc")

    def _collect(self) -> None:
        state = self._store.state
        state.collecting = False
        if state.leader:
            self.run()
        if state.evals or state.allocs or any(n.status == nd.DOWN for n in state.nodes.values()):
            self.wake()

    def run(self, *, force: bool = False) -> None:
        """Drop what is old enough; ``force`` drops all that has ended."""
        settings, now = self._store.state.settings, self._store.kernel.now
        ages = {
            "eval": settings.eval_gc_threshold,
            "batch": settings.batch_eval_gc_threshold,
            "job": settings.job_gc_threshold,
            "deployment": settings.deployment_gc_threshold,
            "node": settings.node_gc_threshold,
        }
        cutoff = {k: now if force else now - age for k, age in ages.items()}
        self._collect_evals(cutoff)
        self._collect_deployments(cutoff["deployment"])
        self._collect_jobs(cutoff["job"])
        self._collect_nodes(cutoff["node"])
        self._collect_versions()

    def _collect_evals(self, cutoff: dict[str, float]) -> None:
        """Evaluations that ended, with their allocations once those have ended too."""
        state = self._store.state
        by_eval: dict[str, list[Allocation]] = {}
        for alloc in state.allocs.values():
            by_eval.setdefault(alloc.eval_id, []).append(alloc)
        for evaluation in list(state.evals.values()):
            old = cutoff["batch" if evaluation.type == "batch" else "eval"]
            if not evaluation.terminal or evaluation.modify_time > old:
                continue
            allocs = by_eval.get(evaluation.id, [])
            keep = [a for a in allocs if not self._alloc_may_go(a, old)]
            for alloc in allocs:
                if alloc not in keep:
                    self._store.delete_alloc(alloc.id)
            if not keep:
                self._store.delete_eval(evaluation.id)
        for eval_id, allocs in by_eval.items():  # whose evaluation went before them
            if eval_id not in state.evals:
                for alloc in allocs:
                    old = cutoff["batch" if alloc.job_type == "batch" else "eval"]
                    if alloc.id in state.allocs and self._alloc_may_go(alloc, old):
                        self._store.delete_alloc(alloc.id)

    def _alloc_may_go(self, alloc: Allocation, cutoff: float) -> bool:
        """Whether an allocation is over for long and nothing would be made of it any more."""
        if not alloc.terminal or alloc.modify_time > cutoff or not (alloc.client_terminal or alloc.server_terminal):
            return False
        job = self._store.state.jobs.get(f"{alloc.namespace}/{alloc.job_id}")
        if job is None or job.stop or job.status == "dead" or job.create_index != alloc.job_create_index:
            return alloc.client_terminal or job is None
        if alloc.job_type == "batch":  # a running batch job still counts its finished copies
            return False
        if alloc.desired != "run":
            return alloc.client_terminal
        return alloc.client != "failed" or bool(alloc.next)

    def _collect_deployments(self, cutoff: float) -> None:
        state = self._store.state
        used = {a.deployment_id for a in state.allocs.values()}
        for deployment in list(state.deployments.values()):
            if not deployment.active and deployment.modify_time <= cutoff and deployment.id not in used:
                self._store.delete_deployment(deployment.id)

    def _collect_jobs(self, cutoff: float) -> None:
        state = self._store.state
        for job in list(state.jobs.values()):
            if self._job_may_go(job, cutoff):
                self._jobs.delete(job)

    def _job_may_go(self, job: Job, cutoff: float) -> bool:
        if job.status != "dead" or job.submit_time > cutoff:
            return False
        if job.periodic or job.parameterized:
            return job.stop and not self._store.children.get(job.name)
        if not job.stop and job.type in ("service", "system"):
            return False
        return not self._store.evals_by_job.get(job.name) and not self._store.allocs_by_job.get(job.name)

    def _collect_nodes(self, cutoff: float) -> None:
        for node in list(self._store.state.nodes.values()):
            if node.status != nd.DOWN or node.status_updated_at > cutoff:
                continue
            if all(a.terminal for a in self._store.node_allocs(node.id)):
                self._store.next_index("nodes")
                del self._store.state.nodes[node.id]

    def _collect_versions(self) -> None:
        state = self._store.state
        needed = {k for j in state.jobs.values() for k in j.versions}
        needed |= {a.job_key for a in state.allocs.values()}
        for key in [k for k in state.versions if k not in needed]:
            self._store.forget_version(key)
