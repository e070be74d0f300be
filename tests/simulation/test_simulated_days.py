"""The program over virtual days: what a run tells is true, the same plot has the same end, broken rules are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from providers.sandbox.invariants import Invariants
from providers.sandbox.world.ec2.lifecycle import protect, terminate
from reconciler.bootstrap.simulation import Plot, Simulated, fault_rates, fault_script, simulate, smallest
from reconciler.cli.simulation.diary import Diary
from reconciler.cli.simulation.report import Report, report_of
from schemas.document import ClusterGroup
from schemas.workload import Workload, load_workload
from support.builders import a_group, a_pool

HOUR = 3600.0
TEXT = """\
name: small
jobs:
- {name: web, count: 6, cpuMHz: 1500, memoryMiB: 1024}
- {name: etl, type: batch, cpuMHz: 2000, memoryMiB: 1024, runFor: 5m, arrivals: {every: 20m, jobs: 3}}
- {name: nowhere, constraints: [{attribute: "${attr.cpu.modelname}", value: Cray-1}]}
"""


def the_group(**pool: object) -> ClusterGroup:
    general = a_pool(**{"size": {"min": 1, "max": 8}, "capacity": {"spotPercent": 50}, **pool})
    return a_group(pools=[general])


def the_workload(text: str = TEXT) -> Workload:
    found = load_workload(text, file="small.yaml").workload
    assert found is not None
    return found


def a_plot(hours: float = 2.0, **given: object) -> Plot:
    plot = Plot(group=the_group(), workload=the_workload(), seconds=hours * HOUR)
    return replace(plot, **given)  # type: ignore[arg-type]


def told(plot: Plot) -> tuple[Simulated, Report]:
    diary = Diary()
    run = simulate(plot, diary.add)
    return run, report_of(run, diary)


def test_a_run_tells_what_waited_what_it_cost_and_which_job_never_had_a_place() -> None:
    run, report = told(a_plot())

    assert report.sound
    assert report.waiting.placed == 6 + 3 * 6
    assert [(n.job, n.copies) for n in report.waiting.never] == [("nowhere", 1)]
    assert "Cray-1" in report.waiting.never[0].why
    assert 60 < report.waiting.longest < 600
    assert report.spent.total == pytest.approx(
        report.spent.servers + report.spent.spot + report.spent.on_demand, abs=1e-3
    )
    assert sum(report.hourly.usd) == pytest.approx(report.spent.total, abs=1e-3)
    live = [i for i in run.world.state.ec2.instances.values() if i.state == "running"]
    assert sum(pool.launched - pool.ended for pool in report.pools) == len(live)


def test_looks_that_are_left_out_change_nothing_that_is_told_of_the_world() -> None:
    _, some = told(a_plot(0.5))
    _, every = told(a_plot(0.5, every_look=True))

    assert every.looks > 2 * some.looks
    assert (every.waiting.placed, every.waiting.never[0].job) == (some.waiting.placed, some.waiting.never[0].job)
    assert [(p.name, p.launched, p.peak) for p in every.pools] == [(p.name, p.launched, p.peak) for p in some.pools]
    assert every.spent.total == pytest.approx(some.spent.total, rel=0.02)


def test_the_same_plot_has_the_same_end_and_a_printed_script_is_the_same_plot() -> None:
    by_seed, report = told(a_plot(0.5, rates=fault_rates("heavy"), seed=3))
    again, same = told(a_plot(0.5, rates=fault_rates("heavy"), seed=3))
    script = fault_script(by_seed.faults.as_script())
    replayed, _ = told(a_plot(0.5, script=script, seed=3))

    assert report == same
    assert by_seed.world.save() == again.world.save() == replayed.world.save()
    assert report.faults.strikes > 10


def test_a_document_without_servers_is_simulated_with_three() -> None:
    group = the_group()
    spec = group.spec.model_copy(update={"servers": None})
    _, report = told(a_plot(0.3, group=group.model_copy(update={"spec": spec})))

    assert report.pools[0].peak == 3
    assert report.waiting.placed >= 6


def test_a_maximum_that_the_world_passes_is_a_broken_rule_told_once() -> None:
    run = simulate(a_plot(0.3))
    tight = the_group(size={"min": 0, "max": 1})
    judge = Invariants(world=run.world, group=tight)

    assert [v.rule for v in judge.look()] == ["pool-maximum"]
    assert judge.look() == ()
    assert "max is 1" in judge.violations[0].message


@pytest.mark.parametrize(
    ("limits", "rule"),
    [
        ({"maxNodes": 1}, "node-limit"),
        ({"maxHourlyCost": 0.01}, "hourly-cost"),
        ({"maxLaunchesPerMinute": 1}, "launch-rate"),
    ],
)
def test_limits_are_held_against_the_account_itself(limits: Mapping[str, float], rule: str) -> None:
    run = simulate(a_plot(0.025))  # the first machines are younger than a minute
    group = a_group(pools=[a_pool(size={"min": 1, "max": 8})], limits=limits)

    assert rule in {v.rule for v in Invariants(world=run.world, group=group).look()}


def test_a_machine_that_is_ended_with_work_on_it_is_a_broken_rule() -> None:
    run = simulate(a_plot(0.3))
    judge = Invariants(world=run.world, group=the_group())
    clients = [i.id for i in run.world.state.ec2.instances.values() if "nomad-reconciler:pool" in i.tags]
    judge.terminating(clients)
    terminate(run.world.cloud, clients)

    assert {v.rule for v in judge.violations} == {"work"}
    assert "web" in judge.violations[0].message


def test_two_of_three_servers_are_not_ended_without_a_word() -> None:
    run = simulate(a_plot(0.3))
    judge = Invariants(world=run.world, group=the_group())
    servers = [i for i in run.world.state.ec2.instances.values() if "nomad-reconciler:pool" not in i.tags]
    judge.terminating([servers[0].id])
    assert judge.violations == []  # two of three are a quorum still
    protect(run.world.cloud, servers[0].id, on=False)
    terminate(run.world.cloud, [servers[0].id])
    run.world.advance(run.world.now + 5)
    judge.terminating([servers[1].id])

    assert [v.rule for v in judge.violations] == ["quorum"]


def test_the_smallest_script_that_breaks_a_rule_is_found() -> None:
    """A rule that the very first client breaks: no fault is needed for it, and that is what is found."""
    plot = a_plot(0.1, rates=fault_rates("fail=0.02"), seed=1)
    run = simulate(plot)
    assert run.faults.struck
    run.invariants.violations.extend(Invariants(world=run.world, group=the_group(size={"min": 0, "max": 0})).look())

    assert smallest(run, trials_max=3) is None  # played again, the rule holds: the script does not decide
