"""The same answer for everybody: the newest share that did not come back."""

from __future__ import annotations

from ppi_ml.baselines._kit import Predict, ripe_rows, shared_curves
from ppi_ml.declare import Baseline
from ppi_ml.problem import Problem


def fit(problem: Problem) -> Predict:
    """The shares of the newest labelled snapshot; separately for those the target is asked about.

    Everybody there was followed for the whole horizon, so that Kaplan-Meier is the plain share.
    """
    return shared_curves(problem, *ripe_rows(problem, newest=True))


BASELINE = Baseline("base_rate", "the newest share that did not come back, for everybody", fit)
