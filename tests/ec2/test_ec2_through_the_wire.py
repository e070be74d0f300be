"""The real provider against the simulated account, by boto3 and EC2's query API: behaviour, which moto has none of.

Each test runs through the port and through the wire: two doors into one world, which must not differ.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import pytest

from providers.sandbox.world.ec2.state import CapacityLimit, Quota
from reconciler.server_effects import end_server
from schemas.faults import Fault, Refusal, RefusedError
from schemas.world import TAG_CLAIM, Market
from support.ec2_doors import Inside, shared_clients, through
from support.whole_world import SUBNETS, a_client_template, a_request, a_server_template, a_world

T = TypeVar("T")
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]


@pytest.fixture(params=["port", "wire"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_templates_are_kept_listed_taken_and_deleted(door: str) -> None:
    async def work(at: Inside) -> None:
        for template in (a_server_template("subnet-a1"), a_client_template()):
            await at.ec2.create_template("demo", template)
            assert await at.ec2.template(template.name) == template
        assert await at.ec2.template_names("demo") == {"form-0", "general-1234"}
        assert await at.ec2.template_names("other") == frozenset()
        with pytest.raises(RefusedError) as no:
            await at.ec2.create_template("demo", a_client_template(node_pool="other"))
        assert no.value.why is Refusal.EXISTS
        for _ in range(2):
            await at.ec2.delete_template("form-0")
        assert await at.ec2.template("form-0") is None

    through(door, a_world(), work)


def test_a_server_is_the_same_under_its_token_and_spent_when_it_is_gone(door: str) -> None:
    world = a_world()

    async def work(at: Inside) -> None:
        template, claim = a_server_template("subnet-b1"), {TAG_CLAIM: "server-0-0"}
        first = await at.ec2.run_instance(template, token="t", tags=claim)
        assert await at.ec2.run_instance(template, token="t", tags=claim) == first
        await at.clock.sleep(60)
        (listed,) = await at.ec2.instances("demo")
        assert (listed.id, listed.state, listed.zone) == (first.id, "running", "us-east-1b")
        assert listed.tags == {**template.tags, **claim}
        with pytest.raises(RefusedError) as mismatch:
            await at.ec2.run_instance(template, token="t", tags={TAG_CLAIM: "server-0-1"})
        assert mismatch.value.why is Refusal.MISMATCH
        await end_server(at.ec2, first.id)
        await at.clock.sleep(120)
        with pytest.raises(RefusedError) as spent:
            await at.ec2.run_instance(template, token="t", tags=claim)
        assert spent.value.why is Refusal.SPENT

    through(door, world, work)


def test_a_fleet_s_answer_holds_machines_and_errors_and_is_the_same_when_it_is_asked_for_again(door: str) -> None:
    world = a_world()
    world.state.ec2.capacity = [CapacityLimit(live_max=1, types="m6i.large")]
    world.state.ec2.not_offered = ["c6i.large/*"]

    async def work(at: Inside) -> None:
        await at.ec2.create_template("demo", a_client_template())
        answer = await at.ec2.create_fleet(a_request(2, "m6i.large", "c6i.large"))
        again = await at.ec2.create_fleet(a_request(2, "m6i.large", "c6i.large"))

        assert [(i.market, i.zone, i.claim) for i in answer.instances] == [(Market.SPOT, "us-east-1b", "general-1")]
        assert {(e.instance_type, e.zone, e.why) for e in answer.errors} == {
            ("m6i.large", "us-east-1b", Refusal.CAPACITY),
            ("c6i.large", "us-east-1b", Refusal.IMPOSSIBLE),
        }
        assert [i.id for i in again.instances] == [i.id for i in answer.instances]
        assert again.errors == answer.errors
        with pytest.raises(RefusedError) as no:
            await at.ec2.create_fleet(a_request(3, "m6i.large", "c6i.large"))
        assert no.value.why is Refusal.MISMATCH

    through(door, world, work)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [("template", Refusal.INVALID), ("image", Refusal.SPECIFICATION), ("quota", Refusal.QUOTA)],
)
def test_a_launch_is_refused_for_its_reason(door: str, wrong: str, why: Refusal) -> None:
    world = a_world()
    if wrong == "quota":
        world.state.ec2.quotas = [
            Quota(market="*", family="*", vcpus_max=0),
            Quota(market="spot", family="standard", vcpus_max=0),
        ]

    async def work(at: Inside) -> list[str]:
        if wrong != "template":
            await at.ec2.create_template("demo", a_client_template())
        if wrong == "image":
            world.state.ec2.images.clear()
        try:
            answer = await at.ec2.create_fleet(a_request(1))
        except RefusedError as no:
            return [no.why]
        return [e.why for e in answer.errors]

    assert through(door, world, work) == [why]


def test_an_image_that_a_parameter_names_is_launched_as_its_template_pinned_it(door: str) -> None:
    async def work(at: Inside) -> list[str]:
        template = replace(a_server_template("subnet-a1"), image_id="ssm:/images/nomad/x86_64")
        await at.ec2.create_template("demo", template)
        stored = await at.ec2.template(template.name)
        made = await at.ec2.run_instance(template, token="t", tags={})
        with pytest.raises(RefusedError, match="/images/other") as no:
            await at.ec2.create_template("demo", replace(template, name="form-1", image_id="ssm:/images/other"))
        assert no.value.why is Refusal.SPECIFICATION
        return [stored.image_id if stored else "", made.image_id]

    assert through(door, a_world(), work) == ["ami-0123", "ami-0123"]


def test_both_doors_show_the_same_world_at_every_step() -> None:
    """One seed, one trace: machines, states, prices, refusals, by whichever door."""

    async def work(at: Inside) -> list[Any]:
        seen: list[Any] = []
        await at.ec2.create_template("demo", a_client_template())
        for subnet in SUBNETS:
            await at.ec2.run_instance(a_server_template(subnet), token=subnet, tags={TAG_CLAIM: subnet})
        for step in range(6):
            request = replace(a_request(2, "m6i.large", "c6i.large", "m6a.large"), token=f"fleet-{step}")
            try:
                answer = await at.ec2.create_fleet(request)
                seen.append((sorted(i.id for i in answer.instances), answer.errors))
            except Fault as fault:
                seen.append(str(fault))
            await at.clock.sleep(7)
            listed = await at.ec2.instances("demo")
            seen.append(listed)
            seen.append(await at.ec2.spot_prices(["m6i.large", "c6i.large"], ZONES))
            running = [i.id for i in listed if i.state == "running"]
            seen.append(await at.ec2.impaired(running))
            for instance_id in running[:1]:
                await end_server(at.ec2, instance_id)
        return seen

    port, wire = (through(door, a_world(seed=7), work) for door in ("port", "wire"))
    assert port == wire


def test_a_foreign_client_turns_pages_and_asks_by_id_and_token() -> None:
    """Whoever speaks EC2's API finds the machines, each once, however it asks."""

    async def work(at: Inside) -> None:
        client = shared_clients().ec2()
        await at.ec2.create_template("demo", a_client_template())
        made = await at.ec2.create_fleet(a_request(12))
        server = await at.ec2.run_instance(a_server_template("subnet-a1"), token="t", tags={})
        await at.clock.sleep(30)

        def ids(**asked: Any) -> list[str]:
            pages = client.get_paginator("describe_instances").paginate(**asked)
            return [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]

        assert sorted(ids(PaginationConfig={"PageSize": 5})) == sorted([server.id, *(i.id for i in made.instances)])
        assert ids(InstanceIds=[server.id]) == [server.id]
        assert ids(Filters=[{"Name": "client-token", "Values": ["t"]}]) == [server.id]
        assert (
            ids(
                Filters=[
                    {"Name": "tag:nomad-reconciler:cluster", "Values": ["d?m*"]},
                    {"Name": "instance-state-name", "Values": ["stopped"]},
                ]
            )
            == []
        )
        with pytest.raises(client.exceptions.ClientError, match="InvalidAction"):
            client.describe_vpcs()

    through("wire", a_world(), work)
