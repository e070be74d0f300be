"""The provider against a real Nomad, wherever there is one on PATH: one server on a loopback address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import anyio
import pytest

from providers.nomad.client import NomadCluster
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from schemas.faults import RefusedError
from support.nomad_jobs import a_job
from support.real_nomad import NomadAgent, needs_nomad, started

pytestmark = [needs_nomad, pytest.mark.xdist_group("real-nomad")]


@pytest.fixture(scope="module")
def agent() -> Iterator[NomadAgent]:
    with started() as running:
        yield running


def asked(agent: NomadAgent, work: Callable[[NomadCluster], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with RealNomadDoor(NomadSettings(), chance=lambda: 0.0) as door:
            await work(door.at([agent.address]))

    anyio.run(opened)


def test_all_lists_of_an_empty_cluster_are_believed(agent: NomadAgent) -> None:
    async def work(cluster: NomadCluster) -> None:
        assert await cluster.nodes() == ()
        assert await cluster.allocations() == ()
        assert {"all", "default"} <= await cluster.node_pools()
        assert await cluster.broker_paused() is False

    asked(agent, work)


def test_work_that_cannot_be_placed_is_seen_as_queued_with_its_evaluation(agent: NomadAgent) -> None:
    async def work(cluster: NomadCluster) -> None:
        await cluster.channel.write("PUT", "/v1/jobs", body={"Job": a_job("waiting", count=3)})
        with anyio.fail_after(10):
            while not (  # noqa: ASYNC110 - a real Nomad, which tells nobody
                waiting := next(j for j in await cluster.jobs() if j.id == "waiting")
            ).queued.get("g"):
                await anyio.sleep(0.1)
        assert waiting.queued == {"g": 3}
        assert waiting.groups[0].count == 3
        assert [e.job_id for e in await cluster.evaluations() if e.status == "blocked"] == ["waiting"]

    asked(agent, work)


def test_a_node_pool_is_made_once(agent: NomadAgent) -> None:
    async def work(cluster: NomadCluster) -> None:
        await cluster.create_node_pool("gpu")
        await cluster.create_node_pool("gpu")
        assert "gpu" in await cluster.node_pools()
        with pytest.raises(RefusedError, match="invalid node pool"):
            await cluster.create_node_pool("no spaces")

    asked(agent, work)


def test_a_node_that_is_not_there_is_refused_and_purging_it_is_done(agent: NomadAgent) -> None:
    async def work(cluster: NomadCluster) -> None:
        unknown = "00000000-0000-0000-0000-000000000000"
        with pytest.raises(RefusedError, match="node not found"):
            await cluster.effects.set_eligibility(unknown, eligible=False)
        await cluster.effects.purge(unknown)

    asked(agent, work)


def test_the_server_is_seen_by_itself_by_raft_and_by_autopilot(agent: NomadAgent) -> None:
    async def work(cluster: NomadCluster) -> None:
        view = await cluster.server_view(agent.address)
        assert view.reachable
        assert view.ready
        assert view.address == urlsplit(agent.address).hostname
        assert [peer.leader for peer in await cluster.raft_configuration()] == [True]
        assert [member.status for member in await cluster.members()] == ["alive"]
        assert len((await cluster.autopilot()).servers) == 1

    asked(agent, work)


def test_a_snapshot_has_the_digest_that_its_header_names(agent: NomadAgent) -> None:
    async def work(cluster: NomadCluster) -> None:
        assert (await cluster.snapshot()).archive[:2] == b"\x1f\x8b"

    asked(agent, work)
