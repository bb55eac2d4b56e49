"""The last purchase plus the customer's own median gap: a single date, believed to the day."""

from __future__ import annotations

import numpy as np

from ppi_ml.baselines._kit import GapRule
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> GapRule:
    """One-time buyers are given the median of the others' median gaps, newest training cutoff."""
    return GapRule.of(problem, "cadence__gap__median", np.median)


BASELINE = Baseline("median_gap", "last purchase plus the own median gap", fit)
