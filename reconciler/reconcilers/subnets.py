"""Says which subnets no machine can be launched into; what is sold in them is no candidate anywhere."""

from __future__ import annotations

from schemas.document import ClusterGroup
from schemas.plan import Hold, Plan, Reason
from schemas.world import Snapshot


def plan_subnets(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """Hold what would be launched into a full subnet, or into one that is not there (source: aws.md §4.4)."""
    supply = snapshot.supply
    there = [s for s in group.spec.aws.subnets if supply.full(s.id)]
    left = len(group.spec.aws.subnets) - len(there)
    rest = f"the other {left} subnets of the document are used" if left > 1 else ""
    rest = rest or ("the other subnet of the document is used" if left else "no other is in the document")
    holds = []
    for subnet in there:
        if subnet.id in supply.free_addresses:
            why = f"subnet {subnet.id} in {subnet.zone} has no free address: {rest}"
            way = "; end machines in it, or name a larger subnet of that zone in aws.subnets"
        else:
            why = f"EC2 shows no subnet {subnet.id} in {group.spec.aws.region}: {rest}"
            way = "; correct aws.subnets"
        holds.append(Hold(subject=f"subnet/{subnet.id}", reason=Reason.SUBNET_FULL, message=why + way))
    return Plan(holds=tuple(holds))
