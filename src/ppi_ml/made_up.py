"""Rows such as a table could hold, where no real ones are at hand to try a family on.

They name customers, orders and products of real order lines, at times after these; all else is
drawn, and says nothing. What customers do, `ppi_ml.simulate` knows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from ppi_ml.instants import DAY_US
from ppi_ml.schema import Column, Table

_WORDS = ("red", "late", "north", "gift", "plain", "loud", "small", "new")
_DAYS_AFTER = 20.0
_NAMED = ("customer_id", "order_id", "sku")


def rows(
    table: Table, lines: pl.DataFrame, currency: str, most: int = 20_000, seed: int = 7
) -> pl.DataFrame:
    """Raw rows of a table of dated events of customers; every column is there.

    Args:
        table: its declaration.
        lines: order lines as `EventLog.tables` has them; `at` in microseconds UTC.
        currency: that of the log, for columns of currencies.
        most: as many rows as lines, but at most so many.
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
        else:
            found[column.name] = _drawn(column, n, draw)
    return pl.DataFrame(found)


def _times(at: Iterable[int]) -> pl.Series:
    return pl.Series(at, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))


def _drawn(column: Column, n: int, draw: np.random.Generator) -> object:
    if column.kind == "number":
        if column.least is not None and column.most is not None and column.most < 1_000:
            return draw.integers(int(np.ceil(column.least)), int(column.most) + 1, n).astype(float)
        return np.maximum(draw.lognormal(1.0, 0.5, n), column.least or 0.0).round(3)
    return draw.choice(column.choices or _WORDS, n)
