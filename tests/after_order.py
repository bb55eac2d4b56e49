"""What the families delivery, returns and support must say, in plain Python.

The oracle walks over the raw events of one customer at a time, with times from `datetime`, and
shares nothing with the code it judges.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, stdev
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from tests import bazaar
from tests.conftest import START, ZONE

DAY = timedelta(days=1)
WHERE_IS = {
    "where-is-my-order": True, "Where is my order?": True, "WISMO": True, "wismo (2nd)": True,
    "Where's my parcel": True, "WhereIsMyOrder": True, "where_are_you": False,
    "elsewhere is my order": False, "return": False,
}  # fmt: skip
KEYS = {"deliveries": "shipment_id", "shipments": "shipment_id", "returns": "return_id",
        "refunds": "refund_id",
        "tickets_opened": "ticket_id", "tickets_closed": "ticket_id"}  # fmt: skip


# ------------------------------------------------------------------ the raw events
def ragged(frames):
    """The bazaar with what shops leave out: orders, products and promises; parcels in two.

    Of every table of `KEYS`, every other row became known 20 to 45 days later.
    """
    row = pl.int_range(pl.len())

    def without(column, each):
        return pl.when(row % each != 0).then(column)

    late = pl.duration(days=pl.when(row % 2 == 1).then(20 + row % 26).otherwise(0))
    frames = frames | {name: frames[name].with_columns(pl.col("known_at") + late) for name in KEYS}
    shipments, deliveries = frames["shipments"], frames["deliveries"]
    second = [
        frame.filter(row % 5 == 0).with_columns(
            pl.col("shipment_id") + "-2", pl.col("occurred_at", "known_at") + 2 * DAY
        )
        for frame in (shipments, deliveries)
    ]  # fmt: skip
    returns, tickets = frames["returns"], frames["tickets_opened"]
    topics = pl.Series([*WHERE_IS, None])
    few = pl.col("sku").str.slice(-1)  # ten products, so that customers buy them again
    torn = frames | {
        "order_lines": frames["order_lines"].with_columns(sku=few),
        "shipments": pl.concat([shipments, second[0]]).with_columns(
            order_id=without("order_id", 7)
        ),
        "deliveries": pl.concat([deliveries, second[1]]).with_columns(
            order_id=without("order_id", 4),
            promised_at=pl.when(row % 3 == 0).then(pl.col("occurred_at").dt.offset_by("-9h")),
        ),
        "returns": returns.with_columns(
            order_id=without("order_id", 3), sku=without(few, 5),
            quantity=pl.when(row % 4 == 0).then(9.0).otherwise("quantity"),
        ),
        "refunds": frames["refunds"].with_columns(
            order_id=without("order_id", 3), sku=without(few, 4)
        ),
        "tickets_opened": tickets.with_columns(
            topic=topics.gather(np.arange(len(tickets)) % len(topics))
        ),
    }  # fmt: skip
    shown = pl.col("occurred_at").dt.convert_time_zone(ZONE).dt.replace_time_zone(None)
    return {
        name: frame.filter(shown >= BAZAAR.began[name]) if "occurred_at" in frame.columns else frame
        for name, frame in torn.items()
    }


@dataclass(frozen=True)
class Shop:
    """Where a shop is, and when each of its tables began, on its own clock."""

    zone: ZoneInfo
    began: dict[str, datetime]

    def clock(self, moment):
        """What the clock of the shop shows."""
        return moment.astimezone(self.zone).replace(tzinfo=None)


BEGAN = bazaar.BEGAN | {"deliveries": 100, "tickets_closed": 130, "refunds": 165}
"""Day on which each table began; a closing table began after what it closes."""
BAZAAR = Shop(ZoneInfo(ZONE), {name: START + day * DAY for name, day in BEGAN.items()})


class Known:
    """The known events of one customer: table -> rows in order of time, each with its `age`."""

    def __init__(self, tables, cutoff, shop):
        self.shop, self.clock = shop, shop.clock
        self.now, self.tables = self.clock(cutoff), defaultdict(list)
        for name, rows in tables.items():
            for row in rows:
                if row["known_at"] < cutoff:
                    age = max(self.now - self.clock(row["occurred_at"]), timedelta(microseconds=1))
                    self.tables[name].append(row | {"age": age})
            if name in KEYS:
                self.tables[name].sort(key=lambda r, key=KEYS[name]: (r["occurred_at"], r[key]))
        self.lines = self.tables["order_lines"]
        self.orders = {}
        for line in self.lines:
            past = self.orders.get(line["order_id"], line["age"])
            self.orders[line["order_id"]] = max(past, line["age"])
        self.days = self.purchase_days()
        self.first = max((day[0]["age"] for day in self.days), default=None)

    def purchase_days(self):
        """Lines of purchases, by local day, the first of each day first."""
        off = self.tables["cancellations"]
        whole = {row["order_id"] for row in off if row["line_id"] is None}
        single = {(row["order_id"], row["line_id"]) for row in off}
        days = defaultdict(list)
        for line in self.lines:
            called_off = (line["order_id"], str(line["line_id"])) in single
            if line["order_type"] == "one_off" and not called_off and line["order_id"] not in whole:
                days[self.clock(line["occurred_at"]).date()].append(line)
        return [sorted(lines, key=lambda line: -line["age"]) for lines in days.values()]

    def age_of(self, table):
        """How long ago the record of a table began."""
        return self.now - self.shop.began[table]

    def bought_since(self, table):
        return [day for day in self.days if day[0]["age"] <= self.age_of(table)]

    def watched(self, table, days):
        """The part of a window that was observed, in days; None for less than a quarter."""
        exposure = min(self.first, self.age_of(table)) / DAY
        return min(exposure, days) if exposure * 4 >= days else None


# ------------------------------------------------------------------ the vocabulary
def within(rows, days):
    return [row for row in rows if row["age"] <= days * DAY]


def known(rows, key):
    return [row[key] for row in rows if row[key] is not None]


def mean(values):
    return fmean(values) if values else None


def last(values):
    return values[-1] if values else None


def youngest(rows):
    return min((row["age"] / DAY for row in rows), default=None)


def oldest(rows, key="age"):
    return max((row[key] / DAY for row in rows), default=None)


def rate(seen, table, rows, days):
    watched = seen.watched(table, days)
    return None if watched is None else len(within(rows, days)) / watched


def count(seen, table, rows, days):
    return None if seen.watched(table, days) is None else len(within(rows, days))


def ratio(part, whole):
    return part / whole if whole and part is not None else None


# ------------------------------------------------------------------ the families
def parcels(seen):
    """Every delivery with what is known of its shipment and its order."""
    sent = {row["shipment_id"]: row for row in seen.tables["shipments"]}
    met, came = set(), []
    for row in seen.tables["deliveries"]:
        shipment = sent.get(row["shipment_id"], {"promised_at": None, "order_id": None})
        order = row["order_id"] or shipment["order_id"]
        promise = shipment["promised_at"] or row["promised_at"]
        placed = None if order in met else seen.orders.get(order)
        met.add(order)
        zero = timedelta(0)
        came.append({
            "age": row["age"],
            "way": max(shipment["age"] - row["age"], zero) / DAY if "age" in shipment else None,
            "wait": None if placed is None else max(placed - row["age"], zero) / DAY,
            "late": promise and (seen.clock(row["occurred_at"]) - seen.clock(promise)) / DAY,
        })  # fmt: skip
    return came


def delivery(seen):
    came = parcels(seen)
    promised = [row for row in came if row["late"] is not None]
    late = [row for row in promised if row["late"] > 0]
    flags = [float(row["late"] > 0) for row in promised]
    inside = within(promised, 180) if seen.watched("deliveries", 180) else []
    there = {row["shipment_id"] for row in seen.tables["deliveries"]}
    moving = [
        row | {"order": row["order_id"] or row["shipment_id"],
               "over": row["promised_at"] and seen.now - seen.clock(row["promised_at"])}
        for row in within(seen.tables["shipments"], 90)
        if row["shipment_id"] not in there and row["age"] <= seen.age_of("deliveries")
    ]  # fmt: skip
    overdue = [row for row in moving if row["over"] and row["over"] > timedelta(0)]
    troubles = seen.tables["delivery_exceptions"]
    sent = [row for row in seen.tables["shipments"]
            if row["age"] <= seen.age_of("delivery_exceptions")]  # fmt: skip
    ways, failed = known(came, "way"), count(seen, "delivery_exceptions", troubles, 180)
    shipped = count(seen, "shipments", sent, 180)
    return {
        "wait__mean": mean(known(came, "wait")),
        "wait__last": last(known(came, "wait")),
        "way__mean": mean(ways),
        "way__last": last(ways),
        "way__std": stdev(ways) if len(ways) > 1 else None,
        "late_days__mean": mean(known(promised, "late")),
        "late_days__last": last(known(promised, "late")),
        "late_days__max__180d": max(known(inside, "late"), default=None),
        "late__share__180d": ratio(sum(row["late"] > 0 for row in inside), len(inside)),
        "late__last": last(flags),
        "late__first": flags[0] if flags else None,
        "late__days_since": youngest(late),
        "last__days_since": youngest(came),
        "late__count": len(late),
        "promised__count": len(promised),
        "in_transit__distinct__90d": len({row["order"] for row in moving}),
        "overdue__distinct__90d": len({row["order"] for row in overdue}),
        "undelivered__max__90d": oldest(moving),
        "overdue_days__max__90d": oldest(overdue, "over"),
        "exceptions__count__180d": failed,
        "exceptions__rate__180d": rate(seen, "delivery_exceptions", troubles, 180),
        **{
            f"{code}__rate__180d": rate(
                seen, "delivery_exceptions", [r for r in troubles if r["code"] == code], 180
            )
            for code in ("delay", "damage", "failed_attempt", "lost")
        },
        "shipped__count__180d": shipped,
        "exceptions_per_parcel": ratio(failed, shipped),
    }


def worth(lines):
    """What lines cost in ten-thousandths; None where a price is unknown."""
    if any(line["unit_price"] is None for line in lines):
        return None
    return sum(
        round(1e4 * (line["quantity"] * line["unit_price"] - line["discount"])) for line in lines
    )


def order_of(seen, row):
    """The order of a return: the one it names, else the last of that product before it."""
    if row["order_id"] is not None:
        return row["order_id"]
    before = [(line["age"], line["order_id"]) for line in seen.lines
              if line["sku"] == row["sku"] and line["age"] >= row["age"]]  # fmt: skip
    return min(before)[1] if before and row["sku"] is not None else None


def value_of(seen, row):
    """What was paid for what came back."""
    order = order_of(seen, row)
    lines = [line for line in seen.lines if (line["order_id"], line["sku"]) == (order, row["sku"])]
    if row["sku"] is None or not lines or worth(lines) is None:
        return None
    units = sum(line["quantity"] for line in lines)
    return worth(lines) * min(row["quantity"], units) / units // 1 / 1e4


def same(one, other):
    """Whether a refund is of a return: no difference in what both say, and something in common."""
    pairs = [(one[key], other[key]) for key in ("order_id", "sku")]
    both = [a == b for a, b in pairs if a is not None and b is not None]
    return bool(both) and all(both)


def returns(seen):
    back, paid = seen.tables["returns"], seen.tables["refunds"]
    after = [max(seen.orders[order] - row["age"], timedelta(0)) / DAY
             for row in back if (order := order_of(seen, row)) in seen.orders]  # fmt: skip
    values = [value for row in back if (value := value_of(seen, row)) is not None]
    days = seen.bought_since("returns")
    spent = [worth(day) / 1e4 for day in days if worth(day) is not None]
    pending = [
        row
        for row in within(back, 90)
        if row["age"] <= seen.age_of("refunds")
        and not any(same(row, refund) and refund["age"] <= row["age"] for refund in paid)
    ]
    share = ratio(0.0 if not back else sum(values) if values else None, sum(spent))
    year = within(back, 365) if seen.watched("returns", 365) else []
    refunded = {
        f"refunded__sum__{d}d": sum(round(r["amount"], 4) for r in within(paid, d)) or None
        if seen.watched("refunds", d)
        else None
        for d in (90, 365)
    }
    return {
        "requests__count__90d": count(seen, "returns", back, 90),
        "requests__count__365d": count(seen, "returns", back, 365),
        "requests__rate__365d": rate(seen, "returns", back, 365),
        "units__sum__365d": sum(row["quantity"] for row in year) or None,
        "last__days_since": youngest(back),
        "any__count": len(back),
        "units__sum": sum(row["quantity"] for row in back) or None,
        "bought__sum": sum(line["quantity"] for day in days for line in day) or None,
        "purchases__count": len(days),
        "after__mean": mean(after),
        "after__last": last(after),
        "value__sum": sum(values) if values else None,
        "paid__sum": sum(spent) if spent else None,
        "pending__count__90d": len(pending),
        "pending__max__90d": oldest(pending),
        **refunded,
        "requests_per_purchase": ratio(len(back), len(days)),
        "value_share": None if share is None else min(share, 1.0),
    }


def support(seen):
    closed = {row["ticket_id"]: row for row in seen.tables["tickets_closed"]}
    tickets = [
        row | {"end": closed.get(row["ticket_id"]), "asks": WHERE_IS.get(row["topic"])}
        for row in seen.tables["tickets_opened"]
    ]
    took = [
        max(row["age"] - row["end"]["age"], timedelta(0)) / DAY for row in tickets if row["end"]
    ]
    unsettled = [row for row in within(tickets, 90)
                 if not row["end"] and row["age"] <= seen.age_of("tickets_closed")]  # fmt: skip
    scores = known(seen.tables["tickets_closed"], "csat")
    asks = [row for row in tickets if row["asks"]]
    bought = [line for day in seen.days for line in day]
    newest = {line["order_id"] for line in bought
              if line["age"] == min(other["age"] for other in bought)}  # fmt: skip
    purchases = len(seen.bought_since("tickets_opened"))
    return {
        "tickets__count__30d": count(seen, "tickets_opened", tickets, 30),
        "tickets__count__90d": count(seen, "tickets_opened", tickets, 90),
        "tickets__rate__90d": rate(seen, "tickets_opened", tickets, 90),
        "last__days_since": youngest(tickets),
        "open__count__90d": len(unsettled),
        "open__max__90d": oldest(unsettled),
        "resolve__mean": mean(took),
        "resolve__last": last(took),
        "csat__mean": mean(scores),
        "csat__last": last(scores),
        "where_is_my_order__count__90d": count(seen, "tickets_opened", asks, 90),
        "where_is_my_order__rate__90d": rate(seen, "tickets_opened", asks, 90),
        "where_is_my_order__share": ratio(len(asks), len(known(tickets, "asks"))),
        "last_order__count__180d": sum(r["order_id"] in newest for r in within(tickets, 180)),
        "any__count": len(tickets),
        "purchases__count": purchases,
        "tickets_per_purchase": ratio(len(tickets), purchases),
    }


def over_shop(people, hits, of, weight, stepped, prior=5.0):
    """Everybody's share over that of all (in steps of a tenth, as logs), shrunk to 1."""
    shop = sum(p[hits] or 0 for p in people.values()) / sum(p[of] or 0 for p in people.values())
    shop = np.exp(np.round(np.log(shop), 1)) if stepped else shop
    return {
        who: ((p[hits] or 0) / p[of] / shop * p[weight] + prior) / (p[weight] + prior)
        if p[of]
        else prior / (p[weight] + prior)
        for who, p in people.items()
    }


FAMILIES = {"delivery": delivery, "returns": returns, "support": support}
OVER_SHOP = {
    "delivery__late_over_shop": ("late__count", "promised__count", "promised__count", True),
    "returns__share_over_shop": ("units__sum", "bought__sum", "purchases__count", False),
}


def judged(frames, cutoff, shop=BAZAAR, families=tuple(FAMILIES)):
    """Column -> customer -> value, of these families, for everybody with a purchase."""
    moment = datetime.fromisoformat(cutoff).replace(tzinfo=shop.zone)
    tables = defaultdict(lambda: defaultdict(list))
    for name, frame in frames.items():
        if "known_at" in frame.columns:
            for row in frame.iter_rows(named=True):
                tables[row["customer_id"]][name].append(row)
    people = {who: Known(own, moment, shop) for who, own in sorted(tables.items())}
    people = {who: seen for who, seen in people.items() if seen.days}
    answers = {}
    for name in families:
        told = {who: FAMILIES[name](seen) for who, seen in people.items()}
        for column in next(iter(told.values())):
            answers[f"{name}__{column}"] = {who: own[column] for who, own in told.items()}
        for column, parts in OVER_SHOP.items():
            if column.startswith(name):
                answers[column] = over_shop(told, *parts)
    return answers
