"""The simulated Nomad on a real port, asked by clients that know nothing of it."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from support.nomad_jobs import a_running_world
from support.served import on_a_port


def asked_from_outside(work: Callable[[str], None]) -> None:
    world, _ = a_running_world()

    async def served(url: str) -> None:
        await to_thread.run_sync(work, url)

    on_a_port(world, served)


def test_the_standard_library_reads_a_list() -> None:
    def work(url: str) -> None:
        with urllib.request.urlopen(f"{url}/v1/nodes", timeout=5) as answer:  # noqa: S310
            assert answer.headers["X-Nomad-Knownleader"] == "true"
            assert len(json.load(answer)) == 3

    asked_from_outside(work)


def test_one_connection_serves_many_requests_also_refused_ones_and_those_with_bodies() -> None:
    def work(url: str) -> None:
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)) as connection:
            for method, path, body, status in (
                ("GET", "/v1/nodes", None, 200),
                ("GET", "/v1/node/x", None, 500),
                ("GET", "/nothing", None, 404),
                ("PUT", "/v1/var/a/b", '{"Items": {"x": "1"}}', 200),
                ("DELETE", "/v1/var/a/b", None, 204),
                ("GET", "/v1/var/a/b", None, 404),
            ):
                connection.request(method, path, body)
                answer = connection.getresponse()
                answer.read()
                assert (path, answer.status) == (path, status)

    asked_from_outside(work)


def test_the_real_provider_finds_the_same_cluster_there() -> None:
    world, hosts = a_running_world()

    async def work(url: str) -> None:
        async with RealNomadDoor(NomadSettings()) as door:
            cluster = door.at([url])
            assert len(await cluster.nodes()) == 3
            assert {job.id for job in await cluster.jobs()} == {"agent", "nightly", "team/api", "too-big", "web"}
            assert {peer.address for peer in await cluster.raft_configuration()} == {f"{h}:4647" for h in hosts}

    on_a_port(world, work)


def test_a_client_that_leaves_in_the_middle_of_a_wait_disturbs_nobody() -> None:
    world, _ = a_running_world()

    async def work(url: str) -> None:
        port = urlsplit(url).port
        assert port is not None
        stream = await anyio.connect_tcp("127.0.0.1", port)
        await stream.send(b"GET /v1/nodes?index=99999&wait=60s HTTP/1.1\r\nHost: x\r\n\r\n")
        await anyio.sleep(0.05)
        await stream.aclose()
        async with RealNomadDoor(NomadSettings()) as door:
            assert len(await door.at([url]).nodes()) == 3

    on_a_port(world, work)
