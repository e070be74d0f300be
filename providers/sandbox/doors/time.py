"""The time at the doors: each call first lets the world catch up with the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from providers.sandbox.world.world import World


class Clock(Protocol):
    """The clock port."""

    def now(self) -> datetime:
        """Give the time, with time zone."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


def catch_up(world: World, clock: Clock) -> World:
    """Let everything happen in the world that is due by now, and give it."""
    world.advance(world.kernel.calendar.to_seconds(clock.now()))
    return world
