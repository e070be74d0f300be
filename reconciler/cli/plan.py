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
from reconciler.cli.show.tables import Column, section, table
from reconciler.cli.show.words import count, money, why_text
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
            _text(console, status)
    else:
        print_plain({"groups": found}, given.output)
    if code := reach(seen):
        raise ExitError(code)
    if detailed_exitcode and any(status.actions for status in found):
        raise ExitError(PENDING)


def _text(console: Console, status: GroupStatus) -> None:
    pending = len(status.actions)
    what = f"{count(pending, 'action')} to be done" if pending else "nothing is to be done"
    mode = "" if status.mode == "enforce" else f" (mode: {status.mode}: nothing is carried out)"
    parts.title(console, status, f"{what}{mode}", "act" if pending else "good")
    if pending:
        section(console, "To do", "in this order")
        columns = (Column("ACTION"), Column("CAUSE"), Column("USD/H", right=True), Column("WHY"))
        table(
            console,
            columns,
            [(a.what, a.cause, money(a.price) if a.price else "", why_text(a)) for a in status.actions],
        )
    parts.holds(console, status.holds)
    parts.warnings(console, status)
    parts.cost(console, status)
    if pending:
        _totals(console, status)


def _totals(console: Console, status: GroupStatus) -> None:
    cost = status.cost
    bound = f"; no set of machines for this demand costs less than {money(cost.bound)}" if cost.bound else ""
    machines = sum(a.count for a in status.actions)
    console.print(
        Text.assemble(
            ("Plan", "title"),
            "  ",
            (f"{money(cost.planned)} USD an hour more at most", "price"),
            f" for {count(machines, 'machine')}{bound}",
        )
    )
    console.print(
        Text.assemble(
            ("Digest", "title"), f"  {status.digest}", ("  (--once --digest refuses any other plan)", "faint")
        )
    )
