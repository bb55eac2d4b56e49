"""Occasions: an order, or a line of one, at a moment at which something is asked about it.

An event triggers the question (it was ordered, shipped, delivered); the cutoff of the occasion is
the instant after that event became known, so every occasion has a cutoff of its own. While the
question is open, it is asked again some days later, so that a model also knows what silence means:
a parcel that has been on its way for a week is not one that has just left.

Whether something is asked, since when, and about what, follows from what was known before that
very moment, so a log that runs on and one that ends there tell the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from zlib import crc32

import polars as pl

from ppi_ml.clock import clock_of, instants_of
from ppi_ml.entities import LINE, Entity
from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.sent_back import matched

AGAIN = (2, 5, 10, 20, 40, 80)
"""Days after the trigger, of which one is drawn for every order: if it is still open then, it is
asked about once more. So there are about as many later occasions as first ones."""
LANE = "lane"
LATER = "later"
"""The trigger of an occasion that is asked again: more than a day, on the local clock, after what
triggered it was known."""
_OF = {"ordered": "order_lines", "shipped": "shipments", "delivered": "deliveries"}
TRIGGERS = tuple(_OF)
_ORDER = ("customer_id", "order_id")
_MOMENT = ("order_id", "now_at")
_LINE = ("order_id", "line_id", "now_at")
_PARCELS = {"order_id": pl.String, "now_at": pl.Int64, "shipment_id": pl.String,
            "promised_at": pl.Int64}  # fmt: skip


@dataclass(frozen=True)
class Asking:
    """When a target asks: its triggers, and what closes the question (a key of `CLOSED`)."""

    at: tuple[str, ...]
    until: str
    within: int
    """Days after the trigger after which nothing is asked any more."""


def tables_of(asking: Asking) -> tuple[str, ...]:
    """The tables that say when something is asked, and when it is closed."""
    closing = {"delivered": ("shipments", "deliveries"), "reviewed": ("reviews",),
               "returned": ("returns",), "never": ()}  # fmt: skip
    return tuple(dict.fromkeys((*(_OF[t] for t in asking.at), *closing[asking.until])))


def triggered(log: EventLog, entity: Entity, asking: Asking, until: Cutoff) -> pl.DataFrame:
    """Every occasion of a log before `until`: at the trigger, and again while it was open.

    One row per key and cutoff: the key, `sku` for lines, `lane` for orders, `trigger`, `asked_at`
    (when the newest trigger was known), `now_at` and `now_wall` (the cutoff, instant and local
    clock). Sorted by key and cutoff.
    """
    first = triggers(log, entity, asking.at)
    midnight = partial(_midnight, first["asked_at"], zone=log.timezone)
    at_once = first.select(*entity.keys, now_at=pl.col("asked_at") + 1)
    if any(table.granularity == "day" for table in log.tables.values() if table.dated):
        at_once = at_once.with_columns(now_at=midnight(pl.Series([0])))
    moments = [at_once]
    days = [day for day in AGAIN if day < asking.within]  # that midnight is a day further on
    if days:
        drawn = pl.Series(
            [days[crc32(name.encode()) % len(days)] for name in first["order_id"]], dtype=pl.Int64
        )
        moments.append(first.select(*entity.keys, now_at=midnight(drawn)))
    asked = pl.concat(moments).filter(pl.col("now_at") <= until.at).unique()
    return _rows(log, entity, asking, newest(first, asked, entity))


def standing(log: EventLog, entity: Entity, asking: Asking, cutoff: Cutoff) -> pl.DataFrame:
    """Every occasion that is open at one cutoff, as `triggered` gives them.

    What was triggered before, within the days of the question, and is not closed as known then.
    `UsageError` if a table of granularity day is there and the cutoff is no local midnight.
    """
    past = log.until(cutoff)
    first = triggers(past, entity, asking.at)
    recent = first.filter(pl.col("asked_at") >= cutoff.plus(-asking.within).at)
    asked = recent.select(*entity.keys, now_at=pl.lit(cutoff.at)).unique()
    return _rows(past, entity, asking, newest(recent, asked, entity))


def triggers(log: EventLog, entity: Entity, names: Sequence[str]) -> pl.DataFrame:
    """The keys, `trigger`, `asked_at`: the first event of each kind of each order.

    A line is asked about when it is known itself: others of its order may be known before.
    """
    keys = entity.keys
    lines = log.tables["order_lines"].frame
    ordered = lines.group_by(keys).agg(ordered=pl.col("known").min())
    parts = [ordered.select(*keys, trigger=pl.lit(""), asked_at="ordered").clear()]
    for name in names:
        if name == "ordered":
            said = ordered.with_columns(said="ordered")
        elif _OF[name] in log.tables:
            events = _of_orders(log, _OF[name]).group_by(_ORDER).agg(said=pl.col("known").min())
            said = ordered.join(events, on=_ORDER)
        else:
            continue
        at = pl.max_horizontal("said", "ordered")  # a parcel may be known before its order is
        parts.append(said.select(*keys, trigger=pl.lit(name), asked_at=at))
    return pl.concat(parts)


def _of_orders(log: EventLog, table: str) -> pl.DataFrame:
    """customer_id, order_id, known: parcels whose order is known, be it by the shipment alone."""
    events = log.tables[table].frame.select(*_ORDER, "shipment_id", "known")
    named = events.drop_nulls("order_id").select(*_ORDER, "known")
    if table != "deliveries" or "shipments" not in log.tables:
        return named
    sent = log.tables["shipments"].frame.drop_nulls("order_id")
    by_parcel = events.filter(pl.col("order_id").is_null()).drop("order_id")
    by_parcel = by_parcel.join(
        sent.select(*_ORDER, "shipment_id", told="known"), on=("customer_id", "shipment_id")
    )
    return pl.concat([named, by_parcel.select(*_ORDER, known=pl.max_horizontal("known", "told"))])


def newest(first: pl.DataFrame, asked: pl.DataFrame, entity: Entity) -> pl.DataFrame:
    """The moments with the newest trigger known before each: from then on the question counts."""
    order = pl.col("trigger").replace_strict({name: i for i, name in enumerate(TRIGGERS)})
    known = asked.join(first, on=entity.keys).filter(pl.col("asked_at") < pl.col("now_at"))
    return (
        known.with_columns(order=order)
        .sort(*entity.keys, "now_at", "asked_at", "order")
        .unique((*entity.keys, "now_at"), keep="last", maintain_order=True)
        .drop("order")
    )


def _midnight(at: pl.Series, days: pl.Series, zone: str) -> pl.Series:
    """The local midnight that ends the day so many days after each instant."""
    day = clock_of(at, zone) // DAY_US * DAY_US + (days + 1) * DAY_US
    return instants_of(day, zone)


def _rows(log: EventLog, entity: Entity, asking: Asking, asked: pl.DataFrame) -> pl.DataFrame:
    """The occasions that are open, with what else is told of them."""
    waited = pl.col("now_wall") - clock_of(asked["asked_at"], log.timezone)
    asked = asked.with_columns(now_wall=clock_of(asked["now_at"], log.timezone)).with_columns(
        trigger=pl.when(waited > DAY_US).then(pl.lit(LATER)).otherwise("trigger")
    )
    asked = not_cancelled(log, asked, entity)
    of_lines = entity.name == LINE
    if of_lines:
        lines = log.tables["order_lines"].frame.select(*entity.keys, "sku", "quantity_e3")
        asked = asked.join(lines, on=entity.keys)
    else:
        asked = _with_lane(log, asked)
    extra = "sku" if of_lines else LANE
    opened = CLOSED[asking.until](log, asked)
    return opened.select(*entity.keys, extra, "trigger", "asked_at", "now_at", "now_wall").sort(
        *entity.keys, "now_at"
    )


def known_then(log: EventLog, table: str, moments: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    """The rows of a table known before each moment, found by the columns that both have.

    `moments` has these columns, and `now_at`. The log must have the table.
    """
    each = moments.select(*on, "now_at").unique()
    joined = each.join(log.tables[table].frame, on=list(on))
    return joined.filter(pl.col("known") < pl.col("now_at"))


def _with_lane(log: EventLog, asked: pl.DataFrame) -> pl.DataFrame:
    """The lane of the first parcel that is known of each order; null where none is."""
    if "shipments" not in log.tables:
        return asked.with_columns(pl.lit(None, dtype=pl.String).alias(LANE))
    lanes = (
        known_then(log, "shipments", asked, ("order_id",))
        .sort("known", "shipment_id")
        .group_by(_MOMENT)
        .agg(pl.col("region").first().alias(LANE))
    )
    return asked.join(lanes, on=_MOMENT, how="left")


def not_cancelled(log: EventLog, asked: pl.DataFrame, entity: Entity) -> pl.DataFrame:
    """What is not called off: a line, or an order of which some line is left."""
    if "cancellations" not in log.tables:
        return asked
    called_off = known_then(log, "cancellations", asked, ("order_id",))
    asked = asked.join(called_off.filter(pl.col("line_id").is_null()), on=_MOMENT, how="anti")
    if entity.name == LINE:
        return asked.join(called_off, on=_LINE, how="anti")
    lines = known_then(log, "order_lines", asked, ("order_id",))
    return asked.join(lines.join(called_off, on=_LINE, how="anti"), on=_MOMENT, how="semi")


def parcels_out(log: EventLog, asked: pl.DataFrame) -> pl.DataFrame:
    """The parcels of each order that are promised and on their way, as known at its moment.

    `order_id`, `now_at`, `shipment_id`, `promised_at`: sent, its promise not over, not known to
    have come. A parcel that is promised for no day cannot miss it.
    """
    if "shipments" not in log.tables:
        return pl.DataFrame(schema=_PARCELS)
    sent = known_then(log, "shipments", asked, ("order_id",)).select(*_PARCELS)
    out = sent.filter(pl.col("promised_at") >= pl.col("now_at"))
    if "deliveries" not in log.tables:
        return out
    came = known_then(log, "deliveries", out, ("shipment_id",))
    return out.join(came, on=("shipment_id", "now_at"), how="anti")


def _undelivered(log: EventLog, asked: pl.DataFrame) -> pl.DataFrame:
    """Orders of which a parcel is promised and on its way."""
    return asked.join(parcels_out(log, asked), on=_MOMENT, how="semi")


def _unreviewed(log: EventLog, asked: pl.DataFrame) -> pl.DataFrame:
    """Orders of which no review is known yet."""
    if "reviews" not in log.tables:
        return asked
    return asked.join(known_then(log, "reviews", asked, ("order_id",)), on=_MOMENT, how="anti")


def _kept(log: EventLog, asked: pl.DataFrame) -> pl.DataFrame:
    """Lines of which something is still with the customer, as far as is known.

    Units are matched anew at each moment: a return that becomes known later may have come earlier,
    and then another line sent them.
    """
    if "returns" not in log.tables:
        return asked
    product = ("customer_id", "sku")
    back = known_then(log, "returns", asked, product)
    bought = known_then(log, "order_lines", back, product)
    sent, _ = matched(bought, back, ("now_at",))
    gone = sent.group_by(_LINE).agg(gone=pl.col("quantity_e3").sum())
    joined = asked.join(gone, on=_LINE, how="left")
    return joined.filter(pl.col("gone").fill_null(0) < pl.col("quantity_e3"))


CLOSED: Mapping[str, Callable[[EventLog, pl.DataFrame], pl.DataFrame]] = {
    "delivered": _undelivered,
    "reviewed": _unreviewed,
    "returned": _kept,
    "never": lambda _, asked: asked,
}
"""What closes a question -> which of the occasions are still open."""
