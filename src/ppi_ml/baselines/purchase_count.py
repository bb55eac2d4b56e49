"""How often the customer bought, and nothing else."""

from __future__ import annotations

from ppi_ml.baselines._kit import Predict, logistic, logs
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> Predict:
    """A logistic regression on the log number of purchases, newest labelled snapshot."""
    return logistic(problem, lambda rows: logs(rows, ["purchases__count"]), newest=True)


BASELINE = Baseline("purchase_count", "logistic regression on the number of purchases", fit)
