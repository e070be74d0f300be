"""Copies on clients that disconnect, and those that come back (source: ``reconcile_cluster.go``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad.changes import (
    NOT_NEEDED,
    RECONNECTED,
    RESCHEDULED,
    UNKNOWN_NODE,
    Group,
    Results,
    Stop,
    without,
)
from providers.sandbox.world.nomad.classify import AllocSet, Classifier, Later
from providers.sandbox.world.nomad.reconnect import pick_reconnecting

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.followups import Followups
    from providers.sandbox.world.nomad.jobspec import JobSpec


class Disconnects:
    """Sorts out the copies of one job whose clients are or were away."""

    def __init__(self, job: JobSpec | None, classifier: Classifier, followups: Followups, out: Results) -> None:
        self._job = job
        self._sort = classifier
        self._followups = followups
        self._out = out

    def leave(self, g: Group, sorted_out: tuple[AllocSet, AllocSet, list[Later]], allocs: AllocSet) -> dict[str, str]:
        """Mark copies unknown, and have them looked at when they are lost for good; alloc → evaluation."""
        stays, now, later = sorted_out
        g.now = g.now | now
        g.untainted = g.untainted | stays
        g.later += later
        timeouts = self._followups.later_evals(
            [Later(a, self._sort.now + self._sort.lost_after(a)) for a in allocs.values()],
            ev.MAX_DISCONNECT,
            ev.DESC_DISCONNECT,
        )
        for alloc_id, alloc in allocs.items():
            unknown = alloc.clone()
            unknown.client, unknown.client_description = al.UNKNOWN, UNKNOWN_NODE
            unknown.states.append(al.ClientState(al.UNKNOWN, self._sort.now))
            unknown.followup_eval_id = timeouts.get(alloc_id, "")
            self._out.disconnects[alloc_id] = unknown
            if alloc_id in g.now:
                g.now[alloc_id] = unknown
        g.desired.disconnect = len(allocs)
        g.desired.reschedule_now = len(g.now)
        g.desired.reschedule_later = len(g.later)
        return timeouts

    def come_back(self, g: Group, back: AllocSet, disconnecting: AllocSet) -> AllocSet:
        """Decide between copies that came back and those that replaced them meanwhile."""
        stop: AllocSet = {}
        for alloc in back.values():
            if not alloc.server_terminal and alloc.client == al.FAILED:
                stop[alloc.id] = alloc
                self._out.stop.append(Stop(alloc, RESCHEDULED, client=al.FAILED))
            elif self._outdated(alloc):
                stop[alloc.id] = alloc
                self._out.stop.append(Stop(alloc, NOT_NEEDED))
            else:
                self._choose(g, alloc, stop)
        g.desired.stop += len(stop)
        g.untainted = without(g.untainted, stop)
        g.migrate = without(g.migrate, stop)
        g.lost = without(g.lost, stop)
        kept = without(back, stop)
        for alloc in kept.values():
            if not self._outdated(alloc) and alloc.client == al.RUNNING:
                self._out.reconnects[alloc.id] = returned = alloc.clone()
                returned.states.append(al.ClientState(alloc.client, self._sort.now))
        if kept:
            g.desired.reconnect = len(self._out.reconnects)
        g.untainted = g.untainted | kept
        return without(disconnecting, stop)

    def _outdated(self, alloc: Allocation) -> bool:
        job = self._job
        return (
            alloc.desired != al.RUN
            or alloc.wants_migration
            or alloc.wants_reschedule
            or alloc.wants_force_reschedule
            or (job is not None and (alloc.job_version < job.version or alloc.job_create_index < job.create_index))
        )

    def _choose(self, g: Group, alloc: Allocation, stop: AllocSet) -> None:
        following = alloc.next
        while following in g.all:
            other = g.all[following]
            following = other.next
            if other.server_terminal:
                continue
            if pick_reconnecting(g.spec, alloc, other) is other:
                if alloc.id not in stop:
                    stop[alloc.id] = alloc
                    self._out.stop.append(Stop(alloc, NOT_NEEDED))
            elif other.id not in stop:
                stop[other.id] = other
                self._out.stop.append(Stop(other, RECONNECTED))
