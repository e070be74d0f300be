"""Which version of a document is in force while documents change: one bad document stops only itself."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from reconciler.bootstrap.source import loaded_from
from reconciler.bootstrap.watched import Documents, follow
from schemas.document.in_force import InForce

TEXT = """\
apiVersion: nomad-reconciler/v1alpha1
kind: ClusterGroup
metadata: {{name: {name}}}
spec:
  mode: {mode}
  aws:
    region: us-east-1
    subnets:
      - {{id: subnet-a1, zone: us-east-1a}}
      - {{id: subnet-b1, zone: us-east-1b}}
      - {{id: subnet-c1, zone: us-east-1c}}
  machine: {{images: {{x86_64: ami-0123}}}}
  servers: {{count: 3}}
"""


def text(name: str, mode: str = "enforce") -> bytes:
    return TEXT.format(name=name, mode=mode).encode()


BROKEN = text("one").replace(b"mode:", b"mood:")


def after(before: InForce, **files: bytes) -> InForce:
    return before.after(loaded_from({f"{name}.yaml": content for name, content in files.items()}))


def modes(now: InForce) -> dict[str, str]:
    return {name: standing.loaded.group.spec.mode for name, standing in now.groups.items()}


def wrong(now: InForce) -> set[str]:
    return {name for name, standing in now.groups.items() if standing.problems}


def test_a_sound_document_is_in_force_at_once() -> None:
    now = after(after(InForce(), a=text("one")), a=text("one", "observe"))

    assert modes(now) == {"one": "observe"}
    assert not wrong(now)


def test_a_broken_document_leaves_the_last_good_version_and_stops_only_itself() -> None:
    now = after(after(InForce(), a=text("one"), b=text("two")), a=BROKEN, b=text("two", "observe"))

    assert modes(now) == {"one": "enforce", "two": "observe"}
    assert wrong(now) == {"one"}
    assert "unknown key" in str(now.groups["one"].problems[0])


def test_it_is_in_force_again_when_it_is_mended() -> None:
    now = after(after(after(InForce(), a=text("one")), a=BROKEN), a=text("one", "observe"))

    assert (modes(now), wrong(now)) == ({"one": "observe"}, set())


@pytest.mark.parametrize("left", [{}, {"a": b""}, {"a": b"# nothing here any more\n"}])
def test_a_deleted_or_emptied_document_leaves_its_group_alone(left: dict[str, bytes]) -> None:
    now = after(after(InForce(), a=text("one"), b=text("two")), b=text("two"), **left)

    assert modes(now) == {"two": "enforce"}
    assert now.problems == ()


def test_a_document_may_move_to_another_file() -> None:
    now = after(after(InForce(), a=text("one")), b=text("one", "observe"))

    assert modes(now) == {"one": "observe"}


def test_a_document_that_never_was_good_is_told_and_in_force_nowhere() -> None:
    now = after(InForce(), a=BROKEN, b=text("two"))

    assert modes(now) == {"two": "enforce"}
    assert [problem.file for problem in now.problems] == ["a.yaml"]


def test_a_group_named_twice_stays_as_it_was_in_both_files() -> None:
    now = after(after(InForce(), a=text("one")), a=text("one"), b=text("one", "observe"))

    assert (modes(now), wrong(now)) == ({"one": "enforce"}, {"one"})
    assert {problem.file for problem in now.problems} == {"b.yaml"}


def test_of_two_documents_in_one_file_the_broken_one_does_not_hold_the_other_back() -> None:
    both = after(InForce(), a=text("one") + b"---\n" + text("two"))

    now = after(both, a=BROKEN + b"---\n" + text("two", "observe"))

    assert (modes(now), wrong(now)) == ({"one": "enforce", "two": "observe"}, {"one"})


def test_nothing_is_deleted_while_a_place_cannot_be_read() -> None:
    before = after(InForce(), a=text("one"))

    assert modes(before.after(loaded_from({}), known=False)) == {"one": "enforce"}


def test_the_service_is_told_of_what_is_in_force_whenever_that_changes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two.yaml"
    one.mkdir()
    (one / "a.yaml").write_bytes(text("one"))
    two.write_bytes(text("two"))
    heard: list[Documents] = []

    async def until(mode: str) -> None:
        while not heard or modes(heard[-1].in_force).get("one") != mode:  # noqa: ASYNC110 - a callback fills it
            await anyio.sleep(0.02)

    async def work() -> None:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow, [str(one), str(two)], heard.append)
                await until("enforce")
                assert set(modes(heard[0].in_force)) == {"one", "two"}, "nothing is told before all places were read"
                (one / "a.yaml").write_bytes(text("one", "observe"))
                await until("observe")
                (one / "a.yaml").write_bytes(BROKEN)
                while not wrong(heard[-1].in_force):  # noqa: ASYNC110 - a callback fills it
                    await anyio.sleep(0.02)
                tasks.cancel_scope.cancel()

    anyio.run(work)

    assert modes(heard[-1].in_force) == {"one": "observe", "two": "enforce"}
    assert len(heard) == 3
