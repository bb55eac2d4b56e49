"""How long a product usually lasts, and what the pair's own purchases say on that clock.

The sums are those of every pair; what is fitted on all of them are, for each product, the usual
gap between purchases, the exponent of the amount, and how many come back. Little data falls back
smoothly from product to group to everything.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.declare import Aggregate, Expression, Family, Feature, Fitted, State
from ppi_ml.entities import GROUP, LOG_UNIT, PAIR, PRODUCT
from ppi_ml.features._kit import DAYS, QUANTITY

FloatArray = NDArray[np.float64]

_SINGLE = "bought once only"
_LEAST_KEPT = 0.05
"""What is sent back as a whole lasts as long as a twentieth of it would."""
_GAPS_OF_PRIOR = 10.0
"""The level above a product (its group, then everything) weighs as much as so many gaps."""
_VARIATION_OF_PRIOR = 20.0
"""Likewise for the exponent of the amount, in units of summed squares of ln(amount): a residual
variance of about 0.5 over a spread of the exponents between products of about 0.15 squared."""
_REPEATS_OF_PRIOR = 5.0
_PAIRS_OF_PRIOR = 10.0
"""What a customer's products would expect weighs as much as so many pairs that came back."""
_SUMS = (
    "gaps", "ln_gap", "ln_amount", "within_qq", "within_qg", "pairs", "again", "days", "products",
)  # fmt: skip


def _rows() -> Mapping[str, pl.Expr]:
    # purchases are local days: two around one midnight are a day apart
    gap = (pl.col("gap_us") / DAYS).clip(lower_bound=1.0).log()
    # what was bought at the beginning of the gap has to last until its end
    before = pl.when(pl.col("gap_us").is_not_null()).then(pl.col("amount_e6").shift(1))
    amount = before / LOG_UNIT
    return {
        "ln_gap_e6": _whole(gap),
        "ln_gap_sq_e6": _whole(gap * gap),
        "before_e6": _whole(amount),
        "before_sq_e6": _whole(amount * amount),
        "cross_e6": _whole(amount * gap),
    }


def _whole(value: pl.Expr) -> pl.Expr:
    return (value * LOG_UNIT).round().cast(pl.Int64)


def _sum(name: str) -> pl.Expr:
    return pl.col(f"refills__{name}__sum").fill_null(0.0)


def _repeats() -> pl.Expr:
    return pl.col("refills__purchases__count") - 1


def _returned() -> pl.Expr:
    """The share of the last purchase that went back; a returned pack is not consumed."""
    back = pl.col("refills__returned__sum")
    bought = pl.col("refills__units__last").clip(lower_bound=1 / QUANTITY)
    return (back / bought).fill_null(0.0).clip(upper_bound=1.0)


def _collect(frame: pl.DataFrame) -> pl.DataFrame:
    """Sums over the pairs of every product, in whole millionths; the pairs' own levels are out."""
    x = _repeats()
    amount, gap, cross = _sum("ln_amount"), _sum("ln_gap"), _sum("ln_gap_x_ln_amount")
    over = pl.when(x > 0).then(x)
    within = {
        "within_qq": (_sum("ln_amount_sq") - amount * amount / over).clip(lower_bound=0.0),
        "within_qg": cross - amount * gap / over,
    }
    return (
        frame.group_by(PRODUCT, GROUP)
        .agg(
            gaps=x.cast(pl.Int64).sum(),
            ln_gap=_whole(gap).sum(),
            ln_amount=_whole(amount).sum(),
            **{name: _whole(value).fill_null(0).sum() for name, value in within.items()},
            pairs=pl.len().cast(pl.Int64),
            again=(x > 0).cast(pl.Int64).sum(),
            days=pl.col("refills__age__max").round().cast(pl.Int64).sum(),
            products=pl.lit(1, dtype=pl.Int64),
        )
        .sort(PRODUCT)
    )


def _fit(partial: pl.DataFrame) -> State:
    """What is known of all, of groups and of products, as `_level` gives it."""
    everything = partial.select(pl.col(_SUMS).sum())
    top = _level(everything, None)
    grouped = partial.filter(pl.col(GROUP).is_not_null()).group_by(GROUP)
    by_group = grouped.agg(pl.col(_SUMS).sum()).sort(GROUP)
    groups = _level(by_group, {name: np.full(by_group.height, v[0]) for name, v in top.items()})
    place = {name: i for i, name in enumerate(by_group[GROUP])}
    at = [place.get(name, -1) for name in partial[GROUP]]
    # -1 is the last: everything
    above = {name: np.append(groups[name], top[name][0])[at] for name in top}
    products = _level(partial, above)
    pairs = partial["pairs"].to_numpy()
    usual = float(pairs @ products["penetration"] / pairs.sum()) if pairs.sum() else 0.0
    for level in (top, groups, products):
        level["penetration"] = level["penetration"] - usual
    return {
        "all": {name: float(v[0]) for name, v in top.items()},
        "groups": _named(by_group[GROUP], groups),
        "products": _named(partial[PRODUCT], products),
    }


def _named(names: pl.Series, values: Mapping[str, FloatArray]) -> dict[str, list[object]]:
    return {"names": names.to_list(), **{k: v.tolist() for k, v in values.items()}}


def _level(sums: pl.DataFrame, above: Mapping[str, FloatArray] | None) -> dict[str, FloatArray]:
    """The numbers of one level (n,), drawn to those of the level above.

    Exponent of the amount, ln of the usual gap, ln of the rate of repeats, share of the pairs that
    came back, and ln of the customers that a product has.
    """
    s = {name: sums[name].to_numpy().astype(np.float64) for name in _SUMS}
    for name in ("ln_gap", "ln_amount", "within_qq", "within_qg"):
        s[name] /= LOG_UNIT
    nothing = {"exponent": 0.0, "ln_gap": 0.0, "ln_rate": 0.0, "again": 0.5}
    start = above or {name: np.full(len(sums), value) for name, value in nothing.items()}
    k = _VARIATION_OF_PRIOR
    exponent = (s["within_qg"] + k * start["exponent"]) / (s["within_qq"] + k)
    exponent = np.clip(exponent, 0.0, 1.5)
    k = _GAPS_OF_PRIOR if above else 1e-9
    usual = (s["ln_gap"] - exponent * s["ln_amount"] + k * start["ln_gap"]) / (s["gaps"] + k)
    k = _REPEATS_OF_PRIOR if above else 1e-9
    rate = np.exp(start["ln_rate"])
    ln_rate = np.log((s["gaps"] + k) / (s["days"] + k / rate))
    again = (s["again"] + k * start["again"]) / (s["pairs"] + k)
    reach = np.log(np.maximum(s["pairs"], 1.0) / np.maximum(s["products"], 1.0))
    return {
        "exponent": exponent, "ln_gap": usual, "ln_rate": ln_rate, "again": again,
        "penetration": reach,
    }  # fmt: skip


def _columns(state: State) -> Mapping[str, pl.Expr]:
    """What the product says of every pair, and the pair's own sums on the product's clock."""
    exponent, usual, rate, again, penetration = (
        _of(state, name) for name in ("exponent", "ln_gap", "ln_rate", "again", "penetration")
    )
    x, g, q = _repeats(), _sum("ln_gap"), _sum("ln_amount")
    squares = (
        _sum("ln_gap_sq") + x * usual**2 + exponent**2 * _sum("ln_amount_sq")
        - 2 * usual * g - 2 * exponent * _sum("ln_gap_x_ln_amount") + 2 * usual * exponent * q
    )  # fmt: skip
    own = g - x * usual - exponent * q
    # rounding must not make the squares less than the mean's own
    least = pl.when(x > 0).then(own**2 / x).otherwise(0.0)
    kept = (1.0 - _returned()).clip(lower_bound=_LEAST_KEPT).log()
    scale = usual + exponent * pl.col("refills__ln_amount__last").fill_null(0.0) + kept
    before = pl.when(x > 0).then(q / x).otherwise(0.0)
    return {
        "refills__usual_amount": before,
        "refills__usual_ln_scale": usual + exponent * before,
        "refills__customer_again": _loyalty(again),
        "refills__own_ln_sum": own,
        "refills__own_ln_sumsq": pl.max_horizontal(squares, least),
        "refills__ln_scale": scale,
        "refills__exponent": exponent,
        "refills__ln_usual_gap": usual,
        "refills__ln_rate": rate,
        "refills__again": again,
        "refills__penetration": penetration,
        "refills__elapsed_over_usual": pl.col("refills__elapsed__days_since") / scale.exp(),
        "refills__returned_share": _returned(),
        "refills__own_over_usual": pl.when(x > 0).then(own / x),
    }


def _loyalty(again: pl.Expr) -> pl.Expr:
    """ln of how many of the customer's pairs came back, over what their products would expect."""
    expected = again + 0.0 * _repeats()  # a column even where every product says the same
    came, due = ((_repeats() > 0).sum(), expected.sum())
    k = _PAIRS_OF_PRIOR
    return ((came.over("customer_id") + k) / (due.over("customer_id") + k)).log()


def _of(state: State, what: str) -> pl.Expr:
    """A number of the pair's product, of its group, or of everything."""
    found = []
    for level, column in (("products", PRODUCT), ("groups", GROUP)):
        known = state[level]
        if known["names"]:
            names, values = pl.Series(known["names"]), pl.Series(known[what], dtype=pl.Float64)
            found.append(pl.col(column).replace_strict(names, values, default=None))
    return pl.coalesce(*found, pl.lit(state["all"][what]))


def _said(name: str, unit: str, null: str = "never null", trees: bool = False) -> Expression:
    column = f"refills__{name}"
    return Expression(name, unit, null, "purchases", lambda: pl.col(column), trees=trees)


def _smooth(what: str, aggregate: Aggregate, unit: str, null: str, of: str) -> Feature:
    return Feature(what, aggregate, "purchases", unit, null, of=of, scale=LOG_UNIT, trees=False)


FAMILY = Family(
    name="refills",
    entity=PAIR,
    needs=("order_lines", "returns"),
    rows={"purchases": _rows},
    features=(
        Feature("purchases", "count", "purchases", "purchase days", "never null", trees=False),
        Feature("age", "max", "purchases", "days since the first purchase", "never null",
                of="age_us", scale=DAYS, trees=False),
        Feature("elapsed", "days_since", "purchases", "days", "never null", trees=False),
        _smooth("ln_gap", "sum", "sum of ln(days)", _SINGLE, "ln_gap_e6"),
        _smooth("ln_gap_sq", "sum", "sum of ln(days) squared", _SINGLE, "ln_gap_sq_e6"),
        _smooth("ln_amount", "sum", "sum of ln(amount) that began a gap", _SINGLE, "before_e6"),
        _smooth("ln_amount_sq", "sum", "sum of ln(amount) squared", _SINGLE, "before_sq_e6"),
        _smooth("ln_gap_x_ln_amount", "sum", "sum of products", _SINGLE, "cross_e6"),
        _smooth("ln_amount", "last", "ln(amount)", "never null", "amount_e6"),
        Feature("units", "last", "purchases", "units", "never null", of="units_e3",
                scale=QUANTITY, trees=False),
        Feature("returned", "sum", "returns", "units returned since the last purchase",
                "no return table, or nothing sent back since", of="quantity_e3",
                where="since_last", scale=QUANTITY, trees=False),
    ),
    fitted=Fitted(
        collect=_collect,
        fit=_fit,
        columns=_columns,
        describes=(
            _said("own_ln_sum", "sum of ln(gap over its usual length)"),
            _said("own_ln_sumsq", "sum of squares of these"),
            _said("ln_scale", "ln(days) that the last purchase usually lasts"),
            _said("exponent", "exponent of the amount"),
            _said("ln_usual_gap", "ln(days) that one pack usually lasts"),
            _said("ln_rate", "ln(repeats per day and pair of the product)"),
            _said("again", "share of the product's pairs that came back"),
            _said("penetration",
                  "ln of the share of customers who bought it, over that of what others bought"),
            _said("usual_amount", "ln(amount), without the last purchase; 0 if there is no other"),
            _said("usual_ln_scale", "ln(days) that this usually lasts"),
            _said("customer_again",
                  "ln of the customer's pairs that came back over those expected", trees=True),
            _said("elapsed_over_usual", "ratio", trees=True),
            _said("own_over_usual", "ln ratio", _SINGLE, trees=True),
            _said("returned_share", "share of the last purchase sent back"),
        ),
    ),
)  # fmt: skip
