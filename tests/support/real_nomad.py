"""Real Nomad agents on loopback addresses, one address an agent, for tests that want them; without the binary: skipped.

A cluster is started once a session. What it leaves behind (processes of tasks, mounts, files) is found by its folder
and goes with it; the logs stay where a test failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

NOMAD = shutil.which("nomad")
needs_nomad = pytest.mark.skipif(NOMAD is None, reason="there is no nomad on PATH: nothing real to compare with")
READY_WITHIN = 60.0  # seconds
_NETS = count()
HTTP_PORT = 4646  # the same for all, each has an address of its own

Json = dict[str, Any]


@dataclass(slots=True)
class Agent:
    """One agent: its address, its configuration, and its process while it runs."""

    address: str
    folder: Path
    config: Json
    process: subprocess.Popen[bytes] | None = None
    frozen: bool = False

    @property
    def url(self) -> str:
        """Its API."""
        return f"http{'s' if 'tls' in self.config else ''}://{self.address}:{HTTP_PORT}"

    @property
    def log(self) -> str:
        """The end of what it said."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def start(self) -> None:
        """Start it, with the data that it has."""
        assert NOMAD is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "agent.json").write_text(json.dumps(self.config), encoding="utf-8")
        with (self.folder / "log").open("ab") as out:
            command = [*_dying_with_us(), NOMAD, "agent", "-config", str(self.folder / "agent.json")]
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)  # noqa: S603

    def kill(self) -> None:
        """End it as a lost machine ends: at once, without a word."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=20)
            self.process, self.frozen = None, False

    def stop(self) -> None:
        """Ask it to end, as systemd does."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def freeze(self) -> None:
        """Stop its process: its kernel still takes connections."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")
        while any(") T " not in (task / "stat").read_text(encoding="utf-8") for task in tasks.iterdir()):
            time.sleep(0.01)  # one thread after the other

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@dataclass(slots=True)
class RealCluster:
    """Servers and clients of one region, in one folder."""

    folder: Path
    net: str  # "127.9.8": server n at .n, client n at .100+n
    expect: int
    extra: Mapping[str, Any] = field(default_factory=dict)
    servers: list[Agent] = field(default_factory=list)
    clients: list[Agent] = field(default_factory=list)
    keep_logs: bool = False

    @property
    def urls(self) -> list[str]:
        """The servers' APIs."""
        return [server.url for server in self.servers]

    def start_server(self) -> Agent:
        """Start one more server, which joins the others."""
        made = self._agent(len(self.servers) + 1, f"s{len(self.servers) + 1}")
        made.config |= {
            "leave_on_terminate": True,
            "server": {
                "enabled": True,
                "bootstrap_expect": self.expect,
                "server_join": {
                    "retry_join": [f"{self.net}.{n + 1}" for n in range(self.expect)],
                    "retry_interval": "1s",
                },
                "raft_multiplier": 1,
                "min_heartbeat_ttl": "2s",
                "heartbeat_grace": "2s",
                "failover_heartbeat_ttl": "8s",
                "event_buffer_size": 1000,
            },
            "autopilot": {"server_stabilization_time": "2s"},
        }
        self.servers.append(made)
        made.start()
        return made

    def start_client(self, **client: Any) -> Agent:
        """Start one more client."""
        number = len(self.clients) + 1
        made = self._agent(100 + number, f"c{number}")
        made.config |= {
            "client": {
                "enabled": True,
                "servers": [s.address for s in self.servers],
                "cpu_total_compute": 4000,
                "memory_total_mb": 2048,
                "options": {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean,cni,consul,vault"},
                **client,
            },
            "plugin": [{"raw_exec": [{"config": [{"enabled": True}]}]}],
        }
        self.clients.append(made)
        made.start()
        return made

    def wait_for_leader(self) -> None:
        """Wait until all servers vote and one leads."""
        _until(lambda: len(self._asked("/v1/status/leader")) > 2, "no leader", self)

    def wait_for_clients(self) -> None:
        """Wait until all clients are ready."""

        def ready() -> bool:
            nodes = json.loads(self._asked("/v1/nodes"))
            return [n["Status"] for n in nodes] == ["ready"] * len(self.clients)

        _until(ready, "not all clients became ready", self)

    def end(self) -> None:
        """End all processes, those of tasks too, and let go of what they mounted."""
        for agent in [*self.clients, *self.servers]:
            agent.kill()
        for process in _running_in(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for line in reversed(Path("/proc/mounts").read_text(encoding="utf-8").splitlines()):
            if (point := line.split()[1]).startswith(str(self.folder)):
                subprocess.run(["umount", "-l", point], check=False)  # noqa: S603, S607

    def _agent(self, number: int, name: str) -> Agent:
        address, folder = f"{self.net}.{number}", self.folder / name
        config: Json = {
            "name": name,
            "bind_addr": address,
            "data_dir": str(folder / "data"),
            "log_level": "INFO",
            "disable_update_check": True,
            # by default an agent refuses to advertise a loopback address
            "advertise": {"http": address, "rpc": address, "serf": address},
            **self.extra,
        }
        return Agent(address, folder, config)

    def _asked(self, path: str) -> bytes:
        for server in self.servers:
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{server.url}{path}", timeout=6) as answer,  # noqa: S310
            ):
                body: bytes = answer.read()
                return body
        return b"[]"


@contextmanager
def started(
    *, servers: int = 3, clients: int = 2, extra: Mapping[str, Any] | None = None, wait: bool = True
) -> Iterator[RealCluster]:
    """Start a cluster; with ``wait`` until it leads and all clients are ready."""
    folder = Path(tempfile.mkdtemp(prefix="nomad-"))
    cluster = RealCluster(folder, free_net(), servers, extra or {})
    try:
        for _ in range(servers):
            cluster.start_server()
        if wait:
            cluster.wait_for_leader()
        for _ in range(clients):
            cluster.start_client()
        if wait and clients:
            cluster.wait_for_clients()
        yield cluster
    except BaseException:
        cluster.keep_logs = True
        raise
    finally:
        cluster.end()
        for agent in (*cluster.servers, *cluster.clients) if cluster.keep_logs else ():
            shutil.rmtree(agent.folder / "data", ignore_errors=True)
        if cluster.keep_logs:
            print(f"the agents' logs are kept in {folder}/*/log")  # noqa: T201 - pytest shows it with the failure
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _until(done: Any, otherwise: str, cluster: RealCluster) -> None:
    end = time.monotonic() + READY_WITHIN
    while not done():
        for agent in [*cluster.servers, *cluster.clients]:
            assert agent.process is None or agent.process.poll() is None, f"nomad ended at once:\n{agent.log}"
        assert time.monotonic() < end, f"{otherwise} within {READY_WITHIN:g} s:\n{cluster.servers[0].log}"
        time.sleep(0.2)


def _dying_with_us() -> Sequence[str]:
    """A test run that is killed leaves no agents behind, where the system can see to it."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "KILL", "--"] if found else []


def free_net() -> str:
    """Give a loopback network of our own: several runs on one machine do not meet, nor do clusters of one run."""
    high, low = divmod(os.getpid() * 7 + next(_NETS), 250)
    return f"127.{50 + high % 200}.{low + 1}"


def _running_in(folder: Path) -> Iterator[int]:
    """Find the processes that work in a folder, or were started with it: executors and their tasks."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            inside = str((entry / "cwd").readlink()).startswith(str(folder))
            if inside or str(folder).encode() in (entry / "cmdline").read_bytes():
                yield int(entry.name)
