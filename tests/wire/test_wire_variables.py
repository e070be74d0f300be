"""Variables and locks of the simulated Nomad over HTTP, with their clocks (recordings 208-247)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from providers.http import Answer, Http, Request
from providers.sandbox.world.servers import agents
from providers.sandbox.world.world import World
from support.nomad_jobs import Running, running, wait

PATH = "nomad-reconciler/prod/lock"
Ask = Callable[..., Awaitable[Answer]]


def with_a_client(work: Callable[[Running, Ask], Awaitable[None]]) -> None:
    async def opened(wired: Running) -> None:
        http = Http(app=wired.app)

        async def ask(method: str, path: str, body: Any = None, *, to: str = wired.hosts[0]) -> Answer:
            content = msgspec.json.encode(body) if body is not None else None
            url = f"http://{to}:4646/v1/var/{path}"
            return await http.ask(Request(method=method, url=url, body=content))

        await work(wired, ask)

    running(opened)


async def acquire(ask: Ask, holder: str, *, ttl: str = "10s", delay: str = "10s") -> str | None:
    body = {"Lock": {"TTL": ttl, "LockDelay": delay}, "Items": {"holder": holder}}
    answer = await ask("PUT", f"{PATH}?lock-acquire", body)
    if answer.status == 409:
        return None
    assert answer.status == 200, answer.text
    lock_id: str = msgspec.json.decode(answer.body)["Lock"]["ID"]
    return lock_id


async def renew(ask: Ask, lock_id: str | None) -> int:
    return (await ask("PUT", f"{PATH}?lock-renew", {"Lock": {"ID": lock_id}})).status


@pytest.mark.parametrize(("length", "status"), [(65535, 200), (65536, 400)])
def test_a_variable_holds_64_kib_names_included(length: int, status: int) -> None:
    async def work(_: Running, ask: Ask) -> None:
        answer = await ask("PUT", "nomad-reconciler/large", {"Items": {"a": "x" * length}})
        assert answer.status == status
        if status == 400:
            assert answer.text == "RPC Error:: 400,variables are limited to 64KiB in total size"

    with_a_client(work)


def test_a_lock_that_is_not_renewed_is_free_after_two_ttls_and_its_delay() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        assert await acquire(ask, "a")
        for waited in (10, 19, 29.9):
            await wait(wired, waited - (10 if waited == 19 else 19 if waited > 19 else 0))
            assert await acquire(ask, "b") is None, waited
        await wait(wired, 0.2)
        assert await acquire(ask, "b")

    with_a_client(work)


def test_a_renewal_is_in_time_until_two_ttls_are_over_and_too_late_afterwards() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        mine = await acquire(ask, "a")
        await wait(wired, 19)
        assert await renew(ask, mine) == 200
        await wait(wired, 19)
        assert await renew(ask, mine) == 200
        await wait(wired, 21)
        assert await renew(ask, mine) == 409
        await wait(wired, 10)
        assert await acquire(ask, "b")
        assert await renew(ask, mine) == 409

    with_a_client(work)


def test_a_new_leader_gives_the_holder_two_whole_ttls_again() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        await acquire(ask, "a")
        await wait(wired, 15)
        leader = next(p for p in await wired.real.at(wired.hosts).raft_configuration() if p.leader)
        host = leader.address.partition(":")[0]
        agents.kill(wired.world.servers, host)
        await wait(wired, 10)
        other = next(h for h in wired.hosts if h != host)

        async def ask_other(method: str, path: str, body: Any = None) -> Answer:
            return await ask(method, path, body, to=other)

        assert await acquire(ask_other, "b") is None  # 25 s: without the election it would have expired
        await wait(wired, 25)
        assert await acquire(ask_other, "b")

    with_a_client(work)


def test_only_the_holder_writes_and_its_write_resets_the_times() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        mine = await acquire(ask, "a", ttl="30s", delay="30s")
        assert (await ask("PUT", PATH, {"Items": {"n": "1"}})).status == 409
        assert (await ask("DELETE", PATH)).status == 409
        written = await ask("PUT", PATH, {"Items": {"n": "2"}, "Lock": {"ID": mine}})
        assert written.status == 200
        assert msgspec.json.decode(written.body)["Lock"]["TTL"] == "15s"
        released = await ask("PUT", f"{PATH}?lock-release", {"Lock": {"ID": mine}})
        assert released.status == 200
        assert "Lock" not in msgspec.json.decode(released.body)
        assert await acquire(ask, "b")

    with_a_client(work)


def test_a_world_that_was_saved_keeps_variables_and_their_running_locks() -> None:
    async def work(wired: Running, ask: Ask) -> None:
        await acquire(ask, "a")
        await wait(wired, 5)
        loaded = World.load(wired.world.save(), wired.world.cloud.catalogue)
        for at, held in ((24.0, True), (26.0, False)):
            loaded.advance(wired.world.now + at)
            assert (loaded.nomad.variables.read(PATH, namespace="default").get("Lock") is not None) is held

    with_a_client(work)
