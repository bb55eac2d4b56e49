"""Every number of the scorecard: losses with intervals, and the metrics beside them.

What belongs to one row alone (loss, coverage, quantiles) is computed once per model, and then
only averaged over the parts that are scored. Every number is rounded to six significant digits
before anything is concluded from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ppi_ml import curve_metrics, metrics
from ppi_ml.backtest import Backtest, BoolArray, FloatArray, Slice, slices_of
from ppi_ml.paired_bootstrap import Intervals, intervals, paired
from ppi_ml.score_rows import ELIGIBLE, EVERYBODY, MODEL, POOLED, ScoreRow

_QUANTILES = np.array([0.1, 0.5, 0.9])
_FOLD = 0
Values = Iterator[tuple[str, float]]
"""Metric and value."""


def score_rows(backtest: Backtest, seed: int, draws: int) -> tuple[ScoreRow, ...]:
    """Every row of the scorecard, part by part, those that were not trainable last.

    `seed` starts the `draws` resamples of customers and the outcomes drawn from the model's own
    curves. A backtest without rows has no parts. The rows must stand in their own order
    (`Backtest.in_order`), or the last bits depend on it.
    """
    parts, models = slices_of(backtest), [MODEL, *backtest.baselines]
    per_row = {name: _PerRow.of(backtest, name) for name in models}
    losses = paired(per_row[MODEL].loss, [per_row[b].loss for b in backtest.baselines])
    masks = [part.mask for part in parts]
    ends = intervals(backtest.customer, losses, masks, seed, draws)
    rows: list[ScoreRow] = []
    for part, interval in zip(parts, ends, strict=True):
        rows += _headline(backtest, part, losses[part.mask].mean(axis=0), interval)
        for name in models if _whole(part) else [MODEL]:
            measured = _measured(backtest, part, name, per_row[name], seed)
            rows += (_row(part, name, metric, value) for metric, value in measured)
    nobody = Slice(POOLED, ELIGIBLE, np.zeros(0, dtype=np.bool_))
    rows += (_row(nobody, name, backtest.metric, None) for name in sorted(backtest.untrainable))
    return tuple(rows)


@dataclass(frozen=True)
class _PerRow:
    """What one model's prediction of a row is worth, alone: arrays of shape (n,).

    `coverage` is the share of the row inside its 80 % interval; `quantiles` (n, 3) are P10, P50
    and P90 in days. Both are None where the prediction is no curve but one probability.
    """

    loss: FloatArray
    coverage: FloatArray | None = None
    quantiles: FloatArray | None = None

    @classmethod
    def of(cls, backtest: Backtest, name: str) -> _PerRow:
        days, observed, grid = backtest.days, backtest.observed, backtest.grid
        if backtest.metric == "log_loss":
            return cls(metrics.log_losses(~backtest.event, backtest.at_horizon(name)))
        survival = backtest.curves(name)
        return cls(
            curve_metrics.integrated_brier_losses(days, observed, grid, survival),
            curve_metrics.coverage_shares(days, observed, grid, survival, backtest.whole_days),
            np.column_stack([curve_metrics.quantile_days(grid, survival, p) for p in _QUANTILES]),
        )


def _whole(part: Slice) -> bool:
    """Whether the part gets every metric of every model: all cutoffs, no mere segment."""
    return part.cutoff == POOLED and part.segment in (ELIGIBLE, EVERYBODY)


def _headline(
    backtest: Backtest, part: Slice, means: FloatArray, interval: Intervals
) -> Iterator[ScoreRow]:
    """Loss of the model, then of each baseline with the difference."""
    own, differences = means[1], means[2:]
    yield _row(part, MODEL, backtest.metric, own, own_ends=interval.own[0])
    for name, difference, own_ends, ends in zip(
        backtest.baselines, differences, interval.own[1:], interval.difference, strict=True
    ):
        loss, versus = own - difference, (difference, *ends)
        yield _row(part, name, backtest.metric, loss, own_ends=own_ends, versus=versus)


# ------------------------------------------------------------------ beside the headline


def _measured(backtest: Backtest, part: Slice, name: str, per_row: _PerRow, seed: int) -> Values:
    """The metrics beside the headline; they decide nothing and carry no intervals."""
    event, risk = backtest.event[part.mask], backtest.at_horizon(name)[part.mask]
    if _whole(part):
        yield from _at_horizon(event, risk)
    if backtest.question:
        yield "event_ratio", metrics.returner_ratio(~event, risk)
    else:
        yield "returner_ratio", metrics.returner_ratio(event, 1 - risk)
    if per_row.coverage is not None and per_row.quantiles is not None:
        yield "coverage", float(per_row.coverage[part.mask].mean())
        yield from _of_quantiles(backtest, part, per_row.quantiles[part.mask])
        yield from _of_curves(backtest, part, name, seed)


def _at_horizon(event: BoolArray, risk: FloatArray) -> Values:
    """Of the probability of no purchase within the horizon."""
    yield "brier", metrics.brier(~event, risk)
    yield "auc", metrics.roc_auc(~event, risk)
    yield "top_decile_lift", metrics.top_decile_lift(~event, risk)
    yield "calibration_error", metrics.calibration_error(~event, risk)


def _of_quantiles(backtest: Backtest, part: Slice, quantiles: FloatArray) -> Values:
    """Of P10, P50 and P90 in days, (rows, 3)."""
    tau = float(backtest.horizon_days)
    capped = np.minimum(quantiles, tau)
    yield "width", float((capped[:, 2] - capped[:, 0]).mean())
    if _whole(part):
        days, observed = backtest.days[part.mask], backtest.observed[part.mask]
        yield "pinball", curve_metrics.pinball(days, observed, tau, quantiles, _QUANTILES)


def _of_curves(backtest: Backtest, part: Slice, name: str, seed: int) -> Values:
    """Of the whole curve; D-calibration for the model alone, because it draws outcomes."""
    wanted = name == MODEL and part.segment == ELIGIBLE
    if not wanted and not _whole(part):
        return
    days, observed = backtest.days[part.mask], backtest.observed[part.mask]
    grid, survival = backtest.grid, backtest.curves(name)[part.mask]
    if _whole(part):
        yield "c_index", curve_metrics.c_index(days, observed, grid, survival)
    if wanted:
        excess = curve_metrics.d_calibration_excess(
            days, observed, grid, survival, backtest.whole_days, seed=seed
        )
        yield "d_calibration_excess", excess


# ------------------------------------------------------------------ rows


def _row(
    part: Slice,
    model: str,
    metric: str,
    value: float | None,
    own_ends: FloatArray | None = None,
    versus: tuple[float, float, float] | None = None,
) -> ScoreRow:
    low, high = (None, None) if own_ends is None else own_ends
    difference, below, above = versus or (None, None, None)
    rounded = map(_rounded, (value, low, high, difference, below, above))
    value, low, high, difference, below, above = rounded
    return ScoreRow(
        fold=_FOLD,
        cutoff=part.cutoff,
        segment=part.segment,
        model=model,
        metric=metric,
        value=value,
        low=low,
        high=high,
        n=int(np.count_nonzero(part.mask)),
        difference=difference,
        difference_low=below,
        difference_high=above,
    )


def _rounded(value: float | None) -> float | None:
    """Six significant digits; null if not finite. Plain addition turns -0.0 into 0.0."""
    if value is None or not np.isfinite(value):
        return None
    return float(f"{value:.6g}") + 0.0
