"""The book in which every raw row is entered once: kept, repaired or quarantined, by rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

VALUE_CHARS = 200  # of a quarantined value, how much is written out

QUARANTINE_SCHEMA = {
    "table": pl.String,
    "row": pl.Int64,
    "rule": pl.String,
    "column": pl.String,
    "value": pl.String,
}


@dataclass(frozen=True)
class LeftOut:
    """What rules left out of a raw table before it was read: no row of it is in its frame.

    `counts`: rule -> rows; `stay` (n,): which rows, counted from 0, the frame still holds;
    `columns`: those that a rule looked at.
    """

    counts: Mapping[str, int]
    stay: NDArray[np.int64]
    columns: frozenset[str]

    def numbered(self, quarantined: pl.DataFrame) -> pl.DataFrame:
        """Quarantined rows with the numbers that they had in what was read."""
        return quarantined.with_columns(row=pl.Series(self.stay[quarantined["row"].to_numpy()]))


class Ledger:
    """Which rule a row broke first, and which repair it had first."""

    def __init__(self, rows: int) -> None:
        self._rules: list[tuple[str, tuple[str, ...]]] = []
        self._repairs: list[str] = []
        self._broken: NDArray[np.int16] = np.full(rows, -1, dtype=np.int16)
        self._repaired: NDArray[np.int16] = np.full(rows, -1, dtype=np.int16)

    def quarantine(self, rule: str, columns: tuple[str, ...], rows: pl.Series) -> None:
        """Quarantine `rows` (n,), boolean, unless an earlier rule already did.

        `columns` are the columns whose cells are to blame.
        """
        fresh = (self._broken < 0) & rows.to_numpy()
        if fresh.any():
            self._broken[fresh] = len(self._rules)
            self._rules.append((rule, columns))

    def repair(self, rule: str, rows: pl.Series) -> None:
        """Count `rows` (n,), boolean, as repaired by `rule` unless they already were."""
        fresh = (self._repaired < 0) & rows.to_numpy()
        if fresh.any():
            self._repaired[fresh] = len(self._repairs)
            self._repairs.append(rule)

    @property
    def sound(self) -> pl.Series:
        """Rows (n,), boolean, that are not quarantined so far."""
        return pl.Series(self._broken < 0)

    def counts(self) -> tuple[int, dict[str, int], dict[str, int]]:
        """(rows kept untouched, repaired by rule, quarantined by rule); disjoint."""
        fixed = np.bincount(self._repaired[self._broken < 0] + 1, minlength=len(self._repairs) + 1)
        lost = np.bincount(self._broken + 1, minlength=len(self._rules) + 1)
        rules = [rule for rule, _ in self._rules]
        return int(fixed[0]), _by_rule(self._repairs, fixed), _by_rule(rules, lost)

    def quarantined(self, table: str, raw: pl.DataFrame) -> pl.DataFrame:
        """One row (table, row, rule, column, value) per quarantined row of `raw`, in its order."""
        parts = [pl.DataFrame(schema=QUARANTINE_SCHEMA)]
        for number, (rule, columns) in enumerate(self._rules):
            rows = np.flatnonzero(self._broken == number)
            columns = tuple(name for name in columns if name in raw.columns)
            blamed = raw.select(pl.col(columns).cast(pl.String))[rows]
            value = pl.concat_str(pl.all(), separator=", ", ignore_nulls=len(columns) > 1)
            part = blamed.select(
                table=pl.lit(table),
                row=pl.Series(rows),
                rule=pl.lit(rule),
                column=pl.lit(", ".join(columns)),
                value=value.str.slice(0, VALUE_CHARS),
            )
            parts.append(part)
        return pl.concat(parts).sort("row")


def _by_rule(rules: list[str], counts: NDArray[np.intp]) -> dict[str, int]:
    found: dict[str, int] = {}  # two columns may break, or be mended by, a rule of the same name
    for rule, count in zip(rules, counts[1:].tolist(), strict=True):
        if count:
            found[rule] = found.get(rule, 0) + count
    return found
