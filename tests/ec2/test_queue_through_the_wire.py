"""The interruption queue by the port and as SQS over the wire: the same messages, hidden and deleted alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from providers.events.box import Box
from providers.events.queue import Queue
from providers.sandbox.doors.queue import SandboxQueue
from providers.sandbox.virtualtime import LoopClock
from providers.sandbox.world.ec2 import messages
from providers.sandbox.world.world import World
from schemas.faults import UnansweredError
from support.ec2_doors import Inside, shared_clients, through
from support.whole_world import a_server_template, a_world

URL = "http://127.0.0.1/123456789012/interruptions"


def emptied(door: str, work: Callable[[Inside, Box], Awaitable[Any]]) -> Any:
    """Run work on the queue of a world in which a machine was just warned of."""

    async def opened(inside: Inside) -> Any:
        made = await inside.ec2.run_instance(a_server_template("subnet-a1"), token="warned", tags={})
        await inside.clock.sleep(60)
        inside.world.advance(inside.clock.seconds())
        cloud = inside.world.cloud
        messages.announce_rebalance(cloud, cloud.state.instances[made.id])
        messages.announce_interruption(cloud, cloud.state.instances[made.id])
        return await work(inside, a_box(door, inside.world, inside.clock))

    return through(door, a_world(), opened)


def a_box(door: str, world: World, clock: LoopClock) -> Box:
    return SandboxQueue(world, clock) if door == "port" else Queue(shared_clients(), URL, inline=True)


async def _read(inside: Inside, box: Box) -> list[list[Any]]:
    """Receive, delete all but one, and look again: at once, and when what was received is visible again."""
    first = await box.receive(wait=0)
    await box.delete(first[1:])
    hidden = await box.receive(wait=0)
    await inside.clock.sleep(21)
    again = await box.receive(wait=0)
    return [[msgspec.json.decode(m.body) for m in told] for told in (first, hidden, again)]


def test_both_doors_tell_the_same_messages() -> None:
    by_port, by_wire = emptied("port", _read), emptied("wire", _read)

    first, hidden, again = by_port
    assert by_wire == by_port
    kinds = {message["detail-type"] for message in first}
    assert {"EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"} <= kinds
    assert hidden == []
    assert again == first[:1]


def test_another_queue_is_not_there() -> None:
    async def work(_: Inside, __: Box) -> None:
        other = Queue(shared_clients(), URL + "-of-somebody", inline=True)
        with pytest.raises(UnansweredError, match="there is no queue"):
            await other.receive(wait=0)

    emptied("wire", work)
