"""Checks of the outside as tables: where, what, how it stands, what was found and how to mend it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.text import Text

from reconciler.cli.show.console import console_for
from reconciler.cli.show.tables import Column, section, table
from schemas.checks import Check, Verdict

STYLES = {Verdict.OK: "good", Verdict.PROBLEM: "bad", Verdict.UNKNOWN: "warn"}
COLUMNS = (Column("AT", style="faint"), Column("WHAT"), Column("STANDS"), Column("FOUND → HOW TO MEND IT"))


def show_checks(checks: Mapping[str, Sequence[Check]]) -> None:
    """Print a table for each group, and how many problems there are."""
    console = console_for(sys.stdout)
    for name, found in checks.items():
        section(console, name)
        table(console, COLUMNS, [_row(check) for check in found])
    count = Counter(check.verdict for found in checks.values() for check in found)
    problems, unseen = count[Verdict.PROBLEM], count[Verdict.UNKNOWN]
    said = "no problem" if not problems else f"{problems} problem{'s' * (problems != 1)}"
    console.print()
    console.print(Text(f"{said}, {count[Verdict.OK]} ok" + (f", {unseen} not known" if unseen else ""), "title"))


def _row(check: Check) -> tuple[str | Text, ...]:
    told = check.found + (f" → {check.mend}" if check.mend else "")
    return check.at, check.what, Text(check.verdict, STYLES[check.verdict]), told
