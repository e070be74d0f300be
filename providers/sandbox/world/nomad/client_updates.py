"""What the leader does with a client's report (source: ``Node.UpdateAlloc``, ``applyAllocClientUpdate``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad.allocation import Allocation, DeploymentStatus
from providers.sandbox.world.nomad.evaluation import Evaluation
from providers.sandbox.world.nomad.reschedule import eligible

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.agent import RunningAlloc
    from providers.sandbox.world.nomad.blocked import BlockedEvals
    from providers.sandbox.world.nomad.store import Store
    from providers.sandbox.world.nomad.worker import Worker


class ClientUpdates:
    """Takes reports in."""

    def __init__(
        self, store: Store, worker: Worker, blocked: BlockedEvals, told: Callable[[Iterable[Allocation]], None]
    ) -> None:
        self._store = store
        self._worker = worker
        self._blocked = blocked
        self._told = told  # the deployment watcher and the drainer, of what clients reported

    def receive(self, node_id: str, runners: list[RunningAlloc]) -> None:
        """Write how allocations are, and have failed and returned ones looked at."""
        state = self._store.state
        node = state.nodes[node_id]
        evals: dict[str, Evaluation] = {}
        written: list[Allocation] = []
        index = self._store.next_index("allocs")
        for runner in runners:
            old = state.allocs.get(runner.id)
            if old is None:
                continue
            trigger = self._trigger(old, runner)
            key = f"{old.namespace}/{old.job_id}"
            if trigger and key not in evals:
                evals[key] = self._evaluation(old, trigger)
            new = self._merge(index, old, runner)
            self._store.client_update(index, new)
            written.append(new)
        node.last_alloc_update_index = index
        if evals:
            self._store.upsert_evals(index, evals.values())
            self._worker.hand_on(evals.values())
        for new in written:
            if new.client in (al.COMPLETE, al.FAILED):
                self._blocked.unblock(node.computed_class, index)
                self._blocked.unblock_node(node_id)
        self._told(written)

    def _trigger(self, old: Allocation, runner: RunningAlloc) -> str:
        ended = runner.client in (al.COMPLETE, al.FAILED)
        if not ended and old.client != al.UNKNOWN:
            return ""
        job = self._store.state.jobs.get(f"{old.namespace}/{old.job_id}")
        if job is None:
            return ev.JOB_DEREGISTER
        trigger = ""
        group = self._store.spec(job.key).groups.get(old.group)
        if runner.client == al.FAILED and not old.followup_eval_id:
            if group is None:
                return ""
            if eligible(old.reschedule, group.reschedule, self._store.kernel.now):
                trigger = ev.RETRY_FAILED_ALLOC
        return ev.RECONNECT if old.client == al.UNKNOWN else trigger

    def _evaluation(self, alloc: Allocation, trigger: str) -> Evaluation:
        job = self._store.state.jobs.get(f"{alloc.namespace}/{alloc.job_id}")
        now = self._store.kernel.now
        return Evaluation(
            id=self._store.kernel.new_id(),
            namespace=alloc.namespace,
            job_id=alloc.job_id,
            type=job.type if job is not None else alloc.job_type,
            priority=job.priority if job is not None else self._store.spec(alloc.job_key).priority,
            triggered_by=trigger,
            create_time=now,
            modify_time=now,
        )

    def _merge(self, index: int, old: Allocation, runner: RunningAlloc) -> Allocation:
        new = old.clone()
        new.client, new.client_description = runner.client, runner.description
        new.task_states = {name: replace(task.state) for name, task in runner.tasks.items()}
        if runner.healthy is not None:
            status = new.deployment_status or DeploymentStatus()
            if status.healthy is not runner.healthy:
                status.healthy, status.timestamp, status.modify_index = runner.healthy, runner.health_at, index
            new.deployment_status = status
        return new
