"""The simulated world: EC2, the machines on it, Nomad's servers and clients, and the work that people submit.

Pure but for its own memory: time is handed in, chance comes from one seed, and ``save`` and ``load`` keep the future as
it was.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from providers.sandbox.world import ec2
from providers.sandbox.world.ec2.context import Cloud
from providers.sandbox.world.ec2.interruption import expect_reclaims
from providers.sandbox.world.ec2.state import Ec2State
from providers.sandbox.world.epoch import Calendar
from providers.sandbox.world.kernel import Kernel, Timeline
from providers.sandbox.world.machines import MachineRoom, MachinesState
from providers.sandbox.world.nomad.cluster import Cluster
from providers.sandbox.world.nomad.settings import Settings
from providers.sandbox.world.nomad.state import ClusterState
from providers.sandbox.world.scenario import Scenario, account_of
from providers.sandbox.world.servers import agents
from providers.sandbox.world.servers.context import Servers
from providers.sandbox.world.servers.state import ServersState
from providers.sandbox.world.workload import Workload, WorkloadState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.catalogue import InstanceType


@dataclass(slots=True, kw_only=True)
class WorldState:
    """Everything there is, as data."""

    scenario: str
    timeline: Timeline
    ec2: Ec2State
    machines: MachinesState = field(default_factory=MachinesState)
    servers: ServersState = field(default_factory=ServersState)
    nomad: ClusterState = field(default_factory=ClusterState)
    workload: WorkloadState = field(default_factory=WorkloadState)


class World:
    """One world. Its parts act on its state only while ``advance`` runs, or when a door calls one of them."""

    def __init__(
        self,
        state: WorldState,
        catalogue: Mapping[str, InstanceType],
        calendar: Calendar = Calendar(),  # noqa: B008 - it is frozen
    ) -> None:
        self.state = state
        state.nomad.settings.epoch_unix = int(calendar.epoch.timestamp())
        self.kernel = Kernel(state.timeline, calendar)
        self.nomad = Cluster(state.nomad, self.kernel)
        self.workload = Workload(state.workload, self.kernel, self.nomad.api)
        self.machines = MachineRoom(state.machines, self.nomad)
        self.cloud = Cloud(state.ec2, self.kernel, catalogue, self.machines)
        self.servers = Servers(state.servers, self.kernel, discover=self.machines.discover, led=self._led)
        self.machines.connect(self.cloud, self.servers)
        ec2.register(self.cloud)
        agents.register(self.servers)

    @classmethod
    def create(cls, scenario: Scenario, seed: int, catalogue: Mapping[str, InstanceType]) -> World:
        """Make the world in which a scenario begins: an account with nothing of ours in it."""
        nomad = ClusterState(settings=Settings(), leader=False)
        state = WorldState(
            scenario=scenario.name,
            timeline=Timeline(seed=seed),
            ec2=account_of(scenario.account),
            nomad=nomad,
        )
        state.workload.steps = list(scenario.steps)
        world = cls.load(msgspec.json.encode(state), catalogue)  # so that nothing is shared with the scenario
        expect_reclaims(world.cloud)
        return world

    @classmethod
    def load(
        cls,
        data: bytes,
        catalogue: Mapping[str, InstanceType],
        calendar: Calendar = Calendar(),  # noqa: B008 - it is frozen
    ) -> World:
        """Read a world that ``save`` wrote; its future is what it would have been. Raises ``msgspec.MsgspecError``."""
        return cls(msgspec.json.decode(data, type=WorldState), catalogue, calendar)

    def save(self) -> bytes:
        """Write everything down."""
        return msgspec.json.encode(self.state)

    @property
    def now(self) -> float:
        """Virtual seconds since the world's epoch."""
        return self.kernel.now

    def advance(self, to_seconds: float) -> None:
        """Let everything happen that is due up to a moment."""
        self.kernel.run_until(to_seconds)

    def seen_from(self, address: str) -> World:
        """Give the world as the server at an address shows it: one of a second raft cluster knows none of the jobs.

        What is written through such a server is lost, as it is when the two clusters meet (recordings/servers 31).
        """
        agent = self.servers.up(address)
        if agent is None or agent.cluster in {"", self.state.servers.primary}:
            return self
        other = copy.copy(self)
        empty = ClusterState(settings=self.state.nomad.settings, leader=True)
        other.nomad = Cluster(
            empty, Kernel(Timeline(seed=self.state.timeline.seed, now=self.now), self.kernel.calendar)
        )
        return other

    def _led(self, available: bool) -> None:  # noqa: FBT001 - a callback's one argument
        self.nomad.set_leader(available=available)
        if available:
            self.workload.begin()
