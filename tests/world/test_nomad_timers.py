"""What ends or begins by the clock: cron and max_run_duration, as a real Nomad 2.0.5 was seen to treat them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from providers.sandbox.world.nomad.cron import next_launch, valid
from support.nomad_alone import a_cluster_of, a_spec, copies, wait

ASKED_AT = dt.datetime(2026, 11, 21, 14, 44, 33, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("expression", "answered"),
    [
        ("30 5 * * * 2027", "2027-01-01T05:30:00"),  # a sixth field is the year
        ("15 30 5 * * * *", "2026-11-22T05:30:15"),  # a seventh, before them, the second
        ("*/20 * * * * * *", "2026-11-21T14:44:40"),
        ("0 0 29 2 *", "2028-02-29T00:00:00"),
        ("0 12 * * MON#2", "2026-12-14T12:00:00"),
        ("0 0 L * *", "2026-11-30T00:00:00"),
        ("0 0 * * 1 *", "2026-11-23T00:00:00"),
    ],
)
def test_the_next_launch_is_the_one_that_nomad_announced(expression: str, answered: str) -> None:
    assert next_launch(expression, ASKED_AT.timestamp()) == dt.datetime.fromisoformat(f"{answered}+00:00").timestamp()


def test_a_year_that_is_over_has_no_launch_and_nonsense_is_no_cron() -> None:
    assert next_launch("0 0 1 1 * 2026", ASKED_AT.timestamp()) is None
    assert not any(valid(text) for text in ("", "* * * *", "61 * * * *", "x * * * *", "* * * * mon#6", "*/0 * * * *"))


def an_endless_batch(**group: Any) -> dict[str, Any]:
    job = a_spec("etl", task={"Config": {"run_for": "1h"}}, Type="batch")
    job["Job"]["TaskGroups"][0].update(group)
    return job


def test_work_that_runs_longer_than_it_may_is_complete_and_nothing_replaces_it() -> None:
    cluster = a_cluster_of(1)
    cluster.api.register_job(an_endless_batch(MaxRunDuration=60 * 10**9))
    wait(cluster, 50)
    assert copies(cluster, "etl") == ["n1 run/running"]
    wait(cluster, 300)
    (alloc,) = cluster.api.job_allocations("etl")

    assert (alloc["ClientStatus"], alloc["DesiredStatus"]) == ("complete", "run")
    assert alloc["ClientDescription"] == "allocation exceeded max_run_duration"
    assert cluster.api.job("etl")["Status"] == "dead"


def test_the_limit_outlives_a_restart_of_the_agent_and_spares_what_ended_in_time() -> None:
    cluster = a_cluster_of(1)
    cluster.api.register_job(an_endless_batch(MaxRunDuration=60 * 10**9))
    wait(cluster, 20)
    cluster.kill_agent("n1")
    cluster.restart_agent("n1")
    wait(cluster, 80)
    assert copies(cluster, "etl") == ["n1 run/complete"]

    short = an_endless_batch(MaxRunDuration=60 * 10**9)
    short["Job"] |= {"ID": "quick", "Name": "quick"}
    short["Job"]["TaskGroups"][0]["Tasks"][0]["Config"] = {"run_for": "5s"}
    cluster.api.register_job(short)
    wait(cluster, 100)
    (alloc,) = cluster.api.job_allocations("quick")
    assert alloc["ClientDescription"] == "All tasks have completed"
