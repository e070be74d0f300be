"""The placement model says of every node in every recorded scenario what the real Nomad said: it takes this, or not.

The nodes and jobs are those of the recording, their allocations and queued copies what the real one showed. Where a
copy was queued, no node may have room by the model's count; where one was placed, that node must.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from providers.nomad import translate, translate_job
from providers.sandbox.conformance.scenario import SETTLE, Driver, Scenario, begin, read
from reconciler.packing import distinct
from reconciler.packing.devices import type_of
from reconciler.packing.feasible import blocker
from reconciler.packing.pack import pack
from reconciler.packing.room import Room, room_of, shortage
from reconciler.packing.wants import Want
from schemas.world import Allocation, Job, Node, TaskGroup
from support.builders import NOON, a_snapshot

Json = dict[str, Any]

RECORDINGS = Path(__file__).parent.parent / "recordings" / "scenarios"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A real cluster after a step, in the model's values."""

    step: int
    nodes: tuple[Node, ...]
    jobs: tuple[Job, ...]
    allocations: tuple[Allocation, ...]
    waiting: tuple[tuple[str, str], ...]  # (job, group) of which copies are queued behind a blocked evaluation

    def held(self, node: Node) -> list[Allocation]:
        return [a for a in self.allocations if a.node_id == node.id]


def played(scenario: Scenario) -> Iterator[Seen]:
    """Give each step of a recording; the simulated Nomad only fills in the defaults of jobs and nodes."""
    driver = Driver(begin(scenario, 1))
    api, kernel = driver.cluster.api, driver.cluster.kernel
    for number, step in enumerate(scenario.steps):
        kernel.run_until(SETTLE + step["at"])
        driver.do(step)
        kernel.run_until(SETTLE + scenario.ends(number))
        told = step["observe"]
        if step["do"] == "restart-server":
            driver.cluster.set_leader(True)
        nodes = {
            n.name: replace(
                n,
                status=told["nodes"][n.name]["status"],
                eligible=told["nodes"][n.name]["eligibility"] == "eligible",
                draining=bool(told["nodes"][n.name].get("drain")),
            )
            for n in (translate.node(api.node(stub["ID"])) for stub in api.nodes())
            if n.name in told.get("nodes", {})
        }
        jobs = {j["ID"]: translate_job.job(api.job(j["ID"])) for j in api.jobs()}
        yield Seen(
            step=number,
            nodes=tuple(nodes.values()),
            jobs=tuple(jobs.values()),
            allocations=tuple(allocations(told, jobs, nodes)),
            waiting=tuple(waiting(told, jobs)),
        )


def allocations(told: Json, jobs: dict[str, Job], nodes: dict[str, Node]) -> Iterator[Allocation]:
    free = {n.id: itertools.count(n.dynamic_ports[0]) for n in nodes.values()}
    for raw in told.get("allocs", ()):
        name, _, rest = raw["id"].partition(".")
        job, node = jobs.get(name), nodes.get(raw["node"])
        group = next((g for g in job.groups if g.name == rest.partition("[")[0]), None) if job else None
        if job is None or group is None or node is None or raw["client"] in {"complete", "failed", "lost"}:
            continue
        clock = node.core_mhz or node.total.cpu_mhz // max(1, node.total.cores)
        yield Allocation(
            id=raw["id"],
            namespace="default",
            job_id=job.id,
            group=group.name,
            node_id=node.id,
            job_type=job.type,
            desired=raw["desired"],
            client=raw["client"],
            usage=replace(group.ask, cpu_mhz=group.ask.cpu_mhz + group.ask.cores * clock),
            ports=group.static_ports | frozenset(itertools.islice(free[node.id], group.dynamic_ports)),
            devices=devices(group, node),
        )


def devices(group: TaskGroup, node: Node) -> dict[str, int]:
    """Give a copy devices of the first kind of each type that it asks for: the recordings do not tell which it has."""
    kinds = {d.type: f"{d.vendor}/{d.type}/{d.name}" for d in reversed(node.devices)}
    return {kinds[type_of(ask.name)]: ask.count for ask in group.devices if type_of(ask.name) in kinds}


def waiting(told: Json, jobs: dict[str, Job]) -> Iterator[tuple[str, str]]:
    blocked = {e["job"] for e in told.get("evals", ()) if e["status"] == "blocked"}
    pending = {e["job"] for e in told.get("evals", ()) if e["status"] == "pending"}
    for job, raw in told.get("jobs", {}).items():
        for group, counts in (raw.get("summary") or {}).items():
            if (
                job in jobs
                and raw["type"] in {"service", "batch"}
                and counts.get("Queued")
                and job in blocked - pending
            ):
                yield job, group


def fits(job: Job, group: TaskGroup, room: Room, seen: Seen) -> bool:
    """The model's verdict on one more copy: its filters, what is distinct, and room, as ticks use them."""
    want = Want(job=job, group=group, copies=1, since=NOON)
    world = a_snapshot(nodes=seen.nodes, jobs=seen.jobs, allocations=seen.allocations)
    return bool(pack(world, (want,), (room,), ()).placed)


def disagreements(scenario: Scenario, counted: list[int]) -> Iterator[str]:
    before: set[str] = set()
    for seen in played(scenario):
        jobs = {j.id: j for j in seen.jobs}
        for name, part in seen.waiting:
            job = jobs[name]
            group = next(g for g in job.groups if g.name == part)
            for node in seen.nodes:
                if node.ready:
                    counted[0] += 1
                    if fits(job, group, room_of(node, seen.held(node)), seen):
                        yield f"step {seen.step + 1}: {name}.{part} is queued, and by our count {node.name} takes it"
        for allocation in seen.allocations:
            node = next(n for n in seen.nodes if n.id == allocation.node_id)
            if allocation.id in before:
                continue  # its job or its node may have changed since it was placed
            before.add(allocation.id)
            if allocation.desired != "run" or allocation.client not in {"running", "pending"} or not node.ready:
                continue
            counted[0] += 1
            job = jobs[allocation.job_id]
            group = next(g for g in job.groups if g.name == allocation.group)
            others = [a for a in seen.held(node) if a is not allocation and a.desired == "run"]
            room = room_of(node, others)
            why = blocker(job, group, room.candidate)
            lacks = why.text if why else shortage(room, group)
            want = Want(job=job, group=group, copies=1, since=NOON)
            if taken := distinct.taken(room, distinct.tokens(want)):
                lacks = lacks or f"{taken} are taken"
            if lacks:
                yield f"step {seen.step + 1}: {allocation.id} is on {node.name}, and by our count it cannot: {lacks}"


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.json")), ids=lambda p: p.stem)
def test_the_model_agrees_with_the_real_nomad_on_every_node(path: Path) -> None:
    counted = [0]
    found = list(disagreements(read(path), counted))
    assert not found, "\n".join(found)


def test_hundreds_of_verdicts_are_compared() -> None:
    """How many (copy, node) pairs the recordings tell of: a test that compares nothing would pass as well."""
    counted = [0]
    for path in sorted(RECORDINGS.glob("*.json")):
        for _ in disagreements(read(path), counted):
            pass
    assert counted[0] >= 500
