"""One seed gives one trace, whether the program looks at Nomad through the port or over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.prices.shipped import load_catalogue
from providers.sandbox.doors import SandboxEc2, SandboxNomadDoor
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.wire.nomad import NomadWire
from providers.sandbox.world.scenario import load_scenario
from providers.sandbox.world.world import World
from providers.stores.sqlite import SqliteStore
from reconciler.loop import GroupLoop, Ports, Tick, run_once
from reconciler.ports import NomadDoor
from schemas.document import ClusterGroup
from schemas.document.load import load
from schemas.world import FleetAnswer, FleetRequest, Instance, Template

DEMO = Path(__file__).parents[2] / "specs" / "demo.yaml"
Open = Callable[[World, LoopClock], AbstractAsyncContextManager[NomadDoor]]


@dataclass(slots=True)
class Trace:
    """What was done, and when, in virtual seconds."""

    launches: list[tuple[float, str, object, tuple[str, ...]]]
    ticks: list[tuple[float, tuple[str, ...], tuple[str, ...]]]
    converged: bool = False


class OverheardEc2(SandboxEc2):
    """The account, with every launch written down."""

    def __init__(self, world: World, clock: LoopClock, trace: Trace) -> None:
        super().__init__(world, clock)
        self._seconds, self._trace = clock.seconds, trace

    async def run_instance(self, template: Template, *, token: str, tags: Mapping[str, str]) -> Instance:
        made = await super().run_instance(template, token=token, tags=tags)
        self._trace.launches.append((self._seconds(), token, template, (made.id,)))
        return made

    async def create_fleet(self, request: FleetRequest) -> FleetAnswer:
        answer = await super().create_fleet(request)
        self._trace.launches.append((self._seconds(), request.token, request, tuple(i.id for i in answer.instances)))
        return answer


@asynccontextmanager
async def through_the_port(world: World, clock: LoopClock) -> AsyncIterator[NomadDoor]:
    yield SandboxNomadDoor(world, clock)


@asynccontextmanager
async def over_http(world: World, clock: LoopClock) -> AsyncIterator[NomadDoor]:
    async with RealNomadDoor(NomadSettings(), app=NomadWire(world, clock), chance=lambda: 0.5) as door:
        yield door


def play(seed: int, opened: Open) -> Trace:
    """Run the demo to its end."""
    world = World.create(load_scenario("demo"), seed=seed, catalogue=load_catalogue())
    trace = Trace([], [])

    def note(tick: Tick) -> None:
        outcomes = tuple(f"{o.action.key} {o.result}" for o in tick.outcomes)
        trace.ticks.append((world.now, tuple(a.key for a in tick.plan.actions), outcomes))

    async def work() -> None:
        clock, kernel = LoopClock(), world.kernel
        async with opened(world, clock) as nomad:
            ports = Ports(
                clock=clock,
                ec2=OverheardEc2(world, clock, trace),
                nomad=nomad,
                store=SqliteStore(),
                catalogue=load_catalogue(),
                new_id=kernel.new_id,
                chance=lambda: kernel.chance().random(),
            )
            run = await run_once(GroupLoop(the_demo(), ports), wait=timedelta(minutes=10), report=note)
            trace.converged = run.last.converged

    run_virtual(work, start=world.now)
    return trace


def the_demo() -> ClusterGroup:
    (loaded,) = load(DEMO.read_bytes(), file=str(DEMO), catalogue=load_catalogue()).groups
    return loaded.group


def launched(trace: Trace) -> Sequence[object]:
    return [(token, what, ids) for _, token, what, ids in trace.launches]


@pytest.mark.parametrize("seed", [0])
def test_the_demo_does_the_same_at_the_same_moment_through_the_port_and_over_http(seed: int) -> None:
    port, http = play(seed, through_the_port), play(seed, over_http)

    assert port.converged
    assert http.converged
    assert launched(http) == launched(port)
    assert http.launches == port.launches
    assert http.ticks == port.ticks
