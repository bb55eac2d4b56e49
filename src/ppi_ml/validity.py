"""Which row of a table without dates holds: of those with one key, the newest that has begun.

A row of products or customers holds, and is known, from its `valid_from` on, until the next row of
its key; one without `valid_from` holds from the beginning. Whoever reads such a table asks here, so
that what a product is called today is not what it was called at an earlier cutoff.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.schema import VALID_FROM

_BEGINNING = -(2**62)


def changes(frame: pl.DataFrame) -> bool:
    """Whether any row of a canonical frame says from when on it holds."""
    return frame[VALID_FROM].count() > 0


def begun(frame: pl.DataFrame, at: int) -> pl.DataFrame:
    """The rows that hold at an instant (microseconds UTC) or held before it."""
    return frame.filter(pl.col(VALID_FROM).is_null() | (pl.col(VALID_FROM) <= at))


def holding(frame: pl.DataFrame, key: str, at: int) -> pl.DataFrame:
    """One row per key, the one that holds at an instant; without `valid_from`.

    A key of which no row has begun has none. The frame is sorted by key and `valid_from`.
    """
    if changes(frame):
        frame = begun(frame, at).unique(key, keep="last", maintain_order=True)
    return frame.drop(VALID_FROM)


def since(frame: pl.DataFrame, key: str, start: int) -> pl.DataFrame:
    """The rows that hold at an instant or later; the others were superseded before it.

    The frame is sorted by key and `valid_from`.
    """
    if not changes(frame):
        return frame
    before = pl.col(VALID_FROM).is_null() | (pl.col(VALID_FROM) <= start)
    later = (~before).sum().over(key)
    back = pl.len().over(key) - pl.int_range(pl.len()).over(key)  # 1 for the last row of a key
    return frame.filter(back <= later + 1)


def beside(rows: pl.DataFrame, frame: pl.DataFrame, key: str, when: str) -> pl.DataFrame:
    """The rows, in their order, with what held for each at an instant of its own; null for nothing.

    Args:
        rows: what is described; it has the columns `key` and `when` (microseconds UTC).
        frame: `key`, `valid_from`, and the columns to add.
        key: the column that names the same in both.
        when: the column of the instants.
    """
    if not changes(frame):
        return rows.join(frame.drop(VALID_FROM), on=key, how="left", maintain_order="left")
    dated = frame.with_columns(pl.col(VALID_FROM).fill_null(_BEGINNING)).sort(VALID_FROM)
    joined = rows.with_row_index("_row").sort(when).join_asof(
        dated, left_on=when, right_on=VALID_FROM, by=key,
        check_sortedness=False,  # both are sorted; with keys polars cannot see it
    )  # fmt: skip
    return joined.sort("_row").drop("_row", VALID_FROM, strict=False)
