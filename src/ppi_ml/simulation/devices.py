"""What devices read: how much of a product a house used up since the reading before."""

from __future__ import annotations

import numpy as np
import polars as pl

from ppi_ml.simulation.appetite import Appetite
from ppi_ml.simulation.buying import Refills
from ppi_ml.simulation.clock import FloatArray, IntArray, instants, whole_seconds
from ppi_ml.simulation.households import Households

READ_EVERY_DAYS = 7.0


def read(homes: Households, appetite: Appetite, refills: Refills) -> pl.DataFrame:
    """The readings of a block, sorted by pair and time: `pair`, `read_at`, `packs` used.

    Once a week from when a pair is first consumed until it stops; a week in which nothing was used
    has none.
    """
    pair, time = _times(homes, float(appetite.days))
    used = _used(appetite, refills, pair, time) / homes.pack_days[pair]
    before = np.where(np.diff(pair, prepend=-1) == 0, np.roll(used, 1), 0.0)
    packs = np.round(used - before, 3)
    there = packs > 0
    return pl.DataFrame(
        {
            "pair": pair[there].astype(np.uint32),
            "read_at": instants(time[there]),
            "packs": packs[there],
        }
    )


def _times(homes: Households, days: float) -> tuple[IntArray, FloatArray]:
    """The pairs with a device and the times at which it is read, (n,) each."""
    starts, ends = homes.starts, np.minimum(homes.stops, days)
    pairs = np.flatnonzero(homes.metered & (starts + READ_EVERY_DAYS < ends))
    weeks = np.ceil((ends - starts)[pairs] / READ_EVERY_DAYS).astype(np.int64) - 1
    pair = np.repeat(pairs, weeks)
    number = np.arange(len(pair)) - np.repeat(np.cumsum(weeks) - weeks, weeks)
    return pair, whole_seconds(starts[pair] + READ_EVERY_DAYS * (number + 1))


def _used(appetite: Appetite, refills: Refills, pair: IntArray, time: FloatArray) -> FloatArray:
    """What pairs have used up until times, in days at their mean rate, (n,).

    Levels rise through all pairs, and no two refills are used at once; so one search finds the
    refill that is open, or was open last.
    """
    if not len(refills.pair):
        return np.zeros(len(pair))
    end = np.full(len(refills.pair), float(appetite.days))
    opened = appetite.level(refills.pair, np.minimum(refills.opened, end))
    lasts = appetite.level(refills.pair, np.minimum(refills.empty, end)) - opened
    total = np.cumsum(lasts) - lasts
    level = appetite.level(pair, time)
    first = np.searchsorted(refills.pair, pair)
    last = np.searchsorted(opened, level, side="right") - 1
    some = last >= first
    at = np.where(some, last, 0)
    used = total[at] - total[np.minimum(first, len(total) - 1)]
    return np.where(some, used + np.minimum(level - opened[at], lasts[at]), 0.0)
