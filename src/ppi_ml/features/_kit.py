"""What families share: the scales of the stored integers, and expressions used by several."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Expression, Seen
from ppi_ml.instants import DAY_US

MONEY = 10_000.0
"""Money is stored in ten-thousandths of the currency unit."""
QUANTITY = 1_000.0
"""Quantities are stored in thousandths."""
DAYS = float(DAY_US)
"""Time is stored in microseconds."""


def trend(family: str, what: str, short: int, long: int, view: str) -> Expression:
    """How the pace of the last `short` days compares with that of the last `long` days.

    ln of (count + 1) / (days + 1) short, less the same of the long window; both counts must be
    declared features of the family. Null where either window was not observed enough.
    """
    needs = tuple(f"{family}__{what}__count__{days}d" for days in (short, long))

    def compute() -> pl.Expr:
        counts = [pl.col(name) for name in needs]
        return ((counts[0] + 1) / (short + 1)).log() - ((counts[1] + 1) / (long + 1)).log()

    return Expression(
        name=f"{what}__trend__{short}d_{long}d",
        unit="log ratio",
        null="a window was observed for less than a quarter",
        view=view,
        compute=compute,
        needs=needs,
    )


def ordered(seen: Seen) -> pl.DataFrame:
    """The known orders: `customer_id`, `order_id` and `ordered_us`, how long ago each was placed.

    Orders of every type, also those called off: a parcel or a return may belong to any of them.
    """
    lines = seen("order_lines").group_by("customer_id", "order_id")
    return lines.agg(ordered_us=pl.col("age_us").max())
