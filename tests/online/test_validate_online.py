"""What ``validate --online`` finds: a sound account and cluster, and each thing that may be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from providers.aws.clients import Clients
from providers.http import App
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.sandbox.doors import SandboxEc2, SandboxNomadDoor
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.wire.nomad import NomadWire
from reconciler.bootstrap.online import Reach, check, least_vcpus
from reconciler.cli.exits import ExitError
from reconciler.cli.online import exit_code, report
from schemas.checks import Check, Verdict
from schemas.document import ClusterGroup
from support.builders import a_group, a_pool
from support.whole_account import WholeAccount
from support.whole_world import Doors, a_world, form

Message = MutableMapping[str, Any]
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/interruptions"


def a_document(**spec: Any) -> ClusterGroup:
    """The demo's account, all of it used."""
    pool = a_pool(nodePool="gpu", capacity={"spotPercent": 50}, size={"min": 2, "max": 9})
    group = a_group(**{"pools": [pool], **spec})
    aws = group.spec.aws.model_copy(update={"interruption_queue": QUEUE})
    named = group.metadata.model_copy(update={"name": "demo"})
    return group.model_copy(update={"metadata": named, "spec": group.spec.model_copy(update={"aws": aws})})


def denying(*calls: str) -> Callable[[App], App]:
    """Put a Nomad before the wire whose token lacks rights: ``PUT /v1/node/`` and what begins so."""

    def before(app: App) -> App:
        async def answer(
            scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
        ) -> None:
            if f"{scope['method']} {scope['path']}".startswith(calls):
                await send({"type": "http.response.start", "status": 403, "headers": []})
                await send({"type": "http.response.body", "body": b"Permission denied"})
            else:
                await app(scope, receive, send)

        return answer

    return before if calls else lambda app: app


def looked(
    group: ClusterGroup | None = None,
    *,
    account: Callable[[WholeAccount], None] = lambda _: None,
    nomad: Callable[[App], App] = lambda app: app,
    formed: bool = True,
) -> tuple[Check, ...]:
    """Look at a world with three servers, broken as told."""
    world = a_world()

    async def work() -> tuple[Check, ...]:
        clock = LoopClock()
        if formed:
            await form(Doors(world, clock, SandboxEc2(world, clock), SandboxNomadDoor(world, clock)))
        whole = WholeAccount(Ec2Wire(world, clock))
        clients: Clients = whole.clients()
        account(whole)
        async with RealNomadDoor(NomadSettings(), app=nomad(NomadWire(world, clock)), chance=lambda: 0.0) as door:
            return await check(group or a_document(), Reach(door=door, clients=clients, now=clock.now, inline=True))

    return run_virtual(work, start=world.now)


def problems(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {check.what: check for check in checks if check.verdict is Verdict.PROBLEM}


def text(checks: tuple[Check, ...]) -> tuple[str, int]:
    out = StringIO()
    with redirect_stdout(out):
        try:
            report({"demo": checks}, "text")
        except ExitError as end:
            return out.getvalue(), end.code
    return out.getvalue(), 0


def golden_at(name: str) -> Path:
    return Path(__file__).parents[1] / "golden" / "online" / name


def test_a_sound_account_and_cluster_have_no_problem(golden: Callable[[Path, str], None]) -> None:
    printed, code = text(looked())

    golden(golden_at("sound.txt"), printed)
    assert code == 0


def test_three_things_broken_are_three_problems_with_what_mends_them(golden: Callable[[Path, str], None]) -> None:
    def broken(account: WholeAccount) -> None:
        account.denied = {"ec2:RunInstances"}

    subnets = [{"id": "subnet-a1", "zone": "us-east-1b"}, {"id": "subnet-b1", "zone": "us-east-1b"}]
    group = a_document()
    aws = group.spec.aws.model_validate({**group.spec.aws.model_dump(by_alias=True), "subnets": subnets})
    group = group.model_copy(update={"spec": group.spec.model_copy(update={"aws": aws})})

    printed, code = text(looked(group, account=broken, nomad=denying("PUT /v1/node/0")))

    golden(golden_at("three-broken.txt"), printed)
    assert code == 1


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        ("GET /v1/nodes", 'right node { policy = "read" }'),
        ("GET /v1/jobs", 'right namespace "*" { capabilities = ["list-jobs"] }'),
        ("GET /v1/evaluations", 'right namespace "*" { capabilities = ["read-job"] }'),
        ("GET /v1/node/pool/default", 'right node_pool "*" { policy = "read" }'),
        ("GET /v1/operator/scheduler", 'right operator { policy = "read" }'),
        ("PUT /v1/node/0", 'right node { policy = "write" }'),
        ("PUT /v1/agent/force-leave", 'right agent { policy = "write" }'),
        ("PUT /v1/node/pools", "node pool gpu"),
    ],
)
def test_a_right_that_is_missing_is_named_with_what_it_breaks(call: str, rule: str) -> None:
    found = problems(looked(nomad=denying(call)))

    assert list(found) == [rule]
    assert "breaks" in found[rule].found or "may not make it" in found[rule].found
    assert found[rule].mend


def test_a_bootstrap_token_that_is_nowhere_is_a_problem_and_the_other_one_need_do_less() -> None:
    group = a_document(nomad={"acl": True, "bootstrapToken": "env:NOWHERE"})

    checks = looked(group, nomad=denying("PUT /v1/agent/force-leave"))

    assert list(problems(checks)) == ["management token env:NOWHERE"]


def test_the_look_changes_nothing() -> None:
    """Neither in EC2 nor in Nomad: no launch, no drain, no record, no node pool."""
    world = a_world()

    async def work() -> tuple[bytes, bytes]:
        clock = LoopClock()
        await form(Doors(world, clock, SandboxEc2(world, clock), SandboxNomadDoor(world, clock)))
        clients = WholeAccount(Ec2Wire(world, clock)).clients()
        before = world.save()
        async with RealNomadDoor(NomadSettings(), app=NomadWire(world, clock), chance=lambda: 0.0) as door:
            await check(a_document(), Reach(door=door, clients=clients, now=clock.now, inline=True))
        return before, world.save()

    before, after = run_virtual(work, start=world.now)

    assert _held(before) == _held(after)


def _held(saved: bytes | str) -> Any:
    """Say what a world holds that somebody made."""
    state = json.loads(saved)
    cloud, nomad = state["ec2"], state["nomad"]
    return [
        sorted(cloud["instances"]),
        sorted(cloud["templates"]),
        len(cloud["fleets"]),
        sorted(nomad["pools"]),
        nomad["variables"],
    ]


@pytest.mark.parametrize(
    ("breaks", "what", "said"),
    [
        (lambda a: setattr(a, "role", None), "instance profile nomad-node", "there is none"),
        (lambda a: setattr(a, "spot_role", False), "service-linked role AWSServiceRoleForEC2Spot", "not made yet"),
        (
            lambda a: setattr(a, "quota", 4.0),
            "quota of on-demand standard vCPUs",
            "4, and the document runs 10 at least",
        ),
        (lambda a: setattr(a, "security_groups", ()), "security group sg-0123", "there is none in us-east-1"),
        (lambda a: a.denied.add("ec2:DescribeInstanceStatus"), "reading EC2", "denied: DescribeInstanceStatus"),
        (lambda a: a.denied.add("ec2:CreateLaunchTemplate"), "making launch templates", "denied"),
        (lambda a: a.denied.add("api:GetProducts"), "on-demand prices", "the shipped table would be used"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_in_the_account_is_found(breaks: Callable[[WholeAccount], None], what: str, said: str) -> None:
    found = problems(looked(account=breaks))

    assert list(found) == [what]
    assert said in found[what].found
    assert found[what].mend


def test_what_the_program_does_without_is_no_problem_when_it_may_not_be_looked_at() -> None:
    def broken(account: WholeAccount) -> None:
        account.denied = {"iam:GetInstanceProfile", "iam:GetRole", "ec2:DescribeSecurityGroups"}

    checks = looked(account=broken)

    assert not problems(checks)
    assert exit_code(checks) == 0
    assert {c.found for c in checks if c.verdict is Verdict.UNKNOWN} >= {"iam:GetRole is denied"}


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ({"x86_64": "ami-nowhere"}, "does not exist in us-east-1"),
        ({"x86_64": "ami-0456"}, "is for arm64, and the document says x86_64"),
        ({"x86_64": "ssm:/nowhere"}, "no such parameter"),
    ],
)
def test_an_image_that_will_not_do_is_found(images: dict[str, str], said: str) -> None:
    found = problems(looked(a_document(machine={"images": images})))

    assert said in found[f"image {images['x86_64']}"].found


def test_addresses_and_the_place_of_snapshots_are_looked_for() -> None:
    servers = {
        "elasticIps": ["eipalloc-1", "eipalloc-2", "eipalloc-3"],
        "snapshots": {"every": "1h", "to": "s3://backups/n"},
    }

    sound = {check.what: check for check in looked(a_document(servers=servers))}
    gone = problems(looked(a_document(servers=servers), account=lambda a: setattr(a, "bucket", False)))

    assert sound["snapshots s3://backups/n"].verdict is Verdict.OK
    assert sound["Elastic IP eipalloc-1"].found == "there is none in us-east-1"
    assert gone["snapshots s3://backups/n"].found == "there is no such bucket"


def test_an_account_that_does_not_answer_ends_with_69_and_is_asked_once() -> None:
    def broken(account: WholeAccount) -> None:
        account.broken = {"sts": EndpointConnectionError(endpoint_url="https://sts.us-east-1.amazonaws.com/")}

    checks = looked(account=broken)

    assert exit_code(checks) == 69
    assert [check.what for check in checks if check.at == "aws"] == ["credentials"]


def test_missing_credentials_are_a_problem_of_ours() -> None:
    def broken(account: WholeAccount) -> None:
        account.broken = {"sts": NoCredentialsError()}

    checks = looked(account=broken)

    assert exit_code(checks) == 1
    assert "AWS_PROFILE" in problems(checks)["credentials"].mend


def test_a_nomad_that_does_not_answer_ends_with_69() -> None:
    async def nobody(*_: object) -> None:
        raise ConnectionRefusedError("connection refused")

    checks = looked(nomad=lambda _: nobody)

    assert exit_code(checks) == 69
    assert [c.silent for c in checks if c.at == "nomad"] == [True] * 3


def test_without_servers_yet_there_is_nobody_to_ask_and_that_is_no_problem() -> None:
    checks = looked(formed=False)

    assert not problems(checks)
    assert checks[0].what == "address"


def test_the_vcpus_of_a_document_at_its_least_are_counted_by_quota() -> None:
    pool = a_pool(size={"min": 4, "max": 9}, capacity={"spotPercent": 50, "onDemandBase": 2})
    servers = {"count": 5, "instanceTypes": ["m6i.xlarge"]}

    assert least_vcpus(a_group(servers=servers, pools=[pool])) == {
        ("standard", "on-demand"): 5 * 4 + 3 * 2,
        ("standard", "spot"): 1 * 2,
    }
