"""A matrix of one's own as the hazard model reads it: no log, no process, nothing to lean on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ppi_ml.errors import UsageError
from ppi_ml.models.covariates import Settings

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Matrix = NDArray[np.float32]

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Scaling:
    """What the regression must know of p columns, learned from the training rows.

    `low`, `high` (p,): the range seen, beyond which the regression does not go on rising; `middle`
    (p,): the median, which stands for a missing value; `gaps` (p,): whether any was missing.
    """

    low: FloatArray
    high: FloatArray
    middle: FloatArray
    gaps: NDArray[np.bool_]

    @classmethod
    def of(cls, values: FloatArray) -> Scaling:
        """The scaling of training rows (n, p), NaN where missing; a column may be all NaN."""
        missing = np.isnan(values)
        known = np.where(missing.all(axis=0), 0.0, values)
        low, middle, high = np.nanquantile(known, (0.0, 0.5, 1.0), axis=0)
        return cls(low, high, middle, np.asarray(missing.any(axis=0)))

    def apply(self, values: FloatArray) -> FloatArray:
        """Distance from the median as a share of the range, (n, p): 0 where missing."""
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        inside = np.clip(values, self.low, self.high)
        return np.nan_to_num((inside - self.middle) / width)


@dataclass(frozen=True)
class MatrixRows:
    """n rows of a matrix, as `hazard.Inputs` wants them.

    `values` (n, p), NaN where missing; `day` (n,) the day of each row's cutoff; `key` (n,) the
    number of its customer: both are for sampling and hold-out alone.
    """

    values: FloatArray
    scaling: Scaling
    day: FloatArray
    key: IntArray

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: slice | NDArray[Any]) -> Self:
        """Some of the rows: a slice, positions, or a mask."""
        return replace(self, values=self.values[rows], day=self.day[rows], key=self.key[rows])

    def offset(self, row: IntArray, interval: IntArray) -> FloatArray:
        """Zeros (k,): no process says where the regression should start."""
        return np.zeros(len(row))

    def alone(self, settings: Settings) -> FloatArray:
        """`UsageError`: a matrix has no purchase histories that a process could read."""
        raise UsageError(
            "stages: a matrix of one's own has no purchase process that could be the whole model; "
            "expected process+glm or process+glm+trees"
        )

    def smooth(
        self, row: IntArray, interval: IntArray, settings: Settings
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """Columns (k, q) for the regression, and their names.

        The features, how their effect fades or grows with the days, which of them are missing, and
        the shape of the hazard over the intervals.
        """
        p, gaps = self.values.shape[1], np.flatnonzero(self.scaling.gaps)
        log_middle = np.log(settings.middles)[interval][:, None]
        facts = self.scaling.apply(self.values)[row]
        missing = np.isnan(self.values[:, gaps])[row]
        steps = interval[:, None] == np.arange(len(settings.widths))
        columns = np.hstack([facts, facts * log_middle, missing, log_middle, log_middle**2, steps])
        names = (
            *(f"x_{i}" for i in range(p)),
            *(f"x_{i}_x_log_middle" for i in range(p)),
            *(f"missing_{i}" for i in gaps),
            *("log_middle", "log_middle_sq"),
            *(f"step_{j}" for j in range(len(settings.widths))),
        )
        return columns, names

    def tree_inputs(
        self, row: IntArray, interval: IntArray, settings: Settings
    ) -> tuple[Matrix, tuple[str, ...]]:
        """Inputs (k, p + 2) for the trees, and their names: the features and the interval."""
        p = self.values.shape[1]
        inputs = np.empty((len(row), p + 2), dtype=np.float32)
        inputs[:, :p] = np.clip(self.values, -_LARGEST, _LARGEST)[row]
        inputs[:, p] = settings.middles[interval]
        inputs[:, p + 1] = settings.widths[interval]
        return inputs, (*(f"x{i}" for i in range(p)), "interval__middle", "interval__width")
