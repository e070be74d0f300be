"""The servers' reconciler keeps a quorum of real Nomad agents: formed, replaced, grown, shrunk, rolled."""

from __future__ import annotations

import urllib.error
import urllib.request
import uuid

import pytest

from reconciler.loop import Tick
from reconciler.reconcilers.servers import Quorum, assess
from schemas.document import ClusterGroup
from support.builders import a_group
from support.real_nomad import needs_nomad
from support.real_servers import RealServers, real_servers

pytestmark = [needs_nomad, pytest.mark.timeout(400)]  # a minute or two each, nearly all of it waiting for Nomad

QUICK = {"replaceAfter": "1m"}
THREE, FIVE = a_group(servers=QUICK), a_group(servers={**QUICK, "count": 5})
NEWER = a_group(servers={**QUICK, "machine": {"agentConfig": {"log_level": "DEBUG"}}})


def whole(world: RealServers, tick: Tick, count: int) -> Quorum:
    """All agree: so many voters, all healthy by every witness, on as many machines."""
    quorum = assess(tick.snapshot)
    assert quorum.frozen is None
    assert (quorum.healthy, len(quorum.voters)) == (count, count), quorum.figures
    assert len(world.live()) == count
    return quorum


def settled(world: RealServers, group: ClusterGroup, count: int, *, within: float) -> tuple[Quorum, float]:
    tick, took = world.settle(group, within=within)
    print(f"{count} servers after {took:.1f} s:", *world.told, sep="\n  ")  # noqa: T201 - figures, which -s shows
    world.told.clear()
    return whole(world, tick, count), took


def leader_of(world: RealServers, quorum: Quorum) -> str:
    return next(s.name for s in quorum.voters if quorum.leads(s))


def test_a_quorum_is_formed_and_a_killed_follower_and_a_killed_leader_are_replaced() -> None:
    with real_servers() as world:
        quorum, _ = settled(world, THREE, 3, within=60)
        first = {i.id for i in world.live()}
        follower = next(i for i in sorted(first) if i != leader_of(world, quorum))
        world.ec2.agents[follower].kill()
        quorum, _ = settled(world, THREE, 3, within=120)
        assert follower not in {i.id for i in world.live()}

        leader = leader_of(world, quorum)
        world.ec2.agents[leader].kill()
        quorum, _ = settled(world, THREE, 3, within=120)
        assert leader not in {i.id for i in world.live()}
        assert {i.zone for i in world.live()} == {"us-east-1a", "us-east-1b", "us-east-1c"}


def test_three_become_five_and_three_again_and_are_replaced_one_after_the_other() -> None:
    with real_servers() as world:
        settled(world, THREE, 3, within=60)
        settled(world, FIVE, 5, within=90)
        settled(world, THREE, 3, within=90)
        before = {i.id for i in world.live()}
        settled(world, NEWER, 3, within=150)

        assert not before & {i.id for i in world.live()}
        assert world.ec2.ended_leading == []


def test_with_acls_on_the_first_token_is_ours_before_the_servers_count_as_formed() -> None:
    """Nobody shows raft to an unknown token: what is formed was seen with the token that we made."""
    group = a_group(servers=QUICK, nomad={"acl": True, "bootstrapToken": "env:TOKEN"})
    with real_servers(str(uuid.uuid4())) as world:
        settled(world, group, 3, within=60)

        again = urllib.request.Request(f"{world.ec2.agents[world.live()[0].id].url}/v1/acl/bootstrap", method="PUT")  # noqa: S310
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(again, timeout=10)  # noqa: S310
