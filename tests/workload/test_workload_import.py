"""A live cluster's jobs become a workload that the sandbox takes: over the wire, and from a real Nomad where one is."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from ruamel.yaml import YAML

from providers.nomad.settings import NomadSettings
from providers.sandbox.workloads import scenario_of
from reconciler.bootstrap.importing import read_workload
from schemas.workload import load_workload
from support.builders import a_group
from support.nomad_jobs import a_cluster, a_job
from support.nomad_site import Site, real
from support.on_the_wire import Wired, through_the_wire
from support.real_nomad import RealCluster, needs_nomad
from support.whole_world import a_world

SECRET = "hunter2"  # noqa: S105 - that is the point


def a_whole_job() -> dict[str, Any]:
    """A job with everything in it that must stay where it is."""
    job = a_job("shop", count=3, Priority=70, Meta={"owner": SECRET})
    task = job["TaskGroups"][0]["Tasks"][0]
    task["Env"] = {"PASSWORD": SECRET}
    task["Config"] = {"image": "shop:1", "args": [SECRET]}
    task["Templates"] = [{"EmbeddedTmpl": SECRET, "DestPath": "local/x"}]
    job["TaskGroups"][0]["Networks"] = [{"Mode": "host", "DynamicPorts": [{"Label": "http"}]}]
    return job


def imported(*jobs: dict[str, Any], seconds: float = 60.0) -> dict[str, Any]:
    async def work(wired: Wired) -> dict[str, Any]:
        addresses = await a_cluster(wired, *jobs)
        await wired.clock.sleep(seconds)
        settings = NomadSettings(address=f"http://{addresses[0]}:4646")
        return dict(await read_workload(settings, name="mine", app=wired.app))

    return through_the_wire(a_world(), work)


def as_yaml(value: object) -> str:
    text = StringIO()
    YAML(typ="safe", pure=True).dump(value, text)
    return text.getvalue()


def test_an_import_is_a_workload_whose_steps_register_the_same_jobs() -> None:
    found = imported(a_whole_job(), a_job("cache", count=2))

    loaded = load_workload(as_yaml(found), file="mine.yaml")
    assert loaded.problems == ()
    assert loaded.workload is not None
    steps = scenario_of(loaded.workload, [a_group()], seconds=3600.0, seed=0).steps
    shop = next(step.job for step in steps if step.job["ID"] == "shop")
    assert {step.job["ID"] for step in steps} == {"shop", "cache"}
    assert (shop["Priority"], shop["TaskGroups"][0]["Count"]) == (70, 3)
    assert shop["TaskGroups"][0]["Tasks"][0]["Resources"]["CPU"] == 500
    assert [port["Label"] for port in shop["TaskGroups"][0]["Networks"][0]["DynamicPorts"]] == ["http"]


def test_nothing_that_could_be_a_secret_is_imported() -> None:
    assert SECRET not in as_yaml(imported(a_whole_job()))


def test_batch_work_runs_as_long_as_it_ran_where_it_comes_from() -> None:
    batch = a_job("etl", count=1, Type="batch")
    batch["TaskGroups"][0]["Tasks"][0]["Meta"] = {"sandbox.run_for": "90s"}

    (job,) = imported(batch, seconds=200.0)["jobs"]

    assert job["job"]["TaskGroups"][0]["Tasks"][0]["Meta"] == {"sandbox.run_for": "90s"}


def test_stopped_and_parameterized_jobs_are_left_out() -> None:
    template = a_job("resize", Type="batch", ParameterizedJob={"Payload": "optional"})

    assert [job["name"] for job in imported(template, a_job("web"))["jobs"]] == ["web"]


@needs_nomad
@pytest.mark.xdist_group("real-nomad")
def test_what_a_real_nomad_ran_is_imported_with_how_long_it_ran(real_nomad: RealCluster) -> None:
    """Over the network, from what it remembers of an allocation that ended."""

    found: dict[str, Any] = {}

    async def work(site: Site) -> None:
        job = site.job("short-lived", Type="batch")
        job["TaskGroups"][0]["Tasks"][0]["Config"]["args"] = ["2"]
        await site.register(job)

        async def ended() -> bool:
            listed = await site.job_named("short-lived")
            return listed is not None and listed.groups == ()  # dead jobs are listed without their groups

        await site.until(ended, "short-lived has ended")
        found.update(await read_workload(NomadSettings(address=real_nomad.servers[0].url), name="mine"))

    real(real_nomad, work)
    loaded = load_workload(as_yaml(found), file="mine.yaml")
    job = next(job["job"] for job in found["jobs"] if job["name"] == "short-lived")
    run_for = job["TaskGroups"][0]["Tasks"][0]["Meta"]["sandbox.run_for"]

    assert loaded.problems == ()
    assert 1 <= float(run_for.removesuffix("s")) <= 10
