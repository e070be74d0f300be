"""From the queue to each group's own record, and only then out of the queue: by the port and over SQS."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import anyio
import pytest

from providers.aws.clients import Clients
from providers.events.box import AT_ONCE, Box, Received
from providers.events.poller import HELPERS_MOST, Consumer, Polled, Poller
from providers.events.queue import Queue
from providers.sandbox.doors.queue import SandboxQueue
from providers.sandbox.doors.time import catch_up
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.world.ec2 import scheduled
from providers.sandbox.world.ec2.interruption import interrupt
from providers.sandbox.world.ec2.messages import announce_interruption
from providers.sandbox.world.ec2.state import QueueRules
from providers.sandbox.world.world import World
from schemas.events import Event, Kind
from schemas.faults import OutcomeUnknownError, Source, UnansweredError
from support.aws_wire import REGION
from support.builders import NOON
from support.ec2_doors import Inside, through
from support.whole_world import a_client_template, a_request, a_world

T = TypeVar("T")
URL = "https://sqs.us-east-1.amazonaws.com/123456789012/interruptions"


@cache
def shared_clients() -> Clients:
    return Clients(REGION)


@pytest.fixture(params=["port", "wire"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass(slots=True)
class Group:
    """A group with its own record of events; it may not know its machines yet, or fail to write."""

    name: str
    machines: set[str] | None = field(default_factory=set)
    record: dict[str, list[Event]] = field(default_factory=dict)
    failures: int = 0

    def consumer(self) -> Consumer:
        return Consumer(name=self.name, owns=self.owns, keep=self.keep)

    def owns(self, instance_id: str) -> bool | None:
        return None if self.machines is None else instance_id in self.machines

    async def keep(self, events: Sequence[Event]) -> None:
        if self.failures:
            self.failures -= 1
            raise OutcomeUnknownError(Source.STORE, "write", "lost")
        for event in events:
            self.record.setdefault(event.id, []).append(event)

    def kinds(self) -> list[Kind]:
        return sorted(events[0].kind for events in self.record.values())


def a_box(door: str, at: Inside) -> Box:
    if door == "port":
        return SandboxQueue(at.world, at.clock)
    Ec2Wire(at.world, at.clock).attach(shared_clients())
    return Queue(shared_clients(), URL, inline=True)


async def machines(at: Inside, count: int) -> list[str]:
    """Machines that run, whose birth was told and forgotten."""
    await at.ec2.create_template("demo", a_client_template())
    made = [i.id for i in (await at.ec2.create_fleet(a_request(count))).instances]
    await at.clock.sleep(60)
    catch_up(at.world, at.clock).cloud.state.messages.clear()
    return made


def polling(door: str, at: Inside, *groups: Group, told: Callable[[Polled], None] = lambda _: None) -> Poller:
    return Poller(
        a_box(door, at), lambda: [g.consumer() for g in groups], at.clock.now, sleep=at.clock.sleep, told=told
    )


def left(at: Inside) -> int:
    return len(catch_up(at.world, at.clock).cloud.state.messages)


def opened(door: str, work: Callable[[Inside], Awaitable[T]], world: World | None = None) -> T:
    del door  # the machines come by the port; the messages by either door
    return through("port", world or a_world(), work)


def test_each_kind_of_warning_reaches_the_group_whose_machine_it_is_about(door: str) -> None:
    async def work(at: Inside) -> None:
        ids = await machines(at, 4)
        mine, other = Group("mine", set(ids[:3])), Group("other", {ids[3]})
        poller = polling(door, at, mine, other)
        interrupt(at.world.cloud, ids[0], after=1, advice_seconds=1)
        scheduled.schedule(at.world.cloud, ids[1], scheduled.RETIREMENT, after=86_400)
        await at.ec2.terminate([ids[2], ids[3]])
        await at.clock.sleep(60)
        while left(at):
            await poller.poll(wait=0)

        assert set(mine.kinds()) == {Kind.NOTICE, Kind.REBALANCE, Kind.SCHEDULED, Kind.STATE}
        assert set(other.kinds()) == {Kind.STATE}
        assert {i for events in other.record.values() for e in events for i in e.instance_ids} == {ids[3]}

    opened(door, work)


def test_what_could_not_be_written_down_comes_again_and_is_kept_once(door: str) -> None:
    async def work(at: Inside) -> None:
        (machine,) = await machines(at, 1)
        group = Group("mine", {machine}, failures=2)
        poller = polling(door, at, group)
        interrupt(at.world.cloud, machine)
        await at.clock.sleep(1)
        results = []
        for _ in range(5):
            results.append(await poller.poll(wait=0))
            await at.clock.sleep(21)

        assert [bool(r.faults) for r in results] == [True, True, False, False, False]
        assert [r.hurried for r in results[2:4]] == [{"mine"}, frozenset()]
        assert [len(kept) for kept in group.record.values()] == [1]
        assert left(at) == 0

    opened(door, work)


class Cut:
    """A queue whose deletions are lost, as when the process dies in between."""

    def __init__(self, box: Box) -> None:
        self._box, self.lost = box, 1

    async def receive(self, *, wait: int = 0) -> tuple[Received, ...]:
        return await self._box.receive(wait=wait)

    async def delete(self, messages: Sequence[Received]) -> None:
        if self.lost:
            self.lost -= 1
            raise UnansweredError(Source.EVENTS, "DeleteMessageBatch", "lost")
        await self._box.delete(messages)


@pytest.mark.parametrize("process", ["lives", "dies"])
def test_a_message_that_was_not_deleted_is_known_when_it_comes_again(door: str, process: str) -> None:
    async def work(at: Inside) -> None:
        (machine,) = await machines(at, 1)
        group = Group("mine", {machine})
        box = Cut(a_box(door, at))
        poller = Poller(box, lambda: [group.consumer()], at.clock.now)
        interrupt(at.world.cloud, machine)
        await at.clock.sleep(1)
        first = await poller.poll(wait=0)
        assert (first.kept, bool(first.faults), left(at)) == ({"notice": 1}, True, 1)
        await at.clock.sleep(21)
        if process == "dies":
            poller = Poller(box, lambda: [group.consumer()], at.clock.now)
        again = await poller.poll(wait=0)

        assert again.dropped == ({"duplicate": 1} if process == "lives" else {})
        assert len(group.record) == 1, "written down under one id, however often"
        assert left(at) == 0

    opened(door, work)


def test_a_message_stays_until_every_group_can_tell_whether_the_machine_is_its_own(door: str) -> None:
    async def work(at: Inside) -> None:
        (machine,) = await machines(at, 1)
        late, other = Group("late", None), Group("other", set())
        poller = polling(door, at, late, other)
        interrupt(at.world.cloud, machine)
        await at.clock.sleep(1)
        first = await poller.poll(wait=0)
        assert (first.dropped, left(at)) == ({"undecided": 1}, 1)
        late.machines = {machine}
        await at.clock.sleep(21)
        assert (await poller.poll(wait=0)).kept == {"notice": 1}
        assert (late.kinds(), left(at)) == ([Kind.NOTICE], 0)

    opened(door, work)


def test_without_any_group_nothing_is_thrown_away(door: str) -> None:
    async def work(at: Inside) -> None:
        (machine,) = await machines(at, 1)
        interrupt(at.world.cloud, machine)
        await at.clock.sleep(1)
        await polling(door, at).poll(wait=0)
        assert left(at) == 1

    opened(door, work)


def test_foreign_late_and_repeated_messages_leave_the_queue_and_are_counted(door: str) -> None:
    world = a_world()
    world.state.ec2.queue = QueueRules(duplicates=1.0)

    async def work(at: Inside) -> None:
        ours, foreign, old = await machines(at, 3)
        group = Group("mine", {ours, old})
        told: list[Polled] = []
        poller = polling(door, at, group, told=told.append)
        interrupt(at.world.cloud, foreign)
        interrupt(at.world.cloud, ours)
        announce_interruption(at.world.cloud, at.world.state.ec2.instances[old])
        for message in at.world.state.ec2.messages:
            if message.body["detail"]["instance-id"] == old:
                message.body["time"] = "2026-01-05T07:00:00Z"
        await at.clock.sleep(1)
        while left(at):
            await poller.poll(wait=0)

        dropped = {why: sum(p.dropped.get(why, 0) for p in told) for why in ("foreign", "duplicate", "late")}
        assert dropped == {"foreign": 2, "duplicate": 1, "late": 2}
        assert group.kinds() == [Kind.NOTICE]

    opened(door, work, world)


class Shelf:
    """A queue in memory that is slow to answer, and tells how many questions are under way."""

    def __init__(self, bodies: Sequence[str]) -> None:
        self.bodies, self.deleted = list(bodies), 0
        self.under_way = self.under_way_most = 0

    async def receive(self, *, wait: int = 20) -> tuple[Received, ...]:
        self.under_way += 1
        self.under_way_most = max(self.under_way, self.under_way_most)
        await anyio.sleep(0.1 if self.bodies else wait)
        self.under_way -= 1
        batch, self.bodies = self.bodies[:AT_ONCE], self.bodies[AT_ONCE:]
        return tuple(Received(body=b, handle="h") for b in batch)

    async def delete(self, messages: Sequence[Received]) -> None:
        await anyio.sleep(0.05)
        self.deleted += len(messages)


def a_notice(number: int) -> str:
    body: dict[str, Any] = {
        "id": f"event-{number}",
        "source": "aws.ec2",
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "time": NOON.isoformat(),
        "detail": {"instance-id": f"i-{number}", "instance-action": "terminate"},
    }
    return json.dumps(body)


def test_a_flood_is_emptied_at_a_thousand_messages_a_second_though_each_question_takes_a_tenth_of_one() -> None:
    shelf, group = Shelf([a_notice(n) for n in range(3000)]), Group("mine", {f"i-{n}" for n in range(3000)})

    async def work() -> timedelta:
        clock = LoopClock()
        poller = Poller(shelf, lambda: [group.consumer()], clock.now)
        start = clock.now()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(poller.run)
            while shelf.deleted < 3000:
                await clock.sleep(0.05)
            took: timedelta = clock.now() - start
            tasks.cancel_scope.cancel()
        return took

    took = run_virtual(work, start=4 * 3600.0)

    assert len(group.record) == 3000
    assert shelf.under_way_most == HELPERS_MOST + 1
    assert took <= timedelta(seconds=3.5)


def test_a_queue_that_does_not_answer_is_asked_at_growing_intervals_and_then_at_once_again() -> None:
    asked: list[datetime] = []

    class Silent(Shelf):
        async def receive(self, *, wait: int = 20) -> tuple[Received, ...]:
            asked.append(clock.now())
            if len(asked) == 9:
                return await super().receive(wait=wait)
            raise UnansweredError(Source.EVENTS, "ReceiveMessage", "silent")

    clock = LoopClock()

    async def work() -> None:
        group = Group("mine", {"i-1"})
        poller = Poller(Silent([a_notice(1)]), lambda: [group.consumer()], clock.now, sleep=clock.sleep)
        with anyio.move_on_after(400):
            await poller.run()

    run_virtual(work, start=4 * 3600.0)

    pauses = [round((b - a).total_seconds()) for a, b in pairwise(asked)]
    assert pauses[:11] == [1, 2, 4, 8, 16, 32, 60, 60, 0, 1, 2]
