"""Who runs out of what, when: the score table of pairs as a list for the people who write to them.

Dates and chances are read from the score table alone, so the list never says anything else than the
scores do; what a product is called comes from the table products.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml import validity
from ppi_ml.entities import PRODUCT, Entity
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.tables import Table

SHOWN, OF_CUSTOMER = 50, 3
"""Rows of the list in Markdown, and of one customer among them, whose pantry would else fill it;
the CSV file holds all of them."""
_FAR = pl.date(9999, 12, 31)
_COLUMNS: Mapping[str, str] = {
    "customer_id": "customer",
    PRODUCT: "product",
    "name": "name",
    "category": "category",
    "runout_p50_date": "runs out about",
    "runout_p10_date": "likely from",
    "runout_p90_date": "likely until",
    "nudge_date": "remind on",
    "nudge_reason": "why then",
    "chance": "chance to buy",
}


def soonest(scores: pl.DataFrame, top: int) -> pl.DataFrame:
    """The rows of each customer that run out soonest, at most `top` of them, sorted as they were.

    Rows without a run-out date come after all others; equal dates in the order of the products.
    """
    due = pl.col("runout_p50_days").fill_null(float("inf"))
    place = pl.struct(due, PRODUCT).rank("ordinal").over("customer_id")
    return scores.filter(place <= top)


def what_they_are(log: EventLog, entity: Entity, cutoff: Cutoff) -> pl.DataFrame:
    """Product -> its name and category at a cutoff, a column each that `products` fills anywhere.

    Without columns where a product is no sku: then it is called by what it is.
    """
    if entity.product != "sku" or "products" not in log.tables:
        return pl.DataFrame(schema={PRODUCT: pl.String})
    products = validity.holding(log.tables["products"].frame, "sku", cutoff.at)
    known = products.rename({"sku": PRODUCT})
    told = [name for name in ("name", "category") if known[name].count()]
    return known.select(PRODUCT, *told)


def first(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the list that stand in Markdown."""
    place = pl.int_range(pl.len()).over("customer")
    return rows.filter(place < OF_CUSTOMER).head(SHOWN)


def listed(
    scores: pl.DataFrame, horizon: int, products: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The list, soonest reminder first and the likeliest buyers of a day on top.

    Pairs without a reminder stand at the end. `likely from` and `likely until` are the 10 % and
    90 % points of the run-out date of a customer who still uses the product, null where the curve
    does not reach them; `chance to buy` is the probability of a purchase within `horizon` days, low
    for those who have probably stopped. `products` is what `what_they_are` gives; None: nothing.
    """
    if products is not None:
        scores = scores.join(products, on=PRODUCT, how="left")
    there = (*scores.columns, "chance")
    bought = pl.col(f"p_next_{horizon}d")
    chance = pl.format("{} % in " + str(horizon) + " days", _whole_percent(bought))
    return (
        scores.filter(pl.col("status") == "scored")
        .with_columns(pl.col(pl.Datetime).cast(pl.Date), chance=chance)
        .sort(
            pl.col("nudge_date").fill_null(_FAR), -bought, pl.col("runout_p50_days"),
            "customer_id", PRODUCT, nulls_last=True,
        )
        .select(pl.col(name).alias(shown) for name, shown in _COLUMNS.items() if name in there)
    )  # fmt: skip


def _whole_percent(share: pl.Expr) -> pl.Expr:
    """A probability as whole per cents in words: nothing is certain, and nothing is impossible."""
    whole = (share * 100).round(0).cast(pl.Int64)
    return (
        pl.when(whole < 1)
        .then(pl.lit("under 1"))
        .when(whole > 99)
        .then(pl.lit("over 99"))
        .otherwise(whole.cast(pl.String))
    )


def to_markdown(rows: pl.DataFrame, cutoff: str, total: int | None = None) -> str:
    """The first rows of the list as Markdown, with what the columns mean.

    Args:
        rows: the list, or what `first` gives of it.
        cutoff: the date that it is as known at.
        total: how many rows the whole list has; None: these.
    """
    shown, total = first(rows), rows.height if total is None else total
    body = [["" if cell is None else str(cell) for cell in row] for row in shown.iter_rows()]
    table = Table(f"The first {shown.height:,} of {total:,}", shown.columns, body)
    return "\n".join(
        [
            "# Who runs out of what, when",
            "",
            f"As known on {cutoff}. All rows are in `run_outs.csv`, soonest reminder first; here",
            f"stand at most {OF_CUSTOMER} of a customer. `ppi-ml score --top 3` keeps the three of",
            "each customer that run out soonest.",
            "",
            "- **runs out about**: when a customer who still uses the product is likely to need",
            "  the next pack, as likely earlier as later. Eight in ten such customers are expected",
            "  to need it from *likely from* to *likely until*.",
            "- **remind on**: the day to write, never in the past, and *why then* (P50 stands for",
            "  *runs out about*, P10 for *likely from*). Empty while the product is out of stock.",
            "- **chance to buy**: how likely this customer buys the product here again at all in",
            "  these days. It is low for those who have probably stopped.",
            "- An empty date is further ahead than can be foreseen.",
            "",
            "The dates are read from purchases: who stocks up, or buys elsewhere, needs the",
            "product at another time than the list says.",
            "",
            table.to_markdown(),
            "",
        ]
    )
