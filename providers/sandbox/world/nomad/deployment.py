"""A deployment: the roll-out of one version of a job (source: ``nomad/structs/deployment.go``)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

RUNNING, PAUSED, FAILED, SUCCESSFUL, CANCELLED = "running", "paused", "failed", "successful", "cancelled"

DESC_RUNNING = "Deployment is running"
DESC_NEEDS_PROMOTION = "Deployment is running but requires manual promotion"
DESC_AUTO_PROMOTION = "Deployment is running pending automatic promotion"
DESC_PAUSED = "Deployment is paused"
DESC_SUCCESSFUL = "Deployment completed successfully"
DESC_STOPPED_JOB = "Cancelled because job is stopped"
DESC_NEWER_JOB = "Cancelled due to newer version of job"
DESC_FAILED_ALLOCS = "Failed due to unhealthy allocations"
DESC_PROGRESS_DEADLINE = "Failed due to progress deadline"
DESC_FAILED_BY_USER = "Deployment marked as failed"


@dataclass(slots=True)
class GroupState:
    """How far one group of a deployment is; times in virtual seconds, ``progress_deadline`` in seconds (0 none)."""

    auto_revert: bool = False
    auto_promote: bool = False
    promoted: bool = False
    progress_deadline: float = 0.0
    require_progress_by: float | None = None
    placed_canaries: list[str] = field(default_factory=list)
    desired_canaries: int = 0
    desired_total: int = 0
    placed: int = 0
    healthy: int = 0
    unhealthy: int = 0


@dataclass(slots=True)
class Deployment:
    """See the module."""

    id: str
    namespace: str
    job_id: str
    job_version: int
    job_modify_index: int
    job_spec_modify_index: int
    job_create_index: int
    eval_priority: int
    groups: dict[str, GroupState] = field(default_factory=dict)
    status: str = RUNNING
    description: str = DESC_RUNNING
    create_index: int = 0
    modify_index: int = 0
    create_time: float = 0.0
    modify_time: float = 0.0

    @property
    def active(self) -> bool:
        """Whether it may still do something."""
        return self.status in (RUNNING, PAUSED)

    @property
    def requires_promotion(self) -> bool:
        """Whether canaries wait for a person (or for auto-promotion)."""
        return self.status == RUNNING and any(g.desired_canaries > 0 and not g.promoted for g in self.groups.values())

    @property
    def auto_promotes(self) -> bool:
        """Whether every group with canaries promotes itself."""
        return bool(self.groups) and all(g.auto_promote for g in self.groups.values() if g.desired_canaries > 0)


def copy_deployment(deployment: Deployment | None) -> Deployment | None:
    """Copy a deployment so that a plan may change it."""
    if deployment is None:
        return None
    groups = {n: replace(g, placed_canaries=list(g.placed_canaries)) for n, g in deployment.groups.items()}
    return replace(deployment, groups=groups)
