"""A list of customers: read from a file, and found again in columns and in the middle of words."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from ppi_ml.cells import read_id
from ppi_ml.csv_trouble import other_encoding, other_kind, separator_of
from ppi_ml.errors import UsageError
from ppi_ml.schema import CUSTOMER_ID

NAMES = ("customer_id", "customer")
"""What a column of customers is called: in events and scores, and in lists for people."""
_WORD = re.compile(r"\w+")
_QUOTED = re.compile(r'^\s*"([^"]*)"\s*$')
_LINE_END = re.compile(r"\r\n|\r|\n")
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_ONE = "one id a line"
_EXPECTED = f"{_ONE}, or CSV with a column {NAMES[0]}"


class Customers:
    """Customers to look for, by ids as a log writes them; `origin` is the file of the list."""

    def __init__(self, ids: Iterable[str], origin: Path | None = None) -> None:
        self.origin = origin
        self.ids = _written(pl.Series(list(ids), dtype=pl.String)).drop_nulls().unique().sort()
        self._words = {name for name in self.ids if _WORD.fullmatch(name)}
        self._others = [
            (name, re.compile(rf"(?<!\w){re.escape(name)}(?!\w)"))
            for name in self.ids
            if name not in self._words
        ]

    def __len__(self) -> int:
        return len(self.ids)

    def among(self, cells: pl.Series) -> tuple[pl.Series, frozenset[str]]:
        """Which cells of a column of ids are one of them (n,), and which of them were there."""
        read = _written(cells)
        mask = read.is_in(self.ids.implode()).fill_null(value=False)
        return mask, frozenset(read.filter(mask).unique())

    def within(self, values: pl.Series) -> pl.Series:
        """Which texts name one of them as a word of its own (n,)."""
        text = values.cast(pl.String)
        likely = text.str.contains_any(self.ids.to_list()).fill_null(value=False)
        named = [value for value in text.filter(likely).unique() if self._named_in(value)]
        return text.is_in(named).fill_null(value=False)

    def _named_in(self, value: str) -> bool:
        if not self._words.isdisjoint(_WORD.findall(value)):
            return True
        return any(name in value and pattern.search(value) for name, pattern in self._others)


def read(path: str | Path) -> Customers:
    """The customers of a file, as `ids_in` reads it; its errors are raised."""
    return Customers(ids_in(path), Path(path))


def ids_in(path: str | Path) -> list[str]:
    """The customers that a file names, each once and in its order, as a log writes their ids.

    One id a line, or CSV with a column `customer_id` or `customer` beside any others. Text that is
    no UTF-8 is read where the ids themselves are plain, as beside names with umlauts.

    Raises:
        UsageError: there is no such file, no such column, no id, or an id in another encoding.
    """
    path = Path(path)
    try:
        found = _written(pl.Series(_ids(path, _text(path)), dtype=pl.String))
    except OSError as error:
        why = "No such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise UsageError(f"--ids: {path}: {why}; expected {_EXPECTED}") from None
    named = found.drop_nulls().unique(maintain_order=True).to_list()
    if not named:
        raise UsageError(f"--ids: {path} names nobody; expected {_EXPECTED}")
    if _UNREADABLE in "".join(named) and (why := other_encoding(path)):
        raise UsageError(f"--ids: {path}: an id is no plain text, and {why}")
    return named


def _text(path: Path) -> str:
    """A file as text; what is beyond ASCII in one that is no UTF-8 is marked as unreadable.

    Which of the old encodings it is nobody can tell, and a guess would look for somebody else.
    """
    written = path.read_bytes()
    if b"\0" in written:  # UTF-16: not even its commas can be told
        kind = other_kind(path)
        why = f"it is {kind}" if kind else other_encoding(path)
        raise UsageError(f"--ids: {path}: {why or 'this is no text'}")
    try:
        return written.decode("utf-8-sig")
    except UnicodeDecodeError:
        return written.decode("ascii", errors="replace")


def _ids(path: Path, text: str) -> list[str]:
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    head = lines[0] if lines else ""
    separator = separator_of(lines)
    names = [name.strip().lower() for name in head.replace('"', "").split(separator)]
    name = next((name for name in NAMES if name in names), None)
    if name is None:
        if _is_table(path, separator, lines):
            raise UsageError(f"--ids: {path}: expected a column {NAMES[0]}, or {_ONE}")
        return [_QUOTED.sub(r"\1", line) for line in lines]
    try:
        rows = list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error:  # its own words may quote a cell
        raise UsageError(
            f"--ids: {path}: a quote is opened and not closed again, or stands in a quoted field "
            'without being written twice, as "" is'
        ) from None
    place = names.index(name)
    return [cells[place] for cells in rows[1:] if len(cells) > place]


def _is_table(path: Path, separator: str, lines: Sequence[str]) -> bool:
    """Whether lines have several cells; an id may hold a comma, where no name says CSV."""
    if not lines or separator not in lines[0]:
        return False
    named = path.suffix.lower() in (".csv", ".tsv")
    return named or (separator != "," and len({line.count(separator) for line in lines}) == 1)


def _written(cells: pl.Series) -> pl.Series:
    """Ids as a log writes them."""
    return read_id(cells, CUSTOMER_ID).values
