"""Every machine that a plan buys is put before the simulated Nomad, which shares no code with the model: it must do."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings

from providers.sandbox.world.nomad.agent import AgentSpec
from reconciler.packing.room import Room
from reconciler.packing.spare import HEADROOM
from reconciler.packing.survey import survey
from reconciler.reconcilers.demand import plan_demand
from schemas.document import ClusterGroup
from schemas.plan import Launch
from schemas.world import Constraint, Content, Job, Snapshot, TaskGroup
from support.nomad_alone import a_cluster_of, wait
from support.worlds import documents, worlds

Json = dict[str, Any]

WORLDS = int(os.environ.get("WORLDS", "40"))  # ./task judged: thousands
LEAST = 10  # MiB that Nomad lets a task ask for


def machine(room: Room) -> AgentSpec:
    """The machine that a plan promises, as an agent would tell of it: what is free on it is all there is."""
    told: Json = {}
    for layer in reversed(room.candidate.attributes):
        told.update(layer)
    spec: Json = {
        "name": "bought",
        "cpu_mhz": room.free.cpu_mhz,
        "memory_mib": room.free.memory_mib,
        "disk_mib": room.free.disk_mib + 100 * LEAST,  # of copies that ask for none, Nomad wants the least
        "datacenter": room.candidate.datacenter,
        "node_pool": room.candidate.node_pool,
        "node_class": room.candidate.node_class,
        "meta": dict(room.candidate.meta),
        "attributes": told,
        "drivers": {"docker": True},
        "cores": list(range(room.free.cores)),
        "core_mhz": [room.clock_mhz] * room.free.cores,
        "devices": [
            {"vendor": d.vendor, "type": d.type, "name": d.name, "instances": d.count} for d in room.candidate.devices
        ],
    }
    return msgspec.convert(spec, AgentSpec)


def constraint(rule: Constraint) -> Json:
    return {"LTarget": rule.left, "Operand": rule.operand, "RTarget": rule.right}


def tasks(group: TaskGroup) -> Iterator[Json]:
    """One task for the MHz, one for the cores: Nomad lets no task ask for both."""
    of_cores = LEAST if group.ask.cores else 0
    devices = [{"Name": d.name, "Count": d.count} for d in group.devices]
    resources = {"CPU": group.ask.cpu_mhz, "MemoryMB": group.ask.memory_mib - of_cores, "Devices": devices}
    logs = {"MaxFiles": 1, "MaxFileSizeMB": 1}  # they count against the disk
    yield {"Name": "main", "Driver": "docker", "Config": {}, "LogConfig": logs, "Resources": resources}
    if group.ask.cores:
        more = {"Cores": group.ask.cores, "MemoryMB": of_cores}
        yield {"Name": "pinned", "Driver": "docker", "Config": {}, "LogConfig": logs, "Resources": more}


def task_group(job: Job, group: TaskGroup, copies: int) -> Json:
    ports = {
        "ReservedPorts": [{"Label": f"s{p}", "Value": p} for p in sorted(group.static_ports)],
        "DynamicPorts": [{"Label": f"d{n}"} for n in range(group.dynamic_ports)],
    }
    return {
        "Name": group.name,
        "Count": copies,
        "Constraints": [constraint(c) for c in group.constraints if c.scope != "job"],
        "EphemeralDisk": {"SizeMB": max(LEAST, group.ask.disk_mib)},
        "Networks": [{"Mode": "host", **ports}] if group.static_ports or group.dynamic_ports else [],
        "Tasks": list(tasks(group)),
    }


def registered(job: Job, copies: dict[str, int]) -> Json:
    """The job with so many copies of its groups, as an operator would register it."""
    of_job = {c for g in job.groups for c in g.constraints if c.scope == "job"}
    return {
        "Job": {
            "ID": job.id,
            "Name": job.id,
            "Type": job.type,
            "Priority": job.priority,
            "NodePool": job.node_pool,
            "Datacenters": list(job.datacenters),
            "Constraints": [constraint(c) for c in sorted(of_job, key=repr)],
            "TaskGroups": [task_group(job, g, copies[g.name]) for g in job.groups if g.name in copies],
        }
    }


def unplaced(snapshot: Snapshot, room: Room, contents: tuple[Content, ...]) -> dict[str, int]:
    """What Nomad leaves queued of a content on one machine that is as promised."""
    cluster = a_cluster_of(0)
    if room.candidate.node_pool not in {"default", "all"}:
        cluster.api.put_node_pool({"Name": room.candidate.node_pool})
    cluster.start_agent(machine(room))
    wait(cluster, 30)
    copies: dict[str, dict[str, int]] = defaultdict(dict)
    for content in contents:
        if content.job != HEADROOM:
            copies[content.job][content.group] = content.copies
    jobs = {j.name: j for j in snapshot.jobs}
    for name, some in copies.items():
        cluster.api.register_job(registered(jobs[name], some))
    wait(cluster, 10)
    return {
        f"{stub['ID']}.{group}": counts["Queued"]
        for stub in cluster.api.jobs()
        for group, counts in stub["JobSummary"]["Summary"].items()
        if counts["Queued"]
    }


@settings(max_examples=WORLDS, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(worlds(), documents())
def test_nomad_places_on_each_bought_machine_what_it_was_bought_for(world: Snapshot, group: ClusterGroup) -> None:
    assume(all(g.ask.memory_mib >= 2 * LEAST for j in world.jobs for g in j.groups))
    ground = survey(world, group)
    for launch in plan_demand(world, group).actions:
        if isinstance(launch, Launch):
            tried = {(o.instance_type, o.zone) for o in (launch.overrides[0], launch.overrides[-1])}
            for kind, zone in sorted(tried):
                room = ground.promises[launch.pool].room(world.catalogue[kind], zone, launch.market)
                assert unplaced(world, room, launch.contents) == {}, (kind, zone, launch.contents)
