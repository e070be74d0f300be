"""What goes wrong between us and Nomad becomes one of three faults, with what to do; writes are never sent twice."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from providers.nomad.channel import ATTEMPTS, Channel
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.nomad.shapes import NodeStub, list_of
from providers.stores.nomad_variables import NomadVariables
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError
from support.raw_server import RawServer, Script, answer, dripping, hang_up, listed, raw_server, silence

NOBODY = "http://127.0.0.1:1"  # a port where nothing listens
HTML = "<!DOCTYPE html><html><title>502 Bad Gateway</title></html>"
TOO_MANY = "Your IP is issuing too many concurrent connections, please rate limit your calls\n"
NODE = '[{"ID": "n1", "ModifyIndex": 3, "Status": "ready", "Later": {"x": 1}}]'


@asynccontextmanager
async def a_channel(*addresses: str) -> AsyncIterator[Channel]:
    async with RealNomadDoor(NomadSettings(token="secret"), chance=lambda: 0.0) as door:
        yield door.channel(addresses)


async def read(channel: Channel, *, seconds: float = 0.2) -> list[str]:
    stubs = await channel.read("/v1/nodes", decode=lambda a: list_of(NodeStub, a), seconds=seconds)
    return [stub.ID for stub in stubs]


async def heard_of(says: bytes | Script, work: Callable[[Channel], Awaitable[object]]) -> tuple[RawServer, Fault]:
    async with raw_server(says) as server, a_channel(server.url) as channel:
        with pytest.raises(Fault) as fault:
            await work(channel)
        return server, fault.value


# --- reads -----------------------------------------------------------------------------------------------------------

BROKEN: dict[str, bytes | Script] = {
    "cut in the body": listed(NODE)[:-20],
    "cut in the headers": listed(NODE)[:40],
    "closed without a word": hang_up,
    "silence": silence,
    "a body that drips": dripping,
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "truncated JSON in a whole answer": listed(NODE[:-10]),
    "no list": listed('{"error": "sorry"}'),
    "gzip that is none": listed(NODE, "Content-Encoding: gzip"),
    "a proxy's page": answer(502, HTML, "Content-Type: text/html"),
    "a proxy's page as success": answer(200, HTML, "Content-Type: text/html"),
    "an empty list of nobody": answer(200, "[]", "Content-Type: application/json"),
    "too many connections": answer(429, TOO_MANY, "Content-Type: text/plain", "Connection: close"),
    "a follower that lost its leader": answer(500, "rpc error: stream closed"),
    "no connection to the leader": answer(500, "rpc error: failed to get conn: dial tcp 10.0.0.2:4647: refused"),
    "a new leader": answer(500, "Not ready to serve consistent reads"),
    "no leader": answer(500, "No cluster leader"),
    "no such region": answer(500, "No path to region"),
    "no right": answer(403, "Permission denied"),
    "a redirect to sign in": answer(302, "", "Location: https://sso.example/"),
    "an unknown path": answer(404, ""),
}


@pytest.mark.parametrize("says", BROKEN.values(), ids=BROKEN.keys())
def test_a_read_that_gets_no_whole_answer_is_unanswered(says: bytes | Script) -> None:
    server, fault = anyio.run(heard_of, says, read)

    assert isinstance(fault, UnansweredError)
    assert fault.source is Source.NOMAD
    assert fault.what == "GET /v1/nodes"
    assert len(fault.message) > 30
    assert "secret" not in str(fault)
    assert 1 <= len(server.heard) <= ATTEMPTS


@pytest.mark.parametrize(
    ("says", "advice"),
    [
        (BROKEN["no right"], "NOMAD_TOKEN"),
        (BROKEN["no right"], "reconcile iam"),
        (BROKEN["no such region"], "NOMAD_REGION"),
        (BROKEN["no leader"], "reconcile status"),
        (BROKEN["a proxy's page"], "proxy"),
        (BROKEN["a redirect to sign in"], "https://sso.example/"),
        (BROKEN["too many connections"], "more than 100"),
        (BROKEN["a body that drips"], "no whole answer within 0.2 s"),
    ],
)
def test_a_fault_says_what_to_do(says: bytes | Script, advice: str) -> None:
    _, fault = anyio.run(heard_of, says, read)

    assert advice in fault.message


@pytest.mark.parametrize(
    "first",
    [
        BROKEN[name]
        for name in (
            "cut in the body",
            "closed without a word",
            "silence",
            "truncated JSON in a whole answer",
            "too many connections",
            "a follower that lost its leader",
            "a proxy's page",
        )
    ],
)
def test_a_read_that_failed_once_is_asked_again(first: bytes | Script) -> None:
    async def work() -> None:
        async with raw_server(first, listed(NODE)) as server, a_channel(server.url) as channel:
            assert await read(channel) == ["n1"]
            assert len(server.heard) == 2

    anyio.run(work)


@pytest.mark.parametrize("says", [BROKEN["no right"], BROKEN["no such region"], BROKEN["an unknown path"]])
def test_a_read_that_will_fail_again_is_not_repeated(says: bytes) -> None:
    server, _ = anyio.run(heard_of, says, read)

    assert len(server.heard) == 1


def test_a_whole_list_in_gzip_is_read_and_its_bytes_counted() -> None:
    async def work() -> None:
        body = gzip.compress(NODE.encode())
        said = answer(200, body, "Content-Encoding: gzip", "X-Nomad-Index: 7", "X-Nomad-Knownleader: true")
        async with raw_server(said) as server, a_channel(server.url) as channel:
            assert await read(channel) == ["n1"]
            assert channel.traffic.received == len(body)
            assert "accept-encoding: gzip\r\n" in server.heard[0].lower()
            assert "x-nomad-token: secret\r\n" in server.heard[0].lower()

    anyio.run(work)


def test_addresses_are_tried_in_turn_and_the_one_that_answers_is_kept() -> None:
    async def work() -> None:
        async with raw_server(hang_up) as broken, raw_server(listed(NODE)) as good:
            async with a_channel(NOBODY, broken.url, good.url) as channel:
                assert await read(channel) == ["n1"]
                assert await read(channel) == ["n1"]
            assert (len(broken.heard), len(good.heard)) == (1, 2)

    anyio.run(work)


def test_a_server_that_is_cut_off_alone_is_left_for_one_that_knows_a_leader() -> None:
    async def work() -> None:
        leaderless = answer(500, "No cluster leader")
        knows = answer(200, '"10.0.0.2:4647"', "Content-Type: application/json")
        async with raw_server(leaderless) as alone, raw_server(knows, listed(NODE)) as other:
            async with a_channel(alone.url, other.url) as channel:
                assert await read(channel) == ["n1"]
            assert "GET /v1/status/leader?stale=true" in other.heard[0]

    anyio.run(work)


def test_nobody_anywhere_names_every_address() -> None:
    async def work() -> None:
        async with a_channel(NOBODY, "http://127.0.0.1:2") as channel:
            with pytest.raises(UnansweredError, match=r"127\.0\.0\.1:1 .*127\.0\.0\.1:2 "):
                await read(channel)
        async with a_channel() as channel:
            with pytest.raises(UnansweredError, match="no address is known"):
                await read(channel)

    anyio.run(work)


# --- writes ----------------------------------------------------------------------------------------------------------


async def write(channel: Channel) -> None:
    await channel.write("PUT", "/v1/node/x/drain", body={"DrainSpec": None}, seconds=0.2)


UNSURE = ("cut in the body", "closed without a word", "silence", "a body that drips", "not HTTP")


@pytest.mark.parametrize(
    "says",
    [
        *(BROKEN[name] for name in UNSURE),
        BROKEN["a proxy's page"],
        BROKEN["a proxy's page as success"],
        answer(504, "upstream request timeout"),
        answer(500, "raft apply failed: leadership lost while committing log"),
        answer(500, "rpc error: stream closed"),
        answer(500, "rpc error: EOF"),
    ],
)
def test_a_write_that_may_have_happened_is_unknown_and_was_sent_once(says: bytes | Script) -> None:
    server, fault = anyio.run(heard_of, says, write)

    assert isinstance(fault, OutcomeUnknownError)
    assert len(server.heard) == 1
    assert server.bodies == [b'{"DrainSpec":null}']


@pytest.mark.parametrize(
    "says",
    [
        answer(500, "No cluster leader"),
        answer(500, "rpc error: failed to get conn: dial tcp 10.0.0.2:4647: connect: connection refused"),
        answer(429, TOO_MANY, "Connection: close"),
        answer(302, "", "Location: /ui/"),
    ],
)
def test_a_write_that_surely_did_not_happen_is_unanswered_and_was_sent_once(says: bytes) -> None:
    server, fault = anyio.run(heard_of, says, write)

    assert isinstance(fault, UnansweredError)
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("says", "why", "code"),
    [
        (answer(500, "node not found"), Refusal.INVALID, "500"),
        (answer(500, 'Feature "Node Pools Governance" is unlicensed'), Refusal.INVALID, "500"),
        (answer(400, 'invalid node pool "a b"'), Refusal.INVALID, "400"),
        (answer(501, "Invalid method"), Refusal.INVALID, "501"),
        (answer(409, '{"ModifyIndex": 9}'), Refusal.CONFLICT, "409"),
        (answer(403, "Permission denied"), Refusal.SPECIFICATION, "403"),
    ],
)
def test_a_no_is_refused_with_its_reason(says: bytes, why: Refusal, code: str) -> None:
    server, fault = anyio.run(heard_of, says, write)

    assert isinstance(fault, RefusedError)
    assert (fault.why, fault.code) == (why, code)
    assert len(server.heard) == 1


def test_a_write_goes_to_the_next_address_only_if_nobody_took_it() -> None:
    async def work() -> None:
        async with raw_server(answer(200, "{}")) as good, a_channel(NOBODY, good.url) as channel:
            await write(channel)
            assert len(good.heard) == 1
        async with raw_server(hang_up) as broken, raw_server(answer(200, "{}")) as good:
            async with a_channel(broken.url, good.url) as channel:
                with pytest.raises(OutcomeUnknownError):
                    await write(channel)
            assert good.heard == []

    anyio.run(work)


# --- the store -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "says",
    [
        answer(404, "404 page not found\n", "Content-Type: text/plain"),
        answer(404, HTML, "Content-Type: text/html"),
        answer(404, ""),
        answer(404, '{"message": "no route"}', "Content-Type: application/json"),
    ],
)
def test_a_proxy_s_404_is_no_missing_record(says: bytes) -> None:
    async def look(channel: Channel) -> None:
        await NomadVariables(channel).read("a/b")

    _, fault = anyio.run(heard_of, says, look)

    assert isinstance(fault, UnansweredError)
    assert fault.source is Source.STORE


def test_nomad_s_own_404_is_a_missing_record() -> None:
    async def work() -> None:
        async with raw_server(answer(404, "variable not found")) as server, a_channel(server.url) as channel:
            assert await NomadVariables(channel, namespace="ops").read("a/b") is None
            assert server.heard[0].startswith("GET /v1/var/a/b?namespace=ops ")

    anyio.run(work)


@pytest.mark.parametrize("says", [answer(200, "{}"), answer(200, '{"ModifyIndex": 1')])
def test_a_write_whose_new_index_is_not_told_is_unknown(says: bytes) -> None:
    async def store(channel: Channel) -> None:
        await NomadVariables(channel).write("a/b", {"n": "1"}, index=0)

    _, fault = anyio.run(heard_of, says, store)

    assert isinstance(fault, OutcomeUnknownError)
    assert fault.source is Source.STORE
