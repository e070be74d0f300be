"""The two consoles: standard output is data, standard error is talk.

Colour only where a terminal is (rich heeds ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM=dumb``). In a pipe nothing is
wrapped: a row is a line, as grep and diff want it; on a terminal nothing is cut off: what is too long goes on below.
"""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.theme import Theme

from reconciler.cli.streams import silence

UNWRAPPED = 100_000  # columns: a pipe has no edge

THEME = Theme(
    {
        "title": "bold",
        "head": "dim",
        "good": "green",
        "bad": "bold red",
        "warn": "yellow",
        "act": "cyan",
        "price": "magenta",
        "faint": "dim",
    }
)


class PatientConsole(Console):
    """Goes on in silence when the reader goes away (``| head -1``): the command ends with the code it has earned."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on."""
        self.quiet = True
        silence(self.file)


def console_for(file: TextIO) -> Console:
    """Give a console that writes to a stream."""
    return PatientConsole(
        file=file,
        theme=THEME,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
        width=None if file.isatty() else UNWRAPPED,
    )
