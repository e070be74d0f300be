"""What YAML means here, and where in the text things stand."""

from __future__ import annotations

import pytest

from schemas.document.reader import core_value, read, value_of
from support.documents import SMALL, group_of, loaded, told


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("12", 12),
        ("-3", -3),
        ("+7", 7),
        ("0", 0),
        ("012", "012"),
        ("1_000", "1_000"),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e", "1e"),
        (".inf", ".inf"),
        ("2026-11-21", "2026-11-21"),
        ("12:30", "12:30"),
        ("2.0.5", "2.0.5"),
        ("-", "-"),
        ("9" * 40, "9" * 40),
    ],
)
def test_plain_scalars_are_read_by_the_core_schema(text: str, value: object) -> None:
    found = core_value(text)

    assert found == value
    assert type(found) is type(value)


def test_quotes_make_text_of_anything() -> None:
    (root,), ended = read("a: '12'\nb: \"true\"\nc: |\n  12\nd: !!str 12\ne: ! 12\n", lambda *_: None)

    assert ended is None
    assert value_of(root) == {"a": "12", "b": "true", "c": "12\n", "d": "12", "e": "12"}


@pytest.mark.parametrize(
    "flow", ["{address: https://nomad.internal:4646, region: eu}", "{address: http://10.0.0.1:4646}"]
)
def test_a_url_needs_no_quotes_between_braces(flow: str) -> None:
    """libyaml does not know that; the text is then read by the slower parser."""
    address = group_of(SMALL + f"  nomad: {flow}\n").spec.nomad.address

    assert address is not None
    assert address.endswith(":4646")


def test_problems_keep_their_places_when_the_slower_parser_reads() -> None:
    lines = "  servers: {count: 4, count: 4, replaceAfter: 5}\n"

    assert told(SMALL + "  nomad: {address: http://a:1}\n" + lines) == told(
        SMALL + '  nomad: {address: "http://a:1"}\n' + lines
    )


def test_an_anchored_value_is_a_value_like_any_other() -> None:
    group = group_of(
        SMALL
        + """\
  servers: {acceptDataLossRisk: &no false, count: &three 3}
  pools:
    - &general
      name: general
      size: &size {min: *three, max: 9}
      capacity: {fallbackToOnDemand: *no}
    - <<: *general
      name: other
      nodePool: other
      size: {<<: *size, max: 5}
"""
    )
    one, other = group.spec.pools

    assert (one.size.min, one.size.max) == (3, 9)
    assert (other.size.min, other.size.max) == (3, 5)
    assert other.capacity == one.capacity
    assert one.capacity.fallback_to_on_demand is False


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("  servers:\n    count: 4\n", "13:12: spec.servers.count"),  # a value, where it stands
        ("  servers:\n    count:\n      4\n", "13:5: spec.servers.count"),  # on a line of its own: its key
        ("  servers:\n    cuont: 3\n", "13:5: spec.servers.cuont"),  # an unknown key, itself
        ("  pools:\n    - size:\n        min: 1\n", "13:7: spec.pools[0].name"),  # missing in a list's item: the item
        ("  nomad:\n    tls:\n      ca: ssm:/a\n      cert: ssm:/b\n", "13:5: spec.nomad.tls.key"),  # the parent's key
        ("  pools:\n    - {name: a, headroom: [{units: 1, cpuMHz: x}]}\n", "13:47: spec.pools[0].headroom[0].cpuMHz"),
        ("  pools:\n    - {name: a, headroom: {units: 1, cpuMHz: x}}\n", "13:46: spec.pools[0].headroom.cpuMHz"),
        ("  pools: [{name: a, size: {max: 0}}]\n", "12:21: spec.pools[0].size.min"),  # by default: near what is written
    ],
)
def test_a_problem_stands_where_a_person_would_look(lines: str, place: str) -> None:
    assert any(line.startswith(f"{place}: ") for line in told(SMALL + lines)), told(SMALL + lines)


def test_columns_count_characters_and_not_bytes() -> None:
    text = SMALL.replace("name: small", "name: small, labels: {řeka: Žižkov}, x: 1")
    (problem,) = loaded(text).problems

    assert (problem.line, problem.column) == (3, text.splitlines()[2].index("x: 1") + 1)


def test_checks_run_beside_other_mistakes_and_are_silent_about_what_they_cannot_know() -> None:
    """The count is checked although replaceAfter is wrong; min against max is not, for max could not be read."""
    problems = told(
        SMALL + "  servers: {count: 4, replaceAfter: 1}\n  pools: [{name: a, size: {min: 60, max: many}}]\n"
    )

    assert [line.split(": ")[1] for line in problems] == [
        "spec.servers.count",
        "spec.servers.replaceAfter",
        "spec.pools[0].size.max",
    ]


def test_a_misspelt_key_is_one_fault_and_not_also_a_missing_one() -> None:
    assert len(told(SMALL.replace("region:", "regoin:"))) == 1
    assert len(told(SMALL.replace("images:", "image:") + "  servers: {}\n  pools: [{name: a}]\n")) == 1


def test_no_secret_is_repeated_in_a_message() -> None:
    secret = "cg8StVXbQJ0gPvMd9o7yrg=="  # noqa: S105 # looks like one, and is none
    tls = f"{{ca: '{secret}', cert: ['{secret}'], key: 1}}"
    text = SMALL + (
        f"  nomad: {{gossipKey: '{secret}', bootstrapToken: '{secret}', tls: {tls}}}\n"
        f"  servers: {{machine: {{agentConfig: {{server: {{encrypt: '{secret}'}}}}}}}}\n"
    )

    assert len(told(text)) >= 6
    assert not any(secret[:8] in line for line in told(text))
