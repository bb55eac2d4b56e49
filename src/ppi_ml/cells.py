"""From cells as a shop wrote them to canonical values: ids, words, numbers and times.

Every reader takes one column and returns `Cells`: the values, and for each rule the rows that
break it and the rows that were repaired. Nothing is dropped here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from ppi_ml.clock import clock_of, instants_of
from ppi_ml.errors import DataError
from ppi_ml.instants import DAY_US
from ppi_ml.ledger import Ledger
from ppi_ml.load_report import TAKEN_AS
from ppi_ml.schema import Column

EARLIEST = DAY_US  # FIRST_DAY: an empty time is often exported as the epoch, so that day is out
LATEST = 7_258_118_400_000_000  # 2200-01-01
FIRST_DAY = "1970-01-02"
SPAN = f"between {FIRST_DAY} and 2200-01-01"
_UNITS_PER_US = {"ns": 1_000, "us": 1, "ms": 1}
_MISSING = ("", "nan", "NaN", "None", "none", "NULL", "null", "<NA>", "NaT")
_OFFSET = r"(?:[zZ]|[+-]\d{2}(?::?\d{2})?)$"
_READ_AS_TEXT = (pl.String, pl.Categorical, pl.Enum, pl.Null, pl.Boolean, pl.Date)
_LARGEST_EXACT = 2.0**53
_TRUTHS = {"True": "true", "False": "false"}


@dataclass(frozen=True)
class Cells:
    """One canonical column (n,); `broken` and `repaired`: rule -> boolean rows (n,)."""

    values: pl.Series
    broken: dict[str, pl.Series] = field(default_factory=dict)
    repaired: dict[str, pl.Series] = field(default_factory=dict)


@dataclass(frozen=True)
class Times(Cells):
    """A column of instants (Int64, microseconds UTC); null where empty or unreadable.

    `dated` (n,): the cell is a date without a time; `early` (n,): a time before all that can be.
    """

    dated: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Boolean))
    early: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.Boolean))


def enter(ledger: Ledger, name: str, read: Cells) -> None:
    """Enter what reading a column found: rows of broken rules, then rows that were repaired."""
    for rule, rows in read.broken.items():
        ledger.quarantine(rule, (name,), rows)
    for rule, rows in read.repaired.items():
        ledger.repair(rule, rows)


def read_text(cells: pl.Series, column: Column) -> Cells:
    """Text without surrounding spaces; an empty cell is null. `DataError` if it is no text.

    True and False, as pandas writes truths into a CSV, are the true and false of a frame of truths.
    """
    read = _words(cells, column)
    values = read.values.replace(_TRUTHS)
    truths = {"truth written with a capital letter": _differ(values, read.values)}
    return Cells(values, read.broken, {**read.repaired, **truths})


def read_id(cells: pl.Series, column: Column) -> Cells:
    """Ids as text: `12345.0` becomes `12345`, leading zeros stay, an empty cell is null."""
    if cells.dtype.is_integer():
        return Cells(cells.cast(pl.String), broken=_missing(cells, column))
    if cells.dtype.is_float():
        return _float_ids(cells, column)
    text = _as_text(cells, column.name)
    stripped = text.str.strip_chars()
    values = stripped
    if stripped.str.ends_with(".0").any():
        values = stripped.str.replace(r"^(\d+)\.0$", "$1")
    values = _null_where(values, values.is_in(_MISSING))
    repaired = {
        "id written as a decimal number": _differ(values, stripped),
        "surrounding spaces stripped": _differ(stripped, text),
    }
    return Cells(values, _missing(values, column), repaired)


def read_choice(cells: pl.Series, column: Column) -> Cells:
    """One of the column's words, however it spells them; an empty cell is null or the default.

    What is none of them breaks a rule, or counts as repaired where the column says what it is then.
    """
    read = _words(cells, column)
    values = read.values.str.to_lowercase()
    if column.spellings:
        # A column of numbers or truths was made text above: 1.0 is the 1 of a column with gaps.
        values = values.str.replace(r"^(\d+)\.0$", "$1").replace(dict(column.spellings))
    values = values.fill_null(column.default) if column.fills else values
    unknown = ~values.is_in(column.choices).fill_null(True)
    rules = {**_missing(values, column), f"{column.name} must be {column.rule}": unknown}
    if column.otherwise is None:
        return Cells(values, rules, read.repaired)
    values = values.set(unknown | values.is_null(), column.otherwise)
    taken = {f"{rule}{TAKEN_AS}{column.otherwise}": rows for rule, rows in rules.items()}
    return Cells(values, {}, {**taken, **read.repaired})


def read_number(cells: pl.Series, column: Column) -> Cells:
    """Finite Float64 within the column's bounds; null where empty."""
    number, unreadable = _as_number(cells, column.name)
    finite = _null_where(number, ~number.is_finite().fill_null(True))
    broken = {
        f"{column.name} must be a number": unreadable | (number.is_not_null() & finite.is_null())
    }
    if column.default is not None:
        broken[f"{column.name} missing"] = number.is_null() & ~unreadable
    if column.above is not None:
        broken[f"{column.name} must be > {column.above:g}"] = finite <= column.above
    if column.least is not None:
        broken[f"{column.name} must be >= {column.least:g}"] = finite < column.least
    if column.most is not None:
        broken[f"{column.name} must be <= {column.most:g}"] = finite > column.most
    # Equal values must have equal bytes, so -0.0 becomes 0.0.
    values = finite.set((finite == 0).fill_null(False), 0.0)
    return Cells(values, {rule: rows.fill_null(False) for rule, rows in broken.items()})


def read_times(cells: pl.Series, name: str, zone: str) -> Times:
    """Instants from dates, naive times (on the clock of the zone), aware times, or ISO text.

    A time that the clock shows twice is the earlier one; a time that it skips is read with the
    offset in force before the change and counts as repaired. `DataError` if naive and aware texts
    are mixed or the column holds something else.
    """
    if isinstance(cells.dtype, pl.Datetime):
        return _datetimes(cells, name, zone)
    if cells.dtype == pl.Date:
        days = cells.to_physical().cast(pl.Int64)
        return _on_the_clock(days * DAY_US, days.is_not_null(), name, zone, cells.is_null())
    if cells.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return _texts(cells.cast(pl.String), name, zone)
    raise DataError(
        f"column {name} holds {cells.dtype}; expected dates, times, or ISO text such as "
        "2011-12-09 or 2011-12-09T12:50:00"
    )


def blank(cells: pl.Series) -> bool:
    """Whether no cell holds anything: all are null, or texts of spaces or of a word for nothing."""
    text = cells.str.strip_chars() if cells.dtype == pl.String else None
    return cells.null_count() == len(cells) or (text is not None and text.is_in(_MISSING).all())


def _words(cells: pl.Series, column: Column) -> Cells:
    text = _as_text(cells, column.name)
    stripped = text.str.strip_chars()
    values = _null_where(stripped, stripped == "")
    repaired = {"surrounding spaces stripped": _differ(stripped, text)}
    return Cells(values, _missing(values, column), repaired)


def _as_text(cells: pl.Series, name: str) -> pl.Series:
    if not (cells.dtype.is_numeric() or cells.dtype in _READ_AS_TEXT):
        raise DataError(f"column {name} holds {cells.dtype}; expected text")
    # A frame makes floats of whole numbers where one is missing: the word is 1 all the same.
    return _float_text(cells)[0] if cells.dtype.is_float() else cells.cast(pl.String)


def _as_number(cells: pl.Series, name: str) -> tuple[pl.Series, pl.Series]:
    """(Float64, rows that hold something that is not a number)."""
    if cells.dtype.is_numeric():
        return cells.cast(pl.Float64), pl.repeat(False, len(cells), eager=True)
    if cells.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        raise DataError(f"column {name} holds {cells.dtype}; expected numbers")
    text = cells.cast(pl.String).str.strip_chars()
    number = text.cast(pl.Float64, strict=False)
    return number, number.is_null() & (text != "").fill_null(False)


def _float_ids(cells: pl.Series, column: Column) -> Cells:
    values, whole = _float_text(cells)
    repaired = {"id written as a decimal number": whole}
    return Cells(values, _missing(values, column), repaired)


def _float_text(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    """(text, whole numbers without decimals and null where it is no number; those whole rows)."""
    finite = _null_where(cells, ~cells.is_finite())
    whole = ((finite == finite.round()) & (finite.abs() < _LARGEST_EXACT)).fill_null(False)
    values = finite.cast(pl.String).zip_with(
        ~whole, _null_where(finite, ~whole).cast(pl.Int64).cast(pl.String)
    )
    return values, whole


def _datetimes(cells: pl.Series, name: str, zone: str) -> Times:
    assert isinstance(cells.dtype, pl.Datetime)
    ticks = cells.to_physical()
    unit = cells.dtype.time_unit
    if unit == "ms":  # bounded first: scaling an absurd value would overflow
        ticks = ticks.clip(0, LATEST // 1_000) * 1_000
    stamps = ticks // _UNITS_PER_US[unit]
    empty = cells.is_null()
    if cells.dtype.time_zone is None:
        # Columns of a data frame hold dates as midnights: one cell alone cannot show it, 50 can.
        midnights = (stamps % DAY_US == 0).fill_null(False)
        dated = midnights & bool(len(stamps) >= 50 and (midnights | empty).all())
        return _on_the_clock(stamps, dated, name, zone, empty)
    return _instants(stamps, name, empty)


def _texts(cells: pl.Series, name: str, zone: str) -> Times:
    text = cells.str.strip_chars()
    empty = text.is_null() | text.is_in(_MISSING)
    text = text.str.replace("T", " ", literal=True)
    if text.str.starts_with("0000-00-00").any():  # MySQL's way to say "no time", and no date
        text = text.str.replace("^0000-00-00", "0001-01-01")
    text = _null_where(
        text, ~text.str.contains(r"^\d{4}-").fill_null(False)
    )  # 31-12-24: no year 31
    offset = ((text.str.len_bytes() > 10) & text.str.contains(_OFFSET)).fill_null(False)
    naive = _parse(_null_where(text, offset), "")
    aware = _parse(_whole_offset(_null_where(text, ~offset)), "%z")
    if naive.is_not_null().any() and aware.is_not_null().any():
        raise DataError(
            f"column {name} mixes times with and without an offset from UTC "
            f"({aware.is_not_null().sum()} with, {naive.is_not_null().sum()} without); write all "
            "of them the same way"
        )
    if aware.is_not_null().any():
        return _instants(aware, name, empty)
    dated = (naive.is_not_null() & (text.str.len_bytes() == 10)).fill_null(False)
    return _on_the_clock(naive, dated, name, zone, empty)


def _whole_offset(text: pl.Series) -> pl.Series:
    """Offsets spelled out: `Z` is +00:00, `+01` is +01:00."""
    return text.str.replace("[zZ]$", "+00:00").str.replace(r"(:\d{2}(?:\.\d+)?[+-]\d{2})$", "$1:00")


def _parse(text: pl.Series, offset: str) -> pl.Series:
    """Microseconds (n,) of ISO text; null where it is none. With an offset they are UTC."""
    read = pl.Series(text.name, dtype=pl.Int64).extend_constant(None, len(text))
    for style in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        left = text.is_not_null() & read.is_null()
        if not left.any():
            break
        more = text.str.to_datetime(style + offset, time_unit="us", strict=False)
        read = read.zip_with(~left, more.to_physical())
    return read


def _instants(stamps: pl.Series, name: str, empty: pl.Series) -> Times:
    inside = stamps.is_between(EARLIEST, LATEST, closed="left").fill_null(False)
    dated = pl.repeat(False, len(stamps), eager=True)
    broken = _broken_times(name, stamps, inside, empty)
    early = (stamps < EARLIEST).fill_null(False)
    return Times(_null_where(stamps, ~inside), broken, dated=dated, early=early)


def _on_the_clock(
    walls: pl.Series, dated: pl.Series, name: str, zone: str, empty: pl.Series
) -> Times:
    inside = walls.is_between(EARLIEST, LATEST, closed="left").fill_null(False)
    at = instants_of(_null_where(walls, ~inside), zone)
    skipped = inside & ~dated & (clock_of(at, zone) != walls).fill_null(False)
    repaired = {f"{name} skipped by the clock, moved on": skipped}
    early = (walls < EARLIEST).fill_null(False)
    broken = _broken_times(name, walls, inside, empty)
    return Times(at, broken, repaired, dated=dated, early=early)


def _broken_times(
    name: str, stamps: pl.Series, inside: pl.Series, empty: pl.Series
) -> dict[str, pl.Series]:
    unread = stamps.is_null() & ~empty
    return {
        f"{name} missing": empty,
        f"{name} must be an ISO date or time": unread,
        f"{name} must lie {SPAN}": ~inside & ~unread & ~empty,
    }


def _missing(values: pl.Series, column: Column) -> dict[str, pl.Series]:
    return {f"{column.name} missing": values.is_null()} if column.required else {}


def _differ(left: pl.Series, right: pl.Series) -> pl.Series:
    """Rows where both are there and differ: what became empty is missing, not repaired."""
    return (left != right).fill_null(False)


def _null_where(values: pl.Series, rows: pl.Series) -> pl.Series:
    if not rows.any():
        return values
    nothing = pl.Series(values.name, [None], dtype=values.dtype)
    return nothing.new_from_index(0, len(values)).zip_with(rows.fill_null(False), values)
