"""lifelines and scikit-survival as independent judges of the metrics of curves.

Their answers are stored, because neither library may stand beside the product:
tools/build_survival_oracles.py writes them and says how.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from ppi_ml import curve_metrics

ROOT = Path(__file__).parents[2]
CASES = json.loads((Path(__file__).parent / "curve_metrics_golden.json").read_text())["cases"]


def cases_with(answer):
    """The cases a judge answered, as parameters (rows, answers) of a test."""
    judged = {name: case for name, case in CASES.items() if answer in case["answers"]}
    assert judged, answer
    keys = ("days", "observed", "grid", "survival")
    values = [([np.array(c[key]) for key in keys], c["answers"]) for c in judged.values()]
    return pytest.mark.parametrize(("rows", "answers"), values, ids=judged)


def every_day(rows):
    days, observed, grid, survival = rows
    whole = np.arange(1, grid[-1] + 1)
    edges = np.append(0, grid)
    logs = np.column_stack([np.zeros(len(survival)), np.log(survival)])
    alive = np.array([np.exp(np.interp(whole, edges, row)) for row in logs])
    return days, observed, whole, alive


@cases_with("lifelines concordance_index")
def test_concordance(rows, answers):
    found = curve_metrics.c_index(*rows)
    assert found == pytest.approx(answers["lifelines concordance_index"], abs=1e-12)
    assert found == pytest.approx(answers["sksurv concordance_index_censored"], abs=1e-12)


@cases_with("sksurv brier_score")
def test_brier_score_at_every_single_day(rows, answers):
    days, observed, whole, alive = every_day(rows)
    until = [
        day * curve_metrics.integrated_brier(days, observed, whole[:day], alive[:, :day])
        for day in whole
    ]
    scores = np.diff([0, *until])
    assert scores == pytest.approx(answers["sksurv brier_score"], abs=1e-12)
    assert curve_metrics.integrated_brier(*rows) == pytest.approx(scores.mean(), abs=1e-12)
    trapezoid = np.mean(scores[1:] + scores[:-1]) / 2
    assert trapezoid == pytest.approx(answers["sksurv integrated_brier_score"], abs=1e-12)


@cases_with("lifelines KaplanMeierFitter")
def test_the_kaplan_meier_curve_of_the_rows_themselves_is_calibrated(rows, answers):
    days, observed, grid, _ = rows
    estimate = np.array(answers["lifelines KaplanMeierFitter"])
    curves = np.tile(estimate, (len(days), 1))
    own = (np.ceil(days), observed, np.arange(1, grid[-1] + 1), curves)
    assert curve_metrics.d_calibration(*own, whole_days=True) == pytest.approx(0, abs=1e-9)
    for level in (0.5, 0.8):
        assert curve_metrics.coverage(*own, True, level) == pytest.approx(level)
    variance = estimate * (1 - estimate)
    assert curve_metrics.integrated_brier(*own) == pytest.approx(variance.mean())


@cases_with("lifelines coverage")
def test_uniformity(rows, answers):
    distance = curve_metrics.d_calibration(*rows, whole_days=False)
    assert distance == pytest.approx(answers["lifelines d_calibration"], abs=1e-12)
    covered = curve_metrics.coverage(*rows, whole_days=False)
    assert covered == pytest.approx(answers["lifelines coverage"], abs=1e-12)


def test_the_stored_rows_hold_what_the_judges_are_for():
    whole, timed, _ = CASES.values()
    tau = whole["grid"][-1]
    assert len({tuple(row) for row in whole["survival"]}) < len(whole["survival"]) / 5
    assert len(set(whole["days"])) < len(whole["days"]) / 2
    assert 0.2 < np.mean(whole["observed"]) < 0.8
    late = [seen and day > tau for day, seen in zip(timed["days"], timed["observed"], strict=True)]
    assert sum(late) > 10 and not all(timed["observed"])


def test_the_judges_stay_out_of_the_product():
    for name in ("pyproject.toml", "requirements.lock"):
        text = (ROOT / name).read_text().lower()
        assert "lifelines" not in text and "scikit-survival" not in text, name
