"""The log of a simulated brand: it keeps the contract, agrees with its truth, and repeats."""

from collections import Counter
from dataclasses import fields, replace
from math import inf
from types import MappingProxyType

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ppi_ml.errors import UsageError
from ppi_ml.schema import TABLES
from ppi_ml.simulate import Brand, log, simulate_brand, simulate_shop
from ppi_ml.simulation import history, luck
from ppi_ml.simulation.brand import EFFECTS, RECORDED
from ppi_ml.simulation.phrases import BAD, GOOD, LATE
from ppi_ml.simulation.story import REPORTED

SEED = 3
LIVELY = Brand(wait_days=25.0, late_share=0.3, returned=0.2, cancelled=0.1, lost=0.1, denied=0.2)
"""All of it in little time."""


@pytest.fixture(scope="module")
def lively():
    return simulate_brand(800, 500, SEED, LIVELY)


def in_days(column):
    return column.dt.total_microseconds() / 86_400e6


def test_all_tables_load_whole(lively):
    assert set(lively.tables) == set(TABLES)
    loaded = log(lively)
    for name, report in loaded.report.tables.items():
        assert report.rows_in == report.kept == lively.tables[name].height > 0, name
    assert set(loaded.tables) == set(TABLES)
    assert len(loaded.customer_ids) == lively.tables["customers"].height == 800
    period = (lively.observed_from, lively.observed_until)
    assert {(t.observed_from, t.observed_until) for t in loaded.tables.values()} == {period}
    own = simulate_shop(800, days=500, seed=SEED, shop=LIVELY)
    assert own.fingerprint == loaded.fingerprint
    assert (
        simulate_shop(20, days=100).fingerprint != simulate_shop(20, days=100, seed=1).fingerprint
    )


def test_blocks_and_further_customers_change_nothing(monkeypatch):
    whole = simulate_brand(60, 300, SEED, LIVELY)
    monkeypatch.setattr(history, "BLOCK", 25)
    blocks = simulate_brand(60, 300, SEED, LIVELY)
    assert log(blocks).fingerprint == log(whole).fingerprint
    assert_frame_equal(
        blocks.truth["orders"].sort("order_id"), whole.truth["orders"].sort("order_id")
    )
    more = simulate_brand(80, 300, SEED, LIVELY).truth["orders"].sort("order_id")
    ours = more.filter(
        pl.col("customer_id").is_in(whole.truth["customers"]["customer_id"].implode())
    )
    assert_frame_equal(ours, whole.truth["orders"].sort("order_id"))


def test_the_truth_is_that_of_the_log(lively):
    tables, truth = lively.tables, lively.truth["orders"].sort("order_id")
    assert lively.truth["customers"]["orders"].sum() == truth.height
    lines = tables["order_lines"].group_by("order_id").agg(
        pl.col("customer_id", "occurred_at").first(), pl.col("quantity").sum(),
        code=pl.col("promo_code").first().is_not_null(),
    ).sort("order_id")  # fmt: skip
    assert lines["order_id"].equals(truth["order_id"])
    assert lines["occurred_at"].equals(truth["ordered_at"])
    assert (lines["quantity"] == truth["units"]).all()
    assert (lines["code"] == truth["promotion"]).all()
    again = truth.sort("customer_id", "number")
    assert again["next_at"].equals(
        again.select(pl.col("ordered_at").shift(-1).over("customer_id")).to_series()
    )
    called_off = tables["cancellations"]["order_id"].implode()
    early = truth.filter(pl.col("ordered_at").dt.epoch("us") < lively.observed_until.plus(-2).at)
    assert (early["order_id"].is_in(called_off) == early["cancelled"]).all()
    parcels = truth.join(tables["shipments"], on="order_id", how="inner")
    assert not parcels["cancelled"].any()
    assert parcels["promised_at"].equals(parcels["due_at"].dt.offset_by("-1s"))
    arrived = truth.join(tables["deliveries"], on="order_id", how="inner")
    assert arrived["occurred_at"].equals(arrived["arrived_at"])
    assert ((arrived["occurred_at"] > arrived["promised_at"]) == arrived["late"]).all()
    back = tables["returns"]["order_id"].implode()
    assert truth.filter("returned")["order_id"].is_in(back).mean() > 0.8  # the rest after the end
    assert not truth.filter(~pl.col("returned"))["order_id"].is_in(back).any()


def test_nothing_happens_before_what_it_follows(lively):
    tables = lively.tables

    def comes_after(later, earlier, on, gap=0.0):
        both = tables[later].join(
            tables[earlier].unique(on), on=on, how="inner", suffix="_before"
        )  # fmt: skip
        assert both.height > 20
        after = in_days(both["occurred_at"] - both["occurred_at_before"])
        assert (after > gap).all(), (later, earlier)

    comes_after("cancellations", "order_lines", "order_id")
    comes_after("shipments", "order_lines", "order_id")
    comes_after("deliveries", "shipments", "shipment_id")
    comes_after("delivery_exceptions", "shipments", "shipment_id")
    comes_after("returns", "deliveries", "order_id")
    comes_after("reviews", "deliveries", "order_id")
    comes_after("tickets_closed", "tickets_opened", "ticket_id")
    both = tables["refunds"].join(tables["returns"], on=["order_id", "sku"], suffix="_before")
    first = both.group_by("refund_id").agg(
        pl.col("occurred_at").first(), pl.col("occurred_at_before").min()
    )
    assert (first["occurred_at"] > first["occurred_at_before"]).all()
    asked = tables["tickets_opened"].filter(pl.col("topic") == "where-is-my-order")
    asked = asked.join(lively.truth["orders"], on="order_id")
    assert asked["late"].all()
    assert (asked["occurred_at"] < asked["arrived_at"]).fill_null(True).all()
    assert (asked["occurred_at"] >= asked["due_at"]).all()


def test_nobody_buys_what_is_not_there_or_sends_back_more_than_was_bought(lively):
    stock = lively.tables["stock"].sort("occurred_at")
    lines = lively.tables["order_lines"].sort("occurred_at")
    there = lines.join_asof(stock, on="occurred_at", by="sku", check_sortedness=False)
    assert there["available"].all()
    assert (~stock["available"]).sum() > 20
    bought = lines.group_by("order_id", "sku").agg(pl.col("quantity").sum())
    back = lively.tables["returns"].group_by("order_id", "sku").agg(pl.col("quantity").sum())
    both = back.join(bought, on=["order_id", "sku"], how="left", suffix="_bought")
    assert (both["quantity"] <= both["quantity_bought"]).all()
    worth = lines.select(
        (pl.col("quantity") * pl.col("unit_price") - pl.col("discount")).sum()
    ).item()
    assert 0 < lively.tables["refunds"]["amount"].sum() < worth
    assert (lines.filter(pl.col("promo_code").is_null())["discount"] == 0).all()
    assert (lines.filter(pl.col("promo_code").is_not_null())["discount"] > 0).all()


def test_chances_of_lanes_and_products_are_those_of_the_truth():
    made = simulate_brand(4_000, 400, SEED, LIVELY)
    seen = made.tables["shipments"].join(made.truth["orders"], on="order_id")
    seen = seen.filter(pl.col("ordered_at").dt.month() != 12)
    rates = seen.group_by("region", "carrier").agg(pl.col("late").mean(), n=pl.len())
    both = rates.join(made.truth["lanes"], on=["region", "carrier"])
    assert both.height == 24
    assert within(both["late"], both["late_chance"], both["n"])
    assert (both["late_chance_december"] > both["late_chance"]).all()
    early = made.truth["orders"].filter(
        pl.col("arrived_at").dt.epoch("us") < made.observed_until.plus(-90).at
    )
    lines = made.tables["order_lines"].join(early, on="order_id", how="semi")
    back = made.tables["returns"].select("order_id", "sku", back=1).unique(["order_id", "sku"])
    one = lines.filter(pl.len().over("order_id", "sku") == 1)
    one = one.join(back, on=["order_id", "sku"], how="left").group_by("sku")
    rates = one.agg(pl.col("back").fill_null(0).mean(), n=pl.len())
    both = rates.join(made.truth["products"], on="sku")
    assert within(both["back"], both["returned"], both["n"])
    assert both["returned"].max() > 3 * both["returned"].min()


def within(seen, expected, n):
    """Whether shares of n are near their chances, at most four deviations off."""
    return (((seen - expected) / (expected * (1 - expected) / n).sqrt()).abs() < 4).all()


def test_reviews_say_what_was_felt(lively):
    felt = lively.truth["orders"].select("order_id", "mood", "late")
    reviews = lively.tables["reviews"].join(felt, on="order_id")
    stars = (4.3 + reviews["mood"] - LIVELY.late_stars * reviews["late"]).round().clip(1, 5)
    assert (stars == reviews["rating"]).all()
    texts = reviews.drop_nulls("text").with_columns(words=pl.col("text").str.split(" "))
    assert 0.7 < texts.height / reviews.height < 0.8

    def share(frame, words):
        return frame["words"].explode().is_in(words).mean()

    low, high = (texts.filter(rule) for rule in (pl.col("rating") <= 2, pl.col("rating") == 5))
    assert share(low, BAD) > 3 * share(high, BAD)
    assert share(high, GOOD) > 3 * share(low, GOOD)
    tells = texts.group_by("late").agg(pl.col("text").str.contains("|".join(LATE)).mean())
    assert dict(tells.iter_rows()) == pytest.approx({True: 0.7, False: 0.0}, abs=0.1)
    assert tells.filter(~pl.col("late"))["text"].item() == 0
    answers = lively.tables["surveys"].with_columns(
        order_id="o" + pl.col("survey_id").str.slice(1)
    ).join(lively.truth["orders"], on="order_id")  # fmt: skip
    assert np.corrcoef(answers["score"], answers["mood"])[0, 1] > 0.5
    means = dict(answers.group_by("late").agg(pl.col("score").mean()).iter_rows())
    assert means[True] < 0.8 * means[False]
    assert (answers["occurred_at"] > answers["arrived_at"]).all()


def test_the_first_use_of_a_product_comes_before_its_refills(lively):
    used = lively.tables["usage"].sort("customer_id", "sku", "occurred_at")
    kinds = used.group_by("customer_id", "sku", maintain_order=True).agg("kind")["kind"]
    assert (kinds.list.first() == "first_use").mean() > 0.9  # others are not known yet
    assert not (kinds.list.slice(1).explode().drop_nulls() == "first_use").any()
    share = used["customer_id"].n_unique() / 800
    assert share == pytest.approx(LIVELY.usage, abs=0.05)
    bought = lively.tables["order_lines"].select("customer_id", "sku", amount="quantity")
    assert used.join(bought, on=["customer_id", "sku", "amount"], how="anti").height == 0


def test_the_holdout_and_who_unsubscribed_get_no_messages(lively):
    sent = lively.tables["messages"].filter(pl.col("action") == "sent")
    held = lively.truth["customers"].filter("holdout")["customer_id"]
    assert 40 < len(held) < 130
    assert not sent["customer_id"].is_in(held.implode()).any()
    gone = lively.tables["messages"].filter(pl.col("action") == "unsubscribed")
    later = sent.join(gone.select("customer_id", left="occurred_at"), on="customer_id")
    assert gone.height > 5
    assert (later["occurred_at"] < later["left"]).all()
    actions = Counter(lively.tables["messages"]["action"])
    assert actions["sent"] > actions["opened"] > actions["clicked"] > actions["unsubscribed"]


def test_consents_are_those_of_the_truth(lively):
    last = lively.tables["consents"].sort("occurred_at").group_by("customer_id").last()
    denied = lively.truth["customers"].drop_nulls("denied_at")["customer_id"]
    assert set(last.filter(pl.col("granted") == "no")["customer_id"]) == set(denied)
    assert denied.len() / 800 == pytest.approx(0.2, abs=0.05)
    assert set(lively.tables["consents"]["purpose"]) == {"profiling"}


def test_reported_events_become_known_late_by_chance(lively):
    for name, table in lively.tables.items():
        assert ("known_at" in table.columns) == (name in REPORTED)
    for name in REPORTED:
        table = lively.tables[name]
        late = table["known_at"] > table["occurred_at"]
        near = 4 * np.sqrt(0.05 / table.height)
        assert late.mean() == pytest.approx(LIVELY.known_late, abs=near)
        assert (table["known_at"].dt.epoch("us") < lively.observed_until.at).all()
    punctual = simulate_brand(50, 200, SEED, replace(LIVELY, known_late=0.0))
    returns = punctual.tables["returns"]
    assert returns["known_at"].equals(returns["occurred_at"])


def test_tables_may_begin_later_than_the_orders():
    begins = {"reviews": 120, "stock": 60, "tickets_closed": 90}
    brand = replace(LIVELY, begins=MappingProxyType(begins))
    made, whole = (simulate_brand(100, 300, SEED, b) for b in (brand, LIVELY))
    loaded = log(made)
    for name, day in begins.items():
        start = made.observed_from.plus(day)
        assert loaded.tables[name].observed_from == start
        since = pl.col("occurred_at").dt.epoch("us") >= start.at
        assert_frame_equal(made.tables[name], whole.tables[name].filter(since))
        assert made.tables[name].height < whole.tables[name].height
    assert_frame_equal(made.tables["returns"], whole.tables["returns"])


@pytest.mark.parametrize(
    ("dials", "missing"),
    [
        ({"cancelled": 0.0}, {"cancellations"}),
        ({"returned": 0.0}, {"returns"}),
        ({"reviewed": 0.0, "surveyed": 0.0}, {"reviews", "surveys"}),
        ({"tickets": 0.0, "late_tickets": 0.0}, {"tickets_opened", "tickets_closed"}),
        ({"exposures": 0.0, "usage": 0.0}, {"exposures", "usage"}),
        ({"message_every": 0}, {"messages"}),
    ],
)
def test_a_table_can_be_left_out(dials, missing):
    made = simulate_brand(50, 200, SEED, replace(LIVELY, **dials))
    assert set(TABLES) - set(made.tables) == missing
    assert set(log(made).tables) == set(made.tables)


def test_the_calmest_brand_of_one_customer_and_day_still_loads():
    calm = Brand.without_effects(
        lapse=0.0, late_share=0.0, stock_outs=0.0, promotions=0.0, categories=1,
        products_per_category=1, lines_each=1.0, regularity=1.0,
    )  # fmt: skip
    made = simulate_brand(1, 1, 0, calm)
    assert log(made).tables["order_lines"].frame.height == 1
    some = simulate_brand(200, 200, 0, calm).truth
    assert not some["orders"].select(pl.any_horizontal("late", "promotion").any()).item()
    assert some["orders"]["lapses_at"].null_count() == some["orders"].height


def test_tables_without_rows_have_their_columns(lively):
    made = simulate_brand(1, 1, SEED, LIVELY)
    assert made.tables["messages"].height == 0
    for found, whole in ((made.tables, lively.tables), (made.truth, lively.truth)):
        assert {name: frame.schema for name, frame in found.items()} == {
            name: frame.schema for name, frame in whole.items()
        }


def test_a_wild_brand_keeps_the_contract():
    wild = Brand(
        joining=0.0, wait_days=2.0, wait_spread=2.0, regularity=0.3, lapse=0.9, lapse_spread=2.0,
        source_lapse=20.0, season=2.0, consumption=1.0, lines_each=9.0, stock_outs=0.5,
        promotions=0.5, promotion_days=90.0, late_share=0.9, december_late=20.0, lost=1.0,
        returned=0.9, tickets=1.0, surveyed=1.0, exposures=200.0, message_every=1, opened=1.0,
        holdout=0.0, usage=1.0, denied=1.0, known_late=1.0, known_late_days=100.0,
    )  # fmt: skip
    made = simulate_brand(200, 300, 2**63, wild)
    for name, report in log(made).report.tables.items():
        assert report.rows_in == report.kept, name
    assert made.truth["orders"]["lapse_chance"].max() == 0.95
    assert not made.tables["deliveries"].join(
        made.truth["orders"].filter("late"), on="order_id", how="semi"
    ).height  # fmt: skip


def test_every_setting_is_explained_and_has_a_range():
    for own in fields(Brand):
        assert own.name in Brand.__doc__, own.name
        if own.name != "begins":
            with pytest.raises(UsageError, match=rf"brand\.{own.name}: expected"):
                Brand(**{own.name: inf})
    quiet = Brand.without_effects(late_wait=0.4).to_dict()
    assert {name: quiet[name] for name in EFFECTS if quiet[name]} == {"late_wait": 0.4}
    assert all(getattr(Brand(), name) > 0 for name in EFFECTS)
    assert set(RECORDED) == set(TABLES) - {"order_lines", "products", "customers"}


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"late_wait": -0.1}, r"brand\.late_wait: expected a number from 0 to 20, got -0\.1"),
        ({"message_every": 2.5}, r"brand\.message_every: expected a whole number"),
        ({"begins": {"orders": 3}}, r'brand\.begins: "orders" cannot begin later; expected one of'),
        ({"begins": {"reviews": -1}}, r"brand\.begins\.reviews: expected a whole number from 0"),
    ],
)
def test_a_setting_out_of_its_range_is_named(wrong, expected):
    with pytest.raises(UsageError, match=expected):
        Brand(**wrong)


@pytest.mark.parametrize("bad", [{"customers": 0}, {"days": 0}, {"seed": -1}, {"customers": 1.5}])
def test_a_size_that_is_none_is_refused(bad):
    (name,) = bad
    with pytest.raises(UsageError, match=f"{name}: expected a whole number"):
        simulate_brand(**{"customers": 5, **bad})


def test_luck_is_even_and_does_not_depend_on_its_neighbours():
    keys = luck.keys(7, "things", np.arange(200_000))
    drawn = luck.uniform(keys, "a")
    assert np.histogram(drawn, bins=20, range=(0, 1))[0] == pytest.approx(10_000, rel=0.05)
    for other in (luck.uniform(keys, "b"), luck.uniform(luck.below(keys, "part", 0), "a"),
                  luck.uniform(luck.keys(8, "things", np.arange(200_000)), "a"), drawn[::-1],
                  np.roll(drawn, 1)):  # fmt: skip
        assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.01
    assert luck.uniform(keys[5:9], "a").tolist() == drawn[5:9].tolist()
    assert luck.normal(keys, "a").std() == pytest.approx(1.0, abs=0.01)
    assert luck.exponential(keys, "a").mean() == pytest.approx(1.0, abs=0.01)
    counts = luck.poisson(keys, "a", 3.5)
    assert (counts.mean(), counts.var()) == pytest.approx((3.5, 3.5), rel=0.02)
    assert not luck.poisson(keys, "a", 0.0).any()
    picked = np.bincount(luck.chosen(keys, "a", np.array([1.0, 0.0, 3.0]))) / 200_000
    assert picked == pytest.approx([0.25, 0.0, 0.75], abs=0.01)
