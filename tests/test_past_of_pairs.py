"""The past of pairs by hand: days, substitutes, parcels, and what came since the last purchase."""

import numpy as np
import polars as pl
import pytest
from tests import shops
from tests.shops import CATEGORY, SKU, by_hand, past

from ppi_ml import aggregation, dataset, entities
from ppi_ml.entities import PAIR, PRODUCT
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.snapshot import Past

HOUR = DAY_US // 24
CATEGORIES = {"t1": "tea", "t2": "tea", "t3": "tea", "c1": "coffee", "odd": None}
LISTED = [{"sku": sku, "category": category} for sku, category in CATEGORIES.items()]
NOW = "2019-06-01"


def log_of(*lines, **tables):
    return by_hand(lines, LISTED, until="2019-08-01", **tables)


def view(log, name, customer="a", product="t1", entity=SKU):
    """The rows of a pair (or of the customer) in a view, with ages in days."""
    frame = past(log, NOW, entity).view(name).filter(pl.col("customer_id") == customer)
    if PRODUCT in frame.columns:
        frame = frame.filter(pl.col(PRODUCT) == product)
    return frame.with_columns(pl.col("^.*_us$") / DAY_US).to_dicts()


def column(rows, name):
    return [row[name] for row in rows]


# ------------------------------------------------------------------ purchases and trips
def test_a_purchase_of_a_pair_is_all_of_the_product_on_one_local_day():
    log = log_of(("a", "t1", "2019-05-01T09:00:00", {"quantity": 2, "promo_code": None}),
                 ("a", "t1", "2019-05-01T21:00:00", {"quantity": 3, "promo_code": "SAVE"}),
                 ("a", "c1", "2019-05-01T09:00:00", {"quantity": 9, "promo_code": None}),
                 ("a", "t1", "2019-05-03T09:00:00",
                  {"quantity": 1, "promo_code": None}))  # fmt: skip
    days = view(log, "purchases")
    assert column(days, "units_e3") == [5_000, 1_000]
    assert column(days, "orders") == [2, 1]
    assert column(days, "coded") == [True, False]
    assert column(days, "gap_us") == [None, 2.0]
    assert column(days, "age_us") == [30.625, 28.625]
    assert column(view(log, "trips"), "lines") == [3, 1]
    whole = past(log, NOW).entities
    assert whole.select("customer_id", PRODUCT, "purchases").rows() == [("a", "c1", 1),
                                                                       ("a", "t1", 2)]  # fmt: skip


def test_a_trip_is_a_day_with_anything_even_what_is_no_product():
    log = log_of(("a", "t1", "2019-05-01T09:00:00"), ("a", None, "2019-05-08T09:00:00"),
                 ("a", "odd", "2019-05-09T09:00:00"),
                 ("b", "t1", "2019-05-20T09:00:00"))  # fmt: skip
    for entity, product in ((SKU, "t1"), (CATEGORY, "tea")):
        assert len(view(log, "trips", product=product, entity=entity)) == 3
        assert len(view(log, "purchases", product=product, entity=entity)) == 1
    assert past(log, NOW).keys_of("trips") == ("customer_id",)
    assert past(log, NOW).keys_of("purchases") == SKU.keys


# ------------------------------------------------------------------ substitutes
def test_substitutes_are_days_of_others_of_the_group_since():
    log = log_of(("a", "t1", "2019-05-10T12:00:00"), ("a", "t2", "2019-05-09T12:00:00"),
                 ("a", "t2", "2019-05-10T12:00:00"), ("a", "t2", "2019-05-20T08:00:00"),
                 ("a", "t3", "2019-05-20T20:00:00"), ("a", "t3", "2019-05-21T20:00:00"),
                 ("a", "c1", "2019-05-22T20:00:00"), ("b", "t2", "2019-05-23T20:00:00"),
                 ("a", "odd", "2019-05-24T20:00:00"))  # fmt: skip
    assert column(view(log, "substitutes"), "age_us") == [pytest.approx(10 + 4 / 24),
                                                          pytest.approx(11 + 16 / 24)]  # fmt: skip
    assert view(log, "substitutes", product="t3") == []
    assert view(log, "substitutes", product="odd") == []
    assert len(view(log, "substitutes", product="t2")) == 2  # t3, that evening and a day later


def test_of_two_substitutes_on_one_day_the_first_order_tells_its_age():
    """However the rows happen to be grouped: it must not be the luck of a hash."""
    both = [("t2", "08:00:00"), ("t3", "20:00:00")]
    for order in (both, both[::-1]):
        lines = [(f"c{i}", "t1", "2019-05-01T10:00:00") for i in range(30)]
        lines += [(f"c{i}", sku, f"2019-05-10T{at}") for i in range(30) for sku, at in order]
        frame = past(log_of(*lines), NOW).substitutes.filter(pl.col(PRODUCT) == "t1")
        assert frame["age_us"].to_list() == [21 * DAY_US + 16 * HOUR] * 30


# ------------------------------------------------------------------ parcels
def parcels(*rows):
    return [{"customer_id": "a", "order_id": order, "occurred_at": at, "known_at": known or at}
            for order, at, known in rows]  # fmt: skip


def test_orders_arrive_with_their_last_parcel_or_are_on_the_way():
    log = log_of(("a", "t1", "2019-05-01T00:00:00", {"order_id": "x"}),
                 ("a", "t1", "2019-05-10T00:00:00", {"order_id": "y"}),
                 ("a", "t1", "2019-05-20T00:00:00", {"order_id": "z"}),
                 ("a", "c1", "2019-05-28T00:00:00", {"order_id": "w"}),
                 deliveries=parcels(("x", "2019-05-03", None), ("x", "2019-05-05", None),
                                    ("y", "2019-05-30", "2019-06-01T00:00:00"),
                                    ("w", "2019-05-29", None)))  # fmt: skip
    (there,) = view(log, "arrivals")
    assert (there["age_us"], there["way_us"]) == (27.0, 4.0)
    assert column(view(log, "on_the_way"), "age_us") == [22.0, 12.0]
    assert column(view(log, "on_the_way", product="c1"), "age_us") == []
    assert view(log, "arrivals", product="c1")[0]["way_us"] == 1.0


def test_a_parcel_before_its_order_took_no_time():
    log = log_of(("a", "t1", "2019-05-10T00:00:00", {"order_id": "x"}),
                 deliveries=parcels(("x", "2019-05-09", None)))  # fmt: skip
    assert view(log, "arrivals")[0]["way_us"] == 0.0


def test_of_orders_of_one_instant_the_one_that_came_last_is_the_last():
    """In a table of days all orders of a day are of one instant; no hash may choose."""
    lines = [("a", sku, "2019-05-01", {"order_id": f"{sku}{i}"})
             for sku in ("t1", "t2", "t3", "c1") for i in range(6)]  # fmt: skip
    draw = np.random.default_rng(0)
    days = {line[3]["order_id"]: int(draw.integers(1, 20)) for line in lines}
    came = parcels(*((order, f"2019-05-{1 + day:02d}", None) for order, day in days.items()))
    log = by_hand(lines, LISTED, granularity="day", until="2019-08-01", deliveries=came)
    data = shops.built(log, NOW, names=["arrivals"])
    expected = [max(day for order, day in days.items() if order[:2] == sku)
                for sku in data.keys[PRODUCT]]  # fmt: skip
    assert data.column("arrivals__way__last").tolist() == expected


# ------------------------------------------------------------------ since the last purchase
def test_what_came_with_the_last_purchase_or_after_it_came_since():
    def told(table, more):
        rows = [{"customer_id": who, "sku": sku, "occurred_at": at, **more}
                for who, sku, at in [("a", "t1", "2019-05-09T23:59:59"),
                                     ("a", "t1", "2019-05-10T12:00:00"),
                                     ("a", "t2", "2019-05-11T12:00:00"),
                                     ("a", None, "2019-05-11T12:00:00"),
                                     ("a", "t1", "2019-05-12T12:00:00"),
                                     ("stranger", "t1", "2019-05-12T12:00:00")]]  # fmt: skip
        log = log_of(("a", "t1", "2019-05-01T12:00:00"), ("a", "t1", "2019-05-10T12:00:00"),
                     **{table: rows})  # fmt: skip
        assert view(log, table, "stranger")[0]["since_last"] is False
        return column(view(log, table), "since_last")

    assert told("returns", {"quantity": 1}) == [False, True, True]
    assert told("usage", {"amount": 1.0}) == [False, True, True]


# ------------------------------------------------------------------ one and all
@pytest.mark.parametrize("entity", [SKU, CATEGORY], ids=["skus", "categories"])
def test_a_pair_alone_has_the_values_of_the_batch_to_the_last_bit(entity):
    """A frame of one row must not be summed, divided or sorted otherwise than one of many."""
    log = entities.prepared(shops.load(shops.pantry()), entity)
    everybody = Past(log, Cutoff.parse("2019-08-01", shops.ZONE), entity)
    chosen = dataset.families(entity=PAIR)
    learned = {
        f.name: f.learned.fit(f.learned.collect(everybody.seen)) for f in chosen if f.learned
    }
    whole = {f.name: aggregation.compute(f, everybody, learned.get(f.name)) for f in chosen}
    for i in range(0, everybody.entities.height, 9):
        alone = everybody.only(everybody.entities[i])
        for family in chosen:
            one = aggregation.compute(family, alone, learned.get(family.name))
            same = whole[family.name][i]
            if family.name == "refills":  # its sums are kept as they are, not as float32
                assert one.equals(same, null_equal=True), family.name
            else:
                single = (frame.cast({pl.Float64: pl.Float32}) for frame in (one, same))
                assert next(single).equals(next(single), null_equal=True), family.name
