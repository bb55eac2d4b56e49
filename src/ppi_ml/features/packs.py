"""What was bought the last time beside what is usual for the pair: amount, price, promotion."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml.declare import Expression, Family, Feature
from ppi_ml.entities import LOG_UNIT, PAIR, PRODUCT
from ppi_ml.features._kit import DAYS, MONEY, QUANTITY

_UNPRICED = "no priced purchase"
_SINGLE = "bought once only"
_HALF_LIFE_GAPS = 2
_WEIGHT_UNIT = 1_000


def _rows() -> Mapping[str, pl.Expr]:
    value, off = pl.col("value_e4"), pl.col("discount_e4")
    before = pl.when(value + off > 0).then(value + off)
    units = pl.col("units_e3").clip(lower_bound=1) / QUANTITY
    newest = (pl.len().over("customer_id", PRODUCT) - 1) - pl.int_range(pl.len()).over(
        "customer_id", PRODUCT
    )
    weight = (0.5 ** (newest / _HALF_LIFE_GAPS) * _WEIGHT_UNIT).round().cast(pl.Int64)
    gap = pl.col("gap_us").is_not_null()
    return {
        "price_e4": (value / units).round().cast(pl.Int64),
        "off_e6": (off / before * LOG_UNIT).round().cast(pl.Int64),
        "promoted": pl.col("coded") | (off > 0),
        "weight": pl.when(gap).then(weight),
        "weighted_gap": pl.col("gap_us") // _WEIGHT_UNIT * weight,
    }


def _last_over_mean(what: str) -> pl.Expr:
    return pl.col(f"packs__{what}__last") / pl.col(f"packs__{what}__mean")


FAMILY = Family(
    name="packs",
    entity=PAIR,
    needs=("order_lines",),
    rows={"purchases": _rows},
    features=(
        Feature("amount", "last", "purchases", "ln(units times relative size of the pack)",
                "never null", of="amount_e6", scale=LOG_UNIT),
        Feature("amount", "mean", "purchases", "ln(units times relative size of the pack)",
                "never null", of="amount_e6", scale=LOG_UNIT),
        Feature("units", "last", "purchases", "units", "never null",
                of="units_e3", scale=QUANTITY),
        Feature("price", "last", "purchases", "currency per unit", _UNPRICED,
                of="price_e4", scale=MONEY),
        Feature("price", "mean", "purchases", "currency per unit", _UNPRICED,
                of="price_e4", scale=MONEY),
        Feature("off", "last", "purchases", "share off the price", _UNPRICED,
                of="off_e6", scale=LOG_UNIT),
        Feature("off", "mean", "purchases", "share off the price", _UNPRICED,
                of="off_e6", scale=LOG_UNIT),
        Feature("promoted", "share", "purchases", "share of purchase days", "never null",
                where="promoted"),
        Feature("weight", "sum", "purchases", "weight", _SINGLE, of="weight", trees=False),
        Feature("weighted_gap", "sum", "purchases", "weighted days", _SINGLE, of="weighted_gap",
                scale=DAYS / _WEIGHT_UNIT, trees=False),
    ),
    expressions=(
        Expression("amount_over_usual", "ln ratio", "never null", "purchases",
                   lambda: pl.col("packs__amount__last") - pl.col("packs__amount__mean")),
        Expression("price_over_usual", "ratio", _UNPRICED, "purchases",
                   lambda: _last_over_mean("price")),
        Expression("recent_gap", "days, newer gaps weighing more", _SINGLE, "purchases",
                   lambda: pl.col("packs__weighted_gap__sum") / pl.col("packs__weight__sum")),
    ),
)  # fmt: skip
