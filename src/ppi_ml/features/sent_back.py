"""One line of an order: how much of what, and how often that product comes back."""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Family, Feature, Learned, Seen, State, View
from ppi_ml.entities import LINE, LOG_UNIT
from ppi_ml.features._kit import DAYS, MONEY, QUANTITY
from ppi_ml.features._shares import learned, odds, summed

_PRIOR = 30.0
_NEVER = "never null"
_PRICE = "the price is unknown"
_KEYS = ("customer_id", "line_id")


def _ln_units() -> pl.Expr:
    units = pl.col("quantity_e3").clip(lower_bound=1) / QUANTITY
    return (units.log() * LOG_UNIT).round().cast(pl.Int64)


def _collect(seen: Seen) -> pl.DataFrame:
    """By product: lines, returns, and the sum of ln(units) of the lines."""
    bought = (
        seen("order_lines").group_by("sku").agg(n=pl.len().cast(pl.Int64), ln=_ln_units().sum())
    )
    back = seen("returns").group_by("sku").agg(hits=pl.len().cast(pl.Int64))
    both = bought.join(back, on="sku", how="left").with_columns(pl.col("hits").fill_null(0))
    return both.select("sku", "n", "hits", "ln")


def _fit(parts: pl.DataFrame) -> State:
    skus = summed(parts, "sku").with_columns(hits=pl.min_horizontal("hits", "n"))
    n = max(int(skus["n"].sum() or 0), 1)
    mean = float(skus["ln"].sum() or 0) / LOG_UNIT / n
    own = (skus["ln"] / LOG_UNIT + _PRIOR * mean) / (skus["n"] + _PRIOR)
    top = skus.with_columns(own=own).sort("n", "sku", descending=[True, False]).head(20_000)
    return {
        "back": learned(skus.select("sku", "n", "hits"), "sku", _PRIOR),
        "units": {"names": top["sku"].to_list(), "ln": top["own"].round(6).to_list(), "all": mean},
    }


def _lines(seen: Seen, state: State) -> pl.DataFrame:
    """The line itself beside its order, its product, and what the customer did with it before."""
    lines = seen("order_lines")
    before = (
        lines.filter(~pl.col("own"))
        .group_by("customer_id", "sku")
        .agg(bought=pl.len().cast(pl.Int64))
    )
    back = seen("returns").group_by("customer_id", "sku").agg(back=pl.len().cast(pl.Int64))
    units = state["units"]
    usual = pl.col("sku").replace_strict(
        pl.Series(units["names"], dtype=pl.String), pl.Series(units["ln"], dtype=pl.Float64),
        default=units["all"], return_dtype=pl.Float64,
    )  # fmt: skip
    worth = pl.col("value_e4")
    of_order = pl.when(worth.is_not_null().all().over("customer_id")).then(
        worth.sum().over("customer_id")
    )
    on = ("customer_id", "sku")
    return (
        lines.filter("own")
        .join(before, on=on, how="left", maintain_order="left")
        .join(back, on=on, how="left", maintain_order="left")
        .with_columns(
            pl.col("bought", "back").fill_null(0),
            price_e4=(pl.col("unit_price") * MONEY).round().cast(pl.Int64),
            over_usual=_ln_units() / LOG_UNIT - usual,
            part=pl.when(of_order > 0).then(pl.col("value_e4") / of_order),
            others=pl.len().over("customer_id").cast(pl.Int64),
            product_back=odds(state["back"], "sku"),
        )
    )


FAMILY = Family(
    name="sent_back",
    entity=LINE,
    needs=("order_lines", "returns"),
    learned=Learned(_collect, _fit),
    views=(View("own_lines", "order_lines", _lines, _KEYS),),
    features=(
        Feature("units", "max", "own_lines", "units", _NEVER, of="quantity_e3", scale=QUANTITY),
        Feature("over_usual", "max", "own_lines", "ln(units over what is usual of the product)",
                _NEVER, of="over_usual"),
        Feature("price", "max", "own_lines", "money", _PRICE, of="price_e4", scale=MONEY),
        Feature("value", "max", "own_lines", "money", _PRICE, of="value_e4", scale=MONEY),
        Feature("part", "max", "own_lines", "share of the order's value",
                "a price of the order is unknown, or it cost nothing", of="part"),
        Feature("lines", "max", "own_lines", "lines of the order", _NEVER, of="others"),
        Feature("ordered", "max", "own_lines", "days since the order", _NEVER, of="age_us",
                scale=DAYS),
        Feature("product_back", "max", "own_lines", "log odds of a return over the shop's own",
                "never null; 0 for products that nobody bought", of="product_back"),
        Feature("bought", "max", "own_lines", "earlier lines of the product by the customer",
                _NEVER, of="bought"),
        Feature("back", "max", "own_lines", "earlier returns of the product by the customer",
                _NEVER, of="back"),
    ),
)  # fmt: skip
