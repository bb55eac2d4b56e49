"""What products and customers are as of a cutoff: no later row of `valid_from` changes anything.

The judge of what holds is a loop over the rows; a log that knows nothing of time, with the rows
that the loop finds, must say the same at the cutoff.
"""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import bazaar, shops
from tests.leaks.test_pairs import answers as of_pairs
from tests.leaks.test_pairs import differing
from tests.moments import A_LINE
from tests.shops import CATEGORY, SKU

from ppi_ml import dataset, entities, occasion_data
from ppi_ml.future import Future
from ppi_ml.instants import Cutoff
from ppi_ml.occasions import Asking, standing, triggered

CUTOFF = "2019-03-31T13:00:00"
NOW = datetime(2019, 3, 31, 13)  # on the clock of the shops, like every valid_from here
ANYTIME = Asking(("ordered", "shipped", "delivered"), "returned", 60)
LINES = dataset.families("all", entity="order_line")
WORDS = st.sampled_from(["a", "b", "k0", "k1", "north", "other", None])
few = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])


def drawn(key, keys, earliest, latest, **values):
    """Rows of some keys, each valid from a time; no two of one key and time."""
    when = st.datetimes(earliest, latest).map(lambda at: at.replace(microsecond=0))
    row = st.fixed_dictionaries({key: st.sampled_from(keys), "valid_from": when, **values})
    unique = st.lists(row, min_size=1, max_size=12, unique_by=lambda r: (r[key], r["valid_from"]))
    return unique.map(lambda rows: pl.DataFrame(rows, infer_schema_length=None))


def with_rows(frame, rows):
    """The frame, valid always where it does not say, and more rows."""
    return pl.concat([frame, rows], how="diagonal_relaxed")


def held(frame, key, now=NOW):
    """The rows that hold at a time, found one by one; without `valid_from`."""
    best = {}
    for row in frame.iter_rows(named=True):
        since = row.pop("valid_from") or datetime.min
        if since <= now and (row[key] not in best or since >= best[row[key]][0]):
            best[row[key]] = (since, row)
    return pl.DataFrame([row for _, row in best.values()], schema=frame.drop("valid_from").schema)


def of_customers(log, cutoff=CUTOFF):
    """Every column and state of customers at the cutoff."""
    at = Cutoff.parse(cutoff, log.timezone)
    data = dataset.build(log, [at], dataset.families())
    told = {name: data.values[:, i].tobytes() for i, name in enumerate(data.names)}
    return told | {"states": json.dumps(data.states[str(at)])}


def of_lines(log, cutoff=CUTOFF):
    """Every column and state of the lines that are open at the cutoff."""
    at = Cutoff.parse(cutoff, log.timezone)
    rows = standing(log, A_LINE, ANYTIME, at)
    states = {str(at): occasion_data.states_at(log, at, LINES, 1)}
    data = occasion_data.build(log, rows, [at], LINES, A_LINE, states, threads=1)
    told = {name: data.values[:, i].tobytes() for i, name in enumerate(data.names)}
    assert len(data)
    return told | {"states": json.dumps(states)}


CUSTOMERS = {"region": WORDS, "acquisition_source": WORDS,
             "signed_up_at": st.datetimes(datetime(2017, 6, 1), datetime(2019, 6, 1),
                                          timezones=st.just(UTC))}  # fmt: skip
IDS = [f"c{i}" for i in range(40)]
SKUS = [f"s{i}" for i in range(6)]


def history(earliest, latest):
    """Rows of customers and of products of the bazaar."""
    return st.tuples(
        drawn("customer_id", IDS, earliest, latest, **CUSTOMERS),
        drawn("sku", SKUS, earliest, latest, category=WORDS),
    )


BEFORE = (datetime(2018, 1, 1), NOW)
AFTER = (NOW + timedelta(seconds=1), datetime(2019, 12, 1))


@pytest.fixture(scope="module")
def small(every_table):
    """The tables of the bazaar, of forty customers."""
    own = pl.col("customer_id").is_in(IDS)
    return {n: f.filter(own) if n != "products" else f for n, f in every_table.items()}


def bazaar_of(tables, rows, when=None):
    """The log of a bazaar with rows of customers and products; those that hold at `when` only."""
    more = dict(zip(("customers", "products"), rows, strict=True))
    own = {name: with_rows(tables[name], frame) for name, frame in more.items()}
    if when is not None:
        own = {n: held(f, "sku" if n == "products" else "customer_id", when)
               for n, f in own.items()}  # fmt: skip
    return bazaar.load(tables | own)


@few
@given(before=history(*BEFORE), after=history(*AFTER), dated=st.booleans())
def test_no_later_row_of_customers_or_products_changes_a_feature(small, before, after, dated):
    """Whether the table was dated before or not: the first row of valid_from is later, too."""
    start = before if dated else tuple(frame.clear() for frame in before)
    later = tuple(with_rows(*frames) for frames in zip(start, after, strict=True))
    log, more = bazaar_of(small, start), bazaar_of(small, later)
    assert differing(of_customers(log), of_customers(more)) == []
    assert differing(of_lines(log), of_lines(more)) == []


@few
@given(before=history(*BEFORE), after=history(*AFTER))
def test_at_a_cutoff_holds_what_began_last(small, before, after):
    rows = tuple(with_rows(*frames) for frames in zip(before, after, strict=True))
    log, plain = bazaar_of(small, rows), bazaar_of(small, rows, NOW)
    assert differing(of_customers(log), of_customers(plain)) == []
    assert differing(of_lines(log), of_lines(plain)) == []
    cut = log.until(CUTOFF)
    assert differing(of_customers(log), of_customers(cut)) == []
    assert differing(of_lines(log), of_lines(cut)) == []


def test_every_occasion_has_what_holds_at_its_own_cutoff(small):
    """In one matrix and one period stand lines before and after the change of their product."""
    skus = small["products"]["sku"].to_list()
    change = [{"sku": s, "valid_from": NOW, "category": f"new {s}"} for s in skus]
    moved = [{"customer_id": i, "valid_from": NOW, "region": "moved"} for i in IDS]
    log = bazaar_of(small, (pl.DataFrame(moved), pl.DataFrame(change)))
    at = Cutoff.parse(CUTOFF, log.timezone)
    rows = triggered(log, A_LINE, ANYTIME, at.plus(20))
    rows = rows.filter(pl.col("now_at").is_between(at.plus(-20).at, at.plus(20).at))
    period = at.plus(-30)
    states = {str(period): occasion_data.states_at(log, period, LINES, 1)}
    fitted = {"names": [f"new {s}" for s in skus], "odds": [3.0] * len(skus), "share": 0.5}
    states[str(period)]["liking"] |= {"category": fitted}
    data = occasion_data.build(log, rows, [period], LINES, A_LINE, states, threads=1)
    later = (data.keys["now_at"] >= at.at).to_numpy()
    assert later.any()
    assert not later.all()
    assert set(data.column("liking__category_low__max")[later]) == {3.0}
    assert set(data.column("liking__category_low__max")[~later]) == {0.0}
    regions = data.column("profile__region_a__last")
    assert len(set(regions[later])) == 1
    assert regions[later][0] not in set(regions[~later])


# ------------------------------------------------------------------ pairs
LISTED = [f"s{i}" for i in range(shops.SKUS)] + ["new"]
PRODUCTS = {
    "category": WORDS, "department": st.sampled_from(["x", "y", None]),
    "unit_size": st.sampled_from([0.25, 1.0, 24.0, None]), "unit_of_measure": st.just("kg"),
    "consumable": st.sampled_from([None, None, "yes", "no"]),
}  # fmt: skip
entity_of = pytest.mark.parametrize("entity", [SKU, CATEGORY], ids=["skus", "categories"])
PANTRY = shops.pantry(customers=30)


def pantry_of(products):
    return shops.load(PANTRY | {"products": products})


@entity_of
@few
@given(before=drawn("sku", LISTED, *BEFORE, **PRODUCTS),
       after=drawn("sku", LISTED, *AFTER, **PRODUCTS), dated=st.booleans())  # fmt: skip
def test_no_later_row_of_products_changes_a_pair(entity, before, after, dated):
    start = with_rows(PANTRY["products"], before) if dated else PANTRY["products"]
    log, more = pantry_of(start), pantry_of(with_rows(start, after))
    told = of_pairs(log, CUTOFF, entity)
    assert differing(told, of_pairs(more, CUTOFF, entity)) == []
    assert differing(told, of_pairs(more.until(CUTOFF), CUTOFF, entity)) == []


@few
@given(rows=drawn("sku", LISTED[: shops.LISTED], BEFORE[0], AFTER[1], category=WORDS,
                  unit_size=st.just(1.0), unit_of_measure=st.just("kg")))  # fmt: skip
def test_groups_and_usual_packs_are_those_of_the_cutoff(rows):
    """Of skus that keep their size, nothing but the group can change, and it is the newest."""
    one_size = PANTRY["products"].with_columns(unit_size=1.0, unit_of_measure=pl.lit("kg"))
    frame = with_rows(one_size, rows)
    log, plain = pantry_of(frame), pantry_of(held(frame, "sku"))
    kept = entities.as_trained(SKU, pantry_of(PANTRY["products"]))  # packs are other ones there
    for entity in (SKU, kept):
        assert differing(of_pairs(log, CUTOFF, entity), of_pairs(plain, CUTOFF, entity)) == []


@few
@given(rows=drawn("sku", LISTED, BEFORE[0], AFTER[1], category=st.sampled_from(["a", "b", "z"])))
def test_a_product_that_changes_its_category_is_as_good_as_another_product(rows):
    """So each line, with what came of it, keeps the category that it had when it was ordered."""
    frame = with_rows(PANTRY["products"].with_columns(valid_from=pl.lit(None, pl.Datetime)), rows)
    frame = frame.with_columns(department=pl.lit("x"), unit_size=pl.lit(None, pl.Float64))
    # stock is asked of what a product is at the cutoff, not of what it was
    tables = {name: rows for name, rows in PANTRY.items() if name != "stock"}
    changed = of_pairs(shops.load(tables | {"products": frame}), CUTOFF, CATEGORY)
    named = [n for n, rows in tables.items() if {"sku", "known_at"} <= {*rows.columns}]
    frames = tables | {n: split(tables[n], frame) for n in named}
    since = pl.format(" {}", pl.col("valid_from").dt.strftime("%Y-%m-%d %H:%M:%S")).fill_null("")
    names = frame.with_columns(sku=pl.col("sku") + since).drop("valid_from")
    other = of_pairs(shops.load(frames | {"products": names}), CUTOFF, CATEGORY)
    assert differing(changed, other) == []


def split(frame, products):
    """Rows with the sku that also says which row of products held at the time of their order."""
    orders = (
        PANTRY["order_lines"]
        .group_by("order_id")
        .agg(ordered=pl.col("occurred_at").min(), told=pl.col("known_at").min())
    )
    if "order_id" not in frame.columns:
        frame = frame.with_columns(order_id=pl.lit(None, pl.String))
    then = pl.when(pl.col("told") <= pl.col("known_at")).then("ordered")
    when = frame.join(orders, on="order_id", how="left", maintain_order="left").select(
        pl.coalesce(then, "occurred_at").dt.convert_time_zone(shops.ZONE).dt.replace_time_zone(None)
    )
    began = {}
    for sku, since in products.select("sku", "valid_from").drop_nulls().rows():
        began.setdefault(sku, []).append(since)
    named = []
    for sku, (at,) in zip(frame["sku"], when.rows(), strict=True):
        known = [since for since in began.get(sku, []) if since <= at]
        named.append(f"{sku} {max(known)}" if known else sku)
    return frame.with_columns(sku=pl.Series(named, dtype=pl.String))


@entity_of
def test_labels_follow_the_name_that_a_pair_has(entity):
    """What is bought under a new category is no purchase of the old one."""
    moved = pl.DataFrame({"sku": ["s0"], "valid_from": [NOW], "category": ["z"]})
    log = entities.prepared(pantry_of(with_rows(PANTRY["products"], moved)), entity)
    at = Cutoff.parse(CUTOFF, log.timezone)
    coming = Future(log, at, log.observed_until).next_purchase(entity.keys)
    names = set(coming["product"])
    assert ("s0" in names) if entity is SKU else {"a", "z"} <= names
    past = log.tables["order_lines"].frame.filter(pl.col("at") < at.at, sku="s0")
    assert set(past["product"]) == {"s0" if entity is SKU else "a"}
