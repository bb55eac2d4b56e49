"""Every rule of the contract as a named case with its outcome."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppi_ml.conversion import NO_CURRENCY, settle_currency
from ppi_ml.errors import DataError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.intake import RawTable, admit
from ppi_ml.schema import TABLES

LONDON = "Europe/London"


def lines(**columns):
    """Three sound order lines of two orders, with columns replaced or (None) left out."""
    sound = {
        "order_id": ["o1", "o1", "o2"],
        "line_id": ["1", "2", "1"],
        "customer_id": ["c1", "c1", "c2"],
        "occurred_at": ["2011-07-01T10:00:00", "2011-07-01T10:00:00", "2011-07-02T11:00:00"],
        "sku": ["a", "b", "a"],
        "quantity": ["1", "2", "3"],
        "unit_price": ["1.50", "2.25", "3"],
    }
    return pl.DataFrame({k: v for k, v in {**sound, **columns}.items() if v is not None})


def read(frame, name="order_lines", zone="UTC", currency="GBP", lag_days=0, **raw):
    return admit(name, RawTable(frame, **raw), zone=zone, currency=currency, lag_days=lag_days)


def balance(report):
    return report.kept + sum(report.repaired.values()) + sum(report.quarantined.values())


def instant(text, zone="UTC"):
    return Cutoff.parse(text, zone).at


def test_sound_rows_are_kept_in_canonical_form():
    got = read(lines(), zone=LONDON)
    assert (got.report.kept, got.report.repaired, got.report.quarantined) == (3, {}, {})
    assert got.frame.row(1, named=True) == {
        "customer_id": "c1",
        "at": instant("2011-07-01T09:00:00+00:00"),
        "known": instant("2011-07-01T09:00:00+00:00"),
        "wall": instant("2011-07-01T10:00:00"),
        "order_id": "o1",
        "line_id": "2",
        "sku": "b",
        "quantity": 2.0,
        "unit_price": 2.25,
        "discount": None,
        "currency": "GBP",
        "promo_code": None,
        "channel": None,
        "order_type": "one_off",
        "quantity_e3": 2000,
        "value_e4": 45000,
    }
    assert (got.report.first, got.report.last) == ("2011-07-01T10:00:00", "2011-07-02T11:00:00")
    assert got.report.late_share is None


QUARANTINED = {
    "no customer": ({"customer_id": ["c1", "c1", ""]}, "customer_id missing"),
    "no order": ({"order_id": ["o1", "o1", None]}, "order_id missing"),
    "no line": ({"line_id": ["1", "2", " "]}, "line_id missing"),
    "no time": ({"occurred_at": ["2011-07-01", "2011-07-01", None]}, "occurred_at missing"),
    "no such day": (
        {"occurred_at": ["2011-07-01", "2011-07-01", "2011-06-31"]},
        "occurred_at must be an ISO date or time",
    ),
    "epoch": (
        {"occurred_at": ["2011-07-01", "2011-07-01", "1970-01-01"]},
        "occurred_at must lie between 1970-01-02 and 2200-01-01",
    ),
    "known never": (
        {"known_at": ["2011-07-03", "2011-07-03", "soon"]},
        "known_at must be an ISO date or time",
    ),
    "quantity zero": ({"quantity": [1, 1, 0]}, "quantity must be > 0"),
    "quantity negative": ({"quantity": [1, 1, -1]}, "quantity must be > 0"),
    "quantity empty": ({"quantity": [1, 1, None]}, "quantity missing"),
    "quantity NaN": ({"quantity": [1.0, 1.0, float("nan")]}, "quantity must be a number"),
    "quantity infinite": ({"quantity": [1.0, 1.0, float("inf")]}, "quantity must be a number"),
    "quantity huge": ({"quantity": [1, 1, 10**10]}, "quantity must be <= 1e+09"),
    "price negative": ({"unit_price": [1, 1, -1]}, "unit_price must be >= 0"),
    "value huge": (
        {"quantity": [1, 1, 10**8], "unit_price": [1, 1, 10**8]},
        "quantity * unit_price must be <= 1e+11",
    ),
    "discount above value": (
        {"discount": [None, 0.5, 9.01]},
        "discount must not exceed quantity * unit_price",
    ),
    "odd order type": (
        {"order_type": ["one_off", "free", "gift"]},
        "order_type must be one of one_off, subscription, exchange, replacement, free",
    ),
}


@pytest.mark.parametrize(("columns", "rule"), QUARANTINED.values(), ids=QUARANTINED)
def test_quarantined(columns, rule):
    got = read(lines(**columns))
    assert (got.report.kept, got.report.quarantined) == (2, {rule: 1})
    assert got.quarantine.select("table", "row", "rule").rows() == [("order_lines", 2, rule)]
    assert got.frame.height == 2


REPAIRED = {
    "decimal id": (
        {"customer_id": ["c1", "c1", "12345.0"]}, "id written as a decimal number",
        "customer_id", "12345",
    ),
    "spaces": (
        {"customer_id": ["c1", "c1", " c9 "]}, "surrounding spaces stripped", "customer_id", "c9",
    ),
    "known before it occurred": (
        {"known_at": ["2011-07-03T00:00:00", "2011-07-03T00:00:00", "2011-07-01T00:00:00"]},
        "known_at before occurred_at, moved to it", "known", instant("2011-07-02T11:00:00"),
    ),
    "known_at empty": (
        {"known_at": ["2011-07-03T00:00:00", "2011-07-03T00:00:00", ""]},
        "known_at empty, so occurred_at + known_lag", "known", instant("2011-07-02T11:00:00"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "rule", "column", "value"), REPAIRED.values(), ids=REPAIRED)
def test_repaired(columns, rule, column, value):
    got = read(lines(**columns))
    assert (got.report.kept, got.report.repaired, got.report.quarantined) == (2, {rule: 1}, {})
    assert value in got.frame[column]


def test_a_skipped_hour_is_moved_on_and_counted():
    got = read(lines(occurred_at=["2011-03-27T01:30:00"] * 3), zone=LONDON)
    assert got.report.repaired == {"occurred_at skipped by the clock, moved on": 3}
    assert got.frame["wall"].unique().to_list() == [instant("2011-03-27T02:30:00")]


def test_a_row_that_breaks_several_rules_is_quarantined_once_by_the_first():
    got = read(lines(customer_id=["c1", "c1", None], quantity=[1, 1, -1], unit_price=[1, 1, -1]))
    assert got.report.quarantined == {"customer_id missing": 1}


def test_a_repaired_row_that_is_quarantined_counts_as_quarantined():
    got = read(lines(customer_id=["c1", "c1", " c2"], quantity=[1, 1, -1]))
    assert (got.report.repaired, got.report.quarantined) == ({}, {"quantity must be > 0": 1})


def test_identical_rows_of_one_key_are_duplicates():
    got = read(pl.concat([lines(), lines()]))
    assert got.report.quarantined == {"duplicate of an earlier row": 3}
    assert got.quarantine["row"].to_list() == [3, 4, 5]
    assert got.quarantine.row(0)[3:] == ("order_id, line_id", "o1, 1")
    assert got.frame.equals(read(lines()).frame)


def test_of_contradicting_rows_the_one_known_first_stays():
    late = lines(quantity=[9, 9, 9], known_at=["2011-07-09T00:00:00"] * 3)
    early = lines(quantity=[1, 2, 3], known_at=["2011-07-08T00:00:00"] * 3)
    got = read(pl.concat([late, early]))
    assert got.report.quarantined == {"key repeated with other content": 3}
    assert got.quarantine["row"].to_list() == [0, 1, 2]
    assert got.frame["quantity"].to_list() == [1.0, 2.0, 3.0]


def test_of_contradicting_rows_known_at_once_the_first_stays():
    got = read(pl.concat([lines(quantity=[1, 2, 3]), lines(quantity=[9, 9, 9])]))
    assert got.report.quarantined == {"key repeated with other content": 3}
    assert got.frame["quantity"].to_list() == [1.0, 2.0, 3.0]


def test_a_bad_row_does_not_hide_the_sound_one_of_its_key():
    got = read(pl.concat([lines(quantity=[-1, 2, 3]), lines(quantity=[1, 2, 3])]))
    assert got.report.quarantined == {"quantity must be > 0": 1, "duplicate of an earlier row": 2}
    assert got.frame.height == 3


def test_a_later_line_of_another_customer_leaves_the_order_to_the_first():
    """Known on 1 July as c1's; on 5 July somebody else's line turns up under the same order."""
    known = ["2011-07-01T12:00:00", "2011-07-05T12:00:00", "2011-07-02T12:00:00"]
    frame = lines(customer_id=["c1", "c9", "c2"], known_at=known)
    for rows in (frame, frame.reverse()):
        got = read(rows)
        assert got.report.quarantined == {"order_id with more than one customer": 1}
        assert got.frame["customer_id"].to_list() == ["c1", "c2"]
    alone = read(frame.filter(pl.col("customer_id") != "c9"))
    assert got.frame.equals(alone.frame)


def test_an_order_of_two_customers_is_nobodys():
    got = read(lines(customer_id=["c1", "c2", "c2"]))
    assert got.report.quarantined == {"order_id with more than one customer": 2}
    assert got.frame["order_id"].to_list() == ["o2"]


def test_an_order_whose_first_lines_disagree_is_nobodys_even_if_a_later_one_sides():
    known = ["2011-07-01T12:00:00", "2011-07-01T12:00:00", "2011-07-05T12:00:00"]
    got = read(lines(order_id=["o1"] * 3, line_id=["1", "2", "3"], customer_id=["c1", "c9", "c1"],
                     occurred_at=["2011-07-01T10:00:00"] * 3, known_at=known))  # fmt: skip
    assert got.report.quarantined == {"order_id with more than one customer": 3}


def test_lines_of_one_order_share_the_earliest_time():
    times = ["2011-07-01T10:05:00", "2011-07-01T10:00:00", "2011-07-02T11:00:00"]
    got = read(lines(occurred_at=times))
    assert (got.report.kept, got.report.repaired) == (2, {"order time unified": 1})
    assert got.frame["at"].unique().sort().to_list() == [instant(times[1]), instant(times[2])]
    # What the log learned at 10:05 it did not know at 10:00.
    assert got.frame.row(0, named=True)["known"] == instant(times[0])


def test_a_line_known_later_does_not_move_an_order_that_is_already_past():
    times = ["2011-07-01T10:00:00", "2011-07-01T09:00:00", "2011-07-02T11:00:00"]
    known = ["2011-07-01T10:00:00", "2011-07-05T00:00:00", "2011-07-02T11:00:00"]
    got = read(lines(occurred_at=times, known_at=known))
    assert got.frame["at"].to_list()[:2] == [instant(times[0])] * 2
    assert got.frame["known"].to_list()[:2] == [instant(known[0]), instant(known[1])]


def test_lag_is_days_on_the_clock_and_stands_in_for_known_at():
    day = [datetime(2011, 3, 26, 12)] * 3
    got = read(lines(occurred_at=day), zone=LONDON, lag_days=1)
    assert got.frame["known"].unique().to_list() == [instant("2011-03-27T11:00:00+00:00")]


@pytest.mark.parametrize("dates", [["2011-03-27"] * 3, [date(2011, 3, 27)] * 3])
@pytest.mark.parametrize("granularity", ["day", "instant"])
def test_dates_alone_are_days_known_when_they_are_over(dates, granularity):
    got = read(lines(occurred_at=dates), zone=LONDON, granularity=granularity)
    row = got.frame.row(0, named=True)
    assert got.granularity == "day"
    assert row["at"] == instant("2011-03-27T00:00:00+00:00")
    assert row["known"] == instant("2011-03-27T23:00:00+00:00") - 1
    assert row["wall"] == instant("2011-03-27")
    told = "order_lines: occurred_at holds dates only; read with granularity day"
    assert (told in got.notes) == (granularity == "instant")


def test_granularity_day_forgets_the_time_of_day():
    got = read(lines(), granularity="day", lag_days=2)
    assert got.frame["wall"].to_list()[0] == instant("2011-07-01")
    assert got.frame["known"].to_list()[0] == instant("2011-07-04") - 1


def test_a_known_at_that_is_a_date_is_the_end_of_that_day():
    got = read(lines(known_at=[date(2011, 7, 4)] * 3))
    assert got.frame["known"].unique().to_list() == [instant("2011-07-05") - 1]
    assert got.report.late_share == 1.0


def test_a_day_whose_midnight_is_skipped_still_starts_at_midnight():
    got = read(lines(occurred_at=["2018-11-04"] * 3), zone="America/Sao_Paulo")
    assert got.frame["wall"].unique().to_list() == [instant("2018-11-04")]
    assert got.report.repaired == {}


def test_absent_columns_are_assumed_aloud():
    got = read(lines(quantity=None, unit_price=None, note=["x", "y", "z"]))
    assert got.frame["quantity_e3"].to_list() == [1000] * 3
    assert got.frame["value_e4"].null_count() == 3
    assert got.notes == (
        "order_lines: ignored columns note",
        "order_lines: no column quantity, so 1 everywhere",
        "order_lines: no column order_type, so one_off everywhere",
        "order_lines: unknown, because there is no column unit_price, discount, promo_code, "
        "channel",
    )


def test_net_value_is_exact_in_ten_thousandths():
    got = read(lines(quantity=[3, 3, 1], unit_price=[0.1, 1.1, 38970.0], discount=[None, 0.05, 0]))
    assert got.frame["value_e4"].to_list() == [3000, 32500, 389_700_000]


MISSING_COLUMN = (
    r"order_lines \(orders.csv\): required column customer_id is missing; the columns are: .*"
    r"columns: \{customer_id: Customer_ID\}"
)


def test_a_missing_column_is_named_with_the_way_to_map_it():
    frame = lines().rename({"customer_id": "Customer_ID"})
    with pytest.raises(DataError, match=MISSING_COLUMN):
        read(frame, origin="orders.csv")


def test_a_column_without_any_customer_is_an_error():
    with pytest.raises(DataError, match="customer_id is empty in every row"):
        read(lines(customer_id=[None, "", "nan"]))


def test_an_unknown_table_is_an_error():
    with pytest.raises(DataError, match=r"unknown table .*Did you mean returns"):
        read(lines(), name="return")


def returned(known, days=40):
    """One return per hour of `days` days, known when `known` (a function of the hour) says."""
    hours = [datetime(2011, 1, 1) + timedelta(hours=h) for h in range(24 * days)]
    return pl.DataFrame(
        {
            "return_id": [str(number) for number in range(len(hours))],
            "customer_id": ["c"] * len(hours),
            "occurred_at": hours,
            "known_at": [known(hour) for hour in hours],
        }
    )


def test_a_migration_is_not_lateness():
    moved = datetime(2011, 2, 1, 12)
    frame = returned(lambda hour: max(hour, moved))
    with pytest.raises(DataError, match=r"744 of 960 rows .* 2011-02-01,.*data\.known_lag"):
        read(frame, name="returns")


def test_rows_known_the_same_day_or_in_weekly_batches_are_no_migration():
    assert read(returned(lambda hour: hour), name="returns").report.late_share == 0.0
    weekly = returned(lambda hour: hour + timedelta(days=7 - hour.timetuple().tm_yday % 7))
    assert read(weekly, name="returns").report.late_share == 1.0


CURRENCIES = [
    (["GBP", " gbp", None], "GBP", "GBP"),
    (["GBP", "GBP", "GBP"], None, "GBP"),
    ([None, None, None], "EUR", "EUR"),
    ([None, None, None], None, NO_CURRENCY),
]


@pytest.mark.parametrize(("cells", "stated", "settled"), CURRENCIES)
def test_one_currency_is_settled(cells, stated, settled):
    frame = lines(currency=pl.Series(cells, dtype=pl.String))
    assert settle_currency({"order_lines": RawTable(frame)}, stated) == settled
    assert read(frame, currency=settled).frame["currency"].unique().to_list() == [settled]


@pytest.mark.parametrize("stated", [None, "GBP"])
def test_mixed_currencies_are_an_error_that_names_them(stated):
    frame = lines(currency=["GBP", "GBP", "EUR"])
    with pytest.raises(DataError, match="holds EUR, GBP; expected"):
        settle_currency({"order_lines": RawTable(frame)}, stated)


def test_a_wrongly_mapped_currency_column_is_not_quoted():
    frame = lines(currency=["Jane Doe", "John Doe", "GBP"])
    with pytest.raises(DataError, match="values that are no currency codes") as caught:
        settle_currency({"order_lines": RawTable(frame)}, "GBP")
    assert "Doe" not in str(caught.value)


def products(**columns):
    """Three sound products, with columns replaced or (None) left out."""
    sound = {
        "sku": ["c", "a", "b"],
        "category": ["Tea", "Tea", "Cups"],
        "department": ["Grocery", "Grocery", "Kitchen"],
        "brand": ["Own", "Own", None],
        "unit_size": ["250", "0.5", ""],
        "unit_of_measure": ["G", "KG", ""],
        "consumable": ["yes", "1", "no"],
    }
    return pl.DataFrame({k: v for k, v in {**sound, **columns}.items() if v is not None})


def test_products_have_neither_customers_nor_dates():
    got = read(products(), name="products", zone=LONDON, lag_days=3)
    assert (got.report.kept, got.report.repaired, got.report.quarantined) == (3, {}, {})
    assert got.frame.rows() == [
        ("a", None, "Tea", None, "Grocery", "Own", 0.5, "KG", "yes", None),
        ("b", None, "Cups", None, "Kitchen", None, None, None, "no", None),
        ("c", None, "Tea", None, "Grocery", "Own", 250.0, "G", "yes", None),
    ]
    assert got.frame.columns == list(TABLES["products"].names)
    assert (got.report.first, got.report.last, got.report.late_share) == (None, None, None)
    assert got.notes == ("products: unknown, because there is no column name, category_group",)


def test_products_are_not_told_by_days_whatever_the_source_says():
    assert read(products(), name="products", granularity="day").granularity == "instant"


def test_customers_and_dates_of_products_are_ignored_aloud():
    frame = products().with_columns(customer_id=pl.lit("c1"), occurred_at=pl.lit("2011-07-01"))
    assert read(frame, name="products").notes[0] == (
        "products: ignored columns customer_id, occurred_at"
    )


def test_products_need_no_category():
    got = read(products(category=None, department=None, consumable=None), name="products")
    assert (got.report.kept, got.frame["category"].null_count()) == (3, 3)


PRODUCTS_QUARANTINED = {
    "size zero": ({"unit_size": [0, 1, 1]}, "unit_size must be > 0"),
    "size negative": ({"unit_size": [-2.5, 1, 1]}, "unit_size must be > 0"),
    "size huge": ({"unit_size": [1e10, 1, 1]}, "unit_size must be <= 1e+09"),
    "size in words": ({"unit_size": ["12 OZ", "1", "1"]}, "unit_size must be a number"),
    "no sku": ({"sku": [" ", "a", "b"]}, "sku missing"),
    "perhaps consumable": (
        {"consumable": ["perhaps", "yes", None]},
        "consumable must be one of yes, no (or true, false, 1, 0, y, n, t, f)",
    ),
}


@pytest.mark.parametrize(
    ("columns", "rule"), PRODUCTS_QUARANTINED.values(), ids=PRODUCTS_QUARANTINED
)
def test_products_quarantined(columns, rule):
    got = read(products(**columns), name="products")
    assert (got.report.kept, got.report.quarantined) == (2, {rule: 1})
    assert got.quarantine.select("table", "row", "rule").rows() == [("products", 0, rule)]


def test_of_products_with_one_sku_the_first_stays():
    same = products(sku=["a", "a", "b"], category=["Tea", "Tea", "Cups"],
                    unit_size=["1", "1", "1"], unit_of_measure=["G", "G", "G"],
                    consumable=["yes", "true", "no"])  # fmt: skip
    assert read(same, name="products").report.quarantined == {"duplicate of an earlier row": 1}
    other = read(products(sku=["a", "a", "b"]), name="products")
    assert other.report.quarantined == {"key repeated with other content": 1}
    assert other.frame["unit_size"].to_list() == [250.0, None]
    assert other.quarantine.row(0)[3:] == ("sku", "a")


def test_a_sku_written_as_a_number_is_the_sku_of_the_lines():
    got = read(products(sku=[85048.0, 7.0, 12.0]), name="products")
    assert got.frame["sku"].to_list() == ["12", "7", "85048"]
    assert got.report.repaired == {"id written as a decimal number": 3}


def stock(**columns):
    """Three changes of two products, out of order."""
    sound = {
        "sku": ["b", "a", "a"],
        "occurred_at": ["2011-07-03T09:00:00", "2011-07-05T09:00:00", "2011-07-01T09:00:00"],
        "available": ["no", "yes", "no"],
    }
    return pl.DataFrame({k: v for k, v in {**sound, **columns}.items() if v is not None})


def test_stock_is_sorted_by_time_and_has_no_customers():
    got = read(stock(), name="stock", lag_days=1)
    assert got.frame.columns == ["at", "known", "wall", "sku", "available"]
    assert got.frame.select("sku", "available").rows() == [("a", "no"), ("b", "no"), ("a", "yes")]
    assert (got.frame["known"] - got.frame["at"]).to_list() == [DAY_US] * 3


STOCK_QUARANTINED = {
    "a bad word": (
        {"available": ["sold out", "yes", "no"]},
        "available must be one of yes, no (or true, false, 1, 0, y, n, t, f)",
    ),
    "no word": ({"available": ["", "yes", "no"]}, "available missing"),
    "no sku": ({"sku": [None, "a", "a"]}, "sku missing"),
    "no time": (
        {"occurred_at": ["", "2011-07-05T09:00:00", "2011-07-01T09:00:00"]},
        "occurred_at missing",
    ),
}


@pytest.mark.parametrize(("columns", "rule"), STOCK_QUARANTINED.values(), ids=STOCK_QUARANTINED)
def test_stock_quarantined(columns, rule):
    got = read(stock(**columns), name="stock")
    assert (got.report.kept, got.report.quarantined) == (2, {rule: 1})


def test_a_product_has_one_state_at_a_time():
    times = ["2011-07-03T09:00:00", "2011-07-01T09:00:00", "2011-07-01T09:00:00"]
    got = read(stock(occurred_at=times), name="stock")
    assert got.report.quarantined == {"key repeated with other content": 1}
    assert got.frame.select("sku", "available").rows() == [("a", "yes"), ("b", "no")]
    assert got.quarantine.row(0)[3:] == ("sku, occurred_at", "a, 2011-07-01T09:00:00")
    known = ["2011-07-09T09:00:00", "2011-07-09T09:00:00", "2011-07-02T09:00:00"]
    first = read(stock(occurred_at=times, known_at=known), name="stock")
    assert first.frame.select("sku", "available").rows() == [("a", "no"), ("b", "no")]


def usage(**columns):
    sound = {
        "usage_id": ["u1", "u2", "u3"],
        "customer_id": ["c1", "c1", "c2"],
        "occurred_at": ["2011-07-01T09:00:00", "2011-07-08T09:00:00", "2011-07-09T09:00:00"],
        "sku": ["a", "a", None],
        "amount": [0.25, None, 2],
        "kind": ["first_use", None, "telemetry"],
    }
    return pl.DataFrame({k: v for k, v in {**sound, **columns}.items() if v is not None})


def test_an_unknown_amount_of_usage_is_null_and_not_one():
    got = read(usage(), name="usage")
    assert got.report.kept == 3
    assert got.frame["amount_e3"].to_list() == [250, None, 2000]
    assert got.frame["kind"].to_list() == ["first_use", None, "telemetry"]
    assert got.frame["sku"].to_list() == ["a", "a", None]
    bare = read(usage(amount=None, kind=None), name="usage")
    assert bare.frame["amount_e3"].null_count() == 3
    assert bare.notes == ("usage: unknown, because there is no column amount, kind",)


USAGE_QUARANTINED = {
    "amount zero": ({"amount": [0, 1, 1]}, "amount must be > 0"),
    "amount negative": ({"amount": [-1, 1, 1]}, "amount must be > 0"),
    "odd kind": (
        {"kind": ["spilled", "refill", "refill"]},
        "kind must be one of first_use, refill, telemetry",
    ),
    "no id": ({"usage_id": ["", "u2", "u3"]}, "usage_id missing"),
    "no customer": ({"customer_id": ["", "c1", "c2"]}, "customer_id missing"),
}


@pytest.mark.parametrize(("columns", "rule"), USAGE_QUARANTINED.values(), ids=USAGE_QUARANTINED)
def test_usage_quarantined(columns, rule):
    got = read(usage(**columns), name="usage")
    assert (got.report.kept, got.report.quarantined) == (2, {rule: 1})


def deliveries(**columns):
    sound = {
        "shipment_id": ["s1", "s2"],
        "customer_id": ["c1", "c2"],
        "occurred_at": ["2011-07-04T09:00:00", "2011-07-05T09:00:00"],
        "order_id": ["o1", None],
        "promised_at": ["2011-07-03T18:00:00", ""],
    }
    return pl.DataFrame({k: v for k, v in {**sound, **columns}.items() if v is not None})


def test_a_promise_is_an_instant_or_null():
    got = read(deliveries(), name="deliveries", zone=LONDON)
    assert got.report.kept == 2
    assert got.frame["promised_at"].to_list() == [instant("2011-07-03T17:00:00+00:00"), None]
    none = read(deliveries(promised_at=None), name="deliveries")
    assert none.frame.schema["promised_at"] == got.frame.schema["promised_at"]
    assert none.notes == ("deliveries: unknown, because there is no column promised_at",)


@pytest.mark.parametrize("promised", [["2011-07-03", ""], [date(2011, 7, 3), None]])
def test_what_is_promised_for_a_day_is_kept_when_that_day_is_over(promised):
    got = read(deliveries(promised_at=promised), name="deliveries", zone=LONDON)
    assert got.frame["promised_at"].to_list() == [instant("2011-07-04", LONDON) - 1, None]
    assert got.granularity == "instant"


def test_a_promise_that_is_no_time_is_quarantined():
    got = read(deliveries(promised_at=["soon", ""]), name="deliveries")
    assert got.report.quarantined == {"promised_at must be an ISO date or time": 1}


def one_row(name):
    """A table of one sound row, every cell filled."""
    usual = {"id": "x1", "text": "x", "number": 2.0, "currency": "GBP",
             "time": "2011-07-01T10:00:00"}  # fmt: skip
    columns = TABLES[name].columns
    return pl.DataFrame({c.name: [usual.get(c.kind, (*c.choices, "")[0])] for c in columns})


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_has_the_columns_of_one_with_rows(name):
    for frame in (pl.DataFrame(), pl.DataFrame(schema={"customer_id": pl.String})):
        empty = read(frame, name=name)
        with_rows = read(one_row(name), name=name)
        assert with_rows.report.kept == 1
        assert empty.frame.schema == with_rows.frame.schema
        assert (empty.report.rows_in, empty.report.kept) == (0, 0)


messy_id = st.sampled_from(["a", "b", " a", "1.0", "1", "", None, "nan"])
messy_time = st.sampled_from(
    ["2011-07-01", "2011-07-01T10:00:00", "2011-03-27 01:30", "1969-01-01", "never", "", None]
)
messy_number = st.sampled_from(["1", "2.5", "0", "-1", "nan", "inf", "1e300", "x", "", None])
messy_row = st.fixed_dictionaries(
    {
        "order_id": messy_id,
        "line_id": messy_id,
        "customer_id": messy_id,
        "occurred_at": messy_time,
        "known_at": messy_time,
        "sku": messy_id,
        "quantity": messy_number,
        "unit_price": messy_number,
        "discount": messy_number,
        "order_type": st.sampled_from(["free", "one_off", "gift", " free", None]),
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(messy_row, min_size=1, max_size=25), st.sampled_from(["instant", "day"]))
def test_nothing_is_dropped_in_silence(rows, granularity):
    frame = pl.DataFrame(rows, schema=dict.fromkeys(messy_rows_columns, pl.String))
    frame = pl.concat([frame, lines()], how="diagonal")
    got = read(frame, zone=LONDON, granularity=granularity)
    report = got.report
    assert report.rows_in == frame.height == balance(report)
    assert got.frame.height == report.rows_in - report.rows_quarantined
    assert got.quarantine.height == report.rows_quarantined
    assert got.quarantine["row"].is_unique().all()
    assert dict(got.quarantine["rule"].value_counts().iter_rows()) == report.quarantined
    _is_canonical(got.frame)


messy_rows_columns = (
    "order_id", "line_id", "customer_id", "occurred_at", "known_at", "sku", "quantity",
    "unit_price", "discount", "order_type",
)  # fmt: skip


messy_product = st.fixed_dictionaries(
    {
        "sku": messy_id,
        "occurred_at": messy_time,
        "known_at": messy_time,
        "unit_size": messy_number,
        "available": st.sampled_from(["yes", "no", "1", "0.0", "TRUE", "maybe", "", None]),
        "category": messy_id,
    }
)


@settings(max_examples=100, deadline=None)
@given(st.lists(messy_product, min_size=1, max_size=25), st.sampled_from(["products", "stock"]))
def test_nothing_is_dropped_in_silence_of_tables_without_customers(rows, name):
    frame = pl.DataFrame(rows, schema=dict.fromkeys(messy_product_columns, pl.String))
    got = read(frame, name=name, zone=LONDON)
    assert got.report.rows_in == frame.height == balance(got.report)
    assert got.frame.height == got.report.rows_in - got.report.rows_quarantined
    assert dict(got.quarantine["rule"].value_counts().iter_rows()) == got.report.quarantined
    assert not got.frame.select(TABLES[name].frame_key).is_duplicated().any()
    assert got.frame.equals(got.frame.sort(TABLES[name].order))


messy_product_columns = ("sku", "occurred_at", "known_at", "unit_size", "available", "category")


def _is_canonical(frame):
    needed = ["customer_id", "at", "known", "wall", "order_id", "line_id", "quantity_e3"]
    assert frame.select(needed).null_count().sum_horizontal().item() == 0
    assert (frame["known"] >= frame["at"]).all()
    assert (frame["quantity_e3"] > 0).all()
    assert (frame["value_e4"].drop_nulls() >= 0).all()
    assert not frame.select("order_id", "line_id").is_duplicated().any()
    per_order = frame.group_by("order_id").agg(pl.col("customer_id", "at").n_unique())
    assert per_order.filter((pl.col("customer_id") > 1) | (pl.col("at") > 1)).height == 0
    assert frame.equals(frame.sort("customer_id", "at", *TABLES["order_lines"].key))
    assert (frame["wall"] - frame["at"]).abs().max() <= DAY_US
