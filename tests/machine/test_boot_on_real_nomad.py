"""What is rendered for a machine, taken by a real Nomad: each configuration is valid, agents started from it join."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from reconciler.machine import TLS_FILES, pool_template, server_template
from reconciler.machine_files import fetch
from reconciler.user_data import BOOT_FILE, FETCHED_FILE, GOSSIP_FILE
from schemas.document import ClusterGroup
from support.booted import Machine
from support.builders import a_catalogue, a_group, a_pool
from support.certificates import Authority
from support.real_nomad import NOMAD, _dying_with_us, free_net, needs_nomad

pytestmark = needs_nomad

GOSSIP = "cg8StVXbQJ0gPvMd9o7yrg=="
WITHIN = 60.0  # seconds
TLS = {"ca": "ssm:/tls/ca", "cert": "ssm:/tls/cert", "key": "ssm:/tls/key"}
ELSEWHERE = {"source": "s3://configs/agent.hcl", "sha256": "a" * 64}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "gossip and TLS": {"nomad": {"gossipKey": "ssm:/gossip", "tls": TLS}},
    "telemetry of its own": {"machine": {"agentConfig": {"telemetry": {"prometheus_metrics": True}}}},
    "a Consul agent of the image": {"machine": {"agentConfig": {"consul": {"address": "127.0.0.1:8500"}}}},
    "configuration from elsewhere": {"machine": {"agentConfig": ELSEWHERE}},
    "another region, one server": {
        "nomad": {"region": "eu"},
        "servers": {"count": 1, "acceptDataLossRisk": True},
    },
}


def a_document(pool: dict[str, Any] | None = None, **spec: Any) -> ClusterGroup:
    images = {"x86_64": "ami-0123", "arm64": "ami-0456"}
    spec["machine"] = {"images": images, **spec.get("machine", {})}
    everything = {"types": ["m6i.*", "c7g.*"]}
    more = {"nodeClass": "class-a", "nodePool": "gpu", "datacenter": "dc7", "meta": {"owner": "platform"}}
    return a_group(pools=[a_pool(instances=everything, drivers=["docker"], **more, **(pool or {}))], **spec)


def booted(root: Path, group: ClusterGroup, role: str, *, arch: str = "x86_64", address: str = "10.0.1.7") -> Path:
    """Let a machine boot up to where its agent starts; gives the directory of its configuration."""
    pool = group.spec.pools[0]
    template = (
        pool_template(group, pool, arch, pool.instances.allowed(a_catalogue()))
        if role == "client"
        else server_template(group, arch)
    )
    root.mkdir()
    machine = Machine.of(root, template.user_data)
    told = {
        "instance-id": f"i-0{role}",
        "instance-type": "m6i.large",
        "local-ipv4": address,
        "tags/instance/nomad-reconciler:role": role,
        "tags/instance/nomad-reconciler:claim": "general-7",
    }
    answers = "\n".join(f"*/meta-data/{what}) echo '{value}' ;;" for what, value in told.items())
    machine.tool(
        "curl", f"for last; do :; done\ncase $last in\n*/api/token) echo token ;;\n{answers}\n*) exit 22 ;;\nesac"
    )
    machine.tool("nomad", 'echo "Nomad v2.0.5"')
    done = machine.run(BOOT_FILE)
    assert done.returncode == 0, done.stderr
    _fetched(machine, group)
    return machine.path("/etc/nomad.d")


def _fetched(machine: Machine, group: ClusterGroup) -> None:
    """Write what a machine fetches, by the very program that fetches it."""
    plan = machine.path("/etc/nomad-reconciler/fetch.json")
    if not plan.exists():
        return
    authority = Authority(machine.root)
    pair = authority.issue(f"server.{group.spec.nomad.region}.nomad")
    files = {"ca": authority.cert, "cert": pair.cert, "key": pair.key}
    contents = {TLS_FILES[name]: Path(file).read_bytes() for name, file in files.items()}
    contents |= {GOSSIP_FILE: GOSSIP.encode(), FETCHED_FILE: b'log_level = "DEBUG"\n'}
    for wanted in json.loads(plan.read_text())["files"]:
        where = {"to": str(machine.path(wanted["to"])), "key": wanted.get("key", "")}
        fetch.save(where, contents[wanted["to"]])


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_nomad_finds_every_rendered_configuration_valid(tmp_path: Path, document: str, role: str) -> None:
    assert NOMAD is not None
    config = booted(tmp_path / "machine", a_document(**DOCUMENTS[document]), role)

    done = subprocess.run(  # noqa: S603
        [NOMAD, "config", "validate", str(config)], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Configuration is valid!" in done.stdout


def test_nomad_refuses_a_configuration_with_a_key_that_it_does_not_know(tmp_path: Path) -> None:
    """Or the test above would prove nothing."""
    assert NOMAD is not None
    config = booted(tmp_path / "machine", a_document(machine={"agentConfig": {"clinet": {}}}), "client")

    done = subprocess.run(  # noqa: S603
        [NOMAD, "config", "validate", str(config)], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode != 0
    assert "clinet" in done.stdout + done.stderr


# --- joined ----------------------------------------------------------------------------------------------------------


@contextmanager
def running(config: Path, log: Path) -> Iterator[None]:
    """Run an agent as the unit does."""
    assert NOMAD is not None
    command = [*_dying_with_us(), NOMAD, "agent", "-config", str(config)]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:  # noqa: S603
        try:
            yield
        finally:
            process.kill()


def asked(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"http://{address}:4646{path}", timeout=5) as answer:
        return json.loads(answer.read())


@pytest.mark.xdist_group("real nomad from user data")
def test_agents_started_from_what_is_rendered_join_and_say_what_was_planned(tmp_path: Path) -> None:
    """Only addresses and directories are a test's: loopback in place of the join tag's machines."""
    net = free_net()
    server_at, client_at = f"{net}.1", f"{net}.101"
    join = {"server_join": {"retry_join": [server_at], "retry_interval": "1s"}}
    quiet = {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean,cni,consul,vault"}

    def placed(name: str, address: str, **more: Any) -> dict[str, Any]:
        own = {"data_dir": str(tmp_path / f"{name}-data"), "bind_addr": address, "disable_update_check": True}
        return {"agentConfig": {**own, **more}}

    group = a_document(
        pool={"machine": placed("client", client_at, client={**join, "options": quiet})},
        servers={"count": 1, "acceptDataLossRisk": True, "machine": placed("server", server_at, server=join)},
        nomad={"gossipKey": "ssm:/gossip"},
    )
    configs = {
        "server": booted(tmp_path / "server", group, "server", address=server_at),
        "client": booted(tmp_path / "client", group, "client", address=client_at),
    }

    with running(configs["server"], tmp_path / "server.log"):
        _awaited(lambda: asked(server_at, "/v1/status/leader"), tmp_path)
        with running(configs["client"], tmp_path / "client.log"):
            (found,) = _awaited(lambda: [n for n in asked(server_at, "/v1/nodes") if n["Status"] == "ready"], tmp_path)
            node = asked(server_at, f"/v1/node/{found['ID']}")
            (member,) = asked(server_at, "/v1/agent/members")["Members"]

    assert member["Name"] == "i-0server.global"
    assert member["Tags"]["expect"] == "1"
    assert node["Name"] == "i-0client"
    assert (node["NodeClass"], node["NodePool"], node["Datacenter"]) == ("class-a", "gpu", "dc7")
    assert node["Meta"]["unique.nomad_reconciler_claim"] == "general-7"
    assert node["Meta"]["owner"] == "platform"
    assert node["NodeResources"]["Cpu"]["CpuShares"] == a_catalogue()["m6i.large"].cpu_mhz
    assert node["HTTPAddr"] == f"{client_at}:4646"


def _awaited(ask: Callable[[], Any], logs: Path) -> Any:
    """Ask until something is said."""
    end = time.monotonic() + WITHIN
    while time.monotonic() < end:
        with suppress(OSError):
            if said := ask():
                return said
        time.sleep(0.2)
    told = "\n".join(log.read_text(errors="replace")[-1500:] for log in logs.glob("*.log"))
    raise AssertionError(f"nothing within {WITHIN:g} s:\n{told}")
