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
    A table without dates knows no first, so there the row order alone decides.
    """
    key = table.frame_key
    sound = frame.filter(ledger.sound)
    if sound.select(pl.struct(key).n_unique()).item() == sound.height:
        return
    first = ("known", "row") if table.dated else ("row",)
    repeats = sound.filter(sound.select(key).is_duplicated()).sort(first)
    content = pl.struct(pl.exclude("row"))
    marked = repeats.with_columns(
        later=pl.col("row").cum_count().over(key) > 1,
        same=content.eq_missing(content.first().over(key)),
    ).filter("later")
    for rule, rows in (
        ("duplicate of an earlier row", marked.filter("same")),
        ("key repeated with other content", marked.filter(~pl.col("same"))),
    ):
        ledger.quarantine(rule, table.key, frame["row"].is_in(rows["row"].implode()))


def share_one_order(frame: pl.DataFrame, table: Table, ledger: Ledger) -> pl.DataFrame:
    """One customer and one time per order: those of the line known first.

    Lines of another customer are quarantined, all lines where the first ones disagree. The time is
    usually the earliest. What becomes known later can neither move nor remove an order that is
    already past.
    """
    group = table.once_per
    if group is None:
        return frame
    _keep_one_customer(frame, group, ledger)
    sound = frame.filter(ledger.sound)
    times = sound.group_by(group).agg(pl.col("at").n_unique().alias("times"))
    spread = times.filter(pl.col("times") > 1)
    if not spread.height:
        return frame
    first = sound.join(spread, on=group, how="semi").sort("known", "at")
    first = first.group_by(group, maintain_order=True).agg(pl.col("at").first().alias("shared"))
    joined = frame.join(first, on=group, how="left", maintain_order="left")
    shared = joined["shared"].fill_null(joined["at"])
    ledger.repair("order time unified", (shared != joined["at"]).fill_null(False) & ledger.sound)
    return joined.with_columns(at=shared, known=pl.max_horizontal("known", shared)).drop("shared")


def _keep_one_customer(frame: pl.DataFrame, group: str, ledger: Ledger) -> None:
    """Quarantine the lines of an order that are not of the customer of its first known lines."""
    who, known = pl.col("customer_id"), pl.col("known")
    sound = frame.filter(ledger.sound)
    torn = (
        sound.group_by(group).agg(who.n_unique().alias("customers")).filter(pl.col("customers") > 1)
    )
    if not torn.height:
        return
    rows = sound.join(torn, on=group, how="semi").with_columns(
        owner=who.filter(known == known.min()).first().over(group),
        owners=who.filter(known == known.min()).n_unique().over(group),
    )
    foreign = rows.filter((pl.col("owners") > 1) | (who != pl.col("owner")))["row"]
    rule = f"{group} with more than one customer"
    ledger.quarantine(rule, (group,), frame["row"].is_in(foreign.implode()))
