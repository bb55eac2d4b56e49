import numpy as np
import pytest
from scipy import stats

from ppi_ml.models.gaps import GAPS, gaps_likelihood
from ppi_ml.models.histories import Histories

STATE = {"mean": 3.0, "between": 0.6, "within": 0.5, "spread": 0.4}
PARAMETERS = np.array([3.0, *np.log([0.6, 0.5, 0.4])])


def history(gaps, elapsed):
    days = np.concatenate([[0.0], np.cumsum(gaps)])
    return Histories.from_purchases(np.zeros(len(days)), days, days[-1] + elapsed)


def columns_of(histories):
    return np.stack([
        histories.repeats, histories.gap_log_sum, histories.gap_log_sumsq, histories.elapsed_days
    ])  # fmt: skip


def brute_force(gaps, elapsed, days):
    """(likelihood, survival) on a dense grid of mu and sigma, one density per gap."""
    mu = np.linspace(3.0 - 6 * 0.6, 3.0 + 6 * 0.6, 1201)[:, None]
    z = np.linspace(-5, 5, 801)[None, :]
    sigma = 0.5 * np.exp(0.4 * z)
    prior = stats.norm.pdf(mu, 3.0, 0.6) * stats.norm.pdf(z)
    prior = prior / prior.sum()
    for gap in gaps:
        prior = prior * stats.norm.pdf(np.log(gap), mu, sigma)

    def longer(gap):
        return (prior * stats.norm.sf(np.log(gap), mu, sigma)).sum()

    return longer(elapsed), [longer(elapsed + day) / longer(elapsed) for day in days]


@pytest.mark.parametrize(
    ("gaps", "elapsed"),
    [([], 12.0), ([20.0], 5.0), ([10.0, 11.0, 9.5, 10.2], 9.0), ([3.0, 60.0, 9.0], 100.0)],
)
def test_agrees_with_a_dense_grid_over_mean_and_spread(gaps, elapsed):
    likelihood, survival = brute_force(gaps, elapsed, [7.0, 30.0, 180.0])
    one = history(gaps, elapsed)
    value, _ = gaps_likelihood(PARAMETERS, columns_of(one), np.ones(1))
    assert value == pytest.approx(np.log(likelihood), abs=2e-4)
    ours = GAPS.survival(STATE, one, [7.0, 30.0, 180.0])[0]
    assert ours == pytest.approx(survival, abs=2e-4)


def test_gradient_agrees_with_finite_differences():
    cases = [history([], 12.0), history([20.0], 5.0), history([3.0, 60.0, 9.0], 100.0)]
    columns = np.concatenate([columns_of(case) for case in cases], axis=1)
    weight = np.array([5.0, 2.0, 1.0])
    step = 1e-5 * np.eye(4)
    for seed in range(5):
        at = PARAMETERS + np.random.default_rng(seed).normal(0, 0.5, 4)
        _, gradient = gaps_likelihood(at, columns, weight)
        numeric = [
            (gaps_likelihood(at + one, columns, weight)[0]
             - gaps_likelihood(at - one, columns, weight)[0]) / 2e-5
            for one in step
        ]  # fmt: skip
        assert gradient == pytest.approx(numeric, rel=1e-6, abs=1e-6)


def simulate(customers, end, horizon, seed):
    """Customers whose gaps follow STATE; histories at day `end`, and who bought soon after."""
    draw = np.random.default_rng(seed)
    mu = draw.normal(STATE["mean"], STATE["between"], customers)
    sigma = STATE["within"] * np.exp(STATE["spread"] * draw.normal(size=customers))
    at = draw.uniform(0, 0.99 * end, customers)
    owners, days, active = [np.arange(customers)], [at], np.ones(customers, bool)
    while active.any():
        at = at + np.exp(draw.normal(mu, sigma))
        active &= at < end + horizon
        owners.append(np.flatnonzero(active))
        days.append(at[active])
    owner, day = np.concatenate(owners), np.concatenate(days)
    past = day < end
    bought = np.bincount(owner[~past], minlength=customers) > 0
    return Histories.from_purchases(owner[past], day[past], end), bought


def test_known_parameters_are_recovered_although_the_long_gaps_are_open():
    histories, _ = simulate(4_000, 200.0, 0.0, seed=3)
    state = GAPS.fit(histories)
    for key, tolerance in [("mean", 0.05), ("between", 0.05), ("within", 0.03), ("spread", 0.06)]:
        assert state[key] == pytest.approx(STATE[key], abs=tolerance), key
    closed_only = histories.gap_log_sum.sum() / histories.repeats.sum()
    assert closed_only < STATE["mean"] - 0.2  # what the open gaps put right


def test_survival_is_the_share_that_does_not_buy_in_every_class():
    histories, bought = simulate(20_000, 200.0, 14.0, seed=4)
    predicted = GAPS.survival(STATE, histories, [14.0])[:, 0]
    long = histories.elapsed_days > 15
    for lowest, highest in [(0, 0), (1, 3), (4, 9), (10, np.inf)]:
        for waited in (long, ~long):
            rows = waited & (histories.repeats >= lowest) & (histories.repeats <= highest)
            assert rows.sum() > 100
            noise = np.sqrt((predicted[rows] * (1 - predicted[rows])).sum()) / rows.sum()
            assert abs(predicted[rows].mean() - (~bought[rows]).mean()) < 4 * noise


def test_one_time_buyers_get_the_gap_of_the_population():
    same_regularity = STATE | {"spread": 1e-9}
    sd = np.hypot(STATE["between"], STATE["within"])
    gap = stats.norm(STATE["mean"], sd)
    expected = gap.sf(np.log(40.0)) / gap.sf(np.log(10.0))
    ours = GAPS.survival(same_regularity, history([], 10.0), [30.0])[0, 0]
    assert ours == pytest.approx(expected, rel=1e-9)


def test_a_regular_customer_who_is_due_is_told_from_an_irregular_one():
    regular = GAPS.survival(STATE, history([10.0, 10.5, 9.5, 10.0, 10.2, 9.9], 9.0), [5.0])
    irregular = GAPS.survival(STATE, history([2.0, 40.0, 5.0, 25.0, 3.0, 33.0], 9.0), [5.0])
    assert regular[0, 0] < 0.3 < irregular[0, 0]


def test_the_far_tail_stays_a_curve():
    """Ten gaps of one day, then eight years of silence: P(gap > e) underflows, the ratio not."""
    state = STATE | {"within": 0.02, "between": 0.01, "spread": 0.01}
    far = history(np.ones(10), 3_000.0)
    survival = GAPS.survival(state, far, [0.0, 1.0, 30.0, 365.0])[0]
    assert np.isfinite(survival).all()
    assert survival[0] == 1.0
    assert (np.diff(survival) < 0).all()
