"""A large table of allocations is kept by the event stream, and read in full wherever that is not surely all of it."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from providers.http import App, Http, Message, Request
from providers.nomad import client
from providers.nomad.client import NomadCluster
from providers.sandbox.wire.nomad import events
from schemas.world import Allocation
from support.nomad_jobs import Running, a_job, running, wait


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LARGE", 3)


class Counted:
    """Stands before the wire, and counts whole reads of the table."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.whole = 0

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        self.whole += scope["path"] == "/v1/allocations" and b"per_page" not in scope["query_string"]
        await self._app(scope, receive, send)


async def change(wired: Running, *, count: int) -> None:
    wired.world.nomad.api.register_job({"Job": a_job("web", count=count)})
    await wait(wired, 20)


async def same(wired: Running, cluster: NomadCluster) -> None:
    def by_id(some: tuple[Allocation, ...]) -> list[Allocation]:
        return sorted(some, key=lambda a: a.id)

    assert by_id(await cluster.allocations()) == by_id(await wired.nomad.at(wired.hosts).allocations())


def counted_by(wired: Running) -> Counted:
    assert isinstance(wired.app, Counted)
    return wired.app


def test_what_starts_moves_and_ends_is_told_by_the_stream() -> None:
    async def work(wired: Running) -> None:
        cluster, count = wired.real.at(wired.hosts), counted_by(wired)
        await cluster.jobs()
        await same(wired, cluster)
        for copies in (6, 2, 5, 5):
            await change(wired, count=copies)
            await same(wired, cluster)
        assert count.whole == 1

    running(work, between=Counted)


def test_after_five_minutes_all_is_read_again() -> None:
    async def work(wired: Running) -> None:
        cluster, count = wired.real.at(wired.hosts), counted_by(wired)
        await cluster.jobs()
        for _ in range(12):
            await change(wired, count=4 + _ % 2)
            await same(wired, cluster)
            await wait(wired, 40)
        assert count.whole == 1 + 2  # in twelve minutes

    running(work, between=Counted)


def test_work_of_a_job_that_is_not_known_yet_is_read_in_full() -> None:
    async def work(wired: Running) -> None:
        cluster, count = wired.real.at(wired.hosts), counted_by(wired)
        await same(wired, cluster)
        wired.world.nomad.api.register_job({"Job": a_job("new", count=1)})
        await wait(wired, 20)
        await same(wired, cluster)
        assert count.whole == 2

    running(work, between=Counted)


def test_a_namespace_that_was_made_later_is_not_missed() -> None:
    async def work(wired: Running) -> None:
        cluster, count = wired.real.at(wired.hosts), counted_by(wired)
        await cluster.jobs()
        await same(wired, cluster)
        await change(wired, count=6)
        await same(wired, cluster)
        assert count.whole == 1
        wired.world.nomad.api.put_namespace({"Name": "later"})
        wired.world.nomad.api.register_job({"Job": {**a_job("theirs"), "Namespace": "later"}})
        await change(wired, count=5)  # which is told, with a higher index
        await cluster.jobs()
        await same(wired, cluster)
        assert count.whole == 2
        await wait(wired, 10)  # the stream is opened anew, and tells of it too
        wired.world.nomad.api.register_job({"Job": {**a_job("theirs", count=3), "Namespace": "later"}})
        await wait(wired, 20)
        await same(wired, cluster)
        assert count.whole == 2

    running(work, between=Counted)


def test_what_the_stream_tells_while_a_full_list_is_on_its_way_is_not_lost() -> None:
    class Slow(Counted):
        """Makes the answer to a full read at once, and delivers it when more has happened."""

        async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
            heard: list[Message] = []

            async def hear(message: Message) -> None:
                heard.append(message)

            slow = scope["path"] == "/v1/allocations" and b"per_page" not in scope["query_string"] and self.whole == 1
            await super().__call__(scope, receive, hear if slow else send)
            if slow:
                await anyio.sleep(5)
                for message in heard:
                    await send(message)

    async def work(wired: Running) -> None:
        cluster, count = wired.real.at(wired.hosts), counted_by(wired)
        await cluster.jobs()
        await same(wired, cluster)
        await change(wired, count=6)
        await same(wired, cluster)
        await wait(wired, client.RESYNC)
        async with anyio.create_task_group() as group:
            group.start_soon(cluster.allocations)  # all is read again
            await anyio.sleep(1)
            wired.world.nomad.api.register_job({"Job": a_job("web", count=2)})
        assert count.whole == 2
        await same(wired, cluster)
        assert count.whole == 2

    running(work, between=Slow)


def test_a_gap_in_the_server_s_buffer_is_noticed_and_read_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(wired: Running) -> None:
        cluster, count = wired.real.at(wired.hosts), counted_by(wired)
        await cluster.jobs()
        await same(wired, cluster)
        monkeypatch.setattr(events, "BUFFER", 1)
        wired.world.nomad.api.register_job({"Job": a_job("web", count=6)})
        wired.world.advance(wired.world.now + 20)  # before the stream was ever opened
        await wired.clock.sleep(20)
        await same(wired, cluster)
        assert count.whole == 2

    running(work, between=Counted)


@pytest.mark.parametrize("way", ["silent", "refused", "cut", "garbage"])
def test_without_a_stream_everything_is_read_in_full_and_right(way: str) -> None:
    class Broken(Counted):
        async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
            if scope["path"] != "/v1/event/stream":
                await super().__call__(scope, receive, send)
                return
            if way == "refused":
                await send({"type": "http.response.start", "status": 403, "headers": []})
                await send({"type": "http.response.body", "body": b"Permission denied"})
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            if way == "cut":
                raise ConnectionResetError
            if way == "garbage":
                await send({"type": "http.response.body", "body": b'{"Index": "x"}\n', "more_body": True})
            await anyio.sleep_forever()

    async def work(wired: Running) -> None:
        cluster, count = wired.real.at(wired.hosts), counted_by(wired)
        await cluster.jobs()
        for copies in (4, 6, 2):
            await change(wired, count=copies)
            await same(wired, cluster)
        assert count.whole == 3

    running(work, between=Broken)


def test_a_stream_that_broke_is_opened_again_after_a_full_read() -> None:
    class CutOnce(Counted):
        streams = 0

        async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
            if scope["path"] == "/v1/event/stream":
                self.streams += 1
                if self.streams == 1:
                    raise ConnectionResetError
            await super().__call__(scope, receive, send)

    async def work(wired: Running) -> None:
        cluster, count = wired.real.at(wired.hosts), counted_by(wired)
        await cluster.jobs()
        for copies in (4, 6, 5, 6, 5):
            await change(wired, count=copies)
            await same(wired, cluster)
        assert count.whole == 2

    running(work, between=CutOnce)


# --- the stream itself, as recorded (257-265, 302) -------------------------------------------------------------------


async def heard(wired: Running, seconds: float, *query: tuple[str, str]) -> list[tuple[float, dict[str, Any]]]:
    """Listen for a while; lines with the second at which they came."""
    http, found = Http(app=wired.app), list[tuple[float, dict[str, Any]]]()
    begun = wired.clock.seconds()
    request = Request(method="GET", url=f"http://{wired.hosts[0]}:4646/v1/event/stream", query=query)
    with anyio.move_on_after(seconds):
        async with http.lines(request, idle=60) as (status, lines):
            assert status == 200
            async for line in lines:
                found.append((wired.clock.seconds() - begun, msgspec.json.decode(line)))
    return found


def test_heartbeats_come_at_once_and_every_thirty_seconds() -> None:
    async def work(wired: Running) -> None:
        lines = await heard(wired, 64, ("topic", "Node:none"), ("index", "1"))
        assert [(round(at), line) for at, line in lines] == [(0, {}), (30, {}), (60, {})]

    running(work)


def test_a_topic_with_a_key_tells_of_one_job_alone() -> None:
    async def work(wired: Running) -> None:
        lines = await heard(wired, 2, ("topic", "Evaluation:web"), ("index", "1"))
        told = [event for _, line in lines for event in line.get("Events", ())]
        assert told
        assert {(event["Topic"], event["Payload"]["Evaluation"]["JobID"]) for event in told} == {("Evaluation", "web")}

    running(work)


def test_a_namespace_hears_of_its_own_work_alone() -> None:
    async def work(wired: Running) -> None:
        lines = await heard(wired, 2, ("topic", "Allocation"), ("namespace", "other"), ("index", "1"))
        assert [line for _, line in lines] == [{}]

    running(work)


def test_an_index_that_is_no_number_is_refused() -> None:
    async def work(wired: Running) -> None:
        url = f"http://{wired.hosts[0]}:4646/v1/event/stream"
        answer = await Http(app=wired.app).ask(Request(method="GET", url=url, query=(("index", "x"),)))
        assert (answer.status, answer.text) == (400, 'Unable to parse index: strconv.Atoi: parsing "x": invalid syntax')

    running(work)
