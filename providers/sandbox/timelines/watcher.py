"""Asks the simulated servers what the recorder asked, as often, and writes down what changed.

Stale questions (gossip, raft) are answered at once. The others may be held back for five seconds while no leader is
known; the recorder asked ``leader@`` of one server after the other, so a held question delays the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.timelines.recording import (
    Json,
    Row,
    autopilot_in_words,
    members_in_words,
    nodes_in_words,
    peers_in_words,
    without_addresses,
    write_in_words,
)
from providers.sandbox.world.servers import answers
from providers.sandbox.world.servers.answers import NoAnswerError, ServerError
from providers.sandbox.world.servers.state import DOWN

if TYPE_CHECKING:
    from providers.sandbox.timelines.stage import Stage

EVERY = 0.25  # seconds between two rounds
_NO_ANSWER = "no answer"


@dataclass(slots=True)
class Question:
    """A question that may be held back: asked again until it is answered or its patience is over."""

    ask: Callable[[str], str]
    refused: Callable[[ServerError, str], str]
    since: float | None = None
    asked: str = ""

    def put(self, label: str, now: float) -> str | None:
        """Ask a server; None while it holds the question back."""
        if self.since is None or self.asked != label:
            self.since, self.asked = now, label
        try:
            found = self.ask(label)
        except NoAnswerError:
            found = _NO_ANSWER
        except ServerError as no:
            if now - self.since < no.took - EVERY / 2:
                return None
            found = self.refused(no, label)
        self.since = None
        return found


@dataclass(slots=True)
class Watcher:
    """The recorder of one replay; ``rows`` is what it wrote down."""

    stage: Stage
    rows: list[Row] = field(default_factory=list)
    _last: dict[str, str] = field(default_factory=dict)
    _round: list[str] = field(default_factory=list)
    _leader: Question = field(init=False)
    _autopilot: Question = field(init=False)
    _write: Question = field(init=False)
    _looked_at: tuple[int, int] = (-1, -1)

    def __post_init__(self) -> None:
        self._leader = Question(self._ask_leader, lambda no, _: without_addresses(f"{no.status} {no.text}"))
        self._autopilot = Question(self._ask_autopilot, lambda no, asked: autopilot_in_words(_said(no, asked)))
        self._write = Question(self._ask_write, lambda no, asked: write_in_words(_said(no, asked)))

    def look(self) -> None:
        """Do one round of asking."""
        line = self.stage.kernel.timeline
        if (line.seq, len(line.events)) != self._looked_at:
            self._looked_at = line.seq, len(line.events)
            self._look_at_once()
        self._ask_leaders()
        if self.stage.watched:
            first = self.stage.watched[0]
            self._note("autopilot", self._autopilot.put(self._held(self._autopilot, first), self.stage.now))
            self._note("write", self._write.put(self._held(self._write, first), self.stage.now))

    def touched(self) -> None:
        """Look again: something was done between two rounds."""
        self._looked_at = (-1, -1)

    def _held(self, question: Question, first: str) -> str:
        return question.asked if question.since is not None and question.asked in self.stage.watched else first

    def _look_at_once(self) -> None:
        servers = self.stage.servers
        for label in self.stage.watched:
            address = self.stage.addresses[label]
            try:
                found = answers.members(servers, address)["Members"]
                peers = answers.raft_configuration(servers, address, stale=True)["Servers"]
            except NoAnswerError:
                continue
            told = {f"{m['Name']}@{self.stage.label(m['Addr'])}": m["Status"] for m in found}
            self._note(f"members@{label}", members_in_words(told))
            words = ((self.stage.id_words(p["ID"]), p["Node"] != "(unknown)", p["Voter"], p["Leader"]) for p in peers)
            self._note(f"raft@{label}", peers_in_words(words))
        for label in sorted(self.stage.terminated):
            if servers.state.agents[self.stage.addresses[label]].process == DOWN:
                self._note(f"process of {label}", "ended")
        nodes = {n["Name"]: n["Status"] for n in self.stage.cluster.api.nodes(stale=True)}
        if nodes:
            self._note("nodes", nodes_in_words(nodes))

    def _ask_leaders(self) -> None:
        self._round = [label for label in self._round if label in self.stage.watched] or list(self.stage.watched)
        while self._round:
            if (found := self._leader.put(self._round[0], self.stage.now)) is None:
                return
            self._note(f"leader@{self._round.pop(0)}", found)

    def _ask_leader(self, label: str) -> str:
        return self.stage.label(answers.status_leader(self.stage.servers, self.stage.addresses[label]))

    def _ask_autopilot(self, label: str) -> str:
        status, body = answers.autopilot_health(self.stage.servers, self.stage.addresses[label])
        told = {f"{s['Name']}@{self.stage.label(s['Address'])}": _server_words(s) for s in body["Servers"] or []}
        tolerated = body["FailureTolerance"]
        return autopilot_in_words({"status": status, "FailureTolerance": tolerated, "servers": told, "asked": label})

    def _ask_write(self, label: str) -> str:
        answers.write(self.stage.servers, self.stage.addresses[label])
        return write_in_words({"status": 200, "asked": label})

    def _note(self, who: str, what: str | None) -> None:
        if what is not None and self._last.get(who) != what:
            self._last[who] = what
            self.rows.append(Row(round(self.stage.now, 2), who, what))


def _said(no: ServerError, asked: str) -> Json:
    return {"status": no.status, "body": no.text, "asked": asked}


def _server_words(server: Json) -> str:
    words = ["healthy" if server["Healthy"] else "UNHEALTHY", "voter" if server["Voter"] else "non-voter"]
    return " ".join([*words, server["SerfStatus"], *(["leader"] if server["Leader"] else [])])
