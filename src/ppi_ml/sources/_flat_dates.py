"""When the events of the flat table happened: their own time, a stated lag, or the order's.

A flag, an amount or a text without a time is of an unknown day: used from the order on, it would
tell a model in April what the customer did in May. So it is dated by a lag that somebody states.

Rows are dated by four columns: `when at` (Int64, microseconds UTC; null where unreadable), `when
dated` (a mere date), `when text` (the cell) and `when moved` (it is not the event's own time).
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml import clock
from ppi_ml.errors import DataError
from ppi_ml.sources._flat_cells import filled

OWN_TIMES: Mapping[str, str] = {
    "returns": "return_timestamp",
    "refunds": "refund_timestamp",
    "reviews": "review_timestamp",
}
"""Table -> the column that dates its events; for each of these tables a lag may stand in."""
_SAID = {"returns": "a return_flag of yes", "refunds": "a refund_amount", "reviews": "a review"}
_DATE = r"^\d{4}-\d{2}-\d{2}"
_FIRST, _LAST = "1970-01-03", "2199-12-30"  # days that have an instant in every zone


def check_lags(found: Mapping[str, pl.DataFrame], lags: Mapping[str, int]) -> None:
    """`DataError` if the rows of a table have no time at all and no lag is stated for it.

    `found` maps tables of `OWN_TIMES` to the rows that become their events, `lags` to days.
    """
    undated = {name: rows.select(~filled(OWN_TIMES[name])) for name, rows in found.items()}
    lacking = {
        name: rows.height
        for name, rows in undated.items()
        if rows.height and name not in lags and rows.to_series().all()
    }
    if not lacking:
        return
    said = ", ".join(
        f"{rows:,} rows with {_SAID[name]} but no {OWN_TIMES[name]}"
        for name, rows in lacking.items()
    )
    in_python = ", ".join(f'"{name}": "14d"' for name in lacking)
    in_config = ", ".join(f"{name}: 14d" for name in lacking)
    raise DataError(
        f"{said}. Nothing says when that happened, and without a time it would be "
        f"known too early. Add {', '.join(OWN_TIMES[name] for name in lacking)}; or state after "
        "how many days from the delivery (from the order, where no delivery is known) it has "
        f"surely happened: ppi_ml.load(..., lags={{{in_python}}}), or in a config data: {{source: "
        f"flat, path: ..., lags: {{{in_config}}}}}"
    )


def by_lag(
    table: str, rows: pl.DataFrame, lags: Mapping[str, int], zone: str
) -> tuple[pl.DataFrame, list[str]]:
    """The rows, dated at their own times or else a stated lag after delivery or order; and notes.

    Without a lag, rows without a time of their own stay so, for the contract to quarantine.
    """
    own = OWN_TIMES[table]
    missing = rows.select(~filled(own)).to_series()
    count = int(missing.sum())
    where = f"{table}: {count:,} of {rows.height:,} rows with {_SAID[table]} have no {own}"
    if table not in lags:
        note = f"{where} and are quarantined; state lags: {{{table}: 14d}} to date them"
        return _dated(rows, own, [(pl.lit(True), own)]), [note] * bool(count)
    delivered = pl.col("delivery_timestamp at").is_not_null()
    based = _dated(
        rows,
        own,
        [(filled(own), own), (delivered, "delivery_timestamp"), (pl.lit(True), "order_timestamp")],
    )
    later = clock.days_later(based["when at"], zone, lags[table])
    moved = based.with_columns(later.zip_with(missing, based["when at"]).alias("when at"))
    after = int(rows.select((delivered & ~filled(own)).sum()).item())
    note = (
        f"{where}; lags.{table} dates them {lags[table]} days after the delivery ({after:,}) or, "
        f"where no delivery is known, after the order ({count - after:,})"
    )
    return moved, [note] * bool(count)


def by_order(rows: pl.DataFrame, own: str) -> pl.DataFrame:
    """The rows, dated at their own times or else when the order was made: at its first line."""
    first = [
        pl.col(name).sort_by("order_timestamp at", nulls_last=True).first()
        .over("customer_id", "order_id", "lone")
        for name in _parts("order_timestamp")
    ]  # fmt: skip
    ordered = rows.with_columns(first)
    return _dated(ordered, own, [(filled(own), own), (pl.lit(True), "order_timestamp")])


def occurred(rows: pl.DataFrame, own: str, zone: str, other: str | None = None) -> pl.Series:
    """`occurred_at` (n,) of dated rows: the cells as the shop wrote them, where that is possible.

    Args:
        rows: dated rows that still hold the raw cells of `own` and `other`.
        own: the column of the event's own time.
        other: the column whose time stands in as it is, where no row has a time of its own.
        zone: the business zone.

    Where times of two columns meet, or a lag was added, they are written anew: as dates if all are
    mere dates, else as instants, and then a mere date is the end of that day.
    """
    moved = rows["when moved"]
    if not moved.any() or (other is not None and moved.all()):
        return rows[f"{other if other and moved.any() else own} raw"]
    at, dated, text = rows["when at"], rows["when dated"], rows["when text"]
    # A cell without an instant is left to the contract. What is a time, but none that can be, must
    # not look like one without an offset; the day of a cell that cannot be read is never taken.
    day = text.str.slice(0, 10)
    looks = (text.str.contains(_DATE) & ~day.is_between(_FIRST, _LAST)).fill_null(False)
    if (dated | at.is_null()).all():
        read = clock.clock_of(at, zone).cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d")
        unread = day
    else:
        ends = clock.day_end(at, zone).zip_with(dated, at)
        read = ends.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        unread = day + "T00:00Z"
    return read.zip_with(at.is_not_null(), unread.zip_with(looks, text))


def _dated(rows: pl.DataFrame, own: str, choices: list[tuple[pl.Expr, str]]) -> pl.DataFrame:
    """The rows with the parts of the first column whose condition holds."""
    made = []
    for place, part in enumerate(("when at", "when dated", "when text")):
        value = pl.lit(None)
        for condition, name in reversed(choices):
            cell = pl.col(_parts(name)[place])
            cell = cell.cast(pl.String) if part == "when text" else cell
            value = pl.when(condition).then(cell).otherwise(value)
        made.append(value.alias(part))
    return rows.with_columns(*made, (~filled(own)).alias("when moved"))


def _parts(name: str) -> tuple[str, str, str]:
    return f"{name} at", f"{name} dated", f"{name} raw"
