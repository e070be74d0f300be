"""What was done to the recorded servers, read from its words and done to the simulated ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from providers.sandbox.world.servers import agents
from providers.sandbox.world.servers.state import ServerAgent

if TYPE_CHECKING:
    from providers.sandbox.timelines.stage import Stage

_NAMES = re.compile(r"\bs\d+\b")
_WORDS = {
    r"now the leader, \w+|process of \w+ ended|\w+ started just before 0": "nothing",  # it only says what is
    r"all three started": "all-started",
    r"kill -9 client (n\d+)": "client-killed",
    r"start (n\d+) again": "client-started",
    r"kill -9 (s\d+), wipe it, start it": "wiped-and-started",
    r"kill -9 s\d+": "killed",
    r"stop the twin": "twin-killed",
    r"start (s\d+) again": "started-again",
    r"start (?:a new|another) server named (s\d+)": "twin-started",
    r"start (s\d+)": "started",
    r"SIGTERM (s\d+)": "terminated",
    r"SIGSTOP (s\d+)": "frozen",
    r"SIGCONT (s\d+)": "thawed",
}
KEY, OTHER_KEY = "key", "another key"


def perform(stage: Stage, text: str) -> None:
    """Do one step. Raises ``ValueError`` for words that are not known."""
    found, kind = next(((m, kind) for words, kind in _WORDS.items() if (m := re.match(words, text))), (None, ""))
    if found is None:
        raise ValueError(f"a step that is not known: {text}")
    who = found[1] if found.re.groups else ""
    match kind:
        case "all-started":
            _start_all(stage, text)
        case "client-killed":
            stage.cluster.kill_agent(who)
        case "client-started":
            stage.cluster.restart_agent(who)
        case "wiped-and-started":
            agents.kill(stage.servers, stage.address(who))
            start_server(stage, who, text)
        case "killed" | "twin-killed":
            for label in stage.recording.twins() if kind == "twin-killed" else _NAMES.findall(text):
                agents.kill(stage.servers, stage.address(label))
                stage.forget(label)
        case "started-again":
            agents.restart(stage.servers, stage.address(who))
            stage.watch(who)
        case "twin-started":
            start_server(stage, next(twin for twin, name in stage.recording.twins().items() if name == who), text)
        case "started":
            start_server(stage, who, text)
        case "terminated":
            agents.terminate(stage.servers, stage.address(who))
            stage.terminated.add(who)
        case "frozen":
            agents.freeze(stage.servers, stage.address(who))
            stage.forget(who)
        case "thawed":
            agents.thaw(stage.servers, stage.address(who))
            stage.watch(who)
        case _:
            pass


def start_server(stage: Stage, label: str, text: str = "") -> None:
    """Start a server on an empty disk, as its words say."""
    expect = re.search(r"bootstrap_expect (\d)|expects (\d)", text)
    region = re.search(r"region (\w+)", text)
    others = [a for known, a in stage.addresses.items() if known != label]
    agent = ServerAgent(
        address=stage.address(label),
        name=stage.recording.twins().get(label, label),
        id=stage.kernel.new_id(),
        region=region[1].rstrip(",") if region else "global",
        expect=int(expect[1] or expect[2]) if expect else stage.expect,
        retry_join=[] if "no join addresses" in text else others,
        gossip_key=OTHER_KEY if "another gossip key" in text else "" if "without a key" in text else KEY,
        leave_on_terminate=bool(stage.recording.settings.get("leave_on_terminate", True)),
    )
    stage.note_id(label, agent.id)
    agents.start(stage.servers, agent)
    stage.watch(label)


def _start_all(stage: Stage, text: str) -> None:
    odd = re.search(r"(s\d) expects (\d)", text)
    for label in ("s1", "s2", "s3"):
        if label not in stage.addresses:
            start_server(stage, label, odd[0] if odd and odd[1] == label else "")
