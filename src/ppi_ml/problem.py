"""What a baseline is given: the same training rows and labels as the model of that fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppi_ml import labels, rows
from ppi_ml.dataset import Dataset
from ppi_ml.instants import Cutoff
from ppi_ml.material import Material
from ppi_ml.models.curve import evaluation_days
from ppi_ml.models.durations import Durations
from ppi_ml.models.histories import Histories
from ppi_ml.splits import Fold


@dataclass(frozen=True)
class Problem:
    """What a baseline is given: the same training rows and labels as the model of that fold."""

    material: Material
    fold: Fold
    data: Dataset
    durations: Durations

    @classmethod
    def of(cls, material: Material, fold: Fold) -> Problem:
        """The problem of a fold."""
        return cls(material, fold, *material.part(fold))

    @property
    def horizon(self) -> int:
        """Days ahead that are asked about."""
        return self.material.horizon

    @property
    def days(self) -> NDArray[np.float64]:
        """The days at which a baseline answers, (k,); the last one is the horizon."""
        return evaluation_days(self.material.horizon, self.material.metric)

    @property
    def ripe(self) -> tuple[Cutoff, ...]:
        """The training cutoffs whose whole horizon had been seen at the end, earliest first."""
        seen = self.material.sight
        return tuple(c for c in self.data.cutoffs if seen(c, self.fold.end) >= self.horizon)

    def labelled(self, cutoffs: Sequence[Cutoff]) -> tuple[Dataset, NDArray[np.bool_]]:
        """The rows of ripe cutoffs, and whether each made no purchase within the horizon."""
        data = self.data.at(cutoffs)
        slices = [self.data.rows_at(cutoff) for cutoff in data.cutoffs]
        parts = [self.durations.take(np.arange(s.start, s.stop)) for s in slices]
        return data, np.concatenate([~labels.within(p, self.horizon) for p in parts])

    def histories(self, data: Dataset) -> Histories:
        """The purchase histories of rows."""
        return rows.histories(data)

    def keys(self, data: Dataset) -> NDArray[np.int64]:
        """A stable number of every row's customer."""
        return rows.keys(data)

    @property
    def state(self) -> rows.ProcessState:
        """The process parameters dated the end of the fold."""
        return self.material.states.by_cutoff[str(self.fold.end)]
