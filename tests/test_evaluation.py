"""The judge: who wins, who loses, and whether its intervals can be believed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppi_ml import evaluation, metrics
from ppi_ml.errors import UsageError
from ppi_ml.evaluation import MIN_CUSTOMERS, Backtest, judge


def shop(noise, *, customers=300, cutoffs=2, seed=0, eligible=0.7, untrainable=None):
    """A backtest whose predictions are the truth blurred by the given noise (log-odds)."""
    random = np.random.default_rng(seed)
    n = customers * cutoffs
    habit = np.repeat(random.normal(size=customers), cutoffs) + random.normal(size=n) / 2
    event = random.random(n) > sigmoid(habit)
    predictions = {name: sigmoid(habit + size * random.normal(size=n)) for name, size in noise}
    return Backtest(
        customer=np.repeat(np.arange(customers), cutoffs),
        cutoff=np.tile([f"2011-{month:02}-01" for month in range(1, cutoffs + 1)], customers),
        eligible=random.random(n) < eligible,
        event=event,
        predictions=predictions,
        untrainable=untrainable or {},
        horizon_days=90,
        asked_days=90,
    )


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def headline(scorecard, segment="eligible", cutoff="pooled"):
    return {
        row.model: row
        for row in scorecard.rows
        if (row.metric, row.segment, row.cutoff) == ("log_loss", segment, cutoff)
    }


PLANTED = (("model", 0.1), ("rule", 1.0), ("rival", 0.8))


def test_a_planted_win_is_found():
    scorecard = judge(shop(PLANTED), seed=1)
    verdict = scorecard.verdict
    assert (verdict.status, verdict.metric, verdict.baseline) == ("better", "log_loss", "rival")
    assert verdict.low < verdict.difference < verdict.high < 0
    assert "beats every baseline; closest is rival with" in verdict.text
    rows = headline(scorecard)["rival"]
    assert (rows.difference, rows.difference_low) == (verdict.difference, verdict.low)
    assert f"{rows.n:,} rows at 2 cutoffs" in verdict.text


def test_a_planted_loss_names_the_best_baseline_lost_to():
    noise = (("model", 1.5), ("rule", 0.5), ("rival", 0.1), ("worst", 3.0))
    verdict = judge(shop(noise), seed=1).verdict
    assert (verdict.status, verdict.baseline) == ("worse", "rival")
    assert verdict.low > 0 and "loses to rival" in verdict.text


def test_shuffled_labels_never_win():
    backtest = shop((("model", 0.1),))
    event = np.random.default_rng(2).permutation(backtest.event)
    base = np.full(len(event), 1 - event.mean())
    backtest = replace(backtest, event=event, predictions={**backtest.predictions, "base": base})
    assert judge(backtest, seed=1).verdict.status == "worse"


def test_identical_predictions_are_level_with_zero_width():
    backtest = shop((("model", 0.5), ("bad", 2.0)))
    twin = backtest.predictions["model"].copy()
    backtest = replace(backtest, predictions={**backtest.predictions, "twin": twin})
    verdict = judge(backtest, seed=1).verdict
    assert (verdict.status, verdict.baseline) == ("level", "twin")
    assert (verdict.difference, verdict.low, verdict.high) == (0, 0, 0)
    assert "no better than twin, which is simpler" in verdict.text


def test_level_names_a_baseline_that_is_not_beaten():
    backtest = shop((("model", 0.3), ("close", 0.32), ("bad", 2.0)))
    scorecard = judge(backtest, seed=1)
    assert (scorecard.verdict.status, scorecard.verdict.baseline) == ("level", "close")
    assert headline(scorecard)["bad"].difference_high < 0


def test_a_bad_cutoff_is_worse_though_the_pooled_loss_is_better():
    backtest = shop((("model", 0.1), ("rule", 0.8)), customers=500, cutoffs=6)
    model, rule = (backtest.predictions[name].copy() for name in ("model", "rule"))
    for cutoff, shift in (("2011-02-01", 0.6), ("2011-03-01", 0.9)):
        at = backtest.cutoff == cutoff
        model[at] = sigmoid(np.log(rule[at] / (1 - rule[at])) + shift)
    backtest = replace(backtest, predictions={"model": model, "rule": rule})
    scorecard = judge(backtest, seed=1)
    assert headline(scorecard)["rule"].difference_high < 0
    slips = [headline(scorecard, cutoff=f"2011-0{m}-01")["rule"] for m in (2, 3)]
    assert 0.02 * slips[0].value < slips[0].difference < slips[1].difference
    assert (scorecard.verdict.status, scorecard.verdict.baseline) == ("worse", "rule")
    assert "at the cutoff 2011-03-01 log-loss is" in scorecard.verdict.text
    assert "more than the 2 % allowed" in scorecard.verdict.text
    assert scorecard.verdict.difference == headline(scorecard)["rule"].difference


def test_untrainable_baselines_are_rows_without_a_value():
    backtest = shop(PLANTED, untrainable={"pareto_nbd": "too few repeats"})
    scorecard = judge(backtest, seed=1)
    row = headline(scorecard)["pareto_nbd"]
    assert (row.value, row.difference, row.n) == (None, None, 0)
    assert "pareto_nbd was not trainable: too few repeats" in scorecard.notes
    assert scorecard.verdict.status == "better"
    assert "not trainable: pareto_nbd" in scorecard.verdict.text


def test_nothing_to_beat_is_unjudged():
    scorecard = judge(shop((("model", 0.1),), untrainable={"rule": "too short"}), seed=1)
    assert scorecard.verdict.status == "unjudged" and scorecard.verdict.baseline is None
    assert headline(scorecard)["model"].value > 0


def test_no_rows_no_eligible_rows_and_few_customers_are_unjudged():
    backtest = shop(PLANTED)
    assert judge(rows_of(backtest, slice(0)), seed=1).verdict.text == (
        "unjudged: there are no test rows"
    )
    nobody = judge(replace(backtest, eligible=np.zeros(600, dtype=bool)), seed=1)
    assert nobody.verdict.status == "unjudged"
    assert headline(nobody, "all")["rule"].difference < 0 and not headline(nobody)
    few = judge(rows_of(replace(backtest, eligible=np.ones(600, dtype=bool)), slice(58)), seed=1)
    assert few.verdict.text.startswith("unjudged: 29 eligible customers")
    assert few.rows[0].low is None and few.rows[0].value is not None
    assert MIN_CUSTOMERS == 30


def rows_of(backtest, index):
    return replace(
        backtest,
        customer=backtest.customer[index],
        cutoff=backtest.cutoff[index],
        eligible=backtest.eligible[index],
        event=backtest.event[index],
        predictions={name: values[index] for name, values in backtest.predictions.items()},
    )


def test_a_short_horizon_is_said():
    backtest = replace(shop(PLANTED), horizon_days=91, asked_days=273)
    scorecard = judge(backtest, seed=1)
    assert scorecard.verdict.text.endswith("judged at 91 of 273 days")
    assert "no purchase within 91 days instead of the 273" in scorecard.notes[0]
    assert "judged at" not in judge(shop(PLANTED), seed=1).verdict.text


def test_rows_hold_every_slice_and_metric_once():
    scorecard = judge(shop(PLANTED), seed=1)
    keys = [(row.cutoff, row.segment, row.model, row.metric) for row in scorecard.rows]
    assert len(set(keys)) == len(keys) == 2 * 3 * 6 + 2 * 3
    months = ("2011-01-01", "2011-02-01")
    at = [headline(scorecard, cutoff=month) for month in months]
    assert sum(part["rule"].n for part in at) == headline(scorecard)["rule"].n
    pooled = sum(part["rule"].n * part["rule"].difference for part in at)
    assert pooled / sum(part["rule"].n for part in at) == pytest.approx(
        headline(scorecard)["rule"].difference, rel=1e-4
    )
    assert all(row.fold == 0 for row in scorecard.rows)
    assert all(row.low is None for row in scorecard.rows if row.metric != "log_loss")


def test_the_metrics_beside_are_those_of_the_slice():
    backtest = shop(PLANTED)
    part = backtest.eligible
    event, risk = backtest.event[part], backtest.predictions["rule"][part]
    found = {
        row.metric: row.value
        for row in judge(backtest, seed=1).rows
        if (row.cutoff, row.segment, row.model) == ("pooled", "eligible", "rule")
    }
    assert found["log_loss"] == pytest.approx(metrics.log_loss(~event, risk), rel=1e-5)
    assert found["brier"] == pytest.approx(np.mean((risk - ~event) ** 2), rel=1e-5)
    assert found["returner_ratio"] == pytest.approx((1 - risk).sum() / event.sum(), rel=1e-5)
    assert found["auc"] > 0.5 and found["top_decile_lift"] > 1


def test_same_seed_same_bytes():
    backtest = shop(PLANTED, untrainable={"b": "x", "a": "y"})
    first = json.dumps(judge(backtest, seed=1).to_dict())
    assert json.dumps(judge(backtest, seed=1).to_dict()) == first
    assert json.dumps(judge(backtest, seed=2).to_dict()) != first


def test_the_order_of_rows_and_models_changes_nothing_even_unrounded(monkeypatch):
    monkeypatch.setattr(evaluation, "_rounded", lambda value: value)
    backtest = shop(PLANTED)
    order = np.random.default_rng(3).permutation(len(backtest.event))
    shuffled = rows_of(backtest, order)
    mirrored = replace(shuffled, predictions=dict(reversed(shuffled.predictions.items())))
    assert judge(mirrored, seed=1) == judge(backtest, seed=1)


def test_intervals_equal_a_plain_loop_over_the_same_draws():
    backtest = shop(PLANTED, customers=40, cutoffs=3, seed=4)
    rows = headline(judge(backtest, seed=9, draws=100))
    losses = {
        name: metrics.log_losses(~backtest.event, risk)
        for name, risk in backtest.predictions.items()
    }
    means = {name: [] for name in losses}
    for weights in np.vstack(list(metrics.resampling_weights(40, 100, seed=9))):
        copies = [
            row
            for row in range(len(backtest.event))
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
        for row in [
            headline(judge(rows_of(backtest, np.tile(np.arange(200), copies)), seed=1))["rule"]
        ]
    ]
    assert width[0] == pytest.approx(width[1], rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 1), st.floats(0.01, 0.99))
def test_one_more_baseline_widens_and_a_worse_one_never_turns_better_to_worse(seed, blur, level):
    backtest = shop((("model", 0.2), ("rule", blur)), customers=80, seed=seed)
    before = judge(backtest, seed=1, draws=100)
    constant = np.full(len(backtest.event), level)
    more = replace(backtest, predictions={**backtest.predictions, "constant": constant})
    after = judge(more, seed=1, draws=100)
    assert headline(after)["rule"].difference_low <= headline(before)["rule"].difference_low + 1e-9
    assert (
        headline(after)["rule"].difference_high >= headline(before)["rule"].difference_high - 1e-9
    )
    cutoffs = ("pooled", "2011-01-01", "2011-02-01")
    added = [headline(after, cutoff=cutoff)["constant"] for cutoff in cutoffs]
    if before.verdict.status == "better" and all(row.difference < 0 for row in added):
        assert after.verdict.status in ("better", "level")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 2), st.floats(0, 2), st.floats(0, 2))
def test_the_verdict_follows_from_the_rows(seed, own, first, second):
    noise = (("model", own), ("first", first), ("second", second))
    scorecard = judge(shop(noise, customers=60, seed=seed), seed=seed, draws=100)
    rows = [row for row in scorecard.rows if row.difference is not None]
    eligible = [row for row in rows if row.segment == "eligible"]
    pooled = [row for row in eligible if row.cutoff == "pooled"]
    lost = any(row.difference_low > 0 for row in pooled)
    slipped = any(row.difference > 0.02 * row.value for row in eligible if row.cutoff != "pooled")
    beaten = all(row.difference_high < 0 for row in pooled)
    expected = "worse" if lost or slipped else "better" if beaten else "level"
    verdict = scorecard.verdict
    assert verdict.status == expected and verdict.text.startswith(f"{expected}: ")
    decides = next(row for row in pooled if row.model == verdict.baseline)
    assert (decides.difference, decides.difference_low, decides.difference_high) == (
        verdict.difference,
        verdict.low,
        verdict.high,
    )
    assert all(row.difference_low <= row.difference <= row.difference_high for row in pooled)


def test_under_the_null_all_intervals_hold_at_once_in_about_95_percent():
    noise = tuple((name, 0.5) for name in ("model", "a", "b", "c", "d"))
    held = 0
    for seed in range(150):
        rows = headline(judge(shop(noise, customers=200, seed=seed), seed=seed, draws=200))
        rivals = [rows[name] for name in "abcd"]
        held += all(row.difference_low <= 0 <= row.difference_high for row in rivals)
    assert 0.90 <= held / 150 <= 0.99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eligible": np.ones(3, dtype=bool)}, r"eligible: expected \(600,\), got \(3,\)"),
        ({"eligible": np.ones(600)}, "eligible: expected true or false"),
        ({"event": np.ones(600)}, "must be true or false"),
        ({"predictions": {"rule": np.ones(600)}}, 'expected "model"'),
        ({"untrainable": {"rule": "short"}}, r"not trainable \['rule'\]"),
        ({"predictions": {"model": np.full(600, 2.0)}}, r"model: .* \[0, 1\], got 2 to 2"),
        ({"predictions": {"model": np.full(600, np.nan)}}, "600 of 600 that are not"),
        ({"horizon_days": 91}, "expected 1 to 90"),
    ],
)
def test_a_backtest_that_cannot_be_judged_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        replace(shop(PLANTED), **change)


def test_too_few_draws_are_refused():
    with pytest.raises(UsageError, match="at least 100 draws, got 99"):
        judge(shop(PLANTED), seed=1, draws=99)
