"""Version comparison as Nomad's ``version`` and ``semver`` operators do it (source: go-version 1.x, facts §2.6).

Two grammars and two orders of checking: ``version`` is lenient about form and strict about prereleases (they match only
constraints that carry one of the same base), ``semver`` is the other way round and knows no ``~>``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_META = r"(?:\+(?P<meta>[0-9A-Za-z\-~]+(?:\.[0-9A-Za-z\-~]+)*))?"
_DOTTED = r"[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*"
_NUMBERS = r"v?(?P<numbers>[0-9]+(?:\.[0-9]+)*)"
_LENIENT = rf"{_NUMBERS}(?:-(?P<pre>[0-9]+{_DOTTED})|-?(?P<pre2>[A-Za-z\-~]+{_DOTTED}))?{_META}"
_STRICT = rf"{_NUMBERS}(?:-(?P<pre>[0-9]+{_DOTTED})|-(?P<pre2>[A-Za-z\-~]+{_DOTTED}))?{_META}"
_LENIENT_RE = re.compile(_LENIENT, re.ASCII)
_STRICT_RE = re.compile(_STRICT, re.ASCII)
_SPACE = r"[\t\n\f\r ]*"  # what \s is to Go
_VERSION_TERM = re.compile(rf"{_SPACE}(?P<op>~>|!=|>=|<=|=|>|<|){_SPACE}(?P<version>{_LENIENT}){_SPACE}", re.ASCII)
_SEMVER_TERM = re.compile(rf"{_SPACE}(?P<op>!=|>=|<=|=|>|<|){_SPACE}(?P<version>{_STRICT}){_SPACE}", re.ASCII)
_INT64 = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A parsed version: numbers padded to three, and how many were written (``~>`` asks)."""

    numbers: tuple[int, ...]
    written: int
    prerelease: str

    def compare(self, other: Version) -> int:
        """Order two versions, -1, 0 or 1; build metadata is left out, a prerelease sorts below its release."""
        width = max(len(self.numbers), len(other.numbers))
        mine = self.numbers + (0,) * (width - len(self.numbers))
        theirs = other.numbers + (0,) * (width - len(other.numbers))
        if mine != theirs:
            return -1 if mine < theirs else 1
        if self.prerelease == other.prerelease:
            return 0
        if not self.prerelease or not other.prerelease:
            return 1 if not self.prerelease else -1
        return _compare_prereleases(self.prerelease, other.prerelease)


@lru_cache(maxsize=4096)
def parse_version(text: str) -> Version | None:
    """Read a version, leniently; None for what is none."""
    return _read(_LENIENT_RE.fullmatch(text))


def satisfies_version(left: str, right: str) -> bool:
    """Tell whether version ``left`` satisfies each term of the comma list ``right``; garbage on a side is a no."""
    version, terms = parse_version(left), _terms(right, strict=False)
    return version is not None and terms is not None and all(_holds(version, op, asked) for op, asked in terms)


def satisfies_semver(left: str, right: str) -> bool:
    """Do as ``satisfies_version``, in SemVer's order and form: prereleases simply sort below."""
    version, terms = parse_version(left), _terms(right, strict=True)
    return version is not None and terms is not None and all(_ordered(version, op, asked) for op, asked in terms)


def _read(found: re.Match[str] | None) -> Version | None:
    if found is None:
        return None
    numbers = tuple(int(n) for n in found["numbers"].split("."))
    if any(n >= _INT64 for n in numbers):
        return None
    return Version(
        numbers=numbers + (0,) * (3 - len(numbers)),
        written=len(numbers),
        prerelease=found["pre2"] or found["pre"] or "",
    )


@lru_cache(maxsize=4096)
def _terms(text: str, *, strict: bool) -> tuple[tuple[str, Version], ...] | None:
    terms = []
    for term in text.split(","):
        found = (_SEMVER_TERM if strict else _VERSION_TERM).fullmatch(term)
        version = _read(found)
        if found is None or version is None:
            return None
        terms.append((found["op"] or "=", version))
    return tuple(terms)


def _holds(version: Version, op: str, asked: Version) -> bool:
    if op in {"=", "!="}:
        return _ordered(version, op, asked)
    if version.prerelease and not (asked.prerelease and version.numbers == asked.numbers):
        return False  # a prerelease is never chosen by accident
    if op == "~>":
        return _pessimistic(version, asked)
    return _ordered(version, op, asked)


def _ordered(version: Version, op: str, asked: Version) -> bool:
    order = version.compare(asked)
    match op:
        case "=":
            return order == 0
        case "!=":
            return order != 0
        case "<":
            return order < 0
        case "<=":
            return order <= 0
        case ">":
            return order > 0
        case _:
            return order >= 0


def _pessimistic(version: Version, asked: Version) -> bool:
    """``~> 1.2.3``: at least that, and all numbers that were written but the last stay."""
    if (asked.prerelease and not version.prerelease) or version.compare(asked) < 0:
        return False
    if len(asked.numbers) > len(version.numbers):
        return False
    fixed = asked.written - 1
    last = len(asked.numbers) - 1
    return version.numbers[:fixed] == asked.numbers[:fixed] and asked.numbers[last] <= version.numbers[last]


def _compare_prereleases(mine: str, theirs: str) -> int:
    left, right = mine.split("."), theirs.split(".")
    width = max(len(left), len(right))
    left, right = left + [""] * (width - len(left)), right + [""] * (width - len(right))
    return next(order for pair in zip(left, right, strict=True) if (order := _compare_parts(*pair)))


def _compare_parts(mine: str, theirs: str) -> int:
    """Order two parts, 0 for the same: numbers below words, a missing part below a number and above a word."""
    if mine == theirs:
        return 0
    if not mine:
        return -1 if _numeric(theirs) else 1
    if not theirs:
        return 1 if _numeric(mine) else -1
    if _numeric(mine) != _numeric(theirs):
        return -1 if _numeric(mine) else 1
    if _numeric(mine):
        return 1 if int(mine) > int(theirs) else -1
    return 1 if mine > theirs else -1


def _numeric(part: str) -> bool:
    return part.isascii() and part.lstrip("-").isdigit() and -_INT64 <= int(part) < _INT64
