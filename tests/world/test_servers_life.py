"""How servers die, leave, return and are replaced; seconds as recorded (recordings/servers 02-14, 18-20, 26-30)."""

from __future__ import annotations

import pytest

from providers.sandbox.world.ec2.lifecycle import terminate
from providers.sandbox.world.servers import agents, answers
from providers.sandbox.world.servers.answers import Json, NoAnswerError, ServerError
from providers.sandbox.world.servers.state import AutopilotSettings, ServerAgent
from support.bare_world import BareWorld, launch_server

SEEDS = range(5)


class Quorum:
    """Servers s1 to sN that have formed, on addresses of their own."""

    def __init__(self, count: int = 3, seed: int = 1) -> None:
        self.world = BareWorld(seed)
        self.servers = self.world.servers
        for number in range(1, count + 1):
            self.start(number, count)
        self.world.wait_until(lambda: bool(self.world.led))
        self.world.wait(30)

    def start(self, number: int, expect: int = 3) -> str:
        address = f"10.9.0.{number}"
        agent = ServerAgent(
            address=address,
            name=f"s{number}",
            id=f"id-{number}-{len(self.world.state.servers.agents)}",
            expect=expect,
            retry_join=["10.9.0.1", "10.9.0.2"],
            leave_on_terminate=True,
        )
        agents.start(self.servers, agent)
        return address

    @property
    def leader(self) -> str:
        """Its address."""
        return next(c.leader for c in self.world.state.servers.clusters.values())

    def follower(self) -> str:
        return next(a for a in self.world.state.servers.agents if a != self.leader)

    def others(self, address: str) -> list[str]:
        return [a for a in self.world.state.servers.agents if a != address]

    def peers(self, asked: str) -> dict[str, bool]:
        found = answers.raft_configuration(self.servers, asked, stale=True)["Servers"]
        return {s["Address"].split(":")[0]: s["Voter"] for s in found}

    def status(self, asked: str, address: str) -> str:
        found = answers.members(self.servers, asked)["Members"]
        return next((m["Status"] for m in found if m["Addr"] == address), "unknown")

    def health(self, asked: str) -> tuple[int, Json]:
        return answers.autopilot_health(self.servers, asked)

    def leads(self, asked: str) -> bool:
        try:
            answers.require_leader(self.servers, asked)
        except ServerError:
            return False
        return True


def contact(quorum: Quorum, asked: str, address: str) -> str:
    _, body = quorum.health(asked)
    return str(next(s["LastContact"] for s in body["Servers"] if s["Address"].startswith(f"{address}:")))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_follower_is_called_healthy_for_forty_seconds_then_failed_then_removed(seed: int) -> None:
    quorum = Quorum(seed=seed)
    dead, asked = quorum.follower(), quorum.leader
    agents.kill(quorum.servers, dead)
    frozen = contact(quorum, asked, dead)
    quorum.world.wait(30)
    status, body = quorum.health(asked)
    assert (status, body["FailureTolerance"], quorum.status(asked, dead)) == (200, 1, "alive")
    assert contact(quorum, asked, dead) == frozen

    failed = 30 + quorum.world.wait_until(lambda: quorum.status(asked, dead) == "failed")
    removed = quorum.world.wait_until(lambda: dead not in quorum.peers(asked))

    assert 36 <= failed <= 43.6
    assert removed <= 10
    quorum.world.wait(4)
    status, body = quorum.health(asked)
    assert (status, body["FailureTolerance"]) == (200, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_living_follower_s_last_contact_moves(seed: int) -> None:
    quorum = Quorum(seed=seed)
    before = contact(quorum, quorum.leader, quorum.follower())
    quorum.world.wait(4)

    assert contact(quorum, quorum.leader, quorum.follower()) != before


def test_with_a_minimum_quorum_a_dead_server_stays_listed_as_unhealthy() -> None:
    quorum = Quorum()
    next(iter(quorum.world.state.servers.clusters.values())).autopilot = AutopilotSettings(min_quorum=3)
    dead, asked = quorum.follower(), quorum.leader
    agents.kill(quorum.servers, dead)
    quorum.world.wait(90)
    status, body = quorum.health(asked)

    assert quorum.peers(asked)[dead]
    assert (status, body["FailureTolerance"]) == (429, 0)
    told = next(s for s in body["Servers"] if s["Address"].startswith(f"{dead}:"))
    assert (told["SerfStatus"], told["Healthy"]) == ("left", False)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_leader_costs_two_or_three_seconds(seed: int) -> None:
    quorum = Quorum(seed=seed)
    dead = quorum.leader
    asked = quorum.others(dead)[0]
    agents.kill(quorum.servers, dead)
    with pytest.raises(ServerError, match="connection refused"):
        answers.status_leader(quorum.servers, asked)
    gap = quorum.world.wait_until(lambda: quorum.leader not in {dead, ""})
    with pytest.raises(ServerError, match="Not ready to serve consistent reads"):
        answers.status_leader(quorum.servers, asked)
    serves = gap + quorum.world.wait_until(lambda: quorum.leads(asked))

    assert 1.3 <= gap <= 3.0
    assert 2.0 <= serves <= 4.0
    assert answers.status_leader(quorum.servers, asked) != f"{dead}:4647"
    assert [up for _, up in quorum.world.led] == [True, False, True]
    assert quorum.health(asked)[1]["Servers"] is None  # nothing known in the first seconds
    quorum.world.wait(4)
    status, body = quorum.health(asked)
    assert status == 429  # a new leader sees through a dead server at once
    assert not next(s for s in body["Servers"] if s["Address"].startswith(f"{dead}:"))["Healthy"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_who_leaves_is_out_of_raft_within_two_seconds(seed: int, who: str) -> None:
    quorum = Quorum(seed=seed)
    gone = quorum.leader if who == "leader" else quorum.follower()
    asked = quorum.others(gone)[0]
    agents.terminate(quorum.servers, gone)
    seconds = quorum.world.wait_until(lambda: gone not in quorum.peers(asked))
    ended = seconds + quorum.world.wait_until(lambda: quorum.servers.up(gone) is None)
    quorum.world.wait(10)

    assert seconds <= 2.0
    assert 2.0 <= ended <= 3.2
    assert quorum.status(asked, gone) == "left"
    status, body = quorum.health(asked)
    assert (status, body["FailureTolerance"], quorum.leads(asked)) == (200, 0, True)


def test_a_terminated_machine_takes_its_server_out_of_raft() -> None:
    world = BareWorld(4, lag=0)
    machines = [launch_server(world, s) for s in ("subnet-a1", "subnet-b1", "subnet-c1")]
    world.wait(150)
    gone, rest = machines[0], machines[1:]
    terminate(world.cloud, [gone.id])
    world.wait(5)
    peers = answers.raft_configuration(world.servers, rest[0].private_ip, stale=True)["Servers"]

    assert {p["Address"] for p in peers} == {f"{m.private_ip}:4647" for m in rest}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_returns_with_its_data_votes_at_once_if_it_still_is_a_peer(seed: int) -> None:
    quorum = Quorum(seed=seed)
    back = quorum.follower()
    agents.kill(quorum.servers, back)
    quorum.world.wait(10)
    agents.restart(quorum.servers, back)
    quorum.world.wait(3)

    assert quorum.peers(back)[back]
    assert quorum.leads(back)
    quorum.world.wait(60)
    assert quorum.status(quorum.leader, back) == "alive"
    assert quorum.health(quorum.leader)[0] == 200


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_returns_after_its_removal_is_a_non_voter_first(seed: int) -> None:
    quorum = Quorum(seed=seed)
    back = quorum.follower()
    agents.kill(quorum.servers, back)
    quorum.world.wait(60)
    agents.restart(quorum.servers, back)
    quorum.world.wait_until(lambda: back in quorum.peers(quorum.leader), at_most=61)
    assert not quorum.peers(quorum.leader)[back]

    assert 8 <= quorum.world.wait_until(lambda: quorum.peers(quorum.leader)[back]) <= 22


def test_two_of_three_dead_is_no_quorum_and_a_new_server_does_not_help() -> None:
    quorum = Quorum()
    first = quorum.follower()
    last = next(a for a in quorum.others(first) if a != quorum.leader)
    agents.kill(quorum.servers, first)
    agents.kill(quorum.servers, quorum.leader)
    quorum.world.wait(10)
    assert not quorum.leads(last)
    quorum.start(4)
    quorum.world.wait(120)
    assert not quorum.leads(last)
    agents.restart(quorum.servers, first)
    quorum.world.wait(10)

    assert quorum.leads(last)
    assert [up for _, up in quorum.world.led] == [True, False, True]


def test_two_of_five_dead_are_removed_and_five_become_three() -> None:
    quorum = Quorum(5)
    dead = [a for a in quorum.world.state.servers.agents if a != quorum.leader][:2]
    for address in dead:
        agents.kill(quorum.servers, address)
    quorum.world.wait(60)

    assert len(quorum.peers(quorum.leader)) == 3
    assert quorum.health(quorum.leader)[1]["FailureTolerance"] == 1


def test_a_leadership_transfer_names_both_and_takes_no_time() -> None:
    quorum = Quorum()
    target = quorum.follower()
    peers = answers.raft_configuration(quorum.servers, target)["Servers"]
    server_id = next(p["ID"] for p in peers if p["Address"].startswith(f"{target}:"))
    moved = answers.transfer_leadership(quorum.servers, target, server_id=server_id)
    again = answers.transfer_leadership(quorum.servers, target, server_id=server_id)

    assert (moved["To"]["ID"], moved["Noop"], again["Noop"]) == (server_id, False, True)
    assert {answers.status_leader(quorum.servers, a) for a in quorum.world.state.servers.agents} == {f"{target}:4647"}
    with pytest.raises(ServerError, match="not found") as error:
        answers.transfer_leadership(quorum.servers, target, server_id="nobody")
    assert error.value.status == 400


@pytest.mark.parametrize("seed", SEEDS)
def test_a_removed_living_peer_hears_of_no_leader_until_it_is_added_again(seed: int) -> None:
    quorum = Quorum(seed=seed)
    out = quorum.follower()
    server_id = quorum.world.state.servers.agents[out].id
    answers.remove_peer(quorum.servers, quorum.leader, server_id=server_id)
    quorum.world.wait(3)
    assert not quorum.leads(out)

    assert 10 <= quorum.world.wait_until(lambda: out in quorum.peers(quorum.leader)) <= 60
    quorum.world.wait_until(lambda: quorum.peers(quorum.leader)[out], at_most=23)
    assert quorum.leads(out)


def test_removing_a_peer_that_is_not_there_is_a_500() -> None:
    quorum = Quorum()

    with pytest.raises(ServerError, match="was not found") as error:
        answers.remove_peer(quorum.servers, quorum.leader, server_id="nobody")
    assert error.value.status == 500


def test_force_leave_takes_out_a_failed_member_and_prune_forgets_it() -> None:
    quorum = Quorum()
    next(iter(quorum.world.state.servers.clusters.values())).autopilot = AutopilotSettings(cleanup_dead_servers=False)
    dead, asked = quorum.follower(), quorum.leader
    name = f"{quorum.world.state.servers.agents[dead].name}.global"
    agents.kill(quorum.servers, dead)
    quorum.world.wait(60)
    assert dead in quorum.peers(asked)
    answers.force_leave(quorum.servers, asked, name)
    quorum.world.wait(2)
    assert (quorum.status(asked, dead), dead in quorum.peers(asked)) == ("left", False)
    answers.force_leave(quorum.servers, asked, name, prune=True)

    assert quorum.status(asked, dead) == "unknown"


def test_force_leave_of_a_living_or_unknown_member_changes_nothing() -> None:
    quorum = Quorum()
    name = f"{quorum.world.state.servers.agents[quorum.follower()].name}.global"
    for who in (name, "nobody.global"):
        answers.force_leave(quorum.servers, quorum.leader, who)
    quorum.world.wait(60)

    assert len(quorum.peers(quorum.leader)) == 3
    assert quorum.health(quorum.leader)[0] == 200


@pytest.mark.parametrize("while_alive", [True, False])
def test_a_name_at_another_address_does_not_get_in(*, while_alive: bool) -> None:
    quorum = Quorum()
    old = quorum.follower()
    name = quorum.world.state.servers.agents[old].name
    if not while_alive:
        agents.kill(quorum.servers, old)
    quorum.world.wait(4)
    agents.start(
        quorum.servers, ServerAgent(address="10.9.0.99", name=name, id="new", expect=3, retry_join=[quorum.leader])
    )
    quorum.world.wait(100)

    assert "10.9.0.99" not in quorum.peers(quorum.leader)
    assert not quorum.leads("10.9.0.99")
    assert len(answers.members(quorum.servers, "10.9.0.99")["Members"]) == 3


def test_a_joiner_that_hangs_is_promoted_all_the_same() -> None:
    quorum = Quorum()
    joiner = quorum.start(4)
    quorum.world.wait_until(lambda: joiner in quorum.peers(quorum.leader))
    quorum.world.wait(7)  # autopilot has heard it once
    agents.freeze(quorum.servers, joiner)
    quorum.world.wait(22)

    assert quorum.peers(quorum.leader)[joiner]
    assert quorum.health(quorum.leader)[0] == 200
    with pytest.raises(NoAnswerError):
        answers.members(quorum.servers, joiner)


def test_a_follower_that_hangs_for_twenty_seconds_leaves_no_trace() -> None:
    quorum = Quorum()
    hung = quorum.follower()
    agents.freeze(quorum.servers, hung)
    quorum.world.wait(20)
    during = quorum.health(quorum.leader)[0]
    agents.thaw(quorum.servers, hung)
    quorum.world.wait(60)

    assert (during, quorum.health(quorum.leader)[0]) == (200, 200)
    assert quorum.status(quorum.leader, hung) == "alive"


def test_a_follower_that_is_cut_off_knows_no_leader_and_finds_its_place_again() -> None:
    quorum = Quorum()
    alone, asked = quorum.follower(), quorum.leader
    agents.cut_off(quorum.servers, alone)
    quorum.world.wait(3)

    assert answers.status_leader(quorum.servers, alone, stale=True) == ""
    assert quorum.leads(asked)
    quorum.world.wait(42)
    assert quorum.status(asked, alone) == "failed"
    assert {quorum.status(alone, other) for other in quorum.others(alone)} == {"failed"}
    quorum.world.wait(60)
    agents.reconnect(quorum.servers, alone)
    quorum.world.wait(90)
    assert quorum.peers(asked)[alone]
    assert {quorum.status(alone, other) for other in quorum.others(alone)} == {"alive"}
    assert answers.status_leader(quorum.servers, alone, stale=True) == f"{quorum.leader}:4647"


def test_a_leader_that_is_cut_off_steps_down_and_the_others_elect() -> None:
    quorum = Quorum()
    alone = quorum.leader
    agents.cut_off(quorum.servers, alone)
    quorum.world.wait(6)

    assert quorum.leader not in {alone, ""}
    assert answers.status_leader(quorum.servers, alone, stale=True) == ""
    agents.reconnect(quorum.servers, alone)
    quorum.world.wait(5)
    assert len(quorum.world.state.servers.clusters) == 1
    assert answers.status_leader(quorum.servers, alone, stale=True) == f"{quorum.leader}:4647"


def test_a_quiet_quorum_needs_no_events() -> None:
    quorum = Quorum()
    quorum.world.wait(120)

    assert quorum.world.kernel.next_at() is None
