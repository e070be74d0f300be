"""A real Consul on loopback ports, its binary fetched once a machine; where there is none, tests skip and say why."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nomad-reconciler-tests"
FETCH = Path(__file__).with_name("get-consul.sh")
PATIENCE = 120.0  # seconds for the package
AGAIN_AFTER = 3600.0  # seconds after a failure
READY_WITHIN = 30.0
ACLS = 'acl { enabled = true default_policy = "deny" tokens { master = "root" agent = "root" } }'


@cache
def binary() -> str:
    """Give the path of a consul: ``$CONSUL_BINARY``, on PATH, or fetched; else skip the test."""
    found = os.environ.get("CONSUL_BINARY") or shutil.which("consul") or _fetched()
    if found is None:
        pytest.skip(f"there is no real consul: not on PATH, and {FETCH.name} could not fetch one ({_failure()})")
    return found


def _fetched() -> str | None:
    CACHE.mkdir(parents=True, exist_ok=True)
    there, failed = CACHE / "consul", CACHE / "consul.failed"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes want it at once
        if there.exists():
            return str(there)
        if failed.exists() and time.time() - failed.stat().st_mtime < AGAIN_AFTER:  # noqa: TID251 - a file's age
            return None
        try:
            done = subprocess.run(  # noqa: S603
                ["/bin/sh", str(FETCH), str(CACHE)], capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            said = done.stderr.strip()[-300:]
        except subprocess.TimeoutExpired:
            said = f"nothing within {PATIENCE:g} s"
        if there.exists():
            return str(there)
        failed.write_text(said)
        return None


def _failure() -> str:
    with suppress(OSError):
        return (CACHE / "consul.failed").read_text()
    return "no reason known"


@dataclass(slots=True)
class ConsulAgent:
    """One agent in development mode: its state is in memory, and gone with it."""

    port: int
    acls: bool = False
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it leads."""
        ports = (
            f"-server-port={_free_port()} -serf-lan-port={_free_port()} -serf-wan-port=-1 -dns-port=-1 -grpc-port=-1"
        )
        more = ["-hcl", ACLS] if self.acls else []
        self.process = subprocess.Popen(  # noqa: S603
            [
                binary(), "agent", "-dev", "-node=test", "-bind=127.0.0.1", "-client=127.0.0.1", "-log-level=err",
                f"-http-port={self.port}", *ports.split(), "-hcl", "disable_update_check = true", *more,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + READY_WITHIN
        while time.monotonic() < end:
            assert self.process.poll() is None, "consul ended at once"
            where = f"http://127.0.0.1:{self.port}/v1/status/leader"
            with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(where, timeout=2) as answer:
                if len(answer.read()) > len('""'):
                    return
            time.sleep(0.05)
        raise AssertionError(f"no leader within {READY_WITHIN:g} s")

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None


@contextmanager
def started(*, acls: bool = False) -> Iterator[ConsulAgent]:
    """Run an agent; skips the test where there is no consul."""
    agent = ConsulAgent(_free_port(), acls)
    binary()
    try:
        agent.start()
        yield agent
    finally:
        agent.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
