"""Instance types: what EC2 sells, as the planner counts it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType:
    """One EC2 instance type, as AWS describes it; what Nomad offers on it is a little less (kernel, agent)."""

    name: str
    vcpu: int
    cores: int
    """Physical cores; where AWS no longer says, half of the vCPUs."""
    memory_mib: int
    """Nominal. Nomad measures about 92.5 % of it."""
    arch: str
    """``x86_64`` or ``arm64``."""
    cpu_mhz: int
    """vCPUs x clock, the arithmetic of Nomad's own table."""
    gpu_count: int = 0
    gpu_name: str = ""
    gpu_memory_mib: int = 0
    """Of all its GPUs together."""
    accelerator_count: int = 0
    local_nvme_gb: int = 0
    burstable: bool = False
    bare_metal: bool = False
    current_generation: bool = True
    """AWS's own flag: false for m6i, true for t2, so no filter for quality."""
    spot_supported: bool = True
    on_demand_usd_per_hour: float


class Bounds(Protocol):
    """Both ends included; None is open."""

    @property
    def min(self) -> float | None:
        """Return the lower end."""

    @property
    def max(self) -> float | None:
        """Return the upper end."""


class Requirement(Protocol):
    """What a type must be like; ``pools[].instances.require`` of a document is one."""

    @property
    def vcpu(self) -> Bounds:
        """Return the bounds of the vCPU count."""

    @property
    def memory_gib(self) -> Bounds:
        """Return the bounds of the nominal memory, in GiB."""

    @property
    def arch(self) -> tuple[str, ...]:
        """Return the architectures that will do."""

    @property
    def burstable(self) -> bool | None:
        """Return whether it must (or must not) be burstable; None: either."""

    @property
    def exclude(self) -> tuple[str, ...]:
        """Return globs of names that will not do."""


def _within(value: float, bounds: Bounds) -> bool:
    return (bounds.min is None or value >= bounds.min) and (bounds.max is None or value <= bounds.max)


@lru_cache(maxsize=256)
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs))


def matches_any(name: str, globs: tuple[str, ...]) -> bool:
    """Tell whether a name matches one of the globs (``*``, ``?``, ``[...]``; case counts)."""
    return bool(globs) and _pattern(globs).match(name) is not None


class Catalogue(Mapping[str, InstanceType]):
    """Instance types by name, in the order of their names."""

    __slots__ = ("_types",)

    def __init__(self, types: Iterable[InstanceType]) -> None:
        self._types = {t.name: t for t in sorted(types, key=lambda t: t.name)}

    def __getitem__(self, name: str) -> InstanceType:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def __repr__(self) -> str:
        return f"Catalogue({len(self)} types)"

    def matching(self, globs: Iterable[str] = (), require: Requirement | None = None) -> tuple[InstanceType, ...]:
        """List the types that match one of ``globs`` (none given: any name) and all of ``require``, by name."""
        wanted = tuple(globs)
        if all(glob in self._types for glob in wanted):  # plain names, or nothing
            found = [self._types[name] for name in sorted(set(wanted))] if wanted else list(self._types.values())
        else:
            match = _pattern(wanted).match
            found = [t for name, t in self._types.items() if match(name)]
        if require is None:
            return tuple(found)
        return tuple(t for t in found if _satisfies(t, require))


def _satisfies(t: InstanceType, require: Requirement) -> bool:
    return (
        t.arch in require.arch
        and (require.burstable is None or t.burstable is require.burstable)
        and _within(t.vcpu, require.vcpu)
        and _within(t.memory_mib / 1024, require.memory_gib)
        and not matches_any(t.name, require.exclude)
    )
