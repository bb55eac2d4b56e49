"""The rhythm of a customer or a pair: time waited, own gaps, and the history of the processes.

Ages, life-time counts and spans are for the smooth models alone (`trees=False`): in a tree they
would tell which date it is, and the tree would carry that date's luck forward.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml.declare import Expression, Family, Feature
from ppi_ml.entities import CUSTOMER, PAIR
from ppi_ml.features._kit import DAYS, MONEY

LOG_UNIT = 1_000_000
"""Logarithms are summed as whole millionths, so that sums are exact."""
_SINGLE = "one purchase only"


def _rows() -> Mapping[str, pl.Expr]:
    log_gap = (pl.col("gap_us") / DAYS).log()
    return {
        "ln_gap_e6": (log_gap * LOG_UNIT).round().cast(pl.Int64),
        "ln_gap_sq_e6": (log_gap * log_gap * LOG_UNIT).round().cast(pl.Int64),
    }


def _waited() -> pl.Expr:
    return pl.col("cadence__elapsed__days_since")


FAMILY = Family(
    name="cadence",
    entity=(CUSTOMER, PAIR),
    needs=("order_lines",),
    rows={"purchases": _rows},
    features=(
        Feature("elapsed", "days_since", "purchases", "days", "never null"),
        Feature("gap", "mean", "purchases", "days", _SINGLE, of="gap_us", scale=DAYS),
        Feature("gap", "median", "purchases", "days", _SINGLE, of="gap_us", scale=DAYS),
        Feature("gap", "std", "purchases", "days", "fewer than three purchases",
                of="gap_us", scale=DAYS),
        Feature("gap", "min", "purchases", "days", _SINGLE, of="gap_us", scale=DAYS),
        Feature("gap", "max", "purchases", "days", _SINGLE, of="gap_us", scale=DAYS),
        Feature("gap", "last", "purchases", "days", _SINGLE, of="gap_us", scale=DAYS),
        Feature("gap", "mean", "purchases", "days", "no gap ended in the window",
                of="gap_us", scale=DAYS, windows=(60, 180)),
        Feature("purchases", "count", "purchases", "purchase days", "never null", trees=False),
        Feature("age", "max", "purchases", "days since the first purchase", "never null",
                of="age_us", scale=DAYS, trees=False),
        Feature("ln_gap", "sum", "purchases", "sum of ln(days)", _SINGLE,
                of="ln_gap_e6", scale=LOG_UNIT, trees=False),
        Feature("ln_gap_sq", "sum", "purchases", "sum of ln(days) squared", _SINGLE,
                of="ln_gap_sq_e6", scale=LOG_UNIT, trees=False),
        Feature("recent", "count", "purchases", "purchase days", "never null",
                windows=(7, 14, 30, 90, 365), honest=False, trees=False),
        Feature("value", "mean", "purchases", "currency", "no priced purchase",
                of="value_e4", scale=MONEY, trees=False),
    ),
    expressions=(
        Expression("elapsed_over_mean_gap", "ratio", _SINGLE, "purchases",
                   lambda: _waited() / pl.col("cadence__gap__mean")),
        Expression("elapsed_over_max_gap", "ratio", _SINGLE, "purchases",
                   lambda: _waited() / pl.col("cadence__gap__max")),
        Expression("last_over_mean_gap", "ratio", _SINGLE, "purchases",
                   lambda: pl.col("cadence__gap__last") / pl.col("cadence__gap__mean")),
        Expression("gap_variation", "standard deviation over mean", "fewer than three purchases",
                   "purchases",
                   lambda: pl.col("cadence__gap__std") / pl.col("cadence__gap__mean")),
    ),
)  # fmt: skip
