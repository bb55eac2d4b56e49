"""Log-normal gaps by empirical Bayes on the product's clock, given the time already waited.

    ln(gap / usual gap of product and amount) ~ Normal(mu_i, sigma_i^2)

as in `models.gaps`, whose likelihood it is fitted with: the open gap is a censored one, and nobody
ever stops. So it is the process of pairs without its lapse, fitted on its own terms.
"""

from __future__ import annotations

import numpy as np

from ppi_ml import pair_rows
from ppi_ml.baselines._kit import FloatArray, Predict, own_clock, require_pairs, sampled
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.models import renewals
from ppi_ml.models.gaps import GAPS
from ppi_ml.models.histories import Histories
from ppi_ml.models.renewals import Refills
from ppi_ml.problem import Problem

_NOBODY_STOPS = {"lapse": 0.0, "firmness": 1.0}


def fit(problem: Problem) -> Predict:
    """P(the open gap > e + d | it is > e, closed gaps), e days waited."""
    require_pairs(problem)
    sample = sampled(problem)
    nobody = np.full(sample.height, np.nan)
    given = pair_rows.refills(lambda n: sample[n].to_numpy(), problem.data.entity.least, nobody)
    state = GAPS.fit(_histories(given)) | _NOBODY_STOPS

    def predict(rows: Dataset) -> FloatArray:
        everybody, _ = renewals.survival(state, own_clock(rows), problem.days)
        return everybody

    return predict


def _histories(given: Refills) -> Histories:
    """The same pairs as histories whose days are usual gaps.

    The gaps make no use of the span from first to last purchase, only of what was waited since.
    """
    span = (given.repeats > 0).astype(np.float64)
    least = given.ln_sum**2 / np.maximum(given.repeats, 1.0)
    waited = given.elapsed_days / given.scale
    return Histories(
        given.repeats, span, span + waited, given.ln_sum, np.maximum(given.ln_sumsq, least)
    )


BASELINE = Baseline(
    "lognormal_residual", "log-normal gaps on the product's clock, given the time waited", fit
)
