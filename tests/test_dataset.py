"""Snapshot x families -> one matrix: rows in order, columns by name, the same for any caller."""

import json

import numpy as np
import pytest

from ppi_ml import dataset
from ppi_ml.errors import ConfigError, UsageError
from ppi_ml.instants import Cutoff

LINES = [
    ("a", "2018-05-01T10:00:00", {"unit_price": 10.0, "quantity": 2, "sku": "x"}),
    ("a", "2018-05-21T10:00:00", {"unit_price": 5.0, "quantity": 1, "sku": "y"}),
    ("b", "2018-06-10T18:00:00", {"unit_price": None, "quantity": 3, "sku": "x"}),
    ("a", "2018-06-20T10:00:00", {"unit_price": 1.0, "quantity": 1, "sku": "x"}),
]
RETURNS = [("a", "2018-05-25T12:00:00", {"quantity": 1.0})]
PERIOD = {"start": "2018-01-01", "until": "2018-12-01"}


def at(log, *days):
    return [Cutoff.parse(day, log.timezone) for day in days]


def value(data, name, customer):
    return data.column(name)[data.customers.to_list().index(customer)]


@pytest.fixture(scope="module")
def by_hand(log_of):
    log = log_of(LINES, RETURNS, **PERIOD)
    return dataset.build(log, at(log, "2018-06-30"), dataset.families())


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        ("orders__purchases__count__90d", 3, np.nan),  # b was first seen 19.25 days before
        ("orders__purchases__count__30d", 1, 1),
        ("orders__purchases__rate__30d", 1 / 30, 1 / 19.25),
        ("orders__purchases__rate__90d", 3 / (59 + 14 / 24), np.nan),
        ("orders__value__sum__90d", 26, np.nan),
        ("orders__value__last", 1, np.nan),
        ("orders__skus__distinct__90d", 2, np.nan),
        ("orders__purchases__count__365d", np.nan, np.nan),  # 59 days are under a quarter of 365
        ("cadence__elapsed__days_since", 9 + 14 / 24, 19.25),
        ("cadence__gap__mean", 25, np.nan),
        ("cadence__gap__last", 30, np.nan),
        ("cadence__age__max", 59 + 14 / 24, 19.25),
        ("cadence__elapsed_over_mean_gap", (9 + 14 / 24) / 25, np.nan),
        ("calendar__evening__share", 0, 1),
        ("calendar__weekend__share", 0, 1),  # 10 June 2018 was a Sunday
        ("returns__requests__count__90d", 1, np.nan),
        ("returns__last__days_since", 35.5, np.nan),
        ("returns__requests_per_purchase", 1 / 3, 0),
    ],
)
def test_features_by_hand(by_hand, name, a, b):
    assert value(by_hand, name, "a") == pytest.approx(a, rel=1e-6, nan_ok=True)
    assert value(by_hand, name, "b") == pytest.approx(b, rel=1e-6, nan_ok=True)


def test_the_share_of_returns_over_that_of_the_shop_by_hand(by_hand):
    """7 units bought, 1 sent back: by a, who bought 4 in 3 purchases; 1 weighs 5 purchases."""
    assert by_hand.states["2018-06-30"]["returns"] == {"share": 1 / 7}
    over = {who: value(by_hand, "returns__share_over_shop", who) for who in "ab"}
    assert over["a"] == pytest.approx((3 * 7 / 4 + 5) / (3 + 5), rel=1e-6)
    assert over["b"] == pytest.approx(5 / (1 + 5), rel=1e-6)


def test_rows_are_in_order_of_cutoff_and_customer(shop):
    cutoffs = at(shop, "2019-09-01", "2018-09-01", "2019-09-01")
    data = dataset.build(shop, cutoffs, dataset.families(["orders"]))
    assert [str(c) for c in data.cutoffs] == ["2018-09-01", "2019-09-01"]
    assert data.starts == (0, len(data.keys_at(data.cutoffs[0])["customer_id"]), len(data))
    for cutoff in data.cutoffs:
        customers = data.keys_at(cutoff)["customer_id"].to_list()
        assert customers == sorted(set(customers))
    assert data.values.dtype == np.float32
    assert data.values.shape == (len(data), len(data.names))
    assert data.cutoff_index.tolist() == sorted(data.cutoff_index.tolist())


def test_a_cutoff_among_others_is_the_cutoff_alone(shop):
    """States too: a row at a cutoff knows the states of that cutoff and of no other."""
    first, second = at(shop, "2018-12-01", "2019-09-01")
    both = dataset.build(shop, [first, second], dataset.families())
    for cutoff in (first, second):
        alone = dataset.build(shop, [cutoff], dataset.families())
        chosen = both.at([cutoff])
        assert chosen.values.tobytes() == alone.values.tobytes()
        assert chosen.customers.to_list() == alone.customers.to_list()
        assert json.dumps(chosen.states) == json.dumps(alone.states)
    states = {json.dumps(state) for state in both.states.values()}
    assert len(states) == 2


def test_some_cutoffs_are_their_rows_which_are_copied_only_where_others_lie_between(shop):
    days = ("2018-12-01", "2019-03-01", "2019-06-01", "2019-09-01")
    data = dataset.build(shop, at(shop, *days), dataset.families(["orders"]))
    for places in ((1, 2), (0, 2), (0, 1, 3)):
        chosen = data.at([data.cutoffs[i] for i in places])
        here = np.isin(data.cutoff_index, places)
        np.testing.assert_array_equal(chosen.values, data.values[here])
        assert chosen.customers.to_list() == data.customers.filter(here).to_list()
        assert np.shares_memory(chosen.values, data.values) == (places == (1, 2))


def test_given_states_are_replayed_and_not_fitted(shop):
    (cutoff,) = at(shop, "2019-09-01")
    states = {"returns": {"share": 0.5}}
    chosen = dataset.families(["orders", "returns"])
    fitted = dataset.build(shop, [cutoff], chosen)
    replayed = dataset.build(shop, [cutoff], chosen, states=states)
    assert replayed.states == {str(cutoff): states}
    different = [
        name
        for name in fitted.names
        if not np.array_equal(fitted.column(name), replayed.column(name), equal_nan=True)
    ]
    assert different == ["returns__share_over_shop"]


def test_take_keeps_every_cutoff_and_the_rows_asked_for(shop):
    data = dataset.build(shop, at(shop, "2018-09-01", "2019-09-01"), dataset.families(["orders"]))
    late = data.take(data.cutoff_index == 1)
    assert late.cutoffs == data.cutoffs
    assert late.starts == (0, 0, len(late))
    np.testing.assert_array_equal(late.values, data.at(data.cutoffs[1:]).values)


def test_eligible_are_those_with_a_purchase_in_the_last_days(log_of):
    log = log_of([("a", "2018-06-01"), ("b", "2018-05-31T23:59:59"), ("c", "2018-06-09")])
    data = dataset.build(log, at(log, "2018-07-01"), dataset.families(["orders"]))
    assert data.eligible(30).tolist() == [True, False, True]


def test_day_tables_take_local_midnights_only(log_of):
    log = log_of([("a", "2018-06-01"), ("a", "2018-06-11")], granularity="day")
    data = dataset.build(log, at(log, "2018-06-10", "2018-06-12"), dataset.families())
    assert data.column("cadence__elapsed__days_since").tolist() == [9, 1]
    for wrong in ("2018-06-10T12:00:00", "2018-06-10T00:00:00+00:00"):
        with pytest.raises(UsageError, match="not a local midnight, and the table order_lines"):
            dataset.build(log, at(log, wrong), dataset.families())


def test_windows_are_a_setting_and_expressions_that_need_others_are_left_out():
    (family,) = dataset.families(["orders"], windows=(30, 60, 180))
    names = [line["name"] for line in dataset.catalogue([family])]
    assert "orders__purchases__count__60d" in names
    assert "orders__purchases__count__90d" not in names
    assert "orders__purchases__trend__30d_180d" in names
    assert "orders__purchases__trend__90d_365d" not in names


def test_an_unknown_family_is_named_with_those_there_are():
    with pytest.raises(ConfigError, match=r'features: no "order"\. Did you mean orders'):
        dataset.families(["order"])


def test_build_features_is_the_matrix_with_customer_and_cutoff(shop):
    frame = dataset.build_features(shop, ["2018-09-01", "2019-09-01"], families=["orders"])
    data = dataset.build(shop, at(shop, "2018-09-01", "2019-09-01"), dataset.families(["orders"]))
    assert frame.index.names == ["customer_id", "cutoff"]
    assert list(frame.columns) == list(data.names)
    np.testing.assert_array_equal(frame.to_numpy(), data.values)
    one = dataset.build_features(shop, "2019-09-01", families=["orders"])
    np.testing.assert_array_equal(one.to_numpy(), data.at(data.cutoffs[1:]).values)
    with pytest.raises(UsageError, match='unknown entity "order"'):
        dataset.build_features(shop, "2019-09-01", entity="order")


def test_what_holds_one_value_in_every_row_takes_no_room_and_is_still_there(by_hand):
    lean = by_hand.varying()
    assert lean.values.shape == (len(by_hand), len(lean.names))
    assert set(lean.names) < set(by_hand.names)
    assert not set(lean.names) & set(lean.constants)
    assert all(lean.has(name) for name in by_hand.names)
    assert not lean.has("orders__no_such_column")
    for part in (lean, lean.at(lean.cutoffs), lean.take(np.ones(len(lean), dtype=bool))):
        for name in by_hand.names:
            assert np.array_equal(part.column(name), by_hand.column(name), equal_nan=True), name


def test_no_row_has_no_column_that_varies(by_hand):
    nobody = by_hand.take(np.zeros(len(by_hand), dtype=bool)).varying()
    assert nobody.names == nobody.tree_names == ()
    assert nobody.column("orders__value__last").shape == (0,)
