"""Room and scores: does a copy fit a node, and how good is that (source: facts/nomad.md §2.8, ``rank.go``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.allocation import PortMapping, TaskResources, Usage
from providers.sandbox.world.nomad.constraints import holds, resolve
from providers.sandbox.world.nomad.devices import DeviceAllocator, DeviceError
from providers.sandbox.world.nomad.fit import fit_score, fold, misfit, usable_cores, used_cores
from providers.sandbox.world.nomad.ports import PortError, Ports
from providers.sandbox.world.nomad.preemption import Preemptor

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.context import Context
    from providers.sandbox.world.nomad.jobspec import GroupSpec, JobSpec, TaskSpec
    from providers.sandbox.world.nomad.node import Node


@dataclass(slots=True)
class Ranked:
    """A node on which a copy fits: what it would be given there, and the score's components."""

    node: Node
    tasks: dict[str, TaskResources] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    ports: list[PortMapping] = field(default_factory=list)
    victims: list[Allocation] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)
    final: float = 0.0

    def add(self, name: str, score: float, *, counts: bool = True) -> None:
        """Note a component; only those that count go into the mean."""
        self.parts[name] = score
        if counts:
            self.scores.append(score)


class _Full(Exception):  # noqa: N818 - not an error: the node has no room
    """The node has no room; the text is the dimension."""


class BinPack:
    """Tries copies of one job on nodes; with ``evict`` others of lower priority may have to go."""

    def __init__(self, ctx: Context, job: JobSpec) -> None:
        self._ctx = ctx
        self._job = job
        self.evict = False

    def try_node(self, node: Node, group: GroupSpec) -> Ranked | None:
        """Give the node ranked by room, or count it as exhausted."""
        try:
            return self._try(node, group)
        except _Full as full:
            self._ctx.exhaust_node(node, str(full))
            return None

    def _try(self, node: Node, group: GroupSpec) -> Ranked:
        ctx = self._ctx
        current = ctx.proposed(node.id)
        ranked = Ranked(node)
        preemptor = Preemptor(ctx, self._job, node) if self.evict else None
        current = self._assign_ports(ranked, group, current, preemptor)
        devices = DeviceAllocator(node, current)
        wish = 0.0
        for task in group.tasks:
            given = TaskResources(cpu=task.cpu, memory=task.memory + task.secrets)
            if ctx.config.memory_oversubscription and task.memory_max:
                given.memory_max = task.memory_max + task.secrets if task.memory_max > 0 else -1
            current, devices, met = self._assign_devices(
                ranked, task, given, current, devices=devices, preemptor=preemptor
            )
            wish += met
            self._assign_cores(ranked, task, given, current)
            ranked.tasks[task.name] = given
        ranked.usage = fold(group, ranked.tasks)
        dimension, used = misfit(node, [a.usage for a in current] + [ranked.usage])
        if dimension:
            victims = preemptor.for_group(ranked.usage, current) if preemptor is not None else []
            if not victims:
                raise _Full(dimension)
            ranked.victims += victims
        ranked.add("binpack", fit_score(node, used, spread=ctx.config.algorithm == "spread"))
        weight = sum(abs(a.weight) for d in group.devices for a in d.affinities)
        if weight:
            ranked.add("devices", wish / weight)
        return ranked

    def _assign_ports(
        self, ranked: Ranked, group: GroupSpec, current: list[Allocation], preemptor: Preemptor | None
    ) -> list[Allocation]:
        ask = group.network
        if ask is None and not any(a.ports for a in current):
            return current
        ports = Ports(ranked.node)
        if ports.add(current):
            raise _Full("network: port collision")
        if ask is None:
            return current
        try:
            ranked.ports = ports.assign(ask, self._ctx.kernel.chance)
        except PortError as refusal:
            victims = preemptor.for_network(ask, current) if preemptor is not None else []
            if not victims:
                raise _Full(f"network: {refusal}") from refusal
            ranked.victims += victims
            gone = {v.id for v in victims}
            current = [a for a in current if a.id not in gone]
            ports = Ports(ranked.node)
            ports.add(current)
            try:
                ranked.ports = ports.assign(ask, self._ctx.kernel.chance)
            except PortError as again:
                raise _Full(f"network: {again}") from again
        return current

    def _assign_devices(
        self,
        ranked: Ranked,
        task: TaskSpec,
        given: TaskResources,
        current: list[Allocation],
        *,
        devices: DeviceAllocator,
        preemptor: Preemptor | None,
    ) -> tuple[list[Allocation], DeviceAllocator, float]:
        wish = 0.0
        for ask in task.devices:
            try:
                offer, met = devices.offer(ask)
            except DeviceError as refusal:
                victims = preemptor.for_device(ask, current, devices) if preemptor is not None else []
                if not victims:
                    raise _Full(f"devices: {refusal}") from refusal
                ranked.victims += victims
                gone = {v.id for v in victims}
                current = [a for a in current if a.id not in gone]
                devices = DeviceAllocator(ranked.node, current)
                for earlier in [g for t in ranked.tasks.values() for g in t.devices] + given.devices:
                    devices.take(earlier)
                try:
                    offer, met = devices.offer(ask)
                except DeviceError as again:
                    raise _Full(f"devices: {again}") from again
            devices.take(offer)
            given.devices.append(offer)
            wish += met
        return current, devices, wish

    def _assign_cores(self, ranked: Ranked, task: TaskSpec, given: TaskResources, current: list[Allocation]) -> None:
        """Give the lowest free core ids; the task's MHz become theirs."""
        if not task.cores:
            return
        taken = used_cores(current) | {c for t in ranked.tasks.values() for c in t.cores or ()}
        free = sorted(usable_cores(ranked.node) - taken)
        if len(free) < task.cores:
            raise _Full("cores")
        given.cores = free[: task.cores]
        mhz = dict(zip(ranked.node.resources.cores, ranked.node.resources.core_mhz, strict=False))
        given.cpu = sum(mhz.get(c, 0) for c in given.cores)


def score_anti_affinity(ranked: Ranked, current: list[Allocation], job: JobSpec, group: GroupSpec) -> None:
    """Copies of one group shall not share a node."""
    others = sum(a.job_id == job.id and a.group == group.name for a in current)
    ranked.add("job-anti-affinity", -(others + 1) / group.count if others else 0.0, counts=others > 0)


def score_penalty(ranked: Ranked, penalty: frozenset[str]) -> None:
    """A node where it failed before is worse."""
    hit = ranked.node.id in penalty
    ranked.add("node-reschedule-penalty", -1.0 if hit else 0.0, counts=hit)


def score_affinity(ranked: Ranked, job: JobSpec, group: GroupSpec) -> None:
    """Wishes met, by weight."""
    wishes = job.affinities + group.affinities
    if not wishes:
        ranked.add("node-affinity", 0.0, counts=False)
        return
    met = sum(a.weight for a in wishes if holds(a.operand, resolve(a.left, ranked.node), resolve(a.right, ranked.node)))
    ranked.add("node-affinity", met / sum(abs(a.weight) for a in wishes))


def finish(ranked: Ranked) -> None:
    """Take the mean of the components that count."""
    if ranked.scores:
        ranked.final = sum(ranked.scores) / len(ranked.scores)
