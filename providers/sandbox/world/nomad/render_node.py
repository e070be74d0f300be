"""Nodes as Nomad's HTTP API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.render import Calendar

Json = dict[str, Any]

_BUILT_IN_META = {
    "connect.gateway_image": "docker.io/envoyproxy/envoy:v${NOMAD_envoy_version}",
    "connect.log_level": "info",
    "connect.proxy_concurrency": "1",
    "connect.sidecar_image": "docker.io/envoyproxy/envoy:v${NOMAD_envoy_version}",
    "connect.transparent_proxy.default_outbound_port": "15001",
    "connect.transparent_proxy.default_uid": "101",
}


def _resources(n: Node) -> Json:
    r = n.resources
    return {
        "Cpu": {"CpuShares": r.cpu_mhz, "ReservableCpuCores": list(r.cores), "TotalCpuCores": len(r.cores)},
        "Devices": [
            {
                "Attributes": dict(d.attributes) or None,
                "Instances": [
                    {"HealthDescription": "", "Healthy": i.healthy, "ID": i.id, "Locality": None} for i in d.instances
                ],
                "Name": d.name,
                "Type": d.type,
                "Vendor": d.vendor,
            }
            for d in r.devices
        ]
        or None,
        "Disk": {"DiskMB": r.disk_mib},
        "MaxDynamicPort": r.max_dynamic_port,
        "Memory": {"MemoryMB": r.memory_mib},
        "MinDynamicPort": r.min_dynamic_port,
        "Networks": [
            {"CIDR": f"{r.address}/32", "Device": r.interface, "IP": r.address, "MBits": 1000, "Mode": "host"}
        ],
        "NodeNetworks": [
            {
                "Addresses": [
                    {"Address": r.address, "Alias": "default", "Family": "ipv4", "Gateway": "", "ReservedPorts": ""}
                ],
                "Device": r.interface,
                "MacAddress": r.mac_address,
                "Mode": "host",
                "Speed": 1000,
            }
        ],
        "Processors": {
            "Topology": {
                "Cores": [
                    {
                        "BaseSpeed": mhz,
                        "Disable": False,
                        "Grade": True,
                        "GuessSpeed": 0,
                        "ID": core,
                        "MaxSpeed": 0,
                        "NodeID": 0,
                        "SocketID": 0,
                    }
                    for core, mhz in zip(r.cores, r.core_mhz, strict=False)
                ],
                "Distances": None,
                "Nodes": [0],
                "OverrideTotalCompute": r.cpu_mhz,
                "OverrideWitholdCompute": n.reserved.cpu_mhz,
            }
        },
    }


def _reserved(n: Node) -> Json:
    r = n.reserved
    return {
        "Cpu": {"CpuShares": r.cpu_mhz, "ReservedCpuCores": list(r.cores) if r.cores else None},
        "Disk": {"DiskMB": r.disk_mib},
        "Memory": {"MemoryMB": r.memory_mib},
        "Networks": {"ReservedHostPorts": r.ports},
    }


def _drivers(n: Node, calendar: Calendar) -> Json | None:
    return {
        name: {
            "Attributes": {f"driver.{name}": "true"} if d.detected else {},
            "Detected": d.detected,
            "HealthDescription": "Healthy" if d.healthy else "Unhealthy",
            "Healthy": d.healthy,
            "UpdateTime": calendar.text(d.update_time),
        }
        for name, d in n.drivers.items()
    } or None


def _volumes(n: Node) -> Json:
    return {
        name: {"ID": "", "Name": name, "Path": v.path or f"/opt/volumes/{name}", "ReadOnly": v.read_only}
        for name, v in n.host_volumes.items()
    }


def _last_drain(n: Node, calendar: Calendar) -> Json | None:
    d = n.last_drain
    if d is None:
        return None
    return {
        "AccessorID": d.accessor_id,
        "Meta": d.meta,
        "StartedAt": calendar.text(d.started_at, whole=True),
        "Status": d.status,
        "UpdatedAt": calendar.text(d.updated_at, whole=True),
    }


def stub(n: Node, calendar: Calendar) -> Json:
    """One entry of ``/v1/nodes`` with its resources and operating system; callers drop what was not asked for."""
    return {
        "Address": n.resources.address,
        "Attributes": {"os.name": n.attributes.get("os.name", "")},
        "CreateIndex": n.create_index,
        "Datacenter": n.datacenter,
        "Drain": n.drain is not None,
        "Drivers": _drivers(n, calendar),
        "HostVolumes": _volumes(n),
        "ID": n.id,
        "LastDrain": _last_drain(n, calendar),
        "ModifyIndex": n.modify_index,
        "Name": n.name,
        "NodeClass": n.node_class,
        "NodePool": n.node_pool,
        "NodeResources": _resources(n),
        "ReservedResources": _reserved(n),
        "SchedulingEligibility": n.eligibility,
        "Status": n.status,
        "StatusDescription": "",
        "Version": n.attributes.get("nomad.version", ""),
    }


def full(n: Node, calendar: Calendar) -> Json:
    """One node in full."""
    drain = n.drain
    out = stub(n, calendar)
    for name in ("Address", "Version"):
        del out[name]
    return {
        **out,
        "Attributes": dict(n.attributes),
        "CSIControllerPlugins": {},
        "CSINodePlugins": {},
        "CgroupParent": "nomad.slice",
        "ComputedClass": n.computed_class,
        "DrainStrategy": None
        if drain is None
        else {
            "Deadline": round(drain.deadline * 1e9),
            "ForceDeadline": calendar.text(drain.force_deadline),
            "IgnoreSystemJobs": drain.ignore_system_jobs,
            "StartedAt": calendar.text(drain.started_at),
        },
        "Events": [
            {
                "CreateIndex": e.create_index,
                "Details": dict(e.details) if e.details else None,
                "Message": e.message,
                "Subsystem": e.subsystem,
                "Timestamp": calendar.text(e.timestamp, whole=True),
            }
            for e in n.events
        ],
        "GCVolumesOnNodeGC": False,
        "HTTPAddr": f"{n.resources.address}:4646",
        "HostNetworks": None,
        "IdentitySigningKeyID": "",
        "LastAllocUpdateIndex": n.last_alloc_update_index,
        "LastMissedHeartbeatIndex": n.last_missed_heartbeat_index,
        "Links": {},
        "Meta": {**_BUILT_IN_META, **n.meta},
        "NodeMaxAllocs": n.max_allocs,
        "SecretID": "",
        "StatusUpdatedAt": calendar.unix(n.status_updated_at),
        "TLSEnabled": False,
    }
