"""``reconcile plan``: what would be done, what not, and why."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text

from reconciler.cli.exits import PENDING, ExitError
from reconciler.cli.look import look, reach
from reconciler.cli.options import Given
from reconciler.cli.show import parts
from reconciler.cli.show.console import console_for
from reconciler.cli.show.plain import print_plain
from reconciler.cli.show.words import count, money
from reconciler.status import GroupStatus


def plan(given: Given, *, detailed_exitcode: bool) -> None:
    """Print the plan of every group; changes nothing."""
    seen = look(given)
    found = [one.status for one in seen]
    if given.output == "text":
        console = console_for(sys.stdout)
        for place, status in enumerate(found):
            if place:
                console.print()
            _text(console, status, verbose=given.verbose)
    else:
        print_plain({"groups": found}, given.output)
    if code := reach(seen):
        raise ExitError(code)
    if detailed_exitcode and any(status.actions for status in found):
        raise ExitError(PENDING)


def _text(console: Console, status: GroupStatus, *, verbose: bool) -> None:
    pending = len(status.actions)
    what = f"{count(pending, 'action')} to be done" if pending else "nothing is to be done"
    mode = "" if status.mode == "enforce" else f" (mode: {status.mode}: nothing is carried out)"
    parts.title(console, status, f"{what}{mode}", "act" if pending else "good")
    if pending:
        parts.actions(console, status.actions, "To do", "in this order")
    parts.machines(console, status)
    if verbose:
        parts.offerings(console, status.actions)
    parts.holds(console, status.holds)
    parts.warnings(console, status)
    parts.cost(console, status)
    if pending:
        _totals(console, status)


def _totals(console: Console, status: GroupStatus) -> None:
    cost = status.cost
    machines = sum(a.count for a in status.actions)
    more = (f"{money(cost.planned)} USD an hour more at most", "price")
    parts.labelled(console, "Plan", Text.assemble(more, f" for {count(machines, 'machine')}{_bounded(status)}"))
    refuses = ("  (--once --digest refuses any other plan)", "faint")
    parts.labelled(console, "Digest", Text.assemble(status.digest, refuses))


def _bounded(status: GroupStatus) -> str:
    """Say what the machines of the pools cost at the least, and how near that is to what nobody can undercut."""
    cost = status.cost
    least = f", {money(cost.least)} where EC2 takes the cheapest offerings" if status.machines else ""
    if not cost.bound:
        return least
    gap = f" (gap {100 * cost.gap:.1f}%)" if cost.gap is not None else ""
    return f"{least}; no set of machines for this demand costs less than {money(cost.bound)}{gap}"
