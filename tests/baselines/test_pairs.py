"""What every baseline about pairs promises, on a shop of many pairs and on any log at all."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.baselines.conftest import FAMILIES

from ppi_ml import dataset, entities, labels, rows
from ppi_ml.dataset import Wanted
from ppi_ml.entities import Entity
from ppi_ml.errors import NotTrainableError
from ppi_ml.instants import Cutoff
from ppi_ml.material import Material
from ppi_ml.problem import Problem
from ppi_ml.shelf import shelf
from ppi_ml.splits import Fold
from ppi_ml.targets.depletion import TARGET

BASELINES = shelf("ppi_ml.baselines", "BASELINE")
RULES = {
    "last_gap", "mean_gap", "median_gap", "quantity_over_rate", "product_quantile", "shrunk_gap",
}  # fmt: skip
PROCESSES = ("gaps", "bg_nbd", "mbg_nbd", "pareto_nbd")
OF_PAIRS = (*TARGET.baselines, *PROCESSES, "base_rate", "rfm_newest", "lightgbm_cox")
STATE = {
    "mean": 0.2, "between": 0.5, "within": 0.8, "spread": 0.4, "lapse": 0.3, "firmness": 4.0,
    "lapse_of_groups": {}, "lapse_of_products": {},
}  # fmt: skip
each = pytest.mark.parametrize("name", OF_PAIRS)
ENTITY = Entity("customer_product")


@pytest.fixture(scope="module")
def log(make_shop, as_log):
    """Two years of 400 customers and 3 products."""
    tables = make_shop(seed=1, customers=400)
    number = pl.col("sku").str.strip_prefix("s").cast(pl.Int64)
    three = {
        name: frame.with_columns(sku=pl.format("p{}", number % 3)) for name, frame in tables.items()
    }
    return entities.prepared(as_log(three), ENTITY)


@pytest.fixture(scope="module")
def problem(log):
    """60 days ahead, from three cutoffs; asked about are pairs silent for at most 120 days."""
    end = Cutoff.parse("2019-07-01", log.timezone)
    fold = Fold(end, tuple(end.plus(-back) for back in (120, 90, 60)), (end,))
    data = dataset.build(log, [*fold.train, end], FAMILIES, entity=ENTITY, wanted=Wanted(150))
    material = Material(
        log=log, data=data, states=rows.fit_processes(data, (), log.observed_from), horizon=60,
        active_within=120, settling=labels.settling_days(log), max_rows=20_000, seed=0, threads=2,
        metric="ibs",
    )  # fmt: skip
    return Problem.of(material, fold)


@pytest.fixture(scope="module")
def later(log, problem):
    """Rows of a cutoff that no baseline was trained on."""
    states = problem.material.data.states[str(problem.fold.end)]
    cutoff = problem.fold.end.plus(30)
    return dataset.build(log, [cutoff], FAMILIES, entity=ENTITY, wanted=Wanted(150), states=states)


@pytest.fixture(scope="module")
def fitted(problem):
    return {name: BASELINES[name].fit(problem) for name in OF_PAIRS}


@pytest.fixture(scope="module")
def curves(fitted, later):
    return {name: predict(later) for name, predict in fitted.items()}


@each
def test_it_gives_a_curve_for_every_pair_of_another_cutoff(problem, curves, later, name):
    found = curves[name]
    assert found.shape == (len(later), len(problem.days))
    assert len(later) > 200
    assert found.dtype == np.float64
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found, axis=1) <= 0).all()
    assert found[:, -1].mean() < found[:, 0].mean()


@each
def test_the_curve_ends_in_the_answer_for_the_horizon(problem, curves, later, name):
    """Logistic regressions of earlier days may have put it a little lower."""
    alone = replace(problem, material=replace(problem.material, metric="log_loss"))
    end = BASELINES[name].fit(alone)(later)
    assert end.shape == (len(later), 1)
    if name == "rfm_newest":
        lower = end[:, 0] - curves[name][:, -1]
        assert lower.min() > -1e-12
        assert lower.mean() < 0.01
    else:
        assert end[:, 0] == pytest.approx(curves[name][:, -1], rel=1e-9)


@each
def test_it_repeats(problem, later, curves, name):
    assert BASELINES[name].fit(problem)(later).tolist() == curves[name].tolist()


@each
def test_a_pair_does_not_depend_on_the_others(fitted, later, curves, name):
    some = np.arange(len(later)) % 7 == 0
    assert fitted[name](later.take(some)) == pytest.approx(curves[name][some], rel=1e-12)


@each
def test_what_a_rule_says_of_the_rows_is_how_many_dates_are_past(fitted, later, name):
    note = getattr(fitted[name], "note", None)
    assert (note is not None) == (name in RULES)
    if note is not None:
        past = (fitted[name].until(later) < 0).mean()
        assert note(later) == f"the date of {past:.1%} of the rows was already past"
        assert 0 < past < 1
        nobody = later.take(np.zeros(len(later), dtype=bool))
        assert note(nobody) == "the date of 0.0% of the rows was already past"


def test_the_rules_are_wrong_of_most_pairs_and_the_processes_are_not(problem, curves, later, log):
    """Purpose: the shop's customers lapse, which no rule of a date can say."""
    waits = labels.durations(later, log, problem.fold.end.plus(120))
    happened = waits.observed[:, None] & (waits.days[:, None] <= problem.days)
    loss = {name: np.mean((curves[name] - ~happened) ** 2) for name in TARGET.baselines}
    for name in ("renewals", "lognormal_residual", "gamma_poisson"):
        assert loss[name] < loss["kaplan_meier"] < min(loss[rule] for rule in RULES), name


def test_the_product_quantile_does_not_depend_on_the_number_of_buckets(problem, curves, later):
    small = replace(problem, material=replace(problem.material, memory=200_000))
    found = BASELINES["product_quantile"].fit(small).until(later)
    assert found.tolist() == BASELINES["product_quantile"].fit(problem).until(later).tolist()


purchases = st.dictionaries(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(("milk", "soap", "rice"))),
    st.lists(
        st.tuples(
            st.integers(0, 69), st.sampled_from((0.001, 0.5, 1.0, 3.0, 24.0, 1e6))
        ),
        min_size=1, max_size=12, unique_by=lambda bought: bought[0],
    ),
    min_size=1,
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    purchases=purchases,
    grouped=st.booleans(),
    least=st.integers(1, 3),
    lapse=st.floats(0.001, 0.9),
)
def test_of_any_log_curves_fall_and_lie_between_0_and_1(
    problem_of, purchases, grouped, least, lapse
):
    """Or the baseline says why it cannot be trained; those that read a given state always can."""
    groups = {"milk": "food", "rice": "food", "soap": None} if grouped else None
    problem = problem_of(purchases, groups, least=least, state={**STATE, "lapse": lapse})
    enough = [bought for bought in purchases.values() if len(bought) >= least]
    assert len(problem.data) == len(enough)
    for name in TARGET.baselines:
        try:
            found = BASELINES[name].fit(problem)(problem.data)
        except NotTrainableError as error:
            assert name not in ("quantity_over_rate", "shrunk_gap", "renewals")
            assert str(error)
            continue
        assert found.shape == (len(problem.data), 60)
        assert ((found >= 0) & (found <= 1)).all(), name
        assert (np.diff(found, axis=1) <= 0).all(), name
