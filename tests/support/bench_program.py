"""How fast the whole program runs in virtual time: one JSON line.

    python -m support.bench_program [HOURS]

50 nodes, up to 500 allocations in daily waves, a tick every ten virtual seconds, ports that live as long as the run.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter, process_time

from providers.sandbox.bench import HOUR, waves
from providers.sandbox.virtualtime import LoopClock, run_virtual
from reconciler.loop import GroupLoop
from support.builders import a_group, a_pool
from support.stage import Stage, a_scenario

_PACE = 10.0
_LIMIT = 60.0


def run(hours: float) -> dict[str, object]:
    """Run the program for so many virtual hours."""
    scenario = a_scenario()
    scenario.steps = waves(20, low=5, high=25, hours=24)
    stage = Stage.set(scenario, seed=1)
    headroom = {"units": 10, "cpuMHz": 1000, "memoryMiB": 512}
    group = a_group(pools=[a_pool(size={"min": 50, "max": 80}, headroom=headroom)])
    ticks, most = 0, 0

    async def work() -> None:
        nonlocal ticks, most
        clock = LoopClock()
        loop = GroupLoop(group, stage.ports(clock))
        while clock.seconds() < hours * HOUR:
            tick = await loop.tick()
            ticks, most = ticks + 1, max(most, len(tick.snapshot.allocations))
            await clock.sleep(_PACE)

    begun, cpu = perf_counter(), process_time()
    run_virtual(work)
    seconds, cpu = perf_counter() - begun, process_time() - cpu
    return {
        "bench": "program",
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "virtual_hours": hours,
        "ticks": ticks,
        "ms_a_tick": round(1000 * cpu / ticks, 1),
        "nodes": stage.world.nomad.ready_nodes(),
        "allocations_max": most,
        "limit": {"seconds": _LIMIT},
        "within": seconds <= _LIMIT,
    }


if __name__ == "__main__":
    print(json.dumps(run(float(sys.argv[1]) if len(sys.argv) > 1 else 24.0)))  # noqa: T201
