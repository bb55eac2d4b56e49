"""Kinds of customers: by hand, and against plain loops over the orders."""

from datetime import date, timedelta

import numpy as np
import pytest

from ppi_ml import dataset
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.segments import FAMILY, segments

FAMILIES = [*dataset.families(["cadence"]), FAMILY]
CUTOFFS = ("2019-01-01", "2019-06-01", "2019-10-01")
NAMES = ["one_time", "new", "frequent", "lapsed"]


def built(log, *days):
    return dataset.build(log, [Cutoff.parse(day, log.timezone) for day in days], FAMILIES)


def by_customer(data, rows):
    return {customer for customer, inside in zip(data.customers, rows, strict=True) if inside}


DAYS_BEFORE = {
    "once_long_ago": (170,),
    "once_lately": (5,),
    "new_and_often": (60, 40, 20, 5),
    "steady": (170, 140, 110, 80, 50, 20),
    "silent": (100, 90, 81),  # a mean gap of 9.5 days
    "not_yet": (100, 60, 20),  # a mean gap of 40
    "gone": (300, 290, 250),
}
"""When each customer bought, in days before the cutoff."""


def shop_of(log_of, days_before):
    cutoff = date(2019, 1, 1)
    lines = [
        (customer, f"{cutoff - timedelta(days=days)}T12:00:00", {"sku": "x", "quantity": 1})
        for customer, bought in days_before.items()
        for days in bought
    ]
    return log_of(lines, start="2018-01-01", until="2019-03-01")


def test_segments_by_hand(log_of):
    data = built(shop_of(log_of, DAYS_BEFORE), "2019-01-01")
    eligible = data.eligible(180)
    assert by_customer(data, eligible) == set(DAYS_BEFORE) - {"gone"}
    found = {name: by_customer(data, rows) for name, rows in segments(data, eligible).items()}
    assert found == {
        "one_time": {"once_long_ago", "once_lately"},
        "new": {"once_lately", "new_and_often"},
        "frequent": {
            "new_and_often",
            "steady",
        },  # 1, 1, 3, 3, 4, 6 purchases: the quarter from 3.75
        "lapsed": {"silent"},
    }


def test_lapsed_begins_at_twice_the_mean_gap(log_of):
    """Gaps of 10 days, bought at noon: silent for 19.5 and for 20.5 days at midnight."""
    data = built(shop_of(log_of, {"before": (30, 20), "beyond": (31, 21)}), "2019-01-01")
    assert by_customer(data, segments(data, data.eligible(180))["lapsed"]) == {"beyond"}


def test_two_purchases_are_the_least_that_is_frequent(log_of):
    once = {f"c{i}": (10 + i,) for i in range(9)}
    data = built(shop_of(log_of, once | {"twice": (50, 10)}), "2019-01-01")
    assert by_customer(data, segments(data, data.eligible(180))["frequent"]) == {"twice"}


def test_the_quarter_is_that_of_the_eligible_rows_of_each_cutoff(log_of):
    """Lapsed customers do not make the others frequent, and a later cutoff has its own quarter."""
    idle = {f"c{i}": (320, 310) for i in range(30)}
    busy = {"a": (30,), "b": (40, 30), "c": (50, 40), "d": (60, 50, 40, 30)}
    data = built(shop_of(log_of, idle | busy), "2018-12-12", "2019-01-01")
    frequent = segments(data, data.eligible(180))["frequent"]
    early = data.rows_at(data.cutoffs[0])
    assert by_customer(data, frequent) == {"d"}
    assert frequent[early].sum() == frequent[data.rows_at(data.cutoffs[1])].sum() == 1


def test_nobody_eligible_is_in_no_segment(log_of):
    data = built(shop_of(log_of, DAYS_BEFORE), "2019-01-01")
    nobody = np.zeros(len(data), dtype=bool)
    found = segments(data, nobody)
    assert list(found) == NAMES and not any(rows.any() for rows in found.values())


def purchase_days(log, cutoff):
    """Customer -> days from each purchase, one per local day, to the cutoff; in order."""
    first = {}
    for row in log.tables["order_lines"].frame.to_dicts():
        if row["known"] < cutoff.at and row["order_type"] == "one_off":
            key = row["customer_id"], row["wall"] // DAY_US
            first[key] = min(first.get(key, row["wall"]), row["wall"])
    bought = {}
    for (customer, _), wall in sorted(first.items()):
        bought.setdefault(customer, []).append((cutoff.wall - wall) / DAY_US)
    return bought


def expected(log, cutoff, name):
    """The customers of a segment, by plain loops."""
    bought = {c: days for c, days in purchase_days(log, cutoff).items() if min(days) <= 180}
    recent = {c: sum(d <= 180 for d in days) for c, days in bought.items()}
    least = max(2, np.quantile(list(recent.values()), 0.75))
    rules = {
        "one_time": lambda c: len(bought[c]) == 1,
        "new": lambda c: max(bought[c]) <= 90,
        "frequent": lambda c: recent[c] >= least,
        "lapsed": lambda c: (
            len(bought[c]) > 1 and min(bought[c]) > 2 * float(np.mean(-np.diff(bought[c])))
        ),
    }
    return {customer for customer in bought if rules[name](customer)}


@pytest.mark.parametrize("name", NAMES)
def test_segments_agree_with_plain_loops_over_the_orders(shop, name):
    data = built(shop, *CUTOFFS)
    rows = segments(data, data.eligible(180))[name]
    for cutoff in data.cutoffs:
        here = data.rows_at(cutoff)
        found = set(data.keys_at(cutoff)["customer_id"].filter(rows[here]))
        assert found == expected(shop, cutoff, name)
        assert found


def test_segments_know_nothing_of_what_comes_after(shop):
    """The log cut at a cutoff gives the same segments there."""
    cutoff = CUTOFFS[1]
    whole, cut = built(shop, cutoff), built(shop.until(cutoff), cutoff)
    one, two = (segments(data, data.eligible(180)) for data in (whole, cut))
    assert all((one[name] == two[name]).all() for name in NAMES)


def test_no_tree_is_shown_what_segments_read(shop):
    data = built(shop, CUTOFFS[0])
    (column,) = [name for name in data.names if name.startswith(f"{FAMILY.name}__")]
    assert column not in data.tree_names
