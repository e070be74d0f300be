"""Evaluations for what is due later: reschedules with a delay, disconnects that run out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad.classify import Later
from providers.sandbox.world.nomad.evaluation import Evaluation

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.changes import Group, Results
    from providers.sandbox.world.nomad.jobspec import JobSpec
    from providers.sandbox.world.nomad.store import Store

_BATCH_WINDOW = 5.0  # batchedFailedAllocWindowSize: due within this are handled by one evaluation


class Followups:
    """Makes the follow-up evaluations of one look at one job."""

    def __init__(self, store: Store, job: JobSpec | None, evaluation: Evaluation, out: Results) -> None:
        self._store = store
        self._job = job
        self._eval = evaluation
        self._out = out

    def later_evals(self, later: list[Later], trigger: str, description: str) -> dict[str, str]:
        """Make evaluations for what is due later, one for all that are due within a window; alloc → evaluation."""
        if not later or self._job is None:
            return {}
        found: dict[str, str] = {}
        current: Evaluation | None = None
        for item in sorted(later, key=lambda item: item.at):
            if current is None or current.wait_until is None or item.at - current.wait_until >= _BATCH_WINDOW:
                if current is not None and trigger == ev.ALLOC_RESCHEDULE:
                    trigger, description = ev.RETRY_FAILED_ALLOC, ""
                current = Evaluation(
                    id=self._store.kernel.new_id(),
                    namespace=self._job.namespace,
                    job_id=self._job.id,
                    type=self._job.type,
                    priority=self._eval.priority,
                    triggered_by=trigger,
                    description=description,
                    job_modify_index=self._job.modify_index,
                    wait_until=item.at,
                )
                self._out.followups.append(current)
            found[item.alloc.id] = current.id
        return found

    def reschedule_later(self, g: Group) -> None:
        """Have failed copies looked at when their delay is over, and note by which evaluation."""
        found = self.later_evals(g.later, ev.ALLOC_RESCHEDULE, ev.DESC_RESCHEDULE)
        for item in g.later:
            eval_id, alloc_id = found.get(item.alloc.id, ""), item.alloc.id
            if alloc_id in self._out.disconnects:
                self._out.disconnects[alloc_id].followup_eval_id = eval_id
            elif alloc_id in g.migrate:
                g.migrate[alloc_id] = moved = g.migrate[alloc_id].clone()
                moved.followup_eval_id = eval_id
            else:
                self._out.attributes[alloc_id] = updated = g.all[alloc_id].clone()
                updated.followup_eval_id = eval_id
        g.desired.reschedule_later = len(g.later)
