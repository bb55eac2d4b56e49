"""`HazardModel` on worlds whose truth is known: what it must find, refuse, and never change."""

import doctest
import io
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from ppi_ml import Durations, HazardModel
from ppi_ml.curve_metrics import integrated_brier
from ppi_ml.errors import NotTrainableError, PpiError, UsageError
from ppi_ml.models import estimator, kaplan_meier

GRID = np.arange(1.0, 91.0)
EDGES, RATES = np.array([0.0, 5.0, 30.0, 60.0, 90.0]), np.array([0.03, 0.008, 0.025, 0.012])
SECRET = "jane.doe@example.com"


def truth(effect, days=GRID):
    """Survival (n, m) where the log hazard is that of RATES plus the row's effect (n,)."""
    spent = np.clip(np.asarray(days)[:, None] - EDGES[:-1], 0, np.diff(EDGES))
    return np.exp(-np.exp(effect)[:, None] * (spent @ RATES))


def draw_waits(effect, seed):
    """Waits of that truth, to the day 90 at most: (days, observed)."""
    goal = np.random.default_rng(seed).exponential(size=len(effect)) / np.exp(effect)
    reached = np.concatenate([[0.0], np.cumsum(np.diff(EDGES) * RATES)])
    return np.interp(goal, reached, EDGES), goal <= reached[-1]


def draw_features(n, p=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p))


def linear(X):
    return 0.8 * X[:, 0] - 0.4 * X[:, 1]


def bent(X):
    """No straight line sees it: both ends of the first feature buy sooner."""
    return 1.2 * (np.abs(X[:, 0]) - 0.8)


def world(effect, n=5000, seed=0, p=3):
    """Features, waits followed for 90 days, and the true survival."""
    X = draw_features(n, p, seed)
    return X, Durations(*draw_waits(effect(X), seed + 1)), truth(effect(X))


def constant_rate(n, rate, seed=0):
    days = np.random.default_rng(seed).exponential(1 / rate, n)
    return Durations(np.minimum(days, 90), days <= 90)


X300 = draw_features(300)
Y300 = Durations(*draw_waits(linear(X300), 1))


BENT = world(bent, 3000)
COLUMNS = ["a", "b", "c"]


@pytest.fixture(scope="module")
def bent_model():
    """Trees on a frame, fitted once."""
    return HazardModel().fit(pd.DataFrame(BENT[0], columns=COLUMNS), BENT[1])


@pytest.fixture(scope="module")
def small():
    """A model of 300 rows, fitted once."""
    return HazardModel().fit(X300, Y300)


# ------------------------------------------------------------------ it finds what is there


def test_the_planted_hazard_is_found():
    X, y, _ = world(linear)
    model = HazardModel().fit(X, y)
    fresh, _, expected = world(linear, 1000, seed=7)
    found = model.predict_survival(fresh, GRID)
    assert abs(found - expected).mean() < 0.01
    assert abs(found.mean(axis=0) - expected.mean(axis=0)).max() < 0.02
    middle = model.predict_survival(np.zeros((1, 3)), GRID)
    assert abs(middle - truth(np.zeros(1))).max() < 0.02


def test_with_one_interval_the_rate_is_events_over_exposure():
    """The closed form of an exponential: 40 events are too few for a second interval."""
    draw = np.random.default_rng(3)
    days, observed = draw.uniform(1, 30, 100), np.arange(100) < 40
    model = HazardModel(max_days=30).fit(np.ones((100, 1)), Durations(days, observed))
    rate = 40 / days.sum()
    assert model.predict_survival([[1.0]], [7, 30])[0] == pytest.approx(
        np.exp(-rate * np.array([7, 30])), rel=1e-4
    )
    assert model.predict([[1.0]])[0] == pytest.approx(np.log(2) / rate, rel=1e-4)


def test_an_exponential_with_two_rates_has_its_closed_form():
    X = np.repeat([[0.0], [1.0]], 3000, axis=0)
    y = constant_rate(6000, np.where(X[:, 0] > 0, 0.04, 0.02))
    model = HazardModel(trees=False).fit(X, y)
    expected = np.exp(-np.array([[0.02], [0.04]]) * GRID)
    assert abs(model.predict_survival([[0.0], [1.0]], GRID) - expected).max() < 0.02
    early = model.predict_quantile([[0.0], [1.0]], 0.1)
    assert early == pytest.approx(-np.log(0.9) / np.array([0.02, 0.04]), rel=0.12)


def test_unfinished_waits_count_for_what_they_were():
    """Followed for 40 days on average, as good as to the end; the finished alone mislead."""
    X, y, expected = world(linear, seed=24)
    sight = np.random.default_rng(52).exponential(40, len(X)) + 0.1
    cut = Durations(np.minimum(y.days, sight), y.observed & (y.days <= sight))
    assert cut.observed.mean() < 0.6 * y.observed.mean()
    level = expected.mean(axis=0)
    model = HazardModel().fit(X, cut)
    assert abs(model.predict_survival(X, GRID).mean(axis=0) - level).max() < 0.02
    finished = cut.observed
    naive = HazardModel(max_days=90).fit(X[finished], cut.take(finished))
    assert abs(naive.predict_survival(X, GRID).mean(axis=0) - level).max() > 0.1


@pytest.mark.parametrize("effect", [linear, bent])
def test_it_beats_one_curve_for_everybody(effect, bent_model):
    X, y, _ = world(effect, 3000)
    fresh, asked, expected = world(effect, 2000, seed=7)
    rows = pd.DataFrame(X, columns=COLUMNS)
    model = HazardModel().fit(rows, y) if effect is linear else bent_model
    shared = np.tile(kaplan_meier.survival(y.days, y.observed, GRID), (len(fresh), 1))
    found = model.predict_survival(pd.DataFrame(fresh, columns=COLUMNS), GRID)
    loss, rival, best = (
        integrated_brier(asked.days, asked.observed, GRID, curve)
        for curve in (found, shared, expected)
    )
    assert rival - loss > 0.8 * (rival - best) > 0.01


def test_trees_are_what_sees_a_bent_effect(bent_model):
    smooth = clone(bent_model).set_params(trees=False).fit(*BENT[:2])
    fresh, asked, _ = world(bent, 2000, seed=7)
    assert (bent_model.n_trees_ > 50, smooth.n_trees_) == (True, 0)
    with_names = pd.DataFrame(fresh, columns=COLUMNS)
    assert bent_model.score(with_names, asked) > smooth.score(fresh, asked) + 0.1


def test_an_effect_that_turns_is_found_by_the_regression():
    """Soon for some, later for the others: a first month of high hazard, then a low one."""
    early = np.random.default_rng(0).normal(size=4000)
    draw = np.random.default_rng(1).exponential(size=4000)
    first, then = 0.02 * np.exp(early), 0.02 * np.exp(-early)
    days = np.where(draw < 20 * first, draw / first, 20 + (draw - 20 * first) / then)
    y = Durations(np.minimum(days, 60), days <= 60)
    model = HazardModel(trees=False).fit(early[:, None], y)
    low, high = -np.log(model.predict_survival([[-1.0], [1.0]], [10, 30, 60]))
    assert high[0] / low[0] > 3
    assert (high[2] - high[1]) / (low[2] - low[1]) < 0.5


def test_shuffled_waits_teach_nothing():
    """No better than one curve for everybody, and hardly worse, trees included."""
    X, y, _ = world(linear, 3000)
    fresh, asked, _ = world(linear, 3000, seed=7)
    y, asked = (
        waits.take(np.random.default_rng(seed).permutation(3000))
        for waits, seed in ((y, 70), (asked, 71))
    )
    shared = np.tile(kaplan_meier.survival(y.days, y.observed, GRID), (3000, 1))
    found = HazardModel().fit(X, y).predict_survival(fresh, GRID)
    loss, rival = (
        integrated_brier(asked.days, asked.observed, GRID, curve) for curve in (found, shared)
    )
    assert rival - 0.0005 < loss < rival + 0.002


def test_that_a_value_is_missing_may_say_something():
    X = draw_features(4000, 2)
    missing = np.random.default_rng(2).random(4000) < 0.3
    X[missing, 0] = np.nan
    y = constant_rate(4000, np.where(missing, 0.06, 0.02))
    known, unknown = HazardModel().fit(X, y).predict_survival([[0.0, 0.0], [np.nan, 0.0]], [20])
    assert known[0] == pytest.approx(np.exp(-0.4), abs=0.03)
    assert unknown[0] == pytest.approx(np.exp(-1.2), abs=0.03)


def test_customers_with_several_rows_are_held_out_whole():
    """Else trees learn customers by heart, who are no use for others."""
    draw = np.random.default_rng(6)
    customer = np.repeat(np.arange(200), 12)
    X = draw.permutation(200)[customer][:, None].astype(float)
    y = constant_rate(2400, 0.02 * np.exp(draw.normal(size=200))[customer])
    alone, whole = HazardModel().fit(X, y), HazardModel().fit(X, y, groups=customer)
    assert alone.n_trees_ > 2 * whole.n_trees_
    others = constant_rate(4000, 0.02 * np.exp(draw.normal(size=4000)), seed=9)
    place = draw.uniform(0, 200, (4000, 1))
    assert whole.score(place, others) > alone.score(place, others)


def test_with_dates_the_trees_do_not_learn_the_luck_of_one():
    draw = np.random.default_rng(10)
    month = draw.integers(0, 12, 5000)
    rates = np.where(np.isin(np.arange(14), (1, 4, 5, 9)), 0.01, 0.03)  # of the calendar's months
    goal = draw.exponential(size=5000) + (30 * np.cumsum(rates) - 30 * rates)[month]
    days = np.interp(goal, np.append(0, 30 * np.cumsum(rates)), 30 * np.arange(15)) - 30 * month
    y = Durations(np.minimum(days, 30), days <= 30)
    X = np.array([0, 7, 1, 2, 8, 6, 3, 9, 4, 5, 10, 11.0])[month][:, None]
    bad = np.array([7.0, 8, 6, 5])[:, None], np.array([1.0, 3, 4, 10])[:, None]

    def belief(model):
        unlucky, lucky = (-np.log(model.predict_survival(rows, [30])).mean() for rows in bad)
        return np.log(lucky / unlucky)

    settings_ = {"min_data_in_leaf": 50, "lambda_l2": 1.0}
    dates = np.datetime64("2025-01-01") + 30 * month
    plain = HazardModel(**settings_).fit(X, y)
    dated = HazardModel(**settings_).fit(X, y, dates=dates)
    assert belief(plain) > 0.9
    assert abs(belief(dated)) < 0.5 * belief(plain)


def test_more_rows_than_asked_for_are_drawn_from():
    X, y, expected = world(linear, 6000)
    for most, rows in ((20_000, (1500, 4500)), (7000, (1300, 1700))):
        model = HazardModel(max_rows=most, trees=False).fit(X, y)
        assert rows[0] < model.n_rows_ < rows[1]
        assert (model.hazard_.settings.quiet < 1) == (most == 7000)
        assert abs(model.predict_survival(X, GRID) - expected).mean() < 0.02
    assert HazardModel(trees=False).fit(X, y).n_rows_ == 6000


# ------------------------------------------------------------------ readings and score


def test_by_default_the_curve_reaches_as_far_as_anybody_was_followed(small):
    assert small.max_days_ == 90
    assert HazardModel(max_days=30).fit(X300, Y300).max_days_ == 30
    years = Durations(Y300.days * 10, Y300.observed)
    assert HazardModel().fit(X300, years).max_days_ == 365


def test_several_quantiles_at_once_are_those_asked_one_by_one(small):
    for several in ([0.1, 0.5, 0.9], (0.1, 0.5, 0.9), np.array([0.1, 0.5, 0.9])):
        found = small.predict_quantile(X300, several)
        alone = [small.predict_quantile(X300, p) for p in several]
        assert found.shape == (300, 3)
        assert (found == np.column_stack(alone)).all()
    assert small.predict_quantile(X300, [0.5]).shape == (300, 1)
    assert small.predict_quantile(X300, []).shape == (300, 0)


def test_beyond_the_reach_nothing_is_said(small):
    with pytest.raises(UsageError, match="reaches day 90"):
        small.predict_survival(X300, [91])
    with pytest.raises(UsageError, match="strictly between 0 and 1, got 50"):
        small.predict_quantile(X300, 50)
    with pytest.raises(UsageError, match="strictly between 0 and 1, got 90"):
        small.predict_quantile(X300, [0.1, 90])
    for ask, name in ((small.predict_quantile, "p"), (small.predict_survival, "days")):
        for wrong in ("half", ["half"], [[0.1], [0.5]], [[0.1], [0.5, 0.9]], {"p": 0.5}):
            with pytest.raises(UsageError, match=f"{name}: expected a number or a list"):
                ask(X300, wrong)
    slow = HazardModel(max_days=10).fit(X300, Y300)
    assert np.isinf(slow.predict(X300)).any()


@pytest.mark.parametrize("whole_days", [False, True])
def test_the_score_is_the_mean_log_likelihood(whole_days):
    days = np.ceil(Y300.days) if whole_days else Y300.days
    y = Durations(days, Y300.observed)
    model = HazardModel(whole_days=whole_days, max_days=60).fit(X300, y)
    curves = model.predict_curves(X300)

    def survival(at):
        return np.array([curves.survival(day)[i, 0] for i, day in enumerate(at)])

    seen = y.observed & (days <= 60)
    if whole_days:
        until = survival(np.minimum(days, 60))
        mass = survival(np.maximum(np.minimum(days, 60) - 1, 0)) - until
        expected = np.where(seen, np.log(mass), np.log(until)).mean()
    else:
        end = np.minimum(days, 60)
        place = np.searchsorted(curves.edges[1:], end)
        rate = (np.diff(curves.cumulative) / np.diff(curves.edges))[np.arange(300), place]
        expected = (np.log(survival(end)) + np.where(seen, np.log(rate), 0)).mean()
    assert model.score(X300, y) == pytest.approx(expected)


def test_whole_days_have_the_right_level():
    rate = 0.2
    days = np.ceil(np.random.default_rng(0).exponential(1 / rate, 5000))
    y = Durations(np.minimum(days, 30), days <= 30)
    model = HazardModel(whole_days=True).fit(np.zeros((5000, 1)), y)
    at = np.array([1, 2, 5, 14])
    assert model.predict_survival([[0.0]], at)[0] == pytest.approx(np.exp(-rate * at), abs=0.02)


def test_far_outside_what_was_seen_the_regression_stays_flat():
    X, y, _ = world(linear, 1000)
    model = HazardModel(trees=False).fit(X, y)
    edge, outside = X.max(axis=0), np.full(3, 1e300)
    assert model.predict(outside[None]) == pytest.approx(model.predict(edge[None]))


ROWS = st.integers(5, 40).flatmap(
    lambda n: st.tuples(
        st.lists(
            st.tuples(*[st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.nan))] * 2),
            min_size=n,
            max_size=n,
        ),
        st.lists(st.floats(0.01, 400), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.booleans(),
    )
)


@pytest.mark.filterwarnings("ignore:Line search of Newton")
@settings(max_examples=30)
@given(ROWS)
def test_curves_are_curves_whatever_the_rows(drawn):
    X, days, observed, whole_days = np.array(drawn[0]), *map(np.array, drawn[1:3]), drawn[3]
    days = np.ceil(days) if whole_days else days
    days[:5], observed[:5] = np.minimum(days[:5], 365), True
    y = Durations(days, observed)
    model = HazardModel(whole_days=whole_days).fit(X, y)
    check_curves(model, X)
    assert np.isfinite(model.score(X, y))


def test_curves_are_curves_with_trees_and_gaps_too(bent_model):
    X = np.where(draw_features(200, 3, seed=9) > 1, np.nan, 10 * draw_features(200, 3, seed=8))
    check_curves(bent_model, pd.DataFrame(X, columns=COLUMNS))


def check_curves(model, X):
    """S(0) = 1, never rising, quantiles in order, and both readings of one curve."""
    at = np.linspace(0, model.max_days_, 50)
    survival = model.predict_survival(X, at)
    assert (survival[:, 0] == 1).all()
    assert ((survival >= 0) & (np.diff(survival, axis=1, prepend=1) <= 0)).all()
    quantiles = {p: model.predict_quantile(X, p) for p in (0.1, 0.5, 0.9)}
    assert (quantiles[0.1] <= quantiles[0.5]).all()
    assert (quantiles[0.5] <= quantiles[0.9]).all()
    assert (quantiles[0.5] == model.predict(X)).all()
    for p, days in quantiles.items():
        reached = np.flatnonzero(np.isfinite(days))
        there = model.predict_survival(X, days[reached])[reached, np.arange(len(reached))]
        assert there == pytest.approx(1 - p, abs=1e-9)
        assert (survival[np.isinf(days), -1] > 1 - p - 1e-9).all()


# ------------------------------------------------------------------ the same again


def test_the_same_rows_give_the_same_model():
    X, y = BENT[0][:1500], BENT[1].take(np.arange(1500))
    made = [HazardModel(learning_rate=0.3, threads=t).fit(X, y) for t in (2, 2, 1)]
    one, two, thread = (model.predict_survival(X, GRID) for model in made)
    assert made[0].n_trees_ > 0
    assert (one == two).all()
    assert one == pytest.approx(thread)
    other = HazardModel(learning_rate=0.3, random_state=1).fit(X, y)
    assert (one != other.predict_survival(X, GRID)).any()


def test_a_model_survives_being_written_down(bent_model):
    file = io.BytesIO()
    joblib.dump(bent_model, file)
    file.seek(0)
    asked = pd.DataFrame(BENT[0], columns=COLUMNS)
    expected = bent_model.predict_survival(asked, GRID)
    for back in (pickle.loads(pickle.dumps(bent_model)), joblib.load(file)):
        assert back.n_trees_ == bent_model.n_trees_
        assert (back.predict_survival(asked, GRID) == expected).all()


def test_company_changes_nothing(small):
    together = small.predict_survival(X300, GRID)
    alone = np.vstack([small.predict_survival(row[None], GRID) for row in X300[:20]])
    assert alone == pytest.approx(together[:20], rel=1e-12)


@pytest.mark.parametrize(
    "frame",
    [
        lambda X: X.tolist(),
        lambda X: X.astype(object),
        lambda X: pd.DataFrame(X, columns=["a", "b", "c"]),
        lambda X: pl.DataFrame(X, schema=["a", "b", "c"]),
        lambda X: pd.DataFrame(X, columns=["b", "a", "step_c d:[1]"]),
    ],
)
def test_it_does_not_matter_in_what_the_rows_come(small, frame):
    X = frame(X300)
    model = HazardModel().fit(X, Y300)
    assert (model.predict(X) == small.predict(X300)).all()
    if hasattr(X, "columns"):
        assert model.feature_names_in_.tolist() == list(X.columns)
        assert (model.predict(X[X.columns[::-1]]) == small.predict(X300)).all()


def test_missing_values_of_all_kinds_are_the_same():
    values = np.where(np.arange(300) % 7 == 0, np.nan, np.round(10 * X300[:, 0]))
    flags = np.where(np.arange(300) % 5 == 0, np.nan, X300[:, 1] > 0)
    plain = np.column_stack([values, flags])
    numbers, truths = ([None if np.isnan(v) else v for v in column] for column in plain.T)
    polars = pl.DataFrame({"n": pl.Series(numbers).cast(pl.Int64), "f": pl.Series(truths) > 0})
    pandas = pd.DataFrame({"n": pd.array(numbers, "Int64"), "f": pd.array(truths, "boolean")})
    expected = HazardModel().fit(plain, Y300).predict(plain)
    for frame in (polars, pandas):
        assert (HazardModel().fit(frame, Y300).predict(frame) == expected).all()


@pytest.mark.parametrize(
    "y",
    [
        np.asarray(Y300),
        np.rec.fromarrays([Y300.days, Y300.observed], names="days,observed"),
        pd.DataFrame({"days": Y300.days, "observed": Y300.observed, "more": 1}),
        pl.DataFrame({"days": Y300.days, "observed": Y300.observed}),
        pd.DataFrame({"days": Y300.days, "observed": Y300.observed.astype(int)}),
    ],
)
def test_it_does_not_matter_in_what_the_waits_come(small, y):
    assert (HazardModel().fit(X300, y).predict(X300) == small.predict(X300)).all()
    assert small.score(X300, y) == small.score(X300, Y300)


def test_a_column_that_says_nothing_does_no_harm(small):
    for useless in (np.ones(300), np.full(300, np.nan), np.full(300, 1e300)):
        model = HazardModel(trees=False).fit(np.column_stack([X300, useless]), Y300)
        plain = HazardModel(trees=False).fit(X300, Y300)
        found = model.predict(np.column_stack([X300, useless]))
        assert found == pytest.approx(plain.predict(X300), rel=1e-4)


@pytest.mark.filterwarnings("ignore:Line search of Newton")
def test_five_events_are_enough_to_say_something():
    y = Durations([20.0] * 6, [True] * 5 + [False])
    model = HazardModel().fit(np.ones((6, 1)), y)
    expected = np.exp(-5 / 6)
    assert model.predict_survival([[1.0]], [20])[0] == pytest.approx(expected, rel=1e-3)


def test_fewer_events_are_refused_with_what_to_do():
    """One row would be fitted without a word: half gone after 3.5 days, whatever it is."""
    with pytest.raises(ValueError, match=r"1 sample, which is too few .* give more rows: at least"):
        HazardModel().fit([[1.0]], Durations([5.0], [True]))
    few = Durations(Y300.days, np.arange(300) % 75 == 0)
    with pytest.raises(NotTrainableError, match=r"only 4 of 300 rows .* at least 5; follow"):
        HazardModel().fit(X300, few)


# ------------------------------------------------------------------ scikit-learn's habits


class Plain(HazardModel):
    """With the plain numbers that scikit-learn's checks give as y made into waits."""

    def fit(self, X, y):
        return super().fit(X, self.waits(y))

    def score(self, X, y):
        return super().score(X, self.waits(y))

    @staticmethod
    def waits(y):
        y = None if y is None else np.asarray(y, dtype=float)
        return y if y is None or y.ndim != 1 else Durations(abs(y) + 1, np.arange(len(y)) % 3 < 2)


def test_the_checks_of_scikit_learn_pass():
    but = {"check_dtype_object": "objects that are no numbers are a ValueError, not a TypeError"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = check_estimator(Plain(), expected_failed_checks=but, on_skip=None, on_fail=None)
    wrong = [check["check_name"] for check in done if check["status"] == "failed"]
    assert (wrong, len(done) > 35) == ([], True)


def test_settings_can_be_read_changed_and_cloned(small):
    model = clone(small).set_params(max_days=30, prior_sd=1.0)
    assert model.get_params() == HazardModel(30, prior_sd=1.0).get_params()
    assert not hasattr(model, "hazard_")
    assert repr(model) == "HazardModel(max_days=30, prior_sd=1.0)"


def test_it_stands_at_the_end_of_a_pipeline(small):
    pipe = make_pipeline(StandardScaler(), HazardModel(trees=False)).fit(1000 * X300 + 7, Y300)
    plain = HazardModel(trees=False).fit(X300, Y300)
    asked = 1000 * X300 + 7
    assert pipe.predict(asked) == pytest.approx(plain.predict(X300), rel=1e-4)
    assert pipe.score(asked, Y300) == pytest.approx(plain.score(X300, Y300), rel=1e-4)
    survival = pipe[-1].predict_survival(pipe[:-1].transform(asked), [30])
    assert survival == pytest.approx(plain.predict_survival(X300, [30]), rel=1e-4)


@pytest.mark.parametrize("y", [Y300, np.asarray(Y300), pd.DataFrame(np.asarray(Y300))])
def test_waits_can_be_cross_validated(y):
    scores = cross_val_score(HazardModel(max_days=60), X300, y, cv=3, params={"dates": DATES})
    assert np.isfinite(scores).all()


DATES = np.datetime64("2025-01-01") + np.arange(300) % 200


def test_a_grid_finds_the_setting_that_fits():
    X, y = BENT[0][:1500], BENT[1].take(np.arange(1500))
    search = GridSearchCV(HazardModel(learning_rate=0.3), {"trees": [False, True]}, cv=2).fit(X, y)
    assert search.best_params_ == {"trees": True}
    assert search.best_estimator_.n_trees_ > 0


def test_durations_are_one_array_with_two_fields():
    y = Durations([3, 5], pd.Series([True, False]))
    both = np.asarray(y)
    assert both.dtype.names == ("days", "observed")
    assert both.tolist() == [(3.0, True), (5.0, False)]
    assert (len(y), y.days.dtype, y.observed.dtype) == (2, np.float64, np.bool_)
    with pytest.raises(ValueError, match="always a copy"):
        np.array(y, copy=False)


def test_durations_are_sliced_and_masked_like_an_array():
    y = Durations([3.0, 5.0, 7.0], [True, False, True])
    mask = np.array([True, False, True])
    for rows, days in (
        (slice(1, None), [5, 7]), (slice(None, None, -1), [7, 5, 3]), (mask, [3, 7]),
        (pd.Series(mask, index=[7, 8, 9]), [3, 7]), (pl.Series(mask), [3, 7]),
        (mask.tolist(), [3, 7]), ([2, 0], [7, 3]), (np.array([1]), [5]), (-1, [7]), ([], []),
    ):  # fmt: skip
        part = y[rows]
        assert isinstance(part, Durations)
        assert (part.days.tolist(), len(part), part.shape) == (days, len(days), (len(days),))
        assert part.observed.tolist() == [day != 5 for day in days]
    assert [one.days.item() for one in y] == [3, 5, 7]
    for wrong in (3, mask[:2], "days"):
        with pytest.raises(IndexError):
            y[wrong]


@pytest.mark.parametrize(
    ("days", "observed", "said"),
    [
        ([1.0, 0.0], [True, True], "greater than 0; 1 of 2 are not"),
        ([-1.0], [True], "greater than 0"),
        ([np.inf], [False], "finite"),
        (1.0, True, r"must both be \(n,\)"),
        ([1.0], [True, False], r"must both be \(n,\)"),
        (["soon"], [True], "days must be numbers"),
        ([1.0], ["yes"], "True or False"),
    ],
)
def test_what_cannot_be_a_wait_is_an_error_of_the_project(days, observed, said):
    for kind in (PpiError, ValueError):
        with pytest.raises(kind, match=said):
            Durations(days, observed)


# ------------------------------------------------------------------ errors for people


def frame(**columns):
    return pd.DataFrame({"a": [0.0] * 300, **columns})


BAD_ROWS = {
    "text": (frame(name=[SECRET] * 300), "no numbers in name; encode text"),
    "text in polars": (pl.from_pandas(frame(name=[SECRET] * 300)), "no numbers in name; encode"),
    "dates": (frame(day=pd.Timestamp("2026-01-01")), "no numbers in day; .* dates as days since"),
    "text in numpy": (np.full((300, 1), SECRET), "X: no numbers but <U20"),
    "text among objects": (np.full((300, 1), SECRET, object), "some objects in it are no numbers"),
    "dates in numpy": (np.full((300, 1), "2026-01-01", "M8[D]"), "no numbers but datetime64"),
    "infinity": (frame(b=np.inf, c=-np.inf), "infinity in column b, c; write NaN"),
    "infinity in numpy": (np.full((300, 2), np.inf), "infinity in column 0, 1"),
    "one name twice": (pd.DataFrame(X300, columns=["a", "b", "a"]), "two columns have the same"),
    "one dimension": (X300[:, 0], "Expected 2D array"),
    "no columns": (X300[:, :0], "0 feature"),
    "no rows": (X300[:0], "0 sample"),
    "another length": (X300[:299], "y: 300 rows, but X has 299"),
}


@pytest.mark.parametrize(("X", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_rows_that_cannot_be_used_are_refused(X, message):
    for error in (UsageError, ValueError):
        with pytest.raises(error, match=message) as caught:
            HazardModel().fit(X, Y300)
        assert SECRET not in str(caught.value)


BAD_WAITS = {
    "nothing": (None, "requires y to be passed"),
    "days alone": (Y300.days, "y: no fields called days and observed; give Durations"),
    "other columns": (pd.DataFrame({"days": Y300.days, "event": 1}), "no fields called"),
    "no days": ({"days": 0.0}, "greater than 0"),
    "unknown days": ({"days": np.nan}, "finite"),
    "a length of time": ({"days": pd.Timedelta(days=3)}, "dividing it by one day"),
    "text": ({"observed": "yes"}, "True or False"),
    "unknown whether": ({"observed": None}, "True or False"),
    "a count": ({"observed": 2}, "True or False"),
}


@pytest.mark.parametrize(("y", "message"), BAD_WAITS.values(), ids=BAD_WAITS)
def test_waits_that_cannot_be_used_are_refused(y, message):
    if isinstance(y, dict):
        y = pd.DataFrame({"days": Y300.days, "observed": Y300.observed}).assign(**y)
    with pytest.raises(UsageError, match=message):
        HazardModel().fit(X300, y)


def test_without_an_event_in_reach_it_says_what_to_do():
    nobody = Durations(Y300.days, np.zeros(300, bool))
    with pytest.raises(NotTrainableError, match=r"none of 300 rows .* follow the rows for longer"):
        HazardModel().fit(X300, nobody)
    late = Durations(Y300.days + 10, Y300.observed)
    with pytest.raises(NotTrainableError, match="within 5 days"):
        HazardModel(max_days=5).fit(X300, late)
    five = Durations(Y300.days, np.isin(np.arange(300), np.flatnonzero(Y300.observed)[:5]))
    assert HazardModel().fit(X300, five).n_rows_ == 300
    with pytest.raises(NotTrainableError, match="raise max_rows"):
        HazardModel(max_rows=1).fit(X300, five)


BAD_SETTINGS = [
    ({"max_days": 0}, "max_days: expected a whole number of at least 1"),
    ({"max_days": 30.5}, "max_days: expected a whole number"),
    ({"max_days": 91}, "max_days: 91, but no row was followed for longer than 90 days"),
    ({"num_leaves": 1}, "num_leaves: expected a whole number of at least 2, got 1"),
    ({"prior_sd": 0}, "prior_sd: expected a number above 0, got 0"),
    ({"learning_rate": "fast"}, "learning_rate: expected a number above 0, got 'fast'"),
    ({"whole_days": True}, "whole_days=True wants days as whole numbers"),
    ({"trees": "no"}, "trees: expected True or False, got 'no'"),
    ({"random_state": "luck"}, "random_state: 'luck' cannot be used to seed"),
]


@pytest.mark.parametrize(("given_", "message"), BAD_SETTINGS)
def test_settings_that_cannot_be_are_refused_at_fit(given_, message):
    with pytest.raises(UsageError, match=message):
        HazardModel(**given_).fit(X300, Y300)


BAD_EXTRAS = [
    ({"groups": [1, 2]}, "groups: 2 rows, but X has 300"),
    ({"groups": [None] * 300}, "groups: some are missing"),
    ({"groups": X300}, r"groups: expected shape \(300,\), got \(300, 3\)"),
    ({"dates": np.arange(300)}, "dates: expected dates like 2026-03-31, got int64"),
    ({"dates": [SECRET] * 300}, "dates: expected dates like 2026-03-31, got something else"),
    ({"dates": [pd.NaT] * 300}, "dates: some are missing"),
]


@pytest.mark.parametrize(("extra", "message"), BAD_EXTRAS)
def test_customers_and_dates_that_cannot_be_are_refused(extra, message):
    with pytest.raises(UsageError, match=message) as caught:
        HazardModel().fit(X300, Y300, **extra)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "dates",
    [
        pd.Series(pd.DatetimeIndex(DATES).tz_localize("Europe/Berlin")),
        pl.Series(DATES),
        DATES.astype(str),
        [date.item() for date in DATES],
    ],
)
def test_dates_may_come_in_many_forms(dates):
    expected = HazardModel().fit(X300, Y300, dates=DATES).predict(X300)
    assert (HazardModel().fit(X300, Y300, dates=dates).predict(X300) == expected).all()


def test_other_columns_than_those_of_the_fit_are_refused(small):
    model = HazardModel().fit(pd.DataFrame(X300, columns=["a", "b", "c"]), Y300)
    with pytest.raises(UsageError, match=r"unseen at fit time:\n- d\n.*missing:\n- c"):
        model.predict(pd.DataFrame(X300, columns=["a", "b", "d"]))
    with pytest.raises(UsageError, match="X has 2 features, but HazardModel is expecting 3"):
        small.predict(X300[:, :2])
    with pytest.raises(UsageError, match="no numbers in c"):
        model.predict(pd.DataFrame(X300, columns=["a", "b", "c"]).assign(c=SECRET))


def test_who_is_not_fitted_says_so():
    for ask in (HazardModel().predict, HazardModel().predict_curves):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            ask(X300)


def test_the_error_is_one_of_ours_and_of_python():
    assert issubclass(estimator.InputError, PpiError)
    assert issubclass(estimator.InputError, ValueError)


def test_the_example_of_the_docstring_runs():
    done = doctest.testmod(estimator)
    assert (done.failed, done.attempted > 6) == (0, True)
