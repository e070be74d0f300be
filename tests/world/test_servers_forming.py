"""The first quorum: who counts whom, when a cluster is formed and when it is not (recordings/servers 01, 21-24)."""

from __future__ import annotations

import msgspec
import pytest

from providers.sandbox.world.ec2.state import Mishap
from providers.sandbox.world.servers import agents, answers
from providers.sandbox.world.servers.answers import NoAnswerError, ServerError
from providers.sandbox.world.servers.state import ServerAgent
from support.bare_world import AUTO_JOIN, SUBNETS, BareState, BareWorld, launch_server


def three_servers(seed: int = 1, *, lag: float = 5.0) -> tuple[BareWorld, list[str]]:
    world = BareWorld(seed, lag=lag)
    addresses = [launch_server(world, subnet).private_ip for subnet in SUBNETS]
    return world, addresses


def alone(world: BareWorld, name: str, address: str, expect: int = 3, **more: object) -> ServerAgent:
    agent = ServerAgent(address=address, name=name, id=f"id-{name}", expect=expect, **more)  # type: ignore[arg-type]
    agents.start(world.servers, agent)
    return agent


def voters(world: BareWorld, address: str) -> set[str]:
    servers = answers.raft_configuration(world.servers, address, stale=True)["Servers"]
    return {s["Address"].split(":")[0] for s in servers if s["Voter"]}


@pytest.mark.parametrize("seed", range(12))
def test_three_machines_form_one_quorum_within_two_minutes(seed: int) -> None:
    world, addresses = three_servers(seed)
    world.wait(120)
    leaders = {answers.status_leader(world.servers, a) for a in addresses}

    assert len(leaders) == 1
    assert all(voters(world, a) == set(addresses) for a in addresses)
    assert [up for _, up in world.led] == [True]
    assert len(world.state.servers.clusters) == 1


def test_before_the_third_is_there_nobody_leads() -> None:
    world = BareWorld()
    first = launch_server(world, "subnet-a1")
    second = launch_server(world, "subnet-b1")
    world.wait(300)

    assert len(answers.members(world.servers, first.private_ip)["Members"]) == 2
    with pytest.raises(ServerError, match="No cluster leader") as error:
        answers.status_leader(world.servers, second.private_ip)
    assert (error.value.status, error.value.took) == (500, 5.0)
    assert answers.status_leader(world.servers, second.private_ip, stale=True) == ""
    assert answers.status_peers(world.servers, second.private_ip, stale=True) == []
    with pytest.raises(ServerError, match="No cluster leader"):
        answers.health(world.servers, first.private_ip)


def test_a_machine_that_still_boots_does_not_answer() -> None:
    world = BareWorld()
    server = launch_server(world)
    world.wait(20)

    with pytest.raises(NoAnswerError):
        answers.members(world.servers, server.private_ip)


def test_autopilot_calls_the_others_unhealthy_for_the_first_seconds() -> None:
    world, addresses = three_servers()
    world.wait_until(lambda: bool(world.led))
    early, _ = answers.autopilot_health(world.servers, addresses[0])
    world.wait(7)
    late, body = answers.autopilot_health(world.servers, addresses[0])

    assert (early, late, body["FailureTolerance"]) == (429, 200, 1)


def test_servers_that_know_nobody_join_themselves_and_count_it_as_success() -> None:
    world = BareWorld()
    for place in range(3):
        alone(world, f"s{place}", f"10.9.0.{place}", retry_join=[f"10.9.0.{place}"])
    world.wait(300)

    assert world.led == []
    assert [a.joined for a in world.state.servers.agents.values()] == [True] * 3


def test_servers_that_were_introduced_form_a_quorum() -> None:
    world = BareWorld()
    for place in range(3):
        alone(world, f"s{place}", f"10.9.0.{place}", retry_join=[f"10.9.0.{place}"])
    world.wait(30)
    answer = answers.join(world.servers, "10.9.0.0", ["10.9.0.1", "10.9.0.2", "10.9.0.77"])
    world.wait(10)

    assert answer["num_joined"] == 2
    assert "10.9.0.77" in answer["error"]
    assert voters(world, "10.9.0.2") == {"10.9.0.0", "10.9.0.1", "10.9.0.2"}
    assert [up for _, up in world.led] == [True]


def test_a_join_address_where_nobody_listens_is_tried_again_every_thirty_seconds() -> None:
    world = BareWorld()
    late = alone(world, "late", "10.9.0.1", retry_join=["10.9.0.2:4648"])
    world.wait(20)
    alone(world, "other", "10.9.0.2")
    world.wait(5)
    assert not late.joined
    world.wait(10)

    assert late.joined
    assert len(late.members) == 2


def test_differing_expectations_block_the_formation() -> None:
    world = BareWorld()
    for place, expect in enumerate((3, 3, 5)):
        alone(world, f"s{place}", f"10.9.0.{place}", expect, retry_join=["10.9.0.0"])
    world.wait(300)

    assert world.state.servers.clusters == {}


def test_another_gossip_key_shows_nothing_to_the_others() -> None:
    world = BareWorld()
    alone(world, "s0", "10.9.0.0", gossip_key="a")
    stranger = alone(world, "s1", "10.9.0.1", gossip_key="b", retry_join=["10.9.0.0"])
    world.wait(100)

    assert list(stranger.members) == ["s1.global"]
    assert len(world.state.servers.agents["10.9.0.0"].members) == 1


def test_another_region_is_seen_and_not_counted() -> None:
    world = BareWorld()
    for place, region in enumerate(("global", "global", "mars")):
        alone(world, f"s{place}", f"10.9.0.{place}", retry_join=["10.9.0.0"], region=region)
    world.wait(100)

    assert len(world.state.servers.agents["10.9.0.0"].members) == 3
    assert world.state.servers.clusters == {}


@pytest.mark.parametrize("seed", range(6))
def test_a_joiner_waits_as_a_non_voter_and_is_promoted_after_its_stable_time(seed: int) -> None:
    world, addresses = three_servers(seed)
    world.wait(120)
    joiner = launch_server(world, "subnet-a1").private_ip
    world.wait_until(lambda: len(answers.raft_configuration(world.servers, addresses[0])["Servers"]) == 4)
    assert joiner not in voters(world, addresses[0])

    assert 9.5 <= world.wait_until(lambda: joiner in voters(world, addresses[0])) <= 22.5
    assert len(world.state.servers.clusters) == 1


def test_a_server_that_expects_only_itself_joins_those_who_are_there() -> None:
    world, addresses = three_servers()
    world.wait(120)
    lonely = launch_server(world, "subnet-b1", expect=1).private_ip
    world.wait(100)

    assert voters(world, lonely) == {*addresses, lonely}


def test_a_server_that_expects_only_itself_and_reaches_nobody_is_a_cluster_of_its_own() -> None:
    world, addresses = three_servers()
    world.wait(120)
    alone(world, "lonely", "10.9.0.9", 1)
    world.wait(30)

    assert answers.status_leader(world.servers, "10.9.0.9") == "10.9.0.9:4647"
    assert "10.9.0.9" not in voters(world, addresses[0])
    assert [up for _, up in world.led] == [True]  # the jobs stay with the first


def test_two_of_three_that_boot_late_are_waited_for() -> None:
    world = BareWorld(3)
    world.state.ec2.mishaps = [Mishap(kind="boots-late", figure=400.0)]
    addresses = [launch_server(world, subnet).private_ip for subnet in SUBNETS]
    world.wait(200)
    assert world.led == []
    world.wait(300)

    assert voters(world, addresses[0]) == set(addresses)


def test_the_join_tag_finds_only_running_machines_that_carry_it() -> None:
    world, _ = three_servers()
    world.wait(120)
    stranger = launch_server(world, "subnet-a1", tags={"nomad-reconciler:join": "other-server"}).private_ip
    world.wait(100)

    assert AUTO_JOIN.endswith("demo-server")
    assert len(answers.members(world.servers, stranger)["Members"]) == 4  # it finds them; they need not find it


def test_a_saved_formation_goes_on_as_it_would_have() -> None:

    for stop in (10.0, 33.3, 47.0, 61.0):
        world, _ = three_servers(9)
        world.wait(stop)
        saved = msgspec.json.encode(world.state)
        other = BareWorld(state=msgspec.json.decode(saved, type=BareState))
        for one in (world, other):
            one.wait(200)

        assert msgspec.json.encode(other.state) == msgspec.json.encode(world.state)
