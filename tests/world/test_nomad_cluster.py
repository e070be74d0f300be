"""What a cluster does as days go by: nodes die and return, leaders are lost, tasks end, idle time costs nothing."""

from __future__ import annotations

from typing import Any

import pytest

from providers.sandbox.world.nomad.cluster import Cluster, Settings
from providers.sandbox.world.nomad.errors import ApiError
from support.nomad_alone import a_cluster_of, a_machine, a_spec, copies, events_in, wait


def status(cluster: Cluster, name: str) -> str:
    return next(str(n["Status"]) for n in cluster.api.nodes() if n["Name"] == name)


def queued(cluster: Cluster, job: str) -> int:
    return int(cluster.api.job_summary(job)["Summary"]["g"]["Queued"])


# -- nodes


def test_a_dead_agent_is_noticed_between_one_heartbeat_and_grace_later() -> None:
    for seed in range(20):
        cluster = a_cluster_of(1, seed=seed)
        wait(cluster, 100)
        cluster.kill_agent("n1")
        wait(cluster, 10)  # the grace alone
        assert status(cluster, "n1") == "ready"
        wait(cluster, 20)  # the longest time to live and the grace
        assert status(cluster, "n1") == "down"


def test_work_of_a_dead_node_moves_to_another() -> None:
    cluster = a_cluster_of(2)
    cluster.api.register_job(a_spec("web", 4))
    wait(cluster, 10)
    lost = next(c.split()[0] for c in copies(cluster, "web"))
    cluster.kill_agent(lost)
    wait(cluster, 60)
    other = "n2" if lost == "n1" else "n1"
    assert [c for c in copies(cluster, "web") if c.endswith("run/running")] == [f"{other} run/running"] * 4


def test_work_that_fits_nowhere_waits_until_a_node_joins() -> None:
    cluster = a_cluster_of(1)
    cluster.api.register_job(a_spec("web", 10, Update={"MaxParallel": 0}))
    wait(cluster, 10)
    assert queued(cluster, "web") == 2
    wait(cluster, 3600)
    assert queued(cluster, "web") == 2
    cluster.start_agent(a_machine("n2"))
    wait(cluster, 10)
    assert queued(cluster, "web") == 0
    assert copies(cluster, "web").count("n2 run/running") == 2


def test_a_deployment_without_progress_fails_and_takes_its_waiting_copies_along() -> None:
    cluster = a_cluster_of(1)
    cluster.api.register_job(a_spec("web", 10, Update={"ProgressDeadline": 600 * 10**9}))
    wait(cluster, 590)
    assert queued(cluster, "web") == 2
    wait(cluster, 60)
    assert queued(cluster, "web") == 0
    cluster.start_agent(a_machine("n2"))
    wait(cluster, 30)
    assert len(copies(cluster, "web")) == 8
    cluster.api.evaluate_job("web")
    wait(cluster, 30)
    assert len(copies(cluster, "web")) == 8


def test_a_machine_that_is_gone_leaves_a_node_record_until_it_is_purged() -> None:
    cluster = a_cluster_of(2)
    node_id = cluster.node_id("n1")
    cluster.remove_agent("n1")
    wait(cluster, 60)
    assert status(cluster, "n1") == "down"
    cluster.api.purge(node_id)
    wait(cluster, 3600)
    assert [n["Name"] for n in cluster.api.nodes()] == ["n2"]


def test_a_purged_node_whose_agent_lives_is_back_in_seconds() -> None:
    cluster = a_cluster_of(1)
    cluster.api.purge(cluster.node_id("n1"))
    assert cluster.api.nodes() == []
    wait(cluster, 15)
    assert status(cluster, "n1") == "ready"


def test_a_change_of_an_agent_wakes_what_was_infeasible() -> None:
    cluster = a_cluster_of(1)
    gpu: dict[str, Any] = {"LTarget": "${node.class}", "Operand": "=", "RTarget": "gpu"}
    cluster.api.register_job(a_spec("train", Constraints=[gpu]))
    wait(cluster, 10)
    assert queued(cluster, "train") == 1
    cluster.change_agent(a_machine("n1", node_class="gpu"))
    wait(cluster, 30)
    assert copies(cluster, "train") == ["n1 run/running"]


# -- leaders


def test_without_a_leader_every_request_fails_but_a_stale_read() -> None:
    cluster = a_cluster_of(1)
    cluster.set_leader(False)
    for ask in (cluster.api.nodes, lambda: cluster.api.register_job(a_spec("web"))):
        with pytest.raises(ApiError) as refused:
            ask()
        assert (refused.value.status, refused.value.text) == (500, "No cluster leader")
    assert len(cluster.api.nodes(stale=True)) == 1


def test_an_agent_that_starts_without_a_leader_registers_when_there_is_one() -> None:
    cluster = a_cluster_of(1)
    cluster.set_leader(False)
    cluster.start_agent(a_machine("n2"))
    wait(cluster, 600)
    assert len(cluster.api.nodes(stale=True)) == 1
    cluster.set_leader(True)
    wait(cluster, 15)
    assert status(cluster, "n2") == "ready"


def test_a_node_that_dies_around_an_election_stays_ready_for_the_failover_time() -> None:
    cluster = a_cluster_of(1, settings=Settings(failover_heartbeat_ttl=300))
    cluster.set_leader(False)
    cluster.kill_agent("n1")
    wait(cluster, 5)
    cluster.set_leader(True)
    wait(cluster, 290)
    assert status(cluster, "n1") == "ready"
    wait(cluster, 40)
    assert status(cluster, "n1") == "down"


def test_waiting_work_survives_a_change_of_leader() -> None:
    cluster = a_cluster_of(1)
    cluster.api.register_job(a_spec("web", 10))
    wait(cluster, 10)
    cluster.set_leader(False)
    wait(cluster, 10)
    cluster.set_leader(True)
    wait(cluster, 10)
    cluster.start_agent(a_machine("n2"))
    wait(cluster, 30)
    assert queued(cluster, "web") == 0


# -- tasks


def test_a_batch_task_runs_as_long_as_its_job_says_else_ten_minutes() -> None:
    cluster = a_cluster_of(2)
    cluster.api.register_job(a_spec("short", Type="batch", Meta={"sandbox.run_for": "30s"}))
    cluster.api.register_job(a_spec("long", Type="batch"))
    wait(cluster, 40)
    assert copies(cluster, "short")[0].endswith("run/complete")
    wait(cluster, 550)
    assert copies(cluster, "long")[0].endswith("run/running")
    wait(cluster, 30)
    assert copies(cluster, "long")[0].endswith("run/complete")


def test_a_failing_task_is_restarted_by_its_policy_before_its_copy_fails() -> None:
    cluster = a_cluster_of(1)
    job = a_spec("bad", task={"Config": {"run_for": "1s", "exit_code": 1}})
    job["Job"]["TaskGroups"][0]["RestartPolicy"] = {
        "Attempts": 2,
        "Interval": 300 * 10**9,
        "Delay": 5 * 10**9,
        "Mode": "fail",
    }
    job["Job"]["TaskGroups"][0]["ReschedulePolicy"] = {"Attempts": 0, "Unlimited": False}
    cluster.api.register_job(job)
    wait(cluster, 60)
    allocs = cluster.api.job_allocations("bad")
    assert [(a["ClientStatus"], a["TaskStates"]["t"]["Restarts"]) for a in allocs] == [("failed", 2)]


# -- cost


def test_an_idle_day_costs_nothing_but_the_collector() -> None:
    cluster = a_cluster_of(20)
    cluster.api.register_job(a_spec("web", 100, cpu=200))
    wait(cluster, 600)
    assert copies(cluster, "web").count("n1 run/running") >= 1
    assert events_in(cluster, 86_400) <= 2 * 86_400 / 300


def test_a_finished_job_is_collected_after_its_threshold() -> None:
    cluster = a_cluster_of(1)
    cluster.api.register_job(a_spec("once", Type="batch", Meta={"sandbox.run_for": "30s"}))
    wait(cluster, 3 * 3600)
    assert [j["ID"] for j in cluster.api.jobs()] == ["once"]
    wait(cluster, 30 * 3600)
    assert cluster.api.jobs() == []
    assert cluster.state.allocs == {}


def test_a_volume_that_does_not_exist_is_named_as_missing_and_no_node_helps() -> None:
    cluster = a_cluster_of(1)
    job = a_spec("db")
    job["Job"]["TaskGroups"][0]["Volumes"] = {"data": {"Name": "data", "Type": "csi", "Source": "vol1"}}
    cluster.api.register_job(job)
    wait(cluster, 10)
    cluster.start_agent(a_machine("n2"))
    wait(cluster, 30)
    blocked = next(e for e in cluster.api.job_evaluations("db") if e["Status"] == "blocked")
    assert blocked["MissingNonNodeResources"] == ["csi-volume:default:vol1"]
    assert blocked["FailedTGAllocs"]["g"]["ConstraintFiltered"] == {"missing CSI volume(s) vol1": 1}
    assert queued(cluster, "db") == 1
