"""All that happened to a block of customers, and how events of it become rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.simulation import luck
from ppi_ml.simulation.assortment import Assortment
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.clock import FloatArray, IntArray, instants, whole_seconds
from ppi_ml.simulation.fates import Lines, Orders
from ppi_ml.simulation.luck import Keys
from ppi_ml.simulation.nudges import Exposures, Messages
from ppi_ml.simulation.people import People

REPORTED = (
    "deliveries", "delivery_exceptions", "returns", "refunds", "reviews", "surveys", "usage",
)  # fmt: skip
"""The tables whose events others report, so that some become known later."""
_PER_CUSTOMER = 10_000  # orders of one customer: one a day for as long as can be simulated


@dataclass(frozen=True, eq=False)
class Story:
    """A block of customers, what they ordered, and what reached them, over so many days."""

    brand: Brand
    days: int
    assortment: Assortment
    people: People
    exposures: Exposures
    messages: Messages
    orders: Orders
    lines: Lines

    def customer_ids(self, customer: IntArray) -> pl.Series:
        """The ids of customers, told by their rows in the block."""
        return names("c", self.people.number[customer], 7)

    def order_ids(self, prefix: str, order: IntArray) -> pl.Series:
        """A prefix and the number of each order, told by its row: customer, then running number."""
        customer = self.people.number[self.orders.customer[order]]
        return names(prefix, customer * _PER_CUSTOMER + self.orders.number[order], 11)

    def skus(self, product: IntArray) -> pl.Series:
        """The ids of products."""
        return names("p", product, 4)

    def record(
        self, table: str, keys: Keys, time: FloatArray
    ) -> tuple[IntArray, Mapping[str, pl.Series]]:
        """The events that a table holds, and their times.

        Args:
            table: its name.
            keys: of the events (n,).
            time: when each occurred, in days since the start; inf is never.

        Returns:
            The rows that are in the table: those that occurred since it began and were known before
            the end of the log; and `occurred_at`, in the tables of `REPORTED` also `known_at`.
        """
        known = time
        if table in REPORTED:
            late = luck.uniform(keys, f"{table} late") < self.brand.known_late
            lag = self.brand.known_late_days * luck.exponential(keys, f"{table} lag")
            known = whole_seconds(time + np.where(late, lag, 0.0))
        rows = np.flatnonzero((time >= self.brand.begins.get(table, 0)) & (known < self.days))
        times = {"occurred_at": instants(time[rows])}
        if table in REPORTED:
            times["known_at"] = instants(known[rows])
        return rows, times


def names(prefix: str, numbers: NDArray[np.integer], width: int) -> pl.Series:
    """Ids: a prefix, and numbers of at least so many digits."""
    return prefix + pl.Series(numbers).cast(pl.String).str.zfill(width)


def words(choices: tuple[str, ...], index: IntArray, unknown: int = -1) -> pl.Series:
    """One of some words for each index; null where that is `unknown`."""
    places = pl.Series(np.where(index == unknown, len(choices), index))
    return pl.Series([*choices, None], dtype=pl.String).gather(places)
