"""The regression against a plain Newton iteration, closed forms, and what a prior must do."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppi_ml.models.glm import PoissonGlm, fit_poisson


def newton(columns, events, exposure, prior_sd, offset=0.0):
    """Penalised maximum likelihood, intercept first and free, by plain Newton steps."""
    exposure = exposure * np.exp(offset)
    design = np.column_stack([np.ones(len(columns)), columns])
    ridge = np.concatenate([[0.0], 1.0 / prior_sd**2])
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(events.sum() / exposure.sum())
    for _ in range(100):
        expected = exposure * np.exp(design @ beta)
        gradient = design.T @ (events - expected) - ridge * beta
        beta = beta + np.linalg.solve(
            (design * expected[:, None]).T @ design + np.diag(ridge), gradient
        )
    return beta


def planted(seed, n=4000, q=3):
    draw = np.random.default_rng(seed)
    columns = draw.normal(draw.normal(0, 3, q), draw.uniform(0.5, 5, q), (n, q))
    exposure = draw.uniform(0.5, 30, n)
    slopes = draw.normal(0, 0.5, q) / columns.std(axis=0)
    hazard = np.exp(-4 + (columns - columns.mean(axis=0)) @ slopes)
    events = draw.poisson(exposure * hazard).clip(max=1).astype(float)
    return columns, events, exposure


def names(q):
    return tuple(f"x{i}" for i in range(q))


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_that_of_a_plain_newton_iteration(seed):
    columns, events, exposure = planted(seed)
    sd = np.array([0.05, 1.0, 0.3])
    standardise = np.array([True, True, False])
    glm = fit_poisson(columns, events, exposure, names(3), sd, standardise)
    scaled = (columns - glm.centre) / glm.spread
    expected = newton(scaled, events, exposure, sd)
    assert glm.intercept == pytest.approx(expected[0], abs=1e-4)
    assert glm.coefficients == pytest.approx(expected[1:], abs=1e-4)
    assert glm.log_hazard(columns) == pytest.approx(expected[0] + scaled @ expected[1:], abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_with_an_offset_the_fit_is_that_of_a_plain_newton_iteration_too(seed):
    columns, events, exposure = planted(seed)
    sd, every = np.array([0.05, 1.0, 0.3]), np.ones(3, bool)
    offset = -4 + 0.5 * np.random.default_rng(seed).normal(size=len(events))
    glm = fit_poisson(columns, events, exposure, names(3), sd, every, offset)
    scaled = (columns - glm.centre) / glm.spread
    expected = newton(scaled, events, exposure, sd, offset)
    assert glm.intercept == pytest.approx(expected[0], abs=1e-4)
    assert glm.coefficients == pytest.approx(expected[1:], abs=1e-4)


def test_an_offset_that_is_the_truth_leaves_nothing_to_mend():
    draw = np.random.default_rng(20)
    columns = draw.normal(size=(20_000, 3))
    truth = -4 + columns @ [0.8, -0.5, 0.3]
    exposure = draw.uniform(0.5, 30, len(columns))
    events = draw.poisson(exposure * np.exp(truth)).astype(float)
    sd, every = np.ones(3), np.ones(3, bool)
    plain = fit_poisson(columns, events, exposure, names(3), sd, every)
    glm = fit_poisson(columns, events, exposure, names(3), sd, every, truth)
    noise = 4 / np.sqrt(events.sum())
    assert np.abs([*glm.coefficients, glm.intercept]).max() < noise < 0.06
    assert plain.coefficients == pytest.approx([0.8, -0.5, 0.3], abs=noise)
    assert truth + glm.log_hazard(columns) == pytest.approx(plain.log_hazard(columns), abs=noise)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.1, 2.0), st.floats(-6, 6))
def test_an_offset_is_a_factor_on_the_days_at_risk(seed, wide, level):
    """Whatever is left to the fit; and its level goes into the intercept alone."""
    columns, events, exposure = planted(seed, n=300, q=2)
    offset = wide * np.random.default_rng(seed).normal(size=len(events)) - 3
    sd, raw = np.ones(2), np.zeros(2, bool)
    given_ = fit_poisson(columns, events, exposure, names(2), sd, raw, offset)
    scaled = fit_poisson(columns, events, exposure * np.exp(offset), names(2), sd, raw)
    assert given_.to_dict() == scaled.to_dict()
    raised = fit_poisson(columns, events, exposure, names(2), sd, raw, offset + level)
    assert raised.intercept == pytest.approx(given_.intercept - level, abs=1e-9)
    assert raised.coefficients == pytest.approx(given_.coefficients, abs=1e-9)


def test_a_constant_offset_is_no_offset():
    columns, events, exposure = planted(9)
    sd, every = np.full(3, 0.2), np.ones(3, bool)
    plain = fit_poisson(columns, events, exposure, names(3), sd, every)
    shifted = fit_poisson(columns, events, exposure, names(3), sd, every, np.full(4000, -4.0))
    assert shifted.log_hazard(columns) - 4 == pytest.approx(plain.log_hazard(columns), abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.02, 2.0))
def test_the_gradient_of_the_penalised_likelihood_is_zero(seed, sd):
    columns, events, exposure = planted(seed, n=500, q=2)
    prior, every = np.full(2, sd), np.ones(2, bool)
    glm = fit_poisson(columns, events, exposure, names(2), prior, every)
    expected = exposure * np.exp(glm.log_hazard(columns))
    gradient = ((columns - glm.centre) / glm.spread).T @ (events - expected)
    gradient -= glm.coefficients / prior**2
    assert gradient == pytest.approx(np.zeros(2), abs=2e-5 * exposure.sum())
    assert expected.sum() == pytest.approx(events.sum(), rel=1e-3)


def test_two_groups_give_their_two_rates():
    group = np.repeat([0.0, 1.0], 500)[:, None]
    exposure = np.full(1000, 10.0)
    events = np.zeros(1000)
    events[:20], events[500:560] = 1, 1
    glm = fit_poisson(group, events, exposure, ("g",), np.array([1e3]), np.array([False]))
    assert np.exp(glm.log_hazard(np.array([[0.0], [1.0]]))) == pytest.approx(
        [20 / 5000, 60 / 5000], rel=1e-4
    )


def test_a_narrow_prior_holds_its_own_column_and_no_other():
    columns, events, exposure = planted(5)
    every = np.ones(3, bool)
    free = fit_poisson(columns, events, exposure, names(3), np.ones(3), every)
    held = fit_poisson(columns, events, exposure, names(3), np.array([1e-4, 1, 1]), every)
    assert abs(free.coefficients[0]) > 0.05
    assert abs(held.coefficients[0]) < 1e-3
    assert held.coefficients[1:] == pytest.approx(free.coefficients[1:], abs=0.1)


def test_the_unit_of_a_standardised_column_does_not_matter():
    columns, events, exposure = planted(6)
    sd, every = np.full(3, 0.5), np.ones(3, bool)
    one = fit_poisson(columns, events, exposure, names(3), sd, every)
    other = fit_poisson(columns * 86_400 + 7, events, exposure, names(3), sd, every)
    assert other.log_hazard(columns * 86_400 + 7) == pytest.approx(
        one.log_hazard(columns), abs=1e-4
    )


def test_a_constant_column_changes_nothing():
    columns, events, exposure = planted(7)
    sd, every = np.ones(4), np.ones(4, bool)
    wide = np.column_stack([columns, np.full(len(columns), 3.0)])
    with_it = fit_poisson(wide, events, exposure, names(4), sd, every)
    without = fit_poisson(columns, events, exposure, names(3), sd[:3], every[:3])
    assert with_it.coefficients[3] == pytest.approx(0, abs=1e-9)
    assert with_it.log_hazard(wide) == pytest.approx(without.log_hazard(columns), abs=1e-4)


def test_the_model_goes_through_json_unchanged():
    columns, events, exposure = planted(8)
    glm = fit_poisson(columns, events, exposure, names(3), np.ones(3), np.ones(3, bool))
    back = PoissonGlm.from_dict(json.loads(json.dumps(glm.to_dict())))
    assert back.names == glm.names
    assert back.log_hazard(columns).tolist() == glm.log_hazard(columns).tolist()


# ------------------------------------------------------------------ beyond what was seen
def test_beyond_what_training_had_the_end_of_it_counts():
    columns, events, exposure = planted(4)
    columns[::7, 1] = np.nan
    free = fit_poisson(columns, events, exposure, names(3), np.ones(3), np.ones(3, bool))
    held = free.bounded(columns, ["x1", "x9"])
    assert list(held.bounds) == ["x1"]
    assert (held.log_hazard(columns) == free.log_hazard(columns)).all()
    ends = np.nanmin(columns[:, 1]), np.nanmax(columns[:, 1])
    row = np.array([[0.0, value, 0.0] for value in (*ends, ends[0] - 50, ends[1] + 50, np.nan)])
    found = held.log_hazard(row)
    assert found[2:4] == pytest.approx(found[:2], rel=1e-12)
    assert abs(free.log_hazard(row)[3] - found[1]) > 0.3
    assert found[4] == free.log_hazard(row)[4]  # what is unknown is the mean
    far = np.array([[99.0, ends[0], 0.0]])
    assert held.log_hazard(far) == free.log_hazard(far)  # other columns are free
    again = PoissonGlm.from_dict(json.loads(json.dumps(held.to_dict())))
    assert again.bounds == held.bounds
    assert "bounds" not in free.to_dict()
    unknown = free.bounded(np.full((5, 3), np.nan), ["x0"])
    assert unknown.bounds == {}


def drawn_glm(seed, columns=("a", "b", "c")):
    draw, q = np.random.default_rng(seed), len(columns)
    return PoissonGlm(
        tuple(columns), draw.normal(size=q), draw.uniform(0.1, 3, q), draw.normal(size=q),
        draw.normal(),
    )  # fmt: skip


def test_the_sum_of_two_regressions_says_the_sum_of_both():
    one, other = drawn_glm(1), drawn_glm(2)
    columns = np.random.default_rng(3).normal(size=(50, 3))
    both = one.plus(other)
    assert both.log_hazard(columns) == pytest.approx(
        one.log_hazard(columns) + other.log_hazard(columns), abs=1e-12
    )
    assert (both.centre.tolist(), both.spread.tolist()) == (
        one.centre.tolist(),
        one.spread.tolist(),
    )
    with pytest.raises(ValueError, match="same columns"):
        one.plus(drawn_glm(2, "abd"))


def test_the_sum_of_bounded_regressions_has_the_means_and_bounds_of_the_first():
    one, other = drawn_glm(1), drawn_glm(2)
    columns = np.random.default_rng(3).normal(size=(50, 3))
    both = one.bounded(columns, ["a"]).plus(other.bounded(columns[:5], ["a"]))
    assert both.bounds == one.bounded(columns, ["a"]).bounds
    far = columns + np.array([9, 0, 0])
    held = np.column_stack([np.full(50, columns[:, 0].max()), columns[:, 1:]])
    assert both.log_hazard(far) == pytest.approx(one.plus(other).log_hazard(held), abs=1e-12)
    unknown, mean = columns.copy(), columns.copy()
    unknown[:, 1], mean[:, 1] = np.nan, one.centre[1]
    assert both.log_hazard(unknown) == pytest.approx(both.log_hazard(mean), abs=1e-12)


def test_only_some_columns_of_a_regression_leave_the_others_at_their_centre():
    glm = drawn_glm(1)
    columns = np.random.default_rng(3).normal(size=(50, 3))
    moved = columns.copy()
    moved[:, 1] = glm.centre[1]
    assert glm.only(("c", "a")).log_hazard(columns[:, [2, 0]]) == pytest.approx(
        glm.log_hazard(moved), abs=1e-12
    )
