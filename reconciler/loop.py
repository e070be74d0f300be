"""When: one tick after the other, for each group, until it is asked to stop or everything has converged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import anyio

from reconciler.arbiter import arbitrate, freeze
from reconciler.errors import JournalBrokenError, PlanChangedError
from reconciler.executor import Executor
from reconciler.journal import Journal, Ledger, open_intents
from reconciler.leadership import Leader, fenced
from reconciler.observe import Ground, Observer, forgotten
from reconciler.packing.census import registered
from reconciler.packing.predictions import judged, questions
from reconciler.ports import Clock, Ec2, Locks, NomadDoor, SnapshotPlace, Store
from reconciler.reconcilers import plan_all
from reconciler.reconcilers.servers import remembered
from schemas.catalogue import Catalogue
from schemas.document import ClusterGroup
from schemas.faults import Fault, Source
from schemas.names import formed_marker
from schemas.nomad_plan import JobPlan
from schemas.plan import Launch, Outcome, Plan, Reason, Result
from schemas.record import EXPIRY
from schemas.world import Claim, Snapshot

PACE_BUSY = 1.0  # seconds between ticks while an intent is open or a short clock runs
PACE_CALM = 10.0
PACE_MOST = 60.0  # the back-off's longest pause
MINUTE = 60.0
NEXT_BEST = 3  # times that a tick decides anew because an offering gave less than it was asked for
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
    locks: Locks | None = None  # none: nobody else can act on this world
    holder: str = ""  # who we are, for those whom our lock keeps waiting
    found: Callable[[Sequence[str]], None] = lambda _: None  # told where Nomad is, which keeps the store
    snapshots: SnapshotPlace | None = None  # none: snapshots cannot be kept
    management: NomadDoor | None = None  # the cluster with the bootstrap token, for server steps; none: as ``nomad``
    secret: str = field(default="", repr=False)  # the bootstrap token itself


Outside = Callable[[ClusterGroup], Ports]
"""Finds a group's ports; one group has one region, one cluster and one store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What one pass over one group saw, decided and did."""

    group: ClusterGroup
    snapshot: Snapshot
    plan: Plan
    outcomes: tuple[Outcome, ...] = ()  # of resumed intents first, then of the plan's actions
    open_intents: int = 0
    led_by: str = ""  # another replica: we only looked

    @property
    def overdue(self) -> tuple[Claim, ...]:
        """Claims whose machines did not register in time: failed launches (semantics §12)."""
        timeouts = {pool.name: pool.registration.timeout for pool in self.group.spec.pools}
        now = self.snapshot.observed_at
        return tuple(c for c in self._awaited if now - c.asked_at > timeouts.get(c.pool, timedelta.max))

    @property
    def _awaited(self) -> tuple[Claim, ...]:
        """Claims whose machines are not all nodes yet."""
        return tuple(c for c in self.snapshot.claims if not registered(self.snapshot, c))

    @property
    def converged(self) -> bool:
        """Nothing to do, nothing begun, nothing on its way, no clock that would act (semantics §12)."""
        under_way = len(self._awaited) > len(self.overdue)
        passing = any(hold.passing for hold in self.plan.holds)
        return not (self.led_by or self.plan.actions or self.outcomes or self.open_intents or under_way or passing)

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
        self.group, self.ports = group, ports
        self.ended = False
        self.seen: frozenset[str] | None = None  # ids of the group's machines at the last look; None: not known
        self._next: ClusterGroup | None = None
        self._launched: list[tuple[float, int]] = []  # machines of the last minute, by a clock that never jumps
        self._hurry = anyio.Event()
        self._journal = Journal(ports.store, group.metadata.name)
        self._observer = Observer(
            group=group,
            catalogue=ports.catalogue,
            clock=ports.clock,
            ec2=ports.ec2,
            door=ports.nomad,
            management=ports.management or ports.nomad,
        )
        self._leader = (
            Leader(ports.locks, ports.store, group.metadata.name, holder=ports.holder) if ports.locks else None
        )
        self._failures = 0

    @property
    def clock(self) -> Clock:
        """The clock by which its ticks are timed."""
        return self.ports.clock

    def take(self, group: ClusterGroup) -> None:
        """Go by another version of the document from the next tick on, which is now."""
        self._next = group
        self.hurry()

    def hurry(self) -> None:
        """Bring the next tick forward."""
        self._hurry.set()

    def end(self) -> None:
        """Make no further tick; one that is under way goes to its end."""
        self.ended = True
        self.hurry()

    async def rest(self, seconds: float) -> None:
        """Wait for the next tick's time, or until it is brought forward."""
        least = min(seconds, PACE_BUSY)  # a storm of hints is one
        await anyio.sleep(least)
        with anyio.move_on_after(seconds - least):
            await self._hurry.wait()
        self._hurry = anyio.Event()

    async def plan(self) -> Tick:
        """Look and decide; change nothing."""
        return self._planned(await self._look(await self._ground()))

    async def tick(self, *, only: str | None = None) -> Tick:
        """Look, resume what was cut short, decide, do. Under ``mode: observe`` and ``paused`` nothing is done.

        ``only``: the digest of the one plan that may be carried out. Raises PlanChangedError, before anything is done.
        """
        if self._next is not None:
            self.group = self._observer.group = self._next
            self._next = None
        if self.group.spec.mode != "enforce":
            return await self.plan()
        ground = await self._ground()
        if self._leader is None:
            return await self._act(ground, None, only)
        fault = None
        try:
            if (other := await self._leader.stand()) is not None:
                return self._standby(ground, other)
        except Fault as silent:
            fault = silent.message
        async with self._leader.kept():
            return await self._act(ground, fault, only)

    async def resign(self) -> None:
        """Let another replica lead at once."""
        if self._leader is not None:
            await self._leader.resign()

    async def _act(self, ground: Ground, store_fault: str | None, only: str | None) -> Tick:
        snapshot = await self._look(ground, store_fault)
        if only is not None and (digest := self._planned(snapshot).plan.digest) != only:
            raise PlanChangedError(digest=digest, wanted=only)
        ec2, nomad = self.ports.ec2, (self.ports.management or self.ports.nomad).at(ground.addresses)
        if self._leader is not None:
            ec2, nomad = fenced(ec2, self._leader.check), fenced(nomad, self._leader.check)
        executor = Executor(
            group=self.group,
            clock=self.clock,
            ec2=ec2,
            nomad=nomad,
            journal=self._journal,
            snapshots=self.ports.snapshots,
            secret=self.ports.secret,
        )
        outcomes = [] if freeze(snapshot) else await executor.resume()
        self._note_launches(outcomes)
        if outcomes:
            snapshot = await self._look(await self._ground(), store_fault)  # what they gave counts
        snapshot = await self._keep_house(snapshot, await self._answers(ground, snapshot))
        plan = self._decide(snapshot)
        done = [await executor.apply(action, snapshot) for action in plan.actions]
        for _ in range(NEXT_BEST if only is None else 0):  # a digest approves one plan, not what comes in its place
            if not any(_short(outcome) for outcome in done):
                break
            outcomes += done
            self._note_launches(done)
            snapshot = await self._keep_house(await self._look(await self._ground(), store_fault), [])
            plan = self._decide(snapshot)
            done = [await executor.apply(a, snapshot) for a in plan.actions if isinstance(a, Launch)]
        self._note_launches(done)
        outcomes += done
        return self._tick(snapshot, plan, tuple(outcomes), open_intents(self._journal.ledger))

    def pause(self, tick: Tick) -> float:
        """Say how many seconds the next tick may wait: soon while something is open, ever longer while all fails."""
        self._failures = self._failures + 1 if tick.failed else 0
        if self._failures:
            base = min(PACE_MOST, PACE_BUSY * 2.0**self._failures)
        else:
            base = PACE_BUSY if tick.hurried else PACE_CALM
        return base if base == PACE_BUSY else base * (0.8 + 0.4 * self.ports.chance())

    def _planned(self, snapshot: Snapshot) -> Tick:
        known = judged(snapshot, self.group)
        snapshot = replace(snapshot, record=remembered(snapshot, self.group), predictions=known)
        return self._tick(snapshot, self._decide(snapshot), (), open_intents(self._journal.ledger))

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

    def _standby(self, ground: Ground, other: str) -> Tick:
        """Tell who leads, and ask nothing more."""
        said = f"not asked: {other} holds the lock of this group"
        snapshot = Snapshot(
            observed_at=ground.at,
            catalogue=self.ports.catalogue,
            instances=ground.instances,
            templates=ground.templates,
            unanswered={**ground.unanswered, Source.NOMAD: said, Source.STORE: said},
        )
        held = Plan.held("group", Reason.LED_ELSEWHERE, f"{other} holds the lock of this group and acts for it")
        return replace(self._tick(snapshot, held, (), 0), led_by=other)

    async def _ground(self) -> Ground:
        ground = await self._observer.ground()
        self.ports.found(ground.addresses)
        self.seen = None if Source.EC2 in ground.unanswered else frozenset(i.id for i in ground.instances)
        if self._leader is not None:
            marked = formed_marker(self.group.metadata.name) in ground.templates
            known = Source.EC2 not in ground.unanswered
            self._leader.forming = self.group.spec.servers is not None and known and not marked
        return ground

    async def _look(self, ground: Ground, fault: str | None = None) -> Snapshot:
        why = None
        if fault is None:
            try:
                await self._journal.read()
                if self._leader is not None and self._leader.term:
                    await self._journal.begin(self._leader.term)
            except Fault as silent:
                fault = silent.message
            except JournalBrokenError as broken:
                fault = why = str(broken)
        snapshot = await self._observer.observe(ground, None if fault else self._journal.ledger, fault)
        launched = max(snapshot.launched_last_minute, sum(count for _, count in self._launches()))
        return replace(snapshot, journal_broken=why, launched_last_minute=launched)

    def _launches(self) -> list[tuple[float, int]]:
        """Give the launches of the last minute. The journal's are by the wall clock: when it jumps, it ends early."""
        self._launched = [(at, count) for at, count in self._launched if at > anyio.current_time() - MINUTE]
        return self._launched

    def _note_launches(self, outcomes: Sequence[Outcome]) -> None:
        came = sum(len(o.instance_ids) for o in outcomes if isinstance(o.action, Launch))
        if came:
            self._launched.append((anyio.current_time(), came))

    async def _answers(self, ground: Ground, snapshot: Snapshot) -> list[JobPlan]:
        """Ask Nomad's scheduler about what waits for no reason that we know; where it is silent, nothing is learnt."""
        nomad = self.ports.nomad.at(ground.addresses)
        heard = []
        for namespace, job_id in questions(snapshot, self.group):
            with contextlib.suppress(Fault):
                if (said := await nomad.job_plan(namespace, job_id)) is not None:
                    heard.append(said)
        return heard

    async def _keep_house(self, snapshot: Snapshot, answers: Sequence[JobPlan]) -> Snapshot:
        """Begin the journal where there is none, note what this look taught us, forget claims that are over."""
        ledger = self._journal.ledger
        if snapshot.unanswered.keys() & {Source.STORE, Source.EC2} or freeze(snapshot):
            return snapshot
        kept = ledger or Ledger(store_id=self.ports.new_id())
        gone, record = forgotten(snapshot), remembered(snapshot, self.group)
        known = judged(snapshot, self.group, answers)
        if gone or ledger is None or record != kept.servers or known != kept.predictions:
            left = tuple(c for c in kept.claims if c.name not in gone)
            try:
                await self._journal.write(replace(kept, claims=left, servers=record, predictions=known))
            except Fault as fault:
                return replace(snapshot, unanswered={**snapshot.unanswered, Source.STORE: fault.message})
        claims = tuple(c for c in snapshot.claims if c.name not in gone)
        return replace(snapshot, claims=claims, store_id=kept.store_id, record=record, predictions=known)


def _short(outcome: Outcome) -> bool:
    """Tell whether a launch gave fewer machines than it was to give, for reasons that are remembered by now."""
    wanting = outcome.result in {Result.PARTLY, Result.REFUSED}
    return isinstance(outcome.action, Launch) and wanting and bool(outcome.errors)


# --- runs ------------------------------------------------------------------------------------------------------------

Report = Callable[[Tick], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of one group's ticks under ``--once``."""

    last: Tick
    done: int  # effects that took place
    waited_out: bool = False  # --wait ran out before all had converged


async def run_once(loop: GroupLoop, *, wait: timedelta | None, report: Report, only: str | None = None) -> Run:
    """Make one pass, or with ``wait`` as many as it takes until converged or the time is over.

    A lock held elsewhere is waited for through one expiry: whoever still has it then is alive. ``only`` is the digest
    that the first pass's plan must have, else PlanChangedError.
    """
    try:
        return await _passes(loop, wait=wait, report=report, only=only)
    finally:
        await loop.resign()


async def _passes(loop: GroupLoop, *, wait: timedelta | None, report: Report, only: str | None) -> Run:
    clock = loop.clock
    until = clock.now() + wait if wait is not None else None
    led_until = clock.now() + timedelta(seconds=EXPIRY + PACE_BUSY)
    done, told = 0, False
    while True:
        tick = await loop.tick(only=only)
        if tick.led_by and clock.now() < led_until:
            if not told:
                report(tick)
            told = True
            await clock.sleep(PACE_BUSY)
            continue
        only = None
        done += sum(outcome.result in {Result.DONE, Result.PARTLY} for outcome in tick.outcomes)
        report(tick)
        if until is None or tick.led_by or tick.converged or loop.group.spec.mode != "enforce":
            return Run(last=tick, done=done)
        pause = loop.pause(tick)
        if clock.now() + timedelta(seconds=pause) > until:
            return Run(last=tick, done=done, waited_out=True)
        await clock.sleep(pause)


Surprised = Callable[[ClusterGroup, Exception], None]


async def run_for_ever(loop: GroupLoop, *, report: Report, surprised: Surprised) -> None:
    """Tick until ended or cancelled. A mistake of ours in one tick is told, and stops neither it nor other groups."""
    try:
        while not loop.ended:
            pause = PACE_MOST
            try:
                tick = await loop.tick()
            except Exception as mistake:  # noqa: BLE001 - the one place where a service outlives its own mistakes
                surprised(loop.group, mistake)
            else:
                report(tick)
                pause = loop.pause(tick)
            await loop.rest(pause)
    finally:
        await loop.resign()


BLOCKED = {Reason.SOURCE_UNANSWERED, Reason.FROZEN, Reason.WRONG_CLUSTER}
WORST_FIRST = (69, 1, 3, 5, 0)


def exit_code(runs: list[Run]) -> int:
    """Give the exit code of design §7 for several groups: the worst counts."""
    return min((_exit_code(run) for run in runs), key=WORST_FIRST.index, default=0)


def _exit_code(run: Run) -> int:
    tick = run.last
    if tick.led_by:
        return 5
    if not run.done and any(hold.reason in BLOCKED for hold in tick.plan.holds):
        return 69
    if run.waited_out:
        return 1
    failed = [o for o in tick.outcomes if o.result not in {Result.DONE, Result.PARTLY}]
    if failed or tick.overdue:
        return 3 if run.done else 1
    return 0
