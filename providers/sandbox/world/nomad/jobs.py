"""The leader's side of jobs: registering, stopping, scaling, dispatching (source: ``nomad/job_endpoint.go``)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad.allocation import Transition
from providers.sandbox.world.nomad.canonical import canonical_job
from providers.sandbox.world.nomad.cron import next_launch
from providers.sandbox.world.nomad.diff import job_diff
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.nomad.evaluation import Evaluation
from providers.sandbox.world.nomad.job import GroupSummary, Job, JobSummary, JobVersion
from providers.sandbox.world.nomad.jobspec import job_spec
from providers.sandbox.world.nomad.validate import faults, transition_fault, warnings
from providers.sandbox.world.nomad.validate_policies import joined
from providers.sandbox.world.nomad.worker import decide

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.blocked import BlockedEvals
    from providers.sandbox.world.nomad.scheduling import Outcome
    from providers.sandbox.world.nomad.store import Store
    from providers.sandbox.world.nomad.worker import Worker

_VERSIONS_KEPT = 6
_SCALED_KEPT = 20  # events of a job
# What is not part of a specification: it changes without a new version.
_BOOKKEEPING = (
    "CreateIndex",
    "ModifyIndex",
    "JobModifyIndex",
    "Status",
    "StatusDescription",
    "Stable",
    "SubmitTime",
    "Version",
    "NomadTokenID",
)


class Jobs:
    """What the leader does about jobs."""

    def __init__(self, store: Store, worker: Worker, blocked: BlockedEvals) -> None:
        self._store = store
        self._worker = worker
        self._blocked = blocked
        store.kernel.on("nomad.periodic", self._launch_due)

    @property
    def _now(self) -> float:
        return self._store.kernel.now

    def find(self, namespace: str, job_id: str) -> Job | None:
        """Look a job up."""
        return self._store.state.jobs.get(f"{namespace}/{job_id}")

    # -- registering

    def read(self, raw: Mapping[str, Any], *, namespace: str = "") -> dict[str, Any]:
        """Make a canonical job of a request's; raises ApiError when it is invalid."""
        try:
            job = canonical_job({**raw, "Namespace": raw.get("Namespace") or namespace or "default"})
        except (ValueError, TypeError, AttributeError) as fault:
            raise ApiError(400, str(fault)) from fault
        state = self._store.state
        found = faults(job, priority_max=state.settings.job_max_priority)
        if not found and job["Namespace"] not in state.namespaces:
            found = [f'job "{job["ID"]}" is in nonexistent namespace "{job["Namespace"]}"']
        if not found and job["NodePool"] not in state.pools:
            found = [f'job "{job["ID"]}" is in nonexistent node pool "{job["NodePool"]}"']
        if found:
            raise ApiError(500, joined(found))
        return job

    def warnings(self, job: Mapping[str, Any]) -> str:
        """Say what is unwise about a canonical job."""
        return warnings(job, oversubscription=self._store.state.scheduler.memory_oversubscription)

    def register(
        self, raw: Mapping[str, Any], *, namespace: str = "", enforce_index: int | None = None
    ) -> dict[str, Any]:
        """Take a job in: a new version when its specification changed, and in any case an evaluation."""
        job = self.read(raw, namespace=namespace)
        old = self.find(job["Namespace"], job["ID"])
        if refusal := transition_fault(self._store.state.versions[old.key].spec if old is not None else None, job):
            raise ApiError(500, refusal)
        if enforce_index is not None:
            self._enforce(old, enforce_index)
        changed = old is None or self._spec_changed(old, job)
        record = self.put(job) if old is None or changed else old
        evaluation = None
        if not (record.periodic or record.parameterized):
            evaluation = self._eval(record, ev.JOB_REGISTER, modify_index=record.job_modify_index)
            self._store.upsert_evals(self._store.state.index, [evaluation])
            self._worker.hand_on([evaluation])
        return {
            "EvalCreateIndex": evaluation.create_index if evaluation is not None else 0,
            "EvalID": evaluation.id if evaluation is not None else "",
            "Index": self._store.state.index,
            "JobModifyIndex": record.job_modify_index,
            "KnownLeader": False,
            "LastContact": 0,
            "NextToken": "",
            "Warnings": self.warnings(job),
        }

    @staticmethod
    def _enforce(old: Job | None, wanted: int) -> None:
        prefix = "Enforcing job modify index"
        if wanted == 0:
            if old is not None:
                raise ApiError(500, f"{prefix} 0: job already exists")
        elif old is None:
            raise ApiError(500, f"{prefix} {wanted}: job does not exist")
        elif old.job_modify_index != wanted:
            found = old.job_modify_index
            raise ApiError(500, f"{prefix} {wanted}: job exists with conflicting job modify index: {found}")

    def _spec_changed(self, old: Job, new: Mapping[str, Any]) -> bool:
        before = self._store.state.versions[old.key].spec
        return any(before[k] != new[k] for k in new if k not in _BOOKKEEPING)

    def same_specification(self, one: str, other: str) -> bool:
        """Whether two versions (by key) differ in bookkeeping only."""
        a, b = self._store.state.versions[one].spec, self._store.state.versions[other].spec
        return all(a[k] == b[k] for k in a if k not in _BOOKKEEPING)

    def put(self, job: dict[str, Any]) -> Job:
        """Write a job's new version."""
        state = self._store.state
        old = self.find(job["Namespace"], job["ID"])
        index = self._store.next_index("jobs")
        created = old.create_index if old is not None else index
        version = old.version + 1 if old is not None else 0
        key = f"{job['Namespace']}/{job['ID']}@{created}.{version}"
        job.update(
            CreateIndex=created, ModifyIndex=index, JobModifyIndex=index, Version=version, Status="", Stable=False
        )
        state.versions[key] = JobVersion(job, submit_time=self._now)
        spec = self._store.spec(key)
        record = Job(
            namespace=spec.namespace,
            id=spec.id,
            key=key,
            type=spec.type,
            priority=spec.priority,
            node_pool=spec.node_pool,
            version=version,
            create_index=created,
            modify_index=index,
            job_modify_index=index,
            submit_time=self._now,
            summary=old.summary if old is not None else JobSummary(index, index),
            stop=spec.stop,
            status=old.status if old is not None else "",
            parent=job["ParentID"],
            periodic=spec.periodic,
            parameterized=spec.parameterized,
            launches=old.launches if old is not None else 0,
            versions=[*(old.versions if old is not None else []), key][-_VERSIONS_KEPT:],
            idempotency=old.idempotency if old is not None else {},
            scaled=old.scaled if old is not None else [],
        )
        for group in spec.groups:
            if group not in record.summary.groups:
                record.summary.groups[group] = GroupSummary()
                record.summary.modify_index = index
        state.tables["job_summary"] = index
        state.jobs[record.name] = record
        if record.parent:
            self._store.children.setdefault(f"{record.namespace}/{record.parent}", {})[record.name] = None
        self._store.set_job_status(index, record)
        if record.periodic:
            self._plan_launch(record)
        return record

    def _eval(self, job: Job, trigger: str, *, modify_index: int = 0, kind: str = "") -> Evaluation:
        return Evaluation(
            id=self._store.kernel.new_id(),
            namespace=job.namespace,
            job_id=job.id,
            type=kind or job.type,
            priority=job.priority,
            triggered_by=trigger,
            job_modify_index=modify_index,
            create_time=self._now,
            modify_time=self._now,
        )

    # -- changing

    def deregister(self, namespace: str, job_id: str, *, purge: bool) -> dict[str, Any]:
        """Stop a job, or forget it as well; an unknown one is no error."""
        answer = {
            "EvalCreateIndex": 0,
            "EvalID": "",
            "Index": 0,
            "JobModifyIndex": 0,
            "KnownLeader": False,
            "LastContact": 0,
            "NextToken": "",
            "VolumeEvalID": "",
            "VolumeEvalIndex": 0,
        }
        job = self.find(namespace, job_id)
        if job is None:
            return answer
        evaluation = None
        if not (job.periodic or job.parameterized):
            evaluation = self._eval(job, ev.JOB_DEREGISTER, kind="service")
        if purge:
            self.delete(job)
        else:
            self.put({**copy.copy(self._store.state.versions[job.key].spec), "Stop": True})
        index = self._store.state.index
        if evaluation is not None:
            self._store.upsert_evals(index, [evaluation])
            self._worker.hand_on([evaluation])
            answer["EvalID"] = evaluation.id
        answer.update(EvalCreateIndex=index, Index=index, JobModifyIndex=index)
        return answer

    def delete(self, job: Job) -> None:
        """Forget a job; versions that allocations still need go with them."""
        state = self._store.state
        index = self._store.next_index("jobs", "job_summary")
        del state.jobs[job.name]
        parent = state.jobs.get(f"{job.namespace}/{job.parent}") if job.parent else None
        if parent is not None:
            children = parent.summary.children
            setattr(children, job.status, getattr(children, job.status) - 1)
            parent.summary.modify_index = index
            self._store.children.get(parent.name, {}).pop(job.name, None)
        for deployment in self._store.job_deployments(job.name):
            self._store.delete_deployment(deployment.id)
        needed = {a.job_key for a in self._store.job_allocs(job.name)}
        for key in job.versions:
            if key not in needed:
                self._store.forget_version(key)

    def evaluate(self, namespace: str, job_id: str, *, force_reschedule: bool = False) -> dict[str, Any]:
        """Have a job looked at again."""
        job = self.find(namespace, job_id)
        if job is None:
            raise ApiError(500, "job not found")
        if job.periodic:
            raise ApiError(500, "can't evaluate periodic job")
        if job.parameterized:
            raise ApiError(500, "can't evaluate parameterized job")
        if force_reschedule:
            self._force_reschedule(job)
        evaluation = self._eval(job, ev.JOB_REGISTER, modify_index=job.modify_index)
        index = self._store.next_index("evals")
        self._store.upsert_evals(index, [evaluation], nested=True)
        self._worker.hand_on([evaluation])
        return {
            "EvalCreateIndex": index,
            "EvalID": evaluation.id,
            "Index": index,
            "JobModifyIndex": job.modify_index,
            "KnownLeader": False,
            "LastContact": 0,
            "NextToken": "",
            "Warnings": "",
        }

    def _force_reschedule(self, job: Job) -> None:
        spec = self._store.spec(job.key)
        changed = []
        for alloc in self._store.job_allocs(job.name):
            group = spec.groups.get(alloc.group)
            if group is None or group.reschedule is None or not group.reschedule.enabled:
                continue
            if not alloc.next and alloc.client == al.FAILED and not alloc.wants_force_reschedule:
                new = alloc.clone()
                new.transition = new.transition or Transition()
                new.transition.force_reschedule = True
                changed.append(new)
        if changed:
            self._store.upsert_allocs(self._store.next_index("allocs"), changed)

    def revert(self, namespace: str, job_id: str, version: int) -> dict[str, Any]:
        """Register an earlier version of a job again."""
        job = self.find(namespace, job_id)
        if job is None:
            raise ApiError(500, "job not found")
        if version == job.version:
            raise ApiError(500, f"can't revert to current version {version}")
        key = next((k for k in job.versions if k.rpartition(".")[2] == str(version)), None)
        if key is None:
            raise ApiError(500, f'job "{job_id}" in namespace "{namespace}" at version {version} not found')
        answer = self.register({**self._store.state.versions[key].spec, "Stop": False}, namespace=namespace)
        return {**answer, "Warnings": ""}

    def judged(self, raw: Mapping[str, Any], *, namespace: str = "") -> tuple[list[str], str, str]:
        """Say what is wrong with a job, one by one and as a whole, and what is unwise; nothing is written."""
        job = canonical_job({**raw, "Namespace": raw.get("Namespace") or namespace or "default"})
        found = faults(job, priority_max=self._store.state.settings.job_max_priority)
        return found, joined(found) if found else "", "" if found else self.warnings(job)

    def scale(
        self,
        namespace: str,
        job_id: str,
        group: str,
        count: int | None,
        *,
        message: str = "",
        meta: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Change a group's count; refused while a deployment is active."""
        if count is not None and count < 0:
            raise ApiError(400, "scaling action count can't be negative")
        job = self.find(namespace, job_id)
        if job is None:
            raise ApiError(404, f'job "{job_id}" not found')
        spec = self._store.spec(job.key)
        if job.type == "system" and (count or 0) > 1:
            raise ApiError(400, 'jobs of type "system" can only be scaled between 0 and 1')
        if group not in spec.groups:
            raise ApiError(400, f'task group "{group}" specified for scaling does not exist in job')
        evaluation = None
        if count is not None:
            latest = self._store.latest_deployment(job.name)
            if latest is not None and latest.active and latest.job_create_index == job.create_index:
                raise ApiError(400, "job scaling blocked due to active deployment")
            raw = copy.deepcopy(self._store.state.versions[job.key].spec)
            for entry in raw["TaskGroups"]:
                if entry["Name"] == group:
                    entry["Count"] = count
            job = self.put(raw)
            if not (job.periodic or job.parameterized):
                evaluation = self._eval(job, ev.SCALING, modify_index=job.job_modify_index)
                self._worker.create([evaluation])
        index = self._store.next_index("scaling_event")
        event = {
            "Group": group,
            "At": self._now,
            "Count": count,
            "CreateIndex": index,
            "Error": False,
            "EvalID": evaluation.id if evaluation is not None else None,
            "Message": message,
            "Meta": dict(meta) if meta else None,
            "PreviousCount": spec.groups[group].count,
        }
        job.scaled = [event, *job.scaled][:_SCALED_KEPT]
        return {
            "EvalCreateIndex": evaluation.create_index if evaluation is not None else 0,
            "EvalID": evaluation.id if evaluation is not None else "",
            "Index": index,
            "JobModifyIndex": job.job_modify_index,
            "KnownLeader": True,
            "LastContact": 0,
            "NextToken": "",
            "Warnings": "",
        }

    # -- children

    def dispatch(
        self,
        namespace: str,
        job_id: str,
        *,
        meta: Mapping[str, str] | None = None,
        payload: str | None = None,
        token: str = "",
    ) -> dict[str, Any]:
        """Make a job of a parameterized one."""
        parent = self.find(namespace, job_id)
        if parent is None:
            raise ApiError(500, "parameterized job not found")
        if not parent.parameterized:
            raise ApiError(500, f'Specified job "{job_id}" is not a parameterized job')
        if parent.stop:
            raise ApiError(500, f'Specified job "{job_id}" is stopped')
        if token and (known := self.find(namespace, parent.idempotency.get(token, ""))) is not None:
            return {"DispatchedJobID": known.id, "Index": known.modify_index, "JobCreateIndex": known.create_index}
        unix = self._store.state.settings.epoch_unix + int(self._now)
        child_id = f"{job_id}/dispatch-{unix}-{self._store.kernel.new_id()[:8]}"
        raw = copy.deepcopy(self._store.state.versions[parent.key].spec)
        raw.update(
            ID=child_id,
            Name=child_id,
            ParentID=job_id,
            Dispatched=True,
            DispatchIdempotencyToken=token,
            Payload=payload,
            Meta={**(raw["Meta"] or {}), **(meta or {})} or None,
        )
        child = self.put(raw)
        if token:
            parent.idempotency[token] = child_id
        evaluation = self._eval(child, ev.JOB_REGISTER)
        index = self._store.state.index
        self._store.upsert_evals(index, [evaluation])
        self._worker.hand_on([evaluation])
        return {
            "DispatchedJobID": child_id,
            "EvalCreateIndex": index,
            "EvalID": evaluation.id,
            "Index": index,
            "JobCreateIndex": child.create_index,
        }

    def force_periodic(self, namespace: str, job_id: str) -> dict[str, Any]:
        """Launch a periodic job now."""
        parent = self.find(namespace, job_id)
        if parent is None or not parent.periodic or parent.stop:
            raise ApiError(404, "periodic job not found" if parent is None else f"job {job_id} is not periodic")
        evaluation = self._launch(parent)
        if evaluation is None:
            raise ApiError(500, "failed to force run job: job is already running and prohibits overlap")
        return {
            "EvalCreateIndex": evaluation.create_index,
            "EvalID": evaluation.id,
            "Index": evaluation.create_index,
        }

    def _plan_launch(self, job: Job) -> None:
        periodic = self._store.spec(job.key).raw["Periodic"]
        job.launches += 1
        if job.stop or not periodic["Enabled"]:
            return
        epoch = self._store.state.settings.epoch_unix
        specs = periodic["Specs"] or [periodic["Spec"]]
        at = min((t for s in specs if (t := next_launch(s, epoch + self._now)) is not None), default=None)
        if at is not None:
            self._store.kernel.after(at - epoch - self._now, "nomad.periodic", job.name, job.launches)

    def _launch_due(self, name: str, launch: int) -> None:
        job = self._store.state.jobs.get(name)
        if job is None or job.launches != launch:
            return
        if self._store.state.leader:
            self._launch(job)
        self._plan_launch(job)

    def _launch(self, parent: Job) -> Evaluation | None:
        periodic = self._store.spec(parent.key).raw["Periodic"]
        if periodic["ProhibitOverlap"] and any(
            (child := self._store.state.jobs.get(n)) is not None and child.status != "dead"
            for n in self._store.children.get(parent.name, ())
        ):
            return None
        unix = self._store.state.settings.epoch_unix + int(self._now)
        child_id = f"{parent.id}/periodic-{unix}"
        raw = copy.deepcopy(self._store.state.versions[parent.key].spec)
        raw.update(ID=child_id, Name=child_id, ParentID=parent.id, Periodic=None)
        child = self.put(raw)
        evaluation = self._eval(child, ev.PERIODIC_JOB, modify_index=child.job_modify_index)
        self._store.upsert_evals(self._store.state.index, [evaluation])
        self._worker.hand_on([evaluation])
        return evaluation

    # -- asking

    def plan(
        self, raw: Mapping[str, Any], *, namespace: str = ""
    ) -> tuple[Outcome, int, str, Evaluation, dict[str, Any]]:
        """Let the scheduler say what it would do, and what is different; nothing is written."""
        job = self.read(raw, namespace=namespace)
        old = self.find(job["Namespace"], job["ID"])
        if old is None or self._spec_changed(old, job):
            created = old.create_index if old is not None else self._store.state.index + 1
            version = old.version + 1 if old is not None else 0
            index = old.job_modify_index + 1 if old is not None else created
            job.update(CreateIndex=created, Version=version, JobModifyIndex=index, ModifyIndex=index)
            spec = job_spec(job, f"{job['Namespace']}/{job['ID']}@{created}.{version}")
        else:
            spec = self._store.spec(old.key)
        evaluation = Evaluation(
            id=self._store.kernel.new_id(),
            namespace=spec.namespace,
            job_id=spec.id,
            type=spec.type,
            priority=spec.priority,
            triggered_by=ev.JOB_REGISTER,
            create_time=self._now,
            modify_time=self._now,
            snapshot_index=self._store.state.index,
        )
        return (
            decide(self._store, evaluation, spec),
            old.job_modify_index if old is not None else 0,
            self.warnings(job),
            evaluation,
            job_diff(self._store.state.versions[old.key].spec if old is not None else None, job),
        )

    # -- allocations

    def stop_alloc(self, alloc_id: str, *, no_shutdown_delay: bool = False, reschedule: bool = False) -> dict[str, Any]:
        """Stop one allocation; a replacement follows, for batch too (source: ``Alloc.Stop``)."""
        alloc = self._store.state.allocs.get(alloc_id)
        if alloc is None:
            raise ApiError(404, "alloc not found")
        new = alloc.clone()
        new.transition = new.transition or Transition()
        new.transition.migrate = True
        new.transition.no_shutdown_delay = no_shutdown_delay
        new.transition.reschedule = reschedule
        spec = self._store.spec(alloc.job_key)
        index = self._store.next_index("allocs")
        self._store.upsert_allocs(index, [new])
        evaluation = Evaluation(
            id=self._store.kernel.new_id(),
            namespace=alloc.namespace,
            job_id=alloc.job_id,
            type=alloc.job_type,
            priority=spec.priority,
            triggered_by=ev.ALLOC_STOP,
            job_modify_index=alloc.job_modify_index,
            create_time=self._now,
            modify_time=self._now,
        )
        self._store.upsert_evals(index, [evaluation], nested=True)
        self._worker.hand_on([evaluation])
        return {"EvalID": evaluation.id, "Index": index}
