"""What is legal but unwise is a warning with its reason; never an error."""

from __future__ import annotations

import pytest

from support.documents import SMALL, warned

PLAINTEXT = ("spec.nomad.gossipKey", "spec.nomad.tls")
ONE_ZONE = SMALL.replace("      - {id: subnet-b1, zone: us-east-1b}\n      - {id: subnet-c1, zone: us-east-1c}\n", "")
TWO_ZONES = SMALL.replace("      - {id: subnet-c1, zone: us-east-1c}\n", "")


def _unwise(text: str) -> list[str]:
    return [line for line in warned(text) if not any(path in line for path in PLAINTEXT)]


def _pool(lines: str) -> str:
    return SMALL + f"  pools:\n    - name: general\n      {lines}\n"


def test_plaintext_is_told_with_what_it_opens() -> None:
    gossip, tls = warned(SMALL + "  servers: {}\n")

    assert gossip.startswith("4:1: spec.nomad.gossipKey: gossip between the servers is not encrypted")
    assert tls.startswith("4:1: spec.nomad.tls: TLS is off")


def test_without_servers_of_ours_gossip_is_not_ours() -> None:
    assert [line.split(": ")[1] for line in warned(SMALL + "  pools: [{name: a}]\n")] == ["spec.nomad.tls"]


def test_one_zone_is_all_eggs_in_a_basket() -> None:
    (warning,) = _unwise(ONE_ZONE + "  servers: {}\n")

    assert warning.startswith("7:5: spec.aws.subnets: all machines are in us-east-1a")
    assert "quorum" in warning
    assert "quorum" not in _unwise(ONE_ZONE + "  pools: [{name: a}]\n")[0]


def test_two_zones_do_not_hold_a_quorum_of_three() -> None:
    assert "when the zone with more of them fails, quorum is lost" in _unwise(TWO_ZONES + "  servers: {}\n")[0]
    assert _unwise(TWO_ZONES + "  pools: [{name: a}]\n") == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (SMALL + "  servers: {registrationTimeout: 29s}\n", "spec.servers.registrationTimeout"),
        (SMALL + "  servers: {replaceAfter: 1s}\n", "spec.servers.replaceAfter"),
        (_pool("registration: {timeout: 20s}"), "spec.pools[0].registration.timeout"),
        (_pool("scaleDown: {period: 5s, periods: 5}"), "spec.pools[0].scaleDown.period"),
        (SMALL + "  servers: {}\n  disruption: {canary: {soak: 9s}}\n", "spec.disruption.canary.soak"),
    ],
)
def test_timers_shorter_than_nomads_own_patience_are_told(text: str, path: str) -> None:
    assert any(
        f"{path}: is " in line and "shorter than the 30s in which Nomad notices a dead agent" in line
        for line in _unwise(text)
    )


def test_timers_as_long_as_nomads_patience_are_fine() -> None:
    assert _unwise(SMALL + "  servers: {registrationTimeout: 30s}\n") == []
    assert _unwise(_pool("registration: {timeout: 30s}")) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("size: {min: 0, max: 0}", "is 0: the pool never has a machine"),
        ("size: {max: 401}", "is 401, but limits.maxNodes stops all pools together at 400"),
        (
            "size: {desired: 5}\n      headroom: {units: 1, cpuMHz: 1000}",
            "has no effect: size.desired pins the pool at 5",
        ),
        (
            "size: {max: 2}\n      instances: {types: [m6i.large]}\n      headroom: {units: 20, memoryMiB: 1024}",
            "20 units need 3 of the largest allowed machines, size.max is 2",
        ),
    ],
)
def test_numbers_that_defeat_each_other_are_told(lines: str, said: str) -> None:
    (warning,) = _unwise(_pool(lines))

    assert said in warning


def test_least_sizes_that_cost_more_than_allowed_are_told() -> None:
    text = (
        _pool("size: {min: 100, max: 100}\n      instances: {types: [m6i.4xlarge]}") + "  limits: {maxHourlyCost: 50}\n"
    )
    (warning,) = _unwise(text)

    assert "is 50, but the pools' least sizes alone may cost $76.80 an hour" in warning


def test_a_group_of_nothing_is_told() -> None:
    assert any("neither servers nor pools" in line for line in _unwise(SMALL))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (_pool("scaleDown: {enabled: false}"), "spec.pools[0].scaleDown.enabled"),
        (_pool("drain: {batch: keep}"), "spec.pools[0].drain.batch"),
        (_pool("interruption: {onRebalance: ignore}"), "spec.pools[0].interruption.onRebalance"),
        (SMALL + "  servers: {}\n  disruption: {maxUnavailablePercent: 20}\n", "spec.disruption.maxUnavailablePercent"),
        (SMALL + "  servers: {}\n  disruption: {canary: {above: 5}}\n", "spec.disruption.canary.above"),
    ],
)
def test_what_nobody_reads_yet_is_told_to_have_no_effect(text: str, path: str) -> None:
    assert any(f" {path}: not implemented yet: no effect" in line for line in _unwise(text)), _unwise(text)
