"""Kill -9 anywhere, lose any reply, fail any call: no double launch, and the end of an undisturbed run.

One small world is run once without faults. Then, for every write that run made, it is run again with one fault at just
that call. The program is built anew each tick, so that nothing it knows lives in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import pytest

from providers.sandbox.faults import Faults, Kind, Strike
from schemas.document import ClusterGroup
from support.builders import a_group, a_pool
from support.stage import Stage, a_job_of, a_scenario

WRITES = ("create_template", "delete_template", "run_instance", "create_fleet", "create_node_pool", "join", "write")
LONG = 1800.0  # virtual seconds; an undisturbed run needs a fifth of it


def the_group() -> ClusterGroup:
    general = a_pool(size={"min": 1, "max": 8}, headroom={"units": 2, "cpuMHz": 1000, "memoryMiB": 512})
    return a_group(pools=[general, a_pool(name="batch", nodePool="batch", size={"min": 0, "max": 4})])


def a_stage(*script: Strike) -> Stage:
    web = a_job_of("web", count=5, cpu=1500, memory=1024)
    nightly = a_job_of("nightly", count=2, cpu=3000, memory=2048, NodePool="batch")
    return Stage.set(a_scenario(web, nightly), seed=7, faults=Faults(script=script))


@lru_cache(maxsize=1)
def undisturbed() -> Stage:
    stage = a_stage()
    assert stage.play(the_group(), seconds=LONG), "it converges at all"
    return stage


def writes() -> Mapping[int, str]:
    """Give the number and name of each call of the undisturbed run that changes something."""
    return {n: name for n, name in enumerate(undisturbed().faults.names) if name.rpartition(".")[2] in WRITES}


def test_an_undisturbed_run_serves_all_work_with_three_servers() -> None:
    stage = undisturbed()

    assert sum(n for (role, _, _), n in stage.machines().items() if role == "server") == 3
    assert all(job.queued == {} or set(job.queued.values()) == {0} for job in stage.ticks[-1].snapshot.jobs)
    assert len(stage.ticks[-1].snapshot.jobs) == 2


@pytest.mark.parametrize("kind", [Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.LOSE_REPLY, Kind.FAIL])
def test_a_fault_at_any_write_launches_nothing_twice_and_ends_as_if_it_had_not_been(kind: Kind) -> None:
    points = writes()
    assert len(points) >= 15, "or there is nothing to test"
    for call, name in points.items():
        stage = a_stage(Strike(call=call, kind=kind))
        converged = stage.play(the_group(), seconds=LONG)

        where = f"{kind} at call {call}, {name}"
        assert stage.faults.struck, where
        assert stage.crashes == (kind in {Kind.CRASH_BEFORE, Kind.CRASH_AFTER}), where
        assert converged, where
        assert stage.machines() == undisturbed().machines(), where
        assert sum(stage.claims().values()) == sum(undisturbed().claims().values()), f"{where}: {stage.claims()}"
