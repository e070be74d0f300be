"""What a look before the first launch found: each thing ok, or what is wrong with it and how to mend that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"  # it could not be looked at, and the program does without


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    at: str  # "nomad", "aws"
    what: str
    verdict: Verdict
    found: str
    mend: str = ""  # how to mend it; of what is ok: nothing
    silent: bool = False  # nobody answered


def ok(at: str, what: str, found: str) -> Check:
    """Say that something is as it should be."""
    return Check(at=at, what=what, verdict=Verdict.OK, found=found)


def problem(at: str, what: str, found: str, mend: str, *, silent: bool = False) -> Check:
    """Say what is wrong."""
    return Check(at=at, what=what, verdict=Verdict.PROBLEM, found=found, mend=mend, silent=silent)


def unknown(at: str, what: str, found: str, mend: str = "") -> Check:
    """Say that something could not be looked at."""
    return Check(at=at, what=what, verdict=Verdict.UNKNOWN, found=found, mend=mend)
