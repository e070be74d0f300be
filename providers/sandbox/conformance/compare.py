"""Whether our world did in a step what was recorded (source: tests/recordings/README.md, on times and on equals).

Exact: answers, nodes, jobs, summaries, deployments, allocations by name, evaluations, failure metrics. Where Nomad's
own draw decides which node or which copy it is (more than two nodes, or a drain that chooses), the copies of a group
are compared by what they are and how many, not by name (with two nodes: how many on each). Times agree within 2 s or
20 %.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_SECONDS, _SHARE = 2.0, 0.2
_LASTS = 1.0  # a state that is over sooner may be missed by whoever polls
_SCORE = 1e-6
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# What an allocation's entry says when it says nothing.
_ALLOC_DEFAULTS: Json = {
    "healthy": None,
    "transition": {},
    "job_version": 0,
    "next": "",
    "previous": "",
    "preempted_by": "",
    "preempts": [],
    "followup_eval": "",
    "canary": False,
    "why": "",
}
_ALLOC_NAMED = ("next", "previous", "preempted_by", "preempts", "followup_eval")
_WAITING = ("blocked", "pending")
_EVAL_DEFAULTS: Json = {
    "description": "",
    "node": "",
    "queued": None,
    "escaped": False,
    "failed_tg_allocs": {},
    "class_eligibility": None,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as recorded."""

    thing: str
    recorded: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.thing}, recorded {self.recorded!r}, ours {self.ours!r}"


def _differ(thing: str, recorded: Any, ours: Any) -> list[Difference]:
    """Name what differs, as deep inside as it can be told."""
    if recorded == ours:
        return []
    if isinstance(recorded, dict) and isinstance(ours, dict):
        found: list[Difference] = []
        for key in sorted({*recorded, *ours}, key=str):
            found += _differ(f"{thing} {key}", recorded.get(key), ours.get(key))
        return found or [Difference(thing, recorded, ours)]
    if isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours) > 0:
        return [d for a, b in zip(recorded, ours, strict=True) for d in _differ(thing, a, b)]
    return [Difference(thing, recorded, ours)]


def compare_answer(recorded: Json | None, ours: Json) -> list[Difference]:
    """Compare what a step was answered; a step on machines has no answer."""
    if recorded is None:
        return [] if ours["status"] == 200 else [Difference("answer", None, ours)]
    found: list[Difference] = []
    for key in sorted({*recorded, *ours}):
        found += _differ(f"answer {key}", recorded.get(key), ours.get(key))
    return found


def compare_observed(recorded: Json, ours: Json, before: Json, *, by_name: bool, by_node: bool) -> list[Difference]:
    """Compare the state after a step; of evaluations the recording holds what is new or changed since before it."""
    found: list[Difference] = []
    for kind in ("nodes", "jobs"):
        for name in sorted({*recorded[kind], *ours[kind]}):
            found += _compare_table(f"{kind[:-1]} {name}", recorded[kind].get(name), ours[kind].get(name))
    found += _compare_deployments(recorded.get("deployments", []), ours["deployments"])
    if by_name:
        found += _compare_allocs(recorded["allocs"], ours["allocs"])
    else:
        found += _compare_counts(recorded["allocs"], ours["allocs"], by_node=by_node)
    old = before["evals"]
    changed = {name for name, e in ours["evals"].items() if e["status"] in _WAITING or old.get(name) != e}
    return found + _compare_evals(recorded["evals"], ours["evals"], changed)


def _compare_table(thing: str, recorded: Json | None, ours: Json | None) -> list[Difference]:
    if recorded is None or ours is None:
        return _differ(thing, recorded, ours)
    found: list[Difference] = []
    for key in sorted({*recorded, *ours}):
        found += _differ(f"{thing} {key}", recorded.get(key), ours.get(key))
    return found


def _compare_deployments(recorded: list[Json], ours: list[Json]) -> list[Difference]:
    def key(d: Json) -> tuple[str, int, str]:
        return d["job"], d["job_version"], d["status"]

    return _differ("deployments", sorted(recorded, key=key), sorted(ours, key=key))


# -- allocations


def _compare_allocs(recorded: list[Json], ours: dict[str, Json]) -> list[Difference]:
    theirs = {a["id"]: a for a in recorded}
    found = _differ("allocations", sorted(theirs), sorted(ours))
    for name in theirs.keys() & ours.keys():
        found += _compare_alloc(theirs[name], ours[name])
    return found


def _compare_alloc(recorded: Json, ours: Json) -> list[Difference]:
    thing = f"allocation {recorded['id']}"
    found = []
    for key in ("node", "desired", "client", *_ALLOC_DEFAULTS):
        found += _differ(
            f"{thing} {key}", _without_ids(recorded.get(key, _ALLOC_DEFAULTS.get(key))), _without_ids(ours[key])
        )
    if "client_why" in recorded:  # only shown where it says more than the client's status
        found += _differ(f"{thing} client_why", recorded["client_why"], ours["client_why"])
    if "resources" in recorded:
        found += _differ(f"{thing} resources", recorded["resources"], ours["resources"])
    if "ports" in recorded:
        found += _compare_ports(thing, recorded["ports"], ours)
    return found


def _without_ids(value: Any) -> Any:
    """Ids are drawn: what matters is that one is named."""
    return _ID.sub("ID", value) if isinstance(value, str) else value


def _compare_ports(thing: str, recorded: list[int], ours: Json) -> list[Difference]:
    """Compare static ports; dynamic ones are drawn, their number counts."""
    static = [p for p, dynamic in zip(ours["ports"], ours["dynamic_ports"], strict=True) if not dynamic]
    if len(recorded) != len(ours["ports"]) or not set(static) <= set(recorded):
        return [Difference(f"{thing} ports", recorded, ours["ports"])]
    return []


def _compare_counts(recorded: list[Json], ours: dict[str, Json], *, by_node: bool) -> list[Difference]:
    """Count copies by group and by what they are, whatever their number (and node, where that is drawn too)."""

    def shape(a: Json) -> tuple[Any, ...]:
        group = a["id"].partition("[")[0]
        kept = [_without_ids(a.get(k, d)) for k, d in _ALLOC_DEFAULTS.items() if k not in _ALLOC_NAMED]
        named = [bool(a.get(k, d)) for k, d in _ALLOC_DEFAULTS.items() if k in _ALLOC_NAMED]
        node = a["node"] if by_node or "@" in a["id"] else ""  # a system job's copies have their node in the name
        return (group, node, a["desired"], a["client"], *(str(k) for k in kept), *named)

    theirs, mine = Counter(map(shape, recorded)), Counter(map(shape, ours.values()))
    found = []
    for entry in sorted({*theirs, *mine}, key=str):
        found += _differ(f"copies {' '.join(map(str, entry))}", theirs[entry], mine[entry])
    return found


# -- evaluations


def _compare_evals(recorded: list[Json], ours: dict[str, Json], changed: set[str]) -> list[Difference]:
    """Compare one to one by what they say; the order in which several of one trigger came is no matter."""
    left = [(name, _eval_shape(e)) for name, e in ours.items()]
    left.sort(key=lambda entry: entry[0] not in changed)
    found: list[Difference] = []
    for theirs in recorded:
        shape = _eval_shape(theirs)
        equal = next((i for i, (_, mine) in enumerate(left) if mine == shape), None)
        if equal is not None:
            left.pop(equal)
            continue
        closest = ours.get(theirs["id"])
        found += _differ(f"evaluation {theirs['id']}", shape, None if closest is None else _eval_shape(closest))
    return found + [Difference(f"evaluation {name}", None, shape) for name, shape in left if name in changed]


def _eval_shape(e: Json) -> Json:
    shape = {k: e[k] for k in ("job", "type", "status", "triggered_by")}
    shape.update({k: e.get(k, d) for k, d in _EVAL_DEFAULTS.items()})
    if e["status"] == "complete":
        shape["plan_annotations"] = e.get("plan_annotations", {})
        shape["blocked_eval"] = bool(e.get("blocked_eval"))
    shape["previous_eval"] = bool(e.get("previous_eval"))
    if e["status"] == "canceled":
        del shape["description"]
    return shape


# -- times


def compare_timeline(
    recorded: list[list[Any]], ours: list[tuple[float, str, str]], *, length: float, by_name: bool
) -> list[Difference]:
    """Compare when things reached the states that lasted."""
    found: list[Difference] = []
    for thing, changes in _lasting([(t, n, s) for t, n, s in recorded], length).items():
        kind = thing.partition(" ")[0]
        if kind == "alloc" and not by_name:
            continue
        mine = [(t, s) for t, n, s in ours if n == thing]
        for at, state in changes:
            times = [t for t, s in mine if s == state]
            if not times:
                found.append(Difference(f"time of {thing} {state}", at, [f"{t:.1f} {s}" for t, s in mine]))
            elif min(abs(t - at) for t in times) > max(_SECONDS, _SHARE * at):
                found.append(
                    Difference(f"time of {thing} {state}", at, round(min((abs(t - at), t) for t in times)[1], 1))
                )
    return found


def distance(recorded: list[list[Any]], ours: list[tuple[float, str, str]], *, length: float) -> float:
    """Add up by how many seconds the lasting states of jobs and nodes were reached earlier or later than recorded."""
    apart = 0.0
    for thing, changes in _lasting([(t, n, s) for t, n, s in recorded], length).items():
        if thing.startswith(("job ", "node ", "deployment ")):
            for at, state in changes:
                apart += min((abs(t - at) for t, n, s in ours if (n, s) == (thing, state)), default=length)
    return apart


def _lasting(changes: list[tuple[float, str, str]], length: float) -> dict[str, list[tuple[float, str]]]:
    by_thing: dict[str, list[tuple[float, str]]] = {}
    for at, thing, state in changes:
        by_thing.setdefault(thing, []).append((at, state))
    return {
        thing: [
            (at, state)
            for i, (at, state) in enumerate(states)
            if (states[i + 1][0] if i + 1 < len(states) else length) - at >= _LASTS
        ]
        for thing, states in by_thing.items()
    }


# -- details


def compare_scores(recorded: Json, ours: Json, *, exact: bool) -> list[Difference]:
    """Compare how nodes ranked; with more than two nodes only those that both looked at."""
    found: list[Difference] = []
    for name, theirs in recorded.items():
        mine = ours.get(name)
        if mine is None:
            continue
        ranked = {s["node"]: {k: v for k, v in s.items() if k != "node"} for s in theirs["scores"]}
        if exact:
            found += _differ(f"scores {name} nodes", sorted(ranked), sorted(mine["scores"]))
        for node in ranked.keys() & mine["scores"].keys():
            a, b = ranked[node], mine["scores"][node]
            if a.keys() != b.keys() or any(abs(a[k] - b[k]) > _SCORE for k in a):
                found.append(Difference(f"scores {name} on {node}", a, b))
    return found


def compare_detail(recorded: Json, ours: Json) -> list[Difference]:
    """Compare drain fields and events of nodes, without dates."""
    found: list[Difference] = []
    for name, theirs in recorded.items():
        mine = ours.get(name, {})
        found += _differ(f"node {name} events", theirs["events"], mine.get("events"))
        found += _differ(f"node {name} drains", bool(theirs["DrainStrategy"]), bool(mine.get("DrainStrategy")))
        a, b = theirs["LastDrain"] or {}, mine.get("LastDrain") or {}
        for key in ("AccessorID", "Meta", "Status"):
            found += _differ(f"node {name} last drain {key}", a.get(key), b.get(key))
    return found
