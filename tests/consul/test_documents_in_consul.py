"""Documents below a prefix of Consul: one contract, held by a fake and by a real Consul."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import anyio
import pytest

from providers.consul.place import ConsulPlace
from providers.consul.settings import Location
from providers.http import App, Http, Request
from schemas.document.texts import AbsentError, SilentError, Texts
from support.fake_consul import FakeConsul
from support.real_consul import ConsulAgent, started
from support.watching import Watched, contents, run

SOON = 5.0  # seconds


class Kv(Protocol):
    """A Consul that a test writes to."""

    async def put(self, key: str, value: bytes) -> None: ...

    async def delete(self, key: str) -> None: ...

    async def restart_empty(self) -> None: ...

    def place(self, prefix: str, token: str = "") -> ConsulPlace: ...


def a_place(address: str, prefix: str, token: str, app: App | None = None) -> ConsulPlace:
    location = Location.read(f"consul://{address}/{prefix}", {"CONSUL_HTTP_TOKEN": token})
    return ConsulPlace(location=location, app=app, wait=0.5, spin=0.02, chance=lambda: 0.0)


@dataclass(slots=True)
class Fake:
    consul: FakeConsul = field(default_factory=FakeConsul)

    async def put(self, key: str, value: bytes) -> None:
        self.consul.put(key, value)

    async def delete(self, key: str) -> None:
        self.consul.delete(key)

    async def restart_empty(self) -> None:
        self.consul.restart_empty()

    def place(self, prefix: str, token: str = "") -> ConsulPlace:
        return a_place("fake:8500", prefix, token, self.consul)


@dataclass(slots=True)
class Real:
    agent: ConsulAgent
    token: str = ""

    async def put(self, key: str, value: bytes) -> None:
        assert await self.asked("PUT", f"/v1/kv/{quote(key)}", value) is True

    async def delete(self, key: str) -> None:
        assert await self.asked("DELETE", f"/v1/kv/{quote(key)}") is True

    async def restart_empty(self) -> None:
        self.agent.stop()
        self.agent.start()

    async def asked(self, method: str, path: str, body: bytes | None = None) -> Any:
        http = Http()
        headers = {"X-Consul-Token": self.token}
        url = f"http://127.0.0.1:{self.agent.port}{path}"
        answer = await http.ask(Request(method=method, url=url, body=body, headers=headers))
        await http.aclose()
        assert answer.status == 200, answer.text
        return json.loads(answer.body)

    def place(self, prefix: str, token: str = "") -> ConsulPlace:
        return a_place(f"127.0.0.1:{self.agent.port}", prefix, token)


@pytest.fixture(scope="module")
def agent() -> Iterator[ConsulAgent]:
    with started() as running:
        yield running


@pytest.fixture(params=["fake", "real"])
def kv(request: pytest.FixtureRequest) -> Kv:
    return Fake() if request.param == "fake" else Real(request.getfixturevalue("agent"))


@pytest.fixture
def prefix() -> str:
    """A prefix that nobody else uses."""
    return f"fleet-{os.urandom(4).hex()}"


# --- read once -------------------------------------------------------------------------------------------------------


def test_all_documents_below_the_prefix_are_read_and_no_others(kv: Kv, prefix: str) -> None:
    async def work() -> None:
        await kv.put(f"{prefix}/a.yaml", b"a")
        await kv.put(f"{prefix}/teams/b", b"b")
        await kv.put(f"{prefix}/h\u00e1k \u0161", b"c")
        await kv.put(f"{prefix}/folder/", b"")
        await kv.put(f"{prefix}/.draft", b"no")
        await kv.put(f"{prefix}-2/a.yaml", b"a sibling's")
        place = kv.place(prefix)

        texts = await place.read()

        assert contents(texts) == {"a.yaml": b"a", "b": b"b", "h\u00e1k \u0161": b"c"}
        assert f"{place.name}/teams/b" in texts.of
        assert place.name.startswith("consul://")

    run(work)


def test_a_key_without_a_value_is_an_empty_document(kv: Kv, prefix: str) -> None:
    async def work() -> None:
        await kv.put(f"{prefix}/a", b"")

        assert contents(await kv.place(prefix).read()) == {"a": b""}

    run(work)


def test_a_prefix_without_keys_is_told_with_both_reasons(kv: Kv, prefix: str) -> None:
    async def work() -> None:
        with pytest.raises(AbsentError, match="may not read there"):
            await kv.place(prefix).read()

    run(work)


def test_a_document_that_the_sentinel_names_and_nobody_shows_stops_the_reading(kv: Kv, prefix: str) -> None:
    async def work() -> None:
        await kv.put(f"{prefix}/.meta", b'{"documents": ["a", "b"]}')
        await kv.put(f"{prefix}/a", b"a")

        with pytest.raises(SilentError, match=f"{prefix}/b is named by {prefix}/.meta"):
            await kv.place(prefix).read()

    run(work)


def test_large_documents_and_many_are_read_whole(kv: Kv, prefix: str) -> None:
    async def work() -> None:
        largest = os.urandom(524_288)
        await kv.put(f"{prefix}/large", largest)
        for n in range(120):
            await kv.put(f"{prefix}/{n:03}", b"x" * 1500)

        found = contents(await kv.place(prefix).read())

        assert found["large"] == largest
        assert len(found) == 121

    run(work)


# --- watched ---------------------------------------------------------------------------------------------------------


def test_a_write_is_seen_and_writes_elsewhere_are_not(kv: Kv, prefix: str) -> None:
    async def work() -> None:
        await kv.put(f"{prefix}/a", b"1")
        async with Watched(kv.place(prefix)) as watch:
            assert contents(await watch.next()) == {"a": b"1"}
            await kv.put(f"{prefix}-2/a", b"2")
            await kv.put(f"{prefix}/a", b"1")
            assert await watch.silent()
            await kv.put(f"{prefix}/b", b"2")
            assert contents(await watch.next()) == {"a": b"1", "b": b"2"}

    run(work)


def test_the_watch_of_an_empty_prefix_says_so_once_whatever_else_is_written(kv: Kv, prefix: str) -> None:
    """Consul wakes it at any write at all."""

    async def work() -> None:
        async with Watched(kv.place(prefix)) as watch:
            assert (await watch.next()).of == {}
            await kv.put(f"{prefix}-2/a", b"2")
            assert await watch.silent()
            await kv.put(f"{prefix}/a", b"1")
            assert contents(await watch.next()) == {"a": b"1"}

    run(work)


def test_a_deletion_is_believed_beside_the_sentinel(kv: Kv, prefix: str) -> None:
    async def work() -> None:
        for key in ("a", "b", ".meta"):
            await kv.put(f"{prefix}/{key}", b"{}")
        async with Watched(kv.place(prefix)) as watch:
            await watch.next()
            await kv.delete(f"{prefix}/a")

            texts = await watch.next()

        assert (set(contents(texts)), texts.troubles) == ({"b"}, ())

    run(work)


def test_without_the_sentinel_what_vanished_stays_and_it_is_told(kv: Kv, prefix: str) -> None:
    """So it looks when a token lost its rights."""

    async def work() -> None:
        await kv.put(f"{prefix}/a", b"a")
        await kv.put(f"{prefix}/b", b"b")
        async with Watched(kv.place(prefix)) as watch:
            await watch.next()
            await kv.delete(f"{prefix}/a")

            texts = await watch.next()

            assert contents(texts) == {"a": b"a", "b": b"b"}
            assert f"write the key {prefix}/.meta" in texts.troubles[0]
            await kv.put(f"{prefix}/.meta", b"")
            texts = await watch.next()
            assert (set(contents(texts)), texts.troubles) == ({"b"}, ())

    run(work)


def test_a_deleted_document_that_the_sentinel_still_names_stays(kv: Kv, prefix: str) -> None:
    async def work() -> None:
        await kv.put(f"{prefix}/.meta", b'{"documents": ["a"]}')
        await kv.put(f"{prefix}/a", b"a")
        async with Watched(kv.place(prefix)) as watch:
            await watch.next()
            await kv.delete(f"{prefix}/a")

            texts = await watch.next()

            assert contents(texts) == {"a": b"a"}
            assert "is named by" in texts.troubles[0]
            await kv.put(f"{prefix}/.meta", b'{"documents": []}')
            assert (await watch.next()) == Texts()

    run(work)


@pytest.mark.parametrize("which", ["fake", "real"])
def test_a_consul_that_lost_everything_loses_us_no_document(which: str, prefix: str) -> None:
    """Its index starts anew: a watcher that waited by the old one would hear of nothing."""

    async def work(kv: Kv) -> None:
        for n in range(5):
            await kv.put(f"{prefix}/a", str(n).encode())
        async with Watched(kv.place(prefix)) as watch:
            assert contents(await watch.next()) == {"a": b"4"}
            await kv.restart_empty()
            with anyio.fail_after(15):
                while not (texts := await watch.next()).troubles:
                    pass
            assert contents(texts) == {"a": b"4"}
            await kv.put(f"{prefix}/a", b"new")
            with anyio.fail_after(15):
                while contents(await watch.next()) != {"a": b"new"}:
                    pass

    if which == "fake":
        run(lambda: work(Fake()))
    else:
        with started() as agent:
            run(lambda: work(Real(agent)))


# --- rights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["fake", "real"])
def test_lost_rights_lose_no_document(which: str, prefix: str) -> None:
    """First some keys, then the whole token: what was read stays, and what is wrong is told."""

    async def work(kv: Kv, may_read: Callable[[str], Awaitable[None]], forget: Callable[[], Awaitable[None]]) -> None:
        await kv.put(f"{prefix}/.meta", b'{"documents": ["a", "b"]}')
        await kv.put(f"{prefix}/a", b"a")
        await kv.put(f"{prefix}/b", b"b")
        await may_read(f"{prefix}/")
        async with Watched(kv.place(prefix, TOKEN)) as watch:
            assert set(contents(await watch.next())) == {"a", "b"}
            await may_read(f"{prefix}/a")
            await kv.put(f"{prefix}/a", b"a2")
            while not (texts := await watch.next()).troubles:  # rights may be lost a moment after they were taken
                pass
            assert contents(texts) == {"a": b"a2", "b": b"b"}
            await forget()
            while "403" not in (texts := await watch.next()).troubles[0]:
                pass
            assert contents(texts) == {"a": b"a2", "b": b"b"}

    if which == "fake":
        fake = FakeConsul(readable={TOKEN: ()})

        async def may_read(key: str) -> None:
            fake.readable = {TOKEN: (key,)}

        async def forget() -> None:
            fake.readable = {}

        run(lambda: work(Fake(fake), may_read, forget))
        return
    with started(acls=True) as agent:
        real = Real(agent, token="root")
        policies: list[str] = []

        async def allow(key: str) -> None:
            rules = json.dumps({"Name": "specs", "Rules": f'key_prefix "{key}" {{ policy = "read" }}'}).encode()
            if policies:
                await real.asked("PUT", f"/v1/acl/policy/{policies[0]}", rules)
                return
            policies.append((await real.asked("PUT", "/v1/acl/policy", rules))["ID"])
            token = {"SecretID": TOKEN, "AccessorID": ACCESSOR, "Policies": [{"Name": "specs"}]}
            await real.asked("PUT", "/v1/acl/token", json.dumps(token).encode())

        async def when_ready() -> None:
            """Wait until the agent knows its own token: it leads before."""
            with anyio.fail_after(SOON):
                while True:
                    with contextlib.suppress(AssertionError):
                        await real.asked("GET", "/v1/acl/token/self")
                        break
                    await anyio.sleep(0.05)
            await work(real, allow, end)

        async def end() -> None:
            await real.asked("DELETE", f"/v1/acl/token/{ACCESSOR}")

        run(when_ready)


TOKEN = "0f1e2d3c-0000-0000-0000-000000000001"  # noqa: S105 - of an agent that lives for a second
ACCESSOR = "0f1e2d3c-0000-0000-0000-000000000002"


def test_what_newer_versions_say_they_hid_is_not_deleted(prefix: str) -> None:
    async def work() -> None:
        fake = Fake(FakeConsul(readable={"t": (prefix,)}, tells_of_filtering=True))
        for key in ("a", "b", ".meta"):
            await fake.put(f"{prefix}/{key}", b"{}")
        async with Watched(fake.place(prefix, "t")) as watch:
            await watch.next()
            fake.consul.readable = {"t": (f"{prefix}/.meta", f"{prefix}/a")}
            await fake.put(f"{prefix}/a", b"2")

            texts = await watch.next()

        assert contents(texts) == {"a": b"2", "b": b"{}"}

    run(work)


# --- silence ---------------------------------------------------------------------------------------------------------


def test_a_consul_without_a_leader_is_silent_and_is_asked_again(prefix: str) -> None:
    async def work() -> None:
        fake = Fake()
        await fake.put(f"{prefix}/a", b"a")
        async with Watched(fake.place(prefix)) as watch:
            await watch.next()
            fake.consul.leader = False
            silent = await watch.next()
            fake.consul.leader = True
            again = await watch.next()

        assert contents(silent) == contents(again) == {"a": b"a"}
        assert "no leader" in silent.troubles[0]
        assert again.troubles == ()

    run(work)


def test_nobody_at_the_address_is_said_with_the_address() -> None:
    async def work() -> None:
        place = a_place("127.0.0.1:9", "fleet", "")

        with pytest.raises(SilentError, match=r"127\.0\.0\.1:9 does not answer"):
            await place.read()

    run(work)


def test_the_token_is_sent_and_is_in_no_url_and_no_message(prefix: str) -> None:
    async def work() -> None:
        fake = Fake(FakeConsul(readable={}))

        with pytest.raises(SilentError) as raised:
            await fake.place(prefix, TOKEN).read()

        assert fake.consul.tokens == [TOKEN]
        assert TOKEN not in "".join(fake.consul.urls) + str(raised.value) + repr(fake.place(prefix, TOKEN).location)

    run(work)
