"""Contradictions in what a document says about one pool."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from schemas.catalogue import Catalogue
from schemas.document.effective import effective_machine
from schemas.document.partial import UnreadError, read_items
from schemas.document.problem import Finding, Path
from schemas.document.similar import similar_type

if TYPE_CHECKING:
    from schemas.catalogue import InstanceType
    from schemas.document.group import ClusterGroup
    from schemas.document.pool import HeadroomUnit, Pool

MEASURED_MEMORY: Final = 0.925
"""The part of nominal memory that Nomad sees (the kernel keeps the rest)."""


def _size(_: ClusterGroup, __: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    size = pool.size
    if size.min > size.max:
        what = f"is {size.min}, more than size.max, which is {size.max}"
        yield Finding(at=(*at, "size", "min"), message=what, hint=f"write {size.max} or less, or raise size.max")
    elif size.desired is not None and not size.min <= size.desired <= size.max:
        what = f"is {size.desired}, outside size.min {size.min} and size.max {size.max}"
        yield Finding(at=(*at, "size", "desired"), message=what, hint=f"write {size.min} to {size.max}")


def _join(group: ClusterGroup, _: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    if pool.join and group.spec.servers is not None:
        what = "addresses to join, although the group has `servers`: its pools always join those"
        yield Finding(at=(*at, "join"), message=what, hint="remove join, or servers")


def _names(_: ClusterGroup, __: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    if pool.node_pool == "all":
        what = '"all" is Nomad\'s name for every pool; no node may be in it'
        yield Finding(at=(*at, "nodePool"), message=what, hint='write another name, such as "default"')
    for key in pool.meta:
        if key.startswith("unique.nomad_reconciler"):
            yield Finding(
                at=(*at, "meta", key), message="this meta is set by the reconciler", hint="choose another key"
            )


def _protect(_: ClusterGroup, __: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    for i, rule in read_items(pool.protect):
        if rule.jobs is None and rule.meta is None:
            yield Finding(at=(*at, "protect", i), message="protects nothing", hint='add jobs: "etl-*", or meta:')


def _globs(_: ClusterGroup, catalogue: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    for i, glob in read_items(pool.instances.types):
        if not catalogue.matching((glob,)):
            what = f'no instance type matches "{glob}"'
            yield Finding(at=(*at, "instances", "types", i), message=what, hint=similar_type(glob, catalogue))


def _requirements(_: ClusterGroup, catalogue: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    require = pool.instances.require
    if require is None:
        return
    crossed = False
    for name, bounds in (("vcpu", require.vcpu), ("memoryGiB", require.memory_gib)):
        if bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
            crossed = True
            what = f"is {bounds.min:g}, more than max, which is {bounds.max:g}"
            yield Finding(at=(*at, "instances", "require", name, "min"), message=what, hint="swap or widen them")
    named = catalogue.matching(pool.instances.types)
    if crossed or not named or pool.instances.allowed(catalogue):
        return
    of = f"the {len(named)} types that match `types`" if pool.instances.types else f"all {len(named)} types"
    culprits = _culprits(named, require)
    hint = f"look at {', '.join(culprits)}" if culprits else "each of them leaves some, all together none: loosen one"
    yield Finding(at=(*at, "instances", "require"), message=f"leaves none of {of}", hint=hint)


def _culprits(named: Iterable[InstanceType], require: Any) -> list[str]:
    """Name the requirements that already alone leave no type, with what they say."""
    loose = type(require)(arch=("x86_64", "arm64"), burstable=None, exclude=())
    few = Catalogue(named)
    found = []
    for key in ("vcpu", "memory_gib", "arch", "burstable", "exclude"):
        alone = loose.model_copy(update={key: getattr(require, key)})
        if not few.matching((), alone):
            written = alone.model_dump(mode="json", by_alias=True, include={key}, exclude_none=True)
            found += [f"{k}: {_flow(v)}" for k, v in written.items()]
    return found


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {v:g}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return str(value).lower()


def _images(group: ClusterGroup, catalogue: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    images = effective_machine(group, pool).images
    if not images:
        return  # told once, for the group
    allowed = pool.instances.allowed(catalogue)
    for arch in sorted({t.arch for t in allowed} - set(images)):
        of = [t.name for t in allowed if t.arch == arch]
        what = f"{_some(of)} {'is' if len(of) == 1 else 'are'} {arch}, and there is no {arch} image"
        place, hint = _where_arch(pool, catalogue, arch)
        yield Finding(at=(*at, *place), message=what, hint=f"add {arch} to spec.machine.images{hint}")


def _where_arch(pool: Pool, catalogue: Catalogue, arch: str) -> tuple[Path, str]:
    """Point at what lets this architecture in."""
    require = pool.instances.require
    for i, glob in read_items(pool.instances.types):
        if any(t.arch == arch for t in catalogue.matching((glob,), require)):
            return ("instances", "types", i), ", or allow no such types"
    other = require is not None and len(require.arch) > 1
    return ("instances",), f", or leave {arch} out of require.arch" if other else ""


def _spot(_: ClusterGroup, catalogue: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    allowed = pool.instances.allowed(catalogue)
    if pool.capacity.spot_percent and allowed and not any(t.spot_supported for t in allowed):
        names = _some([t.name for t in allowed])
        what = f"is {pool.capacity.spot_percent}, but none of the allowed types ({names}) is sold as spot"
        yield Finding(
            at=(*at, "capacity", "spotPercent"), message=what, hint="write spotPercent: 0, or allow other types"
        )


def _headroom(_: ClusterGroup, catalogue: Catalogue, pool: Pool, at: Path) -> Iterator[Finding]:
    allowed = pool.instances.allowed(catalogue)
    for i, unit in read_items(pool.headroom):
        with contextlib.suppress(UnreadError):
            place = (*at, "headroom", i)
            if unit.units == 0:
                continue
            if unit.cpu_mhz is None and unit.memory_mib is None:
                yield Finding(at=place, message="a unit of nothing", hint="add cpuMHz, memoryMiB, or both")
            elif allowed and not any(units_on(t, unit) for t in allowed):
                yield _too_big(place, unit, allowed)


def units_on(t: InstanceType, unit: HeadroomUnit) -> int:
    """Count the headroom units that an empty machine of a type can hold, by the memory that Nomad sees of it."""
    fits = []
    if unit.cpu_mhz is not None:
        fits.append(t.cpu_mhz // unit.cpu_mhz)
    if unit.memory_mib is not None:
        fits.append(int(t.memory_mib * MEASURED_MEMORY) // unit.memory_mib)
    return min(fits, default=0)


def _too_big(at: Path, unit: HeadroomUnit, allowed: Iterable[InstanceType]) -> Finding:
    wanted, has = [], []
    if unit.cpu_mhz is not None:
        t = max(allowed, key=lambda t: t.cpu_mhz)
        wanted.append(f"{unit.cpu_mhz} MHz")
        has.append(f"{t.name} has {t.cpu_mhz} MHz")
    if unit.memory_mib is not None:
        t = max(allowed, key=lambda t: t.memory_mib)
        wanted.append(f"{unit.memory_mib} MiB")
        has.append(f"Nomad sees about {int(t.memory_mib * MEASURED_MEMORY)} of the {t.memory_mib} MiB of {t.name}")
    what = f"a unit of {' and '.join(wanted)} fits on no allowed type: {', '.join(has)}"
    return Finding(at=at, message=what, hint="make the unit smaller, or allow larger types")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


POOL_CHECKS: Final = (
    _size,
    _join,
    _names,
    _protect,
    _globs,
    _requirements,
    _images,
    _spot,
    _headroom,
)
