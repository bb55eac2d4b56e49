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


def load(lines=None, back=None, **settings):
    tables = {"order_lines": RawTable(order_lines() if lines is None else lines)}
    if back is not None:
        tables["returns"] = RawTable(back)
    return load_tables(tables, **{"timezone": ZONE, "currency": "GBP", **settings})


def test_a_log_knows_its_customers_and_its_period():
    log = load(back=returns())
    assert log.customers.to_list() == ["c0", "c1", "c2", "c3", "c4", "c9"]
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
    assert one.customers.to_list() == ["c1"]
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
        assert all(zlib.crc32(name.encode()) % 3 == index for name in bucket.customers)
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


def test_settings_that_name_nothing_are_refused():
    with pytest.raises(UsageError, match="unknown time zone"):
        load(timezone="Europe/Londn")
    with pytest.raises(DataError, match=r"Did you mean returns\?"):
        load(known_lag={"return": 1})
