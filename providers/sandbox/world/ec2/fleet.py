"""CreateFleet of type instant: one call over many pools, answered with instances and errors together (aws.md §1.1).

Only a few pools are tried; what is then still missing is UnfulfillableCapacity for all others, which says nothing
about them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.capacity import refuse_if_short
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.launch import MachineOrder, check_order, digest_of, make_instance
from providers.sandbox.world.ec2.prices import on_demand_price, spot_depth, spot_price
from providers.sandbox.world.ec2.state import ON_DEMAND, SPOT, Fleet, FleetError, FleetPool

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud

_POOLS_TRIED_MAX = 3
_DEEP = 4  # price-capacity-optimized chooses by price among pools at least this deep


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOrder:
    """What a fleet is asked for: ``count`` machines like ``machine``, from any of the (type, subnet) pools."""

    machine: MachineOrder  # its type and subnet are those of the pool that gives it
    pools: tuple[tuple[str, str], ...]
    count: int
    strategy: str = ""  # "": price-capacity-optimized for spot, lowest-price for on-demand


def create_fleet(cloud: Cloud, order: FleetOrder, *, token: str) -> Fleet:
    """Launch up to ``count`` machines; the answer of a token's first use is its answer for ever.

    Raises:
        Ec2Error: IdempotentParameterMismatch, or a mistake in the request as a whole; what is wrong with one pool is
            in the answer.

    """
    if order.count < 1 or not order.pools:
        raise Ec2Error("InvalidParameterValue", "TotalTargetCapacity and Overrides must not be empty")
    _refuse_two_subnets_of_a_zone(cloud, order)
    digest, key = digest_of(order), f"token/{token}"
    if token and (known := cloud.state.fleets.get(key)) is not None:
        if known.digest != digest:
            raise Ec2Error(
                "IdempotentParameterMismatch",
                f"The client token {token} was used with other parameters in a previous request.",
            )
        return known
    fleet = Fleet(id=f"fleet-{cloud.kernel.new_id()}", digest=digest)
    _fill(cloud, order, fleet)
    if token:
        cloud.state.fleets[key] = fleet
    return fleet


def _refuse_two_subnets_of_a_zone(cloud: Cloud, order: FleetOrder) -> None:
    by_zone: dict[str, str] = {}
    for _, name in order.pools:
        subnet = cloud.state.subnets.get(name)
        if subnet is not None and by_zone.setdefault(subnet.zone, name) != name:
            raise Ec2Error(
                "InvalidParameterValue",
                f"The fleet names two subnets of one Availability Zone: {by_zone[subnet.zone]} and {name}.",
            )


def _fill(cloud: Cloud, order: FleetOrder, fleet: Fleet) -> None:
    missing, tried = order.count, 0
    for machine in _ranked(cloud, order):
        if missing == 0:
            break
        if (wrong := _invalid(cloud, machine)) is not None:
            fleet.errors.append(wrong)
            continue
        if tried == _POOLS_TRIED_MAX:
            fleet.errors.append(
                _error(
                    cloud,
                    machine,
                    "UnfulfillableCapacity",
                    "Unable to fulfill capacity due to your request configuration.",
                )
            )
            continue
        tried += 1
        missing -= _launch_from(cloud, machine, missing, fleet)


def _launch_from(cloud: Cloud, machine: MachineOrder, wanted: int, fleet: Fleet) -> int:
    subnet = cloud.state.subnets[machine.subnet]
    pool = FleetPool(type=machine.instance_type, subnet=subnet.id, zone=subnet.zone, market=machine.market)
    try:
        for _ in range(wanted):
            refuse_if_short(cloud, machine.market, machine.instance_type, subnet)
            tags = {**machine.tags, "aws:ec2:fleet-id": fleet.id}
            pool.instances.append(make_instance(cloud, replace(machine, tags=tags), fleet=fleet.id).id)
    except Ec2Error as short:
        fleet.errors.append(_error(cloud, machine, short.code, short.message))
    if pool.instances:
        fleet.pools.append(pool)
    return len(pool.instances)


def _ranked(cloud: Cloud, order: FleetOrder) -> list[MachineOrder]:
    machines = [replace(order.machine, instance_type=kind, subnet=subnet) for kind, subnet in order.pools]
    market = order.machine.market
    strategy = order.strategy or ("price-capacity-optimized" if market == SPOT else "lowest-price")

    def rank(machine: MachineOrder) -> tuple[float, ...]:
        subnet = cloud.state.subnets.get(machine.subnet)
        zone = subnet.zone if subnet else ""
        spot = spot_price(cloud, machine.instance_type, zone) if market == SPOT else None
        price = spot if market == SPOT else on_demand_price(cloud, machine.instance_type)
        depth = spot_depth(cloud, machine.instance_type, zone)
        dear = price if price is not None else float("inf")
        if market == ON_DEMAND or strategy == "lowest-price":
            return (dear,)
        if strategy == "price-capacity-optimized":
            return (0.0 if depth >= _DEEP else 1.0, dear)
        return (-float(depth), dear)

    return sorted(machines, key=rank)  # stable: equals stay in the order of the request


def _invalid(cloud: Cloud, machine: MachineOrder) -> FleetError | None:
    try:
        check_order(cloud, machine)
    except Ec2Error as wrong:
        code = "InvalidFleetConfiguration" if wrong.code == "Unsupported" else wrong.code
        return _error(cloud, machine, code, wrong.message)
    return None


def _error(cloud: Cloud, machine: MachineOrder, code: str, message: str) -> FleetError:
    subnet = cloud.state.subnets.get(machine.subnet)
    return FleetError(
        type=machine.instance_type,
        subnet=machine.subnet,
        zone=subnet.zone if subnet else "",
        market=machine.market,
        code=code,
        message=message,
    )
