"""Each family of calls to Nomad, replayed from what was recorded on the simulated wire: what we send and what we read.

A change of either shows as a diff of a cassette. ``pytest --update-golden`` records them anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from providers.nomad.client import NomadCluster
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.stores.nomad_variables import NomadVariables
from schemas.faults import RefusedError
from support.cassettes import MissedError, cassette
from support.nomad_jobs import a_running_world
from support.served import on_a_port

FOLDER = Path(__file__).parents[1] / "recordings" / "cassettes" / "nomad"
WEB = "web"


async def observation(cluster: NomadCluster) -> dict[str, Any]:
    return {
        "nodes": sorted(node.name for node in await cluster.nodes()),
        "jobs": [(job.name, dict(job.queued)) for job in await cluster.jobs()],
        "evaluations": [e.job_id for e in await cluster.evaluations()],
        "allocations": sorted(a.job_id for a in await cluster.allocations()),
        "pools": sorted(await cluster.node_pools()),
        "paused": await cluster.broker_paused(),
    }


async def servers(cluster: NomadCluster) -> dict[str, Any]:
    autopilot = await cluster.autopilot()
    return {
        "healthy": autopilot.healthy,
        "voters": sum(s.voter for s in autopilot.servers),
        "raft": len(await cluster.raft_configuration()),
        "gossip": len(await cluster.members()),
    }


async def drains(cluster: NomadCluster) -> dict[str, Any]:
    node = min(await cluster.nodes(), key=lambda n: n.id)
    begun = await cluster.effects.drain(node.id, deadline=timedelta(minutes=1), meta={"by": "nomad-reconciler"})
    ended = await cluster.effects.cancel_drain(node.id, eligible=True)
    await cluster.effects.set_eligibility(node.id, eligible=False)
    return {"begun": begun.index > 0, "woken": bool(ended.evaluations)}


async def pools(cluster: NomadCluster) -> dict[str, Any]:
    await cluster.create_node_pool("gpu")
    await cluster.create_node_pool("gpu")
    return {"pools": sorted(await cluster.node_pools())}


async def variables(cluster: NomadCluster) -> dict[str, Any]:
    store = NomadVariables(cluster.channel)
    missing = await store.read("nomad-reconciler/demo/journal")
    index = await store.write("nomad-reconciler/demo/journal", {"n": "1"}, index=0)
    with pytest.raises(RefusedError):
        await store.write("nomad-reconciler/demo/journal", {"n": "2"}, index=index + 100)
    record = await store.read("nomad-reconciler/demo/journal")
    return {"missing": missing, "read": dict(record.items) if record else None}


FAMILIES: dict[str, tuple[Callable[[NomadCluster], Awaitable[dict[str, Any]]], dict[str, Any]]] = {
    "observation": (
        observation,
        {
            "jobs": [
                ("agent", {"g": 0}),
                ("nightly", {"g": 0}),
                ("team/api", {"g": 0}),
                ("too-big", {"g": 2}),
                (WEB, {"g": 0}),
            ],
            "evaluations": ["too-big"],
            "allocations": ["agent"] * 3 + ["team/api"] * 2 + [WEB] * 4,
            "pools": ["all", "default"],
            "paused": False,
        },
    ),
    "servers": (servers, {"healthy": True, "voters": 3, "raft": 3, "gossip": 3}),
    "drains": (drains, {"begun": True, "woken": True}),
    "pools": (pools, {"pools": ["all", "default", "gpu"]}),
    "variables": (variables, {"missing": None, "read": {"n": "1"}}),
}


async def asked_at(url: str, family: str) -> dict[str, Any]:
    async with RealNomadDoor(NomadSettings(token="s3cret"), chance=lambda: 0.0) as door:
        return await FAMILIES[family][0](door.at([url]))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_calls_sends_and_reads_what_was_recorded(family: str, request: pytest.FixtureRequest) -> None:
    path = FOLDER / f"{family}.json"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with cassette(path, record=True):
            on_a_port(a_running_world()[0], lambda url: asked_at(url, family))

    with cassette(path, record=False):
        told = anyio.run(asked_at, "http://nomad.invalid:4646", family)

    expected = FAMILIES[family][1]
    assert {key: told[key] for key in expected} == expected
    assert "s3cret" not in path.read_text(encoding="utf-8")


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Give a cassette of the family ``servers``, made just now."""
    path = tmp_path / "servers.json"
    with cassette(path, record=True):
        on_a_port(a_running_world()[0], lambda url: asked_at(url, "servers"))
    return path


def test_a_request_that_was_not_recorded_fails_the_test_even_if_it_is_swallowed(recorded: Path) -> None:
    async def swallowed() -> None:
        async with RealNomadDoor(NomadSettings(), chance=lambda: 0.0) as door:
            cluster = door.at(["http://nomad.invalid:4646"])
            await servers(cluster)
            with contextlib.suppress(Exception):  # as a careless loop would
                await cluster.nodes()

    with pytest.raises(MissedError, match=r"GET .*/v1/nodes"), cassette(recorded, record=False):
        anyio.run(swallowed)


def test_an_answer_that_nobody_asked_for_fails_the_test(recorded: Path) -> None:
    with pytest.raises(MissedError, match="0 of 3"), cassette(recorded, record=False):
        pass
