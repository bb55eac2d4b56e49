"""Where a table really ends: a few rows dated far after the rest only seem to prolong it.

One order dated wrongly by a year would move the end of the log by a year, and the last cutoffs into
a time in which nobody bought. A shop that pauses and goes on is another matter: after its silence
there is volume again. So a silence is judged by what follows it, never by its length alone.

A day is *alive* if the week that ends with it holds at least the square root of a usual week: of
140 orders 12, of 7 orders 3. Usual is the week of the median row. What lies after the last day that
is alive is stray if a silence lies there that is longer than every one before, and than 27 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.errors import DataError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.schema import Table

LEAST_SILENCE_DAYS = 28
"""As long as the shortest horizon: so much silence leaves a cutoff without an event to see."""
_JUDGED_ROWS = 50  # of fewer rows no volume is usual
_WEEK = 7


@dataclass(frozen=True)
class Silence:
    """The silence near the end of a table, and what lies behind it.

    `last` is the last day that is alive; `rows` lie after it up to `end`, 0 where the table is only
    said to go on. `days` is the longest silence there, `usual` the longest one before, whole days.
    """

    last: date
    rows: int
    end: date
    days: int
    usual: int

    @property
    def cure(self) -> str:
        """The setting that ends the log where it is still alive."""
        return f"data.until: {self.last + timedelta(days=1)}"

    def __str__(self) -> str:
        longest = f"{self.days} days (the longest before: {self.usual})"
        if not self.rows:
            return f"the last event is of {self.last}, and then there is a silence of {longest}"
        lie = "rows lie" if self.rows > 1 else "row lies"
        where = f"after {self.last}, up to {self.end}"
        return f"{self.rows:,} {lie} {where}, behind a silence of {longest}"


def noted(frame: pl.DataFrame, table: Table) -> list[str]:
    """A note if the last rows of a table are stray.

    `frame` holds `wall` and the key of the table. Where rows hold on, silence says nothing.
    """
    found = None if table.holds else silence(frame, table.once_per)
    if found is None:
        return []
    return [
        f"{table.name}: {found}; if these dates are wrong, mend them or set {found.cure}, because "
        "they say where the table ends"
    ]


def check(frame: pl.DataFrame, table: Table, until: Cutoff, *, cut: bool) -> None:
    """`DataError` if a table really ended long before the last of its rows in its period.

    To train on it would mean to judge at cutoffs after which nothing happens.

    Args:
        frame: its canonical frame.
        table: its declaration.
        until: the end of its period; rows of a later day do not make it longer.
        cut: the end was chosen by a person, so a silence up to it counts as well.
    """
    inside = frame.filter(pl.col("wall") // DAY_US <= until.wall // DAY_US)
    found = silence(inside, table.once_per, until.wall if cut else None)
    if found is None:
        return
    paused = "load the days since it opened again" if found.rows else "load newer events"
    raise DataError(
        f"{table.name}: {found}. The log would end at {until}, and its last cutoffs would stand in "
        f"a time without orders. If dates are wrong, mend them; to end the log before, set "
        f"{found.cure}; if the shop did pause, {paused}"
    )


def silence(
    frame: pl.DataFrame, key: str | None = None, until: int | None = None
) -> Silence | None:
    """The silence near the end that hardly anything follows; None if there is none.

    Args:
        frame: a canonical frame with `wall`, in any order.
        key: the column that tells events apart, where an event has several rows (an order its
            lines); None: every row is one.
        until: where the table is said to end (wall, microseconds); None: with its last row.
    """
    if frame.height < _JUDGED_ROWS:
        return None
    daily = (
        frame.group_by(day=pl.col("wall") // DAY_US)
        .agg(events=pl.col(key).n_unique() if key else pl.len(), rows=pl.len())
        .sort("day")
    )
    day, events = (daily[name].cast(pl.Int64).to_numpy() for name in ("day", "events"))
    alive = np.flatnonzero(_alive(day, events))
    last = int(alive[-1])
    gaps = np.diff(day if until is None else np.append(day, until // DAY_US)) - 1
    longest = int(gaps[last:].max(initial=0))
    before = int(gaps[alive[0] : last].max(initial=0))
    if longest < LEAST_SILENCE_DAYS or longest <= before:
        return None
    after = int(daily["rows"][last + 1 :].sum())
    return Silence(_date(day[last]), after, _date(day[-1]), longest, before)


def _alive(day: NDArray[np.int64], events: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each day is alive (n,); the days are sorted, and have events all."""
    total = np.concatenate([[0], np.cumsum(events)])
    first = np.searchsorted(day, day - _WEEK, side="right")
    week = total[1:] - total[first]
    by_size = np.argsort(week, kind="stable")
    half = np.searchsorted(np.cumsum(events[by_size]), total[-1] / 2)
    usual = week[by_size[half]]
    return np.asarray(week >= np.sqrt(usual))


def _date(day: np.int64) -> date:
    return date(1970, 1, 1) + timedelta(days=int(day))
