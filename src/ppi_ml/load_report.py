"""What became of every row while loading: kept, repaired, quarantined or excluded, by rule."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from ppi_ml.findings import Checks
    from ppi_ml.summaries import TableSummary

DUPLICATES = ("duplicate of an earlier row", "key repeated with other content")
"""The rules by which a row is quarantined because its key was there before."""
TAKEN_AS = "; taken as "
"""Stands in the rule of a repair that is a guess: the cell could not be read."""


@dataclass(frozen=True)
class TableReport:
    """One table: rows_in = kept + all repaired + all quarantined + all excluded; each counts once.

    `repaired` and `quarantined` count by rule, `excluded` by the rules of the shop. `first` and
    `last` event are local times as ISO text, null without a row. `late_share` is the share of rows
    that became known on a later local day than they occurred; null where the table does not say
    when a row became known. `summary` is what the table looks like, so that a later load can be
    compared with this one.
    """

    rows_in: int
    kept: int
    repaired: Mapping[str, int]
    quarantined: Mapping[str, int]
    first: str | None
    last: str | None
    late_share: float | None
    summary: TableSummary | None = None
    excluded: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows_read(self) -> int:
        """Rows in that the shop does not want to leave out."""
        return self.rows_in - sum(self.excluded.values())

    @property
    def duplicate_share(self) -> float:
        """Share of the rows in whose key was there before, with the same content or with other."""
        return sum(self.quarantined.get(rule, 0) for rule in DUPLICATES) / max(self.rows_read, 1)

    @property
    def rows_quarantined(self) -> int:
        """Rows that are not in the log, whatever the rule."""
        return sum(self.quarantined.values())

    @property
    def rows_guessed(self) -> int:
        """Rows that are in the log with a word in the place of a cell that could not be read."""
        return sum(self.guesses.values())

    @property
    def guesses(self) -> dict[str, int]:
        """The repairs that are guesses: rule -> rows."""
        return {rule: count for rule, count in self.repaired.items() if TAKEN_AS in rule}

    @property
    def zone(self) -> str | None:
        """The business zone that its times are told in; None of whole days."""
        told = self.summary
        return told.timezone if told is not None and told.granularity == "instant" else None

    @property
    def lateness(self) -> str:
        """How late the rows became known, in words."""
        if self.late_share is None:
            return "lateness not measured"
        return f"{self.late_share:.1%} known on a later day than they occurred"

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able data."""
        return {
            "rows_in": self.rows_in,
            "kept": self.kept,
            "repaired": dict(self.repaired),
            "quarantined": dict(self.quarantined),
            "excluded": dict(self.excluded),
            "first": self.first,
            "last": self.last,
            "late_share": self.late_share,
            "lateness": self.lateness,
        }


@dataclass(frozen=True)
class LoadReport:
    """All tables of a load, notes on what was assumed or set aside, and the quarantined rows.

    `quarantine`: table -> frame (table, row, rule, column, value). `row` is the 0-based number of
    the row in what was read, `value` the cell that broke the rule, as text. `checks` is what only
    the whole log tells (`log_checks.checked`); None where nobody has looked.
    """

    tables: Mapping[str, TableReport]
    notes: tuple[str, ...] = ()
    quarantine: Mapping[str, pl.DataFrame] = field(default_factory=dict, repr=False, compare=False)
    checks: Checks | None = None

    def write_quarantine(self, folder: str | Path) -> list[Path]:
        """Write one Parquet file per table that has quarantined rows; returns their paths."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, rows in self.quarantine.items():
            if rows.height:
                paths.append(target / f"{name}.parquet")
                rows.write_parquet(paths[-1])
        return paths

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able data, without the quarantined rows themselves."""
        return {
            "tables": {name: table.to_dict() for name, table in self.tables.items()},
            "notes": list(self.notes),
            "duplicates": {name: table.duplicate_share for name, table in self.tables.items()},
            "summaries": {n: t.summary.to_dict() for n, t in self.tables.items() if t.summary},
            "checks": None if self.checks is None else self.checks.to_dict(),
        }

    def to_text(self) -> str:
        """The report for people."""
        lines = [line for name, table in self.tables.items() for line in _table_lines(name, table)]
        checks = [] if self.checks is None else self.checks.to_lines()
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes), *checks])

    def __repr__(self) -> str:
        sizes = (
            f"{name}: {table.kept + sum(table.repaired.values()):,} of {table.rows_in:,} rows"
            for name, table in self.tables.items()
        )
        return f"LoadReport({', '.join(sizes)}; {len(self.notes)} notes)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.to_text())}</pre>"


def _table_lines(name: str, table: TableReport) -> list[str]:
    parts = [
        f"{table.kept:,} kept",
        f"{sum(table.repaired.values()):,} repaired",
        f"{table.rows_quarantined:,} quarantined",
    ]
    if table.excluded:
        parts.append(f"{sum(table.excluded.values()):,} excluded")
    lines = [f"{name}: {table.rows_in:,} rows in = {' + '.join(parts)}"]
    verbs = {
        "repaired": table.repaired, "quarantined": table.quarantined, "excluded": table.excluded,
    }  # fmt: skip
    for verb, counts in verbs.items():
        lines += [f"  {verb:<11} {count:>10,}  {rule}" for rule, count in counts.items()]
    if table.first is not None:
        zone = f" ({table.zone})" if table.zone else ""
        lines.append(f"  from {table.first} to {table.last}{zone}; {table.lateness}")
    if table.duplicate_share:
        lines.append(f"  {table.duplicate_share:.1%} of the rows repeat a key")
    return lines
