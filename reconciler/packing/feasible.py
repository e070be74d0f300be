"""Nomad's filters on one node or machine, in Nomad's order (facts §2.1): may a group go there, and if not, why."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from reconciler.packing import devices
from reconciler.packing.candidate import Candidate, is_unique
from reconciler.packing.constraints import DISTINCT, holds, parse_bool
from schemas.world import Constraint, Job, TaskGroup, VolumeAsk


class Kind(IntEnum):
    """What stands in the way; higher is nearer to being served, so that the best pool's blocker is the one to tell."""

    NODE_POOL = 1
    DATACENTER = 2
    CONSTRAINT = 3
    DRIVER = 4
    DEVICE = 5
    NETWORK = 6
    VOLUME = 7
    DISTINCT = 8
    TOO_BIG = 9
    NO_OFFERING = 10
    PINNED = 11
    BOOT_FAILING = 12
    FULL = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Why a group cannot go somewhere: the exact constraint or dimension, with its figures."""

    kind: Kind
    text: str


def blocker(job: Job, group: TaskGroup, candidate: Candidate) -> Blocker | None:
    """Say why Nomad would filter this candidate; None when only room decides. Room is not looked at here."""
    if job.node_pool not in {candidate.node_pool, "all"}:
        return Blocker(kind=Kind.NODE_POOL, text=f"it is for node pool {job.node_pool}, not {candidate.node_pool}")
    if not _in_datacenters(job.datacenters, candidate.datacenter):
        asked = ", ".join(job.datacenters)
        return Blocker(kind=Kind.DATACENTER, text=f"it is for datacenter {asked}, not {candidate.datacenter}")
    return (
        _constraints(group.constraints, candidate)
        or _drivers(group.drivers, candidate)
        or _devices(group, candidate)
        or _network(group, candidate)
        or _volumes(group.volumes, candidate)
    )


def unsatisfiable(group: TaskGroup) -> Blocker | None:
    """Say what keeps every machine that we could launch from serving a group."""
    for constraint in group.constraints:
        if constraint.operand in {"=", "==", "is"} and is_unique(constraint.left):
            text = f"constraint {spelt(constraint)} names one node, which no new machine is"
            return Blocker(kind=Kind.CONSTRAINT, text=text)
    for volume in group.volumes:
        if volume.sticky:
            text = f"volume {volume.source} is sticky: only the node that holds it will do"
            return Blocker(kind=Kind.VOLUME, text=text)
    return None


def targets(groups: Iterable[TaskGroup]) -> tuple[str, ...]:
    """List what any of these groups' constraints look at: two candidates alike in that are judged alike."""
    sides = {side for g in groups for c in g.constraints for side in (c.left, c.right) if side.startswith("${")}
    return tuple(sorted(sides))


def spelt(constraint: Constraint) -> str:
    """Write a constraint as Nomad does."""
    return " ".join(part for part in (constraint.left, constraint.operand, constraint.right) if part)


@lru_cache(maxsize=65536)
def _in_datacenters(globs: tuple[str, ...], datacenter: str) -> bool:
    """Only ``*`` is special in these globs."""
    return any(fnmatch.fnmatchcase(datacenter, g.replace("[", "[[]").replace("?", "[?]")) for g in globs)


def _constraints(constraints: tuple[Constraint, ...], candidate: Candidate) -> Blocker | None:
    for constraint in constraints:
        if constraint.operand in DISTINCT:
            continue
        left, right = candidate.resolve(constraint.left), candidate.resolve(constraint.right)
        unknown = left is None and candidate.may_have(constraint.left)
        if holds(constraint.operand, left, right) and not (unknown and constraint.operand == "is_not_set"):
            continue
        there = "not known before such a machine was seen" if unknown else "not set" if left is None else left
        return Blocker(kind=Kind.CONSTRAINT, text=f"constraint {spelt(constraint)}: {constraint.left} is {there}")
    return None


def _drivers(drivers: frozenset[str], candidate: Candidate) -> Blocker | None:
    for driver in sorted(drivers):
        healthy = candidate.drivers.get(driver)
        if healthy is None:
            said = candidate.resolve(f"${{attr.driver.{driver}}}")
            healthy = candidate.assumes_drivers if said is None else parse_bool(said) or False
        if not healthy:
            return Blocker(kind=Kind.DRIVER, text=f"driver {driver} is missing")
    return None


def _devices(group: TaskGroup, candidate: Candidate) -> Blocker | None:
    if not group.devices:
        return None
    short = devices.shortage(candidate.devices, group.devices)
    return Blocker(kind=Kind.DEVICE, text=f"devices: {short}") if short else None


def _network(group: TaskGroup, candidate: Candidate) -> Blocker | None:
    mode = group.network_mode or "host"
    if mode == "none":
        return None
    if mode not in candidate.network_modes:
        return Blocker(kind=Kind.NETWORK, text=f"network mode {mode} is missing")
    for alias in sorted(group.host_networks):
        if alias not in candidate.host_networks:
            return Blocker(kind=Kind.NETWORK, text=f"host network {alias} is missing")
    return None


def _volumes(volumes: tuple[VolumeAsk, ...], candidate: Candidate) -> Blocker | None:
    """Host volumes; a CSI volume follows its plugin, which is assumed to follow the machines."""
    for volume in volumes:
        if volume.kind != "host":
            continue
        if volume.per_alloc:
            found = [ro for name, ro in candidate.host_volumes.items() if name.startswith(f"{volume.source}[")]
        else:
            found = [ro for name, ro in candidate.host_volumes.items() if name == volume.source]
        if not found:
            return Blocker(kind=Kind.VOLUME, text=f"host volume {volume.source} is missing")
        if all(found) and not volume.read_only:
            return Blocker(kind=Kind.VOLUME, text=f"host volume {volume.source} is read only")
    return None
