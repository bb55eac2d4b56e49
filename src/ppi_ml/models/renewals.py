"""Renewals: how long a product lasts a customer, and whether the customer still uses it up.

    ln(gap / scale) ~ Normal(mu_i, sigma_i^2)    as in `models.gaps`, on a clock of its own
    after every purchase the pair stops with probability p_i ~ Beta(lapse * firmness,
                                                                    (1 - lapse) * firmness)

The clock of a pair runs in typical gaps: `scale` is how long this purchase, of this product, of
this amount, usually lasts. So a pair that has been bought twice borrows from the product, and a
double pack moves the date by what the data say.

Lapse separates "stopped" from "not yet": a mixture cure model (Boag 1949, JRSS B 11(1)) in which
the share that is cured depends on how often the pair has come back, as in the beta-geometric
models of customers (Fader, Hardie and Lee 2005, Marketing Science 24(2)). All parameters maximise
the marginal likelihood of all gaps, the open one included; mu_i is integrated in closed form,
sigma_i on a grid, p_i exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, digamma, log_ndtr, logsumexp

from ppi_ml.errors import NotTrainableError
from ppi_ml.models.gaps import (
    GRID,
    LOG_GRID_WEIGHTS,
    ClosedGaps,
    closed_gaps,
    gap_slopes,
    silence_slope,
    variances,
)
from ppi_ml.models.likelihood import compress, maximise

FloatArray = npt.NDArray[np.float64]

_LEAST_PAIRS = 20
_PRIOR_SD: FloatArray = np.array([10.0, 3.0, 3.0, 0.7, 3.0, 1.5])
_REACH: FloatArray = np.array([20.0, 8.0, 8.0, 2.5, 8.0, 5.0])
_START_SPREAD, _START_LAPSE, _START_FIRMNESS = 0.3, 0.1, 5.0
_CELLS = 200_000
"""Numbers worked on together, few enough to stay near the processor."""
_SMALLEST = 1e-300


@dataclass(frozen=True)
class Refills:
    """What n pairs had bought as known at one cutoff; float64 arrays of shape (n,).

    repeats: closed gaps. ln_sum, ln_sumsq: sums over them of ln(gap / its scale) and its square.
    elapsed_days: since the last purchase. scale: days that the last purchase usually lasts.
    survived: closed gaps beyond those that every row must have; lapse was possible before each.
    lapse: the product's prior probability to stop after a purchase, NaN for that of everybody.
    """

    repeats: FloatArray
    ln_sum: FloatArray
    ln_sumsq: FloatArray
    elapsed_days: FloatArray
    scale: FloatArray
    survived: FloatArray
    lapse: FloatArray

    def __len__(self) -> int:
        return len(self.repeats)

    def take(self, rows: slice | npt.NDArray[Any]) -> Refills:
        """Some of the rows: a slice, positions or a mask."""
        return Refills(*(getattr(self, field.name)[rows] for field in fields(self)))


def fit(refills: Refills) -> dict[str, float]:
    """Maximum-likelihood state: mean, between, within, spread (of ln(gap / scale)), lapse,
    firmness, pairs, log_likelihood. The products' own lapse is not used.

    `NotTrainableError` where fewer than 20 pairs were bought again.
    """
    again = int((refills.repeats > 0).sum())
    if again < _LEAST_PAIRS:
        raise NotTrainableError(
            f"{again} pairs of a customer and a product were bought again, {_LEAST_PAIRS} are "
            "needed; load a longer history, or set target.product to a category"
        )
    columns, weight = compress(
        refills.repeats, refills.ln_sum, refills.ln_sumsq,
        refills.elapsed_days / refills.scale, refills.survived,
    )  # fmt: skip
    found = maximise(
        lambda at: likelihood(at, columns, weight),
        _start(refills),
        _PRIOR_SD,
        _REACH,
        float(weight @ (columns[0] + 1.0)),
    )
    value, _ = likelihood(found, columns, weight)
    between, within, spread = np.exp(found[1:4]).tolist()
    return {
        "mean": float(found[0]),
        "between": between,
        "within": within,
        "spread": spread,
        "lapse": float(1.0 / (1.0 + np.exp(-found[4]))),
        "firmness": float(np.exp(found[5])),
        "pairs": float(len(refills)),
        "log_likelihood": value,
    }


def likelihood(
    parameters: FloatArray, columns: FloatArray, weight: FloatArray
) -> tuple[float, FloatArray]:
    """Marginal log-likelihood and its gradient in (mean, ln between, ln within, ln spread,
    logit lapse, ln firmness).

    columns: (5, n) repeats, sum and sum of squares of ln(gap / scale), elapsed / scale, survived.
    weight: (n,) how often each row occurs.
    """
    mean, between2 = parameters[0], np.exp(2.0 * parameters[1])
    within, spread = np.exp(parameters[2:4])
    x, total, squares, elapsed, survived = columns[:, :, None]
    share, firmness = 1.0 / (1.0 + np.exp(-parameters[4])), np.exp(parameters[5])
    alpha, beta = share * firmness, (1.0 - share) * firmness
    stopped = alpha / (firmness + survived)
    sigma2 = variances(within, spread)
    closed = closed_gaps(mean, between2, sigma2, x, total, squares)
    z = (np.log(elapsed) - closed.centre) / closed.sd
    log_longer = log_ndtr(-z)
    longer = np.exp(log_longer)
    silent = stopped + (1.0 - stopped) * longer
    kept = betaln(alpha, beta + survived) - betaln(alpha, beta)
    terms = closed.log_likelihood + np.log(silent) + LOG_GRID_WEIGHTS
    value = logsumexp(terms, axis=1) + kept[:, 0]
    posterior = np.exp(terms - (value - kept[:, 0])[:, None]) * weight[:, None]

    still = (1.0 - stopped) * longer / silent
    push = silence_slope(z) / closed.sd * still
    slopes = gap_slopes(parameters, (x, total, squares), closed, push, z, posterior)
    by_stopped = (posterior * (1.0 - longer) / silent).sum(axis=1)
    s, w = survived[:, 0], weight
    base = digamma(alpha + beta) - digamma(alpha + beta + s)
    by_alpha = base
    by_beta = digamma(beta + s) - digamma(beta) + base
    alpha_by, beta_by = (w * by_alpha).sum(), (w * by_beta).sum()
    d_share = firmness * (alpha_by - beta_by) + (by_stopped * firmness / (firmness + s)).sum()
    d_firm = (
        share * alpha_by + (1.0 - share) * beta_by
        + (by_stopped * share * s / (firmness + s) ** 2).sum()
    )  # fmt: skip
    gradient = [*slopes, share * (1.0 - share) * d_share, firmness * d_firm]
    return float(weight @ value), np.array(gradient)


def survival(
    state: Mapping[str, float], refills: Refills, days: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """P(not bought again by day d), for all and for the pair that still consumes; (n, m) each.

    Both are given what was known at the cutoff, the time waited included; 1 at day 0. The first
    is a mean of pairs that have stopped, for which it stays 1, and of pairs that have not.
    """
    at = np.asarray(days, dtype=np.float64)
    everybody, consuming = np.empty((2, len(refills), len(at)))
    step = max(1, _CELLS // (len(at) * len(GRID)))
    for start in range(0, len(refills), step):
        rows = slice(start, start + step)
        part = refills.take(rows)
        level, closed = levels(state, part)
        waited = _log_longer(part, closed, level, np.zeros(1))
        later = np.exp(_log_longer(part, closed, level, at) - waited)
        consuming[rows] = np.minimum.accumulate(np.clip(later, _SMALLEST, 1.0), axis=1)
        gone = _gone(state, part, np.exp(waited - _log_mass(level)))
        everybody[rows] = gone + (1.0 - gone) * consuming[rows]
    return everybody, consuming


def lapsed(state: Mapping[str, float], refills: Refills) -> FloatArray:
    """P(the pair has stopped | history, silence so far), (n,)."""
    found = np.empty(len(refills))
    step = max(1, _CELLS // len(GRID))
    for start in range(0, len(refills), step):
        rows = slice(start, start + step)
        part = refills.take(rows)
        level, closed = levels(state, part)
        waited = _log_longer(part, closed, level, np.zeros(1))
        found[rows] = _gone(state, part, np.exp(waited - _log_mass(level)))[:, 0]
    return found


def place(state: Mapping[str, float], refills: Refills) -> FloatArray:
    """Mean and spread of ln(the open gap in days), (n, 2): own gaps shrunk to the product's."""
    between, within = state["between"] ** 2, state["within"] ** 2
    weight = refills.repeats * between + within
    mean = (refills.ln_sum * between + state["mean"] * within) / weight
    spread = np.sqrt(within + between * within / weight)
    return np.column_stack([mean + np.log(refills.scale), spread])


def levels(state: Mapping[str, float], part: Refills) -> tuple[FloatArray, ClosedGaps]:
    """What the closed gaps say for each sigma_i on the grid: log weight (n, grid), and the rest."""
    closed = closed_gaps(
        state["mean"], state["between"] ** 2, variances(state["within"], state["spread"]),
        part.repeats[:, None], part.ln_sum[:, None], part.ln_sumsq[:, None],
    )  # fmt: skip
    return closed.log_likelihood + LOG_GRID_WEIGHTS, closed


def _log_mass(level: FloatArray) -> FloatArray:
    return np.asarray(logsumexp(level, axis=1, keepdims=True))


def _log_longer(part: Refills, closed: ClosedGaps, level: FloatArray, at: FloatArray) -> FloatArray:
    """ln of P(open gap > elapsed + d, closed gaps) for a pair that consumes, (n, m)."""
    gap = np.log((part.elapsed_days[:, None] + at) / part.scale[:, None])
    z = (gap[..., None] - closed.centre[:, None]) / closed.sd[:, None]
    return np.asarray(logsumexp(level[:, None] + log_ndtr(-z), axis=-1))


def _gone(state: Mapping[str, float], part: Refills, longer: FloatArray) -> FloatArray:
    """P(stopped | silence so far), (n, 1), where a consuming pair is still silent with `longer`."""
    share = np.where(np.isnan(part.lapse), state["lapse"], part.lapse)
    stopped = (share * state["firmness"] / (state["firmness"] + part.survived))[:, None]
    return np.asarray(stopped / (stopped + (1.0 - stopped) * longer))


def _start(refills: Refills) -> FloatArray:
    """Moments of the closed gaps, their variance split evenly between and within pairs."""
    count = refills.repeats.sum()
    mean = refills.ln_sum.sum() / count
    variance = max(refills.ln_sumsq.sum() / count - mean**2, 1e-4)
    half = 0.5 * np.log(0.5 * variance)
    odds = np.log(_START_LAPSE / (1.0 - _START_LAPSE))
    return np.array([mean, half, half, np.log(_START_SPREAD), odds, np.log(_START_FIRMNESS)])
