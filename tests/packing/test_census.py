"""What machines cost and how many there are, launches of unknown outcome counted as launched."""

from __future__ import annotations

import pytest

from reconciler.packing.census import clients_by_pool, hourly_cost, price_of
from schemas.world import Market
from support.builders import a_claim, a_server, a_snapshot, an_instance


def test_a_machine_costs_todays_price_of_its_market() -> None:
    world = a_snapshot(spot_prices={("m6i.large", "us-east-1a"): 0.03}, on_demand_prices={"m6i.large": 0.1})

    assert price_of(world, an_instance()) == 0.1
    assert price_of(world, an_instance(market=Market.SPOT)) == 0.03
    assert price_of(world, an_instance(market=Market.SPOT, zone="us-east-1b")) == 0.1
    assert price_of(world, an_instance(type="no-such.type")) == 0
    assert price_of(a_snapshot(), an_instance()) == pytest.approx(0.096)


def test_machines_that_nobody_has_seen_count_as_the_dearest_they_may_become() -> None:
    world = a_snapshot(
        instances=(an_instance(1), a_server(0), an_instance(2, state="terminated")), claims=(a_claim(7, count=2),)
    )

    assert clients_by_pool(world) == {"general": 3}
    assert hourly_cost(world) == pytest.approx(0.096 + 0.0208 + 2 * 0.096)
