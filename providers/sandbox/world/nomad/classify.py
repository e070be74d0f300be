"""Sorting a group's copies by what must be done with them (source: ``scheduler/reconciler/filters.go``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad.reschedule import next_time, next_time_after

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.deployment import Deployment
    from providers.sandbox.world.nomad.jobspec import GroupSpec
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.store import Store

AllocSet = dict[str, "Allocation"]

_WINDOW = 1.0  # rescheduleWindowSize: due that soon is due now
DEFAULT_KILL_TIMEOUT = 5.0


@dataclass(slots=True)
class Sorted:
    """The categories."""

    untainted: AllocSet = field(default_factory=dict)
    migrate: AllocSet = field(default_factory=dict)
    lost: AllocSet = field(default_factory=dict)
    disconnecting: AllocSet = field(default_factory=dict)
    reconnecting: AllocSet = field(default_factory=dict)
    ignore: AllocSet = field(default_factory=dict)
    expiring: AllocSet = field(default_factory=dict)


@dataclass(slots=True)
class Later:
    """A copy to be replaced, but not yet."""

    alloc: Allocation
    at: float


class Classifier:
    """Knows the tainted nodes: gone (None), down, disconnected or draining."""

    def __init__(self, store: Store, tainted: dict[str, Node | None], now: float) -> None:
        self._store = store
        self._tainted = tainted
        self.now = now

    def group_of(self, alloc: Allocation) -> GroupSpec | None:
        """Give the group as the copy's own version of the job has it."""
        return self._store.spec(alloc.job_key).groups.get(alloc.group)

    def lost_after(self, alloc: Allocation) -> float:
        """Give how long it may be disconnected, 0 not at all."""
        group = self.group_of(alloc)
        return group.disconnect.lost_after if group is not None and group.disconnect is not None else 0.0

    def replaces(self, alloc: Allocation) -> bool:
        """Whether it is replaced while it is disconnected."""
        group = self.group_of(alloc)
        return group is None or group.disconnect is None or group.disconnect.replace

    def expired(self, alloc: Allocation) -> bool:
        """Whether it has been unknown for too long."""
        since = alloc.last_unknown
        if alloc.client != al.UNKNOWN or since is None or self.group_of(alloc) is None:
            return False
        return since + self.lost_after(alloc) <= self.now

    def sort(self, allocs: AllocSet) -> Sorted:
        """Sort copies; each goes where the first rule that holds sends it."""
        out = Sorted()
        for alloc in allocs.values():
            getattr(out, self._category(alloc))[alloc.id] = alloc
        return out

    def _category(self, alloc: Allocation) -> str:
        back = alloc.client in (al.UNKNOWN, al.RUNNING, al.FAILED) and alloc.needs_reconnect
        if back and alloc.desired == al.RUN and alloc.client == al.FAILED:
            return "reconnecting"
        if alloc.server_terminal and not back and alloc.placement_disabled:
            return "untainted"
        if alloc.terminal and not back:
            if alloc.server_terminal:
                return "ignore"
            return "migrate" if alloc.is_canary and alloc.wants_migration else "untainted"
        if self.expired(alloc):
            return "expiring"
        if back and alloc.client == al.FAILED and alloc.desired == al.STOP:
            return "ignore"
        tainted = alloc.node_id in self._tainted
        node = self._tainted.get(alloc.node_id)
        if node is not None and node.status == nd.DISCONNECTED:
            if alloc.client == al.UNKNOWN:
                return "untainted"
            return "lost" if alloc.client == al.PENDING or not self.lost_after(alloc) else "disconnecting"
        if alloc.wants_migration:
            return "migrate"
        if not tainted or (node is not None and node.status == nd.READY):
            return "reconnecting" if back else "untainted"
        if node is None:
            return "lost"
        if node.status == nd.DOWN:
            if not self.replaces(alloc):
                if alloc.client == al.UNKNOWN:
                    return "untainted"
                if alloc.client == al.RUNNING:
                    return "disconnecting"
            return "lost"
        return "untainted"

    # -- rescheduling

    def reschedulable(
        self, allocs: AllocSet, *, batch: bool, disconnecting: bool, eval_id: str, deployment: Deployment | None
    ) -> tuple[AllocSet, AllocSet, list[Later]]:
        """Sort out what is to be replaced now and later from what stays."""
        stays: AllocSet = {}
        now: AllocSet = {}
        later: list[Later] = []
        for alloc in allocs.values():
            if (disconnecting and alloc.client == al.UNKNOWN) or (alloc.next and alloc.terminal):
                continue
            untainted, ignore = _filtered(alloc, batch=batch)
            if untainted and not disconnecting:
                stays[alloc.id] = alloc
            elif ignore:
                continue
            else:
                is_now, at = self._due(alloc, eval_id, deployment, disconnecting=disconnecting)
                if is_now:
                    now[alloc.id] = alloc
                    continue
                stays[alloc.id] = alloc
                if at is not None:
                    later.append(Later(alloc, at))
        return stays, now, later

    def _due(
        self, alloc: Allocation, eval_id: str, deployment: Deployment | None, *, disconnecting: bool
    ) -> tuple[bool, float | None]:
        if (
            deployment is not None
            and alloc.deployment_id == deployment.id
            and deployment.active
            and not alloc.wants_reschedule
        ):
            return False, None  # the deployment decides about its own copies
        forced = alloc.wants_force_reschedule and alloc.client_terminal
        if disconnecting and not self.replaces(alloc):
            return forced, None
        group = self.group_of(alloc)
        policy = group.reschedule if group is not None else None
        if disconnecting:
            at, ok = next_time_after(alloc, policy, self.now)
        elif alloc.client == al.UNKNOWN and alloc.followup_eval_id == eval_id:
            at, ok = next_time_after(alloc, policy, alloc.last_unknown or 0.0)
        else:
            at, ok = next_time(alloc, policy)
        if ok and (alloc.followup_eval_id == eval_id or at - self.now <= _WINDOW):
            return True, None
        return forced, at if ok and not alloc.followup_eval_id else None

    def stopping_clients(self, lost: AllocSet) -> list[Later]:
        """Give the lost copies whose client stops them by itself, and when it will have."""
        later: list[Later] = []
        for alloc in lost.values():
            group = self.group_of(alloc)
            disconnect = group.disconnect if group is not None else None
            if group is None or disconnect is None or not disconnect.stop_on_client_after:
                continue
            since = next((s.at for s in alloc.states if s.value == al.LOST), self.now)
            kill = max([DEFAULT_KILL_TIMEOUT, *(t.kill_timeout for t in group.tasks)])
            at = since + disconnect.stop_on_client_after + kill
            if at > self.now:
                later.append(Later(alloc, at))
        return later


def _filtered(alloc: Allocation, *, batch: bool) -> tuple[bool, bool]:
    """Say whether a copy stays without further question, and whether it is to be left out altogether."""
    if batch:
        if alloc.placement_disabled:
            return True, False
        if alloc.wants_reschedule:
            return False, False
        if alloc.desired == al.STOP:
            if alloc.ran_successfully:
                return True, False
            return False, not alloc.last_reschedule_failed
        if alloc.desired == al.EVICT:
            return False, True
        return alloc.client != al.FAILED, False
    if alloc.server_terminal:
        return False, not alloc.last_reschedule_failed
    return False, alloc.client in (al.COMPLETE, al.LOST)
