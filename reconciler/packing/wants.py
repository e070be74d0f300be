"""What waits for room: queued copies that Nomad has looked at and could not place (semantics §1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.packing.feasible import unsatisfiable
from schemas.plan import Hold, Reason
from schemas.world import Evaluation, Job, Snapshot, TaskGroup

SETTLES = timedelta(seconds=3)  # a younger blocked evaluation may be unblocked by what happens right now
BURST = timedelta(seconds=10)  # so long a burst of submissions is waited for, to be bought as one
STALLED = timedelta(minutes=10)  # Nomad's default progress deadline: a younger job may be on its way up
_WORK = frozenset({"service", "batch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Copies of one group that wait for room."""

    job: Job
    group: TaskGroup
    copies: int
    since: datetime
    pool: str = ""  # the only pool that will do: headroom is each pool's own
    elsewhere: bool = False  # Nomad's scheduler says that it has no place on nodes that are ready

    @property
    def name(self) -> str:
        """``job.group``, as messages name it."""
        return f"{self.job.name}.{self.group.name}"

    @property
    def subject(self) -> str:
        """The subject of a hold about it."""
        return f"job/{self.job.name}"

    @property
    def order(self) -> tuple[int, datetime, str, str]:
        """Who is served first: higher priority, then who waits longer."""
        return (-self.job.priority, self.since, self.job.name, self.group.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What waits for room, in the order in which it is served, and what no room will help."""

    wants: tuple[Want, ...] = ()
    holds: tuple[Hold, ...] = ()
    deferred: tuple[Want, ...] = ()  # of a burst that is not over: they wait for the rest of it
    settling: bool = False  # something was blocked a moment ago: what it lacks is not known yet, or not all of it


def demand(snapshot: Snapshot) -> Demand:
    """Gather what waits; whatever Nomad has not decided yet is left out, and said."""
    blocked, pending = _evaluations(snapshot)
    if snapshot.broker_paused:
        return _paused(blocked, pending)
    wants: list[Want] = []
    holds: list[Hold] = []
    unsettled = any(snapshot.observed_at - at < BURST for at in pending.values())
    young = False
    for job in sorted(snapshot.jobs, key=lambda j: (j.namespace, j.id)):
        if job.type not in _WORK or job.stopped or job.parent:
            continue
        if (job.namespace, job.id) in pending:
            holds.append(_undecided(job, "an evaluation is pending"))
            continue
        queued = [g for g in job.groups if job.queued.get(g.name, 0) > 0]
        if not queued and (hold := _stalled(snapshot, job)) is not None:
            holds.append(hold)
        evaluation = blocked.get((job.namespace, job.id))
        if not queued or evaluation is None:
            continue
        if snapshot.observed_at - evaluation.created_at < SETTLES:
            holds.append(_undecided(job, "its blocked evaluation is younger than 3 s"))
            unsettled = young = True
            continue
        for group in queued:
            said = snapshot.predictions.dispute_of(job.name, group.name)
            want = Want(
                job=job,
                group=group,
                copies=job.queued[group.name],
                since=evaluation.created_at,
                elsewhere=said is not None and said.disagrees and not said.placed,
            )
            hold = _beyond_help(want, evaluation) or _given_up(snapshot, want)
            if hold is None:
                wants.append(want)
            else:
                holds.append(hold)
    deferred = _burst(wants, snapshot.observed_at) if unsettled else frozenset()
    if deferred:
        holds.append(_deferred(deferred))
    due = tuple(sorted((w for w in wants if w.since not in deferred), key=lambda w: w.order))
    return Demand(
        wants=due,
        holds=tuple(holds),
        deferred=tuple(w for w in wants if w.since in deferred),
        settling=young or bool(deferred),
    )


def _burst(wants: Sequence[Want], now: datetime) -> frozenset[datetime]:
    """Give the times of the last burst of wants if it may go on: bought drop by drop, machines would come out dearer.

    Wants that follow each other within 3 s are one burst, which ends after 10 s at the latest.
    """
    burst: list[datetime] = []
    for since in sorted({want.since for want in wants}):
        if burst and (since - burst[-1] > SETTLES or since - burst[0] >= BURST):
            burst = []
        burst.append(since)
    return frozenset(burst) if burst and now - burst[0] < BURST else frozenset()


def _deferred(times: frozenset[datetime]) -> Hold:
    most = BURST // timedelta(seconds=1)
    message = f"jobs are coming in since {min(times):%H:%M:%S}: what they lack is bought as one, {most} s later at most"
    return Hold(subject="demand", reason=Reason.NOT_YET_DECIDED, message=message, passing=True)


def _evaluations(snapshot: Snapshot) -> tuple[dict[tuple[str, str], Evaluation], dict[tuple[str, str], datetime]]:
    """Give each job's newest blocked evaluation, and since when one is pending; to wait for a time is neither."""
    blocked: dict[tuple[str, str], Evaluation] = {}
    pending: dict[tuple[str, str], datetime] = {}
    for evaluation in sorted(snapshot.evaluations, key=lambda e: (e.created_at, e.id)):
        job = (evaluation.namespace, evaluation.job_id)
        if evaluation.type not in _WORK or evaluation.node_id:
            continue
        if evaluation.status == "blocked":
            blocked[job] = evaluation
        elif evaluation.wait_until is None or evaluation.wait_until <= snapshot.observed_at:
            pending[job] = evaluation.created_at
    return blocked, pending


def _paused(blocked: Mapping[tuple[str, str], Evaluation], pending: Mapping[tuple[str, str], datetime]) -> Demand:
    waiting = len(pending.keys() | blocked.keys())
    if not waiting:
        return Demand()
    message = (
        f"the evaluation broker is paused (PauseEvalBroker), {waiting} job{'s' * (waiting != 1)} wait:"
        " nothing is decided until an operator unpauses it"
    )
    return Demand(holds=(Hold(subject="demand", reason=Reason.BROKER_PAUSED, message=message),))


def _undecided(job: Job, why: str) -> Hold:
    message = f"{job.name}: {why}, so Nomad has not decided yet what it lacks"
    return Hold(subject=f"job/{job.name}", reason=Reason.NOT_YET_DECIDED, message=message, passing=True)


def _beyond_help(want: Want, evaluation: Evaluation) -> Hold | None:
    """Say why no machine that we could launch would help."""
    why = next(_blockers(want, evaluation), None)
    if why is None:
        return None
    message = f"{want.copies} of {want.name} cannot be placed: {why}; no new machine changes that"
    return Hold(subject=want.subject, reason=Reason.UNSATISFIABLE, message=message)


def _stalled(snapshot: Snapshot, job: Job) -> Hold | None:
    """Say of a service of which Nomad wants no more copies although some are missing: nothing waits that could be seen.

    It is so once a deployment failed (at its progress deadline, by default 10 min after the first copy) or is paused.
    """
    mine = (job.namespace, job.id)
    young = job.submitted_at is None or snapshot.observed_at - job.submitted_at <= STALLED
    if job.type != "service" or young or any((e.namespace, e.job_id) == mine for e in snapshot.evaluations):
        return None
    there = {g.name: snapshot.copies_by_group.get((*mine, g.name), 0) for g in job.groups}
    some = [
        f"{g.count - there[g.name]} of {g.count} {job.name}.{g.name}" for g in job.groups if g.count > there[g.name]
    ]
    if not some:
        return None
    message = (
        f"{' and '.join(some)} neither run nor wait: Nomad wants no more of them now, as after a deployment that"
        f" failed at its progress deadline or is paused; see `nomad job status {job.id}`, and ask anew by"
        f" `nomad job eval {job.id}` or by registering it again"
    )
    return Hold(subject=f"job/{job.name}", reason=Reason.STALLED, message=message)


def _given_up(snapshot: Snapshot, want: Want) -> Hold | None:
    """Say why nothing more is bought for a want that was bought for before, and not placed."""
    miss = snapshot.predictions.missed_of(want.job.name, want.group.name)
    if miss is None or (miss.until is not None and miss.until <= snapshot.observed_at):
        return None
    ready = (
        f"machines for it were ready first at {miss.since:%H:%M:%S}, {miss.times} time{'s' * (miss.times > 1)} so far"
    )
    if miss.until is not None:
        what = f"nothing more is bought for it until {miss.until:%H:%M:%S}"
    else:
        what = "given up until the job or the document changes"
    message = f"{want.copies} of {want.name} wait, prediction missed: {miss.why}; {ready}; {what}"
    return Hold(subject=want.subject, reason=Reason.GIVEN_UP, message=message)


def _blockers(want: Want, evaluation: Evaluation) -> Iterator[str]:
    if evaluation.quota_limit:
        yield f"quota {evaluation.quota_limit} is exhausted"
    if evaluation.missing:
        yield f"{', '.join(evaluation.missing)} does not exist"
    failure = evaluation.failures.get(want.group.name)
    if failure is not None:
        if failure.quota:
            yield f"quota is exhausted ({', '.join(failure.quota)})"
        if any(v.kind == "csi" for v in want.group.volumes):
            yield from (c for c in failure.constraints if c.startswith(("CSI volume", "missing CSI volume")))
    if (blocker := unsatisfiable(want.group)) is not None:
        yield blocker.text
