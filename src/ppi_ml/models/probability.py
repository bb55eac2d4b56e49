"""P(it happens): a logistic regression with a ridge, and trees that correct it.

What a stretch of dates did to everybody (a strike, a sale) is learned as an effect of the period
with a ridge of its own and left out at prediction, because nobody knows the next one's. Trees are
stopped on periods they have not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ppi_ml.models import boost

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STAGES = ("share", "logistic", "logistic+trees")
"""The share of all alone; a logistic regression; trees on top of it."""
_PRIOR_SD, _PERIOD_SD = 0.3, 0.5
_SMALLEST_SPREAD = 1e-9
_HELD_OUT = 4
"""Every so many periods one is held out to stop the trees."""
_REFIT_ROUNDS = 1.1
_LEAST = 1e-6


@dataclass(frozen=True)
class Chances:
    """A fitted model: P = 1 / (1 + exp(-(intercept + columns x slopes + trees))).

    `names` are the q input columns, in order; `centre`, `spread`, `slopes` (q,) belong to asinh of
    the columns, so that a long tail counts by its logarithm; NaN counts as the centre. Without
    slopes (stage `share`) the intercept says everything.
    """

    names: tuple[str, ...]
    intercept: float
    centre: FloatArray
    spread: FloatArray
    slopes: FloatArray
    trees: boost.Trees | None = None

    @property
    def stages(self) -> str:
        """Which of `STAGES` it has."""
        if self.trees is not None:
            return STAGES[2]
        return STAGES[1] if len(self.slopes) else STAGES[0]

    def predict(self, inputs: NDArray[np.float32], threads: int = 0) -> FloatArray:
        """P(it happens), (n,), of inputs (n, q)."""
        score = self.smooth_score(inputs)
        if self.trees is not None:
            score = score + self.trees.score(inputs, threads)
        return np.clip(1.0 / (1.0 + np.exp(-score)), _LEAST, 1.0 - _LEAST)

    def smooth_score(self, inputs: NDArray[np.float32]) -> FloatArray:
        """The log odds (n,) without the trees."""
        if not len(self.slopes):
            return np.full(len(inputs), self.intercept)
        scaled = _scaled(inputs, self.centre, self.spread)
        # a product of matrices would round a row alone otherwise than one among many
        found: FloatArray = (scaled * self.slopes).sum(axis=1) + self.intercept
        return found

    def to_dict(self) -> dict[str, Any]:
        """Everything but the trees, as JSON-able data."""
        arrays = {name: getattr(self, name).tolist() for name in ("centre", "spread", "slopes")}
        return {"names": list(self.names), "intercept": self.intercept, **arrays}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], trees: str) -> Chances:
        """The model that `to_dict` described, with the text of its trees (empty: none)."""
        names = tuple(data["names"])
        centre, spread, slopes = (
            np.asarray(data[name], np.float64) for name in ("centre", "spread", "slopes")
        )
        grown = boost.Trees.read(trees, names) if trees else None
        return cls(names, float(data["intercept"]), centre, spread, slopes, grown)


def share_of(hit: NDArray[np.bool_], names: Sequence[str]) -> Chances:
    """The share of all, for everybody."""
    share = float(np.clip(hit.mean(), _LEAST, 1.0 - _LEAST))
    nothing = np.zeros(0)
    return Chances(tuple(names), float(np.log(share / (1 - share))), nothing, nothing, nothing)


def logistic(
    inputs: NDArray[np.float32],
    hit: NDArray[np.bool_],
    period: IntArray,
    names: Sequence[str],
    weight: FloatArray | None = None,
) -> Chances:
    """A penalised logistic regression with an effect for every period.

    Args:
        inputs: (n, q); NaN counts as the mean of its column.
        hit: (n,) whether it happened; both must occur.
        period: (n,) number of the stretch of dates.
        names: q names of the columns.
        weight: (n,) of the rows; None: 1.

    The slopes have a normal prior (per standard deviation of asinh of the column) with standard
    deviation 1 / sqrt(q), at most 0.3: however many columns there are, all of them together are
    expected to move the log odds by about 1. That of the periods is 0.5. The intercept is such that
    over all rows the predicted sum is the observed one, with the effects of the periods left out.
    """
    from sklearn.linear_model import LogisticRegression

    weight = np.ones(len(hit)) if weight is None else weight
    with threadpool_limits(1, "blas"):
        centre, spread = _moments(inputs)
        scaled = _scaled(inputs, centre, spread)
        _, number = np.unique(period, return_inverse=True)
        dummies = np.zeros((len(hit), number.max() + 1))
        dummies[np.arange(len(hit)), number] = 1.0
        prior = min(_PRIOR_SD, 1.0 / max(len(names), 1) ** 0.5)
        columns = np.hstack([prior * scaled, _PERIOD_SD * dummies])
        regression = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=100, tol=1e-8)
        regression.fit(columns, hit, sample_weight=weight)
        slopes = regression.coef_[0][: len(names)] * prior
        score = scaled @ slopes
    intercept = _level(score, float(np.average(hit, weights=weight)), weight)
    return Chances(tuple(names), intercept, centre, spread, slopes)


def with_trees(
    model: Chances,
    inputs: NDArray[np.float32],
    hit: NDArray[np.bool_],
    period: IntArray,
    settings: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
) -> Chances:
    """The model with trees on top; as it was where they do not help on periods held out."""
    score = model.smooth_score(inputs)
    start = score + _period_effects(score, hit, period)
    sample = boost.Sample(inputs, hit.astype(np.float64), start)
    _, number = np.unique(period, return_inverse=True)
    check = number % _HELD_OUT == _HELD_OUT // 2
    fixed = {"seed": seed, "threads": threads}
    few = (~check).sum() < 2 * settings.get("min_data_in_leaf", 1)
    if few or len(np.unique(hit[check])) < 2 or len(np.unique(hit[~check])) < 2:
        return model
    rounds = boost.best_rounds(
        "binary", sample.take(~check), sample.take(check), model.names, settings, **fixed
    )
    if rounds == 0:
        return model
    rounds = max(1, round(_REFIT_ROUNDS * rounds))
    trees = boost.train("binary", sample, model.names, settings, rounds=rounds, **fixed)
    # the effects of the periods are left out from here on, so the level is found anew
    bare = score - model.intercept + trees.score(inputs, threads)
    intercept = _level(bare, float(hit.mean()), np.ones(len(hit)))
    return replace(model, intercept=intercept, trees=trees)


def _period_effects(score: FloatArray, hit: NDArray[np.bool_], period: IntArray) -> FloatArray:
    """How far the log odds of each row's period are from those expected, shrunk, (n,)."""
    _, number = np.unique(period, return_inverse=True)
    expected = np.bincount(number, 1.0 / (1.0 + np.exp(-score)))
    seen, prior = np.bincount(number, hit), 20.0
    return np.asarray(np.log((seen + prior) / (expected + prior))[number])


def _moments(inputs: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
    values = np.arcsinh(inputs.astype(np.float64))
    known = ~np.isnan(values)
    n = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, values, 0.0).sum(axis=0) / n
    square = (np.where(known, values - centre, 0.0) ** 2).sum(axis=0) / n
    spread = np.sqrt(square)
    return centre, np.where(spread > _SMALLEST_SPREAD, spread, 1.0)


def _scaled(inputs: NDArray[np.float32], centre: FloatArray, spread: FloatArray) -> FloatArray:
    values = np.arcsinh(inputs.astype(np.float64))
    scaled: FloatArray = np.where(np.isnan(values), 0.0, values - centre) / spread
    return scaled


def _level(score: FloatArray, share: float, weight: FloatArray) -> float:
    """The intercept at which the mean probability of the scores is the share."""
    from scipy.optimize import brentq

    share = float(np.clip(share, _LEAST, 1 - _LEAST))

    def excess(intercept: float) -> float:
        chance = 1.0 / (1.0 + np.exp(-(score + intercept)))
        return float(np.average(chance, weights=weight)) - share

    return float(brentq(excess, -60.0, 60.0, xtol=1e-12))
