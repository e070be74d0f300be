"""How much it costs to look at a whole Nomad cluster: requests, bytes, seconds, memory, at three sizes.

``python -m bench.nomad_observation [NODES...]`` from the folder ``tests``. The API is another process, which serves
generated lists in the shapes of the sandbox's wire over TCP; its own time is told apart.
"""

from __future__ import annotations

import gzip
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
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
LISTS = ("nodes", "jobs", "evaluations", "allocations", "node_pools", "broker_paused")


@dataclass(slots=True)
class Generated:
    """Whole lists and single records as bytes, zipped once; ``spent`` is what answering cost the server."""

    lists: dict[str, bytes] = field(default_factory=dict)
    page: bytes = b"[]"
    nodes: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, bytes] = field(default_factory=dict)

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        path, headers = scope["path"], [(b"x-nomad-index", b"77"), (b"content-type", b"application/json")]
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


def measured(nodes: int) -> None:
    """Print one line a kind of look."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(nodes, theirs), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"

    async def work() -> None:
        async with RealNomadDoor(NomadSettings()) as door:
            cluster = door.at([url])
            before = _peak()
            for kind in ("cold", "quiet", "one change", "all work anew"):
                if kind == "one change":  # of the table's index: the whole list is read, no row is another one
                    cluster._memory.allocations.index = 1
                if kind == "all work anew":  # every row is new
                    cluster._memory.allocations = Allocations()
                requests, received = cluster.channel.traffic.requests, cluster.channel.traffic.received
                begun, cpu = time.perf_counter(), time.process_time()
                await look(cluster)
                print(
                    f"{nodes:>6} nodes  {kind:<20}"
                    f"{cluster.channel.traffic.requests - requests:>7} requests"
                    f"{(cluster.channel.traffic.received - received) / 1e6:>9.2f} MB"
                    f"{time.perf_counter() - begun:>8.2f} s  {time.process_time() - cpu:>6.2f} s of CPU"
                    f"{_peak():>8.0f} MiB at most ({_peak() - before:.0f} more than before)"
                )

    anyio.run(work)
    server.terminate()
    server.join()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: list[str], one: Callable[[int], None] = measured) -> None:
    """Measure each size in a process of its own, as peaks do not fall."""
    for nodes in [int(a) for a in arguments] or SIZES:
        process = multiprocessing.get_context("spawn").Process(target=one, args=(nodes,))
        process.start()
        process.join()


if __name__ == "__main__":
    main(sys.argv[1:])
