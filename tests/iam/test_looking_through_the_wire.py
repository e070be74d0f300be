"""What ``plan`` asks of EC2, before and after the servers are formed, is what the policy for looking allows."""

from __future__ import annotations

from dataclasses import replace

from providers.aws.clients import Clients
from providers.ec2.provider import AwsEc2
from providers.sandbox.doors import SandboxEc2, SandboxNomadDoor
from providers.sandbox.virtualtime import LoopClock
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.stores.sqlite import SqliteStore
from reconciler.bootstrap.simulated import Sandbox
from reconciler.bootstrap.source import documents
from reconciler.iam import reconciler_policy
from reconciler.loop import GroupLoop, Outside
from reconciler.machine import marker_template
from support.aws_account import no_account
from support.aws_wire import REGION
from support.whole_world import Doors, a_world, form

__all__ = ["no_account"]


def test_a_plan_calls_nothing_that_the_policy_for_looking_does_not_allow() -> None:
    world = a_world()
    group = documents(["specs/demo.yaml"]).groups[0].group
    clients = Clients(REGION)
    calls: list[str] = []

    async def work(outside: Outside) -> None:
        ports, clock = outside(group), LoopClock()
        wire = Ec2Wire(world, clock)
        wire.calls = calls
        wire.attach(clients)
        looking = replace(ports, ec2=AwsEc2(clients, clock.now, inline=True))
        await GroupLoop(group, looking).plan()
        await form(Doors(world, clock, SandboxEc2(world, clock), SandboxNomadDoor(world, clock)))
        await ports.ec2.create_template("demo", marker_template(group))
        await GroupLoop(group, looking).plan()

    Sandbox(world=world, store=SqliteStore(None)).run(work)

    allowed = reconciler_policy(group, looks=True).actions
    assert {f"ec2:{call}" for call in calls} <= allowed
    assert {"DescribeInstances", "DescribeLaunchTemplates"} <= set(calls)
