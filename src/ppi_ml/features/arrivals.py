"""When what was bought came to the house: stock starts at delivery, not at order."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Expression, Family, Feature
from ppi_ml.entities import PAIR
from ppi_ml.features._kit import DAYS

_NONE = "no delivery table, or none of this product known yet"
_NO_TABLE = "no delivery table"

FAMILY = Family(
    name="arrivals",
    entity=PAIR,
    needs=("order_lines", "deliveries"),
    features=(
        Feature("last", "days_since", "arrivals", "days", _NONE),
        Feature("way", "last", "arrivals", "days from order to delivery", _NONE,
                of="way_us", scale=DAYS),
        Feature("way", "mean", "arrivals", "days from order to delivery", _NONE,
                of="way_us", scale=DAYS),
        Feature("on_the_way", "count", "on_the_way", "orders of 30 days not yet delivered",
                _NO_TABLE, windows=(30,), honest=False),
    ),
    expressions=(
        Expression("way_over_usual", "days", _NONE, "arrivals",
                   lambda: pl.col("arrivals__way__last") - pl.col("arrivals__way__mean"),
                   trees=False),
    ),
)  # fmt: skip
