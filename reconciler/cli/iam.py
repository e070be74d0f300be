"""``reconcile iam``: the least rights that each document needs, at AWS and at Nomad."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from reconciler.cli.gather import documents_of
from reconciler.cli.options import Given
from reconciler.cli.show.plain import print_plain, print_text
from reconciler.cli.streams import tell
from reconciler.iam import Place, Policy, machine_policy, needs_management, nomad_policy, reconciler_policy, role_of
from reconciler.iam.policy import ANY, MANAGED_MOST
from schemas.document import ClusterGroup

NOTHING = "# nothing: no rights are needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What one group needs."""

    name: str
    reconciler: Policy
    machines: Policy
    nomad: str
    notes: tuple[str, ...]


def iam(given: Given, *, part: str | None, account: str | None, role: str | None, namespace: str, looks: bool) -> None:
    """Print the policies of every group; ``part``: of one group only this one, ready to be piped on."""
    if account is not None and not re.fullmatch(r"\d{12}", account):
        raise click.UsageError(f"--account {account}: an account is named by twelve digits")
    groups = [document.group for document in documents_of(given)]
    if part is not None and len(groups) > 1:
        names = ", ".join(group.metadata.name for group in groups)
        raise click.UsageError(f"--only prints the policy of one group: choose it with --group ({names})")
    rights = [_rights(group, account or ANY, role, namespace, looks=looks) for group in groups]
    if part is not None:
        for note in rights[0].notes:
            tell(f"note: {note}")
        print_text(_document(getattr(rights[0], part)))
    elif given.output == "text":
        print_text("\n\n".join(_text(one) for one in rights))
    else:
        print_plain({"groups": [_plain(one) for one in rights]}, given.output)


def _rights(group: ClusterGroup, account: str, role: str | None, namespace: str, *, looks: bool) -> Rights:
    return Rights(
        name=group.metadata.name,
        reconciler=reconciler_policy(group, account=account, role=role, looks=looks),
        machines=machine_policy(group, account=account),
        nomad=nomad_policy(group, namespace=namespace, looks=looks),
        notes=tuple(_notes(group, account, role, looks=looks)),
    )


def _notes(group: ClusterGroup, account: str, role: str | None, *, looks: bool) -> Iterator[str]:
    """Say what a policy alone cannot."""
    policy = reconciler_policy(group, account=account, role=role, looks=looks)
    if not looks and group.spec.mode != "enforce":
        yield f"with mode: {group.spec.mode} nothing is done, and so little is needed; enforce needs more"
    if account == ANY:
        yield "accounts are any (*): in a policy of one account that is this account; --account names it"
    if "iam:PassRole" in policy.actions and role is None:
        arn = role_of(group.spec.aws.instance_profile, Place(region=group.spec.aws.region, account=account))
        yield f"the role in aws.instanceProfile is taken to be {arn.rpartition('/')[2]}; --role names another"
    if not group.spec.aws.instance_profile and machine_policy(group).statements:
        yield "aws.instanceProfile is not set: the machines have no role, and cannot do what is listed for them"
    if any(action in machine_policy(group).actions for action in ("ssm:GetParameter", "secretsmanager:GetSecretValue")):
        yield "what is encrypted with a key of your own also needs kms:Decrypt on that key"
    if needs_management(group):
        yield "with ACLs, server steps (raft peers, leadership) need a management token: set nomad.bootstrapToken"
    if policy.size > MANAGED_MOST:
        yield f"the reconciler's policy has {policy.size} characters; a managed policy holds {MANAGED_MOST}: split it"


def _text(rights: Rights) -> str:
    sections = (
        ("IAM policy of the reconciler", "reconciler"),
        ("IAM policy of the machines' role", "machines"),
        ("Nomad ACL policy of the reconciler", "nomad"),
    )
    bodies = [f"# {rights.name}: {title}\n{_document(getattr(rights, part))}" for title, part in sections]
    return "\n\n".join([*bodies, *([_said(rights.notes)] if rights.notes else [])])


def _said(notes: tuple[str, ...]) -> str:
    return "\n".join(f"# Note: {note}" for note in notes)


def _document(policy: Policy | str) -> str:
    if isinstance(policy, str):
        return policy.rstrip("\n")
    return json.dumps(policy.plain(), indent=2) if policy.statements else NOTHING


def _plain(rights: Rights) -> dict[str, Any]:
    return {
        "name": rights.name,
        "reconciler": rights.reconciler.plain(),
        "machines": rights.machines.plain(),
        "nomad": rights.nomad,
        "why": {
            part: {statement.sid: statement.why for statement in policy.statements}
            for part, policy in (("reconciler", rights.reconciler), ("machines", rights.machines))
        },
        "notes": rights.notes,
    }
