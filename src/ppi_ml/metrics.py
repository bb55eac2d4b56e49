"""Metrics of a predicted probability, and intervals: pure functions over numpy arrays.

In the metrics `happened` is boolean and `probability` the prediction that it would be true, both of
shape (n,), n >= 1. Nothing here knows customers, cutoffs or horizons. Arrays of another shape or
type, missing values and probabilities outside [0, 1] are refused with a `UsageError`; a metric
that the outcomes leave undefined is NaN, and its docstring says when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ppi_ml.errors import UsageError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

CONFIDENCE = 0.95
PROBABILITY_FLOOR = 1e-4  # one certain and wrong row costs 9.2, not infinity
_BLOCK = 2_000_000  # resampling weights held at a time: 16 MB
_NO_SPREAD = 1e-12  # a standard error below this is rounding noise of identical predictions


def log_losses(happened: BoolArray, probability: FloatArray) -> FloatArray:
    """Log-loss of each row: -ln of the probability given to what happened; lower is better.

    Shapes: both (n,), result (n,). Unit: nats. Range: [0.0001, 9.22], because probabilities are
    clipped to [1e-4, 1 - 1e-4]. Refuses scores outside [0, 1]. Good (1952), Rational Decisions.
    """
    happened, probability = _checked_probability(happened, probability)
    given = np.clip(probability, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return -np.log(np.where(happened, given, 1 - given))


def log_loss(happened: BoolArray, probability: FloatArray) -> float:
    """Mean of `log_losses`; lower is better, ln 2 = 0.693 is a constant one half.

    Shapes: both (n,). Unit: nats. Range: [0.0001, 9.22]. Refuses scores outside [0, 1].
    """
    return float(log_losses(happened, probability).mean())


def brier(happened: BoolArray, probability: FloatArray) -> float:
    """Mean squared distance of the probability from 0 or 1; lower is better.

    Shapes: both (n,). Unit: squared probability. Range: [0, 1]; 0.25 is a constant one half.
    Refuses scores outside [0, 1]. Brier (1950), Verification of forecasts.
    """
    happened, probability = _checked_probability(happened, probability)
    return float(np.mean((probability - happened) ** 2))


def roc_auc(happened: BoolArray, score: FloatArray) -> float:
    """Chance that a row where it happened scores above one where it did not; higher is better.

    Shapes: both (n,). Range: [0, 1]; 0.5 is blind. Any finite score will do; equal scores count
    one half. NaN where all outcomes are the same. Hanley and McNeil (1982).
    """
    happened, score = _checked(happened, score)
    positive = int(happened.sum())
    negative = len(happened) - positive
    if not positive or not negative:
        return float("nan")
    _, group, size = np.unique(score, return_inverse=True, return_counts=True)
    shared_rank = (np.cumsum(size) - (size - 1) / 2)[group]
    above = shared_rank[happened].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


@dataclass(frozen=True)
class CalibrationTable:
    """Predicted beside actual, in bins of rising probability; arrays of shape (bins,).

    `predicted` is the mean probability of a bin, `actual` the share of its rows where it
    happened, both in [0, 1]; `count` its rows, at least one.
    """

    predicted: FloatArray
    actual: FloatArray
    count: npt.NDArray[np.int64]


def calibration_table(
    happened: BoolArray, probability: FloatArray, bins: int = 10
) -> CalibrationTable:
    """Mean probability and actual share in at most `bins` bins of about equal mass.

    Shapes: both (n,). Equal probabilities share a bin, so there may be fewer bins than asked for
    (one for a constant prediction). Refuses scores outside [0, 1] and fewer than one bin.
    """
    happened, probability = _checked_probability(happened, probability)
    if bins < 1:
        raise UsageError(f"a calibration table needs at least 1 bin, got {bins}")
    edges = np.quantile(probability, np.linspace(0, 1, bins + 1))
    bin_of = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    used = count > 0
    predicted = np.bincount(bin_of, probability, bins)[used] / count[used]
    actual = np.bincount(bin_of, happened, bins)[used] / count[used]
    return CalibrationTable(predicted, actual, count[used])


def calibration_error(happened: BoolArray, probability: FloatArray, bins: int = 10) -> float:
    """Mean over rows of |predicted - actual| of their bin; lower is better.

    Shapes: both (n,). Unit: probability. Range: [0, 1], but above 0 by chance even for a perfect
    model: about 0.8 sqrt(bins p (1 - p) / n). Refuses scores outside [0, 1]. Bins of equal mass
    as in Nixon et al. (2019), Measuring calibration in deep learning.
    """
    table = calibration_table(happened, probability, bins)
    return float(np.average(np.abs(table.predicted - table.actual), weights=table.count))


def returner_ratio(returned: BoolArray, probability: FloatArray) -> float:
    """Predicted customers who return over those who did; 1 is right, above 1 promises too many.

    Shapes: both (n,). `probability` is that of *returning*, not of churn. Range: [0, inf).
    NaN where nobody returned. Refuses scores outside [0, 1].
    """
    returned, probability = _checked_probability(returned, probability)
    actual = int(returned.sum())
    return float(probability.sum() / actual) if actual else float("nan")


def top_decile_lift(happened: BoolArray, score: FloatArray) -> float:
    """Share among the tenth with the highest scores over the share among all; higher is better.

    Shapes: both (n,). Range: [0, n / the rows of the tenth]; 1 is blind. The tenth is n // 10
    rows, at least one; rows that tie at its border count by share. Any finite score will do.
    NaN where it never happened. Lemmens and Croux (2006), Bagging and boosting to predict churn.
    """
    happened, score = _checked(happened, score)
    size = max(1, len(score) // 10)
    border = np.partition(score, -size)[-size]
    above, tied = score > border, score == border
    hits = happened[above].sum() + (size - above.sum()) * happened[tied].mean()
    overall = happened.mean()
    return float(hits / size / overall) if overall else float("nan")


def resampling_weights(customers: int, draws: int, seed: int) -> Iterator[FloatArray]:
    """How often each customer is drawn, in blocks of shape (some draws, customers).

    Each row is one resample of all customers with replacement, so it sums to `customers`.
    """
    random = np.random.default_rng(seed)
    step = max(1, _BLOCK // customers)
    for start in range(0, draws, step):
        weights = np.empty((min(step, draws - start), customers))
        for row in weights:
            drawn = random.integers(0, customers, customers, dtype=np.int32)
            row[:] = np.bincount(drawn, minlength=customers)
        yield weights


def simultaneous_ends(
    observed: FloatArray, resampled: FloatArray, confidence: float = CONFIDENCE
) -> FloatArray:
    """Lower and upper ends, shape (k, 2), that hold for all k numbers at once (max-|t|).

    Shapes: `observed` (k,), `resampled` (draws, k). A number that never moves keeps a width of 0.
    """
    error = resampled.std(axis=0, ddof=1)
    moves = error > _NO_SPREAD
    half = np.zeros_like(observed)
    if moves.any():
        t = np.abs(resampled - observed)[:, moves] / error[moves]
        half[moves] = np.quantile(t.max(axis=1), confidence) * error[moves]
    return np.column_stack([observed - half, observed + half])


def _checked_probability(
    happened: BoolArray, probability: FloatArray
) -> tuple[BoolArray, FloatArray]:
    happened, probability = _checked(happened, probability)
    low, high = float(probability.min()), float(probability.max())
    if low < 0 or high > 1:
        raise UsageError(f"probabilities must lie in [0, 1], got {low:g} to {high:g}")
    return happened, probability


def _checked(happened: BoolArray, score: FloatArray) -> tuple[BoolArray, FloatArray]:
    happened, score = np.asarray(happened), np.asarray(score)
    if happened.dtype != np.bool_:
        raise UsageError(f"outcomes must be true or false (bool), got {happened.dtype}")
    if happened.ndim != 1 or happened.shape != score.shape or not len(happened):
        raise UsageError(
            "outcomes and predictions must both have shape (n,) with n >= 1, "
            f"got {happened.shape} and {score.shape}"
        )
    if not np.issubdtype(score.dtype, np.number):
        raise UsageError(f"predictions must be numbers, got {score.dtype}")
    score = score.astype(np.float64)
    missing = int(np.count_nonzero(~np.isfinite(score)))
    if missing:
        raise UsageError(f"predictions must be finite, got {missing} of {len(score)} that are not")
    return happened, score
