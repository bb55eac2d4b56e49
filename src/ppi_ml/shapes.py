"""What cells look like that cannot be read, without what they say, and which setting reads them.

A digit is shown as 9 and a letter as a: 31.12.2024 is 99.99.9999.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.respelling import MARK, dates, numbers
from ppi_ml.written_as import Decimal

_MOST_SHAPES, _LONGEST = 3, 24
_UNREAD = {"dates": " must be an ISO date or time", "decimal": " must be a number"}
_DAYS = (
    "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d",
    "%Y.%m.%d", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d",
    "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%Y%m%d",
)  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
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
    """A sentence for each column with dates or numbers that cannot be read: its looks, what helps.

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
            counts = shapes_of(rows["value"]).alias("shape").value_counts()
            shown = counts.sort(["count", "shape"], descending=[True, False]).rows()
            named = [f"{shape} ({n:,} row{'s'[: n != 1]})" for shape, n in shown[:_MOST_SHAPES]]
            more = f" and {len(shown) - _MOST_SHAPES:,} more" if len(shown) > _MOST_SHAPES else ""
            kind = "dates" if setting == "dates" else "numbers"
            helps = _help(rows["value"], raw[str(column)], setting, settings, in_config)
            lines.append(
                f"{table}: column {column} has {kind} that cannot be read; they look like "
                f"{', '.join(named)}{more}, 9 for any digit, a for any letter{helps}"
            )
    return lines


def _help(bad: pl.Series, column: pl.Series, setting: str, settings: str, in_config: bool) -> str:
    """The line to write, where one reads the whole column; or what is stated and does not fit."""
    if not settings or column.dtype != pl.String:
        return ""
    if bad.str.ends_with(MARK).any():
        stated = f"data.tables.{settings}.{setting}" if in_config else f'{setting}["{settings}"]'
        several = ", or list every format there" if setting == "dates" else ""
        return f". {stated} says otherwise: mend the cells{several}"
    if not bad.str.contains(r"\d").any():
        return ". No setting reads words: mend these cells"
    guesses = _formats(bad, column) if setting == "dates" else _signs(column)
    if not guesses:
        return ". No one format reads the whole column: mend these cells"
    lines = " or ".join(_line(guess, setting, settings, in_config) for guess in guesses)
    which = "; which of them, only you know" if len(guesses) > 1 else ""
    return f". Say how it is written: {lines}{which}"


def _line(guess: str, setting: str, settings: str, in_config: bool) -> str:
    if in_config:
        return f'data.tables.{settings}.{setting}: "{guess}"'
    return f'{setting}={{"{settings}": "{guess}"}}'


def _formats(bad: pl.Series, column: pl.Series) -> list[str]:
    """The formats that read every cell of a column; several where its parts may be either."""
    every = (day + clock for clock in _CLOCKS for day in _DAYS)
    near = [style for style in every if _reads(bad.head(_TRIED), style)]
    return [style for style in near if _reads(column, style)][:3]


def _reads(cells: pl.Series, style: str) -> bool:
    """Whether a format reads every cell with a digit, as a year that can be."""
    cells = cells.filter(cells.str.contains(r"\d").fill_null(False))
    read = dates(cells, style)
    years = read.str.slice(0, 4).cast(pl.Int64)
    return not read.null_count() and bool(years.is_between(1970, 2199).all())


def _signs(column: pl.Series) -> list[str]:
    """The decimal signs with which every cell of a column with a digit is a number."""
    cells = column.filter(column.str.contains(r"\d").fill_null(False))
    both: tuple[Decimal, ...] = (",", ".")
    return [sign for sign in both if not numbers(cells, sign).str.ends_with(MARK).any()]
