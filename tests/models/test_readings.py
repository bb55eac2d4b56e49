"""Readings of a curve, by hand and as a contract with the shelf of targets."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppi_ml.errors import UsageError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.models.curve import Curves
from ppi_ml.models.readings import READINGS, Asked, churn, repurchase
from ppi_ml.shelf import shelf

TWO = Curves(np.array([0.0, 10.0, 100.0]), np.array([[0.0, 0.5, 1.4], [0.0, 0.0, 0.0]]))
PAIRS = replace(TWO, consuming=Curves(TWO.edges, 2 * TWO.cumulative))  # what every reading needs
DAY = date(2024, 2, 26)
ASKED = Asked(40, 7, DAY)
COLUMNS = [
    "churn_probability", "horizon_days",
    "p_order_7d", "p_order_14d", "p_order_30d", "p_order_40d",
    "next_p10_days", "next_p50_days", "next_p90_days",
    "next_p10_date", "next_p50_date", "next_p90_date", "later_than_horizon",
    "best_window_start", "best_window_end", "best_window_probability",
]  # fmt: skip
NAMES = ("p10", "p50", "p90")


def day_of(text):
    return np.datetime64(text, "D")


# ------------------------------------------------------------------ by hand
def test_churn_is_the_survival_at_the_horizon():
    columns = churn(TWO, ASKED)
    assert list(columns) == ["churn_probability", "horizon_days"]
    assert columns["churn_probability"] == pytest.approx([np.exp(-0.8), 1.0])
    assert columns["horizon_days"].tolist() == [40, 40]
    assert columns["horizon_days"].dtype == np.int64


@pytest.mark.parametrize("reading", READINGS)
def test_a_horizon_beyond_the_curve_is_refused(reading):
    with pytest.raises(UsageError, match=r"day 101.* day 100"):
        READINGS[reading](PAIRS, Asked(101, 7, DAY))


def test_repurchase_by_hand():
    # hazards .05 a day to day 10, .01 from there on; the second customer never buys
    found = repurchase(TWO, ASKED)
    assert list(found) == COLUMNS
    bought = 1 - np.exp([-0.35, -0.54, -0.7, -0.8])
    for name, expected in zip(COLUMNS[2:6], bought, strict=True):
        assert found[name] == pytest.approx([expected, 0.0])
    # H = -ln .9 = .105 lies in the first piece, ln 2 = .693 at day 29.3, ln 10 beyond the curve
    p10, p50 = -np.log(0.9) / 0.05, 10 + (np.log(2) - 0.5) / 0.01
    assert found["next_p10_days"] == pytest.approx([p10, np.nan], nan_ok=True)
    assert found["next_p50_days"] == pytest.approx([p50, np.nan], nan_ok=True)
    assert np.isnan(found["next_p90_days"]).all()
    # day 2.1 lies on the third day, day 29.3 on the thirtieth: 2024 is a leap year
    assert found["next_p10_date"][0] == day_of("2024-02-28")
    assert found["next_p50_date"][0] == day_of("2024-03-26")
    assert np.isnat(found["next_p50_date"]).tolist() == [False, True]
    assert np.isnat(found["next_p90_date"]).all()
    assert found["later_than_horizon"].tolist() == [False, True]
    assert found["best_window_start"].tolist() == [DAY, DAY]
    assert found["best_window_end"].tolist() == [date(2024, 3, 3)] * 2  # the seventh day
    assert found["best_window_probability"] == pytest.approx([1 - np.exp(-0.35), 0.0])


def test_a_median_between_horizon_and_reach_is_a_date_and_later_than_the_horizon():
    found = repurchase(TWO, Asked(20, 7, DAY))
    assert found["later_than_horizon"].tolist() == [True, True]
    assert found["next_p50_date"][0] == day_of("2024-03-26")


def test_the_best_window_lies_within_the_horizon():
    # nearly nothing happens before day 30, nearly everything soon after
    late = Curves(np.array([0.0, 30.0, 60.0]), np.array([[0.0, 0.1, 9.1]]))
    inside = repurchase(late, Asked(60, 5, DAY))
    assert inside["best_window_start"].tolist() == [DAY + timedelta(days=30)]
    assert inside["best_window_end"].tolist() == [DAY + timedelta(days=34)]
    cut = repurchase(late, Asked(32, 5, DAY))
    assert cut["best_window_end"].tolist() == [DAY + timedelta(days=31)]


def test_an_event_on_a_day_is_dated_to_that_day():
    """On the k-th day after midnight means T in (k, k + 1], the right end included (day tables)."""
    days = np.array([0.001, 1.0, 1.001, 2.0, 29.3, np.nan])
    found = Asked(40, 7, DAY).day_before(days)
    assert (found[:5] - day_of(DAY)).astype(int).tolist() == [0, 0, 1, 1, 29]
    assert np.isnat(found[5])


def test_a_cutoff_within_a_day_counts_from_its_own_time_of_day():
    """From 18:00 on a quarter of the day is left, and one day later it is tomorrow."""
    evening = Asked.at(Cutoff.parse("2024-02-26T18:00", "Europe/London"), 40, 7)
    assert evening == Asked(40, 7, DAY, 0.75)
    found = evening.day_before(np.array([0.2, 0.25, 0.3, 1.0, 1.3]))
    assert found.tolist() == [DAY + timedelta(days=n) for n in (0, 0, 1, 1, 2)]
    read = repurchase(TWO, evening)
    assert read["best_window_start"][0] == day_of("2024-02-26")
    assert read["best_window_end"][0] == day_of("2024-03-04")  # until 18:00


@pytest.mark.parametrize(
    ("instant", "zone", "day"),
    [
        ("2024-02-26", "Europe/London", DAY),
        ("2024-02-25T23:30+00:00", "Europe/Berlin", DAY),  # 00:30 there
        ("2024-02-26T02:00+00:00", "America/New_York", date(2024, 2, 25)),
        ("1969-12-31", "UTC", date(1969, 12, 31)),
    ],
)
def test_the_first_day_is_that_of_the_business_zone(instant, zone, day):
    assert Asked.at(Cutoff.parse(instant, zone), 40, 7).first_day == day


# ------------------------------------------------------------------ as a contract
@pytest.mark.parametrize("horizon", [1, 7, 8, 30, 45, 90, 365, 400])
def test_columns_depend_on_what_is_asked_and_never_on_the_curves(horizon):
    edges = np.array([0.0, 500.0])
    curves = [Curves(edges, np.array(c).reshape(-1, 2)) for c in ([[0, 1], [0, 0]], [[0, 9]], [])]
    read = [repurchase(c, Asked(horizon, 1, DAY)) for c in curves]
    for other in read[1:]:
        assert list(other) == list(read[0])
        assert {n: v.dtype for n, v in other.items()} == {n: v.dtype for n, v in read[0].items()}
    orders = [name for name in read[0] if name.startswith("p_order_")]
    shorter = [d for d in (7, 14, 30, 60, 90, 180, 365) if d < horizon]
    assert orders == [f"p_order_{d}d" for d in [*shorter, horizon]]


@pytest.mark.parametrize("reading", READINGS)
def test_no_rows_give_the_same_columns(reading):
    nobody = Curves(TWO.edges, TWO.cumulative[:0])
    some, none = (
        READINGS[reading](curves, ASKED) for curves in (PAIRS, replace(nobody, consuming=nobody))
    )
    assert list(none) == list(some)
    assert {len(values) for values in none.values()} == {0}
    assert {n: v.dtype for n, v in none.items()} == {n: v.dtype for n, v in some.items()}


def test_every_target_of_the_shelf_has_its_reading():
    targets = shelf("ppi_ml.targets", "TARGET").values()
    wanted = {target.reading for target in targets if target.kind == "duration"}
    assert wanted == READINGS.keys()


# ------------------------------------------------------------------ readings agree with the curve
@st.composite
def asked_curves(draw):
    """Curves of one to four customers, and what is asked of them."""
    widths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=6))
    shape = (draw(st.integers(1, 4)), len(widths))
    steps = draw(hnp.arrays(float, shape, elements=st.just(0.0) | st.floats(1e-6, 3)))
    cumulative = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    curves = Curves(np.concatenate([[0.0], np.cumsum(widths)]), cumulative)
    horizon = draw(st.integers(1, int(curves.max_days)))
    elapsed = draw(st.just(0) | st.integers(0, DAY_US - 1)) / DAY_US
    day = draw(st.dates(date(1970, 1, 1), date(2200, 1, 1)))
    return curves, Asked(horizon, draw(st.integers(1, horizon)), day, elapsed)


@given(asked_curves())
def test_quantiles_are_ordered_and_lie_on_the_curve(drawn):
    curves, asked = drawn
    found = repurchase(curves, asked)
    days = np.stack([found[f"next_{name}_days"] for name in NAMES], axis=1)
    reached = ~np.isnan(days)
    assert (np.diff(np.where(reached, days, 1e9), axis=1) >= 0).all()
    assert (days[reached] > 0).all()
    assert (days[reached] <= curves.max_days).all()
    for i, p in enumerate((0.1, 0.5, 0.9)):
        # null exactly where the curve does not get there within its reach
        assert reached[:, i].tolist() == (curves.cumulative[:, -1] >= -np.log1p(-p)).tolist()
        for row in np.flatnonzero(reached[:, i]):
            assert curves.survival([days[row, i]])[row, 0] == pytest.approx(1 - p, abs=1e-9)


@given(asked_curves())
def test_dates_follow_the_days_and_never_lie_before_the_cutoff(drawn):
    curves, asked = drawn
    found = repurchase(curves, asked)
    first = day_of(asked.first_day)
    dates = np.stack([found[f"next_{name}_date"] for name in NAMES], axis=1)
    days = np.stack([found[f"next_{name}_days"] for name in NAMES], axis=1)
    assert dates.dtype == np.dtype("datetime64[D]")
    assert np.isnat(dates).tolist() == np.isnan(days).tolist()
    there = ~np.isnan(days)
    steps = (dates[there] - first).astype(float)
    assert (steps >= 0).all()
    # the moment lies on that day of the clock, its last instant included
    moment = asked.elapsed + days[there]
    assert (steps < moment).all()
    assert (moment <= steps + 1).all()
    ordered = np.where(np.isnat(dates), np.datetime64("9999-01-01"), dates)
    assert (ordered[:, 1:] >= ordered[:, :-1]).all()


@given(asked_curves())
def test_probabilities_rise_and_meet_churn_and_the_median(drawn):
    curves, asked = drawn
    found = repurchase(curves, asked)
    orders = {name: v for name, v in found.items() if name.startswith("p_order_")}
    assert (np.diff(np.stack(list(orders.values()), axis=1), axis=1) >= 0).all()
    for name, values in orders.items():
        day = float(name.removeprefix("p_order_").removesuffix("d"))
        assert values == pytest.approx(1 - curves.survival([day])[:, 0], abs=1e-15)
    last = found[f"p_order_{asked.horizon}d"]
    assert (last == 1 - found["churn_probability"]).all()
    p50, later = found["next_p50_days"], found["later_than_horizon"]
    assert later.dtype == np.bool_
    assert later.tolist() == [bool(np.isnan(d) or d > asked.horizon) for d in p50]
    clear = abs(found["churn_probability"] - 0.5) > 1e-12
    assert (later == (found["churn_probability"] > 0.5))[clear].all()


@given(asked_curves())
def test_the_best_window_is_a_stretch_of_the_curve_within_the_horizon(drawn):
    curves, asked = drawn
    found = repurchase(curves, asked)
    first = day_of(asked.first_day)
    start = (found["best_window_start"] - first).astype(int)
    assert (start >= 0).all()
    assert (start + asked.window <= asked.horizon).all()
    length = (found["best_window_end"] - found["best_window_start"]).astype(int) + 1
    assert (length == asked.window + (asked.elapsed > 0)).all()
    for row in range(len(curves)):
        alive = curves.survival(np.arange(asked.horizon + 1.0))[row]
        mass = alive[: len(alive) - asked.window] - alive[asked.window :]
        assert found["best_window_probability"][row] == pytest.approx(mass[start[row]], abs=1e-15)
        assert mass[start[row]] == pytest.approx(mass.max(), abs=1e-15)
        assert found["best_window_probability"][row] <= found[f"p_order_{asked.horizon}d"][row]
