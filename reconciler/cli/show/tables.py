"""Tables without borders whose last column may be long: on a narrow terminal it goes below its row, never away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

TAIL_LEAST = 36  # columns that the last column wants beside the others
INDENT = 2
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
    room = console.width - INDENT
    for gap in (GAP, GAP - 1):  # a narrow terminal first closes the gaps
        ahead = sum(widths[:-1]) + gap * (len(widths) - 1)
        if room - ahead >= min(TAIL_LEAST, widths[-1]):
            shown = len(columns)
            break
        if ahead - gap <= room:
            shown = len(columns) - 1
            break
    else:
        gap = GAP - 1
        shown = max(1, sum(sum(widths[:n]) + gap * (n - 1) <= room for n in range(1, len(widths))))
    layout = _Layout(columns=columns, widths=widths, shown=shown, gap=gap)
    for part in layout.parts(rows):
        console.print(part)


def _lines(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    """In a pipe a row is a line, without blanks at its end."""
    texts = [[c.head for c in columns], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(columns))]
    for row in texts:
        cells = zip(row, columns, widths, strict=True)
        line = (" " * GAP).join(text.rjust(width) if c.right else text.ljust(width) for text, c, width in cells)
        console.print(f"  {line}".rstrip())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How many columns stand beside each other; the others go below their row."""

    columns: Sequence[Column]
    widths: Sequence[int]
    shown: int
    gap: int

    def parts(self, rows: Sequence[Sequence[Cell]]) -> Iterator[RenderableType]:
        """Lay the rows out, their heads first."""
        grid = self._grid()
        grid.add_row(*(Text(c.head, style="head") for c in self.columns[: self.shown]))
        for row in rows:
            grid.add_row(*(_styled(cell, c) for cell, c in zip(row[: self.shown], self.columns, strict=False)))
            if self.shown == len(self.columns):
                continue
            yield Padding(grid, (0, 0, 0, INDENT), expand=False)
            for below in self._below(row):
                yield Padding(below, (0, 0, 0, 6), expand=False)
            grid = self._grid()
        if self.shown == len(self.columns):
            yield Padding(grid, (0, 0, 0, INDENT), expand=False)

    def _below(self, row: Sequence[Cell]) -> Iterator[Text]:
        """Give the columns for which there was no room, by name, then the last one."""
        middle = list(zip(self.columns, row, strict=True))[self.shown : -1]
        if named := [f"{c.head.lower()} {cell}" for c, cell in middle if len(cell)]:
            yield Text(", ".join(named))
        if len(row[-1]):
            yield _styled(row[-1], self.columns[-1])

    def _grid(self) -> Table:
        grid = Table.grid(padding=(0, self.gap, 0, 0))
        for place in range(self.shown):
            last, column = place == self.shown - 1, self.columns[place]
            grid.add_column(
                justify="right" if column.right else "left",
                overflow="fold",
                min_width=None if last and place == len(self.columns) - 1 else self.widths[place],
                no_wrap=not last,
            )
        return grid


def _styled(cell: Cell, column: Column) -> Text:
    return cell if isinstance(cell, Text) else Text(cell, style=column.style)
