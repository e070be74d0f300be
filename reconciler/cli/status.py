"""``reconcile status``: how things stand."""

from __future__ import annotations

import sys

from rich.console import Console

from reconciler.cli.exits import ExitError
from reconciler.cli.look import look, reach
from reconciler.cli.options import Given
from reconciler.cli.show import parts
from reconciler.cli.show.console import console_for
from reconciler.cli.show.plain import print_plain
from reconciler.cli.show.words import count
from reconciler.status import GroupStatus


def status(given: Given) -> None:
    """Print the status of every group; changes nothing."""
    seen = look(given)
    found = [one.status for one in seen]
    if given.output == "text":
        console = console_for(sys.stdout)
        for place, one in enumerate(found):
            if place:
                console.print()
            _text(console, one)
    else:
        print_plain({"groups": found}, given.output)
    if code := reach(seen):
        raise ExitError(code)


def _text(console: Console, status: GroupStatus) -> None:
    ready = status.conditions[0]
    pending = f"; {count(len(status.actions), 'action')} to be done (reconcile plan)" if status.actions else ""
    state = "ready" if ready.well else "not ready"
    parts.title(console, status, f"{state}, mode {status.mode}{pending}", "good" if ready.well else "warn")
    parts.conditions(console, status.conditions)
    parts.servers(console, status)
    parts.pools(console, status)
    parts.nodes(console, status)
    parts.holds(console, status.holds)
    parts.warnings(console, status)
    parts.cost(console, status)
    parts.predictions(console, status)
