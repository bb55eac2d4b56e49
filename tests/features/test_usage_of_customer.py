"""Usage of customers by hand: gaps, kinds, and the purchase that a report belongs to."""

import pytest
from tests.by_hand import log_of, says

SINCE = "since_bought__last"


def used(*reports, orders=(("a", 1, {"sku": "s"}),)):
    """(day, columns) -> a log; whoever says no sku used `s`."""
    return log_of(orders, usage=[("a", day, {"sku": "s"} | columns) for day, columns in reports])


def test_gaps_and_silence():
    said = says(used((10, {}), (20, {}), (50, {})), "usage_of_customer", 90)
    assert said["gap__last"] == 30
    assert said["gap__mean__180d"] == 20
    assert said["last__days_since"] == 40
    assert said["silence_over_gap"] == 2


def test_a_single_report_has_no_gap():
    said = says(used((10, {})), "usage_of_customer", 90)
    assert [said[name] for name in ("gap__last", "gap__mean__180d", "silence_over_gap")] == [
        None, None, None
    ]  # fmt: skip


def test_kinds_are_shares_of_those_that_are_known():
    kinds = ["first_use", "refill", "refill", "telemetry", None]
    log = used(*((10 + i, {"kind": kind}) for i, kind in enumerate(kinds)))
    said = says(log, "usage_of_customer", 100)
    assert said["first_use__share__365d"] == 0.25
    assert said["refill__share__365d"] == 0.5
    assert said["reports__count__90d"] == 5


def test_a_report_belongs_to_the_last_purchase_before_it():
    orders = [("a", 1, {"sku": "s"}), ("a", 20, {"sku": "s"}), ("a", 25, {"sku": "t"}),
              ("a", 40, {"sku": "s"}), ("b", 29, {"sku": "s"})]  # fmt: skip
    log = used((30, {}), orders=orders)
    assert says(log, "usage_of_customer", 100)[SINCE] == 10


@pytest.mark.parametrize(
    ("report", "days"), [({"sku": None}, None), ({"sku": "never bought"}, None), ({}, 9)]
)
def test_a_product_that_is_not_known_to_be_bought_has_no_purchase(report, days):
    assert says(used((10, report)), "usage_of_customer", 100)[SINCE] == days


@pytest.mark.parametrize(("day", "days"), [(181, 180), (181.5, None)])
def test_a_purchase_of_more_than_180_days_ago_is_none(day, days):
    assert says(used((day, {})), "usage_of_customer", 300)[SINCE] == days


def test_amounts_of_a_window():
    log = used((10, {"amount": 9.0}), (95, {"amount": 2.0}), (96, {"amount": None, "sku": "t"}))
    said = says(log, "usage_of_customer", 110)
    assert said["amount__sum__90d"] == 2
    assert said["amount__mean__365d"] == 5.5
