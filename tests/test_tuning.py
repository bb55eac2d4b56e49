"""The search: defaults first, resumable, honest about its budget, and level-free."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.materials import TREES, material_of, plan_of, recipe_of

from ppi_ml import tuning
from ppi_ml.models.hazard import STAGES
from ppi_ml.tuning import Budget, at_level, search

SETTINGS = ("num_leaves", "learning_rate", "min_data_in_leaf", "lambda_l2")


@pytest.fixture
def asked(trained, monkeypatch):
    """A search on the forward folds of the shop, from few rows."""
    monkeypatch.setattr(tuning, "TUNING_ROWS", 3000)
    log = trained[1]
    material, plan = replace(material_of(log), threads=1), plan_of(log)

    def ask(trials=2, stages="auto", inner=plan.inner, default=None, **more):
        return search(
            material, inner, plan.outer, default or recipe_of(),
            stages=stages, budget=Budget(trials, None), **more,
        )  # fmt: skip

    return ask


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


def test_the_stage_with_the_least_loss_is_chosen_and_the_reason_given(asked):
    found = asked(trials=1)
    processes = {name: loss for name, loss in found.losses.items() if name.startswith("process ")}
    by_stage = {STAGES[0]: min(processes.values()), **{s: found.losses[s] for s in STAGES[1:]}}
    assert set(processes) == {"process mbg_nbd", "process gaps"}
    assert found.recipe.stages == min(by_stage, key=by_stage.get)
    assert found.recipe.alone == min(processes, key=processes.get).removeprefix("process ")
    assert found.why.startswith(f"{found.recipe.stages} had the least log-loss")


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
    assert found.recipe.stages in STAGES
    assert "too little history" in found.why


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
    real, calls = tuning._loss, []

    def loss(question, model):
        calls.append(1)
        return real(question, model) + (10.0 * (len(calls) > 4))

    monkeypatch.setattr(tuning, "_loss", loss)
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


SURVIVAL = hnp.arrays(float, st.integers(2, 40), elements=st.floats(0.05, 0.95))


@given(SURVIVAL, st.floats(0.05, 0.95))
def test_at_level_has_the_mean_asked_for_and_keeps_the_order(survival, share):
    moved = at_level(survival, share)
    assert moved.mean() == pytest.approx(share, abs=1e-6)
    assert ((moved >= 0) & (moved <= 1)).all()
    order = np.argsort(survival, kind="stable")
    assert (np.diff(moved[order]) >= 0).all()


@given(SURVIVAL, st.floats(0.3, 3.0), st.floats(0.1, 0.9))
def test_at_level_forgets_a_factor_on_every_hazard(survival, factor, share):
    assert at_level(survival**factor, share) == pytest.approx(at_level(survival, share), abs=1e-5)


@given(SURVIVAL)
def test_at_level_leaves_alone_what_has_the_level(survival):
    assert at_level(survival, float(survival.mean())) == pytest.approx(survival, abs=1e-6)
