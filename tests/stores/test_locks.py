"""Who holds a lock: one at a time, never longer than its own clock allows; by every store that has locks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import pytest

from providers.http import App, Message
from providers.sandbox.virtualtime import run_virtual
from providers.stores.nomad_locks import NomadLocks
from providers.stores.nomad_variables import NomadVariables
from providers.stores.sqlite import SqliteStore
from reconciler.ports import Locks, Store
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError
from schemas.record import EXPIRY, TTL, Lease
from support.nomad_jobs import Running, running, wait

PATH = "nomad-reconciler/prod/lock"


@dataclass(slots=True, kw_only=True)
class Two:
    """Two replicas of the program and the store that they share."""

    a: Locks
    b: Locks
    store: Store
    wait: Callable[[float], Awaitable[None]]

    async def taken(self) -> Lease:
        lease = await self.a.acquire(PATH, holder="a")
        assert lease is not None
        return lease

    async def seconds_until_b_has_it(self) -> float:
        begun = anyio.current_time()
        while await self.b.acquire(PATH, holder="b") is None:
            await self.wait(0.5)
        return anyio.current_time() - begun


class Stage(Protocol):
    def __call__(self, work: Callable[[Two], Awaitable[None]]) -> None: ...


def in_sqlite(work: Callable[[Two], Awaitable[None]]) -> None:
    async def opened() -> None:
        store = SqliteStore()
        await work(Two(a=store, b=store, store=store, wait=anyio.sleep))

    run_virtual(opened)


def in_simulated_variables(
    work: Callable[[Two], Awaitable[None]], between: Callable[[App], App] = lambda app: app
) -> None:
    async def opened(wired: Running) -> None:
        async def passed(seconds: float) -> None:
            await wait(wired, seconds)

        def locks() -> Locks:
            return NomadLocks(wired.real.channel(wired.hosts))

        await work(Two(a=locks(), b=locks(), store=NomadVariables(wired.real.channel(wired.hosts)), wait=passed))

    running(opened, between=between)


@pytest.fixture(
    params=[pytest.param(in_sqlite, id="sqlite"), pytest.param(in_simulated_variables, id="variables-simulated")]
)
def with_two(request: pytest.FixtureRequest) -> Stage:
    stage: Stage = request.param
    return stage


def test_of_two_only_one_holds_it_and_its_record_names_the_holder(with_two: Stage) -> None:
    async def work(two: Two) -> None:
        await two.taken()
        assert await two.b.acquire(PATH, holder="b") is None
        record = await two.store.read(PATH)
        assert record is not None
        assert record.items == {"holder": "a"}

    with_two(work)


def test_a_release_hands_over_at_once(with_two: Stage) -> None:
    async def work(two: Two) -> None:
        lease = await two.taken()
        assert await two.a.release(lease)
        assert await two.seconds_until_b_has_it() == 0
        record = await two.store.read(PATH)
        assert record is not None
        assert record.items == {"holder": "b"}

    with_two(work)


def test_a_killed_holder_is_followed_after_one_expiry(with_two: Stage) -> None:
    async def work(two: Two) -> None:
        await two.taken()
        assert EXPIRY <= await two.seconds_until_b_has_it() <= EXPIRY + 1

    with_two(work)


def test_a_holder_that_renews_keeps_it_for_ever(with_two: Stage) -> None:
    async def work(two: Two) -> None:
        lease = await two.taken()
        for _ in range(20):
            await two.wait(10)
            lease = await two.a.renew(lease)
            assert await two.b.acquire(PATH, holder="b") is None

    with_two(work)


def test_a_frozen_holder_that_wakes_up_has_stopped_by_its_own_clock_and_cannot_take_it_back(with_two: Stage) -> None:
    async def work(two: Two) -> None:
        old = await two.taken()
        await two.wait(TTL + 1)
        assert anyio.current_time() > old.until  # long before anybody else may hold it
        await two.seconds_until_b_has_it()
        assert anyio.current_time() >= old.free_at
        with pytest.raises(RefusedError) as refused:
            await two.a.renew(old)
        assert refused.value.why is Refusal.CONFLICT
        assert not await two.a.release(old)
        assert await two.a.acquire(PATH, holder="a") is None

    with_two(work)


def test_nobody_else_writes_a_locked_record(with_two: Stage) -> None:
    async def work(two: Two) -> None:
        await two.taken()
        record = await two.store.read(PATH)
        assert record is not None
        with pytest.raises(RefusedError) as refused:
            await two.store.write(PATH, {"holder": "c"}, index=record.index)
        assert refused.value.why is Refusal.CONFLICT

    with_two(work)


def test_a_lock_of_which_nobody_knows_whether_it_was_taken_is_used_by_nobody_and_expires() -> None:
    class LosesAnswers:
        def __init__(self, app: App) -> None:
            self._app, self.on = app, True

        async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
            if not (self.on and b"lock-acquire" in scope["query_string"]):
                await self._app(scope, receive, send)
                return
            self.on = False

            async def lost(_: Message) -> None:
                raise ConnectionResetError

            await self._app(scope, receive, lost)

    async def work(two: Two) -> None:
        with pytest.raises(OutcomeUnknownError):
            await two.a.acquire(PATH, holder="a")
        assert EXPIRY - 1 <= await two.seconds_until_b_has_it() <= EXPIRY + 1

    in_simulated_variables(work, between=LosesAnswers)


def test_without_a_leader_a_holder_is_told_so_and_stops_at_its_own_deadline() -> None:
    class NoLeader:
        def __init__(self, app: App) -> None:
            self._app = app

        async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
            if b"lock-renew" not in scope["query_string"]:
                await self._app(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"No cluster leader"})

    async def work(two: Two) -> None:
        lease = await two.taken()
        for _try in range(3):
            await two.wait(4)
            with pytest.raises(Fault, match="knows no leader"):
                await two.a.renew(lease)
        assert anyio.current_time() < lease.until
        await two.wait(4)
        assert anyio.current_time() > lease.until

    in_simulated_variables(work, between=NoLeader)


def test_the_channel_s_other_users_are_not_renamed_by_the_store() -> None:
    async def opened(wired: Running) -> None:
        channel = wired.real.channel(wired.hosts)
        NomadLocks(channel)
        with pytest.raises(Fault) as fault:
            await channel.write("PUT", "/v1/node/x/purge")
        assert fault.value.source == "nomad"

    running(opened)
