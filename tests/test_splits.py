"""Folds forward in time, for any log and any horizon."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.instants import Cutoff
from ppi_ml.splits import MOST_TEST_CUTOFFS, SHORTEST_HORIZON, Spacing, forward, reach_of

START = Cutoff.parse("2017-11-01", "Europe/London")
LENGTHS = st.integers(20, 1500)
HORIZONS = st.integers(1, 400)
SPACINGS = st.builds(
    Spacing,
    st.integers(1, 90),
    train_cutoffs=st.integers(1, 15) | st.integers(24, 40),
    test_cutoffs=st.integers(1, 8),
    settling=st.sampled_from([0, 0, 3, 60]),
)


def plan_of(days, horizon, spacing=Spacing()):  # noqa: B008  (immutable)
    return forward(START, START.plus(days), horizon, spacing)


def dates(cutoffs):
    return [str(c) for c in cutoffs]


@given(LENGTHS, HORIZONS, SPACINGS)
def test_nothing_is_trained_on_or_asked_out_of_order(days, horizon, spacing):
    plan, end = plan_of(days, horizon, spacing), START.plus(days)
    assert all(c < end for c in plan.final.train)
    if plan.outer is None:
        return
    assert plan.outer.end == plan.outer.test[0]
    assert all(c < plan.outer.end for c in plan.outer.train)
    assert list(plan.outer.test) == sorted(set(plan.outer.test))
    seen = end.plus(-spacing.settling)
    assert all(seen.days_since(c) >= plan.horizon for c in plan.outer.test), "unripe"


@given(LENGTHS, HORIZONS, SPACINGS)
def test_inner_folds_end_inside_the_training_part_with_time_to_look_ahead(days, horizon, spacing):
    plan = plan_of(days, horizon, spacing)
    ends = [fold.end for fold in plan.inner]
    assert ends == sorted(ends)
    for fold in plan.inner:
        assert fold.test == (fold.end,)
        assert fold.train
        assert all(c < fold.end for c in fold.train)
        assert plan.outer.end.days_since(fold.end) >= SHORTEST_HORIZON + spacing.settling


@given(LENGTHS, HORIZONS, SPACINGS)
def test_cutoffs_lie_in_the_log_at_local_midnights_and_are_not_too_many(days, horizon, spacing):
    plan = plan_of(days, horizon, spacing)
    assert all(START < c <= START.plus(days) and c.is_midnight for c in plan.cutoffs)
    for fold in (plan.final, *plan.inner, *([plan.outer] if plan.outer else [])):
        assert len(fold.train) <= spacing.train_cutoffs
        assert all(c >= plan.first for c in fold.train)
    if plan.outer:
        assert 1 <= len(plan.outer.test) <= max(MOST_TEST_CUTOFFS, spacing.test_cutoffs)


@given(LENGTHS, HORIZONS, SPACINGS)
def test_a_horizon_is_shortened_but_never_below_28_days(days, horizon, spacing):
    plan = plan_of(days, horizon, spacing)
    assert plan.asked == horizon
    assert plan.horizon <= horizon
    if plan.outer:
        assert plan.horizon >= min(horizon, SHORTEST_HORIZON)


@given(HORIZONS, SPACINGS)
def test_with_history_enough_the_horizon_stays_and_test_cutoffs_span_it(horizon, spacing):
    """At least so many horizons are judged as asked for: first and last lie that far apart."""
    plan = plan_of(5000, horizon, spacing)
    assert plan.horizon == horizon
    span = plan.outer.test[-1].days_since(plan.outer.test[0])
    assert span == (spacing.test_cutoffs - 1) * horizon


@given(st.integers(1, 120), SPACINGS)
def test_further_test_cutoffs_lie_in_between(horizon, spacing):
    """Each origin is one draw of a common shock, so there are more than asked for, up to six."""
    test = plan_of(5000, horizon, spacing).outer.test
    assert all(b.days_since(a) >= 1 for a, b in pairwise(test))
    wanted = max(spacing.test_cutoffs, (spacing.test_cutoffs - 1) * horizon // spacing.every)
    assert min(spacing.test_cutoffs, MOST_TEST_CUTOFFS) <= len(test)
    assert min(wanted, MOST_TEST_CUTOFFS) <= len(test)


def test_the_default_plan_of_two_years_by_hand():
    plan = plan_of(730, 90)
    assert str(plan.first) == "2018-05-02"  # 182 days: half the reach of 365
    assert dates(plan.outer.test) == ["2019-05-05", "2019-06-04", "2019-07-04", "2019-08-03"]
    assert str(plan.outer.end) == "2019-05-05"
    assert len(plan.outer.train) == 12
    assert dates(plan.outer.train[-2:]) == ["2019-03-06", "2019-04-05"]
    assert str(plan.final.end) == "2019-11-01"
    assert len(plan.final.train) == 18  # back to the first, of at most 24


def test_a_year_asked_for_273_days_is_judged_at_fewer():
    plan = plan_of(365, 273)
    assert (plan.horizon, plan.asked) == (120, 273)
    ripe = [c for c in plan.outer.train if plan.outer.end.days_since(c) >= plan.horizon]
    assert ripe  # else no baseline that learns from labels could be trained


@pytest.mark.parametrize(("days", "judged"), [(82, False), (83, True)])
def test_under_28_days_nothing_is_judged(days, judged):
    """A third of the log is warm-up, and of what is left half may be horizon."""
    plan = plan_of(days, 90)
    assert (plan.outer is not None) == judged
    assert plan.horizon == (28 if judged else 90)


def test_a_short_horizon_that_was_asked_for_is_judged():
    plan = plan_of(730, 14)
    assert plan.horizon == 14
    assert plan.outer is not None


@given(LENGTHS, HORIZONS)
def test_the_curve_reaches_the_horizon_and_half_the_log_up_to_a_year(days, horizon):
    reach = reach_of(START, START.plus(days), horizon)
    assert reach == max(horizon, min(365, days // 2))


def test_who_buys_often_is_looked_at_twice_as_often_while_the_log_is_young():
    often = Spacing(usual_gap=6.0)
    assert dates(plan_of(185, 30, often).final.train[-3:]) == [
        "2018-03-21", "2018-04-05", "2018-04-20",
    ]  # fmt: skip
    assert dates(plan_of(185, 30).final.train[-2:]) == ["2018-03-06", "2018-04-05"]
    assert plan_of(185, 30, often).outer.test == plan_of(185, 30).outer.test
    assert plan_of(185, 30, Spacing(usual_gap=15.0)) == plan_of(185, 30)
    assert plan_of(730, 30, often) == plan_of(730, 30)  # 24 cutoffs would not reach back
    assert plan_of(40, 30, often) == plan_of(40, 30)  # no log gets its first cutoff from this


def test_a_long_log_has_older_cutoffs_twice_as_far_apart_that_all_folds_share():
    plan = plan_of(3000, 90, Spacing(train_cutoffs=30))
    train, end = plan.final.train, START.plus(3000)
    assert len(train) == 30
    assert [round(end.days_since(c)) for c in train[6:]] == [*range(720, 0, -30)]
    assert [round(c.days_since(plan.first)) % 60 for c in train[:6]] == [0] * 6
    assert all(round(b.days_since(a)) == 60 for a, b in pairwise(train[:6]))
    assert 30 <= train[6].days_since(train[5]) < 90
    assert set(train[:3]) < set(plan.outer.train), "made once, and used twice"
    assert plan_of(800, 90, Spacing(train_cutoffs=60)) == plan_of(800, 90), "as old as the log"


@given(st.integers(90, 4000), st.integers(24, 60), st.sampled_from([5.0, 50.0]))
def test_older_cutoffs_only_add_to_the_newer_ones(days, most, usual_gap):
    """Of those who buy often, too, whose cutoffs lie closer in a young log."""
    train = plan_of(days, 90, Spacing(train_cutoffs=most, usual_gap=usual_gap)).final.train
    newer = plan_of(days, 90, Spacing(usual_gap=usual_gap)).final.train
    assert train[-len(newer) :] == newer
    assert list(train) == sorted(set(train)) and len(train) <= most


@given(st.integers(20, 7500), HORIZONS, st.integers(1, 90), st.integers(1, 60))
def test_older_cutoffs_lie_twice_as_far_apart_in_every_fold(days, horizon, every, most):
    """As many as there may be, or back to the first, and none between the newer ones."""
    plan = plan_of(days, horizon, Spacing(every, train_cutoffs=most))
    for fold in (plan.final, *plan.inner, *([plan.outer] if plan.outer else [])):
        gaps = [round(b.days_since(a)) for a, b in pairwise((*fold.train, fold.end))]
        older, between, newer = gaps[:-25], gaps[-25:-24], gaps[-24:]
        assert set(newer) <= {min(every, round(fold.end.days_since(plan.first)))}
        assert set(older) <= {2 * every}
        assert all(every <= gap < 3 * every for gap in between)
        assert not between or len(fold.train) == most or fold.train[0] == plan.first


def test_what_is_but_an_older_cutoff_is_not_among_the_newer():
    plan, short = plan_of(4000, 90, Spacing(train_cutoffs=60)), plan_of(4000, 90)
    assert plan.newer == short.newer == short.cutoffs
    assert set(plan.newer) < set(plan.cutoffs)
