"""Spot machines that are taken back, and the queue that tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from providers.events.messages import parse
from providers.sandbox.doors.queue import SandboxQueue
from providers.sandbox.world.ec2.interruption import interrupt
from providers.sandbox.world.ec2.lifecycle import terminate
from providers.sandbox.world.ec2.messages import delete, receive
from providers.sandbox.world.ec2.state import QueueRules
from schemas.events import Event
from support.bare_world import BareWorld, launch
from support.whole_world import Doors, a_client_template, a_request, a_world, through_doors

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.state import Json

WARNING = "EC2 Spot Instance Interruption Warning"
ADVICE = "EC2 Instance Rebalance Recommendation"


def told(world: BareWorld, kind: str) -> list[Json]:
    return [m.body for m in receive(world.cloud, count_max=100, hidden_seconds=0) if m.body["detail-type"] == kind]


def test_a_notice_comes_two_minutes_before_the_end() -> None:
    world = BareWorld(lag=0)
    made = launch(world, "t", market="spot")
    world.wait(60)
    interrupt(world.cloud, made.id)
    world.wait(1)
    notice = told(world, WARNING)
    world.wait(118)
    before = made.state
    world.wait(2)

    assert [n["detail"]["instance-id"] for n in notice] == [made.id]
    assert notice[0]["resources"] == [f"arn:aws:ec2:us-east-1a:instance/{made.id}"]
    assert (before, made.state, made.state_reason) == ("running", "shutting-down", "Server.SpotInstanceTermination")


def test_advice_comes_before_the_notice_when_it_comes() -> None:
    world = BareWorld(lag=0)
    made = launch(world, "t", market="spot")
    world.wait(60)
    interrupt(world.cloud, made.id, after=100, advice_seconds=60)
    world.wait(50)

    assert len(told(world, ADVICE)) == 1
    assert told(world, WARNING) == []
    assert made.interruption_at is None


def test_a_machine_that_we_ended_ourselves_gets_no_notice() -> None:
    world = BareWorld(lag=0)
    made = launch(world, "t", market="spot")
    world.wait(60)
    interrupt(world.cloud, made.id, after=10)
    terminate(world.cloud, [made.id])
    world.wait(200)

    assert told(world, WARNING) == []
    assert made.state_reason == "Client.UserInitiatedShutdown"


@pytest.mark.parametrize(("market", "expected"), [("spot", True), ("on-demand", False)])
def test_only_spot_machines_are_interrupted_by_chance(market: str, *, expected: bool) -> None:
    world = BareWorld(lag=0)
    world.state.ec2.interruptions_per_day = 24.0
    machines = [launch(world, f"t{n}", market=market) for n in range(10)]
    world.wait(3 * 3600)

    assert any(m.interruption_at is not None for m in machines) is expected


def test_a_message_comes_again_until_it_is_deleted() -> None:
    world = BareWorld(lag=0)
    launch(world, "t")
    world.wait(15)
    first = receive(world.cloud)
    hidden = receive(world.cloud)
    world.wait(21)
    again = receive(world.cloud)
    delete(world.cloud, first[0].id)
    world.wait(21)

    assert [m.body["detail"]["state"] for m in first] == ["running"]
    assert hidden == []
    assert [m.id for m in again] == [m.id for m in first]
    assert receive(world.cloud) == []


def test_an_event_may_come_as_two_messages_under_one_event_id() -> None:
    world = BareWorld(lag=0)
    world.state.ec2.queue = QueueRules(duplicates=1.0)
    launch(world, "t")
    world.wait(15)
    twins = receive(world.cloud)
    delete(world.cloud, twins[0].id)

    assert len({m.id for m in twins}) == 2
    assert len({m.body["id"] for m in twins}) == 1
    assert [m.id for m in receive(world.cloud, hidden_seconds=0)] == []
    world.wait(21)
    assert [m.id for m in receive(world.cloud)] == [twins[1].id]


def test_messages_come_late_and_in_no_order() -> None:
    orders = set()
    for seed in range(6):
        world = BareWorld(seed, lag=0)
        world.state.ec2.queue = QueueRules(delay_max=30.0, disorder=True)
        for number in range(4):
            launch(world, f"t{number}")
        world.wait(15)
        early = receive(world.cloud, hidden_seconds=300)
        world.wait(30)
        times = [m.sent_at for m in early + receive(world.cloud)]
        orders.add(times == sorted(times))
        assert len(early) < 4
        assert len(times) == 4

    assert False in orders


def test_the_queue_s_door_waits_for_a_message_and_gives_its_body() -> None:
    async def work(doors: Doors) -> None:
        queue = SandboxQueue(doors.world, doors.clock)
        empty = await queue.receive()
        waited = doors.world.now
        await doors.ec2.create_template("demo", a_client_template())
        await doors.ec2.create_fleet(a_request(1))
        found = await queue.receive()
        await queue.delete(found)

        assert (empty, waited) == ((), 20.0)
        assert [type(parse(m.body)) for m in found] == [Event]
        assert await queue.receive() == ()

    through_doors(a_world(), work)


def test_messages_are_kept_for_five_minutes() -> None:
    world = BareWorld(lag=0)
    launch(world, "t")
    world.wait(400)

    assert receive(world.cloud) == []
