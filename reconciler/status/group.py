"""One group's status, put together from what one tick saw and decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.packing.census import hourly_cost
from reconciler.status.acts import Act, act_of
from reconciler.status.conditions import Condition, Look, conditions_of
from reconciler.status.machines import MachineRow, bound_of, machine_rows
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
    least: float  # what they add where EC2 takes the cheapest offering of each
    bound: float | None  # no set of new machines for the demand in the plan is cheaper; None: nothing is planned
    gap: float | None  # how far ``least`` is above the bound, as a fraction; None: a cap cut the plan, or there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """How old the prices are that everything here is counted with."""

    on_demand_at: datetime | None  # when the Price List was read; None: the shipped table of us-east-1 stands in
    spot_at: datetime | None
    silent: Mapping[str, str]  # what was not told anew at the last attempt → what was heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """How well the placement model foresaw what Nomad does; copies and questions since the journal began."""

    kept: int  # copies that were placed on the machines that were bought for them
    missed: int  # copies that were not, though they waited and their room was there
    agreed: int  # times Nomad's own scheduler was asked, and said the same
    disagreed: int


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
    machines: tuple[MachineRow, ...]  # those that the plan would buy
    holds: tuple[Hold, ...]  # what it would not, and why
    digest: str  # names the actions
    cost: Cost
    prices: Prices
    predictions: Predicted
    warnings: tuple[str, ...]  # of the document


def status_of(
    group: ClusterGroup, snapshot: Snapshot, plan: Plan, *, converged: bool, warnings: Sequence[str] = ()
) -> GroupStatus:
    """Put the status together; ``warnings`` are the document's."""
    servers, nodes = server_rows(snapshot), node_rows(snapshot)
    pools = pool_rows(group, nodes, snapshot)
    look = Look(group=group, snapshot=snapshot, plan=plan, servers=servers, pools=pools, warnings=len(warnings))
    compared, known = bound_of(plan), snapshot.predictions
    machines = machine_rows(snapshot, group, plan)
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
        machines=machines,
        holds=plan.holds,
        digest=plan.digest,
        cost=Cost(
            hourly=hourly,
            servers=in_servers,
            clients=hourly - in_servers,
            limit=group.spec.limits.max_hourly_cost,
            planned=plan.price,
            least=sum(m.count * m.price for m in machines),
            bound=plan.bound,
            gap=compared.gap if compared else None,
        ),
        prices=Prices(
            on_demand_at=snapshot.supply.on_demand_at,
            spot_at=snapshot.supply.spot_at,
            silent=snapshot.supply.silent,
        ),
        predictions=Predicted(kept=known.kept, missed=known.missed, agreed=known.agreed, disagreed=known.disagreed),
        warnings=tuple(warnings),
    )


_PAID = frozenset({"pending", "running", "stopping", "stopped"})
