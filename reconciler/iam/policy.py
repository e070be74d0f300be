"""An IAM policy as a value: statements, the names of resources in them, and the JSON that IAM takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

VERSION: Final = "2012-10-17"
ANY: Final = "*"
MANAGED_MOST: Final = 6144
"""Characters that IAM takes in a managed policy, white space left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where resources are: the region, and the account where it is known (else any: the policy's own account)."""

    region: str
    account: str = ANY

    @property
    def partition(self) -> str:
        """Name the part of AWS that the region is in."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def arn(self, service: str, resource: str, *, region: bool = True, account: bool = True) -> str:
        """Name a resource; some services leave out region or account."""
        where = self.region if region else ""
        whose = self.account if account else ""
        return f"arn:{self.partition}:{service}:{where}:{whose}:{resource}"

    def ec2(self, *resources: str) -> tuple[str, ...]:
        """Name resources of EC2; images and their snapshots belong to nobody's account there."""
        return tuple(self.arn("ec2", r, account=not r.startswith(("image/", "snapshot/"))) for r in resources)

    def parameter(self, name: str) -> str:
        """Name a parameter by its path; those below ``/aws/`` are public, in no account."""
        return self.arn("ssm", f"parameter/{name.lstrip('/')}", account=not name.startswith("/aws/"))

    def secret(self, name: str) -> str:
        """Name a secret: Secrets Manager adds a hyphen and six characters of its own to the name it was given."""
        return name if name.startswith("arn:") else self.arn("secretsmanager", f"secret:{name}-??????")

    def bucket(self, name: str) -> str:
        """Name a bucket, or objects in it."""
        return self.arn("s3", name, region=False, account=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What is allowed, on what, under which conditions, and what it is for."""

    sid: str
    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = (ANY,)
    conditions: Mapping[str, Mapping[str, str | Sequence[str]]] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Write it as IAM does; a list of one is its only item."""
        said: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": _listed(sorted(self.actions)),
            "Resource": _listed(self.resources),
        }
        if self.conditions:
            said["Condition"] = {
                operator: {key: value if isinstance(value, str) else _listed(value) for key, value in keys.items()}
                for operator, keys in self.conditions.items()
            }
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy document; without statements nothing is needed."""

    statements: tuple[Statement, ...] = ()

    @property
    def actions(self) -> frozenset[str]:
        """All actions that it allows."""
        return frozenset(action for statement in self.statements for action in statement.actions)

    def plain(self) -> dict[str, Any]:
        """Write it as IAM takes it."""
        return {"Version": VERSION, "Statement": [statement.plain() for statement in self.statements]}

    @property
    def size(self) -> int:
        """Characters as IAM counts them for a managed policy."""
        return len("".join(json.dumps(self.plain()).split()))


def _listed(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
