"""What customers say and report: reviews, tickets, surveys, usage.

All follow the experience: stars are 4.3 + mood, less what a late parcel costs.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from ppi_ml.simulation import luck
from ppi_ml.simulation.clock import BoolArray, FloatArray, IntArray, whole_seconds
from ppi_ml.simulation.luck import Keys
from ppi_ml.simulation.parcels import line_ids, line_keys
from ppi_ml.simulation.phrases import text
from ppi_ml.simulation.story import Story, words

AVERAGE_STARS = 4.3
_REVIEW_DAYS, _SURVEY_DAYS, _TICKET_DAYS, _USED_DAYS = 6.0, 10.0, 5.0, 2.0  # after a delivery
_WRITTEN, _ANSWERED = 0.75, 0.6  # of reviews with a text; of closed tickets with a score
_ASKS_WITHIN, _CLOSED_DAYS, _CLOSED = 1.0, 2.0, 0.97
_WHERE = "where-is-my-order"
_TOPICS = (_WHERE, "damage", "return", "invoice", "product")
_OTHER_WEIGHTS = np.array([0.15, 0.25, 0.2, 0.4])
_TICKET_CHANNELS = ("mail", "chat", "phone")
_SECOND = 1 / 86_400


def content(story: Story) -> FloatArray:
    """How content each order leaves its customer, in stars without bounds (n,)."""
    orders = story.orders
    return np.asarray(AVERAGE_STARS + orders.mood - story.brand.late_stars * orders.late)


def reviews(story: Story) -> pl.DataFrame | None:
    """Stars and words about the first product of an order, some days after it came."""
    if not story.brand.reviewed:
        return None
    orders, keys = story.orders, story.orders.keys
    writes = luck.uniform(keys, "reviewed") < story.brand.reviewed
    time = _after(keys, "reviewed when", orders.arrived, _REVIEW_DAYS, writes)
    rows, times = story.record("reviews", keys, time)
    stars = np.clip(np.round(content(story)[rows]), 1, 5).astype(np.int64)
    said = text(keys[rows], stars, orders.late[rows])
    silent = luck.uniform(keys[rows], "review text") >= _WRITTEN
    return pl.DataFrame(
        {
            "review_id": story.order_ids("v", rows),
            "customer_id": story.customer_ids(orders.customer[rows]),
            **times,
            "order_id": story.order_ids("o", rows),
            "sku": story.skus(orders.first_product[rows]),
            "rating": stars,
            "text": said.set(pl.Series(silent), None),
        }
    )


def surveys(story: Story) -> pl.DataFrame | None:
    """Answers some days after a delivery: recommend us (nps), were you content (csat); 0 to 10."""
    if not story.brand.surveyed:
        return None
    orders, keys = story.orders, story.orders.keys
    answers = luck.uniform(keys, "surveyed") < story.brand.surveyed
    time = _after(keys, "surveyed when", orders.arrived, _SURVEY_DAYS, answers)
    rows, times = story.record("surveys", keys, time)
    score = 2 * content(story)[rows] - 0.5 + luck.normal(keys[rows], "survey score")
    kind = (luck.uniform(keys[rows], "survey kind") < 0.5).astype(np.int64)
    return pl.DataFrame(
        {
            "survey_id": story.order_ids("q", rows),
            "customer_id": story.customer_ids(orders.customer[rows]),
            **times,
            "kind": words(("nps", "csat"), kind),
            "score": np.clip(np.round(score), 0, 10).astype(np.int64),
        }
    )


def tickets_opened(story: Story) -> pl.DataFrame | None:
    """Who asks for help: where a late parcel is, and all other things."""
    if not (story.brand.tickets or story.brand.late_tickets):
        return None
    order, topic, keys, opened, _ = _tickets(story)
    rows, times = story.record("tickets_opened", keys, opened)
    order = order[rows]
    channel = np.floor(3 * luck.uniform(keys[rows], "channel")).astype(np.int64)
    return pl.DataFrame(
        {
            "ticket_id": _ticket_ids(story, order, topic[rows]),
            "customer_id": story.customer_ids(story.orders.customer[order]),
            **times,
            "order_id": story.order_ids("o", order),
            "topic": words(_TOPICS, topic[rows]),
            "channel": words(_TICKET_CHANNELS, channel),
        }
    )


def tickets_closed(story: Story) -> pl.DataFrame | None:
    """When it was settled; the longer that took, the lower the score, if one is given."""
    if not (story.brand.tickets or story.brand.late_tickets):
        return None
    order, topic, keys, opened, closed = _tickets(story)
    rows, times = story.record("tickets_closed", keys, closed)
    order = order[rows]
    score = 9 - (closed[rows] - opened[rows]) + luck.normal(keys[rows], "csat")
    silent = luck.uniform(keys[rows], "csat given") >= _ANSWERED
    return pl.DataFrame(
        {
            "ticket_id": _ticket_ids(story, order, topic[rows]),
            "customer_id": story.customer_ids(story.orders.customer[order]),
            **times,
            "csat": pl.Series(np.clip(np.round(score), 0, 10)).set(pl.Series(silent), None),
        }
    )


def usage(story: Story) -> pl.DataFrame | None:
    """The first use of a product by a customer, and every refill after it, where they report."""
    if not story.brand.usage:
        return None
    lines, orders, keys = story.lines, story.orders, line_keys(story)
    reports = story.people.reports[orders.customer[lines.order]]
    time = _after(keys, "used when", orders.arrived[lines.order], _USED_DAYS, reports)
    pair = orders.customer[lines.order] * len(story.assortment.catalogue) + lines.product
    at = np.lexsort((time, pair))
    first = np.zeros(len(time), dtype=np.bool_)
    first[at] = np.diff(pair[at], prepend=-1) != 0
    rows, times = story.record("usage", keys, time)
    return pl.DataFrame(
        {
            "usage_id": line_ids(story, "u", rows),
            "customer_id": story.customer_ids(orders.customer[lines.order[rows]]),
            **times,
            "sku": story.skus(lines.product[rows]),
            "amount": lines.quantity[rows],
            "kind": words(("refill", "first_use"), first[rows].astype(np.int64)),
        }
    )


def _tickets(story: Story) -> tuple[IntArray, IntArray, Keys, FloatArray, FloatArray]:
    """All tickets: row of the order, topic, keys, when it was opened and when closed."""
    orders, n = story.orders, len(story.orders)
    asks = luck.uniform(orders.keys, "asks where") < story.brand.late_tickets
    where = orders.due + _ASKS_WITHIN * luck.uniform(orders.keys, "asks when")
    waits = asks & orders.late & (where < orders.arrived)
    other = luck.uniform(orders.keys, "asks") < story.brand.tickets
    later = _after(orders.keys, "asks later", orders.arrived, _TICKET_DAYS, other)
    order = np.tile(np.arange(n), 2)
    keys = luck.below(orders.keys[order], "ticket", np.repeat([0, 1], n))
    topic = 1 + luck.chosen(keys, "topic", _OTHER_WEIGHTS)
    topic[:n] = _TOPICS.index(_WHERE)
    opened = np.concatenate([np.where(waits, whole_seconds(where), np.inf), later])
    settled = luck.uniform(keys, "settled") < _CLOSED
    return order, topic, keys, opened, _after(keys, "closed", opened, _CLOSED_DAYS, settled)


def _ticket_ids(story: Story, order: IntArray, topic: IntArray) -> pl.Series:
    about_parcels = pl.Series(topic == _TOPICS.index(_WHERE))
    return story.order_ids("w", order).zip_with(about_parcels, story.order_ids("t", order))


def _after(keys: Keys, part: str, time: FloatArray, days: float, holds: BoolArray) -> FloatArray:
    """Some time later: exponential with a mean in days, at least a second; inf where not."""
    wait = days * luck.exponential(keys, part) + _SECOND
    return np.where(holds, whole_seconds(time + wait), np.inf)
