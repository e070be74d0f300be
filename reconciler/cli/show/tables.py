"""Tables without borders whose last column may be long: on a narrow terminal it goes below its row, never away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

TAIL_LEAST = 36  # columns that the last column wants beside the others
GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head and how its cells stand."""

    head: str
    right: bool = False
    style: str = ""


Cell = str | Text


def section(console: Console, title: str, note: str = "") -> None:
    """Begin a part of the output."""
    console.print()
    console.print(Text.assemble((title, "title"), (f"  {note}" if note else "", "faint")))


def table(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    """Print rows under their heads; the last column takes the room that is left, or goes below."""
    if not console.is_terminal:
        _lines(console, columns, rows)
        return
    widths = [max([len(c.head), *(len(row[i]) for row in rows)]) for i, c in enumerate(columns)]
    ahead = 2 + sum(widths[:-1]) + GAP * (len(widths) - 1)
    below = console.width - ahead < min(TAIL_LEAST, widths[-1])
    for part in _parts(columns, rows, widths, below=below):
        console.print(part)


def _lines(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    """In a pipe a row is a line, without blanks at its end."""
    texts = [[c.head for c in columns], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(columns))]
    for row in texts:
        cells = zip(row, columns, widths, strict=True)
        line = (" " * GAP).join(text.rjust(width) if c.right else text.ljust(width) for text, c, width in cells)
        console.print(f"  {line}".rstrip())


def _parts(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], widths: Sequence[int], *, below: bool
) -> Iterator[RenderableType]:
    shown = len(columns) - below
    heads: list[Cell] = [Text(c.head, style="head") for c in columns]
    grid = _grid(columns[:shown], widths[:shown])
    grid.add_row(*heads[:shown])
    for row in rows:
        grid.add_row(*(_styled(cell, c) for cell, c in zip(row[:shown], columns, strict=False)))
        if below:
            yield Padding(grid, (0, 0, 0, 2), expand=False)
            if len(row[-1]):
                yield Padding(_styled(row[-1], columns[-1]), (0, 0, 0, 6), expand=False)
            grid = _grid(columns[:shown], widths[:shown])
    if not below:
        yield Padding(grid, (0, 0, 0, 2), expand=False)


def _grid(columns: Sequence[Column], widths: Sequence[int]) -> Table:
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for place, (column, width) in enumerate(zip(columns, widths, strict=True)):
        last = place == len(columns) - 1
        grid.add_column(
            justify="right" if column.right else "left",
            overflow="fold",
            min_width=None if last else width,
            no_wrap=not last,
        )
    return grid


def _styled(cell: Cell, column: Column) -> Text:
    return cell if isinstance(cell, Text) else Text(cell, style=column.style)
