"""Days since the last purchase, and nothing else."""

from __future__ import annotations

from ppi_ml.baselines._kit import Predict, logistic, logs
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> Predict:
    """A logistic regression on log recency, newest labelled snapshot."""
    return logistic(problem, lambda rows: logs(rows, ["elapsed__days_since"]), newest=True)


BASELINE = Baseline("recency", "logistic regression on days since the last purchase", fit)
