"""A large table of allocations kept by the event stream, so that a change of one need not be a read of all.

Only what is provably complete counts: the stream must begin at or before the index of the full read that it continues
(a server whose buffer no longer reaches back starts later, without a word), and must have come as far as the table is
now. Anything else is a reason to read in full; silence and broken streams are (facts nomad §1.8). A subscription to all
namespaces is one to those that there are when it is opened, so work in any other one ends it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import anyio
import msgspec

from providers.http import HttpError
from providers.nomad.channel import Channel
from providers.nomad.shapes import AllocationStub, objects
from schemas.faults import Fault

SILENCE = 35.0  # seconds; heartbeats come every 30
AGAIN = 5.0  # seconds before a broken stream is opened again
OVERLAP = 30  # indexes before the full read from which the stream is asked: one of them proves that it reaches back
CATCH_UP = 1.0  # how long a tick waits for the stream to come as far as the table


class _Payload(msgspec.Struct):
    Allocation: AllocationStub | None = None


class _Event(msgspec.Struct):
    Topic: str
    Payload: _Payload


class _Line(msgspec.Struct):
    Index: int = 0
    Events: list[_Event] = field(default_factory=list)


_LINE = msgspec.json.Decoder(_Line)


@dataclass(slots=True)
class Follower:
    """One subscription, opened at the index of a full read. ``index``: how far everything is known."""

    channel: Channel
    since: int = 0  # the full read at which it was opened
    read_at: int = 0  # the last full read: what the stream tells of before is known already
    index: int = 0
    whole: bool = False  # its first line proved that nothing was left out since it was opened
    running: bool = False
    namespaces: frozenset[str] = frozenset()  # those of which it tells
    changed: dict[str, tuple[int, AllocationStub]] = field(default_factory=dict)  # id → when it was told, and what
    _moved: anyio.Event = field(default_factory=anyio.Event)
    _restart: anyio.Event = field(default_factory=anyio.Event)
    _stream: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def begin(self, index: int) -> None:
        """Continue a full read as of ``index``; an unbroken stream goes on as it is.

        What it told of later moments while the list was on its way is not in the list.
        """
        self.read_at = index
        self.changed = {id_: told for id_, told in self.changed.items() if told[0] > index}
        if self.whole:
            self.index = max(self.index, index)
            return
        self.since = self.index = index
        self._restart.set()

    async def reached(self, index: int, namespaces: Collection[str]) -> Sequence[AllocationStub] | None:
        """Give what changed up to ``index``, once; None when the stream cannot vouch for it.

        ``namespaces``: where there is work, as far as is known.
        """
        if self.whole and not self.namespaces.issuperset(namespaces):
            self.whole = False
            self._stream.cancel()
        with anyio.move_on_after(CATCH_UP):
            while self.whole and self.index < index:
                await self._moved.wait()
        if not self.whole or self.index < index:
            return None
        found = [stub for _, stub in self.changed.values()]
        self.changed.clear()
        return found

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self._restart.wait()
            self._restart = anyio.Event()
            with contextlib.suppress(HttpError, Fault, msgspec.MsgspecError), anyio.CancelScope() as self._stream:
                await self._follow()
            self.whole = False
            await anyio.sleep(AGAIN)

    async def _follow(self) -> None:
        names = await self.channel.read("/v1/namespaces", decode=lambda a: objects(a, "Name"))
        self.namespaces = frozenset(one["Name"] for one in names)
        topics = (("topic", "Allocation"), ("topic", "Evaluation"))  # a plan that moves nothing moves the table's index
        query = (*topics, ("namespace", "*"), ("index", str(max(1, self.since - OVERLAP))))
        async with self.channel.lines("/v1/event/stream", query, idle=SILENCE) as (status, lines):
            if status != 200:
                return
            first = True
            async for text in lines:
                line = _LINE.decode(text)
                if line.Index:
                    self._take(line, first=first)
                    first = False

    def _take(self, line: _Line, *, first: bool) -> None:
        if first and line.Index > self.since:
            raise msgspec.ValidationError("the buffer begins after what was read in full")
        self.whole = True
        for event in line.Events if line.Index > self.read_at else ():
            if event.Payload.Allocation is not None:
                self.changed[event.Payload.Allocation.ID] = line.Index, event.Payload.Allocation
        self.index = max(self.index, line.Index)
        self._moved.set()
        self._moved = anyio.Event()
