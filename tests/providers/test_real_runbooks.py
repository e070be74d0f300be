"""The runbooks' recovery from a lost quorum, carried out on real servers: a peers file, and a snapshot."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.archive import unreadable
from support.real_nomad import Agent, RealCluster, needs_nomad, started

pytestmark = [needs_nomad, pytest.mark.timeout(240)]


def asked(agent: Agent, path: str, *, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes, Any]:
    request = urllib.request.Request(f"{agent.url}{path}", data=body, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as no:
        return no.code, no.read(), no.headers
    except (urllib.error.URLError, OSError):
        return 0, b"", {}


def wait_for(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end, f"{what} not within a minute"
        time.sleep(0.5)


def leads(agent: Agent) -> bool:
    status, body, _ = asked(agent, "/v1/status/leader")
    return status == 200 and len(body) > 2


def write_down(cluster: RealCluster, text: str) -> None:
    items = json.dumps({"Path": "kept", "Items": {"text": text}}).encode()
    wait_for(lambda: asked(cluster.servers[0], "/v1/var/kept", method="PUT", body=items)[0] == 200, "the keyring")


def kept(agent: Agent) -> str:
    status, body, _ = asked(agent, "/v1/var/kept")
    return json.loads(body)["Items"]["text"] if status == 200 else f"{status} {body[:80]!r}"


def test_a_peers_file_makes_the_last_voter_a_cluster_of_its_own_that_still_knows_everything() -> None:
    with started(servers=3, clients=0) as cluster:
        write_down(cluster, "before")
        survivor, *dead = cluster.servers
        for agent in dead:
            agent.kill()
        wait_for(lambda: not leads(survivor), "the leader's end")

        survivor.stop()
        data = survivor.folder / "data" / "server"
        peer = {
            "id": (data / "node-id").read_text(encoding="utf-8").strip(),
            "address": f"{survivor.address}:4647",
            "non_voter": False,
        }
        (data / "raft" / "peers.json").write_text(json.dumps([peer]), encoding="utf-8")
        survivor.start()

        wait_for(lambda: leads(survivor), "a leader")
        _, body, _ = asked(survivor, "/v1/operator/raft/configuration")
        assert [s["Address"] for s in json.loads(body)["Servers"]] == [peer["address"]]
        assert kept(survivor) == "before"


def test_a_saved_snapshot_is_readable_by_our_check_and_brings_a_new_cluster_back() -> None:
    with started(servers=1, clients=0) as old:
        write_down(old, "before")
        status, archive, headers = asked(old.servers[0], "/v1/operator/snapshot")
        assert status == 200
        digest = base64.b64decode(headers["Digest"].removeprefix("sha-256=")).hex()
        assert unreadable(archive, digest) is None
        assert "do not have the digest" in str(unreadable(archive[:-1], digest))

    with started(servers=1, clients=0) as new:
        status, said, _ = asked(new.servers[0], "/v1/operator/snapshot", method="PUT", body=archive)
        assert status == 200, said
        wait_for(lambda: kept(new.servers[0]) == "before", "what was saved")
