"""Full subnets: nothing is launched into them, and it is said; a type that a zone does not have is no candidate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cli.show.parts import price_ages
from reconciler.packing.offers import Shelf, shelf
from reconciler.packing.promise import Promises
from reconciler.reconcilers.servers.wanted import server_requests
from reconciler.reconcilers.subnets import plan_subnets
from reconciler.status import status_of
from schemas.document import ClusterGroup
from schemas.plan import Plan, Reason
from schemas.supply import Supply
from schemas.world import Snapshot
from support.builders import NOON, a_group, a_pool, a_snapshot

FREE = {"subnet-a1": 12, "subnet-b1": 0}


def a_look(supply: Supply) -> tuple[Snapshot, ClusterGroup]:
    return replace(a_snapshot(), supply=supply), a_group(pools=[a_pool()])


def for_sale(supply: Supply) -> Shelf:
    snapshot, group = a_look(supply)
    return shelf(Promises(snapshot=snapshot, group=group, pool=group.spec.pools[0]))


def test_a_full_subnet_and_one_that_is_not_there_are_named_with_the_way_out() -> None:
    snapshot, group = a_look(Supply(free_addresses=FREE, subnets_at=NOON))

    holds = {h.subject: h for h in plan_subnets(snapshot, group).holds}

    assert holds.keys() == {"subnet/subnet-b1", "subnet/subnet-c1"}
    assert {h.reason for h in holds.values()} == {Reason.SUBNET_FULL}
    assert "subnet-b1 in us-east-1b has no free address: the other" in holds["subnet/subnet-b1"].message
    assert "shows no subnet subnet-c1 in us-east-1" in holds["subnet/subnet-c1"].message


def test_as_long_as_nobody_told_no_subnet_is_full() -> None:
    snapshot, group = a_look(Supply())

    assert plan_subnets(snapshot, group) == Plan()


def test_nothing_is_for_sale_in_a_full_subnet() -> None:
    assert {o.zone for o in for_sale(Supply()).offers} > {"us-east-1a"}
    assert {s for o in for_sale(Supply(free_addresses=FREE, subnets_at=NOON)).offers for s in o.subnets} == {
        "subnet-a1"
    }


def test_a_type_is_for_sale_only_where_its_zone_has_it() -> None:
    kinds = {o.kind.name for o in for_sale(Supply()).offers}
    lacking = min(kinds)
    offered = {"us-east-1a": frozenset(kinds - {lacking})}

    offers = for_sale(Supply(offered=offered)).offers

    assert lacking not in {o.kind.name for o in offers if o.zone == "us-east-1a"}
    assert lacking in {o.kind.name for o in offers if o.zone != "us-east-1a"}


def test_a_server_is_asked_for_where_there_is_room_and_its_type_or_else_all_the_same() -> None:
    def ways(supply: Supply) -> list[tuple[str, str]]:
        snapshot, group = a_look(supply)
        assert group.spec.servers is not None
        return [(w.instance_type, w.zone) for w in server_requests(snapshot, group, group.spec.servers, 1)]

    small, amd = "t3.small", "t3a.small"
    lacking = {"us-east-1b": frozenset({amd})}
    rooms = {f"subnet-{z}1": 9 for z in "ab"}

    assert ways(Supply(free_addresses=rooms, subnets_at=NOON, offered=lacking)) == [
        (amd, "us-east-1b"),
        (small, "us-east-1a"),
        (amd, "us-east-1a"),
    ]
    assert ways(Supply(subnets_at=NOON)) == ways(Supply())
    assert len(ways(Supply())) == 6


@pytest.mark.parametrize(
    ("supply", "told"),
    [
        (Supply(on_demand_at=NOON, spot_at=NOON), ""),
        (Supply(spot_at=NOON), "on-demand as shipped, of us-east-1, spot 0s old"),
        (
            Supply(on_demand_at=NOON, spot_at=NOON, silent={"on-demand prices": "AccessDeniedException"}),
            "on-demand 0s old, spot 0s old; on-demand prices: AccessDeniedException",
        ),
    ],
)
def test_old_shipped_and_silent_prices_are_told(supply: Supply, told: str) -> None:
    snapshot, group = a_look(supply)
    status = status_of(group, replace(snapshot, observed_at=NOON), Plan(), converged=True)

    assert price_ages(status) == told
