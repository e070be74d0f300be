"""Headroom written as work: whole units of spare room, each to be on one node of its pool (semantics §4)."""

from __future__ import annotations

from datetime import timedelta

from reconciler.packing.wants import Want
from schemas.document import Pool
from schemas.world import Job, Resources, Snapshot, TaskGroup

HEADROOM = "headroom"
SETTLES_WITHIN = timedelta(minutes=3)  # a machine that takes longer to join is no reason to wait


def unsettled(snapshot: Snapshot, pool: str) -> tuple[str, ...]:
    """Name the claims of a pool on whose machines Nomad is about to place work: where it puts it decides what is left.

    Bought meanwhile, headroom would be bought for an arrangement that never comes.
    """
    return tuple(
        claim.name
        for claim in snapshot.claims
        if claim.pool == pool
        and snapshot.observed_at - claim.asked_at < SETTLES_WITHIN
        and any(content.job != HEADROOM for content in claim.contents)
    )


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
