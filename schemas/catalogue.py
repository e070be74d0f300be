"""Instance types: what EC2 sells, as the planner counts it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol


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


_REMEMBERED: Final = 512  # answers of a catalogue: the same pools ask the same at every tick


class Bounds(Protocol):
    """Both ends included; None is open."""

    @property
    def min(self) -> float | None:
        """Return the lower end."""

    @property
    def max(self) -> float | None:
        """Return the upper end."""


class Requirement(Protocol):
    """What a type must be like, hashable; ``pools[].instances.require`` of a document is one."""

    def __hash__(self) -> int:
        """Equal requirements are one question."""

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

    __slots__ = ("_extended", "_found", "_types")

    def __init__(self, types: Iterable[InstanceType]) -> None:
        self._types = {t.name: t for t in sorted(types, key=lambda t: t.name)}
        self._found: dict[tuple[tuple[str, ...], Requirement | None], tuple[InstanceType, ...]] = {}
        self._extended: tuple[tuple[InstanceType, ...], Catalogue] | None = None

    def __getitem__(self, name: str) -> InstanceType:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def __repr__(self) -> str:
        return f"Catalogue({len(self)} types)"

    def with_types(self, types: tuple[InstanceType, ...]) -> Catalogue:
        """Give a catalogue with more types; the same one for the same types, itself for none."""
        if not types:
            return self
        if self._extended is None or self._extended[0] != types:
            self._extended = types, Catalogue([*self._types.values(), *types])
        return self._extended[1]

    def matching(self, globs: Iterable[str] = (), require: Requirement | None = None) -> tuple[InstanceType, ...]:
        """List the types that match one of ``globs`` (none given: any name) and all of ``require``, by name."""
        question = (tuple(globs), require)
        if question not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[question] = tuple(self._search(*question))
        return self._found[question]

    def _search(self, globs: tuple[str, ...], require: Requirement | None) -> Iterator[InstanceType]:
        if all(glob in self._types for glob in globs):  # plain names, or nothing
            named = [self._types[name] for name in sorted(set(globs))] if globs else self._types.values()
        else:
            match = _pattern(globs).match
            named = [t for name, t in self._types.items() if match(name)]
        return (t for t in named if require is None or _satisfies(t, require))


def _satisfies(t: InstanceType, require: Requirement) -> bool:
    return (
        t.arch in require.arch
        and (require.burstable is None or t.burstable is require.burstable)
        and _within(t.vcpu, require.vcpu)
        and _within(t.memory_mib / 1024, require.memory_gib)
        and not matches_any(t.name, require.exclude)
    )
