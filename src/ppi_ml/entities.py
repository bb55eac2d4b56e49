"""What a row is about: a customer, a product that a customer buys (a pair), an order or a line.

A product is a sku, or whatever column of the table `products` the target names: a category, a
brand, a type. Every table that names a sku gets the product beside it, once per log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from ppi_ml import validity
from ppi_ml.errors import DataError
from ppi_ml.events import EventLog
from ppi_ml.schema import VALID_FROM

CUSTOMER, PAIR = "customer", "customer_product"
ORDER, LINE = "order", "order_line"
_LINE_OF_OCCASION = "line_of_occasion"
PRODUCT, GROUP, PACK = "product", "product_group", "pack_e6"
SIZE, UNIT = "pack_ln", "pack_unit"
"""Of products that change: ln of the size of the pack at the time of a row, and its unit."""
_WHEN, _GROUPED = "_when", "_grouped"
SKUS = "product_skus"
"""Of a row of the table stock: how many skus its product has."""
GROUPS: Mapping[str, str] = {"sku": "category", "category": "category_group"}
"""What a product falls back to where nobody says it: product -> a column of `products`."""
LOG_UNIT = 1_000_000
"""Logarithms are kept as whole millionths, so that sums of them are exact."""
_KEYS: Mapping[str, tuple[str, ...]] = {
    CUSTOMER: ("customer_id",),
    PAIR: ("customer_id", PRODUCT),
    ORDER: ("customer_id", "order_id"),
    LINE: ("customer_id", "order_id", "line_id"),
    _LINE_OF_OCCASION: ("customer_id", "line_id"),
}


Pack = tuple[str | None, str | None, float]
"""A usual pack: of which product or group, in which unit, ln of its size."""


@dataclass(frozen=True)
class Entity:
    """What a row is about; for pairs also what a product is.

    `product` is "sku" or a column of `products`; `group` the column that a product falls back to
    when little is known of it, None for no such level; `least` how many purchase days a pair
    needs to be a row. `packs` are the usual sizes of packs, (product or group, unit of measure,
    ln of the size), and `groups` the group of every product, which a model keeps from its training,
    so that no other catalogue moves a date; None: those of the log at hand.
    """

    name: str = CUSTOMER
    product: str = "sku"
    group: str | None = None
    least: int = 1
    packs: tuple[Pack, ...] | None = None
    groups: tuple[tuple[str, str], ...] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that tell rows of one cutoff apart."""
        return _KEYS[self.name]

    @property
    def is_occasion(self) -> bool:
        """Whether a row is about an order or a line of one, each with a cutoff of its own."""
        return self.name in (ORDER, LINE)

    @property
    def is_pair(self) -> bool:
        """Whether a row is about a product of a customer."""
        return self.name == PAIR


ONE_CUSTOMER = Entity()
LINE_OF_OCCASION = Entity(_LINE_OF_OCCASION)
"""A line in the past of its occasion, whose number stands for the customer."""


def prepared(log: EventLog, entity: Entity) -> EventLog:
    """The log with `product`, its group and the size of its packs where a table names a sku.

    Nothing changes for customers. A line whose product is not known (no sku, or, where a product
    is no sku, one of which the table `products` says nothing), or not consumable, has a null
    product and belongs to no pair; `in_no_pair` counts them. `DataError` if the log cannot say
    what a product is.

    Where `products` changes (`valid_from`), the product is that of the row's own time, or of its
    order's, so that a pair keeps its name; `kinds` tells what depends on the cutoff.
    """
    if not entity.is_pair or PRODUCT in log.tables["order_lines"].frame.columns:
        return log
    attributes = _attributes(log, entity).with_columns(_listed=pl.lit(value=True))
    told_later = ("products", "stock") if changing(log) else ("products",)
    tables = {}
    for name, table in log.tables.items():
        if name not in told_later and "sku" in table.frame.columns:
            joined = validity.beside(_when(name, log), attributes, "sku", _WHEN)
            if entity.product == "sku":  # one that the catalogue does not list is a product, too
                own = pl.when(pl.col("_listed").is_null()).then("sku").otherwise(PRODUCT)
                joined = joined.with_columns(own.alias(PRODUCT))
            if PACK in joined.columns:
                joined = joined.with_columns(pl.col(PACK).fill_null(0))
            if name == "stock":
                joined = joined.join(_skus(attributes), on=PRODUCT, how="left")
                joined = joined.with_columns(pl.col(SKUS).fill_null(1)).sort("at", "sku")
            table = replace(table, frame=joined.drop(_WHEN, "_listed"))
        tables[name] = table
    return replace(log, tables=tables)


def changing(log: EventLog) -> bool:
    """Whether products of the log change, so that what they are depends on the time."""
    return "products" in log.tables and validity.changes(log.tables["products"].frame)


def _when(name: str, log: EventLog) -> pl.DataFrame:
    """The rows of a table with the time as of which they name a product.

    What is sent back or reviewed is what was ordered, as far as the order was known by then.
    """
    frame = log.tables[name].frame.with_columns(pl.col("at").alias(_WHEN))
    if name == "order_lines" or "order_id" not in frame.columns or not changing(log):
        return frame
    order = ("customer_id", "order_id")
    lines = log.tables["order_lines"].frame.group_by(order)
    ordered = lines.agg(_ordered=pl.col("at").min(), _order_known=pl.col("known").min())
    then = pl.when(pl.col("_order_known") <= pl.col("known")).then("_ordered")
    joined = frame.join(ordered, on=order, how="left", maintain_order="left")
    named = joined.with_columns(pl.coalesce(then, _WHEN).alias(_WHEN))
    return named.drop("_ordered", "_order_known")


def _skus(attributes: pl.DataFrame) -> pl.DataFrame:
    """product -> how many skus it has in the catalogue."""
    return attributes.drop_nulls(PRODUCT).group_by(PRODUCT).agg(pl.len().alias(SKUS))


def in_no_pair(log: EventLog, entity: Entity) -> tuple[str, ...]:
    """What there is to say of the order lines of a prepared log that belong to no product.

    Nothing where every line has one; `DataError` if none does.
    """
    lines = log.tables["order_lines"].frame
    if not lines[PRODUCT].count():
        later = "not valid yet (valid_from), " if changing(log) else ""
        raise DataError(
            f'target.product: no order line has a product, because "{entity.product}" is empty, '
            f"{later}or consumable is no, for every line; fill that column, or set target.product "
            "to another one"
        )
    lasting = int(lasts(lines, log).sum())
    unknown = lines[PRODUCT].null_count() - lasting
    said = []
    if unknown:
        said.append(f"{unknown:,} order lines name no known product; they are in no pair")
    if lasting:
        said.append(f"{lasting:,} order lines are of what is not consumable; they are in no pair")
    return tuple(said)


def lasts(lines: pl.DataFrame, log: EventLog) -> pl.Series:
    """Whether order lines are of what is not used up (n,), as `products` says at their time."""
    if "products" not in log.tables:
        return pl.repeat(False, lines.height, dtype=pl.Boolean, eager=True)
    products = log.tables["products"].frame.select("sku", VALID_FROM, kept="consumable")
    said = validity.beside(lines.select("sku", "at"), products, "sku", "at")
    return (said["kept"] == "no").fill_null(value=False)


def _attributes(log: EventLog, entity: Entity) -> pl.DataFrame:
    """sku, `valid_from` -> product, its group, and how far the pack is from the usual one.

    The last is a ln, in millionths. Of products that change: the size of the pack and its unit,
    for what is usual, and in which group, depends on the cutoff.
    """
    if "products" not in log.tables:
        if entity.product != "sku":
            raise DataError(
                f'target.product: "{entity.product}" is a column of the table products, which this '
                "log does not have; load it, or set target.product to sku"
            )
        skus = log.tables["order_lines"].frame["sku"].drop_nulls().unique()
        nothing = pl.lit(None, dtype=pl.String)
        return pl.DataFrame({"sku": skus}).with_columns(
            pl.lit(None, dtype=pl.Int64).alias(VALID_FROM),
            pl.col("sku").alias(PRODUCT),
            nothing.alias(GROUP),
            pl.lit(0, dtype=pl.Int64).alias(PACK),
        )
    products = log.tables["products"].frame
    known = named(products, entity)
    if changing(log):
        return known.select("sku", VALID_FROM, PRODUCT, SIZE, UNIT)
    grouped = known.with_columns(_group(entity).alias(_GROUPED), among=among(entity))
    packed = with_packs(grouped, usual_packs(known, entity))
    return packed.select("sku", VALID_FROM, PRODUCT, pl.col(_GROUPED).alias(GROUP), PACK)


def with_packs(rows: pl.DataFrame, usual: pl.DataFrame) -> pl.DataFrame:
    """The rows (`among`, size, unit) with how far their pack is from the usual one.

    A pack of a unit or group without a usual size counts as the usual one.
    """
    joined = rows.join(
        usual, on=("among", UNIT), how="left", nulls_equal=True, maintain_order="left"
    )
    pack = ((pl.col(SIZE) - pl.col("usual")) * LOG_UNIT).round().fill_null(0)
    return joined.with_columns(pack.cast(pl.Int64).alias(PACK)).drop("usual")


def _group(entity: Entity) -> pl.Expr:
    """The group of each product: the one it had in training, else the one of this catalogue."""
    if entity.groups is None:
        return _one_group()
    if not entity.groups:  # trained without groups
        return pl.lit(None, dtype=pl.String).alias(GROUP)
    products, groups = (pl.Series(list(part)) for part in zip(*entity.groups, strict=True))
    known = pl.col(PRODUCT).replace_strict(products, groups, default=None, return_dtype=pl.String)
    return pl.coalesce(known, _one_group()).alias(GROUP)


def groups(begun: pl.DataFrame, entity: Entity) -> pl.DataFrame:
    """product -> its group, and `among` what its packs are compared, by rows that have begun.

    `begun` is what `named` says of them. Of a sku that changes counts what it said last of each
    product that it was. The group may be that of the training, what is compared never is.
    """
    last = begun.drop_nulls(PRODUCT).unique(("sku", PRODUCT), keep="last", maintain_order=True)
    return last.select(PRODUCT, _group(entity), among=among(entity)).unique()


def named(products: pl.DataFrame, entity: Entity) -> pl.DataFrame:
    """The rows of `products` as sku, `valid_from`, product, group, ln of the size, unit of that."""
    known = [c for c in products.columns if products[c].dtype == pl.String]
    for path, column in (("product", entity.product), ("group", entity.group)):
        if column is not None and column not in known:
            raise DataError(
                f'target.{path}: the table products has no column of text called "{column}"; '
                f"it has: {', '.join(known)}"
            )
    lasting = (pl.col("consumable") == "no").fill_null(value=False)  # a pan does not run out
    return products.select(
        "sku",
        VALID_FROM,
        pl.when(~lasting).then(entity.product).alias(PRODUCT),
        (pl.lit(None, dtype=pl.String) if entity.group is None else pl.col(entity.group)).alias(
            GROUP
        ),
        pl.when(pl.col("unit_size") > 0).then(pl.col("unit_size").log()).alias(SIZE),
        pl.col("unit_of_measure").alias(UNIT),
    )


def as_trained(entity: Entity, log: EventLog) -> Entity:
    """The entity with the packs and groups at the end of a log, as a model keeps them."""
    if not entity.is_pair:
        return entity
    if "products" not in log.tables:
        return replace(entity, packs=(), groups=())
    begun = named(validity.begun(log.tables["products"].frame, log.observed_until.at), entity)
    holding = begun.unique("sku", keep="last", maintain_order=True)
    grouped = groups(begun, entity).select(PRODUCT, GROUP).drop_nulls().sort(PRODUCT)
    usual = tuple(usual_packs(holding, entity).iter_rows())
    return replace(entity, packs=usual, groups=tuple(grouped.iter_rows()))


def among(entity: Entity) -> pl.Expr:
    """Packs are compared with those of the same product, or of the group where that is a sku."""
    return pl.col(GROUP if entity.product == "sku" else PRODUCT)


def usual_packs(holding: pl.DataFrame, entity: Entity) -> pl.DataFrame:
    """(product or group, unit) -> the usual ln of a size: as trained, else of these rows."""
    if entity.packs is not None:
        schema = {"among": pl.String, UNIT: pl.String, "usual": pl.Float64}
        return pl.DataFrame([tuple(pack) for pack in entity.packs], schema=schema, orient="row")
    known = holding.with_columns(among=among(entity)).drop_nulls(SIZE)
    mean = known.group_by("among", UNIT).agg(usual=pl.col(SIZE).sort().mean())
    return mean.sort("among", UNIT, nulls_last=True)


def _one_group() -> pl.Expr:
    """The group most skus of a product have, the first by name among equals; one per product."""
    return pl.col(GROUP).drop_nulls().mode().sort().first().over(PRODUCT).alias(GROUP)
