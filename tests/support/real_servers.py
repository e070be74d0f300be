"""A small EC2 whose machines are real Nomad agents on loopback addresses, and a clock that makes our own waits short.

Cloud auto-join cannot work on loopback: what a machine would find by its tag it is told when it starts. All else of an
agent's configuration is what its user data says.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from anyio import to_thread

from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.prices.shipped import load_catalogue
from providers.sandbox.world.cloud_init import written_files
from providers.stores.sqlite import SqliteStore
from reconciler.loop import GroupLoop, Ports, Tick
from schemas.document import ClusterGroup
from schemas.faults import Refusal, RefusedError, Source
from schemas.supply import Supply
from schemas.trouble import Trouble
from schemas.world import Address, FleetAnswer, FleetRequest, Instance, Market, Template
from support.real_nomad import Agent, free_net

SPEED = 12.0  # our seconds in one of the machine's
SHORT = 3.0  # sleeps up to this are real: Nomad must move between two looks
AGENT = "/etc/nomad.d/10-agent.json"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class HurriedClock:
    """Our clock, ``SPEED`` times as fast as Nomad's."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def now(self) -> datetime:
        """Give our time."""
        return BEGIN + timedelta(seconds=(time.monotonic() - self._begun) * SPEED)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds if seconds <= SHORT else seconds / SPEED)


@dataclass(slots=True)
class LoopbackEc2:
    """Satisfies ``reconciler.ports.Ec2`` as far as servers need it."""

    clock: HurriedClock
    folder: Path
    net: str
    machines: dict[str, Instance] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    stored: dict[str, Template] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    ended_leading: list[str] = field(default_factory=list)  # servers that led when their machine was ended
    subnets: dict[str, str] = field(default_factory=lambda: {f"subnet-{z}1": f"us-east-1{z}" for z in "abc"})

    async def instances(self, group: str) -> tuple[Instance, ...]:
        """List all machines."""
        return tuple(self.machines.values())

    async def template_names(self, group: str) -> frozenset[str]:
        """List the templates."""
        return frozenset(self.stored)

    async def template(self, name: str) -> Template | None:
        """Read a template."""
        return self.stored.get(name)

    async def create_template(self, group: str, template: Template) -> None:
        """Make a template."""
        if template.name in self.stored:
            raise RefusedError(Source.EC2, template.name, "it is there", why=Refusal.EXISTS, code="AlreadyExists")
        self.stored[template.name] = template

    async def delete_template(self, name: str) -> None:
        """Delete a template."""
        self.stored.pop(name, None)

    async def run_instance(self, template: Template, *, token: str, tags: Mapping[str, str]) -> Instance:
        """Start an agent with what the user data says."""
        if token in self.tokens:
            return self.machines[self.tokens[token]]
        number = len(self.machines) + 1
        made = Instance(
            id=f"i-{number:017x}",
            type=template.instance_type or "",
            zone=self.subnets[template.subnet_id or ""],
            subnet_id=template.subnet_id or "",
            market=Market.ON_DEMAND,
            state="running",
            launched_at=self.clock.now(),
            private_ip=f"{self.net}.{number}",
            tags={**template.tags, **tags},
        )
        self.machines[made.id], self.tokens[token] = made, made.id
        self.agents[made.id] = Agent(made.private_ip, self.folder / made.id, self._configuration(made, template))
        self.agents[made.id].start()
        return made

    def _configuration(self, made: Instance, template: Template) -> dict[str, object]:
        found = json.loads(written_files(template.user_data)[AGENT])
        others = [i.private_ip for i in self.machines.values() if i.state == "running"]
        found["server"] |= {
            "server_join": {"retry_join": [f"{self.net}.1", *others], "retry_interval": "1s"},
            "raft_multiplier": 1,
        }
        here = {"http": made.private_ip, "rpc": made.private_ip, "serf": made.private_ip}
        return {
            **found,
            "name": made.id,
            "bind_addr": made.private_ip,
            "data_dir": str(self.folder / made.id / "data"),
            "advertise": here,
            "autopilot": {"server_stabilization_time": "2s"},
            "disable_update_check": True,
        }

    async def terminate(self, instance_ids: Sequence[str]) -> None:
        """Shut machines down: their agents are told to end, and may say goodbye."""
        for name in instance_ids:
            if self.machines[name].live:
                if await to_thread.run_sync(self._leads, name):
                    self.ended_leading.append(name)
                self.machines[name] = replace(self.machines[name], state="shutting-down")
                await to_thread.run_sync(self.agents[name].stop)
                self.machines[name] = replace(self.machines[name], state="terminated")

    def _leads(self, name: str) -> bool:
        """Ask an agent whether it leads by its own word; who does not answer does not."""
        agent = self.agents[name]
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{agent.url}/v1/status/leader?stale", timeout=3) as answer,  # noqa: S310
        ):
            return bool(json.loads(answer.read()) == f"{agent.address}:4647")
        return False

    async def protect(self, instance_id: str, *, on: bool) -> None:
        """Nothing is protected here."""

    async def addresses(self) -> tuple[Address, ...]:
        """There are none."""
        return ()

    async def associate_address(self, allocation_id: str, instance_id: str) -> None:
        """There are none."""

    async def impaired(self, instance_ids: Sequence[str]) -> frozenset[str]:
        """Tell whose agents are killed, as if their machines were."""
        return frozenset(i for i in instance_ids if self.agents[i].process is None)

    async def trouble(self, instance_ids: Sequence[str], *, spot: bool = False) -> Trouble:
        """There is none."""
        return Trouble()

    async def supply(self, *, zones: Sequence[str], subnets: Sequence[str], known: Collection[str]) -> Supply:
        """Everything is there."""
        return Supply()

    async def create_fleet(self, request: FleetRequest) -> FleetAnswer:
        """Nobody asks for clients."""
        raise NotImplementedError

    async def spot_prices(self, types: Sequence[str], zones: Sequence[str]) -> Mapping[tuple[str, str], float]:
        """Nobody asks for clients."""
        return {}


@dataclass(slots=True)
class RealServers:
    """The program, a small EC2, and real servers."""

    ec2: LoopbackEc2
    secret: str = ""  # the bootstrap token
    store: SqliteStore = field(default_factory=SqliteStore)
    told: list[str] = field(default_factory=list)  # real seconds and what was done

    def settle(self, group: ClusterGroup, *, within: float) -> tuple[Tick, float]:
        """Tick until all has converged; give the last tick and the real seconds, at most ``within``, that it took."""
        begun = time.monotonic()

        async def work() -> tuple[Tick, float]:
            async with RealNomadDoor(NomadSettings(region=group.spec.nomad.region, token=self.secret)) as door:
                ports = Ports(
                    clock=self.ec2.clock,
                    ec2=self.ec2,
                    nomad=door,
                    store=self.store,
                    catalogue=load_catalogue(),
                    new_id=lambda: "store-1",
                    chance=lambda: 0.5,
                    secret=self.secret,
                )
                loop = GroupLoop(group, ports)
                while True:
                    tick = await loop.tick()
                    took = time.monotonic() - begun
                    self.told += [f"{took:5.1f} {o.action.key} {o.result} {o.message}" for o in tick.outcomes]
                    if tick.converged:
                        return tick, took
                    holds = "\n".join(f"{h.reason}: {h.message}" for h in tick.plan.holds)
                    assert took < within, f"not within {within:g} s:\n{holds}\n" + "\n".join(self.told)
                    await self.ec2.clock.sleep(loop.pause(tick))

        return anyio.run(work)

    def live(self) -> list[Instance]:
        """Machines that run."""
        return [i for i in self.ec2.machines.values() if i.live]


@contextmanager
def real_servers(secret: str = "") -> Iterator[RealServers]:
    """Give an empty account; whatever runs in it in the end is killed. ``secret``: the bootstrap token."""
    folder = Path(tempfile.mkdtemp(prefix="nomad-"))
    ec2 = LoopbackEc2(HurriedClock(), folder, free_net())
    try:
        yield RealServers(ec2, secret)
    finally:
        for agent in ec2.agents.values():
            agent.kill()
        shutil.rmtree(folder, ignore_errors=True)
