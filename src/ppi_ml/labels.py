"""Snapshot x target -> how long until the event, and whether it was seen. Training only."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from ppi_ml.dataset import Dataset
from ppi_ml.entities import PRODUCT
from ppi_ml.events import EventLog
from ppi_ml.future import Future
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.models.durations import Durations
from ppi_ml.snapshot import Past

SETTLING_QUANTILE = 0.99
_SECOND = 1 / 86_400
_LONGEST_DAY = 26 / 24
"""No local day is longer, not even that of a clock change."""


def settling_days(log: EventLog) -> float:
    """How many days it takes until 99 % of the order lines are known.

    For a table that knows days only, the whole days after an order's own day, which is known when
    it is over.
    """
    table = log.tables["order_lines"]
    late = (table.frame["known"] - table.frame["at"]).quantile(SETTLING_QUANTILE, "higher")
    days = float(late or 0.0) / DAY_US
    if table.granularity == "day":
        return max(0.0, ceil(days - _LONGEST_DAY))
    return days


def usual_gap(log: EventLog) -> float:
    """The median number of days between two purchases of a customer; inf if nobody has two."""
    gaps = Past(log, log.observed_until).purchases["gap_us"].drop_nulls()
    return float(np.median(gaps.to_numpy())) / DAY_US if len(gaps) else inf


def durations(data: Dataset, log: EventLog, as_of: Cutoff, settling: float = 0.0) -> Durations:
    """Days to the next purchase of every row, from the log as known at `as_of`.

    Rows without a purchase are censored at `as_of` less the settling time (days); purchases later
    than that are not counted, because the last days are under-reported. Rows whose cutoff leaves
    no sight at all must not be asked (`ValueError`).
    """
    parts = [_at(data, log, cutoff, as_of, settling) for cutoff in data.cutoffs]
    return Durations(
        np.concatenate([p.days for p in parts]), np.concatenate([p.observed for p in parts])
    )


def _at(data: Dataset, log: EventLog, cutoff: Cutoff, as_of: Cutoff, settling: float) -> Durations:
    sight = as_of.days_since(cutoff) - settling
    if sight <= 0:
        raise ValueError(f"no follow-up between the cutoff {cutoff} and {as_of}")
    wait = Future(log, cutoff, as_of).next_purchase(data.entity.keys)
    days = (
        data.keys_at(cutoff)
        .join(wait, on=data.entity.keys, how="left", maintain_order="left")["days"]
        .fill_null(np.inf)
        .to_numpy()
    )
    ends = np.minimum(sight, _until_outage(data, log, cutoff, as_of))
    observed = days <= ends
    return Durations(np.where(observed, days, ends), observed)


def nobody_bought(data: Dataset, log: EventLog, as_of: Cutoff, settling: float = 0.0) -> str:
    """Why `durations` shows no purchase, and what can be done about it, as one clause.

    The arguments are those of `durations`.
    """
    if data.entity.is_pair and "stock" in log.tables and _stock_hides(data, log, as_of, settling):
        return (
            "by the table stock, what customers buy was out of stock at the training cutoffs and "
            "until it was bought again; look at its dates and its column available, or leave the "
            "table out"
        )
    return f"nobody bought between the training cutoffs and {as_of}; load newer events"


def _stock_hides(data: Dataset, log: EventLog, as_of: Cutoff, settling: float) -> bool:
    """Whether there would be rows, or purchases in them, but for what the table stock says."""
    if not len(data):  # what is out at the cutoff is no row
        outages = [Future(log, c, as_of).next_outage(data.entity) for c in data.cutoffs]
        return any((out["days"] == 0.0).any() for out in outages)
    tables = {name: table for name, table in log.tables.items() if name != "stock"}
    anyway = durations(data, replace(log, tables=tables), as_of, settling)
    return bool(anyway.observed.any())


def uninterrupted(data: Dataset, log: EventLog, as_of: Cutoff, horizon: float) -> NDArray[np.bool_]:
    """Rows whose product could be bought for the whole horizon (n,), bought or not.

    To judge on: keeping those who bought before a product went out, and not those who had not yet,
    would make everybody look faster.
    """
    outages = [_until_outage(data, log, cutoff, as_of) for cutoff in data.cutoffs]
    return np.asarray(np.concatenate(outages) >= horizon)


def _until_outage(
    data: Dataset, log: EventLog, cutoff: Cutoff, as_of: Cutoff
) -> NDArray[np.float64]:
    """Days until what each row is about cannot be bought (n,), above 0; inf if never.

    Nobody can buy what is not there: its silence says nothing, so the row is censored.
    """
    if not data.entity.is_pair or "stock" not in log.tables:
        return np.full(len(data.keys_at(cutoff)), np.inf)
    outages = Future(log, cutoff, as_of).next_outage(data.entity)
    joined = data.keys_at(cutoff).join(outages, on=PRODUCT, how="left", maintain_order="left")
    days = joined["days"].fill_null(np.inf).to_numpy()
    if log.tables["order_lines"].granularity == "day":
        return np.asarray(np.maximum(np.floor(days), 1.0))
    return np.asarray(np.maximum(days, _SECOND))


def within(durations: Durations, horizon: float) -> NDArray[np.bool_]:
    """Whether the event came within the horizon (days); every row must have been seen so long."""
    unripe = ~durations.observed & (durations.days < horizon)
    if unripe.any():
        raise ValueError(f"{int(unripe.sum())} rows were not observed for {horizon:g} days")
    return durations.observed & (durations.days <= horizon)
