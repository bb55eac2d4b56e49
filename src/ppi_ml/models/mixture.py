"""The curve that is shipped: a mean of survival curves of members with fixed weights.

The members look at different windows of time, so that the common shock of one of them does not
carry the whole. The weights are fixed because an origin's shock is one draw, and no rule can be
learned from two or three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppi_ml.models.covariates import Rows, Settings, mean_of_processes, pace, season_effect
from ppi_ml.models.cox import Cox
from ppi_ml.models.hazard import CHUNK_INTERVALS, Hazard

FloatArray = NDArray[np.float64]

WEIGHTS: Mapping[str, float] = {
    "staged": 2.0, "cox": 1.0, "newest": 1.0, "processes": 1.0, "seasonal": 1.0,
}  # fmt: skip
"""Member -> its weight before those that are there are made to add up to 1."""


@dataclass(frozen=True)
class Mixture:
    """A fitted model: `staged` always, the other members where they could be fitted.

    `staged` is the hazard in three stages; `cox` proportional hazards by trees, with the season of
    `staged`, starting from the pace of the processes where these know enough lives whole; `newest`
    the regression again, around the trees of `staged`, on the newest snapshot that has seen the
    whole horizon, of which it saw the first `newest_seen` intervals (later ones are those of
    `staged`); `processes` the plain mean of the processes' curves, if its weight is above 0;
    `seasonal` the regression with a season, where the log has seen a year but too little more for
    `staged` to have one.
    """

    staged: Hazard
    cox: Cox | None = None
    newest: Hazard | None = None
    newest_seen: int = 0
    processes: float = 0.0
    seasonal: Hazard | None = None

    def __post_init__(self) -> None:
        """`ValueError` for a `newest` around other trees: those of `staged` are scored for both."""
        if self.newest is not None and self.newest.trees is not self.staged.trees:
            raise ValueError("newest: expected the regression around the trees of staged")

    @property
    def settings(self) -> Settings:
        """The settings of the member `staged`; the edges are those of all."""
        return self.staged.settings

    @property
    def weights(self) -> dict[str, float]:
        """Member -> its share of the mean; they add up to 1."""
        raw = {
            "staged": WEIGHTS["staged"],
            "cox": 0.0 if self.cox is None else WEIGHTS["cox"],
            "newest": 0.0 if self.newest is None else WEIGHTS["newest"],
            "processes": self.processes,
            "seasonal": 0.0 if self.seasonal is None else WEIGHTS["seasonal"],
        }
        return {name: weight / sum(raw.values()) for name, weight in raw.items() if weight}

    def log_hazards(self, rows: Rows) -> dict[str, FloatArray]:
        """Member -> its log hazard (n, m) in every interval of the curve."""
        of_trees = self.staged.tree_score(rows)
        staged = self.staged.log_hazard(rows, of_trees)
        found = {"staged": staged}
        if self.cox is not None:
            inputs, _ = rows.standing(self.settings)
            known = season_effect(self.staged.glm, rows.day, self.settings)
            if self.cox.paced:
                known = known + pace(rows, self.settings)[:, None]
            found["cox"] = self.cox.log_hazard(inputs, known, self.settings.threads)
        if self.newest is not None:
            newest = self.newest.log_hazard(rows, of_trees)[:, : self.newest_seen]
            found["newest"] = np.hstack([newest, staged[:, self.newest_seen :]])
        if self.processes:
            found["processes"] = mean_of_processes(rows, self.settings)
        if self.seasonal is not None:
            found["seasonal"] = self.seasonal.log_hazard(rows)
        return found

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
    """Its stages and members, such as "process+glm+trees, members staged+cox+newest"."""
    return f"{model.settings.stages}, members {'+'.join(model.weights)}"
