"""A simulated Nomad with nothing around it: one cluster, its timeline, and a day full of things that happen to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from providers.sandbox.world.kernel import Kernel, Timeline
from providers.sandbox.world.nomad.agent import AgentSpec
from providers.sandbox.world.nomad.cluster import Cluster, Settings
from providers.sandbox.world.nomad.state import ClusterState

Json = dict[str, Any]


@dataclass(slots=True)
class Saved:
    """All there is of a lone cluster."""

    state: ClusterState = field(default_factory=ClusterState)
    timeline: Timeline = field(default_factory=lambda: Timeline(seed=1))


def opened(saved: Saved) -> Cluster:
    return Cluster(saved.state, Kernel(saved.timeline))


def a_machine(name: str, **more: Any) -> AgentSpec:
    given: Json = {
        "cpu_mhz": 4000,
        "memory_mib": 8192,
        "disk_mib": 20000,
        "drivers": {"docker": True},
        "attributes": {"kernel.name": "linux", "cpu.arch": "amd64"},
    }
    return msgspec.convert({"name": name, **given, **more}, AgentSpec)


def a_spec(name: str, count: int = 1, *, cpu: int = 500, task: Json | None = None, **job: Any) -> Json:
    main = {"Name": "t", "Driver": "docker", "Config": {}, "Resources": {"CPU": cpu, "MemoryMB": 256}, **(task or {})}
    group = {"Name": "g", "Count": count, "Tasks": [main]}
    return {"Job": {"ID": name, "Name": name, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group], **job}}


def a_cluster_of(nodes: int = 2, *, seed: int = 1, settings: Settings | None = None) -> Cluster:
    """Give a cluster whose nodes are ready, 30 virtual seconds after its beginning."""
    cluster = opened(Saved(ClusterState(settings=settings or Settings()), Timeline(seed=seed)))
    for number in range(1, nodes + 1):
        cluster.start_agent(a_machine(f"n{number}"))
    cluster.kernel.run_until(30)
    return cluster


def wait(cluster: Cluster, seconds: float) -> None:
    cluster.kernel.run_until(cluster.kernel.now + seconds)


def copies(cluster: Cluster, job: str) -> list[str]:
    """Say of each copy of a job where it is and how, in order."""
    return sorted(f"{a['NodeName']} {a['DesiredStatus']}/{a['ClientStatus']}" for a in cluster.api.job_allocations(job))


def events_in(cluster: Cluster, seconds: float) -> int:
    """Count what happens in the time to come."""
    kernel, until, count = cluster.kernel, cluster.kernel.now + seconds, 0
    while (due := kernel.next_at()) is not None and due <= until:
        before = len(kernel.timeline.events)
        kernel.run_until(due)
        count += max(1, before - len(kernel.timeline.events))
    kernel.run_until(until)
    return count


def play(cluster: Cluster, begin: int, end: int) -> None:
    """Let the steps of a busy hour happen, from one to another; each takes a minute."""
    for step in range(begin, end):
        _step(cluster, step)
        wait(cluster, 60)


def _step(cluster: Cluster, step: int) -> None:
    api = cluster.api
    drain = {"DrainSpec": {"Deadline": 90 * 10**9, "IgnoreSystemJobs": False}}
    match step:
        case 0:
            api.register_job(a_spec("agent", Type="system"))
            api.register_job(a_spec("web", 6))
        case 1:
            api.register_job(a_spec("report", 3, Type="batch"))
        case 2:
            api.scale_job("web", {"Count": 30, "Target": {"Group": "g"}})
        case 3:
            cluster.kill_agent("n1")
        case 4:
            cluster.start_agent(a_machine("late", cpu_mhz=8000, node_class="big"))
        case 5:
            api.drain(cluster.node_id("n2"), drain)
        case 6:
            cluster.freeze_agent("n3")
        case 7:
            cluster.restart_agent("n1")
            api.register_job(a_spec("web", 12, cpu=600))
        case 8:
            cluster.thaw_agent("n3")
            cluster.set_leader(False)
        case 9:
            cluster.set_leader(True)
        case 10:
            api.register_job(a_spec("flaky", 2, task={"Config": {"run_for": "20s", "exit_code": 1}}))
        case _:
            pass
