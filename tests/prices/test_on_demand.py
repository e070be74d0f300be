"""On-demand prices from the Price List: what is read, what is left out, what happens while it is silent."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from providers.aws.clients import Clients
from providers.prices.on_demand import ASKED_EVERY, KEPT_FOR, OnDemandPrices, prices_from
from schemas.faults import UnansweredError
from support.aws_wire import run
from support.builders import NOON

REGION = "eu-west-1"


def a_product(kind: str, *usd: str, **more: object) -> str:
    dimensions = {f"d{n}": {"pricePerUnit": {"USD": price}} for n, price in enumerate(usd)}
    terms = {"OnDemand": {"t": {"priceDimensions": dimensions}}}
    return json.dumps({"product": {"attributes": {"instanceType": kind}}, "terms": terms, **more})


@cache
def shared_clients() -> Clients:
    return Clients(REGION)


def test_a_price_is_the_one_above_zero_of_its_type() -> None:
    pages: list[dict[str, list[str]]] = [
        {"PriceList": [a_product("m6i.large", "0.0000000000", "0.1070000000")]},
        {"PriceList": []},
    ]

    assert prices_from(pages) == {"m6i.large": 0.107}


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        a_product("m6i.large"),
        a_product("m6i.large", "0"),
        a_product("m6i.large", "-1"),
        a_product("m6i.large", "NaN"),
        a_product("m6i.large", "free"),
        a_product("m6i.large", "1", terms={}),
        a_product("m6i.large", "1", product=None),
    ],
)
def test_a_product_without_a_sensible_price_is_left_out_and_the_others_are_read(text: str) -> None:
    assert prices_from([{"PriceList": [text, a_product("c6i.large", "0.09")]}]) == {"c6i.large": 0.09}


def asked(times: list[timedelta], *answers: dict[str, Any] | str) -> list[dict[str, float] | None]:
    """Ask at each time after noon, against these answers (an error's code is a text); None: unanswered."""
    clock = [NOON]
    client = shared_clients().pricing()
    prices = OnDemandPrices(shared_clients(), lambda: clock[0])

    async def each() -> list[Any]:
        heard: list[Any] = []
        for after in times:
            clock[0] = NOON + after
            try:
                heard.append(dict(await prices.on_demand()))
            except UnansweredError:
                heard.append(None)
        return heard

    with Stubber(client) as stub:
        for answer in answers:
            if isinstance(answer, str):
                stub.add_client_error("get_products", answer)
            else:
                stub.add_response(
                    "get_products", answer, {"ServiceCode": "AmazonEC2", "Filters": ANY, "MaxResults": 100}
                )
        heard: list[Any] = run(each)
        stub.assert_no_pending_responses()
    return heard


LARGE, METAL = {"PriceList": [a_product("m6i.large", "0.107")]}, {"PriceList": [a_product("m6i.metal", "6.8")]}
BOTH = {"m6i.large": 0.107, "m6i.metal": 6.8}


def test_shared_and_bare_metal_types_are_read_together_and_asked_for_twice_a_day() -> None:
    times = [timedelta(0), timedelta(hours=6), ASKED_EVERY]

    assert asked(times, LARGE, METAL, LARGE, METAL) == [BOTH, BOTH, BOTH]


def test_prices_are_kept_a_week_while_the_list_is_silent() -> None:
    times = [timedelta(0), ASKED_EVERY, KEPT_FOR, KEPT_FOR + timedelta(hours=13)]
    denied = "AccessDeniedException"

    assert asked(times, LARGE, METAL, denied, denied, denied) == [BOTH, BOTH, BOTH, None]


def test_a_region_without_prices_is_unanswered_not_free() -> None:
    nothing: dict[str, Any] = {"PriceList": []}

    assert asked([timedelta(0)], nothing, nothing) == [None]


@pytest.mark.parametrize(
    ("region", "where"),
    [
        ("us-west-2", "us-east-1"),
        ("eu-west-1", "eu-central-1"),
        ("ap-southeast-2", "ap-south-1"),
        ("sa-east-1", "us-east-1"),
    ],
)
def test_the_list_is_read_where_there_is_one(region: str, where: str) -> None:
    assert Clients(region).pricing().meta.region_name == where


def test_the_age_of_the_prices_is_known() -> None:
    prices = OnDemandPrices(shared_clients(), lambda: NOON)
    assert prices.kept.last is None

    with Stubber(shared_clients().pricing()) as stub:
        for answer in (LARGE, METAL):
            stub.add_response("get_products", answer)
        run(prices.on_demand)
    assert prices.kept.last is not None
    assert prices.kept.last.at == NOON
