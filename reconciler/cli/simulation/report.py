"""The report of a simulated run, as values: what ``-o json`` prints (docs/reference/simulate.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.bootstrap.simulation import Chronicle, Simulated, Violation
from reconciler.cli.simulation.diary import Diary

DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFigures:
    """One pool's machines, or the servers'."""

    name: str
    mean: float
    peak: int
    launched: int
    ended: int
    machine_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """USD in all, and where they went; what EC2 bills for machines, nothing else."""

    total: float
    servers: float
    spot: float
    on_demand: float  # clients
    mean_per_hour: float
    dearest_hour: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Never:
    """Copies that wait at the end."""

    job: str
    group: str
    copies: int
    seconds: float
    why: str  # the newest hold about the job or machines for it; empty when there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """How long copies waited for a place, in seconds; replacements of earlier allocations count too."""

    jobs: int
    placed: int
    at_once: int
    median: float
    p95: float
    longest: float
    longest_job: str
    median_of_waiting: float  # of those that were not placed at once
    withdrawn: int  # nobody wanted them any more before they had a place
    never: tuple[Never, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Allocations that were replaced for one reason."""

    why: str
    type: str  # of job
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often something was."""

    what: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFigures:
    """All holds of one reason."""

    reason: str
    subjects: int
    times: int
    seconds: float
    longest: float
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """What went wrong on purpose."""

    calls: int
    strikes: int
    crashes: int
    script: str  # replays it, with --faults FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Hourly:
    """One value an hour: averages, but for ``queued``, which is the hour's peak."""

    clients: tuple[float, ...]
    spot: tuple[float, ...]
    on_demand: tuple[float, ...]
    servers: tuple[float, ...]
    usd: tuple[float, ...]
    queued: tuple[float, ...]
    allocations: tuple[float, ...]
    cpu_percent: tuple[float, ...]
    memory_percent: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a run showed."""

    group: str
    workload: str
    about: str
    seed: int
    hours: float
    looks: int
    pools: tuple[PoolFigures, ...]
    spent: Spent
    cpu_percent: float  # share of what ready nodes have that is allocated, over all time
    memory_percent: float
    waiting: Waited
    moves: tuple[Moved, ...]
    holds: tuple[HeldFigures, ...]
    actions: tuple[Tally, ...]
    refusals: tuple[Tally, ...]
    ended: tuple[Tally, ...]
    refused_steps: tuple[Tally, ...]
    violations: tuple[Violation, ...]
    surprises: tuple[str, ...]
    faults: Struck
    hourly: Hourly

    @property
    def sound(self) -> bool:
        """Nothing that must hold was broken, and no tick ended by a mistake of ours."""
        return not self.violations and not self.surprises


def report_of(run: Simulated, diary: Diary) -> Report:
    """Put the report together."""
    chronicle, plot = run.chronicle, run.plot
    hours = chronicle.hours
    names = ["servers", *(pool.name for pool in plot.group.spec.pools)]
    ended = Counter(f"{e.code} ({'servers' if e.pool == 'servers' else e.market})" for e in chronicle.machines.ended)
    return Report(
        group=plot.group.metadata.name,
        workload=plot.workload.name,
        about=plot.workload.about,
        seed=plot.seed,
        hours=round(plot.seconds / 3600, DIGITS),
        looks=diary.looks,
        pools=tuple(_pool(chronicle, name) for name in names),
        spent=_spent(chronicle),
        cpu_percent=_share(hours.total("cpu used"), hours.total("cpu")),
        memory_percent=_share(hours.total("memory used"), hours.total("memory")),
        waiting=_waited(run, diary),
        moves=tuple(Moved(why=w, type=t, count=n) for (w, t), n in sorted(chronicle.moves.counts.items())),
        holds=_holds(diary),
        actions=_tally(f"{action}: {result}" for action, result in diary.results.elements()),
        refusals=_tally(f"{code} ({market})" for code, market in diary.refusals.elements()),
        ended=_tally(ended.elements()),
        refused_steps=_tally(f"{step}: {why}" for step, why in run.refused_steps),
        violations=tuple(run.violations),
        surprises=tuple(run.surprises),
        faults=Struck(
            calls=run.faults.calls,
            strikes=len(run.faults.struck),
            crashes=run.crashes,
            script=run.faults.as_script(),
        ),
        hourly=_hourly(chronicle),
    )


def _pool(chronicle: Chronicle, name: str) -> PoolFigures:
    gauge = f"machines/{name}"
    total = chronicle.hours.total(gauge)
    return PoolFigures(
        name=name,
        mean=round(total * 3600 / chronicle.hours.now, 2) if chronicle.hours.now else 0.0,
        peak=round(max(chronicle.hours.highest(gauge), default=0.0)),
        launched=sum(m.pool == name for m in chronicle.machines.launched),
        ended=sum(m.pool == name for m in chronicle.machines.ended),
        machine_hours=round(total, 2),
    )


def _spent(chronicle: Chronicle) -> Spent:
    hours = chronicle.hours
    total = hours.total("usd")
    return Spent(
        total=round(total, DIGITS),
        servers=round(hours.total("usd/servers"), DIGITS),
        spot=round(hours.total("usd/spot"), DIGITS),
        on_demand=round(hours.total("usd/on-demand"), DIGITS),
        mean_per_hour=round(total * 3600 / hours.now, DIGITS) if hours.now else 0.0,
        dearest_hour=round(max(hours.averages("usd"), default=0.0), DIGITS),
    )


def _waited(run: Simulated, diary: Diary) -> Waited:
    waiting, now = run.chronicle.waiting, run.world.now
    seconds = sorted(wait.seconds for wait in waiting.waits)
    longest = max(waiting.waits, key=lambda wait: wait.seconds, default=None)
    never = tuple(
        Never(
            job=left.job,
            group=left.group,
            copies=left.copies,
            seconds=round(now - left.since, 1),
            why=diary.why(left.job, left.group),
        )
        for left in waiting.left()
    )
    return Waited(
        jobs=len(waiting.jobs),
        placed=len(seconds),
        at_once=sum(s == 0 for s in seconds),
        median=round(_quantile(seconds, 0.5), 1),
        p95=round(_quantile(seconds, 0.95), 1),
        longest=round(longest.seconds, 1) if longest else 0.0,
        longest_job=longest.job if longest else "",
        median_of_waiting=round(_quantile([s for s in seconds if s > 0], 0.5), 1),
        withdrawn=waiting.withdrawn,
        never=never,
    )


def _holds(diary: Diary) -> tuple[HeldFigures, ...]:
    found = [
        HeldFigures(
            reason=reason.value,
            subjects=len(held.subjects),
            times=held.times,
            seconds=round(held.seconds, 1),
            longest=round(held.longest, 1),
            example=held.example,
        )
        for reason, held in diary.held.items()
    ]
    return tuple(sorted(found, key=lambda held: (-held.seconds, held.reason)))


def _hourly(chronicle: Chronicle) -> Hourly:
    hours = chronicle.hours

    def shares(part: str, whole: str) -> tuple[float, ...]:
        return tuple(_share(a, b) for a, b in zip(hours.averages(part), hours.averages(whole), strict=True))

    def rounded(values: Sequence[float], digits: int = 2) -> tuple[float, ...]:
        return tuple(round(value, digits) for value in values)

    return Hourly(
        clients=rounded(hours.averages("clients")),
        spot=rounded(hours.averages("spot")),
        on_demand=rounded(hours.averages("on-demand")),
        servers=rounded(hours.averages("machines/servers")),
        usd=rounded(hours.averages("usd"), DIGITS),
        queued=rounded(hours.highest("queued")),
        allocations=rounded(hours.averages("allocations")),
        cpu_percent=shares("cpu used", "cpu"),
        memory_percent=shares("memory used", "memory"),
    )


def _tally(found: Iterable[str]) -> tuple[Tally, ...]:
    counted = Counter(found)
    return tuple(Tally(what=what, count=count) for what, count in sorted(counted.items()))


def _share(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Give the smallest value that so large a share does not exceed; 0 of nothing."""
    if not ordered:
        return 0.0
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]
