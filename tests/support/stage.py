"""A simulated world on stage: the whole program against it, in virtual time, with faults at every port.

Nothing of the program outlives a tick here: each tick builds it anew, so whatever it needs to know must be in the store
or in the world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from providers.prices.shipped import load_catalogue
from providers.sandbox.doors import SandboxEc2, SandboxNomad, SandboxNomadDoor
from providers.sandbox.faults import Crashed, Faults, ShiftedClock, faulty
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.world.scenario import Scenario, Step, load_scenario
from providers.sandbox.world.world import World
from providers.snapshots.memory import Remembered
from providers.stores.sqlite import SqliteStore
from reconciler.bootstrap.simulated import SECRET
from reconciler.loop import GroupLoop, Ports, Tick
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.world import FleetAnswer, FleetRequest, ServerView

STEP = 5.0  # virtual seconds between two ticks


def a_job_of(name: str, *, count: int = 1, cpu: int = 500, memory: int = 256, **job: Any) -> dict[str, Any]:
    """A job as an operator registers it: one group, one docker task."""
    task = {"Name": "main", "Driver": "docker", "Resources": {"CPU": cpu, "MemoryMB": memory}}
    return {
        "ID": name,
        "Name": name,
        "Type": "service",
        "Datacenters": ["*"],
        "TaskGroups": [{"Name": name, "Count": count, "Tasks": [task]}],
        **job,
    }


def a_scenario(*jobs: Mapping[str, Any], **account: Any) -> Scenario:
    """The demo's account with other work in it."""
    demo = load_scenario("demo")
    for name, value in account.items():
        setattr(demo.account, name, value)
    return Scenario(name="test", account=demo.account, steps=[Step(do="register-job", job=dict(j)) for j in jobs])


class OverheardEc2(SandboxEc2):
    """The account's door, with every fleet request written down as it arrives."""

    def __init__(self, world: World, clock: LoopClock, requests: dict[str, FleetRequest]) -> None:
        super().__init__(world, clock)
        self._requests = requests

    async def create_fleet(self, request: FleetRequest) -> FleetAnswer:
        """Launch, and see that what is repeated under one token is repeated byte for byte."""
        first = self._requests.setdefault(request.token, request)
        assert first == request, f"one token, two requests:\n{first}\n{request}"
        return await super().create_fleet(request)


class DimDoor(SandboxNomadDoor):
    """The cluster's door, with addresses that cannot be reached from here."""

    def __init__(self, world: World, clock: LoopClock, dark: set[str]) -> None:
        super().__init__(world, clock)
        self._dark = dark

    def at(self, addresses: Sequence[str]) -> SandboxNomad:
        """Give the cluster behind those of the addresses that can be reached."""
        nomad = super().at([a for a in addresses if a not in self._dark])
        return DimNomad(nomad, self._dark) if self._dark else nomad


class DimNomad(SandboxNomad):
    """The cluster, some of whose agents do not answer us."""

    def __init__(self, nomad: SandboxNomad, dark: set[str]) -> None:
        super().__init__(nomad._world, nomad._clock, nomad._hosts, nomad._memory)
        self._dark = dark

    async def server_view(self, address: str) -> ServerView:
        """Ask one server, unless it is in the dark."""
        return (
            ServerView(address=address, reachable=False)
            if address in self._dark
            else await super().server_view(address)
        )


@dataclass(slots=True, kw_only=True)
class Stage:
    """One world, one store, and what goes wrong between them and the program."""

    world: World
    store: SqliteStore = field(default_factory=SqliteStore)
    faults: Faults = field(default_factory=Faults)
    ticks: list[Tick] = field(default_factory=list)
    requests: dict[str, FleetRequest] = field(default_factory=dict)  # by token
    crashes: int = 0
    snapshots: Remembered = field(default_factory=Remembered)
    dark: set[str] = field(default_factory=set)  # addresses of agents that we do not reach, though others do

    @classmethod
    def set(cls, scenario: Scenario, *, seed: int = 0, faults: Faults | None = None) -> Stage:
        """Set the stage."""
        world = World.create(scenario, seed=seed, catalogue=load_catalogue())
        return cls(world=world, faults=faults or Faults())

    def ports(self, clock: LoopClock, observer: str = "") -> Ports:
        """Give the doors, each with faults before it; the world's clock is right, the program's may not be."""
        kernel, faults = self.world.kernel, self.faults
        ec2, nomad = OverheardEc2(self.world, clock, self.requests), DimDoor(self.world, clock, self.dark)
        return Ports(
            clock=ShiftedClock(clock, faults),
            ec2=faulty(ec2, faults, source=Source.EC2, clock=clock, observer=observer),
            nomad=faulty(nomad, faults, source=Source.NOMAD, clock=clock, observer=observer),
            store=faulty(self.store, faults, source=Source.STORE, clock=clock, observer=observer),
            catalogue=load_catalogue(),
            new_id=kernel.new_id,
            chance=lambda: kernel.chance().random(),
            snapshots=self.snapshots,
            secret=SECRET,
        )

    def play(
        self,
        group: ClusterGroup,
        *,
        seconds: float,
        stop_when_converged: bool = True,
        after_tick: Callable[[], None] = lambda: None,
        observers: Sequence[str] = ("",),
    ) -> bool:
        """Run ticks for so many virtual seconds; tells whether the last one found all converged.

        With several ``observers`` so many replicas of the program tick in turn.
        """

        async def work() -> bool:
            clock = LoopClock()
            end = clock.seconds() + seconds
            turns = cycle(observers)
            while clock.seconds() < end:
                tick = await self._tick(group, clock, next(turns))
                after_tick()
                if stop_when_converged and tick is not None and tick.converged:
                    return True
                await clock.sleep(STEP)
            return bool(self.ticks) and self.ticks[-1].converged

        return run_virtual(work, start=self.world.now)

    async def _tick(self, group: ClusterGroup, clock: LoopClock, observer: str) -> Tick | None:
        try:
            tick = await GroupLoop(group, self.ports(clock, observer)).tick()
        except BaseExceptionGroup as crash:
            if crash.split(Crashed)[1] is not None:
                raise
        except Crashed:
            pass
        else:
            self.ticks.append(tick)
            return tick
        self.crashes += 1
        return None

    # --- what the world shows ----------------------------------------------------------------------------------------

    def live(self) -> Sequence[Any]:
        """Instances that are pending or running, as the account itself knows them, without any lag."""
        return [i for i in self.world.cloud.state.instances.values() if i.state in {"pending", "running"}]

    def machines(self) -> Mapping[tuple[str, str, str], int]:
        """How many live machines of each (role, pool, type)."""
        tag = "nomad-reconciler:"
        return Counter((i.tags[f"{tag}role"], i.tags.get(f"{tag}pool", ""), i.type) for i in self.live())

    def asked(self) -> Mapping[str, int]:
        """How many machines each claim's fleet request asked for."""
        return {r.tags["nomad-reconciler:claim"]: r.count for r in self.requests.values()}

    def claims(self) -> Mapping[str, int]:
        """How many machines were ever launched under each claim."""
        return Counter(i.tags["nomad-reconciler:claim"] for i in self.world.cloud.state.instances.values())
