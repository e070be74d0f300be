"""A workload and a document become a scenario: the document's account, and every step that somebody takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from providers.sandbox.workloads.jobs import count_of, group_of, job_json
from providers.sandbox.workloads.shapes import arrivals, wave
from providers.sandbox.world.ec2.prices import noise
from providers.sandbox.world.ec2.state import CapacityLimit, Image, Mishap, Outage, PriceMove, Quota, Reclaim
from providers.sandbox.world.scenario import AccountSpec, Scenario, Step, SubnetSpec
from schemas.document import ClusterGroup, Duration
from schemas.workload import Job, Market, Workload


def scenario_of(workload: Workload, groups: Sequence[ClusterGroup], *, seconds: float, seed: int) -> Scenario:
    """Give the scenario of so many virtual seconds: what happens later is left out.

    The account has what the documents name: region, subnets, security groups, images.
    """
    steps = [step for job in workload.jobs for step in _steps_of(job, seconds=seconds, seed=seed)]
    steps += [
        Step(do=s.do, at=_at(s.at), job=s.job, group=s.group, count=s.count, purge=s.purge) for s in workload.steps
    ]
    kept = sorted((step for step in steps if step.at < seconds), key=lambda step: step.at)
    return Scenario(name=workload.name, about=workload.about, account=_account(groups, workload.market), steps=kept)


# --- work ------------------------------------------------------------------------------------------------------------


def _steps_of(job: Job, *, seconds: float, seed: int) -> Iterator[Step]:
    """Give what is done with one entry of the list, all its copies."""
    begin = _at(job.from_)
    end = min(seconds, _at(job.until, default=seconds))
    for number in range(job.copies):
        name = f"{job.name}-{number + 1}" if job.copies > 1 else job.name
        key = f"{seed}/{name}"
        if job.arrivals is not None:
            for place, at in enumerate(arrivals(job.arrivals, begin=begin, end=end, key=key), start=1):
                yield _submitted(job, f"{name}-{place}", at, count_of(job), key=f"{key}/{place}")
            continue
        first, *later = _counts(job, begin, end, key)
        yield _submitted(job, name, begin, first[1], key=key)
        for at, count in later:
            yield Step(do="scale", at=at, job=name, group=group_of(job), count=count or 0)
        if job.until is not None and end < seconds:
            yield Step(do="stop-job", at=end, job=name)


def _submitted(job: Job, name: str, at: float, count: int | None, *, key: str) -> Step:
    run = None
    if job.run_for is not None:
        run = round(job.run_for.total_seconds() * (1 + (2 * noise(key, "run") - 1) * job.run_noise / 100), 1)
    return Step(do="register-job", at=at, job=job_json(job, name, count=count, run_seconds=run))


def _counts(job: Job, begin: float, end: float, key: str) -> list[tuple[float, int | None]]:
    if job.daily is not None:
        return list(wave(job.daily, begin=begin, end=end, key=key)) or [(begin, job.daily.low)]
    said = [(_at(c.at), c.count) for c in job.counts if begin < _at(c.at) < end]
    return [(begin, count_of(job)), *sorted(said)]


def _at(moment: Duration | None, default: float = 0.0) -> float:
    return moment.total_seconds() if moment is not None else default


# --- the account -----------------------------------------------------------------------------------------------------


def _account(groups: Sequence[ClusterGroup], market: Market) -> AccountSpec:
    subnets = {s.id: s.zone for group in groups for s in group.spec.aws.subnets}
    images = {i.id: i for group in groups for i in _images(group)}
    return AccountSpec(
        region=groups[0].spec.aws.region,
        subnets=[SubnetSpec(id=id_, zone=zone) for id_, zone in sorted(subnets.items())],
        security_groups=sorted({sg for group in groups for sg in group.spec.aws.security_groups}),
        images=[images[id_] for id_ in sorted(images)],
        capacity=[
            CapacityLimit(live_max=c.machines, market=c.market, **_where(c), **_when(c)) for c in market.capacity
        ],
        quotas=[Quota(market=q.market, family=q.family, vcpus_max=q.vcpus) for q in market.quotas],
        price_moves=[PriceMove(share=p.percent / 100, **_where(p), **_when(p)) for p in market.spot],
        mishaps=[
            Mishap(
                kind=m.kind,
                times=m.times,
                role=m.role,
                figure=m.percent / 100 if m.kind == "less-memory" else _at(m.delay),
                **_where(m),
            )
            for m in market.launch_trouble
        ],
        interruptions_per_day=market.interruptions_per_day,
        reclaims=[
            Reclaim(at=_at(r.at), share=r.percent / 100, lack=_at(r.lack), advice=_at(r.advice), **_where(r))
            for r in market.reclaims
        ],
        outages=[Outage(zone=o.zone, since=_at(o.from_), until=_at(o.until), silent=o.silent) for o in market.outages],
    )


def _images(group: ClusterGroup) -> Iterator[Image]:
    """Give each image that a machine of the group may be made from."""
    spec = group.spec
    for machine in (spec.machine, *((spec.servers.machine,) if spec.servers else ()), *(p.machine for p in spec.pools)):
        for arch, name in (getattr(machine, "images", None) or {}).items():
            yield Image(id=name, arch=arch)


def _where(pools: Any) -> dict[str, Any]:
    return {"types": pools.types, "zones": pools.zones}


def _when(passing: Any) -> dict[str, Any]:
    return {"since": _at(passing.from_), "until": None if passing.until is None else _at(passing.until)}
