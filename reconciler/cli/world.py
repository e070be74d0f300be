"""Which outside a command works on: the sandbox where it is asked for, else the real Nomad and EC2."""

# ruff: noqa: PLC0415 - each of the two is large, and a command needs one of them

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click
import msgspec

from reconciler.cli.exits import HELD, USAGE, ExitError
from reconciler.cli.options import Given

if TYPE_CHECKING:
    from reconciler.bootstrap.outside import Doors
    from reconciler.bootstrap.simulated import Sandbox

T = TypeVar("T")
DEFAULT_SCENARIO = "demo"


class World(Protocol):
    """An outside that is there to be worked on, once."""

    def run(self, work: Callable[[Doors], Awaitable[T]]) -> T:
        """Run work to its end, in virtual time where there is such a thing."""
        ...

    def run_in_real_time(self, work: Callable[[Doors], Awaitable[T]]) -> T:
        """Run work to its end, its seconds as long as ours."""
        ...


def open_world(given: Given, *, keep: bool = True) -> World:
    """Open what the command line names; without ``keep`` the sandbox's ``--state`` file stays as it is.

    Ends with 64 when it cannot be opened as asked, 5 when another process has the file.
    """
    return _sandbox(given, given.sandbox, keep=keep) if given.sandbox is not None else _real()


def _real() -> World:
    from reconciler.bootstrap.real import RealWorld, SettingsError

    try:
        return RealWorld()
    except SettingsError as error:
        raise ExitError(USAGE, f"Error: {error}") from error


def _sandbox(given: Given, scenario: str, *, keep: bool) -> World:
    from reconciler.bootstrap import simulated

    state = given.state if given.state and _there(given.state, keep=keep) else None
    try:
        world = simulated.sandbox(scenario, state=state, seed=given.seed, keep=keep)
    except simulated.FileInUseError as error:
        raise ExitError(HELD, f"Error: --state {error}") from error
    except simulated.NotAStateFileError as error:
        raise ExitError(USAGE, f"Error: --state {error}") from error
    except simulated.ScenarioError as error:
        hint = "" if _is_path(scenario) else "; a NAME after --sandbox is a scenario: write --sandbox last"
        raise ExitError(USAGE, f"Error: --sandbox: {error}{hint}") from error
    except msgspec.MsgspecError as error:
        raise ExitError(
            USAGE, f"Error: --state {state}: its world cannot be read ({error}); name another file"
        ) from error
    _refuse_another_world(given, world)
    return world


def _there(state: str, *, keep: bool) -> bool:
    """Tell whether the file is there or may be made; a command that only reads makes none, and sees a new world."""
    path = Path(state)
    if path.exists():
        return True
    if not path.parent.is_dir():
        raise ExitError(USAGE, f"Error: --state {state}: there is no directory {path.parent}")
    return keep


def _is_path(scenario: str) -> bool:
    return scenario.endswith(".json") or "/" in scenario


def _refuse_another_world(given: Given, world: Sandbox) -> None:
    """A world that goes on keeps the scenario and the seed that it began with: asking for others is a mistake."""
    scenario, seed = world.world.state.scenario, world.world.state.timeline.seed
    another = None
    if given.sandbox not in {scenario, DEFAULT_SCENARIO} and not _is_path(given.sandbox or ""):
        another = f"began with the scenario {scenario}, not {given.sandbox}"
    elif given.seed not in {None, seed}:
        another = f"began with seed {seed}, not {given.seed}"
    if given.state and another:
        world.close()
        raise click.UsageError(f"the world in {given.state} {another}: leave that option out, or name another file")
