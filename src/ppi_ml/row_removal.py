"""The rows of some customers out of one file, which is replaced whole or stays as it was.

Parquet is read one row group at a time, text one row at a time, so that a large file needs little
memory; the rows that stay are those that were there, in text byte for byte.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ppi_ml import spreadsheet
from ppi_ml.csv_trouble import other_encoding, separator_of
from ppi_ml.customer_list import NAMES, Customers
from ppi_ml.errors import DataError, IntegrityError
from ppi_ml.ledger import QUARANTINE_SCHEMA

_PARQUET, _CSV, _JSON, PAGES = (
    (".parquet", ".pq"), (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson"), (".md",),
)  # fmt: skip
SUFFIXES = (*_PARQUET, *_CSV, *_JSON, *PAGES)
"""The files that can be read here."""
_AT_ONCE = 20_000

Part = tuple[pl.Series, int, Any]
"""The cells that name customers (null where a line is no row), how many rows, and the rows."""


@dataclass(frozen=True)
class Found:
    """What a file holds of the customers: rows that name them, other rows, and who is in there.

    `ids` are those in a column of ids; what a quarantined cell names is not among them.
    """

    rows: int
    left: int
    ids: frozenset[str] = frozenset()


def search(path: Path, customers: Customers, column: str | None = None) -> Found | None:
    """What a file holds of the customers; None if nothing in there says whose a row is.

    Args:
        path: a file that ends in one of `SUFFIXES`.
        customers: whom to look for.
        column: the column of their ids, which must be there; None: one of `NAMES` if there is one,
            or the values of a file of quarantined rows.

    Raises:
        DataError: the column is not there.
        IntegrityError: the file cannot be read as what its name says, or the column holds no ids.
    """
    source = _open(path, column)
    if source is None:
        return None
    rows, every, ids = 0, 0, frozenset[str]()
    for cells, size, _ in source.parts(only_cells=True):
        mask, who = source.mask(cells, customers)
        rows, every, ids = rows + int(mask.sum()), every + size, ids | who
    no_column = column is None and isinstance(source, _Text) and source.column is None
    return None if no_column and not every else Found(rows, every - rows, ids)


def columns_of(path: Path) -> list[str]:
    """The columns of a file that `search` could open: those of its header, or of its JSON lines.

    A line of JSON that is no object counts as one column without a name.
    """
    kind = path.suffix.lower()
    if kind in _PARQUET:
        return list(pq.read_schema(path).names)
    if kind in _CSV:
        return _header(path)[0]
    return sorted({name for found in _lines_of_json(path) for name in _keys(found)})


def remove(path: Path, customers: Customers, column: str | None = None) -> None:
    """Rewrite a file without the rows that `search` counts; the old one stays if that fails.

    The arguments and errors are those of `search`; `OSError` if the disk is full or refuses.
    """
    source = _open(path, column)
    if source is not None:
        with replaced(path) as place:
            source.write(place, customers)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A place to write to that takes the place of a file when the block ends well."""
    place = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield place
        shutil.copymode(path, place)
        with place.open("rb") as file:
            os.fsync(file.fileno())
        place.replace(path)
    finally:
        place.unlink(missing_ok=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What readers say of a damaged file as one error, without the cells that they quote."""
    try:
        yield
    except (pa.ArrowException, OSError, csv.Error, UnicodeError, json.JSONDecodeError) as error:
        kind = path.suffix.lower().removeprefix(".")
        why = encoding_of(path) or "it may be damaged"
        raise IntegrityError(f"{path}: cannot be read as {kind}; {why}") from error


def encoding_of(path: Path) -> str:
    """How a text that is not in UTF-8 is written, and how to convert it; empty for all others."""
    is_text = path.suffix.lower() in (*_CSV, *_JSON, *PAGES)
    return other_encoding(path) if is_text else ""


@dataclass(frozen=True)
class _Source(ABC):
    """A file that names customers in `column`; `as_text`: in the middle of other words."""

    path: Path
    column: str | None
    as_text: bool

    def mask(self, cells: pl.Series, customers: Customers) -> tuple[pl.Series, frozenset[str]]:
        """Which rows go (n,), and who was in there."""
        if self.as_text:
            return customers.within(cells), frozenset()
        try:
            return customers.among(cells)
        except DataError as error:  # no column of ids: it says what it holds
            raise IntegrityError(f"{self.path}: {error}") from error

    @abstractmethod
    def parts(self, only_cells: bool = False) -> Iterator[Part]:
        """The file in pieces."""

    @abstractmethod
    def write(self, place: Path, customers: Customers) -> None:
        """All that stays, written to another place."""


class _Parquet(_Source):
    def parts(self, only_cells: bool = False) -> Iterator[Part]:
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                with _reading(self.path):
                    table = file.read_row_group(group, [self.column] if only_cells else None)
                yield pl.Series(pl.from_arrow(table[self.column])), table.num_rows, table

    def write(self, place: Path, customers: Customers) -> None:
        with pq.ParquetFile(self.path) as file:
            about, schema = file.metadata, file.schema_arrow
            packed = about.row_group(0).column(0).compression if about.num_row_groups else "NONE"
        packed = packed.replace("UNCOMPRESSED", "NONE")
        with pq.ParquetWriter(place, schema, compression=packed) as to:
            for cells, _, table in self.parts():
                mask, _ = self.mask(cells, customers)
                to.write_table(table.filter((~mask).to_arrow()))


@dataclass(frozen=True)
class _Text(_Source):
    rows: Callable[[], Iterator[tuple[str | None, str]]]
    """Every line or record as (the cell, null where it is no row; what stands in the file)."""

    def parts(self, only_cells: bool = False) -> Iterator[Part]:
        rows = self.rows()
        while some := self._next(rows):
            cells = pl.Series([cell for cell, _ in some], dtype=pl.String)
            yield cells, cells.count(), [line for _, line in some]

    def _next(self, rows: Iterator[tuple[str | None, str]]) -> list[tuple[str | None, str]]:
        with _reading(self.path):
            return list(islice(rows, _AT_ONCE))

    def write(self, place: Path, customers: Customers) -> None:
        with place.open("w", encoding="utf-8", newline="") as to:
            for cells, _, lines in self.parts():
                mask, _ = self.mask(cells, customers)
                to.writelines(line for line, gone in zip(lines, mask, strict=True) if not gone)


def _open(path: Path, column: str | None) -> _Source | None:
    kind, separator = path.suffix.lower(), ""
    if kind in _JSON:
        if column is not None:
            _refuse_without(path, column)
        return _Text(path, column, False, lambda: _objects(path, column))
    if kind in PAGES:
        return _Text(path, column, False, lambda: _table_rows(path))
    with _reading(path):
        if kind in _PARQUET:
            names = pq.read_schema(path).names
        else:
            names, separator = _header(path)
    where = _where(path, names, column)
    if where is None:
        return None
    if kind in _PARQUET:
        return _Parquet(path, *where)
    read = _of_people if where[0] == NAMES[1] else _records
    return _Text(path, *where, lambda: read(path, separator, names.index(where[0])))


def _where(path: Path, names: Sequence[str], column: str | None) -> tuple[str, bool] | None:
    """The column that names customers, and whether it does so in the middle of other words."""
    if column is not None:
        column = column if column in names else column.strip()
        if column not in names:
            raise DataError(
                f"{path}: there is no column {column} to tell whose a row is; the columns are: "
                f"{', '.join(names)}"
            )
        return column, False
    if set(QUARANTINE_SCHEMA) <= set(names):
        return "value", True
    return next(((name, False) for name in NAMES if name in names), None)


def _header(path: Path) -> tuple[list[str], str]:
    with path.open(encoding="utf-8-sig", newline="") as file:  # its mark may stand before a quote
        head = next((line for line in file if line.strip()), "")
        if "\0" in head:
            raise UnicodeError("a text of two bytes a character")
        file.seek(0)
        separator = separator_of(file)
        file.seek(0)
        rows = csv.reader(file, delimiter=separator, strict=True)
        names = next((row for row in rows if _is_header(row)), [])
    return [name.strip() for name in names], separator  # as a file of events is read


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a row that no header stands above is one: blank lines may come before it."""
    return any(name.strip() for name in cells)


def _records(path: Path, separator: str, place: int) -> Iterator[tuple[str | None, str]]:
    """The records of a CSV file; one may take several lines.

    Quotes that do not fit are an error: they would join records of several customers to one.
    """
    taken: list[str] = []
    headed = False

    def remembered(lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    with path.open(encoding="utf-8", newline="") as file:
        records = csv.reader(remembered(file), delimiter=separator, strict=True)
        for cells in records:
            is_row = headed and len(cells) > place
            yield cells[place] if is_row else None, "".join(taken)
            headed = headed or _is_header(cells)
            taken.clear()


def _of_people(path: Path, separator: str, place: int) -> Iterator[tuple[str | None, str]]:
    """The records of a list for people, whose cells a spreadsheet may open."""
    for cell, record in _records(path, separator, place):
        yield None if cell is None else spreadsheet.meant(cell), record


def _lines_of_json(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from (json.loads(line) for line in file if line.strip())


def _keys(found: object) -> Iterable[str]:
    return found.keys() if isinstance(found, dict) else ("",)


def _objects(path: Path, column: str | None) -> Iterator[tuple[str | None, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        for line in file:
            found = json.loads(line) if line.strip() else None
            known = found if isinstance(found, dict) else {}
            names = NAMES if column is None else (column,)
            values = [known[name] for name in names if name in known]
            yield str(values[0]) if values else None, line


def _refuse_without(path: Path, column: str) -> None:
    """`DataError` if a file holds lines of JSON and none of them has the column."""
    empty = True
    with _reading(path):
        for cell, line in _objects(path, column):
            if cell is not None:
                return
            empty = empty and not line.strip()
    if not empty:
        raise DataError(f"{path}: no line has a {column} to tell whose it is")


def _table_rows(path: Path) -> Iterator[tuple[str | None, str]]:
    """The lines of a Markdown file, with the customer of each row of a table that has any."""
    place: int | None = None
    with path.open(encoding="utf-8", newline="") as file:
        for line in file:
            cells = _cells(line) if line.startswith("|") else []
            if cells and place is None:
                place = next((cells.index(name) for name in NAMES if name in cells), -1)
                yield None, line
                continue
            place = place if cells else None
            is_row = place is not None and 0 <= place < len(cells)
            yield cells[place or 0] if is_row else None, line


def _cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table as plain text, as `tables.markdown` escaped them."""
    inside = line.strip().strip("|")
    return [
        re.sub(r"\\(.)", r"\1", cell).strip() for cell in re.findall(r"(?:\\.|[^|\\])+", inside)
    ]
