"""The same probability for everybody: the newest share that did not come back."""

from __future__ import annotations

import numpy as np

from ppi_ml.baselines._kit import FloatArray, Predict, ripe_cutoffs
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.recipe import Problem


def fit(problem: Problem) -> Predict:
    """The share of the newest labelled snapshot; separately for those the target is asked about."""
    data, stayed_away = problem.labelled(ripe_cutoffs(problem, newest=True))
    active_within = problem.material.active_within
    eligible = data.eligible(active_within)
    overall = stayed_away.mean()
    rates = [stayed_away[m].mean() if m.any() else overall for m in (~eligible, eligible)]

    def predict(rows: Dataset) -> FloatArray:
        return np.asarray(np.where(rows.eligible(active_within), rates[1], rates[0]))

    return predict


BASELINE = Baseline("base_rate", "the newest share that did not come back, for everybody", fit)
