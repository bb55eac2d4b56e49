"""From a raw table to a canonical one: every row is kept, repaired or quarantined, never dropped.

The order of the work: read the cells, then repeated keys, then what the rows of one order must
share. A row that breaks several rules is quarantined once, by the first; repairs count likewise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import polars as pl

from ppi_ml import across_rows, cells, consent_rows, customer_columns, log_end, row_times, summaries
from ppi_ml.errors import DataError
from ppi_ml.ledger import Ledger, LeftOut
from ppi_ml.load_report import TableReport
from ppi_ml.row_times import Granularity
from ppi_ml.schema import CUSTOMER_ID, VALID_FROM, Column, Derived, Table, table_named

_READERS: Mapping[str, Callable[[pl.Series, Column], cells.Cells]] = {
    "id": cells.read_id,
    "text": cells.read_text,
    "currency": cells.read_text,
    "choice": cells.read_choice,
    "number": cells.read_number,
}
_TYPES = {"number": pl.Float64, "time": pl.Int64}


@dataclass(frozen=True)
class RawTable:
    """What a source hands over: columns named as in the schema, cells as the shop wrote them.

    occurred_at and known_at may be ISO text, dates, naive times (read on the clock of the business
    zone) or aware times; ids may be of any type. `origin` names the file or frame in messages.
    `observed_from` and `observed_until` are what `Cutoff.parse` reads; None: told by the events.
    `sure` says that the granularity is known; else a table of mere dates is read as one of days.
    `reckoned`: times were reckoned from those of other events, and so may lie in the future.
    `settings` is the table of `data.tables` whose settings say how the cells are written; empty if
    there are none. `notes` are what the source has to say of it in the load report; `left_out`
    what rules have left out of it (`exclusion.without`), None if there were no rules. `as_read` is
    the frame before its money was converted (`conversion.converted`), which the quarantine shows;
    None: as it is.
    """

    frame: pl.DataFrame
    granularity: Granularity = "instant"
    origin: str = ""
    observed_from: object = None
    observed_until: object = None
    sure: bool = False
    reckoned: bool = False
    notes: tuple[str, ...] = ()
    left_out: LeftOut | None = None
    as_read: pl.DataFrame | None = None
    settings: str = ""


@dataclass(frozen=True)
class Admitted:
    """A canonical frame, sorted as `Table.order` says, and what became of the raw rows.

    `granularity` is `instant`, and means nothing, where the table has no dates.
    """

    frame: pl.DataFrame
    granularity: Granularity
    report: TableReport
    quarantine: pl.DataFrame
    notes: tuple[str, ...]


def admit(
    name: str,
    raw: RawTable,
    *,
    zone: str,
    currency: str,
    lag_days: int = 0,
    now: int | None = None,
    guess: bool = True,
    segments: Sequence[str] = (),
) -> Admitted:
    """Read, repair, deduplicate and quarantine one raw table.

    Args:
        name: of the table.
        raw: its rows.
        zone: the business zone.
        currency: that of the log.
        lag_days: how long after `occurred_at` a row became known where the table does not say.
        now: the present instant (microseconds, UTC), after which nothing can have occurred; None:
            not looked at.
        guess: whether a cell may be taken for `Column.otherwise`; else its row is quarantined.
        segments: columns of customers that are read besides (`customer_columns.named`).

    Raises:
        DataError: a column is missing, holds something else, or cannot be trusted.
    """
    table = customer_columns.declared(table_named(name), segments)
    try:
        return _admit(table, raw, _Reading(zone, currency, lag_days, now, guess))
    except DataError as error:
        where = f" ({raw.origin})" if raw.origin else ""
        raise DataError(f"{name}{where}: {error}") from error


@dataclass(frozen=True)
class _Reading:
    """How a table is read: the arguments of `admit` of the same names."""

    zone: str
    currency: str
    lag_days: int
    now: int | None
    guess: bool


def _admit(table: Table, raw: RawTable, how: _Reading) -> Admitted:
    if not raw.frame.height:
        raw = replace(raw, frame=_empty(table))
    looked_at = raw.left_out.columns if raw.left_out else frozenset()
    notes = [*raw.notes, *_check_columns(table, raw.frame, looked_at, raw.settings)]
    ledger = Ledger(raw.frame.height)
    who = (CUSTOMER_ID,) if table.of_customers else ()
    known = _read_columns(who, raw.frame, how, ledger)
    if raw.frame.height and any(ids.null_count() == raw.frame.height for ids in known.values()):
        raise DataError("column customer_id is empty in every row; map the column that holds it")
    granularity: Granularity = "instant"
    if table.dated:
        times, granularity, more = row_times.read(
            raw.frame, raw.granularity, raw.sure, how.zone, how.lag_days, ledger
        )
        known |= times
        if how.now is not None and not raw.reckoned:
            row_times.set_future_aside(times["at"], how.now, ledger)
        notes += [f"{table.name}: {note}" for note in more]
    own = _read_columns(table.own, raw.frame, how, ledger)
    notes += _empty_columns(table, raw.frame, own)
    if not table.dated:
        own[VALID_FROM] = _valid_from(raw.frame, how, ledger)
    frame = pl.DataFrame(known | own).with_row_index("row")
    for derived in table.derived:
        frame = frame.with_columns(_derive(frame, derived, ledger))
    if table.name == consent_rows.TABLE:
        consent_rows.refuse_lost(frame, raw.frame, ledger)
    across_rows.set_repeats_aside(frame, table, ledger)
    frame = across_rows.share_one_order(frame, table, ledger).filter(ledger.sound)
    first = last = late_share = None
    if table.dated:
        frame = frame.with_columns(wall=row_times.walls(frame["at"], granularity, how.zone))
        if "known_at" in raw.frame.columns:
            late_share = row_times.late_share(frame, how.zone)
        notes += log_end.noted(frame, table)
        first, last = row_times.iso(frame["wall"].min()), row_times.iso(frame["wall"].max())
    if table.name == consent_rows.TABLE:
        notes += consent_rows.unread(frame)
    kept, repaired, quarantined = ledger.counts()
    frame = _canonical(frame, table)
    report = TableReport(
        raw.frame.height, kept, repaired, quarantined, first, last, late_share,
        summaries.summarize(
            frame, table, raw.frame.columns, granularity, how.zone, how.currency
        ),
    )  # fmt: skip
    rows = ledger.quarantined(table.name, raw.frame if raw.as_read is None else raw.as_read)
    return Admitted(frame, granularity, report, rows, tuple(notes))


def _empty(table: Table) -> pl.DataFrame:
    """No rows: an empty list of events says nothing of its columns."""
    return pl.DataFrame(schema=dict.fromkeys(table.names, pl.String))


def _check_columns(
    table: Table, frame: pl.DataFrame, looked_at: frozenset[str], settings: str
) -> list[str]:
    """Notes on what is ignored or assumed; `DataError` if a required column is missing.

    What rules have looked at is not ignored. `settings`: as in `RawTable`.
    """
    missing = [c.name for c in table.columns if c.required and c.name not in frame.columns]
    if missing:
        raise DataError(_absent(missing, table, frame.columns, settings))
    notes = []
    ignored = [name for name in frame.columns if name not in {*table.names, *looked_at}]
    if ignored:
        hint = f"; {customer_columns.HINT}" if table.name == customer_columns.TABLE else ""
        notes.append(f"{table.name}: ignored columns {', '.join(ignored)}{hint}")
    absent = [column for column in table.own if column.name not in frame.columns]
    for column in absent:
        if column.default is not None:
            default = f"{column.default:g}" if column.kind == "number" else column.default
            notes.append(f"{table.name}: no column {column.name}, so {default} everywhere")
    settled = "currency"  # that of the log, by setting
    unknown = [c.name for c in absent if c.default is None and c.kind != settled]
    if unknown:
        notes.append(f"{table.name}: unknown, because there is no column {', '.join(unknown)}")
    return notes


def _empty_columns(table: Table, frame: pl.DataFrame, values: Mapping[str, pl.Series]) -> list[str]:
    """A note on the columns that are there and hold nothing: as if they were not."""
    empty = [
        column.name
        for column in table.own
        if column.name in frame.columns
        and not column.required
        and column.default is None
        and column.kind != "currency"
        and values[column.name].null_count() == frame.height
        and cells.blank(frame[column.name])
    ]
    if not frame.height or not empty:
        return []
    return [f"{table.name}: unknown, because every cell is empty in column {', '.join(empty)}"]


def _absent(names: list[str], table: Table, found: list[str], settings: str) -> str:
    spare = {column.lower(): column for column in found if column not in table.names}
    near = {name: get_close_matches(name, spare, n=1) for name in names}
    theirs = {name: spare[hit[0]] if hit else "its name there" for name, hit in near.items()}
    named = f"columns: {{{', '.join(f'{name}: {other}' for name, other in theirs.items())}}}"
    if settings:
        pairs = ", ".join(f'"{name}": "{other}"' for name, other in theirs.items())
        in_python = f'columns={{"{settings}": {{{pairs}}}}}'
        named = f"data.tables.{settings}.{named} in a config, {in_python} in Python"
    one = len(names) == 1
    by_order = CUSTOMER_ID.name in names and "order_id" in found and table.name != "order_lines"
    joined = "; or take it from the order lines by order_id (docs/operate.md)" if by_order else ""
    return (
        f"required column{'' if one else 's'} {', '.join(names)} {'is' if one else 'are'} missing; "
        f"the columns are: {', '.join(found)}. If {'it has another name' if one else 'they have '}"
        f"{'' if one else 'other names'}, say so: {named}{joined}"
    )


def _read_columns(
    columns: tuple[Column, ...], frame: pl.DataFrame, how: _Reading, ledger: Ledger
) -> dict[str, pl.Series]:
    values = {}
    for column in columns:
        if column.name not in frame.columns:
            default = how.currency if column.kind == "currency" else column.default
            dtype = _TYPES.get(column.kind, pl.String)
            values[column.name] = pl.repeat(default, frame.height, dtype=dtype, eager=True)
            continue
        if column.kind == "time":
            cells_ = frame[column.name]
            values[column.name], _ = row_times.moments(cells_, how.zone, ledger, spare=True)
            continue
        asked = column if how.guess else replace(column, otherwise=None)
        read = _READERS[column.kind](frame[column.name], asked)
        cells.enter(ledger, column.name, read)
        values[column.name] = read.values
        if column.kind == "currency":
            values[column.name] = read.values.str.to_uppercase().fill_null(how.currency)
    return values


def _valid_from(frame: pl.DataFrame, how: _Reading, ledger: Ledger) -> pl.Series:
    """From when on each row holds; null, which is always, where the table does not say."""
    if VALID_FROM not in frame.columns:
        return pl.repeat(None, frame.height, dtype=pl.Int64, eager=True)
    return row_times.valid_from(frame[VALID_FROM], how.zone, ledger)


def _derive(frame: pl.DataFrame, derived: Derived, ledger: Ledger) -> pl.Series:
    """The whole-number column; null where a factor is."""
    value = math.prod((frame[name] for name in derived.of[1:]), start=frame[derived.of[0]])
    factors = " * ".join(derived.of)
    huge = (value.abs() > derived.most).fill_null(False)
    ledger.quarantine(f"{factors} must be <= {derived.most:g}", derived.of, huge)
    if derived.minus is not None:
        value = value - frame[derived.minus].fill_null(0.0)
    scaled = (value * 10.0**derived.decimals).round()
    if derived.minus is not None:
        rule = f"{derived.minus} must not exceed {factors}"
        ledger.quarantine(rule, (derived.minus,), (scaled < 0).fill_null(False))
    exact = scaled.is_between(-(2.0**62), 2.0**62).fill_null(False)
    return scaled.set(~exact, None).cast(pl.Int64).alias(derived.name)


def _canonical(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    first = [name for name in ("customer_id", "at", "known", "wall") if name in frame.columns]
    ordered = frame.sort(table.order)
    return ordered.select(*first, pl.exclude(*first, "row")).rechunk()
