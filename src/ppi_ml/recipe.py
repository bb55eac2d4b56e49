"""One way to fit the curve, on any fold: the same for tuning, for the test and for release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppi_ml import labels, rows
from ppi_ml.dataset import Dataset
from ppi_ml.engine.buckets import GIGABYTE
from ppi_ml.errors import NotTrainableError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.models import covariates, hazard
from ppi_ml.models.curve import Curves, interval_edges
from ppi_ml.models.histories import Histories
from ppi_ml.rows import ProcessStates
from ppi_ml.splits import Fold, reach_of

SEASON_NEEDS_DAYS = 548
"""With less history a seasonal term did harm (12 to 18 months: log-loss +.012 to +.046)."""
_EVENTS_PER_INTERVAL = 50


@dataclass(frozen=True)
class Recipe:
    """What tuning decides; everything else follows from data and config.

    `stages` as in `models.hazard.STAGES`; `alone` the process used if there is no later stage;
    `season_sd` prior standard deviation of the season; `trees` LightGBM's settings.
    """

    stages: str
    alone: str | None
    season_sd: float
    trees: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON-able data."""
        return {
            "stages": self.stages,
            "alone": self.alone,
            "season_sd": self.season_sd,
            "trees": dict(self.trees),
        }


@dataclass(frozen=True)
class Material:
    """What every fit of one training shares.

    `data` holds the rows of every training cutoff and of every fold's end; `horizon` is judged
    (days); `settling` is how long the log needs to know what happened (days).
    """

    log: EventLog
    data: Dataset
    states: ProcessStates
    horizon: int
    active_within: int
    settling: float
    max_rows: int
    seed: int
    threads: int
    season: bool = True
    memory: int = 4 * GIGABYTE

    @property
    def whole_days(self) -> bool:
        """Whether purchases are known by day only."""
        return self.log.tables["order_lines"].granularity == "day"

    def part(self, fold: Fold) -> tuple[Dataset, labels.Durations]:
        """The training rows of a fold with their labels as known at its end."""
        seen = [c for c in self.states.usable(fold.train) if self.sight(c, fold.end) > 0]
        if not seen:
            raise NotTrainableError(
                f"no training cutoff before {fold.end} has both a purchase process and a day of "
                "follow-up; load a longer history"
            )
        data = self.data.at(seen)
        waits = labels.durations(data, self.log, fold.end, self.settling)
        if not waits.observed.any():
            raise NotTrainableError(
                f"nobody bought between the training cutoffs and {fold.end}; load newer events"
            )
        return data, waits

    def sight(self, cutoff: Cutoff, end: Cutoff) -> float:
        """Days after a cutoff that can be seen from an end."""
        return end.days_since(cutoff) - self.settling


def smooth(
    material: Material, fold: Fold, recipe: Recipe, most: int | None = None
) -> hazard.Smooth:
    """The first two stages on a fold, from at most so many person-intervals."""
    data, durations = material.part(fold)
    settings = _settings(material, fold, recipe, data, durations)
    chosen = covariates.sample_rows(
        rows.keys(data), data.day, durations.days, settings.edges, most or material.max_rows,
        material.seed,
    )  # fmt: skip
    if len(chosen) < len(data):
        mask = np.zeros(len(data), dtype=np.bool_)
        mask[chosen] = True
        data, durations = data.take(mask), durations.take(mask)
    inputs = rows.build(data, material.states, settings.edges)
    return hazard.fit_smooth(inputs, durations.days, durations.observed, settings)


def fit(material: Material, fold: Fold, recipe: Recipe) -> hazard.Hazard:
    """The whole recipe on the training part of a fold."""
    return finish(smooth(material, fold, recipe), recipe)


def finish(started: hazard.Smooth, recipe: Recipe) -> hazard.Hazard:
    """The third stage, if the recipe has one, and the cut to the recipe's stages."""
    model = started.hazard
    if recipe.stages == hazard.STAGES[-1]:
        model = hazard.add_trees(started, recipe.trees)
    stages = recipe.stages
    if model.trees is None and stages == hazard.STAGES[-1]:
        stages = hazard.STAGES[1]  # no round of trees helped
    return hazard.with_stages(model, stages, recipe.alone)


def curves(model: hazard.Hazard, data: Dataset, states: ProcessStates, dated: Cutoff) -> Curves:
    """Survival curves of all rows of the data, with the process parameters of one date."""
    replayed = states.replayed(dated, data.cutoffs)
    edges = np.asarray(model.settings.edges)
    return Curves(edges, model.cumulative(rows.build(data, replayed, edges.tolist())))


def _settings(
    material: Material,
    fold: Fold,
    recipe: Recipe,
    data: Dataset,
    durations: labels.Durations,
) -> covariates.Settings:
    start = material.log.observed_from
    reach = reach_of(start, fold.end, material.horizon)
    edges = interval_edges(
        reach, durations.days[durations.observed], _EVENTS_PER_INTERVAL, keep=(material.horizon,)
    )
    return covariates.Settings(
        edges=tuple(edges.tolist()),
        processes=material.states.names,
        tree_names=data.tree_names,
        alone=recipe.alone,
        season=material.season and fold.end.days_since(start) >= SEASON_NEEDS_DAYS,
        season_sd=recipe.season_sd,
        whole_days=material.whole_days,
        trees=recipe.trees,
        seed=material.seed,
        threads=material.threads,
    )


@dataclass(frozen=True)
class Problem:
    """What a baseline is given: the same training rows and labels as the model of that fold."""

    material: Material
    fold: Fold
    data: Dataset
    durations: labels.Durations

    @classmethod
    def of(cls, material: Material, fold: Fold) -> Problem:
        """The problem of a fold."""
        return cls(material, fold, *material.part(fold))

    @property
    def horizon(self) -> int:
        """Days ahead that are asked about."""
        return self.material.horizon

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
