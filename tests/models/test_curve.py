from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppi_ml.errors import DataError, UsageError
from ppi_ml.models.curve import EDGES, Curves, expand, interval_edges

TWO = Curves(np.array([0.0, 2.0, 10.0]), np.array([[0.0, 1.0, 1.4], [0.0, 0.0, 0.2]]))


@st.composite
def curves(draw):
    widths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    shape = (draw(st.integers(1, 5)), len(widths))
    steps = draw(hnp.arrays(float, shape, elements=st.floats(0, 3)))
    cumulative = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    return Curves(np.concatenate([[0.0], np.cumsum(widths)]), cumulative)


def test_survival_by_hand():
    assert TWO.max_days == 10.0
    expected = np.exp(-np.array([[0.0, 0.5, 1.0, 1.2, 1.4], [0.0, 0.0, 0.0, 0.1, 0.2]]))
    assert TWO.survival([0, 1, 2, 6, 10]) == pytest.approx(expected, rel=1e-15)


def test_quantile_by_hand():
    # first curve: H reaches ln 2 inside (0, 2], at 2 ln 2; the second never does
    assert TWO.quantile(0.5) == pytest.approx([2 * np.log(2), np.inf])
    # H = 1.3 lies three quarters into (2, 10]
    assert TWO.quantile(1 - np.exp(-1.3))[0] == pytest.approx(8.0)
    # a flat start is skipped: H = 0.1 at day 6
    assert TWO.quantile(1 - np.exp(-0.1))[1] == pytest.approx(6.0)


def test_best_window_by_hand():
    start, probability = TWO.best_window(3)
    assert start.tolist() == [0, 2]
    assert probability == pytest.approx([1 - np.exp(-1.05), 1 - np.exp(-0.075)])
    whole, everything = TWO.best_window(10)
    assert whole.tolist() == [0, 0]
    assert everything == pytest.approx(1 - np.exp([-1.4, -0.2]))


def test_the_best_window_lies_within_the_days_asked_for():
    # hazards .1, then .5 a day from day 6 on: the best three days are the last that may be searched
    late = Curves(np.array([0.0, 6.0, 10.0]), np.array([[0.0, 0.6, 2.6]]))
    assert late.best_window(3)[0].tolist() == [6]
    start, probability = late.best_window(3, within=8)
    assert start.tolist() == [5]
    assert probability == pytest.approx([np.exp(-0.5) - np.exp(-1.6)])
    assert late.best_window(3, within=5)[0].tolist() == [0]
    assert late.best_window(5, within=5)[1] == pytest.approx([1 - np.exp(-0.5)])
    with pytest.raises(UsageError, match=r"within: asked for day 11, .* reaches day 10"):
        late.best_window(3, within=11)
    with pytest.raises(UsageError, match="expected 1 to 5, the days to search, got 6"):
        late.best_window(6, within=5)


@pytest.mark.parametrize("days", [10.5, -1, np.nan])
def test_readings_beyond_the_reach_are_errors(days):
    with pytest.raises(UsageError, match="days: "):
        TWO.survival([1, days])


def test_the_reach_error_names_both_numbers():
    with pytest.raises(UsageError, match=r"day 40.* day 10"):
        TWO.survival(40)
    with pytest.raises(UsageError, match=r"1 to 10.* got 11"):
        TWO.best_window(11)
    with pytest.raises(UsageError, match=r"got 1\.0"):
        TWO.quantile(1.0)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_to_frame_puts_keys_beside_readings(frame):
    keyed = Curves(TWO.edges, TWO.cumulative, frame({"customer_id": ["07", "x"]}))
    table = keyed.to_frame([2, 0.5])
    assert list(table.columns) == ["customer_id", "no_event_by_2d", "no_event_by_0.5d"]
    assert table["customer_id"].tolist() == ["07", "x"]
    assert table["no_event_by_2d"].tolist() == pytest.approx([np.exp(-1), 1.0])
    assert list(TWO.to_frame([2]).columns) == ["no_event_by_2d"]
    assert "2 survival curves, 10 days" in keyed._repr_html_()


@pytest.mark.parametrize(
    ("edges", "cumulative", "message"),
    [
        ([1, 2], [[0, 1]], "edges: expected"),
        ([0, 2, 2], [[0, 1, 2]], "edges: expected"),
        ([0, 2], [[0, 1, 2]], r"expected shape \(n, 2\).*got \(1, 3\)"),
        ([0, 2], [[0.1, 1]], "start at 0"),
        ([0, 2, 3], [[0, 1, 0.9]], "never decrease"),
        ([0, 2], [[0, np.nan]], "finite"),
    ],
)
def test_broken_curves_are_refused(edges, cumulative, message):
    with pytest.raises(DataError, match=message):
        Curves(np.array(edges), np.array(cumulative))


def test_keys_must_match_the_rows():
    with pytest.raises(DataError, match="keys: 1 rows for 2 curves"):
        Curves(TWO.edges, TWO.cumulative, pd.DataFrame({"customer_id": ["a"]}))


def test_from_survival_passes_through_the_values_and_flattens_rounding():
    made = Curves.from_survival([0, 5, 10, 20], [[1.0, 0.5, 0.5 + 1e-15, 0.0]])
    assert made.survival([0, 5, 10, 20])[0] == pytest.approx([1.0, 0.5, 0.5, 0.0], abs=1e-15)
    with pytest.raises(DataError, match="start at 0"):
        Curves.from_survival([0, 5], [[0.9, 0.5]])


@given(curves())
def test_curves_start_at_one_and_never_rise(made):
    days = np.linspace(0, made.max_days, 97)
    survival = made.survival(days)
    assert (survival[:, 0] == 1.0).all()
    assert (np.diff(survival, axis=1) <= 0).all()
    assert made.survival(made.edges) == pytest.approx(np.exp(-made.cumulative), rel=1e-12)


@given(curves(), st.floats(0.01, 0.99))
def test_quantiles_agree_with_the_curve(made, p):
    days = made.quantile(p)
    for row, day in enumerate(days):
        one = Curves(made.edges, made.cumulative[[row]])
        if np.isinf(day):
            assert one.survival(made.max_days)[0, 0] > 1 - p - 1e-12
        else:
            assert one.survival(min(day, made.max_days))[0, 0] == pytest.approx(1 - p, abs=1e-9)


@given(curves(), st.integers(1, 400), st.data())
def test_best_window_agrees_with_a_plain_loop(made, width, data):
    reach = int(made.max_days)
    within = data.draw(st.none() | st.integers(1, reach))
    last = within or reach
    width = min(width, last)
    start, probability = made.best_window(width, within)
    for row in range(len(made)):
        one = Curves(made.edges, made.cumulative[[row]])
        mass = [
            one.survival(day)[0, 0] - one.survival(day + width)[0, 0]
            for day in range(last - width + 1)
        ]
        assert probability[row] == pytest.approx(max(mass), abs=1e-15)
        assert mass[start[row]] == pytest.approx(max(mass), abs=1e-15)


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
