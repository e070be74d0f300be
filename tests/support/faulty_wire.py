"""A small proxy before an HTTP API in this process that spoils one request of a run, whichever it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import anyio

from providers.http import App, Message


class Spoilt(StrEnum):
    """What becomes of the request."""

    CUT = "cut"  # it is taken, and the connection breaks before anything happens
    LOST = "lost"  # it happens, and the connection breaks before the answer comes
    HALF_OPEN = "half-open"  # nobody answers, and nobody hangs up
    DELAYED = "delayed"  # it happens, and is answered after some seconds
    GARBAGE = "garbage"  # something in between answers 200 with what is no answer
    FIVE_HUNDRED = "500"  # a server that lost its leader


@dataclass(slots=True)
class FaultyWire:
    """Counts requests, from 0, and spoils number ``at``; with ``stays`` also each like it, until that is taken back."""

    app: App
    at: int | None = None
    how: Spoilt = Spoilt.CUT
    stays: bool = False
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer one request."""
        number = len(self.asked)
        self.asked.append(f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}")
        again = self.stays and self.at is not None and self.at < number and self.asked[self.at] == self.asked[number]
        if number != self.at and not again:
            await self.app(scope, receive, send)
            return
        match self.how:
            case Spoilt.CUT:
                raise ConnectionResetError
            case Spoilt.LOST:

                async def lost(_: Message) -> None:
                    raise ConnectionResetError

                await self.app(scope, receive, lost)
            case Spoilt.HALF_OPEN:
                await anyio.sleep_forever()
            case Spoilt.DELAYED:
                await anyio.sleep(4)
                await self.app(scope, receive, send)
            case Spoilt.GARBAGE:
                await _answer(send, 200, b'{"Healthy": tr\x00\x1f')
            case Spoilt.FIVE_HUNDRED:
                await _answer(send, 500, b"rpc error: stream closed")


async def _answer(send: Any, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})
