"""A plain logistic regression on the standardised columns of the model, all rows alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from ppi_ml.baselines._occasions import FloatArray
from ppi_ml.chances import inputs_of
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.errors import NotTrainableError
from ppi_ml.occasion_judging import OccasionProblem


def _fit(problem: OccasionProblem) -> Callable[[Dataset], FloatArray]:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    hit = problem.outcomes.hit
    if hit.all() or not hit.any():
        raise NotTrainableError("all training rows had the same outcome")
    model = make_pipeline(
        SimpleImputer(),
        StandardScaler(),
        LogisticRegression(max_iter=200, solver="newton-cholesky"),
    )
    with threadpool_limits(1, "blas"):
        model.fit(inputs_of(problem.data, problem.names).astype(np.float64), hit)

    def predict(rows: Dataset) -> FloatArray:
        inputs = inputs_of(rows, problem.names).astype(np.float64)
        with threadpool_limits(1, "blas"):
            chance = model.predict_proba(inputs)[:, 1]
        return np.asarray(np.clip(chance, 1e-6, 1 - 1e-6), dtype=np.float64)

    return predict


BASELINE = Baseline(
    "logistic_regression",
    "scikit-learn's logistic regression on the same columns, first and later occasions together",
    _fit,
    kind="probability",
)
