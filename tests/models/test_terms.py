"""Terms of a log hazard: they add up to it, and the trees' are Shapley values."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from tests.mixtures import COLUMNS, MEMBERS, SETTINGS, M, alone_of, glm_of, mixture_of, rows_of

from ppi_ml.models import boost, terms
from ppi_ml.models.covariates import HAZARD_CEILING, HAZARD_FLOOR
from ppi_ml.models.hazard import Hazard
from ppi_ml.models.mixture import Mixture

ROWS = rows_of()


@pytest.fixture(scope="module")
def mixture():
    return mixture_of(ROWS)


# ------------------------------------------------------------------ terms add up
@pytest.mark.parametrize("most", range(1, M + 1))
def test_the_terms_of_every_member_add_up_to_its_log_hazard(mixture, most):
    found = terms.of_mixture(mixture, ROWS, most)
    expected = mixture.log_hazards(ROWS)
    assert tuple(found) == tuple(expected) == MEMBERS
    for member, log_hazard in expected.items():
        assert found[member].values.shape == (len(ROWS), most, len(found[member].names))
        assert found[member].log_hazard == pytest.approx(log_hazard[:, :most], abs=1e-11)


def test_one_process_alone_is_one_term():
    found = terms.of_mixture(alone_of(ROWS), ROWS, M)["staged"]
    assert found.names == ("process",)
    assert found.values[:, :, 0].tolist() == ROWS.log_hazards[:, :, 1].tolist()


def test_every_part_of_the_model_has_a_term(mixture):
    found = terms.of_mixture(mixture, ROWS, M)
    families = {f"trees:{column}" for column in COLUMNS}
    assert families < set(found["staged"].names)
    assert families < set(found["cox"].names)
    assert {"process", "glm:log_recency", "glm:season_sin1", "trees:interval__waited"} < set(
        found["staged"].names
    )
    assert {"process", "season", "trees:row__waited"} < set(found["cox"].names)
    assert found["processes"].names == ("process",)
    for name in ("staged", "cox", "newest"):
        assert len(set(found[name].names)) == len(found[name].names)
        assert {"level", "limits"} < set(found[name].names)


def test_the_level_is_the_same_for_everybody(mixture):
    found = terms.of_mixture(mixture, ROWS, M)
    for name in ("staged", "cox", "newest"):
        level = found[name].values[:, :, found[name].names.index("level")]
        assert np.ptp(level, axis=0).max() < 1e-12
        assert np.ptp(level[0]) > 0


def test_the_season_of_the_proportional_hazards_is_that_of_the_regression(mixture):
    found = terms.of_mixture(mixture, ROWS, M)
    waves = [i for i, name in enumerate(found["staged"].names) if name.startswith("glm:season_")]
    season = found["cox"].values[:, :, found["cox"].names.index("season")]
    assert len(waves) == 4
    assert season == pytest.approx(found["staged"].values[:, :, waves].sum(axis=2), abs=1e-12)
    assert season.std() > 0.01


@pytest.mark.parametrize("name", ["newest", "recent"])
def test_later_than_a_window_has_seen_its_terms_are_those_of_the_stages(mixture, name):
    found = terms.of_mixture(mixture, ROWS, M)
    window, staged, seen = found[name], found["staged"], mixture.windows[name].seen
    own = [term for term in window.names if term not in ("level", "limits")]
    waves = {"season"} if name == "recent" else set()
    assert set(staged.names) | waves == set(window.names)
    for term in own:
        mine = window.values[:, :, window.names.index(term)]
        there = term in staged.names
        theirs = staged.values[:, :, staged.names.index(term)] if there else np.zeros_like(mine)
        assert mine[:, seen:].tolist() == theirs[:, seen:].tolist()
        assert not mine[:, :seen].any() or not term.startswith("glm:season_")
        if term.startswith("trees:"):
            assert mine.tolist() == theirs.tolist()


def test_what_the_bounds_took_away_is_a_term():
    model = Mixture(Hazard(SETTINGS, glm_of(ROWS, log_recency=10.0), None))
    found = terms.of_mixture(model, ROWS, M)["staged"]
    limits = found.values[:, :, found.names.index("limits")]
    for held, bound in ((limits > 0, HAZARD_FLOOR), (limits < 0, HAZARD_CEILING)):
        assert 0.05 < held.mean() < 0.6
        assert found.log_hazard[held] == pytest.approx(bound, abs=1e-11)
    assert found.log_hazard == pytest.approx(model.log_hazards(ROWS)["staged"], abs=1e-11)


# ------------------------------------------------------------------ trees
def trained(rounds, leaves=4, n=600):
    draw = np.random.default_rng(3)
    inputs = draw.normal(size=(n, 4)).astype(np.float32)
    inputs[draw.random(inputs.shape) < 0.1] = np.nan
    inputs[:, 3] = 1.0  # says nothing
    known = np.nan_to_num(inputs)
    rate = np.exp(known[:, 0] + known[:, 1] * (known[:, 2] > 0))
    sample = boost.Sample(inputs, draw.poisson(rate).astype(float), np.zeros(n))
    settings = {"num_leaves": leaves, "learning_rate": 0.3, "min_data_in_leaf": 20,
                "feature_fraction": 1.0, "bagging_fraction": 1.0}  # fmt: skip
    trees = boost.train("poisson", sample, "abcd", settings, rounds=rounds, seed=1, threads=1)
    return trees, inputs


def expected_score(node, row, known):
    """The mean score of a tree where only some inputs are known; unknown ones by share of rows."""
    if "leaf_value" in node:
        return node["leaf_value"]
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        value = row[node["split_feature"]]
        goes_left = node["default_left"] if np.isnan(value) else value <= node["threshold"]
        return expected_score(left if goes_left else right, row, known)
    sizes = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
    means = [expected_score(child, row, known) for child in (left, right)]
    return np.average(means, weights=sizes)


def shapley(tree, row, p):
    """Shapley values by their definition: every order in which inputs become known."""
    values = np.zeros(p)
    for one in range(p):
        others = [i for i in range(p) if i != one]
        for size in range(p):
            weight = factorial(size) * factorial(p - size - 1) / factorial(p)
            for known in combinations(others, size):
                with_it, without = ({*known, one}, set(known))
                gain = expected_score(tree, row, with_it) - expected_score(tree, row, without)
                values[one] += weight * gain
    return values


def test_contributions_are_shapley_values_by_brute_force():
    trees, inputs = trained(rounds=3)
    dumped = [info["tree_structure"] for info in trees.booster.dump_model()["tree_info"]]
    found = trees.contributions(inputs[:40])
    for row, values in zip(inputs[:40].astype(float), found, strict=True):
        expected = sum(shapley(tree, row, 4) for tree in dumped)
        assert values[:4] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("rounds", "leaves"), [(1, 2), (40, 6)])
def test_contributions_add_up_to_the_score(rounds, leaves):
    trees, inputs = trained(rounds, leaves)
    found = trees.contributions(inputs, threads=1)
    assert found.shape == (len(inputs), 5)
    assert found.sum(axis=1) == pytest.approx(trees.score(inputs), abs=1e-12)
    assert np.ptp(found[:, 4]) < 1e-12
    assert not found[:, 3].any()
    assert found[:, 0].std() > 0.05


def test_nobody_has_no_contributions():
    trees, inputs = trained(1)
    assert trees.contributions(inputs[:0]).shape == (0, 5)
