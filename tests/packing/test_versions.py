"""Version and semver constraints agree with go-version, prereleases and ``~>`` included."""

from __future__ import annotations

import pytest

from reconciler.packing.versions import satisfies_semver, satisfies_version


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1.2.3", "= 1.2.3"),
        ("1.2.3", "1.2.3"),
        ("v1.2", "= 1.2.0"),
        ("1.2.3+meta", "= 1.2.3"),
        ("1.2.3", "!= 1.2.4"),
        ("1.10.0", "> 1.9"),
        ("1.2.3.4", "> 1.2.3"),
        ("1.2.3", "< 1.2.3.1"),
        ("2.0.5", ">= 1.0, < 3.0"),
        ("1.2.9", "~> 1.2.3"),
        ("1.9", "~> 1.2"),
        ("1.2.3-beta2", "> 1.2.3-beta1"),
        ("1.2.3-beta.10", "> 1.2.3-beta.9"),
        ("1.2.3", ">= 1.2.3-beta1"),
        ("1.2.3-beta1", "= 1.2.3-beta1"),
        ("1.2.3-beta1", "~> 1.2.3-alpha"),
        ("1.2.3-rc", "> 1.2.3-1"),  # words above numbers
        ("1.2.3-a.b", "< 1.2.3-a"),  # a missing part sorts above a word ...
        ("1.2.3-a.1", "> 1.2.3-a"),  # ... and below a number
        ("1.2.3-a", "< 1.2.3-a.1"),
        ("1.2.3-a", "> 1.2.3-a.b"),
    ],
)
def test_a_version_satisfies(left: str, right: str) -> None:
    assert satisfies_version(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1.2.3", "> 1.2.3"),
        ("1.3.0", "~> 1.2.3"),
        ("2.0", "~> 1.2"),
        ("1.2.2", "~> 1.2.3"),
        ("1.2.3-beta1", ">= 1.0"),  # a prerelease is never chosen by accident
        ("1.2.4-beta1", "> 1.2.3-beta1"),  # nor one of another base
        ("1.2.3", "~> 1.2.3-beta1"),  # a pessimistic prerelease takes prereleases only
        ("1.2.3", "~> 1.2.3.4"),
        ("1.3.0", "~> 1.2.3.4"),  # less specific than what is asked
        ("not-a-version", "> 1"),
        ("1.2.3", "> x"),
        ("1.2.3", ">> 1"),
        ("1.2.3", ""),
        ("9223372036854775808", "> 1"),
        ("1.2.3-beta1", "!= 1.2.3-beta1"),
        ("1.2.3-1", "> 1.2.3-rc"),
        ("1.2.3-2", "> 1.2.3-10"),
    ],
)
def test_a_version_does_not_satisfy(left: str, right: str) -> None:
    assert not satisfies_version(left, right)


@pytest.mark.parametrize(
    ("left", "right", "holds"),
    [
        ("1.3.0-beta1", ">= 1.2.0", True),  # prereleases simply sort below their release
        ("1.3.0-beta1", ">= 1.3.0", False),
        ("1.3.0", "> 1.3.0-beta1", True),
        ("1.3.0", "~> 1.2", False),  # not known to semver
        ("1.3.0", "= 1.3.0", True),
        ("1.3.0", "!= 1.3.0", False),
        ("1.3.0", "<= 1.3.0, >= 1.2", True),
        ("1.3.0", "< 1.3.0beta", False),  # malformed: no dash
    ],
)
def test_semver_orders_prereleases_and_refuses_the_pessimistic_operator(left: str, right: str, holds: bool) -> None:
    assert satisfies_semver(left, right) is holds
