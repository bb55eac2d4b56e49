"""One survival curve per row, and its readings.

S(d) = P(no event in [cutoff, cutoff + d)) = exp(-H(d)). The cumulative hazard H is known at
shared interval edges and linear in between (piecewise-exponential). Unit of time: days since the
cutoff.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from ppi_ml.errors import DataError, UsageError

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    import polars as pl
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

EDGES = (0, 1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 75, 90, 120, 150, 180, 240, 300, 365)
_MOST_DAYS = 90  # days at which a curve is judged
_CELLS = 2_000_000  # survival values held at once while searching for windows: 16 MB per array
_SMALLEST = 1e-300  # keeps ln S finite where a formula has rounded S to 0


@dataclass(frozen=True)
class Curves:
    """n survival curves, from the cutoff to `max_days` days after it.

    edges: (m + 1,) days, from 0 strictly upwards. cumulative: (n, m + 1) cumulative hazard at the
    edges: first column 0, never decreasing, finite. keys: the entity keys, one row per curve in
    the same order (pandas or polars), or None. consuming: of pairs, the curves of the run-out of
    the same rows and edges, given that the pair is still consuming; above the plain ones where more
    is in the house than usual; None where there are no such curves. Everything a curve says is said
    of the plain one. Raises `DataError` if these rules are broken.
    """

    edges: FloatArray
    cumulative: FloatArray
    keys: pd.DataFrame | pl.DataFrame | None = None
    consuming: Curves | None = None

    def __post_init__(self) -> None:
        edges = np.asarray(self.edges, dtype=np.float64)
        cumulative = np.asarray(self.cumulative, dtype=np.float64)
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "cumulative", cumulative)
        check_edges(edges)
        if cumulative.ndim != 2 or cumulative.shape[1] != len(edges):
            raise DataError(
                f"cumulative: expected shape (n, {len(edges)}), one column per edge, "
                f"got {cumulative.shape}"
            )
        if not np.isfinite(cumulative).all():
            raise DataError("cumulative: must be finite, got NaN or infinity")
        if (cumulative[:, 0] != 0).any() or (np.diff(cumulative, axis=1) < 0).any():
            raise DataError("cumulative: must start at 0 and never decrease along a row")
        if self.keys is not None and len(self.keys) != len(cumulative):
            raise DataError(f"keys: {len(self.keys)} rows for {len(cumulative)} curves")
        if self.consuming is not None:
            self._check_consuming(self.consuming)

    @classmethod
    def from_survival(
        cls,
        edges: npt.ArrayLike,
        survival: npt.ArrayLike,
        keys: pd.DataFrame | pl.DataFrame | None = None,
    ) -> Self:
        """Curves through survival values at the edges, such as a mean of several models'.

        edges: (m + 1,). survival: (n, m + 1), 1 in the first column. What rounding made rise by a
        hair is flattened.
        """
        values = np.clip(np.asarray(survival, dtype=np.float64), _SMALLEST, None)
        cumulative = np.maximum.accumulate(-np.log(values), axis=1) + 0.0
        return cls(np.asarray(edges, dtype=np.float64), cumulative, keys)

    def __len__(self) -> int:
        return len(self.cumulative)

    @property
    def max_days(self) -> float:
        """The reach: the last edge."""
        return float(self.edges[-1])

    def survival(self, days: npt.ArrayLike) -> FloatArray:
        """P(no event in [cutoff, cutoff + d)) for each of m days, (n, m).

        Exactly 1 at day 0 and never increasing. Raises `UsageError` for days that are no numbers,
        negative, or beyond `max_days`: nothing is known there.
        """
        at = np.atleast_1d(_numbers("days", days))
        self._check_reach(at)
        return _survival(self.edges, self.cumulative, at)

    def quantile(self, p: npt.ArrayLike) -> FloatArray:
        """Days after which the probability of an event reaches p: (n,), or (n, k) for k of them.

        inf where the curve does not reach it within `max_days`. Raises `UsageError` unless all p
        lie strictly between 0 and 1.
        """
        asked = _numbers("p", p)
        wrong = asked[~((asked > 0) & (asked < 1))]
        if wrong.size:
            raise UsageError(f"p: expected a probability strictly between 0 and 1, got {wrong[0]}")
        days = np.empty((len(self), asked.size))
        for column, target in enumerate(-np.log1p(-asked.ravel())):
            days[:, column] = self._days_until(target)
        return days if asked.ndim else days[:, 0]

    def best_window(
        self, width_days: int, within: int | None = None
    ) -> tuple[IntArray, FloatArray]:
        """The window of that width in which the event is most likely.

        Returns the start (whole days after the cutoff, the earliest of equals) and
        P(event in [start, start + width_days)), both (n,). The window ends no later than `within`
        days after the cutoff; None: the reach of the curve. Raises `UsageError` unless the width
        is between one day and `within`, and `within` at most `max_days`.
        """
        last = int(self.max_days) if within is None else within
        if last > self.max_days:
            raise UsageError(
                f"within: asked for day {last}, but the curve reaches day {self.max_days:g}"
            )
        if not 1 <= width_days <= last:
            limit = "the reach of the curve" if within is None else "the days to search"
            raise UsageError(f"width_days: expected 1 to {last}, {limit}, got {width_days}")
        whole = np.arange(last + 1, dtype=np.float64)
        start = np.zeros(len(self), dtype=np.int64)
        probability = np.zeros(len(self))
        step = max(1, _CELLS // len(whole))
        for first in range(0, len(self), step):
            rows = slice(first, first + step)
            alive = _survival(self.edges, self.cumulative[rows], whole)
            mass = alive[:, : len(whole) - width_days] - alive[:, width_days:]
            start[rows] = mass.argmax(axis=1)
            probability[rows] = mass.max(axis=1)
        return start, probability

    def to_frame(self, days: Iterable[float]) -> pd.DataFrame:
        """The keys beside one column `no_event_by_<d>d` per day asked for, one row per curve."""
        import pandas as pd

        asked = list(days)
        names = [f"no_event_by_{day:g}d" for day in asked]
        values = pd.DataFrame(self.survival(asked), columns=names)
        if self.keys is None:
            return values
        keys = self.keys if isinstance(self.keys, pd.DataFrame) else self.keys.to_pandas()
        return pd.concat([keys.reset_index(drop=True), values], axis=1)

    def plot(
        self,
        ids: Iterable[object] | None = None,
        *,
        level: float = 0.8,
        first_day: date | str | None = None,
    ) -> Figure:
        """A figure of the curves of up to 8 customers, each with its median and interval.

        Args:
            ids: their customer ids; None: the first 8.
            level: probability of the interval: 0.8 draws P10 to P90.
            first_day: the local day of the cutoff; puts dates on the axis.

        Raises:
            UsageError: an id without a curve, more than 8 of them, or matplotlib is missing.
        """
        from ppi_ml.models.curve_figure import customer_curves

        return customer_curves(replace(self, consuming=None), ids, level=level, first_day=first_day)

    def _days_until(self, target: float) -> FloatArray:
        """Days after which the cumulative hazard reaches a target, (n,); inf beyond the reach."""
        above = (self.cumulative < target).sum(axis=1)
        reached = above < len(self.edges)
        high = np.minimum(above, len(self.edges) - 1)
        rows = np.arange(len(self))
        start, end = self.cumulative[rows, high - 1], self.cumulative[rows, high]
        days = np.full(len(self), np.inf)
        share = (target - start[reached]) / (end - start)[reached]
        left = self.edges[high - 1][reached]
        days[reached] = left + share * (self.edges[high][reached] - left)
        return days

    def _check_consuming(self, still: Curves) -> None:
        if not np.array_equal(still.edges, self.edges):
            raise DataError("consuming: expected the edges of the plain curves, got others")
        if len(still) != len(self):
            raise DataError(f"consuming: {len(still)} rows for {len(self)} curves")

    def _check_reach(self, days: FloatArray) -> None:
        if not np.isfinite(days).all() or (days < 0).any():
            raise UsageError("days: expected finite numbers, 0 or more")
        if (days > self.max_days).any():
            raise UsageError(
                f"days: asked for day {days.max():g}, but the curve reaches day {self.max_days:g}"
            )

    def __repr__(self) -> str:
        return f"Curves({len(self):,} survival curves, {self.max_days:g} days)"

    def _repr_html_(self) -> str:
        head = Curves(
            self.edges, self.cumulative[:10], None if self.keys is None else self.keys[:10]
        )
        table = head.to_frame(self.edges[1:].tolist()).to_html(
            index=False, float_format="{:.3f}".format
        )
        return f"<p>{len(self)} survival curves, {self.max_days:g} days</p>{table}"


def evaluation_days(horizon: int, metric: str) -> FloatArray:
    """Whole days at which a curve is judged, (k,), rising, the last one the horizon.

    The horizon alone for the metric `log_loss`; for `ibs` every day up to it, or 90 of them
    evenly, between which a curve is log-linear.
    """
    if metric == "log_loss":
        return np.array([float(horizon)])
    return np.unique(np.round(np.linspace(1, horizon, min(horizon, _MOST_DAYS))))


def _numbers(name: str, given: npt.ArrayLike) -> FloatArray:
    """One number () or several (k,) as they were given; `UsageError` for anything else."""
    try:
        found = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{name}: expected a number or a list of numbers") from None
    if found.ndim > 1:
        raise UsageError(
            f"{name}: expected a number or a list of numbers, got an array of shape {found.shape}"
        )
    return found


def _survival(edges: FloatArray, cumulative: FloatArray, at: FloatArray) -> FloatArray:
    """exp(-H) at days within the reach, (n, len(at))."""
    left = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(edges) - 2)
    share = (at - edges[left]) / (edges[left + 1] - edges[left])
    low, high = cumulative[:, left], cumulative[:, left + 1]
    # Rounding may carry the line a hair above its end, and the next interval would start lower.
    return np.asarray(np.exp(-np.minimum(low + (high - low) * share, high)))


def check_edges(edges: FloatArray) -> None:
    """`DataError` unless the days rise strictly from 0 and there are at least two."""
    if edges.ndim != 1 or len(edges) < 2 or edges[0] != 0 or not (np.diff(edges) > 0).all():
        raise DataError("edges: expected at least two days, rising strictly from 0")
