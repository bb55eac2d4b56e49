"""Metrics of whole survival curves: pure functions over numpy arrays, in blocks of bounded memory.

What they share. `days` (n,): days from the cutoff to the event, or to the end of sight. `observed`
(n,) bool: it is an event. `grid` (k,): rising whole days; the last is tau. `survival` (n, k):
P(no event within that many days), in [0, 1], never increasing along a row, S(0) = 1, and of
constant hazard between grid days. F = 1 - S.

Every row must have been followed to tau: an event after tau, or no event, is "none by tau", so no
weights are needed. `whole_days` says that the log knows days only: an event on local day c + j has
`days` = j + 1 and may have happened at any time of it, with F between F(T - 1) and F(T). Other
input is refused with a `UsageError`; where a metric is undefined it is NaN, as its docstring says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ppi_ml.errors import UsageError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_CELLS = 2_000_000  # numbers held at once in one array: 16 MB
_FLOOR = 1e-9  # a survival of 0 has no logarithm; the curve reaches this instead
_RISE = 1e-6  # what rounding may make a curve rise
_POINT = 1e-12  # a cell of F narrower than this is a point
_SIMULATED = 10_000  # rows whose outcomes are simulated: more add cost and no accuracy


def integrated_brier_losses(
    days: FloatArray, observed: BoolArray, grid: FloatArray, survival: FloatArray
) -> FloatArray:
    """Mean over the days d = 1..tau of (S(d) - 1{no event within d days})^2; lower is better.

    Shapes: see the module; result (n,). Unit: squared probability. Range: [0, 1]; 0 is a curve
    that drops from 1 to 0 at the event. Graf et al. (1999), Assessment and comparison of
    prognostic classification schemes, without weights because nobody is censored before tau.
    """
    rows = _Rows.checked(days, observed, grid, survival)
    losses = np.empty(len(rows.time))
    until = np.arange(1.0, rows.tau + 1)
    for block, alive in rows.daily():
        ended = rows.event[block, None] & (rows.time[block, None] <= until)
        losses[block] = np.mean((alive[:, 1:] - ~ended) ** 2, axis=1)
    return losses


def integrated_brier(
    days: FloatArray, observed: BoolArray, grid: FloatArray, survival: FloatArray
) -> float:
    """Mean of `integrated_brier_losses`, the integrated Brier score `ibs`; lower is better.

    Shapes: see the module. Unit: squared probability. Range: [0, 1]; 0.25 is S = 1/2 throughout.
    """
    return float(integrated_brier_losses(days, observed, grid, survival).mean())


def c_index(days: FloatArray, observed: BoolArray, grid: FloatArray, survival: FloatArray) -> float:
    """Share of comparable pairs in which the earlier event had the higher risk; higher is better.

    Risk: minus the mean of S over the days 0..tau. A pair is comparable if one row's event by tau
    comes before the other's event, or the other has none by tau; equal risks count one half.
    Shapes: see the module. Range: [0, 1]; 0.5 is blind. NaN without a comparable pair. Says
    nothing about calibration. Harrell et al. (1982), Evaluating the yield of medical tests.
    """
    rows = _Rows.checked(days, observed, grid, survival)
    risk = np.empty(len(rows.time))
    for block, alive in rows.daily():
        risk[block] = -np.round(alive.mean(axis=1), 12)  # equal curves tie, whatever the rounding
    return _concordance(rows.time, rows.event, risk)


def coverage_shares(
    days: FloatArray,
    observed: BoolArray,
    grid: FloatArray,
    survival: FloatArray,
    whole_days: bool,
    level: float = 0.8,
) -> FloatArray:
    """Chance that the row lies in its central interval, randomised PIT with its chance averaged.

    For level 0.8 the share of the row's cell that lies in [0.1, 0.9]. Its cell is [F(T - 1), F(T)]
    with whole days, the point F(T) otherwise, so 0 or 1; and [F(tau), 1] without an event by tau:
    0 where F(tau) is 1. Shapes: see the module; result (n,). Range: [0, 1]; over rows its mean
    is to be `level`, not as high as can be. Czado, Gneiting and Held (2009), Predictive model
    assessment for count data.
    """
    tail = _tail(level)
    low, high = _Rows.checked(days, observed, grid, survival).cells(whole_days)
    return _share_below(low, high, 1 - tail) - _share_below(low, high, tail)


def coverage(
    days: FloatArray,
    observed: BoolArray,
    grid: FloatArray,
    survival: FloatArray,
    whole_days: bool,
    level: float = 0.8,
) -> float:
    """Mean of `coverage_shares`: on all rows, whether or not their interval ends before tau.

    Shapes: see the module. Range: [0, 1]; right is `level`: below it the intervals are too
    narrow or in the wrong place, above it too wide.
    """
    return float(coverage_shares(days, observed, grid, survival, whole_days, level).mean())


def interval_width(grid: FloatArray, survival: FloatArray, level: float = 0.8) -> FloatArray:
    """Days between the ends of the central interval, both capped at tau; narrow is better.

    Shapes: see the module; result (n,). Unit: days. Range: [0, tau]. For level 0.8 from P10 to
    P90. To be read beside `coverage` only: a curve without an event by tau has a width of 0.
    """
    tail = _tail(level)
    early, late = (quantile_days(grid, survival, p) for p in (tail, 1 - tail))
    tau = float(np.asarray(grid)[-1])
    return np.minimum(late, tau) - np.minimum(early, tau)


def quantile_days(grid: FloatArray, survival: FloatArray, p: float) -> FloatArray:
    """Days after which the probability of an event reaches p; inf where not by tau.

    Shapes: see the module; result (n,). Unit: days. Range: (0, tau] or inf. Refuses p outside
    (0, 1).
    """
    if not 0 < p < 1:
        raise UsageError(f"p must lie strictly between 0 and 1, got {p:g}")
    grid, survival = _checked_curves(grid, survival)
    edges, target = np.append(0.0, grid), -np.log1p(-p)
    result = np.full(len(survival), np.inf)
    for block in _blocks(len(survival), len(edges)):
        hazard = _cumulative(survival[block])
        first = (hazard < target).sum(axis=1)
        reached = np.flatnonzero(first < len(edges))
        after = first[reached]
        low, high = hazard[reached, after - 1], hazard[reached, after]
        share = (target - low) / (high - low)
        result[block][reached] = edges[after - 1] + share * (edges[after] - edges[after - 1])
    return result


def d_calibration(
    days: FloatArray,
    observed: BoolArray,
    grid: FloatArray,
    survival: FloatArray,
    whole_days: bool,
    bins: int = 10,
) -> float:
    """L1 distance of the PIT from uniform over `bins` bins; lower is better.

    The cell of a row, as in `coverage_shares`, spreads its mass evenly over the bins it meets.
    Shapes: see the module. Range: [0, 2 - 2 / bins], but above 0 by chance even for a perfect
    model, about 2.4 / sqrt(n) with 10 bins and no censoring: see `d_calibration_excess`. Haider
    et al. (2020), Effective ways to build and evaluate individual survival distributions.
    """
    low, high = _Rows.checked(days, observed, grid, survival).cells(whole_days)
    borders = _borders(bins)
    return float(_distance(np.array([_share_below(low, high, b).mean() for b in borders])))


def d_calibration_excess(
    days: FloatArray,
    observed: BoolArray,
    grid: FloatArray,
    survival: FloatArray,
    whole_days: bool,
    bins: int = 10,
    draws: int = 200,
    seed: int = 0,
) -> float:
    """`d_calibration` minus its mean under perfect calibration; 0 or less is right.

    The mean is over `draws` outcomes drawn from the curves themselves and cut off at tau. Of more
    than 10,000 rows that many are drawn from; the distance shrinks as 1 / sqrt(n). Shapes: see the
    module. Range: about [-2.4 / sqrt(n), 2 - 2 / bins]. The same seed gives the same value.
    """
    if draws < 1:
        raise UsageError(f"draws: the expected distance needs at least 1 draw, got {draws}")
    rows = _Rows.checked(days, observed, grid, survival)
    found = d_calibration(days, observed, grid, survival, whole_days, bins)
    random = np.random.default_rng(seed)
    n = len(rows.time)
    chosen = np.arange(n) if n <= _SIMULATED else random.choice(n, _SIMULATED, replace=False)
    borders = _borders(bins)
    below = np.zeros((len(borders), draws))
    for block in _blocks(len(chosen), max(draws, int(rows.tau) + 2)):
        curves = rows.survival[chosen[block]]
        uniform = random.random((len(curves), draws))
        low, high = _simulated_cells(rows.grid, curves, uniform, whole_days)
        below += [_share_below(low, high, border).sum(axis=0) for border in borders]
    expected = _distance(below / len(chosen)).mean() * np.sqrt(len(chosen) / n)
    return float(found - expected)


def pinball(
    days: FloatArray, observed: BoolArray, tau: float, quantiles: FloatArray, levels: FloatArray
) -> float:
    """Mean pinball loss of quantiles in days, all capped at tau; lower is better.

    Truth and forecasts are rounded up to whole days ("in the d-th day"), at least 1 and at most
    tau; a row without an event by tau counts as tau. Shapes: `quantiles` (n, q), inf = later than
    tau; `levels` (q,) in (0, 1). Unit: days. Range: [0, tau). Koenker and Bassett (1978),
    Regression quantiles; capped as in Powell (1986), Censored regression quantiles.
    """
    if not tau >= 1 or tau % 1:
        raise UsageError(f"tau must be a whole number of days, at least 1, got {tau:g}")
    time, _ = _checked_outcomes(days, observed, tau)
    quantiles, levels = _numbers("quantiles", quantiles), _numbers("levels", levels)
    if levels.ndim != 1 or quantiles.shape != (len(time), len(levels)) or not len(levels):
        raise UsageError(
            f"quantiles: expected shape (n, q), here ({len(time)}, {levels.size}), one column "
            f"per level, got {quantiles.shape}"
        )
    if not ((levels > 0) & (levels < 1)).all():
        raise UsageError(f"levels must lie strictly between 0 and 1, got {levels.tolist()}")
    if not (quantiles >= 0).all():
        raise UsageError("quantiles must be days of 0 or more (inf is later than tau), not NaN")
    short = _whole(time, tau)[:, None] - _whole(quantiles, tau)
    return float(np.maximum(levels * short, (levels - 1) * short).mean())


def pit(
    days: FloatArray,
    observed: BoolArray,
    grid: FloatArray,
    survival: FloatArray,
    whole_days: bool,
    uniform: FloatArray,
) -> FloatArray:
    """Randomised probability integral transform: `uniform` carried into the row's cell.

    The cell is that of `coverage_shares`; the values of a calibrated model are uniform on [0, 1].
    Shapes: see the module; `uniform` (n,) in [0, 1], result (n,). Range: [0, 1]. Czado, Gneiting
    and Held (2009), Predictive model assessment for count data.
    """
    low, high = _Rows.checked(days, observed, grid, survival).cells(whole_days)
    uniform = np.asarray(uniform)
    if uniform.shape != low.shape or not ((uniform >= 0) & (uniform <= 1)).all():
        raise UsageError(f"uniform: expected {len(low)} numbers in [0, 1], one for each row")
    return low + uniform * (high - low)


@dataclass(frozen=True)
class _Rows:
    """Checked input: `time` (n,) capped at tau, `event` (n,) by tau, and the curves."""

    time: FloatArray
    event: BoolArray
    grid: FloatArray
    survival: FloatArray

    @classmethod
    def checked(
        cls, days: FloatArray, observed: BoolArray, grid: FloatArray, survival: FloatArray
    ) -> _Rows:
        grid, survival = _checked_curves(grid, survival)
        time, event = _checked_outcomes(days, observed, float(grid[-1]))
        if len(time) != len(survival):
            raise UsageError(f"survival: {len(survival)} curves for {len(time)} rows of days")
        return cls(time, event, grid, survival)

    @property
    def tau(self) -> float:
        return float(self.grid[-1])

    def daily(self) -> Iterator[tuple[slice, FloatArray]]:
        """Blocks of rows with their survival at the days 0..tau, (rows, tau + 1)."""
        for block in _blocks(len(self.time), int(self.tau) + 1):
            yield block, _daily(self.grid, self.survival[block])

    def cells(self, whole_days: bool) -> tuple[FloatArray, FloatArray]:
        """Ends of the part of [0, 1] in which the row's F is known to lie, both (n,)."""
        if whole_days and (broken := int((self.time[self.event] % 1 != 0).sum())):
            raise UsageError(
                f"days: {broken} events are not on whole days; "
                "whole_days is for logs that know days only"
            )
        before = self.time - (self.event & whole_days)
        low = _happened_by(self.grid, self.survival, before)
        high = np.where(self.event, _happened_by(self.grid, self.survival, self.time), 1.0)
        return low, np.maximum(low, high)


def _concordance(time: FloatArray, event: BoolArray, risk: FloatArray) -> float:
    """Harrell's C for any right-censored rows; at the same time an event comes first."""
    order = np.lexsort((risk, ~event, time))
    time, event, risk = time[order], event[order], risk[order]
    changes = (time[1:] != time[:-1]) | (event[1:] != event[:-1])
    tied = np.append(0, np.cumsum(changes))  # rows of one number are not comparable
    later = len(time) - np.cumsum(np.bincount(tied))[tied]
    pairs = int(later[event].sum())
    if not pairs:
        return float("nan")
    less = _pairs_in_order(np.lexsort((risk,)), event)
    less_or_equal = _pairs_in_order(np.lexsort((-tied, risk)), event)
    return (less + less_or_equal) / 2 / pairs


def _pairs_in_order(sequence: IntArray, event: BoolArray) -> int:
    """How often an event at one place has a later place before it in `sequence`, O(n log n).

    sequence: (n,) the places 0..n - 1, sorted by risk. event: (n,) by place. Halves of places are
    parted again and again: a pair is counted where its two places part.
    """
    levels = (len(sequence) - 1).bit_length()
    padding = np.arange(len(sequence), 1 << levels)
    sequence = np.append(sequence, padding).astype(np.int32)
    event = np.append(event, np.zeros(len(padding), dtype=np.bool_))
    found = 0
    for bit in reversed(range(levels)):
        parts = sequence.reshape(-1, 2 << bit)
        right = (parts >> bit & 1).astype(np.bool_)
        before = np.cumsum(right, axis=1)
        found += int(before[event[parts] & ~right].sum())
        halves = (parts[~right].reshape(-1, 1 << bit), parts[right].reshape(-1, 1 << bit))
        sequence = np.hstack(halves).ravel()
    return found


def _simulated_cells(
    grid: FloatArray, survival: FloatArray, uniform: FloatArray, whole_days: bool
) -> tuple[FloatArray, FloatArray]:
    """The cells of outcomes with F(T) = `uniform` (n, draws), seen until tau; ends (n, draws)."""
    if not whole_days:
        end = 1 - survival[:, -1:].astype(np.float64)
        event = uniform < end
        return np.where(event, uniform, end), np.where(event, uniform, 1.0)
    happened = 1 - _daily(grid, survival)
    edges = np.column_stack([happened, np.ones(len(happened))])
    row = np.arange(len(edges))[:, None]
    # One search through all rows: two apart, so that they cannot meet.
    cell = np.searchsorted((edges + 2 * row).ravel(), uniform + 2 * row, side="right")
    cell = np.minimum(cell - row * edges.shape[1], edges.shape[1] - 1)
    return edges[row, cell - 1], edges[row, cell]


def _share_below(low: FloatArray, high: FloatArray, border: float) -> FloatArray:
    """Share of each cell below the border; a point on the border lies above it."""
    width = high - low
    point = width < _POINT
    share = np.clip((border - low) / np.where(point, 1.0, width), 0, 1)
    return np.where(point, low < border, share)


def _borders(bins: int) -> FloatArray:
    if bins < 2:
        raise UsageError(f"bins: a distance from uniform needs at least 2 bins, got {bins}")
    return np.arange(1, bins) / bins


def _distance(below: FloatArray) -> FloatArray:
    """L1 distance from uniform, from the mass below the inner borders (bins - 1, ...)."""
    ends = np.zeros((1, *below.shape[1:]))
    mass = np.diff(np.concatenate([ends, below, ends + 1]), axis=0)
    return np.asarray(np.abs(mass - 1 / len(mass)).sum(axis=0))


def _tail(level: float) -> float:
    if not 0 < level < 1:
        raise UsageError(f"level must lie strictly between 0 and 1, got {level:g}")
    return (1 - level) / 2


def _whole(days: FloatArray, tau: float) -> FloatArray:
    return np.clip(np.ceil(days - 1e-9), 1, tau)


def _blocks(rows: int, width: int) -> Iterator[slice]:
    step = max(1, _CELLS // width)
    return (slice(first, first + step) for first in range(0, rows, step))


def _hazard(survival: FloatArray) -> FloatArray:
    return -np.log(np.clip(survival.astype(np.float64), _FLOOR, 1))


def _cumulative(survival: FloatArray) -> FloatArray:
    """Cumulative hazard at day 0 and at the grid, (n, k + 1), never decreasing."""
    hazard = np.maximum.accumulate(_hazard(survival), axis=1)
    return np.column_stack([np.zeros(len(hazard)), hazard])


def _between(grid: FloatArray, days: FloatArray) -> tuple[IntArray, FloatArray]:
    """Which piece of the curve holds each day, from 0, and how far through it the day is."""
    edges = np.append(0.0, grid)
    piece = np.clip(np.searchsorted(edges, days, side="right") - 1, 0, len(grid) - 1)
    return piece, (days - edges[piece]) / (edges[piece + 1] - edges[piece])


def _daily(grid: FloatArray, survival: FloatArray) -> FloatArray:
    """Survival at the days 0..tau, (n, tau + 1)."""
    days = np.arange(grid[-1] + 1)
    if len(grid) == len(days) - 1:  # the grid has every day: nothing to draw in between
        values = np.minimum.accumulate(survival.astype(np.float64), axis=1)
        return np.column_stack([np.ones(len(values)), values])
    hazard = _cumulative(survival)
    piece, share = _between(grid, days)
    return np.asarray(np.exp(-(hazard[:, piece] * (1 - share) + hazard[:, piece + 1] * share)))


def _happened_by(grid: FloatArray, survival: FloatArray, days: FloatArray) -> FloatArray:
    """F of each row at its own day, (n,)."""
    piece, share = _between(grid, days)
    row = np.arange(len(survival))
    low = np.where(piece > 0, _hazard(survival[row, np.maximum(piece - 1, 0)]), 0)
    high = _hazard(survival[row, piece])
    return -np.expm1(-(low * (1 - share) + high * share))


def _checked_outcomes(
    days: FloatArray, observed: BoolArray, tau: float
) -> tuple[FloatArray, BoolArray]:
    """Time capped at tau, and whether the event came by then, both (n,)."""
    days, observed = np.asarray(days), np.asarray(observed)
    if observed.dtype != np.bool_:
        raise UsageError(f"observed must be true or false (bool), got {observed.dtype}")
    if days.ndim != 1 or days.shape != observed.shape or not len(days):
        raise UsageError(
            "days and observed must both have shape (n,) with n >= 1, "
            f"got {days.shape} and {observed.shape}"
        )
    time = _numbers("days", days).astype(np.float64)
    wrong = int((~np.isfinite(time) | (time < 0) | (observed & (time == 0))).sum())
    if wrong:
        raise UsageError(
            "days must be finite, above 0 for events and at least 0 otherwise; "
            f"{wrong} of {len(time)} are not"
        )
    lost = ~observed & (time < tau)
    if lost.any():
        raise UsageError(
            f"days: {lost.sum()} of {len(time)} rows without an event were followed for less than "
            f"{tau:g} days, one of them for {time[lost].min():g}; judge at a shorter horizon or "
            "leave them out"
        )
    return np.minimum(time, tau), observed & (time <= tau)


def _checked_curves(grid: FloatArray, survival: FloatArray) -> tuple[FloatArray, FloatArray]:
    grid = _numbers("grid", grid).astype(np.float64)
    whole = grid.ndim == 1 and len(grid) and np.isfinite(grid).all() and not (grid % 1).any()
    if not whole or grid[0] <= 0 or (np.diff(grid) <= 0).any():
        raise UsageError(f"grid must be rising whole days from 1 upwards, got {grid.tolist()}")
    survival = _numbers("survival", survival)
    if survival.ndim != 2 or survival.shape[1] != len(grid) or not len(survival):
        raise UsageError(
            f"survival: expected shape (n, {len(grid)}) with n >= 1, one column for each day of "
            f"the grid, got {survival.shape}"
        )
    outside = rising = 0
    for block in _blocks(len(survival), len(grid)):
        values = survival[block]
        outside += int((~((values >= 0) & (values <= 1)).all(axis=1)).sum())
        rising += int((values[:, 1:] > values[:, :-1] + _RISE).any(axis=1).sum())
    if outside or rising:
        raise UsageError(
            "survival must lie in [0, 1] and never increase along a row; of "
            f"{len(survival)} curves {outside} leave [0, 1] or miss a value, {rising} increase"
        )
    return grid, survival


def _numbers(name: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values)
    if array.dtype == np.bool_ or not np.issubdtype(array.dtype, np.number):
        raise UsageError(f"{name} must be numbers, got {array.dtype}")
    return array
