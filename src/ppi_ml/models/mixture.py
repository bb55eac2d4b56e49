"""The curve that is shipped: the mean of the survival curves of its members.

The members look at different windows of time, so that the common shock of one of them does not
carry the whole. No weights are learned, because an origin's shock is one draw: every member has one
voice, and the processes of a log that has not seen a year have two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ppi_ml.models.covariates import Rows, Settings, mean_of_processes, pace, season_effect
from ppi_ml.models.cox import Cox
from ppi_ml.models.glm import PoissonGlm
from ppi_ml.models.hazard import CHUNK_INTERVALS, Hazard
from ppi_ml.models.intervals import everywhere

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """The regression of `staged`, moved to what a few late cutoffs say, around the same trees.

    These had seen the first `seen` intervals of the curve; later ones are those of `staged`. Few
    dates cannot teach a season: it is that of `staged`, or (not `season`) there is none.
    """

    glm: PoissonGlm
    seen: int
    season: bool


@dataclass(frozen=True)
class Mixture:
    """A fitted model: `staged` always, the other members where they could be fitted.

    `staged` is the hazard in three stages; `cox` proportional hazards by trees, with the season of
    `staged`, starting from the pace of the processes where most lives were seen to begin; `newest`
    the window of the newest snapshot that has seen the whole horizon, without a season; `recent`
    that of the last weeks, of which no snapshot has seen much; `processes` how many voices the
    plain mean of the processes' curves has, 0 where it is no member; `seasonal` the regression with
    a season, where the log has seen a year but too little more for `staged` to have one.
    """

    staged: Hazard
    cox: Cox | None = None
    newest: Window | None = None
    recent: Window | None = None
    processes: int = 0
    seasonal: Hazard | None = None

    @property
    def settings(self) -> Settings:
        """The settings of the member `staged`; the edges are those of all."""
        return self.staged.settings

    @property
    def windows(self) -> dict[str, Window]:
        """The members that are windows, by name."""
        both = {"newest": self.newest, "recent": self.recent}
        return {name: window for name, window in both.items() if window is not None}

    @property
    def weights(self) -> dict[str, float]:
        """Member -> its share of the mean."""
        voices = {
            "staged": 1,
            "cox": int(self.cox is not None),
            **dict.fromkeys(self.windows, 1),
            "processes": self.processes,
            "seasonal": int(self.seasonal is not None),
        }
        total = sum(voices.values())
        return {name: voice / total for name, voice in voices.items() if voice}

    def around(self, window: Window) -> Hazard:
        """The regression of a window with the trees it stands around; no season is added."""
        return Hazard(replace(self.settings, season=False), window.glm, self.staged.trees)

    def season(self, rows: Rows) -> FloatArray:
        """What `staged` says of the date of every interval: log effect (n, m)."""
        return season_effect(self.staged.glm, rows.day, self.settings)

    def log_hazards(self, rows: Rows) -> dict[str, FloatArray]:
        """Member -> its log hazard (n, m) in every interval of the curve."""
        of_trees, columns = self.staged.tree_score(rows), self._columns(rows)
        staged, season = self.staged.log_hazard(rows, of_trees, columns), self.season(rows)
        found = {"staged": staged}
        if self.cox is not None:
            inputs, _ = rows.standing(self.settings)
            paced = pace(rows, self.settings)[:, None] if self.cox.paced else 0.0
            found["cox"] = self.cox.log_hazard(inputs, season + paced, self.settings.threads)
        for name, window in self.windows.items():
            added = of_trees + season if window.season else of_trees
            own = self.around(window).log_hazard(rows, added, columns)
            found[name] = np.hstack([own[:, : window.seen], staged[:, window.seen :]])
        if self.processes:
            found["processes"] = mean_of_processes(rows, self.settings)
        if self.seasonal is not None:
            found["seasonal"] = self.seasonal.log_hazard(rows, columns=columns)
        return found

    def _columns(self, rows: Rows) -> FloatArray | None:
        """The columns of every regression: the waves of a season come last, where one has them."""
        if self.staged.glm is None:
            return None
        season = self.settings.season or self.seasonal is not None
        cells = everywhere(len(rows), len(self.settings.widths))
        columns, names = rows.smooth(*cells, replace(self.settings, season=season))
        plain = [self.staged, *map(self.around, self.windows.values())]
        for model in plain if self.seasonal is None else [*plain, self.seasonal]:
            if model.glm is not None and names[: len(model.glm.names)] != model.glm.names:
                raise ValueError(f"a regression has other columns than {', '.join(names)}")
        return columns

    def cumulative(self, rows: Rows) -> FloatArray:
        """The cumulative hazard (n, m+1) at the edges, 0 at day 0; S(t) = exp(-cumulative)."""
        widths, weights = self.settings.widths, self.weights
        total = np.zeros((len(rows), len(widths) + 1))
        step = max(1, CHUNK_INTERVALS // len(widths))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            total[part, 1:] = mean_curve(
                {
                    name: np.cumsum(np.exp(log_hazard) * widths, axis=1)
                    for name, log_hazard in self.log_hazards(rows.take(part)).items()
                },
                weights,
            )
        return total


def mean_curve(cumulative: Mapping[str, FloatArray], weights: Mapping[str, float]) -> FloatArray:
    """The cumulative hazard (n, m) of the weighted mean of survival curves, in logarithms."""
    if len(cumulative) == 1:
        return next(iter(cumulative.values()))
    logs = [np.log(weights[name]) - total for name, total in cumulative.items()]
    found = -np.logaddexp.reduce(logs)
    # rounding may make the mean of curves rise by a hair
    return np.asarray(np.maximum.accumulate(np.maximum(found, 0.0), axis=1))


def in_words(model: Mixture) -> str:
    """Its stages, trees and members.

    Such as "process+glm+trees (140 of 6 leaves), members staged+cox+newest".
    """
    trees = model.staged.trees
    size = f" ({trees.rounds} of {trees.leaves} leaves)" if trees else ""
    return f"{model.settings.stages}{size}, members {'+'.join(model.weights)}"
