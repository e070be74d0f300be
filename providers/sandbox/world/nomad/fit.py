"""What an allocation takes and whether a node has room: fold, fit order, dimensions (``nomad/structs/funcs.go``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from providers.sandbox.world.nomad.allocation import Allocation, TaskResources, Usage
from providers.sandbox.world.nomad.jobspec import GroupSpec
from providers.sandbox.world.nomad.node import Node


def fold(group: GroupSpec, tasks: Mapping[str, TaskResources]) -> Usage:
    """Fold the tasks by lifecycle: prestart, main and poststop never run together; reserved cores always count."""
    cpu = {"main": 0, "prestart": 0, "poststop": 0}
    memory = {"main": 0, "prestart": 0, "poststop": 0}
    core_cpu, cores = 0, set[int]()
    for task in group.tasks:
        given = tasks[task.name]
        mhz = given.cpu
        if given.cores:
            core_cpu += mhz
            cores.update(given.cores)
            mhz = 0
        for phase in _phases(task.hook, sidecar=task.sidecar):
            cpu[phase] += mhz
            memory[phase] += given.memory
    return Usage(cpu=core_cpu + max(cpu.values()), memory=max(memory.values()), disk=group.disk, cores=sorted(cores))


def _phases(hook: str, *, sidecar: bool) -> tuple[str, ...]:
    match hook:
        case "prestart":
            return ("prestart", "main") if sidecar else ("prestart",)
        case "poststop":
            return ("poststop",)
        case _:  # none, poststart
            return ("main",)


@dataclass(slots=True)
class Room:
    """A sum of usages, or what a node has."""

    cpu: int = 0
    memory: int = 0
    disk: int = 0

    def add(self, usage: Usage) -> None:
        """Count one more."""
        self.cpu += usage.cpu
        self.memory += usage.memory
        self.disk += usage.disk


def capacity(node: Node) -> Room:
    """A node's total without what it reserves."""
    have, kept = node.resources, node.reserved
    return Room(have.cpu_mhz - kept.cpu_mhz, have.memory_mib - kept.memory_mib, have.disk_mib - kept.disk_mib)


def usable_cores(node: Node) -> frozenset[int]:
    """Core ids that may be given away."""
    return frozenset(node.resources.cores) - frozenset(node.reserved.cores or ())


def used_cores(allocs: Iterable[Allocation]) -> set[int]:
    """Core ids that are taken."""
    return {core for a in allocs for core in a.usage.cores}


def misfit(node: Node, usages: list[Usage]) -> tuple[str, Room]:
    """Name the first dimension in which ``usages`` exceed the node (empty when they fit), and give their sum."""
    used = Room()
    if node.max_allocs and node.max_allocs < len(usages):
        return "max allocation exceeded", used
    cores: set[int] = set()
    overlap = False
    for usage in usages:
        used.add(usage)
        overlap = overlap or not cores.isdisjoint(usage.cores)
        cores.update(usage.cores)
    have = capacity(node)
    if overlap:
        return "cores", used
    if used.cpu > have.cpu:
        return "cpu", used
    if not cores <= usable_cores(node):
        return "cores", used
    if used.memory > have.memory:
        return "memory", used
    if used.disk > have.disk:
        return "disk", used
    return "", used


def fit_score(node: Node, used: Room, *, spread: bool) -> float:
    """Score a node by how full it would be: 0 to 1, more for fuller (bin packing) or emptier (spread)."""
    have = capacity(node)
    free_cpu = 1 - used.cpu / have.cpu if have.cpu else 0.0
    free_memory = 1 - used.memory / have.memory if have.memory else 0.0
    total = 10**free_cpu + 10**free_memory
    score = total - 2 if spread else 20.0 - total
    return min(18.0, max(0.0, score)) / 18.0
