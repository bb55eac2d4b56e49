"""The hazard model in scikit-learn's manner: for a matrix and waits of one's own, no event log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ppi_ml.errors import InputError
from ppi_ml.models import _arrays, hazard
from ppi_ml.models.covariates import Settings
from ppi_ml.models.curve import Curves
from ppi_ml.models.durations import Durations
from ppi_ml.models.intervals import expand, interval_edges
from ppi_ml.models.matrix import MatrixRows, Scaling
from ppi_ml.models.thinning import draw_rows, thinning

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LONGEST_REACH = 365
_EVENTS_PER_INTERVAL = 50
_STEP_SD = 0.5
_LEAST: Mapping[str, float] = {
    "num_leaves": 2, "min_data_in_leaf": 1, "lambda_l2": 0, "max_rows": 1, "threads": 0,
}  # fmt: skip
_ANY_NUMBER = ("lambda_l2",)
_ABOVE_ZERO = ("learning_rate", "prior_sd")
_FLAGS = ("trees", "whole_days")
_OF_TREES = ("num_leaves", "learning_rate", "min_data_in_leaf", "lambda_l2")


class HazardModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """When will it happen? One survival curve per row, from waits of which some are unfinished.

    The hazard is constant in each of up to 19 intervals of days. Its logarithm is a ridge
    regression on the features (missing ones have a term of their own), whose effects may fade or
    grow with the days, and on the interval; plus trees, where these help rows that were held out.
    Give what grows over orders of magnitude as a logarithm. Beyond the range seen in training the
    regression stays flat. At least five rows must have had their event.

    Rows have no weights, so `fit` takes no `sample_weight`. A row that stands for k others is given
    k times, with the same group, so that its copies are held out together.

    Args:
        max_days: the reach of the curve, whole days; later events count as not yet seen. None:
            the longest wait of the training rows, at most 365.
        trees: False leaves the regression alone.
        num_leaves: of each tree.
        learning_rate: of the trees.
        min_data_in_leaf: person-intervals (a row times an interval it was watched in).
        lambda_l2: ridge of the trees' leaves.
        prior_sd: of a coefficient, the change of the log hazard per standard deviation of a
            feature. 0.2 suits dozens of related features; few strong ones bear 1.
        max_rows: person-intervals to learn from; beyond it rows, and those of their intervals in
            which nothing happened, are drawn by lot.
        whole_days: events are known by day only: days are whole numbers, 1 is the first day.
        random_state: seed of draws, hold-out and trees.
        threads: of the trees; 0: all there are.

    Attributes:
        n_features_in_: number of features.
        feature_names_in_: their names; only if X was a data frame.
        max_days_: the reach of the curve.
        n_rows_: rows learned from, after the draw.
        n_trees_: 0 where trees did not help, so that the regression is the whole model.
        hazard_: the fitted `ppi_ml.models.hazard.Hazard`.

    Example:
        >>> import numpy as np
        >>> from ppi_ml import Durations, HazardModel
        >>> draw = np.random.default_rng(0)
        >>> X = draw.normal(size=(4000, 3))
        >>> wait = draw.exponential(40 * np.exp(-X[:, 0]))
        >>> y = Durations(np.minimum(wait, 90), wait <= 90)
        >>> model = HazardModel().fit(X, y)
        >>> model.predict_survival([[0, 0, 0], [1, 0, 0]], days=[30, 60]).round(1)
        array([[0.5, 0.2],
               [0.1, 0. ]])

    In a `Pipeline` only `predict` and `score` can be asked of the whole; for the rest write
    `pipe[-1].predict_survival(pipe[:-1].transform(X), days)`.
    """

    def __init__(
        self,
        max_days: int | None = None,
        *,
        trees: bool = True,
        num_leaves: int = 6,
        learning_rate: float = 0.05,
        min_data_in_leaf: int = 300,
        lambda_l2: float = 30.0,
        prior_sd: float = 0.2,
        max_rows: int = 450_000,
        whole_days: bool = False,
        random_state: int | np.random.RandomState | None = 0,
        threads: int = 2,
    ) -> None:
        self.max_days = max_days
        self.trees = trees
        self.num_leaves = num_leaves
        self.learning_rate = learning_rate
        self.min_data_in_leaf = min_data_in_leaf
        self.lambda_l2 = lambda_l2
        self.prior_sd = prior_sd
        self.max_rows = max_rows
        self.whole_days = whole_days
        self.random_state = random_state
        self.threads = threads

    def fit(
        self, X: object, y: object, groups: ArrayLike | None = None, dates: ArrayLike | None = None
    ) -> Self:
        """Learn from n rows.

        Args:
            X: (n, p) numbers, NaN where missing; numpy, pandas or polars.
            y: `Durations`, or a structured array or data frame with its two fields.
            groups: (n,) the customer of each row, where one has several; whole customers are held
                out to choose the number of trees.
            dates: (n,) the date from which each row waits. Dates that were good or bad for
                everybody then do not mislead the trees, and whole months are held out too.

        Raises:
            InputError: what cannot be read, and how to mend it.
            NotTrainableError: fewer than five rows had the event within the reach.
        """
        self._check_settings()
        values = self._values(X, reset=True)
        n = len(values)
        _arrays.require_rows(n)
        waits = self._waits(y, n)
        random = self._random()
        settings = self._settings(waits, int(random.randint(2**31 - 1)))
        key = np.arange(n) if groups is None else _arrays.codes(groups, n)
        key = random.permutation(key.max() + 1)[key]
        day = np.full(n, np.nan) if dates is None else _arrays.day_numbers(dates, n)
        shares = thinning(waits.days, waits.observed, settings.edges, self.max_rows)
        drawn = draw_rows(key, np.nan_to_num(day), shares.rows, settings.seed)
        settings = replace(settings, quiet=shares.quiet)
        waits, values = waits.take(drawn), values[drawn]
        mend = "raise max_rows, by which rows are drawn"
        _arrays.require_events(waits, settings.edges[-1], mend)
        self._scaling = Scaling.of(values)
        rows = MatrixRows(values, self._scaling, day[drawn], key[drawn])
        self.hazard_ = hazard.fit(rows, waits.days, waits.observed, settings)
        self.max_days_ = int(settings.edges[-1])
        self.n_rows_ = len(rows)
        self.n_trees_ = self.hazard_.trees.rounds if self.hazard_.trees else 0
        return self

    def predict_curves(self, X: object) -> Curves:
        """The survival curves of n rows, with all their readings."""
        check_is_fitted(self)
        values = self._values(X, reset=False)
        nobody = np.zeros(len(values))
        rows = MatrixRows(values, self._scaling, nobody, nobody.astype(np.int64))
        return Curves(np.asarray(self.hazard_.settings.edges), self.hazard_.cumulative(rows))

    def predict_survival(self, X: object, days: ArrayLike) -> FloatArray:
        """P(no event within d days) of n rows for each of m days, (n, m).

        Raises `UsageError` for a day beyond `max_days_`.
        """
        return self.predict_curves(X).survival(days)

    def predict_quantile(self, X: object, p: ArrayLike) -> FloatArray:
        """Days after which the probability of the event reaches p: (n,), or (n, k) for k of them.

        inf beyond `max_days_`. Raises `UsageError` unless all p lie strictly between 0 and 1.
        """
        return self.predict_curves(X).quantile(p)

    def predict(self, X: object) -> FloatArray:
        """The median wait in days, (n,); inf where it lies beyond `max_days_`."""
        return self.predict_quantile(X, 0.5)

    def score(self, X: object, y: object) -> float:
        """Mean log-likelihood of n waits, nats per row; higher is better.

        Waits are cut off at `max_days_`, so compare models of one reach. Unlike a Brier score or
        a C-index it needs no follow-up that is complete for everybody, and unlike the latter it
        notices a wrong level.
        """
        curves = self.predict_curves(X)
        waits = self._waits(y, len(curves))
        made = expand(waits.days, waits.observed, curves.edges, self.whole_days)
        rate = (np.diff(curves.cumulative, axis=1) / np.diff(curves.edges))[made.row, made.interval]
        # by day only: ln P(on that day), whose own exposure is half a day
        at_event = 2 * np.sinh(rate / 2) if self.whole_days else rate
        return float((made.event @ np.log(at_event) - rate @ made.exposure) / len(waits))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        return tags

    def _check_settings(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            kind, words = (Real, "number") if name in _ANY_NUMBER else (Integral, "whole number")
            if not isinstance(value, kind) or not np.isfinite(float(value)) or value < least:
                raise InputError(f"{name}: expected a {words} of at least {least:g}, got {value!r}")
        for name in _ABOVE_ZERO:
            value = getattr(self, name)
            if not isinstance(value, Real) or not np.isfinite(float(value)) or value <= 0:
                raise InputError(f"{name}: expected a number above 0, got {value!r}")
        for name in _FLAGS:
            value = getattr(self, name)
            if not isinstance(value, bool | np.bool_):
                raise InputError(f"{name}: expected True or False, got {value!r}")
        days = self.max_days
        if days is not None and (not isinstance(days, Integral) or days < 1):
            raise InputError(f"max_days: expected a whole number of at least 1, got {days!r}")

    def _random(self) -> np.random.RandomState:
        try:
            found: np.random.RandomState = check_random_state(self.random_state)
        except ValueError as error:
            raise InputError(f"random_state: {error}") from error
        return found

    def _settings(self, waits: Durations, seed: int) -> Settings:
        reach = self._reach(waits)
        mend = "follow the rows for longer, give more of them, or check what `observed` means"
        _arrays.require_events(waits, reach, mend)
        edges = interval_edges(reach, waits.days[waits.observed], _EVENTS_PER_INTERVAL)
        made = int(np.searchsorted(edges[1:-1], waits.days).sum()) + len(waits)
        can_split = self.trees and min(made, self.max_rows) >= 2 * self.min_data_in_leaf
        return Settings(
            edges=tuple(edges.tolist()),
            processes=(),
            tree_names=(),
            stages=hazard.STAGES[2 if can_split else 1],
            smooth_sd=self.prior_sd,
            step_sd=_STEP_SD,
            whole_days=self.whole_days,
            trees={name: getattr(self, name) for name in _OF_TREES},
            seed=seed,
            threads=self.threads,
        )

    def _reach(self, waits: Durations) -> int:
        longest = int(np.ceil(waits.days.max(initial=0.0)))
        if self.max_days is None:
            return min(_LONGEST_REACH, longest)
        if self.max_days > longest:
            raise InputError(
                f"max_days: {self.max_days}, but no row was followed for longer than {longest} "
                f"days, and nothing is known of later ones; at most {longest}"
            )
        return self.max_days

    def _waits(self, y: object, n: int) -> Durations:
        waits = _arrays.durations(y)
        _arrays.check_length("y", len(waits), n)
        if self.whole_days and (waits.days % 1 != 0).any():
            raise InputError(
                "y: whole_days=True wants days as whole numbers, 1 for an event on the first day; "
                "round up, or set whole_days=False"
            )
        return waits

    def _values(self, X: object, *, reset: bool) -> FloatArray:
        """X as (n, p) float64 without infinities, its columns in the order of the fit."""
        order = None if reset else getattr(self, "feature_names_in_", None)
        try:
            plain = _arrays.numeric(X, order)
            values: FloatArray = validate_data(
                self, plain, reset=reset, dtype=np.float64, ensure_all_finite=False
            )
        except ValueError as error:
            raise InputError(str(error)) from error
        infinite = np.isinf(values).any(axis=0)
        if infinite.any():
            names = getattr(self, "feature_names_in_", np.arange(values.shape[1]))
            where = _arrays.listed(names[infinite])
            raise InputError(f"X: infinity in column {where}; write NaN for what is missing")
        return values
