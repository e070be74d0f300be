"""Questions that no recording holds, asked of a real Nomad and the simulated one: status, headers, texts, shapes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from anyio import to_thread

from support.nomad_jobs import a_running_world
from support.real_nomad import RealCluster, needs_nomad
from support.recorded_http import differences
from support.served import on_a_port

Json = dict[str, Any]
pytestmark = [needs_nomad, pytest.mark.xdist_group("real-nomad"), pytest.mark.timeout(120)]

NOBODY = "00000000-0000-0000-0000-000000000000"
ASKED: list[tuple[str, str, Json | None]] = [
    ("GET", "/v1/job/beside/versions", None),
    ("GET", "/v1/job/beside/versions?diffs=true", None),
    ("GET", "/v1/job/nope/versions", None),
    ("GET", "/v1/job/beside/submission", None),
    ("GET", "/v1/job/beside/submission?version=9", None),
    ("GET", "/v1/job/beside/scale", None),
    ("GET", "/v1/job/nope/scale", None),
    ("PUT", "/v1/job/beside/revert", {"JobID": "beside", "JobVersion": 77}),
    ("PUT", "/v1/job/beside/plan", {"Job": {"ID": "other"}}),
    ("GET", "/v1/jobs/statuses?namespace=default", None),
    ("GET", "/v1/deployment/nope", None),
    ("GET", f"/v1/deployment/{NOBODY}", None),
    ("GET", f"/v1/deployment/allocations/{NOBODY}", None),
    ("GET", "/v1/deployment/{deployment}", None),
    ("GET", "/v1/deployment/allocations/{deployment}", None),
    ("GET", "/v1/client/stats?node_id={node}", None),
    ("GET", f"/v1/client/stats?node_id={NOBODY}", None),
    ("GET", "/v1/client/stats?node_id=nope", None),
    ("GET", "/v1/client/metadata?node_id={node}", None),
    ("GET", f"/v1/client/metadata?node_id={NOBODY}", None),
    ("GET", f"/v1/client/allocation/{NOBODY}/stats", None),
    ("GET", "/v1/agent/servers", None),
    ("GET", "/v1/namespace/default", None),
    ("GET", "/v1/namespace/nope", None),
    ("PUT", "/v1/namespace/bad!", {"Name": "bad!"}),
    ("DELETE", "/v1/namespace/default", None),
    ("DELETE", "/v1/namespace/nope", None),
    ("POST", "/v1/search", {"Prefix": "beside", "Context": "all"}),
    ("POST", "/v1/search", {"Prefix": "beside", "Context": "jobs"}),
    ("POST", "/v1/search", {"Prefix": "beside", "Context": "nope"}),
    ("PUT", "/v1/validate/job", {"Job": {"ID": "x", "Type": "nope"}}),
    ("GET", "/v1/services", None),
    ("GET", "/v1/service/nope", None),
    ("GET", "/v1/plugins?type=csi", None),
    ("GET", "/v1/volumes?type=host", None),
    ("GET", "/v1/scaling/policies", None),
    ("GET", "/v1/scaling/policy/nope", None),
    ("GET", "/v1/quotas", None),
    ("GET", "/v1/sentinel/policies", None),
    ("GET", "/v1/volume/csi/nope", None),
    ("GET", "/v1/plugin/csi/nope", None),
    ("GET", "/v1/nothing/of/the/kind", None),
    ("DELETE", "/v1/services", None),
    ("PUT", "/v1/operator/autopilot/configuration", None),
]
FORWARDED = "rpc error: "  # a server that is not the leader says so of its errors
PASSING = {"content-length", "date", "transfer-encoding", "content-encoding", "connection"}
UNLIKE = (".Events", ".TaskStates", ".Config", ".DeploymentStatus", ".RequireProgressBy", "DeviceStats", ".Meta")
"""What depends on drivers and on the moment, or is a table of the client's own."""


class Site:
    """One of the two clusters."""

    def __init__(self, url: str, driver: str) -> None:
        self.url, self.known = url, {"deployment": "", "node": ""}
        task = {"Name": "t", "Driver": driver, "Config": {"command": "/bin/sleep", "args": ["600"]}}
        job = {"ID": "beside", "Type": "service", "TaskGroups": [{"Name": "g", "Count": 1, "Tasks": [task]}]}
        self.ask("PUT", "/v1/jobs", {"Job": job})
        while (
            not (found := self.ask("GET", "/v1/job/beside/allocations", None)[2])
            or found[0]["ClientStatus"] == "pending"
        ):
            time.sleep(0.2)
        self.known["node"] = found[0]["NodeID"]
        self.known["deployment"] = self.ask("GET", "/v1/job/beside/deployment", None)[2]["ID"]

    def end(self) -> None:
        """Stop the job, and wait until nothing of it runs: on a real client its processes outlive the agent."""
        self.ask("DELETE", "/v1/job/beside", None)
        while any(a["ClientStatus"] == "running" for a in self.ask("GET", "/v1/job/beside/allocations", None)[2]):
            time.sleep(0.2)
        self.ask("DELETE", "/v1/job/beside?purge=true", None)  # other tests use the same cluster

    def ask(self, method: str, path: str, body: Json | None) -> tuple[int, Iterable[str], Any]:
        data = json.dumps(body).encode() if body is not None else None
        url = self.url + path.format(**self.known)
        request = urllib.request.Request(url, method=method, data=data)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, answer.headers, _read(answer.read())
        except urllib.error.HTTPError as no:
            return no.code, no.headers, no.read().decode().removeprefix(FORWARDED)


def _read(text: bytes) -> Any:
    return json.loads(text) if text else None


def unlike(real: Site, ours: Site, method: str, path: str, body: Json | None) -> list[str]:
    """Say what is answered otherwise."""
    (status, headers, told), (mine, names, said) = real.ask(method, path, body), ours.ask(method, path, body)
    if status != mine:
        return [f"{status} {str(told)[:200]!r}, ours {mine} {str(said)[:200]!r}"]
    found = [] if status < 300 or told == said else [f"{told!r}, ours {said!r}"]
    if status < 300:
        found = [d for d in differences(told, said) if not any(part in d for part in UNLIKE)]
    theirs, his = ({name.lower() for name in each} - PASSING for each in (headers, names))
    return found if theirs == his else [*found, f"headers {sorted(theirs - his)} missing, {sorted(his - theirs)} more"]


def test_what_no_recording_holds_is_answered_as_a_real_nomad_does(real_nomad: RealCluster) -> None:
    world, _ = a_running_world()
    wrong: dict[str, list[str]] = {}

    def work(url: str) -> None:
        real, ours = Site(real_nomad.urls[0], "raw_exec"), Site(url, "docker")
        try:
            for method, path, body in ASKED:
                if found := unlike(real, ours, method, path, body):
                    wrong[f"{method} {path}"] = found
        finally:
            real.end()

    _served(world, work)
    assert wrong == {}, json.dumps(wrong, indent=1)


def _served(world: Any, work: Callable[[str], None]) -> None:
    async def asked(url: str) -> None:
        await to_thread.run_sync(work, url)

    on_a_port(world, asked)
