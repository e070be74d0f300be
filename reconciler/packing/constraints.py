"""Nomad's constraint operators on two resolved values (facts §2.6): what is missing, a number, a set."""

from __future__ import annotations

import re
from typing import TypeVar

from reconciler.packing.regexps import search_re2
from reconciler.packing.versions import satisfies_semver, satisfies_version

DISTINCT = frozenset({"distinct_hosts", "distinct_property"})
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64 = 2**63
_T = TypeVar("_T", int, float, bytes)
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def holds(operand: str, left: str | None, right: str | None) -> bool:
    """Tell whether ``left operand right`` is true; None is a value that was not found, and for ``!=`` it is "".

    The distinct operators are judged over nodes, not here: they hold.
    """
    match operand:
        case "distinct_hosts" | "distinct_property":
            return True
        case "!=" | "not":
            return (left or "") != (right or "")
        case "is_set":
            return left is not None
        case "is_not_set":
            return left is None
    if left is None or right is None:
        return False
    match operand:
        case "=" | "==" | "is":
            return left == right
        case "<" | "<=" | ">" | ">=":
            return _ordered(operand, left, right)
        case "version":
            return satisfies_version(left, right)
        case "semver":
            return satisfies_semver(left, right)
        case "regexp":
            return search_re2(right, left)
        case "set_contains" | "set_contains_all":
            return _items(right) <= _items(left)
        case "set_contains_any":
            return bool(_items(right) & _items(left))
        case _:
            return False


def parse_bool(text: str) -> bool | None:
    """Read a boolean as Go does; None for what is none."""
    return True if text in _TRUE else False if text in _FALSE else None


def wants_distinct_hosts(right: str) -> bool:
    """Tell whether a ``distinct_hosts`` constraint is on: it is, unless its value is a clear no."""
    return parse_bool(right) is not False


def distinct_property_max(right: str) -> int | None:
    """How many copies may share a value of the property, by default 1; None when the constraint can never hold."""
    if not right:
        return 1
    return int(right) if right.isascii() and right.isdigit() else None


def _items(text: str) -> set[str]:
    return {item.strip() for item in text.split(",")}


def _ordered(operand: str, left: str, right: str) -> bool:
    """Compare as whole numbers where both are, else as floats where both are, else as text."""
    integers = _integer(left), _integer(right)
    if integers[0] is not None and integers[1] is not None:
        return _compare(operand, integers[0], integers[1])
    floats = _float(left), _float(right)
    if floats[0] is not None and floats[1] is not None:
        return _compare(operand, floats[0], floats[1])
    return _compare(operand, left.encode(), right.encode())  # bytewise, as Go compares strings


def _compare(operand: str, left: _T, right: _T) -> bool:
    match operand:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right


def _integer(text: str) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -_INT64 <= number < _INT64 else None


def _float(text: str) -> float | None:
    if text != text.strip() or "_" in text:
        return None  # Python takes more than Go does
    try:
        return float(text)
    except ValueError:
        return None
