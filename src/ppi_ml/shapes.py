"""What cells look like that cannot be read, without what they say, and which setting reads them.

A digit is shown as 9 and a letter as a: 31.12.2024 is 99.99.9999.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ppi_ml.respelling import MARK, dates, numbers
from ppi_ml.schema import table_named
from ppi_ml.written_as import Decimal

_NO_WORD = " must be one of "
_MOST_SHAPES, _LONGEST = 3, 24
_UNIT = (
    r"^\s*(?:[^\d\s+.,-][^\d]*\s*[+-]?\d[\d.,' ]*"
    r"|[+-]?\d[\d.,' ]*\s*[^\d\s.,'][^\d\[]*)\s*(?:\[.*)?$"
)
"""A number with letters or a sign before or behind it; the mark of `respelling` may follow."""
_UNREAD = {"dates": " must be an ISO date or time", "decimal": " must be a number"}
_DAYS = (
    "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d",
    "%Y.%m.%d", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d",
    "%d %B %Y", "%d-%B-%Y", "%d. %B %Y", "%B %d, %Y", "%B %d %Y", "%Y%m%d",
)  # fmt: skip
"""Days that are offered; %B reads Dec and December, %b would read Dec alone."""
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_ISO = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M")
_MOST_GUESSES = 3
_TRIED = 200  # cells by which a format is chosen before it is tried on the column


def shapes_of(cells: pl.Series) -> pl.Series:
    """Each cell with 9 for a digit, a for a letter and ? for what is neither nor plain ASCII."""
    text = cells.str.replace(MARK, "", literal=True).str.strip_chars()
    shown = (
        text.str.replace_all(r"\p{N}", "9")
        .str.replace_all(r"\p{L}", "a")
        .str.replace_all(r"[^\x20-\x7e]", "?")
    )
    long = shown.str.len_chars() > _LONGEST
    return (
        shown.str.slice(0, _LONGEST)
        + pl.select(pl.when(long).then(pl.lit("...")).otherwise(pl.lit(""))).to_series()
    )


def unread(
    quarantine: pl.DataFrame, raw: pl.DataFrame, settings: str, *, in_config: bool
) -> list[str]:
    """A sentence for each column with cells that cannot be read: how they look, what helps.

    Args:
        quarantine: the quarantined rows of a table (table, row, rule, column, value).
        raw: the rows of the table as its source gave them.
        settings: the table whose settings say how it is written; empty: there are none.
        in_config: whether these stand in a config, else in a call of `ppi_ml.load`.
    """
    lines = []
    for setting, ending in _UNREAD.items():
        found = quarantine.filter(pl.col("rule").str.ends_with(ending), pl.col("value") != "")
        for (table, column), rows in found.group_by("table", "column", maintain_order=True):
            kind = "dates" if setting == "dates" else "numbers"
            place = _Place(setting, settings, in_config)
            helps = _help(str(table), rows["value"], raw[str(column)], raw, place)
            lines.append(
                f"{table}: column {column} has {kind} that cannot be read; they look like "
                f"{_looks(rows['value'])}{helps}"
            )
    return lines + _unknown_words(quarantine, settings, in_config=in_config)


def _looks(values: pl.Series) -> str:
    """The commonest shapes of cells, each with its rows."""
    counts = shapes_of(values).alias("shape").value_counts()
    shown = counts.sort(["count", "shape"], descending=[True, False]).rows()
    named = [f"{shape} ({n:,} row{'s'[: n != 1]})" for shape, n in shown[:_MOST_SHAPES]]
    more = f" and {len(shown) - _MOST_SHAPES:,} more" if len(shown) > _MOST_SHAPES else ""
    return f"{', '.join(named)}{more}, 9 for any digit, a for any letter"


def _unknown_words(quarantine: pl.DataFrame, settings: str, *, in_config: bool) -> list[str]:
    """A sentence for each column of a few words that holds others: how to say what they mean."""
    found = quarantine.filter(pl.col("rule").str.contains(_NO_WORD, literal=True))
    lines = []
    for (table, column), rows in found.group_by("table", "column", maintain_order=True):
        ours = next(c.choices[0] for c in table_named(str(table)).columns if c.name == column)
        example = f"data.tables.{settings}.words: {{{column}: {{a word of yours: {ours}}}}}"
        if not in_config:
            example = f'words={{"{settings}": {{"{column}": {{"a word of yours": "{ours}"}}}}}}'
        helps = f". Say what they mean: {example}" if settings else ""
        lines.append(
            f"{table}: column {column} has words that it cannot be; they look like "
            f"{_looks(rows['value'])}{helps}"
        )
    return lines


@dataclass(frozen=True)
class _Place:
    """Where a setting of a table stands: in a config, or in a call of `ppi_ml.load`."""

    setting: str
    table: str
    in_config: bool

    @property
    def stated(self) -> str:
        """What it is called there."""
        if self.in_config:
            return f"data.tables.{self.table}.{self.setting}"
        return f'{self.setting}["{self.table}"]'

    def line(self, guess: Sequence[str]) -> str:
        """The line that says so: one text, or a list of several."""
        quoted = [f'"{text}"' for text in guess]
        said = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
        if self.in_config:
            return f"{self.stated}: {said}"
        return f'{self.setting}={{"{self.table}": {said}}}'


def _help(table: str, bad: pl.Series, column: pl.Series, raw: pl.DataFrame, place: _Place) -> str:
    """The line to write, where one reads all that it is for; or what is stated and does not fit."""
    if not place.table or column.dtype != pl.String:
        return ""
    of_dates = place.setting == "dates"
    if not of_dates and bad.str.contains(_UNIT).all():
        return ". A number stands beside a unit or sign: take that off"
    if bad.str.ends_with(MARK).any():
        return f". {place.stated} says otherwise: mend the cells{_or_add(bad) if of_dates else ''}"
    if not bad.str.contains(r"\d").any():
        kind = "dates" if of_dates else "numbers"
        return f". Words are no {kind}: mend these cells"
    guesses = _formats(bad, _times(table, column, raw)) if of_dates else _signs(column)
    if not guesses and of_dates:
        return (
            ". None of the usual formats reads every time of the table, alone or beside ISO: mend "
            f"these cells, or list all formats there are as {place.stated}"
        )
    if not guesses:
        return ". No one decimal sign reads the whole column: mend these cells"
    lines = " or ".join(place.line(guess) for guess in guesses)
    which = "; which of them, only you know" if len(guesses) > 1 else ""
    return f". Say how it is written: {lines}{which}"


def _or_add(bad: pl.Series) -> str:
    """What to state beside the formats of dates that read the other cells already."""
    cells = bad.str.replace(MARK, "", literal=True).str.strip_chars().unique()
    found = [", ".join(f'"{style}"' for style in guess) for guess in _formats(cells, cells)]
    return f", or add {' or '.join(found)} there" if found else ", or list every format there"


def _times(table: str, column: pl.Series, raw: pl.DataFrame) -> pl.Series:
    """The different cells of all columns of a table that the same setting is about."""
    names = {c.name for c in table_named(table).columns if c.kind == "time"} - {column.name}
    others = [raw[name] for name in raw.columns if name in names and raw.schema[name] == pl.String]
    return pl.concat([cells.alias("cell") for cells in (column, *others)]).unique()


def _formats(bad: pl.Series, cells: pl.Series) -> list[tuple[str, ...]]:
    """Formats that read every cell, ISO among them; several where the parts may be either."""
    near = [day for day in _DAYS if _reading(bad.head(_TRIED), day)]
    return [found for day in near if (found := _reading(cells, day))][:_MOST_GUESSES]


def _reading(cells: pl.Series, day: str) -> tuple[str, ...]:
    """The formats, of those with such a day and of ISO, that read all cells; none if they cannot.

    A cell without a digit is no date, and a year must be one that can be.
    """
    left, taken = cells.filter(cells.str.contains(r"\d").fill_null(False)), list[str]()
    for style in (*(day + clock for clock in _CLOCKS), *_ISO):
        years = dates(left, style).str.slice(0, 4).cast(pl.Int64)
        read = years.is_between(1970, 2199).fill_null(False)
        if read.any():
            taken.append(style)
            left = left.filter(~read)
        if not len(left):
            return tuple(taken)
    return ()


def _signs(column: pl.Series) -> list[tuple[str, ...]]:
    """The decimal signs with which every cell of a column with a digit is a number."""
    cells = column.filter(column.str.contains(r"\d").fill_null(False))
    both: tuple[Decimal, ...] = (",", ".")
    return [(sign,) for sign in both if not numbers(cells, sign).str.ends_with(MARK).any()]
