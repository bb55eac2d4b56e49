"""The search: defaults first, resumable, honest about its budget and about how little there is."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from tests.materials import TREES, material_of, plan_of, recipe_of

from ppi_ml import choosing, questions, tuning
from ppi_ml.models import boost
from ppi_ml.models.hazard import STAGES
from ppi_ml.recipe import HALVES, HEDGED, MEMBERS, THREE
from ppi_ml.tuning import Budget, search

SETTINGS = ("num_leaves", "learning_rate", "min_data_in_leaf", "lambda_l2")


@pytest.fixture
def asked_as_it_is(trained, monkeypatch):
    """A search on the forward folds of the shop, a small one, from few rows with few trees."""
    monkeypatch.setattr(questions, "TUNING_ROWS", 3000)
    monkeypatch.setattr(boost, "MOST_ROUNDS", 30)
    log = trained[1]
    material, plan = replace(material_of(log), threads=1), plan_of(log)

    def ask(trials=2, stages="auto", inner=plan.inner, default=None, metric="log_loss", **more):
        return search(
            replace(material, metric=metric), inner, plan.outer, default or recipe_of(),
            stages=stages, budget=Budget(trials, None), **more,
        )  # fmt: skip

    return ask


@pytest.fixture
def asked(asked_as_it_is, monkeypatch):
    """The same, as if the purchases of the shop were enough for trees."""
    monkeypatch.setattr(choosing, "THIN_PURCHASES", 100)
    return asked_as_it_is


def settings_of(trial):
    return {name: trial[name] for name in SETTINGS if name in trial}


def test_the_defaults_are_trial_0_and_stay_unless_beaten(asked):
    found = asked(trials=4)
    trials = found.trials
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3]
    assert settings_of(trials[0]) == TREES
    assert trials[0]["state"] == "complete"
    best = min((t for t in trials if t["state"] == "complete"), key=lambda t: t["log_loss"])
    assert found.recipe.trees in (TREES, settings_of(best))


@pytest.mark.parametrize(
    ("gains", "noise", "taken"),
    [((0.1, 0.1), 0.0, True), ((0.1, 0.001), 0.0, True), ((0.5, -0.001), 0.0, False),
     ((0.001, 0.001), 1.0, False), ((0.2, 0.2), 1.0, True)],
)  # fmt: skip
def test_the_defaults_stay_unless_beaten_on_every_fold_and_by_more_than_chance(
    asked, trained, monkeypatch, gains, noise, taken
):
    """On made-up losses of 200 rows a fold; a standard error is 0.05 where there is noise."""
    luck = noise * np.random.default_rng(1).normal(size=200)
    luck -= luck.mean()
    folds = {}

    def row_losses(question, trees):
        fold = folds.setdefault(id(question), len(folds))
        return np.ones(200) if trees == TREES else np.ones(200) - gains[fold] + luck

    monkeypatch.setattr(tuning, "row_losses", row_losses)
    monkeypatch.setattr(tuning, "_with_trees", lambda _, trees: trees)
    (fold,) = plan_of(trained[1]).inner
    found = asked(trials=2, stages=STAGES[2], inner=(fold, fold))
    assert [trial["state"] for trial in found.trials] == ["complete"] * 2
    assert (found.recipe.trees == settings_of(found.trials[1])) == taken
    assert (found.recipe.trees == TREES) == (not taken)


def test_defaults_outside_the_usual_ranges_are_trial_0_too(asked):
    odd = recipe_of(num_leaves=2, learning_rate=0.5, min_data_in_leaf=3000, lambda_l2=0.5)
    found = asked(trials=1, default=odd)
    assert settings_of(found.trials[0]) == odd.trees
    assert found.recipe.trees == odd.trees


def test_no_penalty_at_all_can_be_a_default(asked):
    """It is searched on a log scale, where 0 is not; the smallest penalty stands in for it."""
    found = asked(trials=2, default=recipe_of(lambda_l2=0.0))
    tried = [trial["lambda_l2"] for trial in found.trials]
    assert 0 < tried[0] < 1e-5
    assert [trial["state"] for trial in found.trials] == ["complete", "complete"]
    assert found.recipe.trees["lambda_l2"] in (0.0, *tried)


ALONE = {"process mean", "process mbg_nbd", "process gaps"}


def test_every_stage_and_every_process_is_weighed_and_the_reason_given(asked):
    found = asked(trials=1)
    assert set(found.losses) == {*STAGES[1:], *ALONE}
    chosen = found.recipe.stages
    if chosen == STAGES[0]:
        chosen = f"process {found.recipe.alone or 'mean'}"
    assert found.losses[chosen] <= found.losses[STAGES[2]]
    assert found.recipe.members == HEDGED
    assert found.why.startswith("with 326 customers and 194 waits to learn from, ")
    listed = ", ".join(f"{name} {loss:.4f}" for name, loss in sorted(found.losses.items()))
    assert found.why.endswith(f"(log_loss at level on forward folds: {listed})")


def test_with_few_purchases_no_trees_are_tried_and_it_says_so(asked_as_it_is):
    found = asked_as_it_is(trials=5)
    assert found.trials == ()
    assert set(found.losses) == {STAGES[1], *ALONE}
    assert found.recipe.stages in STAGES[:2]
    assert found.recipe.members == HALVES
    assert found.why.startswith("with 326 customers and 194 waits to learn from, ")
    assert "without trees" in found.why or "used alone" in found.why


def test_with_next_to_none_a_process_is_used_alone_and_it_says_so(asked, monkeypatch):
    monkeypatch.setattr(choosing, "_FEW_PURCHASES", 195)
    found = asked(trials=5)
    best = min(ALONE, key=found.losses.get)
    title = {"process mbg_nbd": "the MBG/NBD process was", "process gaps": "the shrunk-gaps process"
             " was", "process mean": "the mean of the processes was"}[best]  # fmt: skip
    assert (found.trials, set(found.losses)) == ((), ALONE)
    assert found.recipe.stages == STAGES[0]
    assert f"process {found.recipe.alone or 'mean'}" == best
    assert f"with 326 customers and 194 waits to learn from, {title} used alone" in found.why


@pytest.mark.parametrize("members", MEMBERS)
def test_members_that_are_asked_for_are_kept(asked_as_it_is, members):
    assert asked_as_it_is(trials=1, members=members).recipe.members == members


def test_the_integrated_brier_score_can_be_what_is_searched_for(asked):
    found = asked(trials=3, metric="ibs")
    assert [set(trial) for trial in found.trials] == [{"number", "state", "ibs", *SETTINGS}] * 3
    tried = [trial["ibs"] for trial in found.trials if trial["state"] == "complete"]
    assert all(0.05 < loss < 0.25 for loss in (*tried, *found.losses.values()))
    if found.recipe.trees == TREES:
        assert found.losses[STAGES[2]] == tried[0]
    assert "(ibs at level on forward folds: " in found.why
    assert found.losses != asked(trials=1).losses


def test_a_search_knows_nothing_of_the_members_beside_staged(asked):
    """They have no settings to choose, and no fold can tell what they are worth."""
    one, other = (asked(trials=3, members=members) for members in ("staged", THREE))
    assert one.trials == other.trials
    assert one.losses == other.losses
    assert replace(one.recipe, members=THREE) == other.recipe


@pytest.mark.parametrize("stages", STAGES)
def test_stages_that_are_asked_for_are_kept(asked, stages):
    found = asked(trials=1, stages=stages)
    assert found.recipe.stages == stages
    assert f"{stages} was asked for" in found.why
    assert len(found.trials) == (stages == STAGES[2])


def test_without_forward_folds_the_defaults_are_kept_and_it_says_so(asked):
    found = asked(inner=())
    assert (found.trials, found.losses) == ((), {})
    assert found.recipe.trees == TREES
    assert (found.recipe.stages, found.recipe.members) == (STAGES[2], HEDGED)
    assert found.why == (
        "with 326 customers and 194 waits to learn from, processes, regression and trees were "
        "used, members up to staged+cox+newest+recent+processes+seasonal; too little history "
        "for forward folds"
    )


def test_a_fold_of_which_nothing_has_settled_asks_nothing(trained):
    plan = plan_of(trained[1])
    ahead = plan.outer.end.days_since(plan.inner[-1].end)
    material = replace(material_of(trained[1]), settling=ahead + 0.5, threads=1)
    found = search(
        material, plan.inner[-1:], plan.outer, recipe_of(), stages="auto", budget=Budget(1)
    )
    assert found.trials == ()
    assert "too little history" in found.why


def test_a_search_repeats_in_memory_and_in_a_journal(asked, tmp_path):
    one, two = asked(trials=3), asked(trials=3, journal=tmp_path / "journal")
    assert one.trials == two.trials
    assert one.recipe == two.recipe


def interrupted_after(trials):
    """A callback that interrupts the search when so many trials are done."""
    left = [trials]

    def step():
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    return step


def test_an_interrupted_search_goes_on_with_new_draws(asked, tmp_path):
    journal = tmp_path / "journal"
    with pytest.raises(KeyboardInterrupt):
        asked(trials=5, journal=journal, on_trial=interrupted_after(2))
    calls = []
    found = asked(trials=5, journal=journal, on_trial=lambda: calls.append(1))
    assert len(calls) == 3
    assert len(found.trials) == 5
    draws = [tuple(settings_of(trial).items()) for trial in found.trials]
    assert len(set(draws)) == 5
    assert dict(draws[0]) == TREES


def test_a_resumed_search_is_the_one_that_was_not_interrupted(asked, tmp_path):
    journal = tmp_path / "journal"
    with pytest.raises(KeyboardInterrupt):
        asked(trials=6, journal=journal, on_trial=interrupted_after(3))
    resumed, whole = asked(trials=6, journal=journal), asked(trials=6)
    assert resumed.trials == whole.trials
    assert resumed.recipe == whole.recipe


def test_a_search_that_is_over_asks_nothing_more(asked, tmp_path):
    first = asked(trials=2, journal=tmp_path / "journal")
    calls = []
    again = asked(trials=2, journal=tmp_path / "journal", on_trial=lambda: calls.append(1))
    assert not calls
    assert again.recipe == first.recipe


def test_a_trial_that_was_killed_is_reaped_and_not_counted(asked, tmp_path):
    journal = tmp_path / "journal"
    stale = tuning._open(journal)
    stale.enqueue_trial(TREES)
    stale.ask()  # and nothing is ever told of it: the process was killed
    found = asked(trials=2, journal=journal)
    assert [trial["state"] for trial in found.trials].count("running") == 0
    assert found.trials[0]["state"] == "fail"
    assert settings_of(found.trials[1]) == TREES, "the defaults must be tried all the same"
    assert len(found.trials) == 3


def test_a_hopeless_trial_is_pruned_after_its_first_fold(asked, trained, monkeypatch):
    """The third and later settings lose by far on the first fold already."""
    real, calls = tuning._asked, []

    def loss(question, trees):
        calls.append(1)
        return real(question, trees) + (10.0 * (len(calls) > 4))

    monkeypatch.setattr(tuning, "_asked", loss)
    (fold,) = plan_of(trained[1]).inner  # asked twice: there must be something to spare
    found = asked(trials=10, stages=STAGES[2], inner=(fold, fold))
    states = [trial["state"] for trial in found.trials]
    assert states[0] == "complete"
    assert "pruned" in states
    assert all(t["number"] < 2 for t in found.trials if (t["log_loss"] or 11) < 5)


def test_optuna_stays_quiet(asked, capfd):
    asked(trials=1)
    assert capfd.readouterr().err == ""
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
