"""On-demand prices of a region, from the Price List; where it is silent, the shipped table stands in for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from providers.aws.call import Caller
from providers.aws.clients import Clients
from providers.ec2.answers import part
from providers.prices.kept import Kept
from schemas.faults import Source, UnansweredError

ASKED_EVERY, KEPT_FOR, RETRIED_EVERY = timedelta(hours=12), timedelta(days=7), timedelta(minutes=30)

_ALIKE: Final = {
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
_SOLD_AS: Final = (
    {"tenancy": "Shared", "productFamily": "Compute Instance"},
    {"tenancy": "Dedicated", "productFamily": "Compute Instance (bare metal)"},
)
"""With these a type has one price (source: facts aws §5)."""


class OnDemandPrices:
    """Prices in USD an hour by type, read every twelve hours, kept a week through silence."""

    def __init__(self, clients: Clients, now: Callable[[], datetime], *, inline: bool = False) -> None:
        self._clients = clients
        self._caller = Caller(Source.PRICES, inline=inline)
        self.kept: Kept[Mapping[str, float]] = Kept(
            now, asked_every=ASKED_EVERY, kept_for=KEPT_FOR, retried_every=RETRIED_EVERY
        )

    async def on_demand(self) -> Mapping[str, float]:
        """Give the prices that are known. Raises UnansweredError: then the shipped table is all there is."""
        return (await self.kept.get(self.ask)).value

    async def ask(self) -> Mapping[str, float]:
        """Read the whole list of the region now. Raises UnansweredError."""

        def pages() -> Mapping[str, float]:
            products = self._clients.pricing().get_paginator("get_products")
            found: dict[str, float] = {}
            for sold_as in _SOLD_AS:
                wanted = {**_ALIKE, **sold_as, "regionCode": self._clients.region}
                filters = [{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in sorted(wanted.items())]
                read = products.paginate(ServiceCode="AmazonEC2", Filters=filters, PaginationConfig={"PageSize": 100})  # type: ignore[arg-type]
                found |= prices_from(read)
            return found

        prices = await self._caller.read("GetProducts", pages)
        if not prices:
            told = f"the Price List has no price for {self._clients.region}"
            raise UnansweredError(Source.PRICES, "GetProducts", told)
        return prices


def prices_from(pages: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Read products, each a JSON text of its own; what has no price above zero, or no sense, is left out."""
    found: dict[str, float] = {}
    for text in (text for page in pages for text in part(page, "PriceList")):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            product = json.loads(text)
            kind = product["product"]["attributes"]["instanceType"]
            usd = [
                float(dimension["pricePerUnit"]["USD"])
                for term in product["terms"]["OnDemand"].values()
                for dimension in term["priceDimensions"].values()
            ]
            if (price := max(usd, default=0.0)) > 0:
                found[kind] = price
    return found
