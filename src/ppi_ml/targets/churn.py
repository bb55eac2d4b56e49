"""Churn: who will not come back within the horizon? A reading of the customer curve, S(horizon)."""

from __future__ import annotations

from ppi_ml.declare import Target

TARGET = Target(
    name="churn",
    question="Who of those who bought lately will not buy within the horizon?",
    entity="customer",
    kind="duration",
    reading="churn",
    metric="log_loss",
    event="purchase",
    of="repurchase",
    baselines=(
        "base_rate",
        "recency",
        "purchase_count",
        "rfm_newest",
        "rfm_pooled",
        "bg_nbd",
        "mbg_nbd",
        "lightgbm_classifier",
    ),
)
