"""Snapshots as files of a directory; a file has its name only once all of it is on the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from anyio import to_thread

from schemas.faults import Source, UnansweredError

T = TypeVar("T")

MODE = 0o600  # a snapshot holds every secret of the cluster


class Directory:
    """Satisfies ``reconciler.ports.SnapshotPlace`` for absolute paths; a directory that is missing is made."""

    async def put(self, place: str, name: str, data: bytes) -> None:
        """Keep a snapshot."""

        def write() -> None:
            folder = Path(place)
            folder.mkdir(parents=True, exist_ok=True)
            handle, unfinished = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    os.fchmod(file.fileno(), MODE)
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(unfinished).replace(folder / name)
            except OSError:
                Path(unfinished).unlink(missing_ok=True)
                raise

        await _done(f"write {place}/{name}", write)

    async def get(self, place: str, name: str) -> bytes:
        """Read a snapshot."""
        return await _done(f"read {place}/{name}", (Path(place) / name).read_bytes)

    async def names(self, place: str) -> tuple[str, ...]:
        """List the snapshots that are there; none where the directory is missing."""

        def listed() -> tuple[str, ...]:
            folder = Path(place)
            if not folder.exists():
                return ()
            return tuple(sorted(p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")))

        return await _done(f"list {place}", listed)

    async def delete(self, place: str, name: str) -> None:
        """Remove a snapshot; one that is not there is removed."""
        await _done(f"delete {place}/{name}", lambda: (Path(place) / name).unlink(missing_ok=True))


async def _done(what: str, work: Callable[[], T]) -> T:
    try:
        return await to_thread.run_sync(work)
    except OSError as error:
        raise UnansweredError(Source.SNAPSHOTS, what, f"{error.strerror or error}") from error
