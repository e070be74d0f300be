"""``reconcile sandbox serve`` as a process of its own, on free ports, and what it tells to export."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.typed import ROOT, command, environment

READY_WITHIN = 60.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A world that is served."""

    env: dict[str, str]
    err: str
    process: subprocess.Popen[str]

    @property
    def nomad(self) -> str:
        return self.env["NOMAD_ADDR"]

    @property
    def nomad_port(self) -> int:
        return int(self.nomad.rpartition(":")[2])

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + READY_WITHIN
        while not true():
            assert time.monotonic() < end, "it never came to that"
            time.sleep(0.2)

    def answers(self, path: str) -> bool:
        """Whether Nomad answers with 200."""
        try:
            with urllib.request.urlopen(self.nomad + path, timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False


@contextmanager
def serving(*arguments: str, folder: Path) -> Iterator[Served]:
    """Serve a world until the block ends."""
    told, words = folder / "env", folder / "words"
    with told.open("w") as out, words.open("w") as err:
        ports = ("--nomad-port", "0", "--ec2-port", "0")
        process = subprocess.Popen(  # noqa: S603 - our own program
            command("sandbox", "serve", *ports, *arguments), cwd=ROOT, env=environment(), stdout=out, stderr=err,
            text=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + READY_WITHIN
        while not told.read_text():
            assert process.poll() is None, words.read_text()
            assert time.monotonic() < end, "nothing is told"
            time.sleep(0.1)
        lines = (line.removeprefix("export ").partition("=") for line in told.read_text().splitlines())
        yield Served(env={name: value for name, _, value in lines}, err=words.read_text(), process=process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def connects(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, port)) == 0
