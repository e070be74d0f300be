"""A cluster of three servers and two clients on which a contract is tried, simulated or real, asked by one provider.

What a test registers is purged after it; nodes are made eligible again. Time is the loop's: virtual in the simulation.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import anyio

from providers.nomad.client import NomadCluster
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.prices.shipped import load_catalogue
from providers.sandbox.world.servers import agents
from providers.sandbox.world.world import World
from schemas.faults import RefusedError
from schemas.world import Allocation, Evaluation, Job, Node
from support.nomad_jobs import a_cluster, wait
from support.on_the_wire import Wired, through_the_wire
from support.real_nomad import Agent, RealCluster
from support.whole_world import Doors, a_world, through_doors

Json = dict[str, Any]
SHORT, LONG = 10**9, 3600
PATIENCE = 40.0  # seconds


def a_sleeper(name: str, *, driver: str, count: int = 1, cpu: int = 50, **job: Any) -> Json:
    """Give a job of one group of one task that runs for ever."""
    task = {
        "Name": "main",
        "Driver": driver,
        "Config": {"command": "/bin/sleep", "args": [str(LONG)]},
        "KillTimeout": SHORT,
        "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1},
        "Resources": {"CPU": cpu, "MemoryMB": 20},
    }
    group = {"Name": "g", "Count": count, "EphemeralDisk": {"SizeMB": 10}, "Tasks": [task]}
    group["Networks"] = [{"Mode": "host", "DynamicPorts": [{"Label": "http"}]}]
    return {"ID": name, "Name": name, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group], **job}


class Machines(Protocol):
    """What happens to agents from outside."""

    def kill_server(self, host: str) -> None:
        """End a server's process at once."""

    def freeze_server(self, host: str) -> None:
        """Stop it; its kernel goes on."""

    def mend_server(self, host: str) -> None:
        """Start it again with its disk, or let it go on."""

    def kill_client(self, name: str) -> None:
        """End a client's process at once."""

    def mend_client(self, name: str) -> None:
        """Start it again with its disk."""


@dataclass(slots=True, kw_only=True)
class Site:
    """One cluster, through the provider."""

    door: RealNomadDoor
    hosts: list[str]
    driver: str
    machines: Machines
    real: bool
    registered: list[str] = field(default_factory=list)

    @property
    def cluster(self) -> NomadCluster:
        """The cluster through any of its servers."""
        return self.door.at(self.hosts)

    def job(self, name: str, *, count: int = 1, cpu: int = 50, **job: Any) -> Json:
        """One group of one task that runs for ever."""
        return a_sleeper(name, driver=self.driver, count=count, cpu=cpu, **job)

    async def register(self, job: Json) -> None:
        """Register a job for the time of a test."""
        if job["ID"] not in self.registered:
            self.registered.append(job["ID"])
        await self.cluster.channel.write("PUT", "/v1/jobs", body={"Job": job})

    async def until(self, done: Callable[[], Awaitable[object]], what: str, *, seconds: float = PATIENCE) -> float:
        """Wait until something is so; gives how long it took."""
        begun = anyio.current_time()
        while not await done():
            assert anyio.current_time() - begun < seconds, f"not within {seconds:g} s: {what}"
            await anyio.sleep(0.2)
        return anyio.current_time() - begun

    async def running(self, name: str, count: int) -> tuple[Allocation, ...]:
        """Wait until so many copies of a job run, and none else."""

        async def done() -> bool:
            mine = await self.copies(name)
            return len(mine) == count and all(a.client == "running" and a.desired == "run" for a in mine)

        await self.until(done, f"{count} copies of {name} run")
        return await self.copies(name)

    async def copies(self, name: str) -> tuple[Allocation, ...]:
        """Give the copies of a job that take room."""
        return tuple(a for a in await self.cluster.allocations() if a.job_id == name)

    async def job_named(self, name: str) -> Job | None:
        """Give a job as it is listed."""
        return next((job for job in await self.cluster.jobs() if job.id == name), None)

    async def node(self, node_id: str) -> Node:
        """Give a node as it is listed."""
        return next(node for node in await self.cluster.nodes() if node.id == node_id)

    async def blocked(self, name: str) -> tuple[Evaluation, ...]:
        """Wait until a job has a blocked evaluation, and give those that it has."""
        found: list[Evaluation] = []

        async def done() -> bool:
            found[:] = [e for e in await self.cluster.evaluations() if e.job_id == name and e.status == "blocked"]
            return bool(found)

        await self.until(done, f"{name} waits")
        return tuple(found)

    async def clean(self) -> None:
        """Leave nothing behind."""
        for name in self.registered:
            with contextlib.suppress(RefusedError):
                await self.cluster.channel.write("DELETE", f"/v1/job/{name.replace('/', '%2F')}", (("purge", "true"),))
        for node in await self.cluster.nodes():
            if node.draining:
                await self.cluster.effects.cancel_drain(node.id, eligible=True)
            elif not node.eligible:
                await self.cluster.effects.set_eligibility(node.id, eligible=True)

        async def empty() -> bool:
            of = [a.job_id for a in await self.cluster.allocations()]
            of += [e.job_id for e in await self.cluster.evaluations()]
            return not set(of) & set(self.registered)

        await self.until(empty, "what was registered has ended")


Work = Callable[[Site], Awaitable[None]]


@dataclass(slots=True)
class _SimulatedMachines:
    world: World

    def kill_server(self, host: str) -> None:
        agents.kill(self.world.servers, host)

    def freeze_server(self, host: str) -> None:
        agents.freeze(self.world.servers, host)

    def mend_server(self, host: str) -> None:
        if self.world.state.servers.agents[host].process == "frozen":
            agents.thaw(self.world.servers, host)
        else:
            agents.restart(self.world.servers, host)

    def kill_client(self, name: str) -> None:
        self.world.nomad.kill_agent(name)

    def mend_client(self, name: str) -> None:
        self.world.nomad.restart_agent(name)


@dataclass(slots=True)
class _RealMachines:
    cluster: RealCluster

    def kill_server(self, host: str) -> None:
        self._at(host).kill()

    def freeze_server(self, host: str) -> None:
        self._at(host).freeze()

    def mend_server(self, host: str) -> None:
        agent = self._at(host)
        if agent.process is None:
            agent.start()
        else:
            agent.thaw()

    def kill_client(self, name: str) -> None:
        self._named(name).kill()

    def mend_client(self, name: str) -> None:
        self._named(name).start()

    def _at(self, host: str) -> Agent:
        return next(s for s in self.cluster.servers if s.address == host)

    def _named(self, name: str) -> Agent:
        return next(c for c in self.cluster.clients if c.config["name"] == name)


def simulated(work: Work) -> None:
    """Try it on a simulated cluster behind its wire, in virtual time."""
    saved, hosts = _simulated()
    world = World.load(saved, load_catalogue())

    async def opened(wired: Wired) -> None:
        site = Site(door=wired.real, hosts=list(hosts), driver="docker", machines=_SimulatedMachines(world), real=False)
        async with _cleaned(site):
            await work(site)

    through_the_wire(world, opened)


def real(cluster: RealCluster, work: Work) -> None:
    """Try it on a real one."""

    async def opened() -> None:
        async with RealNomadDoor(NomadSettings(), chance=lambda: 0.5) as door:
            hosts = [server.address for server in cluster.servers]
            site = Site(door=door, hosts=hosts, driver="raw_exec", machines=_RealMachines(cluster), real=True)
            async with _cleaned(site):
                await work(site)

    anyio.run(opened)


@contextlib.asynccontextmanager
async def _cleaned(site: Site) -> AsyncIterator[None]:
    async def quiet() -> bool:
        return not await site.cluster.evaluations()

    await site.until(quiet, "what others left has been evaluated")
    yield
    await site.clean()


@cache
def _simulated() -> tuple[bytes, tuple[str, ...]]:
    world = a_world()

    async def work(doors: Doors) -> list[str]:
        hosts = await a_cluster(doors, nodes=2)
        await wait(doors, 60)
        return hosts

    hosts = through_doors(world, work)
    return world.save(), tuple(hosts)
