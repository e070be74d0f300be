from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from schemas.document import format_duration, parse_duration
from support.documents import SMALL, group_of, told

YEAR = 366 * 86400


@given(st.integers(1, YEAR))
def test_a_duration_reads_back_as_it_was_written(seconds: int) -> None:
    value = timedelta(seconds=seconds)

    assert parse_duration(format_duration(value)) == value


@given(st.from_regex(r"([0-9]{1,3}d)?([0-9]{1,3}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?", fullmatch=True))
def test_what_is_written_again_means_the_same(text: str) -> None:
    try:
        value = parse_duration(text)
    except PydanticCustomError:
        return

    assert parse_duration(format_duration(value)) == value
    assert format_duration(parse_duration(format_duration(value))) == format_duration(value)


@pytest.mark.parametrize(
    ("text", "seconds", "canonical"),
    [
        ("1s", 1, "1s"),
        ("90s", 90, "1m30s"),
        ("1h30m", 5400, "1h30m"),
        ("90m", 5400, "1h30m"),
        ("24h", 86400, "1d"),
        ("1d1s", 86401, "1d1s"),
        ("366d", YEAR, "366d"),
    ],
)
def test_units_add_up(text: str, seconds: int, canonical: str) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert format_duration(timedelta(seconds=seconds)) == canonical


@pytest.mark.parametrize(
    "text", ["", "0s", "5", "5 m", "-5m", "1m1h", "1.5h", "500ms", "1w", "367d", "1h 30m", "\u0665m", "9" * 30 + "s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        parse_duration(text)


def test_a_bare_number_is_refused_with_what_to_write() -> None:
    (problem,) = told(SMALL + "  servers: {replaceAfter: 300}\n")

    assert 'write "300s" for seconds, "300m" for minutes' in problem


def test_a_second_is_long_enough_everywhere() -> None:
    """People test with short timers: unwise is a warning, never an error."""
    group = group_of(
        SMALL
        + """\
  servers: {replaceAfter: 1s, registrationTimeout: 1s}
  pools:
    - name: general
      scaleDown: {period: 1s, cooldown: 1s}
      drain: {deadline: 1s}
      registration: {timeout: 1s}
  disruption: {canary: {soak: 1s}}
"""
    )

    assert group.spec.pools[0].registration.timeout == timedelta(seconds=1)
