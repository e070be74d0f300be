"""The whole program in a world where anything goes wrong by chance: what must always hold holds after every tick.

``./task simulate -- --seed 7`` plays one seed, ``--seeds 500`` many. A seed that failed joins ``CORPUS`` for ever.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from providers.sandbox.faults import Faults, Kind
from providers.sandbox.invariants import Invariants
from schemas.document import ClusterGroup
from support.builders import a_group, a_pool
from support.fault_scripts import judge
from support.stage import Stage, a_job_of, a_scenario

CORPUS: tuple[int, ...] = ()  # seeds that once failed
RATES = {
    Kind.CRASH_BEFORE: 0.01,
    Kind.CRASH_AFTER: 0.01,
    Kind.LOSE_REPLY: 0.04,
    Kind.FAIL: 0.05,
    Kind.DELAY: 0.02,
    Kind.STALE: 0.03,
}
TROUBLE = 600.0  # virtual seconds in which things go wrong
CALM = 1200.0  # and after which all must come right


def the_group() -> ClusterGroup:
    general = a_pool(size={"min": 1, "max": 6}, headroom={"units": 2, "cpuMHz": 1000, "memoryMiB": 512})
    batch = a_pool(name="batch", nodePool="batch", size={"min": 0, "max": 3}, capacity={"spotPercent": 100})
    return a_group(pools=[general, batch], limits={"maxNodes": 8, "maxHourlyCost": 3, "maxLaunchesPerMinute": 4})


def broken(invariants: Invariants) -> Callable[[], None]:
    """Judge the account itself after each tick, without any lag."""

    def look() -> None:
        assert not invariants.look(), "\n".join(map(str, invariants.violations))

    return look


def trouble_then_calm(faults: Faults, seed: int) -> None:
    web = a_job_of("web", count=6, cpu=1500, memory=1024)
    nightly = a_job_of("nightly", count=2, cpu=3000, memory=2048, NodePool="batch")
    stage = Stage.set(a_scenario(web, nightly), seed=seed, faults=faults)
    group = the_group()
    invariants = Invariants(world=stage.world, group=group, requests=stage.requests)
    look = broken(invariants)

    stage.play(group, seconds=TROUBLE, stop_when_converged=False, after_tick=look)
    faults.rates = {}
    assert stage.play(group, seconds=CALM, after_tick=look), f"seed {seed} does not converge"

    queued = {job.name: dict(job.queued) for job in stage.ticks[-1].snapshot.jobs}
    assert set(queued) == {"web", "nightly"}
    assert all(n == 0 for groups in queued.values() for n in groups.values()), queued


def test_whatever_goes_wrong_for_a_while_caps_hold_and_all_comes_right_afterwards(fault_seed: int) -> None:
    judge(lambda faults: trouble_then_calm(faults, fault_seed), Faults(seed=fault_seed, rates=RATES))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault_seed" in metafunc.fixturenames:
        one, many = metafunc.config.getoption("--seed"), metafunc.config.getoption("--seeds")
        metafunc.parametrize("fault_seed", [one] if one is not None else [*CORPUS, *range(many)])
