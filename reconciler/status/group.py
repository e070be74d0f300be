"""One group's status, put together from what one tick saw and decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.packing.census import hourly_cost
from reconciler.status.acts import Act, act_of
from reconciler.status.conditions import Condition, Look, conditions_of
from reconciler.status.tables import NodeRow, PoolRow, ServerRow, node_rows, pool_rows, server_rows
from schemas.document import ClusterGroup
from schemas.plan import Hold, Plan
from schemas.world import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """USD an hour at today's prices; a machine whose launch was not answered counts as the dearest it may become."""

    hourly: float
    servers: float
    clients: float
    limit: float  # limits.maxHourlyCost
    planned: float  # what the plan's actions may add, at the dearest
    bound: float | None  # no set of new machines for the demand in the plan is cheaper; None: nothing is planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """How old the prices are that everything here is counted with."""

    on_demand_at: datetime | None  # when the Price List was read; None: the shipped table of us-east-1 stands in
    spot_at: datetime | None
    silent: Mapping[str, str]  # what was not told anew at the last attempt → what was heard


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatus:
    """What a person sees of a group."""

    name: str
    mode: str
    observed_at: datetime
    converged: bool
    conditions: tuple[Condition, ...]
    servers: tuple[ServerRow, ...]
    pools: tuple[PoolRow, ...]
    nodes: tuple[NodeRow, ...]
    actions: tuple[Act, ...]  # what the plan would do, in order
    holds: tuple[Hold, ...]  # what it would not, and why
    digest: str  # names the actions
    cost: Cost
    prices: Prices
    warnings: tuple[str, ...]  # of the document


def status_of(
    group: ClusterGroup, snapshot: Snapshot, plan: Plan, *, converged: bool, warnings: Sequence[str] = ()
) -> GroupStatus:
    """Put the status together; ``warnings`` are the document's."""
    servers, nodes = server_rows(snapshot), node_rows(snapshot)
    pools = pool_rows(group, nodes, snapshot)
    look = Look(group=group, snapshot=snapshot, plan=plan, servers=servers, pools=pools, warnings=len(warnings))
    hourly, in_servers = hourly_cost(snapshot), sum(s.price for s in servers if s.state in _PAID)
    return GroupStatus(
        name=group.metadata.name,
        mode=group.spec.mode,
        observed_at=snapshot.observed_at,
        converged=converged and group.spec.mode == "enforce",
        conditions=conditions_of(look),
        servers=servers,
        pools=pools,
        nodes=nodes,
        actions=tuple(act_of(action) for action in plan.actions),
        holds=plan.holds,
        digest=plan.digest,
        cost=Cost(
            hourly=hourly,
            servers=in_servers,
            clients=hourly - in_servers,
            limit=group.spec.limits.max_hourly_cost,
            planned=plan.price,
            bound=plan.bound,
        ),
        prices=Prices(
            on_demand_at=snapshot.supply.on_demand_at,
            spot_at=snapshot.supply.spot_at,
            silent=snapshot.supply.silent,
        ),
        warnings=tuple(warnings),
    )


_PAID = frozenset({"pending", "running", "stopping", "stopped"})
