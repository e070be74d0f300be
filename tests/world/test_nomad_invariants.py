"""Whatever happens to a cluster, some things stay true: random lives, looked at after every step."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from providers.sandbox.world.nomad.cluster import Cluster
from providers.sandbox.world.nomad.errors import ApiError
from support.nomad_alone import Saved, a_cluster_of, a_machine, a_spec, opened, wait

Json = dict[str, Any]
STATES = ("Complete", "Failed", "Lost", "Running", "Starting", "Unknown")


def a_random_job(draw: random.Random, name: str) -> Json:
    kind = draw.choice(["service", "service", "batch", "system", "sysbatch"])
    config = draw.choice([{}, {}, {"run_for": "40s"}, {"run_for": "10s", "exit_code": 1}])
    more: Json = {"Type": kind, "Priority": draw.choice([30, 50, 70])}
    if draw.random() < 0.3:
        more["Constraints"] = [
            draw.choice(
                [
                    {"LTarget": "", "Operand": "distinct_hosts", "RTarget": "true"},
                    {"LTarget": "${node.class}", "Operand": "=", "RTarget": "big"},
                    {"LTarget": "${attr.cpu.arch}", "Operand": "regexp", "RTarget": "amd"},
                ]
            )
        ]
    job = a_spec(name, draw.randint(1, 8), cpu=draw.choice([200, 500, 1500]), task={"Config": config}, **more)
    group = job["Job"]["TaskGroups"][0]
    if kind == "service" and draw.random() < 0.5:
        group["Update"] = {
            "MaxParallel": draw.randint(1, 3),
            "MinHealthyTime": 2 * 10**9,
            "Canary": draw.choice([0, 1]),
        }
    if kind in ("service", "batch") and draw.random() < 0.3:
        group["Disconnect"] = {"LostAfter": draw.choice([60, 600]) * 10**9, "Replace": draw.random() < 0.5}
    if draw.random() < 0.3:
        group["Networks"] = [{"DynamicPorts": [{"Label": "http"}]}]
    elif draw.random() < 0.2:
        group["Networks"] = [{"ReservedPorts": [{"Label": "http", "Value": 8080}]}]
    return job


def do_something(cluster: Cluster, draw: random.Random) -> None:
    api, agents = cluster.api, sorted(cluster.state.agents)
    name, job = draw.choice(agents), f"j{draw.randrange(6)}"
    known = any(j["ID"] == job for j in api.jobs())
    match draw.randrange(16):
        case 0 | 1 | 2:
            api.register_job(a_random_job(draw, job))
        case 3 if known:
            api.deregister_job(job, purge=draw.random() < 0.3)
        case 4 if known:
            api.scale_job(job, {"Count": draw.randint(0, 12), "Target": {"Group": "g"}})
        case 5:
            cluster.kill_agent(name)
        case 6:
            cluster.restart_agent(name)
        case 7:
            cluster.freeze_agent(name)
        case 8:
            cluster.thaw_agent(name)
        case 9:
            seconds = draw.choice([-1, 0, 20, 200])
            spec = {"Deadline": seconds * 10**9, "IgnoreSystemJobs": draw.random() < 0.2}
            api.drain(cluster.node_id(name), {"DrainSpec": spec})
        case 10:
            api.drain(cluster.node_id(name), {"DrainSpec": None, "MarkEligible": draw.random() < 0.7})
        case 11:
            word = draw.choice(["eligible", "ineligible"])
            api.eligibility(cluster.node_id(name), {"Eligibility": word})
        case 12:
            api.purge(cluster.node_id(name))
        case 13:
            cluster.start_agent(a_machine(f"m{len(agents)}-{draw.random()}", node_class=draw.choice(["", "big"])))
        case 14 if len(agents) > 2:
            cluster.remove_agent(name)
        case 15:
            cluster.set_leader(False)
            wait(cluster, draw.choice([1, 20]))
            cluster.set_leader(True)
        case _:
            pass


def untruths(cluster: Cluster) -> Iterator[str]:
    state = cluster.state
    live = [a for a in state.allocs.values() if not a.server_terminal and not a.client_terminal]
    for node in state.nodes.values():
        mine = [a for a in live if a.node_id == node.id]
        cpu = sum(t.cpu for a in mine for t in a.tasks.values())
        memory = sum(t.memory for a in mine for t in a.tasks.values())
        if cpu > node.resources.cpu_mhz or memory > node.resources.memory_mib:
            yield f"{node.name} holds {cpu} MHz and {memory} MiB"
        ports = Counter(p.value for a in mine for p in a.ports)
        if any(count > 1 for count in ports.values()):
            yield f"{node.name} gives a port twice: {ports}"
    for job in state.jobs.values():
        allocs = [a for a in state.allocs.values() if a.job_id == job.id and a.job_create_index == job.create_index]
        groups = cluster.api.job_summary(job.id)["Summary"]
        for name, counts in groups.items():
            ours = [a for a in allocs if a.group == name]
            shown = sum(counts[s] for s in STATES)
            if shown != len(ours):
                yield f"{job.id} shows {shown} of {len(ours)} copies: {counts}"
            if counts["Queued"] < 0:
                yield f"{job.id} has {counts['Queued']} queued"
    busy = {*state.broker.busy.values(), *state.broker.ending}
    waiting = [e for e in state.evals.values() if e.status == "blocked" and e.id not in busy]
    blocked = Counter(e.job_key for e in waiting if e.type in ("service", "batch"))
    for job_key, count in blocked.items():
        if count > 1:
            yield f"{count} evaluations of {job_key} are blocked"
    for agent in state.agents.values():
        running = [i for i, r in agent.allocs.items() if r.client in ("pending", "running")]
        stray = [i for i in running if i not in state.allocs]
        if stray and agent.status == "up" and agent.heartbeating and state.nodes.get(agent.node_id) is not None:
            yield f"{agent.spec.name} runs {stray}, which nobody knows"


@pytest.mark.parametrize("seed", range(12))
def test_no_life_makes_a_cluster_lie(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a simulation
    cluster = a_cluster_of(3, seed=seed)
    for step in range(60):
        with contextlib.suppress(ApiError):
            do_something(cluster, draw)
        wait(cluster, draw.choice([0.3, 2, 30, 120]))
        if step % 20 == 10:
            saved = msgspec.json.encode(Saved(cluster.state, cluster.kernel.timeline))
            cluster = opened(msgspec.json.decode(saved, type=Saved))
        wait(cluster, 5)
        assert list(untruths(cluster)) == [], f"step {step}"
