"""Empirical-Bayes log-normal gaps: every customer has a typical gap, shrunk to the population.

    ln(gap) ~ Normal(mu_i, sigma_i^2)        the gaps of customer i, in days
    mu_i ~ Normal(mean, between^2)           typical gaps differ between customers
    ln(sigma_i) ~ Normal(ln within, spread^2)    and so does their regularity

The four population parameters maximise the marginal likelihood of all gaps, the open one included
as a censored observation: leaving it out would make the slow and the gone look fast. There is no
lapse in this model; a customer who waits far longer than usual is believed to have a long tail.
mu_i is integrated in closed form, sigma_i by the trapezoidal rule on a grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, log_ndtr, logsumexp

from ppi_ml.models.histories import Histories, evaluate_survival
from ppi_ml.models.likelihood import compress, maximise, require_trainable

FloatArray = npt.NDArray[np.float64]

GRID: FloatArray = np.linspace(-5.0, 5.0, 21)
"""Where ln(sigma_i) is looked at, in its standard deviations."""
LOG_GRID_WEIGHTS: FloatArray = -0.5 * GRID**2 - logsumexp(-0.5 * GRID**2)
_LOG_2PI = float(np.log(2.0 * np.pi))

# Sd of the prior on (mean, ln between, ln within, ln spread). Where nobody has two gaps the data
# say nothing of `spread` and cannot tell `between` from `within`; then the start stands.
_PRIOR_SD: FloatArray = np.array([10.0, 3.0, 3.0, 0.7])
_REACH: FloatArray = np.array([20.0, 8.0, 8.0, 2.5])
_SPREAD_START = 0.3


@dataclass(frozen=True)
class Gaps:
    """The process `gaps`. State: mean (of ln days), between, within, spread, customers,
    log_likelihood.
    """

    name: str = "gaps"

    def fit(self, histories: Histories) -> dict[str, float]:
        """Maximum-likelihood state; `NotTrainableError` if the histories are too thin."""
        require_trainable(histories)
        columns, weight = compress(
            histories.repeats, histories.gap_log_sum, histories.gap_log_sumsq,
            histories.elapsed_days,
        )  # fmt: skip
        found = maximise(
            lambda at: gaps_likelihood(at, columns, weight),
            _start(histories),
            _PRIOR_SD,
            _REACH,
            float(weight @ (columns[0] + 1.0)),
        )
        value, _ = gaps_likelihood(found, columns, weight)
        between, within, spread = np.exp(found[1:]).tolist()
        return {
            "mean": float(found[0]),
            "between": between,
            "within": within,
            "spread": spread,
            "customers": float(len(histories)),
            "log_likelihood": value,
        }

    def survival(
        self, state: Mapping[str, float], histories: Histories, days: FloatArray
    ) -> FloatArray:
        """P(open gap > e + t | open gap > e, closed gaps), e days waited, (n, m).

        The posterior-predictive of the next gap: for each sigma_i on the grid ln(gap) is normal
        with the posterior mean of mu_i and the variances of mu_i and of the gap added up; the
        grid is weighted by what the closed gaps say of sigma_i. A one-time buyer has the
        population's gap. See `Process.survival`.
        """

        def formula(part: Histories, at: FloatArray) -> FloatArray:
            closed = closed_gaps(
                state["mean"], state["between"] ** 2, variances(state["within"], state["spread"]),
                part.repeats[:, None], part.gap_log_sum[:, None], part.gap_log_sumsq[:, None],
            )  # fmt: skip
            level = closed.log_likelihood + LOG_GRID_WEIGHTS
            elapsed = part.elapsed_days[:, None]

            def log_longer(gap: FloatArray) -> FloatArray:
                z = (np.log(gap)[..., None] - closed.centre[:, None]) / closed.sd[:, None]
                return np.asarray(logsumexp(level[:, None] + log_ndtr(-z), axis=-1))

            return np.asarray(np.exp(log_longer(elapsed + at) - log_longer(elapsed)))

        return evaluate_survival(histories, days, formula, cells=len(GRID))


GAPS = Gaps()


def next_gap(state: Mapping[str, float], histories: Histories) -> FloatArray:
    """Mean and spread of the next ln(gap in days), (n, 2): own gaps shrunk to the population's.

    Every customer is given the typical regularity here, so that the place of a wait among the
    customer's gaps is a smooth function of the history.
    """
    between, within = state["between"] ** 2, state["within"] ** 2
    weight = histories.repeats * between + within
    mean = (histories.gap_log_sum * between + state["mean"] * within) / weight
    spread = np.sqrt(within + between * within / weight)
    return np.column_stack([mean, spread])


def gaps_likelihood(
    parameters: FloatArray, columns: FloatArray, weight: FloatArray
) -> tuple[float, FloatArray]:
    """Marginal log-likelihood and its gradient in (mean, ln between, ln within, ln spread).

    columns: (4, n) repeats, sum and sum of squares of ln(gap), days elapsed. weight: (n,) how
    often each row occurs. The densities are those of ln(gap).
    """
    mean, between2 = parameters[0], np.exp(2.0 * parameters[1])
    within, spread = np.exp(parameters[2:])
    x, total, squares, elapsed = columns[:, :, None]
    sigma2 = variances(within, spread)
    closed = closed_gaps(mean, between2, sigma2, x, total, squares)
    z = (np.log(elapsed) - closed.centre) / closed.sd
    log_longer = log_ndtr(-z)
    terms = closed.log_likelihood + log_longer + LOG_GRID_WEIGHTS
    value = logsumexp(terms, axis=1)

    push = silence_slope(z) / closed.sd
    posterior = np.exp(terms - value[:, None]) * weight[:, None]
    gradient = gap_slopes(parameters, (x, total, squares), closed, push, z, posterior)
    return float(weight @ value), np.array(gradient)


def silence_slope(z: FloatArray) -> FloatArray:
    """-d ln P(gap > z) / dz of a standard normal; a difference of logarithms would lose all digits
    for large z.
    """
    return np.asarray(np.sqrt(2.0 / np.pi) / erfcx(z / np.sqrt(2.0)))


def gap_slopes(
    parameters: FloatArray,
    gaps: tuple[FloatArray, FloatArray, FloatArray],
    closed: ClosedGaps,
    push: FloatArray,
    z: FloatArray,
    posterior: FloatArray,
) -> list[float]:
    """Slopes of the log-likelihood in mean, ln between, ln within and ln spread.

    gaps: repeats, sum and sum of squares of ln(gap), (n, 1) each. push: (n, grid) what the open gap
    adds per unit of ln(gap). z: where it lies. posterior: (n, grid) weights of the grid points.
    """
    x, total, squares = gaps
    mean, between2, spread = parameters[0], np.exp(2.0 * parameters[1]), np.exp(parameters[3])
    sigma2 = variances(np.exp(parameters[2]), spread)
    V, away = closed.variance, total - x * mean
    stretch = push * z / (2.0 * closed.sd)  # the same for the squared sd
    shrunk = away * between2 * sigma2 / V**2
    by_mean = away / V + push * sigma2 / V
    by_between = (
        0.5 * between2 * (away**2 / V - x) / V
        + push * shrunk + stretch * (between2 * sigma2 / V) * (sigma2 / V)
    )  # fmt: skip
    inside = squares - total**2 / np.maximum(x, 1.0)
    by_sigma = (
        0.5 * (inside / sigma2 - np.maximum(x - 1.0, 0.0))
        + 0.5 * np.where(x > 0, away**2 / (np.maximum(x, 1.0) * V) - 1.0, 0.0) * sigma2 / V
        - push * shrunk + stretch * sigma2 * (1.0 + x * between2**2 / V**2)
    )  # fmt: skip
    return [
        float((posterior * by_mean).sum()),
        float(2.0 * (posterior * by_between).sum()),
        float(2.0 * (posterior * by_sigma).sum()),
        float(2.0 * (posterior * by_sigma * spread * GRID).sum()),
    ]


@dataclass(frozen=True)
class ClosedGaps:
    """What closed gaps say for each sigma_i on the grid, all (n, grid).

    log_likelihood: of the x gaps, mu_i integrated out. centre, sd: of the next ln(gap).
    variance: sigma_i^2 + x between^2.
    """

    log_likelihood: FloatArray
    centre: FloatArray
    sd: FloatArray
    variance: FloatArray

    def take(self, rows: npt.NDArray[np.intp]) -> ClosedGaps:
        """Some of the rows."""
        return ClosedGaps(*(getattr(self, field.name)[rows] for field in fields(self)))


def closed_gaps(
    mean: float, between2: float, sigma2: FloatArray,
    x: FloatArray, total: FloatArray, squares: FloatArray,
) -> ClosedGaps:  # fmt: skip
    """What the gaps say: x of them with sum `total` and sum of squares `squares`, (n, 1) each.

    With V = sigma^2 + x between^2 the x values are jointly normal
    with the determinant sigma^(2x - 2) V, and mu_i given them has the variance
    sigma^2 between^2 / V.
    """
    V = sigma2 + x * between2
    away = total - x * mean
    inside = np.maximum(squares - total**2 / np.maximum(x, 1.0), 0.0)
    log_likelihood = -0.5 * (
        x * _LOG_2PI + (x - 1.0) * np.log(sigma2) + np.log(V)
        + inside / sigma2 + away**2 / (np.maximum(x, 1.0) * V)
    )  # fmt: skip
    centre = mean + between2 * away / V
    return ClosedGaps(log_likelihood, centre, np.sqrt(sigma2 * (1.0 + between2 / V)), V)


def variances(within: float, spread: float) -> FloatArray:
    """sigma_i^2 at the points of the grid, (grid,)."""
    return np.asarray(within**2 * np.exp(2.0 * spread * GRID))


def _start(histories: Histories) -> FloatArray:
    """Moments of the closed gaps, their variance split evenly between and within customers."""
    count = histories.repeats.sum()
    mean = histories.gap_log_sum.sum() / count
    variance = max(histories.gap_log_sumsq.sum() / count - mean**2, 1e-4)
    half = 0.5 * np.log(0.5 * variance)
    return np.array([mean, half, half, np.log(_SPREAD_START)])
