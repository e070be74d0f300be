"""A live cluster's jobs become a workload: what decides where work goes, and nothing of what it does.

Environments, templates, configurations, services and metadata stay where they are: they say nothing about placement,
and they are where secrets are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from providers.sandbox.workloads.jobs import RUN_FOR

Json = Mapping[str, Any]

JOB = ("Type", "Priority", "NodePool", "Datacenters", "AllAtOnce", "Constraints", "Affinities", "Spreads", "Periodic")
GROUP = (
    "Name",
    "Count",
    "Constraints",
    "Affinities",
    "Spreads",
    "EphemeralDisk",
    "Volumes",
    "RestartPolicy",
    "ReschedulePolicy",
    "Update",
    "Migrate",
    "Disconnect",
    "MaxRunDuration",
    "ShutdownDelay",
)
TASK = (
    "Name",
    "Driver",
    "Resources",
    "Constraints",
    "Affinities",
    "Lifecycle",
    "Leader",
    "RestartPolicy",
    "KillTimeout",
    "ShutdownDelay",
)
NETWORK = ("Mode", "ReservedPorts", "DynamicPorts")
RESOURCES = ("CPU", "Cores", "MemoryMB", "MemoryMaxMB", "Devices")
DEFAULT_RUN = 600.0  # seconds, of batch work that never ended while Nomad remembers


def imported(
    jobs: Iterable[Json], run_seconds: Mapping[tuple[str, str, str], float], *, name: str, about: str
) -> dict[str, Any]:
    """Give the workload as plain values, ready to be written as YAML; ``run_seconds`` by namespace, job and group.

    Parameterized jobs are left out: what is dispatched, and when, their specification does not say.
    """
    taken: set[str] = set()
    found = []
    for job in jobs:
        if job.get("ParameterizedJob"):
            continue
        found.append({"name": _name(job, taken), "job": _job(job, run_seconds)})
    return {"name": name, "about": about, "jobs": found}


def _name(job: Json, taken: set[str]) -> str:
    """Give a name that a workload may have, other than those that are taken."""
    namespace, plain = job.get("Namespace") or "default", re.sub("[^A-Za-z0-9._-]", "-", job["ID"])[:90]
    name = plain if namespace == "default" else f"{namespace}-{plain}"[:95]
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    taken.add(unique)
    return unique


def _job(job: Json, run_seconds: Mapping[tuple[str, str, str], float]) -> dict[str, Any]:
    batch = job.get("Type") in {"batch", "sysbatch"}
    groups = []
    for group in job.get("TaskGroups") or ():
        key = (job.get("Namespace") or "default", job["ID"], group["Name"])
        groups.append(_group(group, run_seconds.get(key, DEFAULT_RUN) if batch else None))
    return {**_kept(job, JOB), "TaskGroups": groups}


def _group(group: Json, seconds: float | None) -> dict[str, Any]:
    kept = _kept(group, GROUP)
    if networks := [_kept(network, NETWORK) for network in group.get("Networks") or ()]:
        kept["Networks"] = networks
    kept["Tasks"] = [_task(task, seconds) for task in group.get("Tasks") or ()]
    return kept


def _task(task: Json, seconds: float | None) -> dict[str, Any]:
    kept = _kept(task, TASK)
    if "Resources" in kept:
        kept["Resources"] = _kept(kept["Resources"], RESOURCES)
    if seconds is not None and not task.get("Lifecycle"):
        kept["Meta"] = {RUN_FOR: f"{seconds:.0f}s"}
    return kept


def _kept(values: Json, names: Iterable[str]) -> dict[str, Any]:
    """Keep these fields where they say something."""
    return {name: values[name] for name in names if values.get(name) not in (None, [], {}, "")}
