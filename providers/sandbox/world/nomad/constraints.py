"""Whether a condition on a node holds (source: facts/nomad.md §2.6, ``scheduler/feasible/feasible.go``)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache

from providers.sandbox.world.nomad.jobspec import DISTINCT_HOSTS, DISTINCT_PROPERTY
from providers.sandbox.world.nomad.node import Device, Node
from providers.sandbox.world.nomad.versions import Bound, parse_bounds, parse_version


def resolve(target: str, node: Node) -> tuple[str, bool]:
    """Read a constraint's side: the text, and whether it was found."""
    if not target.startswith("${"):
        return target, True
    plain = {
        "${node.unique.id}": node.id,
        "${node.datacenter}": node.datacenter,
        "${node.unique.name}": node.name,
        "${node.class}": node.node_class,
        "${node.pool}": node.node_pool,
    }.get(target)
    if plain is not None:
        return plain, True
    for prefix, table in (("${attr.", node.attributes), ("${meta.", node.meta)):
        if target.startswith(prefix):
            return _look(table, target[len(prefix) :].removesuffix("}"))
    return "", False


def resolve_device(target: str, device: Device) -> tuple[str, bool]:
    """Read a device constraint's side."""
    if not target.startswith("${"):
        return target, True
    plain = {
        "${device.ids}": ",".join(i.id for i in device.instances),
        "${device.model}": device.name,
        "${device.vendor}": device.vendor,
        "${device.type}": device.type,
    }.get(target)
    if plain is not None:
        return plain, True
    if target.startswith("${device.attr."):
        return _look(device.attributes, target[len("${device.attr.") :].removesuffix("}"))
    return "", False


def _look(table: Mapping[str, str], key: str) -> tuple[str, bool]:
    value = table.get(key)
    return ("", False) if value is None else (value, True)


def holds(operand: str, left: tuple[str, bool], right: tuple[str, bool]) -> bool:
    """Apply an operand to two sides, each a text and whether it was found."""
    (lval, lfound), (rval, rfound) = left, right
    both = lfound and rfound
    match operand:
        case "=" | "==" | "is":
            return both and lval == rval
        case "!=" | "not":
            return lval != rval
        case "<" | "<=" | ">" | ">=":
            return both and _ordered(operand, lval, rval)
        case "is_set":
            return lfound
        case "is_not_set":
            return not lfound
        case "version":
            return both and _version_matches(lval, rval, strict=False)
        case "semver":
            return both and _version_matches(lval, rval, strict=True)
        case "regexp":
            return both and _search(rval, lval)
        case "set_contains" | "set_contains_all":
            return both and _items(rval) <= _items(lval)
        case "set_contains_any":
            return both and not _items(rval).isdisjoint(_items(lval))
        case _:
            return operand in (DISTINCT_HOSTS, DISTINCT_PROPERTY)  # judged elsewhere, over allocations


def _items(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))


_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)


def _ordered(operand: str, left: str, right: str) -> bool:
    """Compare as integers, else as floats, else as texts."""
    if _INTEGER.fullmatch(left) and _INTEGER.fullmatch(right):
        return _compare(operand, _sign(int(left), int(right)))
    if _FLOAT.fullmatch(left) and _FLOAT.fullmatch(right):
        a, b = float(left), float(right)
        return not (math.isnan(a) or math.isnan(b)) and _compare(operand, _sign(a, b))
    a_bytes, b_bytes = left.encode(), right.encode()  # Go orders texts by bytes
    return _compare(operand, (a_bytes > b_bytes) - (a_bytes < b_bytes))


def _sign(a: float, b: float) -> int:
    return (a > b) - (a < b)


def _compare(operand: str, sign: int) -> bool:
    match operand:
        case "<":
            return sign < 0
        case "<=":
            return sign <= 0
        case ">":
            return sign > 0
        case _:
            return sign >= 0


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(re.sub(r"\\z", r"\\Z", text))
    except re.error:
        return None


def _search(pattern: str, text: str) -> bool:
    found = _pattern(pattern)
    return found is not None and found.search(text) is not None


@lru_cache(maxsize=1024)
def _bounds(text: str, *, strict: bool) -> tuple[Bound, ...] | None:
    return parse_bounds(text, strict=strict)


def _version_matches(left: str, right: str, *, strict: bool) -> bool:
    version = parse_version(left)
    bounds = _bounds(right, strict=strict)
    if version is None or bounds is None:
        return False
    return all(b.allows(version) for b in bounds)
