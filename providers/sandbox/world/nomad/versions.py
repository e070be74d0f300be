"""Versions and their bounds as HashiCorp's go-version reads them, and strict SemVer ordering beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_LOOSE = re.compile(
    r"v?(\d+(?:\.\d+)*)(?:-(\d+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*)|(-?([A-Za-z\-~]+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*)))?"
    r"(?:\+([0-9A-Za-z\-~]+(?:\.[0-9A-Za-z\-~]+)*))?\??"
)
_BOUND = re.compile(r"\s*(=|!=|>=|<=|>|<|~>|)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Version:
    """Numbers (at least three), how many of them were written, and the prerelease."""

    numbers: tuple[int, ...]
    written: int
    prerelease: str


@lru_cache(maxsize=4096)
def parse_version(text: str) -> Version | None:
    """Read a version loosely; None when it is none."""
    found = _LOOSE.fullmatch(text)
    if found is None:
        return None
    numbers = tuple(int(n) for n in found[1].split("."))
    padded = numbers + (0,) * (3 - len(numbers))
    return Version(padded, len(numbers), found[2] or found[4] or "")


def compare(a: Version, b: Version) -> int:
    """Order two versions: -1, 0, 1. A prerelease sorts below its release."""
    width = max(len(a.numbers), len(b.numbers))
    left = a.numbers + (0,) * (width - len(a.numbers))
    right = b.numbers + (0,) * (width - len(b.numbers))
    if left != right:
        return 1 if left > right else -1
    if a.prerelease == b.prerelease:
        return 0
    if not a.prerelease or not b.prerelease:
        return -1 if a.prerelease else 1
    return _compare_prerelease(a.prerelease.split("."), b.prerelease.split("."))


def _compare_prerelease(a: list[str], b: list[str]) -> int:
    for left, right in zip(a, b, strict=False):
        if left == right:
            continue
        if left.isdigit() and right.isdigit():
            return 1 if int(left) > int(right) else -1
        if left.isdigit() != right.isdigit():
            return -1 if left.isdigit() else 1
        return 1 if left > right else -1
    return (len(a) > len(b)) - (len(a) < len(b))


@dataclass(frozen=True, slots=True)
class Bound:
    """One part of a constraint such as ``>= 1.2``."""

    operator: str
    version: Version
    strict: bool

    def allows(self, version: Version) -> bool:
        """Whether ``version`` keeps this bound."""
        sign = compare(version, self.version)
        match self.operator:
            case "=" | "":
                return sign == 0
            case "!=":
                return sign != 0
            case ">":
                return self._comparable(version) and sign > 0
            case "<":
                return self._comparable(version) and sign < 0
            case ">=":
                return self._comparable(version) and sign >= 0
            case "<=":
                return self._comparable(version) and sign <= 0
            case _:
                return self._pessimistic(version)

    def _comparable(self, version: Version) -> bool:
        """A prerelease is compared only with a prerelease of the same base (not by SemVer)."""
        if self.strict:
            return True
        if bool(version.prerelease) and bool(self.version.prerelease):
            return version.numbers == self.version.numbers
        return not version.prerelease or bool(self.version.prerelease)

    def _pessimistic(self, version: Version) -> bool:
        """``~> 1.2.3``: the last written number may grow."""
        low = self.version
        if not self._comparable(version) or (low.prerelease and not version.prerelease):
            return False
        if compare(version, low) < 0 or low.written > len(version.numbers):
            return False
        if version.numbers[: low.written - 1] != low.numbers[: low.written - 1]:
            return False
        return low.numbers[low.written - 1] <= version.numbers[low.written - 1]


def parse_bounds(text: str, *, strict: bool) -> tuple[Bound, ...] | None:
    """Read a comma list of bounds; None when one of them is none. SemVer has no ``~>``."""
    bounds = []
    for part in text.split(","):
        found = _BOUND.fullmatch(part)
        if found is None or (strict and found[1] == "~>"):
            return None
        version = parse_version(found[2])
        if version is None:
            return None
        bounds.append(Bound(found[1], version, strict))
    return tuple(bounds)
