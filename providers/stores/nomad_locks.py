"""Locks on Nomad variables: leadership of a group, one holder at a time.

Nomad's clock is not ours: it frees a lock two TTLs after the last renewal and a delay later, a new leader starts anew,
and a late renewal may still succeed (facts nomad §1.9). So a holder counts from the moment in which its last successful
renewal was sent. The lock's record holds its holder's name and nothing else: taking a lock overwrites the record, and
nothing says what it overwrites (ADR 0008).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import anyio
import msgspec

from providers.http import Answer
from providers.nomad.channel import Channel
from providers.stores.nomad_variables import route
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, Source
from schemas.record import DELAY, TTL, Lease


class _Lock(msgspec.Struct):
    ID: str


class _Locked(msgspec.Struct):
    Lock: _Lock


class NomadLocks:
    """Takes, keeps and gives back locks; satisfies ``reconciler.ports.Locks``."""

    def __init__(self, channel: Channel, *, namespace: str = "default") -> None:
        self._channel, self._namespace = channel.speaking_for(Source.STORE), namespace

    async def acquire(self, path: str, *, holder: str) -> Lease | None:
        """Take the lock, and write the holder's name into its record; None: somebody has it."""
        body = {"Lock": {"TTL": f"{TTL:g}s", "LockDelay": f"{DELAY:g}s"}, "Items": {"holder": holder}}
        sent = anyio.current_time()
        try:
            answer = await self._ask(path, "lock-acquire", body)
        except RefusedError as refused:
            if refused.why is Refusal.CONFLICT:
                return None
            raise
        return Lease(path=path, id=_decoded(answer, f"acquire {path}").Lock.ID, sent=sent)

    async def renew(self, lease: Lease) -> Lease:
        """Keep the lock from now on. Raises RefusedError(CONFLICT) when it is not ours any more."""
        sent = anyio.current_time()
        await self._ask(lease.path, "lock-renew", {"Lock": {"ID": lease.id}})
        return replace(lease, sent=sent)

    async def release(self, lease: Lease) -> bool:
        """Give the lock back. A late release could hit whoever holds it by then. Raises no fault: it expires."""
        if anyio.current_time() >= lease.until:
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
