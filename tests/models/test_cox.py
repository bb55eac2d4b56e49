"""Proportional hazards: the likelihood by brute force, planted effects, what drops out of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ppi_ml.models import cox
from ppi_ml.models.covariates import HAZARD_CEILING, HAZARD_FLOOR
from ppi_ml.models.cox import Cox, PartialLikelihood, Waits
from ppi_ml.models.intervals import expand

GOLDEN = Path(__file__).parents[1] / "oracles/curve_metrics_golden.json"
JUDGED = json.loads(GOLDEN.read_text())["cox"]
TREES = {"num_leaves": 4, "learning_rate": 0.1, "min_data_in_leaf": 50, "lambda_l2": 1.0}
EDGES = (0.0, 5.0, 15.0, 40.0)
NAMES = ("a", "b")


# ------------------------------------------------------------------ the partial likelihood
def brute_force(waits, score):
    """Minus the partial log-likelihood: every event against all of its stratum still at risk."""
    total = 0.0
    for i in np.flatnonzero(waits.observed):
        rivals = (waits.stratum == waits.stratum[i]) & (waits.days >= waits.days[i])
        total += np.log(np.exp(score[rivals]).sum()) - score[i]
    return total


@st.composite
def scored_waits(draw):
    """A few waits with ties within and between strata, one event at least, and their scores."""
    n = draw(st.integers(1, 14))

    def many(elements):
        return np.array(draw(st.lists(elements, min_size=n, max_size=n)))

    days = many(st.integers(1, 6)).astype(float)
    waits = Waits(days, many(st.booleans()), many(st.integers(0, 2)), np.arange(n))
    assume(waits.observed.any())
    return waits, many(st.floats(-3, 3))


@given(scored_waits())
def test_the_loss_is_that_of_brute_force(case):
    waits, score = case
    found = PartialLikelihood(waits).loss(score)
    assert found == pytest.approx(brute_force(waits, score) / waits.observed.sum(), abs=1e-10)


@given(scored_waits())
def test_the_gradient_is_the_slope_of_the_loss(case):
    """And the second derivative is never understated, so that no step is too long."""
    waits, score = case
    slope, bend = PartialLikelihood(waits).gradient(score)
    step = 1e-4
    for k in range(len(score)):
        near = step * (np.arange(len(score)) == k)
        above, here, below = (brute_force(waits, score + side * near) for side in (1, 0, -1))
        assert slope[k] == pytest.approx((above - below) / (2 * step), abs=1e-6)
        assert bend[k] >= (above - 2 * here + below) / step**2 - 1e-5


@given(scored_waits(), st.permutations(range(14)))
def test_the_order_of_the_rows_does_not_matter(case, order):
    waits, score = case
    order = np.array([i for i in order if i < len(score)])
    moved = Waits(*(getattr(waits, name)[order] for name in ("days", "observed", "stratum", "key")))
    one, other = PartialLikelihood(waits), PartialLikelihood(moved)
    assert other.loss(score[order]) == pytest.approx(one.loss(score), abs=1e-12)
    for here, there in zip(one.gradient(score), other.gradient(score[order]), strict=True):
        assert there == pytest.approx(here[order], abs=1e-12)


@given(scored_waits(), st.integers(0, 2), st.floats(0.1, 10), st.floats(-4, 4))
def test_what_happened_to_a_whole_stratum_changes_nothing(case, stratum, factor, level):
    """A factor on all hazards of a date stretches its waits, or is a level of its scores."""
    waits, score = case
    there = waits.stratum == stratum
    stretched = replace(waits, days=np.where(there, waits.days / factor, waits.days))
    before, after = PartialLikelihood(waits), PartialLikelihood(stretched)
    assert after.loss(score) == before.loss(score)
    for here, other in zip(before.gradient(score), after.gradient(score), strict=True):
        assert other.tolist() == here.tolist()
    raised = score + level * there
    assert before.loss(raised) == pytest.approx(before.loss(score), abs=1e-9)
    for here, other in zip(before.gradient(score), before.gradient(raised), strict=True):
        assert other == pytest.approx(here, abs=1e-9)


def test_who_left_before_the_first_event_says_nothing():
    waits = Waits(np.array([1.0, 2.0, 3.0]), np.array([False, True, False]), np.zeros(3, int),
                  np.arange(3))  # fmt: skip
    likelihood = PartialLikelihood(waits)
    slope, bend = likelihood.gradient(np.array([5.0, 0.0, 0.0]))
    assert (slope[0], bend[0]) == (0.0, 0.0)
    assert slope[1:] == pytest.approx([-0.5, 0.5])
    assert likelihood.loss(np.array([5.0, 0.0, 0.0])) == pytest.approx(np.log(2))


# ------------------------------------------------------------------ other people's answers
def judged(name):
    """Waits, columns and a judge's answers; tools/build_survival_oracles.py wrote them."""
    case = JUDGED[name]
    days, observed, stratum, columns = (
        np.array(case[key]) for key in ("days", "observed", "stratum", "columns")
    )
    return Waits(days, observed, stratum, np.arange(len(days))), columns, case["answers"]


def test_the_likelihood_is_that_of_lifelines():
    waits, columns, answers = judged("strata, no ties")
    assert len(np.unique(waits.stratum)) == 3
    assert len(np.unique(waits.days)) == len(waits.days)
    likelihood, score = PartialLikelihood(waits), columns @ answers["lifelines params_"]
    total = likelihood.loss(score) * waits.observed.sum()
    assert -total == pytest.approx(answers["lifelines log_likelihood_"], abs=1e-9)
    assert columns.T @ likelihood.gradient(score)[0] == pytest.approx([0, 0], abs=1e-6)


def test_with_ties_the_maximum_is_where_scikit_survival_finds_it():
    waits, columns, answers = judged("one stratum, many ties")
    assert len(np.unique(waits.days[waits.observed])) < waits.observed.sum() / 2
    likelihood, best = PartialLikelihood(waits), np.array(answers["sksurv coef_"])
    assert columns.T @ likelihood.gradient(columns @ best)[0] == pytest.approx([0, 0], abs=1e-6)
    assert likelihood.loss(columns @ best) < likelihood.loss(columns @ (best + 0.05))


# ------------------------------------------------------------------ the fit
def planted(n=6000, ratio=1.0, shock=1.5, seed=0):
    """Waits of strata with a shock each; `a` above 0 adds `ratio` to the log hazard, `b` nothing.

    Every second row was watched for half as long as the others.
    """
    draw = np.random.default_rng(seed)
    inputs = draw.normal(size=(n, 2)).astype(np.float32)
    stratum = draw.integers(0, 8, n)
    log_hazard = np.log(0.03) + ratio * (inputs[:, 0] > 0) + shock * draw.normal(size=8)[stratum]
    days, sight = draw.exponential(np.exp(-log_hazard)), np.where(np.arange(n) % 2, 40.0, 20.0)
    waits = Waits(np.minimum(days, sight), days <= sight, stratum, draw.integers(0, 2**31, n))
    return inputs, waits


def fit(inputs, waits, edges=EDGES, **more):
    return cox.fit(inputs, NAMES, waits, edges, TREES, **({"seed": 1, "threads": 1} | more))


@pytest.mark.parametrize("ratio", [1.0, -0.7])
def test_a_planted_hazard_ratio_is_found_whatever_a_date_did(ratio):
    model = fit(*planted(n=12_000, ratio=ratio))
    fresh = np.random.default_rng(5).normal(size=(2000, 2)).astype(np.float32)
    score = model.trees.score(fresh)
    above = fresh[:, 0] > 0
    assert score[above].mean() - score[~above].mean() == pytest.approx(ratio, abs=0.15)
    rest = np.concatenate([score[side] - score[side].mean() for side in (above, ~above)])
    assert rest.std() < 0.1


@pytest.mark.parametrize("told", [1.0, 0.5, 0.0])
def test_trees_add_what_the_score_they_start_from_leaves_out(told):
    inputs, waits = planted(n=12_000)
    model = fit(inputs, waits, pace=told * (inputs[:, 0] > 0))
    assert model.paced
    above = inputs[:, 0] > 0
    score = model.trees.score(inputs) if model.trees else np.zeros(len(inputs))
    left = score[above].mean() - score[~above].mean()
    assert left == pytest.approx(1.0 - told, abs=0.15)


def test_the_baseline_counts_the_score_that_the_trees_start_from():
    inputs, waits = planted()
    plain, shifted = (fit(inputs, waits, pace=np.full(len(inputs), level)) for level in (0.0, 2.0))
    assert shifted.trees.text == plain.trees.text
    assert shifted.baseline == pytest.approx(plain.baseline - 2.0, abs=1e-9)


def test_a_factor_on_the_hazards_of_a_date_does_not_reach_the_trees():
    inputs, waits = planted()
    shocked = replace(waits, days=np.where(waits.stratum == 3, waits.days / 4, waits.days))
    one, other = fit(inputs, waits), fit(inputs, shocked)
    assert one.trees.rounds > 5
    assert other.trees.text == one.trees.text
    assert other.baseline[0] > one.baseline[0]


def test_an_input_that_names_the_date_teaches_nothing():
    """Trees that see the stratum itself cannot tell its shock: it dropped out."""
    inputs, waits = planted(ratio=0.0, shock=2.0)
    inputs[:, 1] = waits.stratum
    model = fit(inputs, waits)
    if model.trees is not None:
        assert model.trees.score(inputs).std() < 0.1


def test_trees_that_help_nobody_held_out_are_left_out():
    model = fit(*planted(ratio=0.0, seed=3))
    assert model.trees is None or model.trees.score(planted()[0]).std() < 0.1


def test_the_same_rows_and_seed_give_the_same_model():
    inputs, waits = planted()
    one, two, other = (fit(inputs, waits, seed=seed) for seed in (1, 1, 2))
    assert one.trees.text == two.trees.text != other.trees.text
    assert one.baseline.tolist() == two.baseline.tolist()


def test_trees_repeat_for_any_number_of_threads():
    """Also where many rows left before the first event of their date and have no weight at all."""
    inputs, waits = planted()
    early = np.arange(len(inputs)) % 3 == 0
    days = np.where(early, 1e-6 * waits.days, waits.days)
    waits = replace(waits, days=days, observed=waits.observed & ~early)
    texts = {
        fit(inputs, waits, threads=t).trees.text.split("parameters:")[0] for t in (1, 2, 4)
    }  # the text ends with the parameters, the number of threads among them
    assert len(texts) == 1


def test_customers_and_dates_are_held_out_together():
    _, waits = planted()
    held, aside = cox._held_out(waits)
    assert not set(waits.key[held] % 4) & set(waits.key[aside] % 4)
    assert set(waits.stratum[held]) == {2, 6}  # every fourth, the newest but one among them
    assert set(waits.stratum[aside]) == {0, 1, 3, 4, 5, 7}


def test_few_dates_hold_out_customers_alone():
    _, waits = planted()
    waits = waits.take(waits.stratum < 3)
    held, aside = cox._held_out(waits)
    assert (held ^ aside).all()
    assert set(waits.stratum[held]) == set(waits.stratum[aside]) == {0, 1, 2}
    assert not set(waits.key[held]) & set(waits.key[aside])


# ------------------------------------------------------------------ the baseline
FEW = Waits(
    np.array([3.0, 10.0, 12.0, 60.0]), np.array([True, True, False, True]), np.zeros(4, int),
    np.array([1, 2, 3, 5]),
)  # fmt: skip
"""Four customers: bought on day 3, on day 10, not by day 12, and not within the reach."""
BLANK = np.zeros((4, 2), dtype=np.float32)


def test_the_baseline_by_hand():
    model = fit(BLANK, FEW)
    assert model.trees is None
    at_risk = np.array([3 + 5 + 5 + 5, 5 + 7 + 10, 25])
    assert np.exp(model.baseline[:2]) == pytest.approx([1 / at_risk[0], 1 / at_risk[1]])
    # no event in the last: one in the 25 days is the most it can be
    assert np.exp(model.baseline[2]) == pytest.approx(1 / at_risk[2])


def test_the_day_of_an_event_counts_half_where_its_time_is_not_known():
    model = fit(BLANK, FEW, whole_days=True)
    at_risk = np.array([2.5 + 5 + 5 + 5, 4.5 + 7 + 10])
    assert np.exp(model.baseline[:2]) == pytest.approx(1 / at_risk)


def test_a_known_season_is_taken_out_of_the_baseline():
    season = np.log([[1.0, 1, 1], [2, 1, 1], [1, 3, 1], [1, 1, 0.5]])
    model = fit(BLANK, FEW, season=season)
    at_risk = np.array([3 + 2 * 5 + 5 + 5, 5 + 3 * 7 + 10])
    assert np.exp(model.baseline[:2]) == pytest.approx(1 / at_risk)
    whole = fit(BLANK, FEW, season=np.full((4, 3), np.log(2.0)))
    plain = fit(BLANK, FEW)
    assert whole.baseline == pytest.approx(plain.baseline - np.log(2))
    there = whole.log_hazard(BLANK, known=np.full((4, 3), np.log(2.0)))
    assert there == pytest.approx(plain.log_hazard(BLANK))


def test_as_many_events_are_expected_as_were_seen_in_every_interval():
    inputs, waits = planted()
    season = 0.3 * np.random.default_rng(1).normal(size=(len(inputs), 3))
    model = fit(inputs, waits, season=season)
    made = expand(waits.days, waits.observed, EDGES, day_granularity=False)
    rate = np.exp(model.log_hazard(inputs, season))[made.row, made.interval]
    expected = np.bincount(made.interval, rate * made.exposure)
    assert model.trees is not None
    assert expected == pytest.approx(np.bincount(made.interval, made.event), rel=1e-9)


def test_what_lies_beyond_the_reach_is_not_known():
    inputs, waits = planted()
    late = waits.days > 25
    cut = replace(waits, days=np.where(late, 25.0, waits.days), observed=waits.observed & ~late)
    one, other = (fit(inputs, w, edges=(0.0, 5.0, 25.0)) for w in (waits, cut))
    assert late.any()
    assert one.trees.text == other.trees.text
    assert one.baseline.tolist() == other.baseline.tolist()


def test_what_nobody_was_watched_for_goes_on_as_before():
    """Not having looked is no sign that nobody buys: the curve must not become flat."""
    inputs, waits = planted()
    model = fit(inputs, waits, edges=(0.0, 15.0, 40.0, 200.0, 365.0))
    assert model.baseline[2:].tolist() == [model.baseline[1]] * 2
    assert model.baseline[1] > -6


def test_a_long_watch_without_an_event_lowers_the_hazard():
    days = np.r_[np.full(50, 5.0), np.full(50, 300.0)]
    waits = Waits(days, days < 10, np.zeros(100, int), np.arange(100))
    model = fit(np.zeros((100, 2), np.float32), waits, edges=(0.0, 5.0, 300.0))
    assert np.exp(model.baseline) == pytest.approx([50 / 500, 1 / (50 * 295)])


# ------------------------------------------------------------------ too little to learn from
def test_where_nobody_bought_there_are_no_trees_and_the_least_hazard():
    inputs, waits = planted(n=300)
    model = fit(inputs, replace(waits, observed=np.zeros(300, bool)))
    assert model.trees is None
    assert model.baseline == pytest.approx([HAZARD_FLOOR] * 3)
    assert (np.exp(-model.cumulative(inputs)[:, -1]) > 0.999).all()


@pytest.mark.parametrize("customers", [1, 2, 3, 20])
def test_few_customers_give_no_trees_and_no_crash(customers):
    inputs, waits = planted(n=customers)
    model = fit(inputs, waits)
    assert model.trees is None
    assert np.isfinite(model.log_hazard(inputs)).all()


def test_inputs_that_say_nothing_give_no_trees_and_no_crash():
    inputs, waits = planted()
    model = fit(np.zeros_like(inputs), waits)
    assert model.trees is None
    assert (np.diff(model.cumulative(inputs[:5]), axis=1) > 0).all()


def test_one_date_is_enough():
    inputs, waits = planted()
    model = fit(inputs, replace(waits, stratum=np.zeros(len(inputs), int)))
    assert model.trees is not None
    assert np.isfinite(model.baseline).all()


def test_one_customer_at_many_dates_gives_no_trees():
    inputs, waits = planted(n=500)
    model = fit(inputs, replace(waits, key=np.full(500, 7)))
    assert model.trees is None


# ------------------------------------------------------------------ the curve
def test_hazards_multiply_and_add_up():
    inputs, waits = planted()
    model = fit(inputs, waits)
    some = inputs[:50]
    log_hazard = model.log_hazard(some)
    assert log_hazard == pytest.approx(model.baseline + model.trees.score(some)[:, None])
    cumulative = model.cumulative(some)
    assert cumulative.shape == (50, 4)
    assert (cumulative[:, 0] == 0).all()
    assert np.diff(cumulative, axis=1) == pytest.approx(np.exp(log_hazard) * np.diff(EDGES))
    assert model.cumulative(some[:0]).shape == (0, 4)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_every_log_hazard_is_finite_and_within_its_bounds(level, season):
    model = Cox(EDGES, np.array([level, 0.0, -level]), None)
    found = model.log_hazard(BLANK, np.full((4, 3), season))
    assert np.isfinite(found).all()
    assert found.min() >= HAZARD_FLOOR
    assert found.max() <= HAZARD_CEILING
