"""A job as Nomad stores it becomes a Job: what one copy of each group asks for, and under which constraints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from providers.nomad.translate import Json, fold, from_ns
from schemas.world import Constraint, DeviceAsk, Job, Resources, SpreadWish, TaskGroup, VolumeAsk

DEFAULT_CPU, DEFAULT_MEMORY, DEFAULT_DISK = 100, 300, 300  # Nomad's, for jobs that were not canonicalised


def job(full: Json, summary: Mapping[str, Json] | None = None) -> Job:
    """Read ``GET /v1/job/:id`` with the ``Summary`` of its stub."""
    constraints = _constraints(full.get("Constraints"), "job")
    spreads = _spreads(full)
    return Job(
        namespace=full.get("Namespace") or "default",
        id=full["ID"],
        type=full.get("Type") or "service",
        priority=full.get("Priority") or 50,
        node_pool=full.get("NodePool") or "default",
        datacenters=tuple(full.get("Datacenters") or ("*",)),
        groups=tuple(_group(g, constraints, spreads) for g in full.get("TaskGroups") or ()),
        queued={name: counts.get("Queued") or 0 for name, counts in (summary or {}).items()},
        stopped=bool(full.get("Stop")),
        parent=bool(
            (full.get("Periodic") or full.get("ParameterizedJob"))
            and not full.get("Dispatched")
            and not full.get("ParentID")
        ),
        meta=full.get("Meta") or {},
        submitted_at=from_ns(full["SubmitTime"]) if full.get("SubmitTime") else None,
        modify_index=full.get("ModifyIndex") or 0,
    )


def _group(group: Json, constraints: tuple[Constraint, ...], spreads: tuple[SpreadWish, ...]) -> TaskGroup:
    tasks = group.get("Tasks") or ()
    networks = group.get("Networks") or ()
    network = networks[0] if networks else {}
    own = _constraints(group.get("Constraints"), "group")
    for task in tasks:
        own += _constraints(task.get("Constraints"), "group")
    disk = (group.get("EphemeralDisk") or {}).get("SizeMB")
    ports = [p for n in networks for p in n.get("ReservedPorts") or ()]
    loose = [p for n in networks for p in n.get("DynamicPorts") or ()]
    for task in tasks:  # legacy task networks
        for old in (task.get("Resources") or {}).get("Networks") or ():
            ports += old.get("ReservedPorts") or ()
            loose += old.get("DynamicPorts") or ()
    return TaskGroup(
        name=group["Name"],
        count=group["Count"] if group.get("Count") is not None else 1,
        ask=fold((_ask(t), t.get("Lifecycle")) for t in tasks)
        + Resources(disk_mib=disk if disk is not None else DEFAULT_DISK),
        constraints=constraints + own,
        drivers=frozenset(t["Driver"] for t in tasks if t.get("Driver")),
        static_ports=frozenset(p["Value"] for p in ports if p.get("Value") and not p.get("IgnoreCollision")),
        dynamic_ports=len(loose),
        network_mode=network.get("Mode") or "host",
        host_networks=frozenset(p["HostNetwork"] for p in (*ports, *loose) if p.get("HostNetwork")) - {"default"},
        devices=tuple(d for t in tasks for d in _devices((t.get("Resources") or {}).get("Devices"))),
        volumes=tuple(_volume(v) for v in (group.get("Volumes") or {}).values()),
        spreads=spreads + _spreads(group),
    )


def _ask(task: Json) -> Resources:
    wanted = task.get("Resources") or {}
    memory = wanted.get("MemoryMB")
    memory_mib = (DEFAULT_MEMORY if memory is None else memory) + (wanted.get("SecretsMB") or 0)
    if cores := wanted.get("Cores") or 0:
        return Resources(cores=cores, memory_mib=memory_mib)  # its MHz are those of the cores that it gets
    cpu = wanted.get("CPU")
    return Resources(cpu_mhz=DEFAULT_CPU if cpu is None else cpu, memory_mib=memory_mib)


def _constraints(some: Iterable[Json] | None, scope: str) -> tuple[Constraint, ...]:
    return tuple(
        Constraint(
            left=c.get("LTarget") or "", operand=c.get("Operand") or "=", right=c.get("RTarget") or "", scope=scope
        )
        for c in some or ()
    )


def _spreads(owner: Json) -> tuple[SpreadWish, ...]:
    return tuple(
        SpreadWish(
            attribute=s["Attribute"],
            targets=tuple((t.get("Value") or "", t.get("Percent") or 0) for t in s.get("SpreadTarget") or ()),
        )
        for s in owner.get("Spreads") or ()
        if s.get("Attribute")
    )


def _devices(asks: Iterable[Json] | None) -> Iterable[DeviceAsk]:
    for ask in asks or ():
        count: Any = ask.get("Count")
        yield DeviceAsk(
            name=ask["Name"],
            count=1 if count is None else count,
            constraints=_constraints(ask.get("Constraints"), "group"),
        )


def _volume(volume: Json) -> VolumeAsk:
    return VolumeAsk(
        kind=volume.get("Type") or "host",
        source=volume.get("Source") or "",
        read_only=bool(volume.get("ReadOnly")),
        sticky=bool(volume.get("Sticky")),
        per_alloc=bool(volume.get("PerAlloc")),
    )
