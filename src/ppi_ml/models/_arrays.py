"""What people hand to an estimator, as arrays; or a sentence that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import ArrayLike, NDArray

from ppi_ml.errors import InputError, NotTrainableError
from ppi_ml.models.durations import Durations

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST_EVENTS = 5
"""With fewer events even the level is a guess: the 95 % interval of a rate that rests on five of
them (Poisson, exact) reaches from a third of it to 2.3 times it."""
_ENCODE = "encode text as numbers, and dates as days since something"
_GIVE = "give Durations(days, observed), or a structured array or data frame with these fields"


def numeric(X: object, order: Sequence[str] | None) -> object:
    """X as scikit-learn reads it: a pandas frame or an array, of numbers alone.

    The columns of a frame come in the given order, if they are the same. NaN and infinity stay.
    """
    if isinstance(X, pl.DataFrame):
        fine = [dtype.is_numeric() or dtype == pl.Boolean for dtype in X.dtypes]
    elif isinstance(X, pd.DataFrame):
        fine = [pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes]
    else:
        return _numeric_array(X)
    columns = list(X.columns)
    wrong = [name for name, ok in zip(columns, fine, strict=True) if not ok]
    if wrong:
        raise InputError(f"X: no numbers in {listed(wrong)}; {_ENCODE}")
    if len(set(columns)) < len(columns):
        raise InputError("X: two columns have the same name")
    frame = X.cast(pl.Float64).to_pandas() if isinstance(X, pl.DataFrame) else X
    same = order is not None and set(order) == set(columns)
    return frame[list(order)] if order is not None and same else frame


def _numeric_array(X: object) -> object:
    array: Any = X if hasattr(X, "dtype") else np.asarray(X)
    if array.dtype.kind in "USmM":
        raise InputError(f"X: no numbers but {array.dtype}; {_ENCODE}")
    if array.dtype.kind != "O":
        return array
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):  # numpy's own message would show the value
        raise InputError(f"X: some objects in it are no numbers; {_ENCODE}") from None


def durations(y: object) -> Durations:
    """The waits in anything that has the two fields."""
    if isinstance(y, Durations):
        return y
    if y is None:
        raise InputError(f"HazardModel requires y to be passed, but the target y is None; {_GIVE}")
    given: Any = y
    names = getattr(getattr(y, "dtype", None), "names", None) or getattr(y, "columns", None)
    if not {"days", "observed"} <= set(() if names is None else names):
        raise InputError(f"y: no fields called days and observed; {_GIVE}")
    try:
        return Durations(given["days"], given["observed"])
    except ValueError as error:
        raise InputError(f"y: {error}") from error


def codes(groups: ArrayLike, n: int) -> IntArray:
    """A number from 0 per group, (n,), in order of appearance."""
    found, _ = pd.factorize(_column("groups", groups, n))
    if (found < 0).any():
        raise InputError("groups: some are missing; every row needs its customer")
    return np.asarray(found, dtype=np.int64)


def day_numbers(dates: ArrayLike, n: int) -> FloatArray:
    """Days since 1970-01-01, (n,); of times in a zone, the local day."""
    column = _column("dates", dates, n)
    if column.dtype.kind in "biufc":
        raise InputError(f"dates: expected dates like 2026-03-31, got {column.dtype}")
    try:
        found = pd.DatetimeIndex(column).tz_localize(None)
    except (TypeError, ValueError):
        raise InputError("dates: expected dates like 2026-03-31, got something else") from None
    if found.isna().any():
        raise InputError("dates: some are missing; every row needs its date")
    return found.to_numpy().astype("datetime64[D]").astype(np.float64)


def _column(name: str, given: ArrayLike, n: int) -> NDArray[Any]:
    column = np.asarray(given)
    if column.ndim != 1:
        raise InputError(f"{name}: expected shape ({n},), got {column.shape}")
    check_length(name, len(column), n)
    return column


def require_rows(n: int) -> None:
    """Refuse fewer rows than must have had their event."""
    if n < LEAST_EVENTS:
        raise InputError(
            f"X: {n} sample{'s' * (n != 1)}, which is too few to learn from; give more rows: at "
            f"least {LEAST_EVENTS} must have had their event"
        )


def require_events(waits: Durations, reach: float, mend: str) -> None:
    """`NotTrainableError`, with what would mend it, for too few events within the reach in days."""
    events = int((waits.observed & (waits.days <= reach)).sum())
    if events < LEAST_EVENTS:
        raise NotTrainableError(
            f"y: {f'only {events}' if events else 'none'} of {len(waits):,} rows had the event "
            f"within {reach:g} days, and a hazard is learned from at least {LEAST_EVENTS}; {mend}"
        )


def check_length(name: str, found: int, n: int) -> None:
    """Refuse what has not one value per row of X."""
    if found != n:
        raise InputError(f"{name}: {found} rows, but X has {n}")


def listed(names: Iterable[object]) -> str:
    """The first few of some names, for a message."""
    texts = [str(name) for name in names]
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
