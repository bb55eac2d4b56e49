"""Which rows and intervals are learned from: as many as asked, every event, and no bias."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.models.glm import fit_poisson
from ppi_ml.models.intervals import expand
from ppi_ml.models.thinning import Thinning, draw_rows, thinned, thinning

EDGES = (0.0, 3.0, 10.0, 30.0, 60.0, 90.0)


def waits(n=5000, seed=12, rate=0.005):
    """n customers' keys, days of their cutoffs, waits of which some end unseen, and the latter."""
    draw = np.random.default_rng(seed)
    key, day = draw.integers(0, 2**32, n), draw.integers(0, 20, n) * 30.0
    event, end = draw.exponential(1 / rate, n), draw.uniform(20, 200, n)
    return key, day, np.minimum(event, end), event < end


def intervals_of(days, observed):
    return expand(days, observed, EDGES, day_granularity=False)


def rows_of(made):
    columns = (made.row, made.interval, made.exposure, made.event)
    return set(zip(*(column.tolist() for column in columns), strict=True))


def test_nothing_is_left_out_where_everything_fits():
    key, day, days, observed = waits()
    made = intervals_of(days, observed)
    assert thinning(days, observed, EDGES, len(made)) == Thinning(1.0, 1.0)
    assert draw_rows(key, day, 1.0, 1).tolist() == list(range(5000))
    assert thinned(made, key, day, 1.0, 1) is made


def test_whole_rows_are_drawn_where_a_quarter_of_them_is_left():
    _, _, days, observed = waits()
    made = len(intervals_of(days, observed))
    for most in (made - 1, made // 2, made // 4 + 1):
        assert thinning(days, observed, EDGES, most) == Thinning(most / made, 1.0)


def test_quiet_intervals_go_so_that_a_quarter_of_the_rows_can_stay():
    _, _, days, observed = waits()
    made = intervals_of(days, observed)
    events = int(made.event.sum())
    quiet = len(made) - events
    most = len(made) // 5
    assert 4 * most - events > 4 * events
    found = thinning(days, observed, EDGES, most)
    assert found == Thinning(pytest.approx(1 / 4), pytest.approx((4 * most - events) / quiet))


def test_four_quiet_intervals_stay_for_every_event():
    _, _, days, observed = waits()
    made = intervals_of(days, observed)
    events = int(made.event.sum())
    quiet = len(made) - events
    found = thinning(days, observed, EDGES, events // 2)
    assert found == Thinning(pytest.approx(1 / 10, rel=1e-3), pytest.approx(4 * events / quiet))


def test_where_most_intervals_hold_an_event_none_of_the_others_is_left_out():
    days, observed = np.tile([2.0, 2.0, 2.0, 8.0], 10), np.ones(40, dtype=bool)
    assert thinning(days, observed, EDGES, 5) == Thinning(5 / 50, 1.0)
    assert thinning(np.full(40, 2.0), observed, EDGES, 5) == Thinning(5 / 40, 1.0)  # no others


def test_of_no_rows_none_is_left_out():
    assert thinning(np.zeros(0), np.zeros(0, dtype=bool), EDGES, 5) == Thinning(1.0, 1.0)


def test_an_event_beyond_the_last_edge_is_none():
    days = np.full(10, 100.0)
    assert thinning(days, np.ones(10, dtype=bool), EDGES, 5) == Thinning(1 / 4, 20 / 50)


@given(st.integers(1, 20_000), st.floats(0.001, 0.5), st.integers(0, 5))
def test_about_as_many_intervals_as_asked_for_are_left(most, rate, seed):
    key, day, days, observed = waits(3000, seed, rate)
    shares = thinning(days, observed, EDGES, most)
    assert 0 < shares.rows <= 1
    assert 0 < shares.quiet <= 1
    drawn = draw_rows(key, day, shares.rows, seed)
    made = intervals_of(days[drawn], observed[drawn])
    left = thinned(made, key[drawn], day[drawn], shares.quiet, seed)
    whole = len(intervals_of(days, observed))
    error = np.sqrt(len(EDGES) * most)  # whole rows are drawn, of at most so many intervals
    assert abs(len(left) - min(most, whole)) < 5 * error


def test_every_event_is_kept_and_the_rest_counts_for_what_was_left_out():
    key, day, days, observed = waits(20_000)
    made = intervals_of(days, observed)
    left = thinned(made, key, day, 0.1, 3)
    happened, kept = made.event > 0, left.event > 0
    assert kept.sum() == happened.sum()
    assert rows_of(left) - rows_of(made) == {row for row in rows_of(left) if row[3] == 0}
    for interval in range(len(EDGES) - 1):
        there = made.exposure[(made.interval == interval) & ~happened]
        here = left.exposure[(left.interval == interval) & ~kept]
        error = np.sqrt((there**2).sum() * (1 - 0.1) / 0.1)
        assert abs(here.sum() - there.sum()) < 3 * error


def test_a_regression_learns_the_same_from_a_tenth_of_the_quiet_intervals():
    draw = np.random.default_rng(5)
    n = 40_000
    key, day, x = draw.integers(0, 2**32, n), np.zeros(n), draw.normal(size=n)
    event = draw.exponential(1 / np.exp(-5.0 + 0.5 * x))
    days, observed = np.minimum(event, 90.0), event < 90

    def slope(made):
        columns = np.column_stack([x[made.row], np.log1p(made.interval)])
        prior, standardise = np.full(2, 10.0), np.ones(2, dtype=bool)
        fit = fit_poisson(columns, made.event, made.exposure, ("x", "late"), prior, standardise)
        return fit.coefficients[0] / fit.spread[0], fit.log_hazard(np.zeros((1, 2)))[0]

    made = intervals_of(days, observed)
    assert slope(made) == pytest.approx((0.5, -5.0), abs=0.02)
    assert slope(thinned(made, key, day, 0.1, 7)) == pytest.approx((0.5, -5.0), abs=0.03)


def test_draws_depend_on_customer_cutoff_interval_and_seed_alone():
    key, day, days, observed = waits()
    order = np.random.default_rng(0).permutation(len(key))

    def drawn(positions, seed=1, dates=day):
        found = draw_rows(key[positions], dates[positions], 0.3, seed)
        return set(positions[found].tolist())

    def left(positions, seed=1, dates=day):
        made = intervals_of(days[positions], observed[positions])
        found = thinned(made, key[positions], dates[positions], 0.3, seed)
        return {(positions[row], *rest) for row, *rest in rows_of(found)}

    for of in (drawn, left):
        assert of(order) == of(np.arange(5000))
        assert of(order, seed=2) != of(order)
        assert of(order, dates=np.zeros(5000)) != of(order)
    kept = thinned(intervals_of(days, observed), key, day, 0.3, 1)
    assert 0 < len(np.unique(kept.row)) - len(drawn(order)) <= 5000  # a lot of its own


def test_intervals_of_one_row_are_drawn_apart():
    key, day = np.arange(2000), np.zeros(2000)
    made = intervals_of(np.full(2000, 90.0), np.zeros(2000, dtype=bool))
    left = thinned(made, key, day, 0.5, 1)
    counts = np.bincount(left.row, minlength=2000)
    assert counts.var() == pytest.approx(5 * 0.25, rel=0.15)  # of five coins, not of one
