"""What must be done so that a service or batch job has its copies (``scheduler/reconciler/reconcile_cluster.go``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import deployment as dep
from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad.changes import (
    LOST_NODE,
    MIGRATING,
    NOT_NEEDED,
    RESCHEDULED,
    Group,
    Place,
    Results,
    Stop,
    without,
)
from providers.sandbox.world.nomad.classify import AllocSet, Classifier, Later
from providers.sandbox.world.nomad.context import DeploymentUpdate
from providers.sandbox.world.nomad.deployment import GroupState
from providers.sandbox.world.nomad.disconnects import Disconnects
from providers.sandbox.world.nomad.evaluation import DesiredUpdates, Evaluation
from providers.sandbox.world.nomad.followups import Followups
from providers.sandbox.world.nomad.names import NameIndex

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.deployment import Deployment
    from providers.sandbox.world.nomad.jobspec import GroupSpec, JobSpec
    from providers.sandbox.world.nomad.store import Store

# existing copy, new job, new group → (ignore, destructive, updated copy)
UpdateCheck = Callable[["Allocation", "JobSpec", "GroupSpec"], "tuple[bool, bool, Allocation | None]"]


class Reconciler:
    """One look at one job."""

    def __init__(
        self,
        store: Store,
        job: JobSpec | None,
        evaluation: Evaluation,
        deployment: Deployment | None,
        *,
        classifier: Classifier,
        update_check: UpdateCheck,
    ) -> None:
        self._store = store
        self._job = job
        self._eval = evaluation
        self._deployment = deployment
        self._old: Deployment | None = None
        self._sort = classifier
        self._check = update_check
        self._batch = evaluation.type == "batch"
        self._out = Results()
        self._followups = Followups(store, job, evaluation, self._out)
        self._disconnects = Disconnects(job, classifier, self._followups, self._out)
        self._timeouts: dict[str, str] = {}

    @property
    def _stopped(self) -> bool:
        return self._job is None or self._job.stop

    def compute(self, allocs: list[Allocation]) -> Results:
        """Compare what there is with what is wanted."""
        matrix: dict[str, AllocSet] = {}
        for alloc in allocs:
            matrix.setdefault(alloc.group, {})[alloc.id] = alloc
        if self._job is not None:
            for name in self._job.groups:
                matrix.setdefault(name, {})
        self._cancel_old_deployment()
        if self._stopped:
            for name, group in matrix.items():
                live = {i: a for i, a in group.items() if not a.terminal}
                self._out.desired[name] = DesiredUpdates(stop=self._stop_all(live))
            return self._out
        complete = True
        for name, group in matrix.items():
            complete = self._compute_group(name, group) and complete
        self._finish_deployment(complete=complete)
        return self._out

    # -- deployments

    def _cancel_old_deployment(self) -> None:
        d, job = self._deployment, self._job
        if d is None:
            return
        if job is None or job.stop:
            if d.active:
                self._out.updates.append(DeploymentUpdate(d.id, dep.CANCELLED, dep.DESC_STOPPED_JOB))
        elif d.job_create_index != job.create_index or d.job_version != job.version:
            if d.active:
                self._out.updates.append(DeploymentUpdate(d.id, dep.CANCELLED, dep.DESC_NEWER_JOB))
        elif d.status != dep.SUCCESSFUL:
            return
        self._old, self._deployment = d, None

    @property
    def _paused(self) -> bool:
        return self._deployment is not None and self._deployment.status == dep.PAUSED

    @property
    def _failed(self) -> bool:
        return self._deployment is not None and self._deployment.status == dep.FAILED

    def _finish_deployment(self, *, complete: bool) -> None:
        d = self._deployment
        if d is not None and complete:
            self._out.updates.append(DeploymentUpdate(d.id, dep.SUCCESSFUL, dep.DESC_SUCCESSFUL))
        new = self._out.deployment
        if new is not None and new.requires_promotion:
            new.description = dep.DESC_AUTO_PROMOTION if new.auto_promotes else dep.DESC_NEEDS_PROMOTION

    def _group_state(self, group: GroupSpec) -> tuple[GroupState, bool]:
        if self._deployment is not None and group.name in self._deployment.groups:
            return self._deployment.groups[group.name], True
        state = GroupState()
        if group.rolls and group.update is not None:
            state.auto_revert = group.update.auto_revert
            state.auto_promote = group.update.auto_promote
            state.progress_deadline = group.update.progress_deadline
        return state, False

    def _create_deployment(self, g: Group, destructive: AllocSet) -> None:
        if self._job is None or g.existed or not g.spec.rolls or g.state.desired_total == 0:
            return
        job = self._job
        ran = any(a.job_version == job.version and a.job_create_index == job.create_index for a in g.all.values())
        if ran and not destructive and not g.desired.in_place_update:
            return
        if self._deployment is None:
            record = self._store.state.jobs.get(f"{job.namespace}/{job.id}")
            self._deployment = self._out.deployment = dep.Deployment(
                id=self._store.kernel.new_id(),
                namespace=job.namespace,
                job_id=job.id,
                job_version=job.version,
                job_modify_index=record.modify_index if record is not None else 0,
                job_spec_modify_index=job.modify_index,
                job_create_index=job.create_index,
                eval_priority=self._eval.priority,
            )
        self._deployment.groups[g.spec.name] = g.state

    # -- one group

    def _compute_group(self, name: str, allocs: AllocSet) -> bool:
        desired = self._out.desired[name] = DesiredUpdates()
        spec = self._job.groups.get(name) if self._job is not None else None
        everything = {
            i: a
            for i, a in allocs.items()
            if not a.server_terminal or (a.job_type == "batch" and not a.wants_reschedule)
        }
        if spec is None or spec.count == 0:
            desired.stop = self._stop_all(everything)
            return True
        state, existed = self._group_state(spec)
        everything = self._without_old_batch(everything, desired)
        canaries, everything = self._cancel_canaries(everything, desired)
        g = self._sorted_group(spec, desired, state, everything, canaries, existed=existed)
        return self._decide(g)

    def _without_old_batch(self, allocs: AllocSet, desired: DesiredUpdates) -> AllocSet:
        if not self._batch or self._job is None:
            return allocs
        job = self._job
        old = {
            i
            for i, a in allocs.items()
            if a.terminal and (a.job_version < job.version or a.job_create_index < job.create_index)
        }
        desired.ignore += len(old)
        return {i: a for i, a in allocs.items() if i not in old}

    def _cancel_canaries(self, allocs: AllocSet, desired: DesiredUpdates) -> tuple[AllocSet, AllocSet]:
        """Stop the canaries of an older or failed deployment; sort out this one's."""
        unwanted: list[str] = []
        for d in (self._old, self._deployment if self._failed else None):
            if d is not None:
                unwanted += [i for s in d.groups.values() if not s.promoted for i in s.placed_canaries]
        stop = {i: allocs[i] for i in unwanted if i in allocs}
        self._out.stop += [Stop(a, NOT_NEEDED) for a in stop.values()]
        desired.stop += len(stop)
        allocs = without(allocs, stop)
        canaries: AllocSet = {}
        if self._deployment is not None:
            ids = [i for s in self._deployment.groups.values() for i in s.placed_canaries]
            found = self._sort.sort({i: allocs[i] for i in ids if i in allocs})
            self._out.stop += [Stop(a, MIGRATING) for a in found.migrate.values()]
            self._out.stop += [Stop(a, LOST_NODE, client=al.LOST) for a in found.lost.values()]
            canaries = found.untainted
            allocs = without(allocs, found.migrate, found.lost)
        return canaries, allocs

    def _sorted_group(
        self,
        spec: GroupSpec,
        desired: DesiredUpdates,
        state: GroupState,
        allocs: AllocSet,
        canaries: AllocSet,
        *,
        existed: bool,
    ) -> Group:
        found = self._sort.sort(allocs)
        desired.ignore += len(found.ignore)
        untainted, now, later = self._reschedulable(found.untainted)
        _, moving_now, moving_later = self._reschedulable(found.migrate)
        g = Group(
            spec=spec,
            desired=desired,
            state=state,
            existed=existed,
            all=allocs,
            canaries=canaries,
            untainted=untainted,
            migrate=found.migrate,
            lost=found.lost,
            now=now | moving_now,
            later=later + moving_later,
        )
        if found.reconnecting:
            found.disconnecting = self._disconnects.come_back(g, found.reconnecting, found.disconnecting)
        g.lost = g.lost | found.expiring
        self._timeouts = {}
        if found.disconnecting:
            apart = self._reschedulable(found.disconnecting, disconnecting=True)
            self._timeouts = self._disconnects.leave(g, apart, found.disconnecting)
        return g

    def _reschedulable(
        self, allocs: AllocSet, *, disconnecting: bool = False
    ) -> tuple[AllocSet, AllocSet, list[Later]]:
        return self._sort.reschedulable(
            allocs,
            batch=self._batch,
            disconnecting=disconnecting,
            eval_id=self._eval.id,
            deployment=self._deployment,
        )

    def _decide(self, g: Group) -> bool:
        """Turn the sorted copies into stops, updates, canaries, placements and moves; whether all is done."""
        spec, out = g.spec, self._out
        waiting = self._sort.stopping_clients(g.lost)
        followup_of = self._followups.later_evals(waiting, ev.RETRY_FAILED_ALLOC, ev.DESC_RESCHEDULE) | self._timeouts
        if g.later:
            self._followups.reschedule_later(g)
        known = g.untainted | g.migrate | g.now | g.lost
        g.names = out.names[spec.name] = NameIndex(self._eval.job_id, spec.name, spec.count, known.values())
        g.canarying = g.state.desired_canaries != 0 and not g.state.promoted
        self._stop_surplus(g, followup_of)
        inplace, destructive = self._updates(g)
        if not g.existed:
            g.state.desired_total += len(destructive) + len(inplace)
        if g.canarying:
            g.untainted = without(g.untainted, g.canaries)
        wants_canaries = (
            spec.update is not None
            and bool(destructive)
            and len(g.canaries) < spec.update.canary
            and not g.state.promoted
        )
        if wants_canaries:
            self._place_canaries(g, destructive)
        g.canarying = g.state.desired_canaries != 0 and not g.state.promoted
        room = self._under_provisioned(g, destructive)
        place: list[Place] = []
        if not waiting:
            place = self._placements(g)
            if not g.existed:
                g.state.desired_total += len(place)
        ready = not self._paused and not self._failed and not g.canarying
        before = len(out.place)
        room = self._place(g, place, room, ready=ready)
        if ready:
            self._update_destructively(g, destructive, room)
        else:
            g.desired.ignore += len(destructive)
        self._move(g)
        self._create_deployment(g, destructive)
        mine = out.place[before:]
        if len(mine) > spec.count:
            del out.place[before + spec.count :]
            g.desired.place = spec.count
        return self._is_complete(
            g, open_work=len(destructive) + len(inplace) + len(mine), wants_canaries=wants_canaries
        )

    def _is_complete(self, g: Group, *, open_work: int, wants_canaries: bool) -> bool:
        if open_work or g.migrate or g.now or g.later or wants_canaries or self._deployment is None:
            return False
        state = self._deployment.groups.get(g.spec.name)
        if state is None:
            return True
        if state.healthy < max(state.desired_total, state.desired_canaries):
            return False
        return not (state.desired_canaries > 0 and not state.promoted)

    # -- stopping

    def _stop_all(self, allocs: AllocSet) -> int:
        found = self._sort.sort(allocs)
        for group in (found.untainted, found.migrate):
            self._out.stop += [Stop(a, NOT_NEEDED) for a in group.values()]
        self._out.stop += [Stop(a, LOST_NODE, client=al.LOST) for a in found.lost.values()]
        for group in (found.disconnecting, found.reconnecting):
            self._out.stop += [Stop(a, NOT_NEEDED) for a in group.values()]
        for group in (found.ignore, found.expiring):
            self._out.stop += [Stop(a, NOT_NEEDED) for a in group.values() if a.client == al.UNKNOWN]
        return len(allocs)

    def _stop_surplus(self, g: Group, followup_of: dict[str, str]) -> None:
        """Write off what is lost; when there are more copies than wanted, stop the moving and the highest first."""
        stopped: AllocSet = dict(g.lost)
        self._out.stop += [
            Stop(a, LOST_NODE, client=al.LOST, followup=followup_of.get(a.id, "")) for a in g.lost.values()
        ]
        working = without(g.untainted, g.canaries) if g.canarying else dict(g.untainted)
        surplus = sum(a.client != al.UNKNOWN for a in working.values()) + len(g.migrate) - g.spec.count
        if surplus > 0:
            working = {i: a for i, a in working.items() if not a.server_terminal}
            for alloc in self._surplus(g, working, surplus):
                stopped[alloc.id] = alloc
                g.migrate.pop(alloc.id, None)
                self._out.stop.append(Stop(alloc, NOT_NEEDED))
        g.desired.stop += len(stopped)
        g.untainted = without(g.untainted, stopped)

    def _surplus(self, g: Group, working: AllocSet, count: int) -> list[Allocation]:
        chosen: list[Allocation] = []
        names = g.names
        if names is None:
            return chosen
        if not g.canarying and g.canaries:  # promoted: the copies that they stand for
            held = {a.name for a in g.canaries.values()}
            chosen += [a for a in without(working, g.canaries).values() if a.name in held][:count]
        if len(chosen) < count and g.migrate:
            top = NameIndex(self._eval.job_id, g.spec.name, g.spec.count, g.migrate.values()).highest(
                count - len(chosen)
            )
            for alloc in [a for a in g.migrate.values() if a.name in top][: count - len(chosen)]:
                names.release(alloc.index)
                chosen.append(alloc)
        if len(chosen) < count:
            top = names.highest(count - len(chosen))
            gone = {a.id for a in chosen}
            chosen += [a for a in working.values() if a.name in top and a.id not in gone][: count - len(chosen)]
        gone = {a.id for a in chosen}
        return chosen + [a for a in working.values() if a.id not in gone][: count - len(chosen)]

    # -- updating and placing

    def _updates(self, g: Group) -> tuple[AllocSet, AllocSet]:
        inplace: AllocSet = {}
        destructive: AllocSet = {}
        if self._job is None:
            return inplace, destructive
        for alloc in g.untainted.values():
            ignore, destroys, updated = self._check(alloc, self._job, g.spec)
            if ignore:
                g.desired.ignore += 1
            elif destroys or updated is None:
                destructive[alloc.id] = alloc
            else:
                inplace[alloc.id] = updated
        self._out.inplace += inplace.values()
        g.desired.in_place_update += len(inplace)
        return inplace, destructive

    def _place_canaries(self, g: Group, destructive: AllocSet) -> None:
        if g.spec.update is None or g.names is None:
            return
        g.state.desired_canaries = g.spec.update.canary
        if self._paused or self._failed:
            return
        missing = g.spec.update.canary - len(g.canaries)
        g.desired.canary += missing
        names = g.names.next_canaries(missing, g.canaries.values(), destructive.values())
        self._out.place += [Place(n, g.spec, canary=True) for n in names]

    def _under_provisioned(self, g: Group, destructive: AllocSet) -> int:
        """Give how many copies may be exchanged now."""
        update = g.spec.update
        if update is None or not g.spec.rolls or not (destructive or g.migrate):
            return g.spec.count
        if self._deployment is None:
            return update.max_parallel
        if self._paused or self._failed or g.canarying:
            return 0
        room = update.max_parallel
        for alloc in g.untainted.values():
            if alloc.deployment_id == self._deployment.id:
                if alloc.healthy is False:
                    return 0
                room -= alloc.healthy is None
        return max(0, room)

    def _placements(self, g: Group) -> list[Place]:
        def again(alloc: Allocation, *, reschedule: bool) -> Place:
            return Place(
                alloc.name,
                g.spec,
                previous=alloc,
                canary=alloc.is_canary,
                reschedule=reschedule,
                lost=not reschedule,
                downgrade=g.canarying and not alloc.is_canary,
                min_version=alloc.job_version,
            )

        place = [again(a, reschedule=True) for a in g.now.values()]
        existing = len(g.untainted) + len(g.migrate) + len(g.now)
        for alloc in g.lost.values():
            if existing >= g.spec.count:
                break
            existing += 1
            place.append(again(alloc, reschedule=False))
        if existing < g.spec.count and g.names is not None:
            names = g.names.next(g.spec.count - existing)
            place += [Place(n, g.spec, downgrade=g.canarying) for n in names]
        return place

    def _place(self, g: Group, place: list[Place], room: int, *, ready: bool) -> int:
        """Place what may be placed and stop what is replaced by it; give how many exchanges are left."""
        out = self._out
        failed = [
            a for i, a in g.now.items() if i not in out.disconnects and i not in g.migrate and a.client != al.UNKNOWN
        ]
        if ready:
            g.desired.place += len(place)
            out.place += place
            out.stop += [Stop(a, RESCHEDULED) for a in failed]
            g.desired.stop += len(failed)
            return room - min(len(place), room)
        if g.lost:
            allowed = min(len(g.lost), len(place))
            g.desired.place += allowed
            out.place += place[:allowed]
        if not g.now or not place:
            return room
        for item in place:
            before = item.previous
            if before is None or not item.reschedule:
                continue
            if self._failed and self._deployment is not None and self._deployment.id == before.deployment_id:
                continue
            out.place.append(item)
            g.desired.place += 1
            if before.id not in out.disconnects:
                out.stop.append(Stop(before, RESCHEDULED))
                g.desired.stop += 1
        return room

    def _update_destructively(self, g: Group, destructive: AllocSet, room: int) -> None:
        count = min(len(destructive), room)
        g.desired.destructive_update += count
        g.desired.ignore += len(destructive) - count
        for alloc in _by_index(destructive)[:count]:
            self._out.destructive.append(Place(alloc.name, g.spec, previous=alloc, stops=True))

    def _move(self, g: Group) -> None:
        g.desired.migrate += len(g.migrate)
        for alloc in _by_index(g.migrate):
            self._out.stop.append(Stop(alloc, MIGRATING, followup=alloc.followup_eval_id))
            if alloc.job_type == "batch" and (alloc.wants_reschedule or alloc.placement_disabled):
                continue
            self._out.place.append(
                Place(
                    alloc.name,
                    g.spec,
                    previous=alloc,
                    canary=alloc.is_canary,
                    downgrade=g.canarying and not alloc.is_canary,
                    min_version=alloc.job_version,
                )
            )


def _by_index(allocs: AllocSet) -> list[Allocation]:
    return sorted(allocs.values(), key=lambda a: a.index)
