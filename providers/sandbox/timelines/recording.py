"""A recorded timeline of servers, read and put into words of its own: no ids, no addresses, no order within sets.

Format: ``recordings/README.md`` (``servers/``). Who is named by label: ``s1``; a second machine of that name ``s1new``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

WATCHED = ("leader@", "members@", "raft@", "autopilot", "write", "nodes", "process of ")
_PEER = re.compile(r"(?P<label>\w+)\((?P<id>\w+), node (?P<node>[^,]+), (?P<rest>.*)\)")
_ADDRESS = re.compile(r"10\.77\.\d+\.(\d+)")
_NAME = re.compile(r"s\d+")
_ENDED = re.compile(r"process of (\w+) ended")
_STOPS = re.compile(r"kill -9|SIGSTOP|stop the twin|process of \w+ ended")
_LEAVES = 3.1  # seconds until a process that was asked to leave has ended
_BEFORE_ANYTHING = 0.1


@dataclass(frozen=True, slots=True)
class Row:
    """A change: when (seconds), of what, to what."""

    at: float
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done: ``answer`` is what a request was answered (only ``ASK`` has one)."""

    at: float
    text: str
    answer: Json | None = None

    @property
    def begins(self) -> float:
        """When it was done: a request is written down when it is answered."""
        return self.at - float((self.answer or {}).get("took", 0.0))


@dataclass(slots=True)
class Recording:
    """One file. ``ids`` maps the first four digits of a server id to ``s1#2``: the second id of that machine."""

    name: str
    about: str
    settings: Json
    steps: list[Step]
    rows: list[Row]
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def ends(self) -> float:
        """Seconds until the last change."""
        return max([step.at for step in self.steps] + [row.at for row in self.rows])

    def of(self, who: str) -> list[Row]:
        """Give the rows of one thing in their order."""
        return [row for row in self.rows if row.who == who]

    def standing(self) -> list[str]:
        """Name the servers that had formed a cluster before the recording began."""
        return sorted(r.who.removeprefix("members@") for r in self.rows if _is_first(r, "members@"))

    def first_leader(self) -> str:
        """Name the server that led when the recording began; "" when nothing stood."""
        return next((r.what for r in self.rows if _is_first(r, "leader@") and r.what != "no answer"), "")

    def stops(self, who: str) -> list[float]:
        """Give the moments from which the recorder could not see ``raft@s1`` and the like: s1 was not there."""
        label = who.partition("@")[2]
        name = self.twins().get(label, label)
        found = [s.at for s in self.steps if label and _STOPS.match(s.text) and re.search(rf"\b{name}\b", s.text)]
        ended = {r.who for r in self.rows if r.what == "ended"}
        if f"process of {label}" not in ended:
            found += [s.at + _LEAVES for s in self.steps if s.text.startswith(f"SIGTERM {label} ")]
        return found

    def twins(self) -> dict[str, str]:
        """Give the machines whose label is not their server's name: ``s1new`` → ``s1``."""
        labels = sorted({r.who.partition("@")[2] for r in self.rows if "@" in r.who})
        return {label: found[0] for label in labels if (found := _NAME.match(label)) and found[0] != label}


def _is_first(row: Row, kind: str) -> bool:
    return row.at < _BEFORE_ANYTHING and row.who.startswith(kind)


def read(path: Path) -> Recording:
    """Read a file. Raises ``OSError``, or ``ValueError`` for what is no recorded timeline."""
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or not isinstance(data.get("timeline"), list):
        raise ValueError(  # noqa: TRY004 - the file is wrong, not its type
            f"{path}: no timeline of servers; expected an object with name, settings, timeline"
        )
    found = Recording(data["name"], data.get("about", ""), data.get("settings", {}), [], [])
    for at, who, what, *more in data["timeline"]:
        if who in {"STEP", "ASK"}:
            found.steps.append(Step(at, what, more[0] if more else None))
            if (ended := _ENDED.fullmatch(what)) is not None:
                found.rows.append(Row(at, f"process of {ended[1]}", "ended"))
        elif who.startswith(WATCHED):
            found.rows.append(Row(at, who, _words(found.ids, who, what)))
        else:
            raise ValueError(f"{path}: {who!r} at {at}: not known; known are STEP, ASK, {', '.join(WATCHED)}")
    return found


def _words(ids: dict[str, str], who: str, what: Any) -> str:
    if who.startswith("raft@"):
        return peers_in_words(_peer(ids, text) for text in what)
    if who.startswith("members@"):
        return members_in_words(what)
    if who == "autopilot":
        return autopilot_in_words(what)
    if who == "write":
        return write_in_words(what)
    if who == "nodes":
        return nodes_in_words(what)
    return without_addresses(str(what))


def _peer(ids: dict[str, str], text: str) -> tuple[str, bool, bool, bool]:
    if (found := _PEER.fullmatch(text)) is None:
        raise ValueError(f"a peer that cannot be read: {text}")
    short, label = found["id"], found["label"]
    if short not in ids:
        ids[short] = f"{label}#{1 + sum(known.startswith(f'{label}#') for known in ids.values())}"
    rest = found["rest"].split(", ")
    return ids[short], found["node"] != "(unknown)", "voter" in rest, "leader" in rest


def peers_in_words(peers: Any) -> str:
    """Write a raft configuration: (``s1#1``, known by name, votes, leads) each."""
    lines = (
        f"{who}{'' if known else ' (unknown)'}{' voter' if votes else ' non-voter'}{' leader' if leads else ''}"
        for who, known, votes, leads in peers
    )
    return "; ".join(sorted(lines)) or "nobody"


def members_in_words(members: dict[str, str]) -> str:
    """Write gossip: ``s1.global@s1`` → status."""
    return "; ".join(f"{who} {status}" for who, status in sorted(members.items()))


def autopilot_in_words(answer: Json) -> str:
    """Write autopilot's health, or its error."""
    asked = f" (asked {answer['asked']})" if "asked" in answer else ""
    if "servers" not in answer:
        return f"{answer['status']} {without_addresses(str(answer['body']))}{asked}"
    servers = "; ".join(f"{who} {text}" for who, text in sorted(answer["servers"].items()))
    return f"{answer['status']} tolerates {answer['FailureTolerance']}: {servers or 'nobody'}{asked}"


def write_in_words(answer: Json) -> str:
    """Write what came of a write."""
    asked = f" (asked {answer['asked']})" if "asked" in answer else ""
    text = f" {without_addresses(str(answer['body']))}" if answer["status"] != 200 else ""
    return f"{answer['status']}{text}{asked}"


def nodes_in_words(nodes: dict[str, str]) -> str:
    """Write the clients' status."""
    return "; ".join(f"{name} {status}" for name, status in sorted(nodes.items()))


def without_addresses(text: str) -> str:
    """Put labels where addresses were: ``10.77.60.2`` is s2."""
    return _ADDRESS.sub(r"s\1", text)
