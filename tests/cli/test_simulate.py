"""``reconcile simulate`` as it is typed: figures and charts in a pipe, stable JSON, mistakes with the way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.show.charts import bar, ruler, spark, squeezed
from support.typed import reconcile, reconcile_here

WORKLOAD = """\
name: small
jobs:
- {name: web, count: 4, cpuMHz: 1500, memoryMiB: 1024}
- {name: nowhere, constraints: [{attribute: "${attr.cpu.modelname}", value: Cray-1}]}
"""


@pytest.fixture
def workload(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(WORKLOAD, encoding="utf-8")
    return str(path)


def test_text_in_a_pipe_has_charts_what_was_spent_and_why_a_job_never_had_a_place(workload: str) -> None:
    typed = reconcile("simulate", "-f", "specs/demo.yaml", "--workload", workload, "--for", "2h")

    assert typed.code == 0, typed.err
    first, *lines = typed.out.splitlines()
    assert first.startswith("demo: small, 2h of virtual time, seed 0, ")
    assert first.endswith("every rule held")
    assert any(line.lstrip().startswith("USD/h") and "█" in line for line in lines)
    assert any(line.split()[:2] == ["in", "all"] for line in lines)
    assert any("nowhere.main" in line and "Cray-1" in line for line in lines)
    assert "\x1b" not in typed.out


def test_json_has_an_entry_for_every_hour_and_is_the_same_each_time(workload: str) -> None:
    arguments = ("simulate", "-f", "specs/demo.yaml", "--workload", workload, "--for", "90m", "-o", "json")
    typed = reconcile(*arguments, env={"PYTHONHASHSEED": "1"})
    again = reconcile(*arguments, env={"PYTHONHASHSEED": "2"})

    assert typed.code == 0, typed.err
    assert again.out == typed.out
    report = json.loads(typed.out)
    assert {len(values) for values in report["hourly"].values()} == {2}
    assert report["violations"] == []
    assert report["waiting"]["never"][0]["job"] == "nowhere"
    assert report["began"] == "2026-01-05T08:00:00+00:00"


def test_a_mistake_in_a_workload_ends_with_65_and_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: w\njobs:\n- {name: a, cont: 2}\n", encoding="utf-8")
    typed = reconcile_here("simulate", "-f", "specs/demo.yaml", "--workload", str(path))

    assert (typed.code, typed.out) == (65, "")
    assert f'{path}:3:13: jobs[0].cont: unknown key; did you mean "count"?' in typed.err
    assert "nothing was simulated" in typed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workload", "no-such"], "shipped ones: daily-wave, mixed-team, nightly-batch, spot-storm, steady-web"),
        (["--workload", "steady-web", "--for", "9"], 'write text with a unit (s, m, h, d), such as "90s"'),
        (["--workload", "steady-web", "--faults", "hevy"], "light, heavy or kind=chance"),
        (["--workload", "steady-web", "--faults", "fail=2"], "light, heavy or kind=chance"),
        ([], "Missing option '--workload'"),
    ],
)
def test_what_is_typed_wrong_ends_with_64_and_the_way_out(arguments: list[str], said: str) -> None:
    typed = reconcile_here("simulate", "-f", "specs/demo.yaml", *arguments)

    assert (typed.code, typed.out) == (64, "")
    assert said in typed.err


def test_a_chart_tells_nothing_from_little_and_stays_within_its_width() -> None:
    assert spark([0.0, 0.1, 4.0, 8.0]) == "·▁▅█"
    assert spark([0.0, 0.0]) == "··"
    assert spark([50.0], top=100.0) == "▅"
    assert len(spark([float(n) for n in range(1000)], width=84)) <= 84
    assert squeezed([1.0, 3.0, 5.0], width=2) == [2.0, 5.0]
    assert bar(5.0, 10.0, width=4) == "██"


def test_a_ruler_puts_labels_at_their_places_and_leaves_out_what_would_touch() -> None:
    assert ruler([(0.0, "Mon"), (2.0, "Tue"), (5.0, "Wed")], 10) == "Mon  Wed"
