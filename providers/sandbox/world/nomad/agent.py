"""A client agent: what its machine is, what it runs, what it last heard from the servers."""

from __future__ import annotations

from dataclasses import dataclass, field

from providers.sandbox.world.nomad.allocation import TaskState
from providers.sandbox.world.nomad.node import HostVolume, Reserved

UP, FROZEN, STOPPED = "up", "frozen", "stopped"


@dataclass(slots=True)
class DeviceSpec:
    """A device group of a machine: how many equal instances it has."""

    vendor: str
    type: str
    name: str
    instances: int = 1
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class AgentSpec:
    """A machine and its agent's configuration; the fields are those of a scenario's ``nodes``.

    MHz over all cores, MiB, core ids, MHz of each core; ``drivers`` maps a name to its health.
    ``unhealthy_after_seconds``: the mock driver is no longer detected that long after the agent's start.
    """

    name: str
    cpu_mhz: int
    memory_mib: int
    disk_mib: int
    datacenter: str = "dc1"
    node_pool: str = "default"
    node_class: str = ""
    region: str = "global"
    address: str = ""
    meta: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    drivers: dict[str, bool] = field(default_factory=dict)
    cores: list[int] = field(default_factory=list)
    core_mhz: list[int] = field(default_factory=list)
    dynamic_ports: tuple[int, int] = (20000, 32000)
    reserved: Reserved = field(default_factory=Reserved)
    devices: list[DeviceSpec] = field(default_factory=list)
    host_volumes: dict[str, HostVolume] = field(default_factory=dict)
    max_allocs: int = 0
    default_ineligible: bool = False
    fingerprint_denylist: list[str] = field(default_factory=list)
    unhealthy_after_seconds: float | None = None


@dataclass(slots=True)
class RunningTask:
    """A task in its client's hands. At ``due`` it starts (pending) or ends by itself (running); None: not by itself."""

    state: TaskState = field(default_factory=TaskState)
    due: float | None = None
    restarts: list[float] = field(default_factory=list)  # when it was restarted, within the policy's interval


@dataclass(slots=True)
class RunningAlloc:
    """An allocation in its client's hands."""

    id: str
    alloc_modify_index: int
    deployment_id: str = ""
    client: str = "pending"
    description: str = "No tasks have started"
    told: str = ""  # the client status that the servers were told last; none yet
    tasks: dict[str, RunningTask] = field(default_factory=dict)
    healthy: bool | None = None
    health_at: float = 0.0
    watch_until: float | None = None  # the health watcher is on, and says unhealthy then
    all_running_since: float | None = None  # for the health watcher
    killed_at: float | None = None  # its tasks are being stopped and will have ended then
    restored: bool = False  # taken up again by a restarted agent
    destroyed: bool = False  # the servers do not know it any more: no verdict on its health
    ends_at: float | None = None  # max_run_duration is over then
    overran: bool = False  # it was


@dataclass(slots=True)
class Deferred:
    """An event that a frozen agent sees when it is thawed."""

    kind: str
    args: list[str | int | float | bool | None]


@dataclass(slots=True)
class Agent:
    """A client agent. ``life`` counts its starts: events of an earlier life are ignored."""

    spec: AgentSpec
    node_id: str = ""
    status: str = STOPPED
    life: int = 0
    started_at: float = 0.0
    registered: bool = False  # the servers answered this life's registration
    heartbeating: bool = False  # a first heartbeat of this life was answered
    attributes: dict[str, str] = field(default_factory=dict)  # as fingerprinted at this start
    dynamic_meta: dict[str, str | None] = field(default_factory=dict)  # told by hand; None: without the static one
    heartbeat_at: float = 0.0  # the last answered heartbeat
    eligibility_was: str = ""  # the servers' word before its last change, ...
    eligibility_now: str = ""  # ... after it, ...
    eligibility_changed_at: float = 0.0  # ... and when that was
    heard_eligibility: str = "eligible"  # what it had heard when its node was purged
    allocs: dict[str, RunningAlloc] = field(default_factory=dict)
    inbox: list[str] = field(default_factory=list)  # allocations that changed at the servers
    dirty: list[str] = field(default_factory=list)  # allocations whose change the servers have not heard
    update_at: float | None = None  # when the next update is sent
    update_sent_at: float = 0.0  # when the last one was taken; its ticks are counted from then
    pulling: bool = False  # a pull is scheduled
    deferred: list[Deferred] = field(default_factory=list)  # what came while it was frozen
