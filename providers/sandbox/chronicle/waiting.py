"""How long copies of jobs waited for a place, and which never got one.

Nomad says how many copies of a group are queued, not which: they are taken to be placed in the order in which they
began to wait.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.job import DEAD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.job import Job
    from providers.sandbox.world.world import World

Key = tuple[str, str]  # Job.name ("default/web"), group
_EVERYWHERE = frozenset({"system", "sysbatch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One copy that was placed, after so many seconds; 0: at once."""

    job: str
    group: str
    at: float
    seconds: float
    again: bool  # it replaces an earlier allocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Copies that wait still."""

    job: str
    group: str
    copies: int
    since: float


@dataclass(slots=True, kw_only=True)
class Waiting:
    """Watches the queues of all jobs."""

    world: World
    waits: list[Wait] = field(default_factory=list)
    withdrawn: int = 0  # copies that nobody wants any more before they had a place
    jobs: set[str] = field(default_factory=set)
    _queues: dict[Key, deque[float]] = field(default_factory=dict)

    def look(self, fresh: Iterable[Allocation]) -> int:
        """Take in new allocations and the queues; gives how many copies wait now."""
        for alloc in fresh:
            if alloc.job_type not in _EVERYWHERE:
                self._placed(alloc)
        waiting = self._queues
        queued = {
            (name, group): summary.queued
            for name, job in self._jobs()
            for group, summary in job.summary.groups.items()
            if summary.queued or (name, group) in waiting
        }
        for key in [key for key in waiting if key not in queued]:
            queued[key] = 0
        for key, count in queued.items():
            self._adjust(key, count)
        return sum(len(queue) for queue in waiting.values())

    def left(self) -> list[Left]:
        """List what waits still, the longest first."""
        found = [
            Left(job=job, group=group, copies=len(queue), since=queue[0])
            for (job, group), queue in self._queues.items()
            if queue
        ]
        return sorted(found, key=lambda left: (left.since, left.job, left.group))

    def _jobs(self) -> Iterable[tuple[str, Job]]:
        for job in self.world.nomad.state.jobs.values():
            if job.type not in _EVERYWHERE and not job.periodic and not job.parameterized:
                name = job.id if job.namespace == "default" else job.name
                self.jobs.add(name)
                if not job.stop and job.status != DEAD:
                    yield name, job

    def _placed(self, alloc: Allocation) -> None:
        name = alloc.job_id if alloc.namespace == "default" else f"{alloc.namespace}/{alloc.job_id}"
        queue = self._queues.get((name, alloc.group))
        since = queue.popleft() if queue else alloc.create_time
        seconds = max(0.0, alloc.create_time - since)
        again = bool(alloc.previous)
        self.waits.append(Wait(job=name, group=alloc.group, at=alloc.create_time, seconds=seconds, again=again))

    def _adjust(self, key: Key, count: int) -> None:
        queue = self._queues.setdefault(key, deque())
        while len(queue) > count:
            queue.pop()
            self.withdrawn += 1
        queue.extend([self.world.now] * (count - len(queue)))
        if not queue:
            del self._queues[key]
