"""When every row of a table occurred, became known, and what that says of the table as a whole."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal

import polars as pl

from ppi_ml import cells, clock
from ppi_ml.errors import DataError
from ppi_ml.instants import DAY_US
from ppi_ml.ledger import Ledger

Granularity = Literal["instant", "day"]

# Where so many rows became known on one day, known_at tells of a migration and not of lateness.
MIGRATED_SHARE, MIGRATED_SPAN_DAYS = 0.20, 10
JUDGED_ROWS = 50  # a smaller table does not show it
PRESENT_GRACE_US = DAY_US  # clocks differ, and so do zones: up to 14 hours


def read(
    frame: pl.DataFrame,
    granularity: Granularity,
    sure: bool,
    zone: str,
    lag_days: int,
    ledger: Ledger,
) -> tuple[dict[str, pl.Series], Granularity, list[str]]:
    """Columns `at` and `known` (n,), the granularity, and notes: day where all are mere dates.

    Args:
        frame: a raw table with `occurred_at` and perhaps `known_at`.
        granularity: what the source says of it.
        sure: whether that is known for certain, whatever the cells look like.
        zone: the business zone.
        lag_days: how long after it occurred a row was known, where the table does not say.
        ledger: where rows without a time, or with a mended one, are entered.
    """
    occurred = cells.read_times(frame["occurred_at"], "occurred_at", zone)
    cells.enter(ledger, "occurred_at", occurred)
    at, dated = occurred.values, occurred.dated
    alone = bool(dated.any() and (dated | at.is_null()).all())
    notes = []
    if alone and not sure and granularity != "day":
        granularity = "day"
        notes.append("occurred_at holds dates only; read with granularity day")
    if granularity == "day":
        at = clock.day_start(at, zone)
        usual = clock.day_end(at, zone, lag_days)
    else:
        usual = clock.days_later(at, zone, lag_days)
        if dated.any() and not alone:
            # Nothing says when on that day it was, so nobody knew of it before the day was over.
            usual = usual.zip_with(~dated, clock.day_end(at, zone, lag_days))
            notes.append(
                f"{dated.sum():,} rows have a mere date among times, read as 00:00 of that day; "
                "without known_at they are known when it is over"
            )
    if "known_at" not in frame.columns:
        return {"at": at, "known": usual}, granularity, notes
    known, empty = moments(frame["known_at"], zone, ledger)
    ledger.repair("known_at empty, so occurred_at + known_lag", empty)
    known = known.zip_with(~empty, usual)
    ledger.repair("known_at before occurred_at, moved to it", (known < at).fill_null(False))
    later = pl.select(pl.max_horizontal(known, at)).to_series()
    return {"at": at, "known": later}, granularity, notes


def moments(
    column: pl.Series, zone: str, ledger: Ledger, *, spare: bool = False
) -> tuple[pl.Series, pl.Series]:
    """(instants, rows where the cell is empty): a mere date is the end of that day.

    What became known or was promised on a day is known or kept when that day is over, not when it
    begins. An empty cell is null and breaks no rule.

    Of a `spare` column, which the row can do without, a time that nobody can have meant is null
    and the row counts as repaired: shops write "no promise" as 9999-12-31 or as the epoch, and the
    parcel left all the same. A cell that is no time at all is quarantined even so, or a column in a
    format that is not read would vanish as a whole.
    """
    found = cells.read_times(column, column.name, zone)
    empty = found.broken.pop(f"{column.name} missing")
    if spare:
        absurd = found.broken.pop(f"{column.name} must lie {cells.SPAN}")
        ledger.repair(f"{column.name} not {cells.SPAN}, set to null", absurd)
    cells.enter(ledger, column.name, found)
    at = found.values
    if found.dated.any():
        at = at.zip_with(~found.dated, clock.day_end(at, zone))
    return at, empty


def valid_from(column: pl.Series, zone: str, ledger: Ledger) -> pl.Series:
    """From when on each row holds (n,); null: from the beginning.

    A mere date is 00:00 of that day: what is valid from a day on is valid on it. A time before 1970
    is a way to say "always", and null; one after 2199 means nothing, and breaks the rule.
    """
    found = cells.read_times(column, column.name, zone)
    found.broken.pop(f"{column.name} missing")
    found.broken[f"{column.name} must lie {cells.SPAN}"] &= ~found.early
    cells.enter(ledger, column.name, found)
    ledger.repair(f"{column.name} before {cells.FIRST_DAY}, so always", found.early)
    return found.values


def walls(at: pl.Series, granularity: Granularity, zone: str) -> pl.Series:
    """What the clock of the zone shows at each instant; 00:00 of the date in tables of days."""
    shown = clock.clock_of(at, zone)
    # Where the clock skips midnight, the day still starts at 00:00 of its date.
    return shown // DAY_US * DAY_US if granularity == "day" else shown


def set_future_aside(at: pl.Series, now: int, ledger: Ledger) -> None:
    """Quarantine what is said to occur more than a day after the present instant, which is `now`.

    Both in microseconds UTC. The day of grace is for clocks and zones that differ.
    """
    ahead = (at > now + PRESENT_GRACE_US).fill_null(False)
    ledger.quarantine("occurred_at lies after the present instant", ("occurred_at",), ahead)


def late_share(frame: pl.DataFrame, zone: str) -> float | None:
    """Share of rows known on a later local day than they occurred; `DataError` if migrated."""
    if not frame.height:
        return None
    days = pl.DataFrame(
        {
            "known": clock.clock_of(frame["known"], zone) // DAY_US,
            "occurred": frame["wall"] // DAY_US,
        }
    )
    late = days.filter(pl.col("known") > pl.col("occurred"))
    span = days.select(pl.col("occurred").max() - pl.col("occurred").min()).item()
    if late.height and frame.height >= JUDGED_ROWS and span > MIGRATED_SPAN_DAYS:
        day, rows = late["known"].value_counts().sort("count", "known").row(-1)
        if rows > MIGRATED_SHARE * frame.height:
            raise DataError(
                f"{rows} of {frame.height} rows became known on one day, "
                f"{_day(day * DAY_US)}, after the day they occurred: known_at tells "
                "of a migration there, not of lateness. Leave known_at out and state "
                "data.known_lag for this table, or give known_at its true times"
            )
    return late.height / frame.height


def iso(wall: object) -> str | None:
    """A wall time in microseconds as ISO text; null where there is none."""
    if not isinstance(wall, int):
        return None
    return (datetime(1970, 1, 1) + timedelta(microseconds=wall)).isoformat()


def _day(wall: int) -> str:
    return (date(1970, 1, 1) + timedelta(microseconds=wall)).isoformat()
