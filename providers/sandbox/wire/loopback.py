"""A world whose machines have loopback addresses, so that each can be asked at its own: 10.1.0.4 becomes 127.1.0.4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from providers.sandbox.world.epoch import Calendar
from providers.sandbox.world.nomad.agent import UP
from providers.sandbox.world.servers.state import DOWN
from providers.sandbox.world.world import World

if TYPE_CHECKING:
    from schemas.catalogue import InstanceType

_ADDRESS = re.compile(rb"\b10([.-])(\d{1,3})\1(\d{1,3})\1(\d{1,3})\b")  # also as a host name has it, with hyphens


def on_loopback(saved: bytes, catalogue: Mapping[str, InstanceType], calendar: Calendar) -> World:
    """Read a saved world with all its addresses moved to 127.0.0.0/8. Raises ``msgspec.MsgspecError``."""
    world = World.load(_ADDRESS.sub(rb"127\1\2\1\3\1\4", saved), catalogue, calendar)
    for subnet in world.state.ec2.subnets.values():
        subnet.prefix = "127." + subnet.prefix.partition(".")[2]
    return world


def listening(world: World) -> frozenset[str]:
    """Give the addresses at which an agent's port is open: a process that hangs keeps its own open."""
    servers = (address for address, agent in world.state.servers.agents.items() if agent.process != DOWN)
    clients = (agent.spec.address for agent in world.nomad.state.agents.values() if agent.status == UP)
    return frozenset(address for address in (*servers, *clients) if address.startswith("127."))
