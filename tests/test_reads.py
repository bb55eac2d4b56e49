"""What a model reads of a log, and what is said of columns that it read and that are gone."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ppi_ml import dataset, occasion_data, reads, simulate
from ppi_ml.entities import LINE, ONE_CUSTOMER, ORDER, Entity, prepared
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.occasions import Asking, triggered
from ppi_ml.scoring import Scorer

END = "2024-12-20"
ABOUT = {
    "customers": ONE_CUSTOMER,
    "products": Entity("customer_product", "sku", "category"),
    "orders": Entity(ORDER),
    "lines": Entity(LINE),
}
ASKING = {
    "orders": Asking(("shipped", "delivered"), "delivered", 60),
    "lines": Asking(("ordered", "delivered"), "returned", 60),
}


@pytest.fixture(scope="module")
def frames():
    """A simulated brand in which every column of every table holds something."""
    made = dict(simulate.simulate_brand(80, days=360, seed=3).tables)
    n, lines = pl.int_range(pl.len()), made["order_lines"].group_by("order_id").first()
    made["order_lines"] = made["order_lines"].with_columns(
        order_type=pl.when(n % 20 == 0).then(pl.lit("free")).otherwise("order_type")
    )
    made["products"] = made["products"].with_columns(
        category_group=pl.format("g{}", n % 2), department=pl.format("d{}", n % 3),
        consumable=pl.when(n % 4 == 0).then(pl.lit("no")).otherwise(pl.lit("yes")),
    )  # fmt: skip
    of_lines = made["cancellations"].join(
        lines.select("order_id", "line_id"), on="order_id", how="left"
    )
    made["cancellations"] = of_lines.with_columns(line_id=pl.when(n % 2 == 0).then("line_id"))
    return made


def log_of(frames):
    raw = {name: RawTable(frame) for name, frame in frames.items()}
    return load_tables(raw, timezone="UTC", currency="EUR")


def matrix(log, about):
    """(keys, values) of everything that our families say of the rows of one kind."""
    entity, end = ABOUT[about], Cutoff.parse(END, "UTC")
    families = dataset.families(entity=entity.name)
    if about in ASKING:
        rows = triggered(log, entity, ASKING[about], log.observed_until)
        states = {str(end): occasion_data.states_at(log, end, families, 1)}
        data = occasion_data.build(log, rows, [end], families, entity, states)
    else:
        data = dataset.build(prepared(log, entity), [end], families, entity=entity)
    return data.keys, data.values


@pytest.fixture(scope="module")
def whole(frames):
    log = log_of(frames)
    return {about: matrix(log, about) for about in ABOUT}


def same(one, other):
    """Whether two matrices have the same rows with the same values."""
    (keys, values), (others, found) = one, other
    return keys.equals(others) and np.array_equal(values, found, equal_nan=True)


def without(frames, columns):
    """The frames without columns ("table.column")."""
    found = dict(frames)
    for place in columns:
        table, column = place.split(".")
        found[table] = found[table].drop(column)
    return found


def test_what_is_said_not_to_be_read_changes_nothing(frames, whole):
    spare = reads.unread(())
    assert all(not frames[p.split(".")[0]][p.split(".")[1]].is_null().all() for p in spare)
    log = log_of(without(frames, spare))
    assert {about for about in whole if not same(whole[about], matrix(log, about))} == set()
    log = log_of(without(frames, ["order_lines.promo_code", "products.category"]))
    assert {about for about in whole if same(whole[about], matrix(log, about))} == set()


# ------------------------------------------------------------------ what scoring says
ABSENT = "returns.{}: the model was trained with this column, which is {}; {}"
NULL, DEFAULT = "features made of it are null", "its default stands everywhere"
GONE = {
    # what was done to the table of returns: the note
    "a column is absent": (
        lambda f: f.drop("sku"), [ABSENT.format("sku", "absent", NULL)]),
    "a column is empty": (
        lambda f: f.with_columns(sku=None), [ABSENT.format("sku", "empty now", NULL)]),
    "a column is no longer filled": (
        lambda f: f.with_columns(sku=pl.when(pl.col("occurred_at").dt.year() < 2019).then("sku")),
        [ABSENT.format("sku", "empty now", NULL)]),
    "a column with a default is absent": (
        lambda f: f.drop("quantity"), [ABSENT.format("quantity", "absent", DEFAULT)]),
    "two are absent": (
        lambda f: f.drop("sku", "order_id"),
        [ABSENT.format("order_id", "absent", NULL), ABSENT.format("sku", "absent", NULL)]),
    "a column is half empty": (
        lambda f: f.with_columns(sku=pl.when(pl.int_range(pl.len()) % 2 == 0).then("sku")), []),
    "a column that no feature is made of came and went": (
        lambda f: f.with_columns(reason=pl.lit(None, dtype=pl.String)), []),
    "a table of a few rows": (lambda f: f.with_columns(sku=None).tail(5), []),
}  # fmt: skip


@pytest.fixture(scope="module")
def events(make_shop):
    """The frames that the model of `trained` knows."""
    return make_shop(seed=1, customers=400, quitters=True)


def notes_on(scorer, log):
    """What a scoring says of columns."""
    found = scorer.score(log, "2020-01-01", ids=["c1"], allow_stale=True).attrs["notes"]
    assert scorer.notes(log, "2020-01-01", allow_stale=True) == found
    return [note for note in found if "this column" in note]


@pytest.mark.parametrize(("change", "notes"), GONE.values(), ids=GONE)
def test_a_column_that_vanished_is_told(trained, events, as_log, change, notes):
    scorer = Scorer.load(trained[0].bundle)
    log = as_log(events | {"returns": change(events["returns"])})
    assert notes_on(scorer, log) == notes


def test_a_column_that_is_not_read_may_vanish(trained, events, as_log, monkeypatch):
    """Neither one that no family reads, nor one of a table that this model does not read."""
    scorer = Scorer.load(trained[0].bundle)
    told = dict(scorer.model.tables)
    told["order_lines"] = {**told["order_lines"], "filled": {"channel": 1.0, "promo_code": 1.0}}
    monkeypatch.setattr(scorer, "model", replace(scorer.model, tables=told))
    log = as_log(events)
    assert notes_on(scorer, log) == [
        "order_lines.promo_code: the model was trained with this column, which is absent; "
        "features made of it are null"
    ]
    monkeypatch.setattr(scorer, "_read", frozenset({"returns"}))
    assert notes_on(scorer, log) == []


def test_a_bundle_that_never_said_what_it_was_trained_with_says_nothing(
    trained, events, as_log, monkeypatch
):
    scorer = Scorer.load(trained[0].bundle)
    old = {n: {k: v for k, v in t.items() if k != "filled"} for n, t in scorer.model.tables.items()}
    monkeypatch.setattr(scorer, "model", replace(scorer.model, tables=old))
    assert notes_on(scorer, as_log(events | {"returns": events["returns"].drop("sku")})) == []


def test_the_bundle_holds_shares_and_no_cell(trained):
    tables = Scorer.load(trained[0].bundle).model.tables
    assert tables["returns"]["filled"] == dict.fromkeys(
        ("return_id", "order_id", "sku", "quantity"), 1.0
    )
    lines = tables["order_lines"]["filled"]
    assert lines.keys() == {"order_id", "line_id", "sku", "quantity", "unit_price", "order_type"}
    assert 0.9 < lines.pop("unit_price") < 1
    assert set(lines.values()) == {1.0}


@pytest.mark.parametrize(
    ("products", "read"), [((), False), (("sku", None), False), (("department", None), True)]
)
def test_what_a_product_is_is_read(products, read):
    assert ("products.department" in reads.unread(products)) != read
