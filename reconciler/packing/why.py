"""Why a pool does not serve a want: the constraint or the dimension that is nearest to being met, with its figures."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.packing.feasible import Blocker, Kind, blocker
from reconciler.packing.offers import Offer
from reconciler.packing.room import Room, shortage
from reconciler.packing.survey import Survey
from reconciler.packing.wants import Want
from schemas.document import Pool
from schemas.plan import Reason

NO_PLACE = Blocker(kind=Kind.FULL, text="a machine could serve it, and yet the packing found no place for it")


def pool_blocker(survey: Survey, pool: Pool, want: Want) -> Blocker | None:
    """Say what keeps a pool from buying a machine for one copy; None when it could."""
    offers = survey.shelves[pool.name].offers
    if want.pool and want.pool != pool.name:
        return Blocker(kind=Kind.NODE_POOL, text=f"it is the headroom of pool {want.pool}")
    if not offers:
        return _nothing_for_sale(survey, pool)
    passing, filtered = _filtered(offers, want)
    if not passing:
        return filtered
    if not any(shortage(o.room, want.group) is None for o in passing):
        return _too_big(passing, want)
    if pool.size.desired is not None:
        return Blocker(kind=Kind.PINNED, text=f"it is pinned to {pool.size.desired} machines by size.desired")
    if survey.rooms.failing(pool.name):
        claims = ", ".join(survey.rooms.overdue[pool.name])
        text = f"its machines do not register in {_minutes(pool)} (claims {claims}), so it stopped growing"
        return Blocker(kind=Kind.BOOT_FAILING, text=text)
    return None


def best_blocker(survey: Survey, want: Want) -> tuple[Pool | None, Blocker]:
    """Give the pool that is nearest to serving a want, and what it lacks."""
    found = [(pool, why) for pool in survey.pools if (why := pool_blocker(survey, pool, want)) is not None]
    if not survey.pools:
        return None, Blocker(kind=Kind.NO_OFFERING, text="no pool is in the document")
    if not found:
        return None, NO_PLACE
    return max(found, key=lambda f: f[1].kind)  # the first of equals: pools come by priority


def reason_of(why: Blocker) -> Reason:
    """Give the word under which a blocker is held."""
    match why.kind:
        case Kind.NO_OFFERING:
            return Reason.NO_OFFERING
        case Kind.PINNED:
            return Reason.AT_MAXIMUM
        case Kind.BOOT_FAILING:
            return Reason.BOOT_FAILING
        case _:
            return Reason.UNSATISFIABLE


def _filtered(offers: Sequence[Offer], want: Want) -> tuple[list[Offer], Blocker]:
    """Sort out what the filters refuse, and give the blocker that is nearest to passing."""
    passing: list[Offer] = []
    nearest = Blocker(kind=Kind.NODE_POOL, text="")
    for offer in offers:
        why = None if want.pool else blocker(want.job, want.group, offer.room.candidate)
        if why is None:
            passing.append(offer)
        elif why.kind >= nearest.kind:
            nearest = why
    return passing, nearest


def _nothing_for_sale(survey: Survey, pool: Pool) -> Blocker:
    refused = survey.shelves[pool.name].refused
    if refused:
        until = min(r.until for r in survey.snapshot.refused if r.until > survey.snapshot.observed_at)
        text = f"EC2 refuses all {refused} offerings for now, the first is tried again at {until:%H:%M:%S}"
    else:
        text = "no instance type that it allows is for sale in its zones"
    return Blocker(kind=Kind.NO_OFFERING, text=text)


def _too_big(offers: Sequence[Offer], want: Want) -> Blocker:
    """Tell of the machine that comes nearest."""
    nearest = max(offers, key=lambda o: (_share(o.room, want), -o.price))
    types = len({o.kind.name for o in offers})
    best = f"the best of its {types} types" if types > 1 else "its only type"
    text = f"{shortage(nearest.room, want.group)} on an empty {nearest.kind.name}, {best}"
    return Blocker(kind=Kind.TOO_BIG, text=text)


def _share(room: Room, want: Want) -> float:
    """How much of the ask a room has, in its scarcest dimension."""
    ask, free = want.group.ask, room.free
    pairs = (
        (free.cpu_mhz, ask.cpu_mhz + ask.cores * room.clock_mhz),
        (free.memory_mib, ask.memory_mib),
        (free.disk_mib, ask.disk_mib),
        (free.cores, ask.cores),
    )
    return min((has / needs for has, needs in pairs if needs), default=1.0)


def _minutes(pool: Pool) -> str:
    return f"{pool.registration.timeout.total_seconds() / 60:g} min"
