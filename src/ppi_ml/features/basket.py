"""What an order is made of: how many lines and units, what it cost, and how long ago it was."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Family, Feature, Seen, State, View
from ppi_ml.entities import ORDER
from ppi_ml.features._kit import DAYS, MONEY, QUANTITY

_PRICE, _NO_PRICE = "a price is unknown", "no price is known"
_NEVER = "never null"


def _lines(seen: Seen, state: State) -> pl.DataFrame:
    """The lines of the order itself."""
    off = (pl.col("discount").fill_null(0.0) * MONEY).round().cast(pl.Int64)
    price = (pl.col("unit_price") * MONEY).round().cast(pl.Int64)
    known = pl.col("value_e4").is_not_null().all().over("customer_id")
    return (
        seen("order_lines")
        .filter("own")
        .with_columns(
            off_e4=off, price_e4=price, coded=pl.col("promo_code").is_not_null(),
            value_e4=pl.when(known).then("value_e4"),
        )
    )  # fmt: skip


FAMILY = Family(
    name="basket",
    entity=ORDER,
    needs=("order_lines",),
    views=(View("basket_lines", "order_lines", _lines),),
    features=(
        Feature("lines", "count", "basket_lines", "lines", _NEVER),
        Feature("units", "sum", "basket_lines", "units", _NEVER, of="quantity_e3", scale=QUANTITY),
        Feature("products", "distinct", "basket_lines", "products", _NEVER, of="sku"),
        Feature("value", "sum", "basket_lines", "money", _PRICE, of="value_e4", scale=MONEY),
        Feature("price", "max", "basket_lines", "money", _NO_PRICE, of="price_e4", scale=MONEY),
        Feature("price", "mean", "basket_lines", "money", _NO_PRICE, of="price_e4", scale=MONEY),
        Feature("discount", "sum", "basket_lines", "money off", _NEVER, of="off_e4", scale=MONEY),
        Feature("coded", "share", "basket_lines", "share of lines with a promo code", _NEVER,
                where="coded"),
        Feature("ordered", "max", "basket_lines", "days since the order", _NEVER, of="age_us",
                scale=DAYS),
    ),
)  # fmt: skip
