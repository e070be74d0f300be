"""Who we are at AWS, the roles that a document needs there, and the quotas that bound it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from providers.online.account import AT, Account, No, Silence, not_told
from providers.online.clock import clock
from schemas.checks import Check, ok, problem

ON_DEMAND, SPOT = "on-demand", "spot"
_QUOTAS: Final = {
    "standard": ("L-1216C47A", "L-34B43A08"),
    "G and VT": ("L-DB2E81BA", "L-3819A6DF"),
    "P": ("L-417A185B", "L-7212CCBC"),
    "X": ("L-7295265B", "L-E3A00192"),
    "Inf": ("L-1945791B", "L-B5D1601B"),
}
"""Codes of the quotas of running vCPUs: (on-demand, spot)."""


def quota_class(instance_type: str) -> str | None:
    """Name the class whose quota bounds a type; None: one that is not looked at."""
    family = instance_type.partition(".")[0]
    if re.match(r"inf\d", family):
        return "Inf"
    first = re.match(r"[a-z]+", family)
    kinds = {"g": "G and VT", "vt": "G and VT", "gr": "G and VT", "p": "P", "x": "X"}
    kind = kinds.get(first[0] if first else "")
    if kind is not None:
        return kind
    return "standard" if family[:1] in set("acdhimrtz") and not re.match(r"(dl|mac|hpc|trn)", family) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """vCPUs that a document runs at least, by quota."""

    kind: str
    market: str
    vcpus: int


async def check_identity(account: Account, now: Callable[[], datetime]) -> list[Check]:
    """Say who we are, and compare clocks; a silence here is one for all that follows."""
    what = "credentials"
    try:
        answer = await account.ask(lambda: account.clients.beside("sts").get_caller_identity())
    except Silence as error:
        if error.asked:
            return [not_told(what, error, right="sts:GetCallerIdentity", ours=False)]
        return [problem(AT, what, str(error), "set AWS_PROFILE, or run where there is a role")]
    except No as no:
        if no.code in {"SignatureDoesNotMatch", "RequestExpired"}:
            return [problem(AT, what, str(no), "set this machine's clock, or the right secret key")]
        if no.code in {"ExpiredToken", "InvalidClientTokenId", "ExpiredTokenException"}:
            return [problem(AT, what, str(no), "these credentials have expired, or never were: get others")]
        return [not_told(what, no, right="sts:GetCallerIdentity", ours=False)]
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    apart = clock(AT, date, now())
    return [ok(AT, what, answer.get("Arn", "")), *([apart] if apart else [])]


async def check_profile(account: Account, profile: str) -> list[Check]:
    """Look at the instance profile and its role; the program itself never does."""
    if not profile:
        return []
    name, what = profile.rpartition("/")[2], f"instance profile {profile}"
    try:
        answer = await account.ask(lambda: account.clients.beside("iam").get_instance_profile(InstanceProfileName=name))
    except No as no:
        if no.code == "NoSuchEntity":
            return [problem(AT, what, "there is none", "make it, with the policy of `reconcile iam --only machines`")]
        return [not_told(what, no, right="iam:GetInstanceProfile", ours=False)]
    except Silence as error:
        return [not_told(what, error, right="iam:GetInstanceProfile", ours=False)]
    roles = [role["RoleName"] for role in answer["InstanceProfile"].get("Roles", ())]
    if not roles:
        return [problem(AT, what, "holds no role", "add one, with the policy of `reconcile iam --only machines`")]
    note = "" if roles[0] == name else f"; `reconcile iam --role {roles[0]}`"
    return [ok(AT, what, f"its role is {roles[0]}{note}")]


async def check_service_role(account: Account, service: str, role: str) -> list[Check]:
    """Look whether a role that EC2 makes for itself is there."""
    what = f"service-linked role {role}"
    try:
        await account.ask(lambda: account.clients.beside("iam").get_role(RoleName=role))
    except No as no:
        if no.code == "NoSuchEntity":
            mend = f"aws iam create-service-linked-role --aws-service-name {service}"
            return [problem(AT, what, "not made yet: the first launch may fail meanwhile", mend)]
        return [not_told(what, no, right="iam:GetRole", ours=False)]
    except Silence as error:
        return [not_told(what, error, right="iam:GetRole", ours=False)]
    return [ok(AT, what, "there")]


async def check_quotas(account: Account, needs: Mapping[tuple[str, str], int]) -> list[Check]:
    """Compare quotas with the vCPUs that a document runs at least, by (class, market)."""
    checks: list[Check] = []
    for (kind, market), vcpus in sorted(needs.items()):
        if kind not in _QUOTAS:
            continue
        what, code = f"quota of {market} {kind} vCPUs", _QUOTAS[kind][market == SPOT]
        try:
            quota = await account.ask(lambda code=code: _quota(account, code))  # type: ignore[misc]
        except (No, Silence) as error:
            checks.append(not_told(what, error, right="servicequotas:GetServiceQuota", ours=False))
            continue
        if quota < vcpus:
            mend = f"ask for a higher quota {code} (Service Quotas, EC2), or name smaller types"
            checks.append(problem(AT, what, f"{quota:g}, and the document runs {vcpus} at least", mend))
        else:
            checks.append(ok(AT, what, f"{quota:g}; the document runs {vcpus} at least"))
    return checks


def _quota(account: Account, code: str) -> float:
    client: Any = account.clients.beside("service-quotas")
    return float(client.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])
