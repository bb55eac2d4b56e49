"""An oracle for pairs in plain Python: dicts and loops over the raw rows of a pantry.

It shares nothing with the code it judges: local time is `datetime`'s, a window is a comparison.
"""

from collections import defaultdict
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from tests import shops
from tests.shops import BEGAN, CATEGORY, START, ZONE

SECONDS = 86_400.0


def local(moment):
    return moment.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)


def catalogue(entity):
    """sku -> (product, group, ln of the pack beside the usual one)."""
    rows = shops.products().to_dicts()
    category = entity is CATEGORY
    found = {f"s{i}": (None if category else f"s{i}", None, 0.0) for i in range(shops.SKUS)}
    among = defaultdict(list)
    for row in rows:
        if row["unit_size"]:
            among[row["category"], row["unit_of_measure"]].append(np.log(row["unit_size"]))
    for row in rows:
        sizes = among[row["category"], row["unit_of_measure"]]
        pack = np.log(row["unit_size"]) - np.mean(sizes) if row["unit_size"] else 0.0
        names = (row["category"], row["department"]) if category else (row["sku"], row["category"])
        found[row["sku"]] = (*names, pack)
    return found


class Oracle:
    """What is known of every pair at a cutoff: rows with `age` in days, oldest first."""

    def __init__(self, tables, entity, cutoff):
        self.moment = datetime.fromisoformat(cutoff).replace(tzinfo=ZoneInfo(ZONE))
        self.now, self.skus = local(self.moment), catalogue(entity)
        self.tables = {name: self.known(frame) for name, frame in tables.items()
                       if name not in ("products", "stock")}  # fmt: skip
        lines = [row for row in self.tables["order_lines"] if row["order_type"] == "one_off"]
        self.trips, self.days, self.lines = (defaultdict(list) for _ in range(3))
        for row in lines:
            self.trips[row["customer_id"]].append(row)
            if row["product"] is not None:
                self.lines[row["customer_id"], row["product"]].append(row)
        self.group = {row["product"]: row["group"] for row in lines}
        self.trips = {who: by_day(rows) for who, rows in self.trips.items()}
        self.days = {pair: by_day(rows) for pair, rows in self.lines.items()}

    def known(self, frame):
        rows = []
        for row in frame.sort("occurred_at").iter_rows(named=True):
            if row["known_at"] < self.moment:
                product, group, pack = self.skus.get(row.get("sku"), (None, None, 0.0))
                at = local(row["occurred_at"])
                rows.append(row | {"product": product, "group": group, "pack": pack, "at": at,
                                   "age": (self.now - at).total_seconds() / SECONDS})  # fmt: skip
        return rows

    def of(self, table, pair):
        return [row for row in self.tables[table] if (row["customer_id"], row["product"]) == pair]

    def watched(self, table):
        return (self.now - START).total_seconds() / SECONDS - BEGAN[table]


def paid(row):
    """The money of a line, None where its price is unknown."""
    if row["unit_price"] is None:
        return None
    return round(row["quantity"] * row["unit_price"] - (row["discount"] or 0.0), 4)


def by_day(rows):
    """Purchases: one dict per local day, oldest first."""
    days = defaultdict(list)
    for row in rows:
        days[row["at"].date()].append(row)
    made, before = [], None
    for day in sorted(days):
        of = days[day]
        value = [paid(r) for r in of]
        first = min(r["at"] for r in of)
        made.append({
            "age": max(r["age"] for r in of),
            "gap": None if before is None else (first - before).total_seconds() / SECONDS,
            "units": sum(r["quantity"] for r in of),
            "amount": np.log(sum(r["quantity"] * np.exp(r["pack"]) for r in of)),
            "value": None if None in value else sum(value),
            "discount": sum(r["discount"] or 0.0 for r in of),
            "coded": any(r["promo_code"] for r in of), "lines": len(of),
        })  # fmt: skip
        before = first
    return made


def mean(values):
    """Of what is known; None of nothing, and of a window that was not watched."""
    values = [v for v in values or () if v is not None]
    return sum(values) / len(values) if values else None


def last(values):
    return ([None] + [v for v in values if v is not None])[-1]


def std(values):
    values = [v for v in values or () if v is not None]
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def within(rows, window, seen):
    """The rows of a window, None where less than a quarter of it was watched."""
    return [r for r in rows if r["age"] <= window] if 4 * seen >= window else None


def each(rows, what):
    return None if rows is None else [r[what] for r in rows]


def rate(rows, window, seen):
    return None if rows is None else len(rows) / min(window, seen)


def ratio(a, b):
    return None if a is None or not b else a / b
