"""No more machines in any minute than ``limits.maxLaunchesPerMinute``, whatever the program's clock says meanwhile."""

from __future__ import annotations

import pytest

from providers.sandbox.virtualtime import LoopClock, run_virtual
from reconciler.loop import GroupLoop
from support.builders import a_group, a_pool
from support.stage import Stage, a_job_of, a_scenario


@pytest.mark.parametrize("jump", [0.0, 30.0, 59.0])
def test_a_clock_that_jumps_forward_lets_no_machine_through_early(jump: float) -> None:
    stage = Stage.set(a_scenario(a_job_of("web", count=3, cpu=4000)))
    pool = a_pool(size={"min": 0, "max": 6}, instances={"types": ["c6i.large"]}, capacity={"spotPercent": 0})
    group = a_group(pools=[pool], limits={"maxLaunchesPerMinute": 1})

    def clients() -> list[float]:
        return sorted(i.launched_at for i in stage.live() if "nomad-reconciler:pool" in i.tags)

    async def work() -> None:
        clock = LoopClock()
        loop = GroupLoop(group, stage.ports(clock))
        end = clock.seconds() + 900
        while len(clients()) < 3 and clock.seconds() < end:
            known = len(clients())
            await loop.tick()
            if len(clients()) > known:
                stage.faults.skew += jump
            await clock.sleep(1)

    run_virtual(work, start=stage.world.now)
    first, second, third = clients()
    assert second - first >= 60
    assert third - second >= 60
