"""The past of occasions: each one has a cutoff of its own, and knows what was known before it.

To a family an occasion looks like a customer: its rows bear the number of the occasion in
`customer_id`, hold the events of the customer whose order it is, and have ages that count to the
cutoff of the occasion. So the families of customers serve occasions unchanged. Several occasions
of a customer know the same events, and must not meet in a join: ids of orders, parcels and the like
bear the number too. Beside that, the rows of a table that names orders say which are of the order
itself (`own`), and all say whose they are (`who`), for what is drawn by customer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from ppi_ml import validity
from ppi_ml.schema import TABLES
from ppi_ml.snapshot import LISTED, Past, record_of

OCCASION = "occasion"
_WIDTH = 10
_SHARED = ("sku", "line_id")
"""Ids that name the same in every occasion: a product, and a line within its order."""


def numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the number of their occasion as text: lines of one order at once share one."""
    order = ("customer_id", "order_id", "now_at")
    return rows.with_columns(
        pl.struct(order).rank("dense").cast(pl.String).str.zfill(_WIDTH).alias(OCCASION)
    )


@dataclass(frozen=True)
class OccasionPast(Past):
    """What was known before each occasion; `rows` are numbered occasions, a line each or none.

    `cutoff` is the date of the states; the occasions have cutoffs of their own, on one side of
    the start of each table: what a table tells that had not begun is null, and not 0.
    """

    rows: pl.DataFrame = field(default_factory=pl.DataFrame)

    @cached_property
    def _moments(self) -> pl.DataFrame:
        """One row per occasion: its number, whose it is, and when."""
        return self.rows.select(
            OCCASION, who="customer_id", its_order="order_id", now_at="now_at", now_wall="now_wall"
        ).unique(OCCASION, maintain_order=True)

    def has(self, table: str) -> bool:
        """Whether the log has the table and its record had begun before each of the occasions."""
        found = self.log.tables.get(table)
        return found is not None and bool((self.rows["now_at"] > found.observed_from.at).all())

    def with_records(self, rows: pl.DataFrame, tables: Iterable[str]) -> pl.DataFrame:
        """The rows with a column for each table: how long before the occasion its record began."""
        began = {name: self.log.tables[name].observed_from.wall for name in tables}
        if not began:
            return rows
        ages = self._moments.select(
            pl.col(OCCASION).alias("customer_id"),
            *((pl.col("now_wall") - wall).alias(record_of(name)) for name, wall in began.items()),
        )
        return rows.join(ages, on="customer_id", how="left", maintain_order="left")

    def events(self, table: str) -> pl.DataFrame:
        """What was known of the customer of each occasion, with ages that count to the occasion."""
        frame = self.log.tables[table].frame
        joined = (
            self._moments.join(frame, left_on="who", right_on="customer_id")
            .filter(pl.col("known") < pl.col("now_at"))
            .with_columns(age_us=(pl.col("now_wall") - pl.col("wall")).clip(lower_bound=1))
        )
        if "order_id" in frame.columns:
            own = (pl.col("order_id") == pl.col("its_order")).fill_null(value=False)
            joined = joined.with_columns(own=own)
        return self._named(joined, table).sort(TABLES[table].order)

    def seen(self, table: str) -> pl.DataFrame:
        """The known rows of a table as families see them, those of the own order marked `own`."""
        frame = super().seen(table).drop("now_wall", strict=False)
        if table != LISTED and not TABLES[table].of_customers:
            return frame
        if "who" not in frame.columns:
            frame = frame.with_columns(who=pl.lit(None, dtype=pl.String))
        if "own" not in frame.columns:
            frame = frame.with_columns(own=pl.lit(value=False))
        return frame

    def view(self, name: str) -> pl.DataFrame:
        """A view by name, as a past has it."""
        return super().view(name).drop("now_wall", strict=False)

    def _undated(self, table: str) -> pl.DataFrame:
        """A table without dates, as each occasion sees it; of products, as the states do."""
        if not TABLES[table].of_customers:
            return super()._undated(table)
        frame = self.log.tables[table].frame
        held = validity.beside(
            self._moments.rename({"who": "customer_id"}),
            frame.with_columns(_listed=pl.lit(value=True)), "customer_id", "now_at",
        )  # fmt: skip
        joined = held.filter("_listed").drop("_listed").rename({"customer_id": "who"})
        return self._named(joined, table)

    def _with_instants(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the cutoff of the occasion of each."""
        moments = self._moments.select("now_at", customer_id=OCCASION)
        return rows.join(moments, on="customer_id", how="left", maintain_order="left")

    def _now(self, frame: pl.DataFrame) -> pl.Expr:
        """The local clock of each row's cutoff."""
        return pl.col("now_wall") if "now_wall" in frame.columns else pl.lit(self.cutoff.wall)

    @staticmethod
    def _named(joined: pl.DataFrame, table: str) -> pl.DataFrame:
        """The number of the occasion in place of the customer, and before every id of its own."""
        ids = [column.name for column in TABLES[table].own if column.kind == "id"]
        mine = [name for name in ids if name not in _SHARED]
        renamed = joined.rename({OCCASION: "customer_id"}).drop("its_order", "now_at")
        return renamed.with_columns(pl.concat_str("customer_id", name).alias(name) for name in mine)

    @cached_property
    def entities(self) -> pl.DataFrame:
        """The occasions, or their lines: number, age of the customer, silence and purchases."""
        bought = self.purchases.group_by("customer_id").agg(
            seen_us=pl.col("age_us").max(),
            silent_us=pl.col("age_us").min(),
            purchases=pl.len().cast(pl.Int64),
        )
        own = self.rows.rename({"customer_id": "who", OCCASION: "customer_id"})
        keys = self.entity.keys
        joined = own.select(keys).unique().join(bought, on="customer_id", how="left")
        return joined.with_columns(pl.col("purchases").fill_null(0)).sort(keys)

    @cached_property
    def purchases(self) -> pl.DataFrame:
        """As of a customer, whatever a row is about."""
        return self._days(self.lines, ("customer_id",), of_pairs=False)
