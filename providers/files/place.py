"""Documents in a file or a directory: read once, or watched.

Events of the file system are hints that it is time to look; what is there is always read anew, and believed when two
looks a moment apart agree, so that an editor's half-written file or a checkout under way is not taken for the truth.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from providers.files.hints import Hints
from schemas.document.texts import AbsentError, Texts

SUFFIXES: Final = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between looks."""

    settle: float = 0.2  # two looks so far apart must agree
    settle_most: float = 2.0  # then the last look is believed
    resync: float = 10.0  # without any hint: what no event tells (a link re-pointed above the directory)
    deaf: float = 2.0  # the same where the system gives no events
    git: float = 10.0  # how long a checkout under way is waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlace:
    """A file, or a directory of ``*.yaml`` and ``*.yml`` (not recursive, none that begins with a dot)."""

    path: str
    pace: Pace = Pace()

    @property
    def name(self) -> str:
        """How a person names it."""
        return self.path

    def read_now(self) -> Texts:
        """Read all of it once; blocks. Raises AbsentError, also for what cannot be read."""
        path = Path(self.path)
        if not path.exists():
            raise AbsentError(f"{self.path}: no such file or directory; --file names documents, the default is specs/")
        files = _documents_in(path) if path.is_dir() else [path]
        if not files:
            raise AbsentError(f"{self.path}: no *.yaml in this directory (its subdirectories are not searched)")
        return Texts(of={str(file): _read(file) for file in files})

    async def read(self) -> Texts:
        """Read all of it once, beside the event loop."""
        return await to_thread.run_sync(self.read_now)

    async def watch(self) -> AsyncIterator[Texts]:
        """Give what is there, and again whenever it differs, for ever."""
        known = Texts()
        told: Texts | None = None
        with Hints() as hints:
            while True:
                deaf = not await to_thread.run_sync(partial(hints.listen, _watched_directory(Path(self.path))))
                hints.clear()
                await self._after_git()
                known = await self._settled(known)
                if known != told:
                    told = known
                    yield known
                await hints.wait(self.pace.deaf if deaf else self.pace.resync)

    async def _settled(self, known: Texts) -> Texts:
        """Look until two looks agree."""
        end = anyio.current_time() + self.pace.settle_most
        last = await self._look(known)
        while last != known and anyio.current_time() < end:
            await anyio.sleep(self.pace.settle)
            again = await self._look(known)
            if again == last:
                break
            last = again
        return last

    async def _look(self, known: Texts) -> Texts:
        return await to_thread.run_sync(partial(look, self.path, known))

    async def _after_git(self) -> None:
        """Wait while git is changing the files, but not for ever: a lock may be left over."""
        with anyio.move_on_after(self.pace.git):
            while await to_thread.run_sync(partial(_git_is_at_work, Path(self.path))):  # noqa: ASYNC110 - not our lock
                await anyio.sleep(self.pace.settle)


def look(name: str, known: Texts) -> Texts:
    """Read what is there now (blocks). What cannot be read stays as it was known, and is told.

    A file that is not there is deleted; a directory that is not there is not known to be empty.
    """
    path = Path(name)
    try:
        files = _documents_in(path) if path.is_dir() else [path] if path.exists() else []
        gone = not files and not path.is_dir() and (path.suffix not in SUFFIXES or not path.parent.is_dir())
    except OSError as error:
        return Texts(of=known.of, troubles=(f"{name}: cannot be read: {error.strerror}",))
    if gone:
        return Texts(of=known.of, troubles=(f"{name}: no such directory",))
    texts: dict[str, bytes] = {}
    troubles: list[str] = []
    for file in files:
        try:
            texts[str(file)] = file.read_bytes()
        except FileNotFoundError:
            continue  # gone since it was listed
        except OSError as error:
            troubles.append(f"{file}: cannot be read: {error.strerror}")
            if str(file) in known.of:
                texts[str(file)] = known.of[str(file)]
    return Texts(of=texts, troubles=tuple(troubles))


def _documents_in(directory: Path) -> list[Path]:
    return sorted(p for p in directory.iterdir() if p.suffix in SUFFIXES and not p.name.startswith("."))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AbsentError(f"{path}: cannot be read: {error.strerror}") from error


def _watched_directory(path: Path) -> Path:
    """Name the directory whose events tell of a file or of a directory's files."""
    with suppress(OSError):  # a directory above may not be ours to read
        return path if path.is_dir() else path.parent
    return path.parent


def _git_is_at_work(path: Path) -> bool:
    with suppress(OSError):
        start = _watched_directory(path).resolve()
        return any((above / ".git" / "index.lock").exists() for above in (start, *start.parents))
    return False
