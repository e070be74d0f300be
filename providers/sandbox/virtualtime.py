"""An asyncio loop whose time is virtual: when nothing is ready, it jumps to the next timer instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

import anyio

from providers.sandbox.world.epoch import EPOCH

T = TypeVar("T")
STUCK = 100  # rounds of 50 ms with nothing ready and no timer: somebody waits for what will never come


class _Selector(selectors.DefaultSelector):
    """Asks the real selector only for what is ready now."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self.now = now
        self._idle = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            self._idle = 0
            return ready
        if timeout is not None:
            self._idle = 0
            self.now += max(timeout, 0.0)
            return []
        self._idle += 1  # no timer at all: only a thread or a signal could wake us
        if self._idle > STUCK:
            raise RuntimeError("everything in virtual time waits, and nothing is due")
        return super().select(0.05)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Virtual seconds since the sandbox's epoch, from ``start`` on."""

    def __init__(self, start: float = 0.0) -> None:
        self._virtual = _Selector(start)
        super().__init__(self._virtual)

    def time(self) -> float:
        """Give the virtual time."""
        return self._virtual.now


class LoopClock:
    """The clock port over the running loop's time: virtual under ``run_virtual``, real under a plain loop.

    ``offset`` is added to the loop's time to give seconds since the sandbox's epoch.
    """

    def __init__(self, offset: float = 0.0) -> None:
        self._offset = offset

    def seconds(self) -> float:
        """Give seconds since the sandbox's epoch."""
        return asyncio.get_running_loop().time() + self._offset

    def now(self) -> datetime:
        """Give the time."""
        return EPOCH + timedelta(seconds=self.seconds())

    async def sleep(self, seconds: float) -> None:
        """Wait; in virtual time for no time at all."""
        await anyio.sleep(seconds)


def run_virtual(work: Callable[[], Awaitable[T]], *, start: float = 0.0) -> T:
    """Run ``work`` to its end in virtual time, from ``start`` seconds after the epoch on."""
    return anyio.run(work, backend_options={"loop_factory": lambda: VirtualLoop(start)})
