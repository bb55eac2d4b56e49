"""Logs that say too little, or the same thing over and over, from the log to the score table.

Each ends in a right answer, or in an error that names the fix; never in a traceback or in NaN.
"""

import re
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import ppi_ml
from ppi_ml.errors import DataError, NotTrainableError

START, DAYS = datetime(2018, 1, 1), 730
SMALL = {
    "target.horizon": "60d",
    "tune.trials": 1,
    "folds.train_cutoffs": 3,
    "model.max_rows": 20_000,
    "model.processes": ["mbg_nbd", "gaps"],
    "model.trees": {"num_leaves": 4, "learning_rate": 0.1, "min_data_in_leaf": 50, "lambda_l2": 10},
    "baselines": ["mbg_nbd"],
    "engine.threads": 1,
}
WITH_TREES = {"model.stages": "process+glm+trees", "model.members": "staged+cox+newest"}
BOTH = pytest.mark.parametrize("target", ["repurchase", "churn"])
JUDGED = {"better", "level", "worse"}


@pytest.fixture
def train(tmp_path):
    """train(log, target, **settings) -> a run with small settings."""

    def run(log, target="repurchase", settings=None):
        asked = SMALL | {"output.folder": str(tmp_path)} | (settings or {})
        return ppi_ml.train(log, target=target, settings=asked, track=False)

    return run


def orders(customers=120, days=DAYS, pace=25.0, lapse=0.15, seed=0):
    """(customer, day) of a shop whose customers each have a pace, and lapse."""
    draw, found = np.random.default_rng(seed), []
    for number in range(customers):
        day, own = draw.uniform(0, 0.9 * days), draw.lognormal(np.log(pace), 0.6)
        while day < days:
            found.append((f"c{number}", day))
            day += max(own * draw.gamma(2.0, 0.5), 0.01)
            if draw.random() < lapse:
                break
    return found


@pytest.fixture
def shop_of(log_of):
    """shop_of([(customer, day), ...], days, **columns) -> a log of so many days."""

    def build(bought, days=DAYS, **columns):
        lines = [(who, (START + timedelta(days=day)).isoformat(), columns) for who, day in bought]
        return log_of(lines, start=START, until=START + timedelta(days=days))

    return build


def scores(run, log):
    """Everybody's score table at the end of the log, proved sound."""
    scorer = ppi_ml.Scorer.load(run.bundle)
    cutoff = str(log.observed_until)
    table = scorer.score(log, cutoff, everyone=True, allow_stale=True).set_index("customer_id")
    assert set(table["status"]) == {"scored"}
    assert table["churn_probability"].between(0, 1).all()
    if run.target == "repurchase":
        days = table[["next_p10_days", "next_p50_days", "next_p90_days"]].fillna(np.inf).to_numpy()
        assert (days >= 0).all()
        assert (days[:, :-1] <= days[:, 1:]).all()
        ordered = table.filter(like="p_order_").to_numpy()
        assert (np.diff(ordered, axis=1) >= 0).all()
        assert (table["best_window_start"] >= cutoff).all()
    return table


def last_day(bought):
    """Customer -> the day of the last order."""
    return pd.Series(dict(sorted(bought, key=lambda order: order[1])))


# ------------------------------------------------------------------ too little to learn from
REFUSED = {
    "all censored": (
        [(who, day / 10) for who, day in orders()],
        "nobody bought between the training cutoffs and 2020-01-01; load newer events",
    ),
    "one customer": (
        [("a", 13.0 * i) for i in range(56)],
        "only 1 customer with a purchase.*at least 20 are needed; load more customers or a longer",
    ),
    "one purchase": ([("a", 3.0)], "only 1 customer with a purchase.*load more customers"),
    "no repeat buyers": (
        [(f"c{i}", 3.5 * i) for i in range(200)],
        "nobody has bought a second time.*check that customer_id.*or a longer history",
    ),
    "hardly a repeat buyer": (
        [(f"c{i}", 3.5 * i) for i in range(200)] + [("c100", 370.0)],
        "only 1 repeat purchase before the cutoff; at least 10 are needed; load more customers",
    ),
    "everybody at one instant": (
        [(f"c{i}", 5.0) for i in range(200)],
        "nobody has bought a second time",
    ),
}


@BOTH
@pytest.mark.parametrize(("bought", "message"), REFUSED.values(), ids=REFUSED)
def test_too_little_to_learn_from_is_refused_with_the_fix(train, shop_of, target, bought, message):
    with pytest.raises(NotTrainableError, match=message):
        train(shop_of(bought), target)


@BOTH
@pytest.mark.parametrize(("days", "message"), [(5, "load a longer history"), (1, "longer history")])
def test_a_log_of_a_few_days_is_refused_with_the_fix(train, shop_of, target, days, message):
    with pytest.raises(DataError, match=message):
        train(shop_of(orders(days=days, pace=0.5), days), target)


# ------------------------------------------------------------------ little, and enough
@BOTH
def test_one_cutoff_to_train_on_and_one_to_judge(train, shop_of, target):
    log = shop_of(orders())
    run = train(log, target, {"folds.train_cutoffs": 1, "folds.test_cutoffs": 1})
    assert run.n_train <= 120  # one row per customer
    assert len(run.cutoffs) == 1
    assert run.scorecard.verdict.status in JUDGED
    assert any("One test cutoff" in note for note in run.scorecard.notes)
    scores(run, log)


def test_years_with_nobody_or_too_few_before_the_others_came_change_nothing(train, log_of):
    """Most cutoffs of such a log lie where nothing can be learned: they must not decide."""
    quiet = 2500
    few = [(f"old{i}", day) for i in range(3) for day in range(1200 + i, quiet + DAYS, 50)]
    many = [(who, quiet + day) for who, day in orders()]
    lines = [("c0", at(0), {"order_type": "free"}), *((who, at(day)) for who, day in few + many)]
    log = log_of(lines, start=START, until=START + timedelta(days=quiet + DAYS))
    long, short = [
        train(log, "churn", {"folds.train_cutoffs": most, "model.stages": "process+glm"})
        for most in (60, 24)
    ]
    assert long.scorecard.verdict.status in JUDGED
    assert long.scorecard.verdict == short.scorecard.verdict
    scores(long, log)


def at(day):
    """The instant of a day of a log, as text."""
    return (START + timedelta(days=day)).isoformat()


@BOTH
def test_a_horizon_longer_than_the_log_is_judged_at_less_and_says_so(train, shop_of, target):
    log = shop_of(orders())
    run = train(log, target, {"target.horizon": "800d"})
    judged = "within 240 days.* instead of the 800 asked for: the log is too short"
    assert "judged at 240 of 800 days" in run.scorecard.verdict.text
    assert any(re.search(judged, note) for note in run.scorecard.notes)
    table = scores(run, log)
    assert set(table["horizon_days"]) == {800}
    if target == "repurchase":
        np.testing.assert_allclose(table["p_order_800d"], 1 - table["churn_probability"])
        assert (table["p_order_800d"] > table["p_order_365d"]).all()


def test_less_than_a_year_has_no_season_and_is_judged(train, shop_of):
    log = shop_of(orders(days=240), 240)
    run = train(log)
    assert run.scorecard.verdict.status in JUDGED
    assert any("share part of their 60 days" in note for note in run.scorecard.notes)
    assert not ppi_ml.Scorer.load(run.bundle).model.curve.settings.season
    gone = scores(run, log)["churn_probability"]
    # those who bought in the last month come back more often than those silent for four
    silent = 240 - last_day(orders(days=240))[gone.index].to_numpy()
    assert gone[silent < 30].mean() < 0.6 < gone[silent > 120].mean()


def test_less_than_two_months_ships_unjudged(train, shop_of):
    log = shop_of(orders(days=50, pace=5.0), 50)
    run = train(log)
    assert run.scorecard.verdict.status == "unjudged"
    assert "too short to judge even 28 days" in run.scorecard.verdict.text
    scores(run, log)


# ------------------------------------------------------------------ the same thing over and over
def test_orders_at_the_same_time_are_one_purchase(train, shop_of):
    bought = orders()
    thrice = [order for order in bought for _ in range(3)]
    once, more = (scores(train(log), log) for log in (shop_of(bought), shop_of(thrice)))
    for column in ("churn_probability", "next_p50_days"):
        np.testing.assert_allclose(more[column], once[column], rtol=1e-9)


def test_a_shop_in_which_everybody_buys_on_the_same_days(train, shop_of):
    monthly = {(who, 30.0 * round(day / 30)) for who, day in orders()}
    log = shop_of(sorted(order for order in monthly if order[1] < DAYS))
    run = train(log, settings=WITH_TREES)
    assert run.scorecard.verdict.status in JUDGED
    scores(run, log)


def test_a_feature_that_is_the_same_for_everybody_says_nothing(train, shop_of):
    priced = {"sku": "x", "quantity": 1.0}
    tables = []
    for price in (5.0, 9.0):
        log = shop_of(orders(), unit_price=price, **priced)
        tables.append(scores(train(log, "churn", WITH_TREES), log)["churn_probability"])
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-6)


def test_a_shop_without_chance_is_learned(train, shop_of):
    """Everybody buys every twenty days, for ever."""
    bought = [(f"c{i}", float(day)) for i in range(100) for day in range(i % 20, DAYS, 20)]
    log = shop_of(bought)
    table = scores(train(log), log)
    assert (table["churn_probability"] < 0.2).all()
    expected = 20.0 - (DAYS - last_day(bought)[table.index].to_numpy())
    assert np.abs(table["next_p50_days"] - expected).max() < 8


# ------------------------------------------------------------------ level with itself
def test_a_model_that_is_one_process_does_not_lose_to_that_process(train, shop_of):
    alone = {"model.stages": "process", "model.processes": ["mbg_nbd"]}
    verdict = train(shop_of(orders()), "churn", alone).scorecard.verdict
    assert (verdict.baseline, verdict.status) == ("mbg_nbd", "level")
    # all that differs is the floor under the hazards of an interval
    assert verdict.difference == pytest.approx(0.0, abs=1e-6)
