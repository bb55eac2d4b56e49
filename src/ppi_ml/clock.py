"""Whole columns on the local clock: what it shows at an instant, and when a day begins and ends.

As `ppi_ml.instants` does for one of them. Instants and what a clock shows are Int64 microseconds.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.instants import DAY_US


def clock_of(at: pl.Series, zone: str) -> pl.Series:
    """What the clock of the zone shows at each instant; both Int64 microseconds."""
    aware = at.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    return aware.dt.replace_time_zone(None).to_physical()


def day_start(at: pl.Series, zone: str) -> pl.Series:
    """The instant at which the local day of each instant begins (Int64, microseconds UTC)."""
    return instants_of(clock_of(at, zone) // DAY_US * DAY_US, zone)


def day_end(at: pl.Series, zone: str, days: int = 0) -> pl.Series:
    """The last microsecond of the local day `days` after that of each instant."""
    midnights = clock_of(at, zone) // DAY_US * DAY_US
    return instants_of(midnights + (days + 1) * DAY_US, zone) - 1


def days_later(at: pl.Series, zone: str, days: int) -> pl.Series:
    """The same local time so many days later."""
    return instants_of(clock_of(at, zone) + days * DAY_US, zone) if days else at


def instants_of(walls: pl.Series, zone: str) -> pl.Series:
    """Instants at which the clock of the zone shows `walls`, as `ppi_ml.instants.instant_of`."""
    at = _shown(walls, zone)
    if at.null_count() > walls.null_count():
        # Skipped by the clock: the day before, it still had the offset in force before the change.
        at = at.fill_null(_shown(walls - DAY_US, zone) + DAY_US)
    return at


def _shown(walls: pl.Series, zone: str) -> pl.Series:
    naive = walls.cast(pl.Datetime("us"))
    local = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return local.to_physical()
