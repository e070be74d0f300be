"""From what the command line says to values: documents that are sound, a world that is open, durations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches

import click
from pydantic_core import PydanticCustomError

from reconciler import bootstrap
from reconciler.cli.exits import HELD, INVALID, USAGE, ExitError
from reconciler.cli.options import DEFAULT_SOURCE, Given
from schemas.document import ClusterGroup, parse_duration

NOT_YET = (
    "the real Nomad and EC2 cannot be reached yet: their providers are not implemented."
    " With --sandbox the same program runs against a simulated Nomad and EC2 on this machine, without an account"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A sound document, with what is unwise in it."""

    group: ClusterGroup
    file: str
    warnings: tuple[str, ...]


def documents_of(given: Given) -> list[Document]:
    """Load and check all documents; every problem goes to standard error, one a line, and any ends with 65."""
    try:
        loaded = bootstrap.documents(given.files)
    except bootstrap.NoDocumentError as error:
        raise ExitError(USAGE, f"Error: {error}") from error
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    if loaded.problems:
        for problem in loaded.problems:
            click.echo(str(problem), err=True)
        raise ExitError(INVALID, f"{problems(len(loaded.problems))}; nothing was touched")
    found = [
        Document(group=one.group, file=one.file, warnings=tuple(str(w) for w in one.warnings)) for one in loaded.groups
    ]
    return _chosen(found, given)


def groups_of(given: Given) -> list[ClusterGroup]:
    """Give the groups of all documents that are asked for; see ``documents_of``."""
    return [document.group for document in documents_of(given)]


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
        return f"there is no {kind}"
    near = get_close_matches(name, there, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    some = ", ".join(sorted(there)[:10]) + (f" and {len(there) - 10} more" if len(there) > 10 else "")
    return f"no {kind} is called {name}.{meant} There {'is' if len(there) == 1 else 'are'}: {some}"


def open_sandbox(given: Given, *, keep: bool = True) -> bootstrap.Sandbox:
    """Open the simulated world; without ``keep`` the file named by ``--state`` stays as it is.

    Ends with 64 without ``--sandbox``, 5 when another process has the file.
    """
    if given.sandbox is None:
        for option, value in (("--state", given.state), ("--seed", given.seed)):
            if value is not None:
                raise click.UsageError(f"{option} goes with --sandbox")
        raise click.UsageError(NOT_YET)
    try:
        world = bootstrap.sandbox(given.sandbox, state=given.state, seed=given.seed, keep=keep)
    except bootstrap.FileInUseError as error:
        raise ExitError(HELD, f"Error: --state {error}") from error
    except bootstrap.NotAStateFileError as error:
        raise ExitError(USAGE, f"Error: --state {error}") from error
    except bootstrap.ScenarioError as error:
        raise ExitError(USAGE, f"Error: --sandbox: {error}") from error
    _refuse_another_world(given, world)
    return world


def _refuse_another_world(given: Given, world: bootstrap.Sandbox) -> None:
    """A world that goes on keeps the scenario and the seed that it began with: asking for others is a mistake."""
    scenario, seed = world.world.state.scenario, world.world.state.timeline.seed
    another = None
    if given.sandbox not in {scenario, DEFAULT_SCENARIO}:
        another = f"began with the scenario {scenario}, not {given.sandbox}"
    elif given.seed not in {None, seed}:
        another = f"began with seed {seed}, not {given.seed}"
    if given.state and another:
        world.close()
        raise click.UsageError(f"the world in {given.state} {another}: leave that option out, or name another file")


DEFAULT_SCENARIO = "demo"


def duration(text: str, *, option: str) -> timedelta:
    """Read a duration such as ``90s`` or ``1h30m``; any other text is a usage error that names the option."""
    try:
        return parse_duration(text)
    except PydanticCustomError as refused:
        raise click.UsageError(f"{option}: {refused.message()}") from refused


def sources(given: Given) -> str:
    """Write where the documents come from."""
    return ", ".join(given.files) or DEFAULT_SOURCE
