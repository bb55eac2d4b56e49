"""Depletion: when does a customer run out of a product? Owns the curve of pairs and its label."""

from __future__ import annotations

from ppi_ml.declare import Target

TARGET = Target(
    name="depletion",
    question="When will each customer run out of each product?",
    entity="customer_product",
    kind="duration",
    reading="depletion",
    metric="ibs",
    event="purchase",
    baselines=(
        "kaplan_meier",
        "last_gap",
        "mean_gap",
        "median_gap",
        "quantity_over_rate",
        "product_quantile",
        "shrunk_gap",
        "lognormal_residual",
        "gamma_poisson",
        "renewals",
    ),
)
