"""A plain LightGBM classifier on all features of all labelled snapshots: what most teams build."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from ppi_ml.baselines._kit import FloatArray, Predict, ripe_cutoffs
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.errors import NotTrainableError
from ppi_ml.models import boost
from ppi_ml.problem import Problem

_SETTINGS = {"num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 100, "lambda_l2": 1.0}
_HELD = 5


def fit(problem: Problem) -> Predict:
    """A classifier whose rounds are chosen on a fifth of the customers, then refitted on all."""
    if len(problem.days) > 1:
        raise NotTrainableError("it answers for the horizon alone and has no curve")
    data, stayed_away = problem.labelled(ripe_cutoffs(problem, newest=False))
    share = float(stayed_away.mean())
    if share in (0.0, 1.0):
        raise NotTrainableError("every labelled row has the same outcome")
    start = float(np.log(share / (1 - share)))
    target = stayed_away.astype(np.float64)
    sample = boost.Sample(data.trees(), target, np.full(len(data), start))
    held = problem.keys(data) % _HELD == 0
    fixed = {"seed": problem.material.seed, "threads": problem.material.threads}
    rounds = boost.best_rounds(
        "binary", sample.take(~held), sample.take(held), data.tree_names, _SETTINGS, **fixed
    )
    trees = boost.train(
        "binary", sample, data.tree_names, _SETTINGS, rounds=max(rounds, 1), **fixed
    )

    def predict(rows: Dataset) -> FloatArray:
        score = trees.score(rows.trees(), problem.material.threads)
        return np.asarray(expit(start + score))[:, None]

    return predict


BASELINE = Baseline("lightgbm_classifier", "plain LightGBM classifier, pooled snapshots", fit)
