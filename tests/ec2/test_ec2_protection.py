"""Elastic IPs and termination protection, by the port and by the wire: two doors into one world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from providers.sandbox.world.ec2.state import ElasticIp
from reconciler.server_effects import end_server
from schemas.faults import Refusal, RefusedError
from schemas.world import Address
from support.ec2_doors import Inside, shared_clients, through
from support.whole_world import SUBNETS, a_client_template, a_request, a_server_template, a_world

T = TypeVar("T")


@pytest.fixture(params=["port", "wire"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def with_addresses(door: str, work: Callable[[Inside], Awaitable[T]]) -> T:
    world = a_world()
    world.state.ec2.elastic_ips = {
        name: ElasticIp(allocation=name, public_ip=f"203.0.113.{place}")
        for place, name in enumerate(["eipalloc-1", "eipalloc-2"], start=1)
    }
    return through(door, world, work)


async def refusal(effect: Awaitable[object]) -> Refusal:
    with pytest.raises(RefusedError) as no:
        await effect
    return no.value.why


async def servers(at: Inside) -> list[str]:
    """Three machines that run, each in a zone of its own."""
    made = [await at.ec2.run_instance(a_server_template(s), token=s, tags={}) for s in SUBNETS]
    await at.clock.sleep(60)
    return [instance.id for instance in made]


async def held(at: Inside) -> dict[str, str]:
    return {a.allocation_id: a.instance_id for a in await at.ec2.addresses()}


def test_an_address_is_given_once_and_again_changes_nothing(door: str) -> None:
    async def work(at: Inside) -> None:
        one, other, _ = await servers(at)
        assert await at.ec2.addresses() == (
            Address(allocation_id="eipalloc-1", public_ip="203.0.113.1"),
            Address(allocation_id="eipalloc-2", public_ip="203.0.113.2"),
        )
        for _ in range(2):
            await at.ec2.associate_address("eipalloc-1", one)
            assert await held(at) == {"eipalloc-1": one, "eipalloc-2": ""}
        assert (await at.ec2.addresses())[0].association_id.startswith("eipassoc-")
        assert await refusal(at.ec2.associate_address("eipalloc-1", other)) is Refusal.CONFLICT
        assert await held(at) == {"eipalloc-1": one, "eipalloc-2": ""}

    with_addresses(door, work)


def test_a_second_address_of_an_instance_takes_the_place_of_its_first(door: str) -> None:
    async def work(at: Inside) -> None:
        one = (await servers(at))[0]
        await at.ec2.associate_address("eipalloc-1", one)
        await at.ec2.associate_address("eipalloc-2", one)
        assert await held(at) == {"eipalloc-1": "", "eipalloc-2": one}

    with_addresses(door, work)


def test_a_machine_that_boots_gets_no_address_and_one_that_ended_gives_it_back(door: str) -> None:
    async def work(at: Inside) -> None:
        young = await at.ec2.run_instance(a_server_template("subnet-a1"), token="t", tags={})
        await at.clock.sleep(5)
        assert await refusal(at.ec2.associate_address("eipalloc-1", young.id)) is Refusal.CONFLICT
        await at.clock.sleep(60)
        await at.ec2.associate_address("eipalloc-1", young.id)
        await end_server(at.ec2, young.id)
        await at.clock.sleep(120)
        assert await held(at) == {"eipalloc-1": "", "eipalloc-2": ""}

    with_addresses(door, work)


def test_an_address_that_the_account_does_not_have_is_refused_as_unknown(door: str) -> None:
    async def work(at: Inside) -> None:
        one = (await servers(at))[0]
        assert await refusal(at.ec2.associate_address("eipalloc-9", one)) is Refusal.INVALID
        assert await refusal(at.ec2.associate_address("eipalloc-1", "i-0123456789abcdef0")) is Refusal.INVALID

    with_addresses(door, work)


def test_a_server_is_launched_protected_and_ends_only_when_that_is_lifted(door: str) -> None:
    async def work(at: Inside) -> None:
        one, other, third = await servers(at)
        assert await refusal(at.ec2.terminate([one])) is Refusal.PROTECTED
        for _ in range(2):
            await at.ec2.protect(one, on=False)
        await at.ec2.terminate([one])
        await at.ec2.protect(other, on=False)
        await at.ec2.protect(other, on=True)
        assert await refusal(at.ec2.terminate([other])) is Refusal.PROTECTED
        await end_server(at.ec2, third)
        await end_server(at.ec2, third)
        assert [i.live for i in await at.ec2.instances("demo")] == [False, True, False]

    with_addresses(door, work)


def test_one_protected_machine_of_a_batch_keeps_no_other_alive(door: str) -> None:
    """EC2 ends none of its zone, so that the rest is asked for one by one."""

    async def work(at: Inside) -> None:
        await at.ec2.create_template("demo", a_client_template())
        fleet = await at.ec2.create_fleet(a_request(3))
        server = (await servers(at))[1]
        (neighbours,) = {i.zone for i in fleet.instances}
        assert neighbours == next(i.zone for i in await at.ec2.instances("demo") if i.id == server)

        ids = [*(i.id for i in fleet.instances), server]
        assert await refusal(at.ec2.terminate(ids)) is Refusal.PROTECTED
        alive = {i.id for i in await at.ec2.instances("demo") if i.live and i.role == "client"}
        assert alive == set()
        assert server in {i.id for i in await at.ec2.instances("demo") if i.live}

    with_addresses(door, work)


def test_foreign_clients_read_protection_and_move_addresses() -> None:
    async def work(at: Inside) -> None:
        client, (one, other, _) = shared_clients().ec2(), await servers(at)
        told = client.describe_instance_attribute(InstanceId=one, Attribute="disableApiTermination")
        assert told["DisableApiTermination"] == {"Value": True}
        await at.ec2.associate_address("eipalloc-1", one)
        moved = client.associate_address(AllocationId="eipalloc-1", InstanceId=other, AllowReassociation=True)
        (found,) = client.describe_addresses(Filters=[{"Name": "instance-id", "Values": [other]}])["Addresses"]
        assert (found["AllocationId"], found["AssociationId"]) == ("eipalloc-1", moved["AssociationId"])
        client.disassociate_address(AssociationId=moved["AssociationId"])
        assert await held(at) == {"eipalloc-1": "", "eipalloc-2": ""}

    with_addresses("wire", work)
