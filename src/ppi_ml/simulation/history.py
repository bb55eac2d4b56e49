"""A brand's history, told block after block of customers: its tables, and its truth.

A table of customers is one function from the `Story` of a block to its rows. Another type of event
is another function in `PARTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from ppi_ml.instants import Cutoff
from ppi_ml.simulation import contacts, nudges, parcels, truths, voices
from ppi_ml.simulation.assortment import Assortment
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.calendar import Calendar, calendar
from ppi_ml.simulation.clock import INSTANT, START
from ppi_ml.simulation.fates import Fates
from ppi_ml.simulation.lanes import Lanes
from ppi_ml.simulation.people import people
from ppi_ml.simulation.story import Story
from ppi_ml.simulation.tables import product_frame, stock_frame
from ppi_ml.simulation.walk import Walk

BLOCK = 20_000
"""Customers who are simulated together. It changes nothing but speed and memory."""
Frames = dict[str, pl.DataFrame]

PARTS: Mapping[str, Callable[[Story], pl.DataFrame | None]] = MappingProxyType(
    {
        "order_lines": parcels.order_lines,
        "cancellations": parcels.cancellations,
        "shipments": parcels.shipments,
        "deliveries": parcels.deliveries,
        "delivery_exceptions": parcels.delivery_exceptions,
        "returns": parcels.returns,
        "refunds": parcels.refunds,
        "reviews": voices.reviews,
        "tickets_opened": voices.tickets_opened,
        "tickets_closed": voices.tickets_closed,
        "surveys": voices.surveys,
        "exposures": contacts.exposures,
        "messages": contacts.messages,
        "usage": voices.usage,
        "consents": contacts.consents,
        "customers": contacts.customers,
    }
)
"""Table of customers -> its rows for a block; None: this brand has no such table."""
TRUTHS: Mapping[str, Callable[[Story], pl.DataFrame]] = MappingProxyType(
    {"customers": truths.customers, "orders": truths.orders}
)
"""What is true of a block, by the name of its table."""


@dataclass(frozen=True)
class History:
    """What all customers of a brand share, over so many days under a seed."""

    brand: Brand
    days: int
    seed: int
    calendar: Calendar
    assortment: Assortment
    lanes: Lanes

    @classmethod
    def of(cls, brand: Brand, days: int, seed: int) -> History:
        """Draw what is shared."""
        return cls(
            brand,
            days,
            seed,
            calendar(brand, days, seed),
            Assortment.of(brand, days, seed),
            Lanes.of(brand, seed),
        )

    @property
    def until(self) -> Cutoff:
        """The end of the simulated time, exclusive."""
        return START.plus(self.days)

    def shared(self) -> tuple[Frames, Frames]:
        """The tables and truths that have no customers."""
        begins = START.plus(self.brand.begins.get("stock", 0))
        stock = stock_frame(self.assortment.catalogue, self.until)
        since = pl.col("occurred_at") >= pl.lit(begins.at).cast(INSTANT)
        tables = {
            "stock": stock.filter(since),
            "products": product_frame(self.assortment.catalogue),
        }
        truth = {
            "products": truths.products(self.assortment),
            "lanes": truths.lanes(self.lanes),
            "tags": truths.tags(self.brand),
            "days": truths.days(self.calendar),
        }
        return tables, truth

    def blocks(self, customers: int) -> Iterator[tuple[Frames, Frames]]:
        """Tables and truths of the customers, block after block."""
        for first in range(0, customers, BLOCK):
            told = self.story(first, min(BLOCK, customers - first))
            tables = {name: part(told) for name, part in PARTS.items()}
            yield (
                {name: table for name, table in tables.items() if table is not None},
                {name: truth(told) for name, truth in TRUTHS.items()},
            )

    def story(self, first: int, count: int) -> Story:
        """What happened to so many customers from a number on."""
        brand, days = self.brand, self.days
        who = people(brand, days, self.seed, first, count)
        shown, sent = nudges.exposures(brand, who, days), nudges.messages(brand, who, days)
        fates = Fates(brand, self.calendar, self.assortment, self.lanes, who)
        boost = nudges.Boost(brand, count, shown, sent, days)
        orders, lines = Walk(brand, who, fates).through(self.calendar, boost)
        return Story(brand, days, self.assortment, who, shown, sent, orders, lines)
