"""An evaluation: a request to look at one job, and what came of it (source: ``nomad/structs/eval.go``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from providers.sandbox.world.nomad.allocation import PlacementMetrics

BLOCKED, PENDING, COMPLETE, FAILED, CANCELED = "blocked", "pending", "complete", "failed", "canceled"

# What started an evaluation (TriggeredBy).
JOB_REGISTER, JOB_DEREGISTER, PERIODIC_JOB = "job-register", "job-deregister", "periodic-job"
NODE_DRAIN, NODE_UPDATE, ALLOC_STOP, SCALING = "node-drain", "node-update", "alloc-stop", "job-scaling"
DEPLOYMENT_WATCHER, FAILED_FOLLOW_UP, MAX_PLANS = "deployment-watcher", "failed-follow-up", "max-plan-attempts"
RETRY_FAILED_ALLOC, QUEUED_ALLOCS, PREEMPTION = "alloc-failure", "queued-allocs", "preemption"
MAX_DISCONNECT, RECONNECT, ALLOC_RESCHEDULE = "max-disconnect-timeout", "reconnect", "alloc-reschedule"

DESC_BLOCKED = "created to place remaining allocations"
DESC_BLOCKED_MAX_PLANS = "created due to placement conflicts"
DESC_RESCHEDULE = "created for delayed rescheduling"
DESC_DISCONNECT = "created for delayed disconnect timeout"


@dataclass(slots=True)
class DesiredUpdates:
    """What a scheduler meant to do with one group (``PlanAnnotations.DesiredTGUpdates``)."""

    ignore: int = 0
    place: int = 0
    migrate: int = 0
    stop: int = 0
    in_place_update: int = 0
    destructive_update: int = 0
    canary: int = 0
    preemptions: int = 0
    disconnect: int = 0
    reconnect: int = 0
    reschedule_now: int = 0
    reschedule_later: int = 0


@dataclass(slots=True)
class Evaluation:
    """See the module. ``wait_until`` in virtual seconds: not before then."""

    id: str
    namespace: str
    job_id: str
    type: str
    priority: int
    triggered_by: str
    status: str = PENDING
    description: str = ""
    node_id: str = ""
    node_modify_index: int = 0
    job_modify_index: int = 0
    deployment_id: str = ""
    wait_until: float | None = None
    previous: str = ""
    next: str = ""
    blocked: str = ""
    failed: dict[str, PlacementMetrics] = field(default_factory=dict)
    class_eligibility: dict[str, bool] | None = None
    escaped: bool = False
    missing: list[str] = field(default_factory=list)  # what no node has: CSI volumes that do not exist
    queued: dict[str, int] | None = None
    desired: dict[str, DesiredUpdates] | None = None  # None: no annotations
    preempted: list[str] = field(default_factory=list)
    snapshot_index: int = 0
    create_index: int = 0
    modify_index: int = 0
    create_time: float = 0.0
    modify_time: float = 0.0

    @property
    def terminal(self) -> bool:
        """Whether nothing will come of it any more."""
        return self.status in (COMPLETE, FAILED, CANCELED)

    @property
    def job_key(self) -> str:
        """The job it is about."""
        return f"{self.namespace}/{self.job_id}"
