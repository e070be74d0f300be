"""Replays recorded scenarios against the simulated Nomad and says where it differs.

    python -m providers.sandbox.replay FILE...

One line for each file: ``ok NAME`` or ``DIFFERS NAME: step, thing, recorded, ours``; exit status 1 when any differs, 2
when a file cannot be read. Nomad draws lots (which of equal nodes, how long a heartbeat lasts); a step agrees when for
some draw the rules give what was recorded, so each step is tried with several seeds from the same saved world.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from providers.sandbox.conformance import compare, observed
from providers.sandbox.conformance.compare import Difference
from providers.sandbox.conformance.scenario import SETTLE, Driver, Scenario, World, begin, name_classes, read

Json = dict[str, Any]

_SEEDS = 40
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
    world = begin(scenario, seed=1)
    exact = _is_exact(scenario)
    for number, step in enumerate(scenario.steps):
        after, differences = _step(scenario, world, number, exact=exact)
        if differences:
            return Verdict(scenario.name, number, step["do"], tuple(differences))
        world = after
    return Verdict(scenario.name)


def _is_exact(scenario: Scenario) -> bool:
    """Whether names are to be compared: no more than two nodes, and no choosing among copies."""
    nodes = len(scenario.nodes) + sum(s["do"] == "add-node" for s in scenario.steps)
    return nodes <= 2 and not any(s["do"] in _CHOOSING for s in scenario.steps)


def _step(scenario: Scenario, world: World, number: int, *, exact: bool) -> tuple[World, list[Difference]]:
    """Try a step with several seeds: the first that agrees by name, else (where lots are drawn) by count, is taken."""
    saved = msgspec.json.encode(world)
    by_count: World | None = None
    first: tuple[World, list[Difference]] | None = None
    for seed in range(_SEEDS):
        tried = msgspec.json.decode(saved, type=World)
        tried.timeline.seed = world.timeline.seed * 1000 + seed if seed else world.timeline.seed
        run = _Run(scenario, tried, number)
        differences = run.differences(by_name=True)
        if not differences:
            return tried, []
        if first is None:
            first = (tried, differences)
        if not exact and by_count is None and not run.differences(by_name=False):
            by_count = tried
    if by_count is not None:
        return by_count, []
    if first is None:
        raise AssertionError
    return first


class _Run:
    """One step carried out, with its timeline."""

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
        self._answer = driver.do(step)
        self._timeline: list[tuple[float, str, str]] = []
        if step["do"] == "restart-server":
            kernel.run_until(begins + step["down_seconds"])
            driver.cluster.set_leader(True)
        end = begins + self._length
        while True:
            before = self._note(before, kernel.now - begins)
            due = kernel.next_at()
            if due is None or due > end:
                break
            kernel.run_until(due)
            if step["do"] in ("add-node", "change-node") and (due := kernel.now) < begins + 1.0:
                name_classes(world, [step["node"]])
        kernel.run_until(end)
        self._observed = observed.observe(world)

    def _note(self, before: dict[str, str], at: float) -> dict[str, str]:
        now = observed.things(self._world)
        self._timeline += [(at, thing, state) for thing, state in now.items() if before.get(thing) != state]
        self._timeline += [(at, thing, "gone") for thing in before if thing not in now]
        return now

    def differences(self, *, by_name: bool) -> list[Difference]:
        step, world = self._step, self._world
        found = compare.compare_answer(step.get("answer"), self._answer)
        found += compare.compare_observed(step["observe"], self._observed, by_name=by_name)
        found += compare.compare_timeline(step["timeline"], self._timeline, length=self._length, by_name=by_name)
        if "scores" in step and by_name:
            found += compare.compare_scores(step["scores"], observed.scores(world), exact=self._small)
        if "node_detail" in step:
            found += compare.compare_detail(step["node_detail"], observed.node_detail(world))
        return found


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
