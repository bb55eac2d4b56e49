"""What the whole log tells, against the same counted row by row in Python."""

import json
import os
from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import bazaar

from ppi_ml import inputs, log_checks, sent_back, simulate
from ppi_ml.config import DataSettings
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff

START = datetime(2026, 1, 5, 12)
ZONE = "Europe/London"


@pytest.fixture(scope="module")
def whole(make_shop):
    """The shop with every table."""
    return bazaar.frames(make_shop(customers=60))


@pytest.fixture(scope="module")
def log(whole):
    """The same with reviews of five days earlier, some of them of somebody else."""
    nth = pl.int_range(pl.len())
    reviews = whole["reviews"].with_columns(
        pl.col("occurred_at") - timedelta(days=5),
        customer_id=pl.when(nth % 9 == 0).then(pl.lit("c1")).otherwise("customer_id"),
    )
    return bazaar.load({**whole, "reviews": reviews})


def orphans(checks):
    return {(o.table, o.column, o.what): (o.rows, o.named) for o in checks.orphans}


def skews(checks):
    return {(s.table, s.what): (s.rows, s.pairs, s.hours) for s in checks.clock_skew}


# ------------------------------------------------------------------ row by row
def rows_of(log, table):
    return log.tables[table].frame.to_dicts()


def test_orphans_are_those_of_a_slow_count(log):
    """The tables began on different days, so that many a parcel never left."""
    found = orphans(log_checks.check(log))
    owner = {row["order_id"]: row["customer_id"] for row in rows_of(log, "order_lines")}
    left = {row["shipment_id"] for row in rows_of(log, "shipments")}
    opened = {row["ticket_id"] for row in rows_of(log, "tickets_opened")}
    sent = {(r["customer_id"], r["message_id"]) for r in rows_of(log, "messages")
            if r["action"] == "sent"}  # fmt: skip
    nobody = "an order that order_lines does not have"
    for table in ("shipments", "deliveries", "reviews", "tickets_opened", "refunds", "returns"):
        named = [row for row in rows_of(log, table) if row["order_id"] is not None]
        lost = sum(row["order_id"] not in owner for row in named)
        theirs = sum(owner.get(r["order_id"], r["customer_id"]) != r["customer_id"] for r in named)
        assert found[table, "order_id", nobody] == (lost, len(named))
        assert bool(theirs) == (table == "reviews")
        whose = "an order of another customer"
        assert found[table, "order_id", whose] == (theirs, len(named))
    for table in ("deliveries", "delivery_exceptions"):
        lost = sum(row["shipment_id"] not in left for row in rows_of(log, table))
        what = "a parcel that shipments does not have"
        assert found[table, "shipment_id", what] == (lost, log.tables[table].frame.height)
    lost = sum(row["ticket_id"] not in opened for row in rows_of(log, "tickets_closed"))
    assert found["tickets_closed", "ticket_id", "a ticket that tickets_opened does not have"][
        0
    ] == lost  # fmt: skip
    answers = [row for row in rows_of(log, "messages") if row["action"] != "sent"]
    lost = sum((row["customer_id"], row["message_id"]) not in sent for row in answers)
    assert lost > 0
    assert found["messages", "message_id", "a message that was not sent"] == (lost, len(answers))


def test_skews_are_those_of_a_slow_count(log):
    found = skews(log_checks.check(log))
    for table, key, cause, what in (
        ("reviews", "order_id", "deliveries", "reviewed before it was delivered"),
        ("returns", "order_id", "order_lines", "sent back before it was ordered"),
        ("deliveries", "shipment_id", "shipments", "delivered before it was shipped"),
    ):
        first = {}
        for row in rows_of(log, cause):
            first[row[key]] = min(row["at"], first.get(row[key], row["at"]))
        pairs = [(row["at"], first[row[key]]) for row in rows_of(log, table) if row[key] in first]
        early = [(cause - at) / 3.6e9 for at, cause in pairs if at < cause]
        hours = round(float(np.median(early)), 2) if early else None
        assert found[table, what] == (len(early), len(pairs), hours)
        assert bool(early) == (table == "reviews")


def test_a_log_whose_causes_all_come_first_has_no_skew(whole):
    assert {rows for rows, *_ in skews(log_checks.check(bazaar.load(whole))).values()} == {0}


# ------------------------------------------------------------------ by hand
def events(*rows, **columns):
    """A table of rows (customer, hours after the start, columns)."""
    return pl.DataFrame(
        [
            {"customer_id": who, "occurred_at": START + timedelta(hours=hours), **cells}
            for who, hours, cells in rows
        ],
        infer_schema_length=None,
    ).with_columns(**columns)


def small(granularity="instant", **tables):
    """A log of jane, who ordered two cups and a pot (o1), and of john (o2), who took a pot."""
    lines = events(
        ("jane", 0, {"order_id": "o1", "line_id": "1", "sku": "cup", "quantity": 2}),
        ("jane", 0, {"order_id": "o1", "line_id": "2", "sku": "pot", "quantity": 1}),
        ("john", 24, {"order_id": "o2", "line_id": "1", "sku": "pot", "quantity": 1}),
    )
    raw = {"order_lines": RawTable(lines, sure=True)}
    raw |= {name: RawTable(frame, granularity, sure=True) for name, frame in tables.items()}
    return load_tables(raw, timezone=ZONE, currency="GBP")


def test_tables_of_days_are_compared_by_days():
    """The request of the same day is no skew; the one of the day before is."""
    asked = events(
        ("jane", -2, {"return_id": "r1", "order_id": "o1", "sku": "cup"}),
        ("jane", -24, {"return_id": "r2", "order_id": "o1", "sku": "cup"}),
    )
    what = ("returns", "sent back before it was ordered")
    assert skews(log_checks.check(small(returns=asked)))[what] == (2, 2, 13.0)
    assert skews(log_checks.check(small("day", returns=asked)))[what][:2] == (1, 2)


def test_what_happens_at_the_same_instant_is_no_skew():
    back = events(("jane", 0, {"refund_id": "f1", "order_id": "o1"}),
                  ("jane", -1, {"refund_id": "f2", "order_id": "o1"}))  # fmt: skip
    found = skews(log_checks.check(small(refunds=back)))
    assert found["refunds", "refunded before it was ordered"] == (1, 2, 1.0)


def test_a_review_may_come_between_two_parcels_of_an_order():
    parcels = events(("jane", 90, {"shipment_id": "p1", "order_id": "o1"}),
                     ("jane", 50, {"shipment_id": "p2", "order_id": "o1"}))  # fmt: skip
    stars = events(("jane", 60, {"review_id": "v1", "order_id": "o1"}),
                   ("jane", 48, {"review_id": "v2", "order_id": "o1"}))  # fmt: skip
    found = skews(log_checks.check(small(deliveries=parcels, reviews=stars)))
    assert found["reviews", "reviewed before it was delivered"] == (1, 2, 2.0)


def test_a_mailing_is_one_message_per_customer():
    """One id for all: john opened it before jane's was sent, but not before his own."""
    mails = events(
        ("john", 0, {"message_id": "m", "action": "sent"}),
        ("john", 1, {"message_id": "m", "action": "opened"}),
        ("jane", 2, {"message_id": "m", "action": "sent"}),
        ("jane", 1.5, {"message_id": "m", "action": "clicked"}),
        ("jo", 3, {"message_id": "m", "action": "clicked"}),
    )
    checks = log_checks.check(small(messages=mails))
    assert skews(checks)["messages", "answered before it was sent"] == (1, 2, 0.5)
    assert orphans(checks)["messages", "message_id", "a message that was not sent"] == (1, 3)


def test_tables_that_are_not_there_are_not_looked_at():
    checks = log_checks.check(small())
    assert (checks.orphans, checks.clock_skew, checks.sent_back) == ((), (), None)
    parcels = events(("jane", 9, {"shipment_id": "p", "order_id": "o1"}))
    checks = log_checks.check(small(deliveries=parcels))
    assert set(orphans(checks)) == {
        ("deliveries", "order_id", "an order that order_lines does not have"),
        ("deliveries", "order_id", "an order of another customer"),
        ("deliveries", "customer_id", "a customer without an order"),
    }


def test_a_log_of_somebody_who_never_ordered_can_be_checked():
    alone = small(surveys=events(("jo", 5, {"survey_id": "s1", "kind": "nps"}))).customer("jo")
    checks = log_checks.check(alone)
    assert orphans(checks) == {("surveys", "customer_id", "a customer without an order"): (1, 1)}
    assert checks.repeated == {"order_lines": 0.0, "surveys": 0.0}


def test_rows_that_say_the_same_under_another_id_are_repeated():
    asked = events(*[("jane", 5, {"return_id": f"r{n}", "sku": "cup"}) for n in range(3)],
                   ("jane", 5, {"return_id": "r9", "sku": "pot"}))  # fmt: skip
    checks = log_checks.check(small(returns=asked))
    assert checks.repeated == {"order_lines": 0.0, "returns": 0.5}


def test_lines_of_one_order_may_be_alike_but_orders_may_not():
    alike = {"sku": "cup", "quantity": 1}
    one = events(("jane", 0, {"order_id": "o1", "line_id": "1", **alike}),
                 ("jane", 0, {"order_id": "o1", "line_id": "2", **alike}))  # fmt: skip
    two = one.with_columns(order_id=pl.Series(["o1", "o7"]), line_id=pl.lit("1"))
    for lines, share in ((one, 0.0), (two, 0.5)):
        loaded = load_tables({"order_lines": RawTable(lines, sure=True)})
        assert log_checks.check(loaded).repeated == {"order_lines": share}


def test_what_lies_ahead_is_counted_where_the_present_is_told():
    made = small(usage=events(("jane", 1, {"usage_id": "u1"}), ("jane", 99, {"usage_id": "u2"})))
    now = Cutoff.parse("2026-01-06T00:00:00", ZONE)
    assert log_checks.check(made, now).ahead == {"order_lines": 1, "usage": 1}
    assert log_checks.check(made).ahead is None
    assert log_checks.check(made, Cutoff.parse("2027-01-01", ZONE)).ahead == {
        "order_lines": 0, "usage": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "times", "twice"),
    [
        ("Europe/London", ["2026-10-25T01:30:00", "2026-10-25T02:00:00"], 1),
        ("Europe/London", ["2026-10-25T01:00:00", "2026-10-25T00:59:59"], 1),
        ("Europe/London", ["2026-03-29T00:30:00", "2026-03-29T02:30:00"], 0),
        ("America/Sao_Paulo", ["2018-02-17T23:30:00", "2018-02-17T22:30:00"], 1),
        ("Australia/Lord_Howe", ["2026-04-05T01:45:00", "2026-04-05T01:15:00"], 1),
        ("UTC", ["2026-10-25T01:30:00", "2026-10-25T02:30:00"], 0),
    ],
)
def test_hours_that_the_clock_shows_twice(zone, times, twice):
    lines = pl.DataFrame({"order_id": ["a", "b"], "line_id": ["1"] * 2, "customer_id": ["c"] * 2,
                          "occurred_at": times})  # fmt: skip
    checks = log_checks.check(load_tables({"order_lines": RawTable(lines)}, timezone=zone))
    assert checks.twice == {"order_lines": twice}


def test_the_checks_change_nothing_and_name_nobody(log):
    report = log_checks.checked(log)
    assert report.tables == log.report.tables
    assert log.report.checks is None
    text = report.to_text() + json.dumps(report.to_dict())
    ids = {row["customer_id"] for row in rows_of(log, "order_lines")}
    ids |= {row["order_id"] for row in rows_of(log, "order_lines")}
    assert not {word.strip('",:') for word in text.split()} & ids


def test_a_sound_brand_has_nothing_to_tell():
    made = simulate.log(simulate.simulate_brand(200, days=365, seed=3))
    checks = log_checks.check(made)
    assert sum(found.rows for found in checks.orphans) == 0
    assert sum(found.rows for found in checks.clock_skew) == 0
    assert checks.sent_back.units == 0
    assert checks.sent_back.all_units > 0


# ------------------------------------------------------------------ more sent back than bought
def test_a_return_that_names_its_order_leaves_nothing_for_one_that_does_not():
    """Two cups were bought; two came back by the order's name, and two without it."""
    asked = events(("jane", 5, {"return_id": "r1", "sku": "cup", "quantity": 2, "order_id": "o1"}),
                   ("jane", 6, {"return_id": "r2", "sku": "cup", "quantity": 2}))  # fmt: skip
    told = log_checks.check(small(returns=asked)).sent_back
    assert (told.units, told.all_units, told.pairs, told.all_pairs) == (2, 4, 1, 1)


skus, hours = st.sampled_from(["cup", "pot", None]), st.integers(0, 5)
sold = st.lists(st.tuples(st.sampled_from("ab"), skus, hours, st.integers(1, 3)), min_size=1,
                max_size=8)  # fmt: skip
back = st.lists(
    st.tuples(st.sampled_from("ab"), skus, hours, st.integers(1, 4),
              st.one_of(st.none(), st.integers(0, 8))),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(sold, back)
def test_units_that_nobody_bought_are_those_of_first_in_first_out(sold, back):
    lines = events(*[
        (who, at, {"order_id": f"o{n}", "line_id": "1", "sku": sku, "quantity": units})
        for n, (who, sku, at, units) in enumerate(sold)
    ])  # fmt: skip
    asked = events(*[
        (who, at, {"return_id": f"r{n}", "sku": sku, "quantity": units,
                   "order_id": None if order is None else f"o{order}"})
        for n, (who, sku, at, units, order) in enumerate(back)
    ]).cast({"order_id": pl.String, "sku": pl.String})  # fmt: skip
    raw = {"order_lines": RawTable(lines.cast({"sku": pl.String}), sure=True),
           "returns": RawTable(asked, sure=True)}  # fmt: skip
    log = load_tables(raw, timezone=ZONE)
    checks = log_checks.check(log)
    frames = log.tables["order_lines"].frame, log.tables["returns"].frame
    told = frames[1].filter(pl.col("sku").is_not_null())
    found, lost = sent_back.matched(frames[0], told)
    assert checks.sent_back.units == lost / 1000
    assert checks.sent_back.all_units == told["quantity_e3"].sum() / 1000
    sku_of = {row["order_id"]: row["sku"] for row in frames[0].to_dicts()}
    asked_for = Counter()
    for row in told.to_dicts():
        asked_for[row["customer_id"], row["sku"]] += row["quantity_e3"]
    for row in found.to_dicts():
        asked_for[row["customer_id"], sku_of[row["order_id"]]] -= row["quantity_e3"]
    assert checks.sent_back.pairs == sum(units > 0 for units in asked_for.values())
    assert checks.sent_back.all_pairs == len(asked_for)


# ------------------------------------------------------------------ real shops
def test_a_real_shop_without_orders_on_its_returns():
    """Online Retail II: no return names its order, so each is matched to what was bought before."""
    log = inputs.load_demo()
    lines, back = (log.tables[name].frame for name in ("order_lines", "returns"))
    checks = log_checks.check(log)
    assert checks.sent_back.units == sent_back.matched(lines, back)[1] / 1000 > 0
    early, pairs, _ = skews(checks)["returns", "sent back before it was first bought"]
    first = lines.group_by("customer_id", "sku").agg(pl.col("at").min().alias("first"))
    both = back.join(first, on=["customer_id", "sku"])
    assert (early, pairs) == (both.filter(pl.col("at") < pl.col("first")).height, both.height)


@pytest.mark.real
def test_a_real_shop_whose_reviews_come_before_its_parcels():
    """Olist: customers who wait are asked for stars, and some answer."""
    if not (root := os.environ.get("PPI_ML_DATA")):
        pytest.skip("PPI_ML_DATA is unset: Olist is not part of the repository")
    data = DataSettings(source="olist", path=f"{root}/olist", timezone="America/Sao_Paulo")
    checks = log_checks.check(inputs.load_log(data))
    found, lost = skews(checks), orphans(checks)
    assert found["reviews", "reviewed before it was delivered"][:2] == (983, 20_212)
    assert found["deliveries", "delivered before it was shipped"][:2] == (4, 28_157)
    assert found["shipments", "promised for a time before it was shipped"][:2] == (91, 28_398)
    # The orders without an item have reviews and customers, but no line.
    order = "an order that order_lines does not have"
    assert lost["reviews", "order_id", order] == (151, 20_795)
    assert lost["order_lines", "sku", "a product that products does not have"] == (0, 32_816)
