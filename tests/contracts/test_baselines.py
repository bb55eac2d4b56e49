"""Every baseline of curves, found by its name, keeps the same promises, here about customers.

Those about pairs alone refuse customers; what they promise is tested in `baselines/test_pairs.py`.
"""

from dataclasses import replace

import numpy as np
import pytest
from tests.materials import FAMILIES, material_of, plan_of

from ppi_ml import dataset, rows
from ppi_ml.declare import Baseline
from ppi_ml.errors import NotTrainableError
from ppi_ml.models.processes import PROCESSES
from ppi_ml.problem import Problem
from ppi_ml.shelf import names, shelf

SHELF = shelf("ppi_ml.baselines", "BASELINE")
BASELINES = {name: SHELF[name] for name in SHELF if SHELF[name].kind == "duration"}
HORIZON_ALONE = {"lightgbm_classifier"}
PAIRS_ALONE = {
    "quantity_over_rate", "product_quantile", "shrunk_gap", "lognormal_residual", "gamma_poisson",
    "renewals",
}  # fmt: skip
OF_CUSTOMERS = sorted(set(BASELINES) - PAIRS_ALONE)
RULES = {"last_gap", "mean_gap", "median_gap"}
SHARED_CURVE = {"base_rate", "kaplan_meier"}
NEEDS_SIGHT = sorted(set(OF_CUSTOMERS) - set(PROCESSES) - RULES)
NEEDS_TWO_OUTCOMES = sorted(set(NEEDS_SIGHT) - SHARED_CURVE - {"lightgbm_cox"})
CASES = [
    (name, metric)
    for name in OF_CUSTOMERS
    for metric in ("log_loss", "ibs")
    if metric == "log_loss" or name not in HORIZON_ALONE
]
each_case = pytest.mark.parametrize(("name", "metric"), CASES)


@pytest.fixture(scope="module")
def problems(trained):
    """Metric -> the same training, judged by it."""
    material, fold = material_of(trained[1]), plan_of(trained[1]).outer
    return {
        metric: Problem.of(replace(material, metric=metric), fold) for metric in ("log_loss", "ibs")
    }


@pytest.fixture(scope="module")
def problem(problems):
    return problems["log_loss"]


@pytest.fixture(scope="module")
def later(trained):
    """Rows of cutoffs that no baseline was trained on."""
    log, plan = trained[1], plan_of(trained[1])
    states = material_of(log).data.states[str(plan.outer.end)]
    return dataset.build(log, plan.outer.test[1:], FAMILIES, states=states)


@pytest.fixture(scope="module")
def fitted(problems):
    return {(name, metric): BASELINES[name].fit(problems[metric]) for name, metric in CASES}


@pytest.fixture(scope="module")
def curves(fitted, later):
    return {case: predict(later) for case, predict in fitted.items()}


@pytest.fixture(scope="module")
def at_horizon(curves):
    """Name -> P(no purchase within the horizon)."""
    return {name: found[:, -1] for (name, metric), found in curves.items() if metric == "log_loss"}


def with_waits(problem, days, observed):
    """The problem with the same wait in all its rows."""
    n = len(problem.durations)
    waits = replace(problem.durations, days=np.full(n, days), observed=np.full(n, observed))
    return replace(problem, durations=waits)


def test_the_shelf_is_whole():
    assert set(names("ppi_ml.baselines")) == set(SHELF)
    assert HORIZON_ALONE | RULES | SHARED_CURVE | PAIRS_ALONE | set(PROCESSES) <= set(BASELINES)
    for name, baseline in BASELINES.items():
        assert isinstance(baseline, Baseline)
        assert baseline.name == name
        assert baseline.description


def test_one_day_is_asked_for_a_probability_and_many_for_a_curve(problems):
    assert problems["log_loss"].days.tolist() == [60.0]
    assert problems["ibs"].days.tolist() == list(range(1, 61))


@each_case
def test_it_gives_a_curve_for_every_row_of_another_cutoff(problems, curves, later, name, metric):
    found = curves[name, metric]
    assert found.shape == (len(later), len(problems[metric].days))
    assert found.dtype == np.float64
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found, axis=1) <= 0).all()


@pytest.mark.parametrize("name", sorted(set(OF_CUSTOMERS) - HORIZON_ALONE))
def test_the_curve_ends_in_the_answer_for_the_horizon(curves, name):
    """Logistic regressions of earlier days may have put it a little lower."""
    end, alone = curves[name, "ibs"][:, -1], curves[name, "log_loss"][:, 0]
    assert (end <= alone + 1e-12).all()
    if name in NEEDS_TWO_OUTCOMES:
        assert (alone - end).mean() < 0.01
    else:
        assert end == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("name", sorted(set(OF_CUSTOMERS) - HORIZON_ALONE))
def test_more_come_back_the_longer_one_waits(curves, name):
    """Purpose: a curve moves over the whole horizon, not at its end only."""
    mean = curves[name, "ibs"].mean(axis=0)
    assert 1 > mean[0] > mean[29] > mean[-1]
    assert mean[0] - mean[29] > 0.4 * (mean[0] - mean[-1])


@pytest.mark.parametrize("name", sorted(HORIZON_ALONE))
def test_without_a_curve_it_says_so(problems, name):
    with pytest.raises(NotTrainableError, match="horizon alone"):
        BASELINES[name].fit(problems["ibs"])


@pytest.mark.parametrize("name", sorted(PAIRS_ALONE))
def test_about_customers_a_baseline_of_pairs_says_what_to_do(problem, name):
    with pytest.raises(NotTrainableError, match=r"about pairs .* leave it out of baselines"):
        BASELINES[name].fit(problem)


@each_case
def test_it_repeats(problems, later, curves, name, metric):
    again = BASELINES[name].fit(problems[metric])(later)
    assert again.tolist() == curves[name, metric].tolist()


@each_case
def test_a_row_does_not_depend_on_the_others(fitted, later, curves, name, metric):
    some = np.arange(len(later)) % 7 == 0
    found = fitted[name, metric](later.take(some))
    assert found == pytest.approx(curves[name, metric][some], rel=1e-12)


@each_case
def test_what_it_says_of_the_rows_is_a_sentence(fitted, later, name, metric):
    note = getattr(fitted[name, metric], "note", None)
    assert (note is not None) == (name in RULES)
    if note is not None:
        assert "%" in note(later)
        assert "\n" not in note(later)


@pytest.mark.parametrize("name", NEEDS_SIGHT)
def test_where_nothing_is_ripe_it_says_so(problem, name):
    young = replace(problem, material=replace(problem.material, horizon=5000))
    with pytest.raises(NotTrainableError, match=r"seen .*whole 5000 days"):
        BASELINES[name].fit(young)


@pytest.mark.parametrize("name", NEEDS_TWO_OUTCOMES)
@pytest.mark.parametrize(("days", "bought"), [(500.0, False), (1.0, True)])
def test_where_everybody_did_the_same_it_says_so(problem, name, days, bought):
    with pytest.raises(NotTrainableError, match="same outcome"):
        BASELINES[name].fit(with_waits(problem, days, bought))


@pytest.mark.parametrize("name", sorted(SHARED_CURVE))
@pytest.mark.parametrize("metric", ["log_loss", "ibs"])
@pytest.mark.parametrize(("days", "bought"), [(500.0, False), (1.0, True)])
def test_a_shared_curve_of_one_outcome_is_that_outcome(problems, later, name, metric, days, bought):
    found = BASELINES[name].fit(with_waits(problems[metric], days, bought))(later)
    assert np.unique(found).tolist() == [0.0 if bought else 1.0]


def test_the_base_rate_is_the_newest_share_of_those_it_is_asked_about(problem, later, at_horizon):
    data, gone = problem.labelled(problem.ripe[-1:])
    eligible, asked = data.eligible(180), later.eligible(180)
    expected = np.where(asked, gone[eligible].mean(), gone[~eligible].mean())
    assert at_horizon["base_rate"] == pytest.approx(expected, rel=1e-12)
    assert asked.any()
    assert not asked.all()


def rises(values, predictions):
    """Whether predictions never fall as values rise."""
    order = np.argsort(values, kind="stable")
    return bool((np.diff(predictions[order]) >= -1e-12).all())


def test_recency_alone_fears_for_those_who_are_long_gone(later, at_horizon):
    assert rises(later.column("cadence__elapsed__days_since"), at_horizon["recency"])
    assert np.ptp(at_horizon["recency"]) > 0.2


def test_the_purchase_count_alone_trusts_those_who_bought_often(later, at_horizon):
    assert rises(-later.column("cadence__purchases__count"), at_horizon["purchase_count"])
    assert np.ptp(at_horizon["purchase_count"]) > 0.1


@pytest.mark.parametrize("name", sorted(set(BASELINES) & set(PROCESSES)))
def test_a_process_alone_is_its_survival_and_not_its_p_alive(problems, later, curves, name):
    problem, process = problems["ibs"], PROCESSES[name]
    material, end = problem.material, problem.fold.end
    # fitted on the same customers as the model's own, also where the model does not use it
    fitted = rows.fit_processes(material.data.at([end]), (name,), material.log.observed_from)
    state = fitted.by_cutoff[str(end)][name]
    histories = problem.histories(later)
    expected = process.survival(state, histories, problem.days)
    assert curves[name, "ibs"] == pytest.approx(expected, rel=1e-12)
    assert expected[histories.repeats == 0].min() > 0.05


@pytest.mark.parametrize("name", sorted(set(OF_CUSTOMERS) - SHARED_CURVE - RULES))
def test_every_baseline_knows_more_than_the_base_rate(trained, problem, later, at_horizon, name):
    """Purpose: on a shop with customers who lapse, each ranks the lapsed above the loyal.

    All but the rules of one date: who is long overdue is expected tomorrow.
    """
    frame = trained[1].tables["order_lines"].frame.filter(order_type="one_off")
    gone = np.zeros(len(later), bool)
    for cutoff in later.cutoffs:
        back = frame.filter(
            (frame["at"] >= cutoff.at) & (frame["at"] < cutoff.plus(problem.horizon).at)
        )["customer_id"]
        rows = later.rows_at(cutoff)
        gone[rows] = ~later.keys_at(cutoff)["customer_id"].is_in(back.unique().to_list()).to_numpy()
    assert at_horizon[name][gone].mean() > at_horizon[name][~gone].mean() + 0.02
