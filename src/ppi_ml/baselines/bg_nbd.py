"""BG/NBD alone: buy till you die, fitted at the end of the training part."""

from __future__ import annotations

from ppi_ml.baselines._kit import Predict, process
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> Predict:
    """P(no purchase within d days) of the process, not its P(alive)."""
    return process(problem, "bg_nbd")


BASELINE = Baseline("bg_nbd", "BG/NBD, P(no purchase within d days)", fit)
