"""The service while its documents change: each group goes by its newest sound document, and by none that is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

DOCUMENT = """\
apiVersion: nomad-reconciler/v1alpha1
kind: ClusterGroup
metadata: {{name: {name}}}
spec:
  mode: {mode}
  nomad: {{gossipKey: "ssm:/gossip", tls: {{ca: "ssm:/ca", cert: "ssm:/cert", key: "ssm:/key"}}}}
  aws:
    region: us-east-1
    subnets:
      - {{id: subnet-a1, zone: us-east-1a}}
      - {{id: subnet-b1, zone: us-east-1b}}
      - {{id: subnet-c1, zone: us-east-1c}}
    securityGroups: [sg-0123]
    instanceProfile: nomad-node
  machine: {{images: {{x86_64: ami-0123, arm64: ami-0456}}}}
  servers: {{count: 3}}
"""


def document(name: str, mode: str = "paused") -> str:
    return DOCUMENT.format(name=name, mode=mode)


class Told:
    """What a running service says, line by line, as it says it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, list[str]()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.lines += []
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def wait_for(self, *words: str, since: int = 0) -> int:
        """Wait until a line has all these words; gives how many lines there are by then."""
        return self._until(lambda: any(all(w in line for w in words) for line in self.lines[since:]), words)

    def _until(self, true: Callable[[], bool], what: object) -> int:
        for _ in range(300):
            if true():
                return len(self.lines)
            time.sleep(0.1)
        raise AssertionError(f"never said {what}:\n" + "\n".join(self.lines))


@contextmanager
def serving(directory: Path) -> Iterator[Told]:
    command = [sys.executable, "-m", "reconciler.cli.main", "--sandbox", "-v", "-f", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield Told(process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


@pytest.mark.timeout(110)
def test_documents_come_change_break_and_go_while_the_service_runs(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(document("one"))
    with serving(tmp_path) as told:
        told.wait_for("one", "Paused")

        (tmp_path / "b.yaml").write_text(document("two"))
        seen = told.wait_for("two", "Paused")

        (tmp_path / "a.yaml").write_text(document("one", mode="pasued"))
        seen = told.wait_for("a.yaml:5:9", "its last sound version stays in force", since=seen)
        assert not [line for line in told.lines if "Observing" in line]

        (tmp_path / "a.yaml").write_text(document("one", mode="observe"))
        seen = told.wait_for("one", "Observing", since=seen)

        (tmp_path / "b.yaml").unlink()
        time.sleep(1)
        gone = len(told.lines)
        (tmp_path / "a.yaml").write_text(document("one", mode="paused"))
        told.wait_for("one", "Paused", since=gone)
        assert not [line for line in told.lines[gone:] if " two " in line]
