"""The last purchase plus the customer's own last gap: a single date, believed to the day."""

from __future__ import annotations

import numpy as np

from ppi_ml.baselines._kit import GapRule
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> GapRule:
    """One-time buyers are given the median of the others' last gaps, newest training cutoff."""
    return GapRule.of(problem, "cadence__gap__last", np.median)


BASELINE = Baseline("last_gap", "last purchase plus the own last gap", fit)
