"""Recency, frequency and money in a logistic regression, all labelled snapshots pooled."""

from __future__ import annotations

from ppi_ml.baselines._kit import Predict, logistic, rfm
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> Predict:
    """A logistic regression on recency, frequency, age and money."""
    return logistic(problem, rfm, newest=False)


BASELINE = Baseline(
    "rfm_pooled", "logistic regression on recency, frequency, age, money; pooled snapshots", fit
)
