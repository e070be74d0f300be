"""From what the command line says to values: documents that are sound, durations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches

import click
from pydantic_core import PydanticCustomError

from reconciler.bootstrap import source
from reconciler.cli.exits import INVALID, UNREACHABLE, USAGE, ExitError
from reconciler.cli.options import Given
from reconciler.cli.streams import tell
from schemas.document import ClusterGroup, parse_duration
from schemas.document.load import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A sound document, with what is unwise in it."""

    group: ClusterGroup
    file: str
    warnings: tuple[str, ...]


def documents_of(given: Given, *, warn: bool = False, some: bool = False) -> list[Document]:
    """Load and check all documents; every problem goes to standard error, one a line, and any ends with 65.

    ``warn``: warnings go there too; without it they are left to whoever shows the documents' status.
    ``some``: any sound document is enough, and the problems of others are told by whoever goes on with it.
    """
    if given.sandbox is None:
        for option, value in (("--state", given.state), ("--seed", given.seed)):
            if value is not None:
                raise click.UsageError(f"{option} goes with --sandbox")
    loaded = loaded_of(given)
    if loaded.problems and not (some and loaded.groups):
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


def loaded_of(given: Given) -> Loaded:
    """Read all documents, sound or not; ends with 64 where there is none, with 69 where nobody answers."""
    try:
        return source.documents(given.files)
    except source.NoDocumentError as error:
        raise ExitError(USAGE, f"Error: {error}") from error
    except source.SilentSourceError as error:
        raise ExitError(UNREACHABLE, f"Error: {error}; nothing was touched") from error


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


def duration(text: str, *, option: str) -> timedelta:
    """Read a duration such as ``90s`` or ``1h30m``; any other text is a usage error that names the option."""
    try:
        return parse_duration(text)
    except PydanticCustomError as refused:
        raise click.UsageError(f"{option}: {refused.message()}") from refused
