"""What is wrong with a document, where, and what would be right."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Keys and list indexes (from 0) from the top of a document down to a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a document, or (among warnings) one thing that is legal but unwise."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    path: str
    """Such as ``spec.pools[0].size.min``; empty: the document, or the file as a whole."""
    message: str
    """What is wrong, with the numbers that decide it."""
    hint: str = ""
    """What would be right."""

    def __str__(self) -> str:
        """Give ``file:line:column: path: what is wrong; what would be right``."""
        where = f"{self.file}:{self.line}:{self.column}: " + (f"{self.path}: " if self.path else "")
        return where + (f"{self.message}; {self.hint}" if self.hint else self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found, before it is known where in the text that is."""

    at: Path
    message: str
    hint: str = ""
    missing: bool = False
    """The value at ``at`` should be there and is not: told at its parent's key."""
    other: Path | None = None
    """The other of two that contradict each other: its line stands for ``{other}`` in the message."""


def path_text(path: Path) -> str:
    """Write a path as people do: ``spec.pools[0].size.min``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part and all(c.isalnum() or c in "_-" for c in part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
