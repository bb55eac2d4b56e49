"""Out-of-time predictions of model and baselines on the same rows, and the parts that are scored.

A prediction is a survival curve at the days of a grid; where a target is judged at its horizon
alone, the grid is that one day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from ppi_ml.declare import Metric
from ppi_ml.entities import CUSTOMER
from ppi_ml.errors import UsageError
from ppi_ml.score_rows import ELIGIBLE, EVERYBODY, LOSSES, MODEL, POOLED

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
StrArray = npt.NDArray[np.str_]
SurvivalArray = npt.NDArray[np.float64] | npt.NDArray[np.float32]
"""Survival (n, k): a curve has many days, and the seven digits of a float32 are enough."""
_RISE = 1e-6  # what rounding may make a curve rise


@dataclass(frozen=True)
class Backtest:
    """Out-of-time predictions of model and baselines on the same n rows (entity, cutoff).

    `customer` holds integer codes, `cutoff` the ISO date of the test cutoff, `eligible` whether
    the target is asked about the row. `days` and `observed` are the days to the next purchase, or
    (not observed) to the end of sight, which must be `horizon_days` or more. `grid` (k,) are the
    days at which the curves in `predictions` (n, k) stand, rising, the last one the horizon:
    P(no purchase within so many days), the key "model" being ours; `untrainable` says why a
    baseline is missing. `horizon_days` is the horizon judged, at most the `asked_days` of the
    target. `metric` is the loss that decides: "log_loss" at the horizon, or "ibs" up to it.
    `whole_days` says that `days` are whole numbers because the log knows dates only. `segments`
    name -> rows of a kind (n,), of which the eligible ones are scored; they may overlap.

    Arrays of another shape, and curves that are missing, outside [0, 1] or rising, are refused
    with a `UsageError`.
    """

    customer: IntArray
    cutoff: StrArray
    eligible: BoolArray
    days: FloatArray
    observed: BoolArray
    grid: FloatArray
    predictions: Mapping[str, SurvivalArray]
    untrainable: Mapping[str, str]
    horizon_days: int
    asked_days: int
    metric: Metric = "log_loss"
    whole_days: bool = False
    segments: Mapping[str, BoolArray] = field(default_factory=dict)
    question: str = ""
    """What is asked, in words; empty: the usual question about purchases. With words of its own a
    backtest is about something that happens: a prediction is P(it happens), and a row to which it
    did is one that was not observed to purchase."""
    entity: str = CUSTOMER
    """What a row is about, by its name."""
    same_as: str | None = None
    """The baseline that our recipe itself is: a purchase process that was chosen alone."""

    def __post_init__(self) -> None:
        self._check_rows()
        self._check_question()
        names = set(self.predictions)
        if MODEL not in names or names & set(self.untrainable):
            raise UsageError(
                f'backtest: predictions: expected "{MODEL}" and only what was trainable; '
                f"got {sorted(names)}, not trainable {sorted(self.untrainable)}"
            )
        for name in sorted(names):
            _check_curves(name, self.predictions[name], (len(self.days), len(self.grid)))

    def _check_rows(self) -> None:
        shape = (len(self.days),)
        flags = {"eligible": self.eligible, "observed": self.observed, **self.segments}
        columns = {"customer": self.customer, "cutoff": self.cutoff, "days": self.days, **flags}
        for name, column in columns.items():
            if np.shape(column) != shape:
                raise UsageError(f"backtest: {name}: expected {shape}, got {np.shape(column)}")
        for name, column in flags.items():
            if np.asarray(column).dtype != np.bool_:
                raise UsageError(f"backtest: {name}: expected true or false (bool)")
        taken = {ELIGIBLE, EVERYBODY} & set(self.segments)
        if taken:
            raise UsageError(f"backtest: segments: {sorted(taken)} are names of the scorecard")

    def _check_question(self) -> None:
        if not 0 < self.horizon_days <= self.asked_days:
            raise UsageError(
                f"backtest: horizon_days: expected 1 to {self.asked_days} (asked_days), "
                f"got {self.horizon_days}"
            )
        if self.metric not in LOSSES:
            expected = " or ".join(LOSSES)
            raise UsageError(f'backtest: metric: expected {expected}, got "{self.metric}"')
        grid = np.asarray(self.grid, dtype=np.float64)
        whole = grid.ndim == 1 and len(grid) and not (grid % 1).any()
        if not whole or (np.diff(grid, prepend=0) <= 0).any() or grid[-1] != self.horizon_days:
            raise UsageError(
                "backtest: grid: expected whole days that rise from 1 or more to the horizon of "
                f"{self.horizon_days}, got {grid.tolist()}"
            )
        if not (np.isfinite(self.days).all() and (np.asarray(self.days) > 0).all()):
            raise UsageError("backtest: days: expected finite numbers above 0")
        short = int(np.sum(~self.observed & (self.days < self.horizon_days)))
        if short:
            raise UsageError(
                f"backtest: days: {short} rows without a purchase were not followed for "
                f"{self.horizon_days} days; judge them at an earlier horizon"
            )

    @property
    def event(self) -> BoolArray:
        """Whether a purchase fell in [cutoff, cutoff + horizon), (n,)."""
        return np.asarray(self.observed & (self.days <= self.horizon_days))

    @property
    def baselines(self) -> list[str]:
        """Names of the baselines that have predictions, sorted."""
        return sorted(set(self.predictions) - {MODEL})

    def curves(self, name: str) -> FloatArray:
        """One model's curves (n, k), as they are; float32 counts as float64."""
        return cast(FloatArray, np.asarray(self.predictions[name]))

    def at_horizon(self, name: str) -> FloatArray:
        """One model's P(no purchase within the horizon), (n,)."""
        return np.asarray(self.predictions[name][:, -1], dtype=np.float64)

    def in_order(self) -> Backtest:
        """The same rows in an order of their own, so that sums repeat to the last bit.

        By cutoff and customer; what else tells rows apart matters only where both are the same.
        """
        ties = [self.at_horizon(name) for name in sorted(self.predictions)]
        kinds = [self.segments[name] for name in sorted(self.segments)]
        keys = (*ties, *kinds, self.days, self.observed, self.eligible, self.customer, self.cutoff)
        order = np.lexsort(tuple(np.asarray(key) for key in keys))
        if (order == np.arange(len(order))).all():
            return self
        return self.take(order)

    def take(self, rows: IntArray | slice) -> Backtest:
        """The chosen rows, in the order given."""
        return replace(
            self,
            customer=np.asarray(self.customer)[rows],
            cutoff=np.asarray(self.cutoff)[rows],
            eligible=np.asarray(self.eligible)[rows],
            days=np.asarray(self.days)[rows],
            observed=np.asarray(self.observed)[rows],
            predictions={name: values[rows] for name, values in self.predictions.items()},
            segments={name: mask[rows] for name, mask in self.segments.items()},
        )


@dataclass(frozen=True)
class Slice:
    """Rows (n,) that are scored together: those of a cutoff or of all, of one segment."""

    cutoff: str
    segment: str
    mask: BoolArray


def slices_of(backtest: Backtest) -> list[Slice]:
    """The eligible rows pooled, at each cutoff and by segment, and everybody; no empty ones."""
    eligible = np.asarray(backtest.eligible)
    everybody = np.ones_like(eligible)
    found = [
        Slice(POOLED, ELIGIBLE, eligible),
        *(
            Slice(str(cutoff), ELIGIBLE, eligible & (backtest.cutoff == cutoff))
            for cutoff in np.unique(backtest.cutoff)
        ),
        *(Slice(POOLED, name, eligible & mask) for name, mask in backtest.segments.items()),
        Slice(POOLED, EVERYBODY, everybody),
    ]
    return [part for part in found if part.mask.any()]


def _check_curves(name: str, values: SurvivalArray, shape: tuple[int, int]) -> None:
    """Refuse what is no survival curve."""
    where = f"backtest: predictions of {name}"
    if np.shape(values) != shape:
        raise UsageError(f"{where}: expected {shape}, got {np.shape(values)}")
    if not np.issubdtype(np.asarray(values).dtype, np.floating):
        raise UsageError(f"{where}: expected numbers (float), got {np.asarray(values).dtype}")
    if not len(values):
        return
    missing = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
    if missing:
        raise UsageError(f"{where}: must be finite, got {missing} of {len(values)} that are not")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise UsageError(f"{where}: must lie in [0, 1], got {low:g} to {high:g}")
    rising = int(np.count_nonzero((values[:, 1:] > values[:, :-1] + _RISE).any(axis=1)))
    if rising:
        raise UsageError(f"{where}: must never rise with the days, got {rising} rows that do")
