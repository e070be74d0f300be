"""A job in the servers' state, its versions and its summary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PENDING, RUNNING, DEAD = "pending", "running", "dead"


@dataclass(slots=True)
class GroupSummary:
    """Copies of one group by state; ``queued`` is what a scheduler wanted and could not place."""

    queued: int = 0
    complete: int = 0
    failed: int = 0
    running: int = 0
    starting: int = 0
    lost: int = 0
    unknown: int = 0


@dataclass(slots=True)
class Children:
    """Jobs made from a periodic or parameterized one, by status."""

    pending: int = 0
    running: int = 0
    dead: int = 0


@dataclass(slots=True)
class JobSummary:
    """What ``/v1/job/:id/summary`` says."""

    create_index: int
    modify_index: int
    groups: dict[str, GroupSummary] = field(default_factory=dict)
    children: Children = field(default_factory=Children)
    rebuilt: bool = False  # made anew by hand: who has no children is shown without them since


@dataclass(slots=True)
class JobVersion:
    """One version of a job's specification, canonical; kept while the job or an allocation needs it."""

    spec: dict[str, Any]
    stable: bool = False  # a deployment of it succeeded
    submit_time: float = 0.0


@dataclass(slots=True)
class Job:
    """A job as it stands; the specification is the version named by ``key``."""

    namespace: str
    id: str
    key: str
    type: str
    priority: int
    node_pool: str
    version: int
    create_index: int
    modify_index: int
    job_modify_index: int
    submit_time: float
    summary: JobSummary
    stop: bool = False
    stable: bool = False
    status: str = PENDING
    status_description: str = ""
    parent: str = ""
    periodic: bool = False
    parameterized: bool = False
    launches: int = 0  # periodic: how often its timer was set
    versions: list[str] = field(default_factory=list)  # keys, oldest first; at most six are kept
    idempotency: dict[str, str] = field(default_factory=dict)  # dispatch tokens → child
    scaled: list[dict[str, Any]] = field(default_factory=list)  # scaling events, newest first; ``At`` in seconds

    @property
    def name(self) -> str:
        """How other records name it."""
        return f"{self.namespace}/{self.id}"
