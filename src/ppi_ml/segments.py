"""Kinds of customers for whom a model is looked at on its own: one-time, new, frequent, lapsed.

They are read from the past alone, never from a prediction, so no model can choose who is in them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ppi_ml.dataset import Dataset
from ppi_ml.declare import Family, Feature
from ppi_ml.entities import CUSTOMER, PAIR

BoolArray = NDArray[np.bool_]

NEW_DAYS = 90
FREQUENT_DAYS = 180
_FREQUENT_SHARE = 0.25
_LEAST_PURCHASES = 2
_MANY_GAPS = 2.0

FAMILY = Family(
    name="_segments",
    entity=(CUSTOMER, PAIR),
    needs=("order_lines",),
    features=(
        Feature("recent", "count", "purchases", "purchase days", "never null",
                windows=(FREQUENT_DAYS,), honest=False, trees=False),
    ),
)  # fmt: skip
"""What segments read beyond cadence. No model sees it, and no file of the shelf has its name, so
who is judged on their own does not hang on what a model is fed with."""


def segments(data: Dataset, eligible: BoolArray) -> dict[str, BoolArray]:
    """Which rows are of which kind, name -> (n,); a row may be of several, or of none.

    `one_time`: one purchase so far. `new`: the first purchase lies within 90 days. `frequent`: at
    least two purchases in 180 days, and no fewer than three quarters of the eligible rows of the
    same cutoff. `lapsed`: silent for more than twice the own mean gap, two or more purchases.

    Args:
        data: rows with the columns of the families cadence and `FAMILY`.
        eligible: the rows that the target is asked about (n,); none but these are in a segment.
    """
    purchases = data.column("cadence__purchases__count")
    kinds = {
        "one_time": purchases == 1,
        "new": data.column("cadence__age__max") <= NEW_DAYS,
        "frequent": _frequent(data, eligible),
        # one-time buyers have no gap, and nothing is longer than NaN
        "lapsed": data.silent_days > _MANY_GAPS * data.column("cadence__gap__mean"),
    }
    return {name: rows & eligible for name, rows in kinds.items()}


def _frequent(data: Dataset, eligible: BoolArray) -> BoolArray:
    """The quarter with the most purchases among the eligible rows of every cutoff (n,)."""
    counts = data.column(f"{FAMILY.name}__recent__count__{FREQUENT_DAYS}d")
    chosen = np.zeros(len(data), dtype=np.bool_)
    for cutoff in data.cutoffs:
        rows = data.rows_at(cutoff)
        asked = counts[rows][eligible[rows]]
        if len(asked):
            least = max(float(np.quantile(asked, 1 - _FREQUENT_SHARE)), _LEAST_PURCHASES)
            chosen[rows] = counts[rows] >= least
    return chosen
