"""Whether a running copy can take a job's new version in place (source: ``tasksUpdated`` in ``scheduler/util.go``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.sandbox.world.nomad.jobspec import JobSpec

_TASK_PARTS = (
    "Driver",
    "User",
    "Config",
    "Env",
    "Artifacts",
    "Vault",
    "Secrets",
    "Consul",
    "Templates",
    "CSIPluginConfig",
    "VolumeMounts",
    "Identity",
    "Identities",
)
_RESOURCE_PARTS = ("CPU", "Cores", "MemoryMB", "MemoryMaxMB", "Devices", "NUMA", "SecretsMB")


def tasks_updated(new: JobSpec, old: JobSpec, group: str) -> bool:
    """Whether the group changed so that its copies must be replaced (other changes are made in place)."""
    if group not in old.groups or group not in new.groups:
        return True
    a, b = new.groups[group].raw, old.groups[group].raw
    if len(a["Tasks"]) != len(b["Tasks"]):
        return True
    if any((a[k] or None) != (b[k] or None) for k in ("EphemeralDisk", "Consul", "Volumes")):
        return True
    if _networks(a["Networks"]) != _networks(b["Networks"]):
        return True
    if a["RestartPolicy"]["RenderTemplates"] != b["RestartPolicy"]["RenderTemplates"]:
        return True
    olds = {t["Name"]: t for t in b["Tasks"]}
    for task in a["Tasks"]:
        before = olds.get(task["Name"])
        if before is None or _meta(new, a, task) != _meta(old, b, before) or _task_updated(task, before):
            return True
    return False


def _meta(job: JobSpec, group: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, str]:
    return {**job.meta, **(group["Meta"] or {}), **(task["Meta"] or {})}


def _networks(networks: list[dict[str, Any]] | None) -> list[Any]:
    return [
        [
            {k: v for k, v in n.items() if k not in ("DynamicPorts", "ReservedPorts")},
            sorted(
                (p.get("Label", ""), p.get("Value", -1) or -1, p.get("To", 0), p.get("HostNetwork", ""))
                for kind in ("ReservedPorts", "DynamicPorts")
                for p in n.get(kind) or ()
            ),
        ]
        for n in networks or ()
    ]


def _task_updated(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    if any((new[k] or None) != (old[k] or None) for k in _TASK_PARTS):
        return True
    a, b = new["Resources"], old["Resources"]
    if any((a[k] or None) != (b[k] or None) for k in _RESOURCE_PARTS):
        return True
    return (
        _networks(a["Networks"]) != _networks(b["Networks"])
        or new["LogConfig"]["Disabled"] != old["LogConfig"]["Disabled"]
        or new["RestartPolicy"]["RenderTemplates"] != old["RestartPolicy"]["RenderTemplates"]
    )
