"""The last purchase plus the own gap drawn to the product's: a single date, believed to the day."""

from __future__ import annotations

import numpy as np

from ppi_ml import pair_rows
from ppi_ml.baselines._kit import FloatArray, GapRule, own_clock, require_pairs
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.models import renewals
from ppi_ml.problem import Problem


def fit(problem: Problem) -> GapRule:
    """exp of the posterior mean of ln(gap), prior and noise those of the process at the fold's end.

    A pair that was bought once has the product's gap. Who has stopped is not thought of.
    """
    require_pairs(problem)
    state = problem.state[pair_rows.NAME]

    def gap(rows: Dataset) -> FloatArray:
        return np.exp(renewals.place(state, own_clock(rows))[:, 0])

    return GapRule(gap, problem.days)


BASELINE = Baseline("shrunk_gap", "last purchase plus the own gap, shrunk to the product's", fit)
