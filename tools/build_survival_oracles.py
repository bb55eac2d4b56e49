"""Write tests/oracles/curve_metrics_golden.json: what lifelines and scikit-survival answer.

    python -m venv build/oracles
    build/oracles/bin/pip install -r tools/oracles-requirements.txt
    build/oracles/bin/python tools/build_survival_oracles.py

Run it in an environment of its own: neither library may come near the product (see
tools/oracles-requirements.txt), so the tests read their stored answers. The file holds the inputs
too, and nothing here knows ppi_ml: curves are read off by `numpy.interp` on ln S.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lifelines  # type: ignore[import-not-found]
import lifelines.utils  # type: ignore[import-not-found]
import numpy as np
import numpy.typing as npt
import pandas as pd
import sksurv.linear_model  # type: ignore[import-not-found]
import sksurv.metrics  # type: ignore[import-not-found]
import sksurv.util  # type: ignore[import-not-found]

TARGET = Path(__file__).parents[1] / "tests" / "oracles" / "curve_metrics_golden.json"
ROWS, BINS, LEVEL = 120, 10, 0.8
GRID = [1, 2, 4, 7, 14, 21, 30]
TAU = GRID[-1]

Array = npt.NDArray[Any]
Case = dict[str, Any]


def build() -> dict[str, Any]:
    """Inputs and answers of all cases, ready for json."""
    random = np.random.default_rng(20)
    libraries = {name: version(name) for name in ("lifelines", "scikit-survival")}
    cases = {
        "whole days, many ties": _whole_days(random),
        "times, events after tau": _timed(random),
        "times, one curve for all": _one_curve(random),
    }
    for case in cases.values():
        case["answers"] = _answers(case)
    return {"libraries": libraries, "cases": cases, "cox": _cox()}


def _whole_days(random: np.random.Generator) -> Case:
    """Twelve different curves and thirty different days: ties in risk, in time and in both."""
    kind = random.integers(0, 12, ROWS)
    rate = random.gamma(1, 0.04, 12)[kind]
    drawn = np.ceil(random.exponential(1 / rate))
    seen = np.where(drawn <= TAU, drawn, TAU + random.integers(1, 20, ROWS))
    survival = np.exp(-np.outer(rate * random.lognormal(0, 0.5, 12)[kind], GRID))
    return _case(True, seen, drawn <= TAU, survival)


def _timed(random: np.random.Generator) -> Case:
    """All times differ, some curves are flat, and most rows were followed to an event after tau."""
    rate = random.gamma(1, 0.04, ROWS)
    drawn = random.exponential(1 / rate)
    observed = (drawn <= TAU) | (random.random(ROWS) < 0.7)
    seen = np.where(observed, drawn, TAU + random.random(ROWS))
    steps = random.gamma(0.5, 2, (ROWS, len(GRID))) * rate[:, None] * np.diff([0, *GRID])
    return _case(False, seen, observed, np.exp(-np.cumsum(steps, axis=1)))


def _one_curve(random: np.random.Generator) -> Case:
    """Everybody is given the same wrong curve, which stays above one half."""
    drawn = random.exponential(40, ROWS)
    seen = np.where(drawn <= TAU, drawn, TAU)
    survival = np.exp(-0.02 * np.array(GRID))
    return _case(False, seen, drawn <= TAU, np.tile(survival, (ROWS, 1)))


def _case(whole_days: bool, days: Array, observed: Array, survival: Array) -> Case:
    return {
        "whole_days": whole_days,
        "grid": GRID,
        "days": np.round(days, 3).tolist(),
        "observed": observed.tolist(),
        "survival": np.round(survival, 4).tolist(),
    }


def _answers(case: Case) -> dict[str, Any]:
    days, observed = np.array(case["days"]), np.array(case["observed"])
    time, event = np.minimum(days, TAU), observed & (days <= TAU)
    alive = np.array([_survival(row, np.arange(TAU + 1)) for row in case["survival"]])
    risk = -np.round(alive.mean(axis=1), 12)
    kaplan_meier = lifelines.KaplanMeierFitter().fit(time, event)
    answers = {
        "lifelines concordance_index": lifelines.utils.concordance_index(time, -risk, event),
        "sksurv concordance_index_censored": sksurv.metrics.concordance_index_censored(
            event, time, risk
        )[0],
        "lifelines KaplanMeierFitter": kaplan_meier.predict(np.arange(1, TAU + 1)).tolist(),
    }
    if days.max() > TAU:
        answers |= _brier(days, observed, alive[:, 1:])
    if len(np.unique(case["survival"], axis=0)) == 1 and not case["whole_days"]:
        answers |= _uniformity(time, event, case["survival"][0])
    return answers


def _brier(days: Array, observed: Array, alive: Array) -> dict[str, Any]:
    """Brier score at each day 1..tau; nobody is censored before tau, so all weights are 1."""
    label = sksurv.util.Surv.from_arrays(observed, days)
    until = np.arange(1, TAU + 1)
    _, scores = sksurv.metrics.brier_score(label, label, alive, until)
    integrated = sksurv.metrics.integrated_brier_score(label, label, alive, until)
    return {"sksurv brier_score": scores.tolist(), "sksurv integrated_brier_score": integrated}


def _uniformity(time: Array, event: Array, curve: list[float]) -> dict[str, float]:
    """D-calibration and coverage from the Kaplan-Meier estimate of F(T), cut off at F(tau).

    With one curve for all everybody is censored at the same F(tau): the estimate is the share of
    events below it, and what is left spreads evenly above.
    """
    values = 1 - _survival(curve, time)
    end = 1 - curve[-1]
    estimate = lifelines.KaplanMeierFitter().fit(values, event)

    def below(border: float) -> float:
        if border < end:
            return float(1 - estimate.predict(border))
        left = float(estimate.predict(end))
        return 1 - left * (1 - border) / (1 - end)

    mass = np.diff([below(border) for border in np.linspace(0, 1, BINS + 1)])
    tail = (1 - LEVEL) / 2
    return {
        "lifelines d_calibration": float(np.abs(mass - 1 / BINS).sum()),
        "lifelines coverage": below(1 - tail) - below(tail),
    }


def _survival(curve: list[float], days: Array) -> Array:
    return np.exp(np.interp(days, [0, *GRID], np.log([1.0, *curve])))


def _cox() -> dict[str, Any]:
    """Linear proportional hazards at their maximum: with strata, and with ties as Breslow has them.

    lifelines knows ties by Efron only, so its times all differ; scikit-survival knows no strata.
    """
    random = np.random.default_rng(21)
    columns = np.round(random.normal(size=(ROWS, 2)), 3)
    stratum = random.integers(0, 3, ROWS)
    scale = 10 * np.array([1, 3, 9])[stratum] / np.exp(columns @ [0.8, -0.5])
    drawn = np.round(random.exponential(scale) + np.arange(ROWS) / 1e6, 6)
    seen = np.round(drawn.clip(max=40 + np.arange(ROWS) / 1e3), 6)
    many = {"stratum": stratum, "days": seen, "observed": drawn == seen}
    one = {
        "stratum": np.zeros_like(stratum),
        "days": np.ceil(drawn).clip(max=30),
        "observed": drawn <= 30,
    }
    cases = {"strata, no ties": many, "one stratum, many ties": one}
    told = {name: {k: v.tolist() for k, v in case.items()} for name, case in cases.items()}
    for case in told.values():
        case["columns"] = columns.tolist()
    told["strata, no ties"]["answers"] = _lifelines_cox(columns, **many)
    told["one stratum, many ties"]["answers"] = _sksurv_cox(columns, one["days"], one["observed"])
    return told


def _lifelines_cox(columns: Array, stratum: Array, days: Array, observed: Array) -> dict[str, Any]:
    table = pd.DataFrame(columns, columns=["a", "b"])
    table = table.assign(stratum=stratum, days=days, observed=observed)
    fitter = lifelines.CoxPHFitter().fit(
        table, "days", "observed", strata=["stratum"], fit_options={"precision": 1e-12}
    )
    return {
        "lifelines params_": fitter.params_.tolist(),
        "lifelines log_likelihood_": float(fitter.log_likelihood_),
    }


def _sksurv_cox(columns: Array, days: Array, observed: Array) -> dict[str, Any]:
    label = sksurv.util.Surv.from_arrays(observed, days)
    fitted = sksurv.linear_model.CoxPHSurvivalAnalysis(ties="breslow", tol=1e-12).fit(
        columns, label
    )
    return {"sksurv coef_": fitted.coef_.tolist()}


def _text(node: object, indent: str = "") -> str:
    """Json with one line for each list."""
    if not isinstance(node, dict):
        return json.dumps(node)
    entries = (f"{indent} {json.dumps(key)}: {_text(node[key], indent + ' ')}" for key in node)
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


if __name__ == "__main__":
    TARGET.write_text(_text(build()) + "\n")
