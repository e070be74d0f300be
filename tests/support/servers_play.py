"""Servers on stage: a quorum in some state, things that go wrong, and a witness of every virtual second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio

from providers.sandbox.doors.time import catch_up
from providers.sandbox.faults import Crashed
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.world.servers import agents
from reconciler.loop import GroupLoop, Tick
from schemas.document import ClusterGroup
from schemas.plan import Reason
from support.builders import a_group
from support.server_faults import ServerFaults, follower_dies
from support.stage import Stage, a_scenario

STEP = 5.0  # virtual seconds between two ticks
LOST = 1000.0  # virtual seconds without a leader; a zone comes back after 900
CLAIM = "nomad-reconciler:claim"


@dataclass(slots=True)
class Play:
    """One world with servers in it; ``hurt`` are the addresses of those that a fault took down."""

    stage: Stage
    replicas: int = 1
    hurt: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    whole_since: float | None = None  # since when all wanted voters are up and no other peer is there
    leaderless_since: float | None = None
    wanted: int = 3
    most: int = 0  # machines that were ever wanted at a time
    led: str = ""  # who led a second ago ...
    lived: frozenset[str] = frozenset()  # ... and whose machines were live

    @classmethod
    def begin(cls, *, seed: int = 1, replicas: int = 1) -> Play:
        play = cls(Stage.set(a_scenario(), seed=seed, faults=ServerFaults()), replicas=replicas)
        kernel = play.stage.world.kernel
        kernel.on("witness", play._look)
        kernel.after(1.0, "witness")
        kernel.on("back", play._back)
        kernel.on("zone-back", play._zone_back)
        kernel.on("reconnected", lambda address: agents.reconnect(play.stage.world.servers, address))
        kernel.on("in-reach", play.stage.dark.discard)
        kernel.on("stranger-leaves", lambda address: agents.terminate(play.stage.world.servers, address))
        kernel.on("calm", play._calm)
        return play

    def _back(self, address: str) -> None:
        if any(i.private_ip == address and i.state == "running" for i in self.stage.live()):
            agents.restart(self.stage.world.servers, address)

    def _zone_back(self, zone: str) -> None:
        for instance in self.stage.live():
            if instance.zone == zone:
                instance.impaired = False
                if instance.private_ip in self.stage.world.servers.state.agents:
                    self._back(instance.private_ip)

    def _calm(self) -> None:
        self.stage.faults.rates = {}

    # --- the witness -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """See the truth, not what anybody answers, every second (design §5, invariants 1, 11 to 13)."""
        world = self.stage.world
        world.kernel.after(1.0, "witness")
        servers, live = world.servers, self.stage.live()
        if len(servers.state.clusters) > 1:
            self._tell(f"{len(servers.state.clusters)} clusters")
        for cluster in servers.state.clusters.values():
            voters = [p for p in cluster.peers if p.voter]
            up = [p for p in voters if (a := servers.up(p.address)) is not None and a.id == p.id]
            quorum, hurt = len(voters) // 2 + 1, sum(p.address in self.hurt and p not in up for p in voters)
            if len(up) < quorum <= len(voters) - hurt:
                self._tell(f"{len(up)} of {len(voters)} voters are up, {hurt} were hurt by faults")
            whole = len(up) == len(voters) == len(cluster.peers) == self.wanted and bool(cluster.leader)
            self.whole_since = (self.whole_since or world.now) if whole else None
            self.leaderless_since = None if cluster.leader else (self.leaderless_since or world.now)
        ended = self.lived - {i.private_ip for i in live}
        if self.led in ended - self.hurt:
            self._tell(f"the leader {self.led} was ended")
        if len(ended - self.hurt) > 1:
            self._tell(f"{sorted(ended)} were ended within a second")
        claims = Counter(i.tags[CLAIM] for i in live if CLAIM in i.tags)
        if again := [claim for claim, count in claims.items() if count > 1]:
            self._tell(f"two machines for {again}")
        if claims.total() > self.most + 1:
            self._tell(f"{claims.total()} machines for {self.most} servers")
        self.led, self.lived = self.leader, frozenset(i.private_ip for i in live)

    def _tell(self, wrong: str) -> None:
        self.wrong.append(f"{self.stage.world.now:.0f}: {wrong}")

    @property
    def leader(self) -> str:
        """The leader's address."""
        found: list[str] = [c.leader for c in self.stage.world.servers.state.clusters.values()]
        return found[0] if found else ""

    @property
    def lost(self) -> bool:
        """Nobody has led for longer than anything takes that comes back by itself."""
        return self.leaderless_since is not None and self.stage.world.now - self.leaderless_since > LOST

    def followers(self) -> list[str]:
        """Addresses of voters that are up, stay and do not lead."""
        servers, live = self.stage.world.servers, {i.private_ip for i in self.stage.live()}
        peers = [p for c in servers.state.clusters.values() for p in c.peers if p.voter]
        if not peers:  # forming still
            return sorted(a for a in servers.state.agents if servers.up(a) and a in live)
        return sorted(
            p.address for p in peers if servers.up(p.address) and p.address != self.leader and p.address in live
        )

    def machine(self, address: str) -> str:
        """The instance at an address."""
        found: list[str] = [i.id for i in self.stage.live() if i.private_ip == address]
        return found[0]

    # --- running -----------------------------------------------------------------------------------------------------

    def run(self, group: ClusterGroup, seconds: float, *, until: Callable[[Tick], bool] | None = None) -> bool:
        """Tick for so long, or until a tick is as wanted; tells whether one was."""
        self.wanted = group.spec.servers.count if group.spec.servers else 0
        self.most = max(self.most, self.wanted)

        async def work() -> bool:
            clock = LoopClock()
            end = clock.seconds() + seconds
            while clock.seconds() < end:
                ticks: list[Tick] = []
                async with anyio.create_task_group() as replicas:
                    for _ in range(self.replicas):
                        replicas.start_soon(self._tick, group, clock, ticks)
                self.stage.ticks += ticks
                catch_up(self.stage.world, clock)
                if until is not None and ticks and all(until(tick) for tick in ticks):
                    return True
                await clock.sleep(STEP)
            return False

        return run_virtual(work, start=self.stage.world.now)

    async def _tick(self, group: ClusterGroup, clock: LoopClock, ticks: list[Tick]) -> None:
        try:
            ticks.append(await GroupLoop(group, self.stage.ports(clock)).tick())
        except BaseExceptionGroup as crash:
            if crash.split(Crashed)[1] is not None:
                raise
            self.stage.crashes += 1
        except Crashed:
            self.stage.crashes += 1

    def settle(self, group: ClusterGroup, seconds: float) -> bool:
        """Run until all has converged."""
        return self.run(group, seconds, until=lambda tick: tick.converged)


# --- states in which it goes wrong: what was there, what is wanted then, and how long that has been going on ----------

THREE, FIVE = a_group(), a_group(servers={"count": 5})
NEWER = a_group(nomad={"version": "2.0.6"})


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A situation: the document at first, the one that is wanted when things go wrong, and after how many seconds."""

    before: ClusterGroup | None
    wanted: ClusterGroup
    after: float
    kill_first: bool = False


STATES: Mapping[str, State] = {
    "steady": State(before=THREE, wanted=THREE, after=10),
    "forming, asked": State(before=None, wanted=THREE, after=8),
    "forming, meeting": State(before=None, wanted=THREE, after=46),
    "replacing, waiting": State(before=THREE, wanted=THREE, after=150, kill_first=True),
    "replacing, joining": State(before=THREE, wanted=THREE, after=345, kill_first=True),
    "3 to 5, asked": State(before=THREE, wanted=FIVE, after=15),
    "3 to 5, joining": State(before=THREE, wanted=FIVE, after=70),
    "3 to 5, voting": State(before=THREE, wanted=FIVE, after=100),
    "5 to 3, leaving": State(before=FIVE, wanted=THREE, after=11),
    "5 to 3, between": State(before=FIVE, wanted=THREE, after=45),
    "upgrading, joining": State(before=THREE, wanted=NEWER, after=70),
    "upgrading, leaving": State(before=THREE, wanted=NEWER, after=118),
    "upgrading, leader": State(before=THREE, wanted=NEWER, after=405),
}


# --- a case ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What came of some faults in one state."""

    wrong: tuple[str, ...]
    lost: bool  # the faults were more than the voters left could bear: no leader, by the faults alone
    converged: bool
    seconds: float  # from the first fault until all wanted voters were there for good
    voters: int
    machines: int
    uneven: int  # servers that the fullest zone has beyond the emptiest
    last: str  # what the last tick held

    def amiss(self, wanted: int) -> str:
        """Say what is not as it must be in the end; "" where all is: as many voters as wanted, or lost by faults."""
        if self.wrong:
            return "; ".join(self.wrong[:3])
        if self.lost:
            return "" if "docs/runbooks/quorum-lost.md" in self.last else f"no runbook is named: {self.last}"
        if not self.converged:
            return f"it does not converge: {self.last}"
        if (self.voters, self.machines) != (wanted, wanted):
            return f"{self.voters} voters on {self.machines} machines"
        if self.uneven > 1 and Reason.NO_OFFERING not in self.last:
            return f"a zone has {self.uneven} servers more than another: {self.last}"
        return "" if self.seconds <= BOUND else f"it takes {self.seconds:.0f} s"


BOUND = 3000.0  # virtual seconds in which the wanted voters are there; two patiences of ten minutes fit in


def reach(state: State, *, seed: int = 1) -> Play:
    """Bring a world into a state."""
    play = Play.begin(seed=seed)
    if state.before is not None:
        assert play.settle(state.before, 1800), "the state before is reached"
    if state.kill_first:
        follower_dies(play)
    play.run(state.wanted, state.after)
    return play


def strike(play: Play, state: State, *faults: Callable[[Play], None]) -> Case:
    """Let things go wrong 20 s apart, and see it through for at most 50 minutes."""
    before = play.stage.world.now
    for fault in faults:
        fault(play)
        play.run(state.wanted, 20)
    converged = play.run(state.wanted, 3000, until=lambda tick: play.lost or _quiet(tick))
    servers = play.stage.world.servers
    cluster = next(iter(servers.state.clusters.values()), None)
    up = [p for p in cluster.peers if p.voter and servers.up(p.address)] if cluster else []
    lost = play.lost or (cluster is not None and not cluster.leader)
    since = play.whole_since if play.whole_since is not None else play.stage.world.now
    zones = Counter({subnet.zone: 0 for subnet in state.wanted.spec.aws.subnets})
    zones.update(i.zone for i in play.stage.live())
    holds = play.stage.ticks[-1].plan.holds if play.stage.ticks else ()
    return Case(
        wrong=tuple(play.wrong),
        lost=lost,
        converged=converged,
        seconds=max(0.0, since - before),
        voters=len(up),
        machines=len(play.stage.live()),
        uneven=max(zones.values()) - min(zones.values()),
        last="; ".join(f"{h.reason}: {h.message[:400]}" for h in holds[:3]),
    )


def _quiet(tick: Tick) -> bool:
    """Nothing is left to do, and nothing is frozen: what is frozen waits for an operator."""
    return tick.converged and all(hold.reason is not Reason.FROZEN for hold in tick.plan.holds)


def told(state: str, faults: tuple[str, ...], case: Case, wanted: int) -> str:
    """Give the case's line of the table."""
    end = "lost by the faults alone" if case.lost else f"{case.voters} voters after {case.seconds:.0f} s"
    if amiss := case.amiss(wanted):
        end = f"AMISS {amiss}"
    return f"{state:20} | {' + '.join(faults):64} | {end}"
