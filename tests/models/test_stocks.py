"""Stocks in a house: by slow sums of the model itself, and what must never happen."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ppi_ml.models import renewals, stocks
from ppi_ml.models.gaps import GRID
from ppi_ml.models.renewals import Refills
from ppi_ml.models.stocks import Stocks, lasting

STATE = {"mean": 0.1, "between": 0.5, "within": 0.4, "spread": 0.35, "lapse": 0.15,
         "firmness": 4.0}  # fmt: skip
DAYS = np.array([0.0, 3.0, 10.0, 30.0, 90.0])
CASES = [((), 12.0), ((20.0,), 5.0), ((10.0, 11.0, 9.5, 10.2), 9.0), ((3.0, 60.0, 9.0), 100.0),
         ((18.0, 22.0, 20.0, 19.0, 21.0), 70.0)]  # fmt: skip
"""Own gaps, and days of silence."""


def pair(gaps=(), elapsed=10.0, scale=20.0):
    """One pair whose gaps (days) all had the same scale."""
    y = np.log(np.asarray(gaps, dtype=float) / scale)
    values = (len(y), y.sum(), (y**2).sum(), elapsed, scale, len(y), np.nan)
    return Refills(*(np.array([float(v)]) for v in values))


def together(*pairs):
    return Refills(*(np.concatenate(v) for v in zip(*(vars(p).values() for p in pairs),
                                                    strict=True)))  # fmt: skip


def drawn(count, seed=3):
    """Pairs with gaps of every number and regularity, silent for short and for long."""
    draw = np.random.default_rng(seed)
    return together(*(pair(draw.lognormal(draw.normal(3, 0.5), draw.uniform(0.05, 1.0),
                                          draw.integers(0, 9)), draw.lognormal(3, 1))
                      for _ in range(count)))  # fmt: skip


MANY = drawn(200)


def stocks_of(*guesses):
    """Guesses of one pair: (days since, scale) each."""
    since, scale = np.array(guesses, dtype=float).T
    return Stocks(since[None], scale[None])


def slowly_used(state, gaps, silent, days, since, scale):
    """Survival of one stock: for each regularity its hazard, held once it has been highest.

    The hazard is that of the normal of ln(gap), differentiated by hand on a fine grid of ages.
    """
    one = pair(gaps, silent)
    level, closed = renewals.levels(state, one)
    ages = np.linspace(0, (max(since, 0) + max(days) + 1) / scale, 40_001)[1:]
    step = ages[1] - ages[0]
    left = np.zeros(len(days))
    weight = np.exp(level[0] - level[0].max())
    waited = stats.norm.sf((np.log(silent / 20.0) - closed.centre[0]) / closed.sd[0])
    weight = weight * waited / (weight * waited).sum()
    for w, centre, sd in zip(weight, closed.centre[0], closed.sd[0], strict=True):
        law = stats.lognorm(sd, scale=np.exp(centre))
        hazard = np.maximum.accumulate(np.exp(law.logpdf(ages) - law.logsf(ages)))
        total = np.concatenate([[0.0], np.cumsum(hazard) * step])
        grid = np.concatenate([[0.0], ages])

        def used(day, grid=grid, total=total):
            return np.interp(np.maximum(since + day, 0.0) / scale, grid, total)

        left += w * np.exp(-(used(np.asarray(days)) - used(0.0)))
    return left


@pytest.mark.parametrize(("since", "scale"), [(4.0, 20.0), (30.0, 20.0), (-6.0, 35.0), (90.0, 8.0)])
@pytest.mark.parametrize(("gaps", "elapsed"), CASES)
def test_a_stock_is_used_up_as_its_gap_ends_and_never_slower(gaps, elapsed, since, scale):
    days = np.array([0.0, 2.0, 5.0, 14.0, 40.0])
    found = lasting(STATE, pair(gaps, elapsed), stocks_of((since, scale)), days)[0]
    assert found[0] == 0
    survival = np.exp(-(found - 1e-6 * days))
    expected = slowly_used(STATE, gaps, elapsed, days, since, scale)
    assert survival == pytest.approx(expected, abs=3e-3)


def test_a_young_stock_that_came_with_its_order_ends_as_the_gap_does():
    young = pair((18.0, 22.0, 20.0, 19.0), 6.0)
    found = lasting(STATE, young, Stocks(young.elapsed_days[:, None],
                                                  young.scale[:, None]), DAYS[:3])  # fmt: skip
    assert np.exp(-found) == pytest.approx(renewals.survival(STATE, young, DAYS[:3])[1], abs=1e-3)


@given(st.integers(0, 199), st.lists(st.floats(-30, 400), min_size=2, max_size=6),
       st.lists(st.floats(0.01, 1e5), min_size=2, max_size=6))  # fmt: skip
def test_a_younger_or_larger_stock_never_runs_out_sooner(number, ages, scales):
    refills = MANY.take(np.array([number]))
    days = np.array([0.0, 1.0, 7.0, 30.0, 90.0, 365.0])

    def used(*guesses):
        found = lasting(STATE, refills, stocks_of(*guesses), days)[0]
        assert np.isfinite(found).all()
        assert found[0] == 0
        assert (np.diff(found) > 0).all()
        return found

    older = [used((age, 20.0)) for age in sorted(ages)]
    larger = [used((12.0, scale)) for scale in sorted(scales)]
    for one, other in pairwise(older):
        assert (one <= other + 1e-9).all()
    for one, other in pairwise(larger):
        assert (one >= other - 1e-9).all()
    both = used((ages[0], scales[0]), (ages[1], scales[1]))
    for alone in (used((ages[0], scales[0])), used((ages[1], scales[1]))):
        assert (both <= alone + 1e-9).all()


def test_nothing_runs_out_before_it_comes():
    one = pair((20.0, 21.0), 3.0)
    found = lasting(STATE, one, stocks_of((-10.0, 20.0)), [0.0, 5.0, 10.0, 30.0])[0]
    assert found[1:3] == pytest.approx([5e-6, 1e-5], rel=1e-6)  # but for the trickle
    fresh = lasting(STATE, one, stocks_of((0.0, 20.0)), [0.0, 20.0])[0]
    assert found[3] == pytest.approx(fresh[1], abs=2e-5)


def test_a_guess_that_repeats_the_first_one_costs_and_changes_nothing(monkeypatch):
    since, scale = MANY.elapsed_days, MANY.scale
    other = np.arange(len(since)) % 3 == 0
    second = np.where(other, since / 2, since), np.where(other, 3 * scale, scale)
    worked, plain = [], stocks._used
    monkeypatch.setattr(
        stocks, "_used", lambda *given: worked.append(len(given[0])) or plain(*given)
    )
    columns = [np.column_stack(pair) for pair in zip((since, scale), second, strict=True)]
    both = lasting(STATE, MANY, Stocks(*columns), DAYS)
    assert sum(worked) == len(since) + other.sum()
    alone = lasting(STATE, MANY, Stocks(since[:, None], scale[:, None]), DAYS)
    np.testing.assert_array_equal(both[~other], alone[~other])
    whole = lasting(STATE, MANY, Stocks(second[0][:, None], second[1][:, None]), DAYS)
    assert (both[other][:, 1:] < alone[other][:, 1:]).all()
    np.testing.assert_allclose(both[other], whole[other], rtol=1e-12)


def test_many_pairs_are_worked_on_in_parts_that_do_not_show(monkeypatch):
    some = Stocks(np.column_stack([MANY.elapsed_days, MANY.elapsed_days / 2]),
                  np.column_stack([MANY.scale, MANY.scale]))  # fmt: skip
    whole = lasting(STATE, MANY, some, DAYS)
    monkeypatch.setattr(stocks, "_CELLS", 14 * len(DAYS) * len(GRID))
    np.testing.assert_allclose(lasting(STATE, MANY, some, DAYS), whole, rtol=1e-13)


def test_stocks_differ_where_any_guess_does():
    guesses = stocks_of((10, 20), (8, 20), (10, 25))
    alike, one = stocks_of((10, 20), (10, 20), (10, 20)), stocks_of((10, 20))
    assert guesses.differ(one).tolist() == one.differ(guesses).tolist() == [True]
    assert alike.differ(one).tolist() == [False]
    assert stocks_of((10, 20), (8, 20)).differ(one).tolist() == [True]
    assert stocks_of((10, 20), (10, 25)).differ(one).tolist() == [True]
