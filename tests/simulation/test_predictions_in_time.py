"""Promises that do not come true cost a few machines, and no more; those that do are counted as kept."""

from __future__ import annotations

from typing import Any

from support.builders import a_group, a_pool
from support.stage import Stage, a_job_of, a_scenario

HOUR = 3600.0


def racked(name: str) -> dict[str, Any]:
    job = a_job_of(name)
    job["Constraints"] = [{"LTarget": "${attr.rack}", "RTarget": "r1", "Operand": "="}]
    return job


def test_a_document_that_promises_what_nodes_do_not_have_buys_three_machines_in_hours_and_not_more() -> None:
    stage = Stage.set(a_scenario(racked("rare"), a_job_of("plain", count=3)))
    group = a_group(pools=[a_pool(attributes={"rack": "r1"})])
    stage.play(group, seconds=2 * HOUR, stop_when_converged=False)

    known = stage.ticks[-1].snapshot.predictions
    assert sum(stage.asked().values()) == 3
    assert [(m.job, m.times, m.until) for m in known.misses] == [("rare", 3, None)]
    assert (known.kept, known.missed) == (3, 3)
    assert any("given up" in hold.message for hold in stage.ticks[-1].plan.holds)
