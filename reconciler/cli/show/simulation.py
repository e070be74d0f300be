"""A simulated run for people: figures, small charts, what waited and why, what must hold and did not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from rich.console import Console
from rich.text import Text

from reconciler.cli.show.charts import bar, ruler, spark
from reconciler.cli.show.tables import Column, section, table
from reconciler.cli.show.words import count, span
from reconciler.cli.simulation.report import Report, Tally
from schemas.document import format_duration

DAY = 24
EXAMPLES = 6


def show_report(console: Console, report: Report, *, began: datetime) -> None:
    """Print the report; ``began`` is when the simulated world began."""
    broken = f"{count(len(report.violations), 'rule')} broken" if report.violations else "every rule held"
    console.print(
        Text.assemble(
            (report.group, "title"),
            f": {report.workload}, {format_duration(timedelta(hours=report.hours))} of virtual time, ",
            f"seed {report.seed}, {count(report.looks, 'look')}; ",
            (broken, "bad" if report.violations else "good"),
        )
    )
    _charts(console, report, began)
    _days(console, report, began)
    _spent(console, report)
    _pools(console, report)
    _waiting(console, report)
    _moves(console, report)
    _holds(console, report)
    _tallies(console, "Actions", report.actions)
    _tallies(console, "Refused by EC2", report.refusals)
    _tallies(console, "Machines that ended", report.ended)
    _tallies(console, "Steps that Nomad refused", report.refused_steps)
    _broken(console, report)


def _charts(console: Console, report: Report, began: datetime) -> None:
    hourly = report.hourly
    hours = len(hourly.usd)
    midnight = DAY - began.hour if began.hour else 0
    starts = [(0.0, _day(began)), *((float(at), _day(began, at)) for at in range(midnight, hours, DAY))]
    section(console, "Over time", "each letter an average" if hours > 1 else "")
    rows: list[tuple[str, tuple[float, ...], str]] = [
        ("clients", hourly.clients, f"{min(hourly.clients):g} to {max(hourly.clients):g}"),
        ("spot", hourly.spot, f"{min(hourly.spot):g} to {max(hourly.spot):g}"),
        ("on-demand", hourly.on_demand, f"{min(hourly.on_demand):g} to {max(hourly.on_demand):g}"),
        ("USD/h", hourly.usd, f"{min(hourly.usd):.2f} to {max(hourly.usd):.2f}"),
        ("running", hourly.allocations, f"{min(hourly.allocations):g} to {max(hourly.allocations):g}"),
        ("waiting", hourly.queued, f"{max(hourly.queued):g} at most"),
        ("CPU %", hourly.cpu_percent, f"{report.cpu_percent:g} in all"),
        ("memory %", hourly.memory_percent, f"{report.memory_percent:g} in all"),
    ]
    wide = max(len(name) for name, _, _ in rows)
    console.print(f"  {''.ljust(wide)}  {ruler(starts, hours)}")
    for name, values, said in rows:
        top = 100.0 if name.endswith("%") else None
        console.print(f"  {name.ljust(wide)}  {spark(values, top=top)}  {said}")


def _day(began: datetime, hours: int = 0) -> str:
    return (began + timedelta(hours=hours)).strftime("%a")


def _days(console: Console, report: Report, began: datetime) -> None:
    hourly = report.hourly
    first = DAY - began.hour
    edges = [0, *range(first, len(hourly.usd), DAY), len(hourly.usd)]
    spans = [(a, b) for a, b in pairwise(edges) if b > a]
    spent = [sum(hourly.usd[a:b]) for a, b in spans]
    section(console, "By day", "from midnight to midnight, UTC; mean and highest hour")
    heads = ("DAY", "CLIENTS", "MOST", "WAITING AT MOST", "USD", "")
    table(
        console,
        [Column(head, right=head not in {"DAY", ""}) for head in heads],
        [
            (
                (began + timedelta(hours=a)).strftime("%a %d %b"),
                f"{sum(hourly.clients[a:b]) / (b - a):.1f}",
                f"{max(hourly.clients[a:b]):.1f}",
                f"{max(hourly.queued[a:b]):g}",
                f"{usd:.2f}",
                bar(usd, max(spent)),
            )
            for (a, b), usd in zip(spans, spent, strict=True)
        ],
    )


def _spent(console: Console, report: Report) -> None:
    s = report.spent
    clients = s.spot + s.on_demand
    section(console, "Spent", "on machines, as EC2 bills them")
    rows = [("servers", s.servers), ("clients, spot", s.spot), ("clients, on-demand", s.on_demand), ("in all", s.total)]
    table(
        console,
        [Column("WHAT"), Column("USD", right=True), Column("SHARE", right=True)],
        [(name, f"{usd:.2f}", f"{100 * usd / s.total:.0f}%" if s.total else "") for name, usd in rows],
    )
    spot = f"; {100 * s.spot / clients:.0f}% of the clients' on spot" if clients else ""
    console.print(f"  {s.mean_per_hour:.4f} USD an hour on average, {s.dearest_hour:.4f} in the dearest{spot}")


def _pools(console: Console, report: Report) -> None:
    section(console, "Machines")
    heads = ("POOL", "MEAN", "MOST", "LAUNCHED", "ENDED", "MACHINE HOURS")
    table(
        console,
        [Column(head, right=head != "POOL") for head in heads],
        [
            (p.name, f"{p.mean:.2f}", str(p.peak), str(p.launched), str(p.ended), f"{p.machine_hours:.1f}")
            for p in report.pools
        ],
    )


def _waiting(console: Console, report: Report) -> None:
    w = report.waiting
    section(console, "Waiting", f"{count(w.placed, 'copy', 'copies')} of {count(w.jobs, 'job')} placed")
    console.print(
        f"  median {span(w.median)}, p95 {span(w.p95)}, longest {span(w.longest)}"
        + (f" ({w.longest_job})" if w.longest else "")
        + f"; {w.at_once} at once, half of the others within {span(w.median_of_waiting)}"
    )
    if w.withdrawn:
        console.print(f"  {count(w.withdrawn, 'copy was', 'copies were')} not wanted any more before having a place")
    if w.never:
        copies = sum(n.copies for n in w.never)
        console.print(f"  {count(copies, 'copy waits', 'copies wait')} at the end:")
        columns = (Column("JOB"), Column("COPIES", right=True), Column("FOR", right=True), Column("WHY"))
        table(
            console,
            columns,
            [(f"{n.job}.{n.group}", str(n.copies), span(n.seconds), n.why or "no hold names it") for n in w.never],
        )


def _moves(console: Console, report: Report) -> None:
    if report.moves:
        section(console, "Moved", "allocations that were replaced elsewhere")
        columns = (Column("WHY"), Column("TYPE"), Column("COUNT", right=True))
        table(console, columns, [(m.why, m.type, str(m.count)) for m in report.moves])


def _holds(console: Console, report: Report) -> None:
    if not report.holds:
        return
    section(console, "Held back", "by reason; time summed over subjects")
    heads = ("REASON", "SUBJECTS", "TIMES", "TIME", "LONGEST", "SUCH AS")
    table(
        console,
        [Column(head, right=head not in {"REASON", "SUCH AS"}) for head in heads],
        [(h.reason, str(h.subjects), str(h.times), span(h.seconds), span(h.longest), h.example) for h in report.holds],
    )


def _tallies(console: Console, title: str, found: Iterable[Tally]) -> None:
    rows = [(tally.what, str(tally.count)) for tally in found]
    if rows:
        section(console, title)
        table(console, (Column("WHAT"), Column("COUNT", right=True)), rows)


def _broken(console: Console, report: Report) -> None:
    if report.faults.strikes:
        f = report.faults
        note = f"in {count(f.calls, 'call')}; the program died {count(f.crashes, 'time')}"
        section(console, "Faults", f"{count(f.strikes, 'fault')} {note}")
    for title, lines in (
        ("Rules broken", [str(v) for v in report.violations]),
        ("Mistakes of ours", list(report.surprises)),
    ):
        if lines:
            section(console, title, count(len(lines), "time"))
            for line in lines[:EXAMPLES]:
                console.print(Text(f"  {line}", style="bad"))
            if len(lines) > EXAMPLES:
                console.print(f"  and {len(lines) - EXAMPLES} more (-o json lists them)")
