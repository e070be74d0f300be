"""A node as the servers know it, and what it offers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

INIT, READY, DOWN, DISCONNECTED = "initializing", "ready", "down", "disconnected"
ELIGIBLE, INELIGIBLE = "eligible", "ineligible"
POOL_ALL, POOL_DEFAULT = "all", "default"


@dataclass(slots=True)
class DeviceInstance:
    """One piece of a device group."""

    id: str
    healthy: bool = True


@dataclass(slots=True)
class Device:
    """A group of equal devices (``vendor/type/name``)."""

    vendor: str
    type: str
    name: str
    instances: list[DeviceInstance] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The full name of the group."""
        return f"{self.vendor}/{self.type}/{self.name}"


@dataclass(slots=True)
class HostVolume:
    """A volume of the client's configuration; a dynamic one would carry an id, which the world does not have."""

    read_only: bool = False
    path: str = ""


@dataclass(slots=True)
class Driver:
    """What the fingerprinter says of a driver."""

    detected: bool = True
    healthy: bool = True
    update_time: float = 0.0


@dataclass(slots=True)
class Reserved:
    """What the client keeps for itself: MHz, core ids, MiB, and host ports as in ``22,8000-8010``."""

    cpu_mhz: int = 0
    cores: list[int] | None = None
    memory_mib: int = 0
    disk_mib: int = 0
    ports: str = ""


@dataclass(slots=True)
class NodeResources:
    """The machine's size as fingerprinted: MHz over all cores, MiB, usable core ids, dynamic port range."""

    cpu_mhz: int
    memory_mib: int
    disk_mib: int
    cores: list[int] = field(default_factory=list)
    core_mhz: list[int] = field(default_factory=list)
    min_dynamic_port: int = 20000
    max_dynamic_port: int = 32000
    address: str = ""
    interface: str = "eth0"
    mac_address: str = ""
    devices: list[Device] = field(default_factory=list)


@dataclass(slots=True)
class DrainStrategy:
    """A drain that is under way; ``deadline`` in seconds: 0 none, negative force."""

    deadline: float
    ignore_system_jobs: bool
    started_at: float
    force_deadline: float | None = None


@dataclass(slots=True)
class LastDrain:
    """The latest drain, also after its end: ``draining``, ``complete`` or ``canceled``."""

    started_at: float
    updated_at: float
    status: str
    accessor_id: str = ""
    meta: dict[str, str] | None = None


@dataclass(slots=True)
class NodeEvent:
    """One line of a node's history."""

    message: str
    subsystem: str
    timestamp: float
    details: dict[str, str] | None = None
    create_index: int = 0


@dataclass(slots=True)
class Node:
    """A node's record in the servers' state (source: ``nomad/structs`` ``Node``)."""

    id: str
    name: str
    datacenter: str
    resources: NodeResources
    reserved: Reserved
    attributes: dict[str, str]
    meta: dict[str, str]
    drivers: dict[str, Driver]
    node_class: str = ""
    node_pool: str = POOL_DEFAULT
    computed_class: str = ""
    host_volumes: dict[str, HostVolume] = field(default_factory=dict)
    max_allocs: int = 0
    status: str = INIT
    eligibility: str = ELIGIBLE
    drain: DrainStrategy | None = None
    last_drain: LastDrain | None = None
    status_updated_at: float = 0.0
    events: list[NodeEvent] = field(default_factory=list)
    last_missed_heartbeat_index: int = 0
    last_alloc_update_index: int = 0
    create_index: int = 0
    modify_index: int = 0

    @property
    def ready(self) -> bool:
        """Whether new work may come here: ready, not draining, eligible."""
        return self.status == READY and self.drain is None and self.eligibility == ELIGIBLE

    def in_pool(self, pool: str) -> bool:
        """Whether a job of ``pool`` may look at this node."""
        return pool in (POOL_ALL, "", self.node_pool)

    def in_datacenters(self, patterns: list[str]) -> bool:
        """Whether one of a job's datacenter globs names this node's."""
        return any(p in ("*", self.datacenter) or _glob(p, self.datacenter) for p in patterns)


@lru_cache(maxsize=1024)
def _glob(pattern: str, text: str) -> bool:
    """Match as Nomad's glob library does: ``*`` is any run of characters, nothing else is special."""
    parts = pattern.split("*")
    if len(parts) == 1:
        return pattern == text
    if not text.startswith(parts[0]) or not text.endswith(parts[-1]):
        return False
    at, end = len(parts[0]), len(text) - len(parts[-1])
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


def computed_class(node: Node) -> str:
    """Hash what makes nodes interchangeable: all but unique keys and sizes (source: ``node_class.go``)."""
    h = hashlib.sha256()
    for part in (node.datacenter, node.node_class, node.node_pool):
        h.update(part.encode() + b"\0")
    for table in (node.attributes, node.meta):
        for key in sorted(table):
            if not key.startswith("unique."):
                h.update(f"{key}={table[key]}\0".encode())
        h.update(b"\1")
    for device in sorted(node.resources.devices, key=lambda d: d.id):
        h.update(f"{device.id} {sorted(device.attributes.items())}\0".encode())
    return f"v1:{int.from_bytes(h.digest()[:8])}"


@lru_cache(maxsize=4096)
def port_set(ranges: str) -> frozenset[int]:
    """Read ``22,8000-8010`` as ports; an empty text is no port."""
    ports: set[int] = set()
    for part in ranges.replace(" ", "").split(","):
        if part:
            low, _, high = part.partition("-")
            ports.update(range(int(low), int(high or low) + 1))
    return frozenset(ports)
