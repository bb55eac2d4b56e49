"""The mean of curves against brute force; who is in it, and with what weight."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mixtures import EDGES, M, alone_of, mixture_of, rows_of

from ppi_ml.models import mixture
from ppi_ml.models.covariates import (
    HAZARD_CEILING,
    HAZARD_FLOOR,
    mean_of_processes,
    pace,
    season_effect,
)  # fmt: skip
from ppi_ml.models.hazard import STAGES, with_stages
from ppi_ml.models.mixture import Mixture, mean_curve

ROWS = rows_of(120)
FULL = mixture_of(ROWS)
PARTS = [
    (), ("cox",), ("newest",), ("recent",), ("processes",), ("seasonal",), ("cox", "newest"),
    ("cox", "newest", "processes"), ("cox", "newest", "recent", "processes", "seasonal"),
]  # fmt: skip


def cut(members):
    """The full mixture without the members that are not named; `staged` is always there."""
    return replace(
        FULL,
        cox=FULL.cox if "cox" in members else None,
        newest=FULL.newest if "newest" in members else None,
        recent=FULL.recent if "recent" in members else None,
        processes=int("processes" in members),
        seasonal=FULL.seasonal if "seasonal" in members else None,
    )


# ------------------------------------------------------------------ who is there
@pytest.mark.parametrize("members", PARTS, ids="+".join)
def test_who_is_there_has_the_same_share_as_all(members):
    model = cut(members)
    there = ("staged", *members)
    assert model.weights == dict.fromkeys(there, 1 / len(there))
    assert set(model.log_hazards(ROWS)) == set(model.weights)
    if model.processes:
        doubled = replace(model, processes=2).weights
        assert doubled["processes"] == 2 / (len(there) + 1)
        assert {doubled[name] for name in there if name != "processes"} == {1 / (len(there) + 1)}


# ------------------------------------------------------------------ the mean
@pytest.mark.parametrize("members", PARTS, ids="+".join)
def test_the_curve_is_the_weighted_mean_of_the_members_curves(members):
    model = cut(members)
    found = model.cumulative(ROWS)
    assert found.shape == (len(ROWS), M + 1)
    survival = np.zeros((len(ROWS), M + 1))
    for name, log_hazard in model.log_hazards(ROWS).items():
        for j in range(M + 1):
            spent = np.exp(log_hazard[:, :j]) @ np.diff(EDGES)[:j]
            survival[:, j] += model.weights[name] * np.exp(-spent)
    assert found == pytest.approx(-np.log(survival), rel=1e-12, abs=1e-14)
    assert (found[:, 0] == 0).all()
    assert (np.diff(found, axis=1) > 0).all()


def test_every_member_is_what_it_is_alone():
    found, settings = FULL.log_hazards(ROWS), FULL.settings
    inputs, _ = ROWS.standing(settings)
    season = season_effect(FULL.staged.glm, ROWS.day, settings)
    assert np.abs(season).max() > 0.05
    assert found["staged"].tolist() == FULL.staged.log_hazard(ROWS).tolist()
    known = season + pace(ROWS, settings)[:, None]
    assert found["cox"].tolist() == FULL.cox.log_hazard(inputs, known, 1).tolist()
    assert found["processes"].tolist() == mean_of_processes(ROWS, settings).tolist()
    assert found["seasonal"].tolist() == FULL.seasonal.log_hazard(ROWS).tolist()


@pytest.mark.parametrize("stages", STAGES)
def test_one_member_alone_is_that_member_exactly(stages):
    staged = with_stages(FULL.staged, stages)
    assert Mixture(staged).cumulative(ROWS).tolist() == staged.cumulative(ROWS).tolist()


def test_one_process_alone_is_that_process():
    rows = rows_of(30, seed=7)
    spent = np.cumsum(np.exp(rows.log_hazards[:, :, 1]) * np.diff(EDGES), axis=1)
    assert alone_of(rows).cumulative(rows)[:, 1:] == pytest.approx(spent, rel=1e-14)


@pytest.mark.parametrize("name", ["newest", "recent"])
@pytest.mark.parametrize("seen", range(M + 1))
def test_what_a_window_has_not_seen_is_that_of_staged(name, seen):
    window = replace(getattr(FULL, name), seen=seen)
    found = replace(FULL, **{name: window}).log_hazards(ROWS)
    own = FULL.around(window).log_hazard(ROWS)
    if name == "recent":
        own = own + season_effect(FULL.staged.glm, ROWS.day, FULL.settings)
    assert np.abs(own - found["staged"]).min() > 0
    own, staged = own.clip(HAZARD_FLOOR, HAZARD_CEILING), found["staged"]
    assert found[name][:, :seen] == pytest.approx(own[:, :seen], rel=1e-12)
    assert found[name][:, seen:].tolist() == staged[:, seen:].tolist()


def test_a_window_stands_on_the_trees_of_staged_and_has_no_season():
    hazard = FULL.around(FULL.newest)
    assert hazard.trees is FULL.staged.trees
    assert (FULL.settings.season, hazard.settings.season) == (True, False)


def test_a_window_that_saw_nothing_changes_nothing():
    model = Mixture(FULL.staged, newest=replace(FULL.newest, seen=0))
    assert model.cumulative(ROWS) == pytest.approx(FULL.staged.cumulative(ROWS), rel=1e-12)


def test_without_a_season_the_date_of_the_cutoff_says_nothing():
    """Neither to proportional hazards nor to a window."""
    staged = FULL.around(FULL.newest)  # a regression without waves
    model = Mixture(staged, FULL.cox, FULL.newest, FULL.recent, processes=1)
    later = replace(ROWS, day=ROWS.day + 100)
    assert model.cumulative(later).tolist() == model.cumulative(ROWS).tolist()
    assert np.abs(FULL.cumulative(later) - FULL.cumulative(ROWS)).max() > 1e-3


# ------------------------------------------------------------------ many rows, and none
@pytest.mark.parametrize("members", PARTS, ids="+".join)
def test_curves_do_not_depend_on_the_chunk(members, monkeypatch):
    model = cut(members)
    whole = model.cumulative(ROWS)
    monkeypatch.setattr(mixture, "CHUNK_INTERVALS", 7 * M)
    # one matrix product more or less may differ in the last bit
    assert model.cumulative(ROWS) == pytest.approx(whole, rel=1e-12)
    assert model.cumulative(ROWS.take(slice(17, 18)))[0] == pytest.approx(whole[17], rel=1e-12)


def test_nobody_has_no_curve():
    assert FULL.cumulative(ROWS.take(np.zeros(0, int))).shape == (0, M + 1)


# ------------------------------------------------------------------ mean_curve alone
@st.composite
def curves(draw):
    """Cumulative hazards of up to four members, in which people live long or die at once."""
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    steps = st.lists(st.sampled_from([0.0, 1e-12, 1e-3, 0.5, 30.0, 700.0]), min_size=5, max_size=5)
    weight = {name: draw(st.integers(1, 5)) for name in names}
    cumulative = {name: np.cumsum([draw(steps)], axis=1) for name in names}
    return cumulative, {name: w / sum(weight.values()) for name, w in weight.items()}


@given(curves())
def test_the_mean_never_falls_and_lies_between_its_members(case):
    cumulative, weights = case
    found = mean_curve(cumulative, weights)
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    assert (np.diff(found, axis=1) >= 0).all()
    every = np.array(list(cumulative.values()))
    assert (found >= every.min(axis=0) * (1 - 1e-12) - 1e-12).all()
    assert (found <= every.max(axis=0) * (1 + 1e-12) + 1e-12).all()


@given(curves())
def test_the_mean_of_equal_curves_is_that_curve(case):
    cumulative, weights = case
    first = next(iter(cumulative.values()))
    found = mean_curve(dict.fromkeys(cumulative, first), weights)
    assert found == pytest.approx(first, rel=1e-12, abs=1e-12)


def test_what_rounding_takes_from_the_mean_is_given_back():
    """The logarithms of 1/2, 1/4, 1/4 add up to a hair more than 1."""
    weights = {"staged": 0.5, "cox": 0.25, "newest": 0.25}
    assert -np.logaddexp.reduce([np.log(w) for w in weights.values()]) < 0
    assert mean_curve(dict.fromkeys(weights, np.zeros((1, 3))), weights).tolist() == [[0, 0, 0]]


def test_survival_that_is_smaller_than_the_smallest_number_is_still_a_curve():
    found = mean_curve({"a": np.array([[900.0]]), "b": np.array([[2000.0]])}, {"a": 0.5, "b": 0.5})
    assert found == pytest.approx(900 + np.log(2))
