"""What a person sees of servers: the steps of an upgrade with what each does to the quorum, and a lost quorum."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from providers.sandbox.world.scenario import load_scenario
from providers.sandbox.world.servers import agents
from reconciler.bootstrap.simulated import sandbox
from support.typed import reconcile

GOLDEN = Path(__file__).parents[1] / "golden" / "cli"
FIVE = """\
apiVersion: nomad-reconciler/v1alpha1
kind: ClusterGroup
metadata: {name: prod}
spec:
  nomad: {version: "2.0.5"}
  aws:
    region: us-east-1
    subnets:
      - {id: subnet-a1, zone: us-east-1a}
      - {id: subnet-b1, zone: us-east-1b}
      - {id: subnet-c1, zone: us-east-1c}
    securityGroups: [sg-0123]
    instanceProfile: nomad-node
  machine: {images: {x86_64: ami-0123}}
  servers: {count: 5}
"""

Look = Callable[..., str]


@pytest.fixture(scope="module")
def formed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five servers, and no work."""
    folder = tmp_path_factory.mktemp("five")
    scenario = load_scenario("demo")
    scenario.steps = []
    (folder / "quiet.json").write_bytes(msgspec.json.encode(scenario))
    (folder / "five.yaml").write_text(FIVE, encoding="utf-8")
    (folder / "newer.yaml").write_text(FIVE.replace("2.0.5", "2.0.6"), encoding="utf-8")
    done = reconcile("--once", "--wait", "20m", *_world(folder, "five"))
    assert done.code == 0, done.err
    return folder


def _world(folder: Path, document: str) -> list[str]:
    state, scenario = str(folder / "world.db"), str(folder / "quiet.json")
    return ["-f", str(folder / f"{document}.yaml"), "--state", state, "--sandbox", scenario]


def shown(folder: Path, document: str, *command: str) -> str:
    """Give what a command prints, without what changes with every change of user data."""
    typed = reconcile(*command, *_world(folder, document))
    text = re.sub(r"Digest  [0-9a-f]{16}", "Digest  0123456789abcdef", typed.out)
    text = re.sub(r"v\d+-[0-9a-f]{12} is not v\d+-[0-9a-f]{12}", "v1-aaaa is not v1-bbbb", text)
    return text.replace(str(folder), "FOLDER")


def test_a_plan_shows_each_step_of_an_upgrade_with_voters_and_tolerance(
    formed: Path, golden: Callable[[Path, str], None]
) -> None:
    golden(GOLDEN / "plan-upgrade-of-five.txt", shown(formed, "newer", "plan"))


def test_a_server_is_explained_in_an_upgrade(formed: Path, golden: Callable[[Path, str], None]) -> None:
    golden(GOLDEN / "explain-server-in-an-upgrade.txt", shown(formed, "newer", "explain", "server", "10.3.0.4"))


def test_a_lost_quorum_says_what_is_wrong_who_is_where_and_where_to_read_on(
    formed: Path, tmp_path: Path, golden: Callable[[Path, str], None]
) -> None:
    folder = Path(shutil.copytree(formed, tmp_path / "lost"))
    opened = sandbox(str(folder / "quiet.json"), state=str(folder / "world.db"), seed=None)
    for address in ("10.1.0.4", "10.2.0.4", "10.3.0.4"):
        agents.kill(opened.world.servers, address)
    opened.world.advance(opened.world.now + 60)
    opened.close()
    status = shown(folder, "five", "status")

    assert "quorum is lost: 2 of 5 voters' agents answer, 10.1.0.4, 10.2.0.4, 10.3.0.4 do not, and 3 must" in status
    assert "docs/runbooks/quorum-lost.md" in status
    golden(GOLDEN / "status-quorum-lost.txt", status)
    told = shown(folder, "five", "explain", "server", "10.1.0.5")
    assert "it is left alone, all server steps are frozen" in told
