"""A stored job in the form that rules read: typed, immutable, made once for each version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.sandbox.world.nomad.canonical import nanoseconds

DISTINCT_HOSTS, DISTINCT_PROPERTY = "distinct_hosts", "distinct_property"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One condition on a node; its text is what a failure is counted under."""

    left: str
    operand: str
    right: str

    def __str__(self) -> str:
        return f"{self.left} {self.operand} {self.right}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """A wish, -100 to 100."""

    left: str
    operand: str
    right: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Copies shall spread over the values of an attribute; ``targets`` maps a value to its percentage."""

    attribute: str
    weight: int
    targets: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAsk:
    """``type``, ``vendor/type`` or ``vendor/type/name``, and how many instances."""

    name: str
    count: int
    constraints: tuple[Constraint, ...]
    affinities: tuple[Affinity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortAsk:
    """A port; ``value`` 0 when dynamic."""

    label: str
    value: int
    to: int
    host_network: str
    ignore_collision: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAsk:
    """The first network of a group (the others are ignored by Nomad)."""

    mode: str
    static: tuple[PortAsk, ...]
    dynamic: tuple[PortAsk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The client's own restarts; seconds."""

    attempts: int
    delay: float
    interval: float
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One task. ``run_for`` in seconds, None for ever; ``hook`` prestart, poststart, poststop or empty."""

    name: str
    driver: str
    cpu: int
    cores: int
    memory: int
    memory_max: int
    secrets: int
    devices: tuple[DeviceAsk, ...]
    constraints: tuple[Constraint, ...]
    affinities: tuple[Affinity, ...]
    hook: str
    sidecar: bool
    leader: bool
    run_for: float | None
    exit_code: int
    start_error: str
    start_block: float
    kill_timeout: float
    kill_after: float
    shutdown_delay: float
    restart: Restart
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reschedule:
    """The servers' replacement of failed copies; seconds."""

    attempts: int
    interval: float
    delay: float
    function: str
    max_delay: float
    unlimited: bool

    @property
    def enabled(self) -> bool:
        """Whether failed copies are replaced at all."""
        return self.attempts > 0 or self.unlimited


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """How a new version is rolled out; seconds."""

    max_parallel: int
    health_check: str
    min_healthy_time: float
    healthy_deadline: float
    progress_deadline: float
    auto_revert: bool
    auto_promote: bool
    canary: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrate:
    """How copies leave a draining node; seconds."""

    max_parallel: int
    min_healthy_time: float
    healthy_deadline: float
    health_check: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """What happens to copies whose client is not heard; seconds."""

    lost_after: float
    replace: bool
    reconcile: str
    stop_on_client_after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeAsk:
    """A host volume that a group needs."""

    source: str
    type: str
    read_only: bool
    sticky: bool
    per_alloc: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpec:
    """One task group; ``all_constraints`` are the group's and its tasks'."""

    name: str
    count: int
    tasks: tuple[TaskSpec, ...]
    constraints: tuple[Constraint, ...]
    all_constraints: tuple[Constraint, ...]
    affinities: tuple[Affinity, ...]
    spreads: tuple[Spread, ...]
    network: NetworkAsk | None
    volumes: tuple[VolumeAsk, ...]
    drivers: tuple[str, ...]
    disk: int
    sticky: bool
    migrate_disk: bool
    update: Update | None
    migrate: Migrate | None
    reschedule: Reschedule | None
    disconnect: Disconnect | None
    meta: Mapping[str, str]
    shutdown_delay: float
    max_run_duration: float | None  # batch work is stopped so long after its client took it on
    raw: Mapping[str, Any]

    @property
    def rolls(self) -> bool:
        """Whether updates of this group are deployments (``!Update.IsEmpty()``)."""
        return self.update is not None and self.update.max_parallel > 0

    @property
    def devices(self) -> tuple[DeviceAsk, ...]:
        """What all tasks ask for."""
        return tuple(d for t in self.tasks for d in t.devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One version of a job."""

    id: str
    name: str
    namespace: str
    type: str
    priority: int
    datacenters: list[str]
    node_pool: str
    all_at_once: bool
    stop: bool
    constraints: tuple[Constraint, ...]
    affinities: tuple[Affinity, ...]
    spreads: tuple[Spread, ...]
    groups: Mapping[str, GroupSpec]
    update_max_parallel: int
    version: int
    key: str
    create_index: int
    modify_index: int  # JobModifyIndex: of the specification
    periodic: bool
    parameterized: bool
    meta: Mapping[str, str]
    raw: Mapping[str, Any]

    @property
    def escapes(self) -> bool:
        """Whether a job-level constraint names something unique to a node."""
        return escaped(self.constraints)

    def group_escapes(self, group: GroupSpec) -> bool:
        """Whether the group's own constraints do, or it uses CSI."""
        return escaped(group.all_constraints) or any(v.type == "csi" for v in group.volumes)


def escaped(constraints: tuple[Constraint, ...]) -> bool:
    """Whether a constraint reads what the computed class leaves out."""
    unique = ("${node.unique.", "${attr.unique.", "${meta.unique.")
    return any(c.left.startswith(unique) or c.right.startswith(unique) for c in constraints)


def job_spec(raw: Mapping[str, Any], key: str) -> JobSpec:
    """Read a canonical job; ``key`` names its version in the state."""
    return JobSpec(
        id=raw["ID"],
        name=raw["Name"],
        namespace=raw["Namespace"],
        type=raw["Type"],
        priority=raw["Priority"],
        datacenters=list(raw["Datacenters"]),
        node_pool=raw["NodePool"],
        all_at_once=raw["AllAtOnce"],
        stop=raw["Stop"],
        constraints=_constraints(raw),
        affinities=_affinities(raw),
        spreads=_spreads(raw),
        groups={g["Name"]: _group(g, raw) for g in raw["TaskGroups"] or ()},
        update_max_parallel=raw["Update"]["MaxParallel"],
        version=raw["Version"],
        key=key,
        create_index=raw["CreateIndex"],
        modify_index=raw["JobModifyIndex"],
        periodic=raw["Periodic"] is not None,
        parameterized=raw["ParameterizedJob"] is not None and not raw["Dispatched"],
        meta=raw["Meta"] or {},
        raw=raw,
    )


def _seconds(value: int | None) -> float:
    return (value or 0) / 1e9


def _constraints(raw: Mapping[str, Any]) -> tuple[Constraint, ...]:
    return tuple(
        Constraint(left=c["LTarget"], operand=c["Operand"], right=c["RTarget"]) for c in raw["Constraints"] or ()
    )


def _affinities(raw: Mapping[str, Any]) -> tuple[Affinity, ...]:
    return tuple(
        Affinity(left=a["LTarget"], operand=a["Operand"], right=a["RTarget"], weight=a["Weight"])
        for a in raw["Affinities"] or ()
    )


def _spreads(raw: Mapping[str, Any]) -> tuple[Spread, ...]:
    return tuple(
        Spread(
            attribute=s["Attribute"],
            weight=s["Weight"],
            targets=tuple((t["Value"], t["Percent"]) for t in s["SpreadTarget"] or ()),
        )
        for s in raw["Spreads"] or ()
    )


def _port(raw: Mapping[str, Any]) -> PortAsk:
    return PortAsk(
        label=raw.get("Label", ""),
        value=raw.get("Value", 0),
        to=raw.get("To", 0),
        host_network=raw.get("HostNetwork", "default"),
        ignore_collision=raw.get("IgnoreCollision", False),
    )


def _group(raw: Mapping[str, Any], job: Mapping[str, Any]) -> GroupSpec:
    tasks = tuple(_task(t, raw, job) for t in raw["Tasks"] or ())
    constraints = _constraints(raw)
    net = raw["Networks"][0] if raw["Networks"] else None
    update, migrate, again, disc = raw["Update"], raw["Migrate"], raw["ReschedulePolicy"], raw["Disconnect"]
    return GroupSpec(
        name=raw["Name"],
        count=raw["Count"],
        tasks=tasks,
        constraints=constraints,
        all_constraints=constraints + tuple(c for t in tasks for c in t.constraints),
        affinities=_affinities(raw) + tuple(a for t in tasks for a in t.affinities),
        spreads=_spreads(raw),
        network=None
        if net is None
        else NetworkAsk(
            mode=net.get("Mode", "") or "host",
            static=tuple(_port(p) for p in net.get("ReservedPorts") or ()),
            dynamic=tuple(_port(p) for p in net.get("DynamicPorts") or ()),
        ),
        volumes=tuple(
            VolumeAsk(
                source=v["Source"],
                type=v["Type"],
                read_only=v["ReadOnly"],
                sticky=v["Sticky"],
                per_alloc=v["PerAlloc"],
            )
            for v in (raw["Volumes"] or {}).values()
        ),
        drivers=tuple(dict.fromkeys(t.driver for t in tasks)),
        disk=raw["EphemeralDisk"]["SizeMB"],
        sticky=raw["EphemeralDisk"]["Sticky"],
        migrate_disk=raw["EphemeralDisk"]["Migrate"],
        update=None
        if update is None
        else Update(
            max_parallel=update["MaxParallel"],
            health_check=update["HealthCheck"],
            min_healthy_time=_seconds(update["MinHealthyTime"]),
            healthy_deadline=_seconds(update["HealthyDeadline"]),
            progress_deadline=_seconds(update["ProgressDeadline"]),
            auto_revert=update["AutoRevert"],
            auto_promote=update["AutoPromote"],
            canary=update["Canary"],
        ),
        migrate=None
        if migrate is None
        else Migrate(
            max_parallel=migrate["MaxParallel"],
            min_healthy_time=_seconds(migrate["MinHealthyTime"]),
            healthy_deadline=_seconds(migrate["HealthyDeadline"]),
            health_check=migrate["HealthCheck"],
        ),
        reschedule=None
        if again is None
        else Reschedule(
            attempts=again["Attempts"],
            interval=_seconds(again["Interval"]),
            delay=_seconds(again["Delay"]),
            function=again["DelayFunction"],
            max_delay=_seconds(again["MaxDelay"]),
            unlimited=again["Unlimited"],
        ),
        disconnect=None
        if disc is None
        else Disconnect(
            lost_after=_seconds(disc["LostAfter"]),
            replace=disc["Replace"],
            reconcile=disc["Reconcile"],
            stop_on_client_after=None if disc["StopOnClientAfter"] is None else _seconds(disc["StopOnClientAfter"]),
        ),
        meta={**(job["Meta"] or {}), **(raw["Meta"] or {})},
        shutdown_delay=_seconds(raw["ShutdownDelay"]),
        max_run_duration=None if raw["MaxRunDuration"] is None else _seconds(raw["MaxRunDuration"]),
        raw=raw,
    )


def _task(raw: Mapping[str, Any], group: Mapping[str, Any], job: Mapping[str, Any]) -> TaskSpec:
    resources, config, restart = raw["Resources"], raw["Config"] or {}, raw["RestartPolicy"]
    meta = {**(job["Meta"] or {}), **(group["Meta"] or {}), **(raw["Meta"] or {})}
    lifecycle = raw["Lifecycle"] or {}
    run_for = meta.get("sandbox.run_for") or config.get("run_for")
    return TaskSpec(
        name=raw["Name"],
        driver=raw["Driver"],
        cpu=resources["CPU"],
        cores=resources["Cores"],
        memory=resources["MemoryMB"],
        memory_max=resources["MemoryMaxMB"],
        secrets=resources["SecretsMB"],
        devices=tuple(
            DeviceAsk(name=d["Name"], count=d["Count"], constraints=_constraints(d), affinities=_affinities(d))
            for d in resources["Devices"] or ()
        ),
        constraints=_constraints(raw),
        affinities=_affinities(raw),
        hook=lifecycle.get("Hook", ""),
        sidecar=lifecycle.get("Sidecar", False),
        leader=raw["Leader"],
        run_for=None if run_for is None else nanoseconds(run_for) / 1e9,
        exit_code=int(meta.get("sandbox.exit_code") or config.get("exit_code") or 0),
        start_error=str(config.get("start_error") or ""),
        start_block=nanoseconds(config.get("start_block_for") or 0) / 1e9,
        kill_timeout=_seconds(raw["KillTimeout"]),
        kill_after=nanoseconds(config.get("kill_after") or 0) / 1e9,
        shutdown_delay=_seconds(raw["ShutdownDelay"]),
        restart=Restart(
            attempts=restart["Attempts"],
            delay=_seconds(restart["Delay"]),
            interval=_seconds(restart["Interval"]),
            mode=restart["Mode"],
        ),
        config=config,
    )
