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

_CELLS, _SMALLEST = 2_000_000, 1e-300


@dataclass(frozen=True)
class Stocks:
    """What n pairs may have in the house, several guesses each; float64 arrays of shape (n, c).

    since: days that the stock has been used, below 0: that it comes so many days later. scale: days
    that it usually lasts.
    """

    since: FloatArray
    scale: FloatArray

    def take(self, rows: slice) -> Stocks:
        """Some of the pairs."""
        return Stocks(self.since[rows], self.scale[rows])


_TRICKLE = 1e-6
"""Hazard a day that is added, so that a cumulative hazard rises even where nothing can run out."""
_PLACES: FloatArray = np.linspace(-8.0, 60.0, 6_801)


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
    step = max(1, _CELLS // (len(at) * len(GRID) * stocks.since.shape[1]))
    for start in range(0, len(refills), step):
        rows = slice(start, start + step)
        part, some = refills.take(rows), stocks.take(rows)
        level, closed = levels(state, part)
        z = (np.log(part.elapsed_days / part.scale)[:, None] - closed.centre) / closed.sd
        weight = softmax(level + log_ndtr(-z), axis=1)
        since = some.since[..., None]
        used = _ageing((since + at) / some.scale[..., None], closed) - _ageing(
            since / some.scale[..., None], closed
        )
        longest = (np.exp(-used.min(axis=1)) * weight[:, None]).sum(axis=-1)
        # divided by what is exactly the sum at day 0
        share = longest / weight[:, None].sum(axis=-1)
        found[rows] = -np.log(np.clip(share, _SMALLEST, 1.0))
    return np.asarray(np.maximum.accumulate(found, axis=1) + _TRICKLE * at)


def _ageing(gaps: FloatArray, closed: ClosedGaps) -> FloatArray:
    """Cumulative hazards (n, c, m, grid) at ages (n, c, m) in usual gaps, 0 before age 0.

    That of the gap up to the age at which its hazard is highest, which is where the slope of the
    normal's own hazard, lambda(z) - z for ln(gap), falls to the spread; from there on a line.
    """
    centre, sd = closed.centre[:, None, None], closed.sd[:, None, None]
    slope = silence_slope(_PLACES) - _PLACES  # falls
    top = np.interp(sd, slope[::-1], _PLACES[::-1]) - (_PLACES[1] - _PLACES[0])
    age = np.maximum(gaps, _SMALLEST)[..., None]
    z = np.minimum((np.log(age) - centre) / sd, top)
    highest = np.exp(centre + sd * top)
    rate = silence_slope(top) / (sd * highest)
    return np.asarray(-log_ndtr(-z) + rate * np.maximum(age - highest, 0.0))
