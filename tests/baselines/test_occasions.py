"""The baselines about orders and lines: what they promise, and what they say on paper."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from ppi_ml.dataset import Dataset
from ppi_ml.entities import LINE, ORDER, Entity
from ppi_ml.errors import NotTrainableError
from ppi_ml.instants import Cutoff
from ppi_ml.occasion_data import AGAIN, ELAPSED
from ppi_ml.occasion_judging import OccasionProblem
from ppi_ml.outcomes import Outcomes
from ppi_ml.shelf import shelf

BASELINES = {
    name: baseline
    for name, baseline in shelf("ppi_ml.baselines", "BASELINE").items()
    if baseline.kind == "probability"
}
RATES = {"lane_rate": "lane", "product_rate": "sku", "customer_rate": "customer_id"}
NAMES = (ELAPSED, AGAIN, "basket__units__sum", "empty")
PRIOR = 20


def rows(n=400, seed=0, entity=ORDER, **keys):
    """n occasions whose units say something of the outcome, drawn."""
    draw = np.random.default_rng(seed)
    values = np.column_stack(
        [draw.uniform(0, 20, n), draw.random(n) < 0.4, draw.exponential(3, n), np.full(n, np.nan)]
    ).astype(np.float32)
    usual = {
        "customer_id": [f"c{i}" for i in draw.integers(0, 9, n)],
        "order_id": [f"o{i}" for i in range(n)],
        **({"lane": draw.choice(["north", "south"], n)} if entity == ORDER else
           {"line_id": ["1"] * n, "sku": draw.choice(["tea", "pot"], n)}),
    }  # fmt: skip
    frame = pl.DataFrame({**usual, **keys})
    when = Cutoff.parse("2024-01-01", "UTC")
    return Dataset(
        Entity(entity), (when,), (0, n), frame, values, np.zeros(n), np.ones(n, np.int64), NAMES,
        NAMES[:3], {},
    )  # fmt: skip


def problem_of(data, hit):
    hit = np.asarray(hit)
    everybody = np.ones(len(hit), dtype=np.bool_)
    return OccasionProblem(data, Outcomes(hit, everybody, everybody), NAMES[:3], 30)


def outcomes(data, seed=1):
    """More units, more hits; fewer among those that are asked again."""
    score = 0.5 * data.column("basket__units__sum") - 2 - data.column(AGAIN)
    return np.random.default_rng(seed).random(len(data)) < 1 / (1 + np.exp(-score))


@pytest.fixture
def data():
    return rows()


def fitted(name, data, hit=None):
    return BASELINES[name].fit(problem_of(data, outcomes(data) if hit is None else hit))


def test_these_are_on_the_shelf():
    assert {"event_rate", "logistic_regression", *RATES} <= set(BASELINES)
    for name, baseline in BASELINES.items():
        assert baseline.name == name
        assert baseline.description


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("entity", [ORDER, LINE])
def test_a_probability_for_every_row_or_the_reason_why_not(name, entity):
    data = rows(entity=entity)
    key = RATES.get(name, "customer_id")
    if key not in data.keys.columns:
        with pytest.raises(NotTrainableError, match="a row does not say its"):
            fitted(name, data)
        return
    found = fitted(name, data)(rows(150, 7, entity))
    assert found.shape == (150,)
    assert found.dtype == np.float64
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_row_does_not_depend_on_the_others(name):
    data = rows(entity=LINE if name == "product_rate" else ORDER)
    later = rows(100, 5, data.entity.name)
    predict = fitted(name, data)
    some = np.arange(100) % 7 == 0
    assert predict(later.take(some)) == pytest.approx(predict(later)[some], rel=1e-12)
    assert fitted(name, data)(later).tolist() == predict(later).tolist()


# ------------------------------------------------------------------ rates on paper
def shrunk(hits, n, share):
    return (hits + PRIOR * share) / (n + PRIOR)


def test_the_share_of_all_by_whether_it_is_asked_again(data):
    hit = outcomes(data)
    again = data.column(AGAIN) > 0
    expected = np.where(again, hit[again].mean(), hit[~again].mean())
    assert fitted("event_rate", data, hit)(data) == pytest.approx(expected, rel=1e-12)
    assert hit[again].mean() != hit[~again].mean()


@pytest.mark.parametrize(("name", "key"), RATES.items())
def test_a_group_is_shrunk_to_the_share_of_all(name, key):
    data = rows(entity=LINE if key == "sku" else ORDER)
    hit = outcomes(data)
    again, group = data.column(AGAIN) > 0, data.keys[key].to_numpy()
    expected = [
        shrunk(hit[(group == g) & (again == a)].sum(), ((group == g) & (again == a)).sum(),
               hit[again == a].mean())
        for g, a in zip(group, again, strict=True)
    ]  # fmt: skip
    found = fitted(name, data, hit)(data)
    assert found == pytest.approx(np.array(expected), rel=1e-12)
    assert len(np.unique(found)) > 2


@pytest.mark.parametrize("lane", ["elsewhere", None])
def test_a_group_that_nobody_knows_has_the_share_of_all(data, lane):
    hit = outcomes(data)
    later = rows(50, 3, lane=pl.Series([lane] * 50, dtype=pl.String))
    found = fitted("lane_rate", data, hit)(later)
    assert found == pytest.approx(fitted("event_rate", data, hit)(later), rel=1e-12)


def test_rows_without_a_lane_count_for_the_share_of_all_alone():
    lanes = pl.Series([None if i % 2 else "north" for i in range(400)], dtype=pl.String)
    data = rows(lane=lanes)
    hit = outcomes(data)
    first = (data.column(AGAIN) == 0) & lanes.is_not_null().to_numpy()
    share = hit[data.column(AGAIN) == 0].mean()
    found = fitted("lane_rate", data, hit)(data)
    assert found[first][0] == pytest.approx(shrunk(hit[first].sum(), first.sum(), share))


def test_without_any_lane_there_is_no_rate_of_lanes():
    data = rows(lane=pl.Series([None] * 400, dtype=pl.String))
    with pytest.raises(NotTrainableError, match="no row says its lane; load the column"):
        fitted("lane_rate", data)


def test_where_nothing_was_asked_again_the_share_of_all_stands_in(data):
    first = data.take(data.column(AGAIN) == 0)
    hit = outcomes(first)
    found = fitted("event_rate", first, hit)(data)
    assert np.unique(found) == pytest.approx([hit.mean()])


# ------------------------------------------------------------------ the regression
def test_the_regression_is_that_of_the_standardised_columns(data):
    hit = outcomes(data)
    inputs = data.values[:, :3].astype(np.float64)
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    slow = LogisticRegression(max_iter=2000, tol=1e-10).fit((inputs - mean) / spread, hit)
    expected = slow.predict_proba((inputs - mean) / spread)[:, 1]
    assert fitted("logistic_regression", data, hit)(data) == pytest.approx(expected, abs=1e-4)


def test_the_regression_fills_what_is_empty_with_the_mean(data):
    values = data.values.copy()
    values[::5, 2] = np.nan
    holes = replace(data, values=values)
    hit = outcomes(data)
    found = fitted("logistic_regression", holes, hit)(holes)
    mean = np.nanmean(values[:, 2])
    filled = replace(data, values=np.where(np.isnan(values), mean, values).astype(np.float32))
    assert found == pytest.approx(fitted("logistic_regression", filled, hit)(filled), abs=1e-5)


@pytest.mark.parametrize("happened", [True, False])
def test_where_everything_went_the_same_way_the_regression_says_so(data, happened):
    with pytest.raises(NotTrainableError, match="same outcome"):
        fitted("logistic_regression", data, np.full(len(data), happened))


def test_the_regression_ranks_what_the_rates_cannot(data):
    """Purpose: on rows whose units decide, each knows what it can know."""
    later = rows(2000, 11)
    hit = outcomes(later, 4)
    told = fitted("logistic_regression", data)(later)
    assert told[hit].mean() > told[~hit].mean() + 0.1
    rate = fitted("event_rate", data)(later)
    assert abs(rate[hit].mean() - rate[~hit].mean()) < 0.1
