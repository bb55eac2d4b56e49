"""Proportional hazards with trees: the member of the mixture that never looks at a date.

The trees f(x) maximise Cox's partial likelihood, in which customers compete only with those of
the same cutoff (stratum) who are still at risk. What a date did to everybody drops out of it, the
season included. They may start from a score that is known already: trees cannot extrapolate, and
without it customers who have waited longer than anybody before are thought too likely to buy. The
baseline hazard is Breslow's, constant in each interval of the curve.

Cox (1972), Regression models and life-tables, JRSS B 34(2); Breslow (1974), Biometrics 30(1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppi_ml.models import boost
from ppi_ml.models.covariates import HAZARD_CEILING, HAZARD_FLOOR
from ppi_ml.models.intervals import PersonIntervals, expand

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Matrix = NDArray[np.float32]

_HELD_CUSTOMERS, _HELD_STRATA = 4, 4
_REFIT_ROUNDS = 1.1


@dataclass(frozen=True)
class Cox:
    """log hazard of row i in interval j = baseline[j] + trees(x_i) (+ what is known of both).

    `baseline` (m,) log hazard per day; `trees` is None where none helped; `paced` whether the
    trees started from what the processes expect of a customer (`covariates.pace`).
    """

    edges: tuple[float, ...]
    baseline: FloatArray
    trees: boost.Trees | None
    paced: bool = False

    def log_hazard(
        self, inputs: Matrix, known: FloatArray | float = 0.0, threads: int = 0
    ) -> FloatArray:
        """The log hazard (n, m) of inputs (n, p); `known` (n, m) or (n, 1), the season of the
        dates and the score that the trees started from, is added.
        """
        score = _score(self.trees, inputs, threads)
        found = self.baseline[None, :] + score[:, None] + known
        return np.asarray(np.clip(found, HAZARD_FLOOR, HAZARD_CEILING))

    def cumulative(
        self, inputs: Matrix, known: FloatArray | float = 0.0, threads: int = 0
    ) -> FloatArray:
        """The cumulative hazard (n, m+1) at the edges, 0 at day 0."""
        steps = np.exp(self.log_hazard(inputs, known, threads)) * np.diff(self.edges)
        return np.hstack([np.zeros((len(inputs), 1)), np.cumsum(steps, axis=1)])


@dataclass(frozen=True)
class Waits:
    """What the n rows of a fit had to wait for.

    `days` (n,) to the event or to the end of sight, `observed` (n,) whether it was seen; `stratum`
    (n,) the number of the cutoff; `key` (n,) a stable number of the customer.
    """

    days: FloatArray
    observed: NDArray[np.bool_]
    stratum: IntArray
    key: IntArray

    def take(self, rows: NDArray[np.bool_]) -> Waits:
        """The rows for which the mask (n,) holds."""
        return Waits(self.days[rows], self.observed[rows], self.stratum[rows], self.key[rows])


def fit(
    inputs: Matrix,
    names: Sequence[str],
    waits: Waits,
    edges: Sequence[float],
    settings: Mapping[str, Any],
    *,
    season: FloatArray | None = None,
    pace: FloatArray | None = None,
    whole_days: bool = False,
    seed: int = 0,
    threads: int = 2,
) -> Cox:
    """Trees by partial likelihood, then the baseline.

    Args:
        inputs: (n, p) float32, one row per customer and cutoff.
        names: p names.
        waits: what came of the rows, and when.
        edges: (m+1,) days from 0 to the reach of the curve; later events are censored there.
        settings: LightGBM's settings of the trees.
        season: (n, m) a known log effect of the date of each interval, or None.
        pace: (n,) the score that the trees start from, such as `covariates.pace`; None: 0.
        whole_days: events are known by day only.
        seed: of the trees.
        threads: to work with.
    """
    late = waits.days > edges[-1]
    seen = Waits(
        np.minimum(waits.days, edges[-1]), waits.observed & ~late, waits.stratum, waits.key
    )
    start = np.zeros(len(inputs)) if pace is None else pace
    trees = _fit_trees(inputs, names, seen, start, settings, {"seed": seed, "threads": threads})
    intervals = expand(waits.days, waits.observed, edges, whole_days)
    baseline = _breslow(intervals, start + _score(trees, inputs, threads), season, len(edges) - 1)
    return Cox(tuple(edges), baseline, trees, paced=pace is not None)


def _fit_trees(
    inputs: Matrix,
    names: Sequence[str],
    waits: Waits,
    start: FloatArray,
    settings: Mapping[str, Any],
    fixed: Mapping[str, int],
) -> boost.Trees | None:
    """Trees, or None where they do not help customers and cutoffs that were held out."""
    held, aside = _held_out(waits)
    if not (waits.observed[held].any() and waits.observed[aside].any()):
        return None
    learn = PartialLikelihood(waits.take(aside), start[aside])
    check = PartialLikelihood(waits.take(held), start[held])
    found = boost.best_trees_of(learn, inputs[aside], check, inputs[held], names, settings, **fixed)
    if found.rounds == 0:
        return None
    rounds = max(1, round(_REFIT_ROUNDS * found.rounds))
    whole = PartialLikelihood(waits, start)
    return boost.train_on(whole, inputs, names, found.settings, rounds=rounds, **fixed)


def _held_out(waits: Waits) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows to check on, and rows to learn from: other customers at other cutoffs.

    With fewer than four cutoffs the customers alone are held out.
    """
    held = waits.key % _HELD_CUSTOMERS == 0
    strata, place = np.unique(waits.stratum, return_inverse=True)
    if len(strata) < _HELD_STRATA:
        return held, ~held
    late = (len(strata) - 1 - place) % _HELD_STRATA == 1
    return held & late, ~held & ~late


class PartialLikelihood:
    """Minus Cox's partial log-likelihood of scores f, by stratum, ties as Breslow has them.

    A score that the rows start from, (n,), is added to every f.
    """

    def __init__(self, waits: Waits, start: FloatArray | float = 0.0) -> None:
        """Sort once; every round reuses the order."""
        self._start = start
        self._order = np.lexsort((waits.days, waits.stratum))
        days, stratum = waits.days[self._order], waits.stratum[self._order]
        self._event = waits.observed[self._order].astype(np.float64)
        new = np.ones(len(days), dtype=np.bool_)
        new[1:] = (np.diff(stratum) != 0) | (np.diff(days) != 0)
        self._first = np.flatnonzero(new)
        self._group = np.cumsum(new) - 1
        starts = np.flatnonzero(np.r_[True, np.diff(stratum) != 0])
        ends = np.r_[starts[1:], len(days)]
        which = np.searchsorted(starts, self._first, side="right") - 1
        self._stratum_end, self._stratum_first = ends[which], self._group[starts][which]
        self._deaths = np.bincount(self._group, self._event)

    def gradient(self, score: FloatArray) -> tuple[FloatArray, FloatArray]:
        """First derivative and an upper bound of the second, each (n,), in the scores (n,).

        Both are 0 for rows that left before the first event of their stratum. A floor under the
        second, however small, would make sums of it depend on the number of threads.
        """
        weight = np.exp((score + self._start)[self._order])
        step = self._deaths / self._at_risk(weight)
        summed = np.concatenate([[0.0], np.cumsum(step)])
        seen = (summed[1:] - summed[self._stratum_first])[self._group]
        slope, bend = np.empty_like(score), np.empty_like(score)
        slope[self._order] = weight * seen - self._event
        bend[self._order] = weight * seen
        return slope, bend

    def loss(self, score: FloatArray) -> float:
        """Minus the partial log-likelihood per event."""
        ordered = (score + self._start)[self._order]
        at_risk = self._at_risk(np.exp(ordered))
        total = self._deaths @ np.log(at_risk) - self._event @ ordered
        return float(total / self._event.sum())

    def _at_risk(self, weight: FloatArray) -> FloatArray:
        """Sum of the weights of those still at risk at each time of each stratum."""
        tail = np.concatenate([np.cumsum(weight[::-1])[::-1], [0.0]])
        return np.asarray(np.maximum(tail[self._first] - tail[self._stratum_end], 1e-300))


def _breslow(
    intervals: PersonIntervals, score: FloatArray, season: FloatArray | None, m: int
) -> FloatArray:
    """Log of events over weighted exposure in each interval (m,).

    Where no event was seen, the hazard is that of the interval before, or one event over the
    exposure if that is less: nobody having been watched is no sign that nobody buys.
    """
    weight = intervals.exposure * np.exp(score[intervals.row])
    if season is not None:
        weight = weight * np.exp(season[intervals.row, intervals.interval])
    events = np.bincount(intervals.interval, intervals.event, m)
    exposed = np.bincount(intervals.interval, weight, m)
    rates = [0.0]
    for seen, watched in zip(events, exposed, strict=True):
        rates.append(seen / watched if seen else min(rates[-1], 1.0 / max(watched, 1e-300)))
    known = np.log(np.maximum(rates[1:], np.exp(HAZARD_FLOOR)))
    return np.asarray(np.clip(known, HAZARD_FLOOR, HAZARD_CEILING))


def _score(trees: boost.Trees | None, inputs: Matrix, threads: int) -> FloatArray:
    return np.zeros(len(inputs)) if trees is None else trees.score(inputs, threads)
