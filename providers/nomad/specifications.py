"""Jobs as they were submitted, whole, and how long their batch work ran: for whoever wants to run them elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any
from urllib.parse import quote

from providers.nomad.channel import Channel
from providers.nomad.client import ALL, LONG, in_parallel
from providers.nomad.shapes import JobStub, an_object, list_of, objects

Json = Mapping[str, Any]


async def specifications(channel: Channel) -> tuple[Json, ...]:
    """Read every job that is not stopped and no child of another, as Nomad keeps it, by namespace and id.

    Raises UnansweredError.
    """
    stubs = await channel.read("/v1/jobs", (ALL,), decode=lambda a: list_of(JobStub, a), seconds=LONG)
    found: dict[tuple[str, str], Json] = {}

    async def learn(stub: JobStub) -> None:
        path, namespace = f"/v1/job/{quote(stub.ID, safe='')}", (("namespace", stub.Namespace),)
        job = await channel.read(
            path,
            namespace,
            decode=lambda a: an_object(a, "ID", "Type", "TaskGroups"),
            missing=("job not found", None),
        )
        if job is not None:
            found[stub.Namespace, stub.ID] = job

    await in_parallel(learn, [stub for stub in stubs if not stub.Stop and not stub.ParentID])
    return tuple(found[key] for key in sorted(found))


async def run_times(channel: Channel) -> Mapping[tuple[str, str, str], float]:
    """Give the median seconds that copies of batch groups ran which ended well, by namespace, job and group."""
    needed = ("Namespace", "JobID", "TaskGroup", "JobType", "ClientStatus")
    ended = ("filter", 'ClientStatus == "complete"')
    rows = await channel.read("/v1/allocations", (ALL, ended), decode=lambda a: objects(a, *needed), seconds=LONG)
    seconds: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        if row["JobType"] in {"batch", "sysbatch"} and (ran := _ran(row.get("TaskStates") or {})) is not None:
            seconds.setdefault((row["Namespace"], row["JobID"], row["TaskGroup"]), []).append(ran)
    return {key: median(all_of_it) for key, all_of_it in seconds.items()}


def _ran(tasks: Mapping[str, Json]) -> float | None:
    """Give the seconds from the first task's start to the last one's end; None when that is not known."""
    times: Sequence[tuple[str | None, str | None]] = [(t.get("StartedAt"), t.get("FinishedAt")) for t in tasks.values()]
    begun, over = [_moment(a) for a, _ in times if a], [_moment(b) for _, b in times if b]
    if not begun or len(over) < len(times):
        return None
    return max(1.0, (max(over) - min(begun)).total_seconds())


def _moment(text: str) -> datetime:
    """Read Go's time, whose fractions may have nine digits."""
    head, dot, rest = text.partition(".")
    digits = rest.rstrip("Z")
    return datetime.fromisoformat(
        f"{head}{dot}{digits[:6].ljust(6, '0')}+00:00" if dot else text.replace("Z", "+00:00")
    )
