"""Conditions of a group (semantics §14): is it as it should be, and if not, why, in words and numbers.

Those that nothing computes yet (``RolloutHalted``, ``BrakeOn``) are left out, and so is *since when*: it is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler.arbiter import wrong_cluster
from reconciler.packing.offers import bought, on_demand_wanted
from reconciler.packing.pack import pack
from reconciler.packing.spare import units
from reconciler.packing.survey import survey
from reconciler.status.tables import PoolRow, ServerRow
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.names import formed_marker
from schemas.plan import Hold, Launch, Plan, Reason
from schemas.world import Job, Market, Snapshot

CAPS = frozenset({Reason.AT_MAXIMUM, Reason.NODE_LIMIT, Reason.COST_LIMIT})
HELPLESS = frozenset({Reason.UNSATISFIABLE, Reason.GIVEN_UP})
NAMED_MOST = 5
SPOKEN = {
    Source.NOMAD: "Nomad",
    Source.EC2: "EC2",
    Source.STORE: "the store",
    Source.PRICES: "spot prices",
    Source.EVENTS: "the interruption queue",
    Source.SNAPSHOTS: "the place of snapshots",
}


class Standing(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that is so, is not so, or cannot be known now."""

    type: str
    status: Standing
    reason: Reason
    message: str  # a sentence with numbers
    good: Standing  # the status that needs nobody's attention

    @property
    def well(self) -> bool:
        """Nobody needs to look."""
        return self.status is self.good


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What conditions are computed from."""

    group: ClusterGroup
    snapshot: Snapshot
    plan: Plan
    servers: Sequence[ServerRow]
    pools: Sequence[PoolRow]
    warnings: int

    def silent(self, *sources: Source) -> str | None:
        """Say which of these sources did not answer, and what was heard instead."""
        heard = [f"{SPOKEN[s]}: {self.snapshot.unanswered[s]}" for s in sources if s in self.snapshot.unanswered]
        return "; ".join(heard) or None

    @property
    def forming(self) -> bool:
        """The first quorum is not marked as formed yet."""
        name = formed_marker(self.group.metadata.name)
        return self.group.spec.servers is not None and name not in self.snapshot.templates

    def holds(self, *reasons: Reason) -> list[Hold]:
        """Give the plan's holds for these reasons."""
        return [h for h in self.plan.holds if h.reason in reasons]


def conditions_of(look: Look) -> tuple[Condition, ...]:
    """Give a group's conditions, the summary first."""
    rest = [
        _quorum_safe(look),
        _demand_satisfied(look),
        _headroom_satisfied(look),
        _unsatisfiable(look),
        _fallback_active(look),
        _at_maximum(look),
        _wrong_cluster(look),
        _source_unanswered(look),
        _document_invalid(look),
    ]
    return (_ready(look, rest), *rest)


def _ready(look: Look, rest: Iterable[Condition]) -> Condition:
    """All that was asked for and can be had is there."""
    broken = next((c for c in rest if not c.well and c.type in {"WrongCluster", "SourceUnanswered"}), None)
    passing = next((h for h in look.plan.holds if h.passing), None)
    small = next((p for p in look.pools if p.ready < (p.min if p.desired is None else p.desired)), None)
    mode = look.group.spec.mode
    there = _counted(look)
    if broken is not None:
        return _no("Ready", broken.reason, broken.message)
    if look.plan.actions and mode == "enforce":
        cause = next((a.cause for a in look.plan.actions if isinstance(a, Launch)), None)
        reason = Reason.FORMING if look.forming else cause or Reason.MISSING
        return _no("Ready", reason, f"{there}; {_count(len(look.plan.actions), 'action is', 'actions are')} to be done")
    if mode != "enforce":
        word = Reason.OBSERVING if mode == "observe" else Reason.PAUSED
        return _no("Ready", word, f"{there}; mode: {mode}, so nothing is done")
    if passing is not None:
        return _no("Ready", passing.reason, f"{there}; {passing.subject}: {passing.message}")
    if small is not None:
        wanted = small.min if small.desired is None else small.desired
        return _no("Ready", Reason.MISSING, f"{small.ready} of {wanted} nodes of pool {small.name} are ready")
    held = len([h for h in look.plan.holds if not h.passing])
    but = f"; {_count(held, 'hold stays', 'holds stay')} until something changes" if held else ""
    return _yes("Ready", Reason.AS_SPECIFIED, f"{there}{but}")


def _counted(look: Look) -> str:
    """Write how much is there."""
    parts = []
    if look.group.spec.servers is not None:
        running = sum(s.state == "running" for s in look.servers)
        parts.append(f"{running} of {look.group.spec.servers.count} servers run")
    ready, machines = sum(p.ready for p in look.pools), sum(p.machines for p in look.pools)
    parts.append(f"{ready} of {_count(machines, 'node is', 'nodes are')} ready" if machines else "there are no nodes")
    return ", ".join(parts)


# --- servers ---------------------------------------------------------------------------------------------------------


def _quorum_safe(look: Look) -> Condition:
    kind = "QuorumSafe"
    servers = look.group.spec.servers
    if servers is None:
        return _unknown(kind, Reason.NOT_MANAGED, "the document has no servers: they are left alone", good=True)
    if frozen := look.holds(Reason.FROZEN):
        return _no(kind, Reason.FROZEN, frozen[0].message)
    if silent := look.silent(Source.EC2):
        return _unknown(kind, Reason.SOURCE_UNANSWERED, f"no answer from {silent}")
    running = sum(s.state == "running" for s in look.servers)
    if look.forming:
        hold = next((h for h in look.holds(Reason.SERVERS_FORMING) if h.subject == "servers"), None)
        what = hold.message if hold else f"{running} of {servers.count} servers run, none is in a quorum yet"
        return _no(kind, Reason.SERVERS_FORMING, what)
    if silent := look.silent(Source.NOMAD):
        return _unknown(kind, Reason.SOURCE_UNANSWERED, f"no answer from {silent}")
    quorum = servers.count // 2 + 1
    tolerance = running - quorum
    figures = f"{running} of {servers.count} servers run, quorum is {quorum}"
    if tolerance < 0:
        return _no(kind, Reason.MISSING, figures)
    if running < servers.count:
        return _no(kind, Reason.MISSING, f"{figures}, {tolerance} more may fail")
    return _yes(kind, Reason.AS_SPECIFIED, f"{figures}, {tolerance} may fail; Nomad answers with a leader")


# --- work ------------------------------------------------------------------------------------------------------------


def _demand_satisfied(look: Look) -> Condition:
    kind = "DemandSatisfied"
    if silent := look.silent(Source.NOMAD):
        reason = Reason.SERVERS_FORMING if look.forming else Reason.SOURCE_UNANSWERED
        return _unknown(kind, reason, f"what waits is not known: {silent}")
    waiting = [(job, copies) for job in look.snapshot.jobs if (copies := queued(job))]
    if not waiting:
        return _yes(kind, Reason.AS_SPECIFIED, "no queued copy waits for room")
    total = sum(copies for _, copies in waiting)
    named = [f"{copies} {job.name}" for job, copies in sorted(waiting, key=lambda w: (-w[1], w[0].name))]
    message = f"{_count(total, 'copy waits', 'copies wait')} for room: {_listed(named)}"
    return _no(kind, _why_waiting(look, {f"job/{job.name}" for job, _ in waiting}), message)


def queued(job: Job) -> int:
    """Count a job's copies that wait for room; what no machine of ours is bought for waits for none."""
    return 0 if job.stopped or job.parent or job.type not in {"service", "batch"} else sum(job.queued.values())


def _why_waiting(look: Look, subjects: set[str]) -> Reason:
    """Give the one word that says most: what is being done, else what passes, else what stays."""
    if any(isinstance(a, Launch) and a.cause is Reason.DEMAND for a in look.plan.actions):
        return Reason.DEMAND
    about = [h for h in look.plan.holds if h.subject in subjects]
    if passing := [h for h in about if h.passing]:
        return passing[0].reason
    if any(p.coming for p in look.pools):
        return Reason.ON_ITS_WAY
    capped = look.holds(*CAPS)
    return capped[0].reason if capped else about[0].reason if about else Reason.NOT_YET_DECIDED


def _headroom_satisfied(look: Look) -> Condition:
    """Every pool's spare units are there, on nodes that are ready now."""
    kind = "HeadroomSatisfied"
    pools = [p for p in look.group.spec.pools if any(u.units for u in p.headroom)]
    if not pools:
        return _yes(kind, Reason.AS_SPECIFIED, "no pool asks for headroom")
    if silent := look.silent(Source.NOMAD, Source.EC2):
        reason = Reason.SERVERS_FORMING if look.forming else Reason.SOURCE_UNANSWERED
        return _unknown(kind, reason, f"free room is not known: {silent}")
    rooms = [r for r in survey(look.snapshot, look.group).rooms.rooms if r.ready]
    short: list[str] = []
    have: list[str] = []
    for pool in pools:
        wanted = units(pool, look.snapshot)
        missing = {m.want.group.name: m.copies for m in pack(look.snapshot, wanted, rooms, ()).missing}
        for want in wanted:
            free = want.copies - missing.get(want.group.name, 0)
            figures = f"{free} of {want.copies} units of {want.group.name} are free in pool {pool.name}"
            (short if want.group.name in missing else have).append(figures)
    if short:
        coming = any(p.coming for p in look.pools)
        return _no(kind, Reason.ON_ITS_WAY if coming else Reason.HEADROOM, _listed(short))
    return _yes(kind, Reason.AS_SPECIFIED, _listed(have))


def _unsatisfiable(look: Look) -> Condition:
    kind = "Unsatisfiable"
    if found := look.holds(*HELPLESS):
        subjects = list(dict.fromkeys(h.subject for h in found))
        message = f"no machine that may be bought helps {_listed(subjects)}: {found[0].message}"
        return _yes(kind, found[0].reason, message, good=False)
    return _no(kind, Reason.AS_SPECIFIED, "nothing waits in vain", good=False)


# --- machines --------------------------------------------------------------------------------------------------------


def _fallback_active(look: Look) -> Condition:
    kind = "FallbackActive"
    found = list(_fallbacks(look))
    if found:
        return _yes(kind, Reason.NO_OFFERING, "; ".join(found), good=False)
    return _no(kind, Reason.AS_SPECIFIED, "no pool has more on-demand machines than it asks for", good=False)


def _fallbacks(look: Look) -> Iterator[str]:
    for pool in look.group.spec.pools:
        have = bought(look.snapshot, pool.name)
        wanted = on_demand_wanted(pool, have.total())
        over = have[Market.ON_DEMAND] - wanted
        if pool.capacity.spot_percent > 0 and over > 0:
            yield (
                f"pool {pool.name} has {have[Market.ON_DEMAND]} on-demand machines where"
                f" {wanted} of {have.total()} would do"
            )


def _at_maximum(look: Look) -> Condition:
    kind = "AtMaximum"
    if found := look.holds(*CAPS):
        message = "; ".join(f"{h.subject}: {h.message}" for h in found)
        return _yes(kind, found[0].reason, message, good=False)
    return _no(kind, Reason.AS_SPECIFIED, "no cap holds anything back", good=False)


# --- the ground ------------------------------------------------------------------------------------------------------


def _wrong_cluster(look: Look) -> Condition:
    kind = "WrongCluster"
    if (hold := wrong_cluster(look.snapshot)) is not None:
        return _yes(kind, hold.reason, hold.message, good=False)
    if silent := look.silent(Source.STORE, Source.EC2):
        return _unknown(kind, Reason.SOURCE_UNANSWERED, f"no answer from {silent}")
    return _no(kind, Reason.AS_SPECIFIED, "no machine of this group belongs to another store", good=False)


def _source_unanswered(look: Look) -> Condition:
    """A Nomad that has no server yet is not silent: it is not there."""
    kind = "SourceUnanswered"
    expected = {Source.NOMAD} if look.forming else set()
    if silent := look.silent(*sorted(look.snapshot.unanswered.keys() - expected)):
        return _yes(kind, Reason.SOURCE_UNANSWERED, f"no answer from {silent}", good=False)
    if look.silent(Source.NOMAD):
        return _no(kind, Reason.SERVERS_FORMING, "Nomad is not asked before its servers are formed", good=False)
    return _no(kind, Reason.AS_SPECIFIED, "every source answered", good=False)


def _document_invalid(look: Look) -> Condition:
    message = "the document is valid" + (f", with {_count(look.warnings, 'warning')}" if look.warnings else "")
    return _no("DocumentInvalid", Reason.AS_SPECIFIED, message, good=False)


# --- words -----------------------------------------------------------------------------------------------------------


def _yes(kind: str, reason: Reason, message: str, *, good: bool = True) -> Condition:
    right = Standing.TRUE if good else Standing.FALSE
    return Condition(type=kind, status=Standing.TRUE, reason=reason, message=message, good=right)


def _no(kind: str, reason: Reason, message: str, *, good: bool = True) -> Condition:
    right = Standing.TRUE if good else Standing.FALSE
    return Condition(type=kind, status=Standing.FALSE, reason=reason, message=message, good=right)


def _unknown(kind: str, reason: Reason, message: str, *, good: bool = False) -> Condition:
    right = Standing.UNKNOWN if good else Standing.TRUE
    return Condition(type=kind, status=Standing.UNKNOWN, reason=reason, message=message, good=right)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one}" if number == 1 else f"{number} {many or one + 's'}"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - NAMED_MOST
    return ", ".join(names[:NAMED_MOST]) + (f" and {rest} more" if rest > 0 else "")
