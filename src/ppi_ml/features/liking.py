"""How the products of an order are liked: how often their reviews have few stars."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Family, Feature, Learned, Seen, State, View
from ppi_ml.entities import ORDER
from ppi_ml.features._shares import learned, odds, summed

_PRIOR = 20.0
_LOW_E3 = 2_000
"""Two stars or fewer, in thousandths."""
_NONE = "never null; 0 for products that nobody has reviewed"
_BY = ("sku", "category")


def _collect(seen: Seen) -> pl.DataFrame:
    """Rated orders and low ratings by product and by category."""
    rated = (
        seen("reviews")
        .filter(pl.col("rating_e3").is_not_null())
        .select("order_id", low=pl.col("rating_e3") <= _LOW_E3)
    )
    named = rated.join(seen("listed").select("order_id", *_BY).unique(), on="order_id")
    parts = [
        named.group_by(pl.lit(by).alias("level"), pl.col(by).alias("name")).agg(
            n=pl.len().cast(pl.Int64), hits=pl.col("low").sum().cast(pl.Int64)
        )
        for by in _BY
    ]
    return pl.concat(parts)


def _fit(parts: pl.DataFrame) -> State:
    by_level = {by: parts.filter(pl.col("level") == by).drop("level") for by in _BY}
    return {by: learned(summed(part, "name"), "name", _PRIOR) for by, part in by_level.items()}


def _products(seen: Seen, state: State) -> pl.DataFrame:
    """The lines of the order itself, with what is known of their products."""
    own = seen("listed").filter("own")
    return own.with_columns(odds(state[by], by).alias(f"{by}_low") for by in _BY)


FAMILY = Family(
    name="liking",
    entity=ORDER,
    needs=("order_lines", "reviews", "products"),
    learned=Learned(_collect, _fit),
    views=(View("liked", "order_lines", _products),),
    features=(
        Feature("product_low", "max", "liked", "log odds of few stars over the shop's own", _NONE,
                of="sku_low"),
        Feature("category_low", "max", "liked", "log odds of few stars over the shop's own", _NONE,
                of="category_low"),
    ),
)  # fmt: skip
