"""Products and customers that change: rows with `valid_from`, by hand."""

import re
from datetime import datetime

import polars as pl
import pytest
from tests.by_hand import log_of, says
from tests.shops import CATEGORY, SKU, by_hand, past

from ppi_ml import entities, kinds, run_outs, validity, why_none
from ppi_ml.entities import PRODUCT
from ppi_ml.errors import DataError
from ppi_ml.events import newest_months
from ppi_ml.future import Future
from ppi_ml.instants import Cutoff
from ppi_ml.intake import RawTable, admit
from ppi_ml.snapshot import Past

ZONE = "Europe/London"
BOUGHT = [("a", "t1", "2019-03-01T10:00:00"), ("a", "t1", "2019-05-01T10:00:00"),
          ("b", "t2", "2019-05-02T10:00:00")]  # fmt: skip
MOVED = [{"sku": "t1", "category": "tea"}, {"sku": "t2", "category": "tea"},
         {"sku": "t1", "category": "gifts", "valid_from": "2019-04-01"}]  # fmt: skip


def read(rows, name="products"):
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return admit(name, RawTable(frame), zone=ZONE, currency="GBP")


def at(day):
    return Cutoff.parse(day, ZONE)


def since(got):
    """What `valid_from` shows on the clock of the shop."""
    moments = got.frame["valid_from"].cast(pl.Datetime("us", "UTC"))
    return [None if m is None else m.replace(tzinfo=None)
            for m in moments.dt.convert_time_zone(ZONE).to_list()]  # fmt: skip


# ------------------------------------------------------------------ what is read
def test_a_key_may_have_several_rows_that_begin_at_different_times():
    got = read([
        {"sku": "a", "category": "new", "valid_from": "2019-07-01"},
        {"sku": "a", "category": "old", "valid_from": ""},
        {"sku": "a", "category": "newest", "valid_from": "2019-08-01 12:30"},
        {"sku": "b", "category": "tea", "valid_from": None},
    ])  # fmt: skip
    assert (got.report.kept, got.report.repaired, got.report.quarantined) == (4, {}, {})
    assert got.frame.select("sku", "category").rows() == [
        ("a", "old"), ("a", "new"), ("a", "newest"), ("b", "tea"),
    ]  # fmt: skip
    assert since(got) == [None, datetime(2019, 7, 1), datetime(2019, 8, 1, 12, 30), None]
    assert not any("valid_from" in note for note in got.notes)


def test_two_rows_of_one_key_and_beginning_are_told_apart_by_nothing():
    rows = [{"customer_id": "a", "region": r, "valid_from": v}
            for r, v in [("n", None), ("n", None), ("s", None), ("s", "2019-07-01"),
                         ("s", "2019-07-01"), ("w", "2019-07-01T00:00:00")]]  # fmt: skip
    got = read(rows, "customers")
    assert got.report.quarantined == {"duplicate of an earlier row": 2,
                                      "key repeated with other content": 2}  # fmt: skip
    assert got.frame["region"].to_list() == ["n", "s"]
    assert set(got.quarantine["column"]) == {"customer_id, valid_from"}


def test_without_the_column_the_key_is_the_id_alone():
    got = read([{"sku": "a", "category": "x"}, {"sku": "a", "category": "y"}])
    assert got.report.quarantined == {"key repeated with other content": 1}
    assert (got.quarantine["column"].to_list(), got.quarantine["value"].to_list()) == (
        ["sku"],
        ["a"],
    )
    assert got.frame["valid_from"].null_count() == 1


def test_a_beginning_before_all_times_is_always_and_one_after_them_is_none():
    days = ["0001-01-01", "1900-01-01", "1970-01-01", "9999-12-31", "soon", "2019-07-01"]
    got = read([{"sku": str(i), "valid_from": day} for i, day in enumerate(days)])
    assert got.report.repaired == {"valid_from before 1970-01-02, so always": 3}
    assert got.report.quarantined == {
        "valid_from must be an ISO date or time": 1,
        "valid_from must lie between 1970-01-02 and 2200-01-01": 1,
    }
    assert since(got) == [None, None, None, datetime(2019, 7, 1)]


def test_what_is_to_come_may_be_listed_and_the_log_that_ends_before_does_not_know_of_it():
    log = by_hand(BOUGHT, MOVED)
    assert log.tables["products"].frame.height == 3
    assert log.until("2019-04-01").tables["products"].frame.height == 3
    assert log.until("2019-03-31").tables["products"].frame["category"].to_list() == ["tea", "tea"]
    assert str(log.products["valid_from"].dropna().iloc[0]) == "2019-04-01 00:00:00+01:00"


def test_a_table_of_which_no_row_has_begun_is_told():
    """Such as one with the day of its export for `valid_from`."""
    later = [row | {"valid_from": "2020-01-01"} for row in MOVED[:2]]
    told = (
        "products: nothing of it is known, because every row begins after 2019-05-02, where the "
        "log ends; leave valid_from empty where a row always held"
    )
    assert told in by_hand(BOUGHT, later).report.notes
    for some in (MOVED, later[:1] + MOVED[1:2]):
        assert not any("nothing of it" in note for note in by_hand(BOUGHT, some).report.notes)


def test_products_that_begin_after_the_last_order_make_no_pair_and_it_is_told_why():
    later = [row | {"valid_from": "2020-01-01"} for row in MOVED[:2]]
    for products, why in ((later, 'is empty, not valid yet (valid_from), or'),
                          ([{"sku": "t1"}], "is empty, or consumable is no")):  # fmt: skip
        log = entities.prepared(by_hand(BOUGHT, products), CATEGORY)
        with pytest.raises(DataError, match=re.escape(why)):
            entities.in_no_pair(log, CATEGORY)


def test_a_log_says_other_things_with_other_beginnings_and_the_same_without():
    logs = [by_hand(BOUGHT, [{"sku": "t1", "category": "tea", **more}])
            for more in ({}, {"valid_from": None}, {"valid_from": "2019-04-01"},
                         {"valid_from": "2019-04-02"})]  # fmt: skip
    prints = [log.fingerprint for log in logs]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    # what a log of an older version said of itself stays true
    said = [b"valid_from" in b"".join(log.tables["products"].content()) for log in logs]
    assert said == [False, False, True, True]


# ------------------------------------------------------------------ what holds
def test_the_newest_row_that_has_begun_holds():
    frame = by_hand(BOUGHT, MOVED).tables["products"].frame
    for day, category in (("2019-03-31T23:59:59", "tea"), ("2019-04-01", "gifts")):
        held = validity.holding(frame, "sku", at(day).at)
        assert held.select("sku", "category").rows() == [("t1", category), ("t2", "tea")]
        assert "valid_from" not in held.columns


def test_before_its_first_row_nothing_is_known_of_a_key():
    frame = by_hand(BOUGHT, MOVED[2:]).tables["products"].frame
    assert validity.holding(frame, "sku", at("2019-03-31").at).is_empty()


def test_the_region_of_a_customer_is_that_of_the_cutoff():
    noon = "2018-06-01T12:00:00"
    who = [{"customer_id": "a", "region": "north"},
           {"customer_id": "a", "region": "south", "valid_from": noon}]  # fmt: skip
    alone = {r: log_of([("a", 5)], customers=[{"customer_id": "a", "region": r}])
             for r in ("north", "south")}  # fmt: skip
    log = log_of([("a", 5)], customers=who)
    for day, region in ((151, "north"), (151.5, "south"), (300, "south")):
        assert says(log, "profile", day) == says(alone[region], "profile", day)


# ------------------------------------------------------------------ pairs
def test_a_line_keeps_the_product_that_it_had():
    log = entities.prepared(by_hand(BOUGHT, MOVED), CATEGORY)
    assert log.tables["order_lines"].frame[PRODUCT].to_list() == ["tea", "gifts", "tea"]
    for cutoff in ("2019-04-10", "2019-06-01"):
        pairs = past(by_hand(BOUGHT, MOVED), cutoff, CATEGORY).entities
        assert ("a", "tea") in pairs.select("customer_id", PRODUCT).rows()


def test_what_is_sent_back_is_what_was_ordered():
    back = [{"customer_id": "a", "sku": "t1", "quantity": 1, "occurred_at": "2019-04-05T10:00:00",
             **more} for more in ({"order_id": "o0"}, {"order_id": None})]  # fmt: skip
    log = entities.prepared(by_hand(BOUGHT, MOVED, returns=back), CATEGORY)
    returns = log.tables["returns"].frame.sort("order_id", nulls_last=True)
    assert returns[PRODUCT].to_list() == ["tea", "gifts"]


def test_a_pack_has_the_size_of_its_day_beside_what_is_usual_at_the_cutoff():
    sizes = [{"sku": "t1", "unit_size": 8.0, "valid_from": None},
             {"sku": "t1", "unit_size": 2.0, "valid_from": "2019-04-01"}]  # fmt: skip
    products = [{**row, "category": "tea", "unit_of_measure": "kg"} for row in sizes]
    log = by_hand(BOUGHT[:2], products)
    early = past(log, "2019-03-15").purchases["amount_e6"].to_list()
    assert early == [0]  # eight is what is usual
    assert past(log, "2019-06-01").purchases["amount_e6"].to_list() == [1_386_294, 0]  # ln(8 / 2)


def test_a_group_is_that_of_the_cutoff_and_one_for_all_lines():
    for cutoff, group in (("2019-03-15", "tea"), ("2019-04-15", "gifts"), ("2019-06-01", "gifts")):
        rows = past(by_hand(BOUGHT, MOVED), cutoff, SKU).entities.filter(pl.col(PRODUCT) == "t1")
        assert rows["product_group"].to_list() == [group]


def test_what_a_model_keeps_is_what_held_at_the_end_of_its_log():
    log = by_hand(BOUGHT, [*MOVED, {"sku": "t2", "category": "late", "valid_from": "2030-01-01"}])
    assert dict(entities.as_trained(SKU, log).groups) == {"t1": "gifts", "t2": "tea"}


def test_what_is_not_consumable_any_more_was_so_when_it_was_bought():
    products = [
        {"sku": "t1", "category": "tea", "consumable": "yes"},
        {"sku": "t1", "category": "tea", "consumable": "no", "valid_from": "2019-04-01"},
    ]
    log = entities.prepared(by_hand(BOUGHT[:2], products), SKU)
    assert log.tables["order_lines"].frame[PRODUCT].to_list() == ["t1", None]
    assert entities.in_no_pair(log, SKU) == (
        "1 order lines are of what is not consumable; they are in no pair",
    )
    later = entities.prepared(by_hand(BOUGHT[1:2], products), SKU)
    with pytest.raises(DataError, match="no order line has a product"):
        entities.in_no_pair(later, SKU)
    assert why_none.of_purchases(later, at("2019-06-01"), SKU) == {
        "a": "nothing that was bought before the cutoff is consumable"
    }


def test_a_sku_that_is_listed_later_was_a_product_of_its_own():
    products = [{"sku": "t1", "category": "tea", "valid_from": "2019-04-01"}]
    told = {e: entities.prepared(by_hand(BOUGHT, products), e).tables["order_lines"].frame[PRODUCT]
            for e in (SKU, CATEGORY)}  # fmt: skip
    assert told[SKU].to_list() == ["t1", "t1", "t2"]
    assert told[CATEGORY].to_list() == [None, "tea", None]


def test_out_of_stock_is_a_product_whose_skus_of_the_cutoff_are():
    stock = [{"sku": "t2", "occurred_at": "2019-03-01T00:00:00", "available": False},
             {"sku": "t1", "occurred_at": "2019-03-01T00:00:00", "available": True}]  # fmt: skip
    log = by_hand(BOUGHT, MOVED, until="2019-08-01", stock=stock)
    assert past(log, "2019-03-15", CATEGORY).out_of_stock().to_list() == []
    assert past(log, "2019-04-15", CATEGORY).out_of_stock().to_list() == ["tea"]  # t1 is a gift now
    assert past(log, "2019-04-15", SKU).out_of_stock().to_list() == ["t2"]
    ready = entities.prepared(log, CATEGORY)
    for day, gone in (("2019-03-15", {}), ("2019-04-15", {"tea": 0.0})):
        assert dict(Future(ready, at(day), at("2019-08-01")).next_outage(CATEGORY).rows()) == gone
    assert set(kinds.stocked(ready, CATEGORY, at("2019-04-15"))["product_skus"]) == {1}


def test_the_list_of_run_outs_calls_products_what_they_are_called_now():
    products = [{"sku": "t1", "name": "Tea"},
                {"sku": "t1", "name": "Finest Tea", "valid_from": "2019-04-01"}]  # fmt: skip
    for day, name in (("2019-03-01", "Tea"), ("2019-05-01", "Finest Tea")):
        told = run_outs.what_they_are(by_hand(BOUGHT, products), SKU, at(day))
        assert told.rows() == [("t1", name)]


def test_keep_months_drops_what_others_had_superseded_before():
    who = [
        {"customer_id": "a", "region": r, "valid_from": v}
        for r, v in [("n", None), ("s", "2018-02-01"), ("w", "2018-05-01"), ("e", "2018-12-01")]
    ]
    who += [{"customer_id": "b", "region": "n", "valid_from": None}]
    log = log_of([("a", 5), ("a", 300), ("b", 310)], customers=who, days=320)
    kept = newest_months(log, 6)  # from the middle of May on
    assert str(kept.observed_from)[:10] == "2018-05-17"
    table = kept.tables["customers"]
    assert table.frame.select("customer_id", "region").rows() == [
        ("a", "w"),
        ("a", "e"),
        ("b", "n"),
    ]
    assert any("customers: 2 events" in note for note in kept.report.notes)
    for day in (137, 250, 340):
        cutoff = Cutoff.parse(datetime(2018, 1, 1), "UTC").plus(day)
        regions = [Past(one, cutoff).seen("customers")["region"].to_list() for one in (log, kept)]
        assert regions[0] == regions[1]
