"""The sandbox as the outside: a simulated world that is open, in virtual time or in real time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio

from providers.events.box import Box
from providers.sandbox.doors import SandboxEc2, SandboxNomadDoor
from providers.sandbox.doors.queue import SandboxQueue
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.world.scenario import ScenarioError, load_scenario
from providers.sandbox.world.world import World
from providers.snapshots.memory import Remembered
from providers.stores.sqlite import FileInUseError, NotAStateFileError, SqliteStore
from reconciler.bootstrap.outside import Doors
from reconciler.bootstrap.source import catalogue
from reconciler.loop import Ports
from schemas.document import ClusterGroup

__all__ = ["FileInUseError", "NotAStateFileError", "Sandbox", "ScenarioError", "sandbox"]

T = TypeVar("T")

SECRET = "00000000-5a4d-4b0c-8000-000000000001"  # noqa: S105 - the first token of simulated clusters, worth nothing


@dataclass(frozen=True, slots=True)
class _SandboxDoors:
    """The same doors for every group: one account and one cluster is all there is."""

    ports: Ports
    queue: Box

    def __call__(self, group: ClusterGroup) -> Ports:  # noqa: ARG002 - there is but one
        return self.ports

    def box(self, group: ClusterGroup) -> Box | None:
        return self.queue if group.spec.aws.interruption_queue else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A simulated world that is open: its ports, and a way to run work in its time."""

    world: World
    store: SqliteStore

    def ports(self, clock: LoopClock) -> Ports:
        """Give the doors into the world; they tell the time by the running loop."""
        kernel = self.world.kernel
        return Ports(
            clock=clock,
            ec2=SandboxEc2(self.world, clock),
            nomad=SandboxNomadDoor(self.world, clock),
            store=self.store,
            catalogue=catalogue(),
            new_id=kernel.new_id,
            chance=lambda: kernel.chance().random(),
            locks=self.store,
            holder="this process",
            snapshots=Remembered(),
            secret=SECRET,
        )

    def run(self, work: Callable[[Doors], Awaitable[T]]) -> T:
        """Run work to its end in virtual time, and keep the world."""
        clock = LoopClock()
        try:
            return run_virtual(
                lambda: work(_SandboxDoors(self.ports(clock), SandboxQueue(self.world, clock))), start=self.world.now
            )
        finally:
            self.close()

    def run_in_real_time(self, work: Callable[[Doors], Awaitable[T]]) -> T:
        """Run work with the world's seconds as long as ours: for the long-running service."""
        start = self.world.now

        async def timed() -> T:
            clock = LoopClock(start - anyio.current_time())
            return await work(_SandboxDoors(self.ports(clock), SandboxQueue(self.world, clock)))

        try:
            return anyio.run(timed)
        finally:
            self.close()

    def close(self) -> None:
        """Keep the world if it is to be kept, and let others have the file."""
        self.store.close()


def sandbox(scenario: str, *, state: str | None, seed: int | None, keep: bool = True) -> Sandbox:
    """Open a simulated world: a new one, or the one that ``state`` holds; without ``keep`` the file stays as it is.

    Raises FileInUseError, NotAStateFileError, ScenarioError.
    """
    path = Path(state) if state else None
    store = SqliteStore(path, read_only=path is not None and not keep)
    saved = store.saved_world()
    if saved is not None:
        world = World.load(saved, catalogue())
    else:
        world = World.create(load_scenario(scenario), seed=seed or 0, catalogue=catalogue())
    if path and keep:
        store.keep_world(world.save)
    return Sandbox(world=world, store=store)
