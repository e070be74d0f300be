"""From what the command line says to values: documents that are sound, a world that is open, durations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path

import click
import msgspec
from pydantic_core import PydanticCustomError

from reconciler import bootstrap
from reconciler.cli.exits import HELD, INVALID, USAGE, ExitError
from reconciler.cli.options import Given
from reconciler.cli.streams import tell
from schemas.document import ClusterGroup, parse_duration

NOT_YET = (
    "the real Nomad and EC2 cannot be reached yet: their providers are not implemented."
    " With --sandbox the same program runs against a simulated Nomad and EC2 on this machine, without an account"
)


DEFAULT_SCENARIO = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A sound document, with what is unwise in it."""

    group: ClusterGroup
    file: str
    warnings: tuple[str, ...]


def documents_of(given: Given, *, warn: bool = False) -> list[Document]:
    """Load and check all documents; every problem goes to standard error, one a line, and any ends with 65.

    ``warn``: warnings go there too; without it they are left to whoever shows the documents' status.
    """
    if given.sandbox is None:
        for option, value in (("--state", given.state), ("--seed", given.seed)):
            if value is not None:
                raise click.UsageError(f"{option} goes with --sandbox")
    try:
        loaded = bootstrap.documents(given.files)
    except bootstrap.NoDocumentError as error:
        raise ExitError(USAGE, f"Error: {error}") from error
    if loaded.problems:
        for problem in loaded.problems:
            tell(str(problem))
        raise ExitError(INVALID, f"{problems(len(loaded.problems))}; nothing was touched")
    found = [
        Document(group=one.group, file=one.file, warnings=tuple(str(w) for w in one.warnings)) for one in loaded.groups
    ]
    chosen = _chosen(found, given)
    for warning in (w for document in chosen for w in document.warnings if warn):
        tell(f"warning: {warning}")
    return chosen


def problems(count: int) -> str:
    """Count them."""
    return f"{count} problem{'s' * (count != 1)}"


def _chosen(found: list[Document], given: Given) -> list[Document]:
    names = [document.group.metadata.name for document in found]
    for wanted in given.group:
        if wanted not in names:
            raise click.UsageError(f"--group {wanted}: {unknown('group', wanted, names)}")
    return [d for d in found if not given.group or d.group.metadata.name in given.group]


def unknown(kind: str, name: str, there: Sequence[str]) -> str:
    """Say that a name is not known, what was meant perhaps, and what there is."""
    if not there:
        return f"there is no {kind} yet"
    near = get_close_matches(name, there, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    some = ", ".join(sorted(there)[:10]) + (f" and {len(there) - 10} more" if len(there) > 10 else "")
    return f"no {kind} is called {name}.{meant} There {'is' if len(there) == 1 else 'are'}: {some}"


def open_sandbox(given: Given, *, keep: bool = True) -> bootstrap.Sandbox:
    """Open the simulated world; without ``keep`` the file named by ``--state`` stays as it is.

    Ends with 64 without ``--sandbox``, 5 when another process has the file.
    """
    if given.sandbox is None:
        raise click.UsageError(NOT_YET)
    state = given.state if given.state and _there(given.state, keep=keep) else None
    try:
        world = bootstrap.sandbox(given.sandbox, state=state, seed=given.seed, keep=keep)
    except bootstrap.FileInUseError as error:
        raise ExitError(HELD, f"Error: --state {error}") from error
    except bootstrap.NotAStateFileError as error:
        raise ExitError(USAGE, f"Error: --state {error}") from error
    except bootstrap.ScenarioError as error:
        hint = "" if _is_path(given.sandbox) else "; a NAME after --sandbox is a scenario: write --sandbox last"
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


def _refuse_another_world(given: Given, world: bootstrap.Sandbox) -> None:
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


def duration(text: str, *, option: str) -> timedelta:
    """Read a duration such as ``90s`` or ``1h30m``; any other text is a usage error that names the option."""
    try:
        return parse_duration(text)
    except PydanticCustomError as refused:
        raise click.UsageError(f"{option}: {refused.message()}") from refused
