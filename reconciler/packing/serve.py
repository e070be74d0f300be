"""Who buys for whom: pools by priority, those with room under their maximum first, one packing for equals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from reconciler.packing.candidate import Candidate
from reconciler.packing.offers import Shelf
from reconciler.packing.pack import Given, Machine, Missing, Packed, pack
from reconciler.packing.spare import units, unsettled
from reconciler.packing.survey import Survey
from reconciler.packing.wants import Want
from schemas.document import Pool


def serve(survey: Survey, wants: Sequence[Want], *, given: Given = ()) -> Packed:
    """Place wants on what is there, and buy for the rest; ``given`` are copies that have a place already.

    Pools with room under their maximum come first, by priority. What then still waits is bought as if no maximum
    stood in the way, by priority again: cutting is the arbiter's, who says which cap it was.
    """
    left = {pool.name: survey.left(pool) for pool in survey.pools}
    growing = [p for p in survey.pools if survey.grows(p)]
    done = Packed(missing=tuple(Missing(want=w, copies=w.copies) for w in wants), rooms=survey.rooms.rooms)
    rounds = [(tier, True) for tier in _tiers(p for p in growing if left[p.name])]
    rounds += [(tier, False) for tier in _tiers(growing)]
    if not rounds:
        rounds = [((), False)]
    for tier, capped in rounds:
        waiting = [_again(m) for m in done.missing]
        if not waiting:
            break
        packed = pack(survey.snapshot, waiting, done.rooms, _shelves(survey, tier), given=(*given, *_given(done)))
        kept, back = _capped(packed.machines, left) if capped else (packed.machines, ())
        done = Packed(
            machines=done.machines + kept,
            placed=done.placed + packed.placed,
            missing=_merged((*packed.missing, *back)),
            rooms=packed.rooms,
            bound=(done.bound or 0.0) + packed.bound if packed.bound is not None else done.bound,
        )
    return done


def serve_with_spare(survey: Survey, wants: Sequence[Want]) -> Packed:
    """Serve wants, and buy the headroom that is missing beside them with them: that is cheaper than one by one.

    Work has the room that is there before headroom. What headroom lacks in the end is not said here.
    """
    filled = fill(survey, wants)
    rest = [_again(m) for m in _merged(filled.missing)]
    if not rest:
        return filled
    lacking: list[Want] = []
    rooms = filled.rooms
    for pool in survey.pools:
        waits = not survey.grows(pool) or unsettled(survey.snapshot, pool.name)
        for unit in () if waits else units(pool, survey.snapshot):
            spare = pack(survey.snapshot, (unit,), rooms, ())
            rooms = spare.rooms
            lacking += [_again(m) for m in spare.missing]
    if not lacking:
        return serve(survey, wants)
    placed = [(p.want, p.room.candidate, p.copies) for p in filled.placed]
    empty = replace(survey, rooms=replace(survey.rooms, rooms=()))
    bought = serve(empty, (*rest, *lacking), given=placed)
    return replace(
        bought,
        placed=filled.placed,
        missing=tuple(m for m in bought.missing if not m.want.pool),
        rooms=filled.rooms,
    )


def fill(survey: Survey, wants: Sequence[Want]) -> Packed:
    """Place wants on what is there or on its way, and buy nothing."""
    return pack(survey.snapshot, wants, survey.rooms.rooms, ())


def _tiers(pools: Iterable[Pool]) -> list[tuple[Pool, ...]]:
    return [tuple(tier) for _, tier in groupby(pools, key=lambda p: p.priority)]


def _shelves(survey: Survey, tier: Iterable[Pool]) -> list[Shelf]:
    return [survey.shelves[pool.name] for pool in tier]


def _given(done: Packed) -> list[tuple[Want, Candidate, int]]:
    """List what has a place by now: on room that was there, or on a machine that is bought."""
    placed = [(p.want, p.room.candidate, p.copies) for p in done.placed]
    return placed + [
        (want, machine.offers[0].room.candidate, machine.count * copies)
        for machine in done.machines
        for want, copies in machine.load
    ]


def _capped(machines: Iterable[Machine], left: dict[str, int]) -> tuple[tuple[Machine, ...], tuple[Missing, ...]]:
    """Keep what the maxima allow, the first in the order of service; gives back the work of the rest."""
    kept: list[Machine] = []
    back: list[Missing] = []
    for machine in machines:
        count = min(machine.count, left[machine.pool])
        left[machine.pool] -= count
        if count:
            kept.append(replace(machine, count=count))
        if over := machine.count - count:
            back += [Missing(want=want, copies=over * copies) for want, copies in machine.load]
    return tuple(kept), tuple(back)


def _merged(missing: Iterable[Missing]) -> tuple[Missing, ...]:
    """Put together what is missing of one want, in the order of service."""
    found: dict[tuple[str, str, str], Missing] = {}
    for lack in missing:
        key = (lack.want.job.name, lack.want.group.name, lack.want.pool)
        before = found.get(key)
        found[key] = lack if before is None else replace(before, copies=before.copies + lack.copies)
    return tuple(sorted(found.values(), key=lambda m: m.want.order))


def _again(missing: Missing) -> Want:
    return replace(missing.want, copies=missing.copies)
