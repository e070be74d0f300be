"""How a run ends: converged or not, and with which exit code (semantics §12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.loop import Run, Tick, exit_code
from schemas.plan import CreateNodePool, Outcome, Plan, Reason, Result
from support.builders import NOON, a_claim, a_group, a_pool, a_snapshot

ACTION = CreateNodePool(name="gpu", reason="jobs of pool gpu cannot be registered without it")
QUIET = Tick(group=a_group(pools=[a_pool()]), snapshot=a_snapshot(), plan=Plan())


def outcome(result: Result) -> Outcome:
    return Outcome(action=ACTION, result=result, at=NOON)


def hold(reason: Reason, *, passing: bool = False) -> Plan:
    return Plan.held("pool/general", reason, "", passing=passing)


def late(minutes: int) -> Tick:
    claim = a_claim(asked_at=NOON - timedelta(minutes=minutes), answered=True, instance_ids=("i-1",))
    return replace(QUIET, snapshot=a_snapshot(claims=(claim,)))


def test_a_quiet_world_has_converged() -> None:
    assert QUIET.converged


@pytest.mark.parametrize(
    "tick",
    [
        replace(QUIET, plan=Plan(actions=(ACTION,))),
        replace(QUIET, outcomes=(outcome(Result.DONE),)),
        replace(QUIET, open_intents=1),
        replace(QUIET, plan=hold(Reason.NOT_YET_DECIDED, passing=True)),
        late(minutes=9),
    ],
    ids=["something to do", "something just done", "an open intent", "a clock that runs", "a machine on its way"],
)
def test_it_has_not_converged_while_there_is(tick: Tick) -> None:
    assert not tick.converged


def test_permanent_holds_do_not_count() -> None:
    assert replace(QUIET, plan=hold(Reason.UNSATISFIABLE)).converged


def test_a_machine_that_never_registered_ends_the_wait_as_a_failure() -> None:
    """Its time is ten minutes; waiting longer for it would be waiting for ever."""
    tick = late(minutes=11)

    assert tick.converged
    assert exit_code([Run(last=tick, done=4)]) == 3
    assert exit_code([Run(last=tick, done=0)]) == 1


DONE, REFUSED = (outcome(Result.DONE),), (outcome(Result.REFUSED),)


@pytest.mark.parametrize(
    ("tick", "done", "waited_out", "code"),
    [
        (QUIET, 0, False, 0),
        (replace(QUIET, plan=hold(Reason.UNSATISFIABLE)), 0, False, 0),
        (replace(QUIET, outcomes=DONE), 1, False, 0),
        (replace(QUIET, outcomes=REFUSED), 0, False, 1),
        (replace(QUIET, outcomes=DONE + REFUSED), 1, False, 3),
        (replace(QUIET, outcomes=(outcome(Result.UNKNOWN),)), 0, False, 1),
        (QUIET, 5, True, 1),
        (replace(QUIET, plan=hold(Reason.SOURCE_UNANSWERED, passing=True)), 0, False, 69),
        (replace(QUIET, plan=hold(Reason.FROZEN)), 0, False, 69),
        (replace(QUIET, plan=hold(Reason.WRONG_CLUSTER)), 0, True, 69),
        (replace(QUIET, plan=hold(Reason.SOURCE_UNANSWERED, passing=True)), 3, True, 1),
    ],
)
def test_the_exit_code_says_what_came_of_it(tick: Tick, done: int, waited_out: bool, code: int) -> None:
    assert exit_code([Run(last=tick, done=done, waited_out=waited_out)]) == code


def test_with_several_groups_the_worst_counts() -> None:
    fine, waited = Run(last=QUIET, done=0), Run(last=QUIET, done=1, waited_out=True)
    partly = Run(last=replace(QUIET, outcomes=DONE + REFUSED), done=1)
    blocked = Run(last=replace(QUIET, plan=hold(Reason.FROZEN)), done=0)

    assert exit_code([fine, partly]) == 3
    assert exit_code([partly, waited, fine]) == 1
    assert exit_code([waited, blocked, partly]) == 69
    assert exit_code([]) == 0
