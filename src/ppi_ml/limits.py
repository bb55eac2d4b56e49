"""How many rows of a table may be unusable, and what is said to whom where more are.

A limit is a share of the rows. One number holds for all tables; a mapping holds for the tables that
it names, so that a small table with one bad row does not open the order lines as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Literal

from ppi_ml.errors import DataError, UsageError
from ppi_ml.load_report import LoadReport, TableReport
from ppi_ml.schema import MOST_QUARANTINED, table_named

Limits = float | Mapping[str, float]
"""A share from 0 to 1 for all tables, or table -> share; the others then have the usual one."""
Caller = Literal["config", "load", "request"]
"""Who reads an error: someone with a config, with a call of `load`, or with one customer."""
_MOST_NAMED = 3


@dataclass(frozen=True)
class Exceeded:
    """A table of which `lost` of `rows` rows are unusable, more than the share `most` allows."""

    table: str
    lost: int
    rows: int
    most: float

    @property
    def share(self) -> float:
        """The share that is unusable, above 0 and at most 1."""
        return self.lost / self.rows


def limit_of(limits: Limits, table: str) -> float:
    """The share of the rows of a table that may be unusable."""
    return limits.get(table, MOST_QUARANTINED) if isinstance(limits, Mapping) else limits


def exceeded(report: LoadReport, limits: Limits) -> Iterator[Exceeded]:
    """The tables of which more rows are unusable than allowed; a guessed cell counts as well."""
    for name, table in report.tables.items():
        lost = table.rows_quarantined + table.rows_guessed
        if lost > limit_of(limits, name) * table.rows_read:
            yield Exceeded(name, lost, table.rows_read, limit_of(limits, name))


def check_limits(limits: Limits) -> None:
    """`UsageError` for a share that is none, `DataError` for a table that is none."""
    named = limits if isinstance(limits, Mapping) else {"": limits}
    for name, share in named.items():
        if name:
            table_named(name)
        if not 0 <= share <= 1:
            where = f"max_quarantined of {name}" if name else "max_quarantined"
            raise UsageError(f"{where}: expected a share from 0 to 1, got {share}")


def refuse_exceeded(
    report: LoadReport,
    limits: Limits,
    caller: Caller,
    unread: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """`DataError` for the first table with too many unusable rows, with what its caller can do.

    `unread`: table -> what its cells look like that cannot be read, a sentence each.
    """
    for found in exceeded(report, limits):
        told = report.tables[found.table]
        if caller == "request":
            raise DataError(_rows_of(report, found.table))
        verb = "quarantined or guessed" if told.guesses else "quarantined"
        setting = "data.max_quarantined" if caller == "config" else "max_quarantined"
        raise DataError(
            f"{found.table}: {found.lost:,} of {found.rows:,} rows ({found.share:.1%}) would be "
            f"{verb}, more than {setting} ({found.most:.1%}) allows: {rules_of(told)}. "
            f"{''.join(f'{line}. ' for line in unread.get(found.table, ()))}Mend the export"
            f"{_or_allow(limits, found, caller)}"
        )


def rules_of(told: TableReport) -> str:
    """The rules that rows of a table broke, or were guessed by, with their counts."""
    counts = {**told.quarantined, **told.guesses}
    return "; ".join(f"{rule}: {count:,}" for rule, count in counts.items())


def _or_allow(limits: Limits, found: Exceeded, caller: Caller) -> str:
    """How to let the table through; nothing where no order line would be left."""
    if found.table == "order_lines" and found.lost >= found.rows:
        return ""
    return (
        ", or, if these rows may be left out, allow it for this table alone: "
        f"{_allowed(limits, found, caller)}"
    )


def _allowed(limits: Limits, found: Exceeded, caller: Caller) -> str:
    """The setting that lets this table through and leaves all others as they are."""
    now: dict[str, float] = {}
    if isinstance(limits, Mapping):
        now = dict(limits)
    elif limits != MOST_QUARANTINED:
        now = {"order_lines": limits}
    now[found.table] = ceil(100 * found.share) / 100
    if caller == "load":
        return "max_quarantined={" + ", ".join(f'"{name}": {n}' for name, n in now.items()) + "}"
    return "data.max_quarantined: {" + ", ".join(f"{name}: {n}" for name, n in now.items()) + "}"


def _rows_of(report: LoadReport, table: str) -> str:
    """Which rows and fields of a request cannot be read; rows are counted from 0."""
    lost = report.quarantine[table].select("row", "column", "rule")
    named = [f"row {row}, {column}: {rule}" for row, column, rule in lost.head(_MOST_NAMED).rows()]
    more = f"; and {lost.height - len(named):,} more" if lost.height > len(named) else ""
    return (
        f"{table}: {'; '.join(named)}{more} (rows are counted from 0). A request is answered only "
        "if every row of it can be read: mend the row, or leave it out"
    )
