"""What was bought last over how fast it was used up: the formula of the textbooks, to the day.

    rate = units of all purchases but the last / days from the first to the last purchase
    date = last purchase + units of the last purchase / rate

The columns hold the logarithm of every amount (units times the size of the pack), so the amount of
a purchase is averaged as a logarithm. That is the plain mean where amounts do not change; where
they do, it is less, and the date is somewhat later (6 to 11 % in Online Retail II, to its favour).
"""

from __future__ import annotations

import numpy as np

from ppi_ml.baselines._kit import FloatArray, GapRule, require_pairs, usual_gap
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> GapRule:
    """Nothing is fitted; a pair that was bought once takes the usual gap of its product."""
    require_pairs(problem)
    return GapRule(_lasts, problem.days)


def _lasts(rows: Dataset) -> FloatArray:
    """Days that the last purchase lasts (n,): the own mean gap times last over usual amount."""
    repeats = rows.column("refills__purchases__count") - 1.0
    usual = rows.column("refills__ln_amount__sum") / np.where(repeats > 0, repeats, np.nan)
    own = rows.column("cadence__gap__mean") * np.exp(
        rows.column("refills__ln_amount__last") - usual
    )
    return np.where(repeats > 0, own, usual_gap(rows))


BASELINE = Baseline(
    "quantity_over_rate", "units of the last purchase over the own rate of use", fit
)
