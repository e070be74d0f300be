"""Empties one queue for several groups: receive, sift, let the group write down what it asks for, remember, delete.

In this order a crash anywhere loses nothing: a message that was not deleted comes again after ``HIDDEN`` seconds, and
what is written down twice is written down once by the event's id. A group hears of its own machines alone. A message
about a machine that may be that of a group which cannot tell yet stays in the queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import anyio
from anyio.abc import TaskGroup

from providers.events.box import AT_ONCE, Box, Received
from providers.events.messages import Drop, Sieve
from schemas.events import Event
from schemas.faults import Fault, UnansweredError

HELPERS_MOST: Final = 15
"""So many more questions are under way at a time while a queue is full: a thousand messages a second need that."""
PAUSE, PAUSE_MOST = 1.0, 60.0
"""Seconds between two questions to a queue that does not answer, doubling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """One group among those that share a queue.

    ``owns`` tells from the group's last look whether a machine is its own; None: it has not looked yet, or the look
    failed. ``keep`` writes down durably what the events ask for, each once by its id, and hurries the group's tick;
    a Fault means that it was not written, and the messages come again.
    """

    name: str
    owns: Callable[[str], bool | None]
    keep: Callable[[Sequence[Event]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What came of one batch of messages."""

    received: int
    kept: Mapping[str, int] = field(default_factory=dict)  # events by kind
    dropped: Mapping[str, int] = field(default_factory=dict)  # messages by why; undecided ones stay in the queue
    hurried: frozenset[str] = frozenset()  # groups that have something new to look at
    faults: tuple[str, ...] = ()  # what was not written down, or not deleted


class Poller:
    """One queue. ``consumers`` gives the groups that share it now; ``told`` hears of each batch (metrics, log)."""

    def __init__(
        self,
        box: Box,
        consumers: Callable[[], Sequence[Consumer]],
        now: Callable[[], datetime],
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        told: Callable[[Polled], None] = lambda _: None,
    ) -> None:
        self._box, self._consumers, self._now = box, consumers, now
        self._sleep, self._told = sleep, told
        self._sieve = Sieve()
        self._helpers = 0

    async def run(self) -> None:
        """Empty the queue until cancelled; one that does not answer is asked again, at longer and longer intervals."""
        pause = PAUSE
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    polled = await self.poll()
                except UnansweredError as fault:
                    self._told(Polled(received=0, faults=(str(fault),)))
                    await self._sleep(pause)
                    pause = min(PAUSE_MOST, pause * 2)
                    continue
                pause = PAUSE
                if polled.received == AT_ONCE:
                    self._help(tasks)

    async def poll(self, *, wait: int | None = None) -> Polled:
        """Receive one batch and deal with it. Raises UnansweredError when nothing could be received."""
        messages = await (self._box.receive() if wait is None else self._box.receive(wait=wait))
        if not messages:
            return Polled(received=0)
        polled = await self._dealt_with(messages)
        self._told(polled)
        return polled

    def _help(self, tasks: TaskGroup) -> None:
        """While batches are full, ask several times at once; helpers do not wait at an empty queue."""
        if self._helpers < HELPERS_MOST:
            self._helpers += 1
            tasks.start_soon(self._helped, tasks)

    async def _helped(self, tasks: TaskGroup) -> None:
        try:
            while (await self.poll(wait=0)).received == AT_ONCE:
                self._help(tasks)
        except UnansweredError as fault:  # whoever waits at the queue will hear it too, and pause
            self._told(Polled(received=0, faults=(str(fault),)))
        finally:
            self._helpers -= 1

    async def _dealt_with(self, messages: Sequence[Received]) -> Polled:
        consumers, now = self._consumers(), self._now()
        judged = self._sieve.sift((m.body for m in messages), now, lambda i: _owned(consumers, i))
        events = [j for j in judged if isinstance(j, Event)]
        failed: set[str] = set()
        faults: list[str] = []
        hurried: set[str] = set()

        async def keep(consumer: Consumer, mine: Sequence[Event]) -> None:
            try:
                await consumer.keep(mine)
            except Fault as fault:
                failed.update(event.id for event in mine)
                faults.append(f"{consumer.name}: {fault}")
            else:
                hurried.add(consumer.name)

        async with anyio.create_task_group() as tasks:
            for consumer in consumers:
                if mine := _of(consumer, events):
                    tasks.start_soon(keep, consumer, mine)
        for event in events:
            if event.id not in failed:
                self._sieve.keep(event, self._now())
        done = [m for m, j in zip(messages, judged, strict=True) if _settled(j, failed)]
        try:
            await self._box.delete(done)
        except UnansweredError as fault:  # they come again, and are duplicates then
            faults.append(str(fault))
        return Polled(
            received=len(messages),
            kept=Counter(str(e.kind) for e in events if e.id not in failed),
            dropped=Counter(str(j) for j in judged if isinstance(j, Drop)),
            hurried=frozenset(hurried),
            faults=tuple(faults),
        )


def _owned(consumers: Iterable[Consumer], instance_id: str) -> bool | None:
    """Ask all groups for a machine: it is somebody's, nobody's, or that cannot be told yet."""
    said = [consumer.owns(instance_id) for consumer in consumers]
    if any(said):
        return True
    return None if None in said or not said else False


def _of(consumer: Consumer, events: Iterable[Event]) -> list[Event]:
    """Give a group the events about its machines, without those of others."""
    found = []
    for event in events:
        mine = tuple(i for i in event.instance_ids if consumer.owns(i))
        if mine:
            found.append(replace(event, instance_ids=mine))
    return found


def _settled(judged: Event | Drop, failed: set[str]) -> bool:
    return judged.id not in failed if isinstance(judged, Event) else judged is not Drop.UNDECIDED
