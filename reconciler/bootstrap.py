"""The composition root: the only module that names a provider, a real clock, a disk."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import anyio

from providers.prices.shipped import load_catalogue
from providers.sandbox.doors import SandboxEc2, SandboxNomadDoor
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.world.scenario import ScenarioError, load_scenario
from providers.sandbox.world.world import World
from providers.stores.sqlite import FileInUseError, NotAStateFileError, SqliteStore
from reconciler.loop import GroupLoop, Ports
from schemas.catalogue import Catalogue
from schemas.document import ClusterGroup
from schemas.document.load import Loaded, LoadedGroup, check_together, load

T = TypeVar("T")

__all__ = [
    "FileInUseError",
    "NoDocumentError",
    "NotAStateFileError",
    "Sandbox",
    "ScenarioError",
    "catalogue",
    "documents",
    "loops",
    "sandbox",
]


def catalogue() -> Catalogue:
    """Give the shipped table of instance types and on-demand prices."""
    return load_catalogue()


# --- documents -------------------------------------------------------------------------------------------------------


class NoDocumentError(Exception):
    """What was named with ``--file`` holds no document."""


def documents(files: Sequence[str]) -> Loaded:
    """Read and check all documents: files, and directories (not recursive, ``*.yaml`` and ``*.yml``, by name).

    Raises NoDocumentError when a path is not there, cannot be read, or a directory holds no document.
    """
    known = catalogue()
    each = [load(_read(path), file=str(path), catalogue=known) for path in _paths(files)]
    groups = [_addressed(group) for one in each for group in one.groups]
    nowhere = (g.problem(("spec", "nomad"), *NOWHERE) for g in groups if _lost(g.group))
    return Loaded(
        groups=tuple(groups),
        problems=(*(problem for one in each for problem in one.problems), *check_together(each), *nowhere),
        warnings=tuple(warning for one in each for warning in one.warnings),
    )


NOWHERE = ("no servers are managed, and nothing says where Nomad is", "give address, or set NOMAD_ADDR")


def _addressed(loaded: LoadedGroup) -> LoadedGroup:
    """Let $NOMAD_ADDR stand in for an address that a document without servers leaves out (design §3)."""
    address = os.environ.get("NOMAD_ADDR")
    if not address or not _lost(loaded.group):
        return loaded
    spec = loaded.group.spec
    nomad = spec.nomad.model_copy(update={"address": address})
    group = loaded.group.model_copy(update={"spec": spec.model_copy(update={"nomad": nomad})})
    return replace(loaded, group=group)


def _lost(group: ClusterGroup) -> bool:
    return group.spec.servers is None and group.spec.nomad.address is None


def _paths(files: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for name in files:
        if name.startswith("consul://"):
            raise NoDocumentError(f"{name}: documents from Consul are not implemented yet; name a file or a directory")
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix in {".yaml", ".yml"} and not p.name.startswith("."))
            if not inside:
                raise NoDocumentError(f"{name}: no *.yaml in this directory (its subdirectories are not searched)")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise NoDocumentError(f"{name}: no such file or directory; --file names documents, the default is specs/")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoDocumentError(f"{path}: cannot be read: {error.strerror}") from error


# --- the outside -----------------------------------------------------------------------------------------------------


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
        )

    def run(self, work: Callable[[Ports], Awaitable[T]]) -> T:
        """Run work to its end in virtual time, and keep the world."""
        clock = LoopClock()
        try:
            return run_virtual(lambda: work(self.ports(clock)), start=self.world.now)
        finally:
            self.close()

    def run_in_real_time(self, work: Callable[[Ports], Awaitable[T]]) -> T:
        """Run work with the world's seconds as long as ours: for the long-running service."""
        start = self.world.now

        async def timed() -> T:
            return await work(self.ports(LoopClock(start - anyio.current_time())))

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


def loops(groups: Sequence[ClusterGroup], ports: Ports) -> list[GroupLoop]:
    """Give one loop a group."""
    return [GroupLoop(group, ports) for group in groups]
