"""Nomad's operators on two values, as facts §2.6 and the recorded scenario 014 have them."""

from __future__ import annotations

import pytest

from reconciler.packing.constraints import distinct_property_max, holds, wants_distinct_hosts


@pytest.mark.parametrize("operand", ["=", "==", "is"])
def test_equality_needs_both_values_and_the_same_text(operand: str) -> None:
    assert holds(operand, "r1", "r1")
    assert not holds(operand, "r1", "r2")
    assert not holds(operand, None, "")
    assert not holds(operand, "", None)


@pytest.mark.parametrize("operand", ["!=", "not"])
def test_a_missing_attribute_is_empty_and_so_satisfies_inequality(operand: str) -> None:
    assert holds(operand, None, "r1")
    assert not holds(operand, None, "")
    assert not holds(operand, "r1", "r1")


@pytest.mark.parametrize(
    ("left", "operand", "right"),
    [
        ("9", "<", "10"),  # numbers, not text
        ("10", "<=", "10"),
        ("-3", "<", "2"),
        ("+3", ">", "2"),
        ("1.5", ">", "1.25"),
        ("10", ">", "9.5"),  # one float makes both floats
        ("1e3", ">=", "999"),
        ("apple", "<", "banana"),
        ("b", ">=", "a"),
        ("10x", "<", "9x"),  # text: not both are numbers
        ("99999999999999999999", ">", "1"),  # beyond int64: floats
        (" 1", "<", "1"),  # Go takes no spaces in numbers: text
        ("1_0", ">", "1"),
    ],
)
def test_order_is_of_numbers_where_both_are_numbers_else_of_text(left: str, operand: str, right: str) -> None:
    assert holds(operand, left, right)


@pytest.mark.parametrize("operand", ["<", "<=", ">", ">="])
def test_order_with_a_missing_value_never_holds(operand: str) -> None:
    assert not holds(operand, None, "1")
    assert not holds(operand, "1", None)


def test_set_operators_compare_trimmed_items() -> None:
    assert holds("set_contains", "x, q ,z", "q,x")
    assert holds("set_contains_all", "x,q", " x")
    assert not holds("set_contains", "x,q", "x,y")
    assert holds("set_contains_any", "x,q", "y,q")
    assert not holds("set_contains_any", "x,q", "y,z")
    assert not holds("set_contains", None, "x")


def test_is_set_asks_for_presence_alone() -> None:
    assert holds("is_set", "", None)
    assert not holds("is_set", None, None)
    assert holds("is_not_set", None, None)
    assert not holds("is_not_set", "", None)


def test_version_operators_and_patterns_are_reached_through_their_words() -> None:
    assert holds("version", "1.2.3", ">= 1.2, < 2")
    assert holds("semver", "1.2.3", ">= 1.2.0")
    assert holds("regexp", "linux-5.4", r"^linux-\d")


def test_an_unknown_operator_is_false_and_distinct_ones_are_judged_elsewhere() -> None:
    assert not holds("frobnicates", "a", "a")
    assert holds("distinct_hosts", None, None)
    assert holds("distinct_property", None, None)


@pytest.mark.parametrize(
    ("text", "on"), [("", True), ("true", True), ("false", False), ("0", False), ("perhaps", True)]
)
def test_distinct_hosts_is_on_unless_it_says_a_clear_no(text: str, on: bool) -> None:
    assert wants_distinct_hosts(text) is on


@pytest.mark.parametrize(("text", "most"), [("", 1), ("3", 3), ("-1", None), ("many", None)])
def test_distinct_property_allows_one_copy_a_value_by_default(text: str, most: int | None) -> None:
    assert distinct_property_max(text) == most
