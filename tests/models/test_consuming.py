"""The curve of a pair that still consumes, against worlds whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppi_ml.errors import DataError
from ppi_ml.models.consuming import consuming, moved
from ppi_ml.models.curve import Curves

EDGES = np.array([0.0, 10.0, 30.0])
PLAIN = np.array([[0.0, 0.5, 0.9], [0.0, 0.0, 0.2]])


@st.composite
def pairs(draw):
    """Cumulative hazards, endings and edges of one to four pairs."""
    widths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=6))
    shape = (draw(st.integers(1, 4)), len(widths))
    steps = draw(hnp.arrays(float, shape, elements=st.just(0.0) | st.floats(1e-9, 3)))
    ending = draw(hnp.arrays(float, shape, elements=st.just(0.0) | st.floats(0, 8)))
    cumulative = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    return cumulative, ending, np.concatenate([[0.0], np.cumsum(widths)])


def test_every_interval_is_raised_by_its_own_ending():
    # of the first pair half still consume at first and a quarter later; of the second everybody,
    # then a fifth
    ending = np.log([[2.0, 4.0], [1.0, 5.0]])
    found = consuming(PLAIN, ending, EDGES)
    assert found == pytest.approx(np.array([[0, 1.0, 2.6], [0, 0.0, 1.0]]))


def test_no_more_than_fifty_times():
    ending = np.array([[np.log(49.0), np.log(51.0)], [np.inf, 700.0]])
    found = consuming(PLAIN, ending, EDGES)
    assert found == pytest.approx(np.array([[0, 24.5, 44.5], [0, 0.0, 10.0]]))


@pytest.mark.parametrize("stopped", [0.0, 0.3, 0.8])
def test_a_mixture_with_a_known_share_gives_back_its_consumers(stopped):
    """Consumers run out by a Weibull law; a share has stopped and never buys again."""
    edges = np.array([0.0, 1, 2, 3, 5, 7, 10, 14, 21, 30])
    theirs = (edges / 20.0) ** 1.5
    both = -np.log(stopped + (1 - stopped) * np.exp(-theirs))
    ending = np.maximum(np.log(np.diff(theirs) / np.diff(both)), 0.0)  # of 0 by rounding
    found = consuming(both[None], ending[None], edges)
    assert found == pytest.approx(theirs[None], rel=1e-12)


def test_the_probability_of_consuming_is_all_it_takes():
    """Purpose: the formula of the docstring, with P(still consuming) by Bayes at mid-interval."""
    edges = np.arange(0.0, 60.5, 0.5)
    middle = (edges[1:] + edges[:-1]) / 2
    gone, rate = 0.4, 0.05
    both = -np.log(gone + (1 - gone) * np.exp(-rate * edges))
    still = (1 - gone) * np.exp(-rate * middle)
    found = consuming(both[None], -np.log(still / (gone + still))[None], edges)
    assert found[0] == pytest.approx(rate * edges, rel=1e-4)


@given(pairs())
def test_it_is_a_curve_and_never_above_the_plain_one(drawn):
    cumulative, ending, edges = drawn
    found = consuming(cumulative, ending, edges)
    Curves(edges, cumulative, consuming=Curves(edges, found))  # checks the rules of curves
    assert (found >= cumulative).all()
    assert (found <= 50 * cumulative + 1e-9).all()
    raised = (np.diff(cumulative, axis=1) * np.expm1(ending) > 1e-9).any(axis=1)
    assert (found[raised, -1] > cumulative[raised, -1]).all()


@given(pairs())
def test_an_ending_of_zero_gives_the_plain_curve_to_the_bit(drawn):
    cumulative, ending, edges = drawn
    assert (consuming(cumulative, np.zeros_like(ending), edges) == cumulative).all()


@given(pairs(), st.data())
def test_the_more_have_stopped_the_sooner_the_others_run_out(drawn, data):
    cumulative, ending, edges = drawn
    more = ending + data.draw(hnp.arrays(float, ending.shape, elements=st.floats(0, 2)))
    assert (consuming(cumulative, more, edges) >= consuming(cumulative, ending, edges)).all()


@given(pairs())
def test_rows_do_not_know_each_other(drawn):
    cumulative, ending, edges = drawn
    whole = consuming(cumulative, ending, edges)
    for row in range(len(cumulative)):
        alone = consuming(cumulative[[row]], ending[[row]], edges)
        assert (alone[0] == whole[row]).all()


def test_no_rows_are_no_curves():
    assert consuming(np.empty((0, 3)), np.empty((0, 2)), EDGES).shape == (0, 3)


@pytest.mark.parametrize(
    ("cumulative", "ending", "message"),
    [
        (PLAIN[:, :2], np.zeros((2, 2)), r"cumulative: expected shape \(2, 3\), got \(2, 2\)"),
        (PLAIN, np.zeros((2, 3)), r"ending: expected shape \(2, 2\), got \(2, 3\)"),
        (PLAIN, np.zeros((1, 2)), r"ending: expected shape \(2, 2\), got \(1, 2\)"),
        (PLAIN, np.array([[0, -1e-9], [0, 0]]), "0 or more.* 1 of 4 values"),
        (PLAIN, np.array([[0, np.nan], [-1, 0]]), "0 or more.* 2 of 4 values"),
    ],
)
def test_what_cannot_be_is_refused(cumulative, ending, message):
    with pytest.raises(DataError, match=message):
        consuming(cumulative, ending, EDGES)


# ------------------------------------------------------------------ from one stock to another
CURVE = np.array([[0.0, 0.2, 1.0, 1.5]])
USUAL = np.array([[0.0, 0.1, 0.5, 2.0]])


def test_a_usual_stock_moves_nothing():
    np.testing.assert_array_equal(moved(CURVE, USUAL, USUAL), CURVE)


def test_what_holds_of_the_usual_stock_holds_when_as_much_is_used_up():
    """By hand: half of an interval, several intervals behind, and beyond the last one."""
    there = np.array([[0.0, 0.05, 0.3, 3.0]])
    assert moved(CURVE, USUAL, there) == pytest.approx(
        np.array([[0.0, 0.1, 0.6, 1.5 + 1.0 * 0.5 / 1.5]])
    )
    behind = np.array([[0.0, 0.0, 0.0, 0.1]])
    assert moved(CURVE, USUAL, behind) == pytest.approx(np.array([[0.0, 0.0, 0.0, 0.2]]))


def test_a_stock_that_comes_later_is_the_same_curve_later():
    """Where model and process are of one law, moving is what the law itself says."""
    edges = np.linspace(0.0, 60.0, 241)

    def law(age):
        return (np.maximum(age, 0.0) / 20.0) ** 2

    usual, there = law(30 + edges) - law(30), law(edges - 4) - law(-4)
    found = moved(1.5 * usual[None], usual[None], there[None])[0]
    assert found == pytest.approx(1.5 * there, abs=1e-12)


@given(pairs(), st.floats(0, 3), st.floats(0, 3))
def test_what_lasts_longer_runs_out_later_whatever_the_curve(drawn, less, more):
    cumulative, ending, edges = drawn
    usual = np.cumsum(np.full(cumulative.shape, 0.2), axis=1) - 0.2
    short, long = (factor * usual for factor in (max(less, more), min(less, more)))
    curve = consuming(cumulative, ending, edges)
    found = [moved(curve, usual, there) for there in (short, long)]
    assert (found[0] >= found[1] - 1e-9).all()
    for one in found:
        assert (one[:, 0] == 0).all()
        Curves(edges, one)  # a valid curve
