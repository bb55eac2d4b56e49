"""How long until the event, and whether it was seen: what every model of waits is fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ppi_ml.errors import InputError

Rows = int | slice | Sequence[int] | NDArray[np.bool_] | NDArray[np.int64]
_FIELDS = [("days", np.float64), ("observed", np.bool_)]


@dataclass(frozen=True)
class Durations:
    """Days to the event or to the end of sight, one per row.

    `days` (n,) float64 > 0; `observed` (n,) bool: True if the event came after `days`, False if
    nothing had happened by then. Lists and Series will do; `InputError` for what cannot be a wait.
    Rows are chosen as in numpy: `waits[:100]`, `waits[mask]`, `waits[[3, 1]]` (and `waits[3]` is
    that one row); so scikit-learn can split it. As a numpy array it is structured, with these two
    fields.
    """

    days: NDArray[np.float64]
    observed: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse what cannot be a waiting time."""
        object.__setattr__(self, "days", _numbers(self.days))
        object.__setattr__(self, "observed", _flags(self.observed))
        if self.days.shape != self.observed.shape or self.days.ndim != 1:
            raise InputError(
                f"days and observed must both be (n,), got {self.days.shape} and "
                f"{self.observed.shape}"
            )
        wrong = int((~(np.isfinite(self.days) & (self.days > 0))).sum())
        if wrong:
            raise InputError(
                f"days must be finite and greater than 0; {wrong:,} of {len(self):,} are not. What "
                "happens at once waited a little: for times that are known by the day, 1 is the "
                "first day"
            )

    def __len__(self) -> int:
        return len(self.days)

    def __getitem__(self, rows: Rows) -> Durations:
        """The chosen rows."""
        return Durations(np.atleast_1d(self.days[rows]), np.atleast_1d(self.observed[rows]))

    @property
    def shape(self) -> tuple[int]:
        """(n,), as of a numpy array; scikit-learn asks for it before it splits."""
        return (len(self),)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise InputError("durations are two arrays: one array of them is always a copy")
        both = np.empty(len(self), dtype=_FIELDS)
        both["days"], both["observed"] = self.days, self.observed
        return both if dtype is None else both.astype(dtype)

    def followed(self, days: float) -> NDArray[np.bool_]:
        """Which rows were seen to the event, or for so many days (n,)."""
        return np.asarray(self.observed | (self.days >= days))

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Durations:
        """The chosen rows."""
        return self[rows]


def _numbers(days: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(days)
    if values.dtype.kind not in "fiub":
        raise InputError(
            f"days must be numbers, got {values.dtype}; a length of time is made into days by "
            "dividing it by one day"
        )
    return values.astype(np.float64, copy=False)


def _flags(observed: ArrayLike) -> NDArray[np.bool_]:
    values = np.asarray(observed)
    if values.dtype.kind in "US" or not np.isin(values, (0, 1)).all():
        raise InputError("observed must be True or False, without gaps")
    return values.astype(np.bool_, copy=False)
