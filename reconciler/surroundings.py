"""What a tick needs to know of the account beside its machines: what is sold, where there is room, what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.ports import Ec2
from schemas.catalogue import Catalogue
from schemas.document import ClusterGroup
from schemas.faults import Fault
from schemas.supply import Supply
from schemas.trouble import Trouble
from schemas.world import Instance, Market


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The account around one group's machines; who was silent is named in the parts."""

    catalogue: Catalogue  # the shipped types, and those that EC2 knows beyond them
    supply: Supply
    trouble: Trouble


async def look_around(ec2: Ec2, group: ClusterGroup, shipped: Catalogue, instances: Sequence[Instance]) -> Surroundings:
    """Ask EC2 for what its provider mostly knows already. Never raises: without an answer nothing is restricted."""
    subnets = group.spec.aws.subnets
    try:
        supply = await ec2.supply(
            zones=sorted({s.zone for s in subnets}), subnets=sorted(s.id for s in subnets), known=shipped.keys()
        )
    except Fault as fault:
        supply = Supply(silent={"supply": fault.message})
    running = [instance for instance in instances if instance.state == "running"]
    spot = any(instance.market is Market.SPOT for instance in running)
    try:
        trouble = await ec2.trouble([i.id for i in running], spot=spot) if running else Trouble()
    except Fault as fault:
        trouble = Trouble(fault=fault.message)
    return Surroundings(catalogue=shipped.with_types(supply.types), supply=supply, trouble=trouble)
