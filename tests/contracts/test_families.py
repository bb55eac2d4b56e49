"""What every family keeps, found by discovery: a new file on the shelf is tested here unasked.

Each family is tested for every entity that it serves: customers in the shop of conftest, pairs in
the pantry of tests/shops.py, once with skus and once with categories as products.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest
from tests import bazaar, shops

from ppi_ml import aggregation, dataset, entities, features, splits
from ppi_ml.declare import Aggregate, Expression, Family, Feature
from ppi_ml.entities import CUSTOMER, LINE, ONE_CUSTOMER, ORDER, PAIR, Entity
from ppi_ml.events import EventLog
from ppi_ml.inputs import load_demo
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.schema import TABLES
from ppi_ml.shelf import names
from ppi_ml.snapshot import Past

ABOUT = {"customers": ONE_CUSTOMER, "skus": shops.SKU, "categories": shops.CATEGORY}
OF = {entity: {f.name: f for f in dataset.families(entity=entity)} for entity in (CUSTOMER, PAIR)}
FAMILIES = OF[CUSTOMER] | OF[PAIR]
OF_OCCASIONS = {f.name: f for f in dataset.families(entity=LINE)}
"""Those of orders and lines alone are computed in tests/test_occasion_data.py."""
OF_PURCHASES = ("purchases", "lines")
VIEWS_OF_PAIRS = {"trips": "order_lines", "substitutes": "order_lines", "arrivals": "deliveries",
                  "on_the_way": "deliveries"}  # fmt: skip
BEFORE_RETURNS, EARLY, LATE = "2018-05-15", "2018-08-15", "2019-10-01"
EACH = [(of, name) for of, entity in ABOUT.items() for name in OF[entity.name]]
WINDOWED = [
    pytest.param((of, name), feature, id=f"{name}-{feature.what}-{feature.aggregate}-{of}")
    for of, name in EACH
    for feature in FAMILIES[name].features
    if feature.windows and feature.honest
]


@dataclass(frozen=True)
class Case:
    """A family, what its rows are about, a log with every table, and one with the fewest."""

    family: Family
    entity: Entity
    log: EventLog
    bare: EventLog

    def past(self, cutoff):
        return Past(self.log, Cutoff.parse(cutoff, self.log.timezone), self.entity)

    def build(self, *cutoffs, bare=False):
        log = self.bare if bare else self.log
        at = [Cutoff.parse(cutoff, log.timezone) for cutoff in cutoffs]
        return dataset.build(log, at, [self.family], entity=self.entity)


@pytest.fixture(scope="module")
def logs(make_shop):
    """(every table, the order lines with what their products are), for each entity."""
    pantry = shops.pantry()
    few = {name: pantry[name] for name in ("order_lines", "products")}
    every = bazaar.frames(make_shop())
    basic = {name: every[name] for name in ("order_lines", "cancellations")}
    made = {
        CUSTOMER: (bazaar.load(every), bazaar.load(basic)),
        PAIR: (shops.load(pantry), shops.load(few)),
    }
    return {
        of: tuple(entities.prepared(log, entity) for log in made[entity.name])
        for of, entity in ABOUT.items()
    }


@pytest.fixture
def case(request, logs):
    of, name = request.param
    return Case(FAMILIES[name], ABOUT[of], *logs[of])


each = pytest.mark.parametrize("case", EACH, ids=lambda p: f"{p[1]}-{p[0]}", indirect=True)
each_window = pytest.mark.parametrize(("case", "feature"), WINDOWED, indirect=["case"])


@pytest.fixture(params=sorted(FAMILIES | OF_OCCASIONS))
def family(request):
    return (FAMILIES | OF_OCCASIONS)[request.param]


def table_of(family, view):
    """The table behind a view, said once more without the code that is tested."""
    own = {own.name: own.of for own in family.views}
    return "order_lines" if view in OF_PURCHASES else {**own, **VIEWS_OF_PAIRS}.get(view, view)


# ------------------------------------------------------------------ declarations
def test_the_file_bears_the_name_of_the_family():
    assert tuple(sorted(FAMILIES | OF_OCCASIONS)) == names("ppi_ml.features")


def test_names_say_family_what_aggregate_and_window(family):
    plain = re.compile(rf"{family.name}__[a-z0-9_]+?__({'|'.join(get_args(Aggregate))})(__\d+d)?")
    expression = re.compile(rf"{family.name}__[a-z][a-z0-9_]*")
    for name, declared in aggregation.columns_of(family):
        rule = plain if isinstance(declared, Feature) else expression
        assert rule.fullmatch(name), name
        assert name == name.lower()


def test_no_name_is_used_twice():
    every = [
        name for f in (FAMILIES | OF_OCCASIONS).values() for name, _ in aggregation.columns_of(f)
    ]
    assert len(every) == len(set(every))


def test_unit_null_and_view_are_filled(family):
    for name, declared in aggregation.columns_of(family):
        assert declared.unit.strip(), name
        assert declared.null.strip(), name
        own = [view.name for view in family.views]
        assert declared.view in (*OF_PURCHASES, *VIEWS_OF_PAIRS, *TABLES, *own), name
        assert table_of(family, declared.view) in family.needs, name


def test_the_family_is_about_a_known_entity_and_known_tables(family):
    served = [entity for entity in (CUSTOMER, PAIR, ORDER, LINE) if family.serves(entity)]
    assert served
    assert set(served) == {family.entity} if isinstance(family.entity, str) else set(family.entity)
    if CUSTOMER in served:
        assert not {f.view for f in family.features} & set(VIEWS_OF_PAIRS)
    assert set(family.needs) <= set(TABLES)
    assert family.rows is None or set(family.rows) <= {f.view for f in family.features}


# ------------------------------------------------------------------ what comes out
def compute(family, past):
    """The columns of a family that learns from this past what it has to learn."""
    learned = family.learned and family.learned.fit(family.learned.collect(past.seen))
    return aggregation.compute(family, past, learned)


@each
@pytest.mark.parametrize("cutoff", [EARLY, LATE])
def test_the_row_count_never_changes(case, cutoff):
    past = case.past(cutoff)
    made = compute(case.family, past)
    assert made.select(case.entity.keys).equals(past.entities.select(case.entity.keys))
    assert made.height == past.entities.height > 20


@each
def test_declared_columns_are_made_and_no_others(case):
    data = case.build(LATE)
    assert list(data.names) == [name for name, _ in aggregation.columns_of(case.family)]
    assert not np.isinf(data.values).any()
    without = [name for name in data.names if np.isnan(data.column(name)).all()]
    assert without == []


def without_events(case, data):
    """Rows (n,) of customers with no event in a table that the bare log does not have."""
    absent = [t for name, t in case.log.tables.items() if name not in case.bare.tables]
    known = [t.frame["customer_id"] for t in absent if t.of_customers]
    return ~data.customers.is_in(pl.concat(known).unique().to_list()).to_numpy()


@each
def test_columns_of_an_absent_table_are_there_and_null(case):
    whole, short = (case.build(LATE, bare=bare) for bare in (False, True))
    assert short.names == whole.names
    assert short.keys.equals(whole.keys)
    quiet = without_events(case, whole)
    assert 5 < quiet.sum() < len(quiet) or not case.entity.is_pair
    # what refills says of a purchase depends on how much of it was sent back, where that is known
    same = quiet if case.family.name == "refills" else np.ones(len(quiet), bool)
    for name, declared in aggregation.columns_of(case.family):
        needs = {table_of(case.family, declared.view), getattr(declared, "since", None)} - {None}
        if needs == {"order_lines"}:
            np.testing.assert_array_equal(short.column(name)[same], whole.column(name)[same])
        else:
            assert np.isnan(short.column(name)).all(), name


@each
def test_what_is_never_null_is_never_null(case):
    data = case.build(EARLY, LATE)
    for name, declared in aggregation.columns_of(case.family):
        if declared.null == "never null":
            assert not np.isnan(data.column(name)).any(), name


# ------------------------------------------------------------------ window honesty
def exposure_days(case, past, feature):
    """Days watched (n,): since the table began or the entity was first seen, the later.

    A view of the customer's own has been watched since the customer was first seen in it.
    """
    began = past.log.tables[table_of(case.family, feature.view)].observed_from
    seen = past.entities["seen_us"]
    if feature.view == "trips":
        first = past.trips.group_by("customer_id").agg(first=pl.col("age_us").max())
        seen = past.entities.join(first, on="customer_id", maintain_order="left")["first"]
    return np.minimum(seen.to_numpy() / DAY_US, past.cutoff.days_since(began))


def only(case, feature, **change):
    """The family with this feature alone."""
    chosen = (replace(feature, **change),)
    return replace(case.family, features=chosen, expressions=(), fitted=None)


@each_window
@pytest.mark.parametrize("cutoff", [EARLY, LATE])
def test_a_window_watched_for_less_than_a_quarter_is_null_not_zero(case, feature, cutoff):
    past = case.past(cutoff)
    made = compute(only(case, feature), past)
    exposure = exposure_days(case, past, feature)
    for name, window in feature.columns(case.family.name):
        null, unseen = made[name].is_null().to_numpy(), exposure * 4 < window
        assert null[unseen].all(), name
        if feature.aggregate in ("count", "rate", "distinct"):
            assert not null[~unseen].any(), name
    assert (exposure * 4 < max(feature.windows)).any() or cutoff == LATE


@each_window
def test_a_window_of_a_table_that_has_not_begun_is_null(case, feature):
    past = case.past(BEFORE_RETURNS)
    made = compute(only(case, feature), past)
    begun = case.log.tables[table_of(case.family, feature.view)].observed_from < past.cutoff
    exposure = exposure_days(case, past, feature) if begun else np.zeros(len(made))
    for name, window in feature.columns(case.family.name):
        watched = bool((exposure * 4 >= window).any())
        assert watched or made[name].is_null().all(), name
        if feature.aggregate in ("count", "rate", "distinct"):
            assert made[name].is_null().all() != watched, name


RATES = [case for case in WINDOWED if case.values[1].aggregate == "rate"]


@pytest.mark.parametrize(("case", "feature"), RATES, indirect=["case"])
def test_rates_are_counts_over_the_exposure_that_was_observed(case, feature):
    past, keys = case.past(LATE), len(case.entity.keys)
    rates = compute(only(case, feature), past)
    counts = compute(only(case, feature, aggregate="count"), past)
    exposure = exposure_days(case, past, feature)
    columns = zip(rates.columns[keys:], counts.columns[keys:], feature.windows, strict=True)
    for rate, count, window in columns:
        watched = np.minimum(exposure, window)
        np.testing.assert_allclose(rates[rate], counts[count] / watched, rtol=1e-12)
    assert (exposure < max(feature.windows)).any()


# ------------------------------------------------------------------ trees
@pytest.fixture(scope="module")
def demo():
    """The data that ship, at every cutoff that training on them would use."""
    log = load_demo()
    plan = splits.forward(log.observed_from, log.observed_until, 90, splits.Spacing())
    return log, plan.cutoffs


def constant(data):
    """(cutoff, column) of tree inputs that hold one value, or nothing, for all of a cutoff."""
    found = []
    for cutoff in data.cutoffs:
        part = data.values[data.rows_at(cutoff)]
        for name in data.tree_names:
            column = part[:, data.names.index(name)]
            if len(np.unique(column[~np.isnan(column)])) < 2:
                found.append((str(cutoff), name))
    return found


def test_no_tree_input_is_constant_within_a_cutoff(demo):
    """Such an input would only name the cutoff, and a tree would carry its luck forward."""
    log, cutoffs = demo
    data = dataset.build(log, cutoffs, list(OF[CUSTOMER].values())).varying()
    assert len(data.cutoffs) > 12
    assert constant(data) == []


def test_no_tree_input_is_constant_where_every_table_is_there(logs):
    log = logs["customers"][0]
    begun = max(t.observed_from for t in log.tables.values())
    cutoffs = [begun.plus(days) for days in range(430, 580, 50)]
    data = dataset.build(log, cutoffs, list(OF[CUSTOMER].values()))
    assert set(data.varying().tree_names) == set(data.tree_names)
    assert constant(data) == []


@pytest.mark.parametrize("of", ["skus", "categories"])
def test_no_tree_input_of_pairs_is_constant_within_a_cutoff(logs, of):
    log = logs[of][0]
    first = log.tables["usage"].observed_from  # the last of the tables to begin
    cutoffs = [first.plus(days) for days in range(60, 450, 60)]
    data = dataset.build(log, cutoffs, list(OF[PAIR].values()), entity=ABOUT[of])
    assert len(data.tree_names) > 40
    assert constant(data) == []


def test_a_constant_tree_input_is_found(demo):
    log, cutoffs = demo
    days = (pl.col("cadence__age__max").max() for _ in range(2))
    planted = Expression("log_age", "days", "never null", "purchases", lambda: next(days))
    leaky = replace(FAMILIES["cadence"], expressions=(planted,))
    data = dataset.build(log, cutoffs[-2:], [leaky])
    assert constant(data) == [(str(c), "cadence__log_age") for c in cutoffs[-2:]]


def test_totals_of_a_life_time_are_not_for_trees(family):
    """Without a window, counts and sums grow with the age of the customer and of the log.

    What is counted since the last purchase alone is bounded by the silence of the pair, and an
    order or a line does not grow at all.
    """
    if family.name in OF_OCCASIONS and family.name not in FAMILIES:
        return
    grows = [
        name
        for name, declared in aggregation.columns_of(family)
        if isinstance(declared, Feature)
        and declared.trees
        and not declared.windows
        and declared.aggregate in ("count", "sum", "distinct")
        and declared.where != "since_last"
        and declared.view != "substitutes"
    ]
    assert grows == []


@pytest.mark.parametrize(
    "path", sorted(Path(features.__file__).parent.glob("*.py")), ids=lambda p: p.stem
)
def test_what_was_learned_is_read_by_name_and_never_guessed(path):
    """A part that a bundle of another version lacks must be an error, not a null."""
    source = path.read_text(encoding="utf-8")
    assert not re.findall(r"\bstate\.get\(|\bstate or\b|\(state or", source)
