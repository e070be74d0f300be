"""Which allocations of lower priority make room for one of higher (source: ``scheduler/feasible/preemption.go``)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.devices import DeviceAllocator, matches
from providers.sandbox.world.nomad.fit import Room, capacity

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation, Usage
    from providers.sandbox.world.nomad.context import Context
    from providers.sandbox.world.nomad.jobspec import DeviceAsk, JobSpec, NetworkAsk
    from providers.sandbox.world.nomad.node import Node

_MIN_DIFFERENCE = 10
_PARALLEL_PENALTY = 50.0
_RATE, _ORIGIN = 0.0048, 2048.0


class Preemptor:
    """Looks for victims on one node in favour of one job."""

    def __init__(self, ctx: Context, job: JobSpec, node: Node) -> None:
        self._ctx = ctx
        self._job = job
        self._node = node
        self._already: dict[tuple[str, str, str], int] = {}
        for victims in ctx.plan.preemptions.values():
            for v in victims.values():
                key = (v.namespace, v.job_id, v.group)
                self._already[key] = self._already.get(key, 0) + 1

    def _priority(self, alloc: Allocation) -> int:
        return self._ctx.store.spec(alloc.job_key).priority

    def _others(self, allocs: Iterable[Allocation]) -> list[Allocation]:
        return [a for a in allocs if (a.namespace, a.job_id) != (self._job.namespace, self._job.id)]

    def _by_priority(self, allocs: Iterable[Allocation]) -> list[list[Allocation]]:
        """Group what may be preempted, lowest priority first."""
        groups: dict[int, list[Allocation]] = {}
        for alloc in allocs:
            priority = self._priority(alloc)
            if self._job.priority - priority >= _MIN_DIFFERENCE:
                groups.setdefault(priority, []).append(alloc)
        return [groups[p] for p in sorted(groups)]

    def _penalty(self, alloc: Allocation) -> float:
        """More than ``migrate.max_parallel`` of a group shall not go at once."""
        group = self._ctx.store.spec(alloc.job_key).groups.get(alloc.group)
        limit = group.migrate.max_parallel if group is not None and group.migrate is not None else 0
        count = self._already.get((alloc.namespace, alloc.job_id, alloc.group), 0)
        return (count + 1 - limit) * _PARALLEL_PENALTY if limit > 0 and count >= limit else 0.0

    def for_group(self, ask: Usage, current: Iterable[Allocation]) -> list[Allocation]:
        """Choose victims until MHz, MiB and disk suffice; empty when they cannot."""
        others = self._others(current)
        room = capacity(self._node)
        for alloc in others:
            _take(room, alloc.usage)
        free = copy.copy(room)
        need = Room(ask.cpu, ask.memory, ask.disk)
        chosen: list[Allocation] = []
        met = False
        for candidates in self._by_priority(others):
            while candidates and not met:
                best = min(candidates, key=lambda a: _distance(need, a.usage) + self._penalty(a))
                candidates.remove(best)
                chosen.append(best)
                free.add(best.usage)
                met = _covers(free, ask)
                _take(need, best.usage)
            if met:
                break
        return self._fewest(chosen, room, ask) if met else []

    @staticmethod
    def _fewest(chosen: list[Allocation], room: Room, ask: Usage) -> list[Allocation]:
        """Drop victims that are not needed when the largest go first."""
        whole = Room(ask.cpu, ask.memory, ask.disk)
        kept: list[Allocation] = []
        free = copy.copy(room)
        for alloc in sorted(chosen, key=lambda a: -_distance(whole, a.usage)):
            kept.append(alloc)
            free.add(alloc.usage)
            if _covers(free, ask):
                break
        return kept

    def for_network(self, ask: NetworkAsk, current: Iterable[Allocation]) -> list[Allocation]:
        """Choose the holders of the static ports; empty when one may not go or none is held."""
        wanted = {p.value for p in ask.static}
        victims: list[Allocation] = []
        for alloc in self._others(current):
            if wanted.isdisjoint(p.value for p in alloc.ports if not p.dynamic):
                continue
            if self._job.priority - self._priority(alloc) < _MIN_DIFFERENCE:
                return []
            victims.append(alloc)
        return victims

    def for_device(self, ask: DeviceAsk, current: Iterable[Allocation], free: DeviceAllocator) -> list[Allocation]:
        """Choose holders of instances of one device group; the group whose victims matter least."""
        best: tuple[int, list[Allocation]] | None = None
        for device in self._node.resources.devices:
            if not matches(device, ask):
                continue
            held = {
                a.id: sum(len(g.ids) for t in a.tasks.values() for g in t.devices if g.group == device.id)
                for a in self._others(current)
            }
            holders = [a for a in self._others(current) if held[a.id]]
            victims, count = self._until(self._by_priority(holders), held, ask.count - len(free.free(device)))
            if count:
                victims.sort(key=lambda a: -held[a.id])
                kept: list[Allocation] = []
                for victim in victims:
                    if sum(held[a.id] for a in kept) >= ask.count:
                        break
                    kept.append(victim)
                net = sum({self._priority(a) for a in kept})
                if best is None or net < best[0]:
                    best = (net, kept)
        return best[1] if best is not None else []

    @staticmethod
    def _until(groups: list[list[Allocation]], held: dict[str, int], needed: int) -> tuple[list[Allocation], int]:
        victims: list[Allocation] = []
        count = 0
        for group in groups:
            for alloc in group:
                count += held[alloc.id]
                victims.append(alloc)
                if count >= needed:
                    return victims, count
        return [], 0

    def score(self, victims: list[Allocation]) -> float:
        """Score a node by whom it costs: 0 to 1, less for victims of high priority."""
        priorities = [self._priority(a) for a in victims]
        net = max(priorities) + sum(priorities) / max(priorities)
        return 1.0 / (1 + math.exp(_RATE * (net - _ORIGIN)))


def _take(room: Room, usage: Usage) -> None:
    room.cpu -= usage.cpu
    room.memory -= usage.memory
    room.disk -= usage.disk


def _covers(room: Room, ask: Usage) -> bool:
    return room.cpu >= ask.cpu and room.memory >= ask.memory and room.disk >= ask.disk


def _distance(ask: Room, used: Usage) -> float:
    """Say how far a victim's size is from what is needed."""
    parts = ((ask.memory, used.memory), (ask.cpu, used.cpu), (ask.disk, used.disk))
    return math.sqrt(sum(((need - have) / need) ** 2 for need, have in parts if need > 0))
