"""Buys the cheapest machines that queued work fits on ("Tetris"), and says for everything else why it waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from reconciler.packing.pack import Missing, Placement
from reconciler.packing.predictions import GIVEN_UP
from reconciler.packing.serve import serve, serve_with_spare
from reconciler.packing.survey import Survey, survey
from reconciler.packing.wants import Want, demand
from reconciler.packing.why import best_blocker, reason_of
from reconciler.reconcilers.growth import Buyer, not_yet
from schemas.document import ClusterGroup
from schemas.plan import Hold, Plan, Reason
from schemas.world import Snapshot


def plan_demand(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """Launch what queued work needs beyond the room that is there or on its way."""
    if (held := not_yet(snapshot, group)) is not None:
        return held
    waiting = demand(snapshot)
    if not waiting.wants:
        return Plan(holds=waiting.holds)
    ground = survey(snapshot, group)
    served = (serve if waiting.settling else serve_with_spare)(ground, waiting.wants)
    bought = Buyer(survey=ground, cause=Reason.DEMAND).buy(served.machines)
    return Plan(
        actions=bought.actions,
        holds=(*waiting.holds, *_coming(snapshot, served.placed), *_unserved(ground, served.missing), *bought.holds),
        bound=served.bound,
    )


def _coming(snapshot: Snapshot, placed: Sequence[Placement]) -> Iterator[Hold]:
    """Say of what waits for nothing but time where its room is."""
    groups: dict[tuple[str, str], list[Placement]] = {}
    for placement in placed:
        groups.setdefault((placement.want.job.name, placement.want.group.name), []).append(placement)
    for some in sorted(groups.values(), key=lambda p: p[0].want.order):
        want = some[0].want
        ready = sum(p.copies for p in some if p.room.ready)
        coming = sum(p.copies for p in some) - ready
        where = sorted({p.room.candidate.name for p in some if not p.room.ready})
        if coming:
            message = f"{coming} of {want.name} will fit on machines on their way: {_some(where)}"
            yield Hold(subject=want.subject, reason=Reason.ON_ITS_WAY, message=message, passing=True)
        if ready and snapshot.observed_at - want.since < GIVEN_UP:
            message = (
                f"{ready} of {want.name} fit on nodes that are ready: Nomad will place them{_asked(snapshot, want)}"
            )
            yield Hold(subject=want.subject, reason=Reason.ON_ITS_WAY, message=message, passing=True)
        elif ready:
            waited = (snapshot.observed_at - want.since) // timedelta(minutes=1)
            message = (
                f"{ready} of {want.name} should fit on nodes that are ready, yet wait for {waited} min:"
                f" prediction missed, nothing is bought{_asked(snapshot, want)}"
            )
            yield Hold(subject=want.subject, reason=Reason.GIVEN_UP, message=message)


def _asked(snapshot: Snapshot, want: Want) -> str:
    """Say what Nomad's scheduler answered about it, if it was asked."""
    said = snapshot.predictions.dispute_of(want.job.name, want.group.name)
    if said is None or not said.placed:
        return ""
    return (
        f"; asked at {said.asked_at:%H:%M:%S} its scheduler would place {said.placed}:"
        f" `nomad job eval {want.job.id}` makes it look again"
    )


def _unserved(ground: Survey, missing: Sequence[Missing]) -> Iterator[Hold]:
    """Name the blocker of what no pool can serve."""
    for lack in missing:
        pool, why = (None, lack.blocker) if lack.blocker is not None else best_blocker(ground, lack.want)
        where = f"pool {pool.name}: " if pool is not None else ""
        nearest = f" (the nearest of {len(ground.pools)} pools)" if pool is not None and len(ground.pools) > 1 else ""
        yield Hold(
            subject=lack.want.subject,
            reason=reason_of(why),
            message=f"{lack.copies} of {lack.want.name} cannot be placed: {where}{why.text}{nearest}",
        )


def _some(names: Sequence[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
