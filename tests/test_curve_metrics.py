"""Metrics of curves against plain loops, hand-made cases and data simulated from known curves."""

import inspect
import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ppi_ml import curve_metrics
from ppi_ml.curve_metrics import (
    c_index,
    coverage,
    coverage_shares,
    d_calibration,
    d_calibration_excess,
    integrated_brier,
    integrated_brier_losses,
    interval_width,
    pinball,
    pit,
    quantile_days,
)
from ppi_ml.errors import UsageError
from ppi_ml.models.curve import Curves

some = settings(max_examples=40)
GRIDS = [(5,), (1, 2, 3, 4, 5), (2, 5, 9), (1, 4, 12)]


class Rows(NamedTuple):
    days: np.ndarray
    observed: np.ndarray
    grid: np.ndarray
    survival: np.ndarray

    def take(self, index):
        return Rows(self.days[index], self.observed[index], self.grid, self.survival[index])


def rows_of(grid, times, steps):
    """Rows from (days, observed) and hazard steps; who has no event is seen until tau at least."""
    grid = np.array(grid, dtype=float)
    observed = np.array([seen for _, seen in times])
    days = np.array([day if seen else max(day, grid[-1]) for day, seen in times], dtype=float)
    return Rows(days, observed, grid, np.exp(-np.cumsum(np.array(steps, dtype=float), axis=1)))


@st.composite
def judged(draw, grids=GRIDS):
    """Rows, and whether their days are whole; with ties in days and in curves, and flat pieces."""
    grid = draw(st.sampled_from(grids))
    whole = draw(st.booleans())
    days = st.integers(1, grid[-1] + 3)
    one = st.tuples(
        days if whole else st.floats(0.01, grid[-1] + 3) | days,
        st.booleans(),
        st.tuples(*[st.sampled_from([0, 0.05, 0.5, 3])] * len(grid)),
    )
    drawn = draw(st.lists(one, min_size=1, max_size=25))
    return rows_of(grid, [row[:2] for row in drawn], [row[2] for row in drawn]), whole


def alive(rows, i, day):
    """S of row i at a day, read off the definition."""
    edges = [0.0, *rows.grid]
    logs = [0.0, *np.log(rows.survival[i])]
    for (a, b), (low, high) in zip(pairwise(edges), pairwise(logs), strict=True):
        if a <= day <= b:
            return math.exp(low + (high - low) * (day - a) / (b - a))
    raise AssertionError(day)


def cell(rows, whole, i):
    """Where F of row i is known to lie."""
    tau = rows.grid[-1]
    if rows.observed[i] and rows.days[i] <= tau:
        return 1 - alive(rows, i, rows.days[i] - whole), 1 - alive(rows, i, rows.days[i])
    return 1 - alive(rows, i, tau), 1.0


def overlap(low, high, a, b):
    if high - low < 1e-12:
        return float(a <= low < b)
    return max(0.0, min(high, b) - max(low, a)) / (high - low)


def simulated(n, grid, seed, whole, speed=1.0):
    """Outcomes drawn from curves of very different pace, and those curves `speed` times as fast."""
    random = np.random.default_rng(seed)
    steps = random.gamma(0.5, 2, (n, len(grid))) * np.diff([0, *grid]) / 30
    hazard = np.cumsum(steps * random.gamma(1, 1, (n, 1)), axis=1)
    grid = np.array(grid, dtype=float)
    times = quantiles_of(grid, hazard, random.random(n))
    observed = times <= grid[-1]
    days = np.where(observed, np.ceil(times) if whole else times, grid[-1])
    return Rows(days, observed, grid, np.exp(-speed * hazard))


def quantiles_of(grid, hazard, uniform):
    """The time at which each curve has F = uniform, inf where it does not."""
    edges, target = np.append(0, grid), -np.log1p(-uniform)
    times = [np.interp(h, np.append(0, row), edges) for row, h in zip(hazard, target, strict=True)]
    return np.where(target <= hazard[:, -1], times, np.inf)


# ------------------------------------------------------------------ against the definitions
@some
@given(judged())
def test_the_integrated_brier_score_is_a_mean_over_days(case):
    rows, _ = case
    expected = [
        np.mean(
            [
                (alive(rows, i, day) - (not (rows.observed[i] and rows.days[i] <= day))) ** 2
                for day in range(1, int(rows.grid[-1]) + 1)
            ]
        )
        for i in range(len(rows.days))
    ]
    assert integrated_brier_losses(*rows) == pytest.approx(expected, abs=1e-9)
    assert integrated_brier(*rows) == pytest.approx(np.mean(expected), abs=1e-9)


@some
@given(judged())
def test_the_c_index_counts_pairs(case):
    rows, _ = case
    tau, n = rows.grid[-1], len(rows.days)
    risk = [-round(sum(alive(rows, i, day) for day in range(int(tau) + 1)), 9) for i in range(n)]
    event = rows.observed & (rows.days <= tau)
    pairs = [
        (risk[i] > risk[j]) + (risk[i] == risk[j]) / 2
        for i in range(n)
        for j in range(n)
        if event[i] and (not event[j] or rows.days[j] > rows.days[i])
    ]
    expected = np.mean(pairs) if pairs else float("nan")
    assert c_index(*rows) == pytest.approx(expected, nan_ok=True)


@some
@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.booleans(), st.sampled_from([0.0, 0.1, 0.4, 1.0])),
        min_size=1,
        max_size=40,
    )
)
def test_concordance_of_rows_censored_anywhere(drawn):
    time, event, risk = (np.array(column) for column in zip(*drawn, strict=True))
    pairs = [
        (a[2] > b[2]) + (a[2] == b[2]) / 2
        for a in drawn
        for b in drawn
        if a[1] and (b[0] > a[0] or (b[0] == a[0] and not b[1]))
    ]
    expected = np.mean(pairs) if pairs else float("nan")
    found = curve_metrics._concordance(time.astype(float), event, risk)
    assert found == pytest.approx(expected, nan_ok=True)


def test_with_one_event_day_the_c_index_is_the_auc_of_a_hundred_thousand_rows():
    random = np.random.default_rng(1)
    survival = np.round(random.random((100_000, 1)), 3)
    event = random.random(100_000) > survival[:, 0]
    found = c_index(np.full(100_000, 7.0), event, np.array([7.0]), survival)
    assert found == pytest.approx(roc_auc_score(event, -survival[:, 0]), abs=1e-12)


@some
@given(judged(), st.sampled_from([0.5, 0.8]))
def test_coverage_and_d_calibration_spread_the_cell_of_each_row(case, level):
    rows, whole = case
    cells = [cell(rows, whole, i) for i in range(len(rows.days))]
    a, b = (1 - level) / 2, (1 + level) / 2
    shares = [overlap(low, high, a, b) for low, high in cells]
    assert coverage_shares(*rows, whole, level) == pytest.approx(shares, abs=1e-6)
    assert coverage(*rows, whole, level) == pytest.approx(np.mean(shares), abs=1e-6)
    borders = [k / 10 for k in range(11)]
    borders[-1] = 1 + 1e-9  # F = 1 belongs to the last bin
    mass = [np.mean([overlap(*ends, *bin_) for ends in cells]) for bin_ in pairwise(borders)]
    expected = np.abs(np.array(mass) - 0.1).sum()
    assert d_calibration(*rows, whole) == pytest.approx(expected, abs=1e-6)


@some
@given(judged(), st.floats(0, 1))
def test_the_pit_lies_in_its_cell(case, share):
    rows, whole = case
    ends = np.array([cell(rows, whole, i) for i in range(len(rows.days))])
    values = pit(*rows, whole, np.full(len(rows.days), share))
    expected = ends[:, 0] + share * (ends[:, 1] - ends[:, 0])
    assert values == pytest.approx(expected, abs=1e-9)


def test_coverage_is_the_mean_of_the_randomised_pit():
    rows = simulated(50, (3, 10, 30), seed=2, whole=True)
    drawn = [pit(*rows, True, np.full(50, u)) for u in (np.arange(2000) + 0.5) / 2000]
    inside = np.mean([(values >= 0.1) & (values < 0.9) for values in drawn], axis=0)
    assert coverage_shares(*rows, True) == pytest.approx(inside, abs=1e-3)


@some
@given(judged(), st.floats(0.01, 0.99))
def test_quantiles_are_those_of_the_curve(case, p):
    rows, _ = case
    edges = np.append(0, rows.grid)
    curves = Curves.from_survival(edges, np.column_stack([np.ones(len(rows.days)), rows.survival]))
    found = quantile_days(rows.grid, rows.survival, p)
    assert found == pytest.approx(curves.quantile(p))
    for i in np.flatnonzero(np.isfinite(found)):
        assert 1 - alive(rows, i, found[i]) == pytest.approx(p)


@some
@given(judged(), st.floats(0.01, 0.49), st.floats(0.5, 0.99))
def test_quantiles_are_ordered_and_widths_lie_in_the_horizon(case, p, q):
    rows, _ = case
    low, high = (quantile_days(rows.grid, rows.survival, x) for x in (p, q))
    assert (low <= high).all() and (low > 0).all()
    narrow, wide = (interval_width(rows.grid, rows.survival, level) for level in (0.3, 0.8))
    assert (narrow >= 0).all() and (wide <= rows.grid[-1]).all()
    p10, p90 = (
        np.minimum(quantile_days(rows.grid, rows.survival, x), rows.grid[-1]) for x in (0.1, 0.9)
    )
    assert wide == pytest.approx(p90 - p10, abs=1e-9)


@some
@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.booleans(), st.floats(0, 15) | st.just(math.inf)),
        min_size=1,
        max_size=20,
    ),
    st.floats(0.05, 0.95),
)
def test_pinball_on_whole_days(drawn, level):
    tau = 9
    losses = []
    for day, seen, forecast in drawn:
        truth = day if seen and day <= tau else tau
        whole = tau if forecast > tau else max(1, math.ceil(forecast - 1e-9))
        weight = level if truth > whole else 1 - level
        losses.append(weight * abs(truth - whole))
    days = np.array([day if seen else max(day, tau) for day, seen, _ in drawn], dtype=float)
    observed = np.array([seen for _, seen, _ in drawn])
    quantiles = np.array([[forecast] for *_, forecast in drawn])
    found = pinball(days, observed, tau, quantiles, np.array([level]))
    assert found == pytest.approx(np.mean(losses))
    twice = pinball(days, observed, tau, np.tile(quantiles, 2), np.array([level, level]))
    assert twice == pytest.approx(found)


def test_pinball_counts_a_time_as_its_day():
    days, observed = np.array([2.3, 9.0]), np.array([True, False])
    forecast = np.array([[2.9], [math.inf]])  # in the third day; later than tau
    assert pinball(days, observed, 9, forecast, np.array([0.5])) == 0
    assert pinball(days, observed, 9, forecast + 1, np.array([0.5])) == pytest.approx(0.25)


# ------------------------------------------------------------------ properties
def everything(rows, whole):
    values = [integrated_brier(*rows), c_index(*rows)]
    values += [coverage(*rows, whole), d_calibration(*rows, whole)]
    return np.array(values)


@some
@given(judged(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(case, random):
    rows, whole = case
    order = random.sample(range(len(rows.days)), len(rows.days))
    expected = everything(rows, whole)
    assert everything(rows.take(order), whole) == pytest.approx(expected, nan_ok=True)
    losses = integrated_brier_losses(*rows)
    assert integrated_brier_losses(*rows.take(order)) == pytest.approx(losses[order])


@some
@given(judged())
def test_ranges(case):
    rows, whole = case
    shares = coverage_shares(*rows, whole)
    assert (shares >= 0).all() and (shares <= 1).all()
    losses = integrated_brier_losses(*rows)
    assert (losses >= 0).all() and (losses <= 1).all()
    assert 0 <= d_calibration(*rows, whole) <= 1.8 + 1e-12
    assert math.isnan(c_index(*rows)) or 0 <= c_index(*rows) <= 1


@some
@given(judged(), st.integers(1, 20))
def test_a_delay_of_everything_changes_the_length_of_the_horizon_only(case, delay):
    rows, whole = case
    tau = rows.grid[-1]
    waited = Rows(
        rows.days + delay,
        rows.observed,
        np.append(delay, rows.grid + delay),
        np.column_stack([np.ones(len(rows.days)), rows.survival]),
    )
    expected = everything(rows, whole) * [tau / (tau + delay), 1, 1, 1]
    assert everything(waited, whole) == pytest.approx(expected, nan_ok=True, abs=1e-9)
    width = interval_width(rows.grid, rows.survival)
    assert interval_width(waited.grid, waited.survival) == pytest.approx(width, abs=1e-9)


@some
@given(judged(grids=[(1, 2, 3, 4, 5), tuple(range(1, 13))]))
def test_who_knows_the_day_loses_nothing(case):
    (days, observed, grid, _), _ = case
    days = np.ceil(days)
    known = np.where(observed[:, None] & (days[:, None] <= grid), 0.0, 1.0)
    assert integrated_brier(days, observed, grid, known) == 0
    assert c_index(days, observed, grid, known) in (1, pytest.approx(math.nan, nan_ok=True))
    shares = coverage_shares(days, observed, grid, known, whole_days=True)
    assert shares == pytest.approx(np.full(len(days), 0.8))  # each cell is the whole of [0, 1]


@some
@given(judged(grids=[(1, 2, 3, 4, 5), tuple(range(1, 13))]), st.floats(0.1, 0.9))
def test_the_shares_that_were_seen_are_calibrated_for_everybody(case, level):
    (days, observed, grid, _), _ = case
    days = np.ceil(days)
    seen = 1 - np.mean(observed[:, None] & (days[:, None] <= grid), axis=0)
    rows = Rows(days, observed, grid, np.tile(seen, (len(days), 1)))
    assert d_calibration(*rows, whole_days=True) == pytest.approx(0, abs=1e-6)
    assert coverage(*rows, True, level) == pytest.approx(level, abs=1e-6)


def test_a_curve_without_hope_or_without_events_is_read_at_its_ends():
    grid, none = np.array([2.0, 4.0]), np.array([False])
    ended, certain = np.array([[0.5, 0.0]]), np.array([[1.0, 1.0]])
    seen = np.array([4.0])
    for whole in (True, False):
        assert coverage(seen, none, grid, ended, whole) == 0
        assert d_calibration(seen, none, grid, ended, whole) == pytest.approx(1.8)
        assert coverage(seen, none, grid, certain, whole) == pytest.approx(0.8)
        assert d_calibration(seen, none, grid, certain, whole) == pytest.approx(0)
        assert coverage(seen, ~none, grid, certain, whole) == 0
        assert d_calibration(seen, ~none, grid, certain, whole) == pytest.approx(1.8)
        assert np.isfinite(d_calibration_excess(seen, none, grid, ended, whole))
    assert quantile_days(grid, certain, 0.5).tolist() == [math.inf]
    assert interval_width(grid, certain).tolist() == [0]


def test_a_point_on_a_border_belongs_to_the_bin_above():
    rows = rows_of((4,), [(4, True), (2, True)], [[math.log(2)], [math.log(2)]])
    assert d_calibration(*rows, False, bins=2) == 0  # F is 0.5 and 0.29


def test_a_level_reached_on_a_flat_piece_is_reached_at_its_start():
    grid = np.array([2.0, 4.0])
    assert quantile_days(grid, np.array([[0.5, 0.5]]), 0.5).tolist() == [2]
    rising = np.array([[0.5, 0.5 + 5e-7]])  # by rounding: read as flat
    assert quantile_days(grid, rising, 0.5 - 2e-7) == pytest.approx(2, abs=1e-5)


def test_curves_that_differ_by_rounding_tie():
    random = np.random.default_rng(12)
    rows = simulated(40, (3, 10, 30), seed=12, whole=True)
    same = np.tile([0.9, 0.7, 0.4], (40, 1)) * (1 - 1e-15 * random.random((40, 1)))
    assert c_index(*rows._replace(survival=same)) == 0.5


def test_the_largest_uniform_number_is_no_event_by_tau_in_every_row():
    survival, almost_one = np.full((500, 1), 0.5), np.full((500, 2), np.nextafter(1, 0))
    for whole in (True, False):
        ends = curve_metrics._simulated_cells(np.array([3.0]), survival, almost_one, whole)
        assert np.unique(ends[0]) == pytest.approx(0.5) and np.unique(ends[1]) == [1]


def test_no_event_leaves_no_pair_to_compare():
    rows = Rows(np.full(3, 5.0), np.zeros(3, bool), np.array([5.0]), np.full((3, 1), 0.5))
    assert math.isnan(c_index(*rows))
    late = rows._replace(days=np.full(3, 6.0), observed=np.ones(3, bool))
    assert math.isnan(c_index(*late))  # events after tau are none by tau
    assert everything(late, True)[[0, 2, 3]] == pytest.approx(everything(rows, True)[[0, 2, 3]])


# ------------------------------------------------------------------ right and wrong models
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("grid", [(3, 10, 30), tuple(range(1, 31))])
def test_a_right_model_has_no_excess_and_the_coverage_it_claims(whole, grid):
    found = [simulated(3000, grid, seed, whole) for seed in range(4)]
    excess = [d_calibration_excess(*rows, whole, draws=60) for rows in found]
    assert np.abs(excess).max() < 0.03  # the distance itself has a deviation of about 0.01
    assert np.mean([coverage(*rows, whole) for rows in found]) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("speed", [3, 1 / 3])
def test_a_wrong_model_has_low_coverage_and_a_large_excess(whole, speed):
    rows = simulated(3000, (3, 10, 30), seed=5, whole=whole, speed=speed)
    assert d_calibration_excess(*rows, whole, draws=60) > 0.2
    assert coverage(*rows, whole) < 0.75
    right = simulated(3000, (3, 10, 30), seed=5, whole=whole)
    assert integrated_brier(*rows) > integrated_brier(*right) + 0.01


@pytest.mark.parametrize("whole", [True, False])
def test_the_expected_distance_is_that_of_plainly_simulated_outcomes(whole):
    rows = simulated(40, (3, 10, 30), seed=6, whole=whole)
    hazard, random = -np.log(rows.survival), np.random.default_rng(7)
    distances = []
    for _ in range(1500):
        times = quantiles_of(rows.grid, hazard, random.random(40))
        observed = times <= 30
        days = np.where(observed, np.ceil(times) if whole else times, 30)
        distances.append(d_calibration(days, observed, rows.grid, rows.survival, whole))
    expected = d_calibration(*rows, whole) - d_calibration_excess(*rows, whole, draws=1500)
    assert expected == pytest.approx(np.mean(distances), rel=0.03)


def test_without_censoring_the_expected_distance_is_the_textbook_one():
    random = np.random.default_rng(8)
    rows = Rows(
        random.exponential(1, 5000),
        np.ones(5000, bool),
        np.array([20.0]),
        np.full((5000, 1), math.exp(-20)),
    )
    expected = d_calibration(*rows, False) - d_calibration_excess(*rows, False)
    assert expected == pytest.approx(10 * math.sqrt(2 / math.pi * 0.09 / 5000), rel=0.05)


@pytest.mark.parametrize("whole", [True, False])
def test_simulating_a_part_of_the_rows_expects_the_same(whole, monkeypatch):
    rows = simulated(3000, (3, 10, 30), seed=9, whole=whole)
    all_rows = d_calibration_excess(*rows, whole)
    distance = d_calibration(*rows, whole)
    monkeypatch.setattr(curve_metrics, "_SIMULATED", 1000)
    part = d_calibration_excess(*rows, whole)
    assert part != all_rows
    assert distance - part == pytest.approx(distance - all_rows, rel=0.1)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("grid", [(3, 10, 30), tuple(range(1, 31))])
def test_blocks_change_nothing(whole, grid, monkeypatch):
    rows = simulated(97, grid, seed=10, whole=whole)

    def all_values():
        excess = d_calibration_excess(*rows, whole, draws=20, seed=3)
        widths = interval_width(rows.grid, rows.survival)
        return [*everything(rows, whole), *integrated_brier_losses(*rows), *widths, excess]

    at_once = all_values()
    monkeypatch.setattr(curve_metrics, "_CELLS", 300)
    assert all_values() == pytest.approx(at_once, abs=1e-12)


def test_the_seed_decides_the_excess():
    rows = simulated(100, (3, 10, 30), seed=11, whole=True)
    values = [d_calibration_excess(*rows, True, draws=20, seed=seed) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


@some
@given(judged())
def test_single_precision_gives_the_same(case):
    rows, whole = case
    single = rows._replace(survival=rows.survival.astype(np.float32))
    assert integrated_brier(*single) == pytest.approx(integrated_brier(*rows), abs=1e-6)
    assert pit(*single, whole, np.full(len(rows.days), 0.5)) == pytest.approx(
        pit(*rows, whole, np.full(len(rows.days), 0.5)), abs=1e-5
    )


# ------------------------------------------------------------------ bad input
GOOD = Rows(
    np.array([2.0, 5.0]), np.array([True, False]), np.array([1.0, 5.0]),
    np.array([[0.9, 0.5], [0.8, 0.8]]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"days": np.array([2.0, 4.0])}, "1 of 2 rows .* less than 5 days, one of them for 4"),
        ({"days": np.array([0.0, 5.0])}, "above 0 for events .* 1 of 2 are not"),
        ({"days": np.array([np.nan, 5.0])}, "days must be finite"),
        ({"days": np.array([2.0])}, r"got \(1,\) and \(2,\)"),
        ({"days": np.array(["2", "5"])}, "days must be numbers, got <U1"),
        ({"observed": np.array([1, 0])}, r"true or false \(bool\), got int64"),
        ({"grid": np.array([5.0, 1.0])}, r"rising whole days from 1 upwards, got \[5.0, 1.0\]"),
        ({"grid": np.array([0.0, 5.0])}, "rising whole days"),
        ({"grid": np.array([1.0, 4.5])}, "rising whole days"),
        ({"grid": np.array([1.0])}, r"expected shape \(n, 1\) .* got \(2, 2\)"),
        ({"survival": GOOD.survival[:1]}, "1 curves for 2 rows"),
        ({"survival": GOOD.survival > 0}, "survival must be numbers, got bool"),
        ({"survival": GOOD.survival * 1.2}, "1 leave .0, 1. or miss a value, 0 increase"),
        ({"survival": GOOD.survival * np.nan}, "2 leave .0, 1. or miss a value"),
        ({"survival": GOOD.survival[:, ::-1]}, "0 leave .* 1 increase"),
    ],
)  # fmt: skip
def test_a_refusal_prints_the_rule_and_the_numbers(broken, message):
    rows = GOOD._replace(**broken)
    for metric in (integrated_brier_losses, integrated_brier, c_index):
        with pytest.raises(UsageError, match=message):
            metric(*rows)
    for metric in (coverage_shares, coverage, d_calibration, d_calibration_excess):
        with pytest.raises(UsageError, match=message):
            metric(*rows, True)
    with pytest.raises(UsageError, match=message):
        pit(*rows, True, np.array([0.1, 0.2]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coverage(*GOOD, True, 80), "strictly between 0 and 1, got 80"),
        (lambda: interval_width(*GOOD[2:], 0), "strictly between 0 and 1, got 0"),
        (lambda: quantile_days(*GOOD[2:], 1), "strictly between 0 and 1, got 1"),
        (lambda: quantile_days(GOOD.grid, GOOD.survival[0], 0.5), r"got \(2,\)"),
        (lambda: d_calibration(*GOOD, True, bins=1), "at least 2 bins, got 1"),
        (lambda: d_calibration_excess(*GOOD, True, draws=0), "at least 1 draw, got 0"),
        (lambda: pit(*GOOD, True, np.array([0.5])), "expected 2 numbers"),
        (lambda: pit(*GOOD, True, np.array([0.5, 1.5])), "expected 2 numbers"),
        (lambda: pinball(*GOOD[:2], 0, np.ones((2, 1)), [0.5]), "at least 1, got 0"),
        (lambda: pinball(*GOOD[:2], 9, np.ones((2, 1)), [0.5]), "1 of 2 rows"),
        (lambda: pinball(*GOOD[:2], 5, np.ones((1, 2)), [0.5]), r"\(2, 1\).*got \(1, 2\)"),
        (lambda: pinball(*GOOD[:2], 5, np.ones((2, 1)), [50]), r"levels .* got \[50\]"),
        (lambda: pinball(*GOOD[:2], 5, -np.ones((2, 1)), [0.5]), "0 or more"),
        (lambda: pinball(*GOOD[:2], 5, np.full((2, 1), np.nan), [0.5]), "not NaN"),
    ],
)
def test_a_wrong_setting_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_whole_days_are_whole():
    rows = GOOD._replace(days=np.array([2.5, 5.0]))
    assert coverage(*rows, whole_days=False) >= 0
    with pytest.raises(UsageError, match="1 events are not on whole days"):
        coverage(*rows, whole_days=True)


def test_every_docstring_names_shape_and_range_of_its_metric():
    for name, metric in inspect.getmembers(curve_metrics, inspect.isfunction):
        if metric.__module__ == curve_metrics.__name__ and not name.startswith("_"):
            text = inspect.getdoc(metric)
            assert "Shapes: " in text and "Range: " in text, name
