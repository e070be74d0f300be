"""The simulated API as any client meets it: gzip, pages, filters, waiting, time, and who answers where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest

from providers.http import Answer, CutShortError, Http, NotSentError, Request
from providers.sandbox.world.servers import agents
from support.nomad_jobs import Running, a_job, running

Ask = Callable[..., Awaitable[Answer]]


def with_a_client(work: Callable[[Running, Ask], Awaitable[None]]) -> None:
    async def opened(wired: Running) -> None:
        http = Http(app=wired.app)

        async def ask(path: str, *, method: str = "GET", body: Any = None, **query: str) -> Answer:
            content = msgspec.json.encode(body) if body is not None else None
            host = query.pop("host", wired.hosts[0])
            url = f"http://{host}:4646{path}"
            seconds = float(query.pop("seconds", "400"))
            return await http.ask(
                Request(method=method, url=url, query=tuple(query.items()), body=content, seconds=seconds)
            )

        await work(wired, ask)

    running(opened)


def rows(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = msgspec.json.decode(answer.body)
    return found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('Status == "ready"', 3),
        ('Status != "ready"', 0),
        ('not Status == "down" and (Datacenter == "dc1" or Datacenter == "dc2")', 3),
        ('Attributes["kernel.name"] == "linux"', 3),
        ('Attributes["nope"] is empty', 3),
        ('Attributes["nope"] is not empty', 0),
        ('Attributes["unique.platform.aws.instance-id"] matches "^i-"', 3),
        ('"docker" in Drivers and Drivers.docker.Healthy == true', 3),
        ('"podman" in Drivers', 0),
        ("DrainStrategy is nil", 3),
        ("DrainStrategy is not nil", 0),
        ('Name contains "i-"', 3),
        ("NodeResources.Memory.MemoryMB == 7864", 3),
        ("Status == `ready`", 3),
    ],
)
def test_a_filter_keeps_what_it_says(expression: str, found: int) -> None:
    async def work(_: Running, ask: Ask) -> None:
        assert len(rows(await ask("/v1/nodes", filter=expression))) == found

    with_a_client(work)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("Nope == 1", 'couldn\'t find key: struct field with name "Nope"'),
        ("DrainStrategy.Deadline == 0", "invalid value kind: invalid"),
        ("Drivers.podman.Healthy == true", 'couldn\'t find key "podman"'),
        ("NodeResources.Memory.MemoryMB < 5", "1:31 (30): no match found"),
        ('Status == "ready" or', "failed to read filter expression"),
        ('(Status == "ready"', "failed to read filter expression"),
        ("Status ==", "failed to read filter expression"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(expression: str, says: str) -> None:
    async def work(_: Running, ask: Ask) -> None:
        answer = await ask("/v1/nodes", filter=expression)
        assert answer.status == 400
        assert says in answer.text

    with_a_client(work)


def test_pages_follow_one_another_to_the_end() -> None:
    async def work(_: Running, ask: Ask) -> None:
        whole = [row["ID"] for row in rows(await ask("/v1/nodes"))]
        token, seen = "", []
        for _page in range(3):
            more = {"next_token": token} if token else {}
            answer = await ask("/v1/nodes", per_page="1", **more)
            seen += [row["ID"] for row in rows(answer)]
            token = answer.headers.get("x-nomad-nexttoken", "")
        assert (seen, token) == (whole, "")
        assert rows(await ask("/v1/nodes", per_page="-1")) == []

    with_a_client(work)


def test_a_large_answer_is_zipped_for_those_who_can_read_it() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        answer = await ask("/v1/nodes", resources="true")
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.received < len(answer.body)
        plain = await Http(app=wired.app).ask(
            Request(method="GET", url=f"http://{wired.hosts[0]}:4646/v1/nodes", headers={"Accept-Encoding": "identity"})
        )
        assert "content-encoding" not in plain.headers

    with_a_client(work)


def test_a_blocking_query_answers_when_the_table_changes_and_not_before() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        index = (await ask("/v1/jobs")).headers["x-nomad-index"]
        begun = wired.clock.seconds()
        assert (await ask("/v1/jobs", index=index, wait="60s")).headers["x-nomad-index"] == index
        assert 60 <= wired.clock.seconds() - begun <= 64

        async def change() -> None:
            await wired.clock.sleep(10)
            wired.world.nomad.api.register_job({"Job": a_job("new")})

        begun = wired.clock.seconds()
        async with anyio.create_task_group() as group:
            group.start_soon(change)
            answer = await ask("/v1/jobs", index=index, wait="60s")
        assert 10 <= wired.clock.seconds() - begun <= 11
        assert "new" in {row["ID"] for row in rows(answer)}

    with_a_client(work)


def test_without_a_leader_only_stale_reads_are_answered_and_the_others_take_five_seconds() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        for host in wired.hosts[1:]:
            agents.kill(wired.world.servers, host)
        await wired.clock.sleep(30)
        begun = wired.clock.seconds()
        refused = await ask("/v1/nodes")
        assert (refused.status, refused.text) == (500, "No cluster leader")
        assert 4.5 <= wired.clock.seconds() - begun <= 6
        stale = await ask("/v1/nodes", stale="true")
        assert stale.headers["x-nomad-knownleader"] == "false"
        assert len(rows(stale)) == 3

    with_a_client(work)


def test_nobody_at_an_address_refuses_a_frozen_server_hangs_and_a_name_stands_for_all() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        with pytest.raises(NotSentError, match="connection refused"):
            await ask("/v1/status/leader", host="10.99.0.1")
        agents.freeze(wired.world.servers, wired.hosts[1])
        with pytest.raises(CutShortError, match="no whole answer within 3 s"):
            await ask("/v1/status/leader", host=wired.hosts[1], seconds="3")
        assert len(rows(await ask("/v1/nodes", host="nomad.internal"))) == 3

    with_a_client(work)


def test_a_client_agent_forwards_and_has_no_calls_of_servers() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        client = next(a.spec.address for a in wired.world.nomad.state.agents.values())
        assert len(rows(await ask("/v1/nodes", host=client))) == 3
        refused = await ask("/v1/agent/join", method="PUT", host=client, address=wired.hosts[0])
        assert (refused.status, refused.text) == (501, "Invalid method")

    with_a_client(work)


def test_ids_with_slashes_are_found_in_their_escaped_form() -> None:
    async def work(_: Running, ask: Ask) -> None:
        answer = await ask("/v1/job/team%2Fapi/summary")
        assert msgspec.json.decode(answer.body)["JobID"] == "team/api"

    with_a_client(work)


def test_a_snapshot_has_the_digest_that_its_header_names() -> None:
    async def work(wired: Running, _: Ask) -> None:
        snapshot = await wired.real.at(wired.hosts).snapshot()
        assert snapshot.archive[:2] == b"\x1f\x8b"

    with_a_client(work)
