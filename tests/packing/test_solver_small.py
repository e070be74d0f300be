"""Small problems, where trying everything tells what is best."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.packing.solver import Budget, Offering, Packing, Problem, Reason, Shape, faults, solve
from support.packing_cases import cheapest, small_problems

ROUNDING = 1e-9


def placed(problem: Problem, packing: Packing) -> tuple[int, ...]:
    missing = {u.shape: u.count for u in packing.unplaced}
    return tuple(s.count - missing.get(n, 0) for n, s in enumerate(problem.shapes))


def content(problem: Problem, packing: Packing) -> list[tuple[str, int, list[tuple[str, int]]]]:
    return sorted(
        (problem.offerings[p.offering].name, p.count, sorted((problem.shapes[s].name, n) for s, n in p.copies))
        for p in packing.purchases
    )


@given(small_problems(), st.sampled_from([0, 2_000]))
@settings(max_examples=120)
def test_a_plan_is_valid_and_between_its_bound_and_the_best_lies_nothing(problem: Problem, steps: int) -> None:
    """Valid, no dearer than its bound allows, and the best possible cost is not under the bound nor over the cost."""
    packing = solve(problem, budget=Budget(steps=steps, most=steps))

    assert faults(problem, packing) == []
    best = cheapest(problem, placed(problem, packing))
    assert best is not None
    assert packing.bound <= best + ROUNDING
    assert best <= packing.cost + ROUNDING


@given(small_problems(bins_max=0))
@settings(max_examples=60)
def test_what_can_be_bought_is_never_left_out(problem: Problem) -> None:
    """With any number of machines to be had, only what no machine can hold is unplaced, and the reason says so."""
    packing = solve(problem, budget=Budget(steps=0))

    for lack in packing.unplaced:
        alone = replace(problem, shapes=(replace(problem.shapes[lack.shape], count=1),))
        assert cheapest(alone, (1,)) is None
        assert lack.count == problem.shapes[lack.shape].count
        assert lack.reason in {Reason.NOT_ALLOWED, Reason.TOO_BIG}


@given(small_problems(limited=True))
@settings(max_examples=80)
def test_limits_are_kept_and_what_is_placed_is_still_bounded(problem: Problem) -> None:
    """However few machines may be had: valid, and the bound holds for what was placed."""
    packing = solve(problem, budget=Budget(steps=1_000, most=1_000))

    assert faults(problem, packing) == []
    best = cheapest(problem, placed(problem, packing))
    assert best is not None
    assert packing.bound <= best + ROUNDING


@given(small_problems(limited=True, bins_max=0))
@settings(max_examples=60)
def test_the_first_shape_is_served_first(problem: Problem) -> None:
    """When not everything can be had, the shape that comes first gets what it would get alone."""
    alone = solve(replace(problem, shapes=problem.shapes[:1]), budget=Budget(steps=0))
    packing = solve(problem)

    assert placed(problem, packing)[0] >= placed(replace(problem, shapes=problem.shapes[:1]), alone)[0]


@given(small_problems(bins_max=0), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_order_of_shapes_and_offerings_changes_nothing(problem: Problem, random: object) -> None:
    """Permuting the input gives the same machines with the same contents, at the same cost and bound."""
    shapes, offerings = list(range(len(problem.shapes))), list(range(len(problem.offerings)))
    random.shuffle(shapes)  # type: ignore[attr-defined]
    random.shuffle(offerings)  # type: ignore[attr-defined]
    moved = Problem(
        shapes=tuple(
            replace(s, offerings=None if s.offerings is None else frozenset(offerings.index(k) for k in s.offerings))
            for s in (problem.shapes[n] for n in shapes)
        ),
        offerings=tuple(problem.offerings[n] for n in offerings),
    )
    before, after = (
        solve(problem, budget=Budget(steps=2_000, most=2_000)),
        solve(moved, budget=Budget(steps=2_000, most=2_000)),
    )

    assert content(problem, before) == content(moved, after)
    assert (before.cost, before.bound) == (after.cost, after.bound)


@given(small_problems(bins_max=0), st.data())
@settings(max_examples=60)
def test_one_more_copy_never_lowers_the_bound(problem: Problem, data: st.DataObject) -> None:
    """More work is never proven cheaper, but for the tolerance of the proof."""
    index = data.draw(st.integers(0, len(problem.shapes) - 1))
    more = replace(
        problem,
        shapes=tuple(replace(s, count=s.count + 1) if n == index else s for n, s in enumerate(problem.shapes)),
    )
    before, after = solve(problem), solve(more)
    if before.gap > Budget().enough and after.gap > Budget().enough:
        assert after.bound >= before.bound * (1 - 1e-3)


@given(small_problems(bins_max=0))
@settings(max_examples=60)
def test_a_plan_that_meets_its_bound_has_no_machine_to_spare(problem: Problem) -> None:
    """Without any one machine of a plan with gap 0, what it held has no place elsewhere."""
    packing = solve(problem)
    if packing.gap > ROUNDING:
        return
    for n in range(len(packing.purchases)):
        rest = [p if m != n else replace(p, count=p.count - 1) for m, p in enumerate(packing.purchases)]
        kept = sum(problem.offerings[p.offering].price * p.count for p in rest)
        best = cheapest(problem, placed(problem, packing))
        assert best is not None
        assert kept < best - ROUNDING


def test_a_machine_is_bought_for_the_copy_that_needs_it() -> None:
    """One large and many small copies: the large one rides on a large machine, and takes small ones along."""
    problem = Problem(
        shapes=(Shape(name="large", size=(8,), count=1), Shape(name="small", size=(1,), count=10)),
        offerings=(Offering(name="big", price=1.0, room=(10,)), Offering(name="little", price=0.1, room=(1,))),
    )
    packing = solve(problem)

    assert packing.cost == 1.8
    assert packing.machines == 9
