"""Which rows a fit learns from, and which of their person-intervals, where there are too many.

An interval without an event adds nothing to the likelihood but minus the events it expected. So
every interval with an event is kept and, of those without one, a share, each of which then counts
for all it stands for: its exposure is divided by the share, and the likelihood is estimated without
bias (Horvitz and Thompson 1952, JASA 47). What is saved buys more rows, up to a quarter of them:
rows of one customer wait for the same purchases, and where a quarter is left anyway, none of their
intervals is left out. Nor are fewer than four kept for every event: with m controls a case,
m / (m + 1) of what is there to be known is learned (Ury 1975, Biometrics 31).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppi_ml.models.intervals import PersonIntervals

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_ENOUGH_ROWS, _QUIET_PER_EVENT = 0.25, 4


@dataclass(frozen=True)
class Thinning:
    """The shares in (0, 1] of rows, and of their intervals without an event, that are kept."""

    rows: float = 1.0
    quiet: float = 1.0


def thinning(
    days: FloatArray, observed: NDArray[np.bool_], edges: Sequence[float], most: int
) -> Thinning:
    """The shares that leave about `most` person-intervals of n waits; both 1 if there are fewer.

    Args:
        days: (n,) days to the event or to the end of sight.
        observed: (n,) whether the event was seen.
        edges: (m+1,) days from 0 upwards.
        most: person-intervals to learn from.
    """
    made = int((np.searchsorted(np.asarray(edges)[1:-1], days, side="left") + 1).sum())
    if most >= _ENOUGH_ROWS * made:
        return Thinning(min(most / max(made, 1), 1.0))
    events = int((observed & (days <= edges[-1])).sum())
    quiet = made - events
    wanted = min(max(_QUIET_PER_EVENT * events, most / _ENOUGH_ROWS - events), quiet)
    return Thinning(min(most / (events + wanted), 1.0), wanted / quiet if quiet else 1.0)


def draw_rows(key: IntArray, day: FloatArray, share: float, seed: int) -> IntArray:
    """Positions of about that share of n rows, all from 1 on, drawn by hash.

    `key` (n,) a stable number of each row's customer, `day` (n,) the local day of its cutoff: the
    draw depends on these and the seed alone.
    """
    if share >= 1:
        return np.arange(len(key))
    return np.flatnonzero(_uniform(key, day, seed) < share)


def thinned(
    intervals: PersonIntervals, key: IntArray, day: FloatArray, share: float, seed: int
) -> PersonIntervals:
    """All intervals with an event, and about that share of the others, counting for all of them.

    `key` and `day` (n,) as in `draw_rows`; the draw depends on these, the number of the interval
    and the seed alone.
    """
    if share >= 1:
        return intervals
    happened = intervals.event > 0
    lot = _uniform(key[intervals.row], day[intervals.row], seed, intervals.interval + 1)
    keep = happened | (lot < share)
    exposure = np.where(happened, intervals.exposure, intervals.exposure / share)
    return PersonIntervals(
        intervals.row[keep], intervals.interval[keep], exposure[keep], intervals.event[keep]
    )


def _uniform(key: IntArray, day: FloatArray, seed: int, interval: IntArray | int = 0) -> FloatArray:
    """A number in [0, 1) that depends on its arguments alone (splitmix64), (n,)."""
    step = seed * 0x9E3779B97F4A7C15 % 2**64
    state = key.astype(np.uint64) + np.uint64(step)
    state = state ^ (np.floor(day).astype(np.int64).astype(np.uint64) << np.uint64(33))
    state = state ^ (np.asarray(interval).astype(np.uint64) << np.uint64(53))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return ((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53
