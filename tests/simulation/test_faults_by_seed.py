"""The whole program in a world where anything goes wrong by chance: what must always hold holds after every tick.

``./task simulate -- --seed 7`` plays one seed, ``--seeds 500`` many. A seed that failed joins ``CORPUS`` for ever.
"""

from __future__ import annotations

from collections import Counter

import pytest

from providers.sandbox.faults import Faults, Kind
from schemas.document import ClusterGroup
from support.builders import a_group, a_pool
from support.fault_scripts import judge
from support.stage import Stage, a_job_of, a_scenario

CORPUS: tuple[int, ...] = ()  # seeds that once failed
RATES = {
    Kind.CRASH_BEFORE: 0.01,
    Kind.CRASH_AFTER: 0.01,
    Kind.LOSE_REPLY: 0.04,
    Kind.FAIL: 0.05,
    Kind.DELAY: 0.02,
    Kind.STALE: 0.03,
}
TROUBLE = 600.0  # virtual seconds in which things go wrong
CALM = 1200.0  # and after which all must come right


def the_group() -> ClusterGroup:
    general = a_pool(size={"min": 1, "max": 6}, headroom={"units": 2, "cpuMHz": 1000, "memoryMiB": 512})
    batch = a_pool(name="batch", nodePool="batch", size={"min": 0, "max": 3}, capacity={"spotPercent": 100})
    return a_group(pools=[general, batch], limits={"maxNodes": 8, "maxHourlyCost": 3, "maxLaunchesPerMinute": 4})


class Witness:
    """Looks at the account itself after each tick, without any lag."""

    def __init__(self, stage: Stage, group: ClusterGroup) -> None:
        self.stage, self.group = stage, group

    def look(self) -> None:
        limits = self.group.spec.limits
        tags = [{k.removeprefix("nomad-reconciler:"): v for k, v in i.tags.items()} for i in self.stage.live()]
        clients = Counter(t["pool"] for t in tags if t["role"] == "client")
        for pool in self.group.spec.pools:
            assert clients[pool.name] <= pool.size.max, f"{clients[pool.name]} machines in {pool.name}"
        assert sum(clients.values()) <= limits.max_nodes
        minute = self.stage.world.now - 60
        fresh = [i for i in self.stage.live() if i.launched_at > minute and "nomad-reconciler:pool" in i.tags]
        assert len(fresh) <= limits.max_launches_per_minute, f"{len(fresh)} launched in a minute"
        servers = Counter(t["claim"] for t in tags if t["role"] == "server")
        assert sum(servers.values()) <= 3, f"servers: {servers}"
        assert set(servers.values()) <= {1}, f"two machines for one slot: {servers}"
        for claim, launched in self.stage.claims().items():
            asked = 1 if claim.startswith("server-") else self.stage.asked()[claim]
            assert launched <= asked, f"{claim}: {launched} launched of {asked}"


def trouble_then_calm(faults: Faults, seed: int) -> None:
    web = a_job_of("web", count=6, cpu=1500, memory=1024)
    nightly = a_job_of("nightly", count=2, cpu=3000, memory=2048, NodePool="batch")
    stage = Stage.set(a_scenario(web, nightly), seed=seed, faults=faults)
    group = the_group()
    witness = Witness(stage, group)

    stage.play(group, seconds=TROUBLE, stop_when_converged=False, after_tick=witness.look)
    faults.rates = {}
    assert stage.play(group, seconds=CALM, after_tick=witness.look), f"seed {seed} does not converge"

    queued = {job.name: dict(job.queued) for job in stage.ticks[-1].snapshot.jobs}
    assert set(queued) == {"web", "nightly"}
    assert all(n == 0 for groups in queued.values() for n in groups.values()), queued


def test_whatever_goes_wrong_for_a_while_caps_hold_and_all_comes_right_afterwards(fault_seed: int) -> None:
    judge(lambda faults: trouble_then_calm(faults, fault_seed), Faults(seed=fault_seed, rates=RATES))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault_seed" in metafunc.fixturenames:
        one, many = metafunc.config.getoption("--seed"), metafunc.config.getoption("--seeds")
        metafunc.parametrize("fault_seed", [one] if one is not None else [*CORPUS, *range(many)])
