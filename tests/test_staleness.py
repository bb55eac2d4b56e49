"""Tables that ended before the cutoff: how long a silence is usual, and what is said."""

from dataclasses import replace

import polars as pl
import pytest

from ppi_ml import staleness
from ppi_ml.errors import DataError
from ppi_ml.events import load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.sources.dataframes import raw_tables

ZONE = "Europe/London"


def cutoff(text):
    return Cutoff.parse(text, ZONE)


def daily(first, last):
    """An order a day in May 2026."""
    return [("a", f"2026-05-{day:02d}T12:00:00") for day in range(first, last + 1)]


def test_a_table_that_reaches_the_cutoff_is_kept(log_of):
    log = log_of(daily(1, 20), daily(1, 20))
    found, notes = staleness.check(log, cutoff("2026-05-21"), 2, allow_stale=False)
    assert found.tables == log.tables
    assert notes == []


@pytest.mark.parametrize(("date", "stale"), [("2026-05-23", False), ("2026-05-24", True)])
def test_silence_is_counted_from_the_end_of_the_last_day(log_of, date, stale):
    log = log_of(daily(1, 20))
    if not stale:
        assert staleness.check(log, cutoff(date), 2, allow_stale=False)[1] == []
        return
    with pytest.raises(DataError, match=r"order_lines: .* is 3 days old, and at most 2 days"):
        staleness.check(log, cutoff(date), 2, allow_stale=False)


def test_the_latest_date_at_which_nothing_is_stale_is_named_and_can_be_used(log_of):
    """Returns end on the 5th and may be silent for two days, order lines on the 20th."""
    log = log_of(daily(1, 20), daily(1, 5))
    with pytest.raises(
        DataError, match=r"an earlier cutoff \(the latest is 2026-05-08\), or allow"
    ):
        staleness.check(log, cutoff("2026-05-29"), 2, allow_stale=False)
    assert staleness.check(log, cutoff("2026-05-08"), 2, allow_stale=False)[1] == []
    with pytest.raises(DataError, match=r"the latest is 2026-05-08"):
        staleness.check(log, cutoff("2026-05-08T12:00:00"), 2, allow_stale=False)


def test_what_became_known_later_does_not_make_a_table_fresh(log_of):
    late = ("a", "2026-05-22T12:00:00", {"known_at": "2026-05-26T00:00:00"})
    log = log_of([*((*event, {"known_at": event[1]}) for event in daily(1, 10)), late])
    with pytest.raises(DataError, match=r"is 13 days old"):
        staleness.check(log, cutoff("2026-05-24"), 2, allow_stale=False)


def test_a_table_may_be_silent_for_as_long_as_it_was_before(log_of):
    weekly = [("a", f"2026-{day}T09:00:00") for day in ("04-01", "04-08", "04-15", "04-29")]
    log = log_of(daily(1, 10), weekly)
    assert staleness.check(log, cutoff("2026-05-11"), 2, allow_stale=False)[1] == []
    with pytest.raises(DataError, match=r"returns: .* is 17 days old, and at most 14"):
        staleness.check(log_of(daily(1, 16), weekly), cutoff("2026-05-17"), 2, allow_stale=False)


def test_a_stale_table_that_is_allowed_is_set_aside_and_named(log_of):
    log = log_of(daily(1, 28), daily(1, 5))
    found, notes = staleness.check(log, cutoff("2026-05-29"), 2, allow_stale=True)
    assert list(found.tables) == ["order_lines"]
    assert len(notes) == 1
    assert notes[0].startswith("returns: ")
    assert notes[0].endswith("its features are null")


def test_stale_order_lines_are_used_all_the_same_and_the_note_says_so(log_of):
    log = log_of(daily(1, 5))
    found, notes = staleness.check(log, cutoff("2026-05-29"), 2, allow_stale=True)
    assert found.tables == log.tables
    assert "more silent than they may be" in notes[0]


@pytest.mark.parametrize(("date", "days"), [("2026-11-02", 180), ("2027-05-29", 388)])
def test_a_silence_of_more_than_half_a_year_is_told_in_full(log_of, date, days):
    log = log_of(daily(1, 5))
    with pytest.raises(DataError, match=f"is {days} days old, and at most 2 days are expected"):
        staleness.check(log, cutoff(date), 2, allow_stale=False)


def test_events_of_which_none_is_known_yet_have_no_age(log_of):
    late = [("a", "2026-05-01T12:00:00", {"known_at": "2026-06-01T00:00:00"})]
    log = log_of(late, start="2026-04-01")
    with pytest.raises(DataError, match="order_lines: no event is known before 2026-05-20, and"):
        staleness.check(log, cutoff("2026-05-20"), 2, allow_stale=False)


@pytest.mark.parametrize("allow_stale", [False, True])
def test_a_table_that_had_not_begun_is_neither_refused_nor_dropped(log_of, allow_stale):
    log = log_of(daily(1, 28), daily(20, 28))
    assert str(log.tables["returns"].observed_from) == "2026-05-20"
    found, notes = staleness.check(log, cutoff("2026-05-15"), 2, allow_stale=allow_stale)
    assert found.tables == log.tables
    assert notes == []


@pytest.mark.parametrize(("date", "stale"), [("2026-06-02", False), ("2026-06-03", True)])
def test_a_lag_comes_on_top_of_what_is_expected(log_of, date, stale):
    """Days 1 to 20 are known by 30 May, ten days late: nothing newer can be known by then."""
    log = replace(log_of(daily(1, 20)), known_lag={"order_lines": 10})
    if not stale:
        assert staleness.check(log, cutoff(date), 2, allow_stale=False)[1] == []
        return
    with pytest.raises(DataError, match=r"is 13 days old, and at most 12 days"):
        staleness.check(log, cutoff(date), 2, allow_stale=False)


@pytest.mark.parametrize("allow_stale", [False, True])
@pytest.mark.parametrize("name", ["products", "stock"])
def test_neither_products_nor_stock_grow_old(log_of, name, allow_stale):
    """The shop's last change of stock is a year old and still true; products have no dates."""
    rows = {
        "products": {"sku": ["x"]},
        "stock": {"sku": ["x"], "occurred_at": ["2025-05-01"], "available": ["no"]},
    }
    lines = log_of(daily(1, 20)).order_lines
    raw = raw_tables({"order_lines": lines, name: pl.DataFrame(rows[name])})
    log = load_tables(raw, timezone=ZONE)
    found, notes = staleness.check(log, cutoff("2026-05-21"), 2, allow_stale=allow_stale)
    assert found.tables == log.tables
    assert notes == []


@pytest.mark.parametrize("name", ["usage", "deliveries"])
def test_usage_and_deliveries_grow_old_as_returns_do(log_of, name):
    log = log_of(daily(1, 28), daily(1, 5))
    back = log.tables["returns"]
    log = replace(log, tables={**log.tables, name: replace(back, name=name)})
    del log.tables["returns"]
    with pytest.raises(DataError, match=rf"^{name}: .* is 23 days old"):
        staleness.check(log, cutoff("2026-05-29"), 2, allow_stale=False)


def test_an_empty_table_is_not_stale(log_of):
    log = log_of(daily(1, 20)).until("2026-05-21")
    table = log.tables["order_lines"]
    empty = replace(table, name="returns", frame=table.frame.clear())
    log = replace(log, tables={**log.tables, "returns": empty})
    assert staleness.check(log, cutoff("2026-05-21"), 2, allow_stale=False)[1] == []


def months(first, last):
    """An order in the middle of each month of 2025."""
    return [("a", f"2025-{month:02d}-15T12:00:00") for month in range(first, last + 1)]


@pytest.mark.parametrize(("first", "told"), [(1, False), (3, False), (6, True)])
def test_a_history_that_is_cut_off_is_told(log_of, first, told):
    """A year in training: ten months are enough to say nothing, six are not."""
    began, end = cutoff("2025-01-01"), cutoff("2026-01-01")
    notes = staleness.cut_off(log_of(months(first, 12)), end, began, end)
    assert len(notes) == told
    if told:
        assert notes[0].startswith("order_lines: they begin 2025-06-15")
        assert "200 days of history where the training had 365" in notes[0]


def test_a_log_as_long_as_that_of_the_training_may_begin_later(log_of):
    began, end, now = cutoff("2024-01-01"), cutoff("2025-01-01"), cutoff("2026-01-01")
    assert staleness.cut_off(log_of(months(1, 12)), now, began, end) == []
