"""A constant rate per pair, gamma-distributed over pairs: the curve is that of Lomax, no lapse.

    purchases in T days ~ Poisson(rate_i T),  rate_i ~ Gamma(shape a, rate b)
    P(none in d more days | x in T) = ((b + T) / (b + T + d))^(a + x)

T runs from the first purchase to the cutoff and x counts those after the first, so it says nothing
when the last one was. Ehrenberg (1959), The pattern of consumer purchases, Applied Statistics 8(1).

Where a row must have had several purchases, whoever bought less is not there to be learned from.
So the likelihood is given that x is large enough; without that, the prior would be that of pairs
that are bought often, and count their purchases twice.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, digamma, gammaln

from ppi_ml.baselines._kit import FloatArray, Predict, require_pairs, sampled
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.errors import NotTrainableError
from ppi_ml.models.likelihood import compress, maximise
from ppi_ml.problem import Problem

_PRIOR_SD: FloatArray = np.array([10.0, 10.0])
_REACH: FloatArray = np.array([5.0, 10.0])
"""How far a may be from 1 and b from the days per purchase, on the logarithm: a prior that is as
good as improper at the one end, as good as a point at the other."""


def fit(problem: Problem) -> Predict:
    """Maximum likelihood on the pairs known at the end of the fold, one prior for all of them.

    `NotTrainableError` if none of them was bought twice.
    """
    require_pairs(problem)
    sample, missing = sampled(problem), problem.data.entity.least - 1
    x = sample["refills__purchases__count"].to_numpy() - 1.0
    if not x.any():
        raise NotTrainableError(f"no pair had been bought twice by {problem.fold.end}")
    columns, weight = compress(x, sample["refills__age__max"].to_numpy())
    start = np.array([0.0, np.log(columns[1] @ weight / (columns[0] @ weight))])
    found = maximise(
        lambda at: likelihood(at, columns, weight, missing),
        start,
        _PRIOR_SD,
        _REACH,
        float(x.sum() + len(x)),
    )
    shape, rate = np.exp(found).tolist()

    def predict(rows: Dataset) -> FloatArray:
        repeats = rows.column("refills__purchases__count") - 1.0
        watched = rate + rows.column("refills__age__max")
        rest = np.log1p(problem.days / watched[:, None])
        return np.asarray(np.exp(-(shape + repeats)[:, None] * rest))

    return predict


def likelihood(
    parameters: FloatArray, columns: FloatArray, weight: FloatArray, missing: int = 0
) -> tuple[float, FloatArray]:
    """Log-likelihood given x >= missing, but for a constant, and its gradient in (ln a, ln b).

    columns: (2, n) purchases after the first, days since the first. weight: (n,) how often each
    row occurs. missing: how many of the least counts, from 0, are in no row.
    """
    a, b = np.exp(parameters)
    x, days = columns
    value, by_shape, by_rate = _count(a, b, x, days)
    if missing:
        enough = betainc(missing, a, days / (b + days))
        value = value - np.log(enough)
        for k in range(missing):
            log_p, of_shape, of_rate = _count(a, b, np.full_like(days, k), days)
            odds = np.exp(log_p + k * np.log(days) - gammaln(k + 1.0)) / enough
            by_shape, by_rate = by_shape + odds * of_shape, by_rate + odds * of_rate
    return float(weight @ value), np.array([a * (weight @ by_shape), b * (weight @ by_rate)])


def _count(
    a: float, b: float, x: FloatArray, days: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """ln P(x purchases in so many days) but for x ln(days) - ln x!, and its slopes in a and b; (n,)
    each.
    """
    longer = np.log1p(days / b)
    value = gammaln(a + x) - gammaln(a) - a * longer - x * np.log(b + days)
    return value, digamma(a + x) - digamma(a) - longer, a / b - (a + x) / (b + days)


BASELINE = Baseline("gamma_poisson", "Gamma-Poisson rate of every pair, Lomax curve", fit)
