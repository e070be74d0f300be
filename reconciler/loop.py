"""When: one tick after the other, for each group, until it is asked to stop or everything has converged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.arbiter import arbitrate, freeze
from reconciler.errors import JournalBrokenError
from reconciler.executor import Executor
from reconciler.journal import Journal, Ledger, open_intents
from reconciler.observe import Observer, forgotten
from reconciler.ports import Clock, Ec2, NomadDoor, Store
from reconciler.reconcilers import plan_all
from reconciler.reconcilers.servers import remembered
from schemas.catalogue import Catalogue
from schemas.document import ClusterGroup
from schemas.faults import Fault, Source
from schemas.plan import Outcome, Plan, Reason, Result
from schemas.world import Claim, Snapshot

PACE_BUSY = 1.0  # seconds between ticks while an intent is open or a short clock runs
PACE_CALM = 10.0
PACE_MOST = 60.0  # the back-off's longest pause
SHORT_CLOCKS = {Reason.NOT_YET_DECIDED, Reason.REPLAYING, Reason.LAUNCH_RATE, Reason.SERVER_LEAVING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The outside, as bootstrap chose it."""

    clock: Clock
    ec2: Ec2
    nomad: NomadDoor
    store: Store
    catalogue: Catalogue
    new_id: Callable[[], str]
    chance: Callable[[], float]  # 0 to 1, for jitter alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What one pass over one group saw, decided and did."""

    group: ClusterGroup
    snapshot: Snapshot
    plan: Plan
    outcomes: tuple[Outcome, ...] = ()  # of resumed intents first, then of the plan's actions
    open_intents: int = 0

    @property
    def overdue(self) -> tuple[Claim, ...]:
        """Claims whose machines did not register in time: failed launches (semantics §12)."""
        timeouts = {pool.name: pool.registration.timeout for pool in self.group.spec.pools}
        now = self.snapshot.observed_at
        return tuple(c for c in self.snapshot.claims if now - c.asked_at > timeouts.get(c.pool, timedelta.max))

    @property
    def converged(self) -> bool:
        """Nothing to do, nothing begun, nothing on its way, no clock that would act (semantics §12)."""
        under_way = len(self.snapshot.claims) > len(self.overdue)
        passing = any(hold.passing for hold in self.plan.holds)
        return not (self.plan.actions or self.outcomes or self.open_intents or under_way or passing)

    @property
    def failed(self) -> bool:
        """It had something to do, and nothing of it was done."""
        return bool(self.outcomes) and not any(o.result in {Result.DONE, Result.PARTLY} for o in self.outcomes)

    @property
    def hurried(self) -> bool:
        """A second from now there may be something to do."""
        partly = any(outcome.result is Result.PARTLY for outcome in self.outcomes)
        return bool(self.open_intents) or partly or any(hold.reason in SHORT_CLOCKS for hold in self.plan.holds)


class GroupLoop:
    """One group's ticks. Keeps nothing between two of them that is not in the store or in the world."""

    def __init__(self, group: ClusterGroup, ports: Ports) -> None:
        self.group = group
        self._ports = ports
        self._journal = Journal(ports.store, group.metadata.name)
        self._observer = Observer(
            group=group, catalogue=ports.catalogue, clock=ports.clock, ec2=ports.ec2, door=ports.nomad
        )
        self._failures = 0

    async def plan(self) -> Tick:
        """Look and decide; change nothing."""
        snapshot = await self._look()
        snapshot = replace(snapshot, record=remembered(snapshot, self.group))
        return self._tick(snapshot, self._decide(snapshot), (), open_intents(self._journal.ledger))

    async def tick(self) -> Tick:
        """Look, resume what was cut short, decide, do. Under ``mode: observe`` and ``paused`` nothing is done."""
        if self.group.spec.mode != "enforce":
            return await self.plan()
        snapshot = await self._look()
        executor = Executor(
            group=self.group,
            clock=self._ports.clock,
            ec2=self._ports.ec2,
            nomad=self._ports.nomad.at(self._observer.addresses(snapshot.instances)),
            journal=self._journal,
        )
        outcomes = [] if freeze(snapshot) else await executor.resume()
        if outcomes:
            snapshot = await self._look()  # what they gave counts
        snapshot = await self._keep_house(snapshot)
        plan = self._decide(snapshot)
        for action in plan.actions:
            outcomes.append(await executor.apply(action, snapshot))
        return self._tick(snapshot, plan, tuple(outcomes), open_intents(self._journal.ledger))

    def pause(self, tick: Tick) -> float:
        """Say how many seconds the next tick may wait: soon while something is open, ever longer while all fails."""
        self._failures = self._failures + 1 if tick.failed else 0
        if self._failures:
            base = min(PACE_MOST, PACE_BUSY * 2.0**self._failures)
        else:
            base = PACE_BUSY if tick.hurried else PACE_CALM
        return base if base == PACE_BUSY else base * (0.8 + 0.4 * self._ports.chance())

    def _decide(self, snapshot: Snapshot) -> Plan:
        plan = arbitrate(snapshot, self.group, plan_all(snapshot, self.group))
        match self.group.spec.mode:
            case "observe":
                why = f"mode: observe: {len(plan.actions)} actions are planned, and none is carried out"
                return plan + Plan.held("group", Reason.OBSERVING, why)
            case "paused":
                return Plan.held("group", Reason.PAUSED, "mode: paused: nothing is done, open intents included")
            case _:
                return plan

    def _tick(self, snapshot: Snapshot, plan: Plan, outcomes: tuple[Outcome, ...], open_intents: int) -> Tick:
        return Tick(group=self.group, snapshot=snapshot, plan=plan, outcomes=outcomes, open_intents=open_intents)

    async def _look(self) -> Snapshot:
        fault = why = None
        try:
            await self._journal.read()
        except Fault as silent:
            fault = silent.message
        except JournalBrokenError as broken:
            fault = why = str(broken)
        snapshot = await self._observer.observe(None if fault else self._journal.ledger, fault)
        return replace(snapshot, journal_broken=why)

    async def _keep_house(self, snapshot: Snapshot) -> Snapshot:
        """Begin the journal where there is none, note what this look showed of servers, forget claims that are over."""
        ledger = self._journal.ledger
        if snapshot.unanswered.keys() & {Source.STORE, Source.EC2} or freeze(snapshot):
            return snapshot
        kept = ledger or Ledger(store_id=self._ports.new_id())
        gone, record = forgotten(snapshot), remembered(snapshot, self.group)
        if gone or ledger is None or record != kept.servers:
            left = tuple(c for c in kept.claims if c.name not in gone)
            try:
                await self._journal.write(replace(kept, claims=left, servers=record))
            except Fault as fault:
                return replace(snapshot, unanswered={**snapshot.unanswered, Source.STORE: fault.message})
        claims = tuple(c for c in snapshot.claims if c.name not in gone)
        return replace(snapshot, claims=claims, store_id=kept.store_id, record=record)


# --- runs ------------------------------------------------------------------------------------------------------------

Report = Callable[[Tick], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of one group's ticks under ``--once``."""

    last: Tick
    done: int  # effects that took place
    waited_out: bool = False  # --wait ran out before all had converged


async def run_once(loop: GroupLoop, clock: Clock, *, wait: timedelta | None, report: Report) -> Run:
    """Make one pass, or with ``wait`` as many as it takes until converged or the time is over."""
    until = clock.now() + wait if wait is not None else None
    done = 0
    while True:
        tick = await loop.tick()
        done += sum(outcome.result in {Result.DONE, Result.PARTLY} for outcome in tick.outcomes)
        report(tick)
        if until is None or tick.converged or loop.group.spec.mode != "enforce":
            return Run(last=tick, done=done)
        pause = loop.pause(tick)
        if clock.now() + timedelta(seconds=pause) > until:
            return Run(last=tick, done=done, waited_out=True)
        await clock.sleep(pause)


async def run_for_ever(
    loop: GroupLoop, clock: Clock, *, report: Report, surprised: Callable[[ClusterGroup, Exception], None]
) -> None:
    """Tick until cancelled. A mistake of ours in one group's tick is told, and stops neither it nor the others."""
    while True:
        pause = PACE_MOST
        try:
            tick = await loop.tick()
        except Exception as mistake:  # noqa: BLE001 - the one place where a service outlives its own mistakes
            surprised(loop.group, mistake)
        else:
            report(tick)
            pause = loop.pause(tick)
        await clock.sleep(pause)


BLOCKED = {Reason.SOURCE_UNANSWERED, Reason.FROZEN, Reason.WRONG_CLUSTER}
WORST_FIRST = (69, 1, 3, 0)


def exit_code(runs: list[Run]) -> int:
    """Give the exit code of design §7 for several groups: the worst counts."""
    return min((_exit_code(run) for run in runs), key=WORST_FIRST.index, default=0)


def _exit_code(run: Run) -> int:
    tick = run.last
    if not run.done and any(hold.reason in BLOCKED for hold in tick.plan.holds):
        return 69
    if run.waited_out:
        return 1
    failed = [o for o in tick.outcomes if o.result not in {Result.DONE, Result.PARTLY}]
    if failed or tick.overdue:
        return 3 if run.done else 1
    return 0
