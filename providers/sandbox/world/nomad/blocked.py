"""Evaluations that wait for capacity, and what wakes them (source: ``nomad/blocked_evals.go``)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import evaluation as ev

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.broker import EvalBroker
    from providers.sandbox.world.nomad.evaluation import Evaluation
    from providers.sandbox.world.nomad.store import Store


class BlockedEvals:
    """The leader's tracker: copies of blocked evaluations with what their last try saw."""

    def __init__(self, store: Store, broker: EvalBroker) -> None:
        self._store = store
        self._broker = broker
        self._state = store.state.blocked
        store.kernel.on("nomad.unblock_failed", self._unblock_failed)
        store.kernel.on("nomad.reap", self._reap)

    def block(self, evaluation: Evaluation) -> None:
        """Track a blocked evaluation; of two for one job the newer stays."""
        tracked = copy.copy(evaluation)
        if self._is_displaced(tracked):
            return
        if self._missed_unblock(tracked):
            self._wake([tracked])
            return
        state = self._state
        state.jobs[tracked.job_key] = tracked.id
        if tracked.triggered_by == ev.MAX_PLANS and not state.retrying:
            state.retrying = True
            self._store.kernel.after(self._store.state.settings.delays.blocked_retry, "nomad.unblock_failed")
        if tracked.escaped:
            state.escaped[tracked.id] = tracked
            return
        if tracked.type == "system":
            self._track_system(tracked)
        state.captured[tracked.id] = tracked

    def _track_system(self, tracked: Evaluation) -> None:
        system = self._state.system
        for other in [e for e in system.values() if (e.job_key, e.node_id) == (tracked.job_key, tracked.node_id)]:
            del system[other.id]
        system[tracked.id] = tracked

    def _is_displaced(self, new: Evaluation) -> bool:
        state = self._state
        old_id = state.jobs.get(new.job_key)
        if old_id is None:
            return False
        old = state.captured.get(old_id) or state.escaped.get(old_id)
        if old is None:
            del state.jobs[new.job_key]
            return False
        loses = _latest(old) > _latest(new)
        if not loses:
            state.captured.pop(old_id, None)
            state.escaped.pop(old_id, None)
        state.duplicates.append(new if loses else old)
        self._store.kernel.after(self._store.state.settings.delays.duplicate_reap, "nomad.reap")
        return loses

    def _reap(self) -> None:
        """Cancel displaced evaluations (the leader's reaper of duplicates); they end as their tracker knew them."""
        duplicates, self._state.duplicates = self._state.duplicates, []
        for evaluation in duplicates:
            if evaluation.id in self._store.state.evals:
                evaluation.status = ev.CANCELED
                evaluation.description = f'existing blocked evaluation exists for job "{evaluation.job_id}"'
                evaluation.modify_time = self._store.kernel.now
                self._store.upsert_evals(self._store.next_index("evals"), [evaluation])

    def _missed_unblock(self, evaluation: Evaluation) -> bool:
        """Whether capacity changed between what the scheduler saw and now."""
        latest = 0
        for key, index in self._state.unblocked.items():
            latest = max(latest, index)
            known = (evaluation.class_eligibility or {}).get(key)
            if known is not False and evaluation.snapshot_index < index:
                return True
        return evaluation.escaped and evaluation.snapshot_index < latest

    def untrack(self, job: str) -> None:
        """Forget a job: an evaluation of it succeeded, or it was stopped."""
        state = self._state
        system = [i for i, e in state.system.items() if e.job_key == job]
        if system:
            for eval_id in system:
                del state.system[eval_id]
            return
        tracked = state.jobs.get(job, "")
        if state.captured.pop(tracked, None) is not None or state.escaped.pop(tracked, None) is not None:
            del state.jobs[job]

    def unblock(self, computed_class: str, index: int) -> None:
        """Capacity of a class changed: wake what escaped, and what is not known to be ineligible there."""
        state = self._state
        state.unblocked[computed_class] = index
        woken = list(state.escaped.values())
        state.escaped.clear()
        for eval_id, evaluation in list(state.captured.items()):
            if (evaluation.class_eligibility or {}).get(computed_class) is not False:
                woken.append(evaluation)
                del state.captured[eval_id]
        for evaluation in woken:
            state.jobs.pop(evaluation.job_key, None)
        self._wake(woken)

    def unblock_node(self, node_id: str) -> None:
        """A node changed: wake the system jobs' evaluations that wait for it."""
        woken = [e for e in self._state.system.values() if e.node_id == node_id]
        for evaluation in woken:
            del self._state.system[evaluation.id]
        self._wake(woken)

    def _unblock_failed(self) -> None:
        """Every minute those try again that lost to conflicting plans."""
        state = self._state
        state.retrying = False
        woken = [e for e in [*state.captured.values(), *state.escaped.values()] if e.triggered_by == ev.MAX_PLANS]
        for evaluation in woken:
            state.captured.pop(evaluation.id, None)
            state.escaped.pop(evaluation.id, None)
            state.jobs.pop(evaluation.job_key, None)
        self._wake(woken)

    def _wake(self, evaluations: list[Evaluation]) -> None:
        """Queue them. Their records stay "blocked" until a scheduler is through with them."""
        for evaluation in evaluations:
            if evaluation.id in self._store.state.evals:
                self._broker.wake_blocked(evaluation)

    def forget(self) -> None:
        """Lose everything, as a leader that steps down does."""
        state = self._state
        for table in (state.captured, state.escaped, state.system, state.jobs, state.unblocked):
            table.clear()


def _latest(evaluation: Evaluation) -> int:
    return max(evaluation.create_index, evaluation.snapshot_index)
