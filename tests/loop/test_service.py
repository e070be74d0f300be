"""A loop for each group: it takes a new document at once, is hurried by hints, and ends with its document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import anyio
from anyio.abc import TaskGroup

from providers.sandbox.virtualtime import LoopClock, run_virtual
from reconciler.loop import Ports, Tick
from reconciler.service import Service
from schemas.document import ClusterGroup
from support.builders import a_group, a_pool
from support.stage import Stage, a_scenario


def group(name: str, mode: str = "paused") -> ClusterGroup:
    one = a_group(pools=[a_pool()])
    spec = one.spec.model_copy(update={"mode": mode})
    return one.model_copy(update={"spec": spec, "metadata": one.metadata.model_copy(update={"name": name})})


@dataclass(slots=True, kw_only=True)
class Play:
    """A service in virtual time, and when each of its ticks came."""

    stage: Stage = field(default_factory=lambda: Stage.set(a_scenario()))
    ticks: list[tuple[float, str, str]] = field(default_factory=list)  # seconds, group, mode
    ports: dict[str, Ports] = field(default_factory=dict)

    def outside(self, one: ClusterGroup) -> Ports:
        made = replace(self.stage.ports(LoopClock()), locks=self.stage.store, holder="a")
        return self.ports.setdefault(one.metadata.name, made)

    def report(self, tick: Tick) -> None:
        self.ticks.append((anyio.current_time(), tick.group.metadata.name, tick.group.spec.mode))

    def service(self, tasks: TaskGroup) -> Service:
        def surprised(_: ClusterGroup, mistake: Exception) -> None:
            raise mistake

        return Service(tasks=tasks, outside=self.outside, report=self.report, surprised=surprised)

    def run(self, work: Callable[[Service], Awaitable[None]]) -> None:
        async def opened() -> None:
            async with anyio.create_task_group() as tasks:
                await work(self.service(tasks))
                tasks.cancel_scope.cancel()

        run_virtual(opened, start=self.stage.world.now)

    def of(self, name: str) -> list[tuple[float, str]]:
        return [(at, mode) for at, who, mode in self.ticks if who == name]


def test_a_new_version_is_taken_within_a_second_and_the_other_group_is_not_hurried() -> None:
    play = Play()

    async def work(service: Service) -> None:
        service.serve({"a": group("a"), "b": group("b")})
        await anyio.sleep(3)
        changed = anyio.current_time()
        service.serve({"a": group("a", "observe"), "b": group("b")})
        await anyio.sleep(1)
        assert play.of("a")[-1][1] == "observe"
        assert play.of("a")[-1][0] - changed < 1
        assert len(play.of("b")) == 1

    play.run(work)


def test_a_storm_of_hints_is_one_tick_a_second() -> None:
    play = Play()

    async def work(service: Service) -> None:
        service.serve({"a": group("a")})
        for _ in range(100):
            await anyio.sleep(0.1)
            service.hurry("a")
        assert 8 <= len(play.of("a")) <= 11

    play.run(work)


def test_a_group_whose_document_is_gone_is_left_alone_and_its_lock_is_free() -> None:
    play = Play()

    async def work(service: Service) -> None:
        service.serve({"a": group("a", "enforce")})
        await anyio.sleep(600)
        assert await play.stage.store.acquire("nomad-reconciler/a/lock", holder="b") is None
        service.serve({})
        await anyio.sleep(2)
        ticks = len(play.ticks)
        await anyio.sleep(60)
        assert len(play.ticks) == ticks
        assert await play.stage.store.acquire("nomad-reconciler/a/lock", holder="b") is not None

    play.run(work)


def test_a_document_that_names_another_cluster_gets_a_loop_of_its_own() -> None:
    play = Play()

    async def work(service: Service) -> None:
        service.serve({"a": group("a")})
        await anyio.sleep(2)
        first = service.loops["a"]
        play.ports.clear()
        service.serve({"a": group("a", "observe")})
        await anyio.sleep(2)
        assert service.loops["a"] is not first
        assert first.ended
        assert play.of("a")[-1][1] == "observe"

    play.run(work)


def test_whose_machine_it_is_cannot_be_told_before_the_first_look() -> None:
    play = Play()

    async def work(service: Service) -> None:
        service.serve({"a": group("a")})
        assert service.owns("a", "i-1") is None
        await anyio.sleep(2)
        assert service.owns("a", "i-1") is False
        assert service.owns("nobody", "i-1") is False

    play.run(work)
