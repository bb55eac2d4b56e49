"""Time and random numbers of a simulation: days since its start, and one stream per part.

Inside, time is a float in days since `START`. What the shop writes down lies on whole seconds, so
that "before" and "at" mean the same inside and in the tables.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.instants import DAY_US, Cutoff

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

START = Cutoff.parse("2024-01-01", "UTC")
"""The first instant of every simulated log."""

DAY_SECONDS = 86_400
INSTANT = pl.Datetime("us", "UTC")

_OPENS_HOUR, _OPEN_HOURS = 8, 13
_FAR_DAYS = 2.9e6  # the years after 9900 are all one: calendars end with 9999


def stream(seed: int, part: str, block: int = 0) -> np.random.Generator:
    """The random numbers of one part of one block of customers.

    Each part has a stream of its own, so that a switch changes what it is about and nothing else:
    two shops of one seed have the same customers, trips and appetites.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(part.encode()), block]))


def whole_seconds(time: FloatArray) -> FloatArray:
    """The nearest whole second (any shape), in days."""
    return np.round(time * DAY_SECONDS) / DAY_SECONDS


def opening_hours(time: FloatArray) -> FloatArray:
    """Any time of a day squeezed into 8:00 to 21:00 of that day, in the same order."""
    day = np.floor(time)
    return whole_seconds(day + (_OPENS_HOUR + _OPEN_HOURS * (time - day)) / 24)


def instants(time: FloatArray) -> pl.Series:
    """Days since the start (n,) as instants; null where the time is infinite, which is never."""
    known = np.isfinite(time)
    near = np.minimum(np.where(known, time, 0.0), _FAR_DAYS)
    at = START.at + np.round(near * DAY_US).astype(np.int64)
    return pl.select(pl.when(pl.Series(known)).then(pl.Series(at))).to_series().cast(INSTANT)
