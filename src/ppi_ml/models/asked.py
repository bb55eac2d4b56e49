"""What is asked of the curves of one cutoff, and the columns that several readings share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ppi_ml.errors import UsageError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.models.curve import Curves, FloatArray

Columns = dict[str, NDArray[np.generic]]
"""Name -> (n,) values, in the order of the table; NaN and NaT are null."""

ORDER_DAYS = (7, 14, 30, 60, 90, 180, 365)
"""Days of the columns `p_<what>_<d>d`, as far as they lie below the horizon."""
_QUANTILES = (10, 50, 90)  # per cent
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Nudge:
    """When to remind a customer of a product that runs out.

    quantile: the probability of having run out that is to be in time for, strictly between 0 and
    1. lead_days: days from the reminder to the delivery, 0 or more. out_of_stock: (n,) whether the
    product of each row cannot be had, bool; None: every product can. Raises `UsageError` if
    quantile or lead_days break these rules.
    """

    quantile: float = 0.5
    lead_days: int = 0
    out_of_stock: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.quantile < 1.0:
            raise UsageError(
                f"quantile: expected a probability strictly between 0 and 1, got {self.quantile}"
            )
        if self.lead_days < 0:
            raise UsageError(f"lead_days: expected 0 days or more, got {self.lead_days}")

    def blocked(self, n: int) -> NDArray[np.bool_]:
        """`out_of_stock` of n rows, (n,); `UsageError` if it has another shape."""
        if self.out_of_stock is None:
            return np.zeros(n, dtype=np.bool_)
        found = np.asarray(self.out_of_stock, dtype=np.bool_)
        if found.shape != (n,):
            raise UsageError(
                f"out_of_stock: expected shape ({n},), one value per curve, got {found.shape}"
            )
        return found


@dataclass(frozen=True)
class Asked:
    """What is asked of the curves of one cutoff.

    horizon: days ahead, within the reach of the curves. window: width in days of the best window,
    at most the horizon. first_day: the cutoff's local calendar day. elapsed: the part of that day
    that had passed at the cutoff, in [0, 1); 0 for a cutoff at midnight. nudge: when to remind, for
    the reading `depletion`; None: by the defaults of `Nudge`, on the day of the median run-out.
    """

    horizon: int
    window: int
    first_day: date
    elapsed: float = 0.0
    nudge: Nudge | None = None

    @classmethod
    def at(cls, cutoff: Cutoff, horizon: int, window: int) -> Asked:
        """The same, on the clock of the cutoff's zone."""
        days, passed = divmod(cutoff.wall, DAY_US)
        return cls(horizon, window, _EPOCH + timedelta(days=days), passed / DAY_US)

    @property
    def days(self) -> list[int]:
        """The days of the columns `p_<what>_<d>d`: those below the horizon, then the horizon."""
        return [*(day for day in ORDER_DAYS if day < self.horizon), self.horizon]

    def day_before(self, days: FloatArray) -> NDArray[np.datetime64]:
        """The calendar day that is under way just before `days` after the cutoff; NaN gives NaT.

        For a midnight that is ceil(days) - 1 days after the cutoff's own day: what happens within
        half a day happens on that day. Never before it.
        """
        later = np.maximum(np.ceil(self.elapsed + days) - 1, 0.0)
        found = np.datetime64(self.first_day, "D") + np.nan_to_num(later).astype("timedelta64[D]")
        return np.where(np.isnan(days), np.datetime64("NaT", "D"), found)


def happened(curves: Curves, asked: Asked) -> FloatArray:
    """P(event in [cutoff, cutoff + d)) for the k days of `asked.days`, (n, k)."""
    return 1.0 - curves.survival(np.array(asked.days, dtype=np.float64))


def by_day(name: str, probability: FloatArray, asked: Asked) -> Columns:
    """The columns `<name>_<d>d` of probabilities (n, k)."""
    return {f"{name}_{day}d": probability[:, i] for i, day in enumerate(asked.days)}


def days_until(curves: Curves, probability: float) -> FloatArray:
    """Days (n,) until the event has come with that probability; NaN beyond the curve's reach."""
    found = curves.quantile(probability)
    return np.where(np.isinf(found), np.nan, found)


def quantiles(curves: Curves) -> dict[int, FloatArray]:
    """10, 50 and 90 per cent -> `days_until` (n,)."""
    return {q: days_until(curves, q / 100) for q in _QUANTILES}


def in_days(name: str, days: Mapping[int, FloatArray]) -> Columns:
    """The columns `<name>_p<q>_days`."""
    return {f"{name}_p{q}_days": found for q, found in days.items()}


def as_dates(name: str, days: Mapping[int, FloatArray], asked: Asked) -> Columns:
    """The columns `<name>_p<q>_date`: the calendar day, NaT where the days are NaN."""
    return {f"{name}_p{q}_date": asked.day_before(found) for q, found in days.items()}


def later_than_horizon(days: Mapping[int, FloatArray], asked: Asked) -> Columns:
    """The column of that name: whether the median lies later; true as well where it is NaN."""
    return {"later_than_horizon": ~(days[50] <= asked.horizon)}


def best_window(curves: Curves, asked: Asked) -> Columns:
    """The columns `best_window_start`, `best_window_end` and `best_window_probability`."""
    start, probability = curves.best_window(asked.window, within=asked.horizon)
    first = np.datetime64(asked.first_day, "D") + start.astype("timedelta64[D]")
    return {
        "best_window_start": first,
        "best_window_end": asked.day_before((start + asked.window).astype(np.float64)),
        "best_window_probability": probability,
    }
