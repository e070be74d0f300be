"""What every store must do: SQLite, Nomad Variables behind the wire of the sandbox, and real ones where there are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Protocol

import anyio
import pytest

from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.stores.nomad_variables import NomadVariables
from providers.stores.sqlite import SqliteStore
from reconciler.ports import Store
from schemas.faults import Refusal, RefusedError, Source
from support.on_the_wire import Wired, through_the_wire
from support.real_nomad import RealCluster, needs_nomad
from support.whole_world import a_world, form

Work = Callable[[Store], Awaitable[None]]


class Stores(Protocol):
    """Runs work on a new, empty store."""

    def __call__(self, work: Work) -> None: ...


def in_sqlite(work: Work) -> None:
    async def opened() -> None:
        await work(SqliteStore())

    anyio.run(opened)


def in_simulated_variables(work: Work) -> None:
    async def opened(wired: Wired) -> None:
        await work(NomadVariables(wired.real.channel(await form(wired))))

    through_the_wire(a_world(), opened)


def in_real_variables(cluster: RealCluster) -> Stores:
    """Give each test a namespace of its own: there it is empty."""

    def run(work: Work) -> None:
        async def opened() -> None:
            async with RealNomadDoor(NomadSettings()) as door:
                channel, name = door.channel(cluster.urls), f"store-{next(_NAMESPACES)}"
                await channel.write("PUT", f"/v1/namespace/{name}", body={"Name": name})
                await work(NomadVariables(channel, namespace=name))

        anyio.run(opened)

    return run


@pytest.fixture(
    params=[
        pytest.param(in_sqlite, id="sqlite"),
        pytest.param(in_simulated_variables, id="variables-simulated"),
        pytest.param("real", id="variables-real", marks=[needs_nomad, pytest.mark.xdist_group("real-nomad")]),
    ]
)
def store(request: pytest.FixtureRequest) -> Stores:
    if request.param == "real":
        return in_real_variables(request.getfixturevalue("real_nomad"))
    run: Stores = request.param
    return run


_NAMESPACES = count()
PATH = "nomad-reconciler/prod/journal"


def test_what_was_never_written_is_none(store: Stores) -> None:
    async def work(store: Store) -> None:
        assert await store.read(PATH) is None

    store(work)


def test_a_record_reads_back_as_it_was_written(store: Stores) -> None:
    async def work(store: Store) -> None:
        items = {"x": "1", "ü": "✓ \n\t\"'", "empty": "", "json": '{"a": [1, 2]}'}
        index = await store.write(PATH, items, index=0)
        record = await store.read(PATH)
        assert record is not None
        assert record.items == items
        assert record.index == index > 0

    store(work)


def test_a_write_replaces_the_whole_record_and_gives_a_higher_index(store: Stores) -> None:
    async def work(store: Store) -> None:
        first = await store.write(PATH, {"a": "1", "b": "2"}, index=0)
        second = await store.write(PATH, {"b": "3"}, index=first)
        record = await store.read(PATH)
        assert record is not None
        assert record.items == {"b": "3"}
        assert record.index == second > first

    store(work)


def test_a_writer_who_has_not_seen_the_last_write_is_refused_and_changes_nothing(store: Stores) -> None:
    async def work(store: Store) -> None:
        first = await store.write(PATH, {"n": "1"}, index=0)
        last = await store.write(PATH, {"n": "2"}, index=first)
        for stale in (0, first, last + 5):
            with pytest.raises(RefusedError) as refused:
                await store.write(PATH, {"n": "3"}, index=stale)
            assert refused.value.why is Refusal.CONFLICT
            assert refused.value.source is Source.STORE
        record = await store.read(PATH)
        assert record is not None
        assert (record.items, record.index) == ({"n": "2"}, last)

    store(work)


def test_a_record_that_is_not_there_is_not_overwritten(store: Stores) -> None:
    async def work(store: Store) -> None:
        with pytest.raises(RefusedError) as refused:
            await store.write(PATH, {"n": "1"}, index=7)
        assert refused.value.why is Refusal.CONFLICT
        assert await store.read(PATH) is None

    store(work)


def test_of_two_first_writers_one_is_refused(store: Stores) -> None:
    async def work(store: Store) -> None:
        results: list[str] = []

        async def write(name: str) -> None:
            try:
                await store.write(PATH, {"by": name}, index=0)
                results.append(name)
            except RefusedError as refused:
                results.append(str(refused.why))

        async with anyio.create_task_group() as group:
            group.start_soon(write, "a")
            group.start_soon(write, "b")
        record = await store.read(PATH)
        assert record is not None
        assert sorted(results) == sorted([record.items["by"], "conflict"])

    store(work)


def test_records_of_different_paths_do_not_touch(store: Stores) -> None:
    async def work(store: Store) -> None:
        await store.write(f"{PATH}/a", {"n": "a"}, index=0)
        await store.write(f"{PATH}/b", {"n": "b"}, index=0)
        a, b, above = await store.read(f"{PATH}/a"), await store.read(f"{PATH}/b"), await store.read(PATH)
        assert a is not None
        assert b is not None
        assert (a.items, b.items, above) == ({"n": "a"}, {"n": "b"}, None)

    store(work)


def test_sixty_kilobytes_fit(store: Stores) -> None:
    async def work(store: Store) -> None:
        items = {f"claim-{n}": "x" * 600 for n in range(100)}
        await store.write(PATH, items, index=0)
        record = await store.read(PATH)
        assert record is not None
        assert record.items == items

    store(work)


def test_a_variable_refuses_what_nomad_would_refuse_and_says_how_large_it_is() -> None:
    async def work(store: Store) -> None:
        exactly = {"a": "x" * 65535}
        index = await store.write(PATH, exactly, index=0)
        with pytest.raises(RefusedError, match="65537 bytes") as refused:
            await store.write(PATH, {"a": "x" * 65536}, index=index)
        assert refused.value.why is Refusal.INVALID
        record = await store.read(PATH)
        assert record is not None
        assert record.items == exactly

    in_simulated_variables(work)
