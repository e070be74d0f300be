"""The look at a token's rights, held against a real Nomad with ACLs."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.online.nomad import NomadWanted, check_nomad
from reconciler.iam import nomad_policy
from schemas.checks import Check, Verdict
from support.builders import GROUP, NOON, a_group, a_pool
from support.guarded_nomad import Guarded, asked, nomad
from support.real_nomad import needs_nomad

__all__ = ["nomad"]

pytestmark = [needs_nomad, pytest.mark.xdist_group("real nomad with acl")]

DOCUMENT = a_group(pools=[a_pool(nodePool="gpu")])
WANTED = NomadWanted(group=GROUP, version="2.0.5", namespace="default", servers=True, node_pools=("gpu",))
POLICY = nomad_policy(DOCUMENT)


def looked(nomad: Guarded, rules: str) -> dict[str, Check]:
    async def work() -> tuple[Check, ...]:
        async with RealNomadDoor(NomadSettings(token=nomad.token(rules))) as door:
            return await check_nomad(door.channel([nomad.address]), WANTED, lambda: NOON)

    return {check.what: check for check in anyio.run(work)}


def wrong(checks: dict[str, Check]) -> set[str]:
    """Name what is not ok, but for the clock, which is a test's, and raft's calls, which no policy grants."""
    return {what for what, check in checks.items() if check.verdict is not Verdict.OK} - {"clock", "management token"}


def test_the_least_policy_is_enough_and_the_look_makes_nothing(nomad: Guarded) -> None:
    checks = looked(nomad, POLICY)

    assert not wrong(checks)
    assert checks["version"].found == "servers run 2.0.5"
    assert checks["node pool gpu"].found == "not there yet: will be made"
    pools = asked(nomad.address, "GET", "/v1/node/pools", token=nomad.management)
    assert {pool["Name"] for pool in pools} == {"all", "default"}
    assert asked(nomad.address, "GET", "/v1/vars", token=nomad.management) == []


def test_a_clock_that_is_far_off_is_found(nomad: Guarded) -> None:
    """The test's own: it is always noon of the same day."""
    check = looked(nomad, POLICY)["clock"]

    assert check.verdict is Verdict.PROBLEM
    assert "behind theirs" in check.found


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        ('node_pool "*"', {'right node_pool "*" { policy = "read" }'}),
        ('node_pool "gpu"', {"node pool gpu"}),
        ("agent", {'right agent { policy = "write" }'}),
        ("operator", {'right operator { policy = "read" }'}),
        (
            'namespace "*"',
            {
                'right namespace "*" { capabilities = ["list-jobs"] }',
                'right namespace "*" { capabilities = ["read-job"] }',
            },
        ),
        (
            'namespace "default"',
            {
                f'right variables "nomad-reconciler/{GROUP}/*" in namespace "default": {way}'
                for way in ("read", "write")
            },
        ),
    ],
)
def test_each_missing_rule_is_named(nomad: Guarded, rule: str, missing: set[str]) -> None:
    rest = "\n\n".join(block for block in POLICY.split("\n\n") if f"{rule} {{" not in block)

    assert wrong(looked(nomad, rest)) == missing


@pytest.mark.parametrize(("good", "found"), [(True, "may take server steps"), (False, "is none")])
def test_the_management_token_of_the_document_is_tried(nomad: Guarded, good: bool, found: str) -> None:
    wanted = replace(WANTED, management="env:TOKEN")

    async def work() -> tuple[Check, ...]:
        plain, secret = nomad.token(POLICY), nomad.management if good else nomad.token(POLICY)
        async with (
            RealNomadDoor(NomadSettings(token=plain)) as door,
            RealNomadDoor(NomadSettings(token=secret)) as managing,
        ):
            where = [nomad.address]
            return await check_nomad(door.channel(where), wanted, lambda: NOON, managing=managing.channel(where))

    checks = {check.what: check for check in anyio.run(work)}

    assert found in checks["management token env:TOKEN"].found
    assert 'right agent { policy = "write" }' not in checks


def test_a_token_that_may_only_read_nodes_is_told_to_be_given_write(nomad: Guarded) -> None:
    rest = POLICY.replace('node {\n  policy = "write"', 'node {\n  policy = "read"')

    assert wrong(looked(nomad, rest)) == {'right node { policy = "write" }'}
