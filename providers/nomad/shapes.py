"""Nomad's lists as typed shapes: only what we read, unknown fields ignored; what has no default must be there.

Null and absent mean the same (facts nomad §1.1), so everything that may be empty is ``X | None = None``.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from providers.http import Answer

T = TypeVar("T")


class HalfAnswerError(msgspec.ValidationError):
    """It decodes, and yet it is not the whole answer of a server that knows."""


class NodeStub(msgspec.Struct):
    """One of ``GET /v1/nodes``."""

    ID: str
    ModifyIndex: int
    Status: str


class GroupCounts(msgspec.Struct):
    """A group in a job's summary."""

    Queued: int = 0


class Summary(msgspec.Struct):
    """A job's summary."""

    Summary: dict[str, GroupCounts] | None = None


class JobStub(msgspec.Struct):
    """One of ``GET /v1/jobs``."""

    ID: str
    Namespace: str
    Type: str
    Status: str
    JobModifyIndex: int
    ModifyIndex: int
    SubmitTime: int = 0
    Priority: int = 50
    NodePool: str = "default"
    Datacenters: list[str] | None = None
    ParentID: str = ""
    Periodic: bool = False
    ParameterizedJob: bool = False
    Stop: bool = False
    JobSummary: Summary | None = None

    @property
    def queued(self) -> dict[str, int]:
        """Copies that could not be placed, by group."""
        groups = (self.JobSummary.Summary if self.JobSummary else None) or {}
        return {name: counts.Queued for name, counts in groups.items()}


class AllocationStub(msgspec.Struct):
    """One of ``GET /v1/allocations?resources=true``, its resources still text."""

    ID: str
    Namespace: str
    NodeID: str
    JobID: str
    TaskGroup: str
    DesiredStatus: str
    ClientStatus: str
    ModifyIndex: int
    AllocatedResources: msgspec.Raw
    JobType: str = ""
    CreateTime: int = 0


class PoolStub(msgspec.Struct):
    """One of ``GET /v1/node/pools``."""

    Name: str


class SchedulerConfiguration(msgspec.Struct):
    """The part of the scheduler's configuration that tells whether queues mean anything."""

    PauseEvalBroker: bool = False


class SchedulerAnswer(msgspec.Struct):
    """``GET /v1/operator/scheduler/configuration``."""

    SchedulerConfig: SchedulerConfiguration


def whole(answer: Answer) -> int:
    """Check that a server which knows a leader made this list, and give the index of its tables.

    An empty list is believed only then: proxies and caches answer ``[]`` too. Index 0 is that of a table in which
    nothing was ever written (a new cluster has no job and no evaluation). Raises HalfAnswerError.
    """
    index = answer.headers.get("x-nomad-index", "")
    if not index.isdigit() or (index == "0" and bytes(answer.body[:3]).strip() != b"[]"):
        raise HalfAnswerError(f"header X-Nomad-Index is {index!r}: no Nomad server made this list")
    if answer.headers.get("x-nomad-knownleader") != "true":
        raise HalfAnswerError("the server that answered knows no leader")
    if answer.headers.get("x-nomad-nexttoken"):
        raise HalfAnswerError("there is a next page, and no page was asked for")
    return int(index)


def list_of(shape: type[T], answer: Answer) -> list[T]:
    """Decode a whole list."""
    whole(answer)
    return msgspec.json.decode(answer.body, type=list[shape])  # type: ignore[valid-type]


def objects(answer: Answer, *needed: str) -> list[dict[str, Any]]:
    """Decode a whole list of objects, each with the keys that matter."""
    whole(answer)
    found: list[dict[str, Any]] = msgspec.json.decode(answer.body, type=list[dict[str, Any]])
    for one in found:
        require(one, *needed)
    return found


def an_object(answer: Answer, *needed: str) -> dict[str, Any]:
    """Decode one object with the keys that matter."""
    found: dict[str, Any] = msgspec.json.decode(answer.body, type=dict[str, Any])
    require(found, *needed)
    return found


def require(found: dict[str, Any], *needed: str) -> None:
    """Refuse an object that lacks what matters: zero would be believed where nothing is known."""
    for key in needed:
        if found.get(key) is None:
            raise HalfAnswerError(f"{key} is missing")
