"""Who may be profiled: what customers allowed or denied, as known at a cutoff.

The newest row of `consents` about the purpose `profiling` decides, newest by `occurred_at` among
the rows known before the cutoff; of rows at one time a denial wins. Who never denied has allowed
it, and without the table everybody has.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from ppi_ml import consent_rows
from ppi_ml.errors import NotTrainableError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff

TABLE, PURPOSE = consent_rows.TABLE, consent_rows.PURPOSE
REASON = "denied profiling"
"""Why such a customer is not scored, as the score table says it."""
_WEIGHTS = {"customer_id": pl.String, "known": pl.Int64, "weight": pl.Int64}
_REPEATED = "duplicate of an earlier row"  # quarantined, and nothing is lost with it


def denied(log: EventLog, cutoff: Cutoff | None = None) -> pl.Series:
    """The customers who have denied profiling as known before the cutoff, sorted (n,).

    None: as known from all that the log holds.
    """
    told = _told(log)
    if cutoff is not None:
        told = told.filter(pl.col("known") < cutoff.at)
    newest = told.group_by("customer_id").agg(pl.col("weight").max())
    return newest.filter(pl.col("weight") % 2 == 1)["customer_id"].sort()


def _told(log: EventLog) -> pl.DataFrame:
    """`customer_id`, `known` and `weight` of every row about profiling: the heaviest decides.

    The later of two rows weighs more; of two at one time the denial, whose weight is odd.
    """
    if TABLE not in log.tables:
        return pl.DataFrame(schema=_WEIGHTS)
    about = pl.col("purpose").str.to_lowercase() == PURPOSE
    weight = 2 * pl.col("at") + (pl.col("granted") == "no").cast(pl.Int64)
    frame = log.tables[TABLE].frame.filter(about)
    return frame.select("customer_id", "known", weight=weight)


def withdrawn(log: EventLog) -> pl.Series:
    """The customers whom no training may use, sorted (n,): denied at the log's end or after it.

    The log ends where its order lines do. A denial known later counts as well, and a permission
    given later is waited for.
    """
    return pl.concat([denied(log, log.observed_until), denied(log)]).unique().sort()


def without(frame: pl.DataFrame, customers: pl.Series) -> pl.DataFrame:
    """The rows of a frame that are of none of these customers; all rows where none has any."""
    if customers.is_empty() or "customer_id" not in frame.columns:
        return frame
    return frame.filter(~pl.col("customer_id").is_in(customers.implode()))


def permitted(log: EventLog) -> EventLog:
    """The log to train on: no event of a customer who has withdrawn by its end.

    Stricter than "as known at the cutoff": who denies today is in no row of an older cutoff either.
    `NotTrainableError` if that leaves no order line.
    """
    gone = withdrawn(log)
    if gone.is_empty():
        return log
    tables = {
        name: replace(table, frame=without(table.frame, gone)) for name, table in log.tables.items()
    }
    if tables["order_lines"].frame.is_empty():
        raise NotTrainableError(
            "consents: everybody who ordered has denied profiling, so nobody is left to learn from"
        )
    return replace(log, tables=tables)


def allowed(log: EventLog, rows: pl.DataFrame, at: str = "now_at") -> pl.DataFrame:
    """The rows whose customer had not denied profiling before the row's own cutoff, in their order.

    Args:
        log: events.
        rows: rows with `customer_id` and a cutoff each.
        at: the column of the cutoffs, instants in microseconds UTC.
    """
    if TABLE not in log.tables:
        return rows
    told = _told(log).sort("known")
    states = told.select(
        "customer_id",
        _from=pl.col("known") + 1,
        _denied=pl.col("weight").cum_max().over("customer_id") % 2 == 1,
    )
    joined = (
        rows.with_row_index("_row")
        .sort(at)
        .join_asof(states, left_on=at, right_on="_from", by="customer_id", check_sortedness=False)
    )
    kept = joined.filter(~pl.col("_denied").fill_null(value=False))
    return kept.sort("_row").select(rows.columns)


def disregarded(log: EventLog) -> EventLog:
    """The log without its consents: only to count those of whom nothing may be said."""
    return replace(log, tables={n: table for n, table in log.tables.items() if n != TABLE})


def said(log: EventLog) -> str:
    """One remark for a scorecard: how consent was heeded in a training on this log."""
    if TABLE not in log.tables:
        return f"No table {TABLE}: everybody counts as having allowed {PURPOSE}."
    if _told(log).is_empty():
        told = f"{TABLE}: no row is about {PURPOSE}, so everybody counts as having allowed it."
    else:
        told = (
            f"{TABLE}: {len(withdrawn(log)):,} of {len(log.customer_ids):,} customers denied "
            f"{PURPOSE} by the end of the log and are in no row of training or test; who had "
            "denied it at an earlier cutoff is in no row of that one."
        )
    report = log.report.tables.get(TABLE)
    if report is None:
        return told
    lost = sum(count for rule, count in report.quarantined.items() if rule != _REPEATED)
    if report.rows_guessed:
        told += f" {report.rows_guessed:,} rows whose granted cannot be read count as a no."
    return told + (f" {lost:,} rows are quarantined and could not be heeded." if lost else "")
