"""One CSV file as text, cell by cell: its encoding, its separator, its header."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import polars as pl

from ppi_ml.csv_trouble import above_header, is_utf8, is_utf16, other_kind, separator_of, trouble
from ppi_ml.errors import DataError

if TYPE_CHECKING:
    from _csv import Reader as Rows

_HEAD = 16
"""Lines in which a header is looked for below a title."""
_AT_ONCE = 100_000
_COUNTED = "column 1 (no name)"


def read_csv(file: Path, encoding: str | None = None) -> pl.DataFrame:
    """The cells as text, under the names of the header without blanks around them.

    `encoding` is that of a file that is no UTF-8. Rows without a single cell are left out, and so
    are columns without a name that hold nothing: lines that end in the separator make them. The
    numbers of rows that pandas and R write first get a name that says so.
    `DataError` if the file cannot be read.
    """
    try:
        return _read(file, encoding)
    except (pl.exceptions.PolarsError, UnicodeError, csv.Error) as error:
        # The reader's own words may quote a cell, so they are left out.
        expected = f"CSV in {encoding or 'UTF-8'} with a header"
        if why := trouble(file, _separator(file), encoding):
            raise DataError(f"{file}: cannot be read as {expected}: {why}") from error
        raise DataError(
            f"{file}: cannot be read as {expected}; it may be damaged, empty, in another encoding, "
            "or have rows longer than its header"
        ) from error


def check_names(names: Sequence[str], where: str) -> None:
    """`DataError` if two columns have one name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{where}: several columns are named {', '.join(twice)}; rename them")


def _read(file: Path, encoding: str | None) -> pl.DataFrame:
    whole = None  # read from the disk, unless it must be written anew
    if other_kind(file):
        raise UnicodeError("no text")
    wide = is_utf16(file)
    if encoding is not None and (wide or not is_utf8(file)):
        whole = file.read_bytes().decode(encoding).encode()
    elif wide:  # of plain ASCII it could be read as UTF-8 too
        raise UnicodeError("a text of two bytes a character")
    with _text(file, whole) as lines:
        head = list(islice(lines, _HEAD))
        if above := above_header(head, file):
            raise DataError(f"{file}: {above}")
        separator = separator_of(head)
        lines.seek(0)
        rows = csv.reader(lines, delimiter=separator, strict=True)
        blank, header = _header(rows)
        check_names([name for name in header if name], str(file))
        frame = _at_once(file if whole is None else whole, separator, blank)
        if frame is None or frame.width != len(header):
            frame = _row_by_row(rows, len(header))
    return _named(frame, header, file)


def _header(rows: Rows) -> tuple[int, list[str]]:
    """How many blank lines stand above the header, and its names."""
    blank = 0
    for row in rows:
        names = [name.strip() for name in row]
        if any(names):
            return blank, names
        blank = rows.line_num
    raise csv.Error("there is no header")


def _at_once(source: Path | bytes, separator: str, blank: int) -> pl.DataFrame | None:
    """All rows; None where this fast reader fails, or took a quote for what it is not.

    It takes the quote of 5" for the begin of a quoted cell and runs on to the next, over the ends
    of rows: that makes cells that hold a quote together with a separator or the end of a line.
    """
    try:
        frame = pl.read_csv(
            source, separator=separator, infer_schema=False, skip_lines=blank, null_values=""
        )
    except pl.exceptions.PolarsError:
        return None
    cells = pl.all().filter(pl.all().str.contains('"', literal=True))
    ran_on = cells.str.contains(f"[{re.escape(separator)}\r\n]").any()
    return None if any(frame.select(ran_on).row(0)) else frame


def _row_by_row(rows: Rows, width: int) -> pl.DataFrame:
    """What is left of the rows: slower, and a quote in the middle of a cell is a quote."""
    names = [f"column_{i}" for i in range(width)]
    parts = [pl.DataFrame(schema=dict.fromkeys(names, pl.String))]
    while some := list(islice(rows, _AT_ONCE)):
        if max(map(len, some)) > width:
            raise csv.Error("a row is longer than the header")
        whole = [row if len(row) == width else row + [""] * (width - len(row)) for row in some]
        columns = zip(names, zip(*whole, strict=True), strict=True)
        parts.append(pl.DataFrame([pl.Series(n, cells, dtype=pl.String) for n, cells in columns]))
    return pl.concat(parts).with_columns(pl.all().replace("", None))


def _text(file: Path, whole: bytes | None) -> IO[str]:
    raw = file.open("rb") if whole is None else BytesIO(whole)
    return TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _named(frame: pl.DataFrame, header: list[str], file: Path) -> pl.DataFrame:
    """The columns under the names of the header, those without one left out if they are empty.

    Of those that are not, a first one of whole numbers counts the rows, as pandas writes them.
    """
    kept = []
    for number, (column, name) in enumerate(zip(frame.get_columns(), header, strict=True), 1):
        if name:
            kept.append(column.alias(name))
        elif column.null_count() == len(column):
            continue
        elif number == 1 and column.str.contains(r"^\d+$").all():
            kept.append(column.alias(_COUNTED))
        else:
            raise DataError(
                f"{file}: column {number} has no name and is not empty; name it in the header, or "
                "delete it"
            )
    named = pl.DataFrame(kept)
    return named.filter(~pl.all_horizontal(pl.all().is_null()))


def _separator(file: Path) -> str:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        return separator_of(lines)
