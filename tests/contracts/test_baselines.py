"""Every baseline of the shelf, found by its name, keeps the same promises."""

from dataclasses import replace

import numpy as np
import pytest
from tests.materials import FAMILIES, material_of, plan_of

from ppi_ml import dataset
from ppi_ml.declare import Baseline
from ppi_ml.errors import NotTrainableError
from ppi_ml.models.processes import PROCESSES
from ppi_ml.recipe import Problem
from ppi_ml.shelf import names, shelf

BASELINES = shelf("ppi_ml.baselines", "BASELINE")
NEEDS_LABELS = sorted(set(BASELINES) - set(PROCESSES))


@pytest.fixture(scope="module")
def problem(trained):
    return Problem.of(material_of(trained[1]), plan_of(trained[1]).outer)


@pytest.fixture(scope="module")
def later(trained):
    """Rows of cutoffs that no baseline was trained on."""
    log, plan = trained[1], plan_of(trained[1])
    states = material_of(log).data.states[str(plan.outer.end)]
    return dataset.build(log, plan.outer.test[1:], FAMILIES, states=states)


@pytest.fixture(scope="module")
def predictions(problem, later):
    return {name: baseline.fit(problem)(later) for name, baseline in BASELINES.items()}


def test_the_shelf_is_whole():
    assert set(names("ppi_ml.baselines")) == set(BASELINES)
    for name, baseline in BASELINES.items():
        assert isinstance(baseline, Baseline)
        assert baseline.name == name
        assert baseline.description


@pytest.mark.parametrize("name", BASELINES)
def test_it_gives_a_probability_for_every_row_of_another_cutoff(predictions, later, name):
    found = predictions[name]
    assert found.shape == (len(later),)
    assert found.dtype == np.float64
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("name", BASELINES)
def test_it_repeats(problem, later, predictions, name):
    assert BASELINES[name].fit(problem)(later).tolist() == predictions[name].tolist()


@pytest.mark.parametrize("name", BASELINES)
def test_a_row_does_not_depend_on_the_others(problem, later, predictions, name):
    some = np.arange(len(later)) % 7 == 0
    found = BASELINES[name].fit(problem)(later.take(some))
    assert found == pytest.approx(predictions[name][some], rel=1e-12)


@pytest.mark.parametrize("name", NEEDS_LABELS)
def test_where_nothing_is_ripe_it_says_so(problem, name):
    young = replace(problem, material=replace(problem.material, horizon=5000))
    with pytest.raises(NotTrainableError, match=r"seen .*whole 5000 days"):
        BASELINES[name].fit(young)


@pytest.mark.parametrize("name", sorted(set(NEEDS_LABELS) - {"base_rate"}))
@pytest.mark.parametrize("bought", [False, True])
def test_where_everybody_did_the_same_it_says_so(problem, name, bought):
    n = len(problem.durations)
    same = replace(
        problem.durations, days=np.full(n, 1.0 if bought else 500.0), observed=np.full(n, bought)
    )
    with pytest.raises(NotTrainableError, match="same outcome"):
        BASELINES[name].fit(replace(problem, durations=same))


def test_the_base_rate_of_one_outcome_is_that_outcome(problem, later):
    n = len(problem.durations)
    gone = replace(problem.durations, days=np.full(n, 500.0), observed=np.zeros(n, bool))
    found = BASELINES["base_rate"].fit(replace(problem, durations=gone))(later)
    assert set(found) == {1.0}


def test_the_base_rate_is_the_newest_share_of_those_it_is_asked_about(problem, later, predictions):
    data, gone = problem.labelled(problem.ripe[-1:])
    eligible = data.eligible(180)
    asked = later.eligible(180)
    assert set(predictions["base_rate"][asked]) == {gone[eligible].mean()}
    assert set(predictions["base_rate"][~asked]) == {gone[~eligible].mean()}


def rises(values, predictions):
    """Whether predictions never fall as values rise."""
    order = np.argsort(values, kind="stable")
    return bool((np.diff(predictions[order]) >= -1e-12).all())


def test_recency_alone_fears_for_those_who_are_long_gone(later, predictions):
    assert rises(later.column("cadence__elapsed__days_since"), predictions["recency"])
    assert np.ptp(predictions["recency"]) > 0.2


def test_the_purchase_count_alone_trusts_those_who_bought_often(later, predictions):
    assert rises(-later.column("cadence__purchases__count"), predictions["purchase_count"])
    assert np.ptp(predictions["purchase_count"]) > 0.1


@pytest.mark.parametrize("name", sorted(set(BASELINES) & set(PROCESSES)))
def test_a_process_alone_is_its_survival_and_not_its_p_alive(problem, later, predictions, name):
    process = PROCESSES[name]
    state = problem.state.get(name) or process.fit(
        problem.histories(problem.material.data.at([problem.fold.end]))
    )
    histories = problem.histories(later)
    expected = process.survival(state, histories, np.array([float(problem.horizon)]))[:, 0]
    assert predictions[name] == pytest.approx(expected, rel=1e-12)
    assert predictions[name][histories.repeats == 0].min() > 0.05


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"base_rate"}))
def test_every_baseline_knows_more_than_the_base_rate(trained, problem, later, predictions, name):
    """Purpose: on a shop with customers who lapse, each ranks the lapsed above the loyal."""
    frame = trained[1].tables["order_lines"].frame.filter(order_type="one_off")
    gone = np.zeros(len(later), bool)
    for cutoff in later.cutoffs:
        back = frame.filter(
            (frame["at"] >= cutoff.at) & (frame["at"] < cutoff.plus(problem.horizon).at)
        )["customer_id"]
        rows = later.rows_at(cutoff)
        gone[rows] = ~later.customers_at(cutoff).is_in(back.unique().to_list()).to_numpy()
    assert predictions[name][gone].mean() > predictions[name][~gone].mean() + 0.02
