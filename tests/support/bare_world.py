"""EC2, machines and servers without the scheduler: client agents are only written down."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from providers.prices.shipped import load_catalogue
from providers.sandbox.world import ec2
from providers.sandbox.world.ec2.context import Cloud
from providers.sandbox.world.ec2.launch import MachineOrder, run_instance
from providers.sandbox.world.ec2.state import Ec2State, Image, Instance, Subnet
from providers.sandbox.world.kernel import Kernel, Timeline
from providers.sandbox.world.machines import MachineRoom, MachinesState
from providers.sandbox.world.servers import agents
from providers.sandbox.world.servers.context import Servers
from providers.sandbox.world.servers.state import ServersState

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.sandbox.world.nomad.agent import AgentSpec

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
SUBNETS = {"subnet-a1": "us-east-1a", "subnet-b1": "us-east-1b", "subnet-c1": "us-east-1c"}
JOIN = {"nomad-reconciler:join": "demo-server"}
AUTO_JOIN = "provider=aws tag_key=nomad-reconciler:join tag_value=demo-server"


@dataclass(slots=True)
class WrittenClients:
    """Client agents that were started and ended."""

    up: dict[str, AgentSpec] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)

    def start_agent(self, spec: AgentSpec) -> None:
        self.up[spec.name] = spec

    def kill_agent(self, name: str) -> None:
        self.killed.append(name)
        self.up.pop(name, None)

    def restart_agent(self, name: str) -> None:
        self.restarted.append(name)

    def remove_agent(self, name: str) -> None:
        self.up.pop(name, None)


@dataclass(slots=True, kw_only=True)
class BareState:
    """What a bare world saves."""

    timeline: Timeline
    ec2: Ec2State
    machines: MachinesState = field(default_factory=MachinesState)
    servers: ServersState = field(default_factory=ServersState)


class BareWorld:
    """An account with three subnets and two images, and whoever boots in it."""

    def __init__(self, seed: int = 1, state: BareState | None = None, *, lag: float = 5.0) -> None:
        self.state = state or BareState(timeline=Timeline(seed=seed), ec2=an_account(lag))
        self.kernel = Kernel(self.state.timeline)
        self.clients = WrittenClients()
        self.led: list[tuple[float, bool]] = []
        self.launched = 0
        self.room = MachineRoom(self.state.machines, self.clients)
        self.cloud = Cloud(self.state.ec2, self.kernel, load_catalogue(), self.room)
        self.servers = Servers(
            self.state.servers,
            self.kernel,
            discover=self.room.discover,
            led=lambda up: self.led.append((self.kernel.now, up)),
        )
        self.room.connect(self.cloud, self.servers)
        ec2.register(self.cloud)
        agents.register(self.servers)

    def wait(self, seconds: float) -> None:
        self.kernel.run_until(self.kernel.now + seconds)

    def wait_until(self, condition: Callable[[], bool], *, at_most: float = 300.0) -> float:
        """Wait in small steps until a condition holds, and give how long that took."""
        begun = self.kernel.now
        while not condition():
            assert self.kernel.now - begun < at_most, f"not within {at_most} s"
            self.wait(0.1)
        return self.kernel.now - begun


def an_account(lag: float = 5.0) -> Ec2State:
    return Ec2State(
        region="us-east-1",
        zones=list(ZONES),
        subnets={id_: Subnet(id=id_, zone=zone, prefix=f"10.{n}") for n, (id_, zone) in enumerate(SUBNETS.items(), 1)},
        security_groups=["sg-0123"],
        images={"ami-x86": Image(id="ami-x86", arch="x86_64"), "ami-arm": Image(id="ami-arm", arch="arm64")},
        describe_lag_max=lag,
    )


def cloud_config(config: object, *, more: str = "") -> str:
    text = json.dumps(config)
    return (
        "#cloud-config\nwrite_files:\n"
        f"- path: /etc/nomad.d/10-agent.json\n  permissions: '0600'\n  content: |\n    {text}\n{more}"
    )


def server_config(expect: int = 3, **more: object) -> dict[str, object]:
    return {
        "datacenter": "dc1",
        "leave_on_terminate": True,
        "server": {"enabled": True, "bootstrap_expect": expect, "server_join": {"retry_join": [AUTO_JOIN]}},
        **more,
    }


def client_config(**more: object) -> dict[str, object]:
    client = {"enabled": True, "node_pool": "default", "server_join": {"retry_join": [AUTO_JOIN]}, **more}
    return {"datacenter": "dc1", "client": client}


def an_order(**changes: object) -> MachineOrder:
    order: dict[str, object] = {
        "image": "ami-x86",
        "instance_type": "m6i.large",
        "subnet": "subnet-a1",
        "tags_in_metadata": True,
        "shutdown_behavior": "terminate",
        "security_groups": ("sg-0123",),
        **changes,
    }
    return msgspec.convert(order, MachineOrder)


def a_server_order(subnet: str = "subnet-a1", expect: int = 3, **changes: object) -> MachineOrder:
    order: dict[str, object] = {
        "subnet": subnet,
        "instance_type": "t3.small",
        "tags": {**JOIN, "nomad-reconciler:cluster": "demo", "nomad-reconciler:role": "server"},
        "user_data": cloud_config(server_config(expect)),
        **changes,
    }
    return an_order(**order)


def launch(world: BareWorld, token: str, **changes: object) -> Instance:
    return run_instance(world.cloud, an_order(**changes), token=token)


def launch_server(world: BareWorld, subnet: str = "subnet-a1", expect: int = 3, **changes: object) -> Instance:
    world.launched += 1
    return run_instance(world.cloud, a_server_order(subnet, expect, **changes), token=f"server-{world.launched}")
