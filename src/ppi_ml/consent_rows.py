"""What is judged of the rows of `consents` while they are loaded, beyond the rules of the schema.

A row that cannot be read must never widen what may be used. A `granted` that is no word is taken
for a no (the schema says so). Where anything else of a denial is unreadable nobody can say from
when on it holds, or of what, so nothing is loaded until it is mended.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import polars as pl

from ppi_ml.errors import DataError
from ppi_ml.ledger import Ledger
from ppi_ml.summaries import SHARED_BY

TABLE, PURPOSE = "consents", "profiling"
"""The table, and the one of its purposes that is read."""
_MOST_NAMED = 5


def refuse_lost(frame: pl.DataFrame, raw: pl.DataFrame, ledger: Ledger) -> None:
    """`DataError` if a row that would be quarantined may deny profiling; it names rows and rules.

    `frame` (n,) holds the columns as far as they were read, `raw` (n,) the cells. A row without a
    customer denies nobody anything, and one that says yes can only have allowed something.
    """
    about = pl.col("purpose").str.to_lowercase().fill_null(PURPOSE) == PURPOSE
    denies = (pl.col("granted") != "yes").fill_null(True) & pl.col("customer_id").is_not_null()
    lost = frame.filter(~ledger.sound & frame.select(about & denies).to_series())["row"]
    if lost.is_empty():
        return
    found = ledger.quarantined(TABLE, raw).filter(pl.col("row").is_in(lost.implode()))
    named = found.select("row", "rule").head(_MOST_NAMED).rows()
    rows = "; ".join(f"row {row}: {rule}" for row, rule in named)
    more = f"; and {lost.len() - len(named):,} more" if lost.len() > len(named) else ""
    raise DataError(
        f"{lost.len():,} of {frame.height:,} rows cannot be read and may deny {PURPOSE}; without "
        f"them, customers who said no would be used. Counted from 0, {rows}{more}. Mend them; a "
        "denial of unknown date may bear a very early one, such as 1990-01-01"
    )


def unread(frame: pl.DataFrame) -> list[str]:
    """A note on the rows about purposes that nothing reads, with those that look like a slip.

    Of other words only those are named that so many customers share that they are nobody's own.
    """
    purpose = pl.col("purpose").str.to_lowercase()
    others = (
        frame.filter(purpose != PURPOSE)
        .group_by(purpose)
        .agg(rows=pl.len(), by=pl.col("customer_id").n_unique())
        .sort("rows", "purpose", descending=[True, False])
        .rows()
    )
    if not others:
        return []
    every = sum(rows for _, rows, _ in others)
    like = [(word, rows) for word, rows, _ in others if _like(word)]
    shared = [(word, rows) for word, rows, by in others if by >= SHARED_BY and not _like(word)]
    nameless = every - sum(rows for _, rows in (*like, *shared))
    told = [*_listed(shared), *([f"other words ({nameless:,})"] if nameless else [])]
    note = (
        f"{TABLE}: {every:,} of {frame.height:,} rows are about purposes that nothing reads; only "
        f"{PURPOSE} is read"
    )
    if told:
        note += f". Unread: {', '.join(told)}"
    if like:
        note += (
            f". Is {PURPOSE} meant by {', '.join(_listed(like))}? As it is written, what these "
            "rows deny is not heeded"
        )
    return [note]


def _like(word: str) -> bool:
    return bool(get_close_matches(word, [PURPOSE], n=1, cutoff=0.8))


def _listed(words: Iterable[tuple[str, int]]) -> list[str]:
    return [f"{word} ({rows:,})" for word, rows in words]
