"""What packing costs in money and time: JSON lines, or the tables as Markdown.

    python -m support.bench_packing [workloads|sizes|tick ...] [--table]

``workloads``: every reference workload, size and catalogue: cost ÷ bound, and ÷ what simple rules and Karpenter's pay.
``sizes``: 10,000 copies of 50 shapes, 100,000 of 300. ``tick``: demand and headroom beside 1,000 nodes, in 3 zones and
two markets. Each of the latter in a process of its own. Exit 1 when a figure misses what it should reach.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from time import perf_counter, process_time
from typing import Any

from providers.prices.shipped import load_catalogue
from reconciler.packing import workloads
from reconciler.packing.solver import Budget, Offering, Packing, Problem, Shape, faults, solve
from reconciler.reconcilers.demand import plan_demand
from reconciler.reconcilers.growth import after
from reconciler.reconcilers.headroom import plan_headroom
from schemas.document import ClusterGroup
from schemas.plan import Launch, Plan
from schemas.world import Resources, Snapshot
from support.builders import (
    NOON,
    a_blocked,
    a_group,
    a_job,
    a_node,
    a_pool,
    a_snapshot,
    a_task_group,
    an_allocation,
    an_instance,
)
from support.packing_cases import reference, workload_problem
from support.simple_rules import RULES

Json = dict[str, Any]
WITHIN, FIRST_WITHIN = 1.02, 1.05  # cost ÷ bound: by default, and in the first milliseconds
_ROUNDING = 0.0005  # of the table of references


def workload_line(name: str, units: int, vcpu_max: int | None) -> Json:
    """Pack one reference workload, and compare."""
    bound, best, karpenter = reference()[name, units, vcpu_max]
    problem = workload_problem(name, units, vcpu_max)
    begun = perf_counter()
    first = solve(problem, budget=Budget(steps=0))
    middle = perf_counter()
    packing = solve(problem)
    seconds = perf_counter() - middle
    rules = {rule: cost(problem) for rule, cost in RULES.items()}
    small = units < 1000
    close = packing.cost <= WITHIN * (best if small else packing.bound) + _ROUNDING
    return {
        "workload": name,
        "units": units,
        "max_vcpu": vcpu_max,
        "cost": round(packing.cost, 4),
        "bound": round(packing.bound, 4),
        "best_known": best,
        "to_bound": round(packing.cost / packing.bound, 4),
        "to_best": round(packing.cost / best, 4),
        "first_to_bound": round(first.cost / packing.bound, 4),
        "first_ms": round(1000 * (middle - begun), 1),
        "seconds": round(seconds, 3),
        **{rule: round(cost / packing.cost, 3) for rule, cost in rules.items()},
        "karpenter": round(karpenter / packing.cost, 3),
        "within": close
        and not faults(problem, packing)
        and packing.bound <= best + _ROUNDING
        and packing.cost >= bound - _ROUNDING
        and packing.cost <= min(karpenter, *rules.values()) + _ROUNDING,
    }


def many(copies: int, shapes: int) -> Problem:
    """Random shapes in random numbers on 600 types."""
    chance = random.Random(7)  # noqa: S311 - the same each time
    workload = workloads.Workload(name="many", shapes=())
    types = workloads.catalogue_for(workload, load_catalogue().values())[:600]
    weights = [chance.uniform(1, 10) for _ in range(shapes)]
    counts = [max(1, round(copies * w / sum(weights))) for w in weights]
    counts[0] += copies - sum(counts)
    return Problem(
        shapes=tuple(
            Shape(name=f"s{n}", size=(chance.randint(100, 8000), chance.randint(128, 16384)), count=count)
            for n, count in enumerate(counts)
        ),
        offerings=tuple(
            Offering(name=t.name, price=t.on_demand_usd_per_hour, room=(t.cpu_mhz, t.memory_mib)) for t in types
        ),
    )


def _sized(copies: int, shapes: int) -> Json:
    problem = many(copies, shapes)
    packing = solve(problem)
    return {"copies": copies, "shapes": shapes, "types": len(problem.offerings), **_quality(packing)}


def _quality(packing: Packing) -> Json:
    return {"to_bound": round(packing.cost / packing.bound, 4), "machines": packing.machines}


def a_large_world(*, nodes: int = 1000, copies: int = 1000, shapes: int = 50) -> tuple[Snapshot, ClusterGroup]:
    """Nodes that are mostly full, work of many shapes that waits, headroom, spot prices in three zones."""
    chance = random.Random(7)  # noqa: S311 - the same each time
    pool = a_pool(
        instances={"types": ["m6i.*", "c6i.*", "r6i.*", "m5.*", "c5.*", "r5.*", "m6a.*", "c6a.*", "m7i.*", "c7i.*"]},
        size={"min": 0, "max": 5000},
        capacity={"spotPercent": 80, "onDemandBase": 1},
        headroom={"units": 10, "cpuMHz": 1000, "memoryMiB": 512},
    )
    group = a_group(pools=[pool], limits={"maxNodes": 5000, "maxHourlyCost": 10000, "maxLaunchesPerMinute": 5000})
    catalogue = load_catalogue()
    types = group.spec.pools[0].instances.allowed(catalogue)
    spot = {
        (t.name, f"us-east-1{z}"): round(t.on_demand_usd_per_hour * chance.uniform(0.3, 0.6), 4)
        for t in types
        for z in "abc"
        if t.spot_supported
    }
    here = tuple(a_node(n) for n in range(1, nodes + 1))
    usage = Resources(cpu_mhz=3600, memory_mib=5200, disk_mib=300)
    allocations = tuple(an_allocation(n, usage=usage, job_id=f"job-{n.modify_index % 50}") for n in here)
    jobs = []
    for number in range(shapes):
        ask = Resources(cpu_mhz=chance.randint(100, 8000), memory_mib=chance.randint(128, 16384), disk_mib=300)
        queued = copies // shapes
        jobs.append(a_job(f"queued-{number}", queued=queued, groups=(a_task_group(ask=ask, count=queued),)))
    snapshot = a_snapshot(
        instances=tuple(an_instance(n.modify_index, zone=f"us-east-1{'abc'[n.modify_index % 3]}") for n in here),
        nodes=here,
        allocations=allocations,
        jobs=tuple(jobs),
        evaluations=tuple(a_blocked(j) for j in jobs),
        spot_prices=spot,
        observed_at=NOON + timedelta(minutes=5),
    )
    return snapshot, group


def _tick() -> Json:
    snapshot, group = a_large_world()
    return _planned(snapshot, group)


def _planned(snapshot: Snapshot, group: ClusterGroup) -> Json:
    demand = plan_demand(snapshot, group)
    headroom = plan_headroom(after(snapshot, demand), group)
    machines = sum(a.count for plan in (demand, headroom) for a in plan.actions if isinstance(a, Launch))
    return {"nodes": len(snapshot.nodes), "machines": machines, "to_bound": round(_to_bound(demand), 4)}


def _to_bound(plan: Plan) -> float:
    cost = sum(a.count * min(o.price for o in a.overrides) for a in plan.actions if isinstance(a, Launch))
    return cost / plan.bound if plan.bound else 0.0


_MEASURED: Mapping[str, tuple[Callable[[], Json], float]] = {  # and the seconds that each may take
    "10,000 copies of 50 shapes": (lambda: _sized(10_000, 50), 1.0),
    "100,000 copies of 300 shapes": (lambda: _sized(100_000, 300), 5.0),
    "demand and headroom beside 1,000 nodes": (_tick, 1.0),
}
_MIB = 256


def measure(name: str) -> Json:
    """Do one thing twice, and say what the better time was: the first pays for imports."""
    work, limit = _MEASURED[name]
    first, begun, cpu = process_time(), 0.0, 0.0
    found: Json = {}
    for turn in range(2):
        first = process_time() if not turn else first
        begun, cpu = perf_counter(), process_time()
        found = work()
    seconds, cpu = perf_counter() - begun, process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "peak_mib": round(peak)}
    return {"bench": name, **found, **figures, "limit": limit, "within": cpu <= limit and peak <= _MIB}


def lines(what: set[str]) -> Iterator[Json]:
    """Measure what is asked for."""
    if "workloads" in what:
        for (name, units, vcpu_max), _ in sorted(reference().items(), key=str):
            yield {"bench": "workload", **workload_line(name, units, vcpu_max)}
    wanted = [n for n in _MEASURED if ("sizes" if "copies" in n else "tick") in what]
    for name in wanted:
        command = [sys.executable, "-m", "support.bench_packing", "--here", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this very file
        yield json.loads(done.stdout)


def table(found: list[Json]) -> Iterator[str]:
    """Write the workloads as Markdown."""
    rows = [line for line in found if line["bench"] == "workload"]
    keys = ("workload", "units", "max_vcpu", "cost", "to_bound", "to_best", "seconds", *RULES, "karpenter")
    yield f"| {' | '.join(keys)} |"
    yield f"|{' --- |' * len(keys)}"
    for row in rows:
        yield f"| {' | '.join(str(row[k] if row[k] is not None else 'all') for k in keys)} |"


def main(arguments: list[str]) -> int:
    """Measure; one JSON line each, or a table."""
    if "--here" in arguments:
        print(json.dumps(measure(arguments[-1])))  # noqa: T201
        return 0
    what = {a for a in arguments if not a.startswith("-")} or {"workloads", "sizes", "tick"}
    found = []
    for line in lines(what):
        found.append(line)
        if "--table" not in arguments:
            print(json.dumps(line), flush=True)  # noqa: T201
    if "--table" in arguments:
        print("\n".join(table(found)))  # noqa: T201
    return int(not all(line["within"] for line in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
