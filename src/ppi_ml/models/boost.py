"""Every use of LightGBM: gradient-boosted trees trained, stored as text, and read back.

Training is repeatable to the byte for any number of threads: no GOSS, `deterministic`, row-wise
histograms, a fixed seed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ppi_ml.errors import IntegrityError, PpiError

# Threads that wait for one another by spinning cost three times the time on a machine that does
# something else too; LightGBM reads this when it is loaded. A user's own setting stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    import lightgbm as lgb
except OSError as error:
    raise PpiError(
        "LightGBM needs the OpenMP library of the system, which is missing here: install libgomp1 "
        "(Debian, Ubuntu: apt-get install libgomp1) or libomp (macOS: brew install libomp)"
    ) from error

FloatArray = NDArray[np.float64]
Matrix = NDArray[np.float32]

MOST_ROUNDS = 600
PATIENCE = 20
ENOUGH_ROUNDS, LARGE_LEAVES = 300, 31
"""Small trees that still learn after so many rounds have more to learn than they hold: then trees
of so many leaves are tried."""
_ROUNDING = 1e-9
"""Two sums of the same losses differ by so little, relatively; less is no improvement."""
_FIXED: dict[str, Any] = {
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "max_bin": 63,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "boost_from_average": False,
}


@dataclass(frozen=True)
class Sample:
    """Rows to learn from: inputs (n, p) float32, target (n,), and the score to start from (n,)."""

    inputs: Matrix
    target: FloatArray
    start: FloatArray

    def take(self, rows: NDArray[np.bool_]) -> Sample:
        """The rows for which the mask (n,) holds."""
        return Sample(self.inputs[rows], self.target[rows], self.start[rows])


@dataclass(frozen=True)
class Trees:
    """A trained ensemble: its text is all there is to it."""

    text: str
    names: tuple[str, ...]
    booster: lgb.Booster

    @classmethod
    def read(cls, text: str, names: Sequence[str]) -> Trees:
        """Trees from their text, which must have passed its hash check before."""
        booster = lgb.Booster(model_str=text)
        if booster.feature_name() != list(names):
            raise IntegrityError("the trees and features.json name different inputs")
        return cls(text, tuple(names), booster)

    @property
    def rounds(self) -> int:
        """The number of trees."""
        return int(self.booster.num_trees())

    @property
    def leaves(self) -> int:
        """The leaves of the largest of them."""
        lines = self.text.splitlines()
        return max(int(line.split("=")[1]) for line in lines if line.startswith("num_leaves="))

    def score(self, inputs: Matrix, threads: int = 0) -> FloatArray:
        """The raw score (n,) of inputs (n, p) whose columns are in the order of `names`."""
        if not len(inputs):
            return np.zeros(0)
        raw = self.booster.predict(inputs, raw_score=True, num_threads=threads)
        return np.asarray(raw, dtype=np.float64)

    def contributions(self, inputs: Matrix, threads: int = 0) -> FloatArray:
        """What every input adds to the raw score, (n, p + 1): a row adds up to its `score`.

        SHAP values by TreeSHAP (Lundberg et al. 2020, Nature Machine Intelligence 2); the last
        column is the same for all rows. Costs about ten times a score with trees of 6 leaves.
        """
        if not len(inputs):
            return np.zeros((0, len(self.names) + 1))
        parts = self.booster.predict(inputs, pred_contrib=True, num_threads=threads)
        return np.asarray(parts, dtype=np.float64)


@dataclass(frozen=True)
class Found:
    """LightGBM's settings, and the rounds after which the loss on held-out rows no longer falls.

    0 rounds: it never did.
    """

    settings: Mapping[str, Any]
    rounds: int


@dataclass(frozen=True)
class _Stop:
    """Where early stopping ended: the best round, its held-out loss, and whether all were used."""

    rounds: int
    loss: float
    used_all: bool


_Stopping = Callable[[Mapping[str, Any], int], _Stop]
"""(settings, most rounds) -> where early stopping ends with them."""


def train(
    objective: str,
    sample: Sample,
    names: Sequence[str],
    settings: Mapping[str, Any],
    *,
    rounds: int,
    seed: int,
    threads: int,
) -> Trees:
    """Trees for a fixed number of rounds."""
    parameters = _parameters(objective, settings, seed, threads)
    booster = lgb.train(parameters, _pool(sample, names), num_boost_round=rounds)
    return Trees.read(booster.model_to_string(), names)


def best_rounds(
    objective: str,
    learn: Sample,
    check: Sample,
    names: Sequence[str],
    settings: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
) -> int:
    """The number of rounds after which the loss on `check` no longer falls; 0 if it never did."""
    stopping = _stopping(objective, learn, check, names, seed, threads)
    return stopping(settings, MOST_ROUNDS).rounds


def best_trees(
    objective: str,
    learn: Sample,
    check: Sample,
    names: Sequence[str],
    settings: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
) -> Found:
    """As `best_rounds`; where small trees would not stop, larger ones if they are better."""
    return _grown(settings, _stopping(objective, learn, check, names, seed, threads))


def _stopping(
    objective: str, learn: Sample, check: Sample, names: Sequence[str], seed: int, threads: int
) -> _Stopping:
    pool = _pool(learn, names)
    held = lgb.Dataset(
        check.inputs, check.target, reference=pool, init_score=check.start, free_raw_data=True
    )
    before = _loss(objective, check)

    def stopping(settings: Mapping[str, Any], most: int) -> _Stop:
        parameters = _parameters(objective, settings, seed, threads)
        return _early_stopped(parameters, pool, held, before, most)

    return stopping


def _grown(settings: Mapping[str, Any], stopping: _Stopping) -> Found:
    if settings.get("num_leaves", LARGE_LEAVES) >= LARGE_LEAVES:
        return Found(settings, stopping(settings, MOST_ROUNDS).rounds)
    small = stopping(settings, ENOUGH_ROUNDS)
    if not small.used_all:
        return Found(settings, small.rounds)
    larger = {**settings, "num_leaves": LARGE_LEAVES}
    large = stopping(larger, MOST_ROUNDS)
    if large.loss < small.loss:
        return Found(larger, large.rounds)
    return Found(settings, small.rounds)


class Loss(Protocol):
    """A loss of our own: its derivatives and its mean, in the raw scores (n,) of fixed rows."""

    def gradient(self, score: FloatArray) -> tuple[FloatArray, FloatArray]:
        """First and second derivative, each (n,)."""

    def loss(self, score: FloatArray) -> float:
        """The loss, per event or row."""


def train_on(
    loss: Loss,
    inputs: Matrix,
    names: Sequence[str],
    settings: Mapping[str, Any],
    *,
    rounds: int,
    seed: int,
    threads: int,
) -> Trees:
    """Trees that lower a loss of our own, for a fixed number of rounds, starting from 0."""
    pool = _pool(_without_target(inputs), names)
    objective = {"objective": lambda score, _: loss.gradient(score)}
    booster = lgb.train(
        _parameters("custom", settings, seed, threads) | objective, pool, num_boost_round=rounds
    )
    return Trees.read(booster.model_to_string(), names)


def best_trees_of(
    learn: Loss,
    learn_inputs: Matrix,
    check: Loss,
    check_inputs: Matrix,
    names: Sequence[str],
    settings: Mapping[str, Any],
    *,
    seed: int,
    threads: int,
) -> Found:
    """As `best_trees`, with a loss of our own."""
    stopping = _stopping_of(learn, learn_inputs, check, check_inputs, names, seed, threads)
    return _grown(settings, stopping)


def _stopping_of(
    learn: Loss,
    learn_inputs: Matrix,
    check: Loss,
    check_inputs: Matrix,
    names: Sequence[str],
    seed: int,
    threads: int,
) -> _Stopping:
    before = check.loss(np.zeros(len(check_inputs)))
    if not any((column != column[0]).any() for column in learn_inputs.T):
        # LightGBM fails on inputs that are all constant
        return lambda *_: _Stop(0, before, used_all=False)
    pool = _pool(_without_target(learn_inputs), names)
    held = lgb.Dataset(
        check_inputs, np.zeros(len(check_inputs)), reference=pool, free_raw_data=True
    )
    objective = {"objective": lambda score, _: learn.gradient(score), "metric": "none"}

    def stopping(settings: Mapping[str, Any], most: int) -> _Stop:
        parameters = _parameters("custom", settings, seed, threads) | objective
        return _early_stopped(
            parameters, pool, held, before, most,
            lambda score, _: ("loss", check.loss(score), False),
        )  # fmt: skip

    return stopping


def _early_stopped(
    parameters: Mapping[str, Any],
    pool: lgb.Dataset,
    held: lgb.Dataset,
    before: float,
    most: int,
    measure: Callable[[FloatArray, lgb.Dataset], tuple[str, float, bool]] | None = None,
) -> _Stop:
    """The best round on held-out rows; 0 if no round lowers their loss from `before`."""
    record: dict[str, dict[str, list[float]]] = {}
    booster = lgb.train(
        dict(parameters),
        pool,
        num_boost_round=most,
        valid_sets=[held],
        valid_names=["check"],
        feval=measure,
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False), lgb.record_evaluation(record)],
    )
    (losses,) = record["check"].values()
    helps = before - min(losses) > _ROUNDING * abs(before)
    rounds = int(booster.best_iteration) if helps else 0
    return _Stop(rounds, min(losses), used_all=booster.current_iteration() >= most)


def _without_target(inputs: Matrix) -> Sample:
    return Sample(inputs, np.zeros(len(inputs)), np.zeros(len(inputs)))


def _loss(objective: str, sample: Sample) -> float:
    """LightGBM's own mean loss of the starting score."""
    if objective == "poisson":
        return float(np.mean(np.exp(sample.start) - sample.target * sample.start))
    signed = np.where(sample.target > 0, sample.start, -sample.start)
    return float(np.mean(np.logaddexp(0.0, -signed)))


def _pool(sample: Sample, names: Sequence[str]) -> lgb.Dataset:
    return lgb.Dataset(
        sample.inputs,
        sample.target,
        init_score=sample.start,
        feature_name=list(names),
        free_raw_data=True,
        params={"max_bin": _FIXED["max_bin"], "feature_pre_filter": False, "verbosity": -1},
    )


def _parameters(
    objective: str, settings: Mapping[str, Any], seed: int, threads: int
) -> dict[str, Any]:
    return {**_FIXED, "objective": objective, "seed": seed, "num_threads": threads, **settings}
