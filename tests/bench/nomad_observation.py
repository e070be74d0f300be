"""How much it costs to look at a whole Nomad cluster: requests, bytes, seconds, memory, at three sizes; JSON lines.

    python -m bench.nomad_observation [NODES...]

from the folder ``tests``. The API is another process, which serves generated lists in the shapes of the sandbox's wire
over TCP; what answering cost it is told apart.

``first``: nothing is known, each node and job is read singly once (ADR 0011). ``full``: every list in full and every
allocation a new one. ``unchanged``: nothing happened since. ``changed``: something did, and the table of allocations is
read in full; no row of it is another one. Exit 1 when one is over its limit, or full looks differ in their requests.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec

from providers.http import Message
from providers.nomad.client import NomadCluster
from providers.nomad.door import RealNomadDoor
from providers.nomad.memory import Allocations
from providers.nomad.settings import NomadSettings
from providers.sandbox.wire.serve import serve
from support.nomad_jobs import a_running_world

SIZES = (100, 1000, 5000)
EACH = 20  # allocations of a node
COPIES = 100  # of a job
MOST_MIB = 512
LIMITS: dict[str, dict[str, float]] = {  # at any size
    "first": {"peak_mib": MOST_MIB},
    "full": {"requests": 6, "seconds": 5, "peak_mib": MOST_MIB},
    "unchanged": {"requests": 6, "mb": 1, "seconds": 1, "peak_mib": MOST_MIB},
    "changed": {"requests": 7, "seconds": 5, "peak_mib": MOST_MIB},
}
LISTS = ("nodes", "jobs", "evaluations", "allocations", "node_pools", "broker_paused")


@dataclass(slots=True)
class Generated:
    """Whole lists and single records as bytes, zipped once."""

    lists: dict[str, bytes] = field(default_factory=dict)
    page: bytes = b"[]"
    nodes: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, bytes] = field(default_factory=dict)

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        path, headers = scope["path"], [(b"x-nomad-index", b"77"), (b"content-type", b"application/json")]
        if path == "/spent":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": str(time.process_time()).encode()})
            return
        if path == "/v1/event/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"{}\n", "more_body": True})
                await anyio.sleep(10)
        if path.startswith("/v1/node/") and path != "/v1/node/pools":
            body = self.nodes[path.rpartition("/")[2]]
        elif path.startswith("/v1/job/"):
            body = self.jobs[path.rpartition("/")[2]]
        elif b"per_page=1" in scope["query_string"]:
            body = self.page
        else:
            body = self.lists[path]
            headers.append((b"content-encoding", b"gzip"))
        headers += [(b"x-nomad-knownleader", b"true"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def generated(nodes: int) -> Generated:
    """Multiply what the simulated API shows of one node, one job and one allocation."""
    world, _ = a_running_world()
    api, encode = world.nomad.api, msgspec.json.encode
    stub, full = api.nodes()[0], api.node(api.nodes()[0]["ID"])
    job_stub = next(s for s in api.jobs() if s["ID"] == "web")
    job, allocation = api.job("web"), api.allocations(resources=True, task_states=False)[0]
    made = Generated()
    ids = [f"{n:08x}-0000-4000-a000-{n:012x}" for n in range(nodes)]
    made.nodes = {i: encode({**full, "ID": i, "Name": f"i-{i[:8]}"}) for i in ids}
    names = [f"web-{n}" for n in range(max(1, nodes * EACH // COPIES))]
    made.jobs = {name: encode({**job, "ID": name}) for name in names}
    rows = (
        encode(
            {
                **allocation,
                "ID": f"{n:08x}-1111-4000-a000-{n:012x}",
                "EvalID": f"{n * 7919 % 2**32:08x}-2222-4000-a000-{n:012x}",
                "NodeID": ids[n // EACH],
                "NodeName": f"i-{ids[n // EACH][:8]}",
                "JobID": names[n // COPIES],
                "AllocatedResources": _held(allocation["AllocatedResources"], n),
                "CreateTime": allocation["CreateTime"] + n * 1_234_567,
                "CreateIndex": n,
                "ModifyIndex": n,
            }
        )
        for n in range(nodes * EACH)
    )
    lists = {
        "/v1/nodes": encode([{**stub, "ID": i, "Name": f"i-{i[:8]}"} for i in ids]),
        "/v1/jobs": encode([{**job_stub, "ID": name} for name in names]),
        "/v1/allocations": b"[" + b",".join(rows) + b"]",
        "/v1/evaluations": b"[]",
        "/v1/node/pools": encode(api.node_pools()),
        "/v1/namespaces": encode(api.namespaces()),
        "/v1/operator/scheduler/configuration": encode(api.scheduler_configuration()),
    }
    made.lists = {path: gzip.compress(body, compresslevel=1) for path, body in lists.items()}
    return made


def _held(held: dict[str, Any], n: int) -> dict[str, Any]:
    """Give a port of its own to every third allocation."""
    ports = [{"HostIP": "10.0.0.1", "Label": "http", "To": 80, "Value": 20000 + n % 12000}] if n % 3 == 0 else None
    return {**held, "Shared": {**held["Shared"], "Ports": ports}}


def _serve(nodes: int, told: Any) -> None:
    app = generated(nodes)

    async def work() -> None:
        async with anyio.create_task_group() as group:
            told.send(await group.start(lambda *, task_status: serve(app, task_status=task_status)))

    anyio.run(work)


async def look(cluster: NomadCluster) -> None:
    """Ask for everything at once, as a tick does."""
    async with anyio.create_task_group() as group:
        for name in LISTS:
            group.start_soon(getattr(cluster, name))


def measured(nodes: int, tell: Any) -> None:
    """Measure one size in this process, which has a peak of its own; tells one line a kind of look."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(nodes, theirs), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"

    async def work() -> None:
        async with RealNomadDoor(NomadSettings()) as door:
            cluster = door.at([url])

            async def spent() -> float:
                return float((await cluster.channel.look(cluster.channel.endpoint(url), "/spent")).text)

            for kind, limit in LIMITS.items():
                if kind == "full":
                    cluster._memory.allocations = Allocations()
                if kind == "changed":  # the table's index is another one, and no stream tells why
                    cluster._memory.allocations.index = 1
                theirs_before = await spent()
                requests, received = cluster.channel.traffic.requests, cluster.channel.traffic.received
                begun, cpu = time.perf_counter(), time.process_time()
                await look(cluster)
                figures = {
                    "requests": cluster.channel.traffic.requests - requests,
                    "mb": round((cluster.channel.traffic.received - received) / 1e6, 2),
                    "seconds": round(time.perf_counter() - begun, 2),
                    "cpu_seconds": round(time.process_time() - cpu, 2),
                    "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
                }
                figures["server_cpu_seconds"] = round(await spent() - theirs_before, 2)
                over = {name: most for name, most in limit.items() if figures[name] > most}
                line = {"bench": "observation", "nodes": nodes, "allocations": nodes * EACH, "look": kind, **figures}
                tell.send({**line, "limit": limit, "within": not over})

    anyio.run(work)
    server.terminate()
    server.join()


def main(arguments: list[str]) -> int:
    """Measure each size in a process of its own, as peaks do not fall."""
    lines: list[dict[str, Any]] = []
    failed = False
    for nodes in [int(a) for a in arguments] or SIZES:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=measured, args=(nodes, theirs))
        process.start()
        theirs.close()  # so that a process that fails is not waited for
        with contextlib.suppress(EOFError):
            while True:
                lines.append(ours.recv())
                print(json.dumps(lines[-1]), flush=True)
        process.join()
        failed = failed or process.exitcode != 0
    same = len({line["requests"] for line in lines if line["look"] == "full"}) <= 1
    return 0 if not failed and same and all(line["within"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
