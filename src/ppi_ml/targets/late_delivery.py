"""Late delivery: will this parcel miss its promise? Asked when it ships, and while it is out."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Target
from ppi_ml.occasions import parcels_out
from ppi_ml.outcomes import Aftermath


def _outcome(after: Aftermath) -> pl.DataFrame:
    """Late once a promised day has passed undelivered, even if the parcel is still on its way.

    It is about the parcels that were on their way when it was asked, and the days promised then:
    what is sent or promised later, in their stead perhaps, keeps no promise of theirs.
    """
    moment = ("order_id", "now_at")
    came = after.known("deliveries").select("shipment_id", came="at")
    parcels = parcels_out(after.log, after.rows).join(came, on="shipment_id", how="left")
    in_time = (pl.col("came") <= pl.col("promised_at")).fill_null(value=False)
    told = parcels.group_by(moment).agg(
        hit=(~in_time).any(), settled_at=pl.col("promised_at").max()
    )
    rows = after.rows.join(told, on=moment, how="left", maintain_order="left")
    return rows.select("hit", "settled_at")


TARGET = Target(
    name="late_delivery",
    question="Which parcels will miss the day that was promised?",
    entity="order",
    kind="probability",
    reading="probability",
    metric="log_loss",
    event="deliveries",
    asked_at=("shipped",),
    until="delivered",
    outcome=_outcome,
    baselines=("event_rate", "lane_rate", "logistic_regression"),
)
