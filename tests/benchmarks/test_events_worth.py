"""The benchmark of what the event families are worth, on a made-up shop too small for trees."""

import numpy as np
import pytest

import events_worth
from ppi_ml import simulate


@pytest.fixture(scope="module")
def shop():
    log = simulate.simulate_shop(150, days=420, seed=3)
    return events_worth.prepare("made", 60, log, max_rows=10_000)


def test_every_family_is_tried_beside_the_same_columns(shop):
    tried = events_worth.variants(shop)
    columns = shop.material.data.tree_names
    alone = set(tried["orders alone"])
    assert {events_worth.family_of(name) for name in alone} == set(events_worth.ALWAYS)
    assert tried["all"] == columns
    assert alone < set(tried["delivery"]) < set(columns)
    added = {name for variant, names in tried.items() if variant != "all" for name in names}
    assert added == set(columns)


def test_rows_asked_about_lie_after_what_was_learned(shop):
    for asked in shop.asked:
        assert asked.rows.cutoffs[0] >= asked.fold.end > asked.fold.train[-1]
        assert 0 < asked.gone.mean() < 1
    losses, gains = events_worth.losses(shop, shop.material.data.tree_names)
    assert len(losses) == sum(len(asked.rows) for asked in shop.asked)
    assert not any(gains.values())  # too few purchases for trees


def test_differences_and_columns_without_gain_are_told(shop):
    n = sum(len(asked.rows) for asked in shop.asked)
    noise = np.random.default_rng(1).normal(0, 0.01, n)
    found = events_worth.Found(
        losses={"orders alone": np.full(n, 0.5), "better": 0.4 + noise, "worse": 0.6 + noise},
        gains={"orders alone": {"orders__a": 1.0}, "better": {"reviews__b": 2.0, "reviews__c": 0.0},
               "worse": {}, "all": {"orders__a": 1.0, "reviews__b": 3.0, "reviews__c": 0.0}},
    )  # fmt: skip
    alone, better, worse = events_worth.compared(shop, found)
    assert (alone[2:4], better[2], better[-1], worse[-1]) == (
        ("1 of 1", "0.50000"), "1 of 2", "lower", "**higher**",
    )  # fmt: skip
    assert better[4].startswith("-0.") and worse[4].startswith("+0.")
    assert events_worth.unused({"made": found}) == [("reviews", "reviews__c", "made")]
    assert events_worth.most_used({"made": found})[0] == ("reviews__b", "75.0%", "1")
