"""Which machines came and went, what they cost, how full they were."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.prices import on_demand_price, spot_price
from providers.sandbox.world.ec2.state import PENDING, RUNNING, SPOT, Instance
from providers.sandbox.world.nomad import node as nd
from schemas.world import TAG_CLUSTER, TAG_POOL, TAG_ROLE, Role

if TYPE_CHECKING:
    from providers.sandbox.world.world import World

SERVERS = "servers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A machine that EC2 gave."""

    at: float
    instance: str
    pool: str  # "servers" for servers
    type: str
    zone: str
    market: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A machine that ends, and by whom: EC2's state reason code."""

    at: float
    instance: str
    pool: str
    market: str
    code: str
    lived: float  # seconds


@dataclass(slots=True, kw_only=True)
class Machines:
    """Watches one group's machines."""

    world: World
    group: str
    launched: list[Launched] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    _live: set[str] = field(default_factory=set)
    _known: set[str] = field(default_factory=set)

    def look(self) -> dict[str, float]:
        """Take in who came and went; gives the gauges as they are now: machines, USD an hour, shares in use."""
        gauges: dict[str, float] = {}
        for instance in self.world.state.ec2.instances.values():
            if instance.id not in self._known:
                if instance.tags.get(TAG_CLUSTER) != self.group:
                    continue
                self._known.add(instance.id)
                self._live.add(instance.id)
                self._came(instance)
            if instance.state in {PENDING, RUNNING}:
                self._count(instance, gauges)
            elif instance.id in self._live:
                self._live.discard(instance.id)
                self._went(instance)
        self._fill(gauges)
        return gauges

    def _came(self, instance: Instance) -> None:
        self.launched.append(
            Launched(
                at=instance.launched_at,
                instance=instance.id,
                pool=_pool(instance),
                type=instance.type,
                zone=instance.zone,
                market=instance.market,
            )
        )

    def _went(self, instance: Instance) -> None:
        now = self.world.now
        self.ended.append(
            Ended(
                at=now,
                instance=instance.id,
                pool=_pool(instance),
                market=instance.market,
                code=instance.state_reason or "unknown",
                lived=now - instance.launched_at,
            )
        )

    def _count(self, instance: Instance, gauges: dict[str, float]) -> None:
        pool = _pool(instance)
        names = [f"machines/{pool}"] if pool == SERVERS else [f"machines/{pool}", "clients", instance.market]
        for name in names:
            gauges[name] = gauges.get(name, 0.0) + 1
        if instance.state == RUNNING:  # EC2 bills from running on (aws.md §4)
            price = self._price(instance)
            of = SERVERS if pool == SERVERS else instance.market
            for name in ("usd", f"usd/{of}"):
                gauges[name] = gauges.get(name, 0.0) + price

    def _price(self, instance: Instance) -> float:
        cloud = self.world.cloud
        spot = spot_price(cloud, instance.type, instance.zone) if instance.market == SPOT else None
        return spot if spot is not None else on_demand_price(cloud, instance.type) or 0.0

    def _fill(self, gauges: dict[str, float]) -> None:
        """Sum up what ready nodes have, and what allocations take of it."""
        cluster = self.world.nomad
        for node in cluster.state.nodes.values():
            if node.status != nd.READY:
                continue
            gauges["cpu"] = gauges.get("cpu", 0.0) + node.resources.cpu_mhz - node.reserved.cpu_mhz
            gauges["memory"] = gauges.get("memory", 0.0) + node.resources.memory_mib - node.reserved.memory_mib
            for alloc in cluster.store.node_allocs(node.id):
                if not alloc.client_terminal:
                    gauges["cpu used"] = gauges.get("cpu used", 0.0) + alloc.usage.cpu
                    gauges["memory used"] = gauges.get("memory used", 0.0) + alloc.usage.memory
                    gauges["allocations"] = gauges.get("allocations", 0.0) + 1


def _pool(instance: Instance) -> str:
    return SERVERS if instance.tags.get(TAG_ROLE) == Role.SERVER else instance.tags.get(TAG_POOL, "")
