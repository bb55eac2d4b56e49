"""One way to fit: nothing after the fold's end reaches a fit, and labels are those of that day."""

from dataclasses import replace

import numpy as np
import pytest
from tests.materials import FAMILIES, material_of, plan_of, rebuilt, recipe_of

from ppi_ml import dataset, labels, recipe
from ppi_ml.instants import DAY_US
from ppi_ml.models.hazard import STAGES
from ppi_ml.recipe import Problem


@pytest.fixture(scope="module")
def material(trained):
    return material_of(trained[1])


@pytest.fixture(scope="module")
def plan(trained):
    return plan_of(trained[1])


def test_the_labels_of_a_part_end_where_the_log_was_settled(material, plan):
    data, durations = material.part(plan.outer)
    end, settling = plan.outer.end, material.settling
    assert settling > 1  # the shop reports late
    assert data.cutoffs == plan.outer.train
    for cutoff in data.cutoffs:
        here = durations.days[data.rows_at(cutoff)]
        assert here.max() == pytest.approx(end.days_since(cutoff) - settling)
    assert 0.05 < durations.observed.mean() < 0.9


def test_a_cutoff_that_nothing_is_known_about_is_left_out(material, plan):
    fold = replace(plan.outer, end=plan.outer.train[-1].plus(int(material.settling)))
    assert material.part(fold)[0].cutoffs == fold.train[:-1]


def test_a_fit_is_that_of_the_log_cut_at_the_end_of_the_fold(material, plan, trained):
    """The future of the fold's end is nowhere: neither in labels, features, nor processes."""
    log, fold = trained[1], plan.outer
    before = replace(plan, final=fold, outer=None)
    cut = rebuilt(log.until(fold.end), before, material.settling)
    chosen = recipe_of()
    whole, part = recipe.fit(material, fold, chosen), recipe.fit(cut, fold, chosen)
    assert whole.glm.to_dict() == part.glm.to_dict()
    assert whole.trees.text == part.trees.text
    assert whole.settings.edges == part.settings.edges


def test_predictions_are_those_of_the_log_cut_at_the_test_cutoff(material, plan, trained):
    log, fold = trained[1], plan.outer
    fitted = recipe.fit(material, fold, recipe_of())
    states = material.data.states[str(fold.end)]
    at = fold.test[-1]
    told = [
        recipe.curves(
            fitted, dataset.build(known, [at], FAMILIES, states=states), material.states, fold.end
        ).cumulative.tolist()
        for known in (log, log.until(at))
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize("stages", STAGES)
def test_stages_are_fitted_as_far_as_the_recipe_says(material, plan, stages):
    fitted = recipe.fit(material, plan.outer, recipe_of(stages, alone="gaps"))
    assert (fitted.glm is not None) == (stages != STAGES[0])
    assert (fitted.trees is not None) == (stages == STAGES[2])
    data = material.data.at([plan.outer.end])
    curves = recipe.curves(fitted, data, material.states, plan.outer.end)
    survival = curves.survival([float(material.horizon)])[:, 0]
    assert len(survival) == len(data)
    assert ((survival > 0) & (survival < 1)).all()
    assert material.horizon in curves.edges


def test_a_fit_repeats_and_another_seed_draws_other_rows(material, plan):
    few = replace(material, max_rows=2000)
    one, two = (recipe.smooth(few, plan.outer, recipe_of()) for _ in range(2))
    other = recipe.smooth(replace(few, seed=8), plan.outer, recipe_of())
    assert one.hazard.glm.to_dict() == two.hazard.glm.to_dict()
    assert one.hazard.glm.to_dict() != other.hazard.glm.to_dict()


def test_whole_rows_are_drawn_where_there_are_too_many(material, plan):
    everything = recipe.smooth(material, plan.outer, recipe_of(), 10**9)
    some = recipe.smooth(material, plan.outer, recipe_of(), 2000)
    assert len(some.intervals) == pytest.approx(2000, rel=0.25)
    assert len(everything.rows) > len(some.rows) == len(np.unique(some.intervals.row))


def test_a_season_needs_a_year_and_a_half(material, plan):
    fitted = recipe.fit(material, plan.outer, recipe_of(STAGES[1]))
    assert plan.outer.end.days_since(material.log.observed_from) >= recipe.SEASON_NEEDS_DAYS
    assert fitted.settings.season
    inner = plan.inner[0]
    assert inner.end.days_since(material.log.observed_from) < recipe.SEASON_NEEDS_DAYS
    assert not recipe.fit(material, inner, recipe_of(STAGES[1])).settings.season


def test_a_recipe_is_data():
    told = recipe_of("process", "gaps", lambda_l2=3.0).to_dict()
    assert told["stages"] == "process"
    assert told["alone"] == "gaps"
    assert told["trees"]["lambda_l2"] == 3.0


def test_ripe_cutoffs_have_seen_their_whole_horizon(material, plan):
    problem = Problem.of(material, plan.outer)
    horizon = material.horizon + material.settling
    expected = tuple(c for c in plan.outer.train if plan.outer.end.days_since(c) >= horizon)
    assert problem.ripe == expected
    assert 0 < len(expected) < len(plan.outer.train)


def test_labels_are_what_the_log_says(material, plan):
    """By a plain count over the lines: who did not buy in [cutoff, cutoff + horizon)."""
    problem = Problem.of(material, plan.outer)
    data, gone = problem.labelled(problem.ripe)
    frame = material.log.tables["order_lines"].frame.to_dicts()
    for cutoff in data.cutoffs:
        last = cutoff.wall + problem.horizon * DAY_US
        bought = {
            row["customer_id"]
            for row in frame
            if row["order_type"] == "one_off"
            and row["at"] >= cutoff.at
            and row["wall"] <= last
            and row["known"] < plan.outer.end.at
        }
        found = dict(zip(data.customers_at(cutoff), gone[data.rows_at(cutoff)], strict=True))
        assert found == {customer: customer not in bought for customer in found}


def test_a_problem_knows_its_fold(material, plan):
    problem = Problem.of(material, plan.outer)
    assert problem.horizon == material.horizon
    assert problem.state == material.states.by_cutoff[str(plan.outer.end)]
    assert len(problem.histories(problem.data)) == len(problem.data) == len(problem.durations)
    assert len(problem.keys(problem.data)) == len(problem.data)
    assert isinstance(problem.durations, labels.Durations)
