"""Pairs of a customer and a product -> what the hazard model reads; as `rows` does for customers.

The clock of a pair runs in the usual gaps of its product and amount (`models.renewals`), and so do
its process, its place among its own gaps, and the probability that it has stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import digamma

from ppi_ml.dataset import Dataset
from ppi_ml.entities import GROUP, PRODUCT
from ppi_ml.models import renewals
from ppi_ml.models.covariates import process_hazards
from ppi_ml.models.histories import Histories
from ppi_ml.models.renewals import Refills

FloatArray = NDArray[np.float64]

NAME = "renewals"
_FITTED_PAIRS = 8_000
"""Pairs that the likelihood is maximised over, at most; the lapse of products sees the sample."""
_ROUNDS, _BILLION = 3, 1e9
_STOPS_OF_PRIOR = 5.0
"""The level above a product weighs as much as so many expected stops."""
_LEAST_LAPSE, _MOST_LAPSE = 0.001, 0.9


def refills(read: Callable[[str], FloatArray], least: int, lapse: FloatArray) -> Refills:
    """What the process reads of n pairs, from columns of the family refills."""
    repeats = read("refills__purchases__count") - 1.0
    return Refills(
        repeats=repeats,
        ln_sum=np.where(repeats > 0, read("refills__own_ln_sum"), 0.0),
        ln_sumsq=np.where(repeats > 0, read("refills__own_ln_sumsq"), 0.0),
        elapsed_days=np.maximum(read("refills__elapsed__days_since"), 1e-6),
        scale=np.exp(read("refills__ln_scale")),
        survived=np.maximum(repeats - (least - 1.0), 0.0),
        lapse=lapse,
    )


def fit(sample: pl.DataFrame, least: int) -> dict[str, Any]:
    """The state of the process at one cutoff: its parameters, and the lapse of every product.

    `NotTrainableError` where too few pairs were bought again.
    """
    nobody = np.full(sample.height, np.nan)
    given = refills(lambda name: sample[name].to_numpy().astype(np.float64), least, nobody)
    few = np.arange(0, len(given), max(1, ceil(len(given) / _FITTED_PAIRS)))
    state: dict[str, Any] = dict(renewals.fit(given.take(few)))
    return state | _lapse(state, sample, given)


def _lapse(state: Mapping[str, float], sample: pl.DataFrame, given: Refills) -> dict[str, Any]:
    """Group and product -> probability to stop after a purchase, by expectation-maximisation.

    What is expected of a product's pairs under the shares so far, over what its level above
    would expect of them, shrunk to 1.
    """
    names = {GROUP: sample[GROUP], PRODUCT: sample[PRODUCT]}
    shares: dict[str, dict[str, float]] = {}
    lapse = np.full(len(given), state["lapse"])
    for level in (GROUP, PRODUCT):
        above = lapse.copy()
        before = _stopping(state, given, above)
        for _ in range(_ROUNDS):
            found = renewals.lapsed(state, _with(given, lapse))
            sums = (
                pl.DataFrame({"name": names[level], "found": found, "before": before})
                .drop_nulls()
                .group_by("name")
                .agg(_whole_sum("found"), _whole_sum("before"))
                .sort("name")
            )
            k = _STOPS_OF_PRIOR
            ratio = (sums["found"].to_numpy() + k) / (sums["before"].to_numpy() + k)
            times = names[level].replace_strict(
                sums["name"], pl.Series(ratio, dtype=pl.Float64), default=1.0,
                return_dtype=pl.Float64,
            )  # fmt: skip
            lapse = np.clip(above * times.to_numpy(), _LEAST_LAPSE, _MOST_LAPSE)
        known = pl.DataFrame({"name": names[level], "lapse": lapse}).drop_nulls()
        found_shares = known.group_by("name").agg(pl.col("lapse").first()).sort("name")
        shares[level] = dict(zip(found_shares["name"], found_shares["lapse"], strict=True))
    return {"lapse_of_groups": shares[GROUP], "lapse_of_products": shares[PRODUCT]}


def _whole_sum(name: str) -> pl.Expr:
    """A sum over whole billionths, which does not depend on the order of the rows."""
    return (pl.col(name) * _BILLION).round().cast(pl.Int64).sum() / _BILLION


def _with(given: Refills, lapse: FloatArray) -> Refills:
    return Refills(
        given.repeats, given.ln_sum, given.ln_sumsq, given.elapsed_days, given.scale,
        given.survived, lapse,
    )  # fmt: skip


def _stopping(state: Mapping[str, float], given: Refills, lapse: FloatArray) -> FloatArray:
    """How many stops are expected of each pair, over all its chances to stop so far (n,)."""
    firmness = state["firmness"]
    chances = digamma(firmness + given.survived + 1.0) - digamma(firmness)
    return np.asarray(lapse * firmness * chances)


def lapse_of(state: Mapping[str, Any], keys: pl.DataFrame, groups: pl.Series) -> FloatArray:
    """The prior probability of each pair to stop (n,): the product's, the group's, everybody's."""
    found = []
    for names, level in ((keys[PRODUCT], "lapse_of_products"), (groups, "lapse_of_groups")):
        known = state[level]
        if known:
            values = pl.Series(list(known.values()), dtype=pl.Float64)
            old = pl.Series(list(known.keys()), dtype=pl.String)
            found.append(names.replace_strict(old, values, default=None, return_dtype=pl.Float64))
    frame = pl.DataFrame({str(i): column for i, column in enumerate(found)})
    lapse = frame.select(pl.coalesce(*frame.columns, pl.lit(state["lapse"]))) if found else None
    return np.full(len(keys), state["lapse"]) if lapse is None else lapse.to_series().to_numpy()


def histories(data: Dataset) -> Histories:
    """The five numbers of every pair that a purchase process of customers reads."""
    repeats = data.column("refills__purchases__count") - 1.0
    age = data.column("refills__age__max")
    between = np.maximum(age - data.column("refills__elapsed__days_since"), 1e-8 * age)
    total = np.nan_to_num(data.column("refills__ln_gap__sum"))
    squares = np.nan_to_num(data.column("refills__ln_gap_sq__sum"))
    return Histories(
        repeats,
        np.where(repeats > 0, between, 0.0),
        age,
        total,
        np.maximum(squares, total**2 / np.maximum(repeats, 1)),
    )


def said(
    data: Dataset, state: Mapping[str, Any], borders: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What the process says of the rows of one cutoff.

    The log hazard of every interval (n, m); how much higher it is for a pair that is known to
    still consume (n, m), 0 or more; mean and spread of ln(the open gap) (n, 2).
    """
    lapse = lapse_of(state, data.keys, data.keys[GROUP])
    given = refills(data.column, data.entity.least, lapse)
    everybody, consuming = renewals.survival(state, given, borders)
    hazards = process_hazards(everybody, borders)
    ending = np.maximum(process_hazards(consuming, borders) - hazards, 0.0)
    return hazards, ending, renewals.place(state, given)


def _as_it_is(values: FloatArray) -> FloatArray:
    return values


def _ln_rate(values: FloatArray) -> FloatArray:
    return np.asarray(np.log(values + _RATE_FLOOR))


def _ln_ratio(values: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.clip(values, 0.2, 5.0)))


_RATE_FLOOR = 0.005
"""One shopping day in 200: below it rates are alike."""
_FACTS: Mapping[str, tuple[str, Callable[[FloatArray], FloatArray]]] = {
    "usual_gap": ("refills__ln_usual_gap", _as_it_is),
    "product_rate": ("refills__ln_rate", _as_it_is),
    "again": ("refills__again", _as_it_is),
    "penetration": ("refills__penetration", _as_it_is),
    "customer_again": ("refills__customer_again", _as_it_is),
    "own_over_usual": ("refills__own_over_usual", _as_it_is),
    "ln_amount": ("refills__ln_amount__last", _as_it_is),
    "trip_last": ("trips__last__days_since", np.log1p),
    "trip_gap": ("trips__gap__mean__90d", np.log1p),
    "trip_rate_30": ("trips__days__rate__30d", _ln_rate),
    "trip_rate_90": ("trips__days__rate__90d", _ln_rate),
    "per_trip": ("trips__bought_per_trip__90d", _as_it_is),
    "substitutes": ("substitutes__days__count", np.log1p),
    "amount_over_usual": ("packs__amount_over_usual", _as_it_is),
    "off": ("packs__off__last", _as_it_is),
    "price_over_usual": ("packs__price_over_usual", _ln_ratio),
    "recent_gap": ("packs__recent_gap", np.log1p),
    "returned": ("refills__returned_share", _as_it_is),
    "delivered": ("arrivals__last__days_since", np.log1p),
    "on_the_way": ("arrivals__on_the_way__count__30d", np.log1p),
    "used_last": ("usage__last__days_since", np.log1p),
    "first_use": ("usage__first_use__days_since", np.log1p),
    "refill": ("usage__refill__days_since", np.log1p),
    "opened": ("usage__opened__sum", np.log1p),
    "metered": ("usage__metered__sum", np.log1p),
}
"""Further columns of the regression: name -> the feature it is made of, and how."""


def fact_names(data: Dataset) -> tuple[str, ...]:
    """The further columns of the regression that the data have."""
    return tuple(name for name, (column, _) in _FACTS.items() if data.has(column))


def facts(data: Dataset) -> FloatArray:
    """Their values (n, f); NaN is unknown, which the regression takes for the mean."""
    known = [_FACTS[name] for name in fact_names(data)]
    return np.column_stack([change(data.column(name)) for name, change in known])
