"""What the families of campaigns must say, in plain Python: content, messages, promotions, surveys,
usage of customers and profile.

The judge walks over the raw events of one customer at a time, with times from `datetime`, and
shares nothing with the code it judges.
"""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from math import floor, log
from statistics import fmean
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from tests import bazaar
from tests.conftest import START, ZONE

DAY = timedelta(days=1)
NOTHING = timedelta(0)
KEYS = {"exposures": ("exposure_id",), "messages": ("message_id", "action"),
        "surveys": ("survey_id",), "usage": ("usage_id",)}  # fmt: skip
SIGNED = ("2017-03-01", "2018-04-01T12:00:00", "2019-05-05", None, "2019-12-24T18:00:00")
"""When customers signed up: long before the log, in it, and after most cutoffs."""


# ------------------------------------------------------------------ the raw events
def ragged(frames):
    """The bazaar with what makes these families hard.

    Every other event became known 20 to 45 days later; some tags are seen with an order; codes are
    of several kinds, messages are clicked that were never opened, uses are of every kind, and
    customers sign up before and after they first order.
    """
    row = pl.int_range(pl.len())
    late = pl.duration(days=pl.when(row % 2 == 1).then(20 + row % 26).otherwise(0))
    frames = frames | {name: frames[name].with_columns(pl.col("known_at") + late) for name in KEYS}
    lines, shown = frames["order_lines"], frames["exposures"]
    firsts = lines.unique("order_id", keep="first", maintain_order=True)[::6]
    seen_with = firsts.select(
        "customer_id", "occurred_at", "known_at",
        exposure_id=pl.lit("of ") + pl.col("order_id"), content_tag=pl.lit("unboxing"),
    )  # fmt: skip
    began = (START + bazaar.BEGAN["exposures"] * DAY).replace(tzinfo=UTC)  # winter: as London
    seen_with = seen_with.filter(pl.col("occurred_at") >= began)
    word = pl.col("promo_code") + pl.when(row % 3 == 0).then(pl.lit("-B")).otherwise(pl.lit(""))
    signed = pl.Series([stamp and datetime.fromisoformat(stamp) for stamp in SIGNED])
    people = frames["customers"]
    kinds = pl.Series(["first_use", "refill", "telemetry", None])
    usage, messages = frames["usage"], frames["messages"]
    return frames | {
        "order_lines": lines.with_columns(
            sku=pl.col("sku").str.slice(-1),  # ten products, so that customers buy them again
            promo_code=pl.when(pl.col("promo_code") != "").then(word).otherwise(pl.lit("")),
        ),
        "exposures": pl.concat([shown, seen_with], how="diagonal"),
        # every fifth open is lost, as where a mail programme loads no pictures
        "messages": messages.filter((pl.col("action") != "opened") | (row % 5 != 0)),
        "usage": usage.with_columns(
            sku=pl.when(row % 8 != 0).then(pl.col("sku").str.slice(-1)),
            amount=pl.when(row % 6 != 0).then("amount"),
            kind=kinds.gather(np.arange(len(usage)) % len(kinds)),
        ),
        "customers": people.with_columns(
            signed_up_at=signed.gather(np.arange(len(people)) % len(signed)),
            acquisition_source=pl.when(row % 9 != 0).then("acquisition_source"),
        ),
    }


class Known:
    """What was known of one customer: orders that count, the oldest first, and rows with an age."""

    def __init__(self, tables, cutoff):
        self.zone = ZoneInfo(ZONE)
        self.now, self.tables, self.customer = self.clock(cutoff), defaultdict(list), None
        for name, rows in tables.items():
            if name == "customers":
                self.customer = rows[0]
                continue
            for row in rows:
                if row["known_at"] < cutoff:
                    self.tables[name].append(row | {"age": self.age(row["occurred_at"])})
            if name in KEYS:
                self.tables[name].sort(key=lambda r, own=KEYS[name]: (
                    r["occurred_at"], *(r[key] for key in own)))  # fmt: skip
        self.lines = self.bought()
        grouped = defaultdict(list)
        for line in self.lines:
            grouped[line["order_id"]].append(line)
        self.orders = sorted((order_of(lines) for lines in grouped.values()),
                             key=lambda order: (-order["age"], order["id"]))  # fmt: skip
        self.first = self.orders[0]["age"] if self.orders else None

    def clock(self, moment):
        """What the clock of the shop shows."""
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def age(self, moment):
        return max(self.now - self.clock(moment), timedelta(microseconds=1))

    def bought(self):
        """The lines that were decided upon and not called off."""
        off = self.tables["cancellations"]
        whole = {row["order_id"] for row in off if row["line_id"] is None}
        single = {(row["order_id"], row["line_id"]) for row in off}
        return [
            line for line in self.tables["order_lines"]
            if line["order_type"] == "one_off" and line["order_id"] not in whole
            and (line["order_id"], str(line["line_id"])) not in single
        ]  # fmt: skip

    def watched(self, table, days):
        """The part of a window that was observed, in days; None for less than a quarter."""
        record = self.now - (START + bazaar.BEGAN[table] * DAY)
        exposure = min(self.first, record) / DAY
        return min(exposure, days) if exposure * 4 >= days else None

    def since_first(self, table):
        """The rows of a table from the first order on."""
        return [row for row in self.tables[table] if row["age"] <= self.first]

    def after(self, row, orders):
        """How many of the orders came later than a row, in 14 days at most."""
        return sum(NOTHING < row["age"] - order["age"] <= 14 * DAY for order in orders)


def order_of(lines):
    """One order from its lines: age, whether coded, money off, price before (None: unknown)."""
    gross = [None if line["unit_price"] is None else line["unit_price"] * line["quantity"]
             for line in lines]  # fmt: skip
    return {
        "id": lines[0]["order_id"],
        "age": max(line["age"] for line in lines),
        "coded": any(line["promo_code"] for line in lines),
        "off": sum(line["discount"] for line in lines),
        "gross": None if None in gross else sum(gross),
    }


# ------------------------------------------------------------------ the vocabulary
def within(rows, days):
    return [row for row in rows if row["age"] <= days * DAY]


def mean(values):
    return fmean(values) if values else None


def last(values):
    return values[-1] if values else None


def youngest(rows):
    return min((row["age"] / DAY for row in rows), default=None)


def ratio(part, whole):
    return part / whole if whole and part is not None else None


class Windows:
    """Counts, rates and shares in windows over one table of a customer."""

    def __init__(self, seen, table):
        self.seen, self.table = seen, table

    def count(self, rows, days):
        return None if self.seen.watched(self.table, days) is None else len(within(rows, days))

    def rate(self, rows, days):
        watched = self.seen.watched(self.table, days)
        return None if watched is None else len(within(rows, days)) / watched

    def values(self, rows, key, days):
        """The known values of the rows in a window that was observed."""
        rows = within(rows, days) if self.seen.watched(self.table, days) is not None else []
        return [row[key] for row in rows if row[key] is not None]

    def both(self, what, rows, *days):
        """Columns of counts and rates."""
        counts = {f"{what}__count__{d}d": self.count(rows, d) for d in days}
        return counts | {f"{what}__rate__{d}d": self.rate(rows, d) for d in days}


def trend(short, long):
    if None in (short, long):
        return None
    return log((short + 1) / 31) - log((long + 1) / 91)


def code(word, which):
    """The hash of a word as a share of its range, cut to millionths."""
    if word is None:
        return None
    number = int(blake2b(word.encode(), digest_size=8, person=which.encode()).hexdigest(), 16)
    return floor(number / 2**64 * 1e6) / 1e6


# ------------------------------------------------------------------ the families
def content(seen):
    over, shown = Windows(seen, "exposures"), seen.since_first("exposures")
    everything = seen.tables["exposures"]
    tags = [row["content_tag"] for row in everything if row["content_tag"] is not None]
    of_last = [row for row in shown if tags and row["content_tag"] == tags[-1]]
    own = round(14 * (len(seen.orders) - 1) / (seen.first / DAY), 6)  # in whole millionths
    ripe = [
        row | {"hits": hits, "hit": float(hits > 0), "own": own}
        for row in shown
        if row["age"] >= 14 * DAY and (hits := seen.after(row, seen.orders)) is not None
    ]
    hits, paces = (over.values(ripe, key, 365) for key in ("hits", "own"))
    said = {
        **over.both("shown", shown, 30, 90),
        "last_tag__count__30d": over.count(of_last, 30),
        **over.both("last_tag", of_last, 90),
        "tags__distinct__90d": None,
        "last__days_since": youngest(everything),
        "followed__share__90d": mean(over.values(ripe, "hit", 90)),
        "followed__share__365d": mean(over.values(ripe, "hit", 365)),
        "following__mean__365d": mean(hits),
        "following__sum__365d": sum(hits) if hits else None,
        "expected__sum__365d": sum(paces) if paces else None,
        "following_over_own_pace": (sum(hits) + 1) / (sum(paces) + 1) if hits else None,
    }
    if seen.watched("exposures", 90) is not None:
        said["tags__distinct__90d"] = len(set(over.values(shown, "content_tag", 90)))
    for which in "ab":
        numbers = [code(tag, which) for tag in over.values(shown, "content_tag", 90)]
        said[f"tag_{which}__last"] = code(last(tags), which)
        said[f"tag_{which}__mean__90d"] = mean(numbers)
    short, long = (said[f"shown__count__{d}d"] for d in (30, 90))
    return said | {"shown__trend__30d_90d": trend(short, long)}


def messages(seen):
    over, ours, rows = Windows(seen, "messages"), seen.since_first("messages"), None
    rows = seen.tables["messages"]

    def of(action, among):
        return [row for row in among if row["action"] == action]

    heard = {row["message_id"] for row in of("opened", rows) + of("clicked", rows)}
    clicked = {row["message_id"] for row in of("clicked", rows)}
    sent = of("sent", ours)
    settled = [row | {"heard": float(row["message_id"] in heard),
                      "clicked": float(row["message_id"] in clicked)}
               for row in sent if row["age"] >= 3 * DAY]  # fmt: skip
    newest = min((row["age"] for row in of("opened", rows) + of("clicked", rows)), default=None)
    unheard = [row for row in sent if newest is None or row["age"] < newest]
    opens, clicks = (over.values(settled, key, 365) for key in ("heard", "clicked"))
    return {
        **over.both("sent", sent, 30, 90),
        **over.both("opened", of("opened", ours), 90),
        **over.both("clicked", of("clicked", ours), 90),
        "unheard__count__90d": over.count(unheard, 90),
        "opens__share__90d": mean(over.values(settled, "heard", 90)),
        "opens__share__365d": mean(opens),
        "clicks__share__90d": mean(over.values(settled, "clicked", 90)),
        "clicks__share__365d": mean(clicks),
        "last_sent__days_since": youngest(of("sent", rows)),
        "last_opened__days_since": youngest(of("opened", rows)),
        "last_clicked__days_since": youngest(of("clicked", rows)),
        "unsubscribed__days_since": youngest(of("unsubscribed", rows)),
        "settled__count__365d": over.count(settled, 365),
        "clicks_per_open": ratio(mean(clicks), mean(opens)),
    }


def promotions(seen):
    over, orders, shown = Windows(seen, "order_lines"), seen.orders, Windows(seen, "exposures")
    orders = [
        order | {"flag": float(order["coded"]), "cut": float(order["off"] > 0),
                 "depth": ratio(order["off"], order["gross"]),
                 "cut_depth": ratio(order["off"], order["gross"]) if order["off"] > 0 else None}
        for order in orders
    ]  # fmt: skip
    coded = [order for order in orders if order["coded"]]
    full = [order for order in orders if order["off"] == 0 and not order["coded"]
            and coded and order["age"] < coded[-1]["age"]]  # fmt: skip
    priced = [order for order in orders if order["gross"]]
    off, gross = (over.values(priced, key, 365) for key in ("off", "gross"))
    ripe = [row | {"hits": hits, "hit": float(hits > 0)}
            for row in seen.since_first("exposures") if row["age"] >= 14 * DAY
            and (hits := seen.after(row, coded)) is not None]  # fmt: skip
    lately, ever = mean(over.values(orders, "flag", 90)), mean([o["flag"] for o in orders])
    return {
        "coded__share__90d": lately,
        "coded__share__365d": mean(over.values(orders, "flag", 365)),
        "coded__share": ever,
        "coded__first": orders[0]["flag"],
        "coded__last": orders[-1]["flag"],
        "coded__days_since": youngest(coded),
        "full_price__count__365d": over.count(full, 365),
        "reduced__share__365d": mean(over.values(orders, "cut", 365)),
        "depth__mean__365d": mean(over.values(orders, "depth", 365)),
        "depth__last": last([order["depth"] for order in priced]),
        "depth_reduced__mean__365d": mean(over.values(orders, "cut_depth", 365)),
        "off__sum__365d": sum(off) if off else None,
        "gross__sum__365d": sum(gross) if gross else None,
        "redeemed__share__365d": mean(shown.values(ripe, "hit", 365)),
        "redeemed__mean__365d": mean(shown.values(ripe, "hits", 365)),
        "off_share": ratio(sum(off), sum(gross)),
        "full_price_since_code": over.count(full, 365) if coded else None,
        "coded_lately": None if lately is None else lately - ever,
    }


def surveys(seen):
    over, rows = Windows(seen, "surveys"), seen.tables["surveys"]
    answers = {kind: [row for row in rows if row["kind"] == kind and row["score"] is not None]
               for kind in ("nps", "csat")}  # fmt: skip
    scores = {kind: [row["score"] for row in found] for kind, found in answers.items()}
    change = {k: s[-1] - s[-2] if len(s) > 1 else None for k, s in scores.items()}
    nps = last(scores["nps"])
    return {
        **over.both("surveys", rows, 90, 365),
        "nps__last": nps,
        "nps__mean": mean(scores["nps"]),
        "nps__min__365d": min(over.values(answers["nps"], "score", 365), default=None),
        "nps_change__last": change["nps"],
        "promoter__last": None if nps is None else float(nps in (9, 10)),
        "detractor__last": None if nps is None else float(nps in range(7)),
        "csat__last": last(scores["csat"]),
        "csat__mean": mean(scores["csat"]),
        "csat_change__last": change["csat"],
        "nps__days_since": youngest(answers["nps"]),
        "csat__days_since": youngest(answers["csat"]),
        "last__days_since": youngest(rows),
    }


def usage_of_customer(seen):
    over, rows = Windows(seen, "usage"), []
    for row, before in zip(seen.tables["usage"], [None, *seen.tables["usage"]], strict=False):
        bought = [line["age"] - row["age"] for line in seen.lines
                  if row["sku"] is not None and line["sku"] == row["sku"]
                  and row["age"] <= line["age"]]  # fmt: skip
        since = min(bought, default=None)
        rows.append(row | {
            "gap": None if before is None else max(before["age"] - row["age"], NOTHING) / DAY,
            "since": since / DAY if since is not None and since <= 180 * DAY else None,
            "first": None if row["kind"] is None else float(row["kind"] == "first_use"),
            "refill": None if row["kind"] is None else float(row["kind"] == "refill"),
        })  # fmt: skip
    amounts = {days: over.values(rows, "amount", days) for days in (90, 365)}
    counts = over.both("reports", rows, 30, 90)
    gap = mean(over.values(rows, "gap", 180))
    return {
        **counts,
        "last__days_since": youngest(rows),
        "amount__sum__90d": sum(amounts[90]) if amounts[90] else None,
        "amount__mean__365d": mean(amounts[365]),
        "first_use__share__365d": mean(over.values(rows, "first", 365)),
        "refill__share__365d": mean(over.values(rows, "refill", 365)),
        "gap__mean__180d": gap,
        "gap__last": last([row["gap"] for row in rows if row["gap"] is not None]),
        "since_bought__mean__180d": mean(over.values(rows, "since", 180)),
        "since_bought__last": last([row["since"] for row in rows if row["since"] is not None]),
        "silence_over_gap": ratio(youngest(rows), gap),
        "reports__trend__30d_90d": trend(
            counts["reports__count__30d"], counts["reports__count__90d"]
        ),
    }


def profile(seen):
    who = seen.customer
    region, source = who["region"], who["acquisition_source"]
    both = None if None in (region, source) else f"{region}\n{source}"
    signed = who["signed_up_at"] and seen.now - who["signed_up_at"]  # written on the shop's clock
    signed = signed if signed and signed > NOTHING else None
    waited = None if signed is None else (signed - seen.first) / DAY
    words = {"region": region, "source": source, "both": both}
    return {
        **{f"{name}_{w}__last": code(word, w) for name, word in words.items() for w in "ab"},
        "first_order__last": waited if waited is not None and waited <= 365 else None,
        "signed_up__days_since": None if signed is None else signed / DAY,
    }


FAMILIES = {
    "content": content, "messages": messages, "promotions": promotions, "surveys": surveys,
    "usage_of_customer": usage_of_customer, "profile": profile,
}  # fmt: skip


# ------------------------------------------------------------------ everybody
def judged(frames, cutoff):
    """Column -> customer -> value, of everybody who had ordered by the cutoff."""
    moment = datetime.fromisoformat(cutoff).replace(tzinfo=ZoneInfo(ZONE))
    tables = defaultdict(lambda: defaultdict(list))
    for name in ("order_lines", "cancellations", "customers", *KEYS):
        for row in frames[name].iter_rows(named=True):
            tables[row["customer_id"]][name].append(row)
    people = {who: Known(own, moment) for who, own in sorted(tables.items())}
    people = {who: seen for who, seen in people.items() if seen.orders}
    answers = {}
    for name, family in FAMILIES.items():
        told = {who: family(seen) for who, seen in people.items()}
        for column in next(iter(told.values())):
            answers[f"{name}__{column}"] = {who: own[column] for who, own in told.items()}
    return answers | _over_shop(tables, people, moment, answers)


def _over_shop(tables, people, moment, answers):
    """The shares of messages opened over that of all who ever ordered, with ten of prior."""
    over = Counter()
    for seen in people.values():
        heard = {row["message_id"] for row in seen.tables["messages"]
                 if row["action"] in ("opened", "clicked")}  # fmt: skip
        for row in seen.since_first("messages"):
            if row["action"] == "sent" and 3 * DAY <= row["age"] <= 365 * DAY:
                over["sent"] += 1
                over["heard"] += row["message_id"] in heard
    share = over["heard"] / over["sent"]
    times, column = {}, {}
    for who in people:
        sent = answers["messages__settled__count__365d"][who]
        opens = answers["messages__opens__share__365d"][who]
        times[who] = None if opens is None else opens * sent / share
        column[who] = None if sent is None else ((times[who] or 0) + 10) / (sent + 10)
    return {"messages__opened_times__sum__365d": times, "messages__opens_over_shop": column}
