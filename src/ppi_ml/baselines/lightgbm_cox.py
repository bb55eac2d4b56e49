"""Proportional hazards with trees on all features of all snapshots: the usual survival model."""

from __future__ import annotations

import numpy as np

from ppi_ml.baselines._kit import FloatArray, Predict, coarse_edges, ripe_cutoffs
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.models import cox
from ppi_ml.models.curve import Curves
from ppi_ml.models.thinning import draw_rows, thinning
from ppi_ml.problem import Problem

_SETTINGS = {"num_leaves": 8, "learning_rate": 0.05, "min_data_in_leaf": 100, "lambda_l2": 1.0}


def fit(problem: Problem) -> Predict:
    """LightGBM by Cox's partial likelihood, all cutoffs in one stratum, no season.

    It learns from censored rows too, from as many as the model itself; but without one cutoff
    that has seen the whole horizon the end of its curve would be made up.
    """
    ripe_cutoffs(problem, newest=False)
    data, waits, material = problem.data, problem.durations, problem.material
    edges = coarse_edges(problem)
    key = problem.keys(data)
    shares = thinning(waits.days, waits.observed, edges.tolist(), material.max_rows)
    chosen = draw_rows(key, data.day, shares.rows, material.seed)
    one_stratum = np.zeros(len(chosen), dtype=np.int64)
    model = cox.fit(
        data.trees()[chosen],
        data.tree_names,
        cox.Waits(waits.days[chosen], waits.observed[chosen], one_stratum, key[chosen]),
        edges.tolist(),
        _SETTINGS,
        whole_days=material.whole_days,
        seed=material.seed,
        threads=material.threads,
    )

    def predict(rows: Dataset) -> FloatArray:
        cumulative = model.cumulative(rows.trees(), threads=material.threads)
        return Curves(edges, cumulative).survival(problem.days)

    return predict


BASELINE = Baseline("lightgbm_cox", "LightGBM with a Cox objective, pooled snapshots", fit)
