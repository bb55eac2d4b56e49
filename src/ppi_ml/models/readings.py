"""Readings of a survival curve: the columns that a target writes for every row.

A reading never changes the curve, so nothing it says can contradict another reading. Which columns
there are depends on what is asked, never on the curves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ppi_ml.models.asked import (
    Asked,
    Columns,
    Nudge,
    as_dates,
    best_window,
    by_day,
    happened,
    in_days,
    later_than_horizon,
    quantiles,
)
from ppi_ml.models.curve import Curves
from ppi_ml.models.depletion import depletion

__all__ = ["READINGS", "Asked", "Columns", "Nudge", "churn", "depletion", "repurchase"]


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
      probability reaches 10, 50 and 90 %; each is null for itself where the whole curve, which may
      reach further than the horizon, does not get there;
    - `next_p10_date` and so on: the local calendar day on which it does, never before the cutoff's;
      null with the days;
    - `later_than_horizon`: whether the median lies later than the horizon, that is whether no
      purchase within the horizon is likelier than one; true as well where the median is null, and
      nothing is said of `next_p90_days`, which may be null where this is false;
    - `best_window_start`, `best_window_end`, `best_window_probability`: the days [start, start +
      window), whole days after the cutoff and within the horizon, in which the purchase is most
      likely to come, the earliest of equals; as the first and the last calendar day of the window,
      both in it, and P(purchase in it). After a cutoff within a day the window begins and ends at
      that time of day, and touches one calendar day more than after midnight. Never null.
    """
    days = quantiles(curves)
    return {
        **churn(curves, asked),
        **by_day("p_order", happened(curves, asked), asked),
        **in_days("next", days),
        **as_dates("next", days, asked),
        **later_than_horizon(days, asked),
        **best_window(curves, asked),
    }


READINGS: Mapping[str, Callable[[Curves, Asked], Columns]] = {
    "churn": churn,
    "repurchase": repurchase,
    "depletion": depletion,
}
"""Name of a target's reading -> how it is read."""
