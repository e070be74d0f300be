"""Demand, planned for a world in which jobs wait, and what came of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from schemas.document import ClusterGroup
from schemas.plan import Hold, Launch, Plan
from schemas.world import (
    Job,
    Market,
    Resources,
    Snapshot,
)
from support.builders import (
    a_blocked,
    a_group,
    a_pool,
    a_snapshot,
    a_task_group,
)

WHOLE = a_task_group(ask=Resources(cpu_mhz=6000, memory_mib=4000))  # a copy that wants a machine to itself


def waiting(*jobs: Job, **given: Any) -> Snapshot:
    """A world in which these jobs wait, each with a blocked evaluation a minute old."""
    return a_snapshot(jobs=jobs, evaluations=tuple(a_blocked(j) for j in jobs if j.queued), **given)


def launches(plan: Plan) -> list[Launch]:
    return [a for a in plan.actions if isinstance(a, Launch)]


def held(plan: Plan, subject: str = "job/web") -> Hold:
    found = [h for h in plan.holds if h.subject == subject]
    assert len(found) == 1, plan.holds
    return found[0]


def a_general(**pool: Any) -> ClusterGroup:
    return a_group(pools=[a_pool(**pool)])


def bought(plan: Plan) -> dict[str, int]:
    """Count the machines by type."""
    counted: Counter[str] = Counter()
    for launch in launches(plan):
        counted[launch.overrides[0].instance_type] += launch.count
    return dict(counted)


def markets(plan: Plan) -> dict[Market, int]:
    """Count the machines by market."""
    counted: Counter[Market] = Counter()
    for launch in launches(plan):
        counted[launch.market] += launch.count
    return dict(counted)
