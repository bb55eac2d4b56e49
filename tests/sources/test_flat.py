"""The flat table: what each column becomes, at which time, and that nothing of it is lost."""

import io
import json
import re
from datetime import datetime
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ppi_ml import cli, inputs
from ppi_ml.config import LAGGED, DataSettings
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.events import RawTable, load_tables
from ppi_ml.intake import admit
from ppi_ml.scoring import Scorer
from ppi_ml.sources import _flat_dates, flat

ZONE = "Europe/Berlin"
LAGS = {"returns": 14, "refunds": 20, "reviews": 10}
ORDERED, SHIPPED, ARRIVED = "2026-01-05 10:00", "2026-01-06 09:00", "2026-01-08 14:00"
SOUND = {"order_id": "1001", "customer_id": "a", "sku": "x", "order_timestamp": ORDERED}
DOCS = Path(__file__).parents[2] / "docs" / "events.md"
EXAMPLE = next(
    block
    for block in re.findall(r"^```\w*\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    if block.startswith("order_id,customer_id,sku")
)


def sheet(*rows):
    """A flat table of text; a row says in what it differs from the sound one."""
    return pl.DataFrame([{**SOUND, **row} for row in rows], infer_schema_length=None)


def split(frame, lags=LAGS, zone=ZONE, **raw):
    return flat.split(RawTable(frame, **raw), zone=zone, lags=lags)


def loaded(frame, lags=LAGS, max_quarantined=0.05, **raw):
    return load_tables(
        split(frame, lags, **raw), timezone=ZONE, currency="EUR", max_quarantined=max_quarantined
    )


def rows_of(log, table, *columns):
    """Rows of a table of the log; `at` and `known` as the clock of the zone shows them."""
    shown = [
        pl.col(name)
        .cast(pl.Datetime("us", "UTC"))
        .dt.convert_time_zone(ZONE)
        .dt.strftime("%Y-%m-%d %H:%M:%S")
        if name in ("at", "known", "promised_at")
        else pl.col(name)
        for name in columns
    ]
    return log.tables[table].frame.select(shown).rows()


def said(log, start):
    """The notes of a report that start so."""
    return [note for note in log.report.notes if note.startswith(start)]


# One column after the other


def test_a_row_is_an_order_line():
    extra = {"quantity": "2", "unit_price": "3.50", "discount": "1", "promo_code": "HI",
             "currency": "EUR", "channel": "web", "order_type": "subscription"}  # fmt: skip
    log = loaded(sheet({"line_id": "7", **extra}))
    names = ("customer_id", "order_id", "line_id", "sku", "at", "quantity", "value_e4",
             "promo_code", "channel", "order_type")  # fmt: skip
    assert rows_of(log, "order_lines", *names) == [
        ("a", "1001", "7", "x", f"{ORDERED}:00", 2.0, 60000, "HI", "web", "subscription")
    ]
    assert list(log.tables) == ["order_lines"]


def test_quantity_and_price_may_lack_and_the_report_says_what_is_assumed():
    log = loaded(sheet({}))
    assert rows_of(log, "order_lines", "quantity", "unit_price", "value_e4") == [(1.0, None, None)]
    assert said(log, "order_lines: no column quantity, so 1 everywhere")
    assert "unit_price" in said(log, "order_lines: unknown, because there is no column")[0]


def test_the_sku_may_lack_too():
    log = loaded(sheet({}).drop("sku"))
    assert rows_of(log, "order_lines", "line_id", "sku") == [("1", None)]


def test_a_product_is_called_what_its_newest_order_calls_it():
    """A label for people; titles change, and what is a feature may not."""
    cells = [("o1", "2024-03-01", "A", "Tea"), ("o2", "2024-03-09", "A", "Green tea"),
             ("o3", "2024-03-05", "A", "Old tea"), ("o3", "2024-03-05", "B", " Pot "),
             ("o4", "2024-03-20", "A", None), ("o4", "2024-03-20", "C", ""),
             ("o5", "2024-03-21", None, "Nothing")]  # fmt: skip
    frame = pl.DataFrame(
        [("c1", order, at, sku, name) for order, at, sku, name in cells],
        schema=["customer_id", "order_id", "order_timestamp", "sku", "product_name"], orient="row",
    )  # fmt: skip
    for table in (frame, frame.reverse()):
        log = loaded(table)
        assert rows_of(log, "products", "sku", "name") == [("A", "Green tea"), ("B", "Pot")]
        assert log.tables["order_lines"].frame.height == 7
    assert "products" not in loaded(frame.drop("product_name")).tables


def test_lines_shipped_at_one_time_are_one_parcel():
    later = {"ship_timestamp": "2026-01-09 09:00", "delivery_timestamp": ""}
    log = loaded(
        sheet(
            {"sku": "x", "ship_timestamp": SHIPPED, "delivery_timestamp": ARRIVED},
            {
                "sku": "y",
                "ship_timestamp": SHIPPED.replace(" ", "T"),
                "delivery_timestamp": ARRIVED,
            },
            {"sku": "z", **later},
            {"sku": "w", "ship_timestamp": None, "delivery_timestamp": None},
        )
    )
    names = ("shipment_id", "order_id", "customer_id", "at", "known")
    sent, came = f"{SHIPPED}:00", f"{ARRIVED}:00"
    assert rows_of(log, "shipments", *names) == [
        ("1001-1", "1001", "a", sent, sent),
        ("1001-2", "1001", "a", "2026-01-09 09:00:00", "2026-01-09 09:00:00"),
    ]
    assert rows_of(log, "deliveries", *names) == [("1001-1", "1001", "a", came, came)]


def test_the_first_promise_of_a_parcel_counts_for_both_its_ends():
    sent = {"ship_timestamp": SHIPPED, "delivery_timestamp": ARRIVED}
    promises = {"v": "", "w": "2026-01-09 18:00", "x": "2026-01-07 18:00", "y": "2026-01-09"}
    log = loaded(
        sheet(*({**sent, "sku": sku, "promised_timestamp": p} for sku, p in promises.items()))
    )
    for table in ("shipments", "deliveries"):
        assert rows_of(log, table, "promised_at") == [("2026-01-07 18:00:00",)]
    (note,) = said(log, "shipments: 1 parcels have several times in promised_timestamp")
    assert note.endswith("the first of each counts")


def test_an_impossible_promise_is_none_at_both_ends_and_loses_no_parcel():
    never = {"ship_timestamp": SHIPPED, "promised_timestamp": "9999-12-31"}
    sent = {**never, "delivery_timestamp": ARRIVED}
    log = loaded(sheet(sent))
    for table in ("shipments", "deliveries"):
        report = log.report.tables[table]
        rule = "promised_at not between 1970-01-02 and 2200-01-01, set to null"
        assert (report.repaired, report.quarantined) == ({rule: 1}, {})
        assert rows_of(log, table, "promised_at") == [(None,)]
    both = loaded(sheet(sent, {**sent, "sku": "cup", "promised_timestamp": "2026-01-09"}))
    assert rows_of(both, "shipments", "promised_at") == [("2026-01-09 23:59:59",)]


def test_a_promised_day_is_kept_until_it_is_over():
    log = loaded(sheet({"ship_timestamp": SHIPPED, "promised_timestamp": "2026-01-09"}))
    assert rows_of(log, "shipments", "promised_at") == [("2026-01-09 23:59:59",)]


def test_a_parcel_that_arrives_twice_keeps_its_first_arrival():
    """Which lines are one parcel may not be told by what happens later."""
    arrivals = ["2026-01-12 10:00", ARRIVED]
    log = loaded(
        sheet(*({"ship_timestamp": SHIPPED, "delivery_timestamp": when} for when in arrivals)),
        max_quarantined=0.5,
    )
    assert rows_of(log, "deliveries", "shipment_id", "at") == [("1001-1", f"{ARRIVED}:00")]
    assert log.report.tables["deliveries"].quarantined == {"key repeated with other content": 1}
    assert said(log, "deliveries: 1 times a parcel arrived once more")


def test_what_arrived_without_having_been_shipped_is_a_parcel_per_arrival():
    arrivals = ["2026-01-12 10:00", ARRIVED, ARRIVED]
    log = loaded(sheet(*({"delivery_timestamp": when} for when in arrivals)))
    assert rows_of(log, "deliveries", "shipment_id", "at") == [
        ("1001-d1", f"{ARRIVED}:00"),
        ("1001-d2", "2026-01-12 10:00:00"),
    ]
    assert "shipments" not in log.tables
    assert said(log, "deliveries: 2 parcels arrived without a ship_timestamp")


def test_a_delivery_before_its_shipping_stays_as_it_is():
    log = loaded(sheet({"ship_timestamp": ARRIVED, "delivery_timestamp": SHIPPED}))
    assert rows_of(log, "deliveries", "at") == [(f"{SHIPPED}:00",)]
    assert rows_of(log, "shipments", "at") == [(f"{ARRIVED}:00",)]


@pytest.mark.parametrize(
    "yes", ["1", "1.0", "true", "TRUE", "True", "yes", "YES", "y", " Y ", 1, 1.0, True]
)
def test_a_flag_that_says_yes_is_a_return_of_the_line(yes):
    frame = sheet({"quantity": "3", "return_timestamp": ARRIVED}).with_columns(
        return_flag=pl.lit(yes)
    )
    log = loaded(frame, lags={})
    assert rows_of(log, "returns", "return_id", "order_id", "sku", "quantity", "at") == [
        ("1001-1", "1001", "x", 3.0, f"{ARRIVED}:00")
    ]


@pytest.mark.parametrize("no", ["0", "0.0", "false", "No", "n", "N", "", "  ", None, 0, 0.0, False])
def test_a_flag_that_says_no_is_no_return(no):
    frame = sheet({}).with_columns(return_flag=pl.lit(no, dtype=pl.String if no is None else None))
    log = loaded(frame, lags={})
    assert "returns" not in log.tables
    assert said(log, "returns: no rows")


@pytest.mark.parametrize("cell", ["maybe", "2", "partial", "-1", "1.5", "returned: jane@x.com"])
def test_any_other_flag_is_refused_without_saying_what_it_was(cell):
    with pytest.raises(
        DataError, match=r"column return_flag: 1 rows \(the first is row 1"
    ) as caught:
        split(sheet({"return_flag": "yes"}, {"return_flag": cell}), origin="orders.csv")
    assert str(caught.value).startswith("flat table (orders.csv): ")
    assert "expected 1, true, yes, y" in str(caught.value).replace("Expected", "expected")
    assert f"{cell}." not in str(caught.value) and "jane" not in str(caught.value)


def test_an_amount_is_a_refund_and_0_is_none():
    when = {"refund_timestamp": "2026-02-01 08:00"}
    amounts = [("x", "3.50"), ("y", "0"), ("z", ""), ("w", "0.00")]
    rows = sheet(*({"sku": sku, "refund_amount": amount, **when} for sku, amount in amounts))
    log = loaded(rows.with_columns(currency=pl.lit("EUR")), lags={})
    assert rows_of(log, "refunds", "refund_id", "sku", "amount_e4", "currency", "at") == [
        ("1001-2", "x", 35000, "EUR", "2026-02-01 08:00:00")
    ]
    assert said(log, "refunds: 2 rows with refund_amount 0 are no refunds")


@pytest.mark.parametrize(
    ("amount", "rule"),
    [("-1", "amount must be > 0"), ("much", "amount must be a number"),
     ("inf", "amount must be a number"), ("1e300", "amount must be <= 1e+11")],
)  # fmt: skip
def test_an_odd_amount_is_quarantined_as_a_refund(amount, rule):
    good = {"refund_amount": "1", "refund_timestamp": ARRIVED}
    log = loaded(sheet(good, {**good, "refund_amount": amount}), max_quarantined=0.5)
    assert log.report.tables["refunds"].quarantined == {rule: 1}
    assert log.report.quarantine["refunds"]["value"].to_list() == [amount]


def test_the_refund_of_an_order_that_stands_on_each_line_is_pointed_at():
    paid = {"refund_amount": "10", "refund_timestamp": ARRIVED}
    twice = sheet({**paid, "sku": "x"}, {**paid, "sku": "y"}, {**paid, "order_id": "2"})
    assert said(loaded(twice), "refunds: in 1 orders of several lines all have the same")
    once = sheet({**paid, "sku": "x"}, {**paid, "sku": "y", "refund_amount": ""})
    assert not said(loaded(once), "refunds: in")


def test_a_review_repeated_on_every_line_is_one_review():
    told = {"review_text": "Lovely", "review_rating": "5", "review_timestamp": ARRIVED}
    log = loaded(
        sheet(
            {"sku": "x", **told},
            {"sku": "y", **told, "review_text": " Lovely ", "review_rating": "5.0"},
            {"sku": "y", **told, "review_rating": "1", "review_text": "Broken"},
            {"sku": "z", **told, "review_text": "", "review_rating": "4"},
            {"sku": "z", **told, "review_text": "Only words", "review_rating": None},
            {"sku": "z", **told, "review_text": None, "review_rating": ""},
            {"order_id": "1002", "sku": "z", **told},
        )
    )
    names = ("order_id", "sku", "rating_e3", "text", "at")
    assert sorted(rows_of(log, "reviews", *names), key=str) == sorted(
        [
            ("1001", None, 5000, "Lovely", f"{ARRIVED}:00"),
            ("1001", "y", 1000, "Broken", f"{ARRIVED}:00"),
            ("1001", "z", 4000, None, f"{ARRIVED}:00"),
            ("1001", "z", None, "Only words", f"{ARRIVED}:00"),
            ("1002", "z", 5000, "Lovely", f"{ARRIVED}:00"),
        ],
        key=str,
    )
    ids = [name for (name,) in rows_of(log, "reviews", "review_id")]
    assert sorted(ids) == ["1001-1", "1001-2", "1001-3", "1001-4", "1002-1"]


def test_two_reviews_of_one_text_at_two_times_are_two():
    told = {"review_text": "Ok", "review_rating": "3"}
    times = ["2026-02-02 08:00", "2026-02-01 08:00"]
    log = loaded(sheet(*({**told, "review_timestamp": time} for time in times)))
    assert rows_of(log, "reviews", "review_id", "at") == [
        ("1001-1", "2026-02-01 08:00:00"),
        ("1001-2", "2026-02-02 08:00:00"),
    ]


def test_a_tag_is_seen_once_per_order_and_at_order_time():
    tags = ["recipe, how-to", "recipe;unboxing|how-to,, ", " , ;|", None]
    rows = [{"sku": str(i), "content_exposure_tags": tag} for i, tag in enumerate(tags)]
    rows += [{"order_id": "1002", "order_timestamp": ARRIVED, "content_exposure_tags": "recipe"}]
    log = loaded(sheet(*rows))
    assert rows_of(log, "exposures", "exposure_id", "content_tag", "at", "known") == [
        ("1001-1", "how-to", f"{ORDERED}:00", f"{ORDERED}:00"),
        ("1001-2", "recipe", f"{ORDERED}:00", f"{ORDERED}:00"),
        ("1001-3", "unboxing", f"{ORDERED}:00", f"{ORDERED}:00"),
        ("1002-1", "recipe", f"{ARRIVED}:00", f"{ARRIVED}:00"),
    ]
    assert said(log, "exposures: 4 of 4 tags have no exposure_timestamp; they count as seen when")


def test_a_tag_with_a_time_was_seen_then():
    rows = [
        {"content_exposure_tags": "recipe", "exposure_timestamp": "2026-01-01 08:00"},
        {"content_exposure_tags": "recipe", "exposure_timestamp": "2026-01-03 08:00"},
        {"content_exposure_tags": "how-to", "exposure_timestamp": None},
    ]
    log = loaded(sheet(*rows))
    assert rows_of(log, "exposures", "exposure_id", "content_tag", "at") == [
        ("1001-1", "recipe", "2026-01-01 08:00:00"),
        ("1001-2", "recipe", "2026-01-03 08:00:00"),
        ("1001-3", "how-to", f"{ORDERED}:00"),
    ]
    assert said(log, "exposures: 1 of 3 tags have no exposure_timestamp")
    assert not said(loaded(sheet(*rows[:2])), "exposures: 0")


def test_the_time_of_an_order_is_mended_for_its_tags_as_for_its_lines():
    night = {"order_timestamp": "2026-03-29 02:30", "content_exposure_tags": "recipe"}
    log = loaded(sheet(night))
    for table in ("order_lines", "exposures"):
        assert rows_of(log, table, "at") == [("2026-03-29 03:30:00",)]
        repaired = {"occurred_at skipped by the clock, moved on": 1}
        assert log.report.tables[table].repaired == repaired


def test_the_order_of_a_tag_is_made_with_its_first_line():
    late = {"order_timestamp": "2026-01-06 10:00", "content_exposure_tags": "recipe"}
    for sku in "az":
        log = loaded(sheet({"sku": sku, **late}, {"sku": "m"}))
        assert rows_of(log, "exposures", "at") == [(f"{ORDERED}:00",)]


# Times: own, lagged, dated, broken


def test_a_lag_counts_from_the_delivery_else_from_the_order():
    cells = {"return_flag": "1", "refund_amount": "2", "review_rating": "4"}
    log = loaded(
        sheet(
            {"order_id": "1", "delivery_timestamp": ARRIVED, **cells},
            {"order_id": "2", "delivery_timestamp": "", **cells},
            {"order_id": "3", "delivery_timestamp": ARRIVED, **dict.fromkeys(cells, "")},
        )
    )
    for table, delivered, ordered in (
        ("returns", "2026-01-22 14:00:00", "2026-01-19 10:00:00"),
        ("refunds", "2026-01-28 14:00:00", "2026-01-25 10:00:00"),
        ("reviews", "2026-01-18 14:00:00", "2026-01-15 10:00:00"),
    ):
        found = sorted(rows_of(log, table, "order_id", "at", "known"))
        assert found == [("1", delivered, delivered), ("2", ordered, ordered)]
        (note,) = said(log, f"{table}: 2 of 2 rows with")
        assert f"lags.{table} dates them {LAGS[table]} days after the delivery (1) or" in note
        assert note.endswith("after the order (1)")


def test_a_lag_of_days_is_one_of_the_clock():
    """14 days over the change of the clock are still the same time of day."""
    spring = {"delivery_timestamp": "2026-03-20 14:00", "return_flag": "y"}
    log = loaded(sheet({"order_timestamp": "2026-03-18 10:00", **spring}))
    assert rows_of(log, "returns", "at") == [("2026-04-03 14:00:00",)]


def test_a_lag_comes_after_the_lag_of_knowing():
    raw = split(sheet({"return_flag": "1"}))
    log = load_tables(raw, timezone=ZONE, known_lag={"returns": 2})
    assert rows_of(log, "returns", "at", "known") == [
        ("2026-01-19 10:00:00", "2026-01-21 10:00:00")
    ]


def test_what_is_lagged_is_unknown_before():
    log = loaded(sheet({"return_flag": "1"}, {"order_id": "2", "order_timestamp": "2026-03-01"}))
    assert log.until("2026-01-19T10:00:00").tables["returns"].frame.height == 0
    assert log.until("2026-01-19T10:00:01").tables["returns"].frame.height == 1


def test_a_review_of_several_lines_waits_for_the_last_of_them():
    told = {"review_text": "Good", "review_rating": "4"}
    arrivals = [ARRIVED, "2026-01-20 09:00", ""]
    log = loaded(sheet(*({**told, "delivery_timestamp": came} for came in arrivals)))
    assert rows_of(log, "reviews", "at") == [("2026-01-30 09:00:00",)]
    assert said(log, "reviews: 3 of 3 rows with a review have no review_timestamp")


def test_its_own_time_is_better_than_a_lag():
    rows = [
        {"order_id": "1", "return_flag": "1", "return_timestamp": "2026-01-11 08:00"},
        {"order_id": "2", "return_flag": "1", "return_timestamp": ""},
    ]
    log = loaded(sheet(*rows))
    assert rows_of(log, "returns", "order_id", "at") == [
        ("1", "2026-01-11 08:00:00"),
        ("2", "2026-01-19 10:00:00"),
    ]
    assert said(log, "returns: 1 of 2 rows with a return_flag of yes have no return_timestamp")
    with_all = loaded(sheet(*(row | {"return_timestamp": ARRIVED} for row in rows)))
    assert not said(with_all, "returns: 0")


def test_a_gap_without_a_lag_is_quarantined_and_told():
    rows = [
        {"order_id": str(n), "return_flag": "1", "return_timestamp": ARRIVED if n else ""}
        for n in range(3)
    ]
    log = loaded(sheet(*rows), lags={}, max_quarantined=0.5)
    report = log.report.tables["returns"]
    assert (report.kept, report.quarantined) == (2, {"occurred_at missing": 1})
    (note,) = said(log, "returns: 1 of 3 rows")
    assert note.endswith("are quarantined; state lags: {returns: 14d} to date them")


CELLS = {
    "returns": ({"return_flag": "1"}, "return_flag", "return_timestamp"),
    "refunds": ({"refund_amount": "2"}, "refund_amount", "refund_timestamp"),
    "reviews": ({"review_text": "Good"}, "review", "review_timestamp"),
    "reviews by stars": ({"review_rating": "4"}, "review", "review_timestamp"),
}


@pytest.mark.parametrize(("cells", "what", "time"), CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("column", ["absent", "empty"])
def test_without_a_time_and_a_lag_loading_fails_with_both_ways_out(cells, what, time, column):
    rows = sheet(cells, {"order_id": "2"})
    rows = rows if column == "absent" else rows.with_columns(pl.lit("").alias(time))
    table = {"return_timestamp": "returns", "refund_timestamp": "refunds"}.get(time, "reviews")
    others = {name: lag for name, lag in LAGS.items() if name != table}
    with pytest.raises(DataError) as caught:
        split(rows, others)
    message = str(caught.value)
    assert re.search(rf"1 rows with a {what}.* but no {time}", message)
    assert f"Add {time}" in message
    assert f'ppi_ml.load(..., lags={{"{table}": "14d"}})' in message
    assert f"data: {{source: flat, path: ..., lags: {{{table}: 14d}}}}" in message
    assert split(rows, LAGS)[table].frame.height == 1


def test_everything_that_lacks_a_time_is_told_at_once():
    cells = {"return_flag": "1", "refund_amount": "2", "review_text": "Good"}
    with pytest.raises(DataError, match='"returns": "14d", "refunds": "14d", "reviews": "14d"'):
        split(sheet(cells), {})


def test_columns_that_say_nothing_demand_no_lag():
    cells = {"return_flag": "0", "refund_amount": "0", "review_text": "", "review_rating": None}
    assert list(loaded(sheet(cells), lags={}).tables) == ["order_lines"]


def test_mere_dates_make_tables_of_days():
    log = loaded(
        sheet(
            {
                "order_timestamp": "2026-01-05", "ship_timestamp": "2026-01-06",
                "delivery_timestamp": "2026-01-08", "return_flag": "1",
                "content_exposure_tags": "recipe",
            }
        )
    )  # fmt: skip
    assert {table.granularity for table in log.tables.values()} == {"day"}
    assert rows_of(log, "returns", "at", "known") == [
        ("2026-01-22 00:00:00", "2026-01-22 23:59:59")
    ]


def test_where_dates_and_times_meet_a_date_is_known_when_it_is_over():
    rows = [
        {"order_id": "1", "delivery_timestamp": "2026-01-08", "return_flag": "1"},
        {"order_id": "2", "delivery_timestamp": None, "return_flag": "1"},
    ]
    log = loaded(sheet(*rows))
    assert log.tables["returns"].granularity == "instant"
    assert sorted(rows_of(log, "returns", "order_id", "at", "known")) == [
        ("1", "2026-01-22 23:59:59", "2026-01-22 23:59:59"),
        ("2", "2026-01-19 10:00:00", "2026-01-19 10:00:00"),
    ]


def test_the_source_may_say_that_all_times_are_days():
    midnight = {
        "order_timestamp": "2026-01-05 00:00",
        "delivery_timestamp": "2026-01-08 00:00",
    }
    log = loaded(sheet({**midnight, "return_flag": "1"}), granularity="day")
    assert {table.granularity for table in log.tables.values()} == {"day"}
    assert rows_of(log, "returns", "at", "known") == [
        ("2026-01-22 00:00:00", "2026-01-22 23:59:59")
    ]


def test_a_column_of_midnights_makes_tables_of_days_however_few_rows_they_have():
    days = [datetime(2026, 1, 1 + n % 28) for n in range(60)]
    frame = pd.DataFrame({**{k: [v] * 60 for k, v in SOUND.items()},
                          "order_id": range(60), "order_timestamp": days,
                          "ship_timestamp": days[:9] + [None] * 51,
                          "return_flag": [1] + [0] * 59})  # fmt: skip
    log = inputs.load(frame, lags={"returns": "14d"}, timezone=ZONE)
    assert {table.granularity for table in log.tables.values()} == {"day"}
    assert rows_of(log, "returns", "at") == [("2026-01-15 00:00:00",)]


def test_times_with_and_without_an_offset_may_stand_in_two_columns_but_not_in_one():
    rows = [
        {"order_timestamp": "2026-01-05T09:00:00Z", "return_flag": "1", "return_timestamp": ""},
        {"order_id": "2", "order_timestamp": "2026-01-05T09:00:00Z", "return_flag": "1",
         "return_timestamp": ARRIVED},
    ]  # fmt: skip
    log = loaded(sheet(*rows))
    assert rows_of(log, "returns", "order_id", "at") == [
        ("2", f"{ARRIVED}:00"),
        ("1001", "2026-01-19 10:00:00"),
    ]
    with pytest.raises(DataError, match="flat table: column order_timestamp mixes times"):
        split(sheet(rows[0], {}))


BROKEN = {
    "words": ("soon", "must be an ISO date or time"),
    "no such day": ("2026-02-31 10:00", "must be an ISO date or time"),
    "too early": ("1900-01-01 10:00", "must lie between 1970-01-02 and 2200-01-01"),
    "too early a day": ("1900-01-01", "must lie between 1970-01-02 and 2200-01-01"),
    "too late": ("9999-12-31T00:00:00", "must lie between 1970-01-02 and 2200-01-01"),
}
EVENTS = {
    "shipments": ({}, "ship_timestamp"),
    "deliveries": ({}, "delivery_timestamp"),
    "returns": ({"return_flag": "1"}, "return_timestamp"),
    "refunds": ({"refund_amount": "1"}, "refund_timestamp"),
    "reviews": ({"review_text": "Good"}, "review_timestamp"),
    "exposures": ({"content_exposure_tags": "recipe"}, "exposure_timestamp"),
}


@pytest.mark.parametrize(("table", "cells", "time"), [(k, *v) for k, v in EVENTS.items()])
@pytest.mark.parametrize(("cell", "rule"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("others", [ARRIVED, "2026-01-08", ""])
def test_a_time_that_cannot_be_read_is_quarantined_in_its_table(
    table, cells, time, cell, rule, others
):
    rows = sheet({**cells, time: cell}, {"order_id": "2", **cells, time: others})
    log = split(rows)[table]
    got = admit(table, log, zone=ZONE, currency="EUR")
    assert got.report.rows_in == log.frame.height
    assert got.report.quarantined == {f"occurred_at {rule}": 1}
    assert got.quarantine["value"].item()[:4] == cell[:4]


def test_a_lag_from_an_order_that_cannot_be_read_is_quarantined():
    rows = [
        {"order_timestamp": cell, "return_flag": "1"} for cell in ("soon", "1900-01-01", ORDERED)
    ]
    log = loaded(sheet(*rows), max_quarantined=0.9)
    assert sum(log.report.tables["returns"].quarantined.values()) == 2
    assert sum(log.report.tables["order_lines"].quarantined.values()) == 2


# Rows: which lines are one, in which order, and of whom


def test_lines_are_numbered_by_sku_whatever_the_order_of_the_rows():
    rows = [{"sku": sku, "quantity": n} for sku, n in (("b", "1"), ("a", "2"), ("b", "10"))]
    for chosen in (rows, rows[::-1], [rows[1], rows[2], rows[0]]):
        log = loaded(sheet(*chosen))
        assert rows_of(log, "order_lines", "line_id", "sku", "quantity") == [
            ("1", "a", 2.0),
            ("2", "b", 1.0),
            ("3", "b", 10.0),
        ]
    assert said(log, "order_lines: no column line_id, so the lines of an order are numbered by sku")


def test_a_row_that_repeats_another_is_a_line_and_counted():
    log = loaded(sheet({}, {}, {}, {"sku": "y"}))
    assert log.report.tables["order_lines"].kept == 4
    (note,) = said(log, "order_lines: no column line_id")
    assert "; 2 rows say the same as another one of their order" in note
    assert said(loaded(sheet({}, {"sku": "y"})), "order_lines: no column")[0].endswith("by sku")


def test_with_a_line_id_a_repeated_row_is_a_duplicate_in_every_table():
    row = {"line_id": "1", "return_flag": "1", "refund_amount": "2", "ship_timestamp": SHIPPED}
    log = loaded(sheet(row, row, {**row, "line_id": "2"}), max_quarantined=0.5)
    for table in ("order_lines", "returns", "refunds"):
        assert log.report.tables[table].quarantined == {"duplicate of an earlier row": 1}
    assert rows_of(log, "returns", "return_id") == [("1001-1",), ("1001-2",)]
    assert rows_of(log, "shipments", "shipment_id") == [("1001-1",)]


def test_ids_are_mended_before_others_are_made_of_them():
    frame = sheet({"ship_timestamp": SHIPPED}, {"ship_timestamp": SHIPPED, "sku": "y"})
    frame = frame.with_columns(order_id=pl.Series([1001.0, 1001.0]))
    log = loaded(frame)
    assert rows_of(log, "shipments", "shipment_id", "order_id") == [("1001-1", "1001")]
    repaired = {name: table.repaired for name, table in log.report.tables.items()}
    assert repaired == {"order_lines": {"id written as a decimal number": 2}, "shipments": {}}


def test_rows_without_a_customer_or_an_order_are_quarantined_in_every_table():
    cells = {"ship_timestamp": SHIPPED, "return_flag": "1", "review_text": "Good",
             "content_exposure_tags": "recipe"}  # fmt: skip
    rows = [cells, {**cells, "customer_id": None}, {**cells, "order_id": ""},
            {**cells, "order_id": None}]  # fmt: skip
    log = loaded(sheet(*rows), max_quarantined=0.9)
    for name, rules in {
        "order_lines": {"customer_id missing": 1, "order_id missing": 2},
        "shipments": {"customer_id missing": 1, "shipment_id missing": 2},
        "returns": {"customer_id missing": 1, "return_id missing": 2},
        "reviews": {"customer_id missing": 1, "review_id missing": 2},
        "exposures": {"customer_id missing": 1, "exposure_id missing": 2},
    }.items():
        assert log.report.tables[name].quarantined == rules, name
    assert said(log, "order_lines: no column line_id")[0].endswith("by sku")  # these are no copies


def test_an_order_of_two_customers_mixes_none_of_their_events():
    cells = {"ship_timestamp": SHIPPED, "review_text": "Good", "content_exposure_tags": "recipe"}
    log = loaded(
        sheet(cells, {**cells, "customer_id": "b"}, {"order_id": "2"}), max_quarantined=1.0
    )
    assert log.report.tables["order_lines"].quarantined == {
        "order_id with more than one customer": 2
    }
    for table, key in (("shipments", "shipment_id"), ("reviews", "review_id"),
                       ("exposures", "exposure_id")):  # fmt: skip
        assert rows_of(log, table, "customer_id", key) == [("a", "1001-1"), ("b", "1001-2")]


def test_a_later_event_renames_no_earlier_one():
    early = {"sku": "x", "ship_timestamp": SHIPPED}
    before = split(sheet(early, {"sku": "y", "ship_timestamp": ""}))["shipments"].frame
    after = split(sheet(early, {"sku": "y", "ship_timestamp": ARRIVED}))["shipments"].frame
    assert before.rows() == after.rows()[:1]


def test_what_its_source_says_of_it_is_said_once():
    tables = split(sheet({"ship_timestamp": SHIPPED, "gift": "1"}), notes=("two shops in one",))
    notes = tables["order_lines"].notes
    assert notes[:2] == ("two shops in one", "flat table: ignored columns gift")
    assert tables["shipments"].notes == ()


def test_columns_that_nobody_knows_are_listed():
    log = loaded(sheet({"warehouse": "north", "gift": "1"}))
    assert "flat table: ignored columns warehouse, gift" in log.report.notes


@pytest.mark.parametrize("name", ["order_id", "customer_id", "order_timestamp"])
def test_a_required_column_that_is_missing_is_named(name):
    with pytest.raises(DataError, match=rf"required column {name} is missing.*columns: {{flat: "):
        split(sheet({"ship_timestamp": SHIPPED}).drop(name))


def test_a_column_of_another_type_is_named():
    for column, found in (("refund_amount", "Boolean"), ("delivery_timestamp", "Boolean")):
        with pytest.raises(DataError, match=f"flat table: column {column} holds {found}"):
            split(sheet({}).with_columns(pl.lit(True).alias(column)))


# In: files, frames, configs and the prompt


def typed():
    """The example of the docs with true types in place of text."""
    times = ["order_timestamp", "ship_timestamp", "delivery_timestamp"]
    text = pl.read_csv(io.StringIO(EXAMPLE), infer_schema=False)
    return text.with_columns(
        pl.col(*times).str.to_datetime("%Y-%m-%d %H:%M"),
        pl.col("order_id").cast(pl.Int64),
        pl.col("refund_amount").cast(pl.Float64),
        pl.col("review_rating").cast(pl.Int8),
        return_flag=pl.col("return_flag") == "yes",
    )


DAYS = {"returns": "14d", "refunds": 14, "reviews": "10d"}


def test_the_example_of_the_docs_is_the_same_from_csv_parquet_pandas_and_polars(tmp_path):
    (tmp_path / "orders.csv").write_text(EXAMPLE)
    typed().write_parquet(tmp_path / "orders.parquet")
    given = {
        "csv": tmp_path / "orders.csv",
        "parquet": tmp_path / "orders.parquet",
        "polars": typed(),
        "lazy": typed().lazy(),
        "pandas": typed().to_pandas(),
        "pandas objects": typed().to_pandas().astype(object),
        "pandas as it reads": pd.read_csv(io.StringIO(EXAMPLE), dtype={"customer_id": str}),
        "by name": {"order_lines": typed()},
    }
    logs = {
        name: inputs.load(table, lags=DAYS, timezone=ZONE, currency="EUR")
        for name, table in given.items()
    }
    assert {name: log.fingerprint == logs["csv"].fingerprint for name, log in logs.items()} == (
        dict.fromkeys(given, True)
    )
    heights = {name: table.frame.height for name, table in logs["csv"].tables.items()}
    assert heights == {"order_lines": 4, "shipments": 3, "deliveries": 1, "returns": 1,
                       "refunds": 1, "reviews": 1, "exposures": 3}  # fmt: skip


def test_the_order_of_the_rows_does_not_change_the_log():
    frame = pl.concat([typed(), typed().with_columns(pl.col("order_id") + 10)])
    logs = [
        inputs.load(frame.sample(fraction=1.0, shuffle=True, seed=seed), lags=DAYS, timezone=ZONE)
        for seed in range(8)
    ]
    assert len({log.fingerprint for log in logs}) == 1
    assert len({log.report.to_text() for log in logs}) == 1


def test_nor_does_it_change_the_report_where_one_thing_is_spelled_in_two_ways():
    told = {"review_timestamp": ARRIVED, "ship_timestamp": SHIPPED}
    rows = [{"review_text": text, **told} for text in ("good", " good")]
    reports = [loaded(sheet(*chosen)).report for chosen in (rows, rows[::-1])]
    assert reports[0].tables == reports[1].tables
    assert reports[0].tables["reviews"].repaired == {"surrounding spaces stripped": 1}


def test_lags_of_another_name_or_for_another_table_are_refused():
    assert set(LAGGED) == set(_flat_dates.OWN_TIMES)
    with pytest.raises(UsageError, match=r'lags: expected returns, refunds, reviews, got "ret'):
        inputs.load(typed(), lags={"return_flag": "14d"})
    with pytest.raises(UsageError, match='expected a length in days such as "90d"'):
        inputs.load(typed(), lags={"returns": "two weeks"})
    lines = sheet({"line_id": "1"}).rename({"order_timestamp": "occurred_at"})
    for options in ({"lags": DAYS}, {"columns": {"flat": {}}, "lags": DAYS}):
        with pytest.raises(UsageError, match="a flat table has order_timestamp and no occurred_at"):
            inputs.load(lines, **options)


THEIRS = {"order_timestamp": "Created", "customer_id": "Client"}


def test_columns_of_other_names_are_mapped():
    frame = typed().rename(THEIRS)
    log = inputs.load(frame, columns={"flat": THEIRS}, lags=DAYS, timezone=ZONE)
    assert log.fingerprint == inputs.load(typed(), lags=DAYS, timezone=ZONE).fingerprint
    with pytest.raises(DataError, match=r"columns\.sku: there is no column Item\."):
        inputs.load(frame, columns={"flat": {"sku": "Item"}})
    with pytest.raises(DataError, match=r"columns: ship_time is unknown\. Did you mean ship_times"):
        inputs.load(frame, columns={"flat": {"ship_time": "Created"}})


def test_a_column_that_is_mapped_over_stays_among_the_ignored():
    frame = sheet({"Created": ARRIVED})
    log = inputs.load(frame, columns={"flat": {"order_timestamp": "Created"}}, timezone=ZONE)
    assert rows_of(log, "order_lines", "at") == [(f"{ARRIVED}:00",)]
    assert "flat table: ignored columns order_timestamp (not mapped)" in log.report.notes


def test_whoever_maps_occurred_at_wants_the_order_lines_alone():
    frame = sheet({"line_id": "1", "ship_timestamp": SHIPPED})
    log = inputs.load(frame, columns={"order_lines": {"occurred_at": "order_timestamp"}})
    assert list(log.tables) == ["order_lines"]
    assert "order_lines: ignored columns ship_timestamp" in log.report.notes


def test_other_tables_stand_beside_it_but_not_twice():
    products = pl.DataFrame({"sku": ["tea"], "category": ["drinks"]})
    log = inputs.load({"order_lines": typed(), "products": products}, lags=DAYS)
    assert set(log.tables) >= {"order_lines", "shipments", "products"}
    returns = sheet({"return_id": "1"}).rename({"order_timestamp": "occurred_at"})
    with pytest.raises(DataError, match="returns: given as a table, and told by columns"):
        inputs.load({"order_lines": typed(), "returns": returns}, lags=DAYS)


def test_a_config_reads_it_plainly_or_with_names_constants_and_other_tables(tmp_path):
    frame = pl.read_csv(io.StringIO(EXAMPLE), infer_schema=False)
    frame.write_csv(tmp_path / "orders.csv")
    frame.rename(THEIRS).write_csv(tmp_path / "export.csv")
    pl.DataFrame({"sku": ["tea"], "category": ["drinks"]}).write_csv(tmp_path / "products.csv")
    plain = inputs.load_log(
        DataSettings(source="flat", path=str(tmp_path / "orders.csv"), timezone=ZONE,
                     currency="EUR", lags=DAYS)
    )  # fmt: skip
    tables = {"flat": {"path": str(tmp_path / "export.csv"), "columns": THEIRS,
                       "constants": {"currency": "EUR"}},
              "products": {"path": str(tmp_path / "products.csv")}}  # fmt: skip
    mapped = inputs.load_log(DataSettings(source="flat", tables=tables, timezone=ZONE, lags=DAYS))
    assert rows_of(mapped, "products", "sku", "category") == [("tea", "drinks")]
    assert mapped.currency == plain.currency == "EUR"
    for name, table in plain.tables.items():
        assert mapped.tables[name].frame.equals(table.frame), name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{source: flat}", "data: source flat needs the path of its table"),
        ("{source: flat, path: a.csv, tables: {flat: {path: b.csv}}}", "data: source flat needs"),
        ("{source: flat, path: a.csv, lags: {return_flag: 14d}}",
         'data.lags: expected returns, refunds, reviews, got "return_flag"'),
        ("{source: flat, path: a.csv, lags: {returns: soon}}",
         'data.lags.returns: expected a length in days such as "90d"'),
    ],
)  # fmt: skip
def test_a_config_that_makes_no_sense_is_refused(tmp_path, data, message):
    (tmp_path / "c.yaml").write_text(f"data: {data}\ntarget: {{name: churn}}\n")
    with pytest.raises(ConfigError, match=re.escape(message)):
        inputs.data_settings(tmp_path / "c.yaml")


def ppi_ml(*args):
    return CliRunner().invoke(cli.app(), [str(arg) for arg in args])


PLAIN = ("order_id,customer_id,sku,order_timestamp,ship_timestamp\n"
         "1,007,x,2026-01-05 10:00,2026-01-06 09:00\n2,008,x,2026-01-09 12:00,\n")  # fmt: skip


def test_at_the_prompt_it_is_known_by_its_columns(tmp_path):
    (tmp_path / "orders.csv").write_text(PLAIN)
    ended = ppi_ml("validate", tmp_path / "orders.csv")
    assert ended.exit_code == 0, ended.output
    assert "order_lines: 2 rows in = 2 kept + 0 repaired + 0 quarantined" in ended.stdout
    assert "shipments: 1 rows in = 1 kept" in ended.stdout
    assert "note: order_lines: no column line_id, so the lines" in ended.stdout
    report = json.loads(ppi_ml("validate", tmp_path / "orders.csv", "--json").stdout)
    assert set(report["tables"]) == {"order_lines", "shipments"}
    (tmp_path / "order_lines.csv").write_text(PLAIN)
    (tmp_path / "orders.csv").unlink()
    assert json.loads(ppi_ml("validate", tmp_path, "--json").stdout)["tables"] == report["tables"]


def test_at_the_prompt_a_missing_lag_ends_with_3_and_the_way_out(tmp_path):
    (tmp_path / "orders.csv").write_text(EXAMPLE)
    ended = ppi_ml("validate", tmp_path / "orders.csv")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "lags: {returns: 14d, refunds: 14d, reviews: 14d}" in ended.stderr
    config = (
        f"data: {{source: flat, path: {tmp_path}/orders.csv, lags: {{returns: 14d, refunds: 14d, "
    )
    (tmp_path / "c.yaml").write_text(config + "reviews: 10d}}\ntarget: {name: churn}\n")
    ended = ppi_ml("validate", tmp_path / "c.yaml")
    assert ended.exit_code == 0, ended.output
    assert (
        "note: returns: 1 of 1 rows with a return_flag of yes have no return_timestamp; lags"
        in (ended.stdout)
    )


def test_a_bundle_scores_a_flat_table(trained, tmp_path):
    run, log = trained
    lines = log.order_lines.rename(columns={"occurred_at": "order_timestamp"})
    table = lines.drop(columns=["known_at"]).assign(ship_timestamp=lines["order_timestamp"])
    table.to_csv(tmp_path / "orders.csv", index=False)
    out = tmp_path / "scores.parquet"
    ended = ppi_ml("score", "--model", run.bundle, "--data", tmp_path / "orders.csv", "--cutoff",
                   "2019-12-20", "--out", out, "--quiet", "--json")  # fmt: skip
    assert ended.exit_code == 0, ended.output
    read = inputs.load(table, timezone="Europe/London", currency="GBP")
    expected = Scorer.load(run.bundle).score(read, "2019-12-20")
    scores = pd.read_parquet(out)
    assert scores["customer_id"].to_list() == expected["customer_id"].to_list()
    assert scores["churn_probability"].to_list() == expected["churn_probability"].to_list()
    assert json.loads(ended.stdout)["scored"] > 50


def test_a_flat_table_to_score_takes_over_lags_and_names(tmp_path):
    flat_file = {"path": "old.csv", "columns": THEIRS}
    like = DataSettings(source="flat", tables={"flat": flat_file}, timezone=ZONE, lags=DAYS,
                        until="2025-01-01")  # fmt: skip
    typed().rename(THEIRS).write_parquet(tmp_path / "new.parquet")
    settings = inputs.data_settings(tmp_path / "new.parquet", like=like)
    assert (settings.until, settings.lags["returns"]) == (None, 14)
    log = inputs.load_log(settings)
    assert log.fingerprint == inputs.load(typed(), lags=DAYS, timezone=ZONE).fingerprint
    plain = DataSettings(source="flat", path="old.csv", timezone=ZONE, lags=DAYS)
    typed().write_parquet(tmp_path / "plain.parquet")
    again = inputs.load_log(inputs.data_settings(tmp_path / "plain.parquet", like=plain))
    assert again.fingerprint == log.fingerprint


# Rows in = events out


TIMES = st.sampled_from([
    ORDERED, SHIPPED, ARRIVED, "2026-01-08", "2026-01-08T14:00:00", "2026-01-09T08:30:00.5", "soon",
    "1900-01-01", "1900-01-01 10:00", "9999-12-31", "", None, None,
])  # fmt: skip
ROW = st.fixed_dictionaries(
    {
        "order_id": st.sampled_from(["1", "2", " 2", "2.0", "", None]),
        "customer_id": st.sampled_from(["a", "b"]),
        "sku": st.sampled_from(["x", "y", None]),
        "order_timestamp": TIMES,
        "quantity": st.sampled_from(["1", "2", "0", "x"]),
        "ship_timestamp": TIMES,
        "delivery_timestamp": TIMES,
        "promised_timestamp": TIMES,
        "return_flag": st.sampled_from(["1", "0", "yes", "NO", "", None]),
        "return_timestamp": TIMES,
        "refund_amount": st.sampled_from(["", None, "0", "2.5", "-1", "x", "nan"]),
        "refund_timestamp": TIMES,
        "review_text": st.sampled_from(["", None, "good", " good", "bad"]),
        "review_rating": st.sampled_from(["", None, "5", "5.0", "9", "x"]),
        "review_timestamp": TIMES,
        "content_exposure_tags": st.sampled_from(["", None, "how-to", "how-to;recipe", ",|"]),
        "exposure_timestamp": TIMES,
    }
)


def text(cell):
    return (cell or "").strip()


def moment(cell):
    """What tells two filled time cells apart."""
    try:
        return datetime.fromisoformat(text(cell))
    except ValueError:
        return text(cell)


def number(cell):
    try:
        return float(text(cell))
    except ValueError:
        return text(cell)


def counted(rows):
    """How many events each table must hold: every filled cell in one of them, none in two."""
    found = {name: set() for name in ("shipments", "deliveries", "returns", "refunds", "reviews",
                                      "exposures")}  # fmt: skip
    for i, row in enumerate(rows):
        order = text(row["order_id"]).removesuffix(".0")
        who = (text(row["customer_id"]), order or f"row {i}")
        sent, came = text(row["ship_timestamp"]), text(row["delivery_timestamp"])
        parcel = (*who, moment(sent) if sent else None)
        if sent:
            found["shipments"].add(parcel)
        if came:
            found["deliveries"].add((*parcel, moment(came)))
        if text(row["return_flag"]) in ("1", "yes"):
            found["returns"].add(i)
        if text(row["refund_amount"]) not in ("", "0"):
            found["refunds"].add(i)
        said, stars = text(row["review_text"]), text(row["review_rating"])
        if said or stars:
            found["reviews"].add((*who, said, number(stars), moment(row["review_timestamp"])))
        tags = text(row["content_exposure_tags"]).replace("|", ",").replace(";", ",").split(",")
        for tag in filter(None, tags):
            found["exposures"].add((*who, tag, moment(row["exposure_timestamp"])))
    return {name: len(events) for name, events in found.items()}


@settings(max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_every_filled_cell_is_one_event_or_one_quarantined_row(rows, random):
    tables = split(pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String)))
    assert tables["order_lines"].frame.height == len(rows)
    heights = {name: raw.frame.height for name, raw in tables.items() if name != "order_lines"}
    assert heights == counted(rows)
    admitted = {name: admit(name, raw, zone=ZONE, currency="EUR") for name, raw in tables.items()}
    for name, got in admitted.items():
        report = got.report
        assert report.rows_in == tables[name].frame.height
        assert got.frame.height == report.kept + sum(report.repaired.values())
        assert report.rows_in == got.frame.height + report.rows_quarantined
    random.shuffle(rows)
    again = split(pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String)))
    for name, got in admitted.items():
        shuffled = admit(name, again[name], zone=ZONE, currency="EUR")
        assert shuffled.frame.equals(got.frame), name
        assert shuffled.granularity == got.granularity
        assert shuffled.report == got.report, name
