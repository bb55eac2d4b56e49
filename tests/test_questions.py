"""A question to an inner fold: who is asked, until when, and what an answer loses at level."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.materials import material_of, plan_of, recipe_of

from ppi_ml import labels, questions
from ppi_ml.models import hazard
from ppi_ml.models.mixture import Mixture
from ppi_ml.questions import Question, ask, at_level, is_sure, row_losses


@pytest.fixture(scope="module")
def material(trained):
    return replace(material_of(trained[1]), threads=1)


@pytest.fixture(scope="module")
def folds(trained):
    """(the inner fold, the fold whose end censors its labels)."""
    plan = plan_of(trained[1])
    return plan.inner[-1], plan.outer


def asked(material, folds, **changes):
    return ask(replace(material, **changes), *folds, recipe_of())


# ------------------------------------------------------------------ who is asked, until when
def test_eligible_rows_of_the_end_of_the_fold_are_asked(material, folds):
    fold, outer = folds
    question = asked(material, folds)
    data = material.data.at([fold.end])
    eligible = data.eligible(material.active_within)
    waits = labels.durations(data, material.log, outer.end, material.settling)
    assert 0 < len(question.rows) < len(data)
    assert question.rows.histories.age_days.tolist() == (
        data.take(eligible).column("cadence__age__max").tolist()
    )
    assert question.days.tolist() == waits.days[eligible].tolist()
    assert question.observed.tolist() == waits.observed[eligible].tolist()
    assert question.started.hazard.trees is None


def test_the_horizon_is_as_far_as_the_outer_end_has_seen(material, folds):
    fold, outer = folds
    seen = material.sight(fold.end, outer.end)
    assert material.horizon < seen
    assert asked(material, folds).grid.tolist() == [material.horizon]
    far = asked(material, folds, horizon=300)
    assert far.grid.tolist() == [np.floor(seen)]
    whole = asked(material, folds, metric="ibs")
    assert whole.grid.tolist() == list(range(1, material.horizon + 1))


@pytest.mark.parametrize("metric", ["log_loss", "ibs"])
def test_who_is_gone_is_what_the_labels_say(material, folds, metric):
    fold, outer = folds
    question = asked(material, folds, metric=metric)
    data = material.data.at([fold.end])
    data = data.take(data.eligible(material.active_within))
    waits = labels.durations(data, material.log, outer.end, material.settling)
    assert question.gone.tolist() == (~labels.within(waits, material.horizon)).tolist()
    assert 0.1 < question.gone.mean() < 0.9


def test_what_has_not_settled_or_cannot_differ_is_not_asked(material, folds):
    fold, outer = folds
    ahead = outer.end.days_since(fold.end)
    assert asked(material, folds, settling=ahead - 0.5) is None  # less than a day is left
    assert ask(material, replace(fold, train=()), outer, recipe_of()) is None
    assert asked(material, folds, active_within=0) is None  # nobody is eligible
    states = replace(material.states, by_cutoff={})
    assert asked(material, folds, states=states) is None


def test_few_rows_are_enough_to_ask(material, folds, monkeypatch):
    monkeypatch.setattr(questions, "TUNING_ROWS", 300)
    few = asked(material, folds)
    monkeypatch.undo()
    every = asked(material, folds)
    assert len(few.started.intervals) == pytest.approx(300, rel=0.3)
    assert len(every.started.intervals) > len(few.started.intervals)
    assert len(few.rows) == len(every.rows), "the answers are not drawn"


# ------------------------------------------------------------------ what an answer loses
def model_of(question):
    return Mixture(question.started.hazard)


def curve_of(question, model):
    """Survival at the grid by plain interpolation of the cumulative hazard (n, k)."""
    edges, cumulative = model.settings.edges, model.cumulative(question.rows)
    return np.exp(-np.array([np.interp(question.grid, edges, row) for row in cumulative]))


def test_log_losses_at_level_by_hand(material, folds):
    question = asked(material, folds)
    model = model_of(question)
    at = curve_of(question, model)[:, 0]
    told = at_level(at, question.gone.mean())
    assert told.mean() == pytest.approx(question.gone.mean())
    expected = -np.log(np.where(question.gone, told, 1 - told))
    assert row_losses(question, model) == pytest.approx(expected)


def test_integrated_brier_losses_at_level_by_hand(material, folds):
    question = asked(material, folds, metric="ibs")
    model = model_of(question)
    survival = curve_of(question, model)
    told = at_level(survival, question.gone.mean())
    expected = np.zeros(len(question.rows))
    for j, day in enumerate(question.grid):
        still = ~(question.observed & (question.days <= day))
        expected += (told[:, j] - still) ** 2 / len(question.grid)
    assert row_losses(question, model) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["log_loss", "ibs"])
def test_the_level_of_a_candidate_costs_it_nothing(material, folds, metric):
    """Every hazard doubled: the same order, the same shape, another luck of the date."""
    question = asked(material, folds, metric=metric)
    glm = question.started.hazard.glm
    doubled = replace(
        question.started.hazard, glm=replace(glm, intercept=glm.intercept + np.log(2))
    )
    one, other = row_losses(question, model_of(question)), row_losses(question, Mixture(doubled))
    assert other == pytest.approx(one, abs=1e-6)
    flat = hazard.with_stages(question.started.hazard, hazard.STAGES[0], "gaps")
    assert row_losses(question, Mixture(flat)).mean() != pytest.approx(one.mean(), abs=1e-4)


def test_rows_are_judged_at_the_horizon_of_their_fold():
    days, observed = np.array([5.0, 30.0, 31.0, 90.0]), np.array([True, True, True, False])
    question = Question(None, None, days, observed, np.array([10.0, 30.0]), "ibs")
    assert question.gone.tolist() == [False, False, True, True]


# ------------------------------------------------------------------ sure of a gain
GAINS = hnp.arrays(float, st.integers(2, 30), elements=st.floats(-1, 1))


@given(st.lists(GAINS, min_size=1, max_size=3))
def test_sure_is_every_fold_and_more_than_a_standard_error(gains):
    rows = [gain for fold in gains for gain in fold]
    mean = sum(rows) / len(rows)
    variance = sum((gain - mean) ** 2 for gain in rows) / len(rows)
    expected = all(sum(fold) > 1e-12 for fold in gains) and mean > (variance / len(rows)) ** 0.5
    if abs(mean - (variance / len(rows)) ** 0.5) > 1e-9 and all(abs(f.sum()) > 1e-9 for f in gains):
        assert is_sure(gains) == expected


def test_no_gain_is_no_sure_gain():
    assert not is_sure([np.zeros(10), np.zeros(10)])
    assert not is_sure([np.full(10, 0.1), np.zeros(10)])
    assert is_sure([np.full(10, 0.1), np.full(10, 0.2)])
    assert not is_sure([np.full(10, 0.1), np.full(10, -1e-6)])


# ------------------------------------------------------------------ at level
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


@given(
    hnp.arrays(float, st.tuples(st.integers(2, 10), st.integers(1, 6)),
               elements=st.floats(0.05, 1.5)),
    st.floats(0.05, 0.95),
)  # fmt: skip
def test_at_level_moves_a_whole_curve_by_one_factor(steps, share):
    """The last day has the mean asked for, and all hazards of all rows change alike."""
    cumulative = np.cumsum(steps, axis=1)
    moved = at_level(np.exp(-cumulative), share)
    assert moved.shape == steps.shape
    assert moved[:, -1].mean() == pytest.approx(share, abs=1e-6)
    assert moved[:, -1] == pytest.approx(at_level(np.exp(-cumulative[:, -1]), share), abs=1e-9)
    factor = -np.log(moved) / cumulative
    assert factor == pytest.approx(factor[0, 0], rel=1e-6)


def test_at_level_gives_up_on_what_no_factor_can_reach():
    survival = np.array([1.0, 1.0, 0.5])  # two who never buy
    assert at_level(survival, 0.01).tolist() == survival.tolist()
