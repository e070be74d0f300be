"""One simulated account reached by the port, or by boto3 over EC2's query API; both must say the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from providers.aws.clients import Clients
from providers.ec2.provider import AwsEc2
from providers.sandbox.doors import SandboxEc2
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.world.world import World
from reconciler.ports import Ec2
from support.aws_wire import REGION

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Inside:
    """A world, its clock, and the door through which it is reached."""

    world: World
    clock: LoopClock
    ec2: Ec2


@cache
def shared_clients() -> Clients:
    return Clients(REGION)


def through(door: str, world: World, work: Callable[[Inside], Awaitable[T]]) -> T:
    async def opened() -> T:
        clock = LoopClock()
        if door == "port":
            return await work(Inside(world, clock, SandboxEc2(world, clock)))
        Ec2Wire(world, clock).attach(shared_clients())
        return await work(Inside(world, clock, AwsEc2(shared_clients(), clock.now, inline=True)))

    return run_virtual(opened, start=world.now)
