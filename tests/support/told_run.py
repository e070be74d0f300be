"""One run with faults, told in full: for comparing it with the same run elsewhere."""

from __future__ import annotations

import hashlib

from providers.sandbox.faults import Faults, Kind
from support.builders import a_group, a_pool
from support.stage import Stage, a_job_of, a_scenario

RATES = {Kind.FAIL: 0.05, Kind.LOSE_REPLY: 0.05, Kind.STALE: 0.05, Kind.SPLIT: 0.01, Kind.JUMP: 0.01}
SECONDS = 400.0


def tell(seed: int) -> str:
    """Play a run of some minutes: each tick's plan, each fault, and a digest of the world at the end."""
    faults = Faults(seed=seed, rates=RATES)
    web = a_job_of("web", count=6, cpu=1500, memory=1024)
    stage = Stage.set(a_scenario(web, interruptions_per_day=300.0), seed=seed, faults=faults)
    group = a_group(pools=[a_pool(size={"min": 1, "max": 6}, headroom={"units": 2, "cpuMHz": 1000, "memoryMiB": 512})])
    stage.play(group, seconds=SECONDS, stop_when_converged=False)
    ticks = "\n".join(f"{tick.plan} {tick.outcomes}" for tick in stage.ticks)
    world = hashlib.sha256(stage.world.save()).hexdigest()
    return f"{ticks}\n{faults.as_script()}{stage.crashes} crashes, world {world}\n"
