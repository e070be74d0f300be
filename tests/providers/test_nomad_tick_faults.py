"""One request of a whole tick goes wrong, each in turn: nothing wrong is done, the tick ends, the next one heals.

The program runs as in production: Nomad over HTTP, journal and lock in Nomad's variables. ``--all-faults`` tries every
way at every request; without it each request is spoilt in one way, another one each.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import anyio
import pytest

from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.prices.shipped import load_catalogue
from providers.sandbox.doors import SandboxEc2
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.wire.nomad import NomadWire
from providers.sandbox.world.world import World
from reconciler.bootstrap.real import VariablesStore
from reconciler.loop import GroupLoop, Ports, Tick, run_once
from schemas.record import EXPIRY
from support.builders import a_group, a_pool
from support.faulty_wire import FaultyWire, Spoilt
from support.stage import a_job_of, a_scenario

State = tuple[list[tuple[str, str, str]], list[str]]

_SINGLE = re.compile(r"(?<=/v1/node/)(?!pools)[^/]+$|(?<=/v1/job/)[^/]+$")
TICK_MOST = 100.0  # seconds that a tick with one spoilt request may take
GROUP = a_group(pools=[a_pool(size={"min": 2, "max": 6})])


@dataclass(slots=True)
class Run:
    """The program on a world, each loop a process of its own."""

    world: World
    clock: LoopClock
    wire: FaultyWire

    async def loop(self, work: Callable[[GroupLoop], Awaitable[None]]) -> None:
        async with RealNomadDoor(NomadSettings(), app=self.wire, chance=lambda: 0.5) as door:
            store, kernel = VariablesStore(door, "default"), self.world.kernel
            ports = Ports(
                clock=self.clock,
                ec2=SandboxEc2(self.world, self.clock),
                nomad=door,
                store=store,
                catalogue=load_catalogue(),
                new_id=kernel.new_id,
                chance=lambda: 0.5,
                locks=store,
                holder="a test",
                found=store.found,
            )
            await work(GroupLoop(GROUP, ports))

    def state(self) -> State:
        """Every machine that EC2 knows, and the nodes that take no work."""
        machines = sorted(
            (i.tags.get("nomad-reconciler:claim", ""), i.type, i.state)
            for i in self.world.cloud.state.instances.values()
        )
        nodes = self.world.state.nomad.nodes.values()
        return machines, sorted(n.name for n in nodes if n.eligibility != "eligible" or n.drain is not None)


def played(
    world: World, work: Callable[[Run], Awaitable[None]], *, at: int | None = None, how: Spoilt = Spoilt.CUT
) -> Run:
    made: list[Run] = []

    async def opened() -> None:
        clock = LoopClock()
        made.append(Run(world, clock, FaultyWire(NomadWire(world, clock), at, how)))
        await work(made[0])

    run_virtual(opened, start=world.now)
    return made[0]


@cache
def _saved() -> bytes:
    """A formed cluster with two nodes, and work that waits for a third."""
    world = World.create(a_scenario(a_job_of("web", count=3)), seed=1, catalogue=load_catalogue())

    async def form(run: Run) -> None:
        async def converge(loop: GroupLoop) -> None:
            await run_once(loop, wait=timedelta(minutes=15), report=lambda _: None)

        await run.loop(converge)
        world.nomad.api.register_job({"Job": a_job_of("more", count=3, cpu=5000)})
        await run.clock.sleep(30)
        world.advance(run.clock.seconds())

    played(world, form)
    return world.save()


def a_world() -> World:
    return World.load(_saved(), load_catalogue())


@dataclass(slots=True)
class Told:
    """What came of a run."""

    requests: list[str]
    of_first: int  # requests of the first tick
    ticks: list[Tick]
    seconds: float  # of the first tick
    after: list[State]  # after each tick

    @property
    def done(self) -> set[str]:
        """Keys of all that was done or tried."""
        return {o.action.key for tick in self.ticks for o in tick.outcomes}


def told(at: int | None = None, how: Spoilt = Spoilt.CUT, *, stays: bool = False) -> Told:
    """Make ticks until one follows the spoilt one in peace; a lock of which nobody knows is waited for.

    ``stays``: all through the first tick, however often it is asked again.
    """
    found = Told([], 0, [], 0.0, [])

    async def work(run: Run) -> None:
        async def some(loop: GroupLoop) -> None:
            begun, run.wire.stays = run.clock.seconds(), stays
            while len(found.ticks) < 2 or (found.ticks[-1].led_by and run.clock.seconds() - begun < 2 * EXPIRY):
                with anyio.fail_after(TICK_MOST):
                    found.ticks.append(await loop.tick())
                found.after.append(run.state())
                run.wire.stays = False
                if len(found.ticks) == 1:
                    found.of_first, found.seconds = len(run.wire.asked), run.clock.seconds() - begun
                await run.clock.sleep(2)
            await loop.resign()
            found.requests = run.wire.asked

        await run.loop(some)

    played(a_world(), work, at=at, how=how)
    return found


undisturbed = cache(told)


def wrong(at: int, how: Spoilt, *, stays: bool) -> list[str]:
    """Say what was wrong about a run whose request ``at`` was spoilt."""
    whole, spoilt = undisturbed(), told(at, how, stays=stays)
    (machines, closed), (first, closed_first) = spoilt.after[-1], spoilt.after[0]
    found = []
    if more := spoilt.done - whole.done:
        found.append(f"did what was not to be done: {sorted(more)}")
    if closed or closed_first:
        found.append(f"nodes were closed: {closed or closed_first}")
    if set(first) - set(whole.after[-1][0]):
        found.append(f"machines changed in the spoilt tick: {first}")
    if [m[:2] for m in machines] != [m[:2] for m in whole.after[-1][0]]:
        found.append(f"not healed by the next tick: {machines}, {[t.plan.holds for t in spoilt.ticks]}")
    so = f"{how}, {'all through the tick' if stays else 'once'}"
    return [f"{so}, at {at}, {whole.requests[at].split('?')[0]}: {what}" for what in found]


def test_the_tick_that_is_spoilt_asks_for_everything_and_launches() -> None:
    whole = undisturbed()
    asked = {_SINGLE.sub(":id", line.split("?")[0]) for line in whole.requests[: whole.of_first]}
    assert {"GET /v1/nodes", "GET /v1/jobs", "GET /v1/allocations", "GET /v1/evaluations"} <= asked
    assert {"GET /v1/node/:id", "GET /v1/job/:id", "GET /v1/status/leader"} <= asked
    assert {"PUT /v1/var/nomad-reconciler/prod/lock", "PUT /v1/var/nomad-reconciler/prod/journal"} <= asked
    assert {key.split("/")[0] for key in whole.done} == {"launch"}
    assert whole.of_first >= 29


def test_whatever_request_of_a_tick_is_spoilt_nothing_wrong_is_done_and_the_next_tick_heals(
    request: pytest.FixtureRequest,
) -> None:
    ways, whole = list(Spoilt), undisturbed()
    cases = [(at, ways[at % len(ways)], at % 2 == 1) for at in range(whole.of_first)]
    if request.config.getoption("--all-faults"):
        cases = [(at, how, stays) for at in range(whole.of_first) for how in ways for stays in (False, True)]
    assert [line for at, how, stays in cases for line in wrong(at, how, stays=stays)] == []
