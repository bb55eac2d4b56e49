"""The log: all tables together, validated, immutable, in one canonical form.

Every table is a frame sorted by (customer_id, at, key) with `customer_id`, `at` (occurred_at) and
`known` (known_at, never before `at`) in microseconds UTC, `wall` (what the clock of the business
zone shows at `at`, in microseconds), then the columns of `ppi_ml.schema`. A table without customers
(stock, products) has no `customer_id`; one without dates (products, customers) has `valid_from`,
from when on a row holds, in place of `at`, `known` and `wall`.
"""

from __future__ import annotations

import calendar
import hashlib
import html
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import polars as pl

from ppi_ml import conversion, customer_columns, exclusion, purchase_types, stated_rates
from ppi_ml.admission import Terms, admit_all
from ppi_ml.errors import DataError, UsageError
from ppi_ml.event_table import EventTable, to_come, with_periods
from ppi_ml.exclude_rule import ExcludeRule
from ppi_ml.instants import Cutoff, parse_zone
from ppi_ml.intake import RawTable
from ppi_ml.limits import Caller, Limits
from ppi_ml.load_report import LoadReport
from ppi_ml.purchase_types import PurchaseType
from ppi_ml.schema import MOST_QUARANTINED, TABLES, table_named

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EventLog", "EventTable", "RawTable", "load_tables"]

_NO_LAG: Mapping[str, int] = MappingProxyType({})
_NO_RULES: Mapping[str, ExcludeRule] = MappingProxyType({})
_NO_RATES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class EventLog:
    """All tables of a brand. Nothing changes it; `until`, `customer` and `bucket` make new logs."""

    tables: Mapping[str, EventTable]
    timezone: str
    currency: str
    report: LoadReport
    known_lag: Mapping[str, int] = field(default_factory=dict)
    purchases: tuple[PurchaseType, ...] = purchase_types.DEFAULT
    """The types of orders that make a purchase."""
    exclude: Mapping[str, ExcludeRule] = field(default_factory=dict)
    """The rules by which rows were left out, by name."""
    segments: tuple[str, ...] = ()
    """Columns of `customers` that were named, which it holds as `segment_<name>`; sorted."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """What one unit of other currencies was in that of the log, by which money was converted."""

    @property
    def observed_from(self) -> Cutoff:
        """Where the log begins: where its order lines begin."""
        return self.tables["order_lines"].observed_from

    @property
    def observed_until(self) -> Cutoff:
        """Where the log ends, exclusive: where its order lines end."""
        return self.tables["order_lines"].observed_until

    def __getattr__(self, name: str) -> pd.DataFrame:
        """A table by its name as pandas, such as `log.order_lines`: columns as in the schema.

        Times are aware, in the business zone. No rows where the log has no such table.
        """
        if name not in TABLES:
            raise AttributeError(
                f"EventLog has no attribute {name}; its tables: {', '.join(TABLES)}"
            )
        return self._pandas(name)

    def __dir__(self) -> list[str]:
        """What can be asked for, the tables included."""
        return sorted({*super().__dir__(), *TABLES})

    @cached_property
    def customer_ids(self) -> pl.Series:
        """The ids of all customers with an event in any table, sorted (n,)."""
        ids = [t.frame["customer_id"] for t in self.tables.values() if t.of_customers]
        return pl.concat([column.unique() for column in ids]).unique().sort()

    def until(self, value: object) -> EventLog:
        """Only what was known before an instant (what `Cutoff.parse` reads), as if it were now.

        A table without dates stays whole.
        `UsageError` if a table of granularity day is cut at anything but a local midnight.
        """
        cut = Cutoff.parse(value, self.timezone)
        tables = {name: table.until(cut) for name, table in self.tables.items()}
        return replace(self, tables=tables)

    def customer(self, customer_id: str) -> EventLog:
        """The log of one customer; `UsageError` if there is none of that id.

        Tables without customers stay whole, here and in `bucket`.
        """
        frames = {
            name: table.frame.filter(pl.col("customer_id") == str(customer_id))
            for name, table in self.tables.items()
            if table.of_customers
        }
        if not any(frame.height for frame in frames.values()):
            raise UsageError(
                f"no such customer among the {len(self.customer_ids)} of this log; ids are text, "
                "as in log.customer_ids"
            )
        return self._filtered(frames)

    def only(self, customer_ids: Sequence[str]) -> EventLog:
        """The log of some customers; ids that it does not know change nothing."""
        wanted = pl.Series(list(customer_ids), dtype=pl.String)
        return self._filtered(
            {
                name: table.frame.filter(pl.col("customer_id").is_in(wanted.implode()))
                for name, table in self.tables.items()
                if table.of_customers
            }
        )

    def bucket(self, index: int, count: int) -> EventLog:
        """The log of the customers with crc32(id) % count == index."""
        if not 0 <= index < count:
            raise UsageError(f"expected a bucket from 0 to {count - 1}, got {index}")
        return self._filtered(
            {
                name: self.tables[name].frame.filter(hashes % count == index)
                for name, hashes in self._hashes.items()
            }
        )

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of the content; the order of the input rows and the report do not matter."""
        told = [self.timezone, self.currency]
        if self.purchases != purchase_types.DEFAULT:
            told += self.purchases
        digest = hashlib.sha256(f"ppi_ml log 1 {' '.join(told)}".encode())
        for name in sorted(self.tables):
            for part in self.tables[name].content():
                digest.update(part)
        return digest.hexdigest()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{table.frame.height:,} {name}" for name, table in self.tables.items())
        return (
            f"EventLog({len(self.customer_ids):,} customers, {sizes}, until {self.observed_until})"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{name}</td><td>{table.frame.height:,}</td>{_period(table)}</tr>"
            for name, table in self.tables.items()
        )
        head = "<tr><th>table</th><th>rows</th><th>granularity</th><th>from</th><th>until</th></tr>"
        where = html.escape(f"{self.timezone}, {self.currency}")
        return f"<p>{len(self.customer_ids):,} customers, {where}</p><table>{head}{rows}</table>"

    @cached_property
    def _hashes(self) -> dict[str, pl.Series]:
        """Per table of customers, crc32 of the one of each row (UInt32)."""
        return {name: table.hashes() for name, table in self.tables.items() if table.of_customers}

    def _filtered(self, frames: Mapping[str, pl.DataFrame]) -> EventLog:
        """The log with other frames for some of its tables."""
        tables = {
            name: replace(table, frame=frames.get(name, table.frame))
            for name, table in self.tables.items()
        }
        # Only the whole log carries the quarantined rows: buckets travel between processes.
        return replace(self, tables=tables, report=replace(self.report, quarantine={}))

    def _pandas(self, name: str) -> pd.DataFrame:
        table = customer_columns.declared(table_named(name), self.segments)
        names = table.names
        if name not in self.tables:
            return pl.DataFrame(schema=dict.fromkeys(names, pl.String)).to_pandas()
        held_as = {"occurred_at": "at", "known_at": "known"}
        times = [column.name for column in table.columns if column.kind == "time"]
        moments = {
            time: pl.col(held_as.get(time, time))
            .cast(pl.Datetime("us", "UTC"))
            .dt.convert_time_zone(self.timezone)
            for time in times
        }
        return self.tables[name].frame.with_columns(**moments).select(names).to_pandas()


def load_tables(
    raw: Mapping[str, RawTable],
    *,
    timezone: str = "UTC",
    currency: str | None = None,
    known_lag: Mapping[str, int] = _NO_LAG,
    until: object = None,
    keep_months: int | None = None,
    max_quarantined: Limits = MOST_QUARANTINED,
    now: object = None,
    caller: Caller = "config",
    purchases: Collection[str] = purchase_types.DEFAULT,
    exclude: Mapping[str, ExcludeRule] = _NO_RULES,
    segments: Collection[str] = (),
    rates: Mapping[str, float] = _NO_RATES,
) -> EventLog:
    """Raw tables in, a validated log out; its report says what became of every row.

    `timezone` is the business zone, `currency` the one currency (None: whatever the tables say),
    `known_lag` maps a table to the days after which its rows were known, where they do not say.
    `until` pretends that the log ends there; `keep_months` drops what is older at its end, but not
    what still holds (stock) or has no dates (products). `max_quarantined` is the share of a table
    that may be unusable, for all or by name; `now` the present instant, after which nothing can
    have occurred (None: not looked at); `caller` who is told what to do about a refusal;
    `purchases` the types of orders that make a purchase; `exclude` rules by name for rows to leave
    out, which are neither judged nor counted as unusable; `segments` names further columns of
    `customers`; `rates` are what one unit of other currencies is in `currency`.
    `DataError` if the tables break their contract; `UsageError` for an unknown zone, a share, a
    date, a rate or a type of purchase that is none.
    """
    parse_zone(timezone)
    bought = purchase_types.checked(purchases)
    currency = stated_rates.code(currency)
    worth = stated_rates.checked(rates, currency)
    if "order_lines" not in raw:
        raise DataError(f"the table order_lines is required; got: {', '.join(raw) or 'nothing'}")
    if not raw["order_lines"].frame.height:
        raise DataError("order_lines: no rows")
    kinds = customer_columns.checked(segments)
    for rule in exclude.values():
        table_named(rule.table)
    raw = customer_columns.named(exclusion.without(raw, exclude, caller), kinds)
    for name in (*raw, *known_lag):
        if not table_named(name).dated and name in known_lag:
            raise DataError(f"known_lag: {name} has no dates, so nothing in it is late; drop it")
    raw = conversion.converted(raw, worth, currency)
    money = conversion.settle_currency(raw, currency)
    present = None if now is None else Cutoff.parse(now, timezone)
    terms = Terms(timezone, money, known_lag, max_quarantined, present, caller, kinds)
    report, admitted = admit_all(raw, terms)
    cut = None if until is None else Cutoff.parse(until, timezone)
    tables = with_periods(raw, admitted, timezone, cut)
    report = replace(report, notes=(*report.notes, *to_come(tables.values())))
    log = EventLog(
        tables, timezone, money, report, dict(known_lag), bought, dict(exclude), kinds, worth
    )
    if cut is not None:
        log = _noted(log.until(cut), log, f"known at or after {cut}")
    if keep_months is not None:
        log = newest_months(log, keep_months)
    if not log.tables["order_lines"].frame.height:
        raise DataError("order_lines: no order line is left; see data.until and data.keep_months")
    return log


def check_log(log: object) -> None:
    """`UsageError` for anything but an event log, such as a frame."""
    if not isinstance(log, EventLog):
        raise UsageError(
            f"log: expected an event log, got {type(log).__name__}; make one with ppi_ml.load(...)"
        )


def newest_months(log: EventLog, months: int) -> EventLog:
    """The log without what occurred more than so many calendar months before its end.

    What still holds (consents, stock) stays, and of products and customers what held then or later.
    Every other table begins there, so that no window claims to have seen more; one whose record had
    ended by then is absent. The report says how many events were set aside.
    """
    start = _months_before(log.observed_until, months)
    ended = {n for n, t in log.tables.items() if t.observed_until <= start and not t.holds}
    kept = {name: table.since(start) for name, table in log.tables.items() if name not in ended}
    recent = _noted(replace(log, tables=kept), log, f"that occurred before {start}")
    notes = [f"{name}: ended before {start}, so treated as absent" for name in sorted(ended)]
    return replace(recent, report=replace(recent.report, notes=(*recent.report.notes, *notes)))


def _noted(log: EventLog, before: EventLog, which: str) -> EventLog:
    """`log` with a note per table on how many events of `before` it no longer holds."""
    left = {name: table.frame.height for name, table in log.tables.items()}
    counts = {name: table.frame.height - left.get(name, 0) for name, table in before.tables.items()}
    notes = [f"{name}: {n:,} events {which} were set aside" for name, n in counts.items() if n]
    return replace(log, report=replace(log.report, notes=(*log.report.notes, *notes)))


def _months_before(end: Cutoff, months: int) -> Cutoff:
    """Local midnight of the same day so many calendar months earlier (or that month's last)."""
    day = date.fromisoformat(str(end)[:10])
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return Cutoff.parse(date(year, month + 1, min(day.day, last)), end.zone)


def _period(table: EventTable) -> str:
    """Granularity and period as cells of an HTML table; dashes where there are no dates."""
    cells = (table.granularity, table.observed_from, table.observed_until)
    return "".join(f"<td>{cell}</td>" for cell in (cells if table.dated else "–––"))
