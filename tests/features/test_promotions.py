"""Promotions by hand: codes, money off, and what a shop that records neither says: nothing."""

import numpy as np
import pytest
from tests.by_hand import built, log_of, says

CODE = {"promo_code": "SPRING"}
FULL = {"unit_price": 10.0, "quantity": 2.0, "discount": 0.0, "promo_code": None}


def order(day, who="a", **columns):
    return (who, day, FULL | columns)


def columns_about(data, *words):
    return [name for name in data.names if any(word in name for word in words)]


def test_a_shop_without_codes_says_nothing_of_them():
    orders = [order(1), order(50, discount=2.0)]
    log = log_of(orders, exposures=[("a", 20, {"content_tag": "x"})])
    data = built(log, "promotions", 100)
    assert data.states["2018-04-11"]["promotions"] == {"coded": False, "reduced": True}
    of_codes = columns_about(data, "coded", "redeemed", "since_code")
    assert len(of_codes) == 10
    for name in of_codes:
        assert np.isnan(data.column(name)).all(), name
    assert says(log, "promotions", 100)["reduced__share__365d"] == 0.5


def test_a_shop_without_money_off_says_nothing_of_it():
    data = built(log_of([order(1, **CODE), order(50)]), "promotions", 100)
    of_money = columns_about(data, "reduced", "depth", "off", "gross")
    assert len(of_money) == 7
    for name in of_money:
        assert np.isnan(data.column(name)).all(), name


def test_where_others_use_codes_who_uses_none_has_a_share_of_nought():
    log = log_of([order(1), order(50), order(60, "b", **CODE)])
    before, after = (says(log, "promotions", day) for day in (59, 100))
    assert before["coded__share"] is None
    assert after["coded__share"] == after["coded__first"] == after["coded__last"] == 0
    assert after["full_price_since_code"] is None


def test_shares_and_orders_at_full_price_since():
    days = [(1, {}), (20, CODE), (40, {}), (50, {"discount": 1.0}), (60, {}), (95, {})]
    log = log_of([order(day, **columns) for day, columns in days])
    said = says(log, "promotions", 110)
    assert said["coded__share"] == pytest.approx(1 / 6, abs=1e-5)
    assert said["coded__share__90d"] == pytest.approx(1 / 5)
    assert said["coded_lately"] == pytest.approx(1 / 5 - 1 / 6, abs=1e-5)
    assert said["coded__days_since"] == 90
    assert said["full_price_since_code"] == 3
    assert said["coded__first"] == 0


def test_an_order_is_coded_by_any_of_its_lines():
    orders = [order(1), order(50, order_id="o9", line_id="1"),
              order(50, order_id="o9", line_id="2", **CODE)]  # fmt: skip
    assert says(log_of(orders), "promotions", 100)["coded__share"] == 0.5


def test_depth_is_money_off_over_the_price_before():
    orders = [order(1), order(50, discount=5.0), order(60, discount=20.0)]
    said = says(log_of(orders), "promotions", 100)
    assert said["depth__last"] == 1
    assert said["depth__mean__365d"] == pytest.approx(1.25 / 3, abs=1e-5)
    assert said["depth_reduced__mean__365d"] == pytest.approx(0.625)
    assert said["off_share"] == pytest.approx(25 / 60, abs=1e-5)
    assert said["reduced__share__365d"] == pytest.approx(2 / 3, abs=1e-5)


def test_an_order_with_an_unknown_price_has_no_depth():
    orders = [order(1, discount=4.0), order(50, order_id="o9", line_id="1", discount=0.0),
              order(50, order_id="o9", line_id="2", unit_price=None)]  # fmt: skip
    said = says(log_of(orders), "promotions", 100)
    assert said["depth__last"] == said["off_share"] == 0.2
    assert said["reduced__share__365d"] == 0.5


def test_redemption_is_a_coded_order_soon_after():
    shown = [("a", day, {"content_tag": "x"}) for day in (0.5, 20, 40, 60, 95)]
    orders = [order(1), order(25), order(45, **CODE), order(50, **CODE), order(80, **CODE)]
    said = says(log_of(orders, exposures=shown), "promotions", 100)
    assert said["redeemed__share__365d"] == pytest.approx(1 / 3, abs=1e-5)
    assert said["redeemed__mean__365d"] == pytest.approx(2 / 3, abs=1e-5)


def test_without_exposures_redemption_is_null():
    said = says(log_of([order(1), order(50, **CODE)]), "promotions", 100)
    assert said["redeemed__share__365d"] is None
    assert said["coded__share"] == 0.5
