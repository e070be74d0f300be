"""Which devices of a node meet what a task asks for (facts §2.4): names, and attributes with units."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reconciler.packing.constraints import holds
from schemas.world import DeviceAsk, DeviceGroup

_NUMBER = re.compile(r"(?P<number>[+-]?[0-9]+(?:\.[0-9]+)?)[ \t]*(?P<unit>[A-Za-z/]*)", re.ASCII)
_UNITS: Mapping[str, tuple[str, float]] = {  # unit → what it measures, in its smallest unit
    **{f"{p}iB": ("bytes", 1024.0**n) for n, p in enumerate("KMGTPE", 1)},
    **{f"{p}B": ("bytes", 1000.0**n) for n, p in enumerate("kMGTPE", 1)},
    **{f"{p}iB/s": ("bytes/s", 1024.0**n) for n, p in enumerate("KMGTPE", 1)},
    **{f"{p}B/s": ("bytes/s", 1000.0**n) for n, p in enumerate("kMGTPE", 1)},
    "MHz": ("hertz", 1e6),
    "GHz": ("hertz", 1e9),
    "mW": ("watt", 1e-3),
    "W": ("watt", 1.0),
    "kW": ("watt", 1e3),
    "MW": ("watt", 1e6),
    "GW": ("watt", 1e9),
    "": ("", 1.0),
}


def matches(group: DeviceGroup, ask: DeviceAsk) -> bool:
    """Tell whether devices of this kind are what is asked for, whatever their number."""
    parts = ask.name.split("/", 2)
    named = (group.type,) if len(parts) == 1 else (group.vendor, group.type, group.name)[: len(parts)]
    if tuple(parts) != named:
        return False
    return all(_holds(c.operand, _resolve(c.left, group), _resolve(c.right, group)) for c in ask.constraints)


def shortage(groups: Sequence[DeviceGroup], asks: Sequence[DeviceAsk]) -> str | None:
    """Say which ask these healthy devices, all free, cannot meet; None when they meet all of them together."""
    free = {key(g): g.count for g in groups}
    for ask in sorted(asks, key=lambda a: (-a.name.count("/"), a.name)):
        found = next((g for g in groups if free[key(g)] >= ask.count and matches(g, ask)), None)
        if found is None:
            kinds = ", ".join(f"{g.count} {key(g)}" for g in groups) or "none"
            return f"asks for {ask.count} {ask.name}, has {kinds}"
        free[key(found)] -= ask.count
    return None


def key(group: DeviceGroup) -> str:
    """Name a kind of device: ``vendor/type/name``."""
    return f"{group.vendor}/{group.type}/{group.name}"


def type_of(name: str) -> str:
    """Give the type in a device's name or in an ask."""
    parts = name.split("/", 2)
    return parts[0] if len(parts) == 1 else parts[1]


def _resolve(target: str, group: DeviceGroup) -> str | None:
    if not target.startswith("${"):
        return target
    match target:
        case "${device.model}":
            return group.name
        case "${device.vendor}":
            return group.vendor
        case "${device.type}":
            return group.type
    return group.attributes.get(target[14:].removesuffix("}")) if target.startswith("${device.attr.") else None


def _holds(operand: str, left: str | None, right: str | None) -> bool:
    """Compare two device attributes: numbers in their units, the rest as any constraint does."""
    if operand in {"!=", "not"}:
        if left is None or right is None:
            return left is not right
        order = _compare(left, right)
        return order is not None and order != 0
    if operand in {"<", "<=", ">", ">=", "=", "==", "is"}:
        if left is None or right is None or (order := _compare(left, right)) is None:
            return False
        return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}.get(operand, order == 0)
    return holds(operand, left, right)


def _compare(left: str, right: str) -> int | None:
    """Order two attributes; None when they measure different things."""
    mine, theirs = _quantity(left), _quantity(right)
    if mine is None and theirs is None:
        return (left > right) - (left < right)
    if mine is None or theirs is None or mine[0] != theirs[0]:
        return None
    return (mine[1] > theirs[1]) - (mine[1] < theirs[1])


def _quantity(text: str) -> tuple[str, float] | None:
    found = _NUMBER.fullmatch(text.strip())
    if found is None or found["unit"] not in _UNITS:
        return None
    kind, factor = _UNITS[found["unit"]]
    return kind, float(found["number"]) * factor
