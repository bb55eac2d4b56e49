"""Rules between rows: repeated keys, and what all rows of one order must share.

Frames hold canonical columns and `row`, the number of the raw row; the ledger knows which rows are
still sound.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.ledger import Ledger
from ppi_ml.schema import Table


def set_repeats_aside(frame: pl.DataFrame, table: Table, ledger: Ledger) -> None:
    """Of the rows with one key, keep the one known first (then the first in row order).

    Rows after it are quarantined: as duplicates where they say the same, else as contradictions.
    """
    sound = frame.filter(ledger.sound)
    if sound.select(pl.struct(table.key).n_unique()).item() == sound.height:
        return
    repeats = sound.filter(sound.select(table.key).is_duplicated()).sort("known", "row")
    content = pl.struct(pl.exclude("row"))
    marked = repeats.with_columns(
        later=pl.col("row").cum_count().over(table.key) > 1,
        same=content.eq_missing(content.first().over(table.key)),
    ).filter("later")
    for rule, rows in (
        ("duplicate of an earlier row", marked.filter("same")),
        ("key repeated with other content", marked.filter(~pl.col("same"))),
    ):
        ledger.quarantine(rule, table.key, frame["row"].is_in(rows["row"].implode()))


def share_one_order(frame: pl.DataFrame, table: Table, ledger: Ledger) -> pl.DataFrame:
    """One customer and one time per order; the time is that of the line known first.

    Without late lines that is the earliest time. With them it keeps a line that becomes known
    later from moving an order that is already past.
    """
    group = table.once_per
    if group is None:
        return frame
    sound = frame.filter(ledger.sound)
    customers, times = pl.col("customer_id").n_unique(), pl.col("at").n_unique()
    orders = sound.group_by(group).agg(customers.alias("customers"), times.alias("times"))
    torn = orders.filter(pl.col("customers") > 1)[group]
    rows = frame[group].is_in(torn.implode()).fill_null(False) & ledger.sound
    ledger.quarantine(f"{group} with more than one customer", (group,), rows)
    spread = orders.filter(pl.col("customers") == 1, pl.col("times") > 1)
    if not spread.height:
        return frame
    first = sound.join(spread, on=group, how="semi").sort("known", "at")
    first = first.group_by(group, maintain_order=True).agg(pl.col("at").first().alias("shared"))
    joined = frame.join(first, on=group, how="left", maintain_order="left")
    shared = joined["shared"].fill_null(joined["at"])
    ledger.repair("order time unified", (shared != joined["at"]).fill_null(False) & ledger.sound)
    return joined.with_columns(at=shared, known=pl.max_horizontal("known", shared)).drop("shared")
