"""What a candidate loses on an inner fold: asked alike by the search and by the choice of stages.

A candidate is fitted at the fold's end and asked about that day; the labels are those known at the
outer end. It is judged by the loss of the target (log-loss at the horizon, or the integrated Brier
score up to it), never by a ranking measure, and is first given the level of the fold: the shock
that a date deals to everybody is one draw, and two or three folds cannot choose a rule for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ppi_ml import curve_metrics, labels, metrics, recipe, rows
from ppi_ml.declare import Metric
from ppi_ml.errors import NotTrainableError
from ppi_ml.material import Material
from ppi_ml.models.covariates import Rows
from ppi_ml.models.curve import Curves, evaluation_days
from ppi_ml.models.hazard import Smooth
from ppi_ml.models.mixture import Mixture
from ppi_ml.recipe import Recipe
from ppi_ml.splits import Fold

FloatArray = NDArray[np.float64]

TUNING_ROWS = 150_000
"""Person-intervals per fold while searching; the chosen recipe is refitted on all."""
_FARTHEST = 6.0


@dataclass(frozen=True)
class Question:
    """One inner fold: what was fitted at its end, and what came of the n eligible rows there.

    `days` (n,) waited, `observed` (n,) whether that ended in a purchase; `grid` (k,) the days at
    which the curve is asked, the last one the horizon of the fold.
    """

    started: Smooth[Rows]
    rows: Rows
    days: FloatArray
    observed: NDArray[np.bool_]
    grid: FloatArray
    metric: Metric

    @property
    def gone(self) -> NDArray[np.bool_]:
        """Whether no purchase came within the horizon (n,)."""
        return np.asarray(~(self.observed & (self.days <= self.grid[-1])))


def ask(material: Material, fold: Fold, outer: Fold, start: Recipe) -> Question | None:
    """The fold fitted up to stage two, or None where nothing can be asked of it."""
    horizon = int(min(float(material.horizon), np.floor(material.sight(fold.end, outer.end))))
    usable = material.states.usable
    if horizon < 1 or not usable(fold.train) or not usable([fold.end]):
        return None
    data = material.data.at([fold.end])
    waits = labels.durations(data, material.log, outer.end, material.settling)
    there = labels.uninterrupted(data, material.log, outer.end, horizon)
    eligible = data.eligible(material.active_within) & there
    gone = ~labels.within(waits.take(eligible), horizon)
    if not gone.any() or gone.all():
        return None
    try:
        started = recipe.smooth(material, fold, start, TUNING_ROWS)
    except NotTrainableError:
        return None
    edges = started.hazard.settings.edges
    return Question(
        started,
        rows.build(data.take(eligible), material.states, edges),
        waits.days[eligible],
        waits.observed[eligible],
        evaluation_days(min(horizon, int(edges[-1])), material.metric),
        material.metric,
    )


def row_losses(question: Question, model: Mixture) -> FloatArray:
    """The target's loss of every row (n,), with the model at the level of the fold."""
    curves = Curves(np.asarray(model.settings.edges), model.cumulative(question.rows))
    gone = question.gone
    survival = at_level(curves.survival(question.grid), float(gone.mean()))
    if question.metric == "log_loss":
        return metrics.log_losses(gone, survival[:, -1])
    return curve_metrics.integrated_brier_losses(
        question.days, question.observed, question.grid, survival
    )


def is_sure(gains: Sequence[FloatArray]) -> bool:
    """Whether there is a gain on every fold, and over all rows by more than a standard error.

    `gains` holds one array per fold: how much lower the loss of each of its rows became.
    """
    every = np.concatenate(gains)
    noise = float(every.std()) / np.sqrt(len(every))
    return all(gain.mean() > 0 for gain in gains) and float(every.mean()) > noise


def at_level(survival: FloatArray, share: float) -> FloatArray:
    """Survival with all hazards multiplied by the one factor that makes its mean `share`.

    `survival` is (n,), or (n, k) with the horizon last; `share` lies strictly between 0 and 1; the
    factor stays within e^-6 to e^6.
    """
    hazard_sum = -np.log(np.clip(survival, 1e-12, 1.0 - 1e-12))
    last = hazard_sum if hazard_sum.ndim == 1 else hazard_sum[:, -1]

    def excess(log_factor: float) -> float:
        return float(np.exp(-np.exp(log_factor) * last).mean()) - share

    low, high = -_FARTHEST, _FARTHEST
    if excess(low) <= 0 or excess(high) >= 0:
        return survival
    factor = np.exp(brentq(excess, low, high, xtol=1e-10))
    return np.asarray(np.exp(-factor * hazard_sum))
