"""What is known of the use of a product: first use, refill scans, telemetry."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Expression, Family, Feature
from ppi_ml.entities import PAIR
from ppi_ml.features._kit import QUANTITY

_NONE = "no usage table, or nothing reported yet"
_NO_TABLE = "no usage table"

FAMILY = Family(
    name="usage",
    entity=PAIR,
    needs=("order_lines", "usage"),
    features=(
        Feature("last", "days_since", "usage", "days", _NONE),
        Feature("reports", "rate", "usage", "reports per day",
                "no usage table, or less than a quarter of the window was observed",
                windows=(30, 90)),
        Feature("since_purchase", "count", "usage", "reports since the last purchase", _NO_TABLE,
                where="since_last"),
        Feature("used", "sum", "usage", "amount reported since the last purchase",
                "no usage table, or no amount reported since", of="amount_e3", where="since_last",
                scale=QUANTITY),
        Feature("reported", "mean", "usage", "amount of a report",
                "no usage table, or no amount reported", of="amount_e3", scale=QUANTITY),
    ),
    expressions=(
        Expression("used_over_report", "times the usual report",
                   "no usage table, or no amount reported since the last purchase", "usage",
                   lambda: pl.col("usage__used__sum") / pl.col("usage__reported__mean")),
    ),
)  # fmt: skip
