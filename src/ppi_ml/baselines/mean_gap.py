"""The last purchase plus the customer's own mean gap: a single date, believed to the day."""

from __future__ import annotations

import numpy as np

from ppi_ml.baselines._kit import GapRule
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> GapRule:
    """One-time buyers are given the mean of the others' mean gaps, newest training cutoff."""
    return GapRule.of(problem, "cadence__gap__mean", np.mean)


BASELINE = Baseline("mean_gap", "last purchase plus the own mean gap", fit)
