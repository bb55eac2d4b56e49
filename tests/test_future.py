"""The other side of the cutoff by hand: how long until the next purchase, as known at a date."""

import pytest

from ppi_ml.future import Future
from ppi_ml.instants import DAY_US, Cutoff


def waits(log, cutoff, as_of):
    future = Future(log, Cutoff.parse(cutoff, log.timezone), Cutoff.parse(as_of, log.timezone))
    return dict(sorted(future.next_purchase().select("customer_id", "days").rows()))


def just_after(days):
    """Elapsed time and the microsecond that keeps an order at cutoff + d out of [cutoff, + d)."""
    return pytest.approx(days + 1 / DAY_US, rel=0, abs=1e-13)


def test_an_order_at_the_end_of_a_horizon_is_not_within_it(log_of):
    log = log_of([("a", "2019-06-08T00:00:00"), ("b", "2019-06-07T23:59:59.999999")],
                 until="2019-07-01")  # fmt: skip
    found = waits(log, "2019-06-01", "2019-07-01")
    assert found["a"] > 7.0 >= found["b"]


def test_the_wait_is_elapsed_local_time_to_the_first_order(log_of):
    log = log_of([("a", "2019-06-02T12:00:00"), ("a", "2019-06-05T00:00:00"), ("b", "2019-06-30")])
    assert waits(log, "2019-06-01", "2019-07-15") == {"a": just_after(1.5), "b": just_after(29.0)}


@pytest.mark.parametrize("day", ["2019-03-31", "2019-10-27"])
def test_a_day_of_a_clock_change_counts_as_one(log_of, day):
    log = log_of([("a", "2019-01-01"), ("b", f"{day}T12:00:00")], until="2020-01-01")
    assert waits(log, day, "2020-01-01") == {"b": just_after(0.5)}


def test_an_order_in_the_instant_of_the_cutoff_comes_a_second_later(log_of):
    log = log_of([("a", "2019-06-01T00:00:00"), ("b", "2019-06-30T10:00:00")])
    assert waits(log, "2019-06-01", "2019-07-01")["a"] == pytest.approx(1 / 86_400)


def test_an_order_on_day_c_plus_k_of_a_day_table_has_waited_k_plus_1(log_of):
    """The whole day must have passed to know that it had no order."""
    lines = [("a", "2019-06-01"), ("b", "2019-06-02"), ("c", "2019-06-30"), ("old", "2019-05-31")]
    log = log_of(lines, granularity="day")
    assert waits(log, "2019-06-01", "2019-07-01") == {"a": 1.0, "b": 2.0, "c": 30.0}
    assert waits(log, "2019-06-01", "2019-06-30") == {"a": 1.0, "b": 2.0}


def test_orders_known_only_after_the_date_of_sight_do_not_count(log_of):
    late = {"known_at": "2019-06-20T00:00:00"}
    log = log_of([("a", "2019-06-05T00:00:00", late), ("a", "2019-06-08T00:00:00"),
                  ("b", "2019-06-05T00:00:00", late)], until="2019-07-01")  # fmt: skip
    assert waits(log, "2019-06-01", "2019-06-20") == {"a": just_after(7.0)}
    assert waits(log, "2019-06-01", "2019-06-20T00:00:01") == {
        "a": just_after(4.0),
        "b": just_after(4.0),
    }


def test_what_occurred_before_and_became_known_after_is_neither_past_nor_future(log_of):
    late = {"known_at": "2019-06-20T00:00:00"}
    log = log_of([("a", "2019-05-30T00:00:00", late), ("b", "2019-05-30T00:00:00")],
                 until="2019-07-01")  # fmt: skip
    assert waits(log, "2019-06-01", "2019-07-01") == {}
    cutoff = Cutoff.parse("2019-06-01", log.timezone)
    assert Future(log, cutoff, cutoff.plus(30)).unsettled() == 1


def test_refills_and_gifts_are_no_purchases(log_of):
    log = log_of(
        [("a", "2019-06-03T00:00:00", {"order_type": "free"}),
         ("a", "2019-06-07T00:00:00", {"order_type": "one_off"}),
         ("b", "2019-06-03T00:00:00", {"order_type": "subscription"})], until="2019-07-01",
    )  # fmt: skip
    assert waits(log, "2019-06-01", "2019-07-01") == {"a": just_after(6.0)}
