"""How fast and how large the simulated world is: JSON lines, one a measurement.

    python -m providers.sandbox.bench [day] [large] [--profile]

``day``: 24 virtual hours of 50 nodes with up to 500 allocations in daily waves. ``large``: 1,000 nodes and 20,000
allocations. Each in a process of its own, so that memory is its own; ``--profile`` prints where the time went.
"""

from __future__ import annotations

import cProfile
import io
import json
import math
import pstats
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from providers.prices.shipped import load_catalogue
from providers.sandbox.world.ec2.launch import MachineOrder, run_instance
from providers.sandbox.world.ec2.state import Image
from providers.sandbox.world.scenario import AccountSpec, Scenario, Step, SubnetSpec
from providers.sandbox.world.world import World

Json = dict[str, Any]

HOUR, DAY = 3600.0, 86_400.0
LIMITS: Mapping[str, tuple[str, float]] = {"day": ("seconds", 60.0), "large": ("peak_mib", 1024.0)}
_STEP = 60.0  # virtual seconds between two looks at the world
_ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
_JOIN = {"nomad-reconciler:join": "bench-server"}
_SEEK = ["provider=aws tag_key=nomad-reconciler:join tag_value=bench-server"]


def a_world(steps: list[Step]) -> World:
    """Give an account with three subnets, and work that comes once the cluster has a leader."""
    subnets = [SubnetSpec(id=f"subnet-{zone[-1]}", zone=zone) for zone in _ZONES]
    account = AccountSpec(
        region="us-east-1", subnets=subnets, security_groups=["sg-0"], images=[Image(id="ami-0", arch="x86_64")]
    )
    return World.create(Scenario(name="bench", account=account, steps=steps), seed=1, catalogue=load_catalogue())


def launch(world: World, kind: str, number: int, config: Json, tags: dict[str, str]) -> None:
    """Launch machine number so-and-so with an agent configuration."""
    text = json.dumps(config)
    user_data = f"#cloud-config\nwrite_files:\n- path: /etc/nomad.d/10-agent.json\n  content: |\n    {text}\n"
    order = MachineOrder(
        image="ami-0",
        instance_type=kind,
        subnet=f"subnet-{_ZONES[number % 3][-1]}",
        user_data=user_data,
        tags=tags,
        shutdown_behavior="terminate",
        tags_in_metadata=True,
    )
    run_instance(world.cloud, order, token=f"{kind}-{number}")


def populate(world: World, *, nodes: int, kind: str) -> None:
    """Launch three servers and so many clients, and wait until all are ready."""
    join = {"server_join": {"retry_join": _SEEK}}
    for number in range(3):
        server = {"server": {"enabled": True, "bootstrap_expect": 3, **join}}
        launch(world, "t3.small", number, server, {**_JOIN, "nomad-reconciler:role": "server"})
    for number in range(nodes):
        launch(world, kind, number, {"client": {"enabled": True, **join}}, {"nomad-reconciler:role": "client"})
    while world.nomad.ready_nodes() < nodes:
        world.advance(world.now + _STEP)


def a_job(name: str, count: int, *, cpu: int, memory: int) -> Json:
    """Give a service job of one group."""
    task = {"Name": "main", "Driver": "docker", "Resources": {"CPU": cpu, "MemoryMB": memory}}
    group = {"Name": name, "Count": count, "Tasks": [task]}
    return {"ID": name, "Name": name, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}


def waves(jobs: int, *, low: int, high: int, hours: int) -> list[Step]:
    """Give services whose count follows the hour of the day: few by night, many at noon, each by its own clock."""
    steps = [Step(do="register-job", job=a_job(f"web-{n}", low, cpu=150, memory=200)) for n in range(jobs)]
    for hour in range(1, hours):
        share = 0.5 - 0.5 * math.cos(2 * math.pi * hour / 24)
        count = low + round((high - low) * share)
        for n in range(jobs):
            at = hour * HOUR + n * HOUR / jobs
            steps.append(Step(do="scale", at=at, job=f"web-{n}", group=f"web-{n}", count=count))
    return steps


def day() -> Json:
    """Let 24 hours pass."""
    world = a_world(waves(20, low=5, high=25, hours=24))
    populate(world, nodes=50, kind="m6i.large")
    most = 0
    while world.now < DAY:
        world.advance(world.now + _STEP)
        most = max(most, _allocations(world))
    return {"nodes": world.nomad.ready_nodes(), "allocations_max": most, "virtual_hours": round(world.now / HOUR, 1)}


def large() -> Json:
    """Fill a large cluster, and let an hour pass."""
    steps = [Step(do="register-job", job=a_job(f"app-{n}", 200, cpu=100, memory=150)) for n in range(100)]
    world = a_world(steps)
    populate(world, nodes=1000, kind="m6i.large")
    while _allocations(world) < 20_000 and world.now < HOUR:
        world.advance(world.now + _STEP)
    filled = world.now
    world.advance(filled + HOUR)
    saved = len(world.save())
    return {
        "nodes": world.nomad.ready_nodes(),
        "allocations": _allocations(world),
        "filled_after_virtual_seconds": round(filled),
        "saved_mib": round(saved / 2**20, 1),
    }


def _allocations(world: World) -> int:
    return sum(a.client == "running" for a in world.state.nomad.allocs.values())


_MEASURED: Mapping[str, Callable[[], Json]] = {"day": day, "large": large}


def measure(name: str, *, profile: bool) -> None:
    """Measure one thing in this process and print its line."""
    profiler = cProfile.Profile() if profile else None
    begun = perf_counter()
    found = profiler.runcall(_MEASURED[name]) if profiler is not None else _MEASURED[name]()
    seconds = perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"bench": name, "seconds": round(seconds, 1), "peak_mib": round(peak), **found}
    figure, limit = LIMITS[name]
    print(json.dumps({**figures, "limit": {figure: limit}, "within": figures[figure] <= limit}), flush=True)  # noqa: T201
    if profiler is not None:
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(25)
        print(text.getvalue())  # noqa: T201


def main(arguments: list[str]) -> int:
    """Measure what is named, or all; each in a process of its own. Exit 1 when one is over its limit."""
    names, options = [a for a in arguments if not a.startswith("-")], [a for a in arguments if a.startswith("-")]
    if "--here" in options:
        measure(names[0], profile="--profile" in options)
        return 0
    status = 0
    for name in names or list(_MEASURED):
        command = [sys.executable, "-m", "providers.sandbox.bench", "--here", name, *options]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this very file
        print(done.stdout, end="", flush=True)  # noqa: T201
        if not json.loads(done.stdout.splitlines()[0])["within"]:
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
