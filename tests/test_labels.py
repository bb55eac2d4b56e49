"""Waiting times by hand: seen, or censored where the log as known then ends."""

import numpy as np
import pytest

from ppi_ml import dataset, labels
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.models.durations import Durations

FIRST = [("a", "2019-05-01T10:00:00"), ("b", "2019-05-02T10:00:00"), ("c", "2019-05-03T10:00:00")]


def at(day, log):
    return Cutoff.parse(day, log.timezone)


def just_after(days):
    """Elapsed time and the microsecond that keeps an order at cutoff + d out of [cutoff, + d)."""
    return pytest.approx(days + 1 / DAY_US, rel=0, abs=1e-13)


def durations(log, cutoffs, as_of, settling=0.0):
    data = dataset.build(log, [at(c, log) for c in cutoffs], dataset.families(["cadence"]))
    found = labels.durations(data, log, at(as_of, log), settling)
    return list(zip(data.customers, found.days.tolist(), found.observed.tolist(), strict=True))


def test_rows_are_seen_or_censored_at_the_end_of_sight(log_of):
    log = log_of([*FIRST, ("a", "2019-06-04T12:00:00"), ("b", "2019-06-25T00:00:00")])
    assert durations(log, ["2019-06-01"], "2019-06-21") == [
        ("a", just_after(3.5), True), ("b", 20.0, False), ("c", 20.0, False),
    ]  # fmt: skip


def test_a_purchase_known_only_after_the_training_end_is_not_counted(log_of):
    late = {"known_at": "2019-06-21T00:00:00"}
    log = log_of([*FIRST, ("a", "2019-06-04T12:00:00", late)], until="2019-07-01")
    assert durations(log, ["2019-06-01"], "2019-06-21")[0] == ("a", 20.0, False)
    assert durations(log, ["2019-06-01"], "2019-06-22")[0] == ("a", just_after(3.5), True)


def test_the_settling_time_ends_sight_earlier_for_all_rows_alike(log_of):
    """A purchase in the unsettled days is not counted even if it happens to be known."""
    log = log_of([*FIRST, ("a", "2019-06-04T12:00:00"), ("b", "2019-06-19T00:00:00")],
                 until="2019-07-01")  # fmt: skip
    assert durations(log, ["2019-06-01"], "2019-06-21", settling=5.0) == [
        ("a", just_after(3.5), True), ("b", 15.0, False), ("c", 15.0, False),
    ]  # fmt: skip


def test_several_cutoffs_come_in_the_order_of_the_rows(log_of):
    log = log_of([*FIRST, ("c", "2019-06-04T00:00:00")], until="2019-07-01")
    assert durations(log, ["2019-06-01", "2019-05-02T12:00:00"], "2019-07-01") == [
        ("a", 59.5, False), ("b", 59.5, False),
        ("a", 30.0, False), ("b", 30.0, False), ("c", just_after(3.0), True),
    ]  # fmt: skip


def test_an_event_in_the_last_day_of_sight_of_a_day_table_is_seen(log_of):
    log = log_of([("a", "2019-05-01"), ("b", "2019-05-01"), ("a", "2019-06-10"),
                  ("b", "2019-06-11")], granularity="day")  # fmt: skip
    assert durations(log, ["2019-06-01"], "2019-06-11") == [("a", 10.0, True), ("b", 10.0, False)]


def test_a_cutoff_without_sight_is_refused(log_of):
    log = log_of(FIRST, until="2019-07-01")
    with pytest.raises(ValueError, match="no follow-up between the cutoff 2019-06-01"):
        durations(log, ["2019-06-01"], "2019-06-05", settling=4.0)


def test_settling_is_the_99_percent_quantile_of_lateness(log_of):
    """Of 201 lines, two are later than the settling time."""
    lags = [f"2019-05-{day:02d}T10:00:00" for day in (2, 3, 4)]
    lines = [("a", "2019-05-01T10:00:00", {"known_at": lags[i]} if i < 3 else {})
             for i in range(201)]  # fmt: skip
    assert labels.settling_days(log_of(lines, until="2019-06-01")) == 1.0


@pytest.mark.parametrize(
    ("known_at", "expected"),
    [(None, 0), ("2019-10-29", 2), ("2019-10-28", 1)],
    ids=["no lateness", "two days", "one day"],
)
def test_settling_of_a_day_table_counts_the_days_after_its_own(log_of, known_at, expected):
    """A day is known when it is over; the day of a clock change, 25 hours long, is no later."""
    lines = [(f"c{i}", "2019-10-27", {"known_at": known_at}) for i in range(20)]
    log = log_of(lines, granularity="day", until="2019-12-01")
    assert labels.settling_days(log) == expected


def test_within_refuses_rows_that_were_not_watched_long_enough():
    waits = Durations(np.array([3.0, 30.0, 31.0, 30.0]), np.array([True, True, True, False]))
    assert labels.within(waits, 30).tolist() == [True, True, False, False]
    with pytest.raises(ValueError, match="1 rows were not observed for 31 days"):
        labels.within(waits, 31)


@pytest.mark.parametrize(
    ("days", "observed", "message"),
    [
        ([1.0, 0.0], [True, False], "greater than 0"),
        ([1.0, np.nan], [True, False], "finite"),
        ([1.0], [True, False], "must both be"),
    ],
)
def test_durations_that_cannot_be_are_refused(days, observed, message):
    with pytest.raises(ValueError, match=message):
        Durations(np.array(days), np.array(observed))


def test_the_usual_gap_is_the_median_over_all_gaps_of_all_customers(log_of):
    days = [("a", 1), ("a", 3), ("a", 6), ("b", 2), ("b", 28), ("c", 9), ("d", 29)]
    log = log_of([(who, f"2019-06-{day:02d}T12:00:00") for who, day in days])
    assert labels.usual_gap(log) == 3.0
    alone = log_of([("a", "2019-06-01T12:00:00"), ("a", "2019-06-01T18:00:00")])
    assert labels.usual_gap(alone) == float("inf")
