"""What the servers refuse in a job, in Nomad's words (source: recordings/http, ``Job.Validate``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TYPES = ("service", "batch", "system", "sysbatch")


def faults(job: Mapping[str, Any], *, priority_max: int) -> list[str]:
    """Name all that is wrong with a canonical job."""
    found: list[str] = []
    if not job["ID"]:
        found.append("Missing job ID")
    elif " " in job["ID"]:
        found.append("Job ID contains a space")
    if job["Type"] not in TYPES:
        found.append(f'Invalid job type: "{job["Type"]}"')
    if not 1 <= job["Priority"] <= priority_max:
        found.append(f"Job priority must be between [1, {priority_max}]")
    groups = job["TaskGroups"] or []
    if not groups:
        found.append("Missing job task groups")
    names: dict[str, int] = {}
    for i, group in enumerate(groups):
        if not group["Name"]:
            found.append(f"Job task group {i + 1} missing name")
        elif group["Name"] in names:
            first = names[group["Name"]]
            found.append(f"Job task group {i + 1} redefines '{group['Name']}' from group {first + 1}")
        else:
            names[group["Name"]] = i
        if group["Count"] < 0:
            found.append(f"Task group {group['Name']} validation failed: Task group count can't be negative")
        if job["Type"] == "system" and group["Count"] > 1:
            found.append(
                f"Job task group {group['Name']} has count {group['Count']}. "
                "Count cannot exceed 1 with system scheduler"
            )
        if not group["Tasks"]:
            found.append(f"Task group {group['Name']} validation failed: Missing tasks for task group")
        found += [
            f"Task group {group['Name']} validation failed: Task {task['Name']} validation failed: Missing task driver"
            for task in group["Tasks"] or []
            if not task["Driver"]
        ]
    return found


def as_error(found: list[str]) -> str:
    """Join faults as Nomad does."""
    lines = "".join(f"\t* {text}\n" for text in found)
    return f"{len(found)} error{'s' if len(found) != 1 else ''} occurred:\n{lines}\n"


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
    if not found:
        return ""
    lines = "\n* ".join(found)
    return f"{len(found)} warning{'s' if len(found) != 1 else ''}:\n\n* {lines}"
