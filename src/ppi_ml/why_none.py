"""Why nothing is said of a customer: the true reason, in batches and for one alike."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ppi_ml import entities
from ppi_ml.entities import PRODUCT, Entity
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.occasions import Asking, known_then, newest, not_cancelled, triggers
from ppi_ml.snapshot import is_purchase, without_cancelled

NO_PURCHASE, NO_ORDER = "no purchase before the cutoff", "no order before the cutoff"
_NOT_YET = "what was ordered before the cutoff was not known then"
_CLOSED: Mapping[str, str] = {
    "reviewed": "there is a review of every such order",
    "returned": "everything was sent back",
    "delivered": "no parcel of it is known",
    "never": "what is asked about is over",
}


def of_purchases(log: EventLog, cutoff: Cutoff, entity: Entity) -> dict[str, str]:
    """Customer -> why no row is about them, for those with an order line; the others never ordered.

    Args:
        log: events; for pairs a log that `entities.prepared` has been through.
        cutoff: the instant at which we stand.
        entity: customer, or pair.

    A customer who has rows is told something too, which nobody needs.
    """
    lines = log.tables["order_lines"].frame.filter(pl.col("at") < cutoff.at)
    known = lines.filter(pl.col("known") < cutoff.at)
    bought = known.filter(is_purchase(log))
    kept = bought
    if "cancellations" in log.tables:
        called_off = log.tables["cancellations"].frame.filter(pl.col("known") < cutoff.at)
        kept = without_cancelled(bought, called_off)
    types = pl.col("order_type").unique().sort().str.join(", ")
    return _last_told(
        _each(lines, pl.lit(_NOT_YET)),
        _each(known, pl.format(f"{NO_PURCHASE}, only order lines of the type {{}}", types)),
        _each(bought, pl.lit("every purchase before the cutoff was cancelled")),
        _of_products(kept, log, entity) if entity.is_pair else _each(kept, pl.lit("")),
    )


def _of_products(kept: pl.DataFrame, log: EventLog, entity: Entity) -> pl.DataFrame:
    """Why what was bought belongs to no pair."""
    kept = kept.with_columns(_lasts=entities.lasts(kept, log))
    nameless, lasts = pl.col("sku").is_null(), pl.col("_lasts")
    says = f"the table products says no {entity.product}" if entity.product != "sku" else ""
    reason = (
        pl.when(nameless.all())
        .then(pl.lit("no purchase before the cutoff names a sku"))
        .when(lasts.all())
        .then(pl.lit("nothing that was bought before the cutoff is consumable"))
        .when(~(nameless | lasts).any())
        .then(pl.lit(f"{says} of anything that was bought before the cutoff"))
        .otherwise(pl.lit("no purchase before the cutoff is of a known and consumable product"))
    )
    return _each(kept.filter(pl.col(PRODUCT).is_null()), reason)


def of_occasions(log: EventLog, cutoff: Cutoff, entity: Entity, asking: Asking) -> dict[str, str]:
    """Customer -> why none of their orders or lines is open, for those with an order known then.

    Args:
        log: events.
        cutoff: the instant at which we stand.
        entity: order, or order line.
        asking: when the target asks.
    """
    past, done = log.until(cutoff), " or ".join(asking.at)
    lines = past.tables["order_lines"].frame
    first = triggers(past, entity, asking.at)
    recent = first.filter(pl.col("asked_at") >= cutoff.plus(-asking.within).at)
    asked = recent.select(*entity.keys, now_at=pl.lit(cutoff.at)).unique()
    left = not_cancelled(past, newest(recent, asked, entity), entity)
    days = f"in the last {asking.within} days"
    return {
        name: f"nothing is open: {why}"
        for name, why in _last_told(
            _each(lines, pl.lit(f"no order is known to be {done}")),
            _each(first, pl.lit(f"nothing was {done} {days}")),
            _each(recent, pl.lit(f"what was {done} {days} is cancelled")),
            _each(left, pl.lit(_CLOSED[asking.until])),
            *([_of_parcels(past, left)] if asking.until == "delivered" else ()),
        ).items()
    }


def _of_parcels(past: EventLog, asked: pl.DataFrame) -> pl.DataFrame:
    """Why no parcel of these orders is awaited: none is promised, all have come, it is too late."""
    if "shipments" not in past.tables:
        return _each(asked.clear(), pl.lit(""))
    sent = known_then(past, "shipments", asked, ("order_id",))
    came = pl.Series([], dtype=pl.String)
    if "deliveries" in past.tables:
        came = known_then(past, "deliveries", sent, ("shipment_id",))["shipment_id"]
    promised = pl.col("promised_at").is_not_null()
    arrived = pl.col("shipment_id").is_in(came.implode())
    reason = (
        pl.when(~promised.any())
        .then(pl.lit("no parcel was promised for a day"))
        .when(~(promised & ~arrived).any())
        .then(pl.lit("every parcel that was promised for a day has come"))
        .when(~(promised & arrived).any())
        .then(pl.lit("the promised day is over"))
        .otherwise(pl.lit("every parcel has come, or its promised day is over"))
    )
    return _each(sent, reason)


def _each(frame: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    """One row per customer of a frame, with a reason made of its rows."""
    return frame.group_by("customer_id").agg(reason=reason.first())


def _last_told(*steps: pl.DataFrame) -> dict[str, str]:
    """The reason of the last step that each customer reaches."""
    return {name: why for step in steps for name, why in step.iter_rows()}
