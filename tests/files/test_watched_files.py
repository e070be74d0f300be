"""Documents in files and directories: whoever changes them in whatever way, the newest whole state is seen, once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from providers.files.place import FilePlace, Pace, look
from schemas.document.texts import AbsentError, Texts
from support.watching import Watched, contents, run

QUICK = Pace(settle=0.05, settle_most=0.5, resync=0.4, deaf=0.2, git=1.0)
SELDOM = Pace(settle=0.05, settle_most=0.5, resync=60.0)  # only events can tell


def a_place(path: Path, pace: Pace = SELDOM) -> FilePlace:
    return FilePlace(path=str(path), pace=pace)


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "a.yaml").write_text("1")
    return folder


def in_place(file: Path) -> None:
    file.write_text("2")


def by_rename(file: Path) -> None:
    """As kubectl, sed -i and most editors do."""
    new = file.with_name(".a.yaml.swp")
    new.write_text("2")
    new.replace(file)


def by_rename_from_elsewhere(file: Path) -> None:
    new = file.parent.parent / "new"
    new.write_text("2")
    new.replace(file)


def as_vim_does(file: Path) -> None:
    backup = file.with_name("a.yaml~")
    file.rename(backup)
    file.write_text("2")
    backup.unlink()


def deleted_and_made_anew(file: Path) -> None:
    file.unlink()
    file.write_text("2")


@pytest.mark.parametrize("named", ["directory", "file"])
@pytest.mark.parametrize(
    "edit",
    [in_place, by_rename, by_rename_from_elsewhere, as_vim_does, deleted_and_made_anew],
    ids=lambda e: e.__name__,
)
def test_an_edit_is_seen_at_once_and_as_one_change(specs: Path, edit: Callable[[Path], None], named: str) -> None:
    async def work() -> None:
        async with Watched(a_place(specs if named == "directory" else specs / "a.yaml")) as watch:
            assert contents(await watch.next()) == {"a.yaml": b"1"}
            edit(specs / "a.yaml")
            assert contents(await watch.next()) == {"a.yaml": b"2"}

    run(work)


def test_a_checkout_of_many_files_is_one_change(specs: Path) -> None:
    async def work() -> None:
        (specs.parent / ".git").mkdir()
        lock = specs.parent / ".git" / "index.lock"
        async with Watched(a_place(specs, QUICK)) as watch:
            await watch.next()
            lock.touch()
            for n in range(100):
                (specs / f"{n}.yaml").write_text(str(n))
                if n % 25 == 0:
                    await anyio.sleep(0.1)
            (specs / "a.yaml").unlink()
            lock.unlink()

            texts = await watch.next()

            assert len(texts.of) == 100
            assert await watch.silent()

    run(work)


def test_a_lock_that_git_left_behind_does_not_stop_the_watch(specs: Path) -> None:
    async def work() -> None:
        (specs.parent / ".git").mkdir()
        (specs.parent / ".git" / "index.lock").touch()
        async with Watched(a_place(specs, QUICK)) as watch:
            assert contents(await watch.next()) == {"a.yaml": b"1"}

    run(work)


def test_what_does_not_change_a_document_tells_nothing(specs: Path) -> None:
    async def work() -> None:
        async with Watched(a_place(specs, QUICK)) as watch:
            await watch.next()
            (specs / "a.yaml").write_text("1")
            (specs / "a.yaml").touch()
            (specs / "notes.txt").write_text("x")
            (specs / ".b.yaml").write_text("x")
            (specs / "deeper").mkdir()
            (specs / "deeper" / "c.yaml").write_text("x")
            assert await watch.silent()

    run(work)


def test_a_directory_of_links_that_are_swapped_at_once_is_followed(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: no event names the document itself."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(version)
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "..data").symlink_to("../1")
    (mount / "a.yaml").symlink_to("..data/a.yaml")

    async def work() -> None:
        async with Watched(a_place(mount)) as watch:
            assert contents(await watch.next()) == {"a.yaml": b"1"}
            (mount / "..data_tmp").symlink_to("../2")
            (mount / "..data_tmp").replace(mount / "..data")
            assert contents(await watch.next()) == {"a.yaml": b"2"}

    run(work)


def test_a_directory_that_is_replaced_under_its_name_is_found_again(specs: Path) -> None:
    """Its events have ended for good then, without a word."""

    async def work() -> None:
        async with Watched(a_place(specs, QUICK)) as watch:
            await watch.next()
            shutil.rmtree(specs)
            gone = await watch.next()
            assert (contents(gone), gone.troubles) == ({"a.yaml": b"1"}, (f"{specs}: no such directory",))
            specs.mkdir()  # noqa: ASYNC240 - a test's own file system
            (specs / "b.yaml").write_text("new")
            while (texts := await watch.next()) != Texts(of={str(specs / "b.yaml"): b"new"}):
                assert contents(texts) in ({}, {"b.yaml": b""}), "nothing else was ever there"
            (specs / "b.yaml").write_text("newer")
            assert contents(await watch.next()) == {"b.yaml": b"newer"}

    run(work)


def test_a_directory_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    async def work() -> None:
        async with Watched(a_place(tmp_path / "specs", QUICK)) as watch:
            assert (await watch.next()).troubles
            (tmp_path / "specs").mkdir()
            (tmp_path / "specs" / "a.yaml").write_text("1")
            while contents(await watch.next()) != {"a.yaml": b"1"}:
                pass

    run(work)


def test_a_deleted_document_is_gone_and_an_emptied_one_is_empty(specs: Path) -> None:
    async def work() -> None:
        (specs / "b.yaml").write_text("b")
        async with Watched(a_place(specs)) as watch:
            await watch.next()
            (specs / "a.yaml").unlink()
            assert await watch.next() == Texts(of={str(specs / "b.yaml"): b"b"})
            (specs / "b.yaml").write_text("")
            assert await watch.next() == Texts(of={str(specs / "b.yaml"): b""})

    run(work)


def test_what_cannot_be_read_stays_as_it_was_and_is_told(specs: Path) -> None:
    known = look(str(specs), Texts())
    (specs / "a.yaml").unlink()
    (specs / "a.yaml").mkdir()

    seen = look(str(specs), known)

    assert seen.of == known.of
    assert seen.troubles == (f"{specs}/a.yaml: cannot be read: Is a directory",)


@pytest.mark.parametrize(("path", "said"), [("nowhere", "no such file"), ("empty", "no *.yaml in this directory")])
def test_a_single_read_of_nothing_is_refused(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(AbsentError) as raised:
        a_place(tmp_path / path).read_now()

    assert said in str(raised.value)


def test_names_are_as_they_were_given(specs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(specs.parent)

    assert list(FilePlace(path="specs").read_now().of) == ["specs/a.yaml"]
