"""Who is drawn where a shop has more than a training needs: by hash, so nothing else decides."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.events import EventLog


def uniform(ids: pl.Series, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for every id (n,), from the id and the seed alone."""
    salt = f"{seed}:"
    return np.array([crc32((salt + name).encode()) for name in ids], dtype=np.float64) / 2.0**32


def buyers(log: EventLog) -> pl.Series:
    """The ids of all customers with an order, sorted (n,): there is nothing to learn of others."""
    return log.tables["order_lines"].frame["customer_id"].unique().sort()


def customers(log: EventLog, most: int, seed: int) -> EventLog:
    """The log of `most` of its customers with an order; the log itself where there are no more.

    A customer comes with all events or with none, and stands for all those who were not drawn, so
    what is learned from the drawn needs no weights. Tables without customers stay whole.
    """
    ids = buyers(log)
    if len(ids) <= most:
        return log
    lowest = np.argsort(uniform(ids, seed), kind="stable")[:most]
    return log.only(ids.gather(lowest).to_list())


def said(whole: EventLog, drawn: EventLog) -> tuple[str, ...]:
    """A sentence on how many were drawn; none if everybody was."""
    if drawn is whole:
        return ()
    some, every = (len(buyers(log)) for log in (drawn, whole))
    return (
        f"Learned from and judged on {some:,} of {every:,} customers, drawn by hash "
        "(model.max_customers); everybody is scored.",
    )
