import pickle
import zlib
from datetime import datetime, timedelta

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppi_ml.errors import DataError, UsageError
from ppi_ml.events import EventLog, RawTable, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.schema import TABLES
from ppi_ml.snapshot import Past
from ppi_ml.sources.dataframes import raw_tables

ZONE = "Europe/London"


def order_lines(days=20, customers=5):
    """One line per customer and day at 12:00 from 2011-03-20 on (the clock changes on the 27th)."""
    rows = [(day, customer) for day in range(days) for customer in range(customers)]
    return pl.DataFrame(
        {
            "order_id": [f"o{day}-{customer}" for day, customer in rows],
            "line_id": [1] * len(rows),
            "customer_id": [f"c{customer}" for _, customer in rows],
            "occurred_at": [datetime(2011, 3, 20, 12) + timedelta(days=day) for day, _ in rows],
            "sku": [f"s{day % 3}" for day, _ in rows],
            "quantity": [1 + day for day, _ in rows],
            "unit_price": [1.25 * (customer + 1) for _, customer in rows],
        }
    )


def returns():
    return pl.DataFrame(
        {
            "return_id": ["r1", "r2"],
            "customer_id": ["c1", "c9"],
            "occurred_at": [datetime(2011, 3, 29, 9), datetime(2011, 4, 2, 9)],
            "known_at": [datetime(2011, 4, 1, 9), datetime(2011, 4, 2, 9)],
        }
    )


def products():
    return pl.DataFrame(
        {"sku": ["s9", "s1"], "category": ["Cups", "Tea"], "unit_size": [6.0, 0.25]}
    )


def stock():
    """Long before the first order, and once more months before the last one."""
    return pl.DataFrame(
        {
            "sku": ["s1", "s1", "s9"],
            "occurred_at": [datetime(2010, 1, 1), datetime(2011, 3, 21, 8), datetime(2010, 1, 1)],
            "available": [True, False, True],
        }
    )


def usage():
    return pl.DataFrame(
        {
            "usage_id": ["u1", "u2"],
            "customer_id": ["c1", "c8"],
            "occurred_at": [datetime(2011, 3, 25, 9), datetime(2011, 3, 26, 9)],
            "amount": [0.5, None],
        }
    )


def deliveries():
    return pl.DataFrame(
        {
            "shipment_id": ["d1"],
            "customer_id": ["c2"],
            "occurred_at": [datetime(2011, 3, 25, 9)],
            "promised_at": ["2011-03-24"],
        }
    )


def load(lines=None, back=None, more=None, **settings):
    """A log of order lines, of returns if they are given, and of `more` tables by name."""
    tables = {"order_lines": RawTable(order_lines() if lines is None else lines)}
    if back is not None:
        tables["returns"] = RawTable(back)
    tables |= {name: RawTable(frame) for name, frame in (more or {}).items()}
    return load_tables(tables, **{"timezone": ZONE, "currency": "GBP", **settings})


def more_tables():
    return {
        "deliveries": deliveries(),
        "usage": usage(),
        "stock": stock(),
        "products": products(),
    }


def load_all(**settings):
    return load(more=more_tables(), **settings)


def test_a_log_knows_its_customers_and_its_period():
    log = load(back=returns())
    assert log.customer_ids.to_list() == ["c0", "c1", "c2", "c3", "c4", "c9"]
    assert str(log.observed_from) == "2011-03-20"
    assert str(log.observed_until) == "2011-04-08"  # the day of the last event may not be over
    assert str(log.tables["returns"].observed_from) == "2011-03-29"
    assert (log.timezone, log.currency) == (ZONE, "GBP")
    assert "<td>order_lines</td><td>100</td>" in log._repr_html_()


def test_a_table_of_days_ends_when_its_last_day_does():
    log = load(order_lines().with_columns(pl.col("occurred_at").dt.date()))
    assert log.tables["order_lines"].granularity == "day"
    assert str(log.observed_until) == "2011-04-09"


def test_a_stated_period_is_believed():
    stated = RawTable(order_lines(), observed_from="2011-03-01", observed_until="2011-05-01")
    log = load_tables({"order_lines": stated}, timezone=ZONE)
    assert (str(log.observed_from), str(log.observed_until)) == ("2011-03-01", "2011-05-01")


@pytest.mark.parametrize(
    ("until", "ends"),
    [
        ("2011-04-01", "2011-04-01"),  # inside the log
        ("2011-04-08T18:00:00", "2011-04-08T18:00:00"),  # on the last day: the log says it is over
        ("2011-04-09", "2011-04-09"),  # the midnight after
        ("2011-04-11", "2011-04-11"),  # after a quiet weekend
        ("2011-04-30", "2011-04-08"),  # weeks later than the log reaches: not believed
    ],
)
def test_until_at_load_says_where_the_log_ends(until, ends):
    assert str(load(until=until).observed_until) == ends


def test_until_keeps_what_was_known_before_and_counts_the_rest():
    log = load(back=returns(), until="2011-03-31")
    assert log.tables["order_lines"].frame.height == 11 * 5
    assert log.tables["returns"].frame.height == 0  # r1 occurred before, but became known after
    assert log.report.notes[-2:] == (
        "order_lines: 45 events known at or after 2011-03-31 were set aside",
        "returns: 2 events known at or after 2011-03-31 were set aside",
    )


def test_until_is_strict_to_the_microsecond():
    log = load()
    first = Cutoff.parse("2011-03-20T12:00:00", ZONE)
    after = Cutoff.from_instant(first.at + 1, ZONE)
    assert log.until(first).tables["order_lines"].frame.height == 0
    assert log.until(after).tables["order_lines"].frame.height == 5
    assert log.until(after).observed_until == after
    assert log.until("2012-01-01").observed_until == log.observed_until


def test_cutting_a_cut_log_is_cutting_once():
    log = load(back=returns())
    twice = log.until("2011-04-03").until("2011-03-30")
    assert twice.fingerprint == log.until("2011-03-30").fingerprint


def test_whole_days_are_cut_at_midnights_only():
    log = load(order_lines().with_columns(pl.col("occurred_at").dt.date()))
    assert log.until("2011-03-21").tables["order_lines"].frame.height == 5
    with pytest.raises(UsageError, match="local midnights only"):
        log.until("2011-03-21T10:00:00")


def test_keep_months_drops_what_is_older_and_counts_it():
    log = load(order_lines(days=60), keep_months=1)
    assert str(log.observed_until) == "2011-05-18"
    assert str(log.observed_from) == "2011-04-18"
    assert log.order_lines["occurred_at"].min() == pd.Timestamp("2011-04-18 12:00", tz=ZONE)
    note = "order_lines: 145 events that occurred before 2011-04-18 were set aside"
    assert log.report.notes[-1] == note


def test_keep_months_ends_on_the_last_day_of_a_shorter_month():
    lines = order_lines(days=73).filter(pl.col("occurred_at") < datetime(2011, 6, 1))
    assert str(load(lines, keep_months=3).observed_from) == "2011-03-20"
    assert str(load(lines, keep_months=1).observed_from) == "2011-04-30"


def test_pandas_views_hold_the_columns_of_the_schema_in_the_zone():
    log = load(back=returns())
    lines = log.order_lines
    assert list(lines.columns[:3]) == ["customer_id", "occurred_at", "known_at"]
    assert not {"at", "known", "wall", "value_e4"} & set(lines.columns)
    assert str(lines["occurred_at"].dt.tz) == ZONE
    assert set(lines["occurred_at"].dt.hour) == {12}  # on both sides of the clock change
    assert list(log.returns["return_id"]) == ["r1", "r2"]
    assert len(load().returns) == 0


def test_what_a_log_shows_loads_as_the_same_log():
    log = load(back=returns())
    again = load_tables(
        raw_tables({"order_lines": log.order_lines, "returns": log.returns}),
        timezone=ZONE,
        currency="GBP",
    )
    assert again.fingerprint == log.fingerprint


def test_one_customer():
    log = load(back=returns())
    one = log.customer("c1")
    assert one.customer_ids.to_list() == ["c1"]
    assert (one.tables["order_lines"].frame.height, one.tables["returns"].frame.height) == (20, 1)
    assert one.observed_until == log.observed_until
    assert log.customer("c9").tables["order_lines"].frame.height == 0


def test_an_unknown_customer_is_not_echoed():
    with pytest.raises(UsageError, match="no such customer among the 5") as caught:
        load().customer("jane@example.com")
    assert "jane" not in str(caught.value)


def test_buckets_part_the_customers_by_crc32():
    log = load(back=returns())
    buckets = [log.bucket(index, 3) for index in range(3)]
    for index, bucket in enumerate(buckets):
        assert all(zlib.crc32(name.encode()) % 3 == index for name in bucket.customer_ids)
    for name, table in log.tables.items():
        parts = pl.concat([bucket.tables[name].frame for bucket in buckets])
        assert parts.sort(parts.columns[:5]).equals(table.frame.sort(parts.columns[:5]))
    assert log.bucket(0, 1).fingerprint == log.fingerprint


@pytest.mark.parametrize(("index", "count"), [(3, 3), (-1, 3), (0, 0)])
def test_a_bucket_that_is_none_is_refused(index, count):
    with pytest.raises(UsageError, match="expected a bucket"):
        load().bucket(index, count)


def test_a_log_travels_between_processes():
    log = load(back=returns(), lines=order_lines())
    again = pickle.loads(pickle.dumps(log))
    assert isinstance(again, EventLog)
    assert again.fingerprint == log.fingerprint


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_and_tables_never_changes_the_fingerprint(random):
    lines, back = order_lines(), returns()
    order = random.sample(range(lines.height), lines.height)
    shuffled = lines[order].select(random.sample(lines.columns, lines.width))
    tables = {"returns": RawTable(back.reverse()), "order_lines": RawTable(shuffled)}
    log = load_tables(tables, timezone=ZONE, currency="GBP")
    assert log.fingerprint == load(lines, back).fingerprint


CHANGES = {
    "one unit more": {"lines": order_lines().with_columns(pl.col("quantity") + 1)},
    "another zone": {"timezone": "Europe/Berlin"},
    "another currency": {"currency": "EUR"},
    "one line less": {"lines": order_lines()[1:]},
    "null instead of empty": {"lines": order_lines().with_columns(promo_code=pl.lit("x"))},
    "later known": {"known_lag": {"order_lines": 1}},
    "ends earlier": {"until": "2011-04-08T13:00:00"},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_other_content_has_another_fingerprint(change):
    assert load(**change).fingerprint != load().fingerprint


def test_text_that_moves_between_cells_changes_the_fingerprint():
    def with_codes(*codes):
        return load(order_lines(days=1, customers=2).with_columns(promo_code=pl.Series(codes)))

    codes = [("ab", "c"), ("a", "bc"), ("abc", ""), ("abc", None), (None, "abc")]
    prints = {pair: with_codes(*pair).fingerprint for pair in codes}
    assert prints[("abc", "")] == prints[("abc", None)]  # an empty cell is null
    assert len(set(prints.values())) == 4


def test_too_many_quarantined_rows_stop_the_load_with_the_rules_and_the_setting():
    bad = order_lines().with_columns(
        quantity=pl.when(pl.int_range(pl.len()) < 10).then(-1).otherwise(1)
    )
    expected = r"10 of 100 rows \(10.0%\).*data.max_quarantined \(5.0%\).*quantity must be > 0: 10"
    with pytest.raises(DataError, match=expected):
        load(bad)
    assert load(bad, max_quarantined=0.10).report.tables["order_lines"].kept == 90


def test_a_log_needs_order_lines():
    with pytest.raises(DataError, match="order_lines is required; got: returns"):
        load_tables({"returns": RawTable(returns())})
    with pytest.raises(DataError, match="no order line is left"):
        load(until="2011-03-20")
    with pytest.raises(DataError, match="no order line is left"):
        load(order_lines().with_columns(quantity=-1), max_quarantined=1.0)
    with pytest.raises(DataError, match="order_lines: no rows"):
        load(order_lines().clear())


def test_a_table_without_rows_is_absent_unless_its_period_is_stated():
    log = load(back=returns().clear())
    assert "returns" not in log.tables
    assert "returns: no rows, so treated as absent" in log.report.notes
    stated = RawTable(pl.DataFrame(), observed_from="2011-01-01", observed_until="2011-04-08")
    log = load_tables({"order_lines": RawTable(order_lines()), "returns": stated}, timezone=ZONE)
    assert log.tables["returns"].frame.height == 0
    assert str(log.tables["returns"].observed_from) == "2011-01-01"


def test_one_far_date_that_would_stretch_the_log_is_pointed_at():
    far = order_lines().with_columns(
        occurred_at=pl.when(pl.int_range(pl.len()) == 0)
        .then(datetime(2031, 1, 1))
        .otherwise("occurred_at")
    )
    assert any("2031-01-01" in note for note in load(far).report.notes)


def test_customers_are_those_of_tables_that_have_customers():
    log = load_all()
    assert log.customer_ids.to_list() == ["c0", "c1", "c2", "c3", "c4", "c8"]
    assert (log.customer("c8").usage["usage_id"].to_list(), len(log.customer("c8").stock)) == (
        ["u2"],
        3,
    )
    with pytest.raises(UsageError, match="no such customer among the 6"):
        log.customer("s1")


def test_every_bucket_holds_products_and_stock_whole():
    log = load_all()
    buckets = [log.bucket(index, 3) for index in range(3)]
    for name in ("products", "stock"):
        assert all(b.tables[name].frame.equals(log.tables[name].frame) for b in buckets)
    for name in ("order_lines", "usage", "deliveries"):
        heights = [bucket.tables[name].frame.height for bucket in buckets]
        assert sum(heights) == log.tables[name].frame.height
    assert log.bucket(0, 1).fingerprint == log.fingerprint
    again = pickle.loads(pickle.dumps(buckets[0]))
    assert again.fingerprint == buckets[0].fingerprint


def test_what_has_no_dates_is_whole_at_any_cut_and_covers_the_order_lines():
    log = load_all()
    cut = log.until("2011-03-22T10:00:00")
    assert cut.tables["products"].frame.equals(log.tables["products"].frame)
    assert not cut.tables["products"].dated
    for one in (log, cut, load_all(keep_months=1)):
        table = one.tables["products"]
        assert (table.observed_from, table.observed_until) == (
            one.observed_from,
            one.observed_until,
        )
    assert Past(log, Cutoff.parse("2011-03-22", ZONE)).has("products")
    assert not Past(log, log.observed_from).has("products")


def test_products_beside_a_table_of_days_ask_for_no_midnight_of_their_own():
    daily = order_lines().with_columns(pl.col("occurred_at").dt.date())
    tables = load(daily, more={"products": products()}).tables
    assert [table.granularity for table in tables.values()] == ["day", "instant"]


def test_a_cut_of_stock_is_what_was_known_of_it():
    log = load_all().until("2011-03-21T08:00:00")
    assert log.stock["sku"].to_list() == ["s1", "s9"]
    assert load_all().until("2011-03-21T08:00:00.000001").stock["available"].to_list() == [
        "yes",
        "yes",
        "no",
    ]


def test_stock_holds_until_the_log_ends_and_from_before_it_began():
    log = load_all(keep_months=1, until="2011-04-08")
    table = log.tables["stock"]
    assert (str(table.observed_from), str(table.observed_until)) == ("2010-01-01", "2011-04-08")
    assert table.frame.height == 3  # older than a month, and still true
    assert not any(note.startswith("stock") for note in log.report.notes)
    stated = {"order_lines": RawTable(order_lines()),
              "stock": RawTable(stock(), observed_until="2011-04-01")}  # fmt: skip
    until = load_tables(stated, timezone=ZONE).tables["stock"].observed_until
    assert str(until) == "2011-04-01"


def test_the_new_tables_as_pandas():
    log = load_all()
    assert list(log.products.columns) == list(TABLES["products"].names)
    assert log.products["sku"].to_list() == ["s1", "s9"]
    assert log.stock["occurred_at"].iloc[0] == pd.Timestamp("2010-01-01", tz=ZONE)
    assert log.usage["amount"].to_list()[0] == 0.5
    end_of_day = pd.Timestamp("2011-03-25", tz=ZONE) - pd.Timedelta("1us")
    assert log.deliveries["promised_at"].to_list() == [end_of_day]
    assert [len(getattr(load(), name)) for name in ("products", "stock", "usage")] == [0, 0, 0]
    assert "<td>products</td><td>2</td><td>–</td><td>–</td><td>–</td>" in log._repr_html_()


def test_what_the_new_tables_show_loads_as_the_same_log():
    log = load_all()
    shown = {name: getattr(log, name) for name in log.tables}
    again = load_tables(raw_tables(shown), timezone=ZONE, currency="GBP")
    # Periods of the others are told by their events; that of stock begins with its first row.
    assert again.fingerprint == log.fingerprint


PRODUCT_CHANGES = {
    "another size": {"products": products().with_columns(unit_size=pl.Series([6.0, 0.26]))},
    "another word": {"stock": stock().with_columns(available=pl.Series([True, True, True]))},
    "another sku": {"products": products().with_columns(sku=pl.Series(["s9", "s2"]))},
    "unknown amount": {"usage": usage().with_columns(amount=None)},
    "later promise": {"deliveries": deliveries().with_columns(promised_at=pl.lit("2011-03-25"))},
    "one product less": {"products": products()[1:]},
    "no products": {"products": products().clear()},
}


@pytest.mark.parametrize("change", PRODUCT_CHANGES.values(), ids=PRODUCT_CHANGES)
def test_other_content_of_the_new_tables_has_another_fingerprint(change):
    assert load(more=more_tables() | change).fingerprint != load_all().fingerprint


def test_the_order_of_rows_of_the_new_tables_never_changes_the_fingerprint():
    other = {name: frame.reverse() for name, frame in reversed(more_tables().items())}
    assert load_all().fingerprint == load(more=other).fingerprint


def test_a_sku_that_products_do_not_list_is_fine_and_the_other_way_round():
    log = load(more={"products": products(), "stock": stock()})
    assert set(log.order_lines["sku"]) - set(log.products["sku"]) == {"s0", "s2"}
    assert log.report.tables["order_lines"].rows_quarantined == 0
    assert log.report.tables["products"].kept == 2


def test_tables_of_a_request_without_rows_are_accepted():
    """As scoring asks for them: empty, with the period and granularity that the model knows."""
    nothing = pl.DataFrame(schema={"customer_id": pl.String, "occurred_at": pl.String})
    for granularity in ("instant", "day"):
        raw = {
            name: RawTable(nothing, granularity, "the request", "2011-01-01", "2011-05-01", True)
            for name in TABLES
            if name != "order_lines"
        }
        daily = order_lines().with_columns(pl.col("occurred_at").dt.date())
        log = load_tables(raw | {"order_lines": RawTable(daily)}, timezone=ZONE, known_lag={})
        assert list(log.tables) == list(TABLES)
        heights = [table.frame.height for table in log.tables.values()]
        assert heights == [100, *[0] * (len(TABLES) - 1)]
        assert log.tables["products"].granularity == "instant"
        assert log.until("2011-03-22").customer("c1").tables["stock"].frame.height == 0


def test_products_that_are_all_quarantined_leave_an_empty_table():
    bad = products().with_columns(unit_size=-1)
    with pytest.raises(DataError, match=r"products: 2 of 2 rows .* unit_size must be > 0: 2"):
        load(more={"products": bad})
    log = load(more={"products": bad}, max_quarantined=1.0)
    assert (log.tables["products"].frame.height, log.report.tables["products"].kept) == (0, 0)


def test_a_lag_of_a_table_without_dates_is_refused():
    with pytest.raises(DataError, match="known_lag: products has no dates"):
        load(known_lag={"products": 1})


def test_settings_that_name_nothing_are_refused():
    with pytest.raises(UsageError, match="unknown time zone"):
        load(timezone="Europe/Londn")
    with pytest.raises(DataError, match=r"Did you mean returns\?"):
        load(known_lag={"return": 1})
