"""Replays recorded scenarios against the simulated Nomad and says where it differs.

    python -m providers.sandbox.replay FILE...

One line for each file: ``ok NAME`` or ``DIFFERS NAME: step, thing, recorded, ours``; exit status 1 when any differs, 2
when a file cannot be read. Nomad draws lots (which of equal nodes, how long a heartbeat lasts); a step agrees when for
some draw the rules give what was recorded, so each step is tried with several seeds from the same saved world.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from providers.sandbox.conformance import compare, observed
from providers.sandbox.conformance.compare import Difference
from providers.sandbox.conformance.scenario import SETTLE, Driver, Scenario, World, begin, name_classes, read

Json = dict[str, Any]

_SEEDS = 100  # draws tried for a step
_BRANCHES = 12  # agreeing draws that are followed to the next step
_RUNS = 500  # steps tried from one beginning
_BEGINNINGS = 6  # agents start with draws too
_PRECISION = 1.0  # seconds: how far a recorded offset may be off
_CHOOSING = ("drain",)  # steps in which Nomad chooses among a group's copies


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a replay found: the first step that differs, and how."""

    name: str
    step: int | None = None
    what: str = ""
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        if self.step is None:
            return f"ok {self.name}"
        more = f" (and {len(self.differences) - 1} more)" if len(self.differences) > 1 else ""
        return f"DIFFERS {self.name}: step {self.step + 1} {self.what}, {self.differences[0]}{more}"


def replay(scenario: Scenario) -> Verdict:
    """Replay one scenario to its end or to the first step that differs."""
    return _Search(scenario).run()


def _is_exact(scenario: Scenario) -> bool:
    """Whether names are to be compared: no more than two nodes, and no choosing among copies."""
    nodes = len(scenario.nodes) + sum(s["do"] == "add-node" for s in scenario.steps)
    return nodes <= 2 and not any(s["do"] in _CHOOSING for s in scenario.steps)


class _Search:
    """Looks for draws with which every step agrees: some show only in a later one."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._exact = _is_exact(scenario)
        self._left = 0
        self._furthest = Verdict(scenario.name, -1)

    def run(self) -> Verdict:
        for seed in range(1, _BEGINNINGS + 1):
            self._left = _RUNS
            if self._agrees(begin(self._scenario, seed), 0):
                return Verdict(self._scenario.name)
        return self._furthest

    def _agrees(self, world: World, number: int) -> bool:
        if number == len(self._scenario.steps):
            return True
        return any(self._agrees(after, number + 1) for after in self._agreeing(world, number))

    def _agreeing(self, world: World, number: int) -> Iterator[World]:
        """Give worlds after a step that agree by name, then (where Nomad chooses among equals) by count."""
        saved = msgspec.json.encode(world)
        by_count: list[tuple[float, int, World]] = []
        found = 0
        for seed in range(_SEEDS):
            if self._left == 0 or found == _BRANCHES:
                break
            self._left -= 1
            tried = msgspec.json.decode(saved, type=World)
            tried.timeline.seed = world.timeline.seed * 1000 + seed if seed else world.timeline.seed
            run = _Run(self._scenario, tried, number)
            differences = run.differences(by_name=True)
            if not differences:
                found += 1
                yield tried
            elif not self._exact and not run.differences(by_name=False):
                by_count.append((run.distance(), seed, tried))
            elif (self._furthest.step or 0) < number:
                what = self._scenario.steps[number]["do"]
                self._furthest = Verdict(self._scenario.name, number, what, tuple(differences))
        yield from (near for _, _, near in sorted(by_count)[:_BRANCHES])


class _Run:
    """One step carried out, with its timeline and the last moments of the one before."""

    def __init__(self, scenario: Scenario, world: World, number: int) -> None:
        self._step = step = scenario.steps[number]
        self._world = world
        self._small = len(scenario.nodes) + sum(s["do"] == "add-node" for s in scenario.steps[: number + 1]) <= 2
        begins = SETTLE + step["at"]
        self._length = scenario.ends(number) - step["at"]
        driver = Driver(world)
        kernel = driver.cluster.kernel
        kernel.run_until(begins)
        before = observed.things(world)
        self._before = self._renamed(observed.observe(world))
        self._answer = driver.do(step)
        self._timeline = [(at - begins, thing, state) for at, thing, state in world.recent]
        if step["do"] == "restart-server":
            kernel.run_until(begins + step["down_seconds"])
            driver.cluster.set_leader(True)
        self._observed: list[Json] = []
        looks = [begins + at for at in _looks(step, self._length)]
        while True:
            before = self._note(before, kernel.now - begins)
            due = kernel.next_at()
            while looks and (due is None or due > looks[0]):
                self._observed.append(self._renamed(observed.observe(world)))
                looks.pop(0)
            if due is None or not looks:
                break
            kernel.run_until(due)
            if step["do"] in ("add-node", "change-node") and kernel.now < begins + 1.0:
                name_classes(world, [step["node"]])
        kernel.run_until(begins + self._length)
        world.recent = [
            (begins + at, thing, state) for at, thing, state in self._timeline if at > self._length - _PRECISION - 1.0
        ]

    def _renamed(self, value: Any) -> Any:
        return observed.rename(value, observed.child_names(self._world))

    def _note(self, before: dict[str, str], at: float) -> dict[str, str]:
        now: dict[str, str] = self._renamed(observed.things(self._world))
        self._timeline += [(at, thing, state) for thing, state in now.items() if before.get(thing) != state]
        self._timeline += [(at, thing, "gone") for thing in before if thing not in now]
        return now

    def differences(self, *, by_name: bool) -> list[Difference]:
        """Compare all that was recorded of the step; the state at the moment that agrees best."""
        step, world = self._step, self._world
        found = compare.compare_answer(step.get("answer"), self._renamed(self._answer))
        states = [
            compare.compare_observed(step["observe"], o, self._before, by_name=by_name, by_node=self._small)
            for o in self._observed
        ]
        fewest = min(len(differing) for differing in states)
        found += next(differing for differing in states if len(differing) == fewest)
        found += compare.compare_timeline(step["timeline"], self._timeline, length=self._length, by_name=by_name)
        if "scores" in step and by_name:
            found += compare.compare_scores(step["scores"], observed.scores(world), exact=self._small)
        if "node_detail" in step:
            found += compare.compare_detail(step["node_detail"], observed.node_detail(world))
        return found

    def distance(self) -> float:
        """Tell how far from the recorded times this run was."""
        return compare.distance(self._step["timeline"], self._timeline, length=self._length)


def _looks(step: Json, length: float) -> list[float]:
    """Give the moments at which the state may have been observed: at the end, or up to a second before.

    Recorded offsets are good to 0.3 s, a loaded moment may add a second; but never before the last recorded change.
    """
    last = max([entry[0] for entry in step["timeline"]], default=0.0)
    return sorted({max(min(last, length), length - early) for early in (_PRECISION, _PRECISION / 2, 0.0)})


def main(paths: list[str]) -> int:
    """Replay files; print a line for each."""
    status = 0
    for path in paths:
        try:
            scenario = read(Path(path))
        except (OSError, ValueError) as fault:
            print(f"UNREADABLE {path}: {fault}")  # noqa: T201
            status = 2
            continue
        verdict = replay(scenario)
        print(verdict)  # noqa: T201
        if verdict.step is not None:
            status = max(status, 1)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
