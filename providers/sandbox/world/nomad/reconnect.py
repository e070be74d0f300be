"""Which of two copies stays when a client comes back (source: ``scheduler/reconciler/reconnecting_picker.go``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.jobspec import GroupSpec


def pick_reconnecting(group: GroupSpec, original: Allocation, replacement: Allocation) -> Allocation:
    """Choose by the group's ``disconnect.reconcile``; a newer version of the job always stays."""
    if replacement.job_version > original.job_version or replacement.job_create_index > original.job_create_index:
        return replacement
    match group.disconnect.reconcile if group.disconnect is not None else "best_score":
        case "keep_original":
            return original
        case "keep_replacement":
            return replacement
        case "longest_running":
            return _longest_running(group, original, replacement)
        case _:
            return _best_score(original, replacement)


def _score(alloc: Allocation) -> float | None:
    return max((s.norm for s in alloc.metrics.scores), default=None) if alloc.metrics is not None else None


def _best_score(original: Allocation, replacement: Allocation) -> Allocation:
    old, new = _score(original), _score(replacement)
    better = new is not None and (old is None or new > old)
    if better and (replacement.client == al.RUNNING or original.client != al.RUNNING):
        return replacement
    return original


def _longest_running(group: GroupSpec, original: Allocation, replacement: Allocation) -> Allocation:
    leaders = [t.name for t in group.tasks if t.leader]
    old = _started(original.task_states, leaders)
    new = _started(replacement.task_states, leaders)
    if old is None and new is None:
        return _best_score(original, replacement)
    if old is None or (new is not None and new <= old):
        return replacement
    return original


def _started(tasks: Mapping[str, al.TaskState], leaders: list[str]) -> float | None:
    names = leaders[:1] or list(tasks)
    starts = [tasks[n].started_at for n in names if n in tasks]
    return min((s for s in starts if s is not None), default=None)
