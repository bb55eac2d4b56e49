"""Plain Python as an independent judge of the family `reviews`: loops over the raw events.

It shares nothing with the code it judges but the two text models of the state, which have a judge
of their own (tests/models/test_sentiment.py).
"""

from datetime import datetime, timedelta
from statistics import fmean
from zlib import crc32
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from tests import bazaar
from tests.conftest import START

from ppi_ml import dataset
from ppi_ml.instants import Cutoff
from ppi_ml.models import sentiment

ZONE = ZoneInfo(bazaar.ZONE)
CUTOFFS = ("2018-10-29T06:30:00", "2019-03-31T12:00:00", "2019-11-15T13:45:10")
COLUMNS = [
    name
    for family in dataset.families(["reviews"])
    for feature in (*family.features, *family.expressions)
    for name, _ in getattr(feature, "columns", lambda f, e=feature: [(f"{f}__{e.name}", None)])(
        family.name
    )
]


def wall(moment):
    return moment.astimezone(ZONE).replace(tzinfo=None)


def mean(values):
    return fmean(values) if values else None


class Judge:
    """What is true of every customer of raw frames at a cutoff on the clock of the shop."""

    def __init__(self, frames, cutoff, state):
        self.now, self.state = datetime.fromisoformat(cutoff), state
        self.tables = {name: self.known(frame) for name, frame in frames.items()}
        self.began = {name: START + timedelta(days=day) for name, day in bazaar.BEGAN.items()}
        self.days = self.purchase_days()

    def known(self, frame):
        """The rows of a table that were known, as dicts with their local time `wall`."""
        if "known_at" not in frame.columns:
            return []
        instant = self.now.replace(tzinfo=ZONE)
        rows = [row for row in frame.iter_rows(named=True) if row["known_at"] < instant]
        return [{**row, "wall": wall(row["occurred_at"])} for row in rows]

    def purchase_days(self):
        """Customer -> local day -> time of its first order."""
        called_off = {(r["order_id"], r["line_id"]) for r in self.tables["cancellations"]}
        days = {}
        for row in self.tables["order_lines"]:
            order, line = row["order_id"], str(row["line_id"])
            if row["order_type"] != "one_off" or called_off & {(order, None), (order, line)}:
                continue
            own = days.setdefault(row["customer_id"], {})
            day = row["wall"].date()
            own[day] = min(own.get(day, row["wall"]), row["wall"])
        return days

    def reviews(self, customer):
        """The customer's reviews, the oldest first, with what else is known of each."""
        own = [row for row in self.tables["reviews"] if row["customer_id"] == customer]
        own.sort(key=lambda row: (row["occurred_at"], row["review_id"]))
        return [{**row, "wait": self.wait(row), "gloom": self.gloom(row)} for row in own]

    def wait(self, review):
        """Days since the last parcel of the order before the review; else until the first after."""
        sent_for = {(r["customer_id"], r["shipment_id"]): r for r in self.tables["shipments"]}
        waits = []
        for parcel in self.tables["deliveries"]:
            sent = sent_for.get((parcel["customer_id"], parcel["shipment_id"]), {})
            order = parcel["order_id"] or sent.get("order_id")
            same = (parcel["customer_id"], order) == (review["customer_id"], review["order_id"])
            if same and order is not None:
                waits.append((review["wall"] - parcel["wall"]) / timedelta(days=1))
        return min((w for w in waits if w >= 0), default=max(waits, default=None))

    def gloom(self, review):
        """P(few stars) by the model that the other half taught, in twentieths."""
        if review["text"] is None:
            return None
        half = crc32(f"{review['customer_id']}\n{review['text']}".encode()) % 2
        said = sentiment.score(self.state["halves"][half], pl.Series([review["text"]]))[0]
        return None if np.isnan(said) else round(said * 20) / 20

    def answers(self, customer):
        """Column -> value, None where null."""
        reviews = self.reviews(customer)
        rated = [row for row in reviews if row["rating"] is not None]
        low = [row for row in rated if row["rating"] <= 2]
        read = [row for row in reviews if row["gloom"] is not None]
        soon = [row for row in read if row["wait"] is not None and 0 <= row["wait"] <= 14]
        began = self.began["reviews"]
        bought = [first for first in self.days[customer].values() if first >= began]
        shop = self.shop_mean()
        over = [row["rating"] - shop for row in rated]
        found = {
            "stars__mean": mean([row["rating"] for row in rated]),
            "stars__min": min((row["rating"] for row in rated), default=None),
            "stars__last": rated[-1]["rating"] if rated else None,
            "low__share": len(low) / len(rated) if rated else None,
            "low__days_since": self.days_since(low),
            "last__days_since": self.days_since(reviews),
            "wait__mean": mean([row["wait"] for row in reviews if row["wait"] is not None]),
            "any__count": len(reviews),
            "purchases__count": len(bought),
            "rated__count": len(rated),
            "over_shop__sum": sum(over) if over else None,
            "reviews_per_purchase": len(reviews) / len(bought) if bought else None,
            "stars_over_shop": sum(over) / (len(over) + 2) if over else None,
        }
        for what, rows in (("text_low", read), ("text_low_soon", soon)):
            values = [row["gloom"] for row in rows]
            found[f"{what}__mean"] = mean(values)
            found[f"{what}__last"] = values[-1] if values else None
            found[f"{what}__max"] = max(values, default=None)
        for window in (180, 365):
            found |= self.windowed(customer, reviews, window)
        return {f"reviews__{name}": value for name, value in found.items()}

    def windowed(self, customer, reviews, window):
        """The columns of one window: null where less than a quarter of it was observed."""
        first = min(self.days[customer].values())
        watched = (self.now - max(first, self.began["reviews"])) / timedelta(days=1)
        inside = [row for row in reviews if row["wall"] >= self.now - timedelta(days=window)]
        stars = [row["rating"] for row in inside if row["rating"] is not None]
        found = {
            "reviews__count": len(inside),
            "reviews__rate": len(inside) / min(watched, window) if watched > 0 else None,
            "stars__mean": mean(stars),
            "stars__min": min(stars, default=None),
        }
        enough = watched * 4 >= window
        return {f"{name}__{window}d": v if enough else None for name, v in found.items()}

    def days_since(self, rows):
        last = max((row["wall"] for row in rows), default=None)
        return None if last is None else (self.now - last) / timedelta(days=1)

    def shop_mean(self):
        """The mean of all stars, to the nearest quarter."""
        stars = [row["rating"] for row in self.tables["reviews"] if row["rating"] is not None]
        return round(4 * fmean(stars)) / 4


@pytest.fixture(scope="module", params=[3, 4])
def both(request, make_shop):
    """The raw frames of a shop, torn further: parcels in two, orders known to the shipment alone,
    reviews before their delivery, orders that nobody wrote down; and its log.
    """
    frames = bazaar.frames(make_shop(seed=request.param, customers=220), request.param)
    draw = np.random.default_rng(request.param)
    parcels = frames["deliveries"]
    second = parcels.sample(fraction=0.3, seed=1, shuffle=True).with_columns(
        shipment_id="x" + pl.col("shipment_id"),
        occurred_at=pl.col("occurred_at") + timedelta(days=8),
        known_at=pl.col("known_at") + timedelta(days=8),
    )
    parcels = pl.concat([parcels, second])
    unnamed = pl.Series(draw.random(len(parcels)) < 0.3)
    frames["deliveries"] = parcels.with_columns(
        order_id=pl.when(unnamed).then(None).otherwise("order_id")
    )
    reviews = frames["reviews"]
    early, of_nothing = (pl.Series(draw.random(len(reviews)) < 0.15) for _ in range(2))
    moved = pl.when(early).then(timedelta(days=-9)).otherwise(timedelta())
    frames["reviews"] = reviews.with_columns(
        occurred_at=pl.col("occurred_at") + moved,
        order_id=pl.when(of_nothing).then(None).otherwise("order_id"),
    ).filter(pl.col("occurred_at") >= reviews["occurred_at"].min())
    log = bazaar.load(frames)
    assert not any(table.rows_quarantined for table in log.report.tables.values())
    return frames, log


@pytest.fixture(scope="module", params=CUTOFFS)
def case(request, both):
    """The matrix, what the judge says of every customer, and the judge."""
    frames, log = both
    cutoff = Cutoff.parse(request.param, log.timezone)
    data = dataset.build(log, [cutoff], dataset.families(["reviews"]))
    judge = Judge(frames, request.param, data.states[str(cutoff)]["reviews"])
    return data, {who: judge.answers(who) for who in sorted(judge.days)}, judge


def test_every_column_is_judged(case):
    data, judged, judge = case
    assert data.customers.to_list() == list(judged)
    assert all(sorted(answers) == sorted(data.names) for answers in judged.values())
    assert sorted(COLUMNS) == sorted(data.names)
    assert data.states[str(data.cutoffs[0])]["reviews"]["mean_e3"] == judge.shop_mean() * 1_000


@pytest.mark.parametrize("column", COLUMNS)
def test_columns(case, column):
    data, judged, judge = case
    answers = [of[column] for of in judged.values()]
    expected = np.array([np.nan if v is None else v for v in answers], dtype=np.float64)
    np.testing.assert_allclose(data.column(column), expected, rtol=1e-6, atol=1e-6)
    if judge.now >= datetime.fromisoformat(CUTOFFS[-1]):
        assert len(set(expected[np.isfinite(expected)])) > 1


def test_the_data_hold_what_the_oracle_is_for(both):
    """Late rows, waits of every kind, parcels in two, and stars and texts that are missing."""
    judge = Judge(both[0], CUTOFFS[-1], {"halves": [{"why": "not asked here"}] * 2})
    reviews = [row for who in judge.days for row in judge.reviews(who)]
    waits = [row["wait"] for row in reviews]
    assert sum(w is None for w in waits) > 20
    known = [w for w in waits if w is not None]
    assert min(sum(w < 0 for w in known), sum(0 <= w <= 14 for w in known)) > 10
    assert sum(w > 14 for w in known) > 5
    assert sum(row["rating"] is None for row in reviews) > 5
    assert sum(row["text"] is None for row in reviews) > 20
    assert sum(row["text"] is not None and row["rating"] is not None for row in reviews) > 200
    times = sorted(row["known_at"] - row["occurred_at"] for row in judge.tables["reviews"])
    assert times[-10] > timedelta(days=1)
    assert sum(len(judge.reviews(who)) > 2 for who in judge.days) > 20
