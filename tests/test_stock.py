"""Out of stock by hand: what cannot be bought says nothing of those who do not buy it."""

import numpy as np
import polars as pl
import pytest
from tests import shops
from tests.shops import CATEGORY, SKU, by_hand, past

from ppi_ml import entities, labels
from ppi_ml.entities import PRODUCT
from ppi_ml.future import Future
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.snapshots import Wanted

LISTED = [{"sku": sku, "category": c} for sku, c in
          [("t1", "tea"), ("t2", "tea"), ("c1", "coffee"), ("odd", None)]]  # fmt: skip
BOUGHT = [("a", "t1", "2019-05-01T10:00:00"), ("a", "c1", "2019-05-01T11:00:00"),
          ("b", "t2", "2019-05-02T10:00:00")]  # fmt: skip
NOW, LATER = "2019-06-01", "2019-07-01"
SECOND, MICRO = 1 / 86_400, 1 / DAY_US


def stock(*rows):
    """Rows (sku, when, there, known_at?)."""
    return [{"sku": sku, "occurred_at": at, "available": there,
             "known_at": known[0] if known else at} for sku, at, there, *known in rows]  # fmt: skip


def log_of(*rows, lines=(), **how):
    return by_hand([*BOUGHT, *lines], LISTED, until="2019-08-01", stock=stock(*rows), **how)


def out(log, cutoff=NOW, entity=SKU):
    return past(log, cutoff, entity).out_of_stock().to_list()


def outages(log, cutoff=NOW, as_of=LATER, entity=SKU):
    at = [Cutoff.parse(day, log.timezone) for day in (cutoff, as_of)]
    found = Future(entities.prepared(log, entity), *at).next_outage(entity)
    assert found.columns == [PRODUCT, "days"]
    assert not found[PRODUCT].is_duplicated().any()
    return dict(found.rows())


def waits(log, cutoff=NOW, as_of=LATER, entity=SKU, settling=0.0):
    """Pair -> (days, whether the purchase was seen)."""
    data = shops.built(log, cutoff, entity=entity, names=["refills"])
    at = Cutoff.parse(as_of, log.timezone)
    found = labels.durations(data, entities.prepared(log, entity), at, settling)
    pairs = ["-".join(row) for row in data.keys.select(entity.keys).rows()]
    return dict(zip(pairs, zip(found.days.tolist(), found.observed.tolist(), strict=True),
                    strict=True))  # fmt: skip


# ------------------------------------------------------------------ known at the cutoff
def test_out_is_what_the_newest_row_before_the_cutoff_says():
    log = log_of(("t1", "2019-05-10T00:00:00", True), ("t1", "2019-05-20T00:00:00", False),
                 ("c1", "2019-05-10T00:00:00", False), ("c1", "2019-05-20T00:00:00", True),
                 ("t2", "2019-05-31T23:59:59", False),
                 ("odd", "2019-06-01T00:00:00", False))  # fmt: skip
    assert out(log) == ["t1", "t2"]
    assert out(log, "2019-05-20") == ["c1"]  # what occurs at the cutoff is future
    assert out(log, "2019-06-01T00:00:01") == ["odd", "t1", "t2"]
    assert out(log, "2019-05-01") == []


def test_a_row_that_becomes_known_later_is_not_known_yet():
    log = log_of(("t1", "2019-05-10T00:00:00", False), ("t1", "2019-05-20T00:00:00", True,
                                                        "2019-06-01T00:00:00"))  # fmt: skip
    assert out(log) == ["t1"]
    assert out(log, "2019-06-01T00:00:01") == []


def test_a_category_is_out_when_every_sku_of_it_is():
    rows = [("t1", "2019-05-10T00:00:00", False), ("c1", "2019-05-10T00:00:00", False)]
    assert out(log_of(*rows, ("t2", "2019-05-09T00:00:00", True)), entity=CATEGORY) == ["coffee"]
    assert out(log_of(*rows, ("t2", "2019-05-11T00:00:00", False)), entity=CATEGORY) == [
        "coffee", "tea",
    ]  # fmt: skip
    # a sku without a category is no product, however long it is out
    gone = log_of(("odd", "2019-05-10T00:00:00", False))
    assert (out(gone, entity=CATEGORY), out(gone)) == ([], ["odd"])


def test_in_the_hour_that_the_clock_shows_twice_the_later_row_counts():
    """01:50 comes before 01:10, once a year; the rows are read in the order of time."""
    first, second = "2019-10-27T00:50:00+00:00", "2019-10-27T01:10:00+00:00"
    rows = [("t1", first, False), ("t1", second, True), ("c1", first, True), ("c1", second, False)]
    log = by_hand(BOUGHT, LISTED, until="2019-12-01", stock=stock(*rows))
    assert out(log, "2019-10-28") == ["c1"]
    assert outages(log, "2019-10-28", "2019-11-30") == {"c1": 0.0}


def test_a_log_without_stock_knows_of_nothing_that_is_out():
    assert out(by_hand(BOUGHT, LISTED)) == []
    log = by_hand(BOUGHT, LISTED, until="2019-08-01", stock=stock(("t1", "2019-05-10", False)))
    assert out(log) == ["t1"]


def test_pairs_of_what_is_out_are_rows_unless_only_what_is_there_is_wanted():
    log = log_of(("t1", "2019-05-20T00:00:00", False), ("c1", "2019-05-20T00:00:00", True))
    for in_stock, expected in ((False, ["c1", "t1", "t2"]), (True, ["c1", "t2"])):
        data = shops.built(log, NOW, wanted=Wanted(365, in_stock=in_stock))
        assert sorted(data.keys[PRODUCT]) == expected


# ------------------------------------------------------------------ after the cutoff
def test_the_next_outage_is_the_first_after_the_cutoff_or_the_one_that_lasts():
    log = log_of(("t1", "2019-05-10T00:00:00", False), ("t1", "2019-05-20T00:00:00", True),
                 ("t1", "2019-06-04T12:00:00", False), ("t1", "2019-06-08T00:00:00", True),
                 ("t1", "2019-06-20T00:00:00", False), ("t2", "2019-05-10T00:00:00", False),
                 ("t2", "2019-06-02T00:00:00", True), ("t2", "2019-06-05T00:00:00", False),
                 ("c1", "2019-05-10T00:00:00", True))  # fmt: skip
    assert outages(log) == {"t1": 3.5, "t2": 0.0}
    assert outages(log, "2019-06-10") == {"t1": 10.0, "t2": 0.0}
    assert outages(log, "2019-06-02") == {"t1": 2.5, "t2": 0.0}  # t2 comes back at the cutoff
    assert outages(log, "2019-06-02T00:00:01")["t2"] == pytest.approx(3 - SECOND)
    assert outages(log, "2019-06-20") == {"t1": 0.0, "t2": 0.0}


def test_an_outage_known_only_after_the_date_of_sight_is_none():
    log = log_of(("t1", "2019-06-04T00:00:00", False, "2019-06-20T00:00:00"),
                 ("t2", "2019-05-04T00:00:00", False, "2019-06-20T00:00:00"))  # fmt: skip
    assert outages(log, as_of="2019-06-20") == {}
    assert outages(log, as_of="2019-06-20T00:00:01") == {"t1": 3.0, "t2": 0.0}


def test_a_category_has_an_outage_while_every_sku_of_it_is_out():
    t1 = [("t1", "2019-06-04T00:00:00", False), ("t1", "2019-06-20T00:00:00", True)]
    for rows, expected in [
        ((), {}),  # t2 is there until its first row
        ((("t2", "2019-05-01T00:00:00", True),), {}),
        ((("t2", "2019-06-10T00:00:00", False),), {"tea": 9.0}),
        ((("t2", "2019-06-02T00:00:00", False),), {"tea": 3.0}),
        ((("t2", "2019-06-20T00:00:00", False),), {}),  # t1 comes back in that instant
        ((("t2", "2019-05-02T00:00:00", False), ("t2", "2019-06-04T00:00:00", True)), {}),
        ((("t2", "2019-05-02T00:00:00", False), ("t2", "2019-06-04T00:00:01", True)),
         {"tea": 3.0}),
    ]:  # fmt: skip
        found = outages(log_of(*t1, *rows), entity=CATEGORY)
        assert found == expected, rows


def is_out(rows, of, when):
    """Whether none of the skus `of` is there after the rows (at, sku, there) up to an instant."""
    newest = {sku: there for at, sku, there in sorted(rows) if when(at)}
    return all(newest.get(sku) is False for sku in of)


@pytest.mark.parametrize("entity", [SKU, CATEGORY], ids=["skus", "categories"])
def test_outages_of_a_shop_are_those_of_plain_python(entity):
    """Skus that come and go, some late known; many in one instant, because they do at midnight."""
    draw, category = np.random.default_rng(0), dict(shops.products()["sku", "category"].rows())
    start, as_of = Cutoff.parse("2018-01-01", shops.ZONE), Cutoff.parse("2019-06-01", shops.ZONE)
    table, rows, skus = [], {}, {}
    for sku in (f"s{i}" for i in range(shops.SKUS)):
        days = np.unique(np.cumsum(draw.exponential(25, 20)).round(2 if sku > "s4" else -1)) + 130
        for i, day in enumerate(days):
            at, known = start.plus(day), start.plus(day + draw.choice([0, 30], p=[0.8, 0.2]))
            table.append((sku, str(at), i % 2 == 1, str(known)))
            product = sku if entity is SKU else category.get(sku)
            if known < as_of and product is not None:
                rows.setdefault(product, []).append((at, sku, i % 2 == 1))
                skus.setdefault(product, set()).add(sku)
    log = by_hand(BOUGHT, shops.products().to_dicts(), until="2019-08-01", stock=stock(*table))
    later = 0
    for cutoff in (start.plus(day) for day in (0, 140, 200, 250.5, 300, 350, 400)):
        expected = {}
        for product, of in skus.items():
            own = rows[product]
            if is_out(own, of, lambda at: at < cutoff):  # noqa: B023
                expected[product] = 0.0
                continue
            coming = sorted({at for at, *_ in own if at >= cutoff})
            out_at = [at for at in coming if is_out(own, of, lambda t: t <= at)]  # noqa: B023
            if out_at:
                expected[product] = out_at[0].days_since(cutoff)
                later += 1
        assert outages(log, str(cutoff), str(as_of), entity) == pytest.approx(expected, abs=1e-9)
    assert later > 15


# ------------------------------------------------------------------ waiting times
AGAIN = [("a", "t1", "2019-06-05T00:00:00"), ("a", "c1", "2019-06-05T00:00:00")]


def test_a_wait_ends_at_the_outage_and_nothing_after_it_counts():
    before = log_of(("t1", "2019-06-06T00:00:00", False), lines=AGAIN)
    assert waits(before) == {"a-c1": (4 + MICRO, True), "a-t1": (4 + MICRO, True),
                             "b-t2": (30.0, False)}  # fmt: skip
    after = log_of(("t1", "2019-06-03T12:00:00", False), ("t1", "2019-06-04T00:00:00", True),
                   ("t2", "2019-06-21T00:00:00", False), lines=AGAIN)  # fmt: skip
    assert waits(after) == {"a-c1": (4 + MICRO, True), "a-t1": (2.5, False), "b-t2": (20.0, False)}


def test_an_outage_after_the_end_of_sight_changes_nothing():
    log = log_of(("t2", "2019-06-28T00:00:00", False), lines=AGAIN)
    assert waits(log, settling=5.0)["b-t2"] == (25.0, False)
    assert waits(log, settling=1.0)["b-t2"] == (27.0, False)


def test_of_what_is_out_at_the_cutoff_nothing_is_learned():
    log = log_of(("t1", "2019-05-20T00:00:00", False), ("t1", "2019-06-02T00:00:00", True),
                 lines=AGAIN)  # fmt: skip
    (days, seen) = waits(log)["a-t1"]
    assert not seen
    assert 0 < days <= SECOND
    assert waits(log, "2019-06-02T00:00:01")["a-t1"][1]


def test_a_category_of_which_one_sku_is_left_can_be_bought():
    lines = [("a", "t1", "2019-06-05T00:00:00"), ("b", "t2", "2019-06-25T00:00:00")]
    one = [("t1", "2019-06-03T00:00:00", False), ("t2", "2019-05-03T00:00:00", True)]
    log = log_of(*one, lines=lines)
    assert waits(log)["a-t1"] == (2.0, False)
    told = waits(log, entity=CATEGORY)
    assert told["a-tea"] == (4 + MICRO, True)
    assert told["b-tea"] == (24 + MICRO, True)
    both = log_of(*one, ("t2", "2019-06-11T00:00:00", False), lines=lines)
    assert waits(both, entity=CATEGORY)["b-tea"] == (10.0, False)
    assert waits(both, entity=CATEGORY)["a-tea"] == (4 + MICRO, True)


def test_an_outage_on_a_day_leaves_the_whole_days_before_it_in_a_table_of_days():
    days = {"a": "2019-06-03", "b": "2019-06-04", "c": "2019-06-05"}
    lines = [(who, "t1", day) for who in days for day in ("2019-05-01", days[who])]
    log = by_hand(lines, LISTED, granularity="day", until="2019-08-01",
                  stock=stock(("t1", "2019-06-04T15:00:00", False)))  # fmt: skip
    # a bought on the third day; on the fourth, b's, it may have been gone already
    assert waits(log) == {"a-t1": (3.0, True), "b-t1": (3.0, False), "c-t1": (3.0, False)}


def why(log, wanted=None, entity=SKU):
    """What is said where the training rows of these cutoffs show no purchase."""
    cutoffs = ("2019-05-15", NOW)
    data = shops.built(log, *cutoffs, entity=entity, names=["refills"], wanted=wanted)
    found = labels.durations(
        data, entities.prepared(log, entity), Cutoff.parse(LATER, log.timezone)
    )
    assert not found.observed.any()
    return labels.nobody_bought(
        data, entities.prepared(log, entity), Cutoff.parse(LATER, log.timezone)
    )


def test_where_stock_hides_every_purchase_it_is_the_stock_that_is_blamed():
    again = [("a", "t1", "2019-06-10T10:00:00")]
    gone = [(sku, "2019-05-10T00:00:00", False) for sku in ("t1", "t2", "c1")]
    there = [(sku, "2019-05-10T00:00:00", True) for sku in ("t1", "t2", "c1")]
    blamed = "by the table stock, what customers buy was out of stock"
    assert why(log_of(*gone, lines=again)).startswith(blamed)
    none = Wanted(180, in_stock=True)
    assert why(log_of(*gone, lines=again), none).startswith(blamed)  # no rows at all
    late = f"nobody bought between the training cutoffs and {LATER}; load newer events"
    assert why(log_of(*gone)) == why(log_of(*there)) == why(log_of(*there), none) == late


def test_customers_know_no_outages():
    """Who waits for anything at all is not waiting for one product."""
    from ppi_ml import dataset

    log = log_of(("t1", "2019-06-02T00:00:00", False), lines=AGAIN)
    at = [Cutoff.parse(day, log.timezone) for day in (NOW, LATER)]
    data = dataset.build(log, at[:1], dataset.families(["cadence"]))
    assert labels.durations(data, log, at[1]).observed.tolist() == [True, False]


def test_labels_of_a_shop_are_those_of_plain_python():
    """Every pair of the pantry at one cutoff: the first purchase, outage or end of sight."""
    tables = shops.pantry(seed=2, customers=60)
    log, cutoff, as_of, settling = shops.load(tables), "2019-06-01T09:00:00", "2019-09-01", 7.0
    told = waits(log, cutoff, as_of, settling=settling)
    at = [Cutoff.parse(day, log.timezone) for day in (cutoff, as_of)]
    known = {n: tables[n].filter(pl.col("known_at").dt.epoch("us") < at[1].at)
             .sort("occurred_at").to_dicts() for n in ("order_lines", "stock")}  # fmt: skip
    sight = at[1].days_since(at[0]) - settling

    def ago(moment):  # a summer in which the clock never changes
        return (moment.timestamp() * 1e6 - at[0].at) / DAY_US

    outage = {}
    for row in known["stock"]:
        day, sku = ago(row["occurred_at"]), row["sku"]
        if day < 0:
            outage[sku] = np.inf if row["available"] else SECOND
        elif not row["available"]:
            outage[sku] = min(outage.get(sku, np.inf), day)
    bought = {}
    for row in known["order_lines"]:
        if row["order_type"] == "one_off" and ago(row["occurred_at"]) >= 0 and row["sku"]:
            pair = f"{row['customer_id']}-{row['sku']}"
            bought.setdefault(pair, ago(row["occurred_at"]) + MICRO)
    counts = dict.fromkeys(("bought", "out", "nothing"), 0)
    for pair, (days, seen) in told.items():
        ends = min(sight, outage.get(pair.split("-")[1], np.inf))
        expected = min(bought.get(pair, np.inf), ends)
        assert (days, seen) == (pytest.approx(expected, abs=1e-9), expected < ends)
        counts["bought" if seen else "out" if ends < sight else "nothing"] += 1
    assert min(counts.values()) > 10
