"""Nomad's own command line against the simulated cluster on a real port; plans that a real Nomad makes of the same."""

from __future__ import annotations

import copy
import json
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from providers.sandbox.world.nomad.canonical import canonical_job
from providers.sandbox.world.nomad.diff import annotate, job_diff
from support.nomad_jobs import a_running_world
from support.real_nomad import NOMAD, RealCluster, needs_nomad
from support.served import on_a_port
from support.typed import environment

Json = dict[str, Any]
pytestmark = [needs_nomad, pytest.mark.timeout(120)]

JOB = """
job "redis" {
  group "cache" {
    count = %s
    network {
      port "db" { to = 6379 }
    }
    task "redis" {
      driver = "docker"
      config {
        image = "redis:7"
        ports = ["db"]
      }
      resources {
        cpu    = 200
        memory = 128
      }
    }
  }
}
"""

ASKED: list[tuple[str, int, list[str]]] = [
    ("node status", 0, ["ready", "eligible", "default"]),
    ("node status {node}", 0, ["Driver Status", "docker", "Allocated Resources", "Host Resource Utilization"]),
    ("node meta read -node-id {node}", 0, ["unique.nomad_reconciler_claim"]),
    ("node eligibility -disable {node}", 0, ["ineligible for scheduling"]),
    ("node eligibility -enable {node}", 0, ["eligible for scheduling"]),
    ("node drain -enable -deadline 1h -detach -yes {node}", 0, ["drain strategy set"]),
    ("node drain -disable -yes {node}", 0, ["drain strategy unset"]),
    ("node pool list", 0, ["Default node pool."]),
    ("node pool nodes default", 0, ["ready"]),
    ("server members", 0, ["alive", "true", "2.0.5"]),
    ("operator raft list-peers", 0, ["leader", "follower", "true"]),
    ("operator autopilot health", 0, ["Healthy: true", "FailureTolerance: 1"]),
    ("operator autopilot get-config", 0, ["MinQuorum = 0"]),
    ("operator scheduler get-config", 0, ["binpack"]),
    ("operator snapshot save {folder}/state.snap", 0, ["State file written"]),
    ("job status", 0, ["web", "team/api", "batch/periodic", "running"]),
    ("job plan {folder}/one.hcl", 1, ['+ Job: "redis"', "1 create", "All tasks successfully allocated"]),
    ("job plan {folder}/many.hcl", 1, ["Dimension", "exhausted"]),
    ("job run -detach {folder}/one.hcl", 0, ["Job registration successful"]),
    ("job plan {folder}/two.hcl", 1, ["1 create, 1 in-place update", '+/- Count: "1" => "2" (forces create)']),
    ("job run -detach {folder}/two.hcl", 0, ["Job registration successful"]),
    ("job history -p redis", 0, ["Version     = 1", '"1" => "2"']),
    ("job status redis", 0, ["Summary", "Latest Deployment", "cache"]),
    ("job allocs redis", 0, ["cache", "run"]),
    ("job deployments redis", 0, ["Deployment is running"]),
    ("job inspect redis", 0, ['"NodePool": "default"']),
    ("status redis", 0, ["cache"]),
    ("alloc status {alloc}", 0, ["Task Resources", "200 MHz"]),
    ("eval list", 0, ["job-register", "complete"]),
    ("eval status {eval}", 0, ["Placement Failures = false"]),
    ("deployment list", 0, ["redis"]),
    ("job stop -detach -purge redis", 0, []),
    ("job status redis", 1, ["No job(s) with prefix or ID"]),
    ("namespace apply ops", 0, ["Successfully applied"]),
    ("namespace list", 0, ["ops", "Default shared namespace"]),
    ("namespace delete ops", 0, ["Successfully deleted"]),
    ("var put a/b x=1", 0, ['"x": "1"']),
    ("var get a/b", 0, ['"x": "1"']),
    ("var purge a/b", 0, ["Successfully purged"]),
    ("service list", 0, ["No service registrations found"]),
    ("volume status", 0, ["No CSI volumes"]),
    ("system gc", 0, []),
]  # fmt: skip


def ask(url: str, path: str) -> Any:
    with urllib.request.urlopen(url + path, timeout=5) as answer:  # noqa: S310
        return json.load(answer)


def test_nomads_own_command_line_gets_what_it_wants(tmp_path: Path) -> None:
    for name, count in (("one", 1), ("two", 2), ("many", 900)):
        (tmp_path / f"{name}.hcl").write_text(JOB % count, encoding="utf-8")
    world, _ = a_running_world()
    wrong: list[str] = []

    def work(url: str) -> None:
        known = {"folder": str(tmp_path), "node": ask(url, "/v1/nodes")[0]["ID"], "alloc": "", "eval": ""}
        for line, code, parts in ASKED:
            if "{alloc}" in line and not known["alloc"]:
                while (alloc := ask(url, "/v1/job/redis/allocations")[0])["ClientStatus"] == "pending":
                    time.sleep(0.2)
                known["alloc"] = alloc["ID"]
                known["eval"] = ask(url, "/v1/job/redis/evaluations")[0]["ID"]
            typed = [NOMAD or "nomad", *line.format(**known).split()]
            done = subprocess.run(  # noqa: S603 - Nomad's own
                typed, env=environment(NOMAD_ADDR=url), capture_output=True, text=True, timeout=30, check=False
            )
            said = done.stdout + done.stderr
            missing = [part for part in parts if part not in said]
            if done.returncode != code or missing or "panic" in said:
                wrong.append(f"nomad {line}: {done.returncode}, not {code}; not said: {missing}; {said[:600]}")

    async def served(url: str) -> None:
        await to_thread.run_sync(work, url)

    on_a_port(world, served)
    assert wrong == [], "\n".join(wrong)


# --- what a plan says is different


def a_job(change: Callable[[Json, Json, Json], object] = lambda *_: None) -> Json:
    """A job, with something changed in its job, group and task."""
    task: Json = {
        "Name": "t",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sleep", "args": ["100"]},
        "Env": {"A": "b"},
        "Resources": {"CPU": 100, "MemoryMB": 32},
    }
    network: Json = {
        "Mode": "host",
        "DynamicPorts": [{"Label": "http"}],
        "ReservedPorts": [{"Label": "x", "Value": 8080}],
    }
    here = {"LTarget": "${attr.kernel.name}", "Operand": "=", "RTarget": "linux"}
    group: Json = {"Name": "g", "Count": 0, "Networks": [network], "Constraints": [here], "Tasks": [task]}
    job: Json = {
        "ID": "told",
        "Name": "told",
        "Type": "service",
        "Datacenters": ["*"],
        "Namespace": "default",
        "Meta": {"a": "1"},
        "TaskGroups": [group],
    }
    made = copy.deepcopy(job)
    change(made, made["TaskGroups"][0], made["TaskGroups"][0]["Tasks"][0])
    return made


ARM = {"LTarget": "${attr.cpu.arch}", "Operand": "=", "RTarget": "arm64"}
CHANGES: dict[str, Callable[[Json, Json, Json], object]] = {
    "nothing": lambda *_: None,
    "count": lambda _, g, __: g.update(Count=3),
    "driver configuration": lambda _, __, t: t["Config"].update(command="/bin/true", args=["1", "2"]),
    "environment": lambda _, __, t: t["Env"].update(A="c", B="d"),
    "metadata": lambda j, g, t: [x.update(Meta={"a": "2", "b": "3"}) for x in (j, g, t)],
    "resources": lambda _, __, t: t["Resources"].update(CPU=200, MemoryMaxMB=64),
    "priority and datacenters": lambda j, _, __: j.update(Priority=70, Datacenters=["dc1", "dc2"]),
    "constraints": lambda j, g, _: (g.update(Constraints=[ARM]), j.update(Constraints=[ARM])),
    "affinities": lambda _, g, __: g.update(Affinities=[{**ARM, "Weight": 50}]),
    "restarts and disk": lambda _, g, __: g.update(
        RestartPolicy={"Attempts": 5, "Interval": 60_000_000_000, "Delay": 1_000_000_000, "Mode": "delay"},
        EphemeralDisk={"SizeMB": 500, "Sticky": True},
    ),
    "update": lambda _, g, __: g.update(Update={"MaxParallel": 2, "Canary": 1}),
    "ports": lambda _, g, __: g["Networks"][0]["DynamicPorts"].append({"Label": "db", "To": 5432}),
    "a task more": lambda _, g, __: g["Tasks"].append({"Name": "u", "Driver": "raw_exec", "Config": {"command": "x"}}),
    "a group more": lambda j, g, _: j["TaskGroups"].append({"Name": "h", "Tasks": g["Tasks"]}),
    "a group less and one more": lambda _, g, __: g.update(Name="other"),
    "kill timeout": lambda _, __, t: t.update(KillTimeout=10_000_000_000),
    "logs": lambda _, __, t: t.update(LogConfig={"MaxFiles": 3, "MaxFileSizeMB": 5}),
    "volumes": lambda _, g, __: g.update(Volumes={"v": {"Name": "v", "Type": "host", "Source": "s"}}),
    "disconnect": lambda _, g, __: g.update(Disconnect={"LostAfter": 60_000_000_000}),
}


def in_order(value: Any) -> Any:
    """Bring lists into one order: a real Nomad's is by chance where blocks have the same name."""
    if isinstance(value, dict):
        return {key: in_order(inner) for key, inner in value.items()}
    return sorted(map(in_order, value), key=json.dumps) if isinstance(value, list) else value


@pytest.mark.xdist_group("real-nomad")
def test_a_plan_says_the_same_differences_as_a_real_nomad(real_nomad: RealCluster) -> None:
    def put(path: str, body: Json, method: str = "PUT") -> Json:
        request = urllib.request.Request(  # noqa: S310 - a loopback address
            real_nomad.urls[0] + path, method=method, data=json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            told: Json = json.load(answer)
        return told

    put("/v1/jobs", {"Job": a_job()})
    wrong = {}
    for name, change in CHANGES.items():
        planned = put("/v1/job/told/plan", {"Job": a_job(change), "Diff": True})
        ours = job_diff(canonical_job(a_job()), canonical_job(a_job(change)))
        annotate(ours, planned["Annotations"]["DesiredTGUpdates"])
        if in_order(ours) != in_order(planned["Diff"]):
            wrong[name] = (ours, planned["Diff"])
    put("/v1/job/told?purge=true", {}, "DELETE")  # other tests use the same cluster
    assert wrong == {}
