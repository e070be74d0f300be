"""Locks on a real Nomad's variables, by its own clock: hand-over, take-over, a holder that wakes up too late.

What needs an expiry (45 s) happens at the same time, on records of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

import anyio
import pytest

from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.stores.nomad_locks import NomadLocks
from providers.stores.nomad_variables import NomadVariables
from schemas.faults import Refusal, RefusedError
from schemas.record import EXPIRY, TTL, Lease
from support.real_nomad import RealCluster, needs_nomad

pytestmark = [needs_nomad, pytest.mark.xdist_group("real-nomad"), pytest.mark.timeout(180)]

_NAMES = count()
Property = Callable[[str, object], None]
LATE = 4.0  # seconds: Nomad looks at its timers, and we at the lock, now and then


class Two:
    """Two replicas of the program, each with connections of its own."""

    def __init__(self, a: RealNomadDoor, b: RealNomadDoor, cluster: RealCluster) -> None:
        urls = cluster.urls
        self.a, self.b = NomadLocks(a.channel(urls)), NomadLocks(b.channel([*urls[1:], urls[0]]))
        self.store = NomadVariables(b.channel(urls))

    async def taken(self, path: str) -> Lease:
        lease = await self.a.acquire(path, holder="a")
        assert lease is not None
        return lease

    async def seconds_until_b_has_it(self, path: str) -> tuple[float, Lease]:
        begun = anyio.current_time()
        while (lease := await self.b.acquire(path, holder="b")) is None:  # noqa: ASYNC110 - a real Nomad tells nobody
            await anyio.sleep(0.25)
        return anyio.current_time() - begun, lease


def with_two(cluster: RealCluster, work: Callable[[Two], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with RealNomadDoor(NomadSettings()) as a, RealNomadDoor(NomadSettings()) as b:
            await work(Two(a, b, cluster))

    anyio.run(opened)


def a_path() -> str:
    return f"nomad-reconciler/locks-{next(_NAMES)}/lock"


def test_of_two_only_one_holds_it_and_a_release_hands_over_at_once(
    real_nomad: RealCluster, record_property: Property
) -> None:
    async def work(two: Two) -> None:
        path = a_path()
        lease = await two.taken(path)
        assert await two.b.acquire(path, holder="b") is None
        assert await two.a.release(await two.a.renew(lease))
        seconds, _ = await two.seconds_until_b_has_it(path)
        record_property("seconds of a hand-over after a release", round(seconds, 3))
        assert seconds < 1
        record = await two.store.read(path)
        assert record is not None
        assert record.items == {"holder": "b"}

    with_two(real_nomad, work)


def test_nobody_without_the_lock_writes_a_locked_record(real_nomad: RealCluster) -> None:
    async def work(two: Two) -> None:
        path = a_path()
        lease = await two.taken(path)
        record = await two.store.read(path)
        assert record is not None
        with pytest.raises(RefusedError) as refused:
            await two.store.write(path, {"holder": "c"}, index=record.index)
        assert refused.value.why is Refusal.CONFLICT
        assert await two.a.release(lease)

    with_two(real_nomad, work)


def test_after_an_expiry_the_dead_are_followed_the_late_are_refused_and_the_living_still_hold(
    real_nomad: RealCluster, record_property: Property
) -> None:
    async def dead(two: Two) -> None:
        path = a_path()
        await two.taken(path)
        seconds, _ = await two.seconds_until_b_has_it(path)
        record_property("seconds of a take-over after a holder died", round(seconds, 1))
        assert EXPIRY - 1 <= seconds <= EXPIRY + LATE

    async def frozen(two: Two) -> None:
        path = a_path()
        old = await two.taken(path)
        await anyio.sleep(TTL + 1)
        assert anyio.current_time() >= old.until  # by its own clock it has stopped, long before anybody else has it
        _, new = await two.seconds_until_b_has_it(path)
        with pytest.raises(RefusedError) as refused:
            await two.a.renew(old)
        assert refused.value.why is Refusal.CONFLICT
        assert not await two.a.release(old)
        assert await two.a.acquire(path, holder="a") is None
        await two.b.renew(new)

    async def living(two: Two) -> None:
        path = a_path()
        lease = await two.taken(path)
        for _ in range(int(EXPIRY / TTL * 2)):
            await anyio.sleep(TTL / 2)
            lease = await two.a.renew(lease)
            assert await two.b.acquire(path, holder="b") is None
        assert await two.a.release(lease)

    async def late_renewal(two: Two) -> None:
        path = a_path()
        lease = await two.taken(path)
        await anyio.sleep(TTL + 4)  # Nomad would still let it go on: our own deadline is the earlier one
        assert anyio.current_time() >= lease.until
        await two.a.renew(lease)

    async def work(two: Two) -> None:
        async with anyio.create_task_group() as group:
            for case in (dead, frozen, living, late_renewal):
                group.start_soon(case, two)

    with_two(real_nomad, work)
