"""Rule 6: a small tree cannot tell the cutoff from the tree inputs of a shop that never changes.

The shop has neither season nor trend, and its customers came long before its log began. Two things
differ between its cutoffs all the same, and are kept out of the question or bounded: customers who
left long ago pile up in the log (so only rows are asked about that a target asks about), and a
window reaches back before a young log (so the log is older than every window at the first cutoff;
what shows in a younger one is held where it is).
"""

from datetime import datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ppi_ml import dataset, rows, splits
from ppi_ml.config import Config
from ppi_ml.events import RawTable, load_tables
from ppi_ml.models.covariates import Settings
from ppi_ml.models.curve import EDGES

START, ALIVE, LIFE_DAYS, BEFORE = datetime(2018, 1, 1), 800, 600.0, 3_000
OLD_LOG, YOUNG_LOG = 1_000, 730
"""Days; the first cutoffs lie 580 and 310 days after the beginning."""
HORIZON, CUTOFFS, ACTIVE_WITHIN, REACH = 90, 8, 180, 180
CHANCE, TOLD, TOLD_WHILE_YOUNG = 0.55, 0.60, 0.60
"""AUC: above chance; surely told; and the most that a young log may tell."""
NOISES = 4.0
PROCESSES = Config.read(
    {"data": {"source": "dataframes"}, "target": {"name": "churn"}}, environ={}
).model.processes
LEAST_LEAF, DEPTH = 50, 3


def stationary(days, seed=1):
    """A shop in equilibrium: arrivals, purchases and losses at constant rates, a tenth returned."""
    draw = np.random.default_rng(seed)
    born = draw.uniform(-BEFORE, days, draw.poisson(ALIVE / LIFE_DAYS * (BEFORE + days)))
    lived = draw.exponential(LIFE_DAYS, len(born))
    bought = 1 + draw.poisson(draw.gamma(1.2, 1 / 30, len(born)) * lived)
    who = np.repeat(np.arange(len(born)), bought)
    share = draw.random(len(who))
    share[np.cumsum(bought) - 1] = 0.0  # the first purchase is the beginning of a customer
    at = born[who] + share * lived[who]
    keep = (at >= 0) & (at < days)
    who, at = who[keep], at[keep]
    back = np.flatnonzero(draw.random(len(at)) < 0.1)
    sent = at[back] + draw.uniform(2, 20, len(back))
    back, sent = back[sent < days], sent[sent < days]
    lines = {"line_id": "1", "sku": _numbered("s", draw.integers(0, 30, len(at))),
             "quantity": draw.integers(1, 5, len(at)) * 1.0,
             "unit_price": draw.lognormal(2, 0.5, len(at)).round(2)}  # fmt: skip
    tables = {
        "order_lines": _events("order_id", who, at, **lines),
        "returns": _events("return_id", who[back], sent, quantity=1.0),
    }
    until = START + timedelta(days=days)
    raw = {n: RawTable(f, observed_from=START, observed_until=until) for n, f in tables.items()}
    return load_tables(raw, timezone="UTC", currency="GBP")


def _events(key, who, days, **columns):
    moments = np.datetime64(START, "us") + (days * 86_400e6).astype("timedelta64[us]")
    ids = {"customer_id": _numbered("c", who), key: _numbered("k", np.arange(len(who)))}
    return pl.DataFrame(ids | {"occurred_at": moments}).with_columns(
        **{name: pl.lit(v) if np.isscalar(v) else pl.Series(v) for name, v in columns.items()}
    )


def _numbered(letter, numbers):
    return [f"{letter}{number}" for number in numbers]


@cache
def training(days):
    """Training rows of a shop's log: data, process states, rows, and the two tree inputs.

    Of every row the interval inputs are those of one interval, drawn.
    """
    log = stationary(days)
    plan = splits.forward(
        log.observed_from, log.observed_until, HORIZON, splits.Spacing(train_cutoffs=CUTOFFS)
    )
    data = dataset.build(log, plan.outer.train, dataset.families())
    states = rows.fit_processes(data, PROCESSES, log.observed_from)
    data = data.take(data.eligible(ACTIVE_WITHIN))
    edges = tuple(float(edge) for edge in EDGES if edge <= REACH)
    settings = Settings(edges, states.names, data.tree_names)
    made = rows.build(data, states, edges)
    interval = np.random.default_rng(0).integers(0, len(edges) - 1, len(made))
    inputs = {
        "of one interval": made.tree_inputs(np.arange(len(made)), interval, settings)[0],
        "standing": made.standing(settings)[0],
    }
    return data, states, made, inputs


def told(days, inputs):
    """How well a small tree tells late cutoffs from early ones, and the noise of that (AUC).

    It learns from half of the customers and is asked about the others. The noise is what remains
    when early and late are swapped for a random half of these: all rows of a customer together,
    because they are alike.
    """
    data, _, made, _ = training(days)
    late = data.cutoff_index >= len(data.cutoffs) // 2
    learn = made.key % 2 == 0
    tree = DecisionTreeClassifier(
        max_depth=DEPTH, min_samples_leaf=LEAST_LEAF, random_state=0
    ).fit(inputs[learn], late[learn])  # fmt: skip
    said, true, who = tree.predict_proba(inputs[~learn])[:, 1], late[~learn], made.key[~learn]
    customers, place = np.unique(who, return_inverse=True)
    draw = np.random.default_rng(0)
    swaps = (draw.random(len(customers))[place] < 0.5 for _ in range(20))
    noise = np.std([roc_auc_score(true ^ swap, said) for swap in swaps])
    return roc_auc_score(true, said), noise


BOTH = pytest.mark.parametrize("which", ["of one interval", "standing"])


@BOTH
def test_a_small_tree_cannot_tell_the_cutoff(which):
    found, noise = told(OLD_LOG, training(OLD_LOG)[-1][which])
    assert NOISES * noise < CHANCE - 0.5 + 0.01  # else the test could not see much
    assert found < CHANCE


@BOTH
def test_a_small_tree_cannot_say_how_late_a_cutoff_is(which):
    data, _, made, inputs = training(OLD_LOG)
    learn, number = made.key % 2 == 0, data.cutoff_index
    tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=LEAST_LEAF, random_state=0)
    said = tree.fit(inputs[which][learn], number[learn]).predict(inputs[which][~learn])
    true = number[~learn]
    assert np.mean((said - true) ** 2) > 0.98 * true.var()


@BOTH
def test_a_log_younger_than_its_windows_tells_no_more_than_it_did(which):
    assert told(YOUNG_LOG, training(YOUNG_LOG)[-1][which])[0] < TOLD_WHILE_YOUNG


def age(data, _states):
    return data.column("cadence__age__max")


def pace_of_the_shop(data, states):
    """A parameter that is fitted anew at every cutoff, in every row."""
    alpha = np.array([states.by_cutoff[str(c)]["mbg_nbd"]["alpha"] for c in data.cutoffs])
    return alpha[data.cutoff_index]


@BOTH
@pytest.mark.parametrize("forbidden", [age, pace_of_the_shop])
def test_a_small_tree_tells_the_cutoff_from_one_forbidden_column(which, forbidden):
    data, states, _, inputs = training(OLD_LOG)
    planted = forbidden(data, states).astype(np.float32)
    assert told(OLD_LOG, np.column_stack([inputs[which], planted]))[0] > TOLD


def test_a_state_shows_only_in_rows_that_it_says_something_of():
    """A shop's share of returns in the row of who sent nothing back would name the date.

    Shrunk in units to that share, returns once told it with an AUC of .66.
    """
    data = training(OLD_LOG)[0]
    last = data.cutoffs[-1]
    chosen = dataset.families(["returns"])
    fitted, other = (
        dataset.build(stationary(OLD_LOG), [last], chosen, states=states)
        for states in (None, {"returns": {"share": 0.5}})
    )
    unlike = (fitted.trees() != other.trees()) & ~np.isnan(fitted.trees())
    assert unlike.any()
    assert not unlike[~(fitted.column("returns__any__count") > 0)].any()


def test_the_forbidden_columns_of_the_shelf_are_no_tree_inputs():
    data = training(OLD_LOG)[0]
    assert {"cadence__age__max", "cadence__purchases__count"} <= set(data.names)
    assert not {"cadence__age__max", "cadence__purchases__count"} & set(data.tree_names)
