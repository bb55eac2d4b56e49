"""Effects on lapses and on what customers live through, as the library's columns show them.

Every function here takes a simulated shop and the days between cutoffs, and gives the truth and
what was found. Customers who have not lapsed order soon, so who does not within `CHURN` days counts
as gone. Who still waits after t days has lapsed the likelier, the larger t is; so odds are compared
among those who have waited equally long. The truth is the same odds ratio at the same cutoffs,
computed from how likely the dials make it that each of them is gone, and from what really was: not
from the columns, or a wrong column would bring its own truth.
"""

from __future__ import annotations

from functools import lru_cache
from math import erf, sqrt

import numpy as np
import polars as pl

from effects_hazards import SAME_CODE, Numbers, last_orders, late_parcels
from effects_rows import (
    ELAPSED,
    PURCHASES,
    BoolArray,
    FloatArray,
    IntArray,
    Rows,
    ask,
    every,
    odds_ratio,
    risk_difference,
)
from ppi_ml.features._words import CODE, codes
from ppi_ml.simulate import Brand, SimulatedBrand
from ppi_ml.simulation.voices import AVERAGE_STARS

CHURN = 80
"""Days; four times the mean wait of these shops."""
LONGEST = 40
"""Days: who has waited longer is hardly ever there still without having lapsed."""
ARRIVED = 14
"""Days after an order by which nearly every parcel has come, late or not."""
APART = 20
"""Days after an order by which nearly every review of it has come."""
_FEW_STARS, _SO_SO = 2, 3


def gone(rows: Rows) -> FloatArray:
    """P(no order within `CHURN` days) of who still waits at the cutoff (n,), by the truth.

    Of those who place an order a share lapses with it; further shares lapse when a cause takes
    hold, unless they have ordered by then; all others wait exponentially.
    """
    brand, last = rows.made.brand, last_orders(rows)
    t, mean, own = (last[name].to_numpy() for name in ("t", "wait_days", "lapse"))

    def waits(days: FloatArray) -> FloatArray:
        return np.asarray(np.exp(-np.maximum(days, 0.0) / mean))

    now, then, active = own.copy(), own.copy(), 1 - own
    shares = {"late": brand.late_lapse, "poor": brand.poor_lapse, "returned": brand.return_lapse}
    for cause, share in shares.items():
        since = last[f"{cause}_at"].fill_null(np.inf).to_numpy()
        raised = np.where(np.isfinite(since), own * share, 0.0)
        now += raised * waits(np.minimum(since, t))
        then += raised * waits(np.minimum(since, t + CHURN))
        active -= raised
    return np.asarray((then + active * waits(t + CHURN)) / (now + active * waits(t)))


def _odds(rows: Rows, said: FloatArray, real: pl.Expr) -> Numbers:
    """The odds of being gone where something holds over those where not.

    `said` (n,) is 1 or 0 by the columns, NaN for rows that are not compared; `real` says the same
    of the last orders, with null.
    """
    soon = rows[ELAPSED] < LONGEST
    rows, said = rows.take(soon), said[soon]
    held = last_orders(rows).select(real.cast(pl.Float64)).to_series().fill_null(np.nan)
    left = (rows.waits.days > CHURN).astype(np.float64)
    expected = _odds_of(rows, held.to_numpy(), gone(rows))
    return float(expected[0]), _odds_of(rows, said, left)


def _odds_of(rows: Rows, holds: FloatArray, outcome: FloatArray) -> FloatArray:
    kept, waited = ~np.isnan(holds), _days_waited(rows)
    compared = (rows.customer[kept], holds[kept] == 1, [outcome[kept]], waited[kept])
    return odds_ratio(*compared)[0]


def _days_waited(rows: Rows) -> IntArray:
    return np.floor(rows[ELAPSED]).astype(np.int64)


def after_late(made: SimulatedBrand, step: int) -> Numbers:
    """Who got the last parcel late over who got it in time."""
    rows = ask(made, ["delivery"], every(made, step, CHURN))
    came = pl.col("arrived") < pl.col("t")
    return _odds(rows, late_parcels(rows), pl.when(came).then(pl.col("late_days") > 0))


def after_poor(made: SimulatedBrand, step: int) -> Numbers:
    """Who gave few stars since the last parcel over who gave many.

    At most two against at least four: of those with three, some orders were poor. No column tells
    which order the last review is about, so only of customers whose order before is long ago.
    """
    rows = ask(made, ["delivery", "reviews"], every(made, step, CHURN))
    stars = rows["reviews__stars__last"]
    since = rows["reviews__last__days_since"] < rows["delivery__last__days_since"]
    alone = ~(rows["cadence__gap__last"] < APART)
    kept = since & alone & ~np.isnan(late_parcels(rows)) & (stars != _SO_SO)
    said = np.where(kept, stars <= _FEW_STARS, np.nan)
    given = pl.col("rating")
    return _odds(rows, said, pl.when(given != _SO_SO).then(given <= _FEW_STARS))


def after_return(made: SimulatedBrand, step: int) -> Numbers:
    """Who sent something of the last order back over who has sent nothing of it back yet."""
    rows = ask(made, ["returns"], every(made, step, CHURN))
    said = rows.of_last_order("returns__last__days_since", "returns__after__last")
    real = (pl.col("returned_at") <= pl.col("t")).fill_null(value=False)
    return _odds(rows, said.astype(np.float64), real)


def by_voucher(made: SimulatedBrand, step: int) -> Numbers:
    """Who came by a voucher over everybody else whose source is known."""
    rows = ask(made, ["profile"], every(made, step, CHURN))
    source = rows["profile__source_a__last"]
    voucher = codes(pl.Series(["voucher"]), "source")[0].item() / CODE
    said = np.where(np.isnan(source), np.nan, np.abs(source - voucher) < SAME_CODE)
    return _odds(rows, said, pl.col("voucher"))


# ------------------------------------------------------------------ what they live through


@lru_cache(maxsize=2)
def _delivered(made: SimulatedBrand, step: int) -> tuple[Rows, FloatArray]:
    """Rows whose last order has come, and whether it was late (n,)."""
    rows = ask(made, ["delivery", "reviews", "support"], every(made, step, 1))
    late = late_parcels(rows)
    came = ~np.isnan(late)
    return rows.take(came), late[came]


def in_december(made: SimulatedBrand, step: int) -> Numbers:
    """The odds that a parcel was late: orders of December over all others.

    Of orders some weeks old: of younger ones, whether a late parcel is there yet depends on the
    weekday of the cutoff, and December has few cutoffs.
    """
    rows, late = _delivered(made, step)
    waited = _days_waited(rows)
    months = (rows.data.day - rows[ELAPSED]).astype("datetime64[D]").astype("datetime64[M]")
    old, december = waited >= ARRIVED, months.astype(np.int64) % 12 == 11
    (found,) = odds_ratio(rows.customer[old], december[old], [late[old]], waited[old])
    return 1 + made.brand.december_late, found


def _difference(rows: Rows, late: BoolArray, outcome: FloatArray) -> FloatArray:
    (found,) = risk_difference(rows.customer, late, [outcome], np.zeros(len(rows), dtype=np.int64))
    return found


def stars(made: SimulatedBrand, step: int) -> Numbers:
    """Mean stars of first orders: after a late parcel, less those after a punctual one.

    Of customers with one order, so that no review can be about another one.
    """
    rows, late = _delivered(made, step)
    given = rows["reviews__stars__last"]
    kept = ~np.isnan(given) & (rows[PURCHASES] == 1)
    truth = _mean_stars(made.brand, made.brand.late_stars) - _mean_stars(made.brand, 0.0)
    return truth, _difference(rows.take(kept), late[kept] == 1, given[kept])


def _mean_stars(brand: Brand, lost: float) -> float:
    """Mean of stars, rounded and from 1 to 5, where a late parcel has cost so many of them."""

    def more_than(bound: float) -> float:
        return 0.5 - 0.5 * erf((bound - AVERAGE_STARS + lost) / brand.mood_spread / sqrt(2))

    return 1 + sum(more_than(bound + 0.5) for bound in range(1, 5))


def asking(made: SimulatedBrand, step: int) -> Numbers:
    """Share who asked about the last order: of late parcels, less that of punctual ones.

    Who is going to ask does so within a day of the promise, unless the parcel comes first.
    """
    rows, late = _delivered(made, step)
    asked = (rows["support__last_order__count__180d"] > 0).astype(np.float64)
    late_days = pl.col("late_days").filter(pl.col("late_days") > 0, pl.col("arrived") < pl.col("t"))
    in_time = last_orders(rows).select(late_days.clip(0, 1).mean()).item()
    return made.brand.late_tickets * in_time, _difference(rows, late == 1, asked)
