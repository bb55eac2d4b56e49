"""What every family keeps, found by discovery: a new file on the shelf is tested here unasked."""

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import polars as pl
import pytest

from ppi_ml import aggregation, dataset, splits
from ppi_ml.declare import Aggregate, Expression, Feature
from ppi_ml.inputs import load_demo
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.schema import TABLES
from ppi_ml.shelf import names
from ppi_ml.snapshot import Past

FAMILIES = {family.name: family for family in dataset.families()}
OF_PURCHASES = ("purchases", "lines")
WINDOWED = [
    pytest.param(family, feature, id=f"{family.name}-{feature.what}-{feature.aggregate}")
    for family in FAMILIES.values()
    for feature in family.features
    if feature.windows and feature.honest
]
BEFORE_RETURNS, EARLY, LATE = "2018-05-15", "2018-08-15", "2019-10-01"


@pytest.fixture(params=sorted(FAMILIES))
def family(request):
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def bare(make_shop, as_log):
    """The shop with its order lines alone."""
    return as_log({"order_lines": make_shop()["order_lines"]})


def past_of(log, cutoff):
    return Past(log, Cutoff.parse(cutoff, log.timezone))


def table_of(view):
    return "order_lines" if view in OF_PURCHASES else view


# ------------------------------------------------------------------ declarations
def test_the_file_bears_the_name_of_the_family():
    assert tuple(sorted(FAMILIES)) == names("ppi_ml.features")


def test_names_say_family_what_aggregate_and_window(family):
    plain = re.compile(rf"{family.name}__[a-z0-9_]+?__({'|'.join(get_args(Aggregate))})(__\d+d)?")
    expression = re.compile(rf"{family.name}__[a-z][a-z0-9_]*")
    for name, declared in aggregation.columns_of(family):
        rule = plain if isinstance(declared, Feature) else expression
        assert rule.fullmatch(name), name
        assert name == name.lower()


def test_no_name_is_used_twice():
    every = [name for f in FAMILIES.values() for name, _ in aggregation.columns_of(f)]
    assert len(every) == len(set(every))


def test_unit_null_and_view_are_filled(family):
    for name, declared in aggregation.columns_of(family):
        assert declared.unit.strip(), name
        assert declared.null.strip(), name
        assert declared.view in OF_PURCHASES or declared.view in TABLES, name
        assert table_of(declared.view) in family.needs, name


def test_the_family_is_about_a_known_entity_and_known_tables(family):
    assert family.entity == "customer"
    assert set(family.needs) <= set(TABLES)
    assert family.rows is None or set(family.rows) <= {f.view for f in family.features}


# ------------------------------------------------------------------ what comes out
@pytest.mark.parametrize("cutoff", [EARLY, LATE])
def test_the_row_count_never_changes(family, shop, cutoff):
    past = past_of(shop, cutoff)
    made = aggregation.compute(family, past)
    assert made["customer_id"].to_list() == past.customers["customer_id"].to_list()
    assert made.height == past.customers.height > 20


def test_declared_columns_are_made_and_no_others(family, shop):
    data = dataset.build(shop, [Cutoff.parse(LATE, shop.timezone)], [family])
    assert list(data.names) == [name for name, _ in aggregation.columns_of(family)]
    assert not np.isinf(data.values).any()
    without = [name for name in data.names if np.isnan(data.column(name)).all()]
    assert without == []


def test_columns_of_an_absent_table_are_there_and_null(family, shop, bare):
    cutoff = Cutoff.parse(LATE, shop.timezone)
    whole, short = (dataset.build(log, [cutoff], [family]) for log in (shop, bare))
    assert short.names == whole.names
    assert short.customers.to_list() == whole.customers.to_list()
    for name, declared in aggregation.columns_of(family):
        needs = {table_of(declared.view), getattr(declared, "since", None)} - {None}
        if needs == {"order_lines"}:
            np.testing.assert_array_equal(short.column(name), whole.column(name))
        else:
            assert np.isnan(short.column(name)).all(), name


def test_what_is_never_null_is_never_null(family, shop):
    data = dataset.build(shop, [Cutoff.parse(c, shop.timezone) for c in (EARLY, LATE)], [family])
    for name, declared in aggregation.columns_of(family):
        if declared.null == "never null":
            assert not np.isnan(data.column(name)).any(), name


# ------------------------------------------------------------------ window honesty
def exposure_days(past, feature):
    """Days watched (n,): since the table began or the customer was first seen, the later."""
    began = past.log.tables[table_of(feature.view)].observed_from
    table = past.cutoff.days_since(began)
    return np.minimum(past.customers["seen_us"].to_numpy() / DAY_US, table)


def only(family, feature):
    """The family with this feature alone."""
    return replace(family, features=(feature,), expressions=(), fitted=None)


@pytest.mark.parametrize(("family", "feature"), WINDOWED)
@pytest.mark.parametrize("cutoff", [EARLY, LATE])
def test_a_window_watched_for_less_than_a_quarter_is_null_not_zero(shop, family, feature, cutoff):
    past = past_of(shop, cutoff)
    made = aggregation.compute(only(family, feature), past)
    exposure = exposure_days(past, feature)
    for name, window in feature.columns(family.name):
        null, unseen = made[name].is_null().to_numpy(), exposure * 4 < window
        assert null[unseen].all(), name
        if feature.aggregate in ("count", "rate", "distinct"):
            assert not null[~unseen].any(), name
    assert (exposure * 4 < max(feature.windows)).any()


@pytest.mark.parametrize(("family", "feature"), WINDOWED)
def test_a_window_of_a_table_that_has_not_begun_is_null(shop, family, feature):
    past = past_of(shop, BEFORE_RETURNS)
    made = aggregation.compute(only(family, feature), past)
    begun = shop.tables[table_of(feature.view)].observed_from < past.cutoff
    for name, _ in feature.columns(family.name):
        assert made[name].is_null().all() != begun, name


RATES = [case for case in WINDOWED if case.values[1].aggregate == "rate"]


@pytest.mark.parametrize(("family", "feature"), RATES)
def test_rates_are_counts_over_the_exposure_that_was_observed(shop, family, feature):
    past = past_of(shop, LATE)
    rates = aggregation.compute(only(family, feature), past)
    counts = aggregation.compute(only(family, replace(feature, aggregate="count")), past)
    exposure = exposure_days(past, feature)
    pairs = zip(rates.columns[1:], counts.columns[1:], feature.windows, strict=True)
    for rate, count, window in pairs:
        watched = np.minimum(exposure, window)
        np.testing.assert_allclose(rates[rate], counts[count] / watched, rtol=1e-12)
        assert (watched < window).any()


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
    data = dataset.build(log, cutoffs, list(FAMILIES.values()))
    assert len(data.cutoffs) > 12
    assert constant(data) == []


def test_a_constant_tree_input_is_found(demo):
    log, cutoffs = demo
    days = (pl.col("cadence__age__max").max() for _ in range(2))
    planted = Expression("log_age", "days", "never null", "purchases", lambda: next(days))
    leaky = replace(FAMILIES["cadence"], expressions=(planted,))
    data = dataset.build(log, cutoffs[-2:], [leaky])
    assert constant(data) == [(str(c), "cadence__log_age") for c in cutoffs[-2:]]


def test_totals_of_a_life_time_are_not_for_trees(family):
    """Without a window, counts and sums grow with the age of the customer and of the log."""
    grows = [
        name
        for name, declared in aggregation.columns_of(family)
        if isinstance(declared, Feature)
        and declared.trees
        and not declared.windows
        and declared.aggregate in ("count", "sum", "distinct")
    ]
    assert grows == []
