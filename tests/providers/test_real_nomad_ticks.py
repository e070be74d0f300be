"""Whole ticks against a real Nomad: journal, lock and demand are real; the machines are a simulated account's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import anyio
import pytest

from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.prices.shipped import load_catalogue
from providers.sandbox.doors import SandboxEc2
from providers.sandbox.world.epoch import Calendar
from providers.sandbox.world.world import World
from reconciler.bootstrap.clock import WallClock
from reconciler.bootstrap.real import VariablesStore
from reconciler.loop import GroupLoop, Ports, Tick
from schemas.document import ClusterGroup
from schemas.faults import Source
from support.nomad_site import Site, real
from support.real_nomad import RealCluster, needs_nomad
from support.stage import a_scenario

pytestmark = [needs_nomad, pytest.mark.xdist_group("real-nomad")]

_NAMES = count()


@dataclass(slots=True)
class Account:
    """A simulated account at today's date, and the document that manages it."""

    world: World
    group: ClusterGroup

    @classmethod
    def opened(cls, cluster: RealCluster) -> Account:
        begun = World.create(a_scenario(), seed=1, catalogue=load_catalogue())
        today = Calendar(epoch=WallClock().now().replace(microsecond=0))
        world = World.load(begun.save(), load_catalogue(), today)
        spec: dict[str, Any] = {
            "nomad": {"address": cluster.servers[0].url},
            "aws": {
                "region": "us-east-1",
                "subnets": [{"id": f"subnet-{z}1", "zone": f"us-east-1{z}"} for z in "abc"],
                "securityGroups": ["sg-0123"],
                "instanceProfile": "nomad-node",
            },
            "machine": {"images": {"x86_64": "ami-0123", "arm64": "ami-0456"}},
            "pools": [
                {
                    "name": "general",
                    "drivers": ["raw_exec"],
                    "instances": {"types": ["m6i.large"]},
                    "size": {"min": 0, "max": 5},
                    "capacity": {"spotPercent": 0, "onDemandBase": 0},
                }
            ],
        }
        document = {
            "apiVersion": "nomad-reconciler/v1alpha1",
            "kind": "ClusterGroup",
            "metadata": {"name": f"real-{next(_NAMES)}"},
            "spec": spec,
        }
        return cls(world, ClusterGroup.model_validate(document))

    @asynccontextmanager
    async def replica(self, name: str) -> AsyncIterator[GroupLoop]:
        """Start the program once more, with nothing in its memory."""
        clock = WallClock()
        async with RealNomadDoor(NomadSettings(), chance=lambda: 0.5) as door:
            store, kernel = VariablesStore(door, "default"), self.world.kernel
            ports = Ports(
                clock=clock,
                ec2=SandboxEc2(self.world, clock),
                nomad=door,
                store=store,
                catalogue=load_catalogue(),
                new_id=kernel.new_id,
                chance=lambda: 0.5,
                locks=store,
                holder=name,
                found=store.found,
            )
            yield GroupLoop(self.group, ports)

    @property
    def machines(self) -> list[str]:
        """Claims of all machines that were ever launched."""
        return sorted(i.tags.get("nomad-reconciler:claim", "") for i in self.world.state.ec2.instances.values())


def actions(tick: Tick) -> list[str]:
    return [outcome.action.key for outcome in tick.outcomes]


def test_real_work_that_waits_buys_one_machine_once_whichever_replica_looks(real_nomad: RealCluster) -> None:
    account = Account.opened(real_nomad)

    async def work(site: Site) -> None:
        await site.register(site.job("waits", count=3, cpu=3000))
        await site.blocked("waits")
        await anyio.sleep(6)  # a want is believed when its evaluation is some seconds old
        async with account.replica("first") as first, account.replica("second") as second:
            tick = await first.tick()
            assert tick.snapshot.unanswered == {}
            assert len(account.machines) == 1, [*tick.plan.holds, tick.plan.actions]
            assert (await second.tick()).led_by == "first"
            again = await first.tick()
            assert actions(again) == []  # it is on its way
            await first.resign()
            taken_over = await second.tick()
            assert (taken_over.led_by, actions(taken_over)) == ("", [])
            assert len(account.machines) == 1
            await second.resign()

    real(real_nomad, work)


def test_while_the_leader_is_gone_nothing_is_done_and_then_the_tick_goes_on(real_nomad: RealCluster) -> None:
    account = Account.opened(real_nomad)

    async def work(site: Site) -> None:
        raft = await site.cluster.raft_configuration()
        victim = next(p.address.partition(":")[0] for p in raft if p.leader)
        survivor = next(s.url for s in real_nomad.servers if s.address != victim)
        nomad = account.group.spec.nomad.model_copy(update={"address": survivor})
        account.group = account.group.model_copy(
            update={"spec": account.group.spec.model_copy(update={"nomad": nomad})}
        )
        async with account.replica("only") as loop:
            assert (await loop.tick()).snapshot.unanswered == {}
            site.machines.kill_server(victim)
            try:
                ticks = [await loop.tick() for _ in range(2)]
                assert {s for tick in ticks for s in tick.snapshot.unanswered} <= {Source.NOMAD, Source.STORE}
                assert [actions(tick) for tick in ticks] == [[], []]
                assert ticks[-1].snapshot.unanswered == {}
            finally:
                site.machines.mend_server(victim)
            await loop.resign()

    real(real_nomad, work)
