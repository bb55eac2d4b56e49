"""A Poisson regression of person-intervals with a ridge of its own for every column.

A ridge is a normal prior on the coefficient of the standardised column; scikit-learn's single
penalty is turned into one prior standard deviation per column by scaling the columns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

FloatArray = NDArray[np.float64]
_SMALLEST_SPREAD = 1e-9


@dataclass(frozen=True)
class PoissonGlm:
    """log hazard = intercept + sum of coefficients x standardised columns.

    `centre`, `spread`, `coefficients` are (q,); a hazard is in events per day. `bounds` column ->
    the least and the most that the training rows had, beyond which a slope says nothing: what lies
    further out counts as that.
    """

    names: tuple[str, ...]
    centre: FloatArray
    spread: FloatArray
    coefficients: FloatArray
    intercept: float
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def log_hazard(self, columns: FloatArray) -> FloatArray:
        """The log hazard (n,) of columns (n, q); NaN counts as the mean of its column."""
        columns = _filled(self._inside(columns), self.centre)
        slopes = self.coefficients / self.spread
        result: FloatArray = columns @ slopes + (self.intercept - float(self.centre @ slopes))
        return result

    def bounded(self, columns: FloatArray, names: Collection[str]) -> PoissonGlm:
        """The same, with some of its columns held within what these training rows (n, q) have."""
        places = {name: i for i, name in enumerate(self.names) if name in names}
        known = {name: i for name, i in places.items() if not np.isnan(columns[:, i]).all()}
        ends = {
            name: (float(np.nanmin(columns[:, i])), float(np.nanmax(columns[:, i])))
            for name, i in known.items()
        }
        return replace(self, bounds=ends)

    def only(self, names: tuple[str, ...]) -> PoissonGlm:
        """The same without its other columns, as if these were at their centre."""
        places = [self.names.index(name) for name in names]
        return replace(
            self,
            names=names,
            centre=self.centre[places],
            spread=self.spread[places],
            coefficients=self.coefficients[places],
        )

    def plus(self, other: PoissonGlm) -> PoissonGlm:
        """The regression whose log hazard is the sum of this one's and of another's.

        Both have the same columns; `ValueError` if not. What is missing, and what lies outside, is
        as this one has it: its means and its bounds.
        """
        if self.names != other.names:
            raise ValueError("only regressions of the same columns can be added")
        slopes = other.coefficients / other.spread
        moved = float((self.centre - other.centre) @ slopes)
        return replace(
            self,
            coefficients=self.coefficients + slopes * self.spread,
            intercept=self.intercept + other.intercept + moved,
        )

    def _inside(self, columns: FloatArray) -> FloatArray:
        if not self.bounds:
            return columns
        columns = columns.copy()
        for i, name in enumerate(self.names):
            if name in self.bounds:
                np.clip(columns[:, i], *self.bounds[name], out=columns[:, i])
        return columns

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON-able data."""
        bounds = {name: list(ends) for name, ends in self.bounds.items()}
        return {
            **({"bounds": bounds} if bounds else {}),
            "names": list(self.names),
            "centre": self.centre.tolist(),
            "spread": self.spread.tolist(),
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PoissonGlm:
        """The model that `to_dict` described."""
        centre, spread, coefficients = (
            np.asarray(data[name], float) for name in ("centre", "spread", "coefficients")
        )
        names, bounds = tuple(data["names"]), data.get("bounds", {})
        ends = {name: (float(least), float(most)) for name, (least, most) in bounds.items()}
        return cls(names, centre, spread, coefficients, float(data["intercept"]), ends)


def _filled(columns: FloatArray, means: FloatArray) -> FloatArray:
    missing = np.isnan(columns)
    return np.where(missing, means, columns) if missing.any() else columns


def _means(columns: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted means of what is known (q,); 0 where nothing is."""
    known = ~np.isnan(columns)
    total = weights @ np.where(known, columns, 0.0)
    return np.asarray(total / np.maximum(weights @ known, _SMALLEST_SPREAD))


def fit_poisson(
    columns: FloatArray,
    events: FloatArray,
    exposure: FloatArray,
    names: tuple[str, ...],
    prior_sd: FloatArray,
    standardise: NDArray[np.bool_],
    offset: FloatArray | None = None,
) -> PoissonGlm:
    """Penalised maximum likelihood of events ~ Poisson(exposure x hazard).

    Args:
        columns: (n, q) inputs; NaN counts as the mean of its column.
        events: (n,) events in each person-interval.
        exposure: (n,) days at risk, > 0.
        names: q column names.
        prior_sd: (q,) prior standard deviation of each coefficient on the log hazard.
        standardise: (q,) whether a column is brought to mean 0 and spread 1 first.
        offset: (n,) a known log hazard that the regression corrects; None is 0.
    """
    from sklearn.linear_model import PoissonRegressor

    # one thread: sums in another order would change the last bits, and with them every hash
    with threadpool_limits(1, "blas"):
        weights = exposure / exposure.sum()
        columns = _filled(columns, _means(columns, weights))
        centre = np.where(standardise, weights @ columns, 0.0)
        squares = np.einsum("n,nq,nq->q", weights, columns, columns)  # columns**2 would be a copy
        variance = squares - (weights @ columns) ** 2
        spread = np.where(standardise, np.sqrt(np.maximum(variance, 0.0)), 1.0)
        spread = np.where(spread > _SMALLEST_SPREAD, spread, 1.0)
        scaled = (columns - centre) / spread * prior_sd
        if offset is not None:
            exposure = exposure * np.exp(offset)
        # about one event per unit of it, or the solver would stop sooner where days are long
        level = np.log(max(events.sum(), 1.0) / exposure.sum())
        exposure = exposure * np.exp(level)
        # scikit-learn divides the likelihood by the total weight; this alpha is a unit prior
        regression = PoissonRegressor(
            alpha=1.0 / exposure.sum(), solver="newton-cholesky", max_iter=50, tol=1e-6
        )
        regression.fit(scaled, events / exposure, sample_weight=exposure)
    return PoissonGlm(
        names, centre, spread, regression.coef_ * prior_sd, float(regression.intercept_ + level)
    )
