"""Workload files: queued work and a catalogue as a packing problem, to measure how dear its machines are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec

from reconciler.packing.solver import Offering, Problem, Shape
from schemas.catalogue import InstanceType

Amount = Annotated[int, msgspec.Meta(ge=0)]
Arch = Literal["x86_64", "arm64"]

_FAMILIES = re.compile(r"[cmr](\d+)[a-z-]*\.")  # general purpose, compute, memory; the digits are the generation
_GENERATION_MIN = 3


class WorkloadError(ValueError):
    """A file that is no workload; the message says what is wrong with it and where."""


class Constraints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a machine must be for a shape to go there."""

    arch: Arch | None = None
    distinct_hosts: bool = False


class WorkShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of allocation; ``count`` is by size of the workload, and 0 in a size that it does not name."""

    cpu_mhz: Amount
    memory_mib: Amount
    count: Mapping[str, Amount]
    constraints: Constraints = Constraints()


class Workload(msgspec.Struct, frozen=True):
    """Queued work in several sizes."""

    name: str
    shapes: tuple[WorkShape, ...]
    description: str = ""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes that any shape names, ascending."""
        return tuple(sorted({int(size) for shape in self.shapes for size in shape.count}))


def read(text: str | bytes) -> Workload:
    """Read a workload file; raises WorkloadError with the place of what is wrong."""
    try:
        workload = msgspec.json.decode(text, type=Workload)
    except msgspec.DecodeError as error:
        raise WorkloadError(f"no workload: {error}") from error
    for size in sorted({size for shape in workload.shapes for size in shape.count}):
        if not size.isdecimal():
            raise WorkloadError(f"no workload: size {size!r} of a count is not a number, such as 1000")
    return workload


def catalogue_for(
    workload: Workload, types: Iterable[InstanceType], *, vcpu_max: int | None = None
) -> list[InstanceType]:
    """List the types that the problem allows, by name.

    Generations 3 and later of the c, m and r families, neither burstable nor bare metal and without a GPU; arm64 only
    for a workload that asks for it somewhere.
    """
    archs = {"x86_64"} | {arch for s in workload.shapes if (arch := s.constraints.arch) is not None}
    found = []
    for t in types:
        family = _FAMILIES.match(t.name)
        if family is None or int(family[1]) < _GENERATION_MIN:
            continue
        if t.burstable or t.bare_metal or t.gpu_count or t.arch not in archs:
            continue
        if vcpu_max is None or t.vcpu <= vcpu_max:
            found.append(t)
    return sorted(found, key=lambda t: t.name)


def problem_of(workload: Workload, size: int, types: Iterable[InstanceType]) -> Problem:
    """Write one size of a workload as a packing problem: MHz and MiB, nothing reserved, any number of each type."""
    offered = list(types)
    by_arch = {a: frozenset(k for k, t in enumerate(offered) if t.arch == a) for a in ("x86_64", "arm64")}
    return Problem(
        shapes=tuple(
            Shape(
                name=f"{shape.cpu_mhz} MHz, {shape.memory_mib} MiB",
                size=(shape.cpu_mhz, shape.memory_mib),
                count=shape.count.get(str(size), 0),
                offerings=None if shape.constraints.arch is None else by_arch[shape.constraints.arch],
                most=1 if shape.constraints.distinct_hosts else None,
            )
            for shape in workload.shapes
        ),
        offerings=tuple(
            Offering(name=t.name, price=t.on_demand_usd_per_hour, room=(t.cpu_mhz, t.memory_mib)) for t in offered
        ),
    )
