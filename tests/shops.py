"""A household shop with every table, and logs of pairs made by hand.

Beside what the shop of conftest has (late rows, summer time, orders that are no purchases, lines
without a price), this one has products in packs of several sizes, some of no known size, category
or listing; returns, parcels and refill scans that began to be recorded later than the orders; lines
and scans without a sku; promotions; and products that are out of stock for weeks.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from ppi_ml import dataset, entities
from ppi_ml.entities import PAIR, Entity
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past

ZONE, START, DAYS = "Europe/London", datetime(2018, 1, 1), 730
BEGAN = {"order_lines": 0, "returns": 150, "deliveries": 200, "usage": 250, "stock": 30}
"""Day on which each table began to be recorded."""
SKUS, LISTED = 14, 12
KINDS = ("refill", "telemetry", "telemetry", "first_use", "refill", "telemetry", None)
LATE_SHARE, MOST_LATE_DAYS = 0.1, 25
SKU = Entity(PAIR, "sku", "category")
CATEGORY = Entity(PAIR, "category", "department")


def products():
    """Twelve skus of four categories and two departments; a size, a category unknown."""
    sizes = [1.0, 2.0, 4.0, 1.0, 0.5, None, 12.0, 24.0, 6.0, 1.0, 1.0, 1.0]
    return pl.DataFrame({
        "sku": [f"s{i}" for i in range(LISTED)],
        "category": [*"aaabbbccc", "d", "d", None],
        "department": ["x"] * 6 + ["y"] * 5 + [None],
        "unit_size": sizes,
        "unit_of_measure": ["kg"] * 6 + ["pieces"] * 3 + ["l"] * 3,
    })  # fmt: skip


class _Pantry:
    """Writes the rows of one shop."""

    def __init__(self, seed, days):
        self.draw, self.days = np.random.default_rng(seed), days
        self.start = START.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
        self.lines, self.returns, self.deliveries, self.usage, self.stock = [], [], [], [], []

    def told(self, day):
        """When it happened, and when it became known: days later for some."""
        moment = (self.start + timedelta(days=day)).replace(microsecond=0)
        late = self.draw.uniform(1, MOST_LATE_DAYS) if self.draw.random() < LATE_SHARE else 0.0
        return {"occurred_at": moment, "known_at": moment + timedelta(days=late)}

    def customer(self, name):
        """A few products, each at a pace of its own, bought on trips of the customer."""
        first, trip = self.draw.uniform(0, 0.85 * self.days), self.draw.lognormal(2.0, 0.4)
        last = first + self.draw.exponential(500)
        skus = self.draw.choice(SKUS, self.draw.integers(2, 6), replace=False)
        pace = dict(zip(skus, self.draw.lognormal(3.2, 0.5, len(skus)), strict=True))
        needed = {sku: first + self.draw.uniform(0, pace[sku]) for sku in skus}
        day = first
        while day < min(last, self.days):
            due = [sku for sku in skus if needed[sku] <= day]
            if due:
                self.order(name, day, {sku: self.packs() for sku in due}, needed, pace)
            day += max(trip * self.draw.gamma(3.0, 1 / 3), 0.01)

    def packs(self):
        return float(self.draw.choice([1, 1, 1, 2, 3]))

    def order(self, name, day, packs, needed, pace):
        """One order of what is due, its parcel, and what comes after it."""
        order_id, told = f"o{len(self.lines)}", self.told(day)
        kind = self.draw.choice(["one_off", "subscription", "free"], p=(0.92, 0.05, 0.03))
        for number, (sku, quantity) in enumerate(packs.items()):
            price = round(self.draw.lognormal(1.5, 0.4), 2) if self.draw.random() > 0.05 else None
            off = self.draw.random() < 0.2
            self.lines.append({
                "customer_id": name, "order_id": order_id, "line_id": number,
                "sku": self.sku(sku), "quantity": quantity, "unit_price": price,
                "discount": round(0.25 * (price or 0.0) * quantity, 2) if off else None,
                "promo_code": "SAVE" if off and self.draw.random() < 0.5 else None,
                "order_type": kind, **told,
            })  # fmt: skip
            needed[sku] = day + pace[sku] * quantity**0.5 * self.draw.gamma(6.0, 1 / 6)
            self.afterwards(name, order_id, day, sku, quantity)
        arrives = day + self.draw.gamma(4.0, 0.5)
        if self.draw.random() < 0.9 and arrives < self.days:
            self.deliveries.append({"customer_id": name, "shipment_id": f"d{len(self.deliveries)}",
                                    "order_id": order_id, **self.told(arrives)})  # fmt: skip

    def sku(self, number):
        return f"s{number}" if self.draw.random() > 0.02 else None

    def afterwards(self, name, order_id, day, sku, quantity):
        """Sent back in part, or scanned when it is opened, now and then."""
        back, opened = day + self.draw.uniform(1, 20), day + self.draw.uniform(1, 15)
        if self.draw.random() < 0.12 and back < self.days:
            self.returns.append({
                "customer_id": name, "return_id": f"r{len(self.returns)}", "order_id": order_id,
                "sku": self.sku(sku), "quantity": float(self.draw.integers(1, quantity + 1)),
                **self.told(back),
            })  # fmt: skip
        if self.draw.random() < 0.5 and opened < self.days:
            amount = self.draw.choice([None, 0.5, 1.0, 2.0])
            kind = KINDS[len(self.usage) % len(KINDS)]
            self.usage.append({"customer_id": name, "usage_id": f"u{len(self.usage)}",
                               "sku": self.sku(sku), "amount": amount, "kind": kind,
                               **self.told(opened)})  # fmt: skip

    def shelf(self):
        """Every sku there at the start of the record, then out for weeks once or twice."""
        for sku in range(SKUS):
            day, there = float(BEGAN["stock"]), True
            while day < self.days:
                self.stock.append({"sku": f"s{sku}", "available": there, **self.told(day)})
                day += self.draw.exponential(250 if there else 20) + 0.01
                there = not there

    def tables(self):
        """The frames; what happened before its table began was never written down."""
        rows = {"order_lines": self.lines, "returns": self.returns, "deliveries": self.deliveries,
                "usage": self.usage, "stock": self.stock}  # fmt: skip
        frames = {name: pl.DataFrame(r, infer_schema_length=None) for name, r in rows.items()}
        began = {name: self.start + timedelta(days=day) for name, day in BEGAN.items()}
        kept = {n: f.filter(pl.col("occurred_at") >= began[n]) for n, f in frames.items()}
        return kept | {"products": products()}


@cache
def pantry(seed=0, customers=90, days=DAYS):
    """Table -> frame; the same arguments give the same rows."""
    made = _Pantry(seed, days)
    made.shelf()
    for number in range(customers):
        made.customer(f"c{number}")
    return made.tables()


def load(tables, days=DAYS):
    """The log of a pantry's frames, with the periods of that shop."""
    until = START + timedelta(days=days)
    raw = {
        name: RawTable(frame)
        if name == "products"
        else RawTable(frame, observed_from=START + timedelta(BEGAN[name]), observed_until=until)
        for name, frame in tables.items()
    }
    return load_tables(raw, timezone=ZONE, currency="GBP")


def by_hand(lines, products=None, *, granularity="instant", zone=ZONE, until=None, **tables):
    """A log from (customer, sku, occurred_at, columns?) lines, one order each unless it says so.

    Further tables are lists of dicts by name; keys are made where they are missing.
    """
    keys = {"returns": "return_id", "deliveries": "shipment_id", "usage": "usage_id"}
    rows = [
        {"customer_id": who, "sku": sku, "occurred_at": at, "order_id": f"o{i}", "line_id": "1",
         **(more[0] if more else {})}
        for i, (who, sku, at, *more) in enumerate(lines)
    ]  # fmt: skip
    raw = {"order_lines": RawTable(pl.DataFrame(rows, infer_schema_length=None), granularity,
                                   observed_until=until)}  # fmt: skip
    if products is not None:
        raw["products"] = RawTable(pl.DataFrame(products, infer_schema_length=None))
    for name, given in tables.items():
        key = {keys[name]: "k"} if name in keys else {}
        made = [{n: f"{v}{i}" for n, v in key.items()} | row for i, row in enumerate(given)]
        frame = pl.DataFrame(made, infer_schema_length=None)
        raw[name] = RawTable(frame, observed_from="2018-01-01" if until else None,
                             observed_until=until)  # fmt: skip
    return load_tables(raw, timezone=zone, currency="GBP")


def past(log, cutoff, entity=SKU):
    """The past of the pairs of a log."""
    return Past(entities.prepared(log, entity), Cutoff.parse(cutoff, log.timezone), entity)


def built(log, *cutoffs, entity=SKU, names="all", chosen=None, **how):
    """The data of the pairs of a log at some cutoffs; of families by name, or as they are."""
    at = [Cutoff.parse(cutoff, log.timezone) for cutoff in cutoffs]
    chosen = dataset.families(names, entity=PAIR) if chosen is None else chosen
    return dataset.build(entities.prepared(log, entity), at, chosen, entity=entity, **how)
