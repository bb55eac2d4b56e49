"""Orders as families need them that ask what came of something: when each was, what followed what.

An order counts where a purchase does: one that was decided upon (`is_purchase`) and not called off,
as far as is known. Orders of one local day stay apart, because a view knows ages alone.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Seen
from ppi_ml.instants import DAY_US
from ppi_ml.snapshot import without_cancelled


def lines(seen: Seen) -> pl.DataFrame:
    """The known order lines that belong to purchases."""
    return without_cancelled(seen("order_lines").filter("is_purchase"), seen("cancellations"))


def orders(seen: Seen, **columns: pl.Expr) -> pl.DataFrame:
    """One row per order: `customer_id`, `order_id`, `age_us` and further aggregates of its lines.

    The oldest order of a customer stands first.
    """
    return orders_of(lines(seen), **columns)


def orders_of(bought: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """The same of some of the lines."""
    made = bought.group_by("customer_id", "order_id").agg(age_us=pl.col("age_us").max(), **columns)
    return made.sort("customer_id", "age_us", "order_id", descending=[False, True, False])


def firsts(bought: pl.DataFrame) -> pl.DataFrame:
    """Customer -> `first_us`, how long ago the first of these lines or orders was placed."""
    return bought.group_by("customer_id").agg(first_us=pl.col("age_us").max())


def with_following(rows: pl.DataFrame, known: pl.DataFrame, days: int) -> pl.DataFrame:
    """The rows with `following`: how many of these orders came in the `days` after each (Int64).

    An order at the very time of a row did not come after it: where a tag of an order counts as seen
    with the order, that order would else be its own consequence.
    """
    who = known.select("customer_id").unique().with_row_index("_who")  # numbers match faster
    counted = (
        known.join(who, on="customer_id")
        .select("_who", ordered_us="age_us")
        .sort("ordered_us")
        .with_columns(younger=pl.int_range(1, pl.len() + 1).over("_who"))
    )
    asked = rows.select("customer_id", "age_us").with_row_index("_row")
    asked = asked.join(who, on="customer_id", how="left").select("_row", "_who", "age_us")
    asked = asked.sort("age_us").with_columns(_end=pl.col("age_us") - days * DAY_US)
    asked = _younger(asked, counted, "age_us", "_until_now")
    asked = _younger(asked, counted, "_end", "_after_end").sort("_row")
    return rows.with_columns(following=asked["_until_now"] - asked["_after_end"])


def _younger(rows: pl.DataFrame, counted: pl.DataFrame, age: str, name: str) -> pl.DataFrame:
    """The rows, sorted by an age, with the number of the customer's orders that are younger."""
    joined = rows.join_asof(
        counted,
        left_on=age,
        right_on="ordered_us",
        by="_who",
        allow_exact_matches=False,
        check_sortedness=False,  # both are sorted; with groups polars cannot see it
    )
    return joined.with_columns(pl.col("younger").fill_null(0).alias(name)).drop(
        "younger", "ordered_us", strict=False
    )
