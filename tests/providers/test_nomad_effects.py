"""What the real provider does to a cluster over HTTP, seen in the world behind it."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import anyio
import pytest

from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.sandbox.world.servers import agents
from schemas.faults import Refusal, RefusedError, UnansweredError
from support.nomad_jobs import Running, running, wait
from support.raw_server import answer, raw_server

UNKNOWN = "00000000-0000-0000-0000-000000000000"


def test_a_drain_is_begun_with_its_author_and_can_be_taken_back() -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        node = next(n for n in await cluster.nodes())
        await cluster.effects.drain(node.id, deadline=timedelta(minutes=15), meta={"by": "nomad-reconciler"})
        drained = wired.world.nomad.api.node(node.id)
        assert drained["DrainStrategy"]["Deadline"] == 15 * 60 * 10**9
        assert drained["DrainStrategy"]["IgnoreSystemJobs"] is True
        (seen,) = [n for n in await cluster.nodes() if n.id == node.id]
        assert (seen.draining, seen.eligible, seen.drain_meta) == (True, False, {"by": "nomad-reconciler"})

        written = await cluster.effects.cancel_drain(node.id, eligible=True)
        assert written.evaluations
        (seen,) = [n for n in await cluster.nodes() if n.id == node.id]
        assert (seen.draining, seen.eligible) == (False, True)

    running(work)


def test_eligibility_is_set_once_and_an_unknown_node_is_refused() -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        node = next(n for n in await cluster.nodes())
        assert (await cluster.effects.set_eligibility(node.id, eligible=False)).index > 0
        assert (await cluster.effects.set_eligibility(node.id, eligible=False)).index == 0
        with pytest.raises(RefusedError, match="node not found") as refused:
            await cluster.effects.set_eligibility(UNKNOWN, eligible=False)
        assert refused.value.why is Refusal.INVALID

    running(work)


def test_a_job_is_evaluated_and_an_allocation_stopped() -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        assert len((await cluster.effects.evaluate_job("default", "team/api")).evaluations) == 1
        allocation = next(a for a in await cluster.allocations() if a.job_id == "web")
        await cluster.effects.stop_allocation(allocation.id)
        await wait(wired, 30)
        left = [a for a in await cluster.allocations() if a.job_id == "web"]
        assert len(left) == 4
        assert allocation.id not in {a.id for a in left}

    running(work)


def test_a_node_pool_is_made_once_and_keeps_what_it_has() -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        wired.world.nomad.api.put_node_pool({"Name": "gpu", "Description": "cards"})
        await cluster.create_node_pool("gpu")
        await cluster.create_node_pool("batch")
        await cluster.create_node_pool("default")
        assert await cluster.node_pools() == {"all", "default", "gpu", "batch"}
        assert wired.world.nomad.api.node_pool("gpu")["Description"] == "cards"
        with pytest.raises(RefusedError, match="invalid node pool"):
            await cluster.create_node_pool("no spaces")

    running(work)


def test_a_dead_server_is_removed_by_its_id_and_removing_it_again_changes_nothing() -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        leader = next(p for p in await cluster.raft_configuration() if p.leader)
        victim = next(p for p in await cluster.raft_configuration() if not p.leader)
        agents.kill(wired.world.servers, victim.address.partition(":")[0])
        for _ in range(2):
            await cluster.remove_peer(victim.id)
        assert victim.id not in {p.id for p in await cluster.raft_configuration()}
        await cluster.transfer_leadership(leader.id)  # it leads already
        await wait(wired, 50)
        await cluster.force_leave(victim.name)
        await wait(wired, 5)
        assert victim.name not in {m.name for m in await cluster.members()}

    running(work)


def test_leadership_is_handed_over_and_only_to_a_voter() -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        heir = next(p for p in await cluster.raft_configuration() if not p.leader)
        await cluster.transfer_leadership(heir.id)
        await wait(wired, 5)
        assert next(p for p in await cluster.raft_configuration() if p.leader).id == heir.id
        with pytest.raises(RefusedError, match="was not found"):
            await cluster.transfer_leadership(UNKNOWN)

    running(work)


def test_an_agent_is_told_to_join_others_and_a_dead_one_is_unanswered() -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        first, second, third = wired.hosts
        assert await cluster.join(first, [f"{second}:4647", third, "10.9.9.9"]) == 2
        with pytest.raises(UnansweredError, match="nobody answers there"):
            await cluster.join("10.9.9.9", [first])

    running(work)


def test_a_snapshot_is_kept_only_if_its_digest_is_right() -> None:
    archive = b"\x1f\x8b" + b"state" * 100
    right = base64.b64encode(hashlib.sha256(archive).digest()).decode()

    async def save(*headers: str, body: bytes = archive) -> bytes:
        said = answer(200, body, "Content-Type: application/x-gzip", *headers)
        async with raw_server(said) as server, RealNomadDoor(NomadSettings(), chance=lambda: 0.0) as door:
            return (await door.at([server.url]).snapshot()).archive

    async def work() -> None:
        assert await save(f"Digest: sha-256={right}") == archive
        for headers, body in (
            ((f"Digest: sha-256={right}",), archive[:-1]),
            ((), archive),
            ((f"Digest: md5={right}",), archive),
            ((f"Digest: sha-256={right}",), b""),
        ):
            with pytest.raises(UnansweredError):
                await save(*headers, body=body)

    anyio.run(work)
