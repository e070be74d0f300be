"""An offering that gives nothing, or less than was asked for: the next best is bought in the same tick."""

from __future__ import annotations

from providers.sandbox.world.ec2.state import CapacityLimit
from schemas.plan import Launch, Outcome, Result
from support.builders import a_group, a_pool
from support.stage import Stage, a_job_of, a_scenario

POOL = a_pool(
    size={"min": 0, "max": 6},
    instances={"types": ["c6i.large", "m6i.large", "r6i.large"]},
    capacity={"spotPercent": 0},
)


def played(*capacity: CapacityLimit) -> list[list[Outcome]]:
    """Run until the work is placed; gives the launches of each tick in which there were any."""
    stage = Stage.set(a_scenario(a_job_of("web", count=4, cpu=1500), capacity=list(capacity)))
    assert stage.play(a_group(pools=[POOL]), seconds=1500)
    found = [[o for o in tick.outcomes if isinstance(o.action, Launch)] for tick in stage.ticks]
    return [outcomes for outcomes in found if outcomes]


def bought(outcomes: list[Outcome]) -> int:
    return sum(len(o.instance_ids) for o in outcomes)


def test_what_is_nowhere_to_be_had_is_replaced_by_the_next_best_in_the_same_tick() -> None:
    calm = played()
    (dry, *later) = played(CapacityLimit(live_max=0, types="c6i.large"))

    assert any(o.result is Result.REFUSED for o in dry)
    assert bought(dry) == bought(calm[0])
    assert not later


def test_a_partial_answer_is_planned_again_at_once() -> None:
    calm = played()
    (dry, *later) = played(CapacityLimit(live_max=1, types="c6i.large"))

    assert bought(dry) == bought(calm[0])
    assert not later


def test_where_there_is_nothing_at_all_a_tick_ends_after_a_few_tries() -> None:
    stage = Stage.set(
        a_scenario(a_job_of("web", count=4, cpu=1500), capacity=[CapacityLimit(live_max=0, types="?6i.large")])
    )
    assert stage.play(a_group(pools=[POOL]), seconds=300) is not None

    tries = [sum(isinstance(o.action, Launch) for o in tick.outcomes) for tick in stage.ticks]
    assert 1 < sum(tries) <= 12
    assert max(tries) <= 4
