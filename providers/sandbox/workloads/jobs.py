"""A workload's job, in Nomad's own JSON."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.workload import Job

Json = dict[str, Any]

RUN_FOR = "sandbox.run_for"  # a task's Meta: how long the sandbox lets it run
_ZONE = "${attr.platform.aws.placement.availability-zone}"
_GPU = "nvidia/gpu"


def job_json(job: Job, name: str, *, count: int | None, run_seconds: float | None) -> Json:
    """Give the job to be registered under a name; ``count`` for its (first) group, ``run_seconds`` for its tasks."""
    if job.job is not None:
        return _given(dict(job.job), name, count=count, run_seconds=run_seconds)
    body: Json = {
        "ID": name,
        "Name": name,
        "Type": job.type,
        "Priority": job.priority,
        "NodePool": job.node_pool,
        "Datacenters": list(job.datacenters),
        "Constraints": [{"LTarget": c.attribute, "Operand": c.operator, "RTarget": c.value} for c in job.constraints],
        "TaskGroups": [_group(job, count, run_seconds)],
    }
    if job.distinct_hosts:
        body["Constraints"].append({"LTarget": "", "Operand": "distinct_hosts", "RTarget": "true"})
    if job.spread_zones:
        body["Spreads"] = [{"Attribute": _ZONE, "Weight": 100}]
    return body


def group_of(job: Job) -> str:
    """Name the group whose count moves."""
    if job.job is not None:
        groups: Sequence[Mapping[str, Any]] = job.job.get("TaskGroups") or ()
        return str(groups[0].get("Name", "")) if groups else ""
    return "main"


def count_of(job: Job) -> int | None:
    """Give the count that is registered, None where the job says it itself."""
    return None if job.job is not None or job.type in {"system", "sysbatch"} else job.count


def _group(job: Job, count: int | None, run_seconds: float | None) -> Json:
    resources: Json = {"MemoryMB": job.memory_mib}
    resources |= {"Cores": job.cores} if job.cores is not None else {"CPU": job.cpu_mhz}
    if job.gpus:
        resources["Devices"] = [{"Name": _GPU, "Count": job.gpus}]
    task: Json = {"Name": "main", "Driver": job.driver, "Resources": resources}
    if run_seconds is not None:
        task["Meta"] = {RUN_FOR: f"{run_seconds:g}s"}
    group: Json = {"Name": "main", "Tasks": [task], "EphemeralDisk": {"SizeMB": job.disk_mib}}
    if count is not None:
        group["Count"] = count
    if job.ports or job.dynamic_ports:
        static = [{"Label": f"port{port}", "Value": port} for port in job.ports]
        dynamic = [{"Label": f"dynamic{number}"} for number in range(job.dynamic_ports)]
        group["Networks"] = [{"Mode": "host", "ReservedPorts": static, "DynamicPorts": dynamic}]
    return group


def _given(body: Json, name: str, *, count: int | None, run_seconds: float | None) -> Json:
    body = copy.deepcopy(body)
    body["ID"] = body["Name"] = name
    groups = [dict(group) for group in body.get("TaskGroups") or ()]
    if count is not None and groups:
        groups[0]["Count"] = count
    if run_seconds is not None:
        for group in groups:
            group["Tasks"] = [
                {**task, "Meta": {**(task.get("Meta") or {}), RUN_FOR: f"{run_seconds:g}s"}}
                for task in group.get("Tasks") or ()
            ]
    body["TaskGroups"] = groups
    return body
