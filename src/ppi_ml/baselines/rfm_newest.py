"""Recency, frequency and money in a logistic regression, newest labelled snapshot."""

from __future__ import annotations

from ppi_ml.baselines._kit import Predict, logistic, rfm
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> Predict:
    """A logistic regression on recency, frequency, age and money."""
    return logistic(problem, rfm, newest=True)


BASELINE = Baseline(
    "rfm_newest", "logistic regression on recency, frequency, age, money; newest snapshot", fit
)
