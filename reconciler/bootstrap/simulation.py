"""The very program over virtual days: one group's loop in a simulated world, and a chronicle of what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from providers.sandbox.chronicle import Chronicle
from providers.sandbox.doors import SandboxEc2, SandboxNomadDoor
from providers.sandbox.faults import Crashed, Faults, Kind, ShiftedClock, Strike, faulty, read_script
from providers.sandbox.invariants import Invariants, OverheardEc2, Violation
from providers.sandbox.shrink import shrink
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.workloads import WorkloadNotFoundError, scenario_of, shipped, text_of
from providers.sandbox.world.scenario import Scenario
from providers.sandbox.world.world import World
from providers.stores.sqlite import SqliteStore
from reconciler.bootstrap.source import catalogue
from reconciler.loop import PACE_BUSY, GroupLoop, Ports, Tick
from schemas.document import ClusterGroup, Servers
from schemas.faults import Source
from schemas.workload import LoadedWorkload, Workload, load_workload

__all__ = [
    "KINDS",
    "Chronicle",
    "Plot",
    "Simulated",
    "Violation",
    "WorkloadNotFoundError",
    "fault_rates",
    "fault_script",
    "shipped",
    "simulate",
    "smallest",
    "workload_of",
]

UNCHANGED, CALM = 60.0, 300.0  # seconds without a look while nothing changes: with something under way, and converged
RESTART = 5.0  # seconds until a process that died is there again


# --- what is to be simulated -----------------------------------------------------------------------------------------


def workload_of(name: str) -> LoadedWorkload:
    """Read a workload by path or shipped name. Raises WorkloadNotFoundError."""
    text, file = text_of(name)
    return load_workload(text, file=file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """What is simulated: the same plot has the same end, byte for byte."""

    group: ClusterGroup
    workload: Workload
    seconds: float
    seed: int = 0
    rates: Mapping[Kind, float] = field(default_factory=dict)  # faults by chance
    script: tuple[Strike, ...] = ()  # faults by number
    every_look: bool = False  # none is left out, though nothing changed

    def managed(self) -> ClusterGroup:
        """Give the group with servers: a document that leaves them alone gets three, or there would be no Nomad."""
        spec = self.group.spec
        if spec.servers is not None:
            return self.group
        nomad = spec.nomad.model_copy(update={"address": None})
        return self.group.model_copy(update={"spec": spec.model_copy(update={"servers": Servers(), "nomad": nomad})})

    def scenario(self) -> Scenario:
        """Give the account and the steps."""
        return scenario_of(self.workload, [self.group], seconds=self.seconds, seed=self.seed)


# --- what came of it -------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Simulated:
    """A run and all that is known of it."""

    plot: Plot
    world: World
    chronicle: Chronicle
    invariants: Invariants
    faults: Faults
    crashes: int = 0
    surprises: list[str] = field(default_factory=list)  # mistakes of ours that ended a tick

    @property
    def violations(self) -> Sequence[Violation]:
        """What did not hold."""
        return self.invariants.violations

    @property
    def refused_steps(self) -> list[tuple[str, str]]:
        """Steps that Nomad refused to the end, and its words."""
        workload = self.world.state.workload
        return [(_about(workload.steps[place]), why) for place, why in sorted(workload.refused.items())]


def _about(step: object) -> str:
    job = getattr(step, "job", None)
    return f"{getattr(step, 'do', '')} {job.get('ID', '') if isinstance(job, Mapping) else job}"


# --- the run ---------------------------------------------------------------------------------------------------------


def simulate(plot: Plot, report: Callable[[Tick], None] = lambda _: None) -> Simulated:
    """Run the program from the beginning to the plot's end; ``report`` hears of every tick."""
    world = World.create(plot.scenario(), seed=plot.seed, catalogue=catalogue())
    group = plot.managed()
    run = Simulated(
        plot=plot,
        world=world,
        chronicle=Chronicle(world, group.metadata.name),
        invariants=Invariants(world=world, group=group),
        faults=Faults(script=plot.script, seed=plot.seed, rates=plot.rates),
    )
    store = SqliteStore()
    try:
        run_virtual(lambda: _Life(run, group, store, report).live())
    finally:
        store.close()
    return run


@dataclass(slots=True)
class _Life:
    """The loop's life, with its deaths."""

    run: Simulated
    group: ClusterGroup
    store: SqliteStore
    report: Callable[[Tick], None]
    clock: LoopClock = field(default_factory=LoopClock)
    settled: bool = False  # it has converged once: from then on looks may be left out

    async def live(self) -> None:
        end = self.run.plot.seconds
        loop = GroupLoop(self.group, self._ports())
        while self.clock.seconds() < end:
            tick = await self._tick(loop)
            if tick is None:
                loop, pause, most = GroupLoop(self.group, self._ports()), RESTART, 0.0
            else:
                self.report(tick)
                self.settled = self.settled or tick.converged
                pause, most = loop.pause(tick), self._patience(tick)
            self._look()
            await self._wait(loop, tick, pause, most)
        self.run.world.advance(end)
        self._look()

    def _patience(self, tick: Tick) -> float:
        """Say how long looks may be left out while the world stays as it is."""
        busy = tick.hurried or tick.plan.actions or tick.outcomes or tick.snapshot.unanswered
        if self.run.plot.every_look or not self.settled or busy:
            return 0.0
        return CALM if tick.converged else UNCHANGED

    async def _tick(self, loop: GroupLoop) -> Tick | None:
        """Make one pass; None when the process died in it."""
        try:
            return await loop.tick()
        except BaseExceptionGroup as several:
            if several.split(Crashed)[1] is not None:
                self.run.surprises.append(f"{self.clock.seconds():.0f} s: {several!r}")
        except Crashed:
            pass
        except Exception as mistake:  # noqa: BLE001 - as in the service: told, and survived
            self.run.surprises.append(f"{self.clock.seconds():.0f} s: {type(mistake).__name__}: {mistake}")
        self.run.crashes += 1
        return None

    async def _wait(self, loop: GroupLoop, tick: Tick | None, pause: float, most: float) -> None:
        """Let the world go on until the next look at which there is something new, or ``most`` seconds have passed."""
        began, before = self.clock.seconds(), _signature(self.run.world)
        while True:
            await self._pass(pause)
            waited = self.clock.seconds() - began
            over = waited >= most or began + waited >= self.run.plot.seconds
            if over or tick is None or _signature(self.run.world) != before:
                return
            pause = min(loop.pause(tick), max(PACE_BUSY, most - waited))

    async def _pass(self, seconds: float) -> None:
        """Let so many seconds pass, looking at the world whenever something happens in it."""
        until = min(self.clock.seconds() + seconds, self.run.plot.seconds)
        while (now := self.clock.seconds()) < until:
            due = self.run.world.kernel.next_at()
            at = until if due is None else min(max(due, now), until)
            await self.clock.sleep(at - now)
            self.run.world.advance(at)
            if due is not None and due <= at:
                self._look()
            if self.clock.seconds() < at:  # floating point: a sleep may end a hair too early
                await self.clock.sleep(1e-6)

    def _look(self) -> None:
        self.run.chronicle.look()
        self.run.invariants.look()

    def _ports(self) -> Ports:
        world, faults, clock = self.run.world, self.run.faults, self.clock
        kernel = world.kernel
        ec2 = OverheardEc2(SandboxEc2(world, clock), self.run.invariants)
        nomad = SandboxNomadDoor(world, clock)
        quiet = not self.run.plot.rates and not self.run.plot.script
        return Ports(
            clock=clock if quiet else ShiftedClock(clock, faults),
            ec2=ec2 if quiet else faulty(ec2, faults, source=Source.EC2, clock=clock),
            nomad=nomad if quiet else faulty(nomad, faults, source=Source.NOMAD, clock=clock),
            store=self.store if quiet else faulty(self.store, faults, source=Source.STORE, clock=clock),
            catalogue=catalogue(),
            new_id=kernel.new_id,
            chance=lambda: kernel.chance().random(),
        )


def _signature(world: World) -> tuple[object, ...]:
    """What a look could find changed: Nomad's index, the servers, machines as they are shown."""
    now = world.now
    machines = tuple(
        (i.id, i.state, i.visible_at <= now, i.tags_visible_at <= now, i.rebalance_at, i.interruption_at, i.impaired)
        for i in world.state.ec2.instances.values()
    )
    servers = tuple((a.address, a.process, a.leader, len(a.config)) for a in world.state.servers.agents.values())
    return world.state.nomad.index, servers, machines


# --- faults ----------------------------------------------------------------------------------------------------------

KINDS = tuple(kind.value for kind in Kind)
LIGHT: Mapping[Kind, float] = {
    Kind.FAIL: 0.002,
    Kind.LOSE_REPLY: 0.001,
    Kind.DELAY: 0.001,
    Kind.STALE: 0.001,
    Kind.CRASH_AFTER: 0.0002,
    Kind.CRASH_BEFORE: 0.0002,
}
HEAVY: Mapping[Kind, float] = {kind: 10 * rate for kind, rate in LIGHT.items()}


def fault_rates(text: str) -> Mapping[Kind, float]:
    """Read ``light``, ``heavy``, or kinds with their chance a call: ``fail=0.01,delay=0.02``. Raises ValueError."""
    known = {"light": LIGHT, "heavy": HEAVY}
    if text in known:
        return known[text]
    rates: dict[Kind, float] = {}
    for part in text.split(","):
        name, _, rate = part.partition("=")
        rates[Kind(name.strip())] = float(rate)
    if not all(0 <= rate <= 1 for rate in rates.values()) or sum(rates.values()) > 1:
        raise ValueError(text)
    return rates


def fault_script(text: str) -> tuple[Strike, ...]:
    """Read a script as a run prints it. Raises ValueError."""
    return read_script(text)


def smallest(run: Simulated, *, trials_max: int) -> str | None:
    """Find the shortest script under which one of the run's broken rules is broken again; None when none is found."""
    rules = {violation.rule for violation in run.violations}

    def fails(script: tuple[Strike, ...]) -> bool:
        again = simulate(replace(run.plot, rates={}, script=script))
        return any(violation.rule in rules for violation in again.violations)

    try:
        found = shrink(tuple(run.faults.struck), fails, trials_max=trials_max)
    except ValueError:
        return None
    return Faults(struck=list(found)).as_script()
