"""The hazard of the next purchase: piecewise exponential, in three stages.

1. Processes: each gives the log hazard of every interval after the cutoff.
2. A Poisson regression on these, the smooth facts of the history, and the season.
3. LightGBM on top, which must not learn which date it is.

The model knows arrays and equations: no events, no files, no config.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ppi_ml.models import boost
from ppi_ml.models.covariates import (
    HAZARD_CEILING,
    HAZARD_FLOOR,
    Settings,
)
from ppi_ml.models.glm import PoissonGlm, fit_poisson
from ppi_ml.models.intervals import PersonIntervals, everywhere, expand
from ppi_ml.models.thinning import thinned

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Matrix = NDArray[np.float32]

STAGES = ("process", "process+glm", "process+glm+trees")
_PERIOD_DAYS, _PERIOD_PRIOR_EVENTS = 15, 50.0
CHUNK_INTERVALS = 24_000
"""Worked on together, few enough that every step of the regression finds room in memory that the
process has already: the columns of 400,000 are 200 MB, and making room for them took half the time.
"""
_HELD_CUSTOMERS, _BLOCK_DAYS, _HELD_BLOCKS = 4, 30, 4
_REFIT_ROUNDS = 1.1


class Inputs(Protocol):
    """What the model asks of n rows: `covariates.Rows`, or a matrix of one's own.

    `day` (n,) is the local day of the cutoff, `key` (n,) a stable number of the customer. `row` and
    `interval` (k,) say which person-intervals are meant.
    """

    @property
    def day(self) -> FloatArray:
        """The local day of each row's cutoff (n,)."""

    @property
    def key(self) -> IntArray:
        """A stable number of each row's customer (n,)."""

    def __len__(self) -> int: ...

    def take(self, rows: slice | NDArray[Any]) -> Self:
        """Some of the rows."""

    def offset(self, row: IntArray, interval: IntArray) -> FloatArray:
        """The log hazard (k,) that the regression starts from."""

    def alone(self, settings: Settings) -> FloatArray:
        """The log hazard (n, m) where no later stage is used."""

    def smooth(
        self, row: IntArray, interval: IntArray, settings: Settings
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """Columns (k, q) for the regression, and their names."""

    def tree_inputs(
        self, row: IntArray, interval: IntArray, settings: Settings
    ) -> tuple[Matrix, tuple[str, ...]]:
        """Inputs (k, p) for the trees, and their names."""


@dataclass(frozen=True)
class Hazard:
    """A fitted hazard model. `glm` and `trees` are None where that stage is not used."""

    settings: Settings
    glm: PoissonGlm | None
    trees: boost.Trees | None

    def cumulative(self, rows: Inputs) -> FloatArray:
        """The cumulative hazard (n, m+1) at the edges, 0 at day 0; S(t) = exp(-cumulative)."""
        widths = self.settings.widths
        total = np.zeros((len(rows), len(widths) + 1))
        step = max(1, CHUNK_INTERVALS // len(widths))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            log_hazard = self.log_hazard(rows.take(part))
            total[part, 1:] = np.cumsum(np.exp(log_hazard) * widths, axis=1)
        return total

    def log_hazard(
        self,
        rows: Inputs,
        added: FloatArray | None = None,
        columns: FloatArray | None = None,
    ) -> FloatArray:
        """The log hazard (n, m), events per day, in every interval of the curve.

        `added` (n, m) is what stands beside the regression, its own `tree_score` if None; `columns`
        (n * m, q or more) begins with the columns of the regression, where these are known already.
        """
        if self.glm is None:
            return rows.alone(self.settings)
        row, interval = everywhere(len(rows), len(self.settings.widths))
        if columns is None:
            columns, _ = rows.smooth(row, interval, self.settings)
        own = columns[:, : len(self.glm.names)]
        score = (rows.offset(row, interval) + self.glm.log_hazard(own)).reshape(len(rows), -1)
        score += self.tree_score(rows) if added is None else added
        return np.asarray(np.clip(score, HAZARD_FLOOR, HAZARD_CEILING))

    def tree_score(self, rows: Inputs) -> FloatArray:
        """What the trees add to the log hazard (n, m) in every interval of the curve."""
        m = len(self.settings.widths)
        return self.trees_at(rows, *everywhere(len(rows), m)).reshape(len(rows), m)

    def trees_at(self, rows: Inputs, row: IntArray, interval: IntArray) -> FloatArray:
        """What the trees add to the log hazard (k,) of person-intervals; 0 without trees."""
        if self.trees is None:
            return np.zeros(len(row))
        inputs, _ = rows.tree_inputs(row, interval, self.settings)
        return self.trees.score(inputs, self.settings.threads)


T = TypeVar("T", bound=Inputs)


@dataclass(frozen=True)
class Smooth(Generic[T]):
    """The first two stages of a fit, and what further ones go on from.

    `days` and `observed` (n,) as in `fit`; `score` (k,) the log hazard of the person-intervals that
    were looked at.
    """

    hazard: Hazard
    rows: T
    days: FloatArray
    observed: NDArray[np.bool_]
    intervals: PersonIntervals
    score: FloatArray


def fit_smooth(
    rows: T,
    days: FloatArray,
    observed: NDArray[np.bool_],
    settings: Settings,
    known: Callable[[IntArray, IntArray], FloatArray] | None = None,
) -> Smooth[T]:
    """Processes and regression; see `fit`.

    `known(row, interval)` is a part (k,) of the log hazard that other rows have taught; the
    regression is fitted around it.
    """
    intervals = thinned(
        expand(days, observed, settings.edges, settings.whole_days),
        rows.key, np.nan_to_num(rows.day), settings.quiet, settings.seed,
    )  # fmt: skip
    columns, names = rows.smooth(intervals.row, intervals.interval, settings)
    sd, standardise = _priors(names, settings)
    offset = rows.offset(intervals.row, intervals.interval)
    if known is not None:
        offset = offset + known(intervals.row, intervals.interval)
    glm = fit_poisson(columns, intervals.event, intervals.exposure, names, sd, standardise, offset)
    glm = glm.bounded(columns, _bounded(settings))
    score = offset + glm.log_hazard(columns)
    return Smooth(Hazard(settings, glm, None), rows, days, observed, intervals, score)


def _bounded(settings: Settings) -> tuple[str, ...]:
    """Columns of the regression that are held within what was seen in training; none of customers.

    Of pairs they are the facts of a single purchase, such as its amount, which no mean holds.
    """
    return (*(f"fact_{name}" for name in settings.facts), "log_value") if settings.facts else ()


def add_trees(smooth: Smooth[T], trees: Mapping[str, Any]) -> Hazard:
    """The third stage; the model stays without trees where they do not help."""
    settings = replace(smooth.hazard.settings, trees=trees)
    fitted = _fit_trees(smooth.rows, smooth.intervals, smooth.score, settings)
    return Hazard(settings, smooth.hazard.glm, fitted)


def fit(rows: Inputs, days: FloatArray, observed: NDArray[np.bool_], settings: Settings) -> Hazard:
    """The hazard model of the stages in `settings`.

    Args:
        rows: n training rows.
        days: (n,) days to the event or to the end of sight.
        observed: (n,) whether the event was seen.
        settings: stages, edges, priors, tree settings.
    """
    if settings.stages == STAGES[0]:
        return Hazard(settings, None, None)
    smooth = fit_smooth(rows, days, observed, settings)
    return smooth.hazard if settings.stages == STAGES[1] else add_trees(smooth, settings.trees)


def _priors(names: Sequence[str], settings: Settings) -> tuple[FloatArray, NDArray[np.bool_]]:
    kinds = {"step": settings.step_sd, "season": settings.season_sd}
    prefix = [name.split("_")[0] for name in names]
    sd = np.array([kinds.get(p, settings.smooth_sd) for p in prefix])
    return sd, np.array([p not in kinds for p in prefix])


def _fit_trees(
    rows: Inputs, intervals: PersonIntervals, score: FloatArray, settings: Settings
) -> boost.Trees | None:
    """Trees that correct the GLM; None where they do not help on held-out customers and dates."""
    day = rows.day[intervals.row] + settings.middles[intervals.interval]
    start = np.log(intervals.exposure) + score + _period_effects(day, intervals, score)
    inputs, names = rows.tree_inputs(intervals.row, intervals.interval, settings)
    sample = boost.Sample(inputs, intervals.event, start)
    fixed = {"seed": settings.seed, "threads": settings.threads}
    learn, check = _hold_out(rows.key[intervals.row], day)
    few = learn.sum() < 2 * settings.trees.get("min_data_in_leaf", 1)  # no tree could split
    if few or not intervals.event[check].any() or not intervals.event[learn].any():
        return None
    found = boost.best_trees(
        "poisson", sample.take(learn), sample.take(check), names, settings.trees, **fixed
    )
    if found.rounds == 0:
        return None
    rounds = max(1, round(_REFIT_ROUNDS * found.rounds))
    return boost.train("poisson", sample, names, found.settings, rounds=rounds, **fixed)


def _period_effects(day: FloatArray, intervals: PersonIntervals, score: FloatArray) -> FloatArray:
    """ln of shrunk observed over expected events of the 15 days an interval lies in, (k,).

    What a date did to everybody is taken out here, so that trees need not explain it; it is left
    out at prediction, because nobody knows the next date's.
    """
    _, period = np.unique(np.floor(day / _PERIOD_DAYS), return_inverse=True)  # no date: one period
    expected = np.bincount(period, intervals.exposure * np.exp(score))
    seen = np.bincount(period, intervals.event)
    effect = np.log((seen + _PERIOD_PRIOR_EVENTS) / (expected + _PERIOD_PRIOR_EVENTS))
    return np.asarray(effect[period])


def _hold_out(key: IntArray, day: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Learn from some customers on some dates; check on the other customers on other dates.

    Dates are held out in blocks, because customers of one date share its luck.
    """
    block = np.floor(day / _BLOCK_DAYS) % _HELD_BLOCKS  # NaN without a date: both parts have it
    held = key % _HELD_CUSTOMERS == 0
    return ~held & (block != 0), held & ~(block > 0)


def with_stages(model: Hazard, stages: str, alone: str | None = None) -> Hazard:
    """The same fit, cut down to simpler stages."""
    keep = STAGES.index(stages)
    return Hazard(
        replace(model.settings, stages=stages, alone=alone),
        model.glm if keep >= 1 else None,
        model.trees if keep == len(STAGES) - 1 else None,
    )
