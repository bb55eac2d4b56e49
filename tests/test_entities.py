"""What a product is: the columns that a log of pairs gets beside every sku."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests import shops
from tests.shops import CATEGORY, SKU, by_hand

from ppi_ml import dataset
from ppi_ml.entities import (
    GROUP,
    LOG_UNIT,
    ONE_CUSTOMER,
    PACK,
    PAIR,
    PRODUCT,
    SKUS,
    Entity,
    in_no_pair,
    prepared,
)
from ppi_ml.errors import DataError
from ppi_ml.instants import Cutoff

ADDED = (PRODUCT, GROUP, PACK)
LISTED = [
    {"sku": "half", "category": "tea", "department": "drinks", "unit_size": 0.5,
     "unit_of_measure": "kg"},
    {"sku": "one", "category": "tea", "department": "drinks", "unit_size": 1.0,
     "unit_of_measure": "kg"},
    {"sku": "bags", "category": "tea", "department": "food", "unit_size": 40.0,
     "unit_of_measure": "pieces"},
    {"sku": "beans", "category": "coffee", "department": "drinks", "unit_size": 4.0,
     "unit_of_measure": "kg"},
    {"sku": "pods", "category": "coffee", "department": "food", "unit_size": None,
     "unit_of_measure": "kg"},
    {"sku": "odd", "category": None, "department": "food", "unit_size": 2.0,
     "unit_of_measure": "kg"},
]  # fmt: skip
UNKNOWN = "order lines name no known product; they are in no pair"
LASTING = "order lines are of what is not consumable; they are in no pair"
BOUGHT = ("half", "one", "bags", "beans", "pods", "odd", "unlisted", None)


def log_of(listed=LISTED):
    lines = [("a", sku, f"2018-05-{i + 1:02d}T10:00:00") for i, sku in enumerate(BOUGHT)]
    return by_hand(lines, listed, until="2018-07-01",
                   returns=[{"customer_id": "a", "occurred_at": "2018-06-01", "sku": sku}
                            for sku in ("one", "unlisted", None)],
                   stock=[{"sku": "one", "occurred_at": "2018-05-01", "available": "yes"}],
                   deliveries=[{"customer_id": "a", "occurred_at": "2018-06-01",
                                "order_id": "o1"}])  # fmt: skip


def said(log, column, table="order_lines"):
    frame = log.tables[table].frame
    return dict(zip(frame["sku"], frame[column], strict=True))


@pytest.fixture(scope="module")
def pantry():
    return shops.load(shops.pantry())


# ------------------------------------------------------------------ products and groups
def test_customers_need_nothing(pantry):
    assert prepared(pantry, ONE_CUSTOMER) is pantry


def test_a_sku_is_its_own_product_listed_or_not():
    log = prepared(log_of(), SKU)
    assert said(log, PRODUCT) == {sku: sku for sku in BOUGHT}
    assert said(log, PRODUCT, "returns") == {"one": "one", "unlisted": "unlisted", None: None}
    assert said(log, GROUP) == {
        "half": "tea", "one": "tea", "bags": "tea", "beans": "coffee", "pods": "coffee",
        "odd": None, "unlisted": None, None: None,
    }  # fmt: skip
    assert in_no_pair(log, SKU) == (f"1 {UNKNOWN}",)


def test_a_product_may_be_a_category_which_some_skus_do_not_have():
    log = prepared(log_of(), CATEGORY)
    unknown = dict.fromkeys(("odd", "unlisted", None))
    tea = dict.fromkeys(("half", "one", "bags"), "tea")
    coffee = dict.fromkeys(("beans", "pods"), "coffee")
    assert said(log, PRODUCT) == tea | coffee | unknown
    assert in_no_pair(log, CATEGORY) == (f"3 {UNKNOWN}",)
    # two teas of three are drinks; coffee is both once, and drinks is the first by name
    assert {said(log, GROUP)[sku] for sku in (*tea, *coffee)} == {"drinks"}


def test_a_product_has_one_group_whatever_its_skus_say():
    flipped = [row | {"department": "zoo" if row["sku"] != "bags" else "a"} for row in LISTED]
    log = prepared(log_of(flipped), CATEGORY)
    groups = log.tables["order_lines"].frame.drop_nulls(PRODUCT).group_by(PRODUCT).agg(
        pl.col(GROUP).unique())  # fmt: skip
    assert dict(groups.rows()) == {"tea": ["zoo"], "coffee": ["zoo"]}


def test_lines_of_no_product_are_in_no_pair_and_are_counted(pantry):
    for entity in (SKU, CATEGORY, Entity(PAIR)):
        log = prepared(pantry, entity)
        lines = log.tables["order_lines"].frame
        lost = lines[PRODUCT].is_null()
        assert lost.sum() > 0
        assert in_no_pair(log, entity) == (f"{lost.sum():,} {UNKNOWN}",)
        data = shops.built(pantry, "2019-12-31", entity=entity, names=["refills"])
        known = lines.filter(~lost, pl.col("order_type") == "one_off",
                             pl.col("known") < data.cutoffs[0].at)  # fmt: skip
        assert set(data.keys.select("customer_id", PRODUCT).rows()) == set(
            known.select("customer_id", PRODUCT).unique().rows()
        )
        assert len(data) == known.select("customer_id", PRODUCT).n_unique()


def test_a_log_without_products_has_skus_without_groups_and_usual_packs(pantry):
    bare = replace(pantry, tables={n: t for n, t in pantry.tables.items() if n != "products"})
    frame = prepared(bare, SKU).tables["order_lines"].frame
    assert frame[PRODUCT].equals(frame["sku"])
    assert frame[GROUP].null_count() == frame.height
    assert frame[PACK].to_list() == [0] * frame.height


# ------------------------------------------------------------------ what is not used up
def lasting(*skus):
    """The same products, of which some are not consumable and the others may be."""
    said_so = dict.fromkeys(skus, "no") | {"beans": "yes"}
    return [row | {"consumable": said_so.get(row["sku"])} for row in LISTED]


@pytest.mark.parametrize("entity", [SKU, CATEGORY, Entity(PAIR)], ids=["skus", "groups", "bare"])
def test_what_is_not_consumable_is_in_no_pair_and_is_counted(entity):
    plain, log = (prepared(log_of(rows), entity) for rows in (lasting(), lasting("one", "pods")))
    before, after = said(plain, PRODUCT), said(log, PRODUCT)
    gone = dict.fromkeys(("one", "pods"))
    assert after == before | gone != before
    assert said(log, PRODUCT, "returns")["one"] is None
    unknown = 1 if entity.product == "sku" else 3  # no sku; a category of "odd" and "unlisted" too
    assert in_no_pair(log, entity) == (f"{unknown} {UNKNOWN}", f"2 {LASTING}")
    assert in_no_pair(plain, entity) == (f"{unknown} {UNKNOWN}",)
    data = shops.built(log_of(lasting("one", "pods")), "2018-06-15", entity=entity,
                       names=["refills"])  # fmt: skip
    assert set(data.keys[PRODUCT]) == set(after.values()) - {None}


def test_lines_that_all_are_of_a_product_leave_nothing_to_say():
    log = prepared(by_hand([("a", "tea", "2018-05-01T10:00:00")], until="2018-07-01"), SKU)
    assert in_no_pair(log, SKU) == ()


@pytest.mark.parametrize("skus", [("tea",), (None,)], ids=["not consumable", "no sku"])
def test_a_log_in_which_nothing_is_used_up_is_refused(skus):
    lines = [("a", sku, "2018-05-01T10:00:00") for sku in skus]
    log = by_hand(lines, [{"sku": "tea", "consumable": "no"}], until="2018-07-01")
    with pytest.raises(DataError, match=r"^target\.product: no order line has a product, because "
                       r'"sku" is empty, or consumable is no, for every line'):  # fmt: skip
        in_no_pair(prepared(log, SKU), SKU)


# ------------------------------------------------------------------ packs
def packs(entity, listed=LISTED):
    return {sku: value / LOG_UNIT for sku, value in said(prepared(log_of(listed), entity),
                                                         PACK).items()}  # fmt: skip


def test_packs_are_measured_in_those_of_their_own_kind_and_unit():
    ln2 = pytest.approx(np.log(2) / 2, abs=1e-6)
    for entity in (SKU, CATEGORY):  # of the group of a sku, of a category: both times tea
        found = packs(entity)
        assert (-found["half"], found["one"]) == (ln2, ln2)
        assert [found[sku] for sku in ("bags", "beans", "pods", "unlisted", None)] == [0.0] * 5


def test_another_unit_of_measure_throughout_changes_no_pack():
    grams = [row | {"unit_size": None if row["unit_size"] is None else 1000 * row["unit_size"]}
             for row in LISTED]  # fmt: skip
    assert packs(SKU, grams) == packs(SKU)
    assert packs(SKU, [row | {"unit_size": None} for row in LISTED]) == dict.fromkeys(BOUGHT, 0.0)


def test_what_is_bought_is_units_times_the_pack():
    days = shops.past(log_of(), "2018-06-15").purchases
    amounts = dict(zip(days[PRODUCT], days["amount_e6"] / LOG_UNIT, strict=True))
    assert amounts["one"] - amounts["half"] == pytest.approx(np.log(2), abs=2e-6)
    assert amounts["unlisted"] == 0.0
    twice = by_hand([("a", "half", "2018-05-01T10:00:00", {"order_id": "o", "quantity": 3}),
                     ("a", "one", "2018-05-01T10:00:00",
                      {"order_id": "o", "line_id": "2", "quantity": 1})],
                    LISTED, until="2018-07-01")  # fmt: skip
    (amount,) = shops.past(twice, "2018-06-15", CATEGORY).purchases["amount_e6"]
    assert amount / LOG_UNIT == pytest.approx(np.log(3 / 2**0.5 + 2**0.5), abs=2e-6)


# ------------------------------------------------------------------ what stays as it was
@pytest.mark.parametrize("entity", [SKU, CATEGORY], ids=["skus", "categories"])
def test_nothing_else_in_the_log_changes(pantry, entity):
    made = prepared(pantry, entity)
    assert list(made.tables) == list(pantry.tables)
    for name, table in pantry.tables.items():
        frame = made.tables[name].frame
        assert frame.drop(*ADDED, SKUS, strict=False).equals(table.frame), name
        has_sku = name != "products" and "sku" in table.frame.columns
        added = {*ADDED, SKUS} if name == "stock" else set(ADDED)
        assert set(frame.columns) - set(table.frame.columns) == (added if has_sku else set())
    assert {n for n, t in made.tables.items() if PRODUCT in t.frame.columns} == {
        "order_lines", "returns", "usage", "stock",
    }  # fmt: skip
    assert pantry.fingerprint == shops.load(shops.pantry()).fingerprint


@pytest.mark.parametrize("entity", [SKU, CATEGORY], ids=["skus", "categories"])
def test_a_prepared_log_is_prepared(pantry, entity):
    made = prepared(pantry, entity)
    assert prepared(made, entity) is made


@pytest.mark.parametrize("entity", [SKU, CATEGORY], ids=["skus", "categories"])
def test_cutting_a_log_before_or_after_is_the_same(pantry, entity):
    """What a product is may not depend on which events or customers are there."""
    some = pantry.customer_ids.to_list()[:7]
    for cut in (lambda log: log.until("2018-10-01"), lambda log: log.bucket(1, 3),
                lambda log: log.only(some)):  # fmt: skip
        one, other = cut(prepared(pantry, entity)), prepared(cut(pantry), entity)
        for name in pantry.tables:
            assert one.tables[name].frame.equals(other.tables[name].frame), name


# ------------------------------------------------------------------ errors that name the fix
def test_products_are_needed_where_a_product_is_no_sku(shop):
    with pytest.raises(DataError, match=r'^target\.product: "category" is a column of the table '
                       r"products, which this log does not have; load it, or set target\.product "
                       r"to sku$"):  # fmt: skip
        prepared(shop, CATEGORY)
    assert prepared(shop, SKU).tables["order_lines"].frame[PRODUCT].null_count() == 0


@pytest.mark.parametrize(
    ("entity", "setting", "column"),
    [
        (Entity(PAIR, "categroy"), "product", "categroy"),
        (Entity(PAIR, "sku", "kind"), "group", "kind"),
        (Entity(PAIR, "unit_size"), "product", "unit_size"),
        (Entity(PAIR, "category", "unit_size"), "group", "unit_size"),
    ],
    ids=["no column", "no such group", "numbers are no products", "nor groups"],
)
def test_columns_that_are_no_text_of_products_are_refused_by_setting(
    pantry, entity, setting, column
):
    with pytest.raises(
        DataError, match=rf'target\.{setting}: .* "{column}"; it has: sku, name, categ'
    ):
        prepared(pantry, entity)


def test_rows_of_pairs_are_told_apart_by_customer_and_product():
    assert ONE_CUSTOMER.keys == ("customer_id",)
    assert SKU.keys == ("customer_id", PRODUCT)
    assert (ONE_CUSTOMER.is_pair, SKU.is_pair) == (False, True)


def test_pairs_with_too_few_purchases_are_not_asked_about(pantry):
    log, at = prepared(pantry, SKU), Cutoff.parse("2019-10-01", shops.ZONE)
    for least in (1, 3):
        entity = replace(SKU, least=least)
        data = dataset.build(log, [at], dataset.families(["refills"], entity=PAIR), entity=entity)
        expected = (data.purchases >= least) & (data.silent_days <= 120)
        assert data.eligible(120).tolist() == expected.tolist()
        assert 0 < expected.sum() < len(data)
