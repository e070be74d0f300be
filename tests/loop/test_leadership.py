"""Replicas of the program on one world: one of them acts for a group, and nobody acts after another took over."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import anyio
import pytest

from providers.sandbox.virtualtime import LoopClock, run_virtual
from reconciler.journal import Journal, Ledger
from reconciler.leadership import LONGEST_CALL, READS, Leader, fenced
from reconciler.loop import GroupLoop, Ports, Run, Tick, exit_code, run_once
from reconciler.ports import Ec2, Nomad
from schemas.document import ClusterGroup
from schemas.faults import Refusal, RefusedError, UnansweredError
from schemas.plan import Reason
from schemas.record import EXPIRY, TTL
from support.builders import a_group, a_pool
from support.stage import Stage, a_job_of, a_scenario

WRITES = {
    *(
        "create_template",
        "delete_template",
        "run_instance",
        "terminate",
        "create_fleet",
        "protect",
        "associate_address",
    ),
    *("create_node_pool", "remove_peer", "force_leave", "transfer_leadership", "join", "acl_bootstrap"),
}


def the_group() -> ClusterGroup:
    return a_group(pools=[a_pool(size={"min": 1, "max": 6})])


@dataclass(slots=True, kw_only=True)
class Replicas:
    """A world, its store, and any number of replicas of the program."""

    stage: Stage = field(default_factory=lambda: Stage.set(a_scenario(a_job_of("web", count=2))))
    clock: LoopClock = field(default_factory=LoopClock)

    def ports(self, name: str) -> Ports:
        return replace(self.stage.ports(self.clock), locks=self.stage.store, holder=name)

    def loop(self, name: str) -> GroupLoop:
        return GroupLoop(the_group(), self.ports(name))

    def play(self, work: Callable[[], Awaitable[None]]) -> None:
        run_virtual(work, start=self.stage.world.now)

    async def formed(self, loop: GroupLoop) -> None:
        """Tick until the cluster stands and nothing is left to be done."""
        for _ in range(300):
            if (await loop.tick()).converged:
                return
            await self.clock.sleep(5)
        raise AssertionError("it never converged")


def silent(_: Tick) -> None:
    """Report to nobody."""


def test_the_second_replica_looks_at_nothing_but_the_account_and_names_the_first() -> None:
    play = Replicas()

    async def work() -> None:
        first, second = play.loop("a"), play.loop("b")
        await play.formed(first)
        tick = await second.tick()
        assert tick.led_by == "a"
        assert [hold.reason for hold in tick.plan.holds] == [Reason.LED_ELSEWHERE]
        assert "a holds the lock" in tick.plan.holds[0].message
        assert not tick.outcomes
        assert not (await first.tick()).led_by

    play.play(work)


def test_who_resigns_is_followed_at_once_and_who_is_killed_after_one_expiry() -> None:
    play = Replicas()

    async def seconds_until(loop: GroupLoop) -> float:
        begun = anyio.current_time()
        while (await loop.tick()).led_by:
            await play.clock.sleep(1)
        return anyio.current_time() - begun

    async def work() -> None:
        first, second, third = play.loop("a"), play.loop("b"), play.loop("c")
        await play.formed(first)
        await first.resign()
        assert await seconds_until(second) == 0
        assert EXPIRY - 1 <= await seconds_until(third) <= EXPIRY + 1

    play.play(work)


def test_a_frozen_holder_that_wakes_up_writes_nothing_and_launches_nothing() -> None:
    """It believes that it leads; its journal was read before it froze, and its lock is somebody else's."""
    play = Replicas()

    async def work() -> None:
        first, second = play.loop("a"), play.loop("b")
        await play.formed(first)
        journal = Journal(play.stage.store, "prod")
        ledger = await journal.read()
        assert isinstance(ledger, Ledger)
        await play.clock.sleep(EXPIRY + 1)
        assert not (await second.tick()).led_by

        with pytest.raises(RefusedError) as refused:  # what it would write before any effect
            await journal.write(ledger)
        assert refused.value.why is Refusal.CONFLICT
        assert (await first.tick()).led_by == "b"

    play.play(work)


def test_a_new_holder_s_first_act_makes_the_former_one_s_record_old_even_if_it_says_the_same() -> None:
    play = Replicas()

    async def work() -> None:
        journal, after = Journal(play.stage.store, "prod"), Journal(play.stage.store, "prod")
        await journal.begin("1")
        await journal.write(Ledger(store_id="s"))
        await after.read()
        await after.begin("2")
        with pytest.raises(RefusedError):
            await journal.write(Ledger(store_id="s"))
        await after.write(Ledger(store_id="s", ordinals={"general": 1}))

    play.play(work)


def test_a_call_is_begun_only_if_it_ends_before_anybody_else_can_lead() -> None:
    play = Replicas()

    async def work() -> None:
        store = play.stage.store
        leader = Leader(store, store, "prod", holder="a")
        with pytest.raises(UnansweredError, match="we do not hold it"):
            leader.check("terminate")
        assert await leader.stand() is None
        leader.check("terminate")
        await play.clock.sleep(EXPIRY - LONGEST_CALL - 1)
        leader.check("terminate")
        await play.clock.sleep(1.5)
        with pytest.raises(UnansweredError, match=r"1[12] s ago"):
            leader.check("terminate")

    play.play(work)


def test_through_a_long_call_the_lock_is_kept() -> None:
    play = Replicas()

    async def work() -> None:
        store = play.stage.store
        leader, other = (Leader(store, store, "prod", holder=name) for name in ("a", "b"))
        await leader.stand()
        async with leader.kept():
            for _ in range(12):
                await play.clock.sleep(TTL)
                assert await other.stand() == "a"
            leader.check("terminate")

    play.play(work)


def test_reads_pass_and_writes_are_checked() -> None:
    play = Replicas()

    async def work() -> None:
        def never(what: str) -> None:
            raise PermissionError(what)

        ec2 = fenced(play.ports("a").ec2, never)
        assert await ec2.instances("prod") == ()
        with pytest.raises(PermissionError, match="terminate"):
            await ec2.terminate(["i-1"])

    play.play(work)


def test_every_method_of_the_ports_is_known_to_read_or_to_write() -> None:
    methods = {name for port in (Ec2, Nomad) for name, _ in inspect.getmembers(port, inspect.isfunction)}

    assert {name for name in methods if not name.startswith("_")} == READS | WRITES
    assert not READS & WRITES


def test_once_waits_one_expiry_for_a_lock_held_elsewhere_and_ends_with_5() -> None:
    play = Replicas()

    async def work() -> None:
        first, second = play.loop("a"), play.loop("b")
        await play.formed(first)
        ended: list[Run] = []

        async def waits() -> None:
            ended.append(await run_once(second, wait=None, report=silent))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waits)
            begun = anyio.current_time()
            while not ended:
                await play.clock.sleep(5)
                await first.tick()
        assert EXPIRY <= anyio.current_time() - begun <= EXPIRY + 10
        assert ended[0].last.led_by == "a"
        assert exit_code(ended) == 5

    play.play(work)


def test_once_gives_the_lock_back() -> None:
    play = Replicas()

    async def work() -> None:
        await run_once(play.loop("a"), wait=timedelta(minutes=20), report=silent)
        assert not (await play.loop("b").tick()).led_by

    play.play(work)


def test_forming_needs_no_lock_as_there_is_no_store_yet() -> None:
    """Two replicas form one cluster: names in EC2 keep them apart."""
    play = Replicas()

    async def work() -> None:
        first, second = play.loop("a"), play.loop("b")
        for _ in range(200):
            ticks = [await first.tick(), await second.tick()]
            await play.clock.sleep(5)
            if any(tick.converged for tick in ticks):
                break
        servers = [i for i in play.stage.live() if i.tags["nomad-reconciler:role"] == "server"]
        assert len(servers) == 3

    play.play(work)
