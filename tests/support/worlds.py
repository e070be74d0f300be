"""Random worlds for properties: some pools, jobs of all shapes, nodes partly full, claims on their way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.document import ClusterGroup
from schemas.world import Allocation, Claim, Constraint, DeviceAsk, Job, Node, Override, Resources, Snapshot
from support.builders import (
    NOON,
    a_blocked,
    a_catalogue,
    a_claim,
    a_constraint,
    a_group,
    a_job,
    a_node,
    a_pool,
    a_snapshot,
    a_task_group,
    an_allocation,
    an_instance,
)

ZONE = "${attr.platform.aws.placement.availability-zone}"
CATALOGUE = a_catalogue()
SPOT = {
    (t, f"us-east-1{z}"): round(CATALOGUE[t].on_demand_usd_per_hour * share, 6)
    for t in ("m6i.large", "m6i.xlarge", "c6i.xlarge", "m6g.large")
    for z, share in (("a", 0.3), ("b", 0.4), ("c", 1.2))
}
OF_JOBS: list[tuple[Constraint, ...]] = [
    (),
    (),
    (a_constraint("${attr.cpu.arch}", "=", "amd64"),),
    (a_constraint("${attr.cpu.arch}", "=", "arm64"),),
    (a_constraint("${meta.rack}", "=", "r9"),),
    (a_constraint("", "distinct_hosts", ""),),
    (a_constraint(ZONE, "distinct_property", "2"),),
    (a_constraint(ZONE, "=", "us-east-1b"),),
    (a_constraint("${attr.platform.aws.instance-life-cycle}", "=", "on-demand"),),
]
OF_GROUPS: list[tuple[Constraint, ...]] = [
    (),
    (),
    (),
    (a_constraint("", "distinct_hosts", "", "group"),),
    (a_constraint(ZONE, "distinct_property", "", "group"),),
]


@st.composite
def task_groups(draw: st.DrawFn, name: str, of_job: tuple[Constraint, ...]) -> Any:
    return a_task_group(
        name,
        ask=Resources(
            cpu_mhz=draw(st.integers(1, 16_000)),
            memory_mib=draw(st.integers(1, 18_000)),
            disk_mib=draw(st.sampled_from([0, 300, 9000])),
            cores=draw(st.sampled_from([0, 0, 0, 1, 2])),
        ),
        constraints=of_job + draw(st.sampled_from(OF_GROUPS)),
        static_ports=draw(st.sampled_from([frozenset[int](), frozenset[int](), frozenset({80}), frozenset({80, 81})])),
        dynamic_ports=draw(st.integers(0, 3)),
        devices=draw(st.sampled_from([(), (), (), (DeviceAsk(name="nvidia/gpu"),)])),
    )


@st.composite
def jobs(draw: st.DrawFn, number: int) -> Job:
    of_job = draw(st.sampled_from(OF_JOBS))  # counts for each of its groups
    groups = tuple(draw(task_groups(f"g{n}", of_job)) for n in range(draw(st.integers(1, 2))))
    return a_job(
        f"job-{number}",
        groups=groups,
        type=draw(st.sampled_from(["service", "batch", "service", "system"])),
        priority=draw(st.sampled_from([10, 50, 90])),
        node_pool=draw(st.sampled_from(["default", "default", "all", "gpu"])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> Snapshot:
    """Draw a world in which some jobs wait."""
    found: list[Job] = []
    for number in range(draw(st.integers(0, 4))):
        job = draw(jobs(number))
        queued = {g.name: draw(st.integers(0, 9)) for g in job.groups}
        found.append(replace(job, queued=queued))
    nodes = tuple(draw(nodes_of(n)) for n in range(1, 1 + draw(st.integers(0, 3))))
    instances = tuple(an_instance(n, zone=f"us-east-1{'abc'[n % 3]}") for n in range(1, len(nodes) + 1))
    claims = tuple(draw(claims_of(n)) for n in range(20, 20 + draw(st.integers(0, 2))))
    return a_snapshot(
        jobs=tuple(found),
        evaluations=tuple(
            a_blocked(j, created_at=NOON - timedelta(minutes=draw(st.integers(1, 20))))
            for j in found
            if any(j.queued.values())
        ),
        nodes=nodes,
        instances=instances,
        allocations=tuple(a for n in nodes for a in draw(work_on(n))),
        claims=claims,
        ordinals={"general": 30},
        spot_prices=SPOT,
        node_pools=frozenset({"default", "all", "gpu"}),
    )


@st.composite
def nodes_of(draw: st.DrawFn, number: int) -> Node:
    return a_node(
        number,
        total=Resources(
            cpu_mhz=draw(st.integers(0, 14_000)), memory_mib=draw(st.integers(0, 15_000)), disk_mib=20_000, cores=2
        ),
        eligible=draw(st.sampled_from([True, True, False])),
        max_allocs=draw(st.sampled_from([0, 0, 3])),
    )


@st.composite
def work_on(draw: st.DrawFn, node: Node) -> list[Allocation]:
    some = draw(st.integers(0, 2))
    return [an_allocation(node, n, job_id="other", usage=Resources(cpu_mhz=300, memory_mib=300)) for n in range(some)]


@st.composite
def claims_of(draw: st.DrawFn, number: int) -> Claim:
    types = draw(st.sampled_from([("m6i.large",), ("m6i.large", "m6i.xlarge"), ("c6i.xlarge",)]))
    overrides = tuple(
        Override(instance_type=t, subnet_id=f"subnet-{z}1", zone=f"us-east-1{z}", price=0.2)
        for t in types
        for z in "ab"
    )
    return a_claim(number, count=draw(st.integers(1, 3)), overrides=overrides)


@st.composite
def documents(draw: st.DrawFn) -> ClusterGroup:
    """Draw a group of one or two pools."""
    pools = [
        a_pool(
            name=name,
            priority=draw(st.sampled_from([100, 100, 200])),
            nodePool=draw(st.sampled_from(["default", "default", "gpu"])),
            instances={
                "types": draw(
                    st.sampled_from(
                        [
                            ["m6i.large"],
                            ["m6i.large", "m6i.xlarge", "c6i.xlarge"],
                            ["m6g.large", "m6i.large"],
                            ["g4dn.xlarge", "m6i.xlarge"],
                        ]
                    )
                ),
                "require": {"arch": ["x86_64", "arm64"]},
            },
            size={"min": draw(st.integers(0, 3)), "max": draw(st.integers(3, 12))},
            capacity={"spotPercent": draw(st.sampled_from([0, 50, 80, 100])), "onDemandBase": draw(st.integers(0, 2))},
            headroom=draw(
                st.sampled_from(
                    [
                        [],
                        {"units": 3, "cpuMHz": 1000, "memoryMiB": 512},
                        [{"units": 2, "cpuMHz": 500}, {"units": 1, "cpuMHz": 4000, "memoryMiB": 4096}],
                    ]
                )
            ),
        )
        for name in draw(st.sampled_from([["general"], ["general", "extra"]]))
    ]
    return a_group(
        pools=pools, limits={"maxNodes": draw(st.integers(5, 30)), "maxHourlyCost": draw(st.sampled_from([1, 5, 100]))}
    )
