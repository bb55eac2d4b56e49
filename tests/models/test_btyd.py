import os
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import gammaln, hyp2f1

from ppi_ml.models.btyd import (
    BG_NBD,
    MBG_NBD,
    PARETO_NBD,
    Sample,
    beta_geometric_likelihood,
    log_quadrature,
    pareto_likelihood,
)
from ppi_ml.models.histories import Histories

# (x, t_x, T): bought once; bought often and lately; often and long ago; once more; every day
CASES = [(0, 0.0, 30.0), (5, 40.0, 45.0), (5, 20.0, 45.0), (1, 3.0, 200.0), (40, 44.0, 45.0)]
BETA_GEOMETRIC = {"r": 0.6, "alpha": 20.0, "a": 0.9, "b": 2.4}
PARETO = {"r": 0.6, "alpha": 20.0, "s": 0.7, "beta": 30.0}
FORMULAS = {
    "bg_nbd": partial(beta_geometric_likelihood, early_exit=False),
    "mbg_nbd": partial(beta_geometric_likelihood, early_exit=True),
    "pareto_nbd": pareto_likelihood,
}
PROCESSES = {process.name: process for process in (BG_NBD, MBG_NBD, PARETO_NBD)}


def histories_of(cases):
    """Gap sums are of no use to these models: equal gaps."""
    x, last, age = np.array(cases, dtype=float).T
    mean = np.log(np.where(x > 0, last, 1.0) / np.maximum(x, 1.0))
    return Histories(x, last, age, x * mean, x * mean**2)


def sample_of(cases):
    x, last, age = np.array(cases, dtype=float).T
    return Sample(x, last, age, np.ones(len(x)), 1.0)


def expectation(density, function, points):
    return quad(lambda at: density(at) * function(at), 0, points[-1], points=points, limit=500)[0]


def brute_force(case, state, chances_at_birth, t):
    """(likelihood, survival) by integrating over lambda and p, without any closed form."""
    x, last, age = case
    rate = stats.gamma(state["r"], scale=1 / state["alpha"])
    leave = stats.beta(state["a"], state["b"])
    chances = x + chances_at_birth
    grid = rate.ppf([1e-6, 0.1, 0.5, 0.9, 1 - 1e-12]).tolist()

    def bought(until):
        return expectation(rate.pdf, lambda lam: lam**x * np.exp(-lam * until), grid)

    def choice(function):
        return quad(lambda p: leave.pdf(p) * function(p), 0, 1, limit=500)[0]

    stay = choice(lambda p: (1 - p) ** chances)
    left = choice(lambda p: p * (1 - p) ** (chances - 1)) if chances else 0.0
    gone = left * bought(last)
    likelihood = stay * bought(age) + gone
    return likelihood, (stay * bought(age + t) + gone) / likelihood


@pytest.mark.parametrize("case", CASES[:4])
@pytest.mark.parametrize(("process", "early"), [(BG_NBD, 0), (MBG_NBD, 1)])
def test_beta_geometric_agrees_with_integration_over_rate_and_choice(case, process, early):
    likelihood, survival = brute_force(case, BETA_GEOMETRIC, early, 60.0)
    at = np.log(list(BETA_GEOMETRIC.values()))
    value, _ = beta_geometric_likelihood(at, sample_of([case]), bool(early))
    assert value == pytest.approx(np.log(likelihood), abs=1e-5)
    ours = process.survival(BETA_GEOMETRIC, histories_of([case]), [60.0])[0, 0]
    assert ours == pytest.approx(survival, abs=1e-5)


def hypergeometric_likelihood(case, state):
    """The closed form of Fader and Hardie's note, for alpha >= beta and for beta > alpha."""
    x, last, age = case
    r, alpha, s, beta = state.values()
    low, second = (alpha, s + 1) if alpha >= beta else (beta, r + x)
    total = r + s + x

    def part(until):
        z = abs(alpha - beta) / (low + until)
        return hyp2f1(total, second, total + 1, z) / (low + until) ** total

    alive = 1 / ((alpha + age) ** (r + x) * (beta + age) ** s)
    level = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    return level + np.log(alive + s / total * (part(last) - part(age)))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("beta", [4.0, 19.0, 30.0, 90.0])
def test_pareto_likelihood_agrees_with_the_hypergeometric_form(case, beta):
    state = PARETO | {"beta": beta}
    value, _ = pareto_likelihood(np.log(list(state.values())), sample_of([case]))
    assert value == pytest.approx(hypergeometric_likelihood(case, state), abs=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_pareto_survival_agrees_with_integration_over_the_death_time(case):
    x, last, age = case
    r, alpha, s, beta = PARETO.values()
    t = 60.0

    def silent(until):  # E[lambda^x exp(-lambda until)], up to a constant
        return ((alpha + last) / (alpha + until)) ** (r + x)

    def dies(at):
        return s * beta**s / (beta + at) ** (s + 1)

    def integral(start, end):
        return quad(lambda at: silent(at) * dies(at), start, end, epsabs=0, limit=200)[0]

    def survives(until):
        return silent(until) * (beta / (beta + until)) ** s

    likelihood = survives(age) + integral(last, age)
    silence = survives(age + t) + integral(last, age) + integral(age, age + t)
    ours = PARETO_NBD.survival(PARETO, histories_of([case]), [1.0, t])[0, 1]
    assert ours == pytest.approx(silence / likelihood, abs=1e-9)


def test_quadrature_holds_where_hypergeometric_functions_overflow():
    alpha, beta, power = 1e-3, 50.0, 3000.0
    _, terms = log_quadrature(
        np.array([2.0]), np.array([400.0]),
        (np.array([alpha]), np.array([power])), (np.array([beta]), np.array([1.5])),
    )  # fmt: skip
    # Scaled by its value at the start, the integrand can be integrated directly.
    scaled, _ = quad(
        lambda z: np.exp(-power * np.log1p((z - 2) / (2 + alpha)) - 1.5 * np.log(beta + z)),
        2.0, 2.1, epsabs=0, limit=200,
    )  # fmt: skip
    value = np.logaddexp.reduce(terms[0]) + power * np.log(2 + alpha)
    assert value == pytest.approx(np.log(scaled), abs=1e-8)


@pytest.mark.parametrize("name", FORMULAS)
def test_gradients_agree_with_finite_differences(name):
    sample = sample_of(CASES)
    for seed in range(5):
        at = np.random.default_rng(seed).normal(0.5, 1.0, 4)
        _, gradient = FORMULAS[name](at, sample)
        step = 1e-5 * np.eye(4)
        numeric = [
            (FORMULAS[name](at + one, sample)[0] - FORMULAS[name](at - one, sample)[0]) / 2e-5
            for one in step
        ]
        assert gradient == pytest.approx(numeric, rel=1e-6, abs=1e-6)


def simulate(name, state, customers, horizon, seed):
    """Histories at a cutoff, and whether each customer bought within the horizon after it."""
    draw = np.random.default_rng(seed)
    values = list(state.values())
    age = draw.uniform(20, 300, customers)
    rate = draw.gamma(values[0], 1 / values[1], customers)
    death = np.full(customers, np.inf)
    leave = np.zeros(customers)
    if name == "pareto_nbd":
        death = draw.exponential(1 / draw.gamma(values[2], 1 / values[3], customers))
    else:
        leave = draw.beta(values[2], values[3], customers)
    active = np.ones(customers, bool)
    if name == "mbg_nbd":
        active = draw.random(customers) > leave
    at, owners, days = np.zeros(customers), [np.arange(customers)], [np.zeros(customers)]
    while active.any():
        at = at + draw.exponential(1 / np.maximum(rate, 1e-12))
        active &= (at < age + horizon) & (at < death)
        owners.append(np.flatnonzero(active))
        days.append(at[active])
        active &= draw.random(customers) > leave
    owner, day = np.concatenate(owners), np.concatenate(days)
    past = day < age[owner]
    histories = Histories.from_purchases(owner[past], day[past], age)
    return histories, np.bincount(owner[~past], minlength=customers) > 0


def standard_errors(formula, state, sample):
    """From the observed information: differences of the (tested) gradient at the maximum."""
    at = np.log([state[key] for key in list(state)[:4]])
    step = 1e-4 * np.eye(4)
    hessian = [(formula(at + one, sample)[1] - formula(at - one, sample)[1]) / 2e-4 for one in step]
    return np.sqrt(np.diag(np.linalg.inv(-np.array(hessian))))


@pytest.mark.parametrize("name", FORMULAS)
def test_known_parameters_are_recovered(name):
    truth = PARETO if name == "pareto_nbd" else BETA_GEOMETRIC
    histories, _ = simulate(name, truth, 8_000, 0.0, seed=11)
    state = PROCESSES[name].fit(histories)
    in_days = Sample(
        histories.repeats, histories.last_days, histories.age_days, np.ones(len(histories)), 1.0
    )
    errors = standard_errors(FORMULAS[name], state, in_days)
    away = np.log([state[key] / truth[key] for key in truth]) / errors
    assert np.abs(away).max() < 4.0
    assert errors.max() < 0.3
    value, _ = FORMULAS[name](np.log([state[key] for key in truth]), in_days)
    assert state["log_likelihood"] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("name", FORMULAS)
def test_survival_is_the_share_that_does_not_buy_in_every_class(name):
    """One-time buyers included, whose P(alive) is 1 under BG/NBD."""
    truth = PARETO if name == "pareto_nbd" else BETA_GEOMETRIC
    histories, bought = simulate(name, truth, 40_000, 90.0, seed=5)
    predicted = PROCESSES[name].survival(truth, histories, [90.0])[:, 0]
    late = histories.elapsed_days > 50
    for lowest, highest in [(0, 0), (1, 1), (2, 4), (5, np.inf)]:
        for recency in (late, ~late):
            rows = recency & (histories.repeats >= lowest) & (histories.repeats <= highest)
            assert rows.sum() > 100
            noise = np.sqrt((predicted[rows] * (1 - predicted[rows])).sum()) / rows.sum()
            assert abs(predicted[rows].mean() - (~bought[rows]).mean()) < 4 * noise


def test_one_time_buyers_grow_quieter_the_longer_they_wait():
    cases = [(0, 0.0, age) for age in (1.0, 30.0, 90.0, 365.0)]
    survival = BG_NBD.survival(BETA_GEOMETRIC, histories_of(cases), [90.0])[:, 0]
    assert (np.diff(survival) > 0).all()


# In weeks. BG/NBD: Fader, Hardie, Lee (2005); Pareto/NBD: Fader, Hardie (2005); MBG/NBD: BTYDplus
# (its log-likelihood is not published; BG/NBD fits worse, Pareto/NBD worse still).
PUBLISHED = {
    "bg_nbd": ({"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, -9582.4),
    "pareto_nbd": ({"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}, -9595.0),
    "mbg_nbd": ({"r": 0.525, "alpha": 6.183, "a": 0.891, "b": 1.614}, None),
}


@pytest.mark.real
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cdnow_estimates(name):
    root = os.environ.get("PPI_ML_DATA")
    if not root:
        pytest.skip("PPI_ML_DATA is unset: the CDNOW sample is not part of the repository")
    orders = pl.read_parquet(Path(root) / "cdnow" / "cdnow_sample.parquet").filter(
        pl.col("date") <= datetime(1997, 9, 30)
    )
    day = (orders["date"] - datetime(1997, 1, 1)).dt.total_days().to_numpy()
    codes = orders["customer_id"].rank("dense").to_numpy() - 1
    # The published histories end with the last purchase day itself, hence the hair after day 272.
    histories = Histories.from_purchases(codes, day / 7, (272 + 1e-6) / 7)
    assert len(histories) == 2357
    state = PROCESSES[name].fit(histories)
    parameters, log_likelihood = PUBLISHED[name]
    assert {key: round(state[key], 3) for key in parameters} == parameters
    if log_likelihood is not None:
        assert round(state["log_likelihood"], 1) == log_likelihood
