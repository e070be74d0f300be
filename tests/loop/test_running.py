"""A service outlives its own mistakes, and ends when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import anyio

from reconciler.loop import GroupLoop, Tick, run_for_ever
from schemas.document import ClusterGroup
from schemas.plan import Plan
from support.builders import NOON, a_group, a_snapshot
from support.clock import StoppedClock


class _Stumbling:
    """A group whose every second tick meets a mistake of ours."""

    def __init__(self, clock: StoppedClock) -> None:
        self.group = a_group()
        self.clock = clock
        self.ticks = 0
        self.ended = False

    async def tick(self) -> Tick:
        self.ticks += 1
        if self.ticks % 2:
            raise ZeroDivisionError("a mistake")
        return Tick(group=self.group, snapshot=a_snapshot(), plan=Plan())

    def pause(self, tick: Tick) -> float:
        return 10.0

    async def rest(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def resign(self) -> None:
        return


def test_a_mistake_in_one_tick_is_told_and_the_next_tick_comes() -> None:
    told: list[str] = []
    seen: list[Tick] = []
    clock = StoppedClock(NOON, ends_after=4)

    def surprised(group: ClusterGroup, mistake: Exception) -> None:
        told.append(f"{group.metadata.name}: {mistake}")

    async def work() -> None:
        with clock.ending():
            await run_for_ever(cast("GroupLoop", _Stumbling(clock)), report=seen.append, surprised=surprised)

    anyio.run(work)
    assert told == ["prod: a mistake"] * 2
    assert len(seen) == 2
    assert clock.slept == [60.0, 10.0, 60.0, 10.0]


def test_sigterm_ends_the_service_with_success_and_keeps_its_world(tmp_path: Path) -> None:
    state = tmp_path / "world.db"
    command = [sys.executable, "-m", "reconciler.cli.main", "--state", str(state), "-f", "specs/demo.yaml", "--sandbox"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:  # noqa: S603
        assert service.stderr is not None
        while "launch server 2" not in service.stderr.readline():
            pass
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=30)
        assert service.returncode == 0
    assert state.stat().st_size > 0
