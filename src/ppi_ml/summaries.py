"""What a table looks like, column by column, so that a later load can be compared with this one.

A summary is part of the load report. It holds shares, quantiles and the words of small
vocabularies, never a cell of one customer: a word of a free column is named only where many
customers share it, and texts and ids never.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from ppi_ml.instants import DAY_US
from ppi_ml.schema import VALID_FROM, Column, Table

NEWEST_DAYS = 90  # a change of last month would drown in the shares of three years
FEWEST_ROWS = 50  # of fewer rows no share or quantile is worth telling
SAMPLE = 1_000_000  # rows that quantiles and words are taken from, evenly spread
MOST_WORDS = 50  # a vocabulary of more is none
SHARED_BY = 20  # a word that so many customers have is no customer's own
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
_NO_VOCABULARY = ("text", "campaign", "promo_code")  # what customers write, what comes and goes


@dataclass(frozen=True)
class ColumnSummary:
    """One column of a table; what is told of the newest rows is null where they are under 50.

    `given`: the column was there; else it holds its default, or nothing. `empty`: share of empty
    cells of all rows, `empty_newest` of the newest. `plain`: share of numbers that are whole, of
    ids that are digits alone; `zeros`: share of ids that begin with 0. `distinct`: how many words
    a column of words has, null above 1,000. `quantiles`: the 1, 25, 50, 75 and 99 % points of
    numbers, in their own unit, and of times in days after `occurred_at`. `words`: word -> share
    of the filled cells, null where the column is no small vocabulary.
    """

    kind: str
    given: bool
    empty: float
    empty_newest: float | None = None
    plain: float | None = None
    zeros: float | None = None
    distinct: int | None = None
    quantiles: tuple[float, ...] | None = None
    words: dict[str, float] | None = None


@dataclass(frozen=True)
class TableSummary:
    """One table: all of its rows, and its newest 90 days (all of it where there are no dates).

    `money` is the currency where the table has one; `newest_rows` how many rows the newest days
    hold, `rows_per_day` as many divided by those days, null without dates.
    """

    granularity: str
    timezone: str
    money: str | None
    rows: int
    newest_rows: int
    rows_per_day: float | None
    columns: dict[str, ColumnSummary]

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON-able data; what is null of a column is left out."""
        columns = {
            name: {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(column).items()
                if value is not None
            }
            for name, column in self.columns.items()
        }
        return {**asdict(self), "columns": columns}


def summarize(
    frame: pl.DataFrame,
    table: Table,
    given: Collection[str],
    granularity: str,
    timezone: str,
    currency: str,
) -> TableSummary:
    """The summary of one table.

    Args:
        frame: its canonical frame.
        table: its declaration.
        given: names of the columns that were there before defaults were put in.
        granularity: `instant` or `day`.
        timezone: the business zone.
        currency: that of the log.
    """
    newest, days = newest_rows(frame) if table.dated else (frame, None)
    told = newest if newest.height >= FEWEST_ROWS else None
    sample = None if told is None else told.gather_every(1 + told.height // SAMPLE)
    columns = {
        column.name: _column(column, frame, told, sample, column.name in given)
        for column in table.columns
        if column.name not in ("occurred_at", VALID_FROM) and column.kind != "currency"
    }
    priced = any(column.kind == "currency" for column in table.columns)
    pace = None if days is None else _short(newest.height / days)
    money = currency if priced else None
    return TableSummary(granularity, timezone, money, frame.height, newest.height, pace, columns)


def newest_rows(frame: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """The rows of the newest days, and how many days these are; a few wild dates do not count."""
    first, last = frame["wall"].min(), frame["wall"].max()
    if not isinstance(first, int) or not isinstance(last, int):
        return frame, 1.0
    usual = frame["wall"].quantile(0.999, "lower")
    if isinstance(usual, int | float) and last - usual > NEWEST_DAYS * DAY_US:
        last = int(usual)
    days = min(float(NEWEST_DAYS), (last - first) / DAY_US)
    rows = frame.filter(pl.col("wall").is_between(last - NEWEST_DAYS * DAY_US, last))
    return rows, max(days, 1.0)


def _column(
    column: Column,
    frame: pl.DataFrame,
    newest: pl.DataFrame | None,
    sample: pl.DataFrame | None,
    given: bool,
) -> ColumnSummary:
    name = "known" if column.name == "known_at" else column.name
    empty = _share(frame[name].null_count(), frame.height)
    if newest is None or sample is None:
        return ColumnSummary(column.kind, given, empty)
    empty_newest = _share(newest[name].null_count(), newest.height)
    filled = sample.filter(pl.col(name).is_not_null())
    about: dict[str, Any] = {}
    if filled.height:
        if column.kind == "id":
            about = _ids(filled[name])
        elif column.kind == "number":
            about = _numbers(filled[name])
        elif column.kind == "time" and "at" in filled.columns:
            about = {"quantiles": _quantiles((filled[name] - filled["at"]) / DAY_US)}
        elif column.kind in ("text", "choice") and column.name not in _NO_VOCABULARY:
            about = _words(column, filled)
    return ColumnSummary(column.kind, given, empty, empty_newest, **about)


def _ids(ids: pl.Series) -> dict[str, Any]:
    digits = ids.str.contains(r"^\d+$")
    return {
        "plain": _share(int(digits.sum()), len(ids)),
        "zeros": _share(int(ids.str.contains(r"^0\d+$").sum()), len(ids)),
    }


def _numbers(values: pl.Series) -> dict[str, Any]:
    whole = int((values == values.round()).sum())
    quantiles = _quantiles(values) if len(values) >= FEWEST_ROWS else None
    return {"plain": _share(whole, len(values)), "quantiles": quantiles}


def _quantiles(values: pl.Series) -> tuple[float, ...]:
    ordered = values.cast(pl.Float64).sort()
    return tuple(_short(float(ordered[round(q * (len(ordered) - 1))])) for q in QUANTILES)


def _words(column: Column, filled: pl.DataFrame) -> dict[str, Any]:
    """How many words there are, and the share of each where they are few."""
    of_customers = "customer_id" in filled.columns
    shared = pl.col("customer_id").n_unique() if of_customers else pl.lit(SHARED_BY)
    counts = filled.group_by(column.name).agg(rows=pl.len())
    if counts.height > MOST_WORDS:
        return {"distinct": counts.height if counts.height <= 1_000 else None}
    found = filled.group_by(column.name).agg(rows=pl.len(), by=shared).sort(column.name)
    words = {
        word: _share(rows, filled.height)
        for word, rows, by in found.iter_rows()
        if word in column.choices or by >= SHARED_BY
    }
    return {"distinct": counts.height, "words": words}


def _plain(value: object) -> object:
    """As JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _short(value: float) -> float:
    """Four digits are enough to compare, and too few to tell a single cell by."""
    return float(f"{value:.4g}")
