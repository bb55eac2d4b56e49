"""The past: what was known at a cutoff, as the only thing a family of features gets to see.

Every event in a `Past` has an `age_us`, the local calendar time from the event to the cutoff in
microseconds. Families work on ages, never on dates, so a feature cannot name its cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff

PURCHASE_TYPES = ("one_off",)
_MINUTE_US = 60_000_000
_DATES = ("at", "known", "wall")
_THURSDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


def is_purchase() -> pl.Expr:
    """Which order lines make a purchase: a decision to buy, not a refill, exchange or gift."""
    return pl.col("order_type").is_in(list(PURCHASE_TYPES))


def table_of(view: str) -> str:
    """The table behind a view: purchases and lines are made of order lines."""
    return "order_lines" if view in ("purchases", "lines") else view


@dataclass(frozen=True)
class Past:
    """Everything known before the cutoff about the customers of one log (or one bucket of it)."""

    log: EventLog
    cutoff: Cutoff

    def has(self, table: str) -> bool:
        """Whether the table exists and its record had begun before the cutoff."""
        found = self.log.tables.get(table)
        return found is not None and found.observed_from < self.cutoff

    def events(self, table: str) -> pl.DataFrame:
        """The known rows of a table with `age_us` (1 or more); sorted by customer and time."""
        # In an hour that the clock shows twice, an earlier event may show a later time.
        age = (self.cutoff.wall - pl.col("wall")).clip(lower_bound=1)
        frame = self.log.tables[table].frame
        return frame.filter(pl.col("known") < self.cutoff.at).with_columns(age_us=age)

    def table_age_us(self, table: str) -> int:
        """Local calendar time from the start of a table's record to the cutoff."""
        return self.cutoff.wall - self.log.tables[table].observed_from.wall

    @cached_property
    def lines(self) -> pl.DataFrame:
        """The order lines that belong to purchases."""
        return self.events("order_lines").filter(is_purchase())

    @cached_property
    def purchases(self) -> pl.DataFrame:
        """One row per customer and local day with an order; sorted by customer and time.

        `age_us` of the day's first order, `gap_us` since the purchase before (null for the first),
        `orders`, `lines`, `units_e3`, `value_e4` (null if no price is known), `weekday` (Monday 0),
        `minute` of the day (null where the table knows only days).
        """
        timed = self.log.tables["order_lines"].granularity == "instant"
        days = (
            self.lines.group_by("customer_id", pl.col("wall").floordiv(DAY_US).alias("day"))
            .agg(
                wall=pl.col("wall").min(),
                age_us=pl.col("age_us").max(),
                orders=pl.col("order_id").n_unique().cast(pl.Int64),
                lines=pl.len().cast(pl.Int64),
                units_e3=pl.col("quantity_e3").sum(),
                value_e4=_known_sum("value_e4"),
            )
            .sort("customer_id", "wall")
        )
        minute = pl.col("wall").mod(DAY_US).floordiv(_MINUTE_US)
        return days.with_columns(
            gap_us=pl.col("wall").diff().over("customer_id"),
            weekday=(pl.col("day") + _THURSDAY).mod(7),
            minute=minute if timed else pl.lit(None, dtype=pl.Int64),
        ).drop("wall", "day")

    def view(self, name: str) -> pl.DataFrame:
        """A view by name, without its dates: `purchases`, `lines`, or a table of the log."""
        if name in ("purchases", "lines"):
            frame: pl.DataFrame = getattr(self, name)
            return frame.drop(_DATES, strict=False)
        return self.events(name).drop(_DATES)

    def view_age_us(self, name: str) -> int:
        """How long the record behind a view reaches back from the cutoff."""
        return self.table_age_us(table_of(name))

    @cached_property
    def customers(self) -> pl.DataFrame:
        """Who is a row: everybody with a purchase before the cutoff, sorted by id.

        `seen_us` is the age of the first purchase, `silent_us` of the last one.
        """
        return (
            self.purchases.group_by("customer_id")
            .agg(seen_us=pl.col("age_us").max(), silent_us=pl.col("age_us").min())
            .sort("customer_id")
        )


def _known_sum(column: str) -> pl.Expr:
    """The sum of a column, null where any value in the group is unknown."""
    return pl.when(pl.col(column).is_null().any()).then(None).otherwise(pl.col(column).sum())
