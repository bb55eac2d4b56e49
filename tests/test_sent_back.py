"""Returned units and the lines they came from, against a version that moves one unit at a time."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppi_ml.sent_back import MATCHED, matched

LINE = {"customer_id": pl.String, "sku": pl.String, "order_id": pl.String, "line_id": pl.String,
        "at": pl.Int64, "known": pl.Int64, "quantity_e3": pl.Int64}  # fmt: skip
RETURN = {name: kind for name, kind in LINE.items() if name != "line_id"}


def lines(*rows):
    """(order, at, units) or (order, at, units, changes): lines of customer a and product s."""
    return _frame(rows, LINE, {"line_id": "1"})


def returns(*rows):
    """(order or None, at, units) or with changes: returns of customer a and product s."""
    return _frame(rows, RETURN, {})


def _frame(rows, schema, more):
    usual = {"customer_id": "a", "sku": "s", **more}
    found = [
        {**usual, "order_id": order, "at": at, "known": at, "quantity_e3": units, **dict(*changes)}
        for order, at, units, *changes in rows
    ]
    return pl.DataFrame(found, schema=schema)


def told(found):
    """(order, at of the return, units) of every match, sorted."""
    return sorted(found.select("order_id", "at", "quantity_e3").rows())


# ------------------------------------------------------------------ by hand
def test_the_oldest_line_is_emptied_first():
    found, lost = matched(lines(("o2", 5, 2), ("o1", 1, 2)), returns((None, 9, 3)))
    assert (told(found), lost) == ([("o1", 9, 2), ("o2", 9, 1)], 0)


def test_a_unit_that_is_gone_is_gone():
    found, lost = matched(lines(("o1", 1, 2), ("o2", 5, 2)), returns((None, 6, 1), (None, 9, 2)))
    assert (told(found), lost) == ([("o1", 6, 1), ("o1", 9, 1), ("o2", 9, 1)], 0)


def test_a_return_before_its_purchase_is_counted_and_belongs_to_nothing():
    found, lost = matched(lines(("o1", 5, 2)), returns((None, 4, 1)))
    assert (found.height, lost) == (0, 1)
    found, lost = matched(lines(("o1", 5, 2)), returns((None, 5, 1)))
    assert (told(found), lost) == ([("o1", 5, 1)], 0)  # tables of days know no more of a day


def test_a_return_takes_from_no_line_that_was_bought_later():
    found, lost = matched(lines(("o1", 1, 1), ("o2", 8, 5)), returns((None, 4, 3)))
    assert (told(found), lost) == ([("o1", 4, 1)], 2)


def test_an_order_that_is_named_is_the_only_one_it_can_be():
    bought = lines(("o1", 1, 1), ("o2", 2, 1))
    assert told(matched(bought, returns(("o2", 9, 1)))[0]) == [("o2", 9, 1)]
    found, lost = matched(bought, returns(("o2", 9, 3)))
    assert (told(found), lost) == ([("o2", 9, 1)], 2)
    assert matched(bought, returns(("elsewhere", 9, 1)))[1] == 1


def test_more_came_back_than_was_bought():
    found, lost = matched(lines(("o1", 1, 2_000)), returns((None, 3, 1_500), (None, 4, 1_500)))
    assert (told(found), lost) == ([("o1", 3, 1_500), ("o1", 4, 500)], 1_000)


@pytest.mark.parametrize("other", [{"customer_id": "b"}, {"sku": "t"}, {"sku": None}])
def test_customers_and_products_have_nothing_to_do_with_each_other(other):
    found, lost = matched(lines(("o1", 1, 2)), returns((None, 3, 1, other)))
    assert (found.height, lost) == (0, 1)


def test_a_line_without_a_product_sent_nothing_back():
    nothing = {"sku": None}
    found, lost = matched(lines(("o1", 1, 2, nothing)), returns((None, 3, 1, nothing)))
    assert (found.height, lost) == (0, 1)


def test_the_return_says_when_it_was_and_when_it_was_known():
    found, _ = matched(lines(("o1", 1, 2)), returns((None, 3, 1, {"known": 30})))
    assert found.row(0, named=True) == {
        "customer_id": "a", "order_id": "o1", "line_id": "1", "at": 3, "known": 30,
        "quantity_e3": 1,
    }  # fmt: skip


def test_what_is_kept_apart_never_meets():
    bought = lines(("o1", 1, 1), ("o1", 1, 1), ("o2", 2, 1))
    bought = bought.with_columns(now_at=pl.Series([10, 20, 20]))
    back = returns((None, 4, 1), (None, 5, 1), (None, 5, 1))
    back = back.with_columns(now_at=pl.Series([10, 20, 20]))
    found, lost = matched(bought, back, ("now_at",))
    assert lost == 0
    assert found.schema == {**MATCHED, "now_at": pl.Int64}
    assert sorted(found.select("now_at", "order_id", "at").rows()) == [
        (10, "o1", 4), (20, "o1", 5), (20, "o2", 5),
    ]  # fmt: skip


def test_without_returns_nothing_is_matched():
    found, lost = matched(lines(("o1", 1, 2)), returns())
    assert (found.schema, found.height, lost) == (MATCHED, 0, 0)


# ------------------------------------------------------------------ against a slow version
def slowly(bought, back):
    """One unit after another, each from the oldest line that still has one."""
    rest = {i: row["quantity_e3"] for i, row in enumerate(bought)}
    found, lost = Counter(), 0
    order_of = ("at", "known")
    for gone in sorted(back, key=lambda r: (*(r[n] for n in order_of), r["order_id"] or "",
                                            r["quantity_e3"])):  # fmt: skip
        for _ in range(gone["quantity_e3"]):
            fits = [
                (row["at"], row["order_id"], row["line_id"], i)
                for i, row in enumerate(bought)
                if rest[i]
                and row["sku"] is not None
                and (row["customer_id"], row["sku"]) == (gone["customer_id"], gone["sku"])
                and row["at"] <= gone["at"]
                and gone["order_id"] in (None, row["order_id"])
            ]
            if not fits:
                lost += 1
                continue
            *_, i = min(fits)
            rest[i] -= 1
            line = bought[i]
            key = (line["customer_id"], line["order_id"], line["line_id"])
            found[(*key, gone["at"], gone["known"])] += 1
    return found, lost


PEOPLE, SKUS, ORDERS = st.sampled_from("ab"), st.sampled_from(["s", "t", None]), st.integers(0, 4)


@st.composite
def shops(draw):
    """(lines, returns): a few of each; an order has one customer and one time, as logs have it."""
    orders = draw(st.lists(st.tuples(PEOPLE, st.integers(0, 9)), min_size=1, max_size=5))
    bought = [
        {"customer_id": orders[n][0], "order_id": f"o{n}", "line_id": str(i), "sku": sku,
         "at": orders[n][1], "known": orders[n][1], "quantity_e3": units}
        for n in range(len(orders))
        for i, (sku, units) in enumerate(
            draw(st.lists(st.tuples(SKUS, st.integers(1, 3)), min_size=1, max_size=3))
        )
    ]  # fmt: skip
    back = [
        {"customer_id": who, "order_id": None if named is None else f"o{named}", "sku": sku,
         "at": at, "known": at + late, "quantity_e3": units}
        for who, named, sku, at, late, units in draw(st.lists(
            st.tuples(PEOPLE, st.none() | ORDERS, SKUS, st.integers(0, 12), st.integers(0, 5),
                      st.integers(1, 4)),
            max_size=6,
        ))
    ]  # fmt: skip
    return bought, back


@given(shops(), st.randoms())
def test_units_move_as_in_the_slow_version(shop, random):
    bought, back = shop
    expected, unmatched = slowly(bought, back)
    random.shuffle(bought)
    random.shuffle(back)
    found, lost = matched(pl.DataFrame(bought, schema=LINE), pl.DataFrame(back, schema=RETURN))
    got = Counter()
    for *key, units in found.iter_rows():
        got[tuple(key)] += units
    assert (got, lost) == (expected, unmatched)


@given(shops())
def test_no_unit_is_made_or_lost(shop):
    bought, back = shop
    found, lost = matched(pl.DataFrame(bought, schema=LINE), pl.DataFrame(back, schema=RETURN))
    assert (found["quantity_e3"] > 0).all()
    assert found["quantity_e3"].sum() + lost == sum(row["quantity_e3"] for row in back)
    sent = found.group_by("order_id", "line_id").agg(pl.col("quantity_e3").sum())
    most = {(row["order_id"], row["line_id"]): row["quantity_e3"] for row in bought}
    assert all(units <= most[order, line] for order, line, units in sent.iter_rows())
