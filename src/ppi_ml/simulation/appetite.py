"""How much the pairs would consume each day, and when what is in the house will be gone.

The appetite of a pair is its rate times a factor per day with mean 1. Its *level* at a time is the
appetite summed so far, in days at the mean rate; within a day it rises evenly. It goes on whether
or not there is anything to consume: it is what would be consumed if the house were never empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppi_ml.simulation.clock import FloatArray, IntArray


def day_factors(rng: np.random.Generator, pairs: int, days: int, spread: float) -> FloatArray:
    """What each pair consumes each day over its mean, log-normal with mean 1: (pairs, days)."""
    if not spread:
        return np.ones((pairs, days))
    factors = rng.standard_normal((pairs, days))
    factors *= spread
    factors -= spread**2 / 2
    return np.exp(factors, out=factors)


@dataclass(frozen=True)
class Appetite:
    """The levels of p pairs over so many days; from the last day on, one a day.

    `summed` (p * days + 1,) is one rising line through all pairs, so that one search answers for
    any number of pairs. Levels count from the start of that line; compare those of one pair only.
    """

    summed: FloatArray
    days: int

    @classmethod
    def of(cls, factors: FloatArray) -> Appetite:
        """The appetite of day factors (p, days)."""
        summed = np.zeros(factors.size + 1)
        np.cumsum(factors, out=summed[1:])
        return cls(summed, factors.shape[1])

    def level(self, pair: IntArray, time: FloatArray) -> FloatArray:
        """The level of pairs at times (finite, not before the start); all (n,)."""
        inside = np.minimum(time, self.days)
        day = np.minimum(inside.astype(np.int64), self.days - 1)
        before = self.summed[pair * self.days + day]
        rise = self.summed[pair * self.days + day + 1] - before
        return np.asarray(before + rise * (inside - day) + (time - inside))

    def reached(self, pair: IntArray, level: FloatArray) -> FloatArray:
        """When pairs reach levels, the inverse of `level`; all (n,)."""
        first = pair * self.days
        inside = np.minimum(level, self.summed[first + self.days])
        at = np.searchsorted(self.summed, inside, side="right") - 1
        at = np.clip(at, first, first + self.days - 1)
        before = self.summed[at]
        part = (inside - before) / (self.summed[at + 1] - before)
        return at - first + part + (level - inside)
