"""A fault list that fails shrinks to a smallest one, and a failing run prints both."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.sandbox.faults import Faults, Kind, Strike
from providers.sandbox.shrink import Script, shrink
from support.fault_scripts import judge, replayed

ANY = tuple(Strike(call=call, kind=Kind.FAIL) for call in range(20))


def calls(script: Script) -> list[int]:
    return [s.call for s in script]


@given(st.sets(st.integers(0, 19), min_size=1, max_size=5))
def test_what_is_needed_stays_and_all_else_goes(needed: set[int]) -> None:
    smallest = shrink(ANY, lambda script: {s.call for s in script} >= needed)

    assert calls(smallest) == sorted(needed)


def test_of_two_ways_to_fail_one_stays() -> None:
    smallest = shrink(ANY, lambda script: bool({3, 17} & {s.call for s in script}))

    assert len(smallest) == 1


@given(st.integers(1, 19), st.integers(0, 10_000))
def test_no_strike_of_the_smallest_can_be_left_out(size: int, pattern: int) -> None:
    def fails(script: Script) -> bool:  # no monotone rule: leaving one out may heal, leaving two out may not
        return sum(s.call * (pattern % (7 + s.call)) for s in script) % 5 == size % 5

    script = ANY[:size]
    if not fails(script) or fails(()):
        return
    smallest = shrink(script, fails, trials_max=10_000)

    assert fails(smallest)
    assert not any(fails((*smallest[:i], *smallest[i + 1 :])) for i in range(len(smallest)))


def test_a_figure_is_halved_while_that_is_enough() -> None:
    script = (Strike(call=1, kind=Kind.DELAY, figure=29.5), Strike(call=2, kind=Kind.JUMP, figure=-300.0))
    smallest = shrink(script, lambda tried: sum(abs(s.figure) for s in tried) > 40 and len(tried) == 2)

    assert [(s.call, s.figure) for s in smallest] == [(1, 0.0), (2, -75.0)]


def test_what_fails_without_any_fault_needs_none() -> None:
    assert shrink(ANY, lambda _: True) == ()


def test_what_does_not_fail_cannot_be_shrunk() -> None:
    with pytest.raises(ValueError, match="does not fail"):
        shrink(ANY, lambda _: False)


def test_after_so_many_runs_the_smallest_so_far_is_given() -> None:
    runs = []

    def fails(script: Script) -> bool:
        runs.append(script)
        return {s.call for s in script} >= {3, 11}

    smallest = shrink(ANY, fails, trials_max=12)

    assert len(runs) == 12
    assert {3, 11} <= {s.call for s in smallest}
    assert len(smallest) < 20


def run_of(length: int, *deadly: int) -> Callable[[Faults], None]:
    """A run of so many calls that fails when all the deadly ones are struck."""

    def play(faults: Faults) -> None:
        hit = {n for n in range(length) if faults.next("ec2.instances") is not None}
        assert not hit >= set(deadly), f"calls {deadly} were struck"

    return play


def test_a_failing_run_prints_its_script_and_the_smallest() -> None:
    with pytest.raises(AssertionError) as told:
        judge(run_of(50, 7, 31), Faults(seed=3, rates={Kind.FAIL: 0.9}))

    text = str(told.value)
    assert text.startswith("AssertionError: calls (7, 31) were struck")
    assert "the smallest that fails (2 of " in text
    assert text.endswith("\n7 fail 0 ec2.instances\n31 fail 0 ec2.instances\n")


def test_the_printed_script_fails_again() -> None:
    play = run_of(50, 7, 31)
    with pytest.raises(AssertionError) as told:
        judge(play, Faults(seed=3, rates={Kind.FAIL: 0.9}))
    script = str(told.value).partition("the script that replays it:\n")[2].partition("\n\n")[0]

    with pytest.raises(AssertionError, match="were struck"):
        replayed(play, script)


def test_a_run_that_holds_is_silent() -> None:
    judge(run_of(50, 60), Faults(seed=3, rates={Kind.FAIL: 0.9}))


def test_a_run_that_fails_for_another_reason_says_so() -> None:
    luck = iter([True])

    def play(faults: Faults) -> None:
        faults.next("ec2.instances")
        assert not next(luck, False), "once"

    with pytest.raises(AssertionError, match="something beside the faults decides"):
        judge(play, Faults(seed=3, rates={Kind.FAIL: 1.0}))
