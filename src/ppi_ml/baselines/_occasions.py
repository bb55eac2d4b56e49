"""What the baselines about occasions share: the share of hits in a group, shrunk to that of all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.dataset import Dataset
from ppi_ml.errors import NotTrainableError
from ppi_ml.occasion_data import AGAIN
from ppi_ml.occasion_judging import OccasionProblem

FloatArray = NDArray[np.float64]
_PRIOR = 20.0
"""The share of all weighs as much as so many cases of a group."""


def group_rate(
    problem: OccasionProblem, column: str | None, title: str
) -> Callable[[Dataset], FloatArray]:
    """The shrunk share of hits of each row's group, by whether it is asked for the first time.

    Args:
        problem: the training rows and what came of them.
        column: the key column that names the group; None: one group.
        title: what a group is, in words.
    """
    if column is not None and column not in problem.data.keys.columns:
        raise NotTrainableError(f"a row does not say its {title}")
    if column is not None and problem.data.keys[column].null_count() == len(problem.data):
        raise NotTrainableError(f"no row says its {title}; load the column that holds it")
    seen = _cases(problem.data, column).with_columns(hit=pl.Series(problem.outcomes.hit))
    usual = seen.group_by("again").agg(share=pl.col("hit").mean())
    of_all = float(problem.outcomes.hit.mean())
    groups = (
        seen.drop_nulls("group")
        .group_by("again", "group")
        .agg(n=pl.len(), hits=pl.col("hit").sum())
    )

    def predict(rows: Dataset) -> FloatArray:
        found = _cases(rows, column).join(usual, on="again", how="left", maintain_order="left")
        found = found.join(groups, on=("again", "group"), how="left", maintain_order="left")
        n, hits = pl.col("n").fill_null(0), pl.col("hits").fill_null(0)
        shrunk = (hits + _PRIOR * pl.col("share").fill_null(of_all)) / (n + _PRIOR)
        return np.asarray(found.select(shrunk).to_series().to_numpy())

    return predict


def _cases(data: Dataset, column: str | None) -> pl.DataFrame:
    """The group of each row, and whether it is asked again."""
    groups = pl.repeat("all", len(data), eager=True) if column is None else data.keys[column]
    return pl.DataFrame({"group": groups, "again": data.column(AGAIN) > 0})
