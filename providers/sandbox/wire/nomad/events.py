"""The event stream: what changed, line by line, with a heartbeat every 30 s (source: recordings/http 257-265, 302).

The world keeps no log of events. A line is made of the records that have an index, as they are when it is sent: of two
quick changes of one record the second alone is told, under its own index. The buffer holds the newest 100 indexes, so
an older start is a gap that nobody is told of, as with a real server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from providers.sandbox.world.world import World

Json = dict[str, Any]

BUFFER = 100  # transactions (event_buffer_size)
HEARTBEAT = 30.0  # seconds
LOOK = 0.25  # seconds between two looks at the tables
HEAD = {"Cache-Control": "no-cache", "Content-Type": "application/json", "Connection": "close"}
_TYPES = {"Node": "NodeRegistration", "Evaluation": "EvaluationUpdated", "Allocation": "AllocationUpdated"}
_TABLES = ("nodes", "evals", "allocs", "jobs", "deployment")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The topics of a subscription: each with keys, or with all of them; and the namespaces of which it tells."""

    topics: Mapping[str, frozenset[str]]
    namespaces: frozenset[str]

    @classmethod
    def read(cls, topics: Sequence[str], namespace: str, there: Iterable[str]) -> Wanted:
        """Read ``topic`` parameters: ``Node``, ``Allocation:*``, ``Evaluation:web``; none is everything.

        Namespace ``*`` is those that are there now: what is made later is not told (``nomad/event_endpoint.go``).
        """
        found: dict[str, frozenset[str]] = {}
        for text in topics or ("*",):
            name, _, key = text.partition(":")
            found[name] = found.get(name, frozenset()) | {key or "*"}
        return cls(found, frozenset(there if namespace == "*" else (namespace,)))

    def takes(self, event: Json) -> bool:
        """Whether an event is of this subscription."""
        keys = self.topics.get(event["Topic"], frozenset()) | self.topics.get("*", frozenset())
        if event["Namespace"] and event["Namespace"] not in self.namespaces:
            return False
        return "*" in keys or bool(keys & {event["Key"], *(event["FilterKeys"] or ())})


class _Record(Protocol):
    """Any record of the state store."""

    modify_index: int


class Tail:
    """What one subscriber has not been told yet."""

    def __init__(self, world: World, wanted: Wanted, index: int) -> None:
        self._world, self._wanted = world, wanted
        self._told = max(0, index - 1) if index else 0
        self._told = max(self._told, self._oldest() - 1)

    def lines(self) -> Iterator[bytes]:
        """Give the lines about everything since the last call."""
        newest = self._world.nomad.api.table_index(*_TABLES)
        if newest <= self._told:
            return
        by_index: dict[int, list[Json]] = {}
        for event in self._events():
            if event["Index"] > self._told and self._wanted.takes(event):
                by_index.setdefault(event["Index"], []).append(event)
        self._told = newest
        for index in sorted(by_index):
            yield msgspec.json.encode({"Index": index, "Events": by_index[index]}) + b"\n"

    def _oldest(self) -> int:
        """Give the lowest index that the buffer still holds."""
        state = self._world.nomad.state
        tables: tuple[Iterable[_Record], ...] = (state.nodes.values(), state.evals.values(), state.allocs.values())
        indexes = sorted({record.modify_index for table in tables for record in table})
        return indexes[-BUFFER] if len(indexes) > BUFFER else 0

    def _events(self) -> Iterator[Json]:
        api, state, told = self._world.nomad.api, self._world.nomad.state, self._told
        for node in state.nodes.values():
            if node.modify_index > told:
                yield _event("Node", api.node(node.id, stale=True), "", None)
        for evaluation in state.evals.values():
            if evaluation.modify_index > told:
                keys = [evaluation.job_id, evaluation.deployment_id]
                yield _event("Evaluation", api.evaluation(evaluation.id, stale=True), evaluation.namespace, keys)
        for alloc in state.allocs.values():
            if alloc.modify_index > told:
                shown = {k: v for k, v in api.allocation(alloc.id, stale=True).items() if k != "Job"}
                yield _event("Allocation", shown, alloc.namespace, [alloc.job_id, alloc.deployment_id])


def _event(topic: str, record: Json, namespace: str, keys: list[str] | None) -> Json:
    return {
        "FilterKeys": keys,
        "Index": record["ModifyIndex"],
        "Key": record["ID"],
        "Namespace": namespace,
        "Payload": {topic: record},
        "Topic": topic,
        "Type": _TYPES[topic],
    }
