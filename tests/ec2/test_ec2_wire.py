"""The provider on botocore's own wire: pages, lost replies, tokens, and retries that do not multiply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from providers.ec2.content import RootVolume, launch_template_data
from providers.ec2.provider import AwsEc2
from reconciler.ports import Ec2
from schemas.faults import OutcomeUnknownError, Refusal, RefusedError, UnansweredError
from schemas.world import TAG_CLAIM, TAG_CLUSTER, TAG_ROLE, FleetRequest, Market, Override, Template
from support.aws_wire import Answer, Says, Wire, run, says_no
from support.builders import NOON

TEMPLATE = Template(
    name="nomad-reconciler-prod-general",
    image_id="ami-0123",
    user_data="#cloud-config\n",
    security_groups=("sg-1",),
    instance_profile="nomad-node",
    tags={TAG_CLUSTER: "prod", TAG_ROLE: "client"},
)
SERVER = replace(TEMPLATE, name="form-0", instance_type="t3.small", subnet_id="subnet-a1")
FLEET = FleetRequest(
    token="token-1",
    template=TEMPLATE.name,
    market=Market.SPOT,
    count=3,
    overrides=tuple(
        Override(instance_type=t, subnet_id=f"subnet-{z}1", zone=f"us-east-1{z}", price=0.03)
        for t in ("m6i.large", "m6a.large")
        for z in "ab"
    ),
    tags={TAG_CLAIM: "general-7"},
)
PORT: type[Ec2] = AwsEc2  # checked by mypy
LOST = ReadTimeoutError(endpoint_url="https://ec2")


def an_instance(number: int, state: str = "running", more: str = "") -> str:
    return (
        f"<item><instanceId>i-{number}</instanceId><imageId>ami-0123</imageId><instanceType>m6i.large</instanceType>"
        f"<instanceState><code>272</code><name>{state}</name></instanceState>"
        "<launchTime>2026-01-05T11:00:00.000Z</launchTime><placement><availabilityZone>us-east-1a</availabilityZone>"
        f"</placement><subnetId>subnet-a1</subnetId><privateIpAddress>10.0.0.{number}</privateIpAddress>{more}</item>"
    )


def instances(*items: str, more: str = "") -> Says:
    reservations = "".join(f"<item><instancesSet>{item}</instancesSet></item>" for item in items)
    token = f"<nextToken>{more}</nextToken>" if more else ""
    body = f"<reservationSet>{reservations}</reservationSet>{token}"
    return Says(f"<DescribeInstancesResponse>{body}</DescribeInstancesResponse>")


def stored(template: Template) -> Says:
    tags = "".join(f"<item><key>{k}</key><value>{v}</value></item>" for k, v in template.tags.items())
    data = launch_template_data(template)
    content = (
        f"<imageId>{template.image_id}</imageId><userData>{data['UserData']}</userData>"
        f"<tagSpecificationSet><item><resourceType>instance</resourceType><tagSet>{tags}</tagSet></item>"
        "</tagSpecificationSet><securityGroupIdSet><item>sg-1</item></securityGroupIdSet>"
        "<iamInstanceProfile><name>nomad-node</name></iamInstanceProfile>"
    )
    version = f"<item><versionNumber>1</versionNumber><launchTemplateData>{content}</launchTemplateData></item>"
    whole = f"<launchTemplateVersionSet>{version}</launchTemplateVersionSet>"
    return Says(f"<DescribeLaunchTemplateVersionsResponse>{whole}</DescribeLaunchTemplateVersionsResponse>")


IMAGE = Says(
    "<DescribeImagesResponse><imagesSet><item><imageId>ami-0123</imageId><rootDeviceName>/dev/xvda</rootDeviceName>"
    "<blockDeviceMapping><item><deviceName>/dev/xvda</deviceName><ebs><volumeSize>8</volumeSize></ebs></item>"
    "</blockDeviceMapping></item></imagesSet></DescribeImagesResponse>"
)


def fleet(made: str = "", errors: str = "") -> Says:
    inside = f"<fleetId>fleet-1</fleetId><fleetInstanceSet>{made}</fleetInstanceSet><errorSet>{errors}</errorSet>"
    return Says(f"<CreateFleetResponse>{inside}</CreateFleetResponse>")


def pool(kind: str, zone: str, *, echo_zone: bool = True) -> str:
    named = f"<availabilityZone>us-east-1{zone}</availabilityZone>" if echo_zone else ""
    inside = f"<instanceType>{kind}</instanceType><subnetId>subnet-{zone}1</subnetId>{named}"
    return (
        f"<launchTemplateAndOverrides><overrides>{inside}</overrides></launchTemplateAndOverrides>"
        "<lifecycle>spot</lifecycle>"
    )


def gave(kind: str, zone: str, *ids: str, echo_zone: bool = True) -> str:
    made = "".join(f"<item>{i}</item>" for i in ids)
    where = pool(kind, zone, echo_zone=echo_zone)
    return f"<item>{where}<instanceIds>{made}</instanceIds><instanceType>{kind}</instanceType></item>"


def failed(kind: str, zone: str, code: str) -> str:
    told = f"<errorCode>{code}</errorCode><errorMessage>no</errorMessage>"
    return f"<item>{pool(kind, zone)}{told}</item>"


def asked(answers: dict[str, list[Answer]], work: Callable[[AwsEc2], Awaitable[Any]], **given: Any) -> tuple[Any, Wire]:
    """Let the provider work against these answers; give what came of it, or the fault."""
    wire = Wire(answers, **given)

    async def worked() -> Any:
        try:
            return await work(wire.ec2())
        except (UnansweredError, RefusedError, OutcomeUnknownError) as fault:
            return fault

    return run(worked), wire


# --- reads


def test_all_pages_are_read_by_the_group_s_tag() -> None:
    pages: list[Answer] = [instances(an_instance(1), more="p2"), instances(an_instance(2), an_instance(3))]
    found, wire = asked({"DescribeInstances": pages}, lambda ec2: ec2.instances("prod"))

    assert [i.id for i in found] == ["i-1", "i-2", "i-3"]
    assert [r["Filter.1.Name"] for r in wire.sent] == ["tag:nomad-reconciler:cluster"] * 2
    assert [r["Filter.1.Value.1"] for r in wire.sent] == ["prod"] * 2
    assert [r.get("NextToken") for r in wire.sent] == [None, "p2"]


@pytest.mark.parametrize(
    "then",
    [
        says_no("InvalidPaginationToken"),
        says_no("InternalError", 500),
        says_no("UnauthorizedOperation", 403),
        Says("<html>Bad gateway</html>", 200),
        LOST,
        EndpointConnectionError(endpoint_url="https://ec2"),
    ],
    ids=str,
)
def test_a_list_of_which_a_page_is_missing_is_unanswered(then: Answer) -> None:
    found, _ = asked(
        {"DescribeInstances": [instances(an_instance(1), more="p2"), then]}, lambda ec2: ec2.instances("prod")
    )

    assert isinstance(found, UnansweredError)


def test_a_read_is_tried_three_times_by_botocore_alone() -> None:
    answers: list[Answer] = [says_no("InternalError", 500), says_no("Unavailable", 503), instances(an_instance(1))]
    found, wire = asked({"DescribeInstances": answers}, lambda ec2: ec2.instances("prod"))

    assert [i.id for i in found] == ["i-1"]
    assert len(wire.sent) == 3


def test_an_instance_is_read_in_full_and_a_gone_one_without_its_place() -> None:
    running = an_instance(
        1,
        more="<instanceLifecycle>spot</instanceLifecycle><stateReason><code>x</code></stateReason>"
        "<tagSet><item><key>nomad-reconciler:claim</key><value>general-1</value></item></tagSet>",
    )
    gone = (
        "<item><instanceId>i-2</instanceId><instanceType>m6i.large</instanceType><launchTime>2026-01-05T11:00:00Z"
        "</launchTime><instanceState><name>terminated</name></instanceState>"
        "<stateReason><code>Server.SpotInstanceTermination</code></stateReason></item>"
    )
    found, _ = asked({"DescribeInstances": [instances(running, gone)]}, lambda ec2: ec2.instances("prod"))

    assert (found[0].market, found[0].state, found[0].zone) == (Market.SPOT, "running", "us-east-1a")
    assert (found[0].private_ip, found[0].claim, found[0].state_reason) == ("10.0.0.1", "general-1", "")
    assert found[0].launched_at == datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert (found[1].market, found[1].live, found[1].subnet_id) == (Market.ON_DEMAND, False, "")
    assert found[1].state_reason == "Server.SpotInstanceTermination"


def test_impaired_machines_are_those_that_fail_either_check_and_were_asked_about() -> None:
    def statuses(*ids: str) -> Says:
        items = "".join(f"<item><instanceId>{i}</instanceId></item>" for i in ids)
        return Says(
            f"<DescribeInstanceStatusResponse><instanceStatusSet>{items}</instanceStatusSet>"
            "</DescribeInstanceStatusResponse>"
        )

    found, wire = asked(
        {"DescribeInstanceStatus": [statuses("i-1", "i-8"), statuses("i-2")]},
        lambda ec2: ec2.impaired(["i-1", "i-2", "i-3"]),
    )

    assert found == {"i-1", "i-2"}
    assert {r["Filter.1.Name"] for r in wire.sent} == {"instance-status.status", "system-status.status"}


# --- launches


def test_a_fleet_s_machines_are_read_before_its_errors_and_each_error_by_its_offering() -> None:
    made = gave("m6i.large", "a", "i-1", "i-2") + gave("m6a.large", "b", "i-3", echo_zone=False)
    errors = failed("m6a.large", "a", "InsufficientInstanceCapacity") + failed(
        "m6i.large", "b", "UnfulfillableCapacity"
    )
    answer, _ = asked(
        {"DescribeLaunchTemplateVersions": [stored(TEMPLATE)], "CreateFleet": [fleet(made, errors)]},
        lambda ec2: ec2.create_fleet(FLEET),
    )

    assert [(i.id, i.type, i.zone, i.subnet_id) for i in answer.instances] == [
        ("i-1", "m6i.large", "us-east-1a", "subnet-a1"),
        ("i-2", "m6i.large", "us-east-1a", "subnet-a1"),
        ("i-3", "m6a.large", "us-east-1b", "subnet-b1"),
    ]
    assert {(i.market, i.state, i.claim, i.role) for i in answer.instances} == {
        (Market.SPOT, "pending", "general-7", "client")
    }
    assert [(e.instance_type, e.zone, e.why) for e in answer.errors] == [
        ("m6a.large", "us-east-1a", Refusal.CAPACITY),
        ("m6i.large", "us-east-1b", Refusal.UNTRIED),
    ]


def launch_server(ec2: AwsEc2) -> Awaitable[Any]:
    return ec2.run_instance(SERVER, token="token-1", tags={TAG_CLAIM: "server-0-0"})


def launch_fleet(ec2: AwsEc2) -> Awaitable[Any]:
    return ec2.create_fleet(FLEET)


LAUNCHES = {"RunInstances": launch_server, "CreateFleet": launch_fleet}
AROUND: dict[str, list[Answer]] = {"DescribeLaunchTemplateVersions": [stored(TEMPLATE)], "DescribeImages": [IMAGE]}


@pytest.mark.parametrize("action", LAUNCHES)
@pytest.mark.parametrize(
    ("heard", "then"),
    [
        (LOST, OutcomeUnknownError),
        (says_no("InternalError", 500), OutcomeUnknownError),
        (says_no("Unavailable", 503), OutcomeUnknownError),
        (Says("<html>Bad gateway</html>", 502), OutcomeUnknownError),
        (Says("<html>cut of", 200), OutcomeUnknownError),
        (Says("<html>Please log in</html>", 200), OutcomeUnknownError),
        (says_no("RequestLimitExceeded", 503), UnansweredError),
        (says_no("InsufficientInstanceCapacity", 500), RefusedError),
        (says_no("UnauthorizedOperation", 403), RefusedError),
        (ConnectTimeoutError(endpoint_url="https://ec2"), UnansweredError),
        (EndpointConnectionError(endpoint_url="https://ec2"), UnansweredError),
    ],
    ids=str,
)
def test_a_launch_is_sent_once_whatever_is_heard(action: str, heard: Answer, then: type[Exception]) -> None:
    fault, wire = asked({**AROUND, action: [heard]}, LAUNCHES[action])

    assert isinstance(fault, then), fault
    assert wire.actions().count(action) == 1


@pytest.mark.parametrize("action", LAUNCHES)
def test_a_launch_whose_reply_was_lost_is_repeated_byte_for_byte_by_another_process(action: str) -> None:
    _, first = asked({**AROUND, action: [LOST]}, LAUNCHES[action])
    _, second = asked({**AROUND, action: [says_no("InternalError", 500)]}, LAUNCHES[action])

    sent = [w.bodies[w.actions().index(action)] for w in (first, second)]
    assert sent[0] == sent[1]
    assert b"ClientToken=token-1" in sent[0]


def test_a_fleet_s_template_is_read_once_and_again_when_ec2_says_that_it_is_gone() -> None:
    gone = says_no("InvalidLaunchTemplateName.NotFoundException")

    async def thrice(ec2: AwsEc2) -> list[Exception]:
        faults: list[Exception] = []
        for _ in range(3):
            try:
                await ec2.create_fleet(FLEET)
            except RefusedError as no:
                faults.append(no)
        return faults

    faults, wire = asked(
        {
            "DescribeLaunchTemplateVersions": [stored(TEMPLATE), gone],
            "CreateFleet": [fleet(gave("m6i.large", "a", "i-1")), gone],
        },
        thrice,
    )

    assert wire.actions() == [
        "DescribeLaunchTemplateVersions",
        "CreateFleet",
        "CreateFleet",
        "DescribeLaunchTemplateVersions",
    ]
    assert [f.why for f in faults] == [Refusal.INVALID, Refusal.INVALID]


def test_a_launch_waits_for_its_answer_when_its_caller_is_cancelled() -> None:
    """The request cannot be called back: its outcome must be heard."""
    wire = Wire({**AROUND, "RunInstances": [Says(f"<RunInstancesResponse><instancesSet>{an_instance(1)}"
                                                 "</instancesSet></RunInstancesResponse>")]})  # fmt: skip
    heard: list[str] = []

    async def cancelled() -> None:
        with anyio.CancelScope() as scope:
            await wire.ec2().template(TEMPLATE.name)
            scope.cancel()
            with anyio.CancelScope(shield=True):
                heard.append((await launch_server(wire.ec2())).id)

    run(cancelled)
    assert heard == ["i-1"]


# --- templates and images


def test_an_image_that_a_parameter_names_is_pinned_by_its_template() -> None:
    by_name = replace(SERVER, image_id="ssm:/images/nomad")
    _, wire = asked(
        {
            "DescribeLaunchTemplateVersions": [stored(SERVER)],
            "DescribeImages": [IMAGE],
            "RunInstances": [says_no("InsufficientInstanceCapacity", 500)],
        },
        lambda ec2: ec2.run_instance(by_name, token="t", tags={}),
    )

    assert wire.sent[-1]["ImageId"] == "ami-0123"


def test_nothing_is_launched_from_a_parameter_that_no_template_pinned() -> None:
    by_name = replace(SERVER, image_id="ssm:/images/nomad")
    fault, wire = asked(
        {"DescribeLaunchTemplateVersions": [says_no("InvalidLaunchTemplateName.NotFoundException")]},
        lambda ec2: ec2.run_instance(by_name, token="t", tags={}),
    )

    assert isinstance(fault, UnansweredError)
    assert "RunInstances" not in wire.actions()


@pytest.mark.parametrize(
    "answer",
    [says_no("InvalidAMIID.NotFound"), Says("<DescribeImagesResponse><imagesSet/></DescribeImagesResponse>")],
)
def test_an_image_that_is_not_there_is_refused_before_anything_is_made(answer: Answer) -> None:
    fault, wire = asked({"DescribeImages": [answer]}, lambda ec2: ec2.create_template("prod", TEMPLATE))

    assert isinstance(fault, RefusedError)
    assert fault.why is Refusal.SPECIFICATION
    assert "ami-0123" in str(fault)
    assert wire.actions() == ["DescribeImages"]


def test_deleting_a_template_that_is_gone_is_deleting_it() -> None:
    gone = says_no("InvalidLaunchTemplateName.NotFoundException")
    done, wire = asked({"DeleteLaunchTemplate": [gone]}, lambda ec2: ec2.delete_template("form-0"))

    assert done is None
    assert wire.sent[0]["LaunchTemplateName"] == "form-0"


def test_an_image_that_cannot_be_looked_up_means_that_nothing_happened() -> None:
    fault, _ = asked({"DescribeImages": [LOST]}, lambda ec2: ec2.create_template("prod", TEMPLATE))

    assert isinstance(fault, UnansweredError)


def test_the_volume_s_name_is_the_image_s_own() -> None:
    _, wire = asked({**AROUND, "RunInstances": [LOST]}, launch_server)

    assert wire.sent[-1]["BlockDeviceMapping.1.DeviceName"] == "/dev/xvda"
    assert RootVolume(device="/dev/xvda", gib=8).encrypted()["Ebs"]["VolumeSize"] == 8


# --- endings


ENDED = Says("<TerminateInstancesResponse><instancesSet/></TerminateInstancesResponse>")


def test_an_id_that_is_not_known_is_refused_after_the_others_were_ended() -> None:
    unknown = says_no("InvalidInstanceID.NotFound")
    fault, wire = asked({"TerminateInstances": [unknown, unknown, ENDED]}, lambda ec2: ec2.terminate(["i-1", "i-2"]))

    assert isinstance(fault, RefusedError)
    assert fault.why is Refusal.INVALID
    assert [[r.get(f"InstanceId.{n}") for n in (1, 2)] for r in wire.sent] == [
        ["i-1", "i-2"],
        ["i-1", None],
        ["i-2", None],
    ]


def test_a_protected_machine_is_refused_after_the_others_were_ended() -> None:
    no = says_no("OperationNotPermitted")
    fault, wire = asked(
        {"TerminateInstances": [no, no, ENDED]},
        lambda ec2: ec2.terminate(["i-1", "i-2"]),
    )

    assert isinstance(fault, RefusedError)
    assert "i-1" in str(fault)
    assert wire.sent[-1]["InstanceId.1"] == "i-2"


def test_machines_are_ended_a_hundred_at_a_time() -> None:
    ids = [f"i-{n}" for n in range(250)]
    _, wire = asked({"TerminateInstances": [ENDED]}, lambda ec2: ec2.terminate(ids))

    assert [sum(k.startswith("InstanceId.") for k in r) for r in wire.sent] == [100, 100, 50]


# --- spot prices


def prices(*rows: tuple[str, str, str, str]) -> Says:
    items = "".join(
        f"<item><instanceType>{kind}</instanceType><availabilityZone>{zone}</availabilityZone>"
        f"<spotPrice>{price}</spotPrice><timestamp>{at}</timestamp></item>"
        for kind, zone, price, at in rows
    )
    inside = f"<spotPriceHistorySet>{items}</spotPriceHistorySet>"
    return Says(f"<DescribeSpotPriceHistoryResponse>{inside}</DescribeSpotPriceHistoryResponse>")


A, B = "us-east-1a", "us-east-1b"
NOW = prices(("m6i.large", A, "0.031", "2026-01-05T09:00:00Z"))


def ask_prices(ec2: AwsEc2) -> Awaitable[Any]:
    return ec2.spot_prices(["m6i.large", "m6a.large"], [A])


def test_the_current_price_is_the_newest_and_a_market_without_a_row_has_none() -> None:
    rows = prices(
        ("m6i.large", A, "0.04", "2026-01-04T00:00:00Z"),
        ("m6i.large", A, "0.031", "2026-01-05T09:00:00Z"),
        ("m6i.large", B, "0.01", "2026-01-05T09:00:00Z"),
        ("t3.nano", A, "0.01", "2026-01-05T09:00:00Z"),
    )
    found, wire = asked({"DescribeSpotPriceHistory": [rows]}, ask_prices)

    assert found == {("m6i.large", A): 0.031}
    assert wire.sent[0]["StartTime"].startswith("2026-01-05T12:00:00")
    assert {wire.sent[0]["InstanceType.1"], wire.sent[0]["InstanceType.2"]} == {"m6i.large", "m6a.large"}


def at_times(ec2: AwsEc2, clock: list[datetime], *minutes: float) -> Callable[[], Awaitable[list[Any]]]:
    async def each() -> list[Any]:
        heard: list[Any] = []
        for after in minutes:
            clock[0] = NOON + timedelta(minutes=after)
            try:
                heard.append(await ask_prices(ec2))
            except UnansweredError:
                heard.append(None)
        return heard

    return each


def test_prices_are_asked_for_every_ten_minutes_and_kept_an_hour_through_silence() -> None:
    clock = [NOON]
    wire = Wire({"DescribeSpotPriceHistory": [NOW, says_no("UnauthorizedOperation", 403)]}, now=lambda: clock[0])
    heard = run(at_times(wire.ec2(), clock, 0, 5, 11, 12, 60, 71))
    price = {("m6i.large", A): 0.031}

    assert heard == [price, price, price, price, price, None]
    assert len(wire.sent) == 4
