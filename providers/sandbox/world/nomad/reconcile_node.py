"""What must be done so that each node has its copies of a system or sysbatch job (``reconcile_node.go``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import deployment as dep
from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad.allocation import alloc_name
from providers.sandbox.world.nomad.changes import UNKNOWN_NODE
from providers.sandbox.world.nomad.context import DeploymentUpdate
from providers.sandbox.world.nomad.deployment import Deployment, GroupState

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.jobspec import GroupSpec, JobSpec
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.store import Store


@dataclass(slots=True)
class Tuple:
    """A copy by name on a node; ``alloc`` is what is or was there."""

    name: str
    group: GroupSpec | None
    node_id: str
    alloc: Allocation | None = None
    canary: bool = False


@dataclass(slots=True)
class NodeResults:
    """All that is to be done for the job."""

    place: list[Tuple] = field(default_factory=list)
    update: list[Tuple] = field(default_factory=list)
    migrate: list[Tuple] = field(default_factory=list)
    stop: list[Tuple] = field(default_factory=list)
    ignore: list[Tuple] = field(default_factory=list)
    lost: list[Tuple] = field(default_factory=list)
    disconnecting: list[Tuple] = field(default_factory=list)
    reconnecting: list[Tuple] = field(default_factory=list)


@dataclass(slots=True)
class _Here:
    """One node: what it has, and whether it may have more. ``node`` is None when it is tainted because it is gone."""

    id: str
    live: list[Allocation]
    ended: dict[str, Allocation]
    ready: bool
    not_ready: bool
    tainted: bool = False
    node: Node | None = None


class NodeReconciler:
    """One look at one job, node by node."""

    def __init__(self, store: Store, job: JobSpec | None, deployment: Deployment | None) -> None:
        self._store = store
        self._job = job
        self.deployment = deployment
        self._old: Deployment | None = None
        self.updates: list[DeploymentUpdate] = []
        self._out = NodeResults()
        self._same_version = False

    def compute(
        self,
        ready: dict[str, Node],
        not_ready: set[str],
        tainted: dict[str, Node | None],
        allocs: list[Allocation],
    ) -> NodeResults:
        """Compare what each node has with what it should have."""
        live: dict[str, list[Allocation]] = {}
        ended: dict[str, dict[str, Allocation]] = {}
        for alloc in allocs:
            if alloc.terminal:
                ended.setdefault(alloc.node_id, {})[alloc.name] = alloc  # the latest of a name
            else:
                live.setdefault(alloc.node_id, []).append(alloc)
        required: dict[str, GroupSpec] = {}
        if self._job is not None and not self._job.stop:
            for group in self._job.groups.values():
                for i in range(group.count):
                    required[alloc_name(self._job.name, group.name, i)] = group
        had = self.deployment is not None
        for node_id in dict.fromkeys([*live, *ready]):
            self._cancel_old_deployment()
            here = _Here(node_id, live.get(node_id, []), ended.get(node_id, {}), node_id in ready, node_id in not_ready)
            if node_id in tainted:
                here.tainted, here.node = True, tainted[node_id]
            existing = self._look_at(here, required)
            self._look_for_missing(here, existing, required)
        if not had and self._same_version:
            self.deployment = None
        return self._out

    # -- copies that are there

    def _look_at(self, here: _Here, required: dict[str, GroupSpec]) -> set[str]:
        existing: set[str] = set()
        for alloc in here.live:
            existing.add(alloc.name)
            group = required.get(alloc.name)
            item = Tuple(alloc.name, group, here.id, alloc)
            where = self._category(item, here)
            if where == "ignore" and alloc.client != al.UNKNOWN:
                self._same_version = True
            getattr(self._out, where).append(item)
        return existing

    def _category(self, item: Tuple, here: _Here) -> str:
        alloc, job, group = item.alloc, self._job, item.group
        if alloc is None or job is None or group is None:
            return "stop"
        if alloc.wants_migration:
            return "migrate"
        back = alloc.client in (al.UNKNOWN, al.RUNNING) and alloc.needs_reconnect
        if back and self._expired(alloc):
            return "lost"
        if alloc.client == al.UNKNOWN and alloc.desired == al.RUN:
            return "ignore"
        if not here.tainted:
            if back:
                item.alloc = returned = alloc.clone()
                returned.states.append(al.ClientState(alloc.client, self._store.kernel.now))
                return "reconnecting"
        else:
            return self._tainted_category(item, alloc, here.node)
        outdated = job.modify_index != alloc.job_modify_index
        if here.not_ready:
            return "stop" if outdated else "ignore"
        if not here.ready:
            return "stop"
        if not outdated:
            return "ignore"
        state = self.deployment.groups.get(group.name) if self.deployment is not None else None
        canary = group.rolls and group.update is not None and group.update.canary > 0
        item.canary = canary and (self.deployment is None or (state is not None and not state.promoted))
        return "update"

    def _tainted_category(self, item: Tuple, alloc: Allocation, node: Node | None) -> str:
        if alloc.job_type == "sysbatch" and alloc.ran_successfully:
            return "ignore"
        if node is not None and node.status == nd.DISCONNECTED and alloc.client == al.RUNNING:
            item.alloc = unknown = alloc.clone()
            unknown.client, unknown.client_description = al.UNKNOWN, UNKNOWN_NODE
            unknown.states.append(al.ClientState(al.UNKNOWN, self._store.kernel.now))
            return "disconnecting"
        return "lost" if node is None or node.status == nd.DOWN else "ignore"

    def _expired(self, alloc: Allocation) -> bool:
        since = alloc.last_unknown
        group = self._store.spec(alloc.job_key).groups.get(alloc.group)
        if alloc.client != al.UNKNOWN or since is None or group is None:
            return False
        lost_after = group.disconnect.lost_after if group.disconnect is not None else 0.0
        return since + lost_after <= self._store.kernel.now

    # -- copies that are not there

    def _look_for_missing(self, here: _Here, existing: set[str], required: dict[str, GroupSpec]) -> None:
        job = self._job
        if job is None:
            return
        for name, group in required.items():
            state, existed = self._group_state(group)
            if name not in existing and not self._is_done(job, Tuple(name, group, here.id, here.ended.get(name))):
                if here.tainted or not here.ready:
                    continue
                self._out.place.append(Tuple(name, group, here.id, here.ended.get(name)))
            elif name not in existing:
                continue
            usable = self.deployment is None or self.deployment.status not in (dep.PAUSED, dep.FAILED)
            if not existed and group.rolls and usable:
                self._create_deployment(job, group, state, here)

    def _is_done(self, job: JobSpec, item: Tuple) -> bool:
        """A sysbatch copy that ended stays ended until the job changes."""
        if job.type != "sysbatch" or item.alloc is None:
            return False
        changed = job.modify_index != item.alloc.job_modify_index
        (self._out.update if changed else self._out.ignore).append(item)
        return True

    # -- deployments

    def _cancel_old_deployment(self) -> None:
        d, job = self.deployment, self._job
        if job is None or job.stop:
            if d is not None and d.active:
                self.updates.append(DeploymentUpdate(d.id, dep.CANCELLED, dep.DESC_STOPPED_JOB))
            return
        if d is None:
            return
        if (d.job_create_index != job.create_index or d.job_version != job.version) and d.active:
            self.updates.append(DeploymentUpdate(d.id, dep.CANCELLED, dep.DESC_NEWER_JOB))
            self._old, self.deployment = d, None
        elif d.status == dep.SUCCESSFUL:
            self._old, self.deployment = d, None

    def _group_state(self, group: GroupSpec) -> tuple[GroupState, bool]:
        if self.deployment is not None and group.name in self.deployment.groups:
            return self.deployment.groups[group.name], True
        state = GroupState()
        if group.rolls and group.update is not None:
            state.auto_revert = group.update.auto_revert
            state.auto_promote = group.update.auto_promote
            state.progress_deadline = group.update.progress_deadline
        return state, False

    def _create_deployment(self, job: JobSpec, group: GroupSpec, state: GroupState, here: _Here) -> None:
        if self._old is not None and self._old.job_version == job.version:
            return

        def current(alloc: Allocation) -> bool:
            return alloc.job_version == job.version and alloc.job_create_index == job.create_index

        ran = any(current(a) for a in here.live)
        self._same_version = self._same_version or ran
        if (ran or any(current(a) for a in here.ended.values())) and not self._out.update:
            return
        if self.deployment is None:
            record = self._store.state.jobs.get(f"{job.namespace}/{job.id}")
            self.deployment = Deployment(
                id=self._store.kernel.new_id(),
                namespace=job.namespace,
                job_id=job.id,
                job_version=job.version,
                job_modify_index=record.modify_index if record is not None else 0,
                job_spec_modify_index=job.modify_index,
                job_create_index=job.create_index,
                eval_priority=job.priority,
            )
            self.updates.append(DeploymentUpdate(self.deployment.id, dep.RUNNING, dep.DESC_RUNNING))
        self.deployment.groups[group.name] = state
