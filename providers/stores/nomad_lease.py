"""Leadership by a lock on a Nomad variable, with a deadline of our own and every write fenced by the lock's id.

Nomad's clock is not ours: it frees a lock two TTLs after the last renewal and a delay later, a new leader starts anew,
and a late renewal may still succeed. So a holder counts from the moment in which its last successful renewal was sent,
and stops by itself one TTL later; whoever else then holds the lock makes its writes conflicts (facts nomad §1.9).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import anyio
import msgspec

from providers.http import Answer
from providers.nomad.channel import Channel
from providers.stores.nomad_variables import NomadVariables, route
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, Source

TTL, DELAY = 15.0, 15.0  # seconds; a plain write by the holder resets a lock to just these
EXPIRY = 2 * TTL + DELAY  # how long a dead holder keeps others waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The lock is ours until ``until`` (the loop's clock), whatever Nomad says later; ``index`` is the record's."""

    path: str
    id: str
    until: float
    index: int

    def outlives(self, seconds: float) -> bool:
        """Whether a call that takes so long at most ends while the lease still holds."""
        return anyio.current_time() + seconds < self.until


class _Lock(msgspec.Struct):
    ID: str


class _Locked(msgspec.Struct):
    ModifyIndex: int
    Lock: _Lock


class NomadLeases:
    """Takes, keeps and gives back locks on records; writes them as their holder."""

    def __init__(self, channel: Channel, *, namespace: str = "default") -> None:
        self._channel, self._namespace = channel.speaking_for(Source.STORE), namespace
        self._records = NomadVariables(channel, namespace=namespace)

    async def acquire(self, path: str, *, founding: Mapping[str, str]) -> Lease | None:
        """Take the lock on a record, its items as they are (``founding`` where there is none); None: somebody holds it.

        Raises OutcomeUnknownError when it may have been taken: then nobody uses it, and it expires.
        """
        record = await self._records.read(path)  # what the last holder wrote: nobody else may write in between
        items = record.items if record is not None else founding
        body = {"Lock": {"TTL": f"{TTL:g}s", "LockDelay": f"{DELAY:g}s"}, "Items": dict(items)}
        sent = anyio.current_time()
        try:
            answer = await self._ask(path, "lock-acquire", body)
        except RefusedError as refused:
            if refused.why is Refusal.CONFLICT:
                return None
            raise
        taken = _decoded(answer, f"acquire {path}")
        return Lease(path=path, id=taken.Lock.ID, until=sent + TTL, index=taken.ModifyIndex)

    async def renew(self, lease: Lease) -> Lease:
        """Keep the lock for another TTL from now. Raises RefusedError(CONFLICT) when it is not ours any more.

        After any other fault it is kept as long as ``lease`` says, and no longer.
        """
        sent = anyio.current_time()
        await self._ask(lease.path, "lock-renew", {"Lock": {"ID": lease.id}})
        return replace(lease, until=sent + TTL)

    async def write(self, lease: Lease, items: Mapping[str, str]) -> Lease:
        """Write the record as its holder, and nobody else. Raises RefusedError(CONFLICT) for who is none any more."""
        sent = anyio.current_time()
        query = (("namespace", self._namespace), ("cas", str(lease.index)))
        body = {"Lock": {"ID": lease.id}, "Items": dict(items)}
        answer = await self._channel.write("PUT", route(lease.path), query, body)
        return replace(lease, until=sent + TTL, index=_decoded(answer, f"write {lease.path}").ModifyIndex)

    async def release(self, lease: Lease) -> bool:
        """Give the lock back, so that nobody has to wait; one that is over by our clock is left to expire.

        A late release could hit whoever holds it by then. Raises nothing: it expires by itself.
        """
        if not lease.outlives(0):
            return False
        try:
            await self._ask(lease.path, "lock-release", {"Lock": {"ID": lease.id}})
        except Fault:
            return False
        return True

    async def _ask(self, path: str, operation: str, body: Mapping[str, object]) -> Answer:
        query = ((operation, ""), ("namespace", self._namespace))
        return await self._channel.write("PUT", route(path), query, body, seconds=TTL / 3)


def _decoded(answer: Answer, what: str) -> _Locked:
    try:
        return msgspec.json.decode(answer.body, type=_Locked)
    except msgspec.MsgspecError as error:
        raise OutcomeUnknownError(Source.STORE, what, f"the answer is not whole ({error})") from error
