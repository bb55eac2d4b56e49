"""Readings of a survival curve: the columns that a target writes for every row.

A reading never changes the curve, so nothing it says can contradict another reading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ppi_ml.models.curve import Curves

Columns = dict[str, NDArray[np.generic]]


def churn(curves: Curves, horizon: int) -> Columns:
    """P(no purchase within the horizon), and the horizon in days."""
    return {
        "churn_probability": curves.survival([float(horizon)])[:, 0],
        "horizon_days": np.full(len(curves), horizon, dtype=np.int64),
    }


READINGS: Mapping[str, Callable[[Curves, int], Columns]] = {"churn": churn}
"""Name of a target's reading -> how it is read."""
