"""Live progress on standard error: what is new in each tick, and on a terminal a line that says where things stand."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from reconciler.cli.show.changes import changes, waiting
from reconciler.cli.show.console import console_for
from reconciler.cli.show.words import clock
from reconciler.loop import Tick
from reconciler.packing.census import hourly_cost
from reconciler.status.tables import node_rows, server_rows
from schemas.document import ClusterGroup


class Progress:
    """Tells of ticks while they happen. Without a change it is silent, however many ticks there are."""

    def __init__(
        self,
        groups: Sequence[ClusterGroup],
        *,
        verbose: bool = False,
        dated: bool = False,
        console: Console | None = None,
    ) -> None:
        """Begin; ``dated`` lines carry the date and time, others the time since the first tick."""
        self._console = console or console_for(sys.stderr)
        self._many = dated or len(groups) > 1  # a service may have more at any moment
        self._verbose, self._dated = verbose, dated
        self._last: dict[str, Tick] = {}
        self._lines: dict[str, tuple[bool, str]] = {}  # group → whether it has converged, and where it stands
        self._since: datetime | None = None
        self._now: datetime | None = None
        self._heard = 0.0
        self._spinner = Spinner("line", style="act")
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._standing, console=self._console, transient=True, refresh_per_second=8
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._console.print()

    def tick(self, tick: Tick) -> None:
        """Tell what is new."""
        name, now = tick.group.metadata.name, tick.snapshot.observed_at
        self._since, self._now, self._heard = self._since or now, now, time.monotonic()
        stamp = self._stamp(now)
        prefix = f"{stamp}  {name}  " if self._many else f"{stamp}  "
        for change in changes(self._last.get(name), tick, verbose=self._verbose):
            self._line(prefix, change.sign, change.text, change.style)
        if self._verbose:
            self._line(prefix, " ", _figures(tick), "faint")
        self._last[name] = tick
        self._lines[name] = (tick.converged and tick.group.spec.mode == "enforce", _standing(tick))
        if self._live is not None:
            self._live.refresh()

    def _stamp(self, now: datetime) -> str:
        since = self._since or now
        return f"{now:%Y-%m-%dT%H:%M:%SZ}" if self._dated else clock((now - since).total_seconds())

    def _line(self, prefix: str, sign: str, text: str, style: str) -> None:
        """Print a line; on a terminal, what is too long goes on under its own beginning."""
        if not self._console.is_terminal:
            self._console.print(f"{prefix}{sign} {text}")
            return
        grid = Table.grid(padding=(0, 1), expand=False)
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(prefix.rstrip(), style="faint"), Text(sign, style=style), Text(text, style=style))
        self._console.print(grid)

    def _standing(self) -> Table:
        """Draw where things stand; the clock of a service moves on between its ticks, virtual time jumps with them."""
        grid = Table.grid()
        if self._now is None:
            return grid
        waited = timedelta(seconds=time.monotonic() - self._heard if self._dated else 0)
        stamp = self._stamp(self._now + waited)
        for name, (converged, line) in sorted(dict(self._lines).items()):
            text = Text.assemble((f"{stamp}  ", "bold"), (f"{name}  " if self._many else ""), line)
            sign = Text("=", style="good") if converged else self._spinner
            grid.add_row(Padding(sign, (0, 1, 0, 0)), text)
        return grid


def _standing(tick: Tick) -> str:
    snapshot, servers = tick.snapshot, tick.group.spec.servers
    running = sum(s.state == "running" for s in server_rows(snapshot))
    rows = node_rows(snapshot)
    ready = sum(r.state == "ready" for r in rows)
    coming = sum(r.state in {"asked", "booting", "initializing"} for r in rows)
    parts = [f"servers {running}/{servers.count}"] if servers else []
    parts += [f"nodes {ready} ready, {coming} coming", f"{waiting(tick)} copies wait"]
    return " | ".join([*parts, f"{hourly_cost(snapshot):.4f} USD/h"])


def _figures(tick: Tick) -> str:
    return (
        f"tick: {len(tick.outcomes)} effects, {len(tick.plan.actions)} actions, {len(tick.plan.holds)} holds,"
        f" {tick.open_intents} open intents, {len(tick.snapshot.claims)} claims; {_standing(tick)}"
    )
