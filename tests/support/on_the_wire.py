"""A simulated world behind its wire, asked by the real Nomad provider, in the world's virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from providers.http import App
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.sandbox.doors import SandboxEc2, SandboxNomadDoor
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.wire.nomad import NomadWire
from providers.sandbox.world.world import World
from support.whole_world import Doors

T = TypeVar("T")


@dataclass(slots=True)
class Wired(Doors):
    """The ports into one world, and Nomad's once more over HTTP."""

    app: App
    real: RealNomadDoor


def through_the_wire(
    world: World,
    work: Callable[[Wired], Awaitable[T]],
    *,
    settings: NomadSettings | None = None,
    between: Callable[[App], App] = lambda app: app,
    chance: Callable[[], float] = lambda: 0.5,
) -> T:
    """Run work in the world's virtual time; ``between`` may put something before the wire."""

    async def opened() -> T:
        clock = LoopClock()
        app = between(NomadWire(world, clock))
        async with RealNomadDoor(settings or NomadSettings(), app=app, chance=chance) as real:
            return await work(Wired(world, clock, SandboxEc2(world, clock), SandboxNomadDoor(world, clock), app, real))

    return run_virtual(opened, start=world.now)
