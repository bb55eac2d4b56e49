"""The rows of a scorecard: every part, every metric, and numbers that are what they are called."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.backtests import HORIZON, PLANTED, headline, shop, values

from ppi_ml import curve_metrics, measuring, metrics
from ppi_ml.evaluation import judge

METRICS = pytest.mark.parametrize("metric", ["log_loss", "ibs"])
MONTHS = ("2011-01-01", "2011-02-01")
AT_HORIZON = {"brier", "auc", "top_decile_lift", "returner_ratio", "calibration_error"}
OF_CURVES = {"coverage", "width", "pinball", "c_index"}


def split(backtest):
    """The backtest with two segments that overlap: odd customers, and the first cutoff."""
    odd = backtest.customer % 2 == 1
    return replace(backtest, segments={"odd": odd, "first": backtest.cutoff == MONTHS[0]})


def test_a_probability_has_every_part_and_metric_once():
    scorecard = judge(split(shop(PLANTED)), seed=1)
    keys = [(row.cutoff, row.segment, row.model, row.metric) for row in scorecard.rows]
    assert len(set(keys)) == len(keys)
    everything = AT_HORIZON | {"log_loss"}
    for segment in ("eligible", "all"):
        assert all(set(values(scorecard, m, segment)) == everything for m in dict(PLANTED))
    for place in ({"cutoff": MONTHS[0]}, {"cutoff": MONTHS[1]}, {"segment": "odd"}):
        assert set(values(scorecard, **place)) == {"log_loss", "returner_ratio"}
        assert set(values(scorecard, "rule", **place)) == {"log_loss"}
    assert len(keys) == 2 * 3 * 6 + 4 * (3 + 1)


def test_a_curve_has_coverage_and_width_on_every_part():
    scorecard = judge(split(shop(PLANTED, metric="ibs")), seed=1)
    keys = [(row.cutoff, row.segment, row.model, row.metric) for row in scorecard.rows]
    assert len(set(keys)) == len(keys)
    everything = AT_HORIZON | OF_CURVES | {"ibs"}
    assert set(values(scorecard)) == everything | {"d_calibration_excess"}
    assert set(values(scorecard, "rule")) == everything
    assert set(values(scorecard, segment="all")) == everything
    brief = {"ibs", "returner_ratio", "coverage", "width"}
    assert set(values(scorecard, segment="odd")) == brief
    assert set(values(scorecard, cutoff=MONTHS[1])) == brief | {"d_calibration_excess"}
    assert set(values(scorecard, "rule", cutoff=MONTHS[1])) == {"ibs"}
    assert all(row.low is None for row in scorecard.rows if row.metric != "ibs")


@METRICS
def test_cutoffs_add_up_to_the_pooled_rows(metric):
    scorecard = judge(shop(PLANTED, metric=metric), seed=1)
    at = [headline(scorecard, cutoff=month) for month in MONTHS]
    whole = headline(scorecard)["rule"]
    assert sum(part["rule"].n for part in at) == whole.n
    pooled = sum(part["rule"].n * part["rule"].difference for part in at)
    assert pooled / whole.n == pytest.approx(whole.difference, rel=1e-4)
    assert all(row.fold == 0 for row in scorecard.rows)


def test_the_metrics_of_a_probability_are_those_of_the_part():
    backtest = shop(PLANTED)
    part = backtest.eligible
    event, risk = backtest.event[part], backtest.predictions["rule"][part, 0]
    found = values(judge(backtest, seed=1), "rule")
    assert found["log_loss"] == pytest.approx(metrics.log_loss(~event, risk), rel=1e-5)
    assert found["brier"] == pytest.approx(np.mean((risk - ~event) ** 2), rel=1e-5)
    assert found["returner_ratio"] == pytest.approx((1 - risk).sum() / event.sum(), rel=1e-5)
    assert found["auc"] > 0.5 and found["top_decile_lift"] > 1


@pytest.mark.parametrize("whole_days", [True, False])
def test_the_metrics_of_a_curve_are_those_of_the_part(whole_days):
    backtest = split(shop(PLANTED, metric="ibs", whole_days=whole_days))
    scorecard = judge(backtest, seed=1)
    for segment in ("odd", "eligible"):
        part = backtest.eligible & backtest.segments.get(segment, True)
        seen = (backtest.days[part], backtest.observed[part], backtest.grid)
        curves = backtest.predictions["model"][part]
        found = values(scorecard, segment=segment)
        width = curve_metrics.interval_width(backtest.grid, curves).mean()
        covered = curve_metrics.coverage(*seen, curves, whole_days)
        assert found["ibs"] == pytest.approx(
            curve_metrics.integrated_brier(*seen, curves), rel=1e-5
        )
        assert found["coverage"] == pytest.approx(covered, rel=1e-5)
        assert found["width"] == pytest.approx(width, rel=1e-5)
    assert found["c_index"] == pytest.approx(curve_metrics.c_index(*seen, curves), rel=1e-5)
    event, risk = backtest.event[part], curves[:, -1]
    assert found["returner_ratio"] == pytest.approx((1 - risk).sum() / event.sum(), rel=1e-5)
    levels = np.array([0.1, 0.5, 0.9])
    days = np.column_stack([curve_metrics.quantile_days(backtest.grid, curves, p) for p in levels])
    loss = curve_metrics.pinball(*seen[:2], float(HORIZON), days, levels)
    assert found["pinball"] == pytest.approx(loss, rel=1e-5)


def test_the_truth_is_covered_and_calibrated_and_a_blurred_truth_is_not():
    noise = (("model", 0.0), ("rule", 1.0))
    backtest = shop(noise, metric="ibs", customers=2000)
    found = values(judge(backtest, seed=1, draws=100))
    assert 0.78 < found["coverage"] < 0.82 and abs(found["d_calibration_excess"]) < 0.03
    bent = replace(backtest, predictions={**backtest.predictions, "model": backtest.curves("rule")})
    found = values(judge(bent, seed=1, draws=100))
    assert found["coverage"] < 0.77 and found["d_calibration_excess"] > 0.1


@METRICS
def test_single_precision_changes_nothing_that_matters(metric):
    backtest = shop(PLANTED, metric=metric)
    halved = {name: curves.astype(np.float32) for name, curves in backtest.predictions.items()}
    exact = judge(backtest, seed=1, draws=100).rows
    found = judge(replace(backtest, predictions=halved), seed=1, draws=100).rows
    for one, two in zip(exact, found, strict=True):
        assert two.value == pytest.approx(one.value, rel=1e-4, abs=1e-6)


@METRICS
def test_same_seed_same_bytes(metric):
    backtest = shop(PLANTED, metric=metric, untrainable={"b": "x", "a": "y"})
    first = json.dumps(judge(backtest, seed=1).to_dict())
    assert json.dumps(judge(backtest, seed=1).to_dict()) == first
    assert json.dumps(judge(backtest, seed=2).to_dict()) != first


@METRICS
def test_the_order_of_rows_and_models_changes_nothing_even_unrounded(metric, monkeypatch):
    monkeypatch.setattr(measuring, "_rounded", lambda value: value)
    backtest = split(shop(PLANTED, metric=metric))
    order = np.random.default_rng(3).permutation(len(backtest.days))
    shuffled = backtest.take(order)
    mirrored = replace(shuffled, predictions=dict(reversed(shuffled.predictions.items())))
    assert judge(mirrored, seed=1) == judge(backtest, seed=1)


@METRICS
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10_000), st.booleans())
def test_parts_without_an_outcome_have_null_and_never_crash(metric, customers, seed, back):
    """Nobody or everybody came back, on parts of one row too."""
    backtest = shop(PLANTED, metric=metric, customers=customers, seed=seed)
    days = np.full(len(backtest.days), 1.0 if back else 100.0)
    backtest = split(replace(backtest, days=days, observed=np.full(len(days), back)))
    scorecard = judge(backtest, seed=1, draws=100)
    assert json.dumps(scorecard.to_dict(), allow_nan=False)
    assert scorecard.verdict.status == "unjudged"
    found = values(scorecard, segment="all")
    assert found["auc"] is None
    assert (found["returner_ratio"] is None) == (not back)
    if metric == "ibs":
        assert found["c_index"] is None and found["coverage"] is not None
    assert scorecard.to_text() and scorecard.to_markdown() and scorecard._repr_html_()
