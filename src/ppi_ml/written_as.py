"""How a shop writes dates and decimals in text, as `data.tables.<table>` states it.

A date format is one of strptime: %d.%m.%Y, %d.%m.%Y %H:%M. A table may have several; the first that
fits a cell reads it. The decimal sign is a comma or a point; what groups thousands follows from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Decimal = Literal[",", "."]
_DIRECTIVE = re.compile(r"%(\.f|.?)")
_DAY, _MONTH, _YEAR, _HOUR = {"d"}, {"m", "b", "B"}, {"Y", "y"}, {"H", "I"}
_TIME = {"M", "S", "p", "z", ".f"}
_KNOWN = _DAY | _MONTH | _YEAR | _HOUR | _TIME


@dataclass(frozen=True)
class WrittenAs:
    """Formats of dates, tried in this order, and the decimal sign; nothing: ISO and 1.5."""

    dates: tuple[str, ...] = ()
    decimal: Decimal | None = None


def written_as(dates: str | Sequence[str] | None, decimal: Decimal | None) -> WrittenAs:
    """The two settings of a table, of which `dates` may be one format or several."""
    formats = (dates,) if isinstance(dates, str) else tuple(dates or ())
    return WrittenAs(formats, decimal)


def problem(formats: Sequence[str]) -> str:
    """What is wrong with formats of dates; empty if nothing."""
    for text in formats:
        found = _DIRECTIVE.findall(text)
        strange = [name for name in found if name not in _KNOWN]
        if strange:
            return (
                f'"{text}": %{strange[0]} is not read; expected a format such as %d.%m.%Y or '
                "%d.%m.%Y %H:%M, of %d, %m, %b, %B, %Y, %y, %H, %I, %M, %S, %.f, %p, %z"
            )
        if len(found) != len(set(found)):
            return f'"{text}": expected each part once, as in %d.%m.%Y'
        if any(len(part & set(found)) != 1 for part in (_DAY, _MONTH, _YEAR)):
            return f'"{text}": expected one day, one month and one year, as in %d.%m.%Y'
        if has_time(text) and "M" not in found:
            return f'"{text}": expected minutes beside the hour, as in %d.%m.%Y %H:%M'
        if has_time(text) and (len(_HOUR & set(found)) != 1 or ("I" in found) != ("p" in found)):
            return f'"{text}": expected the hour as %H, or as %I with %p'
    return ""


def has_time(text: str) -> bool:
    """Whether a format reads more than a day."""
    return not (_HOUR | _TIME).isdisjoint(_DIRECTIVE.findall(text))


def has_offset(text: str) -> bool:
    """Whether a format reads an offset from UTC."""
    return "z" in _DIRECTIVE.findall(text)


def checked(
    dates: Mapping[str, str | Sequence[str]] | None, decimal: Mapping[str, Decimal] | None
) -> dict[str, WrittenAs]:
    """Table -> how it is written, of settings by table. `ValueError` for what is not read."""
    for said, by_table in (("dates", dates), ("decimal", decimal)):
        if not isinstance(by_table, Mapping | None):
            raise ValueError(f'{said}: expected a mapping by table, {{"order_lines": ...}}')
    formats, signs = dates or {}, decimal or {}
    found = {}
    for name in {**formats, **signs}:
        stated = formats.get(name)
        if not isinstance(stated, str | Sequence | None) or not all(
            isinstance(text, str) for text in stated or ()
        ):
            raise ValueError(f"dates: {name}: expected a format such as %d.%m.%Y, or several")
        found[name] = how = written_as(stated, signs.get(name))
        if wrong := problem(how.dates):
            raise ValueError(f"dates: {name}: {wrong}")
        if how.decimal not in (None, ",", "."):
            raise ValueError(f'decimal: {name}: expected "," or ".", got "{how.decimal}"')
    return found
