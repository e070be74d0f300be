"""The demo by the ports, and by Nomad's and EC2's wires: the same decisions at the same moments, the same machines."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from providers.aws.clients import Clients
from providers.ec2.provider import AwsEc2
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.sandbox.virtualtime import LoopClock
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.wire.nomad import NomadWire
from reconciler.bootstrap.simulated import sandbox
from reconciler.bootstrap.source import documents
from reconciler.iam import reconciler_policy
from reconciler.loop import GroupLoop, Outside, Tick, run_once
from support.aws_wire import REGION


@cache
def the_wire() -> Clients:
    return Clients(REGION)


def the_demo(*, wire: bool) -> tuple[list[str], Counter[str]]:
    """Run the demo; give every outcome with its time, and how often each of EC2's operations was called."""
    world = sandbox("demo", state=None, seed=1)
    (loaded,) = documents(["specs/demo.yaml"]).groups
    told: list[str] = []
    calls: list[str] = []

    def report(tick: Tick) -> None:
        told.extend(f"{o.at} {o.action.key} {o.result} {','.join(o.instance_ids)}" for o in tick.outcomes)

    async def work(outside: Outside) -> None:
        ports = outside(loaded.group)
        async with AsyncExitStack() as opened:
            if wire:
                clock = LoopClock()
                account = Ec2Wire(world.world, clock)
                account.attach(the_wire())
                account.calls = calls
                nomad = RealNomadDoor(NomadSettings(), app=NomadWire(world.world, clock), chance=lambda: 0.5)
                ec2 = AwsEc2(the_wire(), clock.now, inline=True)
                ports = replace(ports, ec2=ec2, nomad=await opened.enter_async_context(nomad))
            loop = GroupLoop(loaded.group, ports)
            await run_once(loop, wait=timedelta(minutes=10), report=report)

    world.run(work)
    return told, Counter(calls)


@pytest.mark.timeout(110)
def test_the_demo_is_the_same_by_the_ports_and_by_both_wires() -> None:
    by_port, _ = the_demo(wire=False)
    by_wire, calls = the_demo(wire=True)

    assert by_wire == by_port
    assert by_port, "something was done"
    assert calls["DescribeSpotPriceHistory"] <= 2, "prices are not asked for at every tick"
    (loaded,) = documents(["specs/demo.yaml"]).groups
    assert {f"ec2:{call}" for call in calls} <= reconciler_policy(loaded.group).actions
