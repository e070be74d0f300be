"""The leader's queue of evaluations: one at a time for each job, highest priority first (``nomad/eval_broker.go``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import evaluation as ev

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.evaluation import Evaluation
    from providers.sandbox.world.nomad.store import Store

_SUPERSEDED = "canceled after more recent eval was processed"


class EvalBroker:
    """Holds evaluations until a scheduler takes them. What it holds is named by id in the state."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state = store.state.broker
        store.kernel.on("nomad.delayed", self._delayed)

    def wake_blocked(self, evaluation: Evaluation) -> None:
        """Take a blocked evaluation in, as its tracker knew it."""
        self._state.woken[evaluation.id] = evaluation
        self._queue(evaluation)

    def enqueue(self, evaluation: Evaluation) -> None:
        """Take an evaluation in, now or when its wait is over."""
        now = self._store.kernel.now
        if evaluation.wait_until is not None and evaluation.wait_until > now:
            self._store.kernel.after(evaluation.wait_until - now, "nomad.delayed", evaluation.id)
            return
        self._queue(evaluation)

    def _delayed(self, eval_id: str) -> None:
        evaluation = self._store.state.evals.get(eval_id)
        if evaluation is not None and evaluation.status == ev.PENDING and self._store.state.leader:
            self._queue(evaluation)

    def _queue(self, evaluation: Evaluation) -> None:
        state, job = self._state, evaluation.job_key
        holder = state.busy.setdefault(job, evaluation.id)
        if holder != evaluation.id:
            waiting = state.waiting.setdefault(job, [])
            if evaluation.id not in waiting:
                waiting.append(evaluation.id)
            return
        if evaluation.id not in state.ready:
            state.ready.append(evaluation.id)
        self.wake()

    def wake(self) -> None:
        """See that a scheduler looks soon."""
        if self._state.ready and not self._state.scheduled and not self._store.state.scheduler.pause_eval_broker:
            self._state.scheduled = True
            self._store.kernel.after(self._store.state.settings.delays.schedule, "nomad.schedule")

    def take(self) -> Evaluation | None:
        """Give the next evaluation to a scheduler; None when there is none."""
        evals = self._store.state.evals
        while self._state.ready:
            best = max(
                range(len(self._state.ready)),
                key=lambda i: self._rank(evals.get(self._state.ready[i])),
            )
            eval_id = self._state.ready.pop(best)
            found = evals.get(eval_id)
            woken = self._state.woken.pop(eval_id, None)
            if found is not None:
                return woken or found
        return None

    @staticmethod
    def _rank(evaluation: Evaluation | None) -> tuple[int, int]:
        return (-1, 0) if evaluation is None else (evaluation.priority, -evaluation.create_index)

    def done(self, job: str) -> list[Evaluation]:
        """Let the job's next evaluation follow; give those that the newest of them makes needless."""
        state, evals = self._state, self._store.state.evals
        state.busy.pop(job, None)
        waiting = [evals[i] for i in state.waiting.pop(job, ()) if i in evals]
        if not waiting:
            return []
        newest = max(waiting, key=lambda e: (e.priority, e.modify_index))
        self._queue(newest)
        return [e for e in waiting if e is not newest]

    @staticmethod
    def supersede(evaluation: Evaluation) -> None:
        """Mark one as needless."""
        evaluation.status, evaluation.description = ev.CANCELED, _SUPERSEDED

    def forget(self) -> None:
        """Lose everything, as a leader that steps down does."""
        self._state.ready.clear()
        self._state.busy.clear()
        self._state.waiting.clear()
        self._state.woken.clear()
        self._state.ending.clear()
