"""The ports into the simulated world: what they translate, refuse, and when they do not answer."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from providers.sandbox.world.ec2.state import CapacityLimit
from providers.sandbox.world.epoch import EPOCH
from providers.sandbox.world.servers import agents
from providers.sandbox.world.servers.state import ServerAgent
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, UnansweredError
from schemas.world import META_CLAIM, Market
from support.whole_world import (
    SUBNETS,
    Doors,
    a_client_template,
    a_request,
    a_server_template,
    a_world,
    form,
    through_doors,
)


def test_a_template_reads_back_as_it_was_made() -> None:
    async def work(doors: Doors) -> None:
        for template in (a_server_template("subnet-a1"), a_client_template()):
            await doors.ec2.create_template("demo", template)
            assert await doors.ec2.template(template.name) == template
        assert await doors.ec2.template_names("demo") == {"form-0", "general-1234"}
        assert await doors.ec2.template_names("other") == frozenset()

    through_doors(a_world(), work)


def test_a_taken_name_is_refused_as_existing() -> None:
    async def work(doors: Doors) -> None:
        await doors.ec2.create_template("demo", a_client_template())
        with pytest.raises(RefusedError) as error:
            await doors.ec2.create_template("demo", a_client_template(node_pool="other"))
        assert error.value.why is Refusal.EXISTS

    through_doors(a_world(), work)


def test_deleting_a_template_twice_is_deleting_it() -> None:
    async def work(doors: Doors) -> None:
        await doors.ec2.create_template("demo", a_client_template())
        for _ in range(2):
            await doors.ec2.delete_template("general-1234")
        assert await doors.ec2.template("general-1234") is None

    through_doors(a_world(), work)


def test_a_launched_server_is_the_same_under_its_token_and_carries_its_tags() -> None:
    async def work(doors: Doors) -> None:
        template = a_server_template("subnet-b1")
        claim = {"nomad-reconciler:claim": "server-0-1"}
        first = await doors.ec2.run_instance(template, token="t", tags=claim)
        again = await doors.ec2.run_instance(template, token="t", tags=claim)
        await doors.clock.sleep(6)
        listed = await doors.ec2.instances("demo")

        assert again == first
        assert [i.id for i in listed] == [first.id]
        assert (first.zone, first.market, first.state) == ("us-east-1b", Market.ON_DEMAND, "pending")
        assert first.tags == {**template.tags, **claim}
        assert first.launched_at == EPOCH

    through_doors(a_world(), work)


@pytest.mark.parametrize(
    ("limit", "again", "why"),
    [
        (CapacityLimit(live_max=0), "1", Refusal.CAPACITY),
        (CapacityLimit(live_max=0), "2", Refusal.MISMATCH),
        (CapacityLimit(live_max=9), "2", Refusal.MISMATCH),
    ],
)
def test_a_refused_launch_says_why(limit: CapacityLimit, again: str, why: Refusal) -> None:
    world = a_world()
    world.state.ec2.capacity = [limit]

    async def work(doors: Doors) -> None:
        with suppress(RefusedError):
            await doors.ec2.run_instance(a_server_template("subnet-a1"), token="t", tags={"a": "1"})
        with pytest.raises(RefusedError) as error:
            await doors.ec2.run_instance(a_server_template("subnet-a1"), token="t", tags={"a": again})
        assert error.value.why is why

    through_doors(world, work)


def test_a_spent_token_says_so() -> None:
    world = a_world()

    async def work(doors: Doors) -> None:
        made = await doors.ec2.run_instance(a_server_template("subnet-a1"), token="t", tags={})
        world.state.ec2.instances[made.id].state = "terminated"
        with pytest.raises(RefusedError) as error:
            await doors.ec2.run_instance(a_server_template("subnet-a1"), token="t", tags={})
        assert error.value.why is Refusal.SPENT

    through_doors(world, work)


def test_a_fleet_s_answer_holds_instances_and_errors() -> None:
    world = a_world()
    world.state.ec2.capacity = [CapacityLimit(live_max=1, types="m6i.large")]
    world.state.ec2.not_offered = ["c6i.large/*"]

    async def work(doors: Doors) -> None:
        await doors.ec2.create_template("demo", a_client_template())
        answer = await doors.ec2.create_fleet(a_request(2, "m6i.large", "c6i.large"))
        again = await doors.ec2.create_fleet(a_request(2, "m6i.large", "c6i.large"))

        assert [i.market for i in answer.instances] == [Market.SPOT]
        assert {(e.instance_type, e.why) for e in answer.errors} == {
            ("m6i.large", Refusal.CAPACITY),
            ("c6i.large", Refusal.IMPOSSIBLE),
        }
        assert again == answer

    through_doors(world, work)


def test_a_fleet_from_a_template_that_is_not_there_is_refused() -> None:
    async def work(doors: Doors) -> None:
        with pytest.raises(RefusedError):
            await doors.ec2.create_fleet(a_request())

    through_doors(a_world(), work)


def test_spot_prices_are_given_where_there_is_a_market() -> None:
    async def work(doors: Doors) -> None:
        prices = await doors.ec2.spot_prices(["m6i.large", "no.such"], ["us-east-1a", "us-east-1z"])

        assert set(prices) == {("m6i.large", "us-east-1a")}
        assert 0 < prices["m6i.large", "us-east-1a"] <= 0.096

    through_doors(a_world(), work)


def test_nobody_at_an_address_is_unanswered_and_not_reachable() -> None:
    async def work(doors: Doors) -> None:
        nomad = doors.nomad.at(["10.1.0.4"])
        with pytest.raises(UnansweredError, match=r"10\.1\.0\.4"):
            await nomad.nodes()
        with pytest.raises(UnansweredError):
            await nomad.join("10.1.0.4", ["10.1.0.5"])
        view = await nomad.server_view("10.1.0.4")
        assert (view.reachable, view.leader, view.peers, view.members) == (False, None, None, None)

    through_doors(a_world(), work)


def test_a_server_without_a_leader_holds_a_call_back_for_five_seconds_and_then_does_not_answer() -> None:
    async def work(doors: Doors) -> None:
        alone = await doors.ec2.run_instance(a_server_template("subnet-a1"), token="t", tags={})
        await doors.clock.sleep(90)
        asked = doors.clock.now()
        with pytest.raises(UnansweredError, match="No cluster leader"):
            await doors.nomad.at([alone.private_ip]).jobs()
        view = await doors.nomad.at([]).server_view(alone.private_ip)

        assert doors.clock.now() - asked == timedelta(seconds=5)
        assert (view.reachable, view.leader, view.peers, view.members) == (True, "", (), (alone.private_ip,))

    through_doors(a_world(), work)


def test_formed_servers_agree_at_each_of_their_doors() -> None:
    async def work(doors: Doors) -> None:
        addresses = await form(doors)
        views = [await doors.nomad.at(addresses).server_view(a) for a in addresses]

        assert len({v.leader for v in views}) == 1
        assert all({p.address for p in v.peers or ()} == {f"{a}:4647" for a in addresses} for v in views)
        assert all(set(v.members or ()) == set(addresses) for v in views)
        assert all(p.voter for v in views for p in v.peers or ())
        assert [p.leader for p in views[0].peers or ()].count(True) == 1

    through_doors(a_world(), work)


@pytest.mark.parametrize("form_of", ["{}", "{}:4647", "http://{}:4646", "https://nomad.internal:4646"])
def test_any_form_of_address_finds_the_cluster(form_of: str) -> None:
    async def work(doors: Doors) -> None:
        addresses = await form(doors)
        nomad = doors.nomad.at([form_of.format(addresses[0])])
        assert await nomad.node_pools() == {"all", "default"}

    through_doors(a_world(), work)


def test_a_node_pool_is_made_once_and_stays_as_it_is() -> None:
    async def work(doors: Doors) -> None:
        nomad = doors.nomad.at(await form(doors))
        for _ in range(2):
            await nomad.create_node_pool("gpu")
        assert await nomad.node_pools() == {"all", "default", "gpu"}
        assert not await nomad.broker_paused()

    through_doors(a_world(), work)


def test_a_fleet_s_machines_become_nodes_that_name_their_claim_and_instance() -> None:
    async def work(doors: Doors) -> None:
        addresses = await form(doors)
        await doors.ec2.create_template("demo", a_client_template(node_class="general"))
        answer = await doors.ec2.create_fleet(a_request(2))
        await doors.clock.sleep(90)
        nodes = await doors.nomad.at(addresses).nodes()

        assert {n.instance_id for n in nodes} == {i.id for i in answer.instances}
        assert all(n.ready and n.node_class == "general" and n.meta[META_CLAIM] == "general-1" for n in nodes)

    through_doors(a_world(), work)


def test_every_fault_at_a_door_is_one_of_ours() -> None:
    world = a_world()
    world.state.ec2.images.clear()

    async def work(doors: Doors) -> None:
        for subnet in (*SUBNETS, "subnet-none"):
            with pytest.raises(Fault) as error:
                await doors.ec2.run_instance(a_server_template(subnet), token=subnet, tags={})
            assert isinstance(error.value, RefusedError)
            assert error.value.why is Refusal.SPECIFICATION

    through_doors(world, work)


def test_a_second_cluster_of_one_answers_with_no_jobs_and_no_nodes() -> None:
    async def work(doors: Doors) -> None:
        addresses = await form(doors)
        await doors.nomad.at(addresses).create_node_pool("gpu")
        lonely = ServerAgent(address="10.9.0.9", name="lonely", id="id-lonely", expect=1)
        agents.start(doors.world.servers, lonely)
        await doors.clock.sleep(30)

        assert "gpu" in await doors.nomad.at(addresses).node_pools()
        assert "gpu" not in await doors.nomad.at(["10.9.0.9"]).node_pools()
        await doors.nomad.at(["10.9.0.9"]).create_node_pool("lost")
        assert "lost" not in await doors.nomad.at(addresses).node_pools()

    through_doors(a_world(), work)


def test_a_write_to_a_leader_that_has_just_lost_its_majority_may_have_happened() -> None:
    async def work(doors: Doors) -> None:
        addresses = await form(doors)
        assert not await doors.nomad.at(addresses).broker_paused()
        leader = next(c.leader for c in doors.world.state.servers.clusters.values())
        for address in addresses:
            if address != leader:
                agents.kill(doors.world.servers, address)

        with pytest.raises(OutcomeUnknownError, match="leadership lost while committing"):
            await doors.nomad.at([leader]).create_node_pool("gpu")
        await doors.clock.sleep(5)
        with pytest.raises(UnansweredError, match="No cluster leader"):
            await doors.nomad.at([leader]).create_node_pool("gpu")

    through_doors(a_world(), work)
