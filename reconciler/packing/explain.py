"""Why a job waits, group by group: what Nomad lacked, who could serve it, what is on its way, what it would cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.packing.serve import serve
from reconciler.packing.survey import Survey, survey
from reconciler.packing.wants import Want, demand
from reconciler.packing.why import pool_blocker
from schemas.document import ClusterGroup
from schemas.world import Evaluation, Job, Snapshot, TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAnswer:
    """What one pool can do for a group."""

    pool: str
    serves: bool
    text: str  # the offer that is cheapest for one copy, or the exact blocker


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupExplained:
    """Where one group of a job stands."""

    group: str
    queued: int
    why: tuple[str, ...]  # it waits: what holds it back, then Nomad's own words at the time it was blocked
    pools: tuple[PoolAnswer, ...]
    coming: tuple[str, ...] = ()  # room that is there or on its way for it
    price: float | None = None  # USD an hour of the machines that it alone would need besides; None: it needs none

    @property
    def waits(self) -> bool:
        """Some copies are not placed."""
        return self.queued > 0


def explain_job(snapshot: Snapshot, group: ClusterGroup, job: Job) -> tuple[GroupExplained, ...]:
    """Explain each group of a job as the planner sees it now; the order is the job's."""
    ground = survey(snapshot, group)
    waiting = demand(snapshot)
    held = [h.message for h in waiting.holds if h.subject in {f"job/{job.name}", "demand"}]
    served = serve(ground, waiting.wants)
    explained = []
    for task_group in job.groups:
        want = Want(job=job, group=task_group, copies=1, since=snapshot.observed_at)
        placed = [p for p in served.placed if (p.want.job.name, p.want.group.name) == (job.name, task_group.name)]
        explained.append(
            GroupExplained(
                group=task_group.name,
                queued=job.queued.get(task_group.name, 0),
                why=(*held, *_said(snapshot, job, task_group)),
                pools=tuple(sorted((_answer(ground, want, p.name) for p in ground.pools), key=lambda a: not a.serves)),
                coming=tuple(
                    f"{p.copies} on {p.room.candidate.name}{'' if not p.room.ready else ' (ready)'}" for p in placed
                ),
                price=_price(ground, want, job.queued.get(task_group.name, 0) - sum(p.copies for p in placed)),
            )
        )
    return tuple(explained)


def _said(snapshot: Snapshot, job: Job, group: TaskGroup) -> Iterator[str]:
    """Nomad's words: frozen when the evaluation was blocked, so they explain and do not count."""
    asked = snapshot.predictions.dispute_of(job.name, group.name)
    if asked is not None:
        words = f": {'; '.join(asked.said)}" if asked.said else ""
        yield (
            f"asked at {asked.asked_at:%H:%M:%S}, Nomad's scheduler would place {asked.placed} of it on nodes that are"
            f" ready, by our count {asked.copies} fit{words}"
        )
    for evaluation in _blocked(snapshot, job):
        failure = evaluation.failures.get(group.name)
        if failure is None:
            continue
        at = f"at {evaluation.created_at:%H:%M:%S}"
        if failure.nodes_evaluated == 0:
            yield f"{at} Nomad found no node at all in its datacenters and node pool {job.node_pool}"
        for what, nodes in sorted(failure.constraints.items()):
            yield f"{at} {nodes} of {failure.nodes_evaluated} nodes were filtered by: {what}"
        for what, nodes in sorted(failure.dimensions.items()):
            yield f"{at} {nodes} of {failure.nodes_evaluated} nodes were exhausted in: {what}"


def _blocked(snapshot: Snapshot, job: Job) -> Iterator[Evaluation]:
    for evaluation in snapshot.evaluations:
        if (evaluation.namespace, evaluation.job_id) == (job.namespace, job.id) and evaluation.status == "blocked":
            yield evaluation


def _answer(ground: Survey, want: Want, name: str) -> PoolAnswer:
    pool = next(p for p in ground.pools if p.name == name)
    why = pool_blocker(ground, pool, want)
    if why is not None:
        return PoolAnswer(pool=name, serves=False, text=why.text)
    served = serve(_only(ground, name), (want,))
    offer = served.machines[0].offers[0]
    room = "" if ground.left(pool) else f"; the pool is at its maximum of {pool.size.max} machines"
    return PoolAnswer(pool=name, serves=True, text=f"{offer.name} at {offer.price:.4f} USD an hour{room}")


def _only(ground: Survey, name: str) -> Survey:
    """One pool alone on empty ground."""
    spec = ground.group.spec
    alone = spec.model_copy(update={"pools": tuple(p for p in spec.pools if p.name == name)})
    group = ground.group.model_copy(update={"spec": alone})
    return replace(ground, group=group, rooms=replace(ground.rooms, rooms=()))


def _price(ground: Survey, want: Want, copies: int) -> float | None:
    if copies <= 0:
        return None
    machines = serve(replace(ground, rooms=replace(ground.rooms, rooms=())), (replace(want, copies=copies),)).machines
    return sum(m.count * m.offers[0].price for m in machines) if machines else None
