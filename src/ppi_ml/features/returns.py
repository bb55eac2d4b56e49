"""What the customer sent back: how often, how much, how lately, and the share over the shop's."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, Fitted, State
from ppi_ml.features._kit import QUANTITY

_UNSEEN = "no return table, or less than a quarter of the window was observed"
_UNITS = "returns__units__sum"
_BOUGHT = "returns__bought__sum"
_PRIOR_PURCHASES = 5.0
"""The shop's own share weighs as much as five purchases of this customer."""


def _collect(frame: pl.DataFrame) -> pl.DataFrame:
    """Units returned and bought, as whole thousandths, over all customers."""
    known = frame.filter(pl.col("returns__any__count").is_not_null())
    return known.select(
        returned=(pl.col(_UNITS).fill_null(0) * QUANTITY).round().cast(pl.Int64).sum(),
        bought=(pl.col(_BOUGHT).fill_null(0) * QUANTITY).round().cast(pl.Int64).sum(),
    )


def _fit(partial: pl.DataFrame) -> State:
    """The shop's share of units returned."""
    returned, bought = partial.select("returned", "bought").row(0)
    return {"share": min(returned / max(bought, 1), 1.0)}


def _columns(state: State) -> Mapping[str, pl.Expr]:
    """The customer's share over the shop's, shrunk to 1 in purchases, not in units.

    So the state touches only those who sent something back. A share shrunk to the shop's own would
    hold that date's number in every row, and trees could tell the date from it.
    """
    share = pl.col(_UNITS).fill_null(0) / pl.col(_BOUGHT)
    purchases = pl.col("returns__purchases__count")
    times = pl.when(pl.col(_BOUGHT) > 0).then(share / max(state["share"], 1e-9)).otherwise(0.0)
    over = (times * purchases + _PRIOR_PURCHASES) / (purchases + _PRIOR_PURCHASES)
    known = pl.col("returns__any__count").is_not_null()
    return {"returns__share_over_shop": pl.when(known).then(over)}


FAMILY = Family(
    name="returns",
    entity="customer",
    needs=("order_lines", "returns"),
    features=(
        Feature("requests", "count", "returns", "returned lines", _UNSEEN, windows=(90, 365)),
        Feature("requests", "rate", "returns", "per day", _UNSEEN, windows=(365,)),
        Feature("units", "sum", "returns", "units", "nothing returned in the window",
                of="quantity_e3", scale=QUANTITY, windows=(365,)),
        Feature("last", "days_since", "returns", "days", "nothing returned yet"),
        Feature("any", "count", "returns", "returned lines", "no return table yet", trees=False),
        Feature("units", "sum", "returns", "units", "nothing returned yet",
                of="quantity_e3", scale=QUANTITY, trees=False),
        Feature("bought", "sum", "purchases", "units", "nothing bought since returns are recorded",
                of="units_e3", since="returns", scale=QUANTITY, trees=False),
        Feature("purchases", "count", "purchases", "purchase days", "no return table yet",
                since="returns", trees=False),
    ),
    expressions=(
        Expression("requests_per_purchase", "returned lines per purchase day",
                   "no purchase since returns are recorded", "returns",
                   lambda: pl.col("returns__any__count") / pl.col("returns__purchases__count")),
    ),
    fitted=Fitted(
        collect=_collect,
        fit=_fit,
        columns=_columns,
        describes=(
            Expression("share_over_shop", "times the shop's share of units bought",
                       "no return table yet", "returns",
                       lambda: pl.col("returns__share_over_shop")),
        ),
    ),
)  # fmt: skip
