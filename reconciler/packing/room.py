"""Free room on one machine: what is left for new work, in every dimension that Nomad counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.packing import devices
from reconciler.packing.candidate import Candidate, of_node
from schemas.world import Allocation, Content, DeviceGroup, Job, Node, Resources, TaskGroup

Tenant = tuple[str, str, str]  # namespace, job, group


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a machine that is there, on its way, or for sale can still take."""

    key: str
    candidate: Candidate
    free: Resources
    clock_mhz: int = 0  # of one core: what a reserved core takes from the MHz
    ports: frozenset[int] = frozenset()  # taken
    dynamic_ports: int = 0
    allocations: int | None = None  # how many more; None: no limit
    devices: Mapping[str, int] = field(default_factory=dict)  # type → free ones of one kind
    tenants: Mapping[Tenant, int] = field(default_factory=dict)
    pool: str = ""  # of ours; "" when it is nobody's
    ready: bool = False  # Nomad can place here now; else it is on its way
    contents: tuple[Content, ...] = ()  # what it was bought for


def room_of(node: Node, allocations: Iterable[Allocation], *, pool: str = "", ready: bool = True) -> Room:
    """Count what is left on a node: total, less reserved, less whatever takes room."""
    live = [a for a in allocations if a.takes_room]
    free = node.total - node.reserved
    tenants: dict[Tenant, int] = {}
    used: dict[str, int] = {}
    taken = set(node.reserved_ports)
    for allocation in live:
        free -= allocation.usage
        taken |= allocation.ports
        tenant = (allocation.namespace, allocation.job_id, allocation.group)
        tenants[tenant] = tenants.get(tenant, 0) + 1
        for kind, count in allocation.devices.items():
            used[kind] = used.get(kind, 0) + count
    low, high = node.dynamic_ports
    return Room(
        key=node.id,
        candidate=of_node(node),
        free=_not_below_zero(free),
        clock_mhz=node.core_mhz or (node.total.cpu_mhz // node.total.cores if node.total.cores else 0),
        ports=frozenset(taken),
        dynamic_ports=max(0, high - low + 1 - sum(1 for p in taken if low <= p <= high)),
        allocations=max(0, node.max_allocs - len(live)) if node.max_allocs else None,
        devices=free_devices(node.devices, used),
        tenants=tenants,
        pool=pool,
        ready=ready,
    )


def free_devices(groups: Iterable[DeviceGroup], used: Mapping[str, int]) -> dict[str, int]:
    """Count free devices by type; of several kinds of a type only the largest counts, as one ask is met by one kind."""
    free: dict[str, int] = {}
    for group in groups:
        left = group.count - used.get(devices.key(group), 0)
        free[group.type] = max(free.get(group.type, 0), left)
    return free


def less(room: Room, job: Job, group: TaskGroup, copies: int = 1) -> Room:
    """Take copies of a group out of a room; what it lacks, it is short of: never below zero."""
    ask = group.ask
    taken = Resources(
        cpu_mhz=copies * (ask.cpu_mhz + ask.cores * room.clock_mhz),
        memory_mib=copies * ask.memory_mib,
        disk_mib=copies * ask.disk_mib,
        cores=copies * ask.cores,
    )
    left = dict(room.devices)
    for wanted in group.devices:
        kind = devices.type_of(wanted.name)
        left[kind] = max(0, left.get(kind, 0) - copies * wanted.count)
    tenant = (job.namespace, job.id, group.name)
    return Room(
        key=room.key,
        candidate=room.candidate,
        free=_not_below_zero(room.free - taken),
        clock_mhz=room.clock_mhz,
        ports=room.ports | group.static_ports,
        dynamic_ports=max(0, room.dynamic_ports - copies * group.dynamic_ports),
        allocations=None if room.allocations is None else max(0, room.allocations - copies),
        devices=left,
        tenants={**room.tenants, tenant: room.tenants.get(tenant, 0) + copies},
        pool=room.pool,
        ready=room.ready,
        contents=room.contents,
    )


def shortage(room: Room, group: TaskGroup) -> str | None:
    """Say which dimension one copy of a group exceeds, with both figures; None when it fits."""
    ask, free = group.ask, room.free
    if taken := sorted(group.static_ports & room.ports):
        return f"port {taken[0]} is taken"
    if group.dynamic_ports > room.dynamic_ports:
        return f"dynamic ports: needs {group.dynamic_ports}, {room.dynamic_ports} free"
    for wanted in group.devices:
        kind = devices.type_of(wanted.name)
        if wanted.count > room.devices.get(kind, 0):
            return f"devices: needs {wanted.count} {wanted.name}, {room.devices.get(kind, 0)} free"
    if room.allocations == 0:
        return "no more allocations are allowed on it"
    if ask.cores > free.cores:
        return f"cores: needs {ask.cores}, {free.cores} free"
    mhz = ask.cpu_mhz + ask.cores * room.clock_mhz
    for name, needed, has, unit in (
        ("cpu", mhz, free.cpu_mhz, "MHz"),
        ("memory", ask.memory_mib, free.memory_mib, "MiB"),
        ("disk", ask.disk_mib, free.disk_mib, "MiB"),
    ):
        if needed > has:
            return f"{name}: needs {needed:,} {unit}, {has:,} free"
    return None


def _not_below_zero(r: Resources) -> Resources:
    return Resources(
        cpu_mhz=max(0, r.cpu_mhz),
        memory_mib=max(0, r.memory_mib),
        disk_mib=max(0, r.disk_mib),
        cores=max(0, r.cores),
    )
