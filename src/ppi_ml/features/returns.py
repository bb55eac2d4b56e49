"""What the customer sent back: how often, how much, how lately, and a shrunk share."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, Fitted, State
from ppi_ml.features._kit import QUANTITY

_UNSEEN = "no return table, or less than a quarter of the window was observed"
_UNITS = "returns__units__sum"
_BOUGHT = "returns__bought__sum"
_PRIOR_PURCHASES = 5.0
"""The shop's own share weighs as much as five average purchases of this customer's shop."""


def _collect(frame: pl.DataFrame) -> dict[str, int]:
    """Units returned and bought and purchases made, as whole thousandths, over all customers."""
    known = frame.filter(pl.col("returns__any__count").is_not_null())
    sums = known.select(
        returned=(pl.col(_UNITS).fill_null(0) * QUANTITY).round().cast(pl.Int64).sum(),
        bought=(pl.col(_BOUGHT).fill_null(0) * QUANTITY).round().cast(pl.Int64).sum(),
        purchases=(pl.col("returns__purchases__count") * QUANTITY).round().cast(pl.Int64).sum(),
    )
    return {name: int(value) for name, value in sums.row(0, named=True).items()}


def _fit(partial: Mapping[str, int]) -> State:
    """The shop's share of units returned and the units of an average purchase."""
    bought = max(partial["bought"], 1)
    return {
        "share": min(partial["returned"] / bought, 1.0),
        "units_per_purchase": bought / max(partial["purchases"], 1),
    }


def _columns(state: State) -> Mapping[str, pl.Expr]:
    weight = max(state["units_per_purchase"] * _PRIOR_PURCHASES, 1e-9)
    returned = pl.col(_UNITS).fill_null(0) + weight * state["share"]
    share = returned / (pl.col(_BOUGHT).fill_null(0) + weight)
    known = pl.col("returns__any__count").is_not_null()
    return {"returns__share_shrunk": pl.when(known).then(share.clip(upper_bound=1.0))}


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
            Expression("share_shrunk", "share of units bought", "no return table yet", "returns",
                       lambda: pl.col("returns__share_shrunk")),
        ),
    ),
)  # fmt: skip
