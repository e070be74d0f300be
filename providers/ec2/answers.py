"""What EC2 answers, as botocore parses it, in our values: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from providers.aws.call import NotAnAnswerError
from providers.ec2.codes import refusal_of
from schemas.world import Address, FleetAnswer, FleetError, FleetRequest, Instance, Market, Template

_ALIVE = frozenset({"pending", "running"})


def part(answer: Mapping[str, Any], name: str) -> Any:
    """Give a part that every answer of this kind has, empty or not.

    Raises NotAnAnswerError: botocore finds an empty list in a proxy's HTML page with status 200.
    """
    if name not in answer:
        raise NotAnAnswerError(f"the answer has no {name}: something between us and AWS wrote it")
    return answer[name]


def instances_from(pages: Iterable[Mapping[str, Any]]) -> tuple[Instance, ...]:
    """Read the pages of ``DescribeInstances``."""
    reservations = (r for page in pages for r in part(page, "Reservations"))
    return tuple(instance_from(i) for r in reservations for i in part(r, "Instances"))


def instance_from(found: Mapping[str, Any]) -> Instance:
    """Read one instance; one that is long gone has lost its subnet and addresses."""
    state = found["State"]["Name"]
    return Instance(
        id=found["InstanceId"],
        type=found["InstanceType"],
        zone=found.get("Placement", {}).get("AvailabilityZone", ""),
        subnet_id=found.get("SubnetId", ""),
        market=Market.SPOT if found.get("InstanceLifecycle") == "spot" else Market.ON_DEMAND,
        state=state,
        launched_at=found["LaunchTime"],
        private_ip=found.get("PrivateIpAddress", ""),
        image_id=found.get("ImageId", ""),
        tags={tag["Key"]: tag["Value"] for tag in found.get("Tags", ())},
        state_reason="" if state in _ALIVE else found.get("StateReason", {}).get("Code", ""),
    )


def address_from(found: Mapping[str, Any]) -> Address:
    """Read one Elastic IP of ``DescribeAddresses``."""
    return Address(
        allocation_id=found["AllocationId"],
        public_ip=found.get("PublicIp", ""),
        instance_id=found.get("InstanceId", ""),
        association_id=found.get("AssociationId", ""),
    )


def fleet_answer_from(
    answer: Mapping[str, Any], request: FleetRequest, template: Template, now: datetime
) -> FleetAnswer:
    """Read the answer of an instant fleet: machines first, whatever the errors beside them say.

    An entry holds the ids of one offering. EC2 says little else of new machines: they are pending as of ``now``.
    """
    part(answer, "FleetId")
    tags = {**template.tags, **request.tags}
    made = tuple(
        Instance(
            id=instance_id,
            type=entry.get("InstanceType") or kind,
            zone=zone,
            subnet_id=subnet,
            market=Market(entry.get("Lifecycle") or request.market),
            state="pending",
            launched_at=now,
            image_id=template.image_id,
            tags=tags,
        )
        for entry in answer.get("Instances", ())
        for kind, subnet, zone in [_place(entry, request)]
        for instance_id in entry.get("InstanceIds", ())
    )
    errors = tuple(
        FleetError(
            instance_type=kind,
            zone=zone,
            market=Market(error.get("Lifecycle") or request.market),
            code=code,
            message=error.get("ErrorMessage", ""),
            why=refusal_of(code),
        )
        for error in answer.get("Errors", ())
        for kind, _, zone in [_place(error, request)]
        for code in [error.get("ErrorCode", "")]
    )
    return FleetAnswer(instances=made, errors=errors)


def _place(entry: Mapping[str, Any], request: FleetRequest) -> tuple[str, str, str]:
    """Tell type, subnet and zone; the zone of a subnet is known from the request when it is not echoed."""
    echoed = entry.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
    subnet = echoed.get("SubnetId", "")
    zones = {o.subnet_id: o.zone for o in request.overrides}
    return echoed.get("InstanceType", ""), subnet, echoed.get("AvailabilityZone") or zones.get(subnet, "")


def spot_prices_from(
    pages: Iterable[Mapping[str, Any]], types: frozenset[str], zones: frozenset[str]
) -> dict[tuple[str, str], float]:
    """Read the newest price of each (type, zone); what has no row has no spot offering."""
    newest: dict[tuple[str, str], tuple[datetime, float]] = {}
    for row in (r for page in pages for r in part(page, "SpotPriceHistory")):
        pool = row["InstanceType"], row["AvailabilityZone"]
        if pool[0] in types and pool[1] in zones:
            told = row["Timestamp"], float(row["SpotPrice"])
            newest[pool] = max(newest.get(pool, told), told)
    return {pool: price for pool, (_, price) in sorted(newest.items())}
