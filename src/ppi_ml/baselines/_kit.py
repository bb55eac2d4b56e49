"""What baselines share: logistic regressions on labelled snapshots, and a process read alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ppi_ml.dataset import Dataset
from ppi_ml.errors import NotTrainableError
from ppi_ml.instants import Cutoff
from ppi_ml.models.processes import PROCESSES
from ppi_ml.recipe import Problem

FloatArray = NDArray[np.float64]
Predict = Callable[[Dataset], FloatArray]
"""Rows -> P(no purchase within the horizon), (n,)."""


def ripe_cutoffs(problem: Problem, *, newest: bool) -> tuple[Cutoff, ...]:
    """The training cutoffs with a whole label window, or the newest of them."""
    if not problem.ripe:
        raise NotTrainableError(
            f"no training cutoff has seen its whole {problem.horizon} days by {problem.fold.end}"
        )
    return problem.ripe[-1:] if newest else problem.ripe


def logistic(
    problem: Problem, columns: Callable[[Dataset], FloatArray], *, newest: bool
) -> Predict:
    """A logistic regression of "no purchase within the horizon" on columns (n, q)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, stayed_away = problem.labelled(ripe_cutoffs(problem, newest=newest))
    if stayed_away.all() or not stayed_away.any():
        raise NotTrainableError("every labelled row has the same outcome")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(columns(data), stayed_away)

    def predict(rows: Dataset) -> FloatArray:
        return np.asarray(model.predict_proba(columns(rows))[:, 1])

    return predict


def process(problem: Problem, name: str) -> Predict:
    """P(no purchase within the horizon) of a purchase process fitted at the end of the fold.

    Never its P(alive), which is 1 for every one-time buyer of a BG/NBD.
    """
    state = problem.state.get(name)
    if state is None:
        state = PROCESSES[name].fit(problem.histories(problem.material.data.at([problem.fold.end])))
    horizon = np.array([float(problem.horizon)])

    def predict(rows: Dataset) -> FloatArray:
        return PROCESSES[name].survival(state, problem.histories(rows), horizon)[:, 0]

    return predict


def rfm(rows: Dataset) -> FloatArray:
    """Recency, frequency, age and money, as logarithms (n, 4)."""
    value = np.nan_to_num(rows.column("cadence__value__mean"))
    return logs(rows, ("elapsed__days_since", "purchases__count", "age__max"), value)


def logs(rows: Dataset, names: Sequence[str], *more: FloatArray) -> FloatArray:
    """ln(1 + x) of columns of the family cadence, and of further columns."""
    plain = [rows.column(f"cadence__{name}") for name in names]
    return np.column_stack([np.log1p(np.maximum(c, 0.0)) for c in (*plain, *more)])
