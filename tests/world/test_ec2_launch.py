"""RunInstances: tokens, refusals, and how a machine lives and ends."""

from __future__ import annotations

import pytest

from providers.sandbox.world.ec2.describe import describe_by_token, describe_instances, status_of
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.lifecycle import crash, system_shut_down, terminate
from providers.sandbox.world.ec2.state import CapacityLimit, Mishap, Quota
from support.bare_world import SUBNETS, BareWorld, launch

OURS = {"nomad-reconciler:cluster": "demo"}


def code_of(error: pytest.ExceptionInfo[Ec2Error]) -> str:
    return error.value.code


def test_asking_twice_under_one_token_gives_one_machine() -> None:
    world = BareWorld()
    first = launch(world, "t")
    world.wait(60)

    assert launch(world, "t").id == first.id
    assert len(world.state.ec2.instances) == 1


def test_a_token_is_bound_to_its_zone() -> None:
    world = BareWorld()
    ids = {launch(world, "t", subnet=subnet).id for subnet in SUBNETS}

    assert len(ids) == len(SUBNETS)


def test_other_parameters_under_a_used_token_are_a_mismatch() -> None:
    world = BareWorld()
    launch(world, "t")

    with pytest.raises(Ec2Error) as error:
        launch(world, "t", instance_type="c6i.large")

    assert code_of(error) == "IdempotentParameterMismatch"


def test_a_token_is_bound_even_when_its_first_use_launched_nothing() -> None:
    world = BareWorld()
    world.state.ec2.capacity = [CapacityLimit(live_max=0, types="m6i.large")]
    with pytest.raises(Ec2Error) as refused:
        launch(world, "t")
    with pytest.raises(Ec2Error) as mismatch:
        launch(world, "t", instance_type="c6i.large")

    assert code_of(refused) == "InsufficientInstanceCapacity"
    assert code_of(mismatch) == "IdempotentParameterMismatch"


def test_a_refused_request_may_be_repeated_as_it_was_and_succeeds_once_there_is_capacity() -> None:
    world = BareWorld()
    world.state.ec2.capacity = [CapacityLimit(live_max=0, until=100.0)]
    with pytest.raises(Ec2Error):
        launch(world, "t")
    world.wait(101)

    assert launch(world, "t").state == "pending"


def test_the_token_of_a_terminated_machine_is_spent() -> None:
    world = BareWorld()
    made = launch(world, "t")
    world.wait(30)
    terminate(world.cloud, [made.id])
    world.wait(120)

    for _ in range(2):  # also when even describe has forgotten it
        with pytest.raises(Ec2Error) as error:
            launch(world, "t")
        assert code_of(error) == "IdempotentInstanceTerminated"
        world.wait(7200)


def test_a_new_machine_comes_into_view_late_and_its_tags_not_before_it() -> None:
    seen = []
    for seed in range(20):
        world = BareWorld(seed)
        made = launch(world, "t", tags=OURS)
        if not describe_instances(world.cloud, tags=OURS):
            seen.append("late")
        assert made.visible_at <= made.tags_visible_at <= 5.0
        world.wait(5.0)
        assert describe_instances(world.cloud, tags=OURS) == [made]
        assert describe_by_token(world.cloud, "t") == [made]

    assert len(seen) == 20


def test_only_the_machines_with_the_tag_are_described() -> None:
    world = BareWorld(lag=0)
    ours = launch(world, "a", tags=OURS)
    launch(world, "b", tags={"nomad-reconciler:cluster": "other"})

    assert describe_instances(world.cloud, tags=OURS) == [ours]


def test_terminating_a_machine_that_is_not_visible_yet_is_not_found_and_ends_nothing() -> None:
    world = BareWorld()
    made = launch(world, "t")
    made.visible_at = 4.0

    with pytest.raises(Ec2Error) as error:
        terminate(world.cloud, [made.id])

    assert code_of(error) == "InvalidInstanceID.NotFound"
    assert made.state == "pending"


def test_a_machine_is_pending_then_running_then_shutting_down_then_terminated_then_forgotten() -> None:
    world = BareWorld(lag=0)
    made = launch(world, "t", tags=OURS)
    states = [made.state]
    for wait in (15.0, 0.0, 50.0):
        world.wait(wait)
        states.append(made.state)
        if made.state == "running":
            terminate(world.cloud, [made.id])
            states.append(made.state)
    world.wait(1000)
    assert (made.tags, describe_instances(world.cloud, tags=OURS)) == ({}, [])
    world.wait(3600)

    assert states == ["pending", "running", "shutting-down", "shutting-down", "terminated"]
    assert made.state_reason == "Client.UserInitiatedShutdown"
    assert world.state.ec2.instances == {}
    assert world.state.ec2.user_data == {}


def test_one_protected_machine_saves_its_zone_and_no_other() -> None:
    world = BareWorld(lag=0)
    keep = launch(world, "a", protected=True)
    beside = launch(world, "b")
    elsewhere = launch(world, "c", subnet="subnet-b1")
    world.wait(20)

    with pytest.raises(Ec2Error) as error:
        terminate(world.cloud, [beside.id, elsewhere.id, keep.id])

    assert code_of(error) == "OperationNotPermitted"
    assert [i.state for i in (keep, beside, elsewhere)] == ["running", "running", "shutting-down"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image": "ami-none"}, "InvalidAMIID.NotFound"),
        ({"image": "ami-arm"}, "InvalidParameterValue"),
        ({"subnet": "subnet-none"}, "InvalidSubnetID.NotFound"),
        ({"security_groups": ("sg-none",)}, "InvalidGroup.NotFound"),
        ({"instance_type": "m99.huge"}, "InvalidParameterValue"),
        ({"instance_type": "m6i.xlarge"}, "Unsupported"),
        ({"user_data": "x" * 16_385}, "InvalidUserData.Malformed"),
        ({"tags": {"a/b": "c"}}, "InvalidParameterValue"),
    ],
)
def test_a_mistaken_request_is_refused_and_launches_nothing(changes: dict[str, object], code: str) -> None:
    world = BareWorld()
    world.state.ec2.not_offered = ["m6i.xlarge/us-east-1a"]

    with pytest.raises(Ec2Error) as error:
        launch(world, "t", **changes)

    assert code_of(error) == code
    assert world.state.ec2.instances == {}


@pytest.mark.parametrize(
    ("market", "code"), [("on-demand", "VcpuLimitExceeded"), ("spot", "MaxSpotInstanceCountExceeded")]
)
def test_a_quota_counts_the_vcpus_of_its_class_and_market(market: str, code: str) -> None:
    world = BareWorld()
    world.state.ec2.quotas = [Quota(market=market, family="standard", vcpus_max=5)]
    for token in ("a", "b"):  # 2 vCPUs each
        launch(world, token, market=market)

    with pytest.raises(Ec2Error) as error:
        launch(world, "c", market=market)
    other = launch(world, "d", market=market, instance_type="g4dn.xlarge")

    assert code_of(error) == code
    assert other.state == "pending"


def test_a_full_subnet_gives_no_machine_until_one_is_gone() -> None:
    world = BareWorld(lag=0)
    world.state.ec2.subnets["subnet-a1"].size = 1
    first = launch(world, "a")
    with pytest.raises(Ec2Error) as error:
        launch(world, "b")
    terminate(world.cloud, [first.id])
    world.wait(60)

    assert code_of(error) == "InsufficientFreeAddressesInSubnet"
    assert launch(world, "b").private_ip


def test_a_launch_may_fail_after_pending_and_then_says_why() -> None:
    world = BareWorld()
    world.state.ec2.mishaps = [Mishap(kind="fails-pending", code="Client.InternalError")]
    first, second = (launch(world, t) for t in "ab")
    world.wait(20)

    assert (first.state, first.state_reason) == ("terminated", "Client.InternalError")
    assert second.state == "running"


@pytest.mark.parametrize(("behavior", "end"), [("terminate", "terminated"), ("stop", "stopped")])
def test_a_system_that_shuts_itself_down_ends_as_the_machine_was_told(behavior: str, end: str) -> None:
    world = BareWorld()
    made = launch(world, "t", shutdown_behavior=behavior)
    world.wait(20)
    system_shut_down(world.cloud, made.id)
    world.wait(60)

    assert made.state == end


def test_status_checks_come_late_and_a_machine_that_hangs_turns_impaired() -> None:
    world = BareWorld()
    made = launch(world, "t")
    world.wait(20)
    told = [status_of(world.cloud, made)]
    world.wait(200)
    told.append(status_of(world.cloud, made))
    crash(world.cloud, made.id)
    told.append(status_of(world.cloud, made))
    world.wait(121)
    told.append(status_of(world.cloud, made))

    assert told == ["initializing", "ok", "ok", "impaired"]
    assert made.state == "running"
