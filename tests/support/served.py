"""A simulated world that runs behind a real port of this machine, its seconds as long as ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from providers.sandbox.virtualtime import LoopClock
from providers.sandbox.wire.nomad import NomadWire
from providers.sandbox.wire.serve import serve
from providers.sandbox.world.world import World

T = TypeVar("T")


def on_a_port(world: World, work: Callable[[str], Awaitable[T]]) -> T:
    """Serve a world's Nomad on a free port of 127.0.0.1, and run work with its URL."""
    start = world.now

    async def opened() -> T:
        clock = LoopClock(start - anyio.current_time())
        async with anyio.create_task_group() as group:
            port = await group.start(lambda *, task_status: serve(NomadWire(world, clock), task_status=task_status))
            done = await work(f"http://127.0.0.1:{port}")
            group.cancel_scope.cancel()
        return done

    return anyio.run(opened)
