"""What is remembered of a cluster between two ticks, so that one where nothing changed asks for lists alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from sys import intern

import msgspec

from providers.nomad import translate
from providers.nomad.follow import Follower
from providers.nomad.shapes import AllocationStub, HalfAnswerError, JobStub
from schemas.world import Allocation, Job, Node, Resources

Held = tuple[Resources, frozenset[int], dict[str, int]]  # usage, ports, devices

ENDED = frozenset({"complete", "failed", "lost"})
SHARED_MOST = 5000  # texts of resources kept for comparison while a list is read

_ALLOCATION = msgspec.json.Decoder(AllocationStub)
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_RESOURCES = msgspec.json.Decoder(dict)


@dataclass(slots=True, kw_only=True)
class Allocations:
    """The allocations that take room, as of an index of their table."""

    index: int = 0
    of: tuple[Allocation, ...] = ()
    stamps: dict[str, tuple[int, Allocation]] = field(default_factory=dict)  # id → ModifyIndex, and what it then was
    read_at: float = 0.0  # when it was read in full, by the loop's clock


@dataclass(slots=True, kw_only=True)
class Memory:
    """One cluster's. Records are known by index and, where there is one, by time, as indexes may run backwards."""

    nodes: dict[str, Node] = field(default_factory=dict)
    jobs: dict[tuple[str, str], tuple[tuple[int, int], Job]] = field(default_factory=dict)
    allocations: Allocations = field(default_factory=Allocations)
    follower: Follower | None = None
    sees_all_at: float | None = None  # when the token was last seen to hide nothing, by the loop's clock

    def job(self, stub: JobStub) -> Job | None:
        """Give a job's specification if it is still that of the stub."""
        known = self.jobs.get((stub.Namespace, stub.ID))
        return known[1] if known is not None and known[0] == stamp_of(stub) else None

    def remember_allocations(self, body: bytes | bytearray, index: int, now: float) -> Allocations:
        """Take in a full list; rows that have not changed are not read again. Raises ``msgspec.MsgspecError``.

        Row by row, as 100,000 of them are some 100 MB of text and would be several times that as objects.
        """
        before, stamps = self.allocations.stamps, dict[str, tuple[int, Allocation]]()
        held: dict[bytes, Held] = {}
        for row in _ROWS.decode(body):
            stub = _ALLOCATION.decode(row)
            known = before.get(stub.ID)
            same = known is not None and known[0] == stub.ModifyIndex
            stamps[stub.ID] = known if same and known is not None else (stub.ModifyIndex, _allocation(stub, held))
        self.allocations = Allocations(index=index, of=_taking_room(stamps.values()), stamps=stamps, read_at=now)
        return self.allocations

    def apply(self, changed: Sequence[AllocationStub], index: int) -> bool:
        """Take in what the stream told up to ``index``; False where it does not say enough: then all must be read."""
        kept, held = self.allocations, dict[bytes, Held]()
        for stub in changed:
            before = kept.stamps.get(stub.ID)
            if stub.ClientStatus in ENDED:
                kept.stamps.pop(stub.ID, None)
                continue
            if before is not None and before[0] > stub.ModifyIndex:
                continue
            kind = before[1].job_type if before is not None else self._type_of(stub)
            if not kind:
                return False
            stub.JobType = kind  # the stream leaves it out, with the whole job
            kept.stamps[stub.ID] = (stub.ModifyIndex, _allocation(stub, held))
        kept.index, kept.of = index, _taking_room(kept.stamps.values())
        return True

    def _type_of(self, stub: AllocationStub) -> str:
        job = self.jobs.get((stub.Namespace, stub.JobID))
        return job[1].type if job is not None else ""


def stamp_of(stub: JobStub) -> tuple[int, int]:
    """What changes with every change of a job's specification."""
    return stub.JobModifyIndex, stub.SubmitTime


def _taking_room(stamped: Iterable[tuple[int, Allocation]]) -> tuple[Allocation, ...]:
    return tuple(allocation for _, allocation in stamped if allocation.takes_room)


def _allocation(stub: AllocationStub, held: dict[bytes, Held]) -> Allocation:
    text = bytes(stub.AllocatedResources)
    if (what := held.get(text)) is None:  # copies of a group without ports hold the same, word for word
        if text == b"null" and stub.ClientStatus in {"pending", "running", "unknown"}:
            raise HalfAnswerError(f"allocation {stub.ID}: AllocatedResources is null")
        what = translate.held(_RESOURCES.decode(text) if text != b"null" else {})
        if len(held) < SHARED_MOST:
            held[text] = what
    usage, ports, devices = what
    return Allocation(
        id=stub.ID,
        namespace=intern(stub.Namespace),
        job_id=intern(stub.JobID),
        group=intern(stub.TaskGroup),
        node_id=intern(stub.NodeID),
        job_type=intern(stub.JobType),
        desired=intern(stub.DesiredStatus),
        client=intern(stub.ClientStatus),
        usage=usage,
        ports=ports,
        devices=devices,
        created_at=translate.from_ns(stub.CreateTime),
    )
