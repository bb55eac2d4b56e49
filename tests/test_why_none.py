"""Why nothing is said of a customer: each reason where it holds, and no other."""

import polars as pl
import pytest
from tests import moments
from tests.moments import (
    A_LINE,
    AN_ORDER,
    ASKINGS,
    BACK,
    LATE,
    LOW,
    arrival,
    called_off,
    day,
    line,
    parcel,
    review,
    sent_back,
)  # fmt: skip

from ppi_ml.entities import ONE_CUSTOMER, Entity, prepared
from ppi_ml.instants import Cutoff
from ppi_ml.occasions import standing
from ppi_ml.snapshot import Past
from ppi_ml.why_none import of_occasions, of_purchases

SKUS, KINDS = Entity("customer_product"), Entity("customer_product", "category")


def at(number):
    return Cutoff.parse(day(number), moments.ZONE)


def log_of(**tables):
    return moments.log_of(**tables)


# ------------------------------------------------------------------ customers and pairs
TEA = {"sku": "s", "category": "tea", "consumable": "yes"}
PURCHASES = {
    # name: (what customer a is about, tables, why there is no row at day 50)
    "known later": (
        ONE_CUSTOMER, {"order_lines": [line(49, known=60)]},
        "what was ordered before the cutoff was not known then"),
    "a subscription": (
        ONE_CUSTOMER,
        {"order_lines": [line(1, order_type="free"), line(2, "o2", order_type="subscription")]},
        "no purchase before the cutoff, only order lines of the type free, subscription"),
    "cancelled": (
        ONE_CUSTOMER, {"order_lines": [line(1)], "cancellations": [called_off(2)]},
        "every purchase before the cutoff was cancelled"),
    "cancelled, and a gift": (
        ONE_CUSTOMER,
        {"order_lines": [line(1), line(3, "o2", order_type="free")],
         "cancellations": [called_off(2)]},
        "every purchase before the cutoff was cancelled"),
    "no sku": (
        SKUS, {"order_lines": [line(1, sku=None)]}, "no purchase before the cutoff names a sku"),
    "a subscription of a product": (
        SKUS, {"order_lines": [line(1, order_type="subscription")]},
        "no purchase before the cutoff, only order lines of the type subscription"),
    "not consumable": (
        SKUS, {"order_lines": [line(1)], "products": [TEA | {"consumable": "no"}]},
        "nothing that was bought before the cutoff is consumable"),
    "no category": (
        KINDS, {"order_lines": [line(1)], "products": [TEA | {"category": None}]},
        "the table products says no category of anything that was bought before the cutoff"),
    "not listed": (
        KINDS, {"order_lines": [line(1)], "products": [TEA | {"sku": "other"}]},
        "the table products says no category of anything that was bought before the cutoff"),
    "one of each": (
        KINDS,
        {"order_lines": [line(1, sku=None), line(1, number="2")],
         "products": [TEA | {"consumable": "no"}]},
        "no purchase before the cutoff is of a known and consumable product"),
}  # fmt: skip


@pytest.mark.parametrize(("entity", "tables", "reason"), PURCHASES.values(), ids=PURCHASES)
def test_why_a_customer_has_no_row(entity, tables, reason):
    log = prepared(log_of(**tables), entity)
    assert Past(log, at(50), entity).entities.height == 0
    assert of_purchases(log, at(50), entity) == {"a": reason}


def test_who_never_ordered_is_not_named():
    log = log_of(order_lines=[line(60), line(1, "o2", customer_id="b")])
    assert list(of_purchases(log, at(50), ONE_CUSTOMER)) == ["b"]
    assert of_occasions(log, at(50), AN_ORDER, LATE) == {
        "b": "nothing is open: no order is known to be shipped"
    }


def test_everybody_else_is(make_shop, as_log):
    log = as_log(make_shop(customers=40))
    cutoff = Cutoff.parse("2019-06-01", log.timezone)
    lines = log.tables["order_lines"].frame.filter(pl.col("at") < cutoff.at)
    for entity in (ONE_CUSTOMER, SKUS):
        told = of_purchases(prepared(log, entity), cutoff, entity)
        rows = set(Past(prepared(log, entity), cutoff, entity).entities["customer_id"])
        assert set(lines["customer_id"]) - rows <= told.keys()
        assert all(told[name] for name in told.keys() - rows)


# ------------------------------------------------------------------ orders and lines
TWO = [line(1), line(1, "o2")]
CAME = {"order_lines": [line(1)], "shipments": [parcel(2, 9)], "deliveries": [arrival(4)]}
OCCASIONS = {
    # name: (asked about, tables, why nothing is open at day 20)
    "not shipped": (LATE, {"order_lines": TWO}, "no order is known to be shipped"),
    "shipped, but not known": (
        LATE, {"order_lines": TWO, "shipments": [parcel(2, 40, known=30)]},
        "no order is known to be shipped"),
    "cancelled": (
        LATE, {"order_lines": [line(1)], "shipments": [parcel(2, 40)],
               "cancellations": [called_off(3)]},
        "what was shipped in the last 60 days is cancelled"),
    "no promise": (
        LATE, {"order_lines": TWO, "shipments": [parcel(2, None)]},
        "no parcel was promised for a day"),
    "the promise is over": (
        LATE, {"order_lines": TWO, "shipments": [parcel(2, 9)]}, "the promised day is over"),
    "it has come": (LATE, CAME, "every parcel that was promised for a day has come"),
    "one has come, one should have": (
        LATE, CAME | {"order_lines": TWO, "shipments": [parcel(2, 9), parcel(2, 9, "o2", "p2")]},
        "every parcel has come, or its promised day is over"),
    "one has come, one has no promise": (
        LATE, CAME | {"order_lines": TWO, "shipments": [parcel(2, 9), parcel(2, None, "o2", "p2")]},
        "every parcel that was promised for a day has come"),
    "not delivered": (
        LOW, {"order_lines": TWO, "shipments": [parcel(2, 40)]},
        "no order is known to be delivered"),
    "reviewed": (
        LOW, CAME | {"reviews": [review(6, 4.0)]}, "there is a review of every such order"),
    "sent back": (
        BACK, {"order_lines": [line(1)], "returns": [sent_back(6)]}, "everything was sent back"),
    "a line is cancelled": (
        BACK, {"order_lines": [line(1)], "cancellations": [called_off(3, line_id="1")]},
        "what was ordered or delivered in the last 60 days is cancelled"),
}  # fmt: skip


@pytest.mark.parametrize(("asking", "tables", "reason"), OCCASIONS.values(), ids=OCCASIONS)
def test_why_nothing_of_a_customer_is_open(asking, tables, reason):
    entity, log = (A_LINE if asking is BACK else AN_ORDER), log_of(**tables)
    assert standing(log, entity, asking, at(20)).height == 0
    assert of_occasions(log, at(20), entity, asking) == {"a": f"nothing is open: {reason}"}


@pytest.mark.parametrize(("asking", "what"), [(LATE, "shipped"), (LOW, "delivered"),
                                              (BACK, "ordered or delivered")])  # fmt: skip
def test_what_is_long_ago_is_not_asked_about(asking, what):
    entity, log = (A_LINE if asking is BACK else AN_ORDER), log_of(**CAME)
    assert of_occasions(log, at(90), entity, asking) == {
        "a": f"nothing is open: nothing was {what} in the last 60 days"
    }


@pytest.mark.parametrize(("entity", "asking"), ASKINGS.values(), ids=ASKINGS)
def test_everybody_of_whom_nothing_is_open_is_told_why(entity, asking):
    log = log_of(**moments.busy())
    for number in (20, 60, 100):
        open_ = set(standing(log, entity, asking, at(number))["customer_id"])
        told = of_occasions(log, at(number), entity, asking)
        lines = log.until(at(number)).tables["order_lines"].frame
        assert told.keys() == set(lines["customer_id"])
        why = {told[name] for name in told.keys() - open_}
        assert why
        assert all(reason.removeprefix("nothing is open: ") for reason in why)
