"""Logs for tests about orders: made by hand, or a busy shop in which everything goes wrong at once.

In the busy shop orders have several parcels, promises are made anew, half of what happens becomes
known days later, ids of orders are left out, units come back from any of several lines.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from ppi_ml.entities import LINE, ORDER, Entity
from ppi_ml.events import RawTable, load_tables
from ppi_ml.occasions import Asking

START, DAYS = datetime(2024, 2, 1), 120
ZONE = "Europe/London"
AN_ORDER, A_LINE = Entity(ORDER), Entity(LINE)
LATE = Asking(("shipped",), "delivered", 60)
LOW = Asking(("delivered",), "reviewed", 60)
BACK = Asking(("ordered", "delivered"), "returned", 60)
ASKINGS = {"late": (AN_ORDER, LATE), "low": (AN_ORDER, LOW), "back": (A_LINE, BACK)}


def day(number, hours=0.0):
    """A time on the clock of the shop, so many days after its start."""
    return START + timedelta(days=number, hours=hours)


def log_of(days=DAYS, zone=ZONE, granularity=None, **tables):
    """A log of tables given as rows; every table was recorded from the start for `days`."""
    granularity = granularity or {}
    raw = {
        name: RawTable(
            pl.DataFrame(rows, infer_schema_length=None) if isinstance(rows, list) else rows,
            granularity.get(name, "instant"),
            observed_from=START,
            observed_until=day(days),
        )
        for name, rows in tables.items()
    }
    return load_tables(raw, timezone=zone, currency="GBP")


def _event(at, known, **columns):
    at = day(at) if isinstance(at, int | float) else at
    known = at if known is None else day(known) if isinstance(known, int | float) else known
    return {"customer_id": "a", "occurred_at": at, "known_at": known, **columns}


def line(at, order="o1", number="1", known=None, **columns):
    """A line of an order of customer a."""
    usual = {"order_id": order, "line_id": number, "sku": "s", "quantity": 1.0, "unit_price": 5.0}
    return _event(at, known, **{**usual, **columns})


def parcel(at, promised, order="o1", number="p1", known=None, **columns):
    """A shipment, promised for a day (None: for none)."""
    promised = day(promised) if isinstance(promised, int | float) else promised
    usual = {"shipment_id": number, "order_id": order, "promised_at": promised, "region": "north"}
    return _event(at, known, **{**usual, **columns})


def arrival(at, order="o1", number="p1", known=None, **columns):
    """A delivery."""
    return _event(at, known, **{"shipment_id": number, "order_id": order, **columns})


def review(at, stars, order="o1", number="v1", known=None, **columns):
    """A review of an order."""
    usual = {"review_id": number, "order_id": order, "rating": stars, "text": None}
    return _event(at, known, **{**usual, **columns})


def sent_back(at, order="o1", number="r1", known=None, **columns):
    """A return of one unit of product s."""
    usual = {"return_id": number, "order_id": order, "sku": "s", "quantity": 1.0}
    return _event(at, known, **{**usual, **columns})


def called_off(at, order="o1", line_id=None, known=None, **columns):
    """A cancellation of an order, or of a line of it."""
    usual = {"cancellation_id": f"x{order}{line_id}", "order_id": order, "line_id": line_id}
    return _event(at, known, **{**usual, **columns})


class _Busy:
    """Writes the busy shop."""

    def __init__(self, seed, customers):
        self.draw = np.random.default_rng(seed)
        names = ("order_lines", "cancellations", "shipments", "deliveries", "delivery_exceptions",
                 "reviews", "returns")  # fmt: skip
        self.rows = {name: [] for name in names}
        for number in range(customers):
            for _ in range(self.draw.integers(1, 5)):
                self.order(f"c{number}", self.draw.uniform(0, 0.8 * DAYS))

    def add(self, table, customer, at, **columns):
        late = self.draw.uniform(0, 20) if self.draw.random() < 0.5 else 0.0
        at = day(at).replace(microsecond=0)
        known = at + timedelta(seconds=round(late * 86_400))
        self.rows[table].append(
            {"customer_id": customer, "occurred_at": at, "known_at": known, **columns}
        )

    def maybe(self, value, chance=0.3):
        return None if self.draw.random() < chance else value

    def order(self, customer, at):
        draw, order = self.draw, f"o{len(self.rows['order_lines'])}"
        numbers = [str(n) for n in range(draw.integers(1, 4))]
        for number in numbers:
            self.add(
                "order_lines", customer, at, order_id=order, line_id=number,
                sku=self.maybe(f"s{draw.integers(3)}", 0.05), quantity=float(draw.integers(1, 4)),
                unit_price=self.maybe(float(draw.integers(1, 50))),
                discount=self.maybe(draw.integers(0, 4) / 4), promo_code=self.maybe("CODE", 0.6),
                order_type=draw.choice(["one_off", "free"], p=[0.9, 0.1]),
            )  # fmt: skip
        for off in range(draw.choice([0, 1, 2], p=[0.8, 0.1, 0.1])):
            self.add(
                "cancellations", customer, at + draw.exponential(3),
                cancellation_id=f"x{order}{off}", order_id=order,
                line_id=self.maybe(draw.choice(numbers)),
            )  # fmt: skip
        for number in range(draw.choice([0, 1, 2], p=[0.1, 0.6, 0.3])):
            self.parcel(customer, order, f"{order}-{number}", at + draw.exponential(4))
        for number in range(draw.poisson(0.6)):
            self.add(
                "reviews", customer, at + draw.exponential(15), review_id=f"v{order}{number}",
                order_id=self.maybe(order, 0.1), sku=None, text=self.maybe("bad tea"),
                rating=self.maybe(float(draw.integers(1, 6)), 0.1),
            )  # fmt: skip
        for number in range(draw.poisson(0.8)):
            self.add(
                "returns", customer, at + draw.exponential(15), return_id=f"r{order}{number}",
                order_id=self.maybe(order, 0.5), sku=f"s{draw.integers(3)}",
                quantity=float(draw.integers(1, 4)),
            )  # fmt: skip

    def parcel(self, customer, order, number, at):
        draw = self.draw
        promised = self.maybe(day(at + draw.uniform(1, 15)).replace(microsecond=0), 0.1)
        region = self.maybe(str(draw.choice(["north", "south"])), 0.2)
        self.add("shipments", customer, at, shipment_id=number, order_id=self.maybe(order, 0.1),
                 promised_at=promised, region=region)  # fmt: skip
        if draw.random() < 0.8:
            self.add("deliveries", customer, at + draw.exponential(8), shipment_id=number,
                     order_id=self.maybe(order, 0.2))  # fmt: skip
        if draw.random() < 0.3:
            self.add("delivery_exceptions", customer, at + draw.exponential(5), code="delay",
                     shipment_id=number, order_id=self.maybe(order, 0.1))  # fmt: skip


def busy(seed=0, customers=60):
    """The frames of the busy shop."""
    rows = _Busy(seed, customers).rows
    rows["products"] = [
        {"sku": "s0", "category": "tea"}, {"sku": "s1", "category": "pots"},
        {"sku": "s2", "category": None},
    ]  # fmt: skip
    return {name: pl.DataFrame(each, infer_schema_length=None) for name, each in rows.items()}


TRUTH_DAYS = 540


def planted(seed=0, customers=200, truth=True):
    """The frames of a shop with a truth: what is late, badly reviewed and sent back can be told.

    Parcels to the south are late, late parcels get few stars, and pots come back; `truth=False`
    draws all of it from the same shares without a reason.
    """
    draw = np.random.default_rng(seed)
    rows = {name: [] for name in ("order_lines", "shipments", "deliveries", "reviews", "returns")}

    def add(table, who, at, **columns):
        at = day(at).replace(microsecond=0)
        rows[table].append({"customer_id": who, "occurred_at": at, "known_at": at, **columns})

    for number in range(customers):
        who = f"customer-{number:04}"
        for at in np.sort(draw.uniform(0, TRUTH_DAYS, draw.poisson(7) + 1)):
            order = f"order-{len(rows['order_lines']):06}"
            south, pot = draw.random() < 0.4, draw.random() < 0.3
            region = "south" if south else "north"
            add("order_lines", who, at, order_id=order, line_id="1", sku="pot" if pot else "tea",
                quantity=1.0, unit_price=20.0 if pot else 5.0)  # fmt: skip
            sent = at + draw.uniform(0.5, 1.5)
            add("shipments", who, sent, shipment_id=f"p-{order}", order_id=order, region=region,
                promised_at=day(sent + 6).replace(microsecond=0))  # fmt: skip
            if not truth:
                south, pot = draw.random() < 0.4, draw.random() < 0.3
            came = sent + draw.gamma(6.0, (1.2 if south else 0.5))
            if came >= TRUTH_DAYS:
                continue
            add("deliveries", who, came, shipment_id=f"p-{order}", order_id=order)
            late = came > sent + 6 if truth else draw.random() < 0.3
            if draw.random() < 0.6:
                stars = draw.integers(1, 3) if draw.random() < (0.7 if late else 0.1) else 5
                add("reviews", who, came + draw.uniform(1, 8), review_id=f"v-{order}",
                    order_id=order, rating=float(stars), text=None)  # fmt: skip
            if draw.random() < (0.5 if pot else 0.05):
                add("returns", who, came + draw.uniform(1, 12), return_id=f"r-{order}",
                    order_id=order if not truth or draw.random() < 0.5 else None,
                    sku=rows["order_lines"][-1]["sku"], quantity=1.0)  # fmt: skip
    frames = {name: pl.DataFrame(each, infer_schema_length=None) for name, each in rows.items()}
    end = day(TRUTH_DAYS)
    return {name: frame.filter(pl.col("occurred_at") < end) for name, frame in frames.items()}
