"""The curve of a pair that still consumes: "not yet" without "stopped".

Of the pairs that have not bought again by t, some have stopped consuming for good and some have
not run out yet. Only the second can buy, so

    h(t) = P(still consuming | no purchase by t) * h_consuming(t)
    S_consuming(t) = exp(-integral from 0 to t of h(u) / P(still consuming | no purchase by u) du)

This is the mixture cure model (Boag 1949, JRSS B 11(1), 15-53), read for the share that is not
cured. Whoever makes h brings the probability; here it only divides.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ppi_ml.errors import DataError

FloatArray = npt.NDArray[np.float64]

MOST_TIMES = 50.0
"""Above this the hazard is not raised. Where fewer than 2 % still consume, their share is known too
badly to divide by."""


def consuming(cumulative: FloatArray, ending: FloatArray, edges: FloatArray) -> FloatArray:
    """The cumulative hazard (n, m + 1) of n pairs, each given that it still consumes.

    Every interval's hazard is divided by the probability that a pair without a purchase by then
    still consumes. The result is a valid curve: 0 at day 0, never decreasing, and survival never
    above that of `cumulative`, not even by rounding.

    Args:
        cumulative: (n, m + 1) cumulative hazard of the next purchase at the edges.
        ending: (n, m) ln of how much higher the hazard of an interval is for a pair that still
            consumes, -ln P(still consuming | not bought again by then); 0 or more, 0 where nobody
            stops. Above ln 50 it counts as ln 50.
        edges: (m + 1,) days; they say how many intervals there must be.

    Raises:
        DataError: shapes that do not fit, or an ending that is negative or NaN.
    """
    rows, intervals = len(cumulative), len(edges) - 1
    for name, given, columns in (
        ("cumulative", cumulative, intervals + 1),
        ("ending", ending, intervals),
    ):
        if given.shape != (rows, columns):
            raise DataError(f"{name}: expected shape {(rows, columns)}, got {given.shape}")
    if not (ending >= 0).all():
        raise DataError(
            "ending: expected 0 or more, because a probability is at most 1; "
            f"{(~(ending >= 0)).sum()} of {ending.size} values are negative or NaN"
        )
    more = np.expm1(np.minimum(ending, np.log(MOST_TIMES)))
    # what is added to the plain curve, so that rounding cannot carry the result below it
    added = np.cumsum(np.diff(cumulative, axis=1) * more, axis=1)
    return np.asarray(cumulative + np.pad(added, ((0, 0), (1, 0))))


def moved(cumulative: FloatArray, usual: FloatArray, there: FloatArray) -> FloatArray:
    """The curves (n, m + 1) of n pairs, moved in time from one stock to another.

    What a model says of a pair with its usual stock holds for another stock at the time by which a
    process expects as much of it to be used up. So a stock that lasts longer at every time never
    runs out sooner, whatever the model corrects.

    Args:
        cumulative: cumulative hazards of the model with the usual stock, 0 at day 0.
        usual: those of a process with the usual stock at the same days, rising.
        there: those of the process with the stock that is there. Where it reaches further than
            `usual`, the curve goes on as in its last interval.
    """
    # the last of the usual edges that is not behind, but never the very last one
    before = (usual[:, None, 1:-1] <= there[:, :, None]).sum(axis=2)

    def at(values: FloatArray, place: npt.NDArray[np.int64]) -> FloatArray:
        return np.take_along_axis(values, place, axis=1)

    start, left = at(usual, before), at(cumulative, before)
    slope = (at(cumulative, before + 1) - left) / (at(usual, before + 1) - start)
    return np.asarray(left + slope * (there - start))
