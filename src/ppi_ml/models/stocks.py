"""Stocks in a house: when what lies there is used up, by the gaps that a pair has had.

A gap between two purchases ends for many reasons, a stock for one: it is used up. So the process of
`models.renewals` is read for the stock's own age and amount, which need not be those of the last
purchase, and only for the pair that consumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, softmax

from ppi_ml.models.gaps import GRID, ClosedGaps, silence_slope
from ppi_ml.models.renewals import Refills, levels

FloatArray = npt.NDArray[np.float64]

_CELLS, _SMALLEST = 200_000, 1e-300


@dataclass(frozen=True)
class Stocks:
    """What n pairs may have in the house, several guesses each; float64 arrays of shape (n, c).

    since: days that the stock has been used, below 0: that it comes so many days later. scale: days
    that it usually lasts.
    """

    since: FloatArray
    scale: FloatArray

    def take(self, rows: slice | npt.NDArray[np.bool_]) -> Stocks:
        """Some of the pairs."""
        return Stocks(self.since[rows], self.scale[rows])

    def differ(self, others: Stocks) -> npt.NDArray[np.bool_]:
        """Whether a pair has another stock than in `others` (n,), by any guess."""
        apart = (self.since != others.since) | (self.scale != others.scale)
        return np.asarray(apart.any(axis=1))


_TRICKLE = 1e-6
"""Hazard a day that is added, so that a cumulative hazard rises even where nothing can run out."""
_PLACES: FloatArray = np.linspace(-8.0, 60.0, 6_801)[::-1].copy()
_SLOPES: FloatArray = silence_slope(_PLACES) - _PLACES  # rises, for these fall


def lasting(
    state: Mapping[str, float], refills: Refills, stocks: Stocks, days: npt.ArrayLike
) -> FloatArray:
    """The cumulative hazard (n, m) of the run-out of pairs that consume, 0 at day 0.

    Of the stocks of a pair the one that lasts longest counts. The hazard of a stock rises with its
    age as that of the gap does, and stays where that would fall again: a gap that becomes less
    likely to end says that the customer is slow or buys elsewhere, not that goods last. How regular
    the pair is follows from `refills`, the silence there included, and never from the stocks. So
    the result never falls in a `since`, and never rises in a `scale`.
    """
    at = np.asarray(days, dtype=np.float64)
    found = np.empty((len(refills), len(at)))
    step = max(1, _CELLS // (len(at) * len(GRID)))
    for start in range(0, len(refills), step):
        rows = slice(start, start + step)
        part = refills.take(rows)
        level, closed = levels(state, part)
        z = (np.log(part.elapsed_days / part.scale)[:, None] - closed.centre) / closed.sd
        weight = softmax(level + log_ndtr(-z), axis=1)[:, None]
        used = _least_used(stocks.take(rows), at, closed)
        longest = (np.exp(-used) * weight).sum(axis=-1)
        # divided by what is exactly the sum at day 0
        share = longest / weight.sum(axis=-1)
        found[rows] = -np.log(np.clip(share, _SMALLEST, 1.0))
    return np.asarray(np.maximum.accumulate(found, axis=1) + _TRICKLE * at)


def _least_used(stocks: Stocks, at: FloatArray, closed: ClosedGaps) -> FloatArray:
    """The cumulative hazard (n, m, grid) from now on of the stock that lasts longest.

    Most pairs have one stock, and every guess of it is the same; each is worked out once.
    """
    since, scale = stocks.since[:, 0], stocks.scale[:, 0]
    found = _used(since, scale, at, closed)
    for guess in range(1, stocks.since.shape[1]):
        further, lasting_so = stocks.since[:, guess], stocks.scale[:, guess]
        other = np.flatnonzero((further != since) | (lasting_so != scale))
        used = _used(further[other], lasting_so[other], at, closed.take(other))
        found[other] = np.minimum(found[other], used)
    return found


def _used(since: FloatArray, scale: FloatArray, at: FloatArray, closed: ClosedGaps) -> FloatArray:
    """The cumulative hazard (n, m, grid) from now on of one stock of each pair."""
    days = np.column_stack([since, since[:, None] + at])
    ageing = _ageing(days / scale[:, None], closed)
    return np.asarray(ageing[:, 1:] - ageing[:, :1])


def _ageing(gaps: FloatArray, closed: ClosedGaps) -> FloatArray:
    """Cumulative hazards (n, m, grid) at ages (n, m) in usual gaps, 0 before age 0.

    That of the gap up to the age at which its hazard is highest, which is where the slope of the
    normal's own hazard, lambda(z) - z for ln(gap), falls to the spread; from there on a line.
    """
    centre, sd = closed.centre[:, None], closed.sd[:, None]
    top = np.interp(sd, _SLOPES, _PLACES) - (_PLACES[-2] - _PLACES[-1])
    age = np.maximum(gaps, _SMALLEST)[..., None]
    z = np.minimum((np.log(age) - centre) / sd, top)
    highest = np.exp(centre + sd * top)
    rate = silence_slope(top) / (sd * highest)
    return np.asarray(-log_ndtr(-z) + rate * np.maximum(age - highest, 0.0))
