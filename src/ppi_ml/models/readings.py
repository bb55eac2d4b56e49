"""Readings of a survival curve: the columns that a target writes for every row.

A reading never changes the curve, so nothing it says can contradict another reading. Which columns
there are depends on what is asked, never on the curves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.models.curve import Curves, FloatArray

Columns = dict[str, NDArray[np.generic]]
"""Name -> (n,) values, in the order of the table; NaN and NaT are null."""

ORDER_DAYS = (7, 14, 30, 60, 90, 180, 365)
"""Days of the columns `p_order_<d>d`, as far as they lie below the horizon."""
_QUANTILES = (10, 50, 90)  # per cent
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Asked:
    """What is asked of the curves of one cutoff.

    horizon: days ahead, within the reach of the curves. window: width in days of the best window,
    at most the horizon. first_day: the cutoff's local calendar day. elapsed: the part of that day
    that had passed at the cutoff, in [0, 1); 0 for a cutoff at midnight.
    """

    horizon: int
    window: int
    first_day: date
    elapsed: float = 0.0

    @classmethod
    def at(cls, cutoff: Cutoff, horizon: int, window: int) -> Asked:
        """The same, on the clock of the cutoff's zone."""
        days, passed = divmod(cutoff.wall, DAY_US)
        return cls(horizon, window, _EPOCH + timedelta(days=days), passed / DAY_US)

    def day_before(self, days: FloatArray) -> NDArray[np.datetime64]:
        """The calendar day that is under way just before `days` after the cutoff; NaN gives NaT.

        For a midnight that is ceil(days) - 1 days after the cutoff's own day: what happens within
        half a day happens on that day. Never before it.
        """
        later = np.maximum(np.ceil(self.elapsed + days) - 1, 0.0)
        found = np.datetime64(self.first_day, "D") + np.nan_to_num(later).astype("timedelta64[D]")
        return np.where(np.isnan(days), np.datetime64("NaT", "D"), found)


def churn(curves: Curves, asked: Asked) -> Columns:
    """P(no purchase within the horizon), and the horizon in days; never null."""
    return {
        "churn_probability": curves.survival([float(asked.horizon)])[:, 0],
        "horizon_days": np.full(len(curves), asked.horizon, dtype=np.int64),
    }


def repurchase(curves: Curves, asked: Asked) -> Columns:
    """When the next purchase comes.

    The columns of `churn`, then:

    - `p_order_<d>d`: P(purchase in [cutoff, cutoff + d)), for the horizon and shorter times;
    - `next_p10_days`, `next_p50_days`, `next_p90_days`: days from the cutoff until that
      probability reaches 10, 50 and 90 %; null where the whole curve, which may reach further than
      the horizon, does not get there;
    - `next_p10_date` and so on: the local calendar day on which it does, never before the cutoff's;
      null with the days;
    - `later_than_horizon`: whether the median lies later than the horizon, that is whether no
      purchase within the horizon is likelier than one; true as well where the median is null;
    - `best_window_start`, `best_window_end`, `best_window_probability`: the days [start, start +
      window), whole days after the cutoff and within the horizon, in which the purchase is most
      likely to come, the earliest of equals; as the first and the last calendar day of the window,
      both in it, and P(purchase in it). After a cutoff within a day the window begins and ends at
      that time of day, and touches one calendar day more than after midnight. Never null.
    """
    return {
        **churn(curves, asked),
        **_probabilities(curves, asked.horizon),
        **_next(curves, asked),
        **_best_window(curves, asked),
    }


def _probabilities(curves: Curves, horizon: int) -> Columns:
    days = [*(day for day in ORDER_DAYS if day < horizon), horizon]
    bought = 1.0 - curves.survival(np.array(days, dtype=np.float64))
    return {f"p_order_{day}d": bought[:, i] for i, day in enumerate(days)}


def _next(curves: Curves, asked: Asked) -> Columns:
    days = {q: curves.quantile(q / 100) for q in _QUANTILES}
    later = days[50] > asked.horizon
    within = {q: np.where(np.isinf(found), np.nan, found) for q, found in days.items()}
    return {
        **{f"next_p{q}_days": found for q, found in within.items()},
        **{f"next_p{q}_date": asked.day_before(found) for q, found in within.items()},
        "later_than_horizon": later,
    }


def _best_window(curves: Curves, asked: Asked) -> Columns:
    start, probability = curves.best_window(asked.window, within=asked.horizon)
    first = np.datetime64(asked.first_day, "D") + start.astype("timedelta64[D]")
    return {
        "best_window_start": first,
        "best_window_end": asked.day_before((start + asked.window).astype(np.float64)),
        "best_window_probability": probability,
    }


READINGS: Mapping[str, Callable[[Curves, Asked], Columns]] = {
    "churn": churn,
    "repurchase": repurchase,
}
"""Name of a target's reading -> how it is read."""
