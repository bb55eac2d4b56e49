"""Every baseline whose answer can be worked out on paper, on five customers."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tests.materials import FAMILIES, material_of, plan_of

from ppi_ml import dataset
from ppi_ml.errors import NotTrainableError
from ppi_ml.instants import Cutoff
from ppi_ml.models.durations import Durations
from ppi_ml.problem import Problem
from ppi_ml.shelf import shelf

BASELINES = shelf("ppi_ml.baselines", "BASELINE")
NEVER = 1e-4
# day of each purchase; all are seen from day 70
PURCHASES = {
    "a": (0, 10, 40),  # gaps 10, 30; waits 30
    "b": (0, 10, 20, 60),  # gaps 10, 10, 40; waits 10
    "c": (55,),  # no gap; waits 15
    "d": (25, 65),  # gap 40; waits 5
    "e": (61,),  # no gap; waits 9
}
WAITS = Durations(
    np.array([60.0, 5.0, 30.0, 61.0, 40.0]), np.array([False, True, False, False, True])
)


@pytest.fixture(scope="module")
def shop(trained):
    """The problem of a whole shop, 60 days ahead."""
    material = replace(material_of(trained[1]), metric="ibs")
    return Problem.of(material, plan_of(trained[1]).outer)


@pytest.fixture(scope="module", params=["instant", "day"])
def five(request, shop, log_of):
    """The same question about five customers; a has been silent for too long to be asked about.

    Once with times, always midnight, and once with dates only.
    """
    day = {d: str(date(2018, 1, 1) + timedelta(days=d)) for d in range(70)}
    lines = [(name, day[d]) for name, days in PURCHASES.items() for d in days]
    if request.param == "instant":
        lines = [(name, f"{when}T00:00") for name, when in lines]
    log = log_of(lines, granularity=request.param)
    data = dataset.build(log, [Cutoff.parse("2018-03-12", log.timezone)], FAMILIES)
    material = replace(shop.material, active_within=20, log=log)
    return replace(shop, material=material, data=data, durations=WAITS)


def steps(until):
    """1 up to the date, days after the cutoff, and next to nothing from there, 60 days."""
    return np.where(np.arange(1, 61) <= until, 1.0, NEVER)


def answers(name, problem):
    """Customer -> the curve of that row."""
    found = BASELINES[name].fit(problem)(problem.data)
    return dict(zip(problem.data.customers, found, strict=True))


@pytest.mark.parametrize(
    ("name", "past", "dates"),
    [
        # own means 20, 20, 40: one-time buyers get their mean, 26.67
        ("mean_gap", "20.0%", {"a": -10, "b": 10, "c": 11.67, "d": 35, "e": 17.67}),
        # own medians 20, 10, 40: one-time buyers get their median, 20
        ("median_gap", "20.0%", {"a": -10, "b": 0, "c": 5, "d": 35, "e": 11}),
        # last gaps 30, 40, 40: one-time buyers get their median, 40
        ("last_gap", "0.0%", {"a": 0, "b": 30, "c": 25, "d": 35, "e": 31}),
    ],
)
def test_a_gap_rule_believes_in_one_date(five, name, past, dates):
    found = answers(name, five)
    for customer, until in dates.items():
        assert found[customer].tolist() == steps(until).tolist(), customer
    assert BASELINES[name].fit(five).note(five.data) == (
        f"the date of {past} of the rows was already past"
    )


def test_a_gap_rule_needs_somebody_who_bought_twice(five):
    once = five.data.take(np.isnan(five.data.column("cadence__gap__mean")))
    with pytest.raises(NotTrainableError, match="bought twice by 2018-03-12"):
        BASELINES["mean_gap"].fit(replace(five, data=once))


def test_most_dates_of_a_real_rhythm_are_already_past(shop):
    """Purpose: what makes this rule useless must be told."""
    data = shop.data
    rule = BASELINES["mean_gap"].fit(shop)
    gap = data.column("cadence__gap__mean")
    newest = gap[data.rows_at(data.cutoffs[-1])]
    gap = np.where(np.isnan(gap), np.nanmean(newest), gap)
    past = np.mean(data.column("cadence__elapsed__days_since") > gap)
    assert past > 0.5
    assert rule.note(data) == f"the date of {100 * past:.1f}% of the rows was already past"


@pytest.mark.parametrize("name", ["kaplan_meier", "base_rate"])
def test_one_curve_for_those_asked_about_and_one_for_the_rest(five, name):
    """Four are asked about: one buys on day 5; of the two still seen on day 40, one buys.

    With one cutoff the two baselines read the same rows.
    """
    found = answers(name, five)
    day = np.arange(1, 61)
    expected = np.where(day < 5, 1.0, np.where(day < 40, 3 / 4, 3 / 8))
    for customer in "bcde":
        assert found[customer] == pytest.approx(expected)
    assert found["a"].tolist() == [1.0] * 60


def test_those_whom_nobody_saw_for_so_long_take_the_curve_of_all(five):
    """Purpose: in a young log nobody has been silent for long and was followed to the horizon."""
    days = np.where(WAITS.days == 60.0, 30.0, WAITS.days)
    found = answers("kaplan_meier", replace(five, durations=replace(WAITS, days=days)))
    day = np.arange(1, 61)
    assert found["a"] == pytest.approx(np.where(day < 5, 1.0, np.where(day < 40, 4 / 5, 2 / 5)))
    assert found["d"][-1] == pytest.approx(3 / 8)


def test_kaplan_meier_reads_every_cutoff_and_the_base_rate_the_newest_ripe_one(shop):
    waits, eligible = shop.durations, shop.data.eligible(180)
    newest = shop.data.rows_at(shop.ripe[-1])
    asked = shop.data.take(eligible)
    share = np.mean(~(waits.observed & (waits.days <= 30))[newest][eligible[newest]])
    assert BASELINES["base_rate"].fit(shop)(asked)[0, 29] == pytest.approx(share)
    whole = 1.0
    for day in np.unique(waits.days[eligible & waits.observed & (waits.days <= 30)]):
        at_risk = np.sum(eligible & (waits.days >= day))
        whole *= 1 - np.sum(eligible & waits.observed & (waits.days == day)) / at_risk
    assert BASELINES["kaplan_meier"].fit(shop)(asked)[0, 29] == pytest.approx(whole)
    assert abs(whole - share) > 0.001


def regression(problem, cutoffs, day, columns):
    """P(no purchase within the day) of all rows, learned at some cutoffs by scikit-learn alone."""
    learn = np.concatenate([np.arange(len(columns))[problem.data.rows_at(c)] for c in cutoffs])
    stayed = ~(problem.durations.observed & (problem.durations.days <= day))[learn]
    scaler = StandardScaler().fit(columns[learn])
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(columns[learn]), stayed)
    return model.predict_proba(scaler.transform(columns))[:, 1]


def test_a_regression_per_day_and_straight_in_between(shop):
    silent = np.log1p(shop.data.column("cadence__elapsed__days_since"))[:, None]
    expected = [regression(shop, shop.ripe[-1:], day, silent) for day in (1, 2, 3, 5)]
    lowest = np.minimum.accumulate(np.column_stack(expected), axis=1)
    found = BASELINES["recency"].fit(shop)(shop.data)
    assert found[:, [0, 1, 2, 4]] == pytest.approx(lowest, rel=1e-9)
    assert found[:, 3] == pytest.approx(np.sqrt(lowest[:, 2] * lowest[:, 3]), rel=1e-9)


def test_recency_frequency_and_money_of_one_cutoff_and_of_all(shop):
    alone = replace(shop, material=replace(shop.material, metric="log_loss"))
    names = ("elapsed__days_since", "purchases__count", "age__max", "value__mean")
    columns = np.log1p(np.column_stack([shop.data.column(f"cadence__{n}") for n in names]))
    columns = np.nan_to_num(columns)
    assert len(shop.ripe) > 1
    for name, cutoffs in [("rfm_newest", shop.ripe[-1:]), ("rfm_pooled", shop.ripe)]:
        expected = regression(shop, cutoffs, 60, columns)
        found = BASELINES[name].fit(alone)(shop.data)
        assert found == pytest.approx(expected[:, None], rel=1e-9), name


def test_a_day_by_which_nobody_bought_is_left_out(shop):
    late = replace(shop, durations=replace(shop.durations, days=shop.durations.days + 5.5))
    found = BASELINES["rfm_newest"].fit(late)(shop.data)
    assert found[:, 0] == pytest.approx(found[:, 6] ** (1 / 7))
    assert (found[:, 6] < 1).all()


def test_cox_without_helpful_trees_is_events_over_days_at_risk(five):
    """One purchase in (3, 5] among 5 at risk; one in (30, 45] in 15 + 15 + 10 days at risk.

    Where only dates are known, a purchase is put into the middle of its day.
    """
    half = 0.5 if five.material.whole_days else 0.0
    early, late = 2 / (10 - half), 15 / (40 - half)
    for curve in answers("lightgbm_cox", five).values():
        assert curve[2] == pytest.approx(1.0, abs=1e-4)
        assert curve[4] == pytest.approx(np.exp(-early), abs=1e-4)
        assert curve[44] / curve[29] == pytest.approx(np.exp(-late), rel=1e-4)
