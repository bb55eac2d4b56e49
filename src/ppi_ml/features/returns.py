"""What the customer sent back: how often, how much, how soon, how lately, and what is pending.

A return belongs to the order it names; one that names none, to the customer's last order of the
same product before it. What came back is worth what was paid for it.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, Fitted, Seen, State, View
from ppi_ml.features._kit import DAYS, MONEY, QUANTITY, ordered

_UNSEEN = "no return table, or less than a quarter of the window was observed"
_NO_ORDER = "no return known whose order is known"
_NO_REFUNDS = "no return table, or none of refunds"
_UNITS = "returns__units__sum"
_BOUGHT = "returns__bought__sum"
_ORDER = ("customer_id", "order_id")
_PRODUCT = ("customer_id", "sku")
_LINE = (*_ORDER, "sku")
_KEY = ("customer_id", "return_id")
_PENDING = (90,)
_PRIOR_PURCHASES = 5.0
"""The shop's own share weighs as much as five purchases of this customer."""


def _sent_back(seen: Seen, _state: State) -> pl.DataFrame:
    """Returns with `after_us`, the time since their order, and `value_e4`, what was paid for it."""
    price_known = pl.col("value_e4").is_not_null().all()
    returns = seen("returns")
    bought = (
        seen("order_lines")
        .join(returns, on="customer_id", how="semi")
        .group_by(_LINE)
        .agg(
            bought_us=pl.col("age_us").max(),
            units_e3=pl.col("quantity_e3").sum(),
            paid_e4=pl.when(price_known).then(pl.col("value_e4").sum()),
        )
    )
    returns = _with_order(returns, bought)
    returns = returns.join(ordered(seen), on=_ORDER, how="left", maintain_order="left")
    returns = returns.join(bought, on=_LINE, how="left", maintain_order="left")
    # in 128 bits, because wholesale money times units is too long for 64
    back = pl.min_horizontal("quantity_e3", "units_e3").cast(pl.Int128)
    return returns.select(
        "customer_id",
        "age_us",
        after_us=(pl.col("ordered_us") - pl.col("age_us")).clip(lower_bound=0),
        value_e4=(back * pl.col("paid_e4") // pl.col("units_e3")).cast(pl.Int64),
    )


def _with_order(returns: pl.DataFrame, bought: pl.DataFrame) -> pl.DataFrame:
    """The returns with the order that they name, else the last one before them of the product.

    Of orders of one instant, the first by its id.
    """
    orders = (
        bought.drop_nulls("sku")
        .sort("bought_us", "order_id")
        .unique((*_PRODUCT, "bought_us"), keep="first", maintain_order=True)
        .select(*_PRODUCT, "bought_us", last_order="order_id")
    )
    numbered = returns.with_row_index("row")
    nearest = numbered.sort("age_us").join_asof(
        orders, left_on="age_us", right_on="bought_us", by=_PRODUCT, strategy="forward",
        check_sortedness=False,  # both are sorted; with groups polars cannot see it
    )  # fmt: skip
    named = pl.coalesce("order_id", "last_order")
    return nearest.sort("row").with_columns(order_id=named).drop("row", "last_order", "bought_us")


def _pending(seen: Seen, _state: State) -> pl.DataFrame:
    """Returns of which no refund is known: one made since, of the same order and product.

    What either of the two does not say (order or product) is no difference.
    """
    returns = seen("returns")
    asked = returns.select(*_KEY, "order_id", "sku", "age_us")
    refunds = seen("refunds").select(*_LINE, paid_us="age_us", paid_for="sku", paid_of="order_id")
    of_order = asked.join(refunds.drop("sku", "paid_of"), on=_ORDER).filter(
        (pl.col("sku") == pl.col("paid_for")).fill_null(value=True)
    )
    of_product = asked.join(refunds.drop("order_id", "paid_for"), on=_PRODUCT).filter(
        (pl.col("order_id") == pl.col("paid_of")).fill_null(value=True)
    )
    since = pl.col("paid_us") <= pl.col("age_us")
    for settled in (of_order, of_product):
        done = settled.filter(since).select(_KEY)
        returns = returns.join(done, on=_KEY, how="anti", maintain_order="left")
    return returns.select("customer_id", "age_us")


def _value_share() -> pl.Expr:
    """What was sent back over what was bought, in money; at most 1."""
    back, bought = pl.col("returns__value__sum"), pl.col("returns__paid__sum")
    none = pl.col("returns__any__count") == 0
    share = pl.when(none).then(0.0).otherwise(back) / pl.when(bought > 0).then(bought)
    return share.clip(upper_bound=1.0)


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
    needs=("order_lines", "returns", "refunds"),
    views=(View("sent_back", "returns", _sent_back), View("pending", "returns", _pending)),
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
        Feature("after", "mean", "sent_back", "days from order to return", _NO_ORDER,
                of="after_us", scale=DAYS),
        Feature("after", "last", "sent_back", "days from order to return", _NO_ORDER,
                of="after_us", scale=DAYS),
        Feature("value", "sum", "sent_back", "currency", "nothing priced returned yet",
                of="value_e4", scale=MONEY, trees=False),
        Feature("paid", "sum", "purchases", "currency",
                "nothing priced bought since returns are recorded",
                of="value_e4", since="returns", scale=MONEY, trees=False),
        Feature("pending", "count", "pending", "returned lines of 90 days not known to be refunded",
                _NO_REFUNDS, since="refunds", windows=_PENDING, honest=False),
        Feature("pending", "max", "pending", "days since the oldest of them was requested",
                f"{_NO_REFUNDS}, or nothing pending",
                of="age_us", since="refunds", scale=DAYS, windows=_PENDING, honest=False),
        Feature("refunded", "sum", "refunds", "currency",
                "no refund of a known amount in the window, or less than a quarter of it observed",
                of="amount_e4", scale=MONEY, windows=(90, 365)),
    ),
    expressions=(
        Expression("requests_per_purchase", "returned lines per purchase day",
                   "no purchase since returns are recorded", "returns",
                   lambda: pl.col("returns__any__count") / pl.col("returns__purchases__count")),
        Expression("value_share", "share of the money of what was bought",
                   "nothing priced bought since returns are recorded, or only returns of unknown "
                   "price", "returns", _value_share),
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
