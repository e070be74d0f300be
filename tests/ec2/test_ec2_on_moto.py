"""The provider against moto: request shapes that a foreign implementation accepts, tags, templates, endings.

moto proves plumbing only. It always takes the first override, ignores tokens, capacity, prices and pending states,
so that nothing here says anything about choice, retries or races: those are tests/ec2/test_ec2_wire.py and the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from providers.aws.clients import Clients
from providers.ec2.provider import AwsEc2
from providers.prices.shipped import load_catalogue
from reconciler.machine import marker_template
from schemas.faults import Refusal, RefusedError
from schemas.names import formed_marker
from schemas.world import (
    TAG_CLAIM,
    TAG_CLUSTER,
    TAG_REVISION,
    TAG_ROLE,
    FleetRequest,
    Market,
    Override,
    Template,
)
from support.aws_wire import REGION, run
from support.builders import NOON, a_group, a_pool

pytestmark = pytest.mark.xdist_group("moto")  # its first call takes a second


@dataclass(frozen=True, slots=True)
class Account:
    clients: Clients
    ec2: AwsEc2
    template: Template
    subnets: tuple[tuple[str, str], ...]  # (id, zone)
    image: str

    def tags(self, kind: str) -> list[dict[str, str]]:
        """Tags of all resources of a kind, by resource."""
        rows = self.clients.ec2().describe_tags(Filters=[{"Name": "resource-type", "Values": [kind]}])["Tags"]
        ids = sorted({row["ResourceId"] for row in rows})
        return [{row["Key"]: row["Value"] for row in rows if row["ResourceId"] == one} for one in ids]


@cache
def shared_clients() -> Clients:
    """Reading the model of EC2 takes half a second; moto listens to every client made after its import."""
    return Clients(REGION)


@pytest.fixture
def account(no_account: None) -> Iterator[Account]:
    with mock_aws():
        clients = shared_clients()
        client = clients.ec2()
        subnets = tuple((s["SubnetId"], s["AvailabilityZone"]) for s in client.describe_subnets()["Subnets"])
        volume = client.create_volume(AvailabilityZone=subnets[0][1], Size=8)["VolumeId"]
        snapshot = client.create_snapshot(VolumeId=volume)["SnapshotId"]
        client.delete_volume(VolumeId=volume)
        image = client.register_image(
            Name="nomad",
            Architecture="x86_64",
            RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 8}}],
        )["ImageId"]
        template = Template(
            name="nomad-reconciler-prod-general",
            image_id=image,
            user_data="#cloud-config\nruncmd: []\n",
            security_groups=(client.describe_security_groups()["SecurityGroups"][0]["GroupId"],),
            instance_profile="",
            tags={TAG_CLUSTER: "prod", TAG_ROLE: "client", "cost": "42"},
        )
        yield Account(clients, AwsEc2(clients, lambda: NOON), template, subnets, image)


def a_fleet(account: Account, market: Market = Market.SPOT, count: int = 2) -> FleetRequest:
    return FleetRequest(
        token="token-1",
        template=account.template.name,
        market=market,
        count=count,
        overrides=tuple(
            Override(instance_type="m6i.large", subnet_id=subnet, zone=zone, price=0.05)
            for subnet, zone in account.subnets[:2]
        ),
        tags={TAG_CLAIM: "general-1"},
    )


def test_a_template_is_kept_listed_by_its_group_and_deleted(account: Account) -> None:
    async def work() -> None:
        await account.ec2.create_template("prod", account.template)
        assert await account.ec2.template(account.template.name) == account.template
        assert await account.ec2.template_names("prod") == {account.template.name}
        assert await account.ec2.template_names("other") == frozenset()
        await account.ec2.delete_template(account.template.name)
        assert await account.ec2.template(account.template.name) is None

    run(work)


def test_a_taken_name_is_refused_as_existing(account: Account) -> None:
    async def work() -> None:
        await account.ec2.create_template("prod", account.template)
        with pytest.raises(RefusedError) as no:
            await account.ec2.create_template("prod", replace(account.template, user_data="#cloud-config\n"))
        assert no.value.why is Refusal.EXISTS

    run(work)


def test_the_marker_is_a_template_too(account: Account) -> None:
    marker = replace(marker_template(a_group(pools=[a_pool()])), image_id="")

    async def work() -> None:
        await account.ec2.create_template("prod", marker)
        assert await account.ec2.template_names("prod") == {formed_marker("prod")}
        assert await account.ec2.template(marker.name) == marker

    run(work)


@pytest.mark.parametrize("market", Market)
def test_a_fleet_s_machines_are_listed_with_the_tags_and_the_market_that_were_asked_for(
    account: Account, market: Market
) -> None:
    async def work() -> None:
        await account.ec2.create_template("prod", account.template)
        answer = await account.ec2.create_fleet(a_fleet(account, market))
        listed = await account.ec2.instances("prod")

        assert {i.id for i in answer.instances} == {i.id for i in listed}
        assert len(listed) == 2
        for instance in (*answer.instances, *listed):
            assert instance.market is market
            assert instance.tags == {**account.template.tags, TAG_CLAIM: "general-1"}
            assert instance.image_id == account.image
        assert await account.ec2.instances("other") == ()
        assert account.tags("launch-template") == [{TAG_CLUSTER: "prod", "cost": "42"}]

    run(work)


def test_a_server_is_launched_where_its_template_says_and_its_volume_is_tagged_and_encrypted(account: Account) -> None:
    subnet, zone = account.subnets[1]
    server = replace(account.template, name="form-0", instance_type="t3.small", subnet_id=subnet)

    async def work() -> None:
        made = await account.ec2.run_instance(server, token="token-1", tags={TAG_CLAIM: "server-0-0"})

        assert (made.zone, made.subnet_id, made.type, made.market) == (zone, subnet, "t3.small", Market.ON_DEMAND)
        (volume,) = account.clients.ec2().describe_volumes()["Volumes"]
        assert volume["Encrypted"]
        assert {t["Key"]: t["Value"] for t in volume["Tags"]} == {**server.tags, TAG_CLAIM: "server-0-0"}
        attribute = account.clients.ec2().describe_instance_attribute(InstanceId=made.id, Attribute="userData")
        assert attribute["UserData"]["Value"] == "I2Nsb3VkLWNvbmZpZwpydW5jbWQ6IFtdCg=="  # encoded once

    run(work)


def test_ended_machines_are_listed_as_ending_and_ending_them_again_changes_nothing(account: Account) -> None:
    async def work() -> None:
        await account.ec2.create_template("prod", account.template)
        made = await account.ec2.create_fleet(a_fleet(account))
        ids = [i.id for i in made.instances]
        await account.ec2.terminate(ids[:1])
        await account.ec2.terminate(ids[:1])
        with pytest.raises(RefusedError, match="i-0123456789abcdef0") as no:
            await account.ec2.terminate(["i-0123456789abcdef0"])
        assert no.value.why is Refusal.INVALID

        assert {i.id: i.live for i in await account.ec2.instances("prod")} == {ids[0]: False, ids[1]: True}

    run(work)


def test_an_address_is_given_once_and_nobody_takes_it_away(account: Account) -> None:
    """moto keeps the address with a machine that ended; EC2 frees it (the sandbox does)."""
    server = replace(account.template, instance_type="t3.small", subnet_id=account.subnets[0][0])

    async def work() -> None:
        allocation = account.clients.ec2().allocate_address(Domain="vpc")["AllocationId"]
        one, other = [await account.ec2.run_instance(server, token=t, tags={}) for t in ("1", "2")]
        for _ in range(2):
            await account.ec2.associate_address(allocation, one.id)
        with pytest.raises(RefusedError) as no:
            await account.ec2.associate_address(allocation, other.id)
        assert no.value.why is Refusal.CONFLICT
        assert {(a.allocation_id, a.instance_id) for a in await account.ec2.addresses()} == {(allocation, one.id)}
        with pytest.raises(RefusedError) as no:
            await account.ec2.associate_address("eipalloc-0123456789abcdef0", other.id)
        assert no.value.why is Refusal.INVALID

    run(work)


def test_a_protected_machine_is_alone_in_staying(account: Account) -> None:
    """moto ignores protection at launch, so that it is set here."""
    server = replace(account.template, instance_type="t3.small", subnet_id=account.subnets[0][0])

    async def work() -> None:
        made = [(await account.ec2.run_instance(server, token=str(t), tags={})).id for t in range(3)]
        await account.ec2.protect(made[0], on=True)
        with pytest.raises(RefusedError) as no:
            await account.ec2.terminate(made)
        assert no.value.why is Refusal.PROTECTED
        assert {i.id for i in await account.ec2.instances("prod") if i.live} == {made[0]}
        await account.ec2.protect(made[0], on=False)
        await account.ec2.terminate(made[:1])
        assert not any(i.live for i in await account.ec2.instances("prod"))

    run(work)


def test_a_parameter_s_image_is_what_its_template_holds_from_then_on(account: Account) -> None:
    by_name = replace(account.template, image_id="ssm:/images/nomad")

    async def work() -> None:
        account.clients.ssm().put_parameter(Name="/images/nomad", Value=account.image, Type="String")
        await account.ec2.create_template("prod", by_name)
        stored = await account.ec2.template(by_name.name)
        assert stored is not None
        assert stored.image_id == account.image

    run(work)


@pytest.mark.parametrize("known_by", ["this process", "a machine", "nobody"])
def test_what_is_published_later_is_not_taken_by_another_template_of_the_same_revision(
    account: Account, known_by: str
) -> None:
    """A server that is replaced weeks later gets the image of the others; a new revision gets the new one."""
    client = account.clients.ec2()
    newer = client.copy_image(Name="newer", SourceImageId=account.image, SourceRegion=REGION)["ImageId"]

    def of(name: str, revision: str) -> Template:
        tags = {**account.template.tags, TAG_REVISION: revision}
        return replace(account.template, name=name, image_id="ssm:/images/nomad", tags=tags)

    def publish(image: str) -> None:
        account.clients.ssm().put_parameter(Name="/images/nomad", Value=image, Type="String", Overwrite=True)

    async def work() -> None:
        publish(account.image)
        await account.ec2.create_template("prod", of("first", "v1-a"))
        if known_by == "a machine":
            await account.ec2.create_fleet(replace(a_fleet(account), template="first"))
        publish(newer)
        ec2 = account.ec2 if known_by == "this process" else AwsEc2(account.clients, lambda: NOON)
        for name, revision in (("second", "v1-a"), ("third", "v1-b")):
            await ec2.create_template("prod", of(name, revision))
        images = {name: stored.image_id for name in ("second", "third") if (stored := await ec2.template(name))}
        assert images == {"second": newer if known_by == "nobody" else account.image, "third": newer}

    run(work)


@pytest.mark.parametrize("value", [None, "not-an-image"])
def test_a_parameter_that_holds_no_image_is_refused_by_its_name(account: Account, value: str | None) -> None:
    by_name = replace(account.template, image_id="ssm:/images/nomad")

    async def work() -> None:
        if value:
            account.clients.ssm().put_parameter(Name="/images/nomad", Value=value, Type="String")
        with pytest.raises(RefusedError, match="/images/nomad") as no:
            await account.ec2.create_template("prod", by_name)
        assert no.value.why is Refusal.SPECIFICATION

    run(work)


def test_types_offerings_and_free_addresses_are_read_as_another_implementation_writes_them(account: Account) -> None:
    """moto's tables are AWS's own: m7i.large is not in us-east-1e. It has no Price List, which is named and no more."""
    new = frozenset({"m7i.large", "g5.xlarge", "inf1.xlarge", "c3.large", "f2.6xlarge", "vt1.3xlarge", "c6gd.metal"})
    zones = ["us-east-1a", "us-east-1e"]
    mine = [subnet for subnet, zone in account.subnets if zone in zones]

    def cut(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://api.pricing")

    async def work() -> None:
        events = account.clients.pricing().meta.events
        events.register_first("before-send.pricing", cut, unique_id="cut")
        try:
            known = load_catalogue().keys() - new
            supply = await account.ec2.supply(zones=zones, subnets=[*mine, "subnet-0123"], known=known)
        finally:
            events.unregister("before-send.pricing", unique_id="cut")
        assert (supply.sells("m7i.large", "us-east-1a"), supply.sells("m7i.large", "us-east-1e")) == (True, False)
        described = {kind.name: kind for kind in supply.types if kind.name in new}
        shipped = {name: replace(load_catalogue()[name], on_demand_usd_per_hour=0.0) for name in described}
        assert described.keys() >= {"m7i.large", "g5.xlarge", "inf1.xlarge", "c3.large", "c6gd.metal"}
        assert described == shipped
        assert {s: supply.full(s) for s in [*mine, "subnet-0123"]} == {
            **dict.fromkeys(mine, False),
            "subnet-0123": True,
        }
        assert list(supply.silent) == ["on-demand prices"]

    run(work)


def test_the_endpoint_of_the_environment_is_used(no_account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    assert Clients(REGION).ec2().meta.endpoint_url == "http://127.0.0.1:9"
