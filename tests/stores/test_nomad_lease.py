"""Who holds the lock: one at a time, never longer than its own clock allows, and nobody writes after another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from providers.http import App, Message
from providers.nomad.channel import Channel
from providers.stores.nomad_lease import EXPIRY, TTL, Lease, NomadLeases
from providers.stores.nomad_variables import NomadVariables
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError
from support.nomad_jobs import Running, running, wait

PATH = "nomad-reconciler/prod/journal"
NEW = {"holder": "a"}


def with_two(
    work: Callable[[Running, NomadLeases, NomadLeases], Awaitable[None]],
    between: Callable[[App], App] = lambda app: app,
) -> None:
    """Two replicas of the program and one cluster."""

    async def opened(wired: Running) -> None:
        def leases() -> NomadLeases:
            return NomadLeases(wired.real.channel(wired.hosts))

        await work(wired, leases(), leases())

    running(opened, between=between)


async def taken(leases: NomadLeases) -> Lease:
    lease = await leases.acquire(PATH, founding=NEW)
    assert lease is not None
    return lease


async def seconds_until_taken(wired: Running, leases: NomadLeases) -> float:
    begun = wired.clock.seconds()
    while await leases.acquire(PATH, founding=NEW) is None:
        await wait(wired, 0.5)
    return wired.clock.seconds() - begun


def test_of_two_only_one_holds_it() -> None:
    async def work(_: Running, a: NomadLeases, b: NomadLeases) -> None:
        await taken(a)
        assert await b.acquire(PATH, founding=NEW) is None

    with_two(work)


def test_a_release_hands_over_at_once_and_what_was_written_stays() -> None:
    async def work(wired: Running, a: NomadLeases, b: NomadLeases) -> None:
        lease = await a.write(await taken(a), {"n": "1"})
        assert await a.release(lease)
        assert await seconds_until_taken(wired, b) == 0
        record = await NomadVariables(wired.real.channel(wired.hosts)).read(PATH)
        assert record is not None
        assert record.items == {"n": "1"}

    with_two(work)


def test_a_killed_holder_is_followed_after_one_expiry() -> None:
    async def work(wired: Running, a: NomadLeases, b: NomadLeases) -> None:
        await taken(a)
        assert EXPIRY <= await seconds_until_taken(wired, b) <= EXPIRY + 1

    with_two(work)


def test_a_holder_that_renews_keeps_it_for_ever() -> None:
    async def work(wired: Running, a: NomadLeases, b: NomadLeases) -> None:
        lease = await taken(a)
        for _ in range(20):
            await wait(wired, 10)
            lease = await a.renew(lease)
            assert await b.acquire(PATH, founding=NEW) is None

    with_two(work)


def test_a_frozen_holder_that_wakes_up_has_stopped_by_its_own_clock_and_writes_nothing() -> None:
    async def work(wired: Running, a: NomadLeases, b: NomadLeases) -> None:
        old = await a.write(await taken(a), {"n": "1"})
        await wait(wired, TTL + 1)
        assert not old.outlives(0)  # long before anybody else may hold it
        await seconds_until_taken(wired, b)
        for act in (a.write(old, {"n": "stale"}), a.renew(old)):
            with pytest.raises(RefusedError) as refused:
                await act
            assert refused.value.why is Refusal.CONFLICT
        assert not await a.release(old)
        assert await a.acquire(PATH, founding=NEW) is None

    with_two(work)


def test_a_lease_says_whether_a_call_still_fits_into_it() -> None:
    async def work(wired: Running, a: NomadLeases, _: NomadLeases) -> None:
        lease = await taken(a)
        assert lease.outlives(TTL - 1)
        assert not lease.outlives(TTL)
        await wait(wired, 10)
        assert lease.outlives(4)
        assert not lease.outlives(5)

    with_two(work)


def test_nobody_without_the_lock_writes_a_locked_record() -> None:
    async def work(wired: Running, a: NomadLeases, _: NomadLeases) -> None:
        lease = await taken(a)
        with pytest.raises(RefusedError) as refused:
            await NomadVariables(wired.real.channel(wired.hosts)).write(PATH, {"n": "2"}, index=lease.index)
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

    async def work(wired: Running, a: NomadLeases, b: NomadLeases) -> None:
        with pytest.raises(OutcomeUnknownError):
            await a.acquire(PATH, founding=NEW)
        assert EXPIRY - 1 <= await seconds_until_taken(wired, b) <= EXPIRY + 1

    with_two(work, between=LosesAnswers)


def test_without_a_leader_a_holder_is_told_so_and_stops_at_its_own_deadline() -> None:
    class NoLeader:
        def __init__(self, app: App) -> None:
            self._app, self.on = app, False

        async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
            if b"lock-renew" not in scope["query_string"]:
                await self._app(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"No cluster leader"})

    async def work(wired: Running, a: NomadLeases, _: NomadLeases) -> None:
        lease = await taken(a)
        for _try in range(3):
            await wait(wired, 4)
            with pytest.raises(Fault, match="knows no leader"):
                await a.renew(lease)
        assert lease.outlives(2)
        await wait(wired, 4)
        assert not lease.outlives(0)

    with_two(work, between=NoLeader)


def test_the_channel_s_other_users_are_not_renamed_by_the_store() -> None:
    async def work(wired: Running, _: NomadLeases, __: NomadLeases) -> None:
        channel: Channel = wired.real.channel(wired.hosts)
        with pytest.raises(Fault) as fault:
            await channel.write("PUT", "/v1/node/x/purge")
        assert fault.value.source == "nomad"

    with_two(work)
