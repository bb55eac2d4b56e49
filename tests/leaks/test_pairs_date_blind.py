"""Rule 6 for pairs: a small tree cannot tell the cutoff from what it sees of a changeless shop.

The shop is a simulated one in equilibrium: customers arrive and leave at constant rates long before
its log begins, and nothing in it is shared by all on a date (no promotions, no stock-outs).
Discounts and returns come by chance, so that no family is without events. As for customers
(`test_date_blind`), the log is older than every window at the first cutoff; what shows in a young
one, whose beginning cuts off the gaps and the windows, is held where it is.
"""

from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.shops import SKU

from ppi_ml import dataset, entities, rows, simulate, splits
from ppi_ml.entities import PAIR
from ppi_ml.events import RawTable, load_tables
from ppi_ml.models.covariates import Settings
from ppi_ml.models.intervals import EDGES
from ppi_ml.snapshots import Wanted

CUSTOMERS, BEFORE = 4_000, 1_500
"""Days before the log: four life times of a customer."""
OLD_LOG, YOUNG_LOG = 1_000, 365
"""Days; the first cutoffs lie 640 and 95 days after the beginning."""
HORIZON, CUTOFFS, ACTIVE_WITHIN, REACH, MOST = 60, 8, 120, 120, 2_500
CHANCE, TOLD, TOLD_WHILE_YOUNG = 0.55, 0.60, 0.70
"""AUC: above chance; surely told; and the most that a young log may tell."""
NOISES = 4.0
LEAST_LEAF, DEPTH = 50, 3
EQUILIBRIUM = simulate.Shop(
    categories=6, products_per_category=4, products_each=3.0, joining=1.0, leave_per_year=1.0,
    lapse_per_year=0.5, promotions=0.0, stock_outs=0.0, usage=0.3,
)  # fmt: skip
TABLES = ("order_lines", "products", "deliveries", "usage")


def stationary(days, seed=1):
    """The log of the last days of a shop in equilibrium."""
    made = simulate.simulate(CUSTOMERS, BEFORE + days, seed, EQUILIBRIUM)
    tables = {name: made.tables[name] for name in TABLES}
    draw = np.random.default_rng(seed)
    off = pl.Series(draw.random(len(tables["order_lines"])) < 0.2)
    paid = pl.col("unit_price") * pl.col("quantity")
    lines = tables["order_lines"].with_columns(
        discount=pl.when(off).then((0.25 * paid).round(2)).otherwise(0.0),
        promo_code=pl.when(off).then(pl.lit("SAVE")),
    )
    back = lines.filter(pl.Series(draw.random(len(lines)) < 0.08))
    later = [timedelta(days=float(d)) for d in draw.uniform(2, 20, len(back))]
    tables |= {"order_lines": lines, "returns": back.select(
        "customer_id", "order_id", "sku", pl.col("occurred_at") + pl.Series(later),
        return_id=pl.int_range(pl.len()), quantity=1.0,
    )}  # fmt: skip
    start, end = made.observed_from.plus(BEFORE), made.observed_until
    at = pl.col("occurred_at").dt.epoch("us")
    raw = {
        name: RawTable(frame)
        if name == "products"
        else RawTable(frame.filter(at.is_between(start.at, end.at, closed="left")),
                      observed_from=start, observed_until=end)
        for name, frame in tables.items()
    }  # fmt: skip
    return entities.prepared(load_tables(raw, timezone="UTC", currency="EUR"), SKU)


@cache
def training(days):
    """Training rows of a shop's log: data, process states, rows, and the two tree inputs.

    Of every row the interval inputs are those of one interval, drawn.
    """
    log = stationary(days)
    plan = splits.forward(
        log.observed_from, log.observed_until, HORIZON, splits.Spacing(train_cutoffs=CUTOFFS)
    )
    data = dataset.build(log, plan.outer.train, dataset.families(entity=PAIR), entity=SKU,
                         wanted=Wanted(ACTIVE_WITHIN, MOST))  # fmt: skip
    states = rows.fit_processes(data, [], log.observed_from)
    edges = tuple(float(edge) for edge in EDGES if edge <= REACH)
    settings = Settings(edges, states.names, data.tree_names, facts=rows.facts_of(data))
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
    when early and late are swapped for a random half of these, all rows of a customer together.
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


def test_the_shop_is_in_equilibrium_and_every_family_has_something_to_say():
    data, _, made, inputs = training(OLD_LOG)
    assert len(data.cutoffs) == CUTOFFS
    sizes = np.diff(data.starts)
    assert np.abs(sizes / sizes.mean() - 1).max() < 0.1
    assert data.silent_days.max() <= ACTIVE_WITHIN
    known = np.isfinite(inputs["standing"]).mean(axis=0)
    assert known.min() > 0.02
    assert len(np.unique(made.key)) > 400


@BOTH
def test_a_small_tree_cannot_tell_the_cutoff(which):
    found, noise = told(OLD_LOG, training(OLD_LOG)[-1][which])
    assert NOISES * noise < CHANCE - 0.5 + 0.02  # else the test could not see much
    assert found < CHANCE


@BOTH
def test_a_small_tree_cannot_say_how_late_a_cutoff_is(which):
    data, _, made, inputs = training(OLD_LOG)
    learn, number = made.key % 2 == 0, data.cutoff_index
    tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=LEAST_LEAF, random_state=0)
    said = tree.fit(inputs[which][learn], number[learn]).predict(inputs[which][~learn])
    true = number[~learn]
    assert np.mean((said - true) ** 2) > 0.98 * true.var()


@pytest.mark.parametrize("family", ["arrivals", "cadence", "packs", "refills", "trips"])
def test_no_family_alone_tells_the_cutoff(family):
    """What one family says must not hide among the columns of the others."""
    data = training(OLD_LOG)[0]
    own = [i for i, name in enumerate(data.tree_names) if name.startswith(f"{family}__")]
    assert len(own) > 1
    assert told(OLD_LOG, data.trees()[:, own])[0] < CHANCE


@BOTH
def test_a_log_younger_than_its_windows_tells_no_more_than_it_did(which):
    assert told(YOUNG_LOG, training(YOUNG_LOG)[-1][which])[0] < TOLD_WHILE_YOUNG


def rate_of_the_product(data, _states):
    """What is fitted on everybody, in every row of its product."""
    return data.column("refills__ln_rate")


def process(data, states):
    """A parameter that is fitted anew at every cutoff, in every row."""
    mean = [states.by_cutoff[str(c)]["renewals"]["mean"] for c in data.cutoffs]
    return np.array(mean)[data.cutoff_index]


@BOTH
@pytest.mark.parametrize("forbidden", [rate_of_the_product, process])
def test_a_small_tree_tells_the_cutoff_from_one_forbidden_column(which, forbidden):
    data, states, _, inputs = training(OLD_LOG)
    planted = forbidden(data, states).astype(np.float32)
    assert told(OLD_LOG, np.column_stack([inputs[which], planted]))[0] > TOLD


def test_the_age_of_a_pair_tells_how_young_a_log_is():
    data, _, _, inputs = training(YOUNG_LOG)
    age = data.column("cadence__age__max").astype(np.float32)
    planted = np.column_stack([inputs["standing"], age])
    assert told(YOUNG_LOG, planted)[0] > TOLD_WHILE_YOUNG


def test_the_forbidden_columns_of_the_shelf_are_no_tree_inputs():
    data = training(OLD_LOG)[0]
    forbidden = {
        "cadence__age__max", "cadence__purchases__count", "refills__age__max", "refills__again",
        "refills__exponent", "refills__ln_rate", "refills__ln_scale", "refills__ln_usual_gap",
        "refills__purchases__count",
    }  # fmt: skip
    assert forbidden <= set(data.names)
    assert not forbidden & set(data.tree_names)
