"""The three stages of the hazard on planted worlds: what each must find, and must not."""

from dataclasses import replace

import numpy as np
import pytest

from ppi_ml.models import hazard
from ppi_ml.models.covariates import (
    HAZARD_CEILING,
    HAZARD_FLOOR,
    RECENT_DAYS,
    Rows,
    Settings,
    mean_of_processes,
)
from ppi_ml.models.hazard import STAGES
from ppi_ml.models.histories import Histories
from ppi_ml.models.intervals import expand

EDGES = (0.0, 3.0, 10.0, 30.0, 60.0)
TREES = {"num_leaves": 4, "learning_rate": 0.1, "min_data_in_leaf": 50, "lambda_l2": 1.0}
RATE = 0.02


def settings(**changes):
    values = {"edges": EDGES, "processes": ("first", "second"), "tree_names": ("a", "b"),
              "trees": TREES, "seed": 3, "threads": 2}  # fmt: skip
    return Settings(**(values | changes))


def make_rows(n, seed=0, day=None):
    """Rows whose process hazards are flat: RATE by the first process, twice that by the other."""
    draw = np.random.default_rng(seed)
    repeats = draw.integers(0, 6, n).astype(float)
    last = np.where(repeats > 0, repeats * draw.uniform(5, 30, n), 0.0)
    gap = np.where(repeats > 0, np.log(np.maximum(last, 1) / np.maximum(repeats, 1)), 0.0)
    mean_gap = np.where(repeats > 0, last / np.maximum(repeats, 1), np.nan)
    flat = np.log([RATE, 2 * RATE])
    return Rows(
        histories=Histories(
            repeats, last, last + draw.uniform(1, 100, n), repeats * gap, repeats * gap**2
        ),
        log_hazards=np.broadcast_to(flat, (n, len(EDGES) - 1, 2)).copy(),
        gap_place=np.column_stack([np.full(n, 3.0), np.full(n, 0.8)]),
        recent=np.random.default_rng([seed, 1]).integers(0, 4, (n, len(RECENT_DAYS))).astype(float),
        value=np.where(draw.random(n) < 0.1, np.nan, draw.lognormal(3, 1, n)),
        mean_gap=mean_gap,
        median_gap=mean_gap,
        trees=draw.normal(size=(n, 2)).astype(np.float32),
        day=draw.integers(0, 12, n) * 30.0 if day is None else day,
        key=draw.integers(0, 2**31, n),
    )


def waits(rate, seed=1, sight=60.0):
    """Exponential waits seen for at most `sight` days."""
    days = np.random.default_rng(seed).exponential(1 / rate)
    return np.minimum(days, sight), days <= sight


def flip(rows):
    """Rows for which exactly one of both tree inputs is positive: no smooth model can see it."""
    return (rows.trees[:, 0] > 0) ^ (rows.trees[:, 1] > 0)


def likelihood(model, rows, days, observed):
    """Mean log-likelihood of waits under piecewise-constant hazards."""
    made = expand(days, observed, EDGES, day_granularity=False)
    widths = np.diff(EDGES)
    rates = np.diff(model.cumulative(rows), axis=1) / widths
    rate = rates[made.row, made.interval]
    return float(np.sum(made.event * np.log(rate) - rate * made.exposure) / len(rows))


def test_the_first_stage_is_the_process_that_stands_alone():
    rows = make_rows(5)
    days, observed = waits(np.full(5, RATE))
    for alone, rate in (("first", RATE), ("second", 2 * RATE)):
        model = hazard.fit(rows, days, observed, settings(stages=STAGES[0], alone=alone))
        assert (model.glm, model.trees) == (None, None)
        assert model.cumulative(rows) == pytest.approx(np.tile(rate * np.array(EDGES), (5, 1)))


def test_the_first_stage_is_the_mean_of_the_curves_where_no_process_is_named():
    """Of the curves, not of the hazards: who is still there after a while buys seldom."""
    rows = make_rows(5)
    model = hazard.fit(rows, *waits(np.full(5, RATE)), settings(stages=STAGES[0]))
    assert (model.glm, model.trees, model.settings.alone) == (None, None, None)
    edges = np.array(EDGES)
    survival = (np.exp(-RATE * edges) + np.exp(-2 * RATE * edges)) / 2
    assert np.exp(-model.cumulative(rows)) == pytest.approx(np.tile(survival, (5, 1)), rel=1e-12)
    assert model.cumulative(rows)[0, -1] < 1.5 * RATE * edges[-1]


def test_the_second_stage_mends_a_process_of_the_wrong_level():
    rows = make_rows(4000)
    days, observed = waits(np.full(4000, 5 * RATE))
    model = hazard.fit(rows, days, observed, settings(stages=STAGES[1]))
    assert model.trees is None
    assert model.cumulative(rows)[:, -1].mean() == pytest.approx(5 * RATE * 60, rel=0.05)


def test_the_second_stage_leaves_alone_processes_that_are_right():
    """It starts from the mean of their log hazards, and has nothing to add to the truth."""
    rows = make_rows(6000, seed=12)
    right = np.sqrt(2) * RATE
    model = hazard.fit(rows, *waits(np.full(6000, right)), settings(stages=STAGES[1]))
    noise = 4 / np.sqrt(6000 * (1 - np.exp(-60 * right)))
    drift = np.log(model.cumulative(rows)[:, 1:] / (right * np.array(EDGES)[1:]))
    assert np.abs(drift.mean(axis=0)).max() < noise
    assert drift.std() < 1.5 * noise


def test_a_hazard_stays_within_its_bounds():
    rows = make_rows(50, seed=13)
    model = hazard.fit(rows, *waits(np.full(50, RATE)), settings(stages=STAGES[1]))
    for level in (-100.0, 100.0):
        far = replace(rows, log_hazards=np.full_like(rows.log_hazards, level))
        found = model.log_hazard(far)
        assert found == pytest.approx(HAZARD_FLOOR if level < 0 else HAZARD_CEILING)


def test_the_third_stage_finds_what_only_trees_can_see():
    """Purpose: an interaction of two inputs, out of sample, beats the smooth stages."""
    rows, fresh = make_rows(6000, seed=2), make_rows(3000, seed=3)
    rate = np.where(flip(rows), 2 * RATE, RATE / 2)
    smooth = hazard.fit_smooth(rows, *waits(rate), settings())
    full = hazard.add_trees(smooth, TREES)
    asked = waits(np.where(flip(fresh), 2 * RATE, RATE / 2), seed=9)
    gain = likelihood(full, fresh, *asked) - likelihood(smooth.hazard, fresh, *asked)
    truth = np.where(flip(fresh), np.log(2), np.log(0.5))
    assert gain > 0.05
    assert np.corrcoef(truth, np.log(full.cumulative(fresh)[:, -1]))[0, 1] > 0.7


def test_a_regression_around_given_trees_mends_what_these_leave():
    """Other rows taught the trees that half of these buy more often; all buy twice as often."""
    taught, rows = make_rows(6000, seed=2), make_rows(6000, seed=3)
    trees = hazard.fit(taught, *waits(np.where(flip(taught), 2 * RATE, RATE / 2)), settings()).trees
    days, observed = waits(np.where(flip(rows), 4 * RATE, RATE), seed=9)
    for quiet in (1.0, 0.5):
        what = hazard.Hazard(settings(), None, trees)
        around = hazard.fit_smooth(
            rows, days, observed, settings(quiet=quiet), lambda *at, of=what: of.trees_at(rows, *at)
        )
        model, made = replace(around.hazard, trees=trees), around.intervals
        found = model.log_hazard(rows)[made.row, made.interval]
        assert around.score == pytest.approx(found, rel=1e-12)
        expected = np.exp(found) @ made.exposure
        assert expected == pytest.approx(made.event.sum(), rel=1e-5)
    alone = hazard.fit_smooth(rows, days, observed, settings()).hazard
    gain = likelihood(model, rows, days, observed) - likelihood(alone, rows, days, observed)
    assert gain > 0.05


def test_the_third_stage_is_left_out_where_trees_find_nothing():
    rows = make_rows(3000, seed=4)
    smooth = hazard.fit_smooth(rows, *waits(np.full(3000, RATE)), settings())
    shuffled = [hazard.add_trees(smooth, TREES | {"learning_rate": r}) for r in (0.1, 0.5)]
    fresh = make_rows(3000, seed=5)
    asked = waits(np.full(3000, RATE), seed=6)
    before = likelihood(smooth.hazard, fresh, *asked)
    for model in shuffled:
        assert likelihood(model, fresh, *asked) > before - 0.01


def test_trees_do_not_learn_the_shock_of_a_date():
    """A date that was bad for everybody says nothing about customers, though an input names it."""
    rows = make_rows(6000, seed=7)
    bad = rows.day >= 180
    rows.trees[:, 0] = rows.day
    smooth = hazard.fit_smooth(rows, *waits(np.where(bad, RATE / 3, RATE)), settings())
    model = hazard.add_trees(smooth, TREES)
    first = rows.take(np.arange(500))
    first.trees[:, 0] = 0
    other = rows.take(np.arange(500))
    other.trees[:, 0] = 330
    ratio = np.log(model.cumulative(other)[:, -1] / model.cumulative(first)[:, -1])
    assert abs(ratio.mean()) < 0.5 * np.log(3)


def test_the_season_follows_the_calendar_of_the_interval():
    day = np.random.default_rng(8).integers(0, 730, 8000).astype(float)
    rows = make_rows(8000, seed=8, day=day)
    rate = RATE * np.exp(np.sin(2 * np.pi * day / 365.25))
    days, observed = waits(rate, sight=10.0)
    plain = hazard.fit_smooth(rows, days, observed, settings()).hazard
    model = hazard.fit_smooth(rows, days, observed, settings(season=True, season_sd=1.0)).hazard
    assert not [name for name in plain.glm.names if name.startswith("season")]
    assert len([name for name in model.glm.names if name.startswith("season")]) == 4

    def level(at):
        there = rows.take(np.arange(200))
        there.day[:] = at
        return np.log(model.cumulative(there)[:, 1]).mean()

    assert level(91) - level(274) == pytest.approx(2.0, abs=0.35)
    assert level(91 + 365.25) == pytest.approx(level(91), abs=1e-6)


def test_curves_do_not_depend_on_the_chunk(monkeypatch):
    rows = make_rows(300, seed=9)
    model = hazard.fit(rows, *waits(np.where(flip(rows), 3 * RATE, RATE)), settings())
    whole = model.cumulative(rows)
    monkeypatch.setattr(hazard, "CHUNK_INTERVALS", 28)
    # one matrix product more or less may differ in the last bit
    assert model.cumulative(rows) == pytest.approx(whole, rel=1e-12)
    assert model.cumulative(rows.take(slice(17, 18)))[0] == pytest.approx(whole[17], rel=1e-12)


def test_curves_start_at_zero_and_never_fall():
    rows = make_rows(500, seed=10)
    for stages in STAGES:
        model = hazard.fit(rows, *waits(np.full(500, RATE)), settings(stages=stages))
        cumulative = model.cumulative(rows)
        assert (cumulative[:, 0] == 0).all()
        assert (np.diff(cumulative, axis=1) > 0).all()
        assert np.isfinite(cumulative).all()
    assert model.cumulative(rows.take(np.zeros(0, int))).shape == (0, len(EDGES))


def test_a_model_can_be_cut_down_to_simpler_stages():
    rows = make_rows(4000, seed=2)
    rate = np.where(flip(rows), 2 * RATE, RATE / 2)
    full = hazard.fit(rows, *waits(rate), settings())
    assert full.trees is not None
    smooth = hazard.with_stages(full, STAGES[1])
    assert (smooth.glm, smooth.trees) == (full.glm, None)
    alone = hazard.with_stages(full, STAGES[0], "second")
    assert (alone.glm, alone.trees, alone.settings.alone) == (None, None, "second")
    assert alone.cumulative(rows)[0] == pytest.approx(2 * RATE * np.array(EDGES))
    mean = hazard.with_stages(alone, STAGES[0])
    assert mean.settings.alone is None
    assert mean.log_hazard(rows) == pytest.approx(mean_of_processes(rows, mean.settings))


def test_the_same_rows_and_seed_give_the_same_model():
    rows = make_rows(3000, seed=11)
    asked = waits(np.where(flip(rows), 3 * RATE, RATE))
    one, two = (hazard.fit(rows, *asked, settings()) for _ in range(2))
    assert one.glm.to_dict() == two.glm.to_dict()
    assert one.trees.text == two.trees.text
    other = hazard.fit(rows, *asked, settings(seed=4))
    assert other.trees.text != one.trees.text
