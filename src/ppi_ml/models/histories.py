"""Purchase histories as a process sees them, and what every process can do with them.

A *process* is a classical model of when a customer buys. It reads five numbers per customer and
answers one question: how likely is it that nothing is bought during the next days?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from ppi_ml.errors import DataError, UsageError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_CELLS = 2_000_000  # numbers that a survival formula may hold at once: 16 MB per array


@dataclass(frozen=True)
class Histories:
    """What n customers had bought as known at one cutoff; five float64 arrays of shape (n,).

    repeats: purchase days after the first one (x in the literature), whole, 0 or more.
    last_days: days from the first to the last purchase (t_x); 0 exactly if there was only one.
    age_days: days from the first purchase to the cutoff (T), always later than the last purchase.
    gap_log_sum, gap_log_sumsq: sums over the x closed gaps of ln(gap in days) and of its square;
    0 without a gap.

    Raises `DataError` if an array has another shape, holds NaN or breaks these rules. No array
    may have nulls: a customer without a purchase has no history and no row here.
    """

    repeats: FloatArray
    last_days: FloatArray
    age_days: FloatArray
    gap_log_sum: FloatArray
    gap_log_sumsq: FloatArray

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.asarray(getattr(self, field.name), dtype=np.float64)
            object.__setattr__(self, field.name, values)
            if values.ndim != 1 or values.shape != self.repeats.shape:
                raise DataError(
                    f"histories.{field.name}: expected shape {self.repeats.shape[:1]} like "
                    f"repeats, got {values.shape}"
                )
            _require(field.name, "finite, not NaN", np.isfinite(values))
        self._check_order()

    def _check_order(self) -> None:
        x, last = self.repeats, self.last_days
        _require("repeats", "a whole number, 0 or more", (x >= 0) & (x == np.floor(x)))
        _require("last_days", "0 without a repeat, else above 0", (last > 0) == (x > 0))
        _require("last_days", "0 or more", last >= 0)
        _require("age_days", "greater than last_days", self.age_days > last)
        squares = self.gap_log_sumsq * x
        slack = 1e-9 * (1.0 + np.abs(squares))
        _require("gap_log_sumsq", "0 without a repeat", (x > 0) | (self.gap_log_sumsq == 0))
        _require("gap_log_sum", "such that its square is at most repeats * gap_log_sumsq",
                 self.gap_log_sum**2 <= squares + slack)  # fmt: skip

    @classmethod
    def from_purchases(
        cls,
        customers: npt.ArrayLike,
        days: npt.ArrayLike,
        cutoff_day: npt.ArrayLike,
    ) -> Self:
        """Histories from single purchases.

        customers: (k,) codes 0..n-1, each at least once, in any order. days: (k,) when they
        bought, in days on any clock; equal days of a customer count once. cutoff_day: the cutoff
        on the same clock, one number or (n,).
        """
        pairs = np.unique(np.column_stack([np.asarray(customers, float), days]), axis=0)
        code, when = pairs[:, 0].astype(np.int64), pairs[:, 1]
        size = np.bincount(code)
        if (size == 0).any():
            raise DataError("histories: every customer code below the largest needs a purchase")
        first = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(np.int64)
        last = first + size - 1
        same = code[1:] == code[:-1]
        log_gap = np.log(np.diff(when)[same])
        owner = code[1:][same]
        return cls(
            (size - 1).astype(np.float64),
            when[last] - when[first],
            np.asarray(cutoff_day, dtype=np.float64) - when[first],
            np.bincount(owner, log_gap, len(size)).astype(np.float64),
            np.bincount(owner, log_gap**2, len(size)).astype(np.float64),
        )

    def __len__(self) -> int:
        return len(self.repeats)

    @property
    def elapsed_days(self) -> FloatArray:
        """Days since the last purchase, (n,), above 0: the length so far of the open gap."""
        return self.age_days - self.last_days

    def take(self, rows: slice | npt.NDArray[Any]) -> Histories:
        """The histories of some rows: a slice, positions or a boolean mask."""
        return Histories(*(getattr(self, field.name)[rows] for field in fields(self)))


class Process(Protocol):
    """A purchase process: fitted state is a plain dict of floats that goes through JSON."""

    @property
    def name(self) -> str:
        """The name in the registry and in `model.processes` of the config."""
        ...

    def fit(self, histories: Histories) -> dict[str, float]:
        """Maximum-likelihood parameters, times in days, plus `customers` and `log_likelihood`.

        Raises `NotTrainableError` with the reason where the histories say too little.
        """
        ...

    def survival(
        self, state: Mapping[str, float], histories: Histories, days: FloatArray
    ) -> FloatArray:
        """P(no purchase within (T, T + days] | history) for n histories and m days: (n, m).

        Posterior-predictive: customers who have lapsed are part of it. 1 exactly at day 0, never
        increasing in days, within [0, 1]. Days may come in any order; negative ones are an error.
        """
        ...


def evaluate_survival(
    histories: Histories,
    days: npt.ArrayLike,
    formula: Callable[[Histories, FloatArray], FloatArray],
    *,
    cells: int = 1,
) -> FloatArray:
    """Run a survival formula over all histories in bounded memory, (n, m).

    formula: (some histories, days in ascending order (m,)) -> survival (rows, m). cells: numbers
    it holds per answer, such as quadrature nodes. What rounding could break is mended: the result
    is 1 at day 0, never increasing and within [0, 1].
    """
    at = np.asarray(days, dtype=np.float64)
    if at.ndim != 1 or not np.isfinite(at).all() or (at < 0).any():
        raise UsageError("days: expected a one-dimensional list of finite numbers, 0 or more")
    order = np.argsort(at, kind="stable")
    result = np.empty((len(histories), len(at)))
    step = max(1, _CELLS // max(1, len(at) * cells))
    for start in range(0, len(histories), step):
        rows = slice(start, start + step)
        values = formula(histories.take(rows), at[order])
        result[rows, order] = np.minimum.accumulate(np.clip(values, 0.0, 1.0), axis=1)
    result[:, at == 0.0] = 1.0
    return result


def _require(name: str, rule: str, holds: BoolArray) -> None:
    broken = np.flatnonzero(~holds)
    if len(broken):
        raise DataError(
            f"histories.{name}: must be {rule}; {len(broken)} of {len(holds)} rows are not, "
            f"the first at position {broken[0]}"
        )
