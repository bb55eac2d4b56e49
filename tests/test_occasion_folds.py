"""Folds of occasions: periods forward in time, each judged after its outcomes are settled."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.instants import Cutoff
from ppi_ml.occasion_folds import WARM_UP_DAYS, forward
from ppi_ml.splits import MOST_TEST_CUTOFFS, Spacing

START = Cutoff.parse("2017-11-01", "Europe/London")
LENGTHS, HORIZONS = st.integers(10, 1500), st.integers(1, 200)
SPACINGS = st.builds(
    Spacing,
    st.integers(1, 60),
    train_cutoffs=st.integers(1, 30),
    test_cutoffs=st.integers(1, 8),
    settling=st.sampled_from([0, 0, 3, 30]),
)
any_plan = given(LENGTHS, HORIZONS, SPACINGS)


def plan_of(days, horizon=30, spacing=Spacing()):  # noqa: B008  (immutable)
    return forward(START, START.plus(days), horizon, spacing)


def settles_in(plan, spacing):
    """Days from the start of a period until everything that was asked in it is settled."""
    return plan.every + plan.horizon + spacing.settling


@any_plan
def test_periods_follow_one_another_up_to_the_end(days, horizon, spacing):
    plan = plan_of(days, horizon, spacing)
    end = START.plus(days)
    assert plan.end == end
    for one, other in pairwise(plan.periods):
        assert other.days_since(one) == spacing.every
    if plan.periods:
        assert plan.periods[-1] < end
        assert end.days_since(plan.periods[-1]) <= spacing.every
        assert plan.periods[0].days_since(START) >= min(WARM_UP_DAYS, days // 3)
    assert all(period.is_midnight for period in plan.periods)


@any_plan
def test_what_is_judged_is_over_and_settled(days, horizon, spacing):
    plan = plan_of(days, horizon, spacing)
    if not plan.test:
        assert plan.outer_end == plan.end
        return
    assert plan.outer_end == plan.test[0]
    assert plan.test == tuple(p for p in plan.periods if plan.test[0] <= p < plan.test_end)
    assert plan.end.days_since(plan.test_end) >= horizon + spacing.settling
    assert spacing.test_cutoffs <= len(plan.test) <= max(MOST_TEST_CUTOFFS, spacing.test_cutoffs)
    # and there is something to learn from, whose outcomes were settled by then
    learned = [p for p in plan.periods if plan.outer_end.days_since(p) >= settles_in(plan, spacing)]
    assert len(learned) >= min(3, spacing.train_cutoffs)


@any_plan
def test_the_last_test_period_is_as_late_as_can_be(days, horizon, spacing):
    plan = plan_of(days, horizon, spacing)
    if plan.test:
        left = plan.end.days_since(plan.test_end) - horizon - spacing.settling
        assert 0 <= left < 1


@any_plan
def test_inner_periods_are_settled_before_the_outer_end(days, horizon, spacing):
    plan = plan_of(days, horizon, spacing)
    assert len(plan.inner) <= 2
    assert list(plan.inner) == sorted(plan.inner)
    for when in plan.inner:
        assert when in plan.periods
        assert plan.outer_end.days_since(when) >= settles_in(plan, spacing)
        assert len(plan.before(when)) >= 3


@any_plan
def test_not_many_more_training_periods_than_asked_for(days, horizon, spacing):
    """As many as asked for are settled at the outer end, and those that are not stand behind."""
    plan = plan_of(days, horizon, spacing)
    unsettled = -(-(horizon + spacing.settling) // spacing.every)
    if plan.test:
        assert len(plan.before(plan.outer_end)) <= spacing.train_cutoffs + unsettled


def test_two_years_by_hand():
    """Thirty days ahead, nothing settles: the end is 2019-11-01, so the last test ends a month
    before; two horizons of a month each are two periods, and a quarter of all are more."""
    plan = plan_of(730)
    assert str(plan.end) == "2019-11-01"
    assert str(plan.test_end) == "2019-10-02"
    assert len(plan.test) == 5  # 21 periods are ripe
    assert plan.test[0].days_since(plan.test[-1]) == -120
    assert len(plan.inner) == 2
    assert plan.inner[1].days_since(plan.inner[0]) == 90


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_a_short_log_is_judged_on_as_few_as_were_asked_for_or_on_none(wanted):
    """Three periods to learn from, one that settles, and the tests: so many periods of 10 days."""
    spacing = Spacing(10, test_cutoffs=wanted, settling=0)
    lengths = {days: len(plan_of(days, 10, spacing).test) for days in range(60, 300)}
    tested = sorted(set(lengths.values()))
    assert tested[0] == 0
    assert tested[1] == wanted
    judged = [days for days, tests in lengths.items() if tests]
    assert judged == list(range(judged[0], 300))
    days = judged[0]
    room = days - 10 - min(WARM_UP_DAYS, days // 3)
    assert room >= (3 + 1 + wanted) * 10 > room - 2


def test_more_tests_than_six_where_they_are_asked_for():
    assert len(plan_of(1500, 30, Spacing(test_cutoffs=8)).test) == 8
    assert len(plan_of(1500, 30, Spacing(test_cutoffs=2)).test) == MOST_TEST_CUTOFFS


def test_local_days_are_days_whatever_the_clock_does():
    plan = plan_of(730)
    assert {period.wall % 86_400_000_000 for period in plan.periods} == {0}
    assert len({period.at % 86_400_000_000 for period in plan.periods}) == 2
