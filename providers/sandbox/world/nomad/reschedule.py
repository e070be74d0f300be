"""When a failed copy may be tried again (source: ``ReschedulePolicy`` in ``nomad/structs/alloc.go``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad.allocation import RescheduleEvent, RescheduleTracker

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.jobspec import Reschedule

_PAST_EVENTS = 5  # kept with an unlimited policy


def _attempted(tracker: RescheduleTracker | None, policy: Reschedule, failed_at: float) -> int:
    if tracker is None or policy.attempts <= 0:
        return 0
    return sum(failed_at - e.at < policy.interval for e in tracker.events)


def eligible(tracker: RescheduleTracker | None, policy: Reschedule | None, failed_at: float) -> bool:
    """Whether another attempt is left."""
    if policy is None or not policy.enabled:
        return False
    if policy.unlimited or tracker is None or not tracker.events:
        return True
    return _attempted(tracker, policy, failed_at) < policy.attempts


def next_delay(alloc: Allocation, policy: Reschedule) -> float:
    """Give the delay before the next attempt, in seconds."""
    events = alloc.reschedule.events if alloc.reschedule is not None else []
    if not events:
        return policy.delay
    delay = policy.delay
    if policy.function == "exponential":
        delay = events[-1].delay * 2
    elif policy.function == "fibonacci":
        if len(events) >= 2:
            last, before = events[-1].delay, events[-2].delay
            delay = last if before == policy.max_delay and last == policy.delay else last + before
    else:
        return delay
    if policy.max_delay > 0 and delay > policy.max_delay:
        delay = policy.max_delay
        if alloc.last_event_time - events[-1].at > delay:  # it ran long enough to begin anew
            delay = policy.delay
    return delay


def next_time_after(alloc: Allocation, policy: Reschedule | None, since: float) -> tuple[float, bool]:
    """Give when the next attempt is due after something happened at ``since``, and whether there is one."""
    if policy is None:
        return 0.0, False
    delay = next_delay(alloc, policy)
    allowed = policy.unlimited or (policy.attempts > 0 and alloc.reschedule is None)
    if policy.attempts > 0 and alloc.reschedule is not None and alloc.reschedule.events:
        allowed = _attempted(alloc.reschedule, policy, since) < policy.attempts and delay < policy.interval
    return since + delay, allowed


def next_time(alloc: Allocation, policy: Reschedule | None) -> tuple[float, bool]:
    """Give when a copy that failed or was lost is due again, and whether it is."""
    if policy is None or not policy.enabled:
        return 0.0, False
    moved_batch = alloc.job_type == "batch" and alloc.wants_reschedule
    if alloc.desired == al.STOP and not alloc.last_reschedule_failed:
        return 0.0, False
    if not moved_batch and alloc.client not in (al.FAILED, al.LOST):
        return 0.0, False
    return next_time_after(alloc, policy, alloc.last_event_time)


def track(new: Allocation, old: Allocation, policy: Reschedule | None, now: float) -> None:
    """Write the attempt down on the new copy and its success on the old one."""
    events: list[RescheduleEvent] = []
    if old.reschedule is not None and policy is not None:
        if policy.attempts > 0:
            events = [e for e in old.reschedule.events if policy.interval > 0 and now - e.at <= policy.interval]
        else:
            events = old.reschedule.events[-_PAST_EVENTS:]
    delay = next_delay(old, policy) if policy is not None else 0.0
    attempt = RescheduleEvent(at=now, alloc_id=old.id, node_id=old.node_id, delay=delay)
    new.reschedule = RescheduleTracker(events=[*events, attempt], last=al.RESCHEDULE_SUCCESS)
    annotate(old, al.RESCHEDULE_SUCCESS)


def annotate(alloc: Allocation, note: str) -> None:
    """Note how the last attempt went."""
    if alloc.reschedule is None:
        alloc.reschedule = RescheduleTracker()
    alloc.reschedule.last = note
