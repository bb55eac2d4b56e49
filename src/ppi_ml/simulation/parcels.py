"""What a brand's own systems write down of orders: lines, parcels, returns, refunds."""

from __future__ import annotations

import numpy as np
import polars as pl

from ppi_ml.simulation import luck
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray, instants, whole_seconds
from ppi_ml.simulation.lanes import CARRIERS
from ppi_ml.simulation.luck import Keys
from ppi_ml.simulation.people import REGIONS
from ppi_ml.simulation.story import Story, names, words
from ppi_ml.simulation.tables import CURRENCY

_CHANNELS, _CHANNEL_WEIGHTS = ("web", "app", "store"), np.array([0.6, 0.3, 0.1])
_REASONS = ("does not suit", "damaged", "not as described", "wrong item", "too late")
_REASON_WEIGHTS = np.array([0.4, 0.2, 0.2, 0.1, 0.1])
_CANCELLED_FOR = ("changed my mind", "ordered twice", "found it elsewhere")
_CODES = ("delay", "failed_attempt", "damage", "lost")
_DELAY_TOLD, _FAILED, _DAMAGED = 0.6, 0.04, 0.01  # of the late parcels; of all others
_LOST_AFTER, _REFUND_DAYS, _REFUNDED = 10.0, 4.0, 0.95
_SECOND = 1 / 86_400


def order_lines(story: Story) -> pl.DataFrame:
    """What was ordered; the discount is 0 and the code null without a promotion."""
    lines, orders = story.lines, story.orders
    time = orders.ordered[lines.order]
    promotion = orders.promotion[lines.order]
    depth = story.brand.promotion_depth
    codes = names(f"SAVE{round(100 * depth)}-", promotion, 2)
    price = story.assortment.catalogue.price[lines.product]
    channel = luck.chosen(orders.keys[lines.order], "channel", _CHANNEL_WEIGHTS)
    return pl.DataFrame(
        {
            "order_id": story.order_ids("o", lines.order),
            "line_id": pl.Series(lines.line).cast(pl.String),
            "customer_id": story.customer_ids(orders.customer[lines.order]),
            "occurred_at": instants(time),
            "sku": story.skus(lines.product),
            "quantity": lines.quantity,
            "unit_price": price,
            "discount": discount(story),
            "promo_code": codes.set(pl.Series(promotion < 0), None),
            "currency": pl.repeat(CURRENCY, len(time), eager=True),
            "channel": words(_CHANNELS, channel),
            "order_type": pl.repeat("one_off", len(time), eager=True),
        }
    )


def discount(story: Story) -> FloatArray:
    """Money off each line (l,)."""
    lines = story.lines
    price = story.assortment.catalogue.price[lines.product]
    off = np.round(story.brand.promotion_depth * price * lines.quantity, 2)
    return np.where(story.orders.promotion[lines.order] >= 0, off, 0.0)


def cancellations(story: Story) -> pl.DataFrame | None:
    """Orders called off before they were sent."""
    if not story.brand.cancelled:
        return None
    orders = story.orders
    rows, times = story.record("cancellations", orders.keys, orders.cancelled)
    reason = np.floor(3 * luck.uniform(orders.keys[rows], "cancelled why")).astype(np.int64)
    return pl.DataFrame(
        {
            "cancellation_id": story.order_ids("x", rows),
            "customer_id": story.customer_ids(orders.customer[rows]),
            **times,
            "order_id": story.order_ids("o", rows),
            "reason": words(_CANCELLED_FOR, reason),
        }
    )


def shipments(story: Story) -> pl.DataFrame:
    """One parcel of every order that was not called off."""
    orders = story.orders
    rows, times = story.record("shipments", orders.keys, orders.shipped)
    return pl.DataFrame(
        {
            "shipment_id": story.order_ids("s", rows),
            "customer_id": story.customer_ids(orders.customer[rows]),
            **times,
            "order_id": story.order_ids("o", rows),
            "promised_at": _promised(story, rows),
            "carrier": words(CARRIERS, orders.carrier[rows]),
            "service": words(("standard", "express"), orders.express[rows].astype(np.int64)),
            "region": _regions(story, rows),
        }
    )


def deliveries(story: Story) -> pl.DataFrame:
    """The parcels that arrived."""
    orders = story.orders
    rows, times = story.record("deliveries", orders.keys, orders.arrived)
    return pl.DataFrame(
        {
            "shipment_id": story.order_ids("s", rows),
            "customer_id": story.customer_ids(orders.customer[rows]),
            **times,
            "order_id": story.order_ids("o", rows),
            "promised_at": _promised(story, rows),
        }
    )


def delivery_exceptions(story: Story) -> pl.DataFrame:
    """What went wrong on the way: told delays of late parcels, failed attempts, damage, losses."""
    orders, keys = story.orders, story.orders.keys
    shipped = np.where(np.isfinite(orders.shipped), orders.shipped, 0.0)
    way = np.minimum(orders.arrived, orders.due + _LOST_AFTER) - shipped
    at = luck.uniform(keys, "exception when")

    def sometime(holds: BoolArray, since: float, until: float) -> FloatArray:
        time = shipped + way * (since + (until - since) * at)
        return np.where(holds, whole_seconds(time), np.inf)

    sent = np.isfinite(orders.arrived)
    trouble = luck.uniform(keys, "trouble")
    told = orders.late & (luck.uniform(keys, "delay told") < _DELAY_TOLD)
    failed = sent & (trouble < _FAILED)
    damaged = sent & (trouble >= _FAILED) & (trouble < _FAILED + _DAMAGED)
    when = [
        sometime(told, 0.2, 0.6),
        sometime(failed, 0.7, 0.95),
        sometime(damaged, 0.7, 0.95),
        np.where(orders.lost, orders.due + _LOST_AFTER, np.inf),
    ]
    order = np.tile(np.arange(len(orders)), len(_CODES))
    code = np.repeat(np.arange(len(_CODES)), len(orders))
    rows, times = story.record(
        "delivery_exceptions", luck.below(keys[order], "exception", code), np.concatenate(when)
    )
    order, code = order[rows], code[rows]
    return pl.DataFrame(
        {
            "shipment_id": story.order_ids("s", order),
            "customer_id": story.customer_ids(orders.customer[order]),
            **times,
            "order_id": story.order_ids("o", order),
            "code": words(_CODES, code),
        }
    )


def returns(story: Story) -> pl.DataFrame | None:
    """What was sent back, when it was asked for."""
    if not story.brand.returned:
        return None
    lines, keys = story.lines, line_keys(story)
    rows, times = story.record("returns", keys, lines.sent_back)
    order = lines.order[rows]
    reason = luck.chosen(keys[rows], "return why", _REASON_WEIGHTS)
    return pl.DataFrame(
        {
            "return_id": line_ids(story, "r", rows),
            "customer_id": story.customer_ids(story.orders.customer[order]),
            **times,
            "order_id": story.order_ids("o", order),
            "sku": story.skus(lines.product[rows]),
            "quantity": lines.units_back[rows],
            "reason": words(_REASONS, reason),
        }
    )


def refunds(story: Story) -> pl.DataFrame:
    """Money back for what was sent back, and for parcels that were lost."""
    lines, orders, keys = story.lines, story.orders, line_keys(story)
    lost = orders.lost[lines.order]
    since = np.where(lost, orders.due[lines.order] + _LOST_AFTER, lines.sent_back)
    wait = _REFUND_DAYS * luck.exponential(keys, "refund when") + _SECOND
    refused = luck.uniform(keys, "refunded") >= _REFUNDED
    time = np.where(refused & ~lost, np.inf, whole_seconds(since + wait))
    rows, times = story.record("refunds", keys, time)
    units = np.where(lost, lines.quantity, lines.units_back)
    price = story.assortment.catalogue.price[lines.product]
    each = price - discount(story) / lines.quantity
    order = lines.order[rows]
    return pl.DataFrame(
        {
            "refund_id": line_ids(story, "f", rows),
            "customer_id": story.customer_ids(orders.customer[order]),
            **times,
            "order_id": story.order_ids("o", order),
            "sku": story.skus(lines.product[rows]),
            "amount": np.maximum(np.round((each * units)[rows], 2), 0.01),
            "currency": pl.repeat(CURRENCY, len(rows), eager=True),
        }
    )


def line_keys(story: Story) -> Keys:
    """The keys of all lines (l,)."""
    return luck.below(story.orders.keys[story.lines.order], "line", story.lines.line - 1)


def line_ids(story: Story, prefix: str, line: IntArray) -> pl.Series:
    """Ids of things of which a line has one, told by the rows of the lines."""
    number = pl.Series(story.lines.line[line]).cast(pl.String)
    return story.order_ids(prefix, story.lines.order[line]) + "-" + number


def _promised(story: Story, order: IntArray) -> pl.Series:
    """The end of the promised day: its last second."""
    return instants(story.orders.due[order] - _SECOND)


def _regions(story: Story, order: IntArray) -> pl.Series:
    return words(REGIONS, story.people.region[story.orders.customer[order]])
