"""Hints that something changed in a directory, from the system's own events (watchdog); deaf where there are none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Self

import anyio

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver


class Hints:
    """Listens to one directory at a time; used as ``with`` inside an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = anyio.Event()
        self._observer: BaseObserver | None = None
        self._listened: tuple[int, int] | None = None  # device and inode: a directory may be replaced under its name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop()

    def listen(self, directory: Path) -> bool:
        """Listen to a directory from now on, if that is not done already; tells whether events will come (blocks)."""
        try:
            status, resolved = directory.stat(), directory.resolve()
        except OSError:
            self._stop()
            return False
        place = (status.st_dev, status.st_ino)
        if self._observer is not None and place == self._listened and self._alive():
            return True
        self._stop()
        return self._start(resolved, place)

    def clear(self) -> None:
        """Forget the hints that came: what they told of will be looked at now."""
        self._changed = anyio.Event()

    async def wait(self, seconds: float) -> bool:
        """Wait for a hint, or so long."""
        with anyio.move_on_after(seconds):
            await self._changed.wait()
        return self._changed.is_set()

    def dispatch(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - watchdog's signature
        """Take an event, in watchdog's thread."""
        self._loop.call_soon_threadsafe(self._hint)

    def _hint(self) -> None:
        self._changed.set()

    def _start(self, directory: Path, place: tuple[int, int]) -> bool:
        from watchdog import events  # noqa: PLC0415 - only a service watches
        from watchdog.observers import Observer  # noqa: PLC0415 - same

        observer = Observer()
        told = [
            events.FileCreatedEvent, events.FileModifiedEvent, events.FileDeletedEvent, events.FileMovedEvent,
            events.FileClosedEvent, events.DirCreatedEvent, events.DirDeletedEvent, events.DirMovedEvent,
        ]  # fmt: skip  # not: opened and closed unwritten, or our own reading would wake us
        try:
            observer.schedule(self, str(directory), event_filter=told)  # type: ignore[arg-type]  # it asks for dispatch alone
            observer.start()
        except OSError:  # no inotify here, or no more watches to be had
            return False
        self._observer, self._listened = observer, place
        return True

    def _alive(self) -> bool:
        observer = self._observer
        return observer is not None and observer.is_alive() and all(e.is_alive() for e in observer.emitters)

    def _stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(timeout=5)
            self._observer = self._listened = None
