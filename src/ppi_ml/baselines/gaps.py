"""Own gaps shrunk to the population alone, fitted at the end of the training part."""

from __future__ import annotations

from ppi_ml.baselines._kit import Predict, process
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> Predict:
    """P(no purchase within d days) of the process, given the time already waited."""
    return process(problem, "gaps")


BASELINE = Baseline(
    "gaps", "log-normal gaps by empirical Bayes, given the time already waited", fit
)
