"""Instants in UTC, days on the wall clock of the business zone, and the cutoff between them.

An instant is a whole number of microseconds since 1970-01-01 UTC. The *wall* of an instant is
what the clock of the business zone shows, counted the same way, so that differences of walls are
local calendar days in which a day of a clock change counts as one.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import total_ordering
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ppi_ml.errors import UsageError

DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1)
_DAYS = re.compile(r"(\d+)\s*d(?:ays?)?")
_MICROSECOND = timedelta(microseconds=1)
_FIRST_YEAR, _LAST_YEAR = 1900, 2999  # windows before and after a cutoff stay within the calendar


def present() -> int:
    """The present instant (microseconds, UTC) by the clock of this machine."""
    return time.time_ns() // 1_000


def parse_days(value: str | int) -> int:
    """Whole days of a length such as `90d`, `90 days` or 90; `UsageError` for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _DAYS.fullmatch(str(value).strip())
    if match is None:
        raise UsageError(f'expected a length in days such as "90d", got "{value}"')
    return int(match.group(1))


def parse_zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as `Europe/London`; `UsageError` if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UsageError(
            f'unknown time zone "{name}"; expected an IANA name such as Europe/London'
        ) from error


def wall_of(at: int, zone: str) -> int:
    """What the clock of the zone shows at an instant, in microseconds since 1970-01-01."""
    local = (_EPOCH.replace(tzinfo=UTC) + timedelta(microseconds=at)).astimezone(parse_zone(zone))
    return (local.replace(tzinfo=None) - _EPOCH) // _MICROSECOND


def instant_of(wall: int, zone: str) -> int:
    """The instant at which the clock of the zone shows `wall`; the earlier one if it does twice.

    A wall that the clock skips (spring) is read with the offset in force before the change.
    """
    local = (_EPOCH + timedelta(microseconds=wall)).replace(tzinfo=parse_zone(zone))
    return (local.astimezone(UTC) - _EPOCH.replace(tzinfo=UTC)) // _MICROSECOND


@total_ordering
@dataclass(frozen=True)
class Cutoff:
    """The instant at which we pretend to stand: what is known before it is the past.

    `at` is the instant (microseconds, UTC), `wall` what the clock of `zone` shows then.
    """

    at: int
    wall: int
    zone: str

    @classmethod
    def parse(cls, value: object, zone: str) -> Cutoff:
        """A cutoff from a date (00:00 in the zone), an ISO text, or an aware date and time.

        A naive date and time is read on the clock of the zone; a cutoff of another zone is the
        same instant on the clock of this one. `UsageError` if it is none of these, or of a year
        in which nobody shops.
        """
        if isinstance(value, Cutoff):
            return value if value.zone == zone else cls.from_instant(value.at, zone)
        moment = _moment(value)
        if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            raise UsageError(
                f"expected a date in the years {_FIRST_YEAR} to {_LAST_YEAR}, got "
                f'"{moment.date().isoformat()}"'
            )
        if moment.tzinfo is None:
            return cls.from_wall((moment - _EPOCH) // _MICROSECOND, zone)
        return cls.from_instant((moment - _EPOCH.replace(tzinfo=UTC)) // _MICROSECOND, zone)

    @classmethod
    def from_instant(cls, at: int, zone: str) -> Cutoff:
        """The cutoff at an instant (microseconds, UTC)."""
        return cls(at, wall_of(at, zone), zone)

    @classmethod
    def from_wall(cls, wall: int, zone: str) -> Cutoff:
        """The cutoff at which the clock of the zone shows `wall` (microseconds)."""
        return cls(instant_of(wall, zone), wall, zone)

    @classmethod
    def now(cls, zone: str) -> Cutoff:
        """The present instant."""
        return cls.from_instant(present(), zone)

    @property
    def is_midnight(self) -> bool:
        """Whether the local clock shows 00:00."""
        return self.wall % DAY_US == 0

    def plus(self, days: float) -> Cutoff:
        """The cutoff so many local calendar days later (earlier if negative)."""
        return Cutoff.from_wall(self.wall + round(days * DAY_US), self.zone)

    def days_since(self, other: Cutoff) -> float:
        """Local calendar days from `other` to this cutoff."""
        return (self.wall - other.wall) / DAY_US

    def __lt__(self, other: Cutoff) -> bool:
        return self.at < other.at

    def __str__(self) -> str:
        local = _EPOCH + timedelta(microseconds=self.wall)
        return local.date().isoformat() if self.is_midnight else local.isoformat()


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    try:
        return datetime.fromisoformat(str(value))
    except ValueError as error:
        raise UsageError(
            f'expected a date such as 2011-12-09 or an ISO date and time, got "{value}"'
        ) from error
