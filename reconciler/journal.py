"""What was begun and what came of it: one durable record a group, written before and after every effect.

The record is small and written whole with compare-and-set, so that each step is one atomic write: an intent is there
before its effect, and its outcome replaces it afterwards. After a crash the open intents tell what to take up again.
"""

from __future__ import annotations

import zlib
from base64 import b85decode, b85encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from reconciler.errors import JournalBrokenError
from reconciler.ports import Store
from schemas.faults import OutcomeUnknownError, RefusedError, Source, UnansweredError
from schemas.plan import Launch
from schemas.predictions import Predictions
from schemas.servers import ServersRecord, StepKind
from schemas.world import Claim, Refused

VERSION = 1
PLAIN_MOST = 16_384
"""Bytes up to which the record is plain text, for eyes; larger ones are packed: a Nomad variable holds 64 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A launch that was begun and not yet seen to end; every other effect of today may simply be asked for again."""

    action: Launch
    begun_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The record's content, as a value."""

    store_id: str
    intents: tuple[Intent, ...] = ()
    claims: tuple[Claim, ...] = ()  # asked for and not yet all seen as nodes
    ordinals: Mapping[str, int] = field(default_factory=dict)  # pool → highest ordinal ever used
    refused: tuple[Refused, ...] = ()
    launches: tuple[tuple[datetime, int], ...] = ()  # when EC2 answered, with how many machines: the last minute's

    predictions: Predictions = field(default_factory=Predictions)  # what came of what was bought
    servers: ServersRecord = field(default_factory=ServersRecord)  # the one server step, and what led to it

    def launched_since(self, since: datetime) -> int:
        """How many machines came after ``since``, or may come at any moment because their request is open."""
        return sum(count for at, count in self.launches if at > since) + sum(i.action.count for i in self.intents)

    def intent(self, key: str) -> Intent | None:
        """The open intent of this key, if there is one."""
        return next((i for i in self.intents if i.action.key == key), None)


def begun(ledger: Ledger, action: Launch, at: datetime) -> Ledger:
    """Give the ledger with the intent written; a launch is a claim from now on, and its ordinal is used for ever."""
    ordinal = int(action.claim.rpartition("-")[2])
    return replace(
        ledger,
        intents=(*ledger.intents, Intent(action=action, begun_at=at)),
        claims=(*ledger.claims, action.claimed(at)),
        ordinals={**ledger.ordinals, action.pool: max(ordinal, ledger.ordinals.get(action.pool, 0))},
    )


def finished(
    ledger: Ledger, action: Launch, instance_ids: tuple[str, ...], refused: tuple[Refused, ...], at: datetime
) -> Ledger:
    """Give the ledger with the intent closed: the claim keeps the machines that it gave, or goes if it gave none.

    ``refused`` are all the marks that now hold.
    """
    claims = tuple(
        replace(claim, answered=True, count=len(instance_ids), instance_ids=instance_ids)
        if claim.name == action.claim
        else claim
        for claim in ledger.claims
    )
    return replace(
        ledger,
        intents=tuple(i for i in ledger.intents if i.action.key != action.key),
        claims=tuple(c for c in claims if c.count),
        refused=refused,
        launches=(*(pair for pair in ledger.launches if pair[0] > at - timedelta(minutes=1)), (at, len(instance_ids))),
    )


def open_intents(ledger: Ledger | None) -> int:
    """Count what was asked for and has not been answered, a server too."""
    if ledger is None:
        return 0
    step = ledger.servers.step
    unanswered = step is not None and step.kind is StepKind.ADD and not step.instance_id
    return len(ledger.intents) + unanswered


class Journal:
    """Reads and writes one group's ledger; holds what it last read or wrote, and nothing that is not in the store."""

    def __init__(self, store: Store, group: str) -> None:
        self._store = store
        self._path = f"nomad-reconciler/{group}/journal"
        self._index = 0
        self._ledger: Ledger | None = None
        self._written_in = self._term = ""

    @property
    def ledger(self) -> Ledger | None:
        """The ledger as last read or written; None before the first read, and while the store has none."""
        return self._ledger

    async def read(self) -> Ledger | None:
        """Read the record; None when the store has none yet. Raises UnansweredError, JournalBrokenError."""
        entry = await self._store.read(self._path)
        self._index = entry.index if entry else 0
        self._ledger = _decode(entry.items, self._path) if entry else None
        self._written_in = entry.items.get("term", "") if entry else ""
        return self._ledger

    async def begin(self, term: str) -> None:
        """Write under a new term from now on; a record of another one is written anew, so that its writer is refused.

        Raises what ``write`` raises.
        """
        self._term = term
        if self._ledger is not None and self._written_in != term:
            await self.write(self._ledger)

    async def write(self, ledger: Ledger) -> None:
        """Write the record whole, if nobody else wrote since it was read.

        Raises RefusedError(CONFLICT) when somebody did, UnansweredError when it was not written.
        """
        items = {**_encode(ledger), **({"term": self._term} if self._term else {})}
        try:
            self._index = await self._store.write(self._path, items, index=self._index)
        except OutcomeUnknownError as fault:
            entry = await self._store.read(self._path)  # it may have been written: what is there decides
            if entry is None or dict(entry.items) != items:
                raise UnansweredError(Source.STORE, "write journal", fault.message) from fault
            self._index = entry.index
        except RefusedError:
            self._ledger = None  # somebody else's is there: read it before anything else is done
            raise
        self._ledger, self._written_in = ledger, self._term


def _encode(ledger: Ledger) -> dict[str, str]:
    data: dict[str, Any] = {
        "version": VERSION,
        "store_id": ledger.store_id,
        "intents": ledger.intents,
        "claims": ledger.claims,
        "ordinals": ledger.ordinals,
        "refused": ledger.refused,
        "launches": ledger.launches,
        "servers": ledger.servers,
        "predictions": ledger.predictions,
    }
    text = msgspec.json.encode(data, order="deterministic")
    if len(text) <= PLAIN_MOST:
        return {"ledger": text.decode()}
    return {"packed": b85encode(zlib.compress(text)).decode()}  # it says much the same of many machines


def _decode(items: Mapping[str, str], path: str) -> Ledger:
    try:
        data = msgspec.json.decode(_unpacked(items["packed"]) if "packed" in items else items["ledger"])
        if data["version"] != VERSION:
            raise JournalBrokenError(path=path, why=f"version {data['version']}, this program writes {VERSION}")
        return Ledger(
            store_id=data["store_id"],
            intents=msgspec.convert(data["intents"], tuple[Intent, ...]),
            claims=msgspec.convert(data["claims"], tuple[Claim, ...]),
            ordinals=msgspec.convert(data["ordinals"], dict[str, int]),
            refused=msgspec.convert(data["refused"], tuple[Refused, ...]),
            launches=msgspec.convert(data["launches"], tuple[tuple[datetime, int], ...]),
            servers=msgspec.convert(data.get("servers", {}), ServersRecord),
            predictions=msgspec.convert(data.get("predictions", {}), Predictions),
        )
    except (KeyError, TypeError, ValueError, zlib.error) as broken:  # msgspec's errors are ValueErrors
        raise JournalBrokenError(path=path, why=str(broken)) from broken


def _unpacked(packed: str) -> bytes:
    return zlib.decompress(b85decode(packed))
