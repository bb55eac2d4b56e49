"""A shop of customers with every table of events: what contracts and oracles of families run on.

It takes the orders of the shop of conftest (late rows, summer time, lines without a price) and adds
what comes after them. Every table began on a day of its own, some rows became known late, and cells
are empty where a shop leaves them empty. Nothing here has an effect on anything: it is only noise
of the right shape (`ppi_ml.simulate` is the shop with a truth).
"""

from datetime import timedelta

import numpy as np
import polars as pl
from tests.conftest import DAYS, MOST_LATE_DAYS, START, ZONE

from ppi_ml.events import RawTable, load_tables

BEGAN = {
    "order_lines": 0, "cancellations": 20, "shipments": 40, "deliveries": 60,
    "delivery_exceptions": 80, "returns": 150, "refunds": 150, "reviews": 100,
    "tickets_opened": 90, "tickets_closed": 90, "surveys": 120, "exposures": 30, "messages": 50,
    "usage": 110, "products": 0, "customers": 0,
}  # fmt: skip
"""Day on which each table began to be recorded."""
WORDS = ("good", "bad", "late", "lovely", "broken", "fast", "wrong", "soft", "never", "again")
TOPICS = ("where-is-my-order", "damage", "return", None)
TAGS = ("how-to", "recipe", "unboxing", None)
KINDS = ("first_use", "refill", "telemetry", None)
REGIONS = ("north", "south", "islands", None)


class _Bazaar:
    """Writes what comes after the orders of a shop."""

    def __init__(self, tables, seed):
        self.draw = np.random.default_rng(seed)
        self.lines, self.returns = tables["order_lines"], tables["returns"]
        self.rows = {name: [] for name in BEGAN if name not in tables}

    def add(self, table, key, customer, moment, late=True, **columns):
        """One event; every tenth became known days later."""
        lag = self.draw.uniform(1, MOST_LATE_DAYS) if late and self.draw.random() < 0.1 else 0.0
        moment = moment.replace(microsecond=0)
        known = {"occurred_at": moment, "known_at": moment + timedelta(days=lag)}
        number = {key: f"{key[0]}{len(self.rows[table])}"} if key else {}
        self.rows[table].append({"customer_id": customer, **number, **known, **columns})
        return number.get(key)

    def order(self, customer, order_id, moment, sku):
        """Parcels, reviews, tickets and a cancellation of one order."""
        chance, days = self.draw.random, lambda mean: timedelta(days=self.draw.exponential(mean))
        if chance() < 0.05:
            line = "0" if chance() < 0.5 else None
            self.add("cancellations", "cancellation_id", customer, moment + days(1.0),
                     order_id=order_id, line_id=line)  # fmt: skip
        sent = moment + days(1.5)
        promised = sent + timedelta(days=5) if chance() < 0.9 else None
        arrived = sent + days(4.0)
        if chance() < 0.95:
            parcel = self.add(
                "shipments", "shipment_id", customer, sent, order_id=order_id, promised_at=promised,
                carrier=self.draw.choice(["swift", "slow"]), service="parcel",
                region=REGIONS[self.draw.integers(4)],
            )  # fmt: skip
            for _ in range(self.draw.poisson(0.25)):
                code = str(self.draw.choice(["delay", "damage", "failed_attempt", "lost"]))
                self.add("delivery_exceptions", None, customer, sent + days(2.0),
                         shipment_id=parcel, order_id=order_id, code=code)  # fmt: skip
            if chance() < 0.9:
                self.add("deliveries", None, customer, arrived, shipment_id=parcel,
                         order_id=order_id, promised_at=None)  # fmt: skip
        if chance() < 0.5:
            words = " ".join(self.draw.choice(WORDS, 6)) if chance() < 0.8 else None
            stars = float(self.draw.integers(1, 6)) if chance() < 0.95 else None
            self.add("reviews", "review_id", customer, arrived + days(6.0), order_id=order_id,
                     sku=sku, rating=stars, text=words)  # fmt: skip
        if chance() < 0.3:
            opened = moment + days(5.0)
            ticket = self.add("tickets_opened", "ticket_id", customer, opened, order_id=order_id,
                              topic=TOPICS[self.draw.integers(4)], channel="mail")  # fmt: skip
            if chance() < 0.8:
                csat = float(self.draw.integers(1, 6)) if chance() < 0.6 else None
                self.add("tickets_closed", None, customer, opened + days(3.0), ticket_id=ticket,
                         csat=csat)  # fmt: skip
        for _ in range(self.draw.poisson(1.0)):
            self.add("usage", "usage_id", customer, arrived + days(15.0), sku=sku,
                     amount=float(self.draw.integers(1, 4)),
                     kind=KINDS[len(self.rows["usage"]) % len(KINDS)])  # fmt: skip

    def customer(self, customer, start):
        """Surveys, exposures and messages, all through the two years."""
        self.rows["customers"].append({
            "customer_id": customer, "region": REGIONS[self.draw.integers(4)],
            "signed_up_at": start - timedelta(days=self.draw.exponential(60)),
            "acquisition_source": str(self.draw.choice(["search", "friends", "social"])),
        })  # fmt: skip
        for day in np.sort(self.draw.uniform(0, DAYS, self.draw.poisson(6))):
            kind = str(self.draw.choice(["nps", "csat"]))
            score = float(self.draw.integers(0, 11)) if self.draw.random() < 0.9 else None
            self.add("surveys", "survey_id", customer, start + timedelta(days=day),
                     kind=kind, score=score)  # fmt: skip
        for day in np.sort(self.draw.uniform(0, DAYS, self.draw.poisson(20))):
            rare = f"post-{self.draw.integers(500)}"
            tag = rare if self.draw.random() < 0.2 else TAGS[self.draw.integers(4)]
            self.add("exposures", "exposure_id", customer, start + timedelta(days=day),
                     content_tag=tag, campaign="spring", variant=None, channel="mail")  # fmt: skip
        for day in np.sort(self.draw.uniform(0, DAYS, self.draw.poisson(25))):
            self.message(customer, start + timedelta(days=day))

    def message(self, customer, moment):
        """A message that was sent, and what came of it."""
        mail = self.add("messages", "message_id", customer, moment, action="sent",
                        campaign="weekly", channel="mail")  # fmt: skip
        for action, share in (("opened", 0.4), ("clicked", 0.3), ("unsubscribed", 0.03)):
            if self.draw.random() > share:
                return
            moment += timedelta(days=self.draw.exponential(1.0))
            self.add("messages", None, customer, moment, message_id=mail, action=action,
                     campaign="weekly", channel="mail")  # fmt: skip

    def tables(self):
        """The frames; what happened before a table began was never written down."""
        start = self.lines["occurred_at"].min()
        firsts = self.lines.group_by("order_id", maintain_order=True).first()
        for order in firsts.sort("order_id").iter_rows(named=True):
            self.order(order["customer_id"], order["order_id"], order["occurred_at"], order["sku"])
        for customer in self.lines["customer_id"].unique().sort():
            self.customer(customer, start)
        for row in self.returns.iter_rows(named=True):
            if self.draw.random() < 0.8:
                when = row["occurred_at"] + timedelta(days=self.draw.exponential(4))
                self.add("refunds", "refund_id", row["customer_id"], when, sku=row["sku"],
                         order_id=row["order_id"], amount=self.draw.lognormal(2, 0.5))  # fmt: skip
        skus = sorted(self.lines["sku"].unique())
        self.rows["products"] = [{"sku": s, "category": f"k{i % 4}"} for i, s in enumerate(skus)]
        frames = {"order_lines": self._promoted(), "returns": self.returns}
        for name, rows in self.rows.items():
            frame = pl.DataFrame(rows, infer_schema_length=None)
            if "occurred_at" in frame.columns:
                frame = frame.filter(pl.col("occurred_at") >= start + timedelta(days=BEGAN[name]))
            frames[name] = frame
        return frames

    def _promoted(self):
        """The order lines, some with a code and money off."""
        off = self.draw.random(len(self.lines)) < 0.25
        worth = (self.lines["quantity"] * self.lines["unit_price"].fill_null(0)).to_numpy()
        return self.lines.with_columns(
            promo_code=pl.Series(np.where(off, "SPRING", "")),
            discount=pl.Series(np.where(off, np.round(0.2 * worth, 2), 0.0)),
        )


def frames(tables, seed=0):
    """Every table, from the order lines and returns of the shop of conftest."""
    return _Bazaar(tables, seed).tables()


def load(frames, days=DAYS):
    """The log of such frames, with the period of every table."""
    until = START + timedelta(days=days)
    raw = {
        name: RawTable(
            frame, observed_from=START + timedelta(days=BEGAN[name]), observed_until=until
        )
        for name, frame in frames.items()
    }
    return load_tables(raw, timezone=ZONE, currency="GBP")
