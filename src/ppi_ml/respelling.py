"""Text cells as a shop writes them -> the spelling that the contract reads: ISO dates and 1234.5.

Only text is touched: in columns of times and numbers, and where the shop's words are stated; these
may be numbers and truths, too, as codes are. A source that makes text of numbers and dates says so
of each cell (`mixed`), for afterwards nobody could tell. A cell with a digit that is not written as
stated keeps its text and gets a mark, so that no other reading can take it: 12.50 where the decimal
sign is a comma is quarantined, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from ppi_ml.written_as import Decimal, WrittenAs, has_offset, has_time

MARK = "  [not as dates or decimal of the table say]"
"""Stands after the text of a cell that is not written as `dates` or `decimal` of its table say."""
MIXED = pl.Struct({"cell": pl.String, "was text": pl.Boolean})
"""A column of several types, or of objects, on its way from a source to `respelled`."""
_TEXT = (pl.String, pl.Categorical, pl.Enum)
_DECIMAL = re.compile(r"^(\d+)\.0$")
_EXPONENT = r"(?:[eE][+-]?\d+)?"
# A thousand is grouped by the other sign, a space (plain, no-break, narrow) or an apostrophe.
_GROUPS = {
    ",": "[. \u00a0\u202f\u2009'\u2019]",
    ".": "[, \u00a0\u202f\u2009'\u2019]",
}


def respelled(frame: pl.DataFrame, kinds: Mapping[str, str], how: WrittenAs) -> pl.DataFrame:
    """The frame with the text of its times and numbers as the contract reads it.

    Args:
        frame: a raw table with our column names.
        kinds: column -> kind, as the schema says; columns of other kinds stay as they are.
        how: what the table states; without a statement nothing changes.

    The words come first, so that one may stand for a number, such as 0 for `free`.
    """
    changed = []
    for name, dtype in frame.schema.items():
        kind, words = kinds.get(name, ""), how.words.get(name, {})
        if dtype == MIXED:
            cells, text = (frame[name].struct.field(field) for field in ("cell", "was text"))
            cells = _ours(cells, words)
            spelled = _respelled(cells, kind, how)
            changed.append(spelled.zip_with(text.fill_null(True), cells).alias(name))
        elif dtype in _TEXT and (words or name in kinds):
            changed.append(_respelled(_ours(frame[name], words), kind, how))
        elif words and _may_be_codes(dtype, kind):
            changed.append(_ours(frame[name], words))
    return frame.with_columns(changed) if changed else frame


def _may_be_codes(dtype: pl.DataType, kind: str) -> bool:
    """Whether the numbers or truths of a column may stand for words: 1 for one_off."""
    if kind in ("number", "time"):
        return False
    return dtype.is_integer() or dtype == pl.Boolean or (dtype.is_float() and kind != "id")


def mixed(cells: Sequence[str | None], was_text: Sequence[bool]) -> pl.Series:
    """Cells as text, of which some were numbers or dates and keep their spelling."""
    named = {
        "cell": pl.Series(cells, dtype=pl.String),
        "was text": pl.Series(was_text, dtype=pl.Boolean),
    }
    return pl.DataFrame(named).to_struct("")


def _ours(cells: pl.Series, words: Mapping[str, str]) -> pl.Series:
    """The cells with our words for the shop's, whatever their case and the blanks around them.

    A cell 1.0 is the 1 of a column of codes with gaps.
    """
    if not words:
        return cells
    known = {_DECIMAL.sub(r"\1", word.strip().lower()): ours for word, ours in words.items()}
    text = cells.cast(pl.String)
    read = text.str.strip_chars().str.to_lowercase().str.replace(_DECIMAL.pattern, "$1")
    ours = read.replace_strict(known, default=None, return_dtype=pl.String)
    return ours.zip_with(ours.is_not_null(), text).alias(cells.name)


def _respelled(cells: pl.Series, kind: str, how: WrittenAs) -> pl.Series:
    if kind == "time" and how.dates:
        return _dates(cells.cast(pl.String), how.dates)
    if kind == "number" and how.decimal is not None:
        return numbers(cells.cast(pl.String), how.decimal)
    return cells


def numbers(cells: pl.Series, decimal: Decimal) -> pl.Series:
    """Text with a decimal point and no groups; what is not written so is marked."""
    text, group = cells.str.strip_chars(), _GROUPS[decimal]
    sign = "," if decimal == "," else r"\."
    # A group cannot follow a leading zero: 0.125 is a number with a point, not 125.
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{group}\d{{3}})+)"
    shape = rf"^[+-]?(?:{whole}(?:{sign}\d*)?|{sign}\d+){_EXPONENT}$"
    fits = text.str.contains(shape).fill_null(False)
    plain = text.str.replace_all(group, "").str.replace(decimal, ".", literal=True)
    return _else_marked(cells, plain, fits)


def dates(cells: pl.Series, style: str) -> pl.Series:
    """ISO text of the cells that a format reads, else null; a date without a time stays one."""
    text = cells.str.strip_chars()
    if not has_time(style):
        return _of_whole_years(text, text.str.to_date(style, strict=False).dt.to_string("%Y-%m-%d"))
    read = text.str.to_datetime(style, time_unit="us", strict=False)
    ending = "+00:00" if has_offset(style) else ""
    return _of_whole_years(text, read.dt.to_string("%Y-%m-%d %H:%M:%S%.6f" + ending))


def _of_whole_years(text: pl.Series, read: pl.Series) -> pl.Series:
    """What was read, else null where the year has fewer than four digits: %Y takes 24 for 0024."""
    early = (read < "1000").fill_null(False)
    if not early.any():
        return read
    found = pl.DataFrame([text.alias("text"), read.alias("read"), early.alias("early")])
    whole = pl.col("text").str.contains(pl.col("read").str.slice(0, 4), literal=True)
    return found.select(pl.when(~pl.col("early") | whole).then("read")).to_series().alias(read.name)


def _dates(cells: pl.Series, styles: tuple[str, ...]) -> pl.Series:
    found = pl.Series(cells.name, [None], dtype=pl.String).new_from_index(0, len(cells))
    for style in styles:
        found = found.zip_with(found.is_not_null(), dates(cells, style))
    return _else_marked(cells, found, found.is_not_null())


def _else_marked(cells: pl.Series, plain: pl.Series, fits: pl.Series) -> pl.Series:
    """The plain text where it fits; else the cell, marked if it holds a digit."""
    strange = cells.str.contains(r"\d").fill_null(False) & ~fits
    return plain.zip_with(fits, cells.zip_with(~strange, cells + MARK))
