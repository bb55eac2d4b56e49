"""What is in the house: where the stock of a pair begins, and when it runs out.

The curve of the next purchase runs from order to order, on everything that is known. The run-out is
another question, about goods in a house. So it is read from the curve of the pair *as usual* (the
usual amount, come the usual way, nothing reported), moved to the stock that is really there. What
moves it is the process alone, whose sign is known: more, or later, never runs out sooner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ppi_ml import pair_rows, rows
from ppi_ml.dataset import Dataset
from ppi_ml.models import renewals
from ppi_ml.models.consuming import consuming, moved
from ppi_ml.models.covariates import Rows
from ppi_ml.models.mixture import Mixture
from ppi_ml.models.renewals import Refills
from ppi_ml.models.stocks import Stocks, lasting
from ppi_ml.rows import ProcessStates

FloatArray = NDArray[np.float64]

_LEAST_UNITS = 1e-3
_GAPS_OF_PURCHASES = 2.0
"""What purchases say of how long a stock lasts weighs as much as so many gaps between reports."""
_RUNGS = tuple(k * np.log(2.0) / 2 for k in range(4))
"""ln of the amounts, beside the usual one, from which a larger stock is told; half doublings."""
_NEAR = 1e-6
_REPORTS = "usage__"
_ELAPSED, _AMOUNT = "refills__elapsed__days_since", "refills__ln_amount__last"


@dataclass(frozen=True)
class Answer:
    """What the model says of n pairs: `cumulative` (n, m + 1) hazards of the next purchase at the
    edges; `ending` (n, m), how much higher those of the intervals are for who still consumes (ln).
    """

    cumulative: FloatArray
    ending: FloatArray

    @classmethod
    def of(cls, curve: Mixture, inputs: Rows) -> Answer:
        """The answer of a model to rows of pairs."""
        return cls(curve.cumulative(inputs), cast(FloatArray, inputs.ending))  # pairs have it


def run_out(
    curve: Mixture, data: Dataset, known: Answer, states: ProcessStates, edges: FloatArray
) -> FloatArray:
    """The cumulative hazard (n, m + 1) of the run-out of n pairs, given that they still consume.

    The latest of what the model says of the usual amount, and of larger ones up to the one that was
    bought: so it may use what it learned of amounts, and still more never runs out sooner.

    Args:
        curve: the model.
        data: the pairs, the family house among the columns.
        known: what the model says of them as they are.
        states: those of the process, at every cutoff of the data.
        edges: (m + 1,) days, 0 first.
    """
    usual = as_usual(data)
    kept = stocks(data, _pace(states, usual))
    there = _lasting(states, usual, kept, edges)
    larger = data.column(_AMOUNT) - data.column("refills__usual_amount")
    found = np.full((len(data), len(edges)), np.inf)
    for rung in _RUNGS:
        reached = (larger >= rung - _NEAR) | (rung == 0.0)
        if not reached.any():
            break
        part = data.take(reached)
        of_rung = as_usual(part, rung)
        said = Answer(known.cumulative[reached], known.ending[reached])
        said = _asked(curve, part, said, of_rung, states, edges)
        plain = consuming(said.cumulative, said.ending, edges)
        own = Stocks(
            of_rung.column(_ELAPSED)[:, None], np.exp(of_rung.column("refills__ln_scale"))[:, None]
        )
        here, other = there[reached], own.differ(kept.take(reached))
        lasts = here.copy()
        lasts[other] = _lasting(states, usual.take(reached).take(other), own.take(other), edges)
        found[reached] = np.minimum(found[reached], moved(plain, lasts, here))
    return found


def _asked(
    curve: Mixture, data: Dataset, known: Answer, other: Dataset, states: ProcessStates,
    edges: FloatArray,
) -> Answer:  # fmt: skip
    """What the model says of pairs as they are in `other`; `known` is what it says of `data`.

    Most of the cost of a run-out is the model, so it is asked only where the two differ.
    """
    alike = (data.values == other.values) | (np.isnan(data.values) & np.isnan(other.values))
    differs = ~alike.all(axis=1)
    cumulative, ending = known.cumulative.copy(), known.ending.copy()
    if differs.any():
        answer = Answer.of(curve, rows.build(other.take(differs), states, edges.tolist()))
        cumulative[differs], ending[differs] = answer.cumulative, answer.ending
    return Answer(cumulative, ending)


def _lasting(
    states: ProcessStates, usual: Dataset, stocks: Stocks, edges: FloatArray
) -> FloatArray:
    """What the process says of stocks of pairs that are else as usual, (n, m + 1)."""
    found = np.empty((len(usual), len(edges)))
    for cutoff in usual.cutoffs:
        part = usual.rows_at(cutoff)
        state = states.by_cutoff[str(cutoff)][pair_rows.NAME]
        found[part] = lasting(state, _refills(usual.at([cutoff])), stocks.take(part), edges)
    return found


def _pace(states: ProcessStates, usual: Dataset) -> FloatArray:
    """The gaps of each pair over the usual ones (n,), by its purchases."""
    found = np.empty(len(usual))
    for cutoff in usual.cutoffs:
        given = _refills(usual.at([cutoff]))
        state = states.by_cutoff[str(cutoff)][pair_rows.NAME]
        found[usual.rows_at(cutoff)] = np.exp(renewals.place(state, given)[:, 0]) / given.scale
    return found


def _refills(usual: Dataset) -> Refills:
    nobody = np.full(len(usual), np.nan)  # how many stop does not matter to who goes on
    return pair_rows.refills(usual.column, usual.entity.least, nobody)


def stocks(data: Dataset, pace: FloatArray) -> Stocks:
    """The stocks of n pairs (n, 3), of which the one that lasts longest counts.

    This is the one place that decides when a stock begins.

    1. *What was bought last*, from the newest of: the day it came (while it is under way, the day
       it is expected), a first use, a refill that was opened, a reading of a device. What was
       opened before, or read as used, makes it as much older as it usually lasts.
    2. *What the newest report opened*, if that is no reading: it may be more than was bought here.
    3. *What came since and was not bought* (subscription, replacement, exchange, gift), from the
       newest of the day it came and the reports. Like a purchase it begins the stock anew; what was
       left is not added.

    How long a stock lasts is what purchases say, and, where use is reported, how long a pack lasted
    between reports. `pace` (n,): the pair's own gaps over the usual ones, by its purchases.
    """
    used = data.column("house__used__days_since")
    came = _known(data, "house__came__last", _ELAPSED)
    box = _known(data, "house__box_came__last", "house__box__days_since")
    amount, opened, boxed = (
        data.column(name) for name in (_AMOUNT, "house__opened__last", "house__box_amount__last")
    )
    lasts = _with_reports(data, np.exp(data.column("refills__ln_scale")), amount, pace)
    units = np.maximum(data.column("refills__units__last"), _LEAST_UNITS)
    gone = np.clip(np.nan_to_num(data.column("house__gone__last")) / units, 0.0, 1.0)
    bought = np.fmin(came, used) + gone * lasts * pace, lasts
    found = [bought]
    # an age that is not known is not less
    for there, age, of in ((used <= came, used, opened), (box < came, np.fmin(box, used), boxed)):
        lasts = _with_reports(data, _of_amount(data, of), of, pace)
        sure = there & ~np.isnan(lasts)
        found.append((np.where(sure, age, bought[0]), np.where(sure, lasts, bought[1])))
    since, scale = zip(*found, strict=True)
    return Stocks(np.column_stack(since), np.column_stack(scale))


def _with_reports(
    data: Dataset, lasts: FloatArray, amount: FloatArray, pace: FloatArray
) -> FloatArray:
    """Usual days (n,) of stocks of ln `amount` that last so long by purchases, and by reports."""
    gaps = np.nan_to_num(data.column("house__gaps__last"))
    reported = data.column("house__lasted__last") * np.exp(amount) / pace
    weight = gaps / (gaps + _GAPS_OF_PURCHASES)
    both = np.exp(np.log(lasts) + weight * np.log(reported / lasts))
    return np.where(gaps > 0, both, lasts)


def _known(data: Dataset, name: str, otherwise: str) -> FloatArray:
    """A column (n,), and another one where it is null."""
    found = data.column(name)
    return np.where(np.isnan(found), data.column(otherwise), found)


def _of_amount(data: Dataset, amount: FloatArray) -> FloatArray:
    """Days (n,) that ln amounts of the product usually last; NaN where one is unknown."""
    usual, exponent = data.column("refills__ln_usual_gap"), data.column("refills__exponent")
    return np.asarray(np.exp(usual + exponent * amount))


# ------------------------------------------------------------------ the pair as usual
def as_usual(data: Dataset, more: float = 0.0) -> Dataset:
    """The pairs as though the last purchase had been of their usual amount, had come the way that
    parcels usually do, and nothing had been reported or sent back since.

    Nothing here depends on the last purchase's amount, nor on any delivery or report. Pairs whose
    last amount was just this keep its columns to the last bit. `more` is the ln of how much more
    than usual they would have bought; who bought once usually buys one pack.
    """
    changed = _of_amount_of(data, more) | _of_usual_way(data)
    unknown = np.full(len(data), np.nan)
    changed |= {name: unknown for name in data.names if name.startswith(_REPORTS)}
    values = data.values.copy()
    for i, name in enumerate(data.names):
        if name in changed:
            values[:, i] = changed[name]
    return replace(data, values=values)


def _of_amount_of(data: Dataset, more: float) -> dict[str, FloatArray]:
    """Column -> its values (n,) had the last purchase been of the usual amount and `more`."""
    before, last = data.column("refills__usual_amount"), data.column(_AMOUNT)
    amount = before + more
    count = data.column("refills__purchases__count")
    units = data.column("refills__units__last") * np.exp(amount - last)
    scale = data.column("refills__usual_ln_scale") + data.column("refills__exponent") * more
    mean = before + more / count
    value = _known(data, "house__value__mean", "house__price__last")
    money = value + (data.column("house__price__last") * units - value) / count
    usual = {
        _AMOUNT: amount,
        "refills__ln_scale": scale,
        "refills__elapsed_over_usual": data.column(_ELAPSED) / np.exp(scale),
        "refills__units__last": units,
        "refills__returned__sum": np.full(len(data), np.nan),
        "refills__returned_share": np.zeros(len(data)),
        "packs__amount__last": amount,
        "packs__amount__mean": mean,
        "packs__amount_over_usual": amount - mean,
        "packs__units__last": units,
        "cadence__value__mean": np.where(np.isnan(money), value, money),
    }
    other = (np.abs(last - amount) > _NEAR) | (data.column("refills__returned_share") > 0)
    there = {name: values for name, values in usual.items() if name in data.names}
    return {name: np.where(other, now, data.column(name)) for name, now in there.items()}


def _of_usual_way(data: Dataset) -> dict[str, FloatArray]:
    """Column -> its values (n,) had the last order come the usual way; NaN where none is known."""
    way = data.column("house__usual_way__last")
    usual = {
        "arrivals__last__days_since": np.maximum(data.column(_ELAPSED) - way, 0.0),
        "arrivals__way__last": way,
        "arrivals__way__mean": way,
        "arrivals__way_over_usual": 0.0 * way,
        "arrivals__on_the_way__count__30d": 0.0 * way,
    }
    return {name: values for name, values in usual.items() if name in data.names}
