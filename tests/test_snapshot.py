"""The past by hand: what is known, how old it is, who is a row."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.snapshot import Past

HOUR_US = DAY_US // 24


def past_of(log, cutoff):
    return Past(log, Cutoff.parse(cutoff, log.timezone))


def column(frame, name):
    return frame[name].to_list()


def test_what_becomes_known_at_the_cutoff_is_not_past(log_of):
    log = log_of(
        [
            ("before", "2019-06-01T10:00:00", {"known_at": "2019-06-05T11:59:59.999999"}),
            ("at", "2019-06-01T10:00:00", {"known_at": "2019-06-05T12:00:00"}),
            ("after", "2019-06-01T10:00:00", {"known_at": "2019-06-05T12:00:00.000001"}),
        ]
    )
    past = past_of(log, "2019-06-05T12:00:00")
    assert column(past.events("order_lines"), "customer_id") == ["before"]
    assert column(past.entities, "customer_id") == ["before"]


def test_a_day_of_a_day_table_is_past_only_when_it_is_over(log_of):
    log = log_of([("a", "2019-06-01"), ("b", "2019-06-02")], granularity="day")
    assert column(past_of(log, "2019-06-02").entities, "customer_id") == ["a"]
    assert column(past_of(log, "2019-06-03").entities, "customer_id") == ["a", "b"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2019-03-30T12:00:00", "2019-03-31T12:00:00"),
        ("2019-10-26T12:00:00", "2019-10-27T12:00:00"),
    ],
    ids=["spring, 23 hours", "autumn, 25 hours"],
)
def test_a_day_of_a_clock_change_counts_as_one(log_of, before, after):
    log = log_of([("a", before), ("a", after)])
    past = past_of(log, f"{after[:10]}T18:00:00")
    assert column(past.purchases, "gap_us") == [None, DAY_US]
    assert column(past.purchases, "age_us") == [DAY_US + 6 * HOUR_US, 6 * HOUR_US]
    assert past.entities.row(0) == ("a", DAY_US + 6 * HOUR_US, 6 * HOUR_US, 2)


def test_ages_stay_positive_in_the_hour_that_the_clock_shows_twice(log_of):
    """At 01:15 the second time, an order of 01:30 the first time is 45 minutes old, not -15."""
    log = log_of([("a", "2019-10-27T00:30:00+00:00")], start="2019-01-01", until="2019-12-01")
    past = past_of(log, datetime(2019, 10, 27, 1, 15, fold=1, tzinfo=ZoneInfo("Europe/London")))
    assert past.entities.height == 1
    assert column(past.entities, "silent_us")[0] > 0


def test_a_purchase_is_all_that_was_ordered_on_one_local_day(log_of):
    log = log_of(
        [
            ("a", "2019-06-01T22:30:00+00:00", {"quantity": 2, "unit_price": 1.5}),  # 23:30
            ("a", "2019-06-01T23:30:00+00:00", {"quantity": 1, "unit_price": 0.25}),  # next day
            ("a", "2019-06-02T10:00:00+00:00", {"quantity": 3, "unit_price": 2.0}),
        ]
    )
    days = past_of(log, "2019-06-10").purchases
    assert column(days, "orders") == [1, 2]
    assert column(days, "units_e3") == [2_000, 4_000]
    assert column(days, "value_e4") == [30_000, 62_500]
    assert column(days, "weekday") == [5, 6]
    assert column(days, "minute") == [23 * 60 + 30, 30]
    assert column(days, "gap_us") == [None, HOUR_US]


def test_one_line_without_a_price_makes_the_value_of_the_day_unknown(log_of):
    log = log_of(
        [
            ("a", "2019-06-01T09:00:00", {"unit_price": 1.0}),
            ("a", "2019-06-01T10:00:00", {"unit_price": None}),
            ("a", "2019-06-02T10:00:00", {"unit_price": 2.0}),
        ]
    )
    assert column(past_of(log, "2019-06-10").purchases, "value_e4") == [None, 20_000]


def test_refills_exchanges_and_gifts_are_no_purchases(log_of):
    kinds = ("one_off", "subscription", "exchange", "replacement", "free")
    log = log_of(
        [(kind, "2019-06-01T10:00:00", {"order_type": kind}) for kind in kinds], until="2019-07-01"
    )
    assert column(past_of(log, "2019-06-10").entities, "customer_id") == ["one_off"]


def test_the_minute_of_a_day_table_is_unknown(log_of):
    log = log_of([("a", "2019-06-01"), ("a", "2019-06-03")], granularity="day")
    days = past_of(log, "2019-06-10").purchases
    assert column(days, "minute") == [None, None]
    assert column(days, "age_us") == [9 * DAY_US, 7 * DAY_US]


def test_a_table_is_there_only_after_its_record_began(log_of):
    log = log_of(
        [("a", "2019-01-01T10:00:00"), ("a", "2019-06-01T10:00:00")],
        [("a", "2019-03-05T10:00:00"), ("a", "2019-04-05T10:00:00")],
    )
    assert not past_of(log, "2019-03-05").has("returns")
    assert past_of(log, "2019-03-06").has("returns")
    assert past_of(log, "2019-03-15").table_age_us("returns") == 10 * DAY_US
    assert past_of(log, "2019-03-15").table_age_us("order_lines") == 73 * DAY_US
    assert not past_of(log, "2019-03-06").has("tickets_opened")


def test_a_cutoff_of_another_zone_is_the_same_instant(log_of):
    log = log_of([("a", "2019-06-01T10:00:00"), ("a", "2019-06-03T10:00:00")], zone="Asia/Tokyo")
    elsewhere = Cutoff.parse("2019-06-02", "UTC")
    assert Cutoff.parse(elsewhere, log.timezone) == Cutoff.parse(
        "2019-06-02T09:00:00", "Asia/Tokyo"
    )
