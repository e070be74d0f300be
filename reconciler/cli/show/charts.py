"""Small charts out of letters, which read well in a pipe too."""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
NOTHING = "·"
WIDTH = 84  # letters of a chart at most: a week at two hours a letter


def spark(values: Sequence[float], *, top: float | None = None, width: int = WIDTH) -> str:
    """Draw values as a line of blocks, several averaged into one where there are too many; a dot is zero."""
    shown = squeezed(values, width)
    highest = top if top is not None else max(shown, default=0.0)
    if highest <= 0:
        return NOTHING * len(shown)
    return "".join(_block(value / highest) for value in shown)


def _block(share: float) -> str:
    return BLOCKS[min(len(BLOCKS) - 1, int(share * len(BLOCKS)))] if share > 0 else NOTHING


def bar(value: float, top: float, *, width: int = 24) -> str:
    """Draw one value as a bar."""
    return "█" * round(width * value / top) if top > 0 else ""


def squeezed(values: Sequence[float], width: int = WIDTH) -> list[float]:
    """Give as many averages as there is room for; all of equally many values but the last."""
    each = max(1, -(-len(values) // width))
    parts = [values[start : start + each] for start in range(0, len(values), each)]
    return [sum(part) / len(part) for part in parts]


def ruler(labels: Sequence[tuple[float, str]], values: int, width: int = WIDTH) -> str:
    """Write labels over a chart of so many values, each at its place; one that would touch the last is left out."""
    each = max(1, -(-values // width))
    line = ""
    for at, label in labels:
        place = int(at // each)
        if place >= len(line) + bool(line):
            line = line.ljust(place) + label
    return line
