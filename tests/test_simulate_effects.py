"""Planted effects of the simulated brand: in its log with the size of their dials, or not there."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from math import gamma, inf

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ppi_ml.simulate import Brand, simulate_brand
from ppi_ml.simulation.nudges import TAGS

DAYS, SEED, CUSTOMERS, AFTER = 600, 3, 5_000, 200
DAY = pl.duration(days=1)
LIVELY = Brand(wait_days=25.0, late_share=0.3, returned=0.2)
"""Every effect, in little time."""
BASE = Brand.without_effects(
    joining=0.3, wait_days=30.0, wait_spread=0.0, regularity=1.0, lapse=0.1, lapse_spread=0.0,
    late_share=0.3, lane_spread=0.0, carrier_spread=0.0, returned=0.2, cancelled=0.0,
    exposures=12.0, message_every=14, opened=1.0, holdout=0.5,
)  # fmt: skip
"""Customers who are all alike and a log full of events, none of which does anything."""


@lru_cache(maxsize=2)  # the one without effects, and the one that is looked at
def world(dials=()):
    """The brand without effects, but for the dials."""
    return simulate_brand(CUSTOMERS, DAYS, SEED, replace(BASE, **dict(dials)))


@pytest.fixture(scope="module")
def lively():
    return simulate_brand(800, 500, SEED, LIVELY)


def in_days(column):
    return column.dt.total_microseconds() / 86_400e6


@lru_cache(maxsize=2)
def orders(made):
    """One row per order, from the log alone; only those with enough log after them."""
    keys = ["customer_id", "order_id", "occurred_at"]
    found = (
        made.tables["order_lines"]
        .group_by(keys)
        .agg(pl.col("quantity").sum(), pl.col("promo_code").first())
    )
    found = found.sort("customer_id", "occurred_at").with_columns(
        next=pl.col("occurred_at").shift(-1).over("customer_id"),
        number=pl.int_range(1, pl.len() + 1).over("customer_id"),
    )
    sent = made.tables["shipments"].select("order_id", "promised_at")
    came = made.tables["deliveries"].select("order_id", arrived="occurred_at")
    found = found.join(sent, on="order_id", how="left").join(came, on="order_id", how="left")
    due = pl.col("promised_at") + pl.duration(seconds=1)
    last = made.observed_until.plus(-AFTER).at
    return found.filter(pl.col("occurred_at").dt.epoch("us") < last).with_columns(
        due=due,
        late=(pl.col("arrived") > pl.col("promised_at")).fill_null(True),
        gap=in_days(pl.col("next") - pl.col("occurred_at").dt.truncate("1d") - DAY),
        rest=in_days(pl.col("next") - due),
        comes=pl.col("next").is_not_null(),
    )  # fmt: skip


def ratio(frame, column, by):
    """Mean of a column where `by` holds over that where it does not."""
    means = dict(frame.group_by(by).agg(pl.col(column).mean()).iter_rows())
    return means[True] / means[False]


def wait_after_late(made, first):
    """What remains of the wait at the end of the promised day, late over punctual."""
    asked = (pl.col("number") == 1) if first else (pl.col("number") > 1)
    return ratio(orders(made).filter(asked, pl.col("rest") > 0), "rest", "late")


def lapse_odds(made, flag):
    """Odds of no further order where a flag of the truth holds over where not.

    Of those who have not ordered again by the end of the promised day: before it the parcel is not
    late yet, and a return comes later still, so that some order before it can put them off.
    """
    found = orders(made).join(made.truth["orders"].select("order_id", flag=flag), on="order_id")
    odds = {}
    for holds in (True, False):
        there = found.filter(pl.col("flag") == holds, (pl.col("rest") > 0) | ~pl.col("comes"))
        odds[holds] = (~there["comes"]).sum() / there["comes"].sum()
    return odds[True] / odds[False]


def lapse_of_vouchers(made):
    """Share of orders that were the last, of those who came by a voucher over all others."""
    source = made.tables["customers"].select("customer_id", "acquisition_source").drop_nulls()
    found = orders(made).join(source, on="customer_id")
    voucher = pl.col("acquisition_source") == "voucher"
    return ratio(found.with_columns(gone=~pl.col("comes"), voucher=voucher), "gone", "voucher")


def daily(made):
    """Orders after the first per day, on the days when everybody had come."""
    ordered = made.truth["orders"].filter(pl.col("number") > 1)["ordered_at"].dt.truncate("1d")
    counts = made.truth["days"].join(
        ordered.alias("day").value_counts(), on="day", how="left"
    ).fill_null(0)  # fmt: skip
    return counts.slice(int(BASE.joining * DAYS) + 30)


def pull_of_promotions(made):
    """Orders on days with a code over those of the two weeks around them (customers lapse)."""
    counts = daily(made).with_columns(
        usual=pl.when(~pl.col("promotion")).then("count").rolling_mean(29, min_samples=5,
                                                                       center=True)
    )  # fmt: skip
    there = counts.filter("promotion").drop_nulls("usual")
    return there["count"].sum() / there["usual"].sum()


def wait_after_code(made):
    """Gap after an order with a code over that after one without."""
    found = orders(made).with_columns(code=pl.col("promo_code").is_not_null())
    return ratio(found, "gap", "code")


def exponent_of_units(made):
    """Slope of the log of the mean gap on that of the units."""
    found = orders(made).group_by("quantity").agg(pl.col("gap").mean(), n=pl.len())
    units, gap, n = found.filter(pl.col("n") > 50).to_numpy().T
    return np.polyfit(np.log(units), np.log(gap), 1, w=np.sqrt(n))[0]


def alive(made, dates):
    """Customers by dates on which they had ordered and not lapsed, which only the truth knows."""
    truth = made.truth["customers"].select("customer_id", "holdout", "first_order_at", "lapsed_at")
    day = pl.col("occurred_at")
    there = (pl.col("first_order_at") < day) & (pl.col("lapsed_at") > day).fill_null(True)
    return truth.join(dates, how="cross").filter(there)


def seasonal(made):
    """ln of orders per customer in December over those in June, halved."""
    months = pl.DataFrame({"occurred_at": [datetime(2024, 12, 1), datetime(2025, 6, 1)]})
    there = alive(made, months.select(pl.all().dt.replace_time_zone("UTC")))
    there = there.group_by("occurred_at").len().sort("occurred_at")["len"]
    ordered = made.truth["orders"]["ordered_at"].dt.truncate("1mo")
    counts = [
        (ordered == month).sum() for month in months["occurred_at"].dt.replace_time_zone("UTC")
    ]
    return np.log(counts[0] / 31 / there[0] / (counts[1] / 30 / there[1])) / 2


def rate_after(made, shown, days):
    """Orders per day in the days after the midnights that follow some events."""
    begins = pl.col("occurred_at").dt.truncate("1d") + DAY
    whole = begins.dt.epoch("us") <= made.observed_until.plus(-days).at
    since = shown.filter(whole).select("customer_id", begins=begins)
    ordered = made.truth["orders"].filter(pl.col("number") > 1)
    ordered = ordered.select("customer_id", "ordered_at")
    age = pl.col("ordered_at") - pl.col("begins")
    hits = since.join(ordered, on="customer_id").filter(age >= 0 * DAY, age < days * DAY)
    return hits.height / (days * since.height)


def content(made, tag):
    """Orders in the week after one tag over those after all but the first two."""
    shown = made.tables["exposures"]
    other = shown.filter(~pl.col("content_tag").is_in(TAGS[:2]))
    this = shown.filter(pl.col("content_tag") == tag)
    return rate_after(made, this, 7) / rate_after(made, other, 7)


def mailed(made):
    """Orders a week after a mailing, of those who get it over the holdout; both drawn by chance."""
    sent = made.tables["messages"].filter(pl.col("action") == "sent")
    dates = sent.select(pl.col("occurred_at").dt.truncate("1d")).unique()
    there = alive(made, dates)
    left = made.tables["messages"].filter(pl.col("action") == "unsubscribed")
    there = there.join(left.select("customer_id"), on="customer_id", how="anti")
    rates = [rate_after(made, there.filter(pl.col("holdout") == held), 7) for held in (0, 1)]
    return rates[0] / rates[1]


def december(made):
    """Odds of a late parcel in December over those of the other months."""
    found = made.truth["orders"].with_columns(month=pl.col("ordered_at").dt.month() == 12)
    share = dict(found.group_by("month").agg(pl.col("late").mean()).iter_rows())
    return share[True] / (1 - share[True]) / (share[False] / (1 - share[False]))


def lost_stars(made):
    """Mean stars of punctual orders less those of late ones."""
    late = orders(made).select("order_id", "late")
    stars = made.tables["reviews"].join(late, on="order_id").group_by("late")
    means = dict(stars.agg(pl.col("rating").mean()).iter_rows())
    return means[False] - means[True]


def quality(made):
    """Deviation of the products' mean stars."""
    stars = made.tables["reviews"].group_by("sku").agg(pl.col("rating").mean(), n=pl.len())
    return stars.filter(pl.col("n") > 100)["rating"].std()


def asked_where(made):
    """Share of the orders still under way a day after the promise whose customer asked."""
    tickets = made.tables["tickets_opened"].filter(pl.col("topic") == "where-is-my-order")
    waiting = orders(made).filter((pl.col("arrived") > pl.col("due") + DAY).fill_null(True))
    return waiting.join(tickets, on="order_id", how="semi").height / waiting.height


LATENESS = {"late_wait": 0.5, "late_wait_first": 0.3}
EXPERIENCE = {"december_late": 1.5, "late_stars": 1.5, "quality_spread": 0.5, "late_tickets": 0.6}
"""Dials that change nobody's orders, so that one shop shows them all."""
PLANTED = {
    "late, later orders": (LATENESS, lambda m: wait_after_late(m, first=False), 1.5, 1.0, 0.05),
    "late, first orders": (LATENESS, lambda m: wait_after_late(m, first=True), 1.8, 1.0, 0.10),
    "lapse, late": ({"late_lapse": 1.0}, lambda m: lapse_odds(m, "late"), 2.1, 1.0, 0.2),
    "lapse, poor": ({"poor_lapse": 1.0}, lambda m: lapse_odds(m, "poor"), 2.1, 1.0, 0.2),
    "lapse, returned": ({"return_lapse": 1.0}, lambda m: lapse_odds(m, "returned"), 1.9, 1.0, 0.2),
    "lapse, source": ({"source_lapse": 1.0}, lapse_of_vouchers, 2.0, 1.0, 0.15),
    "promotion, hazard": ({"promotion_pull": 0.8}, pull_of_promotions, 1.8, 1.0, 0.08),
    "promotion, wait": ({"promotion_wait": 0.5}, wait_after_code, 1.5, 1.0, 0.06),
    "consumption": ({"consumption": 0.5}, exponent_of_units, 0.5, 0.0, 0.03),
    "season": ({"season": 0.3}, seasonal, 0.287, 0.0, 0.05),
    "content": ({"content_effect": 0.8}, lambda m: content(m, TAGS[0]), 1.72, 1.0, 0.12),
    "other content": ({"content_effect": 0.8}, lambda m: content(m, TAGS[1]), 1.0, 1.0, 0.12),
    "messages": ({"message_effect": 0.5}, mailed, 1.5, 1.0, 0.08),
    "december": (EXPERIENCE, december, 2.5, 1.0, 0.20),
    "stars, late": (EXPERIENCE, lost_stars, 1.35, 0.0, 0.1),
    "stars, products": (EXPERIENCE, quality, 0.42, 0.06, 0.05),
    "tickets": (EXPERIENCE, asked_where, 0.6, 0.0, 0.04),
}
"""Name -> dials, what is measured, what that is with them and without, and how nearly.

Of the lapses some do not show: who orders before a cause does no longer lapse of it. Content is
sought among other content, after which the tag with the effect comes by chance as well.
"""


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_effect_is_found_and_an_absent_one_is_not(name):
    dials, measured, found, absent, near = PLANTED[name]
    assert measured(world(tuple(dials.items()))) == pytest.approx(found, abs=near)
    assert measured(world()) == pytest.approx(absent, abs=near)


def test_a_late_first_parcel_stretches_what_is_left_of_the_wait_and_nothing_before():
    without, planted = (
        m.truth["orders"].filter(pl.col("number") == 1).sort("order_id")
        for m in (world(), world((("late_wait", 0.5), ("late_wait_first", 0.3))))
    )
    same = ["order_id", "ordered_at", "late", "due_at", "arrived_at", "units", "mood"]
    assert_frame_equal(planted.select(same), without.select(same))
    both = without.select("order_id", "late", "due_at", before="next_at").with_columns(
        after=planted["next_at"]
    )
    acts = pl.col("late") & (pl.col("before") > pl.col("due_at"))
    assert_frame_equal(
        both.filter(~acts).select(next_at="before"), both.filter(~acts).select(next_at="after")
    )
    moved = both.filter(acts).drop_nulls()
    rest = {name: in_days(moved[name] - moved["due_at"]) for name in ("before", "after")}
    assert moved.height > 1_000
    assert rest["after"].to_numpy() == pytest.approx(1.8 * rest["before"].to_numpy(), abs=3e-5)


class Hazards:
    """A slow walk through the truth: hazard and orders, in all and under some conditions."""

    def __init__(self, made, ignored=()):
        self.brand, self.ignored = made.brand, ignored
        self.summed, self.seen = Counter(), Counter()
        self.days = made.truth["days"].select("season", "pull", "promotion").to_dicts()
        shape = made.brand.regularity
        wait = made.truth["customers"].select("customer_id", "wait_days").iter_rows()
        self.scale = {who: mean / gamma(1 + 1 / shape) for who, mean in wait}
        shown = made.tables["exposures"].filter(pl.col("content_tag") == TAGS[0])
        read = made.tables["messages"].filter(pl.col("action") == "opened")
        self.content = self.covered(shown, made.brand.content_days)
        self.messages = self.covered(read, made.brand.message_days)
        for order in made.truth["orders"].iter_rows(named=True):
            self.wait(order)

    @staticmethod
    def day(at, never=inf):
        return never if at is None else at.timestamp() / 86_400 - 19_723  # 2024-01-01

    def covered(self, events, length):
        """(customer, day) on which one of the events acts."""
        rows = events.select("customer_id", "occurred_at").iter_rows()
        begins = ((who, int(self.day(at)) + 1) for who, at in rows)
        return {(who, first + k) for who, first in begins for k in range(length)}

    def wait(self, order):
        who, brand = order["customer_id"], self.brand
        end, due = self.day(order["next_at"]), self.day(order["due_at"])
        lapses, clock = self.day(order["lapses_at"]), 0.0
        for day in range(int(self.day(order["ordered_at"])) + 1, len(self.days)):
            if day >= lapses and end == inf:
                return
            late = order["late"] and day >= due
            today = self.days[day]
            holds = {
                "late": late, "promotion": today["promotion"], "code": order["promotion"],
                "content": (who, day) in self.content, "message": (who, day) in self.messages,
                "large": order["units"] > 3, "long": clock > 1.5, "first": order["number"] == 1,
                "december": 335 <= day < 366, "all": True,
            }  # fmt: skip
            boost = today["season"] * today["pull"]
            boost *= 1 + brand.content_effect * (holds["content"] and "content" not in self.ignored)
            boost *= 1 + brand.message_effect * (holds["message"] and "message" not in self.ignored)
            stretch = (order["units"] / (1.7 * 1.4)) ** brand.consumption
            stretch *= 1 + brand.promotion_wait * order["promotion"]
            if late and "late" not in self.ignored:
                stretch *= 1 + brand.late_wait + brand.late_wait_first * (order["number"] == 1)
            before = clock
            clock += min(1.0, end - day) / (self.scale[who] * stretch)
            hazard = boost * (clock**brand.regularity - before**brand.regularity)
            for name in (name for name, true in holds.items() if true):
                self.summed[name] += hazard
                self.seen[name] += end < day + 1
            if end < day + 1:
                return

    def ratio(self, name):
        """Orders over hazard, and its deviation under the truth."""
        return self.seen[name] / self.summed[name], self.seen[name] ** -0.5


def test_orders_come_as_often_as_a_slow_sum_of_all_hazards_says(lively):
    found = Hazards(lively)
    assert set(found.summed) >= {"late", "promotion", "code", "content", "message", "december"}
    for name in found.summed:
        ratio, deviation = found.ratio(name)
        assert found.seen[name] > 150
        assert ratio == pytest.approx(1.0, abs=3 * deviation), name


def test_that_sum_misses_effects_that_it_is_not_told_of(lively):
    found = Hazards(lively, ignored=("content", "message", "late"))
    assert found.ratio("content")[0] > 1.3
    assert found.ratio("message")[0] > 1.2
    assert found.ratio("late")[0] < 0.9


def test_lapses_are_as_frequent_as_the_truth_says():
    brand = replace(LIVELY, lapse=0.15, lapse_spread=0.0, source_lapse=1.0)
    made = simulate_brand(3_000, 500, SEED, brand)
    found = made.truth["orders"].with_columns(lapses=pl.col("lapses_at").is_not_null())
    for flag in ("late", "poor", "returned"):
        for holds in (True, False):
            there = found.filter(pl.col(flag) == holds)
            expected, n = there["lapse_chance"].mean(), there.height
            near = 4 * np.sqrt(expected / n)
            assert there["lapses"].mean() == pytest.approx(expected, abs=near)
    source = made.truth["customers"].select("customer_id", "source")
    chance = pl.lit(0.15) * (1 + (pl.col("source") == "voucher")) * (
        1 + brand.late_lapse * pl.col("late") + brand.poor_lapse * pl.col("poor")
        + brand.return_lapse * pl.col("returned")
    )  # fmt: skip
    told = found.join(source, on="customer_id").select("lapse_chance", own=chance.clip(0, 0.95))
    assert told["lapse_chance"].to_numpy() == pytest.approx(told["own"].to_numpy())
    gone = made.truth["customers"].drop_nulls("lapsed_at")
    ordered = made.truth["orders"].join(gone, on="customer_id")
    last = ordered.group_by("customer_id").agg(
        pl.col("ordered_at").max(), pl.col("lapsed_at").first()
    )
    assert (last["ordered_at"].dt.truncate("1d") <= last["lapsed_at"]).all()
    assert gone.height > 300
