"""The store keeps what was written, and lets nobody overwrite what they have not seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from providers.stores.sqlite import FileInUseError, NotAStateFileError, SqliteStore
from schemas.faults import Refusal, RefusedError, UnansweredError


def test_a_record_reads_back_as_it_was_written_also_by_another_process_later(tmp_path: Path) -> None:
    async def work() -> None:
        first = SqliteStore(tmp_path / "state")
        index = await first.write("a/b", {"x": "1", "ü": "✓"}, index=0)
        first.close()
        again = SqliteStore(tmp_path / "state")
        record = await again.read("a/b")
        assert record is not None
        assert record.items == {"x": "1", "ü": "✓"}
        assert record.index == index

    anyio.run(work)


def test_what_was_never_written_is_none() -> None:
    assert anyio.run(SqliteStore().read, "nowhere") is None


def test_a_writer_who_has_not_seen_the_last_write_is_refused_and_changes_nothing() -> None:
    async def work() -> None:
        store = SqliteStore()
        index = await store.write("p", {"n": "1"}, index=0)
        await store.write("p", {"n": "2"}, index=index)
        for stale in (0, index, index + 5):
            with pytest.raises(RefusedError) as refused:
                await store.write("p", {"n": "3"}, index=stale)
            assert refused.value.why is Refusal.CONFLICT
        record = await store.read("p")
        assert record is not None
        assert record.items == {"n": "2"}

    anyio.run(work)


def test_a_file_that_another_process_holds_is_refused(tmp_path: Path) -> None:
    """In one process SQLite's locks would not show it."""
    path = tmp_path / "state"
    hold = "import sys; from pathlib import Path; from providers.stores.sqlite import SqliteStore\n"
    hold += "store = SqliteStore(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FileInUseError):
            SqliteStore(path)
        holder.communicate("")
    SqliteStore(path).close()


def test_a_file_that_is_no_state_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes, which are no database at all\n" * 100)

    with pytest.raises(NotAStateFileError, match=r"notes\.txt"):
        SqliteStore(path)
    assert path.read_text().startswith("my notes")


def test_the_world_is_saved_with_each_record_so_that_a_killed_process_loses_both_to_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "state"
    doomed = """
import os, signal, sys, anyio
from pathlib import Path
from providers.stores.sqlite import SqliteStore
store, world = SqliteStore(Path(sys.argv[1])), {"now": b"at first"}
store.keep_world(lambda: world["now"])
anyio.run(lambda: store.write("journal", {"n": "1"}, index=0))
world["now"] = b"later, and never saved"
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", doomed, str(path)], check=False)  # noqa: S603
    assert done.returncode == -9

    assert SqliteStore(path).saved_world() == b"at first"


def test_a_file_opened_for_reading_alone_is_never_changed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    store = SqliteStore(path)
    store.keep_world(lambda: b"a world")
    store.close()
    path.chmod(0o400)
    before = path.read_bytes()

    reader = SqliteStore(path, read_only=True)
    assert reader.saved_world() == b"a world"
    with pytest.raises(UnansweredError):
        anyio.run(lambda: reader.write("p", {}, index=0))
    reader.close()
    assert path.read_bytes() == before
