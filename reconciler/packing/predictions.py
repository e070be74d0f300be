"""Were things placed as planned? What comes of promises, what Nomad says where it disagrees, what nodes really have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.packing.census import settled
from reconciler.packing.feasible import blocker
from reconciler.packing.room import Room, room_of, shortage
from reconciler.packing.serve import fill
from reconciler.packing.survey import survey
from reconciler.packing.wants import Want, demand
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.nomad_plan import JobPlan
from schemas.predictions import Dispute, Measured, Miss, Predictions
from schemas.world import Claim, Failure, Job, Node, Resources, Snapshot, TaskGroup

PAUSE: Final = timedelta(minutes=5)  # until the same is bought again after a first miss; it doubles with each
GIVEN_UP: Final = timedelta(minutes=30)  # after machines for it were ready first: then nothing is bought any more
ASKED_AFTER: Final = timedelta(minutes=1)  # so long something must wait before Nomad is asked about it
ASKED_EVERY: Final = timedelta(minutes=10)
ASKED_AT_ONCE: Final = 2  # jobs a tick: each costs the leader a scheduling
MEASURED_MOST: Final = 400  # types and images that are remembered


def judged(snapshot: Snapshot, group: ClusterGroup, answers: Iterable[JobPlan] = ()) -> Predictions:
    """Give what is known of predictions after this look: promises that came due are kept or missed.

    Args:
        snapshot: with the claims that have had their time (``census.settled``) still among its claims.
        group: whose document is in force; what an earlier one led to is forgotten.
        answers: what Nomad said to ``questions``.

    """
    known = snapshot.predictions
    if snapshot.unanswered.keys() & {Source.NOMAD, Source.EC2, Source.STORE}:
        return known
    known = replace(known, measured=_measured(snapshot, known.measured))
    known = _forgotten(snapshot, group, known)
    for claim in snapshot.claims:
        if settled(snapshot, claim):
            for verdict in _verdicts(snapshot, claim):
                known = _counted(snapshot, group, known, verdict)
    return _heard(snapshot, known, group, answers)


def questions(snapshot: Snapshot, group: ClusterGroup) -> tuple[tuple[str, str], ...]:
    """Name the jobs (namespace, id) that Nomad's scheduler should be asked about now: they wait for no reason we know.

    Those come first that fit on ready nodes by our count; a few a tick, each again after some minutes.
    """
    if snapshot.unanswered.keys() & {Source.NOMAD, Source.EC2, Source.STORE}:
        return ()
    now = snapshot.observed_at
    old = [w for w in demand(snapshot).wants if now - w.since >= ASKED_AFTER and not _asked_lately(snapshot, w)]
    if not old:
        return ()
    ready = _on_ready_nodes(snapshot, group)
    patient = [w for w in old if _key(w) in ready or now - w.since >= ASKED_EVERY]
    patient.sort(key=lambda w: (_key(w) not in ready, w.order))
    return tuple(dict.fromkeys((w.job.namespace, w.job.id) for w in patient))[:ASKED_AT_ONCE]


# --- promises --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What came of one content of a claim."""

    job: Job
    group: TaskGroup
    kept: int
    missed: int
    since: datetime
    why: str = ""
    again: bool = False  # the same machine would be bought again for it: nothing was learnt


def _verdicts(snapshot: Snapshot, claim: Claim) -> Iterator[_Verdict]:
    nodes = [n for n in snapshot.nodes if n.claim == claim.name and n.ready]
    if not nodes:
        return
    jobs = {job.name: job for job in snapshot.jobs}
    for content in claim.contents:
        job = jobs.get(content.job)
        group = next((g for g in job.groups if g.name == content.group), None) if job is not None else None
        if job is None or group is None:
            continue
        tenant = (job.namespace, job.id, group.name)
        rooms = [room_of(n, snapshot.allocations_by_node.get(n.id, ())) for n in nodes]
        short = [(node, room) for node, room in zip(nodes, rooms, strict=True) if _lack(room, tenant, content.copies)]
        lacking = sum(_lack(room, tenant, content.copies) for _, room in short)
        promised = content.copies * len(nodes)
        missed = min(lacking, job.queued.get(group.name, 0)) if _waits(snapshot, job) else 0
        since = max((n.registered_at or snapshot.observed_at for n in nodes), default=snapshot.observed_at)
        why, again = _why(job, group, short) if missed else ("", False)
        missed = missed if why else 0
        yield _Verdict(job=job, group=group, kept=promised - lacking, missed=missed, since=since, why=why, again=again)


def _lack(room: Room, tenant: tuple[str, str, str], copies: int) -> int:
    return max(0, copies - room.tenants.get(tenant, 0))


def _waits(snapshot: Snapshot, job: Job) -> bool:
    mine = (job.namespace, job.id)
    return any((e.namespace, e.job_id) == mine and e.status == "blocked" for e in snapshot.evaluations)


def _why(job: Job, group: TaskGroup, short: Sequence[tuple[Node, Room]]) -> tuple[str, bool]:
    """Say what the machine lacks, and whether nothing was learnt from it; "" where other work took the room."""
    for node, room in short:
        empty = room_of(node, ())
        if (lacks := blocker(job, group, empty.candidate)) is not None:
            return f"{node.name} turned out not to take it: {lacks.text}", True
        if (lacks_room := shortage(empty, group)) is not None:
            return f"{node.name} turned out too small, {lacks_room}", False
        if shortage(room, group) is None:
            return f"by our count {node.name} has room for it, and Nomad does not place it there", True
    return "", False


def _counted(snapshot: Snapshot, group: ClusterGroup, known: Predictions, verdict: _Verdict) -> Predictions:
    known = replace(known, kept=known.kept + verdict.kept, missed=known.missed + verdict.missed)
    if not verdict.missed:
        return known
    before = known.missed_of(verdict.job.name, verdict.group.name)
    now = snapshot.observed_at
    times, since = (before.times + 1, before.since) if before else (1, verdict.since)
    pause = PAUSE * 2 ** (times - 1) if verdict.again else timedelta()
    miss = Miss(
        job=verdict.job.name,
        group=verdict.group.name,
        submitted_at=verdict.job.submitted_at,
        document=document_mark(group),
        since=since,
        times=times,
        copies=verdict.missed,
        until=None if now + pause - since >= GIVEN_UP else now + pause,
        why=verdict.why,
    )
    others = [m for m in known.misses if m is not before]
    return replace(known, misses=tuple(sorted((*others, miss), key=lambda m: (m.job, m.group))))


def _forgotten(snapshot: Snapshot, group: ClusterGroup, known: Predictions) -> Predictions:
    """Forget what led nowhere once its job or the document changed, or it waits no more; its time may also be over."""
    if not known.misses and not known.disputes:
        return known
    jobs = {job.name: job for job in snapshot.jobs}
    mark = document_mark(group)

    def same(job: str, name: str, submitted_at: datetime | None) -> bool:
        now = jobs.get(job)
        return now is not None and now.submitted_at == submitted_at and now.queued.get(name, 0) > 0

    return replace(
        known,
        misses=tuple(
            replace(m, until=None) if snapshot.observed_at - m.since >= GIVEN_UP else m
            for m in known.misses
            if m.document == mark and same(m.job, m.group, m.submitted_at)
        ),
        disputes=tuple(d for d in known.disputes if same(d.job, d.group, d.submitted_at)),
    )


def document_mark(group: ClusterGroup) -> str:
    """Mark the part of a document on which it depends what machines can be and say."""
    text = group.spec.model_dump_json(include={"nomad": {"version"}, "aws": True, "machine": True, "pools": True})
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# --- Nomad's own word ------------------------------------------------------------------------------------------------


def _asked_lately(snapshot: Snapshot, want: Want) -> bool:
    said = snapshot.predictions.dispute_of(*_key(want))
    return said is not None and snapshot.observed_at - said.asked_at < ASKED_EVERY


def _key(want: Want) -> tuple[str, str]:
    return (want.job.name, want.group.name)


def _on_ready_nodes(snapshot: Snapshot, group: ClusterGroup) -> Mapping[tuple[str, str], int]:
    """Count the copies that Nomad could place now by our count, whatever it said before."""
    plain = replace(snapshot, predictions=Predictions(measured=snapshot.predictions.measured))
    found: dict[tuple[str, str], int] = {}
    for placement in fill(survey(plain, group), demand(plain).wants).placed:
        if placement.room.ready:
            found[_key(placement.want)] = found.get(_key(placement.want), 0) + placement.copies
    return found


def _heard(snapshot: Snapshot, known: Predictions, group: ClusterGroup, answers: Iterable[JobPlan]) -> Predictions:
    plans = {(plan.namespace, plan.job_id): plan for plan in answers}
    if not plans:
        return known
    ready = _on_ready_nodes(snapshot, group)
    told: dict[tuple[str, str], Dispute] = {(d.job, d.group): d for d in known.disputes}
    agreed, disagreed = known.agreed, known.disagreed
    for want in demand(snapshot).wants:
        plan = plans.get((want.job.namespace, want.job.id))
        if plan is None:
            continue
        dispute = Dispute(
            job=want.job.name,
            group=want.group.name,
            submitted_at=want.job.submitted_at,
            asked_at=snapshot.observed_at,
            copies=ready.get(_key(want), 0),
            placed=plan.placed.get(want.group.name, 0),
            said=tuple(nomads_words(plan.failures[want.group.name])) if want.group.name in plan.failures else (),
        )
        told[_key(want)] = dispute
        agreed, disagreed = agreed + (not dispute.disagrees), disagreed + dispute.disagrees
    disputes = tuple(d for _, d in sorted(told.items()))
    return replace(known, agreed=agreed, disagreed=disagreed, disputes=disputes)


def nomads_words(failure: Failure) -> Iterator[str]:
    """Tell of a failed placement as Nomad tells it."""
    for what, nodes in sorted(failure.constraints.items()):
        yield f"{nodes} of {failure.nodes_evaluated} nodes are filtered by: {what}"
    for what, nodes in sorted(failure.dimensions.items()):
        yield f"{nodes} of {failure.nodes_evaluated} nodes are exhausted in: {what}"
    if not failure.nodes_evaluated:
        yield "no node at all is in its datacenters and node pool"


# --- what nodes have -------------------------------------------------------------------------------------------------


def _measured(snapshot: Snapshot, known: Sequence[Measured]) -> tuple[Measured, ...]:
    """Remember the least that nodes of each image and type have: the nodes may be gone when it matters."""
    found = {(m.image, m.instance_type): m for m in known}
    fresh: dict[tuple[str, str], Resources] = {}
    for node in snapshot.nodes:
        instance = snapshot.instance_by_id.get(node.instance_id or "")
        if instance is None or node.status == "initializing" or not instance.image_id:
            continue
        key, total = (instance.image_id, instance.type), node.total
        least = fresh.get(key, total)
        fresh[key] = Resources(
            cpu_mhz=min(least.cpu_mhz, total.cpu_mhz),
            memory_mib=min(least.memory_mib, total.memory_mib),
            disk_mib=min(least.disk_mib, total.disk_mib),
            cores=min(least.cores, total.cores),
        )
    for (image, kind), total in fresh.items():
        found[image, kind] = Measured(
            image=image,
            instance_type=kind,
            cpu_mhz=total.cpu_mhz,
            memory_mib=total.memory_mib,
            disk_mib=total.disk_mib,
            cores=total.cores,
        )
    kept = sorted(found.values(), key=lambda m: ((m.image, m.instance_type) in fresh, m.image, m.instance_type))
    return tuple(sorted(kept[-MEASURED_MOST:], key=lambda m: (m.image, m.instance_type)))
