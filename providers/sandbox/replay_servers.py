"""Performs recorded timelines of servers on the simulated ones and says where they differ.

    python -m providers.sandbox.replay_servers [-v | --table | --markdown] FILE...

One line for each file: ``ok NAME`` or ``DIFFERS NAME: who, recorded, ours``; with ``-v`` how much was compared and all
differences, with ``--table`` each change with its recorded second and ours, with ``--markdown`` the page
docs/reference/server-timelines.md. Exit status 1 when any differs, 2 when a
file cannot be read.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from providers.sandbox.timelines.compare import SECONDS, Difference, compare
from providers.sandbox.timelines.page import page
from providers.sandbox.timelines.recording import Recording, Row, Step, read
from providers.sandbox.timelines.requests import Requests
from providers.sandbox.timelines.stage import Stage
from providers.sandbox.timelines.steps import perform
from providers.sandbox.timelines.watcher import EVERY, Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator

_STOOD = 45.0  # seconds, when the recording leaves it open
_LEADER_PASS = 60  # what has stood longer than one pass of the leader looks the same
_QUESTIONS_MAX = 3  # hidden ones that are tried both ways


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a replay agrees: changes matched (recorded, ours), and how many were too brief to be seen by both."""

    name: str
    circumstances: tuple[float, int]  # how long the cluster had stood, and the hidden answers
    pairs: tuple[tuple[Row, Row], ...]
    brief: int
    differences: tuple[Difference, ...] = ()

    @property
    def apart_max(self) -> float:
        """Seconds between a recorded change and ours, at most."""
        return max((abs(recorded.at - ours.at) for recorded, ours in self.pairs), default=0.0)

    @property
    def distance(self) -> tuple[int, float]:
        """How far it is from the recording."""
        return len(self.differences), self.apart_max

    def __str__(self) -> str:
        if not self.differences:
            return f"ok {self.name}"
        more = f" (and {len(self.differences) - 1} more)" if len(self.differences) > 1 else ""
        return f"DIFFERS {self.name}: {self.differences[0]}{more}"


class Replay:
    """One performance of a recording, on a cluster that has stood for so many seconds (see ``Stage``)."""

    def __init__(self, recording: Recording, *, standing: float, hidden: int = 0) -> None:
        self._recording, self._circumstances = recording, (standing, hidden)
        self._stage = Stage(recording, standing=standing, hidden=hidden)
        self._watcher, self._requests = Watcher(self._stage), Requests(self._stage)
        self._held: list[Step] = []
        self._answered: list[tuple[Row, Row]] = []
        self._differences: list[Difference] = []

    @property
    def rows(self) -> list[Row]:
        """What was seen."""
        return self._watcher.rows

    @property
    def questions(self) -> int:
        """How many hidden questions were asked."""
        return len(self._stage.told.asked)

    def perform(self) -> Verdict:
        """Do all steps, watch, and compare."""
        due = sorted(self._recording.steps, key=lambda s: s.begins)
        for number in range(int(self._recording.ends / EVERY) + 1):
            at = number * EVERY
            while due and due[0].begins <= at:
                self._do(due.pop(0))
            self._stage.kernel.run_until(self._stage.starts + at)
            for step in list(self._held):
                self._ask(step)
            self._watcher.look()
        for step in self._held:
            self._differences.append(Difference(f"ASK {step.text}", self._recorded(step), None))
        return self._verdict()

    def _do(self, step: Step) -> None:
        self._stage.kernel.run_until(self._stage.starts + step.begins)
        if step.answer is None:
            perform(self._stage, step.text)
        else:
            self._held.append(step)
            self._ask(step)
        self._watcher.touched()

    def _ask(self, step: Step) -> None:
        status, body, patience = self._requests.put(step)
        took = self._stage.now - step.begins
        if took < patience - EVERY / 2:
            return
        self._held.remove(step)
        ours = Row(self._stage.now, "ASK", f"{status} {body}")
        recorded = self._recorded(step)
        if recorded.what != ours.what or abs(recorded.at - ours.at) > SECONDS:
            self._differences.append(Difference(f"ASK {step.text}", recorded, ours))
        else:
            self._answered.append((recorded, ours))

    def _recorded(self, step: Step) -> Row:
        status, body = self._requests.recorded(step.answer or {})
        return Row(step.at, "ASK", f"{status} {body}")

    def _verdict(self) -> Verdict:
        recording = self._recording
        names = dict.fromkeys(row.who for row in [*recording.rows, *self.rows])
        steps, ends = [s.begins for s in recording.steps], recording.ends
        found = [
            compare(who, recording.of(who), self._comparable(who), steps=steps, stops=[*recording.stops(who), ends])
            for who in names
            if recording.of(who)
        ]
        return Verdict(
            recording.name,
            self._circumstances,
            pairs=(*self._answered, *(pair for a in found for pair in a.pairs)),
            brief=sum(a.brief for a in found),
            differences=(*self._differences, *(d for a in found for d in a.differences)),
        )

    def _comparable(self, who: str) -> list[Row]:
        """Give our rows of a thing; who was asked is left out where the recorder did not write it down."""
        own = [row for row in self.rows if row.who == who]
        if any("(asked " in row.what for row in self._recording.of(who)):
            return own
        return [Row(row.at, row.who, row.what.partition(" (asked ")[0]) for row in own]


def replay(recording: Recording, *, circumstances: tuple[float, int] | None = None) -> Verdict:
    """Perform a recording under every hidden circumstance until it agrees to two seconds; else give the nearest.

    ``circumstances``: only these, those of an earlier verdict.
    """
    best: Verdict | None = None
    for standing, hidden in [circumstances] if circumstances is not None else _circumstances(recording):
        found = Replay(recording, standing=standing, hidden=hidden).perform()
        if best is None or found.distance < best.distance:
            best = found
        if best.distance <= (0, SECONDS):
            break
    if best is None:
        raise AssertionError
    return best


def _circumstances(recording: Recording) -> Iterator[tuple[float, int]]:
    """Give what no recording tells: how long the cluster had its leader, and the answers to hidden questions."""
    first = Replay(recording, standing=_STOOD)
    first.perform()
    yield _STOOD, 0
    standings = [float(s) for s in range(_LEADER_PASS)] if recording.standing() else [_STOOD]
    for hidden, standing in product(range(2 ** min(_QUESTIONS_MAX, first.questions)), standings):
        yield standing + 0.5, hidden


def main(arguments: list[str]) -> int:
    """Replay files; print a line for each."""
    status, options = 0, {a for a in arguments if a.startswith("-")}
    verdicts = list[Verdict]()
    for path in (a for a in arguments if a not in options):
        try:
            recording = read(Path(path))
        except (OSError, ValueError) as fault:
            print(f"UNREADABLE {path}: {fault}")  # noqa: T201
            status = 2
            continue
        verdict = replay(recording)
        status = max(status, 1 if verdict.differences else 0)
        verdicts.append(verdict)
        for line in _report(verdict, options) if "--markdown" not in options else ():
            print(line)  # noqa: T201
    if "--markdown" in options:
        print(page(verdicts), end="")  # noqa: T201
    return status


def _report(verdict: Verdict, options: set[str]) -> Iterator[str]:
    if "-v" not in options:
        yield str(verdict)
    else:
        apart = f"at most {verdict.apart_max:.1f} s apart"
        yield f"{verdict} ({len(verdict.pairs)} changes agree, {apart}; {verdict.brief} too brief)"
        yield from (f"  {difference}" for difference in verdict.differences)
    if "--table" in options:
        for recorded, ours in sorted(verdict.pairs, key=lambda pair: pair[0].at):
            yield f"{recorded.at:8.1f} {ours.at:8.1f}  {recorded.who}: {recorded.what}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
