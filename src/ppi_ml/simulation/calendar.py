"""What every day of a simulated brand is like, for all customers: season, December, promotion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppi_ml.simulation import luck
from ppi_ml.simulation.brand import Brand
from ppi_ml.simulation.clock import START, BoolArray, FloatArray, IntArray

_PEAK, _YEAR = 335, 365.25  # day of the year: 1 December


@dataclass(frozen=True)
class Calendar:
    """All (days,): by what season and promotion multiply the hazard, and the facts behind it.

    `promotion` is the number of the spell of promotion that the day lies in, -1: none.
    """

    season: FloatArray
    pull: FloatArray
    promotion: IntArray
    december: BoolArray

    @property
    def demand(self) -> FloatArray:
        """By what a day multiplies everybody's hazard (days,)."""
        return self.season * self.pull


def calendar(brand: Brand, days: int, seed: int) -> Calendar:
    """The calendar of so many days from `START` on."""
    first = np.datetime64(str(START), "D")
    dates = first + np.arange(days)
    of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    promotion = _spells(brand, days, seed)
    return Calendar(
        season=np.exp(brand.season * np.cos(2 * np.pi * (of_year + 1 - _PEAK) / _YEAR)),
        pull=np.where(promotion >= 0, 1 + brand.promotion_pull, 1.0),
        promotion=promotion,
        december=dates.astype("datetime64[M]").astype(np.int64) % 12 == 11,
    )


def _spells(brand: Brand, days: int, seed: int) -> IntArray:
    """One spell of promotion in each stretch of time, somewhere in it; whole days."""
    found = np.full(days, -1, dtype=np.int64)
    if not brand.promotions:
        return found
    length = brand.promotion_days
    stretch = length / brand.promotions
    number = np.arange(int(days / stretch) + 1)
    start = luck.uniform(luck.keys(seed, "promotions", number), "start") * (stretch - length)
    for spell, begin in enumerate(np.round(number * stretch + start).astype(np.int64)):
        found[begin : begin + round(length)] = spell
    return found
