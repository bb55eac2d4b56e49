"""Person-interval rows: what a piecewise-exponential curve is learned from, and its edges."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ppi_ml.errors import DataError, UsageError
from ppi_ml.models.curve import EDGES, FloatArray, IntArray, check_edges

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PersonIntervals:
    """One row per entity and interval at risk, ordered by entity, then by interval.

    row: which entity (k,). interval: which interval of the edges, from 0 (k,). exposure: days at
    risk in it, above 0 (k,). event: 1.0 if the event fell into it, else 0.0 (k,).
    """

    row: IntArray
    interval: IntArray
    exposure: FloatArray
    event: FloatArray

    def __len__(self) -> int:
        return len(self.row)


def everywhere(n: int, m: int) -> tuple[IntArray, IntArray]:
    """Row and interval (n * m,) of the first m intervals of n rows, whole curves one by one."""
    return np.repeat(np.arange(n), m), np.tile(np.arange(m), n)


def interval_edges(
    max_days: int,
    event_days: npt.ArrayLike,
    minimum_events: int,
    keep: Collection[int] = (),
) -> FloatArray:
    """The edges `EDGES` up to max_days, thinned until each interval holds enough events, (m + 1,).

    event_days: observed times to event, days; an event at T belongs to the interval (a, b] around
    it. 0, max_days and the days in `keep` always stay, so an interval between two of those may
    hold fewer than `minimum_events`. Raises `UsageError` if max_days is under 1 or
    a kept day lies beyond it.
    """
    fixed = {0, max_days, *keep}
    if max_days < 1 or min(fixed) < 0 or max(fixed) > max_days:
        raise UsageError(
            f"keep: expected days from 1 to max_days, here {max_days}, got {sorted(keep)}"
        )
    when = np.sort(np.asarray(event_days, dtype=np.float64))
    when = when[when > 0]

    def events_until(day: int) -> int:
        return int(np.searchsorted(when, day, side="right"))

    chosen = [0]
    for edge in sorted(fixed | {day for day in EDGES if day < max_days})[1:]:
        enough = events_until(edge) - events_until(chosen[-1]) >= minimum_events
        if edge in fixed and not enough and chosen[-1] not in fixed:
            chosen.pop()
        if edge in fixed or enough:
            chosen.append(edge)
    return np.array(chosen, dtype=np.float64)


def expand(
    days: npt.ArrayLike,
    observed: npt.ArrayLike,
    edges: npt.ArrayLike,
    day_granularity: bool,
) -> PersonIntervals:
    """Person-interval rows of n durations: what a piecewise-exponential model is fitted on.

    days: (n,) time from cutoff to event or censoring, T. observed: (n,) whether it is an event.
    edges: (m + 1,) days from 0 upwards. Intervals without exposure are absent, and what lies
    beyond the last edge is censored there.

    Timed tables: exposure is the time at risk in (a, b], and the event lies in the interval that
    holds T. With `day_granularity` an event on local day c + k has T = k + 1, and its own day
    carries exposure 0.5 because its time is not known; edges and days are then whole numbers.
    Raises `DataError` for durations that break these rules.
    """
    time = np.asarray(days, dtype=np.float64)
    happened = np.asarray(observed, dtype=np.bool_)
    borders = np.asarray(edges, dtype=np.float64)
    check_edges(borders)
    _check_durations(time, happened, borders, day_granularity)
    ends = borders[1:]
    last = np.searchsorted(ends, time, side="left")
    within = happened & (time <= borders[-1])
    counts = np.where(time > 0, np.minimum(last, len(ends) - 1) + 1, 0)
    row = np.repeat(np.arange(len(time)), counts)
    interval = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    event = (within[row] & (interval == last[row])).astype(np.float64)
    exposure = np.minimum(time[row], ends[interval]) - borders[interval]
    if day_granularity:
        exposure -= 0.5 * event
    return PersonIntervals(row, interval, exposure, event)


def _check_durations(
    time: FloatArray, happened: BoolArray, edges: FloatArray, day_granularity: bool
) -> None:
    if time.ndim != 1 or time.shape != happened.shape:
        raise DataError(f"observed: expected shape {time.shape} like days, got {happened.shape}")
    wrong = ~np.isfinite(time) | (time < 0) | (happened & (time <= 0))
    if wrong.any():
        raise DataError(
            "days: expected finite times, above 0 for events and at least 0 otherwise; "
            f"{wrong.sum()} of {len(time)} are not"
        )
    if day_granularity and ((time % 1 != 0).any() or (edges % 1 != 0).any()):
        raise DataError("days: with day granularity, durations and edges are whole numbers")
