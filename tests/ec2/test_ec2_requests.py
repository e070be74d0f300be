"""What is sent to EC2, seen as values."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from providers.ec2.content import RootVolume, launch_template_data, template_from
from providers.ec2.requests import create_fleet, launch_template, run_instances, with_tag
from schemas.names import formed_marker
from schemas.world import TAG_CLAIM, TAG_CLUSTER, TAG_ROLE, FleetRequest, Market, Override, Template

ROOT = RootVolume(device="/dev/sda1", gib=20)
CLIENT = Template(
    name="nomad-reconciler-prod-general-x86-64-abc",
    image_id="ami-0123",
    user_data="#cloud-config\n{}\n",
    security_groups=("sg-1", "sg-2"),
    instance_profile="nomad-node",
    tags={TAG_CLUSTER: "prod", TAG_ROLE: "client", "cost": "42"},
)
SERVER = replace(
    CLIENT, name="server", tags={**CLIENT.tags, TAG_ROLE: "server"}, instance_type="t3.small", subnet_id="subnet-a1"
)
FLEET = FleetRequest(
    token="t" * 48,
    template=CLIENT.name,
    market=Market.SPOT,
    count=3,
    overrides=(
        Override(instance_type="m6i.large", subnet_id="subnet-a1", zone="us-east-1a", price=0.03),
        Override(instance_type="m6a.large", subnet_id="subnet-b1", zone="us-east-1b", price=0.03),
    ),
    tags={TAG_CLAIM: "general-7"},
)


def tags_of(request: dict[str, object], resource: str) -> dict[str, str]:
    specifications = request["TagSpecifications"]
    assert isinstance(specifications, list)
    found = next(s["Tags"] for s in specifications if s["ResourceType"] == resource)
    return {tag["Key"]: tag["Value"] for tag in found}


def test_a_machine_s_metadata_needs_a_token_one_hop_away_and_shows_its_tags() -> None:
    for template in (CLIENT, SERVER):
        assert launch_template_data(template)["MetadataOptions"] == {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
            "InstanceMetadataTags": "enabled",
        }


def test_the_root_volume_is_encrypted_and_goes_with_its_machine() -> None:
    for asked in (launch_template_data(CLIENT, root=ROOT), run_instances(SERVER, {}, token="t", root=ROOT)):
        volume = {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": 20, "DeleteOnTermination": True}
        assert asked["BlockDeviceMappings"] == [{"DeviceName": "/dev/sda1", "Ebs": volume}]


def test_a_client_that_shuts_down_is_gone_and_a_server_may_come_back() -> None:
    assert launch_template_data(CLIENT)["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert "InstanceInitiatedShutdownBehavior" not in launch_template_data(SERVER)


def test_security_groups_stand_beside_the_subnet_when_there_is_one() -> None:
    pool, server = launch_template_data(CLIENT), launch_template_data(SERVER)

    assert pool["SecurityGroupIds"] == ["sg-1", "sg-2"]
    assert "NetworkInterfaces" not in pool
    assert "SecurityGroupIds" not in server
    assert server["NetworkInterfaces"][0]["SubnetId"] == "subnet-a1"
    assert server["NetworkInterfaces"][0]["Groups"] == ["sg-1", "sg-2"]


def test_what_is_empty_is_not_sent() -> None:
    marker = Template(
        name=formed_marker("prod"), image_id="", user_data="", security_groups=(), instance_profile="", tags={}
    )

    assert set(launch_template_data(marker)) == {"MetadataOptions", "TagSpecifications"}


@given(
    st.builds(
        Template,
        name=st.just("n"),
        image_id=st.sampled_from(["", "ami-1"]),
        user_data=st.text(max_size=40),
        security_groups=st.lists(st.sampled_from(["sg-1", "sg-2"]), unique=True).map(tuple),
        instance_profile=st.sampled_from(["", "nomad", "arn:aws:iam::1:instance-profile/nomad"]),
        tags=st.dictionaries(st.sampled_from([TAG_ROLE, TAG_CLUSTER, "a"]), st.sampled_from(["client", "server"])),
        instance_type=st.sampled_from([None, "t3.small"]),
        subnet_id=st.sampled_from([None, "subnet-1"]),
    )
)
def test_a_template_is_read_back_as_it_was_written(template: Template) -> None:
    assert template_from("n", launch_template_data(template, root=ROOT)) == template


def test_a_server_is_one_on_demand_machine_under_its_own_token() -> None:
    asked = run_instances(SERVER, {TAG_CLAIM: "server-0-0"}, token="token-1", root=ROOT)

    assert (asked["ClientToken"], asked["MinCount"], asked["MaxCount"]) == ("token-1", 1, 1)
    assert asked["InstanceType"] == "t3.small"
    assert "InstanceMarketOptions" not in asked
    for resource in ("instance", "volume", "network-interface"):
        assert tags_of(asked, resource) == {**SERVER.tags, TAG_CLAIM: "server-0-0"}


def test_a_launch_sends_its_user_data_as_text_for_boto3_encodes_it_there() -> None:
    assert run_instances(SERVER, {}, token="t", root=None)["UserData"] == SERVER.user_data


def test_a_fleet_is_instant_and_of_one_market() -> None:
    spot = create_fleet(FLEET, CLIENT.tags)
    on_demand = create_fleet(replace(FLEET, market=Market.ON_DEMAND), CLIENT.tags)

    assert spot["Type"] == on_demand["Type"] == "instant"
    assert spot["TargetCapacitySpecification"] == {"TotalTargetCapacity": 3, "DefaultTargetCapacityType": "spot"}
    assert spot["SpotOptions"] == {"AllocationStrategy": "price-capacity-optimized"}
    assert "OnDemandOptions" not in spot
    assert on_demand["OnDemandOptions"] == {"AllocationStrategy": "lowest-price"}
    assert "SpotOptions" not in on_demand


def test_a_fleet_names_version_type_subnet_and_zone_so_that_errors_echo_them() -> None:
    (config,) = create_fleet(FLEET, CLIENT.tags)["LaunchTemplateConfigs"]

    assert config["LaunchTemplateSpecification"] == {"LaunchTemplateName": CLIENT.name, "Version": "1"}
    assert config["Overrides"] == [
        {"InstanceType": "m6i.large", "SubnetId": "subnet-a1", "AvailabilityZone": "us-east-1a"},
        {"InstanceType": "m6a.large", "SubnetId": "subnet-b1", "AvailabilityZone": "us-east-1b"},
    ]


def test_all_that_a_fleet_makes_is_tagged_with_its_claim() -> None:
    asked = create_fleet(FLEET, CLIENT.tags)

    for resource in ("instance", "volume", "fleet"):
        assert tags_of(asked, resource) == {**CLIENT.tags, TAG_CLAIM: "general-7"}
    assert tags_of(launch_template_data(CLIENT), "network-interface")[TAG_CLUSTER] == "prod"


def test_a_template_carries_the_group_s_tag_and_the_document_s_but_not_its_machines() -> None:
    asked = launch_template("prod", CLIENT, root=ROOT)

    assert tags_of(asked, "launch-template") == {TAG_CLUSTER: "prod", "cost": "42"}


def test_wildcards_in_a_tag_s_value_mean_themselves() -> None:
    assert with_tag("k", "a*b?c") == [{"Name": "tag:k", "Values": ["a\\*b\\?c"]}]
