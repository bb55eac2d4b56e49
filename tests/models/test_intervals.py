"""Edges, and the person-interval rows between them, by hand and as properties."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.errors import DataError, UsageError
from ppi_ml.models.curve import EDGES
from ppi_ml.models.intervals import expand, interval_edges


def test_edges_with_many_events_are_the_list_of_the_design():
    plenty = np.repeat(np.arange(1.0, 366.0), 50)
    assert interval_edges(365, plenty, 10).tolist() == list(EDGES)
    assert interval_edges(100, plenty, 10, keep=[91]).tolist() == [
        *(day for day in EDGES if day < 91), 91, 100,
    ]  # fmt: skip


def test_thin_intervals_are_merged_by_hand():
    # at most 21 days: edges 0 1 2 3 5 7 10 14 21; an event on an edge belongs to its left
    events = [1, 1, 2, 5, 7, 8, 20, 30]
    assert interval_edges(21, events, 2).tolist() == [0, 1, 5, 21]
    # day 6 stays: (1, 6] holds two events, (6, 10] two, and (10, 21] too few to stand alone
    assert interval_edges(21, events, 2, keep=[6]).tolist() == [0, 1, 6, 21]
    assert interval_edges(21, [], 5, keep=[14]).tolist() == [0, 14, 21]


@pytest.mark.parametrize(("max_days", "keep"), [(0, []), (30, [31]), (30, [-1])])
def test_impossible_edges_are_refused(max_days, keep):
    with pytest.raises(UsageError, match=f"max_days, here {max_days}"):
        interval_edges(max_days, [], 5, keep)


@given(
    st.integers(1, 400),
    st.lists(st.floats(0.01, 500), max_size=60),
    st.integers(1, 12),
    st.data(),
)
def test_edges_keep_what_must_stay_and_hold_enough(max_days, events, minimum, data):
    keep = data.draw(st.lists(st.integers(1, max_days), max_size=3))
    edges = interval_edges(max_days, events, minimum, keep)
    fixed = {0, max_days, *keep}
    assert fixed <= set(edges) <= fixed | set(EDGES)
    assert (np.diff(edges) > 0).all()
    held = np.array([sum(a < day <= b for day in events) for a, b in pairwise(edges)])
    between_fixed = np.array([a in fixed and b in fixed for a, b in pairwise(edges)])
    assert (held[~between_fixed] >= minimum).all()


def rows_of(made):
    columns = (made.row, made.interval, made.exposure, made.event)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_expansion_of_timed_events_by_hand():
    edges = [0.0, 1.0, 3.0, 7.0]
    days = [2.5, 3.0, 9.0, 3.0, 0.0, 9.0, 7.0]
    observed = [True, True, True, False, False, False, True]
    assert rows_of(expand(days, observed, edges, day_granularity=False)) == [
        (0, 0, 1.0, 0.0), (0, 1, 1.5, 1.0),
        (1, 0, 1.0, 0.0), (1, 1, 2.0, 1.0),
        (2, 0, 1.0, 0.0), (2, 1, 2.0, 0.0), (2, 2, 4.0, 0.0),
        (3, 0, 1.0, 0.0), (3, 1, 2.0, 0.0),
        (5, 0, 1.0, 0.0), (5, 1, 2.0, 0.0), (5, 2, 4.0, 0.0),
        (6, 0, 1.0, 0.0), (6, 1, 2.0, 0.0), (6, 2, 4.0, 1.0),
    ]  # fmt: skip


def test_expansion_of_whole_days_by_hand():
    # an event on local day c has T = 1 and half a day at risk; one on day c + 2 has T = 3
    edges = [0.0, 1.0, 3.0, 7.0]
    made = expand([1, 3, 4, 3, 8], [True, True, True, False, True], edges, day_granularity=True)
    assert rows_of(made) == [
        (0, 0, 0.5, 1.0),
        (1, 0, 1.0, 0.0), (1, 1, 1.5, 1.0),
        (2, 0, 1.0, 0.0), (2, 1, 2.0, 0.0), (2, 2, 0.5, 1.0),
        (3, 0, 1.0, 0.0), (3, 1, 2.0, 0.0),
        (4, 0, 1.0, 0.0), (4, 1, 2.0, 0.0), (4, 2, 4.0, 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("days", "observed", "by_day", "message"),
    [
        ([0.0], [True], False, "above 0 for events"),
        ([-1.0], [False], False, "1 of 1 are not"),
        ([np.nan], [False], False, "finite"),
        ([1.5], [True], True, "whole numbers"),
        ([1.0, 2.0], [True], False, "observed: expected shape"),
    ],
)
def test_impossible_durations_are_refused(days, observed, by_day, message):
    with pytest.raises(DataError, match=message):
        expand(days, observed, [0, 1, 5], by_day)


@given(st.booleans(), st.data())
def test_expansion_loses_no_time_and_no_event(by_day, data):
    number = st.integers(1, 90).map(float) if by_day else st.floats(0.01, 90)
    pairs = data.draw(st.lists(st.tuples(number, st.booleans()), min_size=1, max_size=30))
    widths = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=6))
    edges = np.concatenate([[0.0], np.cumsum(widths)])
    days, observed = (np.array(column) for column in zip(*pairs, strict=True))
    made = expand(days, observed, edges, by_day)
    within = observed & (days <= edges[-1])
    at_risk = np.minimum(days, edges[-1]) - (0.5 * within if by_day else 0.0)
    assert np.bincount(made.row, made.exposure, len(days)) == pytest.approx(at_risk)
    assert np.bincount(made.row, made.event, len(days)).tolist() == within.tolist()
    assert (made.exposure > 0).all()
    assert (made.exposure <= np.diff(edges)[made.interval]).all()
    ends = edges[1:][made.interval]
    fell = made.event == 1
    assert (days[made.row[fell]] <= ends[fell]).all()
    assert (days[made.row[fell]] > edges[made.interval[fell]]).all()


def test_events_over_exposure_recover_the_hazard_of_timed_and_day_tables():
    """Purpose: the half day makes a day table give the hazard of the timed one behind it."""
    draw = np.random.default_rng(8)
    time = draw.exponential(1 / 0.08, 200_000)
    edges = [0.0, 2.0, 7.0, 21.0]
    for days, by_day in ((time, False), (np.floor(time) + 1, True)):
        made = expand(days, np.ones(len(days), bool), edges, by_day)
        events = np.bincount(made.interval, made.event)
        hazard = events / np.bincount(made.interval, made.exposure)
        assert hazard == pytest.approx(0.08, rel=4 / np.sqrt(events.min()))
