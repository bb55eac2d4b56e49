"""One table of a log: its canonical frame, the period it covers, and how it is cut."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ppi_ml import validity
from ppi_ml.errors import DataError, UsageError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.intake import Admitted, RawTable
from ppi_ml.row_times import Granularity
from ppi_ml.schema import TABLES, VALID_FROM

_QUIET_DAYS = 7


@dataclass(frozen=True)
class EventTable:
    """One table: its canonical frame and the period [observed_from, observed_until) it covers.

    A table without dates covers the period of the order lines; its granularity means nothing.
    """

    name: str
    frame: pl.DataFrame
    granularity: Granularity
    observed_from: Cutoff
    observed_until: Cutoff

    @property
    def of_customers(self) -> bool:
        """Whether its rows belong to customers; else it stays whole for each of them."""
        return TABLES[self.name].of_customers

    @property
    def dated(self) -> bool:
        """Whether its rows have times; else they were always known, or from `valid_from` on."""
        return TABLES[self.name].dated

    @property
    def holds(self) -> bool:
        """Whether a row stays true until the next one of its kind, however long that takes."""
        return TABLES[self.name].holds

    def until(self, cut: Cutoff) -> EventTable:
        """Only what was known before `cut`; of a table without dates, what had begun by then.

        `UsageError` if the table is one of days and `cut` no local midnight.
        """
        until = min(self.observed_until, cut)
        if not self.dated:
            return replace(self, frame=validity.begun(self.frame, cut.at), observed_until=until)
        if self.granularity == "day" and not cut.is_midnight:
            raise UsageError(
                f"{self.name} holds whole days, so it can be cut at local midnights only, not at "
                f"{cut} ({cut.zone})"
            )
        frame = self.frame.filter(pl.col("known") < cut.at)
        return replace(self, frame=frame, observed_until=until)

    def since(self, start: Cutoff) -> EventTable:
        """Only what occurred from `start` on, or may still hold: of products and customers the
        rows that held then or later.
        """
        begin = max(self.observed_from, start)
        if not self.dated:
            kept = validity.since(self.frame, TABLES[self.name].key[0], start.at)
            return replace(self, frame=kept, observed_from=begin)
        if self.holds:
            return self
        return replace(self, frame=self.frame.filter(pl.col("at") >= start.at), observed_from=begin)

    def hashes(self) -> pl.Series:
        """The crc32 of the customer of each row (n,), UInt32; rows are sorted by customer."""
        runs = self.frame["customer_id"].rle().struct.unnest()
        hashes = np.array([zlib.crc32(name.encode()) for name in runs["value"]], dtype=np.uint32)
        return pl.Series(np.repeat(hashes, runs["len"].to_numpy()))

    def content(self) -> Iterator[bytes]:
        """What the table says, as bytes: equal tables give equal bytes, others do not."""
        period = f"{self.observed_from.at} {self.observed_until.at}"
        yield f"{self.name} {self.granularity} {period} {self.frame.height}".encode()
        derived = {"wall", *(column.name for column in TABLES[self.name].derived)}
        if not self.dated and not validity.changes(self.frame):
            derived.add(VALID_FROM)  # what always holds says no more than it did without the column
        for column in self.frame.drop(derived, strict=False):
            yield f"{column.name} {column.dtype}".encode()
            yield from _content(column)


def with_periods(
    raw: Mapping[str, RawTable], admitted: Mapping[str, Admitted], zone: str, cut: Cutoff | None
) -> dict[str, EventTable]:
    """The tables with their periods (`_with_period`); `admitted` names the order lines first."""
    tables: dict[str, EventTable] = {}
    for name, got in admitted.items():
        lines = tables.get("order_lines")
        tables[name] = _with_period(name, raw[name], got, zone, cut, lines)
    return tables


def _with_period(
    name: str,
    raw: RawTable,
    got: Admitted,
    zone: str,
    cut: Cutoff | None,
    lines: EventTable | None,
) -> EventTable:
    """The table with its period: stated, or from the first event's day to the last whole day.

    The last day of a table with times may not be over. It counts when `cut`, where the log is said
    to end, comes within a week: shops close on days, but an export that ends months before it is
    said to has stopped, and its silence means nothing. A table whose rows hold on is silent where
    nothing changes, so it reaches as far as the order lines (`lines`; None while these are read
    themselves) at least. One without dates covers theirs. `DataError` if nothing tells the period.
    """
    table = TABLES[name]
    if lines is not None and not table.dated:
        return replace(lines, name=name, frame=got.frame, granularity=got.granularity)
    days = pl.col("wall") // DAY_US * DAY_US
    first, last = got.frame.select(days.min().alias("first"), days.max().alias("last")).row(0)
    start = end = None
    if last is not None:
        start, last_day = Cutoff.from_wall(first, zone), Cutoff.from_wall(last, zone)
        end = last_day.plus(1) if got.granularity == "day" else last_day
        if cut is not None and cut <= last_day.plus(_QUIET_DAYS):
            end = cut
        if lines is not None and table.holds:
            end = max(end, lines.observed_until)
    if raw.observed_from is not None:
        start = Cutoff.parse(raw.observed_from, zone)
    if raw.observed_until is not None:
        end = Cutoff.parse(raw.observed_until, zone)
    if start is None or end is None:
        raise DataError(f"{name}: all rows are quarantined")
    return EventTable(name, got.frame, got.granularity, start, end)


def to_come(tables: Iterable[EventTable]) -> list[str]:
    """Notes on tables without dates of which no row has begun where the log ends.

    Rows may be dated ahead, but not all of them: then the day of an export stands in `valid_from`.
    """
    return [
        f"{table.name}: nothing of it is known, because every row begins after {end}, where the "
        f"log ends; leave {VALID_FROM} empty where a row always held"
        for table in tables
        if not table.dated and table.frame.height
        if not validity.begun(table.frame, (end := table.observed_until).at).height
    ]


def _content(column: pl.Series) -> Iterator[bytes]:
    """The bytes of a column: where it is null, then its values; text with its lengths."""
    yield np.packbits(column.is_null().to_numpy()).tobytes()
    if column.dtype == pl.String:
        text = column.fill_null("")
        yield text.str.len_bytes().cast(pl.Int64).to_numpy().tobytes()
        yield text.str.join().item().encode()
    else:
        yield column.fill_null(0).to_numpy().tobytes()
