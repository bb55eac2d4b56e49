"""Rows that a shop does not want in its log, such as test orders: left out by rule, and counted.

A rule finds rows by a cell. A line takes its whole order along, whatever table tells of it; a row
of `customers` takes everything of that customer; any other row goes alone. What came of an order
is known later than the order: an order that left because of its return would leave past cutoffs by
what only the future told. Nor can a rule name customers by what they ever ordered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import cells
from ppi_ml.errors import DataError
from ppi_ml.exclude_rule import ExcludeRule, Word
from ppi_ml.intake import RawTable
from ppi_ml.ledger import LeftOut
from ppi_ml.limits import Caller
from ppi_ml.schema import Column

_TAKES_ALONG = {"order_lines": "order_id", "customers": "customer_id"}
_OF_ORDERS = ("shipment_id", "ticket_id")
"""What belongs to an order by a row of another table, where a row does not name the order."""
_SEVERAL = r"[,;|]"
_NO_WORDS = (pl.Binary, pl.Object, pl.Duration)
_KEPT = -1


def without(
    raw: Mapping[str, RawTable], rules: Mapping[str, ExcludeRule], caller: Caller = "config"
) -> dict[str, RawTable]:
    """The raw tables without the rows that the rules leave out, which `RawTable.left_out` counts.

    A row that several rules leave out counts for the first. Notes tell of rules that did nothing.
    A request need not have the columns of a rule.

    Raises:
        DataError: a column is not there or cannot be compared, or no order line is left.
    """
    if not rules:
        return dict(raw)
    book = _Book({name: table.frame for name, table in raw.items()})
    for name, rule in rules.items():
        where = f"data.exclude.{name}" if caller == "config" else f"exclude: {name}"
        try:
            book.enter(name, rule, lenient=caller == "request")
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    columns = {name: frozenset(r.column for r in rules.values() if r.table == name) for name in raw}
    found = {name: book.left(name, table, columns[name]) for name, table in raw.items()}
    lines = found["order_lines"]
    if not lines.frame.height and raw["order_lines"].frame.height:
        raise DataError(
            f"order_lines: every row is excluded by {_listed(book.counts('order_lines'))}"
        )
    return found | {"order_lines": replace(lines, notes=(*lines.notes, *book.notes))}


def named(rules: Iterable[str]) -> str:
    """The names of rules for a sentence; none where there are none."""
    return ", ".join(sorted(rules)) or "none"


class _Book:
    """Which rule left each row out, by table."""

    def __init__(self, frames: Mapping[str, pl.DataFrame]) -> None:
        self._frames = frames
        self._names: list[str] = []
        self._by: dict[str, NDArray[np.int32]] = {
            name: np.full(frame.height, _KEPT, dtype=np.int32) for name, frame in frames.items()
        }
        self._ids: dict[tuple[str, str], pl.Series] = {}
        self.notes: list[str] = []

    def enter(self, name: str, rule: ExcludeRule, *, lenient: bool) -> None:
        """Leave out what the rule finds, and what belongs to it."""
        self._names.append(name)
        frame = self._frames.get(rule.table)
        if frame is None or not frame.height:
            self._note(name, f"there is no table {rule.table}")
            return
        if rule.column not in frame.columns:
            if lenient:
                return
            raise DataError(_no_column(rule, frame.columns))
        hit = _matched(rule, frame[rule.column])
        if not hit.any():
            self._note(name, f"no row of {rule.table} has such a cell in {rule.column}")
            return
        before = sum(int((by != _KEPT).sum()) for by in self._by.values())
        self._cross_out(rule.table, hit)
        key = _TAKES_ALONG.get(rule.table)
        if key is not None and key in frame.columns:  # else the table is refused when it is read
            self._along(key, self._id(rule.table, key).filter(hit).drop_nulls())
        if before == sum(int((by != _KEPT).sum()) for by in self._by.values()):
            self._note(name, "all that it finds is excluded by an earlier rule")

    def counts(self, table: str) -> dict[str, int]:
        """Rule -> rows of a table that it left out."""
        rows = np.bincount(self._by[table] + 1, minlength=len(self._names) + 1)[1:].tolist()
        return {name: n for name, n in zip(self._names, rows, strict=True) if n}

    def left(self, table: str, raw: RawTable, columns: frozenset[str]) -> RawTable:
        """A table with what is left of its rows."""
        stay = np.flatnonzero(self._by[table] == _KEPT)
        frame = raw.frame if len(stay) == raw.frame.height else raw.frame[stay]
        return replace(raw, frame=frame, left_out=LeftOut(self.counts(table), stay, columns))

    def _along(self, key: str, gone: pl.Series) -> None:
        """Leave out every row that names one of these orders or customers, and its parts."""
        for table in self._having(key):
            self._cross_out(table, self._id(table, key).is_in(gone.implode()))
        for part in _OF_ORDERS if key == "order_id" else ():
            self._parts_along(part, gone)

    def _parts_along(self, part: str, orders: pl.Series) -> None:
        """Leave out the rows without an order whose parcel or ticket belongs to one of these."""
        tables = self._having(part)
        ids = [
            self._id(table, part).filter(self._id(table, "order_id").is_in(orders.implode()))
            for table in tables
            if "order_id" in self._frames[table].columns
        ]
        if not ids:
            return
        gone = pl.concat(ids).drop_nulls().unique()
        for table in tables:
            orderless = pl.repeat(True, self._frames[table].height, eager=True)
            if "order_id" in self._frames[table].columns:
                orderless = self._id(table, "order_id").is_null()
            self._cross_out(table, orderless & self._id(table, part).is_in(gone.implode()))

    def _cross_out(self, table: str, rows: pl.Series) -> None:
        """Enter rows (n,), boolean, for the newest rule, unless an earlier one left them out."""
        by = self._by[table]
        by[(by == _KEPT) & rows.fill_null(value=False).to_numpy()] = len(self._names) - 1

    def _having(self, column: str) -> list[str]:
        return [n for n, f in self._frames.items() if f.height and column in f.columns]

    def _id(self, table: str, column: str) -> pl.Series:
        """A column of ids as the log will know them (n,)."""
        if (table, column) not in self._ids:
            try:
                read = cells.read_id(self._frames[table][column], Column(column, "id", "", ""))
            except DataError as error:
                raise DataError(f"{table}: {error}") from error
            self._ids[table, column] = read.values
        return self._ids[table, column]

    def _note(self, name: str, why: str) -> None:
        self.notes.append(f"exclude: {name}: {why}, so the rule does nothing")


def _matched(rule: ExcludeRule, column: pl.Series) -> pl.Series:
    """The rows (n,), boolean, whose cell a rule means."""
    if rule.values is not None:
        return _says(column, rule.values)
    number = cells.read_number(column, Column(rule.column, "number", "", "")).values
    beyond = number > rule.above if rule.above is not None else number < rule.below
    return beyond.fill_null(value=False)


def _says(column: pl.Series, words: tuple[Word, ...]) -> pl.Series:
    """Rows whose cell is one of the words, or lists one of them between commas or the like."""
    if column.dtype.is_nested() or column.dtype in _NO_WORDS:
        raise DataError(f"column {column.name} holds {column.dtype}; expected text")
    text = column.cast(pl.String)
    cell = text.drop_nulls().unique().to_frame("cell")
    listed = pl.col("cell").str.replace_all(_SEVERAL, ",").str.split(",")
    part = cell.with_columns(part=listed).explode("part")
    wanted = pl.select(_plain(pl.lit(pl.Series([str(word) for word in words])))).to_series()
    said = pl.any_horizontal(_plain(pl.col(name)).is_in(wanted.implode()) for name in part.columns)
    return text.is_in(part.filter(said)["cell"].implode()).fill_null(value=False)


def _plain(text: pl.Expr) -> pl.Expr:
    """Text as it is compared: trimmed, in small letters, whole numbers without decimals."""
    return text.str.strip_chars().str.to_lowercase().str.replace(r"^(-?\d+)\.0+$", "$1")


def _no_column(rule: ExcludeRule, columns: list[str]) -> str:
    small = {name.lower(): name for name in columns}
    near = get_close_matches(rule.column.lower(), small, n=1)
    hint = f" Did you mean {small[near[0]]}?" if near else ""
    return (
        f'the table {rule.table} has no column "{rule.column}".{hint} '
        f"The columns are: {', '.join(columns)}"
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({rows:,})" for name, rows in counts.items())
