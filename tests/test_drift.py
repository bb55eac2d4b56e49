"""What differs from the log of the training: each change is named, and no other."""

import json

import polars as pl
import pytest
from tests import bazaar

from ppi_ml import drift, simulate
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff

ZONE = "UTC"


@pytest.fixture(scope="module")
def shop():
    """Two years of a simulated brand with every table, frames by name."""
    return dict(simulate.simulate_brand(400, days=500, seed=5).tables)


def report(tables, timezone=ZONE, currency="EUR", **granularity):
    """The load report of frames, as JSON has it."""
    raw = {
        name: RawTable(frame, granularity.get(name, "instant")) for name, frame in tables.items()
    }
    log = load_tables(raw, timezone=timezone, currency=currency, max_quarantined=0.9)
    return json.loads(json.dumps(log.report.to_dict()))


@pytest.fixture(scope="module")
def then(shop):
    return report(shop)


def cells(name, **columns):
    """Other columns in one table; None takes a column away."""

    def change(shop):
        gone = [column for column, value in columns.items() if value is None]
        made = {column: value for column, value in columns.items() if value is not None}
        return {**shop, name: shop[name].with_columns(**made).drop(gone)}

    return change


def newest(column, value, days=90):
    """Another value in the last so many days."""
    late = pl.col("occurred_at") > pl.col("occurred_at").max() - pl.duration(days=days)
    return pl.when(late).then(value).otherwise(column)


def rows(name, keep):
    """Only some rows of a table."""
    return lambda shop: {**shop, name: shop[name].filter(keep)}


def without(name):
    return lambda shop: {n: frame for n, frame in shop.items() if n != name}


ROW = pl.int_range(pl.len())
NULL = pl.lit(None, dtype=pl.String)

MOVED = {
    # what changes: (change, where it is told, gone, what it was, what it is now, what it means)
    "a table vanished": (
        without("deliveries"), "deliveries", True, "rows", "none", "all its features are null"),
    "a table without rows": (
        rows("surveys", pl.lit(value=False)), "surveys", True, "rows", "none",
        "all its features are null"),
    "a column vanished": (
        cells("shipments", promised_at=None), "shipments.promised_at", True,
        "filled in 100.0% of the rows", "no such column", "features made of it are null"),
    "a column is empty everywhere": (
        cells("shipments", region=NULL), "shipments.region", True,
        "filled in 100.0% of the rows", "empty everywhere", "features made of it are null"),
    "a column is no longer filled": (
        cells("shipments", region=newest("region", NULL)), "shipments.region", True,
        "filled in 100.0% of the rows", "empty everywhere", "features made of it are null"),
    "a column with a default vanished": (
        cells("order_lines", quantity=None), "order_lines.quantity", True,
        "filled in 100.0% of the rows", "no such column", "its default stands everywhere"),
    "a column is filled half of the time": (
        cells("shipments", region=pl.when(ROW % 2 == 0).then("region")), "shipments.region", False,
        "empty in 0.0% of the rows", "50.", "null more often"),
    "a column is filled less since last month": (
        cells("shipments", region=newest("region", NULL, days=20)), "shipments.region", False,
        "empty in 0.0% of the rows", "2", "null more often"),
    "ids lost their leading zeros": (
        cells("order_lines", sku=pl.format("00{}", ROW % 60)), "order_lines.sku", False,
        "leading zeros in 0% of the cells", "100%", "ids of then and now do not meet"),
    "ids became numbers": (
        cells("shipments", order_id=ROW.cast(pl.String)), "shipments.order_id", False,
        "digits alone in 0% of the cells", "100%", "ids of then and now do not meet"),
    "prices became cents": (
        cells("order_lines", unit_price=pl.col("unit_price") * 100), "order_lines.unit_price",
        False, " in the middle", " in the middle", "lie outside of what the model saw"),
    "numbers became decimals": (
        cells("reviews", rating=(pl.col("rating") - 0.5).clip(1)), "reviews.rating", False,
        "whole numbers in 100% of the cells", "%", "another unit"),
    "promises became longer": (
        cells("shipments", promised_at=pl.col("promised_at") + pl.duration(days=9)),
        "shipments.promised_at", False, "days, ", "days, ", "lie outside of what the model saw"),
    "rows become known later": (
        cells("reviews", known_at=pl.col("occurred_at") + pl.duration(days=9)),
        "reviews.known_at", False, "of the rows known late", "100.0%", "what counts as known"),
    "lateness is no longer measured": (
        cells("reviews", known_at=None), "reviews.known_at", False, "of the rows known late",
        "not measured", "what counts as known"),
    "a word has another name": (
        cells("shipments", carrier=pl.col("carrier").replace("swift", "SWIFT")),
        "shipments.carrier", False, '"swift" in ', "hardly any", "serves nobody"),
    "a word is new": (
        cells("shipments", carrier=pl.when(ROW % 4 == 0).then(pl.lit("owl")).otherwise("carrier")),
        "shipments.carrier", False, "no such word", '"owl" in 2', "train again"),
    "a choice is new": (
        cells("order_lines", order_type=pl.when(ROW % 5 == 0).then(pl.lit("exchange"))
              .otherwise("order_type")),
        "order_lines.order_type", False, "no such word", '"exchange" in ', "train again"),
    "words changed their shares": (
        cells("shipments", service=pl.when(ROW % 2 == 0).then(pl.lit("express"))
              .otherwise("service")),
        "shipments.service", False, '"', "%", "the mix of its words"),
    "a vocabulary became free": (
        cells("shipments", region=pl.format("street {}", ROW)), "shipments.region", False,
        "8 words", " words", "another column may stand for it"),
    "half of the rows are missing": (
        rows("exposures", ROW % 3 == 0), "exposures", False, "rows a day", "", "torn or doubled"),
    "rows are unusable": (
        cells("reviews", rating=pl.when(ROW % 5 == 0).then(9).otherwise("rating")), "reviews",
        False, "0.0% of the rows unusable", "20.", "see the rules above"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "place", "gone", "was", "now", "means"), MOVED.values(), ids=MOVED
)
def test_each_change_is_named(shop, then, change, place, gone, was, now, means):
    found = drift.between(then, report(change(shop)))
    assert {d.place.split(".")[0] for d in found} == {place.split(".")[0]}
    assert {d.place for d in found if d.gone} == ({place} if gone else set())
    (told,) = [d for d in found if d.place == place and was in d.was and means in d.means]
    assert now in told.now
    line = told.to_text()
    assert line.startswith("  gone " if gone else "  moved ")
    assert all(part in line for part in (told.place, told.was, told.now, told.means))


@pytest.mark.parametrize("change", ["promised_at", "carrier"])
def test_a_column_that_appears_is_told_too(shop, then, change):
    bare = cells("shipments", **{change: None})(shop)
    (found,) = drift.between(report(bare), then)
    assert (found.place, found.gone, found.was) == (f"shipments.{change}", False, "no such column")
    assert found.now == "filled in 100.0% of the rows"


def test_a_table_that_appears_is_told_too(shop, then):
    (found,) = drift.between(report(without("usage")(shop)), then)
    assert (found.place, found.gone, found.was) == ("usage", False, "no rows")
    assert found.now == f"{shop['usage'].height:,} rows"


def test_a_log_differs_in_nothing_from_itself_or_from_another_order_of_it(shop, then):
    turned = {name: frame.reverse() for name, frame in shop.items()}
    assert drift.between(then, then) == ()
    assert drift.between(then, report(turned)) == ()


@pytest.mark.parametrize("part", range(1, 4))
def test_chance_is_no_drift(then, part):
    """Other customers of the same brand."""
    many = dict(simulate.simulate_brand(1600, days=500, seed=5).tables)
    whose = many["customers"]["customer_id"].sort()[400 * part : 400 * (part + 1)]
    others = {
        name: frame.filter(pl.col("customer_id").is_in(whose.implode()))
        if "customer_id" in frame.columns
        else frame
        for name, frame in many.items()
    }
    assert [d.to_text() for d in drift.between(then, report(others))] == []


def test_zone_currency_and_granularity_are_settled_once(shop, then):

    def yen(shop):
        return cells("refunds", currency=None)(cells("order_lines", currency=None)(shop))

    found = drift.between(then, report(yen(shop), timezone="Asia/Tokyo", currency="JPY"))
    assert [(d.place, d.was, d.now) for d in found if d.refused] == [
        ("data.timezone", "UTC", "Asia/Tokyo"), ("data.currency", "EUR", "JPY"),
    ]  # fmt: skip
    assert [d.to_text()[:22] for d in found[:2]] == [
        "  other  data.timezone",
        "  other  data.currency",
    ]
    assert not any(d.gone for d in found)
    unsaid = drift.between(then, report(yen(shop), currency=None))
    assert [(d.place, d.was, d.now, d.refused) for d in unsaid] == [
        ("data.currency", "EUR", "not stated", False)
    ]
    days = drift.between(then, report(shop, exposures="day"))
    assert [(d.place, d.was, d.now, d.gone) for d in days if d.place == "exposures"] == [
        ("exposures", "granularity instant", "day", False)
    ]


def test_what_no_model_reads_is_told_but_not_missed(shop, then):
    bare = without("surveys")(cells("shipments", promised_at=None)(shop))
    all_of_it = drift.between(then, report(bare))
    assert {d.place for d in all_of_it if d.gone} == {"surveys", "shipments.promised_at"}
    some = drift.between(then, report(bare), read={"order_lines", "shipments"})
    assert {d.place for d in some} == {"surveys", "shipments.promised_at"}
    assert {d.place for d in some if d.gone} == {"shipments.promised_at"}
    assert "the model does not read it" in {d.means for d in some if d.place == "surveys"}.pop()


def test_a_column_that_no_model_reads_is_told_but_not_missed(shop, then):
    bare = report(cells("shipments", carrier=None, region=None)(shop))
    found = drift.between(then, bare, unread={"shipments.carrier"})
    assert {d.place: (d.gone, d.means) for d in found} == {
        "shipments.carrier": (False, "the model does not read it"),
        "shipments.region": (True, "features made of it are null"),
    }


def test_a_history_that_is_cut_off_is_told(shop, then):
    late = pl.col("occurred_at") > pl.col("occurred_at").max() - pl.duration(days=300)
    found = drift.between(then, report(rows("order_lines", late)(shop)))
    told = [d for d in found if "days of history" in d.was]
    assert [d.place for d in told] == ["order_lines"]
    assert told[0].was.startswith("49") and told[0].now in ("298", "299", "300")


def test_a_table_that_ended_is_told(shop, then):
    last = shop["reviews"]["occurred_at"].max()
    found = drift.between(then, then, stale={"reviews"})
    assert [(d.place, d.gone) for d in found] == [("reviews", True)]
    assert found[0].now == f"nothing since {last.date()}, though the order lines go on"
    assert drift.between(then, then, stale={"reviews"}, read={"order_lines"})[0].gone is False


def test_of_a_few_rows_nothing_is_told_but_that_they_are_gone(shop):
    few = {name: frame.head(30) for name, frame in shop.items()}
    few["order_lines"] = shop["order_lines"]
    before = report(few)
    prices = pl.col("amount") * 50
    other = report(cells("refunds", amount=prices, sku=pl.lit("0815"), currency=pl.lit("EUR"))(few))
    assert [d for d in drift.between(before, other) if d.place.startswith("refunds")] == []
    gone = drift.between(before, report(cells("refunds", amount=None)(few)))
    assert [(d.place, d.gone) for d in gone] == [("refunds.amount", True)]


def test_a_rare_cell_that_happens_to_be_absent_is_no_drift(shop):
    """One in thirty was filled; of few newest rows hardly any would be, and none is."""
    before = report(cells("exposures", variant=pl.when(ROW % 30 == 0).then(pl.lit("b")))(shop))
    none = cells("exposures", variant=NULL)(shop)
    few = {**none, "exposures": none["exposures"].filter(ROW % 8 == 0)}
    for now, told in ((few, []), (none, ["exposures.variant"])):
        found = drift.between(before, report(now))
        assert [d.place for d in found if d.gone] == told


def test_nothing_of_a_customer_is_told(shop, then):
    ids = {str(value) for value in shop["order_lines"]["customer_id"]}
    mapped = cells("shipments", region=pl.col("customer_id"), carrier=pl.col("customer_id"))(shop)
    told = " ".join(d.to_text() for d in drift.between(then, report(mapped)))
    assert "shipments.region" in told
    assert not ids & set(told.replace('"', " ").replace(",", " ").split())


def test_every_table_of_a_shop_can_be_compared(make_shop):
    """The noise shop: half a year later the same tables, and nothing of note."""
    frames = bazaar.frames(make_shop(customers=120))
    cut = Cutoff.parse("2019-07-01", "UTC").at
    early = {
        name: frame.filter(pl.col("occurred_at").dt.epoch("us") < cut)
        if "occurred_at" in frame.columns
        else frame
        for name, frame in frames.items()
    }
    assert [d.to_text() for d in drift.between(report(early), report(frames)) if d.gone] == []
    lost = drift.between(report(early), report(frames | {"usage": frames["usage"].head(0)}))
    assert [d.to_dict() for d in lost if d.gone] == [
        {"place": "usage", "was": f"{early['usage'].height:,} rows", "now": "none",
         "means": "all its features are null", "gone": True, "refused": False},
    ]  # fmt: skip
