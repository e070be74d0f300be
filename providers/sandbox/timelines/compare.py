"""Whether two timelines tell the same: the same changes in the same order, each within 2 s or 20 %.

A state that lasted less than two seconds may be missing on either side: the recorder polled, and offsets are good to
two seconds. "No answer" is left out: it is written down only when the recorder asked at the right moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from providers.sandbox.timelines.recording import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS, SHARE = 2.0, 0.2
_UNSEEN = "no answer"


@dataclass(frozen=True, slots=True)
class Difference:
    """What one side tells and the other does not, or not then."""

    who: str
    recorded: Row | None
    ours: Row | None

    def __str__(self) -> str:
        return f"{self.who}, recorded {_told(self.recorded)}, ours {_told(self.ours)}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two timelines of one thing agree: changes matched (recorded, ours), and how many were too brief."""

    pairs: tuple[tuple[Row, Row], ...]
    brief: int
    differences: tuple[Difference, ...]


def compare(
    who: str, recorded: Sequence[Row], ours: Sequence[Row], *, steps: Sequence[float], stops: Sequence[float]
) -> Agreement:
    """Compare the changes of one thing.

    ``steps``: when something was done; ``stops``: when the thing could be seen no more, last of all the end.
    """
    ends = tuple(sorted(stops))
    theirs, mine = _seen(recorded, ends), _seen(ours, ends)
    _, kept = _best(theirs, mine, tuple(sorted(steps)), ends)
    pairs = dict(kept)
    matched_ours = set(pairs.values())
    lonely = [i for i in range(len(theirs)) if i not in pairs and not _excused(theirs, i, ends, set(pairs))]
    extra = [j for j in range(len(mine)) if j not in matched_ours and not _excused(mine, j, ends, matched_ours)]
    found = [Difference(who, theirs[i], _nearest(theirs[i], [mine[j] for j in extra])) for i in lonely]
    told = {id(d.ours) for d in found}
    found += [Difference(who, None, mine[j]) for j in extra if id(mine[j]) not in told]
    return Agreement(
        pairs=tuple((theirs[i], mine[j]) for i, j in kept),
        brief=len(theirs) - len(pairs) - len(lonely),
        differences=tuple(found),
    )


def _seen(rows: Sequence[Row], ends: tuple[float, ...]) -> tuple[Row, ...]:
    """Leave out what is not compared, and what repeats what stood before it."""
    kept: list[Row] = []
    for row in rows:
        if row.what != _UNSEEN and row.at <= ends[-1] and (not kept or kept[-1].what != row.what):
            kept.append(row)
    return tuple(kept)


def _best(
    theirs: tuple[Row, ...], mine: tuple[Row, ...], steps: tuple[float, ...], ends: tuple[float, ...]
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Pair the rows so that the fewest that lasted stay alone: (how many, the pairs)."""

    @cache
    def best(i: int, j: int, last: str) -> tuple[int, tuple[tuple[int, int], ...]]:
        if i == len(theirs) and j == len(mine):
            return 0, ()
        options = []
        if i < len(theirs):
            cost, pairs = best(i + 1, j, last)
            options.append((cost + (not (_brief(theirs, i, ends) or theirs[i].what == last)), pairs))
        if j < len(mine):
            cost, pairs = best(i, j + 1, last)
            options.append((cost + (not (_brief(mine, j, ends) or mine[j].what == last)), pairs))
        if i < len(theirs) and j < len(mine) and _agree(theirs[i], mine[j], steps):
            cost, pairs = best(i + 1, j + 1, theirs[i].what)
            options.append((cost, ((i, j), *pairs)))
        return min(options, key=lambda option: (option[0], -len(option[1])))

    return best(0, 0, "")


def _agree(recorded: Row, ours: Row, steps: tuple[float, ...]) -> bool:
    if recorded.what != ours.what:
        return False
    since = max((at for at in steps if at <= recorded.at), default=0.0)
    return abs(recorded.at - ours.at) <= max(SECONDS, SHARE * (recorded.at - since))


def _brief(rows: Sequence[Row], place: int, ends: tuple[float, ...]) -> bool:
    at = rows[place].at
    until = min((end for end in ends if end >= at), default=at)
    if place + 1 < len(rows):
        until = min(until, rows[place + 1].at)
    return until - at < SECONDS


def _excused(rows: Sequence[Row], place: int, ends: tuple[float, ...], matched: set[int]) -> bool:
    before = [i for i in matched if i < place]
    return _brief(rows, place, ends) or (bool(before) and rows[max(before)].what == rows[place].what)


def _nearest(row: Row, others: Sequence[Row]) -> Row | None:
    same = [o for o in others if o.what == row.what]
    return min(same or others, key=lambda o: abs(o.at - row.at), default=None)


def _told(row: Row | None) -> str:
    return f"at {row.at:.1f} {row.what}" if row is not None else "nothing"
