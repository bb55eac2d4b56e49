"""Repurchase: when will each customer order next? Owns the customer curve and its label."""

from __future__ import annotations

from ppi_ml.declare import Target

TARGET = Target(
    name="repurchase",
    question="When will those who bought lately buy next?",
    entity="customer",
    kind="duration",
    reading="repurchase",
    metric="ibs",
    event="purchase",
    baselines=(
        "kaplan_meier",
        "mean_gap",
        "median_gap",
        "bg_nbd",
        "mbg_nbd",
        "pareto_nbd",
        "gaps",
        "rfm_newest",
        "rfm_pooled",
        "lightgbm_cox",
    ),
)
