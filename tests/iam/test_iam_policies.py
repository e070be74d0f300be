"""The policies allow what the program does for a document, and nothing more."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.loaders import Loader

from providers.aws.clients import Clients
from reconciler.iam import machine_policy, nomad_policy, reconciler_policy
from reconciler.iam.policy import MANAGED_MOST
from reconciler.machine import pool_template, server_template
from schemas.document import ClusterGroup
from schemas.document.load import load
from support.booted import files_of
from support.builders import GROUP, a_catalogue, a_group, a_pool
from support.typed import ROOT, reconcile_here

ROOMS = ("aws", "ec2", "events", "prices", "snapshots")
"""Where the program talks to AWS."""

CALLED_OTHERWISE = {"sqs:DeleteMessageBatch": "sqs:DeleteMessage", "s3:ListObjectsV2": "s3:ListBucket"}
NAMED_OTHERWISE = {"secrets": "secretsmanager"}
BESIDE = {"iam", "service-quotas", "sts"}
"""Services that only the look before the first launch asks."""
"""Operations whose right has another name."""

NOT_CALLED = {"ec2:CreateTags", "iam:PassRole", "iam:CreateServiceLinkedRole"}
"""Rights that a call needs beside its own name."""

TLS = {"ca": "ssm:/tls/ca", "cert": "ssm:/tls/cert", "key": "secretsmanager:tls-key"}
EVERYTHING: dict[str, Any] = {
    "nomad": {"gossipKey": "ssm:/gossip", "tls": TLS, "acl": True, "bootstrapToken": "secretsmanager:nomad/first"},
    "machine": {
        "images": {"x86_64": "ssm:/aws/service/debian/amd64/latest", "arm64": "ami-0456"},
        "agentConfig": {"source": "s3://configs/agent.hcl", "sha256": "a" * 64},
    },
    "servers": {
        "elasticIps": ["eipalloc-1", "eipalloc-2", "eipalloc-3"],
        "snapshots": {"every": "1h", "to": "s3://backups/nomad"},
    },
    "pools": [a_pool(nodePool="gpu", capacity={"spotPercent": 50})],
}
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/notices"


def everything() -> ClusterGroup:
    group = a_group(**EVERYTHING)
    aws = group.spec.aws.model_copy(update={"interruption_queue": QUEUE})
    return group.model_copy(update={"spec": group.spec.model_copy(update={"aws": aws})})


def without_servers(**spec: Any) -> ClusterGroup:
    group = a_group(**spec)
    return group.model_copy(update={"spec": group.spec.model_copy(update={"servers": None})})


@cache
def operations() -> dict[str, set[str]]:
    """By the name of a method of boto3, the actions that it may be."""
    named = {NAMED_OTHERWISE.get(name, name) for name in vars(Clients) if not name.startswith("_")}
    services = sorted((named | BESIDE) & set(Loader().list_available_services("service-2")))
    found: dict[str, set[str]] = {}
    for service in services:
        for operation in Loader().load_service_model(service, "service-2")["operations"]:
            found.setdefault(xform_name(operation), set()).add(f"{service.replace('-', '')}:{operation}")
    return found


def called(rooms: Sequence[str] = ROOMS) -> set[str]:
    """The actions that the providers call, read from their source."""
    found: set[str] = set()
    for path in (path for room in rooms for path in (ROOT / "providers" / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="requests"))):
                    continue  # it writes a request, and sends none
                case ast.Call(func=ast.Attribute(attr="get_paginator"), args=[ast.Constant(value=str(name))]):
                    found |= operations()[name]
                case ast.Attribute(value=value, attr=name) if not isinstance(value, ast.Name) or value.id == "client":
                    found |= operations().get(name, set())
                case _:
                    pass
    return {CALLED_OTHERWISE.get(action, action) for action in found}


def actions(group: ClusterGroup) -> set[str]:
    return set(reconciler_policy(group).actions)


def test_what_the_providers_call_is_what_the_policy_of_everything_allows() -> None:
    """Whoever adds a call adds its right in ``reconciler/iam/reconciler.py``; whoever removes one takes it away."""
    assert actions(everything()) - NOT_CALLED == called()


def test_the_page_of_the_look_outside_names_the_rights_that_only_it_needs() -> None:
    page = (ROOT / "docs" / "reference" / "validate-online.md").read_text(encoding="utf-8")
    paragraph = page.split("Rights that only this look needs")[1].split("\n\n")[0]
    free = {"sts:GetCallerIdentity"}  # everybody may ask who he is

    assert set(re.findall(r"`(\w+:\w+)`", paragraph)) == called(["online"]) - actions(everything()) - free


@pytest.mark.parametrize(
    ("group", "missing"),
    [
        (a_group(pools=[a_pool()]), {"ec2:AssociateAddress", "ec2:DescribeAddresses"}),
        (a_group(pools=[a_pool()]), {"s3:PutObject", "s3:ListBucket", "secretsmanager:GetSecretValue"}),
        (a_group(pools=[a_pool()]), {"sqs:ReceiveMessage", "sqs:DeleteMessage", "ssm:GetParameter"}),
        (a_group(), {"ec2:CreateFleet", "ec2:DescribeSpotPriceHistory", "iam:CreateServiceLinkedRole"}),
        (without_servers(pools=[a_pool()]), {"ec2:ModifyInstanceAttribute"}),
    ],
)
def test_a_document_that_asks_for_less_needs_less(group: ClusterGroup, missing: set[str]) -> None:
    assert not actions(group) & missing
    assert missing <= actions(everything())


LOOKS = "DescribeInstance|DescribeLaunchTemplates|DescribeSpot|DescribeSubnets|DescribeAddresses"


@pytest.mark.parametrize("mode", ["observe", "paused"])
def test_a_document_for_which_nothing_is_done_needs_no_right_to_do_anything(mode: str) -> None:
    group = everything()
    group = group.model_copy(update={"spec": group.spec.model_copy(update={"mode": mode})})

    ours = actions(group) - {"sqs:ReceiveMessage", "sqs:DeleteMessage"}  # a service empties its queue all the same
    assert all(re.match(f"ec2:({LOOKS})|pricing:Get|secretsmanager:Get", action) for action in ours)
    assert "write" not in nomad_policy(group)
    assert ours == set(reconciler_policy(everything(), looks=True).actions)
    assert nomad_policy(group) == nomad_policy(everything(), looks=True)


def test_without_an_instance_profile_no_role_is_passed() -> None:
    group = a_group()
    bare = group.spec.aws.model_copy(update={"instance_profile": ""})

    assert "iam:PassRole" in actions(group)
    assert "iam:PassRole" not in actions(group.model_copy(update={"spec": group.spec.model_copy(update={"aws": bare})}))


def test_the_role_of_spot_instances_is_made_only_for_documents_with_spot() -> None:
    def roles(percent: int) -> str:
        group = a_group(pools=[a_pool(capacity={"spotPercent": percent})])
        return json.dumps(reconciler_policy(group).plain())

    assert "spot.amazonaws.com" in roles(10)
    assert "spot.amazonaws.com" not in roles(0)
    assert "spot-instances-request" not in roles(0)


def test_whatever_is_made_changed_or_ended_carries_the_tag_of_the_group() -> None:
    """Only reads, inputs of the document, and what IAM or other services own, go without."""
    reads, inputs = {"Look", "Prices", "ImageParameters"}, {"LaunchFrom", "ServerAddresses"}
    others = {"PassRole", "ServiceRoles", "InterruptionQueue", "Snapshots", "ListSnapshots", "BootstrapToken"}
    free = reads | inputs | others
    for statement in reconciler_policy(everything()).statements:
        tagged = any(
            key.endswith("Tag/nomad-reconciler:cluster") and value == GROUP
            for keys in statement.conditions.values()
            for key, value in keys.items()
        )
        assert tagged is (statement.sid not in free), statement.sid


def test_resources_are_those_of_the_document() -> None:
    by_sid = {s.sid: s for s in reconciler_policy(everything(), account="210987654321").statements}

    assert by_sid["InterruptionQueue"].resources == ("arn:aws:sqs:eu-west-1:123456789012:notices",)
    assert by_sid["ImageParameters"].resources == ("arn:aws:ssm:us-east-1::parameter/aws/service/debian/amd64/latest",)
    assert by_sid["PassRole"].resources == ("arn:aws:iam::210987654321:role/nomad-node",)
    assert by_sid["Snapshots"].resources == (f"arn:aws:s3:::backups/nomad/{GROUP}-*",)
    assert by_sid["BootstrapToken"].resources == (
        "arn:aws:secretsmanager:us-east-1:210987654321:secret:nomad/first-??????",
    )
    assert "arn:aws:ec2:us-east-1:210987654321:subnet/subnet-a1" in by_sid["LaunchFrom"].resources
    assert "arn:aws:ec2:us-east-1:210987654321:security-group/sg-0123" in by_sid["LaunchFrom"].resources


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_other_parts_of_aws_have_names_of_their_own(region: str, partition: str) -> None:
    group = a_group()
    aws = group.spec.aws.model_copy(update={"region": region})
    policy = reconciler_policy(group.model_copy(update={"spec": group.spec.model_copy(update={"aws": aws})}))

    named = {resource for statement in policy.statements for resource in statement.resources} - {"*"}
    assert all(resource.startswith(f"arn:{partition}:") for resource in named)


def test_the_machines_may_fetch_exactly_what_their_user_data_names() -> None:
    group = everything()
    texts = [server_template(group, "x86_64").user_data]
    texts += [pool_template(group, pool, "x86_64", a_catalogue().values()).user_data for pool in group.spec.pools]
    wanted = {f["from"] for t in texts for f in json.loads(files_of(t)["/etc/nomad-reconciler/fetch.json"])["files"]}

    allowed = {s.sid: s.resources for s in machine_policy(group, account="1" * 12).statements}

    here = "us-east-1:111111111111"
    assert wanted == {"ssm:/tls/ca", "ssm:/tls/cert", "secretsmanager:tls-key", "ssm:/gossip", "s3://configs/agent.hcl"}
    assert allowed == {
        "FindServers": ("*",),
        "Parameters": tuple(f"arn:aws:ssm:{here}:parameter/{name}" for name in ("gossip", "tls/ca", "tls/cert")),
        "Secrets": (f"arn:aws:secretsmanager:{here}:secret:tls-key-??????",),
        "Objects": ("arn:aws:s3:::configs/agent.hcl",),
    }


def test_machines_that_look_for_nobody_and_fetch_nothing_need_no_rights() -> None:
    assert machine_policy(without_servers(pools=[a_pool(join=["10.0.0.1"])])).statements == ()


def test_the_examples_fit_into_managed_policies() -> None:
    for path in sorted((ROOT / "specs").rglob("*.yaml")):
        for one in load(path.read_bytes(), file=str(path), catalogue=a_catalogue()).groups:
            assert reconciler_policy(one.group).size <= MANAGED_MOST, path


@pytest.mark.parametrize("part", ["reconciler", "machines", "nomad"])
def test_the_policies_of_the_production_example(part: str, golden: Any) -> None:
    typed = reconcile_here("iam", "-f", "specs/examples/production.yaml", "--only", part, "--account", "123456789012")

    assert typed.code == 0
    suffix = "hcl" if part == "nomad" else "json"
    golden(Path(__file__).parents[1] / "golden" / "iam" / f"production-{part}.{suffix}", typed.out)


def test_a_namespace_with_a_rule_of_its_own_keeps_the_rights_of_all() -> None:
    """In Nomad a rule by name replaces that of ``*``: the journal's namespace must still be observed."""
    policy = nomad_policy(a_group(pools=[a_pool()]), namespace="ops")

    assert policy.count('capabilities = ["list-jobs", "read-job", "plan-job", "alloc-lifecycle"]') == 2
    assert 'namespace "ops"' in policy


def test_what_the_bootstrap_token_does_the_other_token_need_not() -> None:
    snapshots = {"snapshots": {"every": "1h", "to": "/var/backups"}}
    alone = nomad_policy(a_group(servers=snapshots))
    beside = nomad_policy(a_group(servers=snapshots, nomad={"acl": True, "bootstrapToken": "env:TOKEN"}))

    assert "agent {" in alone
    assert "snapshot-save" in alone
    assert "agent {" not in beside
    assert "snapshot-save" not in beside


def test_a_document_of_servers_alone_may_write_to_no_node() -> None:
    assert 'policy = "read"' in nomad_policy(a_group()).split("node {")[1].split("}")[0]
    assert "alloc-lifecycle" not in nomad_policy(a_group())
