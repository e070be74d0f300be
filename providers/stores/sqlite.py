"""The store as one SQLite file: the sandbox's, and the model of what Nomad Variables do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import msgspec

from schemas.faults import Refusal, RefusedError, Source, UnansweredError
from schemas.record import Lease, Record

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (path TEXT PRIMARY KEY, items TEXT NOT NULL, idx INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS world (one INTEGER PRIMARY KEY CHECK (one = 1), saved BLOB NOT NULL) STRICT;
"""


class FileInUseError(Exception):
    """Another process holds the file; two of them would each believe that the world is theirs."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} is in use by another process; wait for it, or name another file")


class NotAStateFileError(Exception):
    """The file is there, and is not one of ours; it is left as it is."""

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        super().__init__(f"{path} is no state file of the sandbox ({why}); name another one, or one that is not there")


class SqliteStore:
    """Records by path with compare-and-set, and the sandbox's saved world beside them."""

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        """Open the file for this process alone; without a path, keep all in memory. ``read_only``: it must be there."""
        name = str(path) if path else ":memory:"
        self._locks: dict[str, Lease] = {}  # the file is one process's: a lock on it dies with the process
        self._world: Callable[[], bytes] | None = None
        try:
            where = f"{Path(name).absolute().as_uri()}?mode=ro" if read_only else name
            self._db = sqlite3.connect(where, isolation_level=None, timeout=0, uri=read_only)
            if read_only:
                self._db.execute("SELECT one FROM world")
                return
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            with self._transaction():
                for statement in SCHEMA.split(";"):
                    self._db.execute(statement)
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise FileInUseError(name) from error
            raise NotAStateFileError(name, str(error)) from error

    async def read(self, path: str) -> Record | None:
        """Read a record; None when there is none."""
        try:
            row = self._db.execute("SELECT items, idx FROM records WHERE path = ?", (path,)).fetchone()
        except sqlite3.Error as error:
            raise UnansweredError(Source.STORE, f"read {path}", str(error)) from error
        return Record(items=msgspec.json.decode(row[0], type=dict[str, str]), index=row[1]) if row else None

    async def write(self, path: str, items: Mapping[str, str], *, index: int) -> int:
        """Write a whole record if its index is still ``index`` (0: it is not there yet), and give the new index."""
        if path in self._locks and anyio.current_time() < self._locks[path].free_at:
            raise RefusedError(Source.STORE, f"write {path}", "it is locked", why=Refusal.CONFLICT)
        return self._put(path, items, index)

    # --- locks, as Nomad's are

    async def acquire(self, path: str, *, holder: str) -> Lease | None:
        """Take the lock, and write the holder's name into its record; None: somebody has it."""
        now, held = anyio.current_time(), self._locks.get(path)
        if held is not None and now < held.free_at:
            return None
        record = await self.read(path)
        index = self._put(path, {"holder": holder}, record.index if record else 0)
        self._locks[path] = Lease(path=path, id=str(index), sent=now)
        return self._locks[path]

    async def renew(self, lease: Lease) -> Lease:
        """Keep the lock from now on. Raises RefusedError(CONFLICT) when it is not ours any more."""
        held = self._locks.get(lease.path)
        if held is None or held.id != lease.id or anyio.current_time() >= held.free_at:
            raise RefusedError(Source.STORE, f"renew {lease.path}", "the lock is not ours", why=Refusal.CONFLICT)
        self._locks[lease.path] = replace(held, sent=anyio.current_time())
        return self._locks[lease.path]

    async def release(self, lease: Lease) -> bool:
        """Give the lock back; one that is over by our clock is left to expire."""
        held = self._locks.get(lease.path)
        if held is None or held.id != lease.id or anyio.current_time() >= lease.until:
            return False
        del self._locks[lease.path]
        return True

    def _put(self, path: str, items: Mapping[str, str], index: int) -> int:
        text = msgspec.json.encode(items).decode()
        try:
            with self._transaction():
                if index == 0:
                    done = self._db.execute("INSERT OR IGNORE INTO records VALUES (?, ?, 1)", (path, text)).rowcount
                else:
                    done = self._db.execute(
                        "UPDATE records SET items = ?, idx = idx + 1 WHERE path = ? AND idx = ?", (text, path, index)
                    ).rowcount
                self._save_world()
        except sqlite3.Error as error:
            raise UnansweredError(Source.STORE, f"write {path}", str(error)) from error
        if not done:
            raise RefusedError(Source.STORE, f"write {path}", "somebody else wrote first", why=Refusal.CONFLICT)
        return index + 1

    def keep_world(self, save: Callable[[], bytes]) -> None:
        """Keep the sandbox's world from now on: with every record, in one transaction with it, and at the end.

        A process that is killed in between loses world and journal back to one moment, and so stays consistent.
        """
        self._world = save

    def saved_world(self) -> bytes | None:
        """Give the world that was kept; None in a new file."""
        row = self._db.execute("SELECT saved FROM world").fetchone()
        return bytes(row[0]) if row else None

    def close(self) -> None:
        """Keep the world if it is to be kept, and let others have the file."""
        if self._world is not None:
            with self._transaction():
                self._save_world()
        self._db.close()

    def _save_world(self) -> None:
        if self._world is not None:
            self._db.execute("INSERT OR REPLACE INTO world VALUES (1, ?)", (self._world(),))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
