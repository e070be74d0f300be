"""The routes that a server passes on to a client agent: its machine, its metadata, files and figures of its work."""

from __future__ import annotations

from typing import Any

from providers.sandbox.wire.nomad.call import Call, Reply, checked_id
from providers.sandbox.wire.nomad.route import get, put
from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad.allocation import Allocation
from providers.sandbox.world.nomad.canonical import field_of
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.nomad.node import Node

Json = dict[str, Any]

_MIB = 1024 * 1024
_BUSY = 0.5  # of what is allocated, work is simulated to use so much


def _stats(call: Call) -> Reply:
    """Figures of a machine; its work uses half of what it was given."""
    node = _reached(call, call.option("node_id"), unknown=404)
    given = [a for a in call.api.node_allocations(node.id, stale=True) if a["ClientStatus"] == "running"]
    tasks = [t for a in given for t in a["AllocatedResources"]["Tasks"].values()]
    mhz = sum(t["Cpu"]["CpuShares"] for t in tasks) * _BUSY
    memory, used = node.resources.memory_mib * _MIB, sum(t["Memory"]["MemoryMB"] for t in tasks) * _MIB * _BUSY
    share = 100.0 * min(1.0, mhz / node.resources.cpu_mhz)
    cores = len(node.resources.cores) or 1
    core = {
        "Idle": 100.0 - share,
        "System": 0.0,
        "TotalPercent": share,
        "TotalTicks": mhz / cores,
        "User": share,
    }
    disk = node.resources.disk_mib * _MIB
    filesystem = {
        "Available": disk,
        "Device": "",
        "InodesUsedPercent": 1.0,
        "Mountpoint": "",
        "Size": disk,
        "Used": 0,
        "UsedPercent": 0.0,
    }
    return Reply(
        body={
            "AllocDirStats": filesystem,
            "CPU": [{"CPU": f"cpu{n}", **core} for n in range(cores)],
            "CPUTicksConsumed": mhz,
            "DeviceStats": None,
            "DiskStats": [{**filesystem, "Device": "/dev/nvme0n1p1", "Mountpoint": "/"}],
            "Memory": {
                "Available": memory - round(used),
                "Free": memory - round(used),
                "Total": memory,
                "Used": round(used),
            },
            "Timestamp": call.nanoseconds(call.world.now),
            "Uptime": round(call.world.now - node.status_updated_at),
        }
    )


def _metadata(call: Call) -> Reply:
    return Reply(body=call.world.nomad.metadata(_reached(call, call.option("node_id"), unknown=500).id))


def _put_metadata(call: Call) -> Reply:
    body = call.table()
    node = _reached(call, str(field_of(body, "NodeID") or call.option("node_id")), unknown=500)
    return Reply(body=call.world.nomad.set_metadata(node.id, field_of(body, "Meta") or {}))


def _reached(call: Call, node_id: str, *, unknown: int) -> Node:
    """Give a node whose client is connected."""
    if not node_id:
        raise ApiError(400, "Missing node ID")
    state = call.world.nomad.state
    if (node := state.nodes.get(checked_id(node_id, "node"))) is None:
        raise ApiError(unknown, f"Unknown node {node_id}")
    if node.status != nd.READY or not call.world.nomad.reaches(node_id):
        raise ApiError(404, "No path to node")
    return node


def _allocation(call: Call) -> Allocation:
    alloc_id = call.path["id"]
    found = call.world.nomad.state.allocs.get(checked_id(alloc_id, "alloc"))
    if found is None or found.node_id not in call.world.nomad.state.nodes:
        raise ApiError(404, f'Unknown allocation "{alloc_id}"')
    _reached(call, found.node_id, unknown=404)
    return found


def _allocation_stats(call: Call) -> Reply:
    """Figures of an allocation, by task; no task's were measured."""
    _allocation(call)
    cpu = {
        "Measured": None,
        "Percent": 0.0,
        "SystemMode": 0.0,
        "ThrottledPeriods": 0,
        "ThrottledTime": 0,
        "TotalTicks": 0.0,
        "UserMode": 0.0,
    }
    names = ("Cache", "KernelMaxUsage", "KernelUsage", "MappedFile", "MaxUsage", "RSS", "Swap", "Usage")
    memory = {**dict.fromkeys(names, 0), "Measured": None}
    usage = {"CpuStats": cpu, "DeviceStats": [], "MemoryStats": memory}
    return Reply(body={"ResourceUsage": usage, "Tasks": {}, "Timestamp": 0})


def _allocation_checks(call: Call) -> Reply:
    _allocation(call)
    return Reply(body=None)


def _logs(call: Call) -> Reply:
    """What a task wrote: nothing, as no task really runs."""
    _allocation(call)
    return Reply(raw=b"", headers={"Content-Type": "text/plain"})


ROUTES = [
    get("/v1/client/stats", _stats, forwarded=False),
    get("/v1/client/metadata", _metadata, forwarded=False),
    put("/v1/client/metadata", _put_metadata, forwarded=False),
    get("/v1/client/allocation/{id}/stats", _allocation_stats, forwarded=False),
    get("/v1/client/allocation/{id}/checks", _allocation_checks, forwarded=False),
    *(get(f"/v1/client/fs/{how}/{{id}}", _logs, forwarded=False) for how in ("logs", "cat", "readat", "stream")),
]
