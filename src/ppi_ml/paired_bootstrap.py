"""Intervals of mean losses and of their differences: customers resampled, everybody at once.

Customers are drawn with replacement, all rows and cutoffs of a customer together and the same
draws for every model (Efron and Tibshirani 1993, chapter 8). Intervals of the differences model -
baseline hold for all baselines at once: they are difference +- c * standard error with the one c
below which the largest of the studentised |resampled - observed| stays in 95 % of the draws
(max-|t|; Romano and Wolf 2005; Montiel Olea and Plagborg-Møller 2019). More baselines can only
widen them. Which loss it is makes no difference here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ppi_ml import metrics
from ppi_ml.backtest import BoolArray, FloatArray, IntArray

MIN_CUSTOMERS = 30  # below this a bootstrap interval is far too narrow, so there is none
_SAME = 1e-7  # what rounding alone leaves between the losses of one prediction kept as float32


@dataclass(frozen=True)
class Intervals:
    """Ends of the 95 % intervals on one set of rows, NaN where there are too few customers.

    `own` has shape (1 + baselines, 2), model first; `difference` (baselines, 2).
    """

    own: FloatArray
    difference: FloatArray


def paired(own: FloatArray, rivals: Sequence[FloatArray]) -> FloatArray:
    """Per row: 1, the loss of the model, and its loss minus that of each rival, (n, 2 + rivals).

    The differences are taken row by row, so identical predictions differ by exactly 0, also where
    they were computed in another order: a model that is one process alone does not lose to it.
    """
    apart = (own - rival for rival in rivals)
    noiseless = (np.where(np.abs(found) > _SAME, found, 0.0) for found in apart)
    return np.column_stack([np.ones(len(own)), own, *noiseless])


def intervals(
    customers: IntArray, losses: FloatArray, masks: Sequence[BoolArray], seed: int, draws: int
) -> list[Intervals]:
    """Intervals on every set of rows, from one set of resamples; `losses` as from `paired`."""
    codes = np.unique(customers, return_inverse=True)[1]
    sums = [_customer_sums(losses, codes, mask) for mask in masks]
    together = np.hstack(sums)
    weights = metrics.resampling_weights(len(together), draws, seed)
    resampled = np.vstack([block @ together for block in weights])
    parts = zip(sums, np.split(resampled, len(masks), axis=1), strict=True)
    return [_ends(part, drawn) for part, drawn in parts]


def _customer_sums(losses: FloatArray, codes: IntArray, mask: BoolArray) -> FloatArray:
    """Sums over the rows of a mask, shape (customers, columns); `codes` are 0, 1, 2 ..."""
    count, inside = int(codes.max()) + 1, codes[mask]
    return np.column_stack([np.bincount(inside, part, count) for part in losses[mask].T])


def _ends(sums: FloatArray, drawn: FloatArray) -> Intervals:
    """Intervals on one set of rows from its sums per customer and per resample."""
    baselines = sums.shape[1] - 2
    if np.count_nonzero(sums[:, 0]) < MIN_CUSTOMERS:
        return Intervals(np.full((1 + baselines, 2), np.nan), np.full((baselines, 2), np.nan))
    total = sums.sum(axis=0)
    mean = drawn[:, 1:] / drawn[:, :1]
    values = np.column_stack([mean[:, 0], mean[:, :1] - mean[:, 1:]])
    tails = [(1 - metrics.CONFIDENCE) / 2, (1 + metrics.CONFIDENCE) / 2]
    own = np.quantile(values, tails, axis=0).T
    return Intervals(own, metrics.simultaneous_ends(total[2:] / total[0], mean[:, 1:]))
