"""What the servers refuse in a job, in Nomad's words (source: recordings/http, ``Job.Validate``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from providers.sandbox.world.nomad.cron import valid as valid_cron
from providers.sandbox.world.nomad.validate_policies import (
    disconnect_faults,
    go_duration,
    joined,
    migrate_faults,
    preference_faults,
    reschedule_faults,
    restart_faults,
    update_faults,
)

Json = Mapping[str, Any]

TYPES = ("service", "batch", "system", "sysbatch")
_CPU_MIN, _MEMORY_MIN, _DISK_MIN = 1, 10, 10
_PORT_MAX = 65_535
_IGNORED = {
    "MaxClientDisconnect": "MaxClientDisconnect is deprecated and ignored in favor of Disconnect.LostAfter",
    "StopAfterClientDisconnect": (
        "StopAfterClientDisconnect is deprecated and ignored favor of Disconnect.StopOnClientAfter"
    ),
    "PreventRescheduleOnLost": "PreventRescheduleOnLost is deprecated and ignored in favor of Disconnect.Replace",
}


def faults(job: Json, *, priority_max: int) -> list[str]:
    """Name all that is wrong with a canonical job."""
    kind = job["Type"]
    found: list[str] = []
    if not job["ID"]:
        found.append("Missing job ID")
    elif " " in job["ID"]:
        found.append("Job ID contains a space")
    if kind not in TYPES:
        found.append(f'Invalid job type: "{kind}"')
    if not 1 <= job["Priority"] <= priority_max:
        found.append(f"Job priority must be between [1, {priority_max}]")
    if "" in job["Datacenters"]:
        found.append("Job datacenter must be non-empty string")
    groups = job["TaskGroups"] or []
    if not groups:
        found.append("Missing job task groups")
    found += preference_faults(job, kind)
    found += _naming_faults(groups, "Job task group", "group")
    found += [
        f"Job task group {group['Name']} has count {group['Count']}. Count cannot exceed 1 with system scheduler"
        for group in groups
        if kind == "system" and group["Count"] > 1
    ]
    for group in groups:
        if wrong := _group_faults(group, kind):
            found.append(f"Task group {group['Name']} validation failed: {joined(wrong)}")
    return found + _parent_faults(job)


def _naming_faults(items: list[Json], thing: str, other: str) -> list[str]:
    found: list[str] = []
    names: dict[str, int] = {}
    for i, item in enumerate(items, 1):
        name = item["Name"]
        if not name:
            found.append(f"{thing} {i} missing name")
        elif name in names:
            found.append(f"{thing} {i} redefines '{name}' from {other} {names[name]}")
        else:
            names[name] = i
    return found


def _parent_faults(job: Json) -> list[str]:
    periodic, kind = job["Periodic"], job["Type"]
    found: list[str] = []
    batch = kind in ("batch", "sysbatch")
    if periodic is not None and periodic["Enabled"]:
        if not batch:
            found.append('Periodic can only be used with "batch" or "sysbatch" scheduler')
        specs = [*([periodic["Spec"]] if periodic["Spec"] else []), *(periodic["Specs"] or [])]
        if periodic["Spec"] and periodic["Specs"]:
            found.append("Only cron or crons may be used")
        if not specs:
            found.append("Must specify a spec")
        found += [f'Invalid cron spec "{spec}"' for spec in specs if not valid_cron(spec)]
    if job["ParameterizedJob"] is not None and not batch:
        found.append('Parameterized job can only be used with "batch" or "sysbatch" scheduler')
    return found


def _group_faults(group: Json, kind: str) -> list[str]:
    found: list[str] = []
    if group["Count"] < 0:
        found.append("Task group count can't be negative")
    if not group["Tasks"]:
        found.append("Missing tasks for task group")
    if group["Disconnect"] is not None:
        found += disconnect_faults(group["Disconnect"], kind)
    longest = group["MaxRunDuration"]
    if longest is not None:
        found += [] if longest > 0 else ["MaxRunDuration must be greater than zero"]
        if kind not in ("batch", "sysbatch"):
            found.append(f'Job type "{kind}" does not allow max_run_duration')
    found += preference_faults(group, kind)
    found += restart_faults(group["RestartPolicy"])
    found += _kind_faults(group, kind)
    if group["EphemeralDisk"]["SizeMB"] < _DISK_MIN:
        found.append(f"minimum DiskMB value is {_DISK_MIN}; got {group['EphemeralDisk']['SizeMB']}")
    tasks = group["Tasks"] or []
    found += _naming_faults(tasks, "Task", "task")
    if sum(task["Leader"] for task in tasks) > 1:
        found.append("Only one task may be marked as leader")
    if wrong := _port_faults(group):
        found.append(f"Task group network validation failed: {joined(wrong)}")
    for task in tasks:
        if wrong := _task_faults(task, group, kind):
            found.append(f"Task {task['Name']} validation failed: {joined(wrong)}")
    return found


def _kind_faults(group: Json, kind: str) -> list[str]:
    """Name the policies that the job's type does not allow, and what is wrong with the others."""
    found: list[str] = []
    rules: list[tuple[str, tuple[str, ...], Callable[[Json], list[str]], str]] = [
        (
            "ReschedulePolicy",
            ("service", "batch"),
            reschedule_faults,
            "System or sysbatch jobs should not have a reschedule policy",
        ),
        ("Update", ("service", "system"), update_faults, f'Job type "{kind}" does not allow update block'),
        ("Migrate", ("service",), migrate_faults, f'Job type "{kind}" does not allow migrate block'),
    ]
    for name, kinds, check, refusal in rules:
        policy = group[name]
        if policy is None:
            continue
        if kind not in kinds:
            found.append(refusal)
        if kind in kinds or name == "Update":
            found += check(policy)
    return found


def _port_faults(group: Json) -> list[str]:
    found: list[str] = []
    labels: dict[str, str] = {}
    taken: dict[tuple[str, int], str] = {}
    asked = [(n, "taskgroup network") for n in group["Networks"] or []]
    asked += [(n, t["Name"]) for t in group["Tasks"] or [] for n in t["Resources"]["Networks"] or []]
    for network, owner in asked:
        for port in [*(network.get("ReservedPorts") or []), *(network.get("DynamicPorts") or [])]:
            label, value = port["Label"], port.get("Value")
            if label in labels:
                found.append(f"Port label {label} already in use by {labels[label]}")
            elif owner == "taskgroup network":
                labels[label] = owner
            if not value:
                continue
            key = (port.get("HostNetwork") or "default", value)
            if key in taken:
                if not port.get("IgnoreCollision"):
                    found.append(f"Static port {value} already reserved by {taken[key]}")
            elif value > _PORT_MAX:
                found.append(f"Port {label} ({value}) cannot be greater than {_PORT_MAX}")
            else:
                taken[key] = f"{owner}:{label}"
    return found


def _task_faults(task: Json, group: Json, kind: str) -> list[str]:
    found: list[str] = []
    name, resources = task["Name"], task["Resources"]
    if not name:
        found.append("Missing task name")
    if name == "alloc":
        found.append('Task cannot be named "alloc"')
    if "/" in name or "\\" in name:
        found.append("Task name cannot include slashes")
    if not task["Driver"]:
        found.append("Missing task driver")
    progress = group["Update"]["ProgressDeadline"] if kind == "service" and group["Update"] is not None else 0
    if task["KillTimeout"] < 0:
        found.append("KillTimeout must be a positive value")
    elif 0 < progress < task["KillTimeout"]:
        found.append(
            f"KillTimout ({go_duration(task['KillTimeout'])}) longer than the group's ProgressDeadline "
            f"({go_duration(progress)})"
        )
    if task["ShutdownDelay"] < 0:
        found.append("ShutdownDelay must be a positive value")
    if wrong := _resource_faults(resources):
        found.append(joined(wrong))
    log = task["LogConfig"]["MaxFiles"] * task["LogConfig"]["MaxFileSizeMB"]
    if log >= group["EphemeralDisk"]["SizeMB"]:
        size = group["EphemeralDisk"]["SizeMB"]
        found.append(joined([f"log storage ({log} MB) must be less than requested disk capacity ({size} MB)"]))
    found += preference_faults(task, kind, spreads=False)
    found += [
        f"Constraint {i} has disallowed Operand at task level: {one['Operand']}"
        for i, one in enumerate(task["Constraints"] or [], 1)
        if one["Operand"] in ("distinct_hosts", "distinct_property")
    ]
    if task["Lifecycle"] and task["Lifecycle"]["Hook"] not in ("prestart", "poststart", "poststop"):
        hook = task["Lifecycle"]["Hook"]
        found.append(
            f"Lifecycle validation failed: {f'invalid hook: {hook}' if hook else 'no lifecycle hook provided'}"
        )
    volumes = group["Volumes"] or {}
    found += [
        f"Volume Mount ({i}) references undefined volume {mount['Volume']}"
        for i, mount in enumerate(task["VolumeMounts"] or [])
        if mount.get("Volume") not in volumes
    ]
    return found


def _resource_faults(r: Json) -> list[str]:
    found: list[str] = []
    if r["Cores"] < 0:
        found.append(f"cores value ({r['Cores']}) cannot be negative")
    least = []
    if r["CPU"] < _CPU_MIN and not r["Cores"]:
        least.append(f"minimum CPU value is {_CPU_MIN}; got {r['CPU']}")
    if r["MemoryMB"] < _MEMORY_MIN:
        least.append(f"minimum MemoryMB value is {_MEMORY_MIN}; got {r['MemoryMB']}")
    if least:
        found.append(joined(least))
    most = r["MemoryMaxMB"]
    if most not in (0, -1) and most < r["MemoryMB"]:
        found.append(f"MemoryMaxMB value ({most}) should be larger than MemoryMB value ({r['MemoryMB']})")
    return found


def transition_fault(old: Json | None, new: Json) -> str:
    """Say why a job may not take the place of the one that is stored; empty when it may."""
    if old is None:
        return "job can't be submitted with 'Dispatched' set" if new["Dispatched"] else ""
    if old["Type"] != new["Type"]:
        return f'cannot update job from type "{old["Type"]}" to "{new["Type"]}"'
    for field, word in (("Periodic", "periodic"), ("ParameterizedJob", "parameterized")):
        was, is_now = old[field] is not None, new[field] is not None
        if was and not is_now:
            return f"cannot update {word} job to being non-{word}"
        if is_now and not was:
            return f"cannot update non-{word} job to being {word}"
    return "field 'Dispatched' is read-only" if old["Dispatched"] != new["Dispatched"] else ""


def warnings(job: Mapping[str, Any], *, oversubscription: bool) -> str:
    """Say what is legal but will not do what it seems to; empty when nothing."""
    found: list[str] = []
    if job["Periodic"] and job["Periodic"]["Spec"]:
        found.append("cron is deprecated and may be removed in a future release. Use crons instead")
    if not oversubscription:
        found += [
            f'Memory oversubscription is not enabled; Task "{group["Name"]}.{task["Name"]}" memory_max value will be '
            "ignored. Update the Scheduler Configuration to allow oversubscription."
            for group in job["TaskGroups"] or []
            for task in group["Tasks"] or []
            if task["Resources"]["MemoryMaxMB"] not in (0, task["Resources"]["MemoryMB"])
        ]
    for group in job["TaskGroups"] or []:
        if old := [text for name, text in _IGNORED.items() if group[name]]:
            found.append(f'Group "{group["Name"]}" has warnings: {joined(old)}')
    if not found:
        return ""
    lines = "\n* ".join(found)
    return f"{len(found)} warning{'s' if len(found) != 1 else ''}:\n\n* {lines}"
