"""An allocation as the servers know it, and the questions asked of one (source: ``nomad/structs/alloc.go``)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

RUN, STOP, EVICT = "run", "stop", "evict"
PENDING, RUNNING, COMPLETE, FAILED, LOST, UNKNOWN = "pending", "running", "complete", "failed", "lost", "unknown"

RESCHEDULE_SUCCESS, RESCHEDULE_FAILED = "ok", "no placement"


@dataclass(slots=True)
class Usage:
    """What an allocation takes from its node: MHz, MiB, core ids; folded over the tasks' lifecycles."""

    cpu: int = 0
    memory: int = 0
    disk: int = 0
    cores: list[int] = field(default_factory=list)


@dataclass(slots=True)
class AssignedDevice:
    """Instances of one device group given to a task."""

    vendor: str
    type: str
    name: str
    ids: list[str]

    @property
    def group(self) -> str:
        """The full name of the device group."""
        return f"{self.vendor}/{self.type}/{self.name}"


@dataclass(slots=True)
class TaskResources:
    """What a task was given; ``memory_max`` is only recorded with memory oversubscription (-1 no limit)."""

    cpu: int
    memory: int
    memory_max: int = 0
    cores: list[int] | None = None
    devices: list[AssignedDevice] = field(default_factory=list)


@dataclass(slots=True)
class PortMapping:
    """A host port given to a group."""

    label: str
    value: int
    to: int
    host_ip: str
    dynamic: bool = False
    ignore_collision: bool = False


@dataclass(slots=True)
class DeploymentStatus:
    """Whether the client found the allocation healthy; None until it knows."""

    healthy: bool | None = None
    timestamp: float = 0.0
    canary: bool = False
    modify_index: int = 0


@dataclass(slots=True)
class Transition:
    """What the servers want to happen to an allocation that runs (``DesiredTransition``)."""

    migrate: bool | None = None
    reschedule: bool | None = None
    force_reschedule: bool | None = None
    no_shutdown_delay: bool | None = None
    migrate_disable_placement: bool | None = None


@dataclass(slots=True)
class RescheduleEvent:
    """One earlier attempt: when, from which allocation and node, after which delay (seconds)."""

    at: float
    alloc_id: str
    node_id: str
    delay: float


@dataclass(slots=True)
class RescheduleTracker:
    """The attempts so far, and how the last one went."""

    events: list[RescheduleEvent] = field(default_factory=list)
    last: str = ""


@dataclass(slots=True)
class ClientState:
    """A client status that was written down because it matters for reconnecting (``AllocStates``)."""

    value: str
    at: float


@dataclass(slots=True)
class TaskState:
    """A task as its client reports it: ``pending``, ``running`` or ``dead``."""

    state: str = "pending"
    failed: bool = False
    restarts: int = 0
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def successful(self) -> bool:
        """Whether it ended by itself, well."""
        return self.state == "dead" and not self.failed


@dataclass(slots=True)
class NodeScore:
    """How one node ranked for a placement: the components, and their mean over those that count."""

    node_id: str
    norm: float
    parts: dict[str, float]


@dataclass(slots=True)
class PlacementMetrics:
    """What the scheduler saw when it placed an allocation; the best five nodes."""

    nodes_evaluated: int = 0
    nodes_filtered: int = 0
    nodes_in_pool: int = 0
    nodes_available: dict[str, int] | None = None
    nodes_exhausted: int = 0
    node_pool: str = ""
    class_filtered: dict[str, int] = field(default_factory=dict)
    constraint_filtered: dict[str, int] = field(default_factory=dict)
    class_exhausted: dict[str, int] = field(default_factory=dict)
    dimension_exhausted: dict[str, int] = field(default_factory=dict)
    resources_exhausted: dict[str, tuple[int, int]] | None = None  # task → MHz, MiB
    coalesced_failures: int = 0
    scores: list[NodeScore] = field(default_factory=list)


@dataclass(slots=True)
class Allocation:
    """One copy of a task group on a node. ``job_key`` names the version of the job it was made from."""

    id: str
    name: str
    namespace: str
    job_id: str
    job_key: str
    job_version: int
    job_create_index: int
    job_modify_index: int  # of the specification
    job_type: str
    group: str
    node_id: str
    node_name: str
    eval_id: str
    usage: Usage
    tasks: dict[str, TaskResources] = field(default_factory=dict)
    ports: list[PortMapping] = field(default_factory=list)
    desired: str = RUN
    desired_description: str = ""
    client: str = PENDING
    client_description: str = ""
    transition: Transition | None = None
    deployment_id: str = ""
    deployment_status: DeploymentStatus | None = None
    task_states: dict[str, TaskState] = field(default_factory=dict)
    states: list[ClientState] = field(default_factory=list)
    previous: str = ""
    next: str = ""
    followup_eval_id: str = ""
    reschedule: RescheduleTracker | None = None
    preempted: list[str] = field(default_factory=list)
    preempted_by: str = ""
    metrics: PlacementMetrics | None = None
    create_index: int = 0
    modify_index: int = 0
    alloc_modify_index: int = 0
    create_time: float = 0.0
    modify_time: float = 0.0

    def clone(self) -> Allocation:
        """Copy what a scheduler may change; what is never changed in place is shared."""
        new = copy.copy(self)
        if self.transition is not None:
            new.transition = copy.copy(self.transition)
        if self.deployment_status is not None:
            new.deployment_status = copy.copy(self.deployment_status)
        if self.reschedule is not None:
            new.reschedule = RescheduleTracker(events=list(self.reschedule.events), last=self.reschedule.last)
        new.states = list(self.states)
        return new

    @property
    def server_terminal(self) -> bool:
        """Whether the servers want it gone."""
        return self.desired in (STOP, EVICT)

    @property
    def client_terminal(self) -> bool:
        """Whether the client (or the servers in its place) said that it has ended: it takes no room any more."""
        return self.client in (COMPLETE, FAILED, LOST)

    @property
    def terminal(self) -> bool:
        """Whether it is over on either side."""
        return self.server_terminal or self.client_terminal

    @property
    def index(self) -> int:
        """The number in its name."""
        return index_of(self.name)

    @property
    def wants_migration(self) -> bool:
        """``DesiredTransition.Migrate``."""
        return self.transition is not None and bool(self.transition.migrate)

    @property
    def wants_reschedule(self) -> bool:
        """``DesiredTransition.Reschedule``."""
        return self.transition is not None and bool(self.transition.reschedule)

    @property
    def wants_force_reschedule(self) -> bool:
        """``DesiredTransition.ForceReschedule``."""
        return self.transition is not None and bool(self.transition.force_reschedule)

    @property
    def placement_disabled(self) -> bool:
        """``DesiredTransition.MigrateDisablePlacement``: stopped by a drain's end, not to be replaced."""
        return self.transition is not None and bool(self.transition.migrate_disable_placement)

    @property
    def is_canary(self) -> bool:
        """Whether it was placed as a canary and not yet promoted."""
        return self.deployment_status is not None and self.deployment_status.canary

    @property
    def healthy(self) -> bool | None:
        """The client's verdict; None while it has none."""
        return self.deployment_status.healthy if self.deployment_status is not None else None

    @property
    def needs_reconnect(self) -> bool:
        """Whether the last client status written down was ``unknown``."""
        return bool(self.states) and self.states[-1].value == UNKNOWN

    @property
    def last_unknown(self) -> float | None:
        """When it became unknown (the first of the latest run of such entries)."""
        found: float | None = None
        for state in reversed(self.states):
            if state.value == UNKNOWN:
                found = state.at
            elif found is not None:
                break
        return found

    @property
    def last_reschedule_failed(self) -> bool:
        """Whether the last attempt to replace it found no room."""
        return self.reschedule is not None and self.reschedule.last not in ("", RESCHEDULE_SUCCESS)

    @property
    def ran_successfully(self) -> bool:
        """Whether every task ended well."""
        return bool(self.task_states) and all(t.successful for t in self.task_states.values())

    @property
    def last_event_time(self) -> float:
        """When the last task ended; if none did, when the record last changed."""
        ends = [t.finished_at for t in self.task_states.values() if t.finished_at is not None]
        return max(ends) if ends else self.modify_time


def alloc_name(job: str, group: str, index: int) -> str:
    """Name copy ``index`` of a group."""
    return f"{job}.{group}[{index}]"


def index_of(name: str) -> int:
    """Read the number back from an allocation's name."""
    return int(name[name.rindex("[") + 1 : -1])
