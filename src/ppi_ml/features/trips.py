"""The customer's own rhythm behind a pair: how often the customer shops for anything."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Expression, Family, Feature
from ppi_ml.entities import PAIR
from ppi_ml.features._kit import DAYS

_UNSEEN = "less than a quarter of the window was observed"


def _share(days: int) -> Expression:
    """On how many of the customer's shopping days this product was bought."""
    bought, went = f"trips__bought__count__{days}d", f"trips__days__count__{days}d"
    return Expression(
        f"bought_per_trip__{days}d", "share", f"{_UNSEEN}, or no shopping day in it", "trips",
        lambda: pl.col(bought) / pl.when(pl.col(went) > 0).then(pl.col(went)),
        needs=(bought, went),
    )  # fmt: skip


FAMILY = Family(
    name="trips",
    entity=PAIR,
    needs=("order_lines",),
    features=(
        Feature("last", "days_since", "trips", "days", "never null"),
        Feature("gap", "mean", "trips", "days", "no gap ended in the window",
                of="gap_us", scale=DAYS, windows=(90,)),
        Feature("gap", "std", "trips", "days", "fewer than two gaps ended in the window",
                of="gap_us", scale=DAYS, windows=(90,)),
        Feature("days", "rate", "trips", "shopping days per day", _UNSEEN, windows=(14, 30, 90)),
        Feature("days", "count", "trips", "shopping days", _UNSEEN, windows=(30, 90), trees=False),
        Feature("lines", "mean", "trips", "order lines", "no shopping day in the window",
                of="lines", windows=(90,)),
        Feature("bought", "count", "purchases", "purchase days", _UNSEEN, windows=(30, 90),
                trees=False),
        Feature("bought", "rate", "purchases", "purchase days per day", _UNSEEN,
                windows=(14, 30, 60, 90, 180)),
    ),
    expressions=(
        _share(30),
        _share(90),
        Expression("last_over_gap", "ratio", "no gap ended in 90 days", "trips",
                   lambda: pl.col("trips__last__days_since") / pl.col("trips__gap__mean__90d")),
    ),
)  # fmt: skip
