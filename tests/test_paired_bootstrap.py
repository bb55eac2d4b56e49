"""Whether the intervals can be believed: against a plain loop, and under the null."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.backtests import PLANTED, headline, shop, with_curves

from ppi_ml import curve_metrics, metrics
from ppi_ml.evaluation import judge
from ppi_ml.paired_bootstrap import MIN_CUSTOMERS, intervals, paired

METRICS = pytest.mark.parametrize("metric", ["log_loss", "ibs"])


def losses_of(backtest):
    """The loss of every row, by model, from the definitions."""
    if backtest.metric == "log_loss":
        churned = ~backtest.event
        return {n: metrics.log_losses(churned, s[:, -1]) for n, s in backtest.predictions.items()}
    seen = (backtest.days, backtest.observed, backtest.grid)
    return {
        name: curve_metrics.integrated_brier_losses(*seen, survival)
        for name, survival in backtest.predictions.items()
    }


@METRICS
def test_intervals_equal_a_plain_loop_over_the_same_draws(metric):
    backtest = shop(PLANTED, metric=metric, customers=40, cutoffs=3, seed=4)
    rows = headline(judge(backtest, seed=9, draws=100))
    losses = losses_of(backtest)
    means = {name: [] for name in losses}
    for weights in np.vstack(list(metrics.resampling_weights(40, 100, seed=9))):
        copies = [
            row
            for row in range(len(backtest.days))
            for _ in range(int(weights[backtest.customer[row]]))
            if backtest.eligible[row]
        ]
        for name in losses:
            means[name].append(sum(losses[name][row] for row in copies) / len(copies))
    low, high = np.quantile(means["model"], [0.025, 0.975])
    assert (rows["model"].low, rows["model"].high) == pytest.approx((low, high), rel=1e-5)
    apart = {name: np.subtract(means["model"], means[name]) for name in ("rule", "rival")}
    error = {name: np.std(values, ddof=1) for name, values in apart.items()}
    largest = np.max([abs(apart[n] - rows[n].difference) / error[n] for n in apart], axis=0)
    for name in apart:
        half = np.quantile(largest, 0.95) * error[name]
        assert rows[name].difference_high - rows[name].difference == pytest.approx(half, rel=1e-4)


def test_rows_of_one_customer_are_not_independent_evidence():
    backtest = shop(PLANTED, customers=200, cutoffs=1)
    width = [
        row.difference_high - row.difference_low
        for copies in (1, 6)
        for row in [headline(judge(backtest.take(np.tile(np.arange(200), copies)), seed=1))["rule"]]
    ]
    assert width[0] == pytest.approx(width[1], rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1), st.floats(0.01, 0.99))
def test_one_more_baseline_widens_and_a_worse_one_never_turns_better_to_worse(seed, blur, level):
    backtest = shop((("model", 0.2), ("rule", blur)), customers=80, seed=seed)
    before = judge(backtest, seed=1, draws=100)
    more = with_curves(backtest, constant=np.full((len(backtest.days), 1), level))
    after = judge(more, seed=1, draws=100)
    assert headline(after)["rule"].difference_low <= headline(before)["rule"].difference_low + 1e-9
    assert (
        headline(after)["rule"].difference_high >= headline(before)["rule"].difference_high - 1e-9
    )
    cutoffs = ("pooled", "2011-01-01", "2011-02-01")
    added = [headline(after, cutoff=cutoff)["constant"] for cutoff in cutoffs]
    if before.verdict.status == "better" and all(row.difference < 0 for row in added):
        assert after.verdict.status in ("better", "level")


def test_under_the_null_all_intervals_hold_at_once_in_about_95_percent():
    noise = tuple((name, 0.5) for name in ("model", "a", "b", "c", "d"))
    held = 0
    for seed in range(150):
        rows = headline(judge(shop(noise, customers=200, seed=seed), seed=seed, draws=200))
        rivals = [rows[name] for name in "abcd"]
        held += all(row.difference_low <= 0 <= row.difference_high for row in rivals)
    assert 0.90 <= held / 150 <= 0.99


def test_too_few_customers_on_a_part_have_no_interval_and_leave_the_others_theirs():
    customers = np.arange(100)
    few = customers < MIN_CUSTOMERS - 1
    losses = paired(np.linspace(0, 1, 100), [np.linspace(0.2, 1, 100)])
    small, large = intervals(customers, losses, [few, ~few], seed=0, draws=100)
    assert np.isnan(small.own).all() and np.isnan(small.difference).all()
    assert np.isfinite(large.own).all() and np.isfinite(large.difference).all()
    assert MIN_CUSTOMERS == 30
