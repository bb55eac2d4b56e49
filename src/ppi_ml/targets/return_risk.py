"""Return risk: will this line be sent back? Asked when it is ordered, and when it arrives."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Target
from ppi_ml.outcomes import Aftermath


def _outcome(after: Aftermath) -> pl.DataFrame:
    """A hit if a unit of the line comes back within the horizon, first in, first out."""
    back = after.returned().select("order_id", "line_id", "at")
    rows = after.rows.with_row_index("row")
    coming = (
        rows.join(back, on=("order_id", "line_id"))
        .filter((pl.col("at") >= pl.col("now_at")) & (pl.col("at") < after.ends))
        .select("row", hit=pl.lit(value=True))
        .unique()
    )
    joined = rows.join(coming, on="row", how="left", maintain_order="left")
    return joined.select(hit=pl.col("hit").fill_null(value=False), settled_at=after.ends)


TARGET = Target(
    name="return_risk",
    question="Which lines will be sent back?",
    entity="order_line",
    kind="probability",
    reading="probability",
    metric="log_loss",
    event="returns",
    asked_at=("ordered", "delivered"),
    until="returned",
    outcome=_outcome,
    baselines=("event_rate", "product_rate", "customer_rate", "logistic_regression"),
)
