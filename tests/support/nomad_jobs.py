"""Jobs as an operator registers them, and a cluster of the whole world with nodes and work in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from providers.http import App
from providers.prices.shipped import load_catalogue
from providers.sandbox.world.world import World
from support.on_the_wire import Wired, through_the_wire
from support.whole_world import Doors, a_client_template, a_request, a_world, form, through_doors


def a_job(name: str = "web", *, count: int = 2, cpu: int = 500, **job: Any) -> dict[str, Any]:
    """One group, one docker task."""
    task = {"Name": "main", "Driver": "docker", "Resources": {"CPU": cpu, "MemoryMB": 256}}
    return {
        "ID": name,
        "Name": name,
        "Type": "service",
        "Datacenters": ["*"],
        "TaskGroups": [{"Name": "g", "Count": count, "Tasks": [task]}],
        **job,
    }


async def a_cluster(doors: Doors, *jobs: dict[str, Any], nodes: int = 3) -> list[str]:
    """Form three servers, let clients register, have jobs placed; gives the servers' addresses."""
    hosts = await form(doors)
    await doors.ec2.create_template("demo", a_client_template())
    await doors.ec2.create_fleet(a_request(nodes))
    await wait(doors, 120)
    for job in jobs:
        doors.world.nomad.api.register_job({"Job": job})
    await wait(doors, 30)
    return hosts


async def wait(doors: Doors, seconds: float) -> None:
    """Let time pass in the world too: by itself it only moves when somebody asks it something."""
    await doors.clock.sleep(seconds)
    doors.world.advance(doors.clock.seconds())


WORK = (
    a_job("web", count=4),
    a_job("team/api"),
    a_job("too-big", cpu=90_000),
    a_job("agent", count=1, Type="system"),
    a_job("nightly", Type="batch", Periodic={"Enabled": True, "Spec": "0 3 * * *", "SpecType": "cron"}),
)


def a_running_world() -> tuple[World, list[str]]:
    """Give a world of its own in which three servers, three clients and ``WORK`` run, and the servers' addresses."""
    saved, hosts = _running()
    return World.load(saved, load_catalogue()), list(hosts)


@cache
def _running() -> tuple[bytes, tuple[str, ...]]:
    world = a_world()

    async def work(doors: Doors) -> list[str]:
        return await a_cluster(doors, *WORK)

    hosts = through_doors(world, work)
    return world.save(), tuple(hosts)


@dataclass(slots=True)
class Running(Wired):
    """A world that runs, on the wire, with its servers' addresses."""

    hosts: list[str]


def running(work: Callable[[Running], Awaitable[None]], *, between: Callable[[App], App] = lambda app: app) -> None:
    """Run work in a world of its own where three servers, three clients and some jobs run."""
    world, hosts = a_running_world()

    async def opened(wired: Wired) -> None:
        await work(Running(wired.world, wired.clock, wired.ec2, wired.nomad, wired.app, wired.real, hosts))

    through_the_wire(world, opened, between=between)
