"""Renewals: by slow integration of the model itself, and on pairs that were made by it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import integrate, stats

from ppi_ml.errors import NotTrainableError
from ppi_ml.models import renewals
from ppi_ml.models.gaps import GAPS, GRID, gaps_likelihood
from ppi_ml.models.histories import Histories
from ppi_ml.models.renewals import Refills, likelihood

STATE = {"mean": 0.1, "between": 0.5, "within": 0.4, "spread": 0.35, "lapse": 0.15,
         "firmness": 4.0}  # fmt: skip
DAYS = np.array([0.0, 3.0, 10.0, 30.0, 90.0])
OWN = np.nan
"""No lapse of the product's own: that of everybody."""


def parameters(state):
    odds = state["lapse"] / (1 - state["lapse"])
    logs = [np.log(state[name]) for name in ("between", "within", "spread")]
    return np.array([state["mean"], *logs, np.log(odds), np.log(state["firmness"])])


def pair(gaps=(), elapsed=10.0, scale=20.0, least=1, lapse=OWN):
    """One pair whose gaps (days) all had the same scale."""
    y = np.log(np.asarray(gaps, dtype=float) / scale)
    survived = max(len(y) - (least - 1), 0)
    values = (len(y), y.sum(), (y**2).sum(), elapsed, scale, survived, lapse)
    return Refills(*(np.array([float(v)]) for v in values))


def together(*pairs):
    return Refills(*(np.concatenate(v) for v in zip(*(vars(p).values() for p in pairs),
                                                    strict=True)))  # fmt: skip


def columns_of(refills):
    return np.stack([
        refills.repeats, refills.ln_sum, refills.ln_sumsq,
        refills.elapsed_days / refills.scale, refills.survived,
    ])  # fmt: skip


# ------------------------------------------------------------------ the model by quadrature
def slowly(state, gaps, elapsed, scale, survived, lapse=OWN):
    """(mass of stopped, mass of consuming that are silent at e): all three priors integrated.

    `mass` is joint with the gaps; ln(sigma_i) on a dense grid, mu_i and p_i by quadrature.
    """
    share = state["lapse"] if np.isnan(lapse) else lapse
    alpha, beta = share * state["firmness"], (1 - share) * state["firmness"]
    norm = 1 / np.exp(stats.beta(alpha, beta).logpdf(0.5) - (alpha + beta - 2) * np.log(0.5))

    def of_lapse(power, stops):
        """E[(1 - p)^power p^stops] over p ~ Beta."""
        exponents = (alpha - 1 + stops, beta - 1 + power)
        return integrate.quad(lambda p: 1.0, 0, 1, weight="alg", wvar=exponents)[0] / norm

    logs = np.log(np.asarray(gaps, dtype=float) / scale)
    wait = np.log(np.asarray(elapsed) / scale)
    z = np.linspace(-6, 6, 61)
    weight = stats.norm.pdf(z) / stats.norm.pdf(z).sum()
    closed, silent = 0.0, np.zeros(np.shape(wait))
    m, b = state["mean"], state["between"]
    for at, w in zip(z, weight, strict=True):
        sigma = state["within"] * np.exp(state["spread"] * at)

        def joint(mu, sigma=sigma):
            prior = np.exp(-0.5 * ((mu - m) / b) ** 2) / (b * np.sqrt(2 * np.pi))
            each = np.exp(-0.5 * ((logs - mu) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
            longer = stats.norm._sf((wait - mu) / sigma)
            return prior * np.prod(each) * np.append(1.0, longer)

        # the peak of the integrand, so that no quadrature steps over it
        precision = 1 / b**2 + len(logs) / sigma**2
        centre = (m / b**2 + logs.sum() / sigma**2) / precision
        reach = 9 / np.sqrt(precision)
        found = integrate.quad_vec(joint, centre - reach, centre + reach, epsrel=1e-9)[0]
        closed += w * found[0]
        silent = silent + w * found[1:]
    return closed * of_lapse(survived, 1), silent * of_lapse(survived + 1, 0)


CASES = {
    "bought once": ((), 12.0),
    "bought twice": ((20.0,), 5.0),
    "regular": ((10.0, 11.0, 9.5, 10.2), 9.0),
    "irregular": ((3.0, 60.0, 9.0), 100.0),
    "regular and overdue": ((18.0, 22.0, 20.0, 19.0, 21.0), 70.0),
}
each_case = pytest.mark.parametrize(("gaps", "elapsed"), CASES.values(), ids=CASES)


@each_case
@pytest.mark.parametrize("least", [1, 2])
def test_the_likelihood_is_the_integral_of_the_model(gaps, elapsed, least):
    one = pair(gaps, elapsed, least=least)
    stopped, silent = slowly(STATE, gaps, [elapsed], 20.0, one.survived[0])
    value, _ = likelihood(parameters(STATE), columns_of(one), np.ones(1))
    assert value == pytest.approx(np.log(stopped + silent[0]), abs=1e-4)


@each_case
def test_survival_and_lapse_are_ratios_of_integrals(gaps, elapsed):
    for lapse in (OWN, 0.4):
        one = pair(gaps, elapsed, lapse=lapse)
        stopped, silent = slowly(STATE, gaps, elapsed + DAYS, 20.0, one.survived[0], lapse)
        everybody, consuming = renewals.survival(STATE, one, DAYS)
        assert consuming[0] == pytest.approx(silent / silent[0], abs=1e-4)
        assert everybody[0] == pytest.approx((stopped + silent) / (stopped + silent[0]), abs=1e-4)
        said = renewals.lapsed(STATE, one)[0]
        assert said == pytest.approx(stopped / (stopped + silent[0]), abs=1e-4)


def test_the_gradient_agrees_with_finite_differences():
    cases = together(*(pair(*case, least=least) for case in CASES.values() for least in (1, 2)))
    weight = np.arange(1.0, len(cases) + 1)
    columns, step = columns_of(cases), 1e-5 * np.eye(6)
    for seed in range(5):
        at = parameters(STATE) + np.random.default_rng(seed).normal(0, 0.5, 6)
        _, gradient = likelihood(at, columns, weight)
        ahead, back = ([likelihood(at + s * one, columns, weight)[0] for one in step]
                       for s in (1, -1))  # fmt: skip
        assert gradient == pytest.approx((np.array(ahead) - back) / 2e-5, rel=1e-6, abs=1e-6)


def test_the_gradient_is_the_slope_of_the_integral():
    """In every parameter by its own name: a swap of two columns would show."""
    gaps, elapsed = CASES["irregular"]
    one = pair(gaps, elapsed)
    _, gradient = likelihood(parameters(STATE), columns_of(one), np.ones(1))

    def integral(**changed):
        stopped, silent = slowly(STATE | changed, gaps, [elapsed], 20.0, one.survived[0])
        return np.log(stopped + silent[0])

    slopes = []
    for name, value in STATE.items():
        h = 1e-3
        # d value / d parameter: 1 for the mean, itself for logs, p (1 - p) for log odds
        by = {"mean": 1.0, "lapse": value * (1 - value)}.get(name, value)
        ahead, back = (integral(**{name: value + s * h * by}) for s in (1, -1))
        slopes.append((ahead - back) / (2 * h))
    assert gradient == pytest.approx(slopes, abs=2e-4)


# ------------------------------------------------------------------ pairs made by the model
@cache
def simulated(pairs, seed, end=500.0):
    """Pairs whose purchases follow STATE: what is known at day `end`, who has stopped, and when
    those who have not buy next (days after `end`).
    """
    draw = np.random.default_rng(seed)
    mu = draw.normal(STATE["mean"], STATE["between"], pairs)
    sigma = STATE["within"] * np.exp(STATE["spread"] * draw.normal(size=pairs))
    f, lapse = STATE["firmness"], STATE["lapse"]
    p = draw.beta(lapse * f, (1 - lapse) * f, pairs)
    scale = np.exp(draw.normal(3.0, 0.4, pairs))
    at = draw.uniform(0, 0.98 * end, pairs)
    repeats, total, squares = np.zeros((3, pairs))
    next_at = np.full(pairs, np.inf)
    stopped = draw.random(pairs) < p
    going = ~stopped
    while going.any():
        y = draw.normal(mu, sigma)
        later = at + scale * np.exp(y)
        open_ = going & (later > end)
        next_at[open_] = later[open_]
        closed = going & ~open_
        repeats += closed
        total += np.where(closed, y, 0.0)
        squares += np.where(closed, y**2, 0.0)
        at = np.where(closed, later, at)
        gone = closed & (draw.random(pairs) < p)
        stopped |= gone
        going = closed & ~gone
    refills = Refills(repeats, total, squares, end - at, scale, repeats.copy(), np.full(pairs, OWN))
    return refills, stopped, next_at - end


def test_parameters_are_recovered():
    refills, stopped, _ = simulated(8_000, 1)
    assert 0.2 < stopped.mean() < 0.9
    found = renewals.fit(refills)
    tolerance = {"mean": 0.03, "between": 0.03, "within": 0.02, "spread": 0.06, "lapse": 0.012,
                 "firmness": 1.0}  # fmt: skip
    for name, most in tolerance.items():
        assert found[name] == pytest.approx(STATE[name], abs=most), name
    assert found["pairs"] == 8_000
    value, _ = likelihood(parameters(found), columns_of(refills), np.ones(8_000))
    assert found["log_likelihood"] == pytest.approx(value, rel=1e-9)
    truth, _ = likelihood(parameters(STATE), columns_of(refills), np.ones(8_000))
    assert truth < value < truth + 15  # six parameters: half a chi-squared of six


def test_survival_and_lapse_are_shares_in_every_class_of_pairs():
    refills, stopped, wait = simulated(20_000, 2)
    lapsed = renewals.lapsed(STATE, refills)
    (everybody, consuming) = (s[:, 0] for s in renewals.survival(STATE, refills, [14.0]))
    waited = refills.elapsed_days / refills.scale
    for lowest, highest in [(0, 0), (1, 3), (4, np.inf)]:
        for short, long in [(0, 1), (1, 2), (2, 4), (4, np.inf)]:
            rows = (refills.repeats >= lowest) & (refills.repeats <= highest)
            rows &= (waited > short) & (waited <= long)
            assert rows.sum() > 100
            for said, true, of in [
                (lapsed, stopped, rows), (everybody, wait > 14, rows),
                (consuming, wait > 14, rows & ~stopped),
            ]:  # fmt: skip
                noise = np.sqrt((said[of] * (1 - said[of])).sum()) / max(of.sum(), 1)
                assert of.sum() > 10
                assert abs(said[of].mean() - true[of].mean()) < 4 * noise + 1e-3


def test_the_lapse_of_the_product_takes_the_place_of_everybody_s():
    base = pair((20.0,), 40.0)
    same = replace(base, lapse=np.array([STATE["lapse"]]))
    more = replace(base, lapse=np.array([0.5]))
    told = [renewals.lapsed(STATE, p)[0] for p in (base, same, more)]
    assert told[0] == told[1] < told[2]
    curves = [renewals.survival(STATE, p, DAYS) for p in (base, more)]
    assert (curves[0][0][0, 1:] < curves[1][0][0, 1:]).all()
    np.testing.assert_array_equal(curves[0][1], curves[1][1])


# ------------------------------------------------------------------ what always holds
def test_survival_begins_at_one_never_rises_and_is_lower_for_those_who_consume():
    refills, _, _ = simulated(500, 3)
    far = replace(refills, elapsed_days=np.full(500, 5_000.0))
    for some in (refills, far, replace(refills, lapse=np.linspace(0.001, 0.9, 500))):
        everybody, consuming = renewals.survival(STATE, some, np.linspace(0, 365, 74))
        for curve in (everybody, consuming):
            assert np.isfinite(curve).all()
            assert (curve[:, 0] == 1).all()
            assert (np.diff(curve, axis=1) <= 0).all()
            assert (curve > 0).all()
        assert (everybody >= consuming).all()
        assert (everybody > consuming)[:, -1].mean() > 0.9


def test_lapse_is_a_probability_that_rises_with_silence_from_the_prior_to_one():
    for gaps in ((), (20.0,), (20.0, 19.0, 22.0, 18.0)):
        silence = np.array([1e-6, 5.0, 20.0, 40.0, 80.0, 300.0, 1e6])
        told = [renewals.lapsed(STATE, pair(gaps, day))[0] for day in silence]
        f = STATE["firmness"]
        assert told[0] == pytest.approx(STATE["lapse"] * f / (f + len(gaps)), abs=1e-6)
        assert (np.diff(told) > 0).all()
        assert told[-1] == pytest.approx(1, abs=1e-6)


def test_another_unit_of_time_changes_nothing_but_time():
    refills, _, _ = simulated(2_000, 4)
    times = 4.0  # a power of 2, so that not even rounding differs
    slow = replace(refills, elapsed_days=times * refills.elapsed_days, scale=times * refills.scale)
    assert renewals.fit(slow) == renewals.fit(refills)
    for one, other in zip(renewals.survival(STATE, refills, DAYS),
                          renewals.survival(STATE, slow, times * DAYS), strict=True):  # fmt: skip
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(renewals.lapsed(STATE, refills), renewals.lapsed(STATE, slow))
    moved = renewals.place(STATE, slow) - renewals.place(STATE, refills)
    np.testing.assert_allclose(moved, [[np.log(times), 0.0]] * 2_000, atol=1e-12)


def test_without_lapse_it_is_the_process_of_gaps():
    draw = np.random.default_rng(0)
    gaps = [draw.lognormal(3, 0.5, n) for n in (0, 1, 4, 9)]
    never = STATE | {"mean": 3.0, "lapse": 1e-12}
    for some in gaps:
        days = np.concatenate([[0.0], np.cumsum(some)])
        plain = Histories.from_purchases(np.zeros(len(days)), days, days[-1] + 30.0)
        one = pair(some, 30.0, scale=1.0)
        everybody, consuming = renewals.survival(never, one, DAYS)
        expected = GAPS.survival(never, plain, DAYS)
        np.testing.assert_allclose(everybody, expected, rtol=1e-8)
        np.testing.assert_allclose(consuming, expected, rtol=1e-8)
        value, gradient = likelihood(parameters(never), columns_of(one), np.ones(1))
        same, slope = gaps_likelihood(parameters(never)[:4], columns_of(one)[:4], np.ones(1))
        assert value == pytest.approx(same, abs=1e-8)
        assert gradient[:4] == pytest.approx(slope, abs=1e-6)


def test_many_pairs_are_worked_on_in_parts_that_do_not_show(monkeypatch):
    refills, _, _ = simulated(300, 5)
    whole = (*renewals.survival(STATE, refills, DAYS), renewals.lapsed(STATE, refills))
    monkeypatch.setattr(renewals, "_CELLS", 7 * len(DAYS) * len(GRID))
    parts = (*renewals.survival(STATE, refills, DAYS), renewals.lapsed(STATE, refills))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_too_few_that_came_back_are_refused_with_what_to_do():
    few = together(*[pair((20.0,), 5.0)] * 19, *[pair((), 5.0)] * 500)
    with pytest.raises(NotTrainableError, match=r"^19 pairs .* bought again, 20 are needed; load a "
                       r"longer history, or set target\.product to a category$"):  # fmt: skip
        renewals.fit(few)
