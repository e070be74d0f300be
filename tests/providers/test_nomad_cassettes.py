"""Each family of calls to Nomad, replayed from what a real one answered: what we send and what we read.

A change of either shows as a diff of a cassette. ``pytest --update-golden`` records them anew, where there is a
``nomad`` on PATH.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from providers.nomad.client import NomadCluster
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.stores.nomad_locks import NomadLocks
from providers.stores.nomad_variables import NomadVariables
from schemas.faults import Refusal, RefusedError
from support.cassettes import MissedError, cassette
from support.nomad_jobs import a_running_world
from support.nomad_site import Site, real
from support.real_nomad import NOMAD, RealCluster
from support.served import on_a_port

FOLDER = Path(__file__).parents[1] / "recordings" / "cassettes" / "nomad"
UNKNOWN = "00000000-0000-0000-0000-000000000000"
RECORD = "nomad-reconciler/demo/journal"
LOCK = "nomad-reconciler/demo/lock"

Family = Callable[[NomadCluster], Awaitable[dict[str, Any]]]


async def observation(cluster: NomadCluster) -> dict[str, Any]:
    nodes = await cluster.nodes()
    return {
        "nodes": sorted(node.name for node in nodes),
        "ready": all(node.ready and node.total.cpu_mhz == 4000 and node.drivers["raw_exec"] for node in nodes),
        "jobs": {job.name: (job.type, dict(job.queued), job.stopped, job.parent) for job in await cluster.jobs()},
        "evaluations": [(e.job_id, e.status, e.failures["g"].dimensions) for e in await cluster.evaluations()],
        "allocations": Counter(a.job_id for a in await cluster.allocations()),
        "pools": sorted(await cluster.node_pools()),
        "paused": await cluster.broker_paused(),
    }


async def servers(cluster: NomadCluster) -> dict[str, Any]:
    autopilot = await cluster.autopilot()
    view = await cluster.server_view(cluster.channel.endpoints[0].url)
    return {
        "healthy": autopilot.healthy,
        "voters": sum(s.voter for s in autopilot.servers),
        "raft": len(await cluster.raft_configuration()),
        "gossip": len(await cluster.members()),
        "view": (view.reachable, view.ready, len(view.peers or ()), len(view.members or ())),
    }


async def steps(cluster: NomadCluster) -> dict[str, Any]:
    heir = next(p for p in await cluster.raft_configuration() if not p.leader)
    await cluster.transfer_leadership(heir.id)
    await cluster.remove_peer(UNKNOWN)
    await cluster.force_leave("nobody.global")
    (other,) = [m.address for m in await cluster.members() if m.id == heir.id]
    return {"joined": await cluster.join(cluster.channel.endpoints[0].url, [other])}


async def drains(cluster: NomadCluster) -> dict[str, Any]:
    node = next(n for n in await cluster.nodes() if n.name == "c1")
    ours = {"by": "nomad-reconciler", "claim": "general-1"}
    begun = await cluster.effects.drain(node.id, deadline=timedelta(minutes=1), meta=ours)
    changed = await cluster.effects.drain(node.id, deadline=None, ignore_system_jobs=False, meta=ours)
    ended = await cluster.effects.cancel_drain(node.id, eligible=True, meta=ours)
    closed = await cluster.effects.set_eligibility(node.id, eligible=False)
    again = await cluster.effects.set_eligibility(node.id, eligible=False)
    await cluster.effects.set_eligibility(node.id, eligible=True)
    await cluster.effects.purge(UNKNOWN)
    return {
        "rising": 0 < begun.index < changed.index < ended.index < closed.index,
        "no change": again.index,
        "woken": bool(ended.evaluations),
    }


async def work(cluster: NomadCluster) -> dict[str, Any]:
    plan = await cluster.job_plan("default", "too-big")
    looked = await cluster.effects.evaluate_job("default", "web")
    copy = next(a for a in await cluster.allocations() if a.job_id == "web")
    stopped = await cluster.effects.stop_allocation(copy.id)
    with pytest.raises(RefusedError, match="job not found"):
        await cluster.effects.evaluate_job("default", "nothing")
    return {
        "plan": plan and (plan.placed, plan.failed, plan.failures["g"].dimensions),
        "no plan": await cluster.job_plan("default", "nothing"),
        "looked at": len(looked.evaluations),
        "replaced": len(stopped.evaluations),
    }


async def pools(cluster: NomadCluster) -> dict[str, Any]:
    await cluster.create_node_pool("gpu")
    await cluster.create_node_pool("gpu")
    with pytest.raises(RefusedError, match="invalid node pool"):
        await cluster.create_node_pool("no spaces")
    return {"pools": sorted(await cluster.node_pools())}


async def variables(cluster: NomadCluster) -> dict[str, Any]:
    store = NomadVariables(cluster.channel)
    missing = await store.read(RECORD)
    index = await store.write(RECORD, {"n": "1"}, index=0)
    with pytest.raises(RefusedError):
        await store.write(RECORD, {"n": "2"}, index=index + 100)
    record = await store.read(RECORD)
    return {"missing": missing, "read": dict(record.items) if record else None}


async def locks(cluster: NomadCluster) -> dict[str, Any]:
    held = NomadLocks(cluster.channel)
    lease = await held.acquire(LOCK, holder="a")
    assert lease is not None
    second = await held.acquire(LOCK, holder="b")
    lease = await held.renew(lease)
    with pytest.raises(RefusedError) as refused:
        await held.renew(replace(lease, id=UNKNOWN))
    return {"second": second, "stranger": refused.value.why, "released": await held.release(lease)}


async def snapshot(cluster: NomadCluster) -> dict[str, Any]:
    saved = await cluster.snapshot()
    return {"gzip": saved.archive[:2] == b"\x1f\x8b", "digest": len(saved.sha256)}


async def rights(cluster: NomadCluster) -> dict[str, Any]:
    with pytest.raises(RefusedError, match="ACL support disabled") as refused:
        await cluster.acl_bootstrap(UNKNOWN)
    return {"why": refused.value.why}


FAMILIES: dict[str, tuple[Family, dict[str, Any]]] = {
    "observation": (
        observation,
        {
            "nodes": ["c1", "c2"],
            "ready": True,
            "jobs": {
                "agent": ("system", {"g": 0}, False, False),
                "nightly": ("batch", {"g": 0}, False, True),
                "team/api": ("service", {"g": 0}, False, False),
                "too-big": ("service", {"g": 2}, False, False),
                "web": ("service", {"g": 0}, False, False),
            },
            "evaluations": [("too-big", "blocked", {"cpu": 2})],
            "allocations": {"agent": 2, "team/api": 1, "web": 2},
            "pools": ["all", "default"],
            "paused": False,
        },
    ),
    "servers": (servers, {"healthy": True, "voters": 3, "raft": 3, "gossip": 3, "view": (True, True, 3, 3)}),
    "steps": (steps, {"joined": 1}),
    "drains": (drains, {"rising": True, "no change": 0, "woken": True}),
    "work": (
        work,
        {"plan": ({}, {"g": 2}, {"cpu": 2}), "no plan": None, "looked at": 1, "replaced": 1},
    ),
    "pools": (pools, {"pools": ["all", "default", "gpu"]}),
    "variables": (variables, {"missing": None, "read": {"n": "1"}}),
    "locks": (locks, {"second": None, "stranger": Refusal.CONFLICT, "released": True}),
    "snapshot": (snapshot, {"gzip": True, "digest": 64}),
    "rights": (rights, {"why": Refusal.INVALID}),
}


async def asked_at(url: str, family: str) -> dict[str, Any]:
    async with RealNomadDoor(NomadSettings(), chance=lambda: 0.0) as door:
        return await FAMILIES[family][0](door.at([url]))


def recorded_from(cluster: RealCluster, path: Path, family: str) -> None:
    """Have some work run in a real cluster, and record what the family asks and hears."""

    async def with_work(site: Site) -> None:
        night = {"Enabled": True, "Spec": "0 3 * * *", "SpecType": "cron"}
        for job in (
            site.job("agent", Type="system"),
            site.job("nightly", Type="batch", Periodic=night),
            site.job("team/api"),
            site.job("too-big", count=2, cpu=90_000),
            site.job("web", count=2),
        ):
            await site.register(job)
        await site.running("web", 2)
        await site.running("agent", 2)
        await site.blocked("too-big")

        async def calm() -> bool:
            await site.running("team/api", 1)
            return len(await site.cluster.evaluations()) == 1 and (await site.cluster.autopilot()).healthy

        await site.until(calm, "only one evaluation is open, and all servers are healthy")
        with cassette(path, record=True):
            await asked_at(site.cluster.channel.endpoint(site.hosts[0]).url, family)
        for made in ("/v1/node/pool/gpu", f"/v1/var/{RECORD}"):
            with contextlib.suppress(RefusedError):
                await site.cluster.channel.write("DELETE", made)

    real(cluster, with_work)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.xdist_group("real-nomad")
def test_a_family_of_calls_sends_and_reads_what_a_real_nomad_answered(
    family: str, request: pytest.FixtureRequest
) -> None:
    path = FOLDER / f"{family}.json"
    if request.config.getoption("--update-golden") and NOMAD is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        recorded_from(request.getfixturevalue("real_nomad"), path, family)

    with cassette(path, record=False):
        told = anyio.run(asked_at, "http://nomad.invalid:4646", family)

    expected = FAMILIES[family][1]
    assert {key: told[key] for key in expected} == expected


async def asked_servers(url: str) -> dict[str, Any]:
    async with RealNomadDoor(NomadSettings(token="s3cret"), chance=lambda: 0.0) as door:
        cluster = door.at([url])
        return {"healthy": (await cluster.autopilot()).healthy, "gossip": len(await cluster.members())}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Give a cassette made just now, asked with a token."""
    path = tmp_path / "servers.json"
    with cassette(path, record=True):
        on_a_port(a_running_world()[0], asked_servers)
    return path


def test_no_token_is_in_a_cassette(recorded: Path) -> None:
    text = recorded.read_text(encoding="utf-8")
    assert "s3cret" not in text
    assert "<token>" in text


def test_a_request_that_was_not_recorded_fails_the_test_even_if_it_is_swallowed(recorded: Path) -> None:
    async def swallowed() -> None:
        async with RealNomadDoor(NomadSettings(), chance=lambda: 0.0) as door:
            cluster = door.at(["http://nomad.invalid:4646"])
            await cluster.autopilot()
            await cluster.members()
            with contextlib.suppress(Exception):  # as a careless loop would
                await cluster.nodes()

    with pytest.raises(MissedError, match=r"GET .*/v1/nodes"), cassette(recorded, record=False):
        anyio.run(swallowed)


def test_an_answer_that_nobody_asked_for_fails_the_test(recorded: Path) -> None:
    with pytest.raises(MissedError, match="0 of 2"), cassette(recorded, record=False):
        pass
