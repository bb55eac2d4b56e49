"""One CSV file as text, cell by cell: its encoding, its separator, its header."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO

import polars as pl

from ppi_ml.csv_trouble import SEPARATORS, above_header, is_utf8, trouble
from ppi_ml.errors import DataError

_HEAD = 16
"""Lines in which a header is looked for below a title."""


def read_csv(file: Path, encoding: str | None = None) -> pl.DataFrame:
    """The cells as text, under the names of the header without blanks around them.

    `encoding` is that of a file that is no UTF-8. Columns without a name that hold nothing are left
    out: lines that end in the separator make them. `DataError` if the file cannot be read.
    """
    try:
        return _read(file, encoding)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
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
    if encoding is not None and not is_utf8(file):
        whole = file.read_bytes().decode(encoding).encode()
    with _text(file, whole) as lines:
        head = list(islice(lines, _HEAD))
        if above := above_header(head, file):
            raise DataError(f"{file}: {above}")
        separator = _separator_of("".join(head[:1]))
        lines.seek(0)
        header = [name.strip() for name in next(csv.reader(lines, delimiter=separator), [])]
    check_names([name for name in header if name], str(file))
    frame = pl.read_csv(file if whole is None else whole, separator=separator, infer_schema=False)
    return _named(frame, header, file)


def _text(file: Path, whole: bytes | None) -> IO[str]:
    raw = file.open("rb") if whole is None else BytesIO(whole)
    return TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _named(frame: pl.DataFrame, header: list[str], file: Path) -> pl.DataFrame:
    """The columns under the names of the header, those without one left out if they are empty."""
    kept = []
    for column, name in zip(frame.get_columns(), header, strict=True):
        if name:
            kept.append(column.alias(name))
        elif column.null_count() < len(column):
            raise DataError(
                f"{file}: column {len(kept) + 1} has no name and is not empty; name it in the "
                "header, or delete it"
            )
    return pl.DataFrame(kept)


def _separator(file: Path) -> str:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        return _separator_of(lines.readline())


def _separator_of(head: str) -> str:
    return max(SEPARATORS, key=head.count)
