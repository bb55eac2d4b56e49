"""How much an interval teaches: what lies beyond the days that are asked about, the less."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def nearness(days: FloatArray, horizon: float | None) -> FloatArray:
    """The weight of what happens on days after the cutoff: 1 until the horizon, then its square.

    (horizon / days)^2 beyond it: a snapshot of long ago is followed for a year, and what customers
    did so late says little of how the next weeks depend on what is known now. The far part of the
    curve still learns from nothing else. None is no horizon, and everything weighs 1: as long as no
    season is known, late days dilute the luck of a few dates, which is worth more.
    """
    if horizon is None:
        return np.ones_like(days)
    return np.asarray((horizon / np.maximum(days, horizon)) ** 2)
