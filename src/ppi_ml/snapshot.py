"""The past: what was known at a cutoff, as the only thing a family of features gets to see.

Every event in a `Past` has an `age_us`, the local calendar time from the event to the cutoff in
microseconds. Families work on ages, never on dates, so a feature cannot name its cutoff.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from ppi_ml import consent, kinds, validity
from ppi_ml.clock import clock_of
from ppi_ml.entities import GROUP, LOG_UNIT, ONE_CUSTOMER, PACK, PRODUCT, SKUS, Entity
from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.kinds import Kinds
from ppi_ml.schema import TABLES, VALID_FROM

_MINUTE_US = 60_000_000
LISTED = "listed"
_DATES = ("at", "known", "wall")
_THURSDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


def is_purchase(log: EventLog) -> pl.Expr:
    """Which order lines make a purchase, as the log was told: never an exchange or a gift."""
    return pl.col("order_type").is_in(list(log.purchases))


def without_cancelled(lines: pl.DataFrame, called_off: pl.DataFrame) -> pl.DataFrame:
    """The order lines that were not called off; a cancellation without a line is of all lines."""
    if called_off.is_empty():
        return lines
    order = ("customer_id", "order_id")
    whole = called_off.filter(pl.col("line_id").is_null()).select(order)
    kept = lines.join(whole, on=order, how="anti", maintain_order="left")
    return kept.join(called_off, on=(*order, "line_id"), how="anti", maintain_order="left")


_OF_LINES = ("purchases", "lines", "trips", "substitutes")
_OF_DELIVERIES = ("arrivals", "on_the_way")
_OF_CUSTOMERS = ("trips",)
"""Views that hold the customer's own events, whatever a row is about."""


def table_of(view: str) -> str:
    """The table behind a view: purchases, lines, trips and substitutes are made of order lines."""
    if view in _OF_DELIVERIES:
        return "deliveries"
    return "order_lines" if view in _OF_LINES else view


def record_of(table: str) -> str:
    """The column that says how long ago (microseconds) the record of a table began."""
    return f"_{table}_record_us"


@dataclass(frozen=True)
class Past:
    """Everything known before the cutoff about the customers of one log (or one bucket of it).

    For pairs the log is one that `entities.prepared` has been through. `chosen` are the keys of
    the rows that are wanted, None for all of them. Who has denied profiling is not there: neither
    rows nor events of them are seen.
    """

    log: EventLog
    cutoff: Cutoff
    entity: Entity = ONE_CUSTOMER
    chosen: pl.DataFrame | None = None

    @cached_property
    def denied(self) -> pl.Series:
        """The customers who have denied profiling as known at the cutoff, sorted (n,)."""
        return consent.denied(self.log, self.cutoff)

    @cached_property
    def withheld(self) -> pl.DataFrame:
        """The `entities` that those who have denied would be: to say that nothing is said of them.

        Nothing but whether there is such a row may be told of it.
        """
        own = consent.disregarded(self.log.only(self.denied.to_list()))
        return Past(own, self.cutoff, self.entity).entities

    def has(self, table: str) -> bool:
        """Whether the table exists and its record had begun before the cutoff."""
        found = self.log.tables.get(table)
        return found is not None and found.observed_from < self.cutoff

    def only(self, rows: pl.DataFrame) -> Past:
        """The same past for some of the rows: a frame with the keys."""
        return replace(self, chosen=rows.select(self.entity.keys))

    def events(self, table: str) -> pl.DataFrame:
        """The known rows of a table with `age_us` (1 or more); sorted by customer and time."""
        # In an hour that the clock shows twice, an earlier event may show a later time.
        age = (self.cutoff.wall - pl.col("wall")).clip(lower_bound=1)
        frame = self.log.tables[table].frame
        known = frame.filter(pl.col("known") < self.cutoff.at).with_columns(age_us=age)
        known = consent.without(known, self.denied)
        return known if self._kinds is None else self._kinds.described(known)

    @cached_property
    def _kinds(self) -> Kinds | None:
        """Groups and usual packs at the cutoff; None where the log has them already."""
        return kinds.at(self.log, self.entity, self.cutoff)

    def seen(self, table: str) -> pl.DataFrame:
        """The known rows of a table as families see them (`declare.Seen`).

        Order lines have `is_purchase` besides: whether they make a purchase.
        """
        if table == LISTED:
            return self._listed()
        if table not in self.log.tables:
            return _no_rows(table)
        if not TABLES[table].dated:
            return self._aged(self._undated(table), table)
        rows = self._aged(self.events(table), table).drop(_DATES)
        if table == "order_lines":
            return rows.with_columns(is_purchase=is_purchase(self.log))
        return rows

    def _undated(self, table: str) -> pl.DataFrame:
        """A table without dates: what it says at the cutoff, a row per key."""
        known = consent.without(self.log.tables[table].frame, self.denied)
        return validity.holding(known, TABLES[table].key[0], self.cutoff.at)

    def _listed(self) -> pl.DataFrame:
        """The order lines with what is said of their products at the cutoff; null for nothing."""
        said = _no_rows("products").with_columns(pl.lit(None, dtype=pl.Int64).alias(VALID_FROM))
        if "products" in self.log.tables:
            said = self.log.tables["products"].frame
        lines = self._with_instants(self.seen("order_lines"))
        return validity.beside(lines, said, "sku", "now_at").drop("now_at")

    def _with_instants(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the cutoff of each (`now_at`, microseconds UTC)."""
        return rows.with_columns(now_at=pl.lit(self.cutoff.at))

    def _now(self, frame: pl.DataFrame) -> pl.Expr:
        """What the local clock shows at the cutoff of each row of a frame of events."""
        return pl.lit(self.cutoff.wall)

    def _aged(self, frame: pl.DataFrame, table: str) -> pl.DataFrame:
        """Ages in place of the further times of a table, on the local clock."""
        times = [column.name for column in TABLES[table].own if column.kind == "time"]
        now, zone = self._now(frame), self.cutoff.zone
        ages = {
            f"{name.removesuffix('_at')}_age_us": now - clock_of(frame[name], zone)
            for name in times
        }
        return frame.with_columns(**ages).drop(times)

    def table_age_us(self, table: str) -> int:
        """Local calendar time from the start of a table's record to the cutoff."""
        return self.cutoff.wall - self.log.tables[table].observed_from.wall

    def with_records(self, rows: pl.DataFrame, tables: Iterable[str]) -> pl.DataFrame:
        """The rows with a column `record_of(table)`: how long ago the record of a table began."""
        ages = {record_of(table): self.table_age_us(table) for table in tables}
        return rows.with_columns(pl.lit(age).alias(name) for name, age in ages.items())

    @cached_property
    def _bought(self) -> pl.DataFrame:
        """The order lines that belong to purchases, of the chosen customers."""
        lines = self.events("order_lines").filter(is_purchase(self.log))
        if "cancellations" in self.log.tables:
            lines = without_cancelled(lines, self.events("cancellations"))
        return self._of_chosen(lines, ("customer_id",))

    @cached_property
    def lines(self) -> pl.DataFrame:
        """The order lines that belong to purchases of the rows."""
        if not self.entity.is_pair:
            return self._bought
        known = self._bought.filter(pl.col(PRODUCT).is_not_null())
        return self._of_chosen(known, self.entity.keys)

    def _of_chosen(self, frame: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
        if self.chosen is None:
            return frame
        wanted = self.chosen.select(keys).unique()
        return frame.join(wanted, on=keys, how="semi", maintain_order="left")

    @cached_property
    def purchases(self) -> pl.DataFrame:
        """One row per entity and local day with an order; sorted by key and time.

        `age_us` of the day's first order, `gap_us` since the purchase before (null for the first),
        `orders`, `lines`, `units_e3`, `value_e4` (null if no price is known), `weekday` (Monday 0),
        `minute` of the day (null where the table knows only days). For pairs also `amount_e6`, the
        ln of what was bought (units times the size of the pack beside the usual one, in
        millionths), `discount_e4` and `coded`, whether a promo code was used.
        """
        return self._days(self.lines, self.entity.keys, self.entity.is_pair)

    def _days(self, lines: pl.DataFrame, keys: tuple[str, ...], of_pairs: bool) -> pl.DataFrame:
        timed = self.log.tables["order_lines"].granularity == "instant"
        further = _PAIR_DAY if of_pairs else {}
        days = (
            lines.group_by(*keys, pl.col("wall").floordiv(DAY_US).alias("day"))
            .agg(
                wall=pl.col("wall").min(),
                age_us=pl.col("age_us").max(),
                orders=pl.col("order_id").n_unique().cast(pl.Int64),
                lines=pl.len().cast(pl.Int64),
                units_e3=pl.col("quantity_e3").sum(),
                value_e4=_known_sum("value_e4"),
                **further,
            )
            .sort(*keys, "wall")
        )
        minute = pl.col("wall").mod(DAY_US).floordiv(_MINUTE_US)
        # rows are sorted by key, so the row before is the purchase before, of the same key or none
        same = pl.all_horizontal(pl.col(key) == pl.col(key).shift(1) for key in keys)
        return days.with_columns(
            gap_us=pl.when(same).then(pl.col("wall").diff()),
            weekday=(pl.col("day") + _THURSDAY).mod(7),
            minute=minute if timed else pl.lit(None, dtype=pl.Int64),
        ).drop("wall", "day")

    @cached_property
    def trips(self) -> pl.DataFrame:
        """One row per customer and local day with an order of anything; as `purchases`."""
        return self._days(self._bought, ("customer_id",), of_pairs=False)

    @cached_property
    def substitutes(self) -> pl.DataFrame:
        """Purchase days of other products of the same group since the pair's own last purchase.

        One row per pair and such day: the keys and `age_us`.
        """
        last = self.entities.select(*self.entity.keys, GROUP, "silent_us")
        days = (
            self._bought.filter(pl.col(GROUP).is_not_null())
            .group_by("customer_id", GROUP, PRODUCT, pl.col("wall").floordiv(DAY_US).alias("day"))
            .agg(age_us=pl.col("age_us").max())
            .rename({PRODUCT: "other"})
        )
        return (
            last.join(days, on=("customer_id", GROUP))
            .filter((pl.col("other") != pl.col(PRODUCT)) & (pl.col("age_us") < pl.col("silent_us")))
            .group_by(*self.entity.keys, "day")
            .agg(age_us=pl.col("age_us").max())
            .drop("day")
            .sort(*self.entity.keys, "age_us")
        )

    @cached_property
    def _on_its_way(self) -> pl.DataFrame:
        """The orders of each row with the age of their delivery, null where none is known."""
        orders = self.lines.group_by(*self.entity.keys, "order_id").agg(
            ordered_us=pl.col("age_us").max()
        )
        came = self.events("deliveries").group_by("order_id").agg(age_us=pl.col("age_us").min())
        # orders of one instant differ in nothing but their arrival
        latest = [*[False] * len(self.entity.keys), True, True]
        return orders.join(came, on="order_id", how="left").sort(
            *self.entity.keys, "ordered_us", "age_us", descending=latest
        )

    @cached_property
    def arrivals(self) -> pl.DataFrame:
        """The delivered orders of each row: `age_us` of the delivery, `way_us` since the order."""
        way = pl.col("ordered_us") - pl.col("age_us")
        return self._on_its_way.drop_nulls("age_us").with_columns(way_us=way.clip(lower_bound=0))

    @cached_property
    def on_the_way(self) -> pl.DataFrame:
        """The orders of each row that are not known to be delivered: `age_us` of the order."""
        recorded = pl.col("ordered_us") <= self.table_age_us("deliveries")
        waiting = self._on_its_way.filter(pl.col("age_us").is_null() & recorded)
        return waiting.with_columns(age_us="ordered_us")

    def out_of_stock(self) -> pl.Series:
        """The products that cannot be bought at the cutoff, as far as it is known (sorted).

        A product is out when every one of its skus is, by the newest state of each; a sku counts
        as there until its first row.
        """
        if not self.has("stock"):
            return pl.Series(PRODUCT, [], dtype=pl.String)
        rows = kinds.stocked(self.log, self.entity, self.cutoff)
        known = rows.filter(pl.col("known") < self.cutoff.at)
        newest = known.sort("at").group_by("sku").agg(pl.all().last())
        gone = newest.group_by(PRODUCT).agg(
            out=(pl.col("available") == "no").sum(), skus=pl.col(SKUS).max()
        )
        return gone.filter(pl.col("out") >= pl.col("skus"))[PRODUCT].drop_nulls().sort()

    def keys_of(self, view: str) -> tuple[str, ...]:
        """The key columns of a view: those of the entity, or the customer alone.

        What a table without a sku tells, such as tickets, it tells of the customer, whatever a row
        is about.
        """
        if view in _OF_CUSTOMERS:
            return ("customer_id",)
        skuless = table_of(view) == view and "sku" not in TABLES[view].names
        return ("customer_id",) if self.entity.is_pair and skuless else self.entity.keys

    def view(self, name: str) -> pl.DataFrame:
        """A view by name, without its dates: one made of order lines, or a table of the log."""
        if name in (*_OF_LINES, *_OF_DELIVERIES):
            frame: pl.DataFrame = getattr(self, name)
            return frame.drop(_DATES, strict=False)
        events = self.events(name).drop(_DATES)
        if not (self.entity.is_pair and PRODUCT in events.columns):
            return self._of_chosen(events, ("customer_id",))
        events = self._of_chosen(events.filter(pl.col(PRODUCT).is_not_null()), self.entity.keys)
        last = self.entities.select(*self.entity.keys, "silent_us")
        joined = events.join(last, on=self.entity.keys, how="left", maintain_order="left")
        since = (pl.col("age_us") <= pl.col("silent_us")).fill_null(value=False)
        if "order_id" in joined.columns:  # what an older order brought is not the last purchase's
            on = (*self.entity.keys, "order_id")
            bought = self.lines.group_by(on).agg(ordered_us=pl.col("age_us").max())
            joined = joined.join(bought, on=on, how="left", maintain_order="left")
            of_last = pl.col("ordered_us") <= pl.col("silent_us")
            since = since & of_last.fill_null(value=True)
        return joined.with_columns(since_last=since).drop("silent_us", "ordered_us", strict=False)

    @cached_property
    def entities(self) -> pl.DataFrame:
        """Who is a row: everybody with a purchase before the cutoff, sorted by key.

        `seen_us` is the age of the first purchase, `silent_us` of the last one, `purchases` their
        number; for pairs also the group of the product.
        """
        further = {GROUP: pl.col(GROUP).first()} if self.entity.is_pair else {}
        return (
            self.purchases.group_by(self.entity.keys)
            .agg(
                seen_us=pl.col("age_us").max(),
                silent_us=pl.col("age_us").min(),
                purchases=pl.len().cast(pl.Int64),
                **further,
            )
            .sort(self.entity.keys)
        )


def _no_rows(table: str) -> pl.DataFrame:
    """The columns of a table as `seen` gives them, without rows."""
    declared = TABLES[table]
    kinds = {column.name: column.kind for column in declared.own}
    ages = ["age_us"] if declared.dated else []
    types: dict[str, type[pl.DataType]] = (
        {"customer_id": pl.String} if declared.of_customers else {}
    )
    for name, kind in kinds.items():
        if kind == "time":
            ages.append(f"{name.removesuffix('_at')}_age_us")
        else:
            types[name] = pl.Float64 if kind == "number" else pl.String
    types |= {derived.name: pl.Int64 for derived in declared.derived}
    return pl.DataFrame(schema=types | dict.fromkeys(ages, pl.Int64))


def _known_sum(column: str) -> pl.Expr:
    """The sum of a column, null where any value in the group is unknown."""
    return pl.when(pl.col(column).is_null().any()).then(None).otherwise(pl.col(column).sum())


def _ln_amount() -> pl.Expr:
    """ln of the units of a day, each times the size of its pack, in whole millionths."""
    # less than a thousandth of a unit is stored as none, and would have no logarithm
    units = pl.col("quantity_e3").clip(lower_bound=1) / 1e3
    packs = (units * (pl.col(PACK) / LOG_UNIT).exp()).sum()
    return (packs.log() * LOG_UNIT).round().cast(pl.Int64)


_PAIR_DAY = {
    GROUP: pl.col(GROUP).first(),
    "amount_e6": _ln_amount(),
    "discount_e4": ((pl.col("discount").fill_null(0.0)) * 10_000).round().cast(pl.Int64).sum(),
    "coded": pl.col("promo_code").is_not_null().any(),
}
