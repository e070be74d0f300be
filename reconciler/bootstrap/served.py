"""The sandbox as a place that others reach: one simulated world on ports of this machine, at today's date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from providers.sandbox.wire.loopback import on_loopback
from providers.sandbox.wire.served import PortError, Ports, serve_world
from providers.sandbox.world.epoch import Calendar
from providers.sandbox.world.scenario import ScenarioError, load_scenario
from providers.sandbox.world.world import World
from providers.stores.sqlite import FileInUseError, NotAStateFileError, SqliteStore
from reconciler.bootstrap.clock import WallClock
from reconciler.bootstrap.source import catalogue

__all__ = ["FileInUseError", "NotAStateFileError", "PortError", "Ports", "ScenarioError", "ServedWorld", "open_served"]


class ServedWorld:
    """A simulated world that is open, with the file that keeps it."""

    def __init__(self, world: World, store: SqliteStore) -> None:
        self.world, self._store = world, store

    async def serve(self, *, nomad_port: int, ec2_port: int, started: Callable[[Ports], None]) -> None:
        """Serve until cancelled. Raises PortError."""
        await serve_world(self.world, WallClock(), nomad_port=nomad_port, ec2_port=ec2_port, started=started)

    def close(self) -> None:
        """Keep the world if it is to be kept, and let others have the file."""
        self._store.close()


def open_served(scenario: str, *, state: str | None, seed: int | None, speed: float) -> ServedWorld:
    """Open a new world, or go on with the one that ``state`` holds, from now on and so many times as fast.

    Raises FileInUseError, NotAStateFileError, ScenarioError, ``msgspec.MsgspecError``.
    """
    store = SqliteStore(Path(state) if state else None)
    saved = store.saved_world()
    if saved is None:
        saved = World.create(load_scenario(scenario), seed=seed or 0, catalogue=catalogue()).save()
    lived = World.load(saved, catalogue()).now
    begun = WallClock().now().replace(microsecond=0)
    world = on_loopback(saved, catalogue(), Calendar(_whole(begun - timedelta(seconds=lived / speed)), speed))
    if state:
        store.keep_world(world.save)
    return ServedWorld(world, store)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
