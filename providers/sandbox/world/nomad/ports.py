"""Host ports of one node while a placement is tried (source: ``nomad/structs/network.go``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.allocation import Allocation, PortMapping
from providers.sandbox.world.nomad.jobspec import NetworkAsk, PortAsk
from providers.sandbox.world.nomad.node import Node, port_set

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_PROBES = 20  # maxRandPortAttempts
_MAX_PORT = 65536


class PortError(Exception):
    """The ports cannot be had; the text is the dimension Nomad counts it under (without ``network: ``)."""


class Ports:
    """Which ports of a node are taken."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._used = set(port_set(node.reserved.ports))

    def add(self, allocs: Iterable[Allocation]) -> bool:
        """Count in the ports of allocations; True when two of them collide (the node's books are broken)."""
        collided = False
        for alloc in allocs:
            for port in alloc.ports:
                if port.value in self._used and not port.ignore_collision:
                    collided = True
                self._used.add(port.value)
        return collided

    def assign(self, ask: NetworkAsk, chance: Callable[[], random.Random]) -> list[PortMapping]:
        """Choose ports for a group; raises PortError."""
        offer: list[PortMapping] = []
        for port in ask.static:
            self._check_network(port)
            if not 0 <= port.value < _MAX_PORT:
                raise PortError(f"invalid port {port.value} (out of range)")
            if port.value in self._used and not port.ignore_collision:
                raise PortError(f"reserved port collision {port.label}={port.value}")
            offer.append(self._mapping(port, port.value))
        taken = {p.value for p in offer}
        for port in ask.dynamic:
            self._check_network(port)
            value = self._dynamic(taken, chance)
            taken.add(value)
            offer.append(self._mapping(port, value))
        return offer

    def _check_network(self, port: PortAsk) -> None:
        if port.host_network != "default":
            raise PortError(f"no addresses available for {port.host_network} network")

    def _mapping(self, port: PortAsk, value: int) -> PortMapping:
        return PortMapping(
            label=port.label,
            value=value,
            to=value if port.to == -1 else port.to,
            host_ip=self._node.resources.address,
            dynamic=port.value == 0,
            ignore_collision=port.ignore_collision,
        )

    def _dynamic(self, taken: set[int], chance: Callable[[], random.Random]) -> int:
        """Probe at random, then look at all: failure means that the range is really used up."""
        low, high = self._node.resources.min_dynamic_port, self._node.resources.max_dynamic_port
        rng = chance()
        for _ in range(_PROBES):
            value = low + (rng.randrange(high - low) if high > low else 0)
            if value not in self._used and value not in taken:
                return value
        free = [p for p in range(low, high + 1) if p not in self._used and p not in taken]
        if not free:
            raise PortError("dynamic port selection failed")
        return free[rng.randrange(len(free))]
