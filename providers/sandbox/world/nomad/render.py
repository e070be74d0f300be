"""Records as Nomad's HTTP API shows them (source: facts/nomad.md §1.1, recordings/http)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation, PlacementMetrics, TaskState, Transition
    from providers.sandbox.world.nomad.deployment import Deployment
    from providers.sandbox.world.nomad.evaluation import DesiredUpdates, Evaluation
    from providers.sandbox.world.nomad.job import Job, JobSummary
    from providers.sandbox.world.nomad.jobspec import JobSpec
    from providers.sandbox.world.nomad.settings import SchedulerConfiguration
    from providers.sandbox.world.nomad.state import Namespace, NodePool

Json = dict[str, Any]

SIGNING_KEY = "f5aa1600-3066-4f46-af29-c92fe134d329"
"""The cluster's one key for identities of work; nothing here is really signed with it."""


class Calendar:
    """Virtual seconds as dates."""

    def __init__(self, epoch_unix: int, pace: float = 1.0) -> None:
        self._epoch, self._pace = epoch_unix, pace

    def unix(self, at: float) -> int:
        """Give whole seconds since 1970."""
        return self._epoch + int(at / self._pace)

    def nanoseconds(self, at: float) -> int:
        """Give nanoseconds since 1970."""
        return self._epoch * 1_000_000_000 + round(at / self._pace * 1e9)

    def text(self, at: float | None, *, whole: bool = False) -> str | None:
        """Give RFC 3339; None stays None."""
        if at is None:
            return None
        moment = dt.datetime.fromtimestamp(self._epoch, dt.UTC) + dt.timedelta(seconds=at / self._pace)
        if whole:
            moment = moment.replace(microsecond=0)
        return moment.isoformat().replace("+00:00", "Z")


def without_empty(table: Json) -> Json:
    """Leave out what Go's omit-empty leaves out."""
    return {k: v for k, v in table.items() if v}


def _or_null(table: Any) -> Any:
    return table or None


_RESOURCES: Json = {
    "CPU": 0,
    "Cores": 0,
    "Devices": None,
    "DiskMB": 0,
    "IOPS": 0,
    "MemoryMB": 0,
    "MemoryMaxMB": 0,
    "NUMA": None,
    "Networks": None,
    "SecretsMB": 0,
}


def metrics(m: PlacementMetrics) -> Json:
    """``AllocMetric``."""
    exhausted = m.resources_exhausted
    return {
        "AllocationTime": 0,
        "ClassExhausted": _or_null(dict(m.class_exhausted)),
        "ClassFiltered": _or_null(dict(m.class_filtered)),
        "CoalescedFailures": m.coalesced_failures,
        "ConstraintFiltered": _or_null(dict(m.constraint_filtered)),
        "DimensionExhausted": _or_null(dict(m.dimension_exhausted)),
        "NodePool": m.node_pool,
        "NodesAvailable": m.nodes_available if m.nodes_available is None else dict(m.nodes_available),
        "NodesEvaluated": m.nodes_evaluated,
        "NodesExhausted": m.nodes_exhausted,
        "NodesFiltered": m.nodes_filtered,
        "NodesInPool": m.nodes_in_pool,
        "QuotaExhausted": None,
        "ResourcesExhausted": None
        if exhausted is None
        else {t: {**_RESOURCES, "CPU": cpu, "MemoryMB": mem} for t, (cpu, mem) in exhausted.items()},
        "ScoreMetaData": [{"NodeID": s.node_id, "NormScore": s.norm, "Scores": dict(s.parts)} for s in m.scores]
        or None,
        "Scores": None,
    }


def desired(updates: dict[str, DesiredUpdates] | None) -> Json | None:
    """``PlanAnnotations``."""
    if updates is None:
        return None
    return {
        "DesiredTGUpdates": {
            group: {
                "Canary": d.canary,
                "DestructiveUpdate": d.destructive_update,
                "Disconnect": d.disconnect,
                "Ignore": d.ignore,
                "InPlaceUpdate": d.in_place_update,
                "Migrate": d.migrate,
                "Place": d.place,
                "Preemptions": d.preemptions,
                "Reconnect": d.reconnect,
                "RescheduleLater": d.reschedule_later,
                "RescheduleNow": d.reschedule_now,
                "Stop": d.stop,
            }
            for group, d in updates.items()
        },
        "PreemptedAllocs": None,
    }


def evaluation(e: Evaluation, calendar: Calendar) -> Json:
    """Show an evaluation; what is empty is left out."""
    out: Json = {
        "ClassEligibility": e.class_eligibility,
        "CreateIndex": e.create_index,
        "CreateTime": calendar.nanoseconds(e.create_time),
        "DeploymentID": e.deployment_id,
        "EscapedComputedClass": e.escaped,
        "BlockedEval": e.blocked,
        "FailedTGAllocs": {g: metrics(m) for g, m in e.failed.items()},
        "ID": e.id,
        "JobID": e.job_id,
        "JobModifyIndex": e.job_modify_index,
        "MissingNonNodeResources": e.missing,
        "ModifyIndex": e.modify_index,
        "ModifyTime": calendar.nanoseconds(e.modify_time),
        "Namespace": e.namespace,
        "NextEval": e.next,
        "NodeID": e.node_id,
        "NodeModifyIndex": e.node_modify_index,
        "PlanAnnotations": desired(e.desired),
        "PreviousEval": e.previous,
        "Priority": e.priority,
        "QueuedAllocations": e.queued,
        "SnapshotIndex": e.snapshot_index,
        "Status": e.status,
        "StatusDescription": e.description,
        "TriggeredBy": e.triggered_by,
        "Type": e.type,
        "WaitUntil": calendar.text(e.wait_until),
    }
    return without_empty(out)


def evaluation_stub(e: Evaluation, calendar: Calendar) -> Json:
    """Show an evaluation as a related one."""
    return {
        "BlockedEval": e.blocked,
        "CreateIndex": e.create_index,
        "CreateTime": calendar.nanoseconds(e.create_time),
        "DeploymentID": e.deployment_id,
        "ID": e.id,
        "JobID": e.job_id,
        "ModifyIndex": e.modify_index,
        "ModifyTime": calendar.nanoseconds(e.modify_time),
        "Namespace": e.namespace,
        "NextEval": e.next,
        "NodeID": e.node_id,
        "PreviousEval": e.previous,
        "Priority": e.priority,
        "Status": e.status,
        "StatusDescription": e.description,
        "TriggeredBy": e.triggered_by,
        "Type": e.type,
        "WaitUntil": calendar.text(e.wait_until),
    }


def _transition(t: Transition | None) -> Json:
    return {
        "ForceReschedule": t.force_reschedule if t is not None else None,
        "Migrate": t.migrate if t is not None else None,
        "MigrateDisablePlacement": t.migrate_disable_placement if t is not None else None,
        "NoShutdownDelay": t.no_shutdown_delay if t is not None else None,
        "Reschedule": t.reschedule if t is not None else None,
    }


def _health(a: Allocation, calendar: Calendar) -> Json | None:
    status = a.deployment_status
    if status is None:
        return None
    return {
        "Canary": status.canary,
        "Healthy": status.healthy,
        "ModifyIndex": status.modify_index,
        "Timestamp": calendar.text(status.timestamp) if status.healthy is not None else None,
    }


def _task_state(t: TaskState, calendar: Calendar) -> Json:
    return {
        "Events": [],
        "Failed": t.failed,
        "FinishedAt": calendar.text(t.finished_at),
        "LastRestart": None,
        "Paused": "",
        "Restarts": t.restarts,
        "StartedAt": calendar.text(t.started_at),
        "State": t.state,
    }


def _tracker(a: Allocation, calendar: Calendar) -> Json | None:
    if a.reschedule is None:
        return None
    return {
        "Events": [
            {
                "Delay": round(e.delay * 1e9),
                "PrevAllocID": e.alloc_id,
                "PrevNodeID": e.node_id,
                "RescheduleTime": calendar.nanoseconds(e.at),
            }
            for e in a.reschedule.events
        ]
        or None,
        "LastReschedule": a.reschedule.last,
    }


def _networks(a: Allocation) -> list[Json] | None:
    if not a.ports:
        return None
    ports = {
        kind: [
            {"HostNetwork": "default", "Label": p.label, "Value": p.value, **({"To": p.to} if p.to else {})}
            for p in a.ports
            if p.dynamic == (kind == "DynamicPorts")
        ]
        for kind in ("DynamicPorts", "ReservedPorts")
    }
    return [without_empty({**ports, "IP": a.ports[0].host_ip, "Mode": "host"})]


def resources(a: Allocation, spec: JobSpec) -> Json:
    """``AllocatedResources``."""
    hooks = {t.name: (t.hook, t.sidecar) for t in spec.groups[a.group].tasks} if a.group in spec.groups else {}
    lifecycles = {}
    for name in a.tasks:
        hook, sidecar = hooks.get(name, ("", False))
        lifecycles[name] = {"Hook": hook, "Sidecar": sidecar} if hook else None
    return {
        "Shared": {
            "DiskMB": a.usage.disk,
            "Networks": _networks(a),
            "Ports": [
                without_empty({"HostIP": p.host_ip, "Label": p.label, "To": p.to, "Value": p.value}) for p in a.ports
            ]
            or None,
        },
        "TaskLifecycles": lifecycles,
        "Tasks": {
            name: {
                "Cpu": {"CpuShares": t.cpu, "ReservedCores": t.cores},
                "Devices": [
                    {"DeviceIDs": list(d.ids), "Name": d.name, "Type": d.type, "Vendor": d.vendor} for d in t.devices
                ]
                or None,
                "Memory": {"MemoryMB": t.memory, "MemoryMaxMB": t.memory_max},
                "Networks": None,
            }
            for name, t in a.tasks.items()
        },
    }


def allocation_stub(a: Allocation, spec: JobSpec, calendar: Calendar) -> Json:
    """One entry of ``/v1/allocations``, with its resources; callers blank them where they were not asked for."""
    return {
        "AllocatedResources": resources(a, spec),
        "ClientDescription": a.client_description,
        "ClientStatus": a.client,
        "CreateIndex": a.create_index,
        "CreateTime": calendar.nanoseconds(a.create_time),
        "DeploymentStatus": _health(a, calendar),
        "DesiredDescription": a.desired_description,
        "DesiredStatus": a.desired,
        "DesiredTransition": _transition(a.transition),
        "EvalID": a.eval_id,
        "FollowupEvalID": a.followup_eval_id,
        "ID": a.id,
        "JobID": a.job_id,
        "JobType": a.job_type,
        "JobVersion": a.job_version,
        "ModifyIndex": a.modify_index,
        "ModifyTime": calendar.nanoseconds(a.modify_time),
        "Name": a.name,
        "Namespace": a.namespace,
        "NextAllocation": a.next,
        "NodeID": a.node_id,
        "NodeName": a.node_name,
        "PreemptedAllocations": list(a.preempted) or None,
        "PreemptedByAllocation": a.preempted_by,
        "RescheduleTracker": _tracker(a, calendar),
        "TaskGroup": a.group,
        "TaskStates": {n: _task_state(t, calendar) for n, t in a.task_states.items()} or None,
    }


def allocation(a: Allocation, spec: JobSpec, job: Json, calendar: Calendar) -> Json:
    """Show one allocation in full, with its job; what is empty is left out."""
    networks = _networks(a)
    cpu = sum(t.cpu for t in a.tasks.values())
    memory = sum(t.memory for t in a.tasks.values())
    states = [{"Field": 0, "Time": calendar.text(s.at), "Value": s.value} for s in a.states]
    transition = _transition(a.transition)  # whole, once anything of it is set
    out: Json = {
        **allocation_stub(a, spec, calendar),
        "AllocModifyIndex": a.alloc_modify_index,
        "AllocStates": states,
        "DeploymentID": a.deployment_id,
        "DesiredTransition": transition if without_empty(transition) else None,
        "Job": job,
        "Metrics": metrics(a.metrics) if a.metrics is not None else None,
        "PreviousAllocation": a.previous,
        "Resources": {
            **_RESOURCES,
            "CPU": cpu,
            "MemoryMB": memory,
            "MemoryMaxMB": memory,
            "DiskMB": a.usage.disk,
            "Networks": networks,
        },
        "SigningKeyID": SIGNING_KEY,
        "SharedResources": {**_RESOURCES, "DiskMB": a.usage.disk, "Networks": networks},
        "TaskResources": {
            n: {**_RESOURCES, "CPU": t.cpu, "MemoryMB": t.memory, "MemoryMaxMB": t.memory_max}
            for n, t in a.tasks.items()
        },
    }
    for name in ("JobType", "JobVersion"):
        del out[name]
    if a.task_states:
        out["NetworkStatus"] = {"Address": "", "AddressIPv6": "", "DNS": None, "InterfaceName": ""}
    return without_empty(out)


def summary(job: Job) -> Json:
    """``JobSummary``."""
    s: JobSummary = job.summary
    children = {"Dead": s.children.dead, "Pending": s.children.pending, "Running": s.children.running}
    return {
        "Children": children if job.periodic or job.parameterized or not s.rebuilt else None,
        "CreateIndex": s.create_index,
        "JobID": job.id,
        "ModifyIndex": s.modify_index,
        "Namespace": job.namespace,
        "Summary": {
            name: {
                "Complete": g.complete,
                "Failed": g.failed,
                "Lost": g.lost,
                "Queued": g.queued,
                "Running": g.running,
                "Starting": g.starting,
                "Unknown": g.unknown,
            }
            for name, g in s.groups.items()
        },
    }


def job_stub(job: Job, spec: JobSpec, calendar: Calendar) -> Json:
    """One entry of ``/v1/jobs``."""
    return {
        "CreateIndex": job.create_index,
        "Datacenters": list(spec.datacenters),
        "ID": job.id,
        "JobModifyIndex": job.job_modify_index,
        "JobSummary": summary(job),
        "ModifyIndex": job.modify_index,
        "Multiregion": None,
        "Name": spec.name,
        "Namespace": job.namespace,
        "NodePool": job.node_pool,
        "ParameterizedJob": job.parameterized,
        "ParentID": job.parent,
        "Periodic": job.periodic,
        "Priority": job.priority,
        "Status": job.status,
        "StatusDescription": job.status_description,
        "Stop": job.stop,
        "SubmitTime": calendar.nanoseconds(job.submit_time),
        "Type": job.type,
    }


def job(record: Job, spec: JobSpec, calendar: Calendar) -> Json:
    """One job in full, canonical."""
    return {
        **spec.raw,
        "CreateIndex": record.create_index,
        "JobModifyIndex": record.job_modify_index,
        "ModifyIndex": record.modify_index,
        "Stable": record.stable,
        "Status": record.status,
        "StatusDescription": record.status_description,
        "Stop": record.stop,
        "SubmitTime": calendar.nanoseconds(record.submit_time),
        "Version": record.version,
    }


def deployment(d: Deployment, calendar: Calendar) -> Json:
    """One deployment."""
    return {
        "CreateIndex": d.create_index,
        "CreateTime": calendar.nanoseconds(d.create_time),
        "EvalPriority": d.eval_priority,
        "ID": d.id,
        "IsMultiregion": False,
        "JobCreateIndex": d.job_create_index,
        "JobID": d.job_id,
        "JobModifyIndex": d.job_modify_index,
        "JobSpecModifyIndex": d.job_spec_modify_index,
        "JobVersion": d.job_version,
        "ModifyIndex": d.modify_index,
        "ModifyTime": calendar.nanoseconds(d.modify_time),
        "Namespace": d.namespace,
        "Status": d.status,
        "StatusDescription": d.description,
        "TaskGroups": {
            name: {
                "AutoPromote": g.auto_promote,
                "AutoRevert": g.auto_revert,
                "DesiredCanaries": g.desired_canaries,
                "DesiredTotal": g.desired_total,
                "HealthyAllocs": g.healthy,
                "PlacedAllocs": g.placed,
                "PlacedCanaries": list(g.placed_canaries) or None,
                "ProgressDeadline": round(g.progress_deadline * 1e9),
                "Promoted": g.promoted,
                "RequireProgressBy": calendar.text(g.require_progress_by),
                "UnhealthyAllocs": g.unhealthy,
            }
            for name, g in d.groups.items()
        },
    }


def pool(p: NodePool) -> Json:
    """One node pool."""
    return {
        "CreateIndex": p.create_index,
        "Description": p.description,
        "Hash": p.hash,
        "Meta": p.meta,
        "ModifyIndex": p.modify_index,
        "Name": p.name,
        "NodeIdentityTTL": round(p.identity_ttl * 1e9),
        "SchedulerConfiguration": None,
    }


def namespace(n: Namespace) -> Json:
    """One namespace."""
    return {
        "Capabilities": None,
        "ConsulConfiguration": None,
        "CreateIndex": n.create_index,
        "Description": n.description,
        "Hash": None,
        "Meta": n.meta,
        "ModifyIndex": n.modify_index,
        "Name": n.name,
        "NodePoolConfiguration": None,
        "OptionalExtraClaims": None,
        "Quota": "",
        "RequiredExtraClaims": None,
        "VaultConfiguration": None,
    }


def scheduler(c: SchedulerConfiguration) -> Json:
    """``SchedulerConfig``."""
    return {
        "CreateIndex": c.create_index,
        "MemoryOversubscriptionEnabled": c.memory_oversubscription,
        "ModifyIndex": c.modify_index,
        "NodeLimitForFeasibilityChecks": c.node_limit,
        "PauseEvalBroker": c.pause_eval_broker,
        "PreemptionConfig": {
            "BatchSchedulerEnabled": c.preempt_batch,
            "ServiceSchedulerEnabled": c.preempt_service,
            "SysBatchSchedulerEnabled": c.preempt_sysbatch,
            "SystemSchedulerEnabled": c.preempt_system,
        },
        "RejectJobRegistration": c.reject_job_registration,
        "SchedulerAlgorithm": c.algorithm,
    }
