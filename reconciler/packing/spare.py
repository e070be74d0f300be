"""Headroom written as work: whole units of spare room, each to be on one node of its pool (semantics §4)."""

from __future__ import annotations

from reconciler.packing.wants import Want
from schemas.document import Pool
from schemas.world import Job, Resources, Snapshot, TaskGroup

HEADROOM = "headroom"


def units(pool: Pool, snapshot: Snapshot) -> tuple[Want, ...]:
    """Write a pool's headroom as work that fits anywhere in the pool, the largest units first."""
    shapes = sorted(
        (u for u in pool.headroom if u.units), key=lambda u: (-(u.memory_mib or 0), -(u.cpu_mhz or 0), u.units)
    )
    return tuple(
        Want(
            job=Job(namespace="default", id=HEADROOM, type="", priority=0, node_pool="", datacenters=(), groups=()),
            group=TaskGroup(
                name=_unit(u.cpu_mhz, u.memory_mib),
                count=u.units,
                ask=Resources(cpu_mhz=u.cpu_mhz or 0, memory_mib=u.memory_mib or 0),
                network_mode="none",
            ),
            copies=u.units,
            since=snapshot.observed_at,
            pool=pool.name,
        )
        for u in shapes
    )


def _unit(cpu_mhz: int | None, memory_mib: int | None) -> str:
    sides = [f"{cpu_mhz:,} MHz" if cpu_mhz else "", f"{memory_mib:,} MiB" if memory_mib else ""]
    return " + ".join(s for s in sides if s)
