"""Nomad's JSON becomes our values: each field is read with a default, as Nomad leaves out or nulls what is empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.nomad_plan import JobPlan
from schemas.world import Allocation, DeviceGroup, Evaluation, Failure, Node, Resources

Json = Mapping[str, Any]

_PLACING = ("Place", "Canary", "Migrate", "DestructiveUpdate")  # updates of a plan that start a copy


def node(full: Json) -> Node:
    """Read ``GET /v1/node/:id``."""
    total, reserved = full.get("NodeResources") or {}, full.get("ReservedResources") or {}
    cpu, held = total.get("Cpu") or {}, reserved.get("Cpu") or {}
    drain = full.get("LastDrain") or {}
    events = full.get("Events") or []
    return Node(
        id=full["ID"],
        name=full.get("Name") or "",
        status=full.get("Status") or "",
        eligible=full.get("SchedulingEligibility") == "eligible",
        draining=full.get("DrainStrategy") is not None,
        datacenter=full.get("Datacenter") or "",
        node_pool=full.get("NodePool") or "default",
        node_class=full.get("NodeClass") or "",
        total=Resources(
            cpu_mhz=cpu.get("CpuShares") or 0,
            memory_mib=(total.get("Memory") or {}).get("MemoryMB") or 0,
            disk_mib=(total.get("Disk") or {}).get("DiskMB") or 0,
            cores=len(cpu.get("ReservableCpuCores") or ()),
        ),
        core_mhz=max((_speed(core) for core in _cores(total) if not core.get("Disable")), default=0),
        reserved=Resources(
            cpu_mhz=held.get("CpuShares") or 0,
            memory_mib=(reserved.get("Memory") or {}).get("MemoryMB") or 0,
            disk_mib=(reserved.get("Disk") or {}).get("DiskMB") or 0,
            cores=len(held.get("ReservedCpuCores") or ()),
        ),
        reserved_ports=frozenset(port_range((reserved.get("Networks") or {}).get("ReservedHostPorts") or "")),
        dynamic_ports=(total.get("MinDynamicPort") or 20000, total.get("MaxDynamicPort") or 32000),
        max_allocs=full.get("NodeMaxAllocs") or 0,
        attributes=full.get("Attributes") or {},
        meta=full.get("Meta") or {},
        drivers={k: bool(d.get("Detected") and d.get("Healthy")) for k, d in (full.get("Drivers") or {}).items()},
        devices=tuple(_device(d) for d in total.get("Devices") or ()),
        host_volumes={name: bool(v.get("ReadOnly")) for name, v in (full.get("HostVolumes") or {}).items()},
        network_modes=frozenset(n.get("Mode") or "host" for n in total.get("Networks") or ()) | {"host"},
        host_networks=frozenset(
            address["Alias"]
            for network in total.get("NodeNetworks") or ()
            for address in network.get("Addresses") or ()
            if address.get("Alias")
        )
        | {"default"},
        drain_meta=drain.get("Meta") or {},
        registered_at=_time(events[0].get("Timestamp")) if events else None,
        version=(full.get("Attributes") or {}).get("nomad.version", ""),
        modify_index=full.get("ModifyIndex") or 0,
    )


def _cores(total: Json) -> Iterable[Json]:
    return ((total.get("Processors") or {}).get("Topology") or {}).get("Cores") or ()


def _speed(core: Json) -> int:
    """MHz of a core as Nomad counts a reserved one: its base, else the better of what was read and what was guessed."""
    return core.get("BaseSpeed") or max(core.get("MaxSpeed") or 0, core.get("GuessSpeed") or 0)


def evaluation(full: Json) -> Evaluation:
    """Read one of ``GET /v1/evaluations``."""
    return Evaluation(
        id=full["ID"],
        namespace=full.get("Namespace") or "default",
        job_id=full.get("JobID") or "",
        type=full.get("Type") or "",
        status=full.get("Status") or "",
        created_at=from_ns(full.get("CreateTime") or 0),
        node_id=full.get("NodeID") or "",
        triggered_by=full.get("TriggeredBy") or "",
        wait_until=_time(full.get("WaitUntil")),
        quota_limit=full.get("QuotaLimitReached") or "",
        missing=tuple(full.get("MissingNonNodeResources") or ()),
        failures={group: _failure(metric) for group, metric in (full.get("FailedTGAllocs") or {}).items()},
    )


def allocation(stub: Json) -> Allocation:
    """Read one of ``GET /v1/allocations?resources=true``."""
    usage, ports, devices = held(stub.get("AllocatedResources") or {})
    return Allocation(
        id=stub["ID"],
        namespace=stub.get("Namespace") or "default",
        job_id=stub.get("JobID") or "",
        group=stub.get("TaskGroup") or "",
        node_id=stub.get("NodeID") or "",
        job_type=stub.get("JobType") or "",
        desired=stub.get("DesiredStatus") or "",
        client=stub.get("ClientStatus") or "",
        usage=usage,
        ports=ports,
        devices=devices,
        created_at=from_ns(stub.get("CreateTime") or 0),
    )


def job_plan(answer: Json, namespace: str, job_id: str) -> JobPlan:
    """Read ``POST /v1/job/:id/plan``; a group's first failure stands for those after it (``CoalescedFailures``)."""
    said = answer["Annotations"] or {}
    metrics = answer.get("FailedTGAllocs") or {}
    failed = {group: 1 + (metric.get("CoalescedFailures") or 0) for group, metric in metrics.items()}
    wanted = {
        group: sum(u.get(kind) or 0 for kind in _PLACING) for group, u in (said.get("DesiredTGUpdates") or {}).items()
    }
    return JobPlan(
        namespace=namespace,
        job_id=job_id,
        placed={group: count for group, n in wanted.items() if (count := n - failed.get(group, 0)) > 0},
        failed=failed,
        failures={group: _failure(metric) for group, metric in metrics.items()},
        preempted=len(said.get("PreemptedAllocs") or ()),
    )


def held(given: Json) -> tuple[Resources, frozenset[int], dict[str, int]]:
    """Read ``AllocatedResources``: usage, folded as Nomad folds it (facts nomad §2.3), ports, and devices by name."""
    shared, tasks = given.get("Shared") or {}, given.get("Tasks") or {}
    hooks = given.get("TaskLifecycles") or {}
    phases = [(_used(task), hooks.get(name)) for name, task in tasks.items()]
    usage = fold(phases) + Resources(disk_mib=shared.get("DiskMB") or 0)
    ports = {p.get("Value") or 0 for p in shared.get("Ports") or ()}
    networks = [*(shared.get("Networks") or ()), *(n for t in tasks.values() for n in t.get("Networks") or ())]
    for network in networks:
        ports |= {
            p.get("Value") or 0 for p in (*(network.get("ReservedPorts") or ()), *(network.get("DynamicPorts") or ()))
        }
    devices: dict[str, int] = {}
    for task in tasks.values():
        for used in task.get("Devices") or ():
            name = f"{used.get('Vendor')}/{used.get('Type')}/{used.get('Name')}"
            devices[name] = devices.get(name, 0) + len(used.get("DeviceIDs") or ())
    return usage, frozenset(ports - {0}), devices


def fold(phases: Iterable[tuple[Resources, Json | None]]) -> Resources:
    """Fold tasks over their life phases: the peak of prestart, main and poststop, not the sum; cores always in full."""
    main, prestart, poststop, pinned = Resources(), Resources(), Resources(), Resources()
    for used, lifecycle in phases:
        hook = (lifecycle or {}).get("Hook") or ""
        sidecar = bool((lifecycle or {}).get("Sidecar"))
        rest = used
        if used.cores:  # reserved cores and their MHz are held for the allocation's whole life
            pinned += Resources(cpu_mhz=used.cpu_mhz, cores=used.cores)
            rest = Resources(memory_mib=used.memory_mib)
        if hook == "prestart":
            prestart += rest
        if hook == "poststop":
            poststop += rest
        elif hook != "prestart" or sidecar:
            main += rest
    return pinned + Resources(
        cpu_mhz=max(main.cpu_mhz, prestart.cpu_mhz, poststop.cpu_mhz),
        memory_mib=max(main.memory_mib, prestart.memory_mib, poststop.memory_mib),
    )


def port_range(text: str) -> Iterable[int]:
    """Read ``22,14000-14512``; what is no number is skipped, as there is nothing to reserve."""
    for part in text.replace(" ", "").split(","):
        low, _, high = part.partition("-")
        if low.isdigit() and (not high or high.isdigit()):
            yield from range(int(low), int(high or low) + 1)


def from_ns(nanoseconds: int) -> datetime:
    """Read Nomad's nanoseconds since 1970."""
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)


def _time(text: str | int | None) -> datetime | None:
    if not text:
        return None
    if isinstance(text, int):
        return datetime.fromtimestamp(text, UTC)
    return datetime.fromisoformat(text)


def _used(task: Json) -> Resources:
    cpu, memory = task.get("Cpu") or {}, task.get("Memory") or {}
    return Resources(
        cpu_mhz=cpu.get("CpuShares") or 0,
        memory_mib=memory.get("MemoryMB") or 0,
        cores=len(cpu.get("ReservedCores") or ()),
    )


def _device(group: Json) -> DeviceGroup:
    attributes = {name: _attribute(value) for name, value in (group.get("Attributes") or {}).items()}
    return DeviceGroup(
        vendor=group.get("Vendor") or "",
        type=group.get("Type") or "",
        name=group.get("Name") or "",
        count=sum(1 for instance in group.get("Instances") or () if instance.get("Healthy")),
        attributes=attributes,
    )


def _attribute(value: Json | str) -> str:
    """Write a typed device attribute as text: ``11 GiB``."""
    if isinstance(value, str):
        return value
    plain = next((value[kind] for kind in ("Int", "Float", "String", "Bool") if value.get(kind) is not None), "")
    return f"{plain} {value['Unit']}" if value.get("Unit") else str(plain)


def _failure(metric: Json) -> Failure:
    return Failure(
        nodes_evaluated=metric.get("NodesEvaluated") or 0,
        nodes_filtered=metric.get("NodesFiltered") or 0,
        nodes_exhausted=metric.get("NodesExhausted") or 0,
        constraints=metric.get("ConstraintFiltered") or {},
        dimensions=metric.get("DimensionExhausted") or {},
        quota=tuple(metric.get("QuotaExhausted") or ()),
    )
