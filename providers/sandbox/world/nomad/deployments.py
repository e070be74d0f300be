"""Watching deployments: health brings the next step, failure stops or reverts (``nomad/deploymentwatcher``)."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from providers.sandbox.world.nomad import deployment as dep
from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad.allocation import Transition
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.nomad.evaluation import Evaluation
from providers.sandbox.world.nomad.reschedule import eligible
from providers.sandbox.world.nomad.state import Watch

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.deployment import Deployment, GroupState
    from providers.sandbox.world.nomad.jobs import Jobs
    from providers.sandbox.world.nomad.jobspec import JobSpec
    from providers.sandbox.world.nomad.store import Store
    from providers.sandbox.world.nomad.worker import Worker

_LOOK = 0.02  # how soon a watcher sees a change
_EVAL_BATCH = 1.0  # perJobEvalBatchPeriod

Json = dict[str, Any]


class DeploymentWatcher:
    """The leader's watchers, one for each active deployment."""

    def __init__(self, store: Store, worker: Worker, jobs: Jobs) -> None:
        self._store = store
        self._worker = worker
        self._jobs = jobs
        self._watched = store.state.watched
        store.kernel.on("nomad.deployment_look", self._look)
        store.kernel.on("nomad.deployment_update", self._update)
        store.kernel.on("nomad.deployment_deadline", self._deadline)

    @property
    def _now(self) -> float:
        return self._store.kernel.now

    # -- hearing of changes

    def changed(self, allocs: Iterable[Allocation]) -> None:
        """Have the watchers of these allocations' deployments look."""
        for deployment_id in dict.fromkeys(a.deployment_id for a in allocs if a.deployment_id):
            self._wake(deployment_id)

    def _wake(self, deployment_id: str) -> None:
        deployment = self._store.state.deployments.get(deployment_id)
        if deployment is None or not deployment.active:
            self._watched.pop(deployment_id, None)
            return
        watch = self._watched.setdefault(deployment_id, Watch())
        if not watch.looking:
            watch.looking = True
            self._store.kernel.after(_LOOK, "nomad.deployment_look", deployment_id)

    def restore(self) -> None:
        """Watch all active deployments anew, as a new leader does."""
        self._watched.clear()
        for deployment in list(self._store.state.deployments.values()):
            self._wake(deployment.id)

    def _active(self, deployment_id: str) -> tuple[Deployment, Watch] | None:
        deployment = self._store.state.deployments.get(deployment_id)
        watch = self._watched.get(deployment_id)
        if deployment is None or watch is None or not deployment.active or not self._store.state.leader:
            self._watched.pop(deployment_id, None)
            return None
        return deployment, watch

    def _spec(self, deployment: Deployment) -> JobSpec | None:
        key = f"{deployment.namespace}/{deployment.job_id}@{deployment.job_create_index}.{deployment.job_version}"
        return self._store.spec(key) if key in self._store.state.versions else None

    def _allocs(self, deployment: Deployment) -> list[Allocation]:
        allocs = self._store.job_allocs(f"{deployment.namespace}/{deployment.job_id}")
        return [a for a in allocs if a.deployment_id == deployment.id]

    # -- looking

    def _look(self, deployment_id: str) -> None:
        found = self._active(deployment_id)
        if found is None:
            return
        deployment, watch = found
        watch.looking = False
        spec = self._spec(deployment)
        if spec is None:
            return
        allocs = self._allocs(deployment)
        latest = self._latest_eval(deployment)
        wants_eval = fails = reverts = False
        replace: list[str] = []
        for alloc in allocs:
            group = deployment.groups.get(alloc.group)
            if group is None:
                continue
            hopeless = alloc.healthy is False and self._is_hopeless(spec, alloc, group)
            if alloc.healthy is False and not hopeless and not alloc.wants_reschedule:
                replace.append(alloc.id)
                continue
            status = alloc.deployment_status
            if alloc.healthy and status is not None and status.modify_index > latest:
                wants_eval = True
            if hopeless:
                fails, reverts = True, reverts or group.auto_revert
        if fails:
            self._fail(deployment, dep.DESC_FAILED_ALLOCS, revert=reverts)
            return
        if self._may_promote_itself(deployment, allocs):
            self._promote(deployment, None)
        if wants_eval or replace:
            self._request_update(deployment, watch, replace)
        self._set_deadline(deployment, watch, allocs)

    def _is_hopeless(self, spec: JobSpec, alloc: Allocation, group: GroupState) -> bool:
        """Whether an unhealthy copy fails the deployment at once."""
        if group.progress_deadline == 0:
            return True
        known = spec.groups.get(alloc.group)
        return not eligible(alloc.reschedule, known.reschedule if known is not None else None, self._now)

    def _latest_eval(self, deployment: Deployment) -> int:
        evals = self._store.job_evals(f"{deployment.namespace}/{deployment.job_id}")
        return max((e.snapshot_index or e.create_index for e in evals if e.status != ev.CANCELED), default=0)

    @staticmethod
    def _may_promote_itself(deployment: Deployment, allocs: list[Allocation]) -> bool:
        if not deployment.requires_promotion or not any(g.placed_canaries for g in deployment.groups.values()):
            return False
        healthy = {a.id for a in allocs if a.healthy}
        for group in deployment.groups.values():
            if group.desired_canaries < 1:
                continue
            if not group.auto_promote or len(group.placed_canaries) < group.desired_canaries:
                return False
            if sum(c in healthy for c in group.placed_canaries) != group.desired_canaries:
                return False
        return True

    # -- next steps

    def _request_update(self, deployment: Deployment, watch: Watch, replace: list[str]) -> None:
        """Gather for a moment, then have the job looked at."""
        watch.replace = list(dict.fromkeys(watch.replace + replace))
        if not watch.outstanding:
            watch.outstanding = True
            delay = _EVAL_BATCH + self._store.state.settings.delays.deployment_batch
            self._store.kernel.after(delay, "nomad.deployment_update", deployment.id)

    def _update(self, deployment_id: str) -> None:
        found = self._active(deployment_id)
        if found is None:
            return
        deployment, watch = found
        watch.outstanding = False
        ids, watch.replace = watch.replace, []
        changed = []
        for alloc_id in ids:
            alloc = self._store.state.allocs.get(alloc_id)
            if alloc is not None:
                new = alloc.clone()
                new.transition = new.transition or Transition()
                new.transition.reschedule = True
                changed.append(new)
        index = self._store.next_index("evals")
        if changed:
            self._store.upsert_allocs(index, changed)
        evaluation = self._evaluation(deployment)
        self._store.upsert_evals(index, [evaluation], nested=True)
        self._worker.hand_on([evaluation])
        self.changed(changed)

    def _evaluation(self, deployment: Deployment) -> Evaluation:
        spec = self._spec(deployment)
        return Evaluation(
            id=self._store.kernel.new_id(),
            namespace=deployment.namespace,
            job_id=deployment.job_id,
            type=spec.type if spec is not None else "service",
            priority=deployment.eval_priority,
            triggered_by=ev.DEPLOYMENT_WATCHER,
            deployment_id=deployment.id,
            create_time=self._now,
            modify_time=self._now,
        )

    # -- failure

    def _fail(self, deployment: Deployment, description: str, *, revert: bool) -> Evaluation:
        """End a deployment; with ``revert`` the last stable version is registered again."""
        job = self._store.state.jobs.get(f"{deployment.namespace}/{deployment.job_id}")
        again: Json | None = None
        if revert and job is not None:
            stable = [k for k in reversed(job.versions) if self._store.state.versions[k].stable]
            if not stable:
                description += " - no stable job version to auto revert to"
            else:
                spec = self._store.spec(stable[0])
                if self._jobs.same_specification(stable[0], job.key):
                    description += (
                        f" - not rolling back to stable job version {spec.version} "
                        "as current job has same specification"
                    )
                else:
                    description += f" - rolling back to job version {spec.version}"
                    again = copy.deepcopy(self._store.state.versions[stable[0]].spec)
        index = self._store.next_index("deployment", "evals")
        self._store.update_deployment(index, deployment.id, dep.FAILED, description)
        if again is not None:
            self._jobs.put(again)
        evaluation = self._evaluation(deployment)
        self._store.upsert_evals(index, [evaluation], nested=True)
        self._worker.hand_on([evaluation])
        self._watched.pop(deployment.id, None)
        return evaluation

    def _set_deadline(self, deployment: Deployment, watch: Watch, allocs: list[Allocation]) -> None:
        """Wait for the earliest time by which a group that is not done must progress."""
        due: float | None = None
        for name, group in deployment.groups.items():
            healthy = sum(a.group == name and not a.terminal and a.healthy is True for a in allocs)
            canarying = group.desired_canaries != 0 and not group.promoted
            if group.require_progress_by is None or (not canarying and healthy >= group.desired_total):
                continue
            due = group.require_progress_by if due is None else min(due, group.require_progress_by)
        if due is not None and due != watch.deadline:
            self._store.kernel.after(due - self._now, "nomad.deployment_deadline", deployment.id, due)
        watch.deadline = due

    def _deadline(self, deployment_id: str, due: float) -> None:
        found = self._active(deployment_id)
        if found is None or found[1].deadline != due or found[0].status == dep.PAUSED:
            return
        deployment = found[0]
        for group in deployment.groups.values():
            wanted = group.desired_total
            if group.desired_canaries > 0 and not group.promoted:
                wanted = group.desired_canaries
            if group.healthy < wanted:
                revert = any(g.auto_revert for g in deployment.groups.values())
                self._fail(deployment, dep.DESC_PROGRESS_DEADLINE, revert=revert)
                return

    # -- what people ask for

    def _find(self, deployment_id: str) -> Deployment:
        deployment = self._store.state.deployments.get(deployment_id)
        if deployment is None:
            raise ApiError(404, "deployment not found")
        if not deployment.active:
            raise ApiError(400, "can't promote terminal deployment")
        return deployment

    def _answer(self, evaluation: Evaluation | None, index: int) -> Json:
        return {
            "DeploymentModifyIndex": index,
            "EvalCreateIndex": evaluation.create_index if evaluation is not None else 0,
            "EvalID": evaluation.id if evaluation is not None else "",
            "Index": index,
            "RevertedJobVersion": None,
        }

    def promote(self, deployment_id: str, groups: list[str] | None) -> Json:
        """Accept the canaries of all groups or of some."""
        evaluation = self._promote(self._find(deployment_id), groups)
        return self._answer(evaluation, evaluation.create_index)

    def _promote(self, deployment: Deployment, groups: list[str] | None) -> Evaluation:
        chosen = {n: g for n, g in deployment.groups.items() if groups is None or n in groups}
        canaries = {c for g in deployment.groups.values() for c in g.placed_canaries}
        ready = [
            a
            for a in self._allocs(deployment)
            if a.id in canaries and a.group in chosen and not a.terminal and a.healthy
        ]
        lacking = []
        for name, group in chosen.items():
            have = sum(a.group == name for a in ready)
            if have < group.desired_canaries:
                text = f'Task group "{name}" has {have}/{group.desired_canaries} healthy allocations'
                lacking.append(f"\t* {text}\n")
        if lacking:
            count = f"{len(lacking)} error{'s' if len(lacking) != 1 else ''} occurred"
            raise ApiError(500, f"{count}:\n{''.join(lacking)}\n")
        index = self._store.next_index("deployment", "evals", "allocs")
        for group in chosen.values():
            if group.progress_deadline and group.require_progress_by is not None:
                group.require_progress_by = self._now + group.progress_deadline
            group.promoted = True
        if not deployment.requires_promotion and deployment.status == dep.RUNNING:
            deployment.description = dep.DESC_RUNNING
        deployment.modify_index, deployment.modify_time = index, self._now
        for alloc in ready:
            if alloc.deployment_status is not None:
                alloc.deployment_status.canary = False
                alloc.deployment_status.modify_index = index
                alloc.modify_index = alloc.alloc_modify_index = index
        evaluation = self._evaluation(deployment)
        self._store.upsert_evals(index, [evaluation], nested=True)
        self._worker.hand_on([evaluation])
        self._wake(deployment.id)
        return evaluation

    def fail_by_user(self, deployment_id: str) -> Json:
        """Mark a deployment as failed."""
        deployment = self._find(deployment_id)
        revert = any(g.auto_revert for g in deployment.groups.values())
        evaluation = self._fail(deployment, dep.DESC_FAILED_BY_USER, revert=revert)
        return self._answer(evaluation, evaluation.create_index)

    def pause(self, deployment_id: str, *, pause: bool) -> Json:
        """Hold a deployment back, or let it go on."""
        deployment = self._find(deployment_id)
        index = self._store.next_index("deployment", "evals")
        if pause:
            self._store.update_deployment(index, deployment.id, dep.PAUSED, dep.DESC_PAUSED)
            return self._answer(None, index)
        self._store.update_deployment(index, deployment.id, dep.RUNNING, dep.DESC_RUNNING)
        evaluation = self._evaluation(deployment)
        self._store.upsert_evals(index, [evaluation], nested=True)
        self._worker.hand_on([evaluation])
        self._wake(deployment.id)
        return self._answer(evaluation, index)
