"""Low review: will this order get two stars or fewer? Asked when it arrives, until it has one."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Target
from ppi_ml.outcomes import Aftermath

LOW_E3 = 2_000
"""Two stars, in thousandths."""


def _outcome(after: Aftermath) -> pl.DataFrame:
    """Given: a review with stars within the horizon; a hit if the first of them is low."""
    rated = after.known("reviews").filter(pl.col("rating_e3").is_not_null())
    first = rated.select("order_id", "at", "rating_e3", "review_id").sort("at", "review_id")
    rows = after.rows.with_row_index("row")
    coming = (
        rows.join(first, on="order_id")
        .filter((pl.col("at") >= pl.col("now_at")) & (pl.col("at") < after.ends))
        .group_by("row")
        .agg(stars=pl.col("rating_e3").sort_by("at", "review_id").first())
    )
    joined = rows.join(coming, on="row", how="left", maintain_order="left")
    return joined.select(
        hit=(pl.col("stars") <= LOW_E3).fill_null(value=False),
        given=pl.col("stars").is_not_null(),
        settled_at=after.ends,
    )


TARGET = Target(
    name="low_review",
    question="Which orders will get a review of two stars or fewer?",
    entity="order",
    kind="probability",
    reading="probability",
    metric="log_loss",
    event="reviews",
    asked_at=("delivered",),
    until="reviewed",
    outcome=_outcome,
    baselines=("event_rate", "lane_rate", "logistic_regression"),
)
