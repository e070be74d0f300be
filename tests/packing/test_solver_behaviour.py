"""What a plan looks like: zones, ties, limits, existing machines, and the words for what has no place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from reconciler.packing.solver import (
    Bin,
    Budget,
    Filling,
    Offering,
    Problem,
    ProblemError,
    Reason,
    Shape,
    Unplaced,
    faults,
    solve,
)
from support.packing_cases import workload_problem

SMALL = Shape(name="small", size=(1, 2), count=9)


def an_offering(name: str = "m", **given: object) -> Offering:
    values: dict[str, object] = {"name": name, "price": 1.0, "room": (4, 8), **given}
    return Offering(**values)  # type: ignore[arg-type]


def test_machines_of_the_same_price_are_spread_evenly_over_zones() -> None:
    """Three zones at one price, seven machines: no zone has two more than another, the extra one by name."""
    zones = tuple(an_offering(f"m {z}", group=z) for z in "cab")
    packing = solve(Problem(shapes=(Shape(name="s", size=(4, 8), count=7),), offerings=zones))

    assert {zones[p.offering].group: p.count for p in packing.purchases} == {"a": 3, "b": 2, "c": 2}
    assert packing.cost == packing.bound == 7.0  # proven to be the best


def test_a_cheaper_zone_is_preferred_to_an_even_spread() -> None:
    """Zones are evenly filled only where the price leaves the choice."""
    zones = (an_offering("m a", group="a"), an_offering("m b", group="b", price=0.9))
    packing = solve(Problem(shapes=(SMALL,), offerings=zones))

    assert {p.offering for p in packing.purchases} == {1}


def test_offerings_are_bought_no_more_often_than_they_may_be_had() -> None:
    """The cheap one is used up, then the dear one, and what is left has no place because of limits."""
    offerings = (an_offering("cheap", available=1), an_offering("dear", price=3.0, available=1))
    packing = solve(Problem(shapes=(Shape(name="s", size=(1, 2), count=10),), offerings=offerings))

    assert sorted((p.offering, p.count) for p in packing.purchases) == [(0, 1), (1, 1)]
    assert packing.unplaced == (Unplaced(shape=0, count=2, reason=Reason.LIMITS),)
    assert packing.cost == 4.0


def test_scarce_machines_go_to_the_shapes_that_come_first() -> None:
    """Two shapes want the only machine: whichever is listed first gets it, and the other takes what is left."""
    first, second = Shape(name="first", size=(1, 1), count=3), Shape(name="second", size=(2, 2), count=2)
    for shapes, lost in (((first, second), 1), ((second, first), 1)):
        packing = solve(Problem(shapes=shapes, offerings=(an_offering(room=(4, 4), available=1),)))
        assert [u.shape for u in packing.unplaced] == [lost]


def test_existing_room_is_filled_before_anything_is_bought() -> None:
    """Nine copies, room for eight: one machine is bought, for one copy."""
    bins = (Bin(name="n1", room=(4, 8)), Bin(name="n2", room=(9, 8)))
    packing = solve(Problem(shapes=(SMALL,), offerings=(an_offering(),), bins=bins))

    assert packing.fillings == (Filling(bin=0, copies=((0, 4),)), Filling(bin=1, copies=((0, 4),)))
    assert [p.copies for p in packing.purchases] == [((0, 1),)]
    assert packing.bound == packing.cost == 1.0


def test_an_existing_machine_keeps_its_own_limits() -> None:
    """Who may not go there, has its copies there already, or meets a taken token, goes elsewhere."""
    shapes = (
        Shape(name="guest", size=(1, 1), count=1),
        Shape(name="twin", size=(1, 1), count=2, most=1),
        Shape(name="port", size=(1, 1), count=1, tokens=frozenset({"8080"})),
        Shape(name="free", size=(1, 1), count=1),
    )
    place = Bin(name="n1", room=(9, 9), shapes=frozenset({1, 2, 3}), most=((1, 0),), tokens=frozenset({"8080"}))
    packing = solve(Problem(shapes=shapes, offerings=(an_offering(),), bins=(place,)))

    assert packing.fillings == (Filling(bin=0, copies=((3, 1),)),)
    assert packing.machines == 2


def test_one_copy_a_machine_for_shapes_that_share_a_token() -> None:
    """Two shapes of two copies with one static port: four machines, however much room they have."""
    port = frozenset({"8080"})
    shapes = tuple(Shape(name=n, size=(0, 1), count=2, tokens=port) for n in "ab")
    packing = solve(Problem(shapes=shapes, offerings=(an_offering(),)))

    assert packing.machines == 4
    assert faults(Problem(shapes=shapes, offerings=(an_offering(),)), packing) == []


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (Shape(name="s", size=(5, 1), count=2), Reason.TOO_BIG),
        (Shape(name="s", size=(1, 1), count=2, offerings=frozenset()), Reason.NOT_ALLOWED),
        (Shape(name="s", size=(1, 1), count=2, offerings=frozenset({1})), Reason.LIMITS),
    ],
)
def test_what_has_no_place_says_why_and_does_not_hold_up_the_rest(shape: Shape, reason: Reason) -> None:
    """The other shape is placed, and the reason names what is in the way."""
    offerings = (an_offering(), an_offering("gone", available=0))
    packing = solve(Problem(shapes=(shape, SMALL), offerings=offerings))

    assert packing.unplaced == (Unplaced(shape=0, count=2, reason=reason),)
    assert packing.machines == 3


def test_nothing_wanted_costs_nothing() -> None:
    """No shapes, no copies, or no offerings: a plan without machines."""
    for problem in (
        Problem(shapes=(), offerings=()),
        Problem(shapes=(Shape(name="s", size=(1, 1), count=0),), offerings=(an_offering(),)),
        Problem(shapes=(Shape(name="s", size=(0, 0), count=0),), offerings=()),
    ):
        packing = solve(problem)
        assert (packing.purchases, packing.cost, packing.bound, packing.gap) == ((), 0.0, 0.0, 0.0)


def test_copies_that_take_nothing_still_need_a_machine() -> None:
    """A shape without any size is placed like any other."""
    problem = Problem(shapes=(Shape(name="s", size=(0, 0), count=5),), offerings=(an_offering(),))

    assert solve(problem).machines == 1


def test_equal_shapes_are_one_item_and_told_apart_again() -> None:
    """Shapes of one size share machines, and each has its copies back by name."""
    shapes = tuple(Shape(name=n, size=(1, 2), count=c) for n, c in (("a", 3), ("b", 2), ("c", 4)))
    packing = solve(Problem(shapes=shapes, offerings=(an_offering(),)))
    copies = Counter[int]()
    for purchase in packing.purchases:
        for shape, n in purchase.copies:
            copies[shape] += n * purchase.count

    assert copies == {0: 3, 1: 2, 2: 4}
    assert packing.machines == 3


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (Problem(shapes=(SMALL,), offerings=(an_offering(price=float("nan")),)), "costs nan USD/h"),
        (Problem(shapes=(SMALL,), offerings=(an_offering(price=0.0),)), "costs 0.0 USD/h"),
        (Problem(shapes=(SMALL,), offerings=(an_offering(room=(1,)),)), "has 1 dimensions"),
        (Problem(shapes=(Shape(name="s", size=(-1, 1), count=1),), offerings=()), "negative amount"),
        (Problem(shapes=(Shape(name="s", size=(1,), count=-1),), offerings=()), "count -1"),
    ],
)
def test_a_problem_that_makes_no_sense_is_refused_with_the_number(problem: Problem, message: str) -> None:
    """The error names the entry and what is wrong with it."""
    with pytest.raises(ProblemError, match=message):
        solve(problem)


_PRINT = (
    "from support.packing_cases import workload_problem\n"
    "from reconciler.packing.solver import Budget, faults, solve\n"
    "for name in ('constrained', 'vm-trace'):\n"
    "    problem = workload_problem(name, 100, 32)\n"
    "    packing = solve(problem, budget=Budget(steps=30_000, most=30_000))\n"
    "    assert faults(problem, packing) == []\n"
    "    print(packing, packing.rounds, packing.optimised)\n"
)


def in_another_process(code: str, seed: str) -> str:
    env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


def test_the_same_problem_gives_the_same_bytes_in_every_process() -> None:
    """Neither hash seeds nor earlier work in the process show in the answer."""
    first = in_another_process(_PRINT, "1")

    assert in_another_process(f"{_PRINT * 2}", "2") == first * 2


def test_without_highs_there_is_still_a_plan_and_a_bound() -> None:
    """The greedy plan is improved in plain Python, valid, and within a tenth of a bound that is true."""
    code = f"import sys\nsys.modules['highspy'] = None\n{_PRINT}    print(packing.gap < 0.1)\n"
    said = in_another_process(code, "0").splitlines()

    assert [line.endswith("False") for line in said[::2]] == [True, True]  # HiGHS took no part
    assert said[1::2] == ["True", "True"]


def test_highs_is_not_imported_before_somebody_packs() -> None:
    """Importing the solver costs neither HiGHS nor NumPy."""
    code = "import sys\nimport reconciler.packing.solver\nprint({'highspy', 'numpy'} & set(sys.modules))"

    assert in_another_process(code, "0").strip() == "set()"


def test_improving_a_plan_never_makes_it_dearer() -> None:
    """Whatever the budget, the plan costs no more than the first one."""
    problem = workload_problem("web-small", 100, None)
    first, *others = (solve(problem, budget=Budget(steps=n, most=n)).cost for n in (0, 1_000, 40_000, 200_000))

    assert max(others) <= first


def test_what_only_a_limited_offering_holds_is_placed_and_bounded() -> None:
    """The others hold nothing that costs anything: the bound is a number, and true."""
    shapes = (Shape(name="tall", size=(0, 9), count=1), Shape(name="nothing", size=(0, 0), count=1))
    offerings = (an_offering(), an_offering("tall", room=(4, 9), available=1))
    packing = solve(Problem(shapes=shapes, offerings=offerings))

    assert [(p.offering, p.count) for p in packing.purchases] == [(1, 1)]
    assert packing.bound <= packing.cost == 1.0


def test_one_small_copy_gets_the_cheapest_machine_that_holds_it() -> None:
    """Where nothing is scarce, price alone decides."""
    offerings = tuple(an_offering(f"m{n}", price=0.1 * n, room=(10 * n, 10 * n)) for n in range(1, 9))
    packing = solve(Problem(shapes=(Shape(name="s", size=(1, 1), count=1),), offerings=offerings))

    assert [(offerings[p.offering].name, p.count) for p in packing.purchases] == [("m1", 1)]
    assert packing.bound == packing.cost == 0.1
