"""The judge: who wins, who loses, and why."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.backtests import PLANTED, headline, shop, with_curves

from ppi_ml.errors import UsageError
from ppi_ml.evaluation import judge
from ppi_ml.score_rows import exceeds_tolerance, slips

METRICS = pytest.mark.parametrize("metric", ["log_loss", "ibs"])
WORDS = {"log_loss": "log-loss", "ibs": "integrated Brier score"}


@METRICS
def test_a_planted_win_is_found(metric):
    scorecard = judge(shop(PLANTED, metric=metric), seed=1)
    verdict = scorecard.verdict
    assert (verdict.status, verdict.metric, verdict.baseline) == ("better", metric, "rival")
    assert verdict.low < verdict.difference < verdict.high < 0
    assert verdict.text.startswith(f"better: {WORDS[metric]} 0.")
    assert "beats every baseline; closest is rival with" in verdict.text
    rows = headline(scorecard)["rival"]
    assert (rows.difference, rows.difference_low) == (verdict.difference, verdict.low)
    assert f"{rows.n:,} rows at 2 cutoffs" in verdict.text


@METRICS
def test_a_planted_loss_names_the_best_baseline_lost_to(metric):
    noise = (("model", 1.5), ("rule", 0.5), ("rival", 0.1), ("worst", 3.0))
    verdict = judge(shop(noise, metric=metric), seed=1).verdict
    assert (verdict.status, verdict.baseline) == ("worse", "rival")
    assert verdict.low > 0 and "loses to rival" in verdict.text


@METRICS
def test_shuffled_labels_never_win(metric):
    backtest = shop((("model", 0.1),), metric=metric)
    order = np.random.default_rng(2).permutation(len(backtest.days))
    backtest = replace(backtest, days=backtest.days[order], observed=backtest.observed[order])
    base = (backtest.days[:, None] > backtest.grid).mean(axis=0)
    backtest = with_curves(backtest, base=np.tile(base, (len(order), 1)))
    assert judge(backtest, seed=1).verdict.status == "worse"


@METRICS
def test_identical_predictions_are_level_with_zero_width(metric):
    backtest = shop((("model", 0.5), ("bad", 2.0)), metric=metric)
    backtest = with_curves(backtest, twin=backtest.predictions["model"].copy())
    verdict = judge(backtest, seed=1).verdict
    assert (verdict.status, verdict.baseline) == ("level", "twin")
    assert (verdict.difference, verdict.low, verdict.high) == (0, 0, 0)
    assert "no better than twin, which is simpler" in verdict.text


@METRICS
def test_level_names_a_baseline_that_is_not_beaten(metric):
    backtest = shop((("model", 0.3), ("close", 0.32), ("bad", 2.0)), metric=metric)
    scorecard = judge(backtest, seed=1)
    assert (scorecard.verdict.status, scorecard.verdict.baseline) == ("level", "close")
    assert headline(scorecard)["bad"].difference_high < 0


@METRICS
@pytest.mark.parametrize("others", [0.8, 0.1])
def test_a_recipe_that_is_a_baseline_is_level_with_it_and_may_lose_to_others(metric, others):
    noise = (("model", 0.6), ("process", 0.3), ("rule", others))
    backtest = shop(noise, metric=metric, customers=500)
    assert judge(backtest, seed=1).verdict.status == "worse"
    verdict = judge(replace(backtest, same_as="process"), seed=1).verdict
    if others > 0.6:
        assert (verdict.status, verdict.baseline) == ("level", "process")
        assert "is that of process, which the recipe chose alone" in verdict.text
    else:
        assert (verdict.status, verdict.baseline) == ("worse", "rule")


@METRICS
def test_a_bad_cutoff_is_worse_though_the_pooled_loss_is_better(metric):
    noise = (("model", 0.1), ("rule", 0.8))
    backtest = shop(noise, metric=metric, customers=500, cutoffs=6)
    model = backtest.predictions["model"].copy()
    for cutoff, shift in (("2011-02-01", 0.7), ("2011-03-01", 1.1)):
        at = backtest.cutoff == cutoff
        model[at] = backtest.predictions["rule"][at] ** np.exp(-shift)
    scorecard = judge(with_curves(backtest, model=model), seed=1)
    assert headline(scorecard)["rule"].difference_high < 0
    slipped = [headline(scorecard, cutoff=f"2011-0{m}-01")["rule"] for m in (2, 3)]
    assert 0.02 * slipped[0].value < slipped[0].difference < slipped[1].difference
    assert all(row.difference_low > 0 for row in slipped)
    assert (scorecard.verdict.status, scorecard.verdict.baseline) == ("worse", "rule")
    assert f"at the cutoff 2011-03-01 {WORDS[metric]} is" in scorecard.verdict.text
    assert "more than the 2 % allowed, and not by chance" in scorecard.verdict.text
    assert scorecard.verdict.difference == headline(scorecard)["rule"].difference


@METRICS
@pytest.mark.parametrize(("eligible", "status"), [(40, "better"), (500, "worse")])
def test_a_cutoff_that_is_worse_must_be_so_by_more_than_chance(metric, eligible, status):
    """At the second cutoff every 20th row is far off: 2 of 40 rows may be luck, 25 of 500 not."""
    noise = (("model", 0.1), ("rule", 0.8))
    backtest = shop(noise, metric=metric, customers=500, cutoffs=4, eligible=1)
    second = np.flatnonzero(backtest.cutoff == "2011-02-01")
    model = backtest.predictions["model"].copy()
    model[second] = backtest.predictions["rule"][second]
    wrong = second[::20]
    model[wrong] **= np.where(backtest.event[wrong], 0.2, 5.0)[:, None]
    asked = np.ones(len(model), dtype=bool)
    asked[second[eligible:]] = False
    scorecard = judge(replace(with_curves(backtest, model=model), eligible=asked), seed=1)
    row = headline(scorecard, cutoff="2011-02-01")["rule"]
    assert exceeds_tolerance(row) and row.n == eligible
    assert slips(row) == (row.difference_low > 0) == (status == "worse")
    assert headline(scorecard)["rule"].difference_high < 0
    assert scorecard.verdict.status == status


def test_a_cutoff_with_too_few_customers_for_an_interval_decides_nothing():
    backtest = shop((("model", 0.1), ("rule", 0.8)), customers=500, eligible=1)
    second = np.flatnonzero(backtest.cutoff == "2011-02-01")
    model = backtest.predictions["model"].copy()
    model[second] = np.where(backtest.event[second], 0.99, 0.01)[:, None]
    asked = np.ones(1000, dtype=bool)
    asked[second[29:]] = False
    scorecard = judge(replace(with_curves(backtest, model=model), eligible=asked), seed=1)
    row = headline(scorecard, cutoff="2011-02-01")["rule"]
    assert exceeds_tolerance(row) and row.difference_low is None
    assert "at the cutoff" not in scorecard.verdict.text


def test_untrainable_baselines_are_rows_without_a_value():
    backtest = shop(PLANTED, untrainable={"pareto_nbd": "too few repeats"})
    scorecard = judge(backtest, seed=1)
    row = headline(scorecard)["pareto_nbd"]
    assert (row.value, row.difference, row.n) == (None, None, 0)
    assert "pareto_nbd was not trainable: too few repeats" in scorecard.notes
    assert scorecard.verdict.status == "better"
    assert "not trainable: pareto_nbd" in scorecard.verdict.text


@METRICS
def test_nothing_to_beat_is_unjudged(metric):
    backtest = shop((("model", 0.1),), metric=metric, untrainable={"rule": "too short"})
    scorecard = judge(backtest, seed=1)
    assert scorecard.verdict.status == "unjudged" and scorecard.verdict.baseline is None
    assert scorecard.verdict.metric == metric
    assert headline(scorecard)["model"].value > 0


@METRICS
def test_no_rows_no_eligible_rows_and_few_customers_are_unjudged(metric):
    backtest = shop(PLANTED, metric=metric)
    nothing = judge(backtest.take(slice(0)), seed=1)
    assert nothing.verdict.text == "unjudged: there are no test rows"
    assert nothing.verdict.metric == metric
    nobody = judge(replace(backtest, eligible=np.zeros(600, dtype=bool)), seed=1)
    assert nobody.verdict.status == "unjudged"
    assert headline(nobody, "all")["rule"].difference < 0 and not headline(nobody)
    few = judge(replace(backtest, eligible=np.ones(600, dtype=bool)).take(slice(58)), seed=1)
    assert few.verdict.text.startswith("unjudged: 29 eligible customers")
    assert few.rows[0].low is None and few.rows[0].value is not None


@pytest.mark.parametrize(
    ("metric", "question"),
    [
        ("log_loss", "The question: no purchase within 90 days"),
        ("ibs", "The question: when the next purchase comes, within 90 days of the cutoff"),
    ],
)
def test_the_question_is_said_and_a_short_horizon_too(metric, question):
    backtest = shop(PLANTED, metric=metric)
    assert judge(backtest, seed=1).notes[0] == f"{question}."
    scorecard = judge(replace(backtest, asked_days=273), seed=1)
    assert scorecard.verdict.text.endswith("judged at 90 of 273 days")
    assert scorecard.notes[0].startswith(f"{question} instead of the 273")
    assert "judged at" not in judge(backtest, seed=1).verdict.text


@pytest.mark.parametrize("question", ["", "which parcels will be late"])
def test_what_became_of_the_tenth_at_the_top_is_said(question):
    backtest = replace(shop(PLANTED), question=question)
    risk, away = (of[backtest.eligible] for of in (backtest.at_horizon("model"), ~backtest.event))
    top = away[np.argsort(-risk)[: len(risk) // 10]].mean()
    (note,) = [n for n in judge(backtest, seed=1).notes if n.startswith("Of the tenth")]
    assert f"{100 * top:.0f} %" in note and f" {100 * away.mean():.0f} %." in note
    assert ("it came true" in note) == bool(question)
    assert top > away.mean() + 0.05


def test_the_calibration_of_curves_is_said_over_all_cutoffs():
    scorecard = judge(shop(PLANTED, metric="ibs"), seed=1)
    (row,) = [
        row
        for row in scorecard.rows
        if row.metric == "d_calibration_excess" and row.cutoff == "pooled"
    ]
    (note,) = [note for note in scorecard.notes if note.startswith("D-calibration")]
    assert f"{row.value:+.3f}" in note
    assert "D-calibration" not in " ".join(judge(shop(PLANTED), seed=1).notes)


@METRICS
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 2), st.floats(0, 2), st.floats(0, 2))
def test_the_verdict_follows_from_the_rows(metric, seed, own, first, second):
    noise = (("model", own), ("first", first), ("second", second))
    scorecard = judge(shop(noise, metric=metric, customers=60, seed=seed), seed=seed, draws=100)
    rows = [row for row in scorecard.rows if row.difference is not None]
    eligible = [row for row in rows if row.segment == "eligible"]
    pooled = [row for row in eligible if row.cutoff == "pooled"]
    lost = any(row.difference_low > 0 for row in pooled)
    slipped = any(
        row.difference > 0.02 * row.value and row.difference_low is not None
        and row.difference_low > 0
        for row in eligible if row.cutoff != "pooled"
    )  # fmt: skip
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


def test_too_few_draws_are_refused():
    with pytest.raises(UsageError, match="at least 100 draws, got 99"):
        judge(shop(PLANTED), seed=1, draws=99)
