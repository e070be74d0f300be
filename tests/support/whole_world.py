"""A whole world with the demo's account, its doors, and a group of servers and clients launched by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from providers.prices.shipped import load_catalogue
from providers.sandbox.doors import SandboxEc2, SandboxNomadDoor
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.world.scenario import AccountSpec, Scenario, Step, load_scenario
from providers.sandbox.world.world import World
from schemas.world import FleetRequest, Market, Override, Template
from support.bare_world import client_config, cloud_config, server_config

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
SUBNETS = ("subnet-a1", "subnet-b1", "subnet-c1")


@dataclass(slots=True)
class Doors:
    """The ports into one world."""

    world: World
    clock: LoopClock
    ec2: SandboxEc2
    nomad: SandboxNomadDoor


def a_world(seed: int = 1, *, steps: list[Step] | None = None, lag: float = 5.0) -> World:
    spec: AccountSpec = load_scenario("demo").account
    spec.describe_lag_max = lag
    return World.create(Scenario(name="test", account=spec, steps=steps or []), seed, load_catalogue())


def through_doors(world: World, work: Callable[[Doors], Awaitable[T]]) -> T:
    """Run work in the world's virtual time."""

    async def opened() -> T:
        clock = LoopClock()
        return await work(Doors(world, clock, SandboxEc2(world, clock), SandboxNomadDoor(world, clock)))

    return run_virtual(opened, start=world.now)


def a_server_template(subnet: str, name: str = "form-0") -> Template:
    return Template(
        name=name,
        image_id="ami-0123",
        user_data=cloud_config(server_config()),
        security_groups=("sg-0123",),
        instance_profile="nomad-node",
        tags={
            "nomad-reconciler:cluster": "demo",
            "nomad-reconciler:role": "server",
            "nomad-reconciler:join": "demo-server",
        },
        instance_type="t3.small",
        subnet_id=subnet,
    )


def a_client_template(name: str = "general-1234", **client: object) -> Template:
    return Template(
        name=name,
        image_id="ami-0123",
        user_data=cloud_config(client_config(**client)),
        security_groups=("sg-0123",),
        instance_profile="nomad-node",
        tags={"nomad-reconciler:cluster": "demo", "nomad-reconciler:role": "client"},
    )


def a_request(count: int = 2, *types: str, token: str = "fleet-1", template: str = "general-1234") -> FleetRequest:  # noqa: S107 - a client token
    return FleetRequest(
        token=token,
        template=template,
        market=Market.SPOT,
        count=count,
        overrides=tuple(
            Override(instance_type=kind, subnet_id="subnet-b1", zone="us-east-1b", price=1.0)
            for kind in types or ("m6i.large",)
        ),
        tags={"nomad-reconciler:claim": "general-1"},
    )


async def form(doors: Doors) -> list[str]:
    """Launch three servers and wait for their quorum; gives their addresses."""
    found = [
        await doors.ec2.run_instance(a_server_template(subnet), token=f"server-{subnet}", tags={}) for subnet in SUBNETS
    ]
    await doors.clock.sleep(120)
    return [instance.private_ip for instance in found]
