"""How work changes over time: waves, arrivals, and what a workload's jobs become."""

from __future__ import annotations

from datetime import timedelta

import pytest

from providers.sandbox.workloads import scenario_of, shipped, text_of
from providers.sandbox.workloads.shapes import arrivals, wave
from providers.sandbox.world.epoch import to_datetime
from providers.sandbox.world.scenario import Scenario
from schemas.workload import Arrivals, Daily, Workload, load_workload
from support.builders import a_group

HOUR, DAY = 3600.0, 86_400.0


def a_scenario_of(text: str, *, seconds: float = DAY, seed: int = 0) -> Scenario:
    loaded = load_workload(text, file="w.yaml")
    assert loaded.problems == ()
    assert loaded.workload is not None
    return scenario_of(loaded.workload, [a_group()], seconds=seconds, seed=seed)


def test_a_wave_is_highest_at_its_peak_and_lowest_twelve_hours_away() -> None:
    daily = Daily(low=20, high=200, peak="14:00", every=timedelta(hours=1))
    counts = {to_datetime(at).hour: count for at, count in wave(daily, begin=0.0, end=DAY, key="")}

    assert max(counts, key=lambda hour: counts[hour]) == 14
    assert counts[14] == 200
    assert counts[2] == 20


def test_a_weekend_keeps_so_much_of_the_wave() -> None:
    daily = Daily(low=0, high=100, peak="12:00", weekend=40, every=timedelta(hours=1))
    highest: dict[str, int] = {}
    for at, count in wave(daily, begin=0.0, end=7 * DAY, key=""):
        day = to_datetime(at).strftime("%a")
        highest[day] = max(count, highest.get(day, 0))

    assert (highest["Wed"], highest["Sat"], highest["Sun"]) == (100, 40, 40)


def test_jobs_arrive_at_the_times_of_the_days_that_are_named_and_within_their_spread() -> None:
    shape = Arrivals(at=("01:00",), weekdays=("tue", "sat"), jobs=5, spread=timedelta(minutes=20))
    moments = [to_datetime(at) for at in arrivals(shape, begin=0.0, end=7 * DAY, key="k")]

    assert [m.strftime("%a") for m in moments] == ["Tue"] * 5 + ["Sat"] * 5
    assert all(m.hour == 1 and m.minute < 20 for m in moments)
    assert len(set(moments)) == 10


def test_the_same_seed_draws_the_same_and_another_seed_something_else() -> None:
    text = "name: w\njobs:\n- {name: j, type: batch, runFor: 10m, runNoise: 50, arrivals: {every: 1h, spread: 30m}}\n"

    assert a_scenario_of(text, seed=1).steps == a_scenario_of(text, seed=1).steps
    assert a_scenario_of(text, seed=1).steps != a_scenario_of(text, seed=2).steps


def test_several_copies_are_jobs_of_their_own_and_until_stops_them() -> None:
    steps = a_scenario_of("name: w\njobs:\n- {name: api, copies: 3, until: 2h}\n").steps

    assert [(s.do, s.at, s.job["ID"] if isinstance(s.job, dict) else s.job) for s in steps] == [
        *[("register-job", 0.0, f"api-{n}") for n in (1, 2, 3)],
        *[("stop-job", 2 * HOUR, f"api-{n}") for n in (1, 2, 3)],
    ]


def test_a_job_in_nomads_own_words_keeps_them_and_is_scaled_by_its_first_group() -> None:
    text = """\
name: w
jobs:
- name: shop
  job: {Type: service, Priority: 70, TaskGroups: [{Name: front, Count: 2, Tasks: [{Name: t, Driver: exec}]}]}
  counts: [{at: 1h, count: 5}]
"""
    first, second = a_scenario_of(text).steps

    assert (first.job["ID"], first.job["Priority"], first.job["TaskGroups"][0]["Count"]) == ("shop", 70, 2)
    assert (second.do, second.job, second.group, second.count) == ("scale", "shop", "front", 5)


def test_what_happens_after_the_end_is_left_out() -> None:
    text = "name: w\njobs:\n- {name: a}\n- {name: b, from: 2d}\n"

    assert [step.job["ID"] for step in a_scenario_of(text).steps] == ["a"]


def test_the_account_is_the_documents_and_the_market_the_workloads() -> None:
    account = a_scenario_of("name: w\njobs: [{name: a}]\nmarket: {spot: [{percent: 90, zones: '*a'}]}\n").account

    assert [s.zone for s in account.subnets] == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert {i.id for i in account.images} == {"ami-0123", "ami-0456"}
    assert [(p.share, p.zones, p.since, p.until) for p in account.price_moves] == [(0.9, "*a", 0.0, None)]


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_workload_is_sound_and_says_what_it_is_for(name: str) -> None:
    text, file = text_of(name)
    loaded = load_workload(text, file=file)

    assert loaded.problems == ()
    assert isinstance(loaded.workload, Workload)
    assert loaded.workload.name == name
    assert loaded.workload.about


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: w\njobs:\n- {name: a, cont: 2}\n", 'w.yaml:3:13: jobs[0].cont: unknown key; did you mean "count"?'),
        (
            "name: w\njobs:\n- {name: a}\n- {name: a}\n",
            'w.yaml:4:10: jobs[1].name: the job "a" is there twice, also in',
        ),
        ("name: w\njobs:\n- {name: a, runFor: 300}\n", "w.yaml:3:21: jobs[0].runFor: 300 is a number without a unit"),
        (
            "name: w\njobs:\n- {name: a, arrivals: {jobs: 2}}\n",
            "jobs[0].arrivals: says when jobs arrive twice or not at all",
        ),
        ("name: w\njobs:\n- {name: a, from: 2h, until: 1h}\n", "jobs[0]: ends before it begins"),
        ("name: w\njobs:\n- {name: a, type: system, spreadZones: true}\n", "jobs[0]: is a system job, one copy a node"),
        ("name: w\n", "neither jobs nor steps: nobody submits any work"),
        ("", "the file holds no workload"),
        ("[1]", "the file is not a map"),
        ("name: w\njobs: [{name: a}]\n---\nname: v\n", "a second document begins here"),
        ("name: w\njobs: [{name: a}\n", "is not closed"),
        ("name: w\nsteps: [{do: scale, job: {ID: x}}]\n", "scale has something else under job"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, said: str) -> None:
    loaded = load_workload(text, file="w.yaml")

    assert loaded.workload is None
    assert any(said in str(problem) for problem in loaded.problems), [str(p) for p in loaded.problems]
