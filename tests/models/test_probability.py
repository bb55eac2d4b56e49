"""P(it happens): beside a penalised likelihood written out, and what it does with odd inputs."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from ppi_ml import metrics
from ppi_ml.models import probability
from ppi_ml.models.probability import STAGES, Chances, logistic, share_of, with_trees

TREES = {"num_leaves": 6, "learning_rate": 0.1, "min_data_in_leaf": 50, "lambda_l2": 1.0}
NAMES = ("a", "b", "c")
PERIODS = 12


def cases(seed=0, n=3000, effect=1.0, shock=0.0, together=0.0, missing=0.1):
    """(inputs, hit, period): columns with long tails, shocks that a period deals to everybody."""
    draw = np.random.default_rng(seed)
    normal = draw.normal(size=(n, 3))
    period = np.sort(draw.integers(0, PERIODS, n)).astype(np.int64)
    level = draw.normal(0, shock, PERIODS)[period] if shock else np.zeros(n)
    score = -1 + effect * (normal @ [1.0, -0.7, 0.0]) + level
    score += together * 3 * ((normal[:, 0] > 0) & (normal[:, 2] > 0))
    hit = draw.random(n) < 1 / (1 + np.exp(-score))
    inputs = np.sinh(normal).astype(np.float32)
    inputs[draw.random((n, 3)) < missing] = np.nan
    return inputs, hit, period


def grown(inputs, hit, period, settings=TREES, seed=7, threads=2):
    model = logistic(inputs, hit, period, NAMES)
    return model, with_trees(model, inputs, hit, period, settings, seed=seed, threads=threads)


def share(hit):
    return float(np.mean(hit))


# ------------------------------------------------------------------ the logistic part
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("more", "prior"), [(0, 0.3), (22, 0.2)])
def test_slopes_are_those_of_the_penalised_likelihood(weighted, more, prior):
    """Normal priors with sd 1 / sqrt(q), at most 0.3, for slopes and 0.5 for periods."""
    inputs, hit, period = cases(n=400, shock=0.5)
    draw = np.random.default_rng(3)
    inputs = np.hstack([inputs, draw.normal(size=(len(hit), more)).astype(np.float32)])
    weight = draw.uniform(0.2, 3.0, len(hit)) if weighted else None
    q = inputs.shape[1]
    model = logistic(inputs, hit, period, [f"x{i}" for i in range(q)], weight)
    values = np.arcsinh(inputs.astype(np.float64))
    centre, spread = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    scaled = np.where(np.isnan(values), 0.0, (values - centre) / spread)
    assert model.centre == pytest.approx(centre)
    assert model.spread == pytest.approx(spread)
    w = np.ones(len(hit)) if weight is None else weight

    def loss(parameters):
        slopes, periods, intercept = np.split(parameters, [q, q + PERIODS])
        score = scaled @ slopes + periods[period] + intercept
        residual = w * (1 / (1 + np.exp(-score)) - hit)
        told = np.sum(w * (np.logaddexp(0.0, score) - hit * score))
        gradient = np.concatenate([
            scaled.T @ residual + slopes / prior**2,
            np.bincount(period, residual, PERIODS) + periods / 0.5**2,
            [residual.sum()],
        ])  # fmt: skip
        penalty = np.sum(slopes**2) / (2 * prior**2) + np.sum(periods**2) / (2 * 0.5**2)
        return told + penalty, gradient

    start = np.zeros(q + PERIODS + 1)
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-7}).x
    assert model.slopes == pytest.approx(found[:q], abs=2e-5)
    assert abs(found[0]) > 0.3


@pytest.mark.parametrize("weighted", [False, True])
def test_the_level_is_right_with_the_periods_left_out(weighted):
    inputs, hit, period = cases(shock=1.5)
    weight = np.random.default_rng(4).uniform(0.1, 2.0, len(hit)) if weighted else None
    found = logistic(inputs, hit, period, NAMES, weight).predict(inputs)
    assert np.average(found, weights=weight) == pytest.approx(np.average(hit, weights=weight))


def test_a_shock_of_a_period_is_not_told_of_anybody():
    """Two rows that differ in their period alone have one probability."""
    inputs, hit, period = cases(shock=2.0, effect=0.0)
    model = logistic(inputs, hit, period, NAMES)
    by_period = [share(hit[period == p]) for p in range(PERIODS)]
    assert np.ptp(by_period) > 0.4
    assert np.ptp(model.predict(inputs)) < 0.1


def test_an_empty_cell_counts_as_the_centre():
    inputs, hit, period = cases()
    model = logistic(inputs, hit, period, NAMES)
    blank = np.full((1, 3), np.nan, dtype=np.float32)
    assert model.smooth_score(blank).tolist() == [model.intercept]
    middle = np.sinh(model.centre).astype(np.float32)[None]
    assert model.predict(blank) == pytest.approx(model.predict(middle), abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 7.5e6, np.nan])
def test_a_column_that_says_nothing_changes_nothing(value):
    inputs, hit, period = cases()
    dull = np.full((len(hit), 1), value, dtype=np.float32)
    without = logistic(inputs, hit, period, NAMES)
    with_it = logistic(np.hstack([inputs, dull]), hit, period, (*NAMES, "dull"))
    assert with_it.slopes[-1] == pytest.approx(0.0, abs=1e-9)
    assert with_it.predict(np.hstack([inputs, dull])) == pytest.approx(without.predict(inputs))
    assert np.isfinite(with_it.predict(np.hstack([inputs, dull * 0 + 1]))).all()


def test_no_value_is_beyond_it():
    inputs, hit, period = cases(n=600)
    odd = inputs.copy()
    odd[:6] = [[3e38, -3e38, 0], [-3e38, 1, 1], [1e-30, 0, 0], [0, 3e38, 0], [0, 0, 1e9], [9, 9, 9]]
    found = logistic(odd, hit, period, NAMES).predict(odd)
    assert ((found >= 1e-6) & (found <= 1 - 1e-6)).all()


def test_one_period_alone_will_do():
    inputs, hit, _ = cases(n=500)
    one = np.zeros(500, dtype=np.int64)
    model = logistic(inputs, hit, one, NAMES)
    assert model.predict(inputs).mean() == pytest.approx(share(hit))
    assert with_trees(model, inputs, hit, one, TREES, seed=1, threads=1) is model


def test_one_row_is_scored_as_among_others():
    inputs, hit, period = cases(together=1.0)
    for model in grown(inputs, hit, period):
        alone = np.array([model.predict(inputs[[i]])[0] for i in range(50)])
        assert alone == pytest.approx(model.predict(inputs)[:50], rel=1e-12)
        assert model.predict(inputs[:0]).shape == (0,)


# ------------------------------------------------------------------ the share alone
@pytest.mark.parametrize("hits", [0, 1, 30, 100])
def test_the_share_of_all(hits):
    hit = np.arange(100) < hits
    model = share_of(hit, NAMES)
    found = model.predict(np.zeros((4, 3), dtype=np.float32))
    assert found == pytest.approx(np.clip(hits / 100, 1e-6, 1 - 1e-6))
    assert found.shape == (4,)
    assert model.stages == STAGES[0]


# ------------------------------------------------------------------ trees
def test_trees_find_what_a_straight_line_cannot():
    train, later = cases(0, together=1.5), cases(1, together=1.5)
    plain, trees = grown(*train)
    assert (plain.stages, trees.stages) == (STAGES[1], STAGES[2])
    losses = [metrics.log_loss(later[1], m.predict(later[0])) for m in (plain, trees)]
    assert losses[1] < losses[0] - 0.01
    assert trees.predict(train[0]).mean() == pytest.approx(share(train[1]))


def test_trees_stop_where_there_is_nothing_for_them():
    rounds = []
    for seed in range(5):
        _, trees = grown(*cases(seed, effect=0.0))
        rounds.append(0 if trees.trees is None else trees.trees.rounds)
    assert max(rounds) < 40
    assert min(rounds) == 0


def test_a_shock_of_a_period_is_nothing_for_trees():
    """A column that names the period would let them learn its shock; held-out periods stop them."""
    for seed in range(4):
        inputs, hit, period = cases(seed, shock=1.5, effect=0.0, missing=0.0)
        inputs[:, 2] = np.random.default_rng(seed).permutation(PERIODS)[period]
        model, trees = grown(inputs, hit, period)
        assert trees.predict(inputs) == pytest.approx(model.predict(inputs), abs=0.12)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {**TREES, "min_data_in_leaf": 5_000}},
        {"period": np.zeros(3000, dtype=np.int64)},
        {"hit": np.arange(3000) < 30},
    ],
    ids=["too few rows", "no period to hold out", "nothing happened in those held out"],
)
def test_where_trees_cannot_be_tried_the_model_stays_as_it_was(change):
    inputs, hit, period = cases(together=1.0)
    hit, period = change.get("hit", hit), change.get("period", period)
    model, trees = grown(inputs, hit, period, change.get("settings", TREES))
    assert trees is model


def test_inputs_that_are_all_constant_grow_no_trees():
    _, hit, period = cases()
    inputs = np.full((len(hit), 3), 4.0, dtype=np.float32)
    _, trees = grown(inputs, hit, period)
    assert trees.predict(inputs) == pytest.approx(share(hit), abs=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
def test_it_repeats_to_the_byte(threads):
    train = cases(together=1.0)
    first, again = grown(*train, threads=2)[1], grown(*train, threads=threads)[1]
    assert first.to_dict() == again.to_dict()
    assert first.predict(train[0]).tobytes() == again.predict(train[0]).tobytes()


# ------------------------------------------------------------------ leaks and signals
def test_shuffled_labels_are_no_better_than_the_share_of_all():
    """Rule 4: nothing can be learned from nothing; the tolerance is that of 3,000 rows."""
    draw = np.random.default_rng(8)
    losses = []
    for seed in range(3):
        inputs, hit, period = cases(seed, together=1.0)
        _, model = grown(inputs, draw.permutation(hit), period)
        later, happened, _ = cases(seed + 10, together=1.0)
        base = metrics.log_loss(happened, np.full(len(happened), share(hit)))
        losses.append(metrics.log_loss(happened, model.predict(later)) - base)
    assert np.mean(losses) == pytest.approx(0.0, abs=0.01)
    assert np.mean(losses) > -0.004


def test_a_planted_signal_is_found():
    """The straight-line part of it is known: nobody could rank better than the true score."""
    inputs, hit, period = cases(0, missing=0.0, shock=0.5)
    later, happened, _ = cases(1, missing=0.0, shock=0.5)
    normal = np.arcsinh(later.astype(np.float64))
    best = metrics.roc_auc(happened, normal @ [1.0, -0.7, 0.0])
    for model in grown(inputs, hit, period):
        assert metrics.roc_auc(happened, model.predict(later)) > best - 0.01
    assert best > 0.75


# ------------------------------------------------------------------ as text
@pytest.mark.parametrize("stages", STAGES)
def test_a_model_is_its_text(stages):
    inputs, hit, period = cases(together=1.0)
    plain, trees = grown(inputs, hit, period)
    model = dict(zip(STAGES, (share_of(hit, NAMES), plain, trees), strict=True))[stages]
    assert model.stages == stages
    text = json.dumps(model.to_dict())
    back = Chances.from_dict(json.loads(text), model.trees.text if model.trees else "")
    assert back.stages == stages
    assert back.names == NAMES
    assert back.predict(inputs).tobytes() == model.predict(inputs).tobytes()
    assert json.dumps(back.to_dict()) == text


def test_trees_of_other_columns_are_refused():
    inputs, hit, period = cases(together=1.0)
    _, model = grown(inputs, hit, period)
    told = {**model.to_dict(), "names": ["a", "c", "b"]}
    with pytest.raises(probability.boost.IntegrityError, match="different inputs"):
        Chances.from_dict(told, model.trees.text)


def test_the_level_can_be_found_for_any_share():
    inputs, hit, period = cases(n=500)
    model = replace(logistic(inputs, hit, period, NAMES), intercept=0.0)
    score = model.smooth_score(inputs)
    for wanted in (0.0, 1e-7, 0.2, 0.999, 1.0):
        level = probability._level(score, wanted, np.ones(len(hit)))
        mean = np.mean(1 / (1 + np.exp(-(score + level))))
        assert mean == pytest.approx(np.clip(wanted, 1e-6, 1 - 1e-6), rel=1e-6)
