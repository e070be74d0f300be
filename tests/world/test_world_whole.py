"""The world in one piece: work finds its machines, a saved world goes on, one seed is one story."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from providers.prices.shipped import load_catalogue
from providers.sandbox.world.ec2.fleet import FleetOrder, create_fleet
from providers.sandbox.world.ec2.interruption import interrupt
from providers.sandbox.world.ec2.launch import MachineOrder, run_instance
from providers.sandbox.world.ec2.lifecycle import terminate
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.scenario import ScenarioError, Step, load_scenario, shipped
from providers.sandbox.world.servers import agents
from providers.sandbox.world.world import World
from support.bare_world import client_config, cloud_config, server_config
from support.whole_world import SUBNETS, a_world

JOIN = {"nomad-reconciler:join": "demo-server", "nomad-reconciler:cluster": "demo"}


def a_job(name: str, count: int = 2, **more: object) -> dict[str, object]:
    task = {"Name": "t", "Driver": "docker", "Resources": {"CPU": 500, "MemoryMB": 256}}
    return {
        "ID": name,
        "Name": name,
        "Datacenters": ["dc1"],
        "TaskGroups": [{"Name": "g", "Count": count, "Tasks": [task]}],
        **more,
    }


STEPS = [
    Step(do="register-job", at=0, job=a_job("web")),
    Step(do="register-job", at=5, job=a_job("vision", NodePool="gpu")),
    Step(do="scale", at=100, job="web", group="g", count=4),
    Step(do="stop-job", at=200, job="web"),
]


def servers(world: World) -> None:
    for subnet in SUBNETS:
        order = MachineOrder(
            image="ami-0123",
            instance_type="t3.small",
            subnet=subnet,
            tags=JOIN,
            user_data=cloud_config(server_config()),
        )
        run_instance(world.cloud, order, token=f"server-{subnet}")


def clients(world: World, count: int = 2, market: str = "spot", **client: object) -> list[str]:
    machine = MachineOrder(
        image="ami-0123",
        instance_type="",
        subnet="",
        market=market,
        tags=JOIN | {"nomad-reconciler:claim": "general-1"},
        tags_in_metadata=True,
        user_data=cloud_config(client_config(**client)),
    )
    pools = tuple(("m6i.large", subnet) for subnet in SUBNETS)
    fleet = create_fleet(world.cloud, FleetOrder(machine=machine, pools=pools, count=count), token=f"fleet-{client}")
    return [instance for pool in fleet.pools for instance in pool.instances]


def running(world: World, job: str) -> int:
    allocs = world.nomad.api.allocations()
    return sum(a["JobID"] == job and a["ClientStatus"] == "running" for a in allocs)


def test_work_waits_for_machines_and_then_runs_on_them() -> None:
    world = a_world(steps=STEPS)
    servers(world)
    world.advance(120)
    assert [e["JobID"] for e in world.nomad.api.evaluations(status="blocked")] == ["web"]
    clients(world)
    world.advance(240)

    assert running(world, "web") == 4
    assert {n["Status"] for n in world.nomad.api.nodes()} == {"ready"}


def test_steps_count_from_the_first_leader_on() -> None:
    world = a_world(steps=STEPS)
    world.advance(500)
    assert world.state.workload.began_at is None
    servers(world)
    world.advance(640)

    assert world.state.workload.began_at is not None
    assert world.state.workload.began_at > 500
    assert len(world.nomad.api.jobs()) == 1


def test_a_job_for_a_missing_pool_is_submitted_again_until_the_pool_is_there() -> None:
    world = a_world(steps=STEPS)
    servers(world)
    world.advance(150)
    assert "nonexistent node pool" in world.state.workload.refused[1]
    world.nomad.api.put_node_pool({"Name": "gpu"})
    world.advance(157)

    assert world.state.workload.refused == {}
    assert {j["ID"] for j in world.nomad.api.jobs()} == {"web", "vision"}


def test_a_stopped_step_is_stopped() -> None:
    world = a_world(steps=STEPS)
    servers(world)
    clients(world)
    world.advance(400)

    assert running(world, "web") == 0


def test_without_a_quorum_nomad_answers_nothing() -> None:
    world = a_world()
    servers(world)
    world.advance(120)
    for address in list(world.state.servers.agents)[:2]:
        agents.kill(world.servers, address)
    world.advance(125)

    with pytest.raises(ApiError, match="No cluster leader"):
        world.nomad.api.nodes()


def test_a_terminated_machine_reads_ready_for_some_seconds_and_then_its_work_moves() -> None:
    world = a_world(steps=STEPS[:1])
    servers(world)
    ids = clients(world)
    world.advance(240)
    victim = next(a["NodeName"] for a in world.nomad.api.allocations())
    assert victim in ids
    terminate(world.cloud, [victim])
    world.advance(250)
    states = {n["Name"]: n["Status"] for n in world.nomad.api.nodes()}
    world.advance(340)
    later = {n["Name"]: n["Status"] for n in world.nomad.api.nodes()}

    assert (states[victim], later[victim]) == ("ready", "down")
    assert running(world, "web") == 2


def test_an_interrupted_machine_is_gone_two_minutes_after_its_notice() -> None:
    world = a_world(steps=STEPS[:1])
    servers(world)
    ids = clients(world)
    world.advance(240)
    interrupt(world.cloud, ids[0])
    world.advance(350)
    before = Counter(i.state for i in world.state.ec2.instances.values())
    world.advance(450)
    after = Counter(i.state for i in world.state.ec2.instances.values())

    assert (before["running"], after["running"], after["terminated"]) == (5, 4, 1)


@pytest.mark.parametrize("stop", [3.0, 31.0, 61.5, 66.6, 122.2, 155.0, 199.9, 260.0])
def test_a_world_saved_in_the_middle_has_the_same_future(stop: float) -> None:
    def begun() -> World:
        world = a_world(4, steps=STEPS)
        world.state.ec2.interruptions_per_day = 200.0
        servers(world)
        clients(world, 3)
        world.advance(stop)
        return world

    world = begun()
    other = World.load(world.save(), load_catalogue())
    for one in (world, other):
        one.advance(600)

    assert other.save() == world.save()


_STORY = """
import hashlib, sys
sys.path.insert(0, "tests"); sys.path.insert(0, "tests/world")
from test_world_whole import STEPS, a_world, clients, servers
world = a_world(11, steps=STEPS)
world.state.ec2.interruptions_per_day = 100.0
servers(world); clients(world, 4)
world.advance(900)
print(hashlib.sha256(world.save()).hexdigest())
"""


def test_one_seed_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    root = Path(__file__).parents[2]
    told = {
        subprocess.run(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", _STORY],
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }

    assert len(told) == 1


def test_another_seed_is_another_story() -> None:
    worlds = [a_world(seed) for seed in (1, 2)]
    for world in worlds:
        servers(world)
        world.advance(100)

    assert worlds[0].save() != worlds[1].save()


def test_every_shipped_scenario_can_be_read() -> None:
    assert "demo" in shipped()
    for name in shipped():
        assert load_scenario(name).steps


def test_the_demo_s_jobs_are_all_accepted_once_its_pools_are_there() -> None:
    world = World.create(load_scenario("demo"), 1, load_catalogue())
    servers(world)
    world.advance(120)
    for pool in ("gpu", "batch"):
        world.nomad.api.put_node_pool({"Name": pool})
    world.advance(220)

    assert world.state.workload.refused == {}
    assert len(world.nomad.api.jobs()) == len(load_scenario("demo").steps)


def test_a_scenario_that_is_not_there_or_broken_is_an_error_that_says_where(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"name": "x", "account": {"region": 5}}')

    with pytest.raises(ScenarioError, match=r"shipped ones: .*demo"):
        load_scenario("nothing")
    with pytest.raises(ScenarioError, match=r"\$.account.region"):
        load_scenario(str(broken))
