"""Whether a log reaches far enough: its tables up to the cutoff, its orders back as in training."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from ppi_ml.errors import DataError
from ppi_ml.event_table import EventTable
from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff

_LOOK_BACK_DAYS = 180
CUT_OFF = 0.75
"""A history shorter than so much of that of the training is told."""


def check(
    log: EventLog, cutoff: Cutoff, most_days: int, *, allow_stale: bool
) -> tuple[EventLog, list[str]]:
    """The log without stale tables, and notes on them; `DataError` unless they are allowed.

    Args:
        log: events; only those known before the cutoff count.
        cutoff: the instant that is asked about.
        most_days: silence before the cutoff that is always accepted, whole days.
        allow_stale: score without a stale table instead of refusing. Stale order lines are used
            all the same, and the note says so.

    A table may be silent for `most_days`, or for as long as the longest silence of its own last
    180 days: a shop that sees one return a week is not stale after three days without one. The lag
    with which its events become known comes on top. A table without dates cannot be stale, nor can
    one whose rows hold until the next, such as stock: there, silence says that nothing changed.
    """
    notes: list[str] = []
    kept = dict(log.tables)
    for name, (silent, expected) in _stale(log, cutoff, most_days).items():
        found = f"{name}: no event is known before {cutoff}"
        if silent is not None:
            found = f"{name}: the last event known before {cutoff} is {silent:,.0f} days old"
        if not allow_stale:
            raise DataError(
                f"{found}, and at most {expected:.0f} days are expected; load newer events, choose "
                f"an earlier cutoff{_latest(log, cutoff, most_days)}, or allow stale tables "
                "(--allow-stale)"
            )
        if name == "order_lines":
            notes.append(f"{found}; every customer looks more silent than they may be")
        else:
            notes.append(f"{found}; its features are null")
            del kept[name]
    return replace(log, tables=kept), notes


def cut_off(log: EventLog, cutoff: Cutoff, began: Cutoff, dated: Cutoff) -> list[str]:
    """A note if the orders hold much less history than those of the training; none if not.

    Args:
        log: events to be scored.
        cutoff: the instant that is asked about.
        began: where the order lines of the training began.
        dated: where they ended.
    """
    before, now = dated.days_since(began), cutoff.days_since(log.observed_from)
    if log.observed_from <= began or now >= CUT_OFF * before:
        return []
    return [
        f"order_lines: they begin {log.observed_from}, so {now:,.0f} days of history where the "
        f"training had {before:,.0f}; what came before is not seen, and customers look newer: "
        "give the whole history"
    ]


def _stale(log: EventLog, cutoff: Cutoff, most_days: int) -> dict[str, tuple[float | None, float]]:
    """Table -> days that it is silent at a cutoff, and days expected, of those that are stale."""
    stale = {}
    for name, table in log.tables.items():
        if not table.dated or table.holds:
            continue
        if table.observed_from >= cutoff:
            continue  # it had not begun: its features are null, as in training
        silent, usual = _silence(table, cutoff)
        expected = max(most_days, usual) + log.known_lag.get(name, 0)
        if silent is None or silent > expected:
            stale[name] = silent, expected
    return stale


def _latest(log: EventLog, cutoff: Cutoff, most_days: int) -> str:
    """The latest date before a cutoff at which no table is stale, in brackets; empty if none is."""
    while stale := _stale(log, cutoff, most_days):
        # what was usual, and known, may be less at that date, so it is looked at again
        days = [0.0 if silent is None else silent - most for silent, most in stale.values()]
        if min(days) <= 0:
            return ""
        cutoff = cutoff.plus(-max(days))
    return f" (the latest is {cutoff})"


def _silence(table: EventTable, cutoff: Cutoff) -> tuple[float | None, float]:
    """Days from the last whole day with an event to the cutoff, and the longest such gap before.

    The gap is the longest in the days that are looked back at. An empty table is never silent; null
    where there are events and none of them was known.
    """
    if table.frame.is_empty():
        return 0.0, 0.0
    known = table.frame.filter(pl.col("known") < cutoff.at)
    day = pl.col("wall") // DAY_US
    last = known.select(day.max()).item()
    if last is None:
        return None, 0.0
    since = cutoff.wall - _LOOK_BACK_DAYS * DAY_US
    recent = known.filter(pl.col("wall") >= since).select(day.unique().sort())["wall"]
    usual = recent.diff().max()
    silent = cutoff.wall / DAY_US - (int(last) + 1)
    return max(silent, 0.0), float(usual) if isinstance(usual, int) else 0.0
