"""A place of documents that is watched, one step at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

import anyio

from schemas.document.texts import Place, Texts

SOON = 5.0  # seconds
QUIET = 0.7  # seconds in which nothing must come


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        with anyio.fail_after(30):
            await work()

    anyio.run(in_time)


def contents(texts: Texts) -> dict[str, bytes]:
    """Give texts by the last part of their names."""
    return {name.rpartition("/")[2]: text for name, text in texts.of.items()}


class Watched:
    """A watch, read one step at a time."""

    def __init__(self, place: Place) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Texts](100)
        self._place = place
        self._group = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._group.start_soon(self._run, self._place.watch())
        return self

    async def _run(self, watch: AsyncIterator[Texts]) -> None:
        async for texts in watch:
            await self._send.send(texts)

    async def __aexit__(self, *raised: object) -> None:
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)
        self._send.close()
        self._receive.close()

    async def next(self) -> Texts:
        with anyio.fail_after(SOON):
            return await self._receive.receive()

    async def silent(self) -> bool:
        with anyio.move_on_after(QUIET):
            await self._receive.receive()
            return False
        return True
