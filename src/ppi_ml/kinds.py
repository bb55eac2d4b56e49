"""What products are at a cutoff, where the table `products` changes: groups, usual packs, skus.

What was bought is told by the time of the order (`entities.prepared`). Which group a product is of,
and which pack is the usual one, is told as of the cutoff: a later row of `products` moves neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ppi_ml import entities, validity
from ppi_ml.entities import PRODUCT, SIZE, SKUS, UNIT, Entity
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff


@dataclass(frozen=True)
class Kinds:
    """The groups of products and the usual packs at a cutoff, as `entities` gives them."""

    groups: pl.DataFrame
    usual: pl.DataFrame

    def described(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of a prepared table with group and pack; the same where they name no sku."""
        if SIZE not in rows.columns:
            return rows
        grouped = rows.join(self.groups, on=PRODUCT, how="left", maintain_order="left")
        return entities.with_packs(grouped, self.usual).drop("among", SIZE, UNIT)


def at(log: EventLog, entity: Entity, cutoff: Cutoff) -> Kinds | None:
    """The kinds of a prepared log at a cutoff; None where they are the same at every cutoff."""
    if not entity.is_pair or not entities.changing(log):
        return None
    begun = entities.named(validity.begun(log.tables["products"].frame, cutoff.at), entity)
    holding = begun.unique("sku", keep="last", maintain_order=True)
    return Kinds(entities.groups(begun, entity), entities.usual_packs(holding, entity))


def stocked(log: EventLog, entity: Entity, cutoff: Cutoff) -> pl.DataFrame:
    """The rows of the table stock of a prepared log, with the product of their sku at a cutoff.

    `product_skus` says how many skus that product has then.
    """
    frame = log.tables["stock"].frame
    if not entity.is_pair or not entities.changing(log):
        return frame
    products = validity.begun(log.tables["products"].frame, cutoff.at)
    now = entities.named(products, entity).unique("sku", keep="last", maintain_order=True)
    count = pl.len().over(PRODUCT).cast(pl.UInt32).alias(SKUS)
    skus = now.select("sku", PRODUCT, count, listed=pl.lit(value=True))
    joined = frame.sort("at", "sku").join(skus, on="sku", how="left", maintain_order="left")
    own = pl.col("listed").is_null() & (entity.product == "sku")
    named = joined.with_columns(
        pl.when(own).then("sku").otherwise(PRODUCT).alias(PRODUCT),
        pl.when(own).then(1).otherwise(SKUS).alias(SKUS),
    )
    return named.drop("listed")
