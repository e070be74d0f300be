"""The parts that several commands print of a group: servers, pools, nodes, holds, conditions, cost."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reconciler.cli.show.tables import Column, section, table
from reconciler.cli.show.words import count, money, percent, span, why_text, work_text
from reconciler.status import Act, Condition, GroupStatus, NodeRow
from schemas.plan import Hold

_OLD = 3600.0  # seconds from which on the age of prices is worth a line

STATES = {"ready": "good", "running": "good", "down": "bad", "disconnected": "bad", "asked": "faint", "booting": "act"}


def title(console: Console, status: GroupStatus, what: str, style: str = "title") -> None:
    """Print a group's name and one line about it."""
    console.print(Text.assemble((status.name, "title"), ": ", (what, style)))


def servers(console: Console, status: GroupStatus) -> None:
    """Print the servers' machines."""
    if not status.servers:
        return
    section(console, "Servers", count(len(status.servers), "machine"))
    table(
        console,
        (
            Column("SERVER"),
            Column("TYPE"),
            Column("ZONE"),
            Column("STATE"),
            Column("USD/H", right=True),
            Column("ADDRESS"),
        ),
        [(s.instance, s.instance_type, s.zone, _state(s.state), money(s.price), s.address) for s in status.servers],
    )


def pools(console: Console, status: GroupStatus) -> None:
    """Print the pools in figures."""
    if not status.pools:
        return
    section(console, "Pools")
    heads = ("POOL", "READY", "COMING", "SPOT", "ON-DEMAND", "CPU", "MEMORY", "USD/H", "SIZE")
    table(
        console,
        [Column(h, right=h not in {"POOL", "SIZE"}) for h in heads],
        [
            (
                p.name,
                str(p.ready),
                str(p.coming),
                str(p.spot),
                str(p.on_demand),
                percent(p.cpu_percent),
                percent(p.memory_percent),
                money(p.price),
                f"pinned to {p.desired}" if p.desired is not None else f"{p.min} to {p.max}",
            )
            for p in status.pools
        ],
    )


def nodes(console: Console, status: GroupStatus) -> None:
    """Print the nodes of each pool with what they hold."""
    names = list(dict.fromkeys([*(p.name for p in status.pools), *(n.pool for n in status.nodes)]))
    for name in names:
        if rows := [n for n in status.nodes if n.pool == name]:
            section(console, f"Nodes of pool {name}" if name else "Nodes that no pool owns", count(len(rows), "node"))
            _nodes(console, rows)


def _nodes(console: Console, rows: Sequence[NodeRow]) -> None:
    heads = ("NODE", "TYPE", "ZONE", "MARKET", "STATE", "CPU", "MEMORY", "USD/H", "HOLDS")
    table(
        console,
        [Column(h, right=h in {"CPU", "MEMORY", "USD/H"}) for h in heads],
        [
            (
                n.name,
                n.instance_type,
                n.zone,
                n.market if n.pool else "",
                _state(n.state),
                percent(n.cpu_percent),
                percent(n.memory_percent),
                money(n.price) if n.pool else "",
                work_text(n.work) if n.node else f"(for {work_text(n.work)})" if n.work else "",
            )
            for n in rows
        ],
    )


def actions(console: Console, found: Sequence[Act], heading: str, note: str) -> None:
    """Print what a plan would do, with the price at the dearest, and why."""
    section(console, heading, note)
    columns = (Column("ACTION"), Column("CAUSE"), Column("USD/H", right=True), Column("WHY"))
    table(console, columns, [(a.what, a.cause, money(a.price) if a.price else "", why_text(a)) for a in found])


def machines(console: Console, status: GroupStatus) -> None:
    """Print the machines that a plan would buy, each with what it is to hold and how full that makes it."""
    if not status.machines:
        return
    section(
        console, "Machines", f"{count(sum(m.count for m in status.machines), 'machine')}, each as its cheapest offering"
    )
    heads = ("LAUNCH", "MACHINES", "ZONE", "MARKET", "USD/H", "CPU", "MEMORY", "EACH HOLDS")
    table(
        console,
        [Column(h, right=h in {"USD/H", "CPU", "MEMORY"}) for h in heads],
        [
            (
                m.claim,
                f"{m.count} {m.instance_type}",
                " or ".join(m.zones),
                m.market,
                money(m.price),
                percent(m.cpu_percent),
                percent(m.memory_percent),
                work_text(m.work),
            )
            for m in status.machines
        ],
    )


def predictions(console: Console, status: GroupStatus) -> None:
    """Print how well placements were foreseen, once any was due."""
    p = status.predictions
    if p.kept or p.missed or p.agreed or p.disagreed:
        asked = f"; Nomad's scheduler was asked {count(p.agreed + p.disagreed, 'time')} and disagreed {p.disagreed}"
        text = f"{p.kept} of {count(p.kept + p.missed, 'copy', 'copies')} were placed on the machines bought for them"
        labelled(console, "Foreseen", Text(text + (asked if p.agreed or p.disagreed else "")))


def offerings(console: Console, found: Sequence[Act]) -> None:
    """Print what each launch may become, cheapest first."""
    rows = [(a.claim, o.instance_type, o.zone, str(a.market or ""), money(o.price)) for a in found for o in a.offerings]
    if rows:
        section(console, "Offerings", "any of which EC2 may choose for a launch")
        heads = ("LAUNCH", "TYPE", "ZONE", "MARKET", "USD/H")
        table(console, [Column(h, right=h == "USD/H") for h in heads], rows)


def holds(console: Console, found: Sequence[Hold]) -> None:
    """Print what was not done and why, each with its subject, in full."""
    if not found:
        return
    section(console, "Held back", count(len(found), "hold"))
    for hold in found:
        passes = " (passes by itself)" if hold.passing else ""
        style = "faint" if hold.passing else "warn"
        _entry(console, Text.assemble(hold.subject, "  ", (hold.reason, style), (passes, "faint")), hold.message)


def conditions(console: Console, found: Sequence[Condition], *, notable: bool = False) -> None:
    """Print conditions, their sentences in full; ``notable``: the summary, and those that want somebody to look."""
    shown = [c for c in found if not notable or not c.well or c is found[0]]
    rest = len(found) - len(shown)
    section(console, "Conditions", f"{count(rest, 'other is', 'others are')} as they should be" if rest else "")
    table(
        console,
        (Column("CONDITION"), Column("STATUS"), Column("REASON"), Column("WHICH MEANS")),
        [(c.type, Text(c.status, style="good" if c.well else "warn"), c.reason, c.message) for c in shown],
    )


def warnings(console: Console, status: GroupStatus) -> None:
    """Print what the document's check warned of."""
    if status.warnings:
        section(console, "Warnings", "of the document")
        for warning in status.warnings:
            console.print(Padding(Text(warning), (0, 0, 0, 2), expand=False))


def cost(console: Console, status: GroupStatus) -> None:
    """Print what the group costs."""
    c = status.cost
    figures = f": servers {money(c.servers)}, clients {money(c.clients)}; limits.maxHourlyCost is {c.limit:g}"
    console.print()
    labelled(console, "Cost", Text.assemble((f"{money(c.hourly)} USD an hour", "price"), figures))
    if told := price_ages(status):
        labelled(console, "Prices", Text(told))


def price_ages(status: GroupStatus) -> str:
    """Say how old prices are, when any is older than an hour or not known at all; "" otherwise."""
    prices, old = status.prices, []
    for name, at, without in (
        ("on-demand", prices.on_demand_at, "as shipped, of us-east-1"),
        *([("spot", prices.spot_at, "not known")] if status.pools else []),
    ):
        age = (status.observed_at - at).total_seconds() if at else None
        old.append((age is None or age > _OLD, f"{name} {without if age is None else f'{span(age)} old'}"))
    silent = "".join(f"; {what}: {heard}" for what, heard in prices.silent.items())
    return ", ".join(text for _, text in old) + silent if silent or any(is_old for is_old, _ in old) else ""


def labelled(console: Console, label: str, text: Text) -> None:
    """Print a label, and beside it what may be long."""
    if not console.is_terminal:
        console.print(Text.assemble((label.ljust(6), "title"), "  ", text))
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=6)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label, style="title"), text)
    console.print(grid)


def _entry(console: Console, head: Text, text: str) -> None:
    """In a pipe one line; on a terminal the text goes below, indented."""
    if not console.is_terminal:
        console.print(Text.assemble("  ", head, "  ", text))
        return
    console.print(Padding(head, (0, 0, 0, 2), expand=False))
    console.print(Padding(Text(text), (0, 0, 0, 6), expand=False))


def _state(state: str) -> Text:
    return Text(state, style=STATES.get(state, "warn"))


def pairs(console: Console, found: Sequence[tuple[str, str]]) -> None:
    """Print names and what they are, under each other."""
    if not found:
        return
    width = max(8, *(len(name) for name, _ in found))
    if not console.is_terminal:
        for name, text in found:
            console.print(f"    {name.ljust(width)}  {text}")
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, min_width=width)
    grid.add_column(overflow="fold")
    for name, text in found:
        grid.add_row(Text(name, style="head"), Text(text))
    console.print(Padding(grid, (0, 0, 0, 4), expand=False))
