"""The process of pairs alone: gaps on the product's clock, and a chance to stop every time."""

from __future__ import annotations

from ppi_ml import pair_rows
from ppi_ml.baselines._kit import FloatArray, Predict, require_pairs
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.entities import GROUP
from ppi_ml.models import renewals
from ppi_ml.problem import Problem


def fit(problem: Problem) -> Predict:
    """P(no purchase within d days), stopped pairs included, fitted at the end of the fold."""
    require_pairs(problem)
    state = problem.state[pair_rows.NAME]

    def predict(rows: Dataset) -> FloatArray:
        lapse = pair_rows.lapse_of(state, rows.keys, rows.keys[GROUP])
        given = pair_rows.refills(rows.column, rows.entity.least, lapse)
        everybody, _ = renewals.survival(state, given, problem.days)
        return everybody

    return predict


BASELINE = Baseline("renewals", "renewals with lapse: the process of pairs, alone", fit)
