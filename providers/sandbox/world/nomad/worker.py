"""Schedulers at work: take an evaluation, plan, carry it out, write the evaluation's end (``nomad/worker.go``)."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad.generic import GenericScheduler
from providers.sandbox.world.nomad.planner import Applied, apply_plan
from providers.sandbox.world.nomad.scheduling import Outcome, blocked_eval
from providers.sandbox.world.nomad.system import SystemScheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.blocked import BlockedEvals
    from providers.sandbox.world.nomad.broker import EvalBroker
    from providers.sandbox.world.nomad.evaluation import Evaluation
    from providers.sandbox.world.nomad.jobspec import JobSpec
    from providers.sandbox.world.nomad.store import Store

_REFUSED = 0.5  # seconds: how long it may take to give up when all plans were refused
_TURNS = 30  # Nomad can turn for ever, when each refused plan holds something that is carried out; here it ends
_ATTEMPTS = {"service": 5, "batch": 2, "system": 5, "sysbatch": 5}


def decide(store: Store, evaluation: Evaluation, job: JobSpec | None) -> Outcome:
    """Let the scheduler of the evaluation's type decide; nothing is written."""
    if evaluation.type in ("system", "sysbatch"):
        return SystemScheduler(store, evaluation, job).run()
    return GenericScheduler(store, evaluation, job).run()


class Worker:
    """Processes evaluations one after the other."""

    def __init__(
        self,
        store: Store,
        broker: EvalBroker,
        blocked: BlockedEvals,
        changed: Callable[[Iterable[Allocation]], None],
    ) -> None:
        self._store = store
        self._broker = broker
        self._blocked = blocked
        self._changed = changed  # tells the clients, the drainer, ... of changed allocations
        store.kernel.on("nomad.schedule", self._schedule)
        store.kernel.on("nomad.gave_up", self._gave_up)

    def create(self, evals: list[Evaluation]) -> int:
        """Write new evaluations and hand them on; gives the index of the write."""
        index = self._store.next_index("evals")
        self._store.upsert_evals(index, evals)
        self.hand_on(evals)
        return index

    def hand_on(self, evals: Iterable[Evaluation]) -> None:
        """Queue, block or untrack by status, as the leader does for each evaluation that is written."""
        for evaluation in evals:
            if evaluation.status == ev.PENDING:
                self._broker.enqueue(evaluation)
            elif evaluation.status == ev.BLOCKED:
                self._blocked.block(evaluation)
            elif evaluation.status == ev.COMPLETE and not evaluation.failed:
                self._blocked.untrack(evaluation.job_key)

    def _schedule(self) -> None:
        state = self._store.state
        state.broker.scheduled = False
        if not state.leader or state.scheduler.pause_eval_broker:
            return
        evaluation = self._broker.take()
        if evaluation is not None and self._process(copy.copy(evaluation)):
            self._done(evaluation.job_key)
        self._broker.wake()

    def _done(self, job: str) -> None:
        """Let the job's next evaluation follow; of several the newest."""
        superseded = [copy.copy(e) for e in self._broker.done(job)]
        for old in superseded:
            self._broker.supersede(old)
        if superseded:
            self._store.upsert_evals(self._store.next_index("evals"), superseded)

    def _process(self, evaluation: Evaluation) -> bool:
        """Process one; whether that is over."""
        limit = _ATTEMPTS[evaluation.type]
        evaluation.snapshot_index = self._store.state.index
        waiting: Evaluation | None = None
        attempts = turns = 0
        while True:
            turns += 1
            record = self._store.state.jobs.get(evaluation.job_key)
            job = self._store.spec(record.key) if record is not None else None
            outcome = decide(self._store, evaluation, job)
            if evaluation.type in ("service", "batch"):
                if self._wants_blocked(evaluation, outcome) and waiting is None:
                    waiting = self._block(evaluation, blocked_eval(self._store, evaluation, outcome))
            else:
                for _, one in outcome.blocked_nodes:
                    self._block(evaluation, one)
            if outcome.plan.is_noop:
                break
            self._follow_up(evaluation, outcome)
            applied = self._submit(outcome)
            if not applied.rejected:
                break
            attempts = 0 if applied.progress else attempts + 1
            if attempts >= limit or turns == _TURNS:
                self._give_up(evaluation, outcome, limit)
                return False
            evaluation.snapshot_index = self._store.state.index
        self._finish(evaluation, outcome, waiting)
        return True

    @staticmethod
    def _wants_blocked(evaluation: Evaluation, outcome: Outcome) -> bool:
        return evaluation.status != ev.BLOCKED and bool(outcome.failed)

    def _block(self, evaluation: Evaluation, waiting: Evaluation) -> Evaluation:
        waiting.snapshot_index = evaluation.snapshot_index
        self.create([waiting])
        return waiting

    def _follow_up(self, evaluation: Evaluation, outcome: Outcome) -> None:
        if evaluation.wait_until is not None:
            return
        for later in outcome.followups:
            later.previous = evaluation.id
            later.snapshot_index = evaluation.snapshot_index
            later.create_time = later.modify_time = self._store.kernel.now
            evaluation.next = later.id
            self.create([later])

    def _submit(self, outcome: Outcome) -> Applied:
        applied = apply_plan(self._store, outcome.plan)
        for alloc in applied.placed:
            if alloc.group in outcome.queued:
                outcome.queued[alloc.group] -= 1
        self.hand_on(applied.evals)
        self._changed(applied.changed)
        return applied

    def _give_up(self, evaluation: Evaluation, outcome: Outcome, limit: int) -> None:
        """Too many plans were refused: try again later; that this one failed is written after a while."""
        waiting: Evaluation | None = None
        if evaluation.type in ("service", "batch"):
            waiting = self._block(evaluation, blocked_eval(self._store, evaluation, outcome, max_plans=True))
        self._fill(evaluation, outcome, ev.FAILED, f"maximum attempts reached ({limit})", waiting)
        self._store.state.broker.ending[evaluation.id] = evaluation
        self._store.kernel.after(self._store.kernel.chance().uniform(0.0, _REFUSED), "nomad.gave_up", evaluation.id)

    def _gave_up(self, eval_id: str) -> None:
        evaluation = self._store.state.broker.ending.pop(eval_id, None)
        if evaluation is not None:
            evaluation.modify_time = self._store.kernel.now
            self.create([evaluation])
            self._done(evaluation.job_key)
            self._broker.wake()

    def _finish(self, evaluation: Evaluation, outcome: Outcome, waiting: Evaluation | None) -> None:
        if evaluation.status == ev.BLOCKED and outcome.failed and evaluation.type in ("service", "batch"):
            self._reblock(evaluation, outcome)
            return
        self._write(evaluation, outcome, ev.COMPLETE, "", waiting)

    def _reblock(self, evaluation: Evaluation, outcome: Outcome) -> None:
        """Wait again. Only the leader's memory learns what this try saw: the record stays as it was."""
        seen = outcome.eligibility
        evaluation.escaped, evaluation.missing = seen.has_escaped, list(seen.missing)
        evaluation.class_eligibility = None if seen.has_escaped else seen.classes()
        self._store.state.broker.busy.pop(evaluation.job_key, None)
        self._blocked.block(evaluation)

    def _write(
        self, evaluation: Evaluation, outcome: Outcome, status: str, description: str, waiting: Evaluation | None
    ) -> None:
        self._fill(evaluation, outcome, status, description, waiting)
        evaluation.modify_time = self._store.kernel.now
        self.create([evaluation])

    @staticmethod
    def _fill(
        evaluation: Evaluation, outcome: Outcome, status: str, description: str, waiting: Evaluation | None
    ) -> None:
        evaluation.status, evaluation.description = status, description
        evaluation.failed = outcome.failed
        evaluation.queued = outcome.queued
        evaluation.desired = outcome.desired
        evaluation.preempted = outcome.preempted
        evaluation.deployment_id = outcome.deployment_id
        evaluation.blocked = waiting.id if waiting is not None else ""
