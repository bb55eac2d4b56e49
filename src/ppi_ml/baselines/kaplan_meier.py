"""The same curve for everybody: Kaplan-Meier over all training cutoffs."""

from __future__ import annotations

from ppi_ml.baselines._kit import Predict, shared_curves
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> Predict:
    """All training rows, the censored ones too; separately for those the target is asked about."""
    return shared_curves(problem, problem.data, problem.durations)


BASELINE = Baseline("kaplan_meier", "Kaplan-Meier over all training cutoffs, for everybody", fit)
