"""A real Nomad on a loopback address, for tests that want one; without the binary they are skipped, and say so."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NOMAD = shutil.which("nomad")
needs_nomad = pytest.mark.skipif(NOMAD is None, reason="there is no nomad on PATH: nothing real to compare with")
READY_WITHIN = 40.0  # seconds

CONFIG = """
bind_addr = "127.0.0.1"
data_dir  = "{folder}/data"

ports {{
  http = {http}
  rpc  = {rpc}
  serf = {serf}
}}

advertise {{ # by default an agent refuses to advertise a loopback address
  http = "127.0.0.1:{http}"
  rpc  = "127.0.0.1:{rpc}"
  serf = "127.0.0.1:{serf}"
}}

server {{
  enabled          = true
  bootstrap_expect = 1
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NomadAgent:
    """One server of a cluster of its own."""

    address: str


@contextmanager
def started() -> Iterator[NomadAgent]:
    """Start one server and wait until it leads."""
    assert NOMAD is not None
    http, rpc, serf = (_free_port() for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "agent.hcl"
        config.write_text(CONFIG.format(folder=folder, http=http, rpc=rpc, serf=serf), encoding="utf-8")
        log = Path(folder) / "log"
        with (
            log.open("wb") as out,
            subprocess.Popen(  # noqa: S603
                [NOMAD, "agent", "-config", str(config)], stdout=out, stderr=subprocess.STDOUT
            ) as process,
        ):
            try:
                address = f"http://127.0.0.1:{http}"
                _wait_for_leader(address, process, log)
                yield NomadAgent(address=address)
            finally:
                process.terminate()
                process.wait(timeout=20)


def _wait_for_leader(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_WITHIN
    while time.monotonic() < end:
        assert process.poll() is None, f"nomad ended at once:\n{log.read_text(errors='replace')[-3000:]}"
        try:
            with urllib.request.urlopen(f"{address}/v1/status/leader", timeout=6) as answer:  # noqa: S310
                if len(answer.read()) > 2:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise AssertionError(f"no leader within {READY_WITHIN:g} s:\n{log.read_text(errors='replace')[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
