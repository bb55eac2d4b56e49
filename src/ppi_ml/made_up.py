"""Rows such as a table could hold, where no real ones are at hand to try a family on.

They name customers, orders and products of real order lines, at times after these; all else is
drawn, and says nothing. What customers do, `ppi_ml.simulate` knows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.instants import DAY_US
from ppi_ml.schema import Column, Table

_WORDS = ("red", "late", "north", "gift", "plain", "loud", "small", "new")
_DAYS_AFTER = 20.0
_NAMED = ("order_id", "sku")
_WIDE = 1_000
"""Bounds further apart say what is possible, and not what is usual."""
FloatArray = NDArray[np.float64]


def rows(
    table: Table, lines: pl.DataFrame, currency: str, most: int = 20_000, seed: int = 7
) -> pl.DataFrame:
    """Raw rows of a table of dated events of customers; every column is there.

    Args:
        table: its declaration.
        lines: order lines as `EventLog.tables` has them; `at` in microseconds UTC.
        currency: that of the log, for columns of currencies.
        most: as many rows as lines, but at most so many; fewer where keys repeat.
        seed: the same rows for the same seed.
    """
    draw = np.random.default_rng(seed)
    last = int(lines["at"].to_numpy().max())
    base = lines[np.sort(draw.permutation(lines.height)[:most])]
    n = base.height
    at = base["at"].to_numpy() + (draw.exponential(_DAYS_AFTER, n) * DAY_US).astype(np.int64)
    at = np.minimum(at, last)
    found: dict[str, object] = {"customer_id": base["customer_id"], "occurred_at": _times(at)}
    for column in table.own:
        if column.name in _NAMED and column.name not in table.key:
            found[column.name] = base[column.name]
        elif column.kind == "id":
            found[column.name] = [f"{column.name}-{i}" for i in range(n)]
        elif column.kind == "time":
            found[column.name] = _times(at + draw.integers(1, 30, n) * DAY_US)
        elif column.kind == "currency":
            found[column.name] = [currency] * n
        elif column.kind == "number":
            found[column.name] = _numbers(column, n, draw)
        else:
            found[column.name] = draw.choice(column.choices or _WORDS, n)
    return pl.DataFrame(found).unique(table.key, keep="first", maintain_order=True)


def _times(at: Iterable[int]) -> pl.Series:
    return pl.Series(at, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))


def _numbers(column: Column, n: int, draw: np.random.Generator) -> FloatArray:
    """Numbers (n,) within the bounds of a column, of stars and points whole ones."""
    ends = [end for end in (column.above, column.least) if end is not None]
    low = max(ends) if ends else min(0.0, np.inf if column.most is None else column.most - 1)
    if column.most is None or column.most > low + _WIDE:
        return np.asarray(low + draw.lognormal(1.0, 0.5, n).round(3))
    whole = np.ceil(low + (column.above == low)), np.floor(column.most)
    if whole[0] < whole[1]:
        return draw.integers(int(whole[0]), int(whole[1]) + 1, n).astype(np.float64)
    return np.asarray(low + (column.most - low) * (1 - draw.random(n)))
