"""Our policies are policies to somebody else: moto refuses what IAM's grammar does not allow."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from reconciler.iam import machine_policy, reconciler_policy
from schemas.document.load import load
from support.aws_account import no_account
from support.builders import a_catalogue
from support.typed import ROOT

__all__ = ["no_account"]

pytestmark = pytest.mark.xdist_group("moto")


@pytest.mark.parametrize("path", sorted((ROOT / "specs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_iam_s_grammar_takes_the_policies_of_the_examples(path: Path) -> None:
    groups = load(path.read_bytes(), file=str(path), catalogue=a_catalogue()).groups
    with mock_aws():
        iam = boto3.client("iam")
        for number, one in enumerate(groups):
            for policy in (reconciler_policy(one.group), machine_policy(one.group)):
                if policy.statements:
                    document = json.dumps(policy.plain())
                    iam.create_policy(PolicyName=f"p{number}-{len(document)}", PolicyDocument=document)


def test_iam_s_grammar_refuses_something() -> None:
    """Or the test above would prove nothing."""
    with mock_aws(), pytest.raises(ClientError, match="MalformedPolicyDocument"):
        boto3.client("iam").create_policy(
            PolicyName="p", PolicyDocument=json.dumps({"Statement": [{"Effect": "Allow"}]})
        )
