"""The choice of stages on made-up losses, and what the user is told about it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.materials import TREES, material_of, plan_of, recipe_of

from ppi_ml import choosing, pair_rows
from ppi_ml.choosing import Size, choose, first_recipe, said
from ppi_ml.entities import PAIR
from ppi_ml.models.hazard import STAGES, with_stages
from ppi_ml.models.mixture import Mixture
from ppi_ml.models.processes import PROCESSES
from ppi_ml.nouns import NOUNS
from ppi_ml.questions import ask, row_losses
from ppi_ml.recipe import HALVES, HEDGED, STAGED, THREE

LARGE = Size(9_000, choosing.THIN_PURCHASES)
NOISE = np.random.default_rng(0).normal(0, 0.3, 400)
GLM, TREES_TOO = STAGES[1], STAGES[2]
MEAN, MBG, GAPS = "process mean", "process mbg_nbd", "process gaps"
LEVELS = {TREES_TOO: 0.50, GLM: 0.52, MEAN: 0.54, MBG: 0.55, GAPS: 0.56}


# ------------------------------------------------------------------ what the size suggests
@pytest.mark.parametrize(
    ("purchases", "stages", "members"),
    [(0, STAGES[0], HALVES), (99, STAGES[0], HALVES), (100, GLM, HALVES), (4_999, GLM, HALVES),
     (5_000, TREES_TOO, HEDGED), (10**6, TREES_TOO, HEDGED)],
)  # fmt: skip
def test_the_size_of_the_log_says_what_to_start_from(purchases, stages, members):
    default = recipe_of("auto", alone="gaps", season_sd=0.7, members="auto", num_leaves=9)
    found = first_recipe(default, Size(500, purchases), "auto", "auto")
    assert (found.stages, found.members, found.alone) == (stages, members, None)
    assert (found.season_sd, found.trees) == (0.7, TREES | {"num_leaves": 9})


@pytest.mark.parametrize("stages", STAGES)
def test_what_is_asked_for_goes_before_the_size(stages):
    found = first_recipe(recipe_of(), Size(5, 5), stages, THREE)
    assert (found.stages, found.members) == (stages, THREE)


def test_the_size_counts_customers_and_purchases_that_ended_a_wait(trained):
    material, fold = material_of(trained[1]), plan_of(trained[1]).outer
    data, waits = material.part(fold)
    size = Size.of(material, fold)
    assert size == Size(len(set(data.customers)), int(waits.observed.sum()))
    assert size.thin
    assert size.many < len(data)
    assert Size.of(material, replace(fold, train=())) == Size(0, 0)


# ------------------------------------------------------------------ which candidate wins
def folds(*by_fold, noise=0.0):
    """Losses of two folds of 400 rows: the levels, changed as told, with the same luck for all."""
    return [
        {name: level + change.get(name, 0.0) + NOISE + noise * np.roll(NOISE, i)
         for i, (name, level) in enumerate(LEVELS.items())}
        for change in by_fold
    ]  # fmt: skip


@pytest.fixture
def chosen(monkeypatch):
    """choose() among made-up losses; the questions are the answers."""
    monkeypatch.setattr(choosing, "_candidates", lambda losses, *_: losses)

    def of(by_fold, stages=TREES_TOO, asked="auto"):
        found, means = choose(by_fold, recipe_of(stages), asked, ("mbg_nbd", "gaps"))
        assert means == {n: np.mean([f[n].mean() for f in by_fold]) for n in by_fold[0]}
        assert (found.trees, found.members) == (TREES, "staged")
        return found.stages, found.alone

    return of


def test_the_whole_stays_where_it_is_the_best(chosen):
    assert chosen(folds({}, {})) == (TREES_TOO, None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [(GLM, (GLM, None)), (MEAN, (STAGES[0], None)), (MBG, (STAGES[0], "mbg_nbd")),
     (GAPS, (STAGES[0], "gaps"))],
)  # fmt: skip
def test_a_simpler_one_that_is_surely_better_replaces_it(chosen, name, expected):
    assert chosen(folds({name: -0.1}, {name: -0.1})) == expected


def test_better_on_one_fold_and_worse_on_the_other_is_not_enough(chosen):
    """However much better it is on the one, and on both together."""
    assert chosen(folds({GLM: -0.5}, {GLM: 0.01})) == (TREES_TOO, None)


def test_better_by_less_than_a_standard_error_is_not_enough(chosen):
    """800 rows with a spread of 0.42 in the gain: a standard error is 0.015."""
    for gain, expected in ((0.002, TREES_TOO), (0.04, GLM)):
        change = {GLM: -0.02 - gain}
        by_fold = folds(change, change, noise=1.0)
        assert all(fold[GLM].mean() < fold[TREES_TOO].mean() for fold in by_fold)
        assert chosen(by_fold) == (expected, None)


def test_among_those_surely_better_the_best_is_taken(chosen):
    assert chosen(folds(*[{GLM: -0.1, GAPS: -0.13}] * 2)) == (GLM, None)
    assert chosen(folds(*[{GLM: -0.1, GAPS: -0.18}] * 2)) == (STAGES[0], "gaps")


def test_a_rival_that_is_not_sure_does_not_stand_in_the_way_of_one_that_is(chosen):
    unsure = folds({GAPS: -0.5, GLM: -0.1}, {GAPS: 0.1, GLM: -0.1})
    assert chosen(unsure) == (GLM, None)


def test_what_was_asked_for_stays_however_bad(chosen):
    bad = folds({TREES_TOO: 1.0}, {TREES_TOO: 1.0})
    assert chosen(bad, asked=TREES_TOO) == (TREES_TOO, None)
    assert chosen(bad) == (GLM, None)


@pytest.mark.parametrize("asked", ["auto", STAGES[0]])
@pytest.mark.parametrize(("best", "alone"), [(MEAN, None), (MBG, "mbg_nbd"), (GAPS, "gaps")])
def test_where_the_processes_are_all_there_is_the_best_of_them_is_taken(chosen, asked, best, alone):
    change = {best: -0.05}
    by_fold = [
        {name: losses for name, losses in fold.items() if name not in STAGES}
        for fold in folds(change, change)
    ]
    assert chosen(by_fold, stages=STAGES[0], asked=asked) == (STAGES[0], alone)


@given(st.lists(st.floats(-0.2, 0.2), min_size=10, max_size=10))
def test_nothing_worse_ever_replaces_the_whole(changes):
    by_fold = folds(
        *(dict(zip(LEVELS, half, strict=True)) for half in (changes[:5], changes[5:])), noise=0.1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "_candidates", lambda losses, *_: losses)
        found, means = choose(by_fold, recipe_of(), "auto", ("mbg_nbd", "gaps"))
    name = found.stages if found.stages != STAGES[0] else f"process {found.alone or 'mean'}"
    for fold in by_fold:
        assert fold[name].mean() <= fold[TREES_TOO].mean()
    assert means[name] <= means[TREES_TOO]


@pytest.mark.parametrize("members", [STAGED, HALVES, HEDGED])
def test_a_candidate_is_what_would_be_fitted(trained, members):
    """With half the say for the processes where that is so; cox and newest are not weighed."""
    material, plan = material_of(trained[1]), plan_of(trained[1])
    names, start = material.states.names, recipe_of(GLM, members=members)
    question = ask(material, plan.inner[-1], plan.outer, start)
    found = choosing._candidates(question, start, names)
    smooth = question.started.hazard
    models = {GLM: Mixture(smooth, processes=members == HALVES)}
    for name in (None, *names):
        alone = with_stages(smooth, STAGES[0], name)
        models[f"process {name or 'mean'}"] = Mixture(alone)
    assert found.keys() == models.keys()
    for name, model in models.items():
        assert found[name].tolist() == row_losses(question, model).tolist()


# ------------------------------------------------------------------ in words
@pytest.mark.parametrize(
    ("alone", "expected"),
    [("pareto_nbd", "the Pareto/NBD process was used alone"),
     ("mbg_nbd", "the MBG/NBD process was used alone"),
     ("gaps", "the shrunk-gaps process was used alone"),
     (None, "the mean of the processes was used alone")],
)  # fmt: skip
def test_a_process_alone_is_named(alone, expected):
    text = said(recipe_of(STAGES[0], alone), Size(412, 80), "auto", {GAPS: 0.61234}, "log_loss")
    assert text == (
        f"with 412 customers and 80 waits to learn from, {expected} "
        "(log_loss at level on forward folds: process gaps 0.6123)"
    )


def test_pairs_are_called_pairs():
    text = said(recipe_of(), Size(7, 6_000, NOUNS[PAIR]), "auto", {}, "ibs")
    assert text.startswith("with 7 pairs and 6,000 waits to learn from, ")


def test_every_process_has_a_title():
    assert set(choosing.TITLES) == {*PROCESSES, pair_rows.NAME}


def test_what_was_used_is_said():
    losses = {TREES_TOO: 0.5, GLM: 0.25}
    thin = said(recipe_of(GLM, members=HALVES), Size(1_412, 4_000), "auto", losses, "ibs")
    assert thin == (
        "with 1,412 customers and 4,000 waits to learn from, processes and regression "
        "were used, members up to staged+processes (ibs at level on forward folds: process+glm "
        "0.2500, process+glm+trees 0.5000)"
    )
    large = said(recipe_of(members=HEDGED), LARGE, "auto", {}, "ibs")
    assert large == (
        "with 9,000 customers and 5,000 waits to learn from, processes, regression and trees "
        "were used, members up to staged+cox+newest+recent+processes+seasonal; too little history "
        "for forward folds"
    )
    assert said(recipe_of(), LARGE, TREES_TOO, {}, "ibs") == "process+glm+trees was asked for"
