"""How a shop writes dates, decimals and words in text, as `data.tables.<table>` states it.

A date format is one of strptime: %d.%m.%Y, %d.%m.%Y %H:%M. A table may have several; the first that
fits a cell reads it. The decimal sign is a comma or a point; what groups thousands follows from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Decimal = Literal[",", "."]
Words = Mapping[str, Mapping[str, str]]
"""Column -> a word of the shop -> ours."""
_DIRECTIVE = re.compile(r"%(\.f|.?)")
_DAY, _MONTH, _YEAR, _HOUR = {"d"}, {"m", "b", "B"}, {"Y", "y"}, {"H", "I"}
_TIME = {"M", "S", "p", "z", ".f"}
_KNOWN = _DAY | _MONTH | _YEAR | _HOUR | _TIME


@dataclass(frozen=True)
class WrittenAs:
    """Formats of dates, tried in this order, the decimal sign, and column -> word -> ours.

    Nothing stated: ISO dates, 1.5, and the words of the contract.
    """

    dates: tuple[str, ...] = ()
    decimal: Decimal | None = None
    words: Words = field(default_factory=dict)

    def over(self, other: WrittenAs) -> WrittenAs:
        """What is stated here, and what is stated there alone."""
        words = {**other.words, **self.words}
        return WrittenAs(self.dates or other.dates, self.decimal or other.decimal, words)


def written_as(
    dates: str | Sequence[str] | None, decimal: Decimal | None, words: Words | None = None
) -> WrittenAs:
    """The settings of a table, of which `dates` may be one format or several."""
    formats = (dates,) if isinstance(dates, str) else tuple(dates or ())
    return WrittenAs(formats, decimal, words or {})


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
    dates: Mapping[str, str | Sequence[str]] | None,
    decimal: Mapping[str, Decimal] | None,
    words: Mapping[str, Words] | None = None,
) -> dict[str, WrittenAs]:
    """Table -> how it is written, of settings by table. `ValueError` for what is not read."""
    for said, by_table in (("dates", dates), ("decimal", decimal), ("words", words)):
        if not isinstance(by_table, Mapping | None):
            raise ValueError(f'{said}: expected a mapping by table, {{"order_lines": ...}}')
    formats, signs, said_so = dates or {}, decimal or {}, words or {}
    found = {}
    for name in {**formats, **signs, **said_so}:
        stated = formats.get(name)
        if not isinstance(stated, str | Sequence | None) or not all(
            isinstance(text, str) for text in stated or ()
        ):
            raise ValueError(f"dates: {name}: expected a format such as %d.%m.%Y, or several")
        found[name] = how = written_as(stated, signs.get(name), said_so.get(name))
        if not _are_words(how.words):
            raise ValueError(
                f'words: {name}: expected column -> word -> ours, as in {{"consumable": {{"ja": '
                '"yes"}}'
            )
        if wrong := problem(how.dates):
            raise ValueError(f"dates: {name}: {wrong}")
        if how.decimal not in (None, ",", "."):
            raise ValueError(f'decimal: {name}: expected "," or ".", got "{how.decimal}"')
    return found


def _are_words(words: object) -> bool:
    return isinstance(words, Mapping) and all(
        isinstance(of, Mapping)
        and all(isinstance(word, str) for pair in of.items() for word in pair)
        for of in words.values()
    )
