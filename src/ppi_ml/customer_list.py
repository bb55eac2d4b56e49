"""A list of customers: read from a file, and found again in columns and in the middle of words."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from ppi_ml.cells import read_id
from ppi_ml.errors import UsageError
from ppi_ml.schema import CUSTOMER_ID

NAMES = ("customer_id", "customer")
"""What a column of customers is called: in events and scores, and in lists for people."""
SEPARATORS = ",;\t|"
_WORD = re.compile(r"\w+")


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
    """The customers of a file: one id a line, or CSV with a column `customer_id`.

    `UsageError` if there is no such file, no such column, or no id.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file; expected one id a line")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: expected text in UTF-8, one id a line") from error
    found = Customers(_ids(path, text.splitlines()), path)
    if not len(found):
        raise UsageError(f"{path}: no ids in there; expected one a line")
    return found


def _ids(path: Path, lines: list[str]) -> list[str]:
    head = next((line for line in lines if line.strip()), "")
    separator = max(SEPARATORS, key=head.count)
    names = next(csv.reader([head], delimiter=separator), [])
    if NAMES[0] in names:
        place = names.index(NAMES[0])
        rows = csv.reader(lines[lines.index(head) + 1 :], delimiter=separator)
        return [cells[place] for cells in rows if len(cells) > place]
    if path.suffix.lower() in (".csv", ".tsv") and len(names) > 1:
        raise UsageError(f"{path}: expected a column {NAMES[0]}, or one id a line")
    return lines


def _written(cells: pl.Series) -> pl.Series:
    """Ids as a log writes them."""
    return read_id(cells, CUSTOMER_ID).values
