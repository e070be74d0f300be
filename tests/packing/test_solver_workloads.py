"""The reference workloads: what a plan costs beside its bound, the best known plan, and Karpenter's rule."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from providers.prices.shipped import load_catalogue
from reconciler.cli.pack import main
from reconciler.packing import workloads
from reconciler.packing.solver import Budget, faults, solve
from support.packing_cases import WORKLOADS, reference, workload_problem

REFERENCE = reference()
ROUNDING = 0.0005  # of the table
NAMES = sorted({name for name, _, _ in REFERENCE})


def test_the_table_has_every_workload_file() -> None:
    """Ten files, three sizes, two catalogues."""
    assert sorted(path.stem for path in WORKLOADS.glob("*.json")) == NAMES
    assert len(REFERENCE) == 60


@pytest.mark.parametrize(
    ("name", "vcpu_max", "count"), [("uniform", None, 636), ("uniform", 32, 365), ("constrained", None, 908)]
)
def test_the_catalogue_is_the_one_of_the_reference(name: str, vcpu_max: int | None, count: int) -> None:
    """As many types as the table was made with."""
    assert len(workload_problem(name, 100, vcpu_max).offerings) == count


@pytest.mark.parametrize("vcpu_max", [None, 32])
@pytest.mark.parametrize(("name", "units"), [*((n, 1_000) for n in NAMES), ("constrained", 10_000)])
def test_a_large_plan_is_within_two_percent_of_its_own_bound(name: str, units: int, vcpu_max: int | None) -> None:
    """Valid, at most 1.02 times a bound that no known plan undercuts, and cheaper than Karpenter's rule."""
    bound, best_known, karpenter = REFERENCE[name, units, vcpu_max]
    problem = workload_problem(name, units, vcpu_max)
    packing = solve(problem)

    assert faults(problem, packing) == []
    assert packing.bound <= best_known + ROUNDING
    assert packing.cost >= bound - ROUNDING
    assert packing.cost <= 1.02 * packing.bound
    assert packing.cost <= karpenter + ROUNDING


@pytest.mark.parametrize("name", NAMES)
def test_a_small_plan_is_within_two_percent_of_the_best_known(name: str) -> None:
    """A hundred copies: valid, and at most 1.02 times the cheapest plan that anybody found."""
    bound, best_known, karpenter = REFERENCE[name, 100, None]
    problem = workload_problem(name, 100, None)
    packing = solve(problem)

    assert faults(problem, packing) == []
    assert packing.bound <= best_known + ROUNDING
    assert bound - ROUNDING <= packing.cost <= 1.02 * best_known
    assert packing.cost <= karpenter + ROUNDING


@pytest.mark.parametrize("name", NAMES)
def test_the_first_plan_is_within_five_percent_of_the_reference_bound(name: str) -> None:
    """Without any improvement, on all types: the greedy plan that is there within milliseconds."""
    packing = solve(workload_problem(name, 10_000, None), budget=Budget(steps=0))

    assert packing.cost <= 1.05 * REFERENCE[name, 10_000, None][0]


def test_the_command_prints_one_line_for_each_file_and_size() -> None:
    """With the keys that are documented, in order."""
    files = [str(WORKLOADS / f"{name}.json") for name in ("identical", "giant-dust")]
    result = CliRunner().invoke(main, ["--max-vcpu", "32", "--steps", "0", *files])
    lines = [json.loads(line) for line in result.output.splitlines()]

    assert result.exit_code == 0
    assert [(line["workload"], line["units"]) for line in lines] == [
        (name, units) for name in ("identical", "giant-dust") for units in (100, 1_000, 10_000)
    ]
    keys = ["workload", "units", "cost", "bound", "gap", "machines", "rounds", "seconds", "peak_mib"]
    assert all(list(line) == keys for line in lines)


def test_a_shape_that_fits_nowhere_is_counted_in_its_line(tmp_path: object) -> None:
    """The rest is packed; ``unplaced`` says how many copies are not."""
    path = f"{tmp_path}/w.json"
    text = (
        '{"name": "w", "shapes": [{"cpu_mhz": 9999999, "memory_mib": 1, "count": {"10": 3}},'
        ' {"cpu_mhz": 100, "memory_mib": 1, "count": {"10": 0, "20": 5}}]}'
    )
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - any file will do
        file.write(text)
    result = CliRunner().invoke(main, [path])
    lines = [json.loads(line) for line in result.output.splitlines()]

    assert [(line["units"], line["machines"], line.get("unplaced")) for line in lines] == [(10, 0, 3), (20, 1, None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "truncated"),
        ('{"name": "w", "shapes": [{"cpu_mhz": -1, "memory_mib": 1, "count": {}}]}', "cpu_mhz"),
        ('{"name": "w", "shapes": [{"cpu_mhz": 1, "memory_mib": 1, "count": {"many": 1}}]}', "size 'many'"),
        ('{"name": "w", "shapes": [{"cpu_mhz": 1, "memory_mib": 1, "count": {}, "constraints": {"gpu": 1}}]}', "gpu"),
    ],
)
def test_a_file_that_is_no_workload_says_where(text: str, message: str) -> None:
    """The error names the place."""
    with pytest.raises(workloads.WorkloadError, match=message):
        workloads.read(text)


def test_arm_machines_are_offered_only_to_who_asks_for_them() -> None:
    """A workload without arm64 anywhere is packed on x86_64."""
    workload = workloads.read('{"name": "w", "shapes": [{"cpu_mhz": 1, "memory_mib": 1, "count": {"1": 1}}]}')

    assert {t.arch for t in workloads.catalogue_for(workload, load_catalogue().values())} == {"x86_64"}
