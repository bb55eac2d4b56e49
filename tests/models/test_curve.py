import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppi_ml.errors import DataError, UsageError
from ppi_ml.models.curve import Curves

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


def test_several_quantiles_stand_in_columns():
    several = TWO.quantile([0.2, 0.5])
    assert several.shape == (2, 2)
    assert (several == np.column_stack([TWO.quantile(0.2), TWO.quantile(0.5)])).all()


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


def test_curves_of_pairs_that_still_consume_stand_beside_the_plain_ones():
    keys = pd.DataFrame({"customer_id": ["07", "x"], "product": ["tea", "tea"]})
    made = Curves(TWO.edges, TWO.cumulative, keys, Curves(TWO.edges, 2 * TWO.cumulative))
    assert TWO.consuming is None
    assert made.consuming.survival(10)[:, 0] == pytest.approx(np.exp([-2.8, -0.4]))
    # what a curve says is said of the plain one
    assert (made.survival([1, 10]) == TWO.survival([1, 10])).all()
    assert (made.quantile(0.5) == TWO.quantile(0.5)).all()
    assert (made.best_window(3)[1] == TWO.best_window(3)[1]).all()
    table = made.to_frame([2])
    assert list(table.columns) == ["customer_id", "product", "no_event_by_2d"]
    assert table["no_event_by_2d"].tolist() == TWO.to_frame([2])["no_event_by_2d"].tolist()
    assert "2 survival curves, 10 days" in made._repr_html_()


def test_the_figure_is_about_the_plain_curves():
    pytest.importorskip("matplotlib")
    keys = pd.DataFrame({"customer_id": ["07", "x"]})
    still = Curves(TWO.edges, 2 * TWO.cumulative)
    drawn = [Curves(TWO.edges, TWO.cumulative, keys, c).plot(["x"]) for c in (None, still)]
    lines, others = ([line.get_ydata() for line in f.axes[0].get_lines()] for f in drawn)
    assert lines
    for line, other in zip(lines, others, strict=True):
        assert np.array_equal(line, other)


@pytest.mark.parametrize(
    ("still", "message"),
    [
        (Curves([0.0, 3.0, 10.0], 2 * TWO.cumulative), "consuming: expected the edges"),
        (Curves([0.0, 10.0], TWO.cumulative[:, 1:] * [0, 1]), "consuming: expected the edges"),
        (Curves(TWO.edges, TWO.cumulative[:1]), "consuming: 1 rows for 2 curves"),
    ],
)
def test_consuming_curves_that_do_not_belong_are_refused(still, message):
    with pytest.raises(DataError, match=message):
        Curves(TWO.edges, TWO.cumulative, consuming=still)


def test_the_run_out_may_lie_behind_the_next_purchase():
    """Of a house in which a parcel has just arrived, for instance."""
    full = Curves(TWO.edges, TWO.cumulative * [[0.1], [1.0]])
    assert Curves(TWO.edges, TWO.cumulative, consuming=full).consuming is full


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
