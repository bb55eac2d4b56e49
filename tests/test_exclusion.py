"""`data.exclude`: rows that a shop does not want are left out whole, counted, and never judged."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import bazaar
from tests.conftest import PRESENT
from tests.loadings import SMALL, check_requests, from_folder, how_read, shop_of
from typer.testing import CliRunner

import ppi_ml
from ppi_ml import bundle as bundles
from ppi_ml import cli, drift, exclusion, inputs
from ppi_ml.config import Config
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.events import RawTable, load_tables
from ppi_ml.exclude_rule import ExcludeRule
from ppi_ml.scoring import Scorer
from ppi_ml.training import train

TESTS = {"table": "order_lines", "column": "Tags", "values": ["test"]}
STAFF = {"table": "customers", "column": "type", "values": ["staff", "Employee "]}
WHOLESALE = {"table": "order_lines", "column": "quantity", "above": 500}
AT = "2026-01-02T10:00:00"


def rows(*events, **same):
    return pl.DataFrame([{"occurred_at": AT, **same, **row} for row in events],
                        infer_schema_length=None)  # fmt: skip


def line(order, customer="a", number="1", **more):
    return {"order_id": order, "line_id": number, "customer_id": customer, "quantity": 1, **more}


def load(tables, exclude, **how):
    return ppi_ml.load(tables, exclude=exclude, now=PRESENT, max_quarantined=0.9, **how)


def ids(log, table, column):
    return sorted(log.tables[table].frame[column].drop_nulls().unique())


# ------------------------------------------------------------------ what a rule takes along
SHOP = {
    "order_lines": rows(
        line("1", Tags="VIP"), line("2", Tags=" TEST "), line("2", number="2", Tags=None),
        line("3", "b", Tags="vip; Test", quantity=2), line("4", "b", quantity=501),
        line("5", "c", Tags="tested"),
    ),
    "shipments": rows(
        {"customer_id": "a", "shipment_id": "s1", "order_id": "1"},
        {"customer_id": "a", "shipment_id": "s2", "order_id": " 2"},
        {"customer_id": "b", "shipment_id": "s3", "order_id": "3"},
    ),
    "deliveries": rows(  # no order: told by the parcel
        {"customer_id": "a", "shipment_id": "s1"}, {"customer_id": "a", "shipment_id": "s2"},
        {"customer_id": "b", "shipment_id": "s3"},
    ),
    "returns": rows({"customer_id": "a", "return_id": "r1", "order_id": "2.0"},
                    {"customer_id": "a", "return_id": "r2", "order_id": None}),
    "tickets_opened": rows({"customer_id": "a", "ticket_id": "t1", "order_id": "2"},
                           {"customer_id": "a", "ticket_id": "t2", "order_id": None}),
    "tickets_closed": rows({"customer_id": "a", "ticket_id": "t1"},
                           {"customer_id": "a", "ticket_id": "t2"}),
    "messages": rows({"customer_id": "a", "message_id": "m1", "action": "sent"}),
    "customers": pl.DataFrame({"customer_id": ["a", "b", "c"], "type": ["", " STAFF", "guest"]}),
}  # fmt: skip


def test_a_line_takes_its_order_along_in_every_table_and_nothing_else():
    log = load(SHOP, {"test orders": TESTS})
    assert ids(log, "order_lines", "order_id") == ["1", "4", "5"]
    assert ids(log, "shipments", "shipment_id") == ids(log, "deliveries", "shipment_id") == ["s1"]
    assert ids(log, "returns", "return_id") == ["r2"]
    assert ids(log, "tickets_opened", "ticket_id") == ["t2"]
    assert ids(log, "tickets_closed", "ticket_id") == ["t2"]
    assert ids(log, "messages", "message_id") == ["m1"]
    assert ids(log, "customers", "customer_id") == ["a", "b", "c"]


def test_a_parcel_that_names_an_order_of_its_own_goes_by_that():
    named = SHOP["deliveries"].with_columns(order_id=pl.Series(["1", "1", None]))
    log = load(SHOP | {"deliveries": named}, {"test orders": TESTS})
    assert ids(log, "deliveries", "shipment_id") == ["s1", "s2"]


def test_a_customer_takes_everything_along():
    log = load(SHOP, {"staff": STAFF})
    assert log.customer_ids.to_list() == ["a", "c"]
    assert log.report.tables["order_lines"].excluded == {"staff": 2}
    assert log.report.tables["shipments"].excluded == {"staff": 1}
    assert log.report.tables["messages"].excluded == {}


def test_any_other_row_goes_alone():
    """An order that left because of what came of it would tell past cutoffs of their future."""
    rule = {"table": "returns", "column": "order_id", "values": [2]}
    log = load(SHOP, {"odd": rule})
    assert ids(log, "returns", "return_id") == ["r2"]
    assert ids(log, "order_lines", "order_id") == ["1", "2", "3", "4", "5"]


def test_a_row_counts_once_for_the_first_rule_and_rows_add_up():
    log = load(SHOP, {"staff": STAFF, "test orders": TESTS, "wholesale": WHOLESALE})
    told = log.report.tables["order_lines"]
    assert told.excluded == {"staff": 2, "test orders": 2}
    assert (told.rows_in, told.rows_read, told.kept) == (6, 2, 2)
    for table in log.report.tables.values():
        parts = [table.repaired, table.quarantined, table.excluded]
        assert table.rows_in == table.kept + sum(sum(part.values()) for part in parts)
    assert "exclude: wholesale: all that it finds is excluded by an earlier rule" in str(
        log.report.notes
    )


def test_the_report_says_how_many_and_by_which_rule_and_names_no_value():
    report = load(SHOP, {"test orders": TESTS, "wholesale": WHOLESALE}).report
    text = report.to_text()
    assert (
        "order_lines: 6 rows in = 2 kept + 0 repaired + 0 quarantined + 4 excluded\n"
        "  excluded             3  test orders\n"
        "  excluded             1  wholesale\n"
    ) in text
    assert report.to_dict()["tables"]["order_lines"]["excluded"] == {
        "test orders": 3,
        "wholesale": 1,
    }
    assert "excluded" not in load(SHOP, {}).report.to_text()
    assert "test" not in json.dumps(report.to_dict()).replace("test orders", "")


def test_a_column_that_a_rule_reads_is_not_ignored():
    told = load(SHOP, {"test orders": TESTS}).report.notes
    assert not any("ignored" in note and "Tags" in note for note in told)
    assert any("customers: ignored columns type" in note for note in told)


def test_what_is_excluded_is_never_quarantined_and_rows_keep_their_numbers():
    lines = [line("1", Tags="test", quantity=-1), line("2", quantity=1), line("3", quantity=-1)]
    log = load({"order_lines": rows(*lines)}, {"test orders": TESTS})
    assert log.report.quarantine["order_lines"]["row"].to_list() == [2]
    assert log.report.tables["order_lines"].quarantined == {"quantity must be > 0": 1}


def test_what_is_excluded_makes_no_table_too_bad_to_load():
    bad = [line(f"t{i}", Tags="test", quantity=-1) for i in range(50)]
    good = [line(f"o{i}", quantity=1) for i in range(50)]
    tables = {"order_lines": rows(*bad, *good)}
    with pytest.raises(DataError, match="50 of 100 rows"):
        ppi_ml.load(tables, now=PRESENT)
    ppi_ml.load(tables, now=PRESENT, exclude={"test orders": TESTS})
    worse = [line(f"w{i}", quantity=-1) for i in range(4)]
    with pytest.raises(DataError, match=r"4 of 54 rows \(7.4%\)"):  # of 104 it would be 3.8 %
        ppi_ml.load({"order_lines": rows(*bad, *good, *worse)}, now=PRESENT,
                    exclude={"test orders": TESTS})  # fmt: skip


def test_money_of_test_orders_is_no_money_of_the_log():
    lines = rows(line("1", currency="EUR"), line("2", currency="XTS", Tags="test"))
    assert load({"order_lines": lines}, {"test orders": TESTS}).currency == "EUR"


# ------------------------------------------------------------------ how cells are compared
@pytest.mark.parametrize(
    ("cells", "values", "hit"),
    [
        (["Test", " TEST", "tests", None, ""], ["test"], [0, 1]),
        (["a, Test", "test|b", "x;test", "test x"], ["test"], [0, 1, 2]),
        (["a, b", "a", "b"], ["A, B"], [0]),
        ([1, 2, None, 10], [1], [0]),
        ([1.0, 2.5, None, float("nan")], ["1", 2.5], [0, 1]),
        (["1.0", "01", "1"], [1], [0, 2]),
        ([True, False, None], [True], [0]),
        (["True", "yes", "false"], [True], [0]),
        (["ÄRGER", "ärger"], ["Ärger"], [0, 1]),
    ],
)
def test_words_are_compared_trimmed_and_without_regard_to_case(cells, values, hit):
    lines = rows(*(line(f"o{i}") for i in range(len(cells) + 1)))
    lines = lines.with_columns(x=pl.Series([*cells, None], strict=False))
    log = load({"order_lines": lines}, {"x": TESTS | {"column": "x", "values": values}})
    gone = [i for i in range(len(cells)) if f"o{i}" not in ids(log, "order_lines", "order_id")]
    assert gone == hit


@pytest.mark.parametrize(
    ("cells", "bound", "hit"),
    [
        ([500, 501, None], {"above": 500}, [1]),
        (["500", " 501 ", "lots", ""], {"above": 500}, [1]),
        ([0.5, 1, -1], {"below": 1}, [0, 2]),
    ],
)
def test_numbers_are_compared_with_a_bound_that_is_left_in(cells, bound, hit):
    lines = rows(*(line(f"o{i}") for i in range(len(cells) + 1)))
    lines = lines.with_columns(x=pl.Series([*cells, None], strict=False))
    log = load({"order_lines": lines}, {"x": {"table": "order_lines", "column": "x", **bound}})
    gone = [i for i in range(len(cells)) if f"o{i}" not in ids(log, "order_lines", "order_id")]
    assert gone == hit


# ------------------------------------------------------------------ what is told, what is refused
def test_a_rule_that_does_nothing_is_told():
    nothing = TESTS | {"values": ["nothing"]}
    absent = {"table": "usage", "column": "kind", "values": ["x"]}
    told = load(SHOP, {"none": nothing, "gone": absent}).report.notes
    assert (
        "exclude: none: no row of order_lines has such a cell in Tags, so the rule does nothing"
        in told
    )
    assert "exclude: gone: there is no table usage, so the rule does nothing" in told


def test_a_column_that_is_not_there_is_an_error_with_the_nearest_name():
    with pytest.raises(DataError) as error:
        load(SHOP, {"test orders": TESTS | {"column": "tag"}})
    assert str(error.value).startswith(
        'exclude: test orders: the table order_lines has no column "tag". Did you mean Tags? '
        "The columns are: occurred_at, order_id, line_id, customer_id, quantity, Tags"
    )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            TESTS | {"table": "orders"},
            'exclude.x.table: unknown table "orders". Did you mean order_',
        ),
        (
            TESTS | {"table": "flat"},
            "a row of a flat table is an order line; say table: order_lines",
        ),
        (
            TESTS | {"table": "consents"},
            "consents: a denial is never left out; leave out the custom",
        ),
        (TESTS | {"table": "cancellations"}, "an order that was called off would be a purchase"),
        (TESTS | {"above": 3}, "exclude.x: expected values, above or below, got values and above"),
        (TESTS | {"values": None}, "expected values, above or below, got none of them"),
        (
            TESTS | {"values": []},
            "exclude.x.values: expected a non-empty list of text or true or f",
        ),
        (TESTS | {"values": [" "]}, "exclude.x.values: expected words; an empty cell is never mat"),
        (WHOLESALE | {"above": "many"}, 'exclude.x.above: expected a number or null, got "many"'),
        (TESTS | {"of": "customer"}, "exclude.x.of: unknown setting."),
        ({"table": "customers"}, "exclude.x.column: is required and missing"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule, message):
    with pytest.raises(UsageError) as error:
        load(SHOP, {"x": rule})
    assert message in str(error.value)
    data = {"source": "cdnow", "exclude": {"x": rule}}
    with pytest.raises(ConfigError, match=r"^data\.exclude\.x"):
        Config.read({"data": data, "target": {"name": "churn"}}, environ={})


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "x" * 61, " a"])
def test_a_rule_has_a_name_that_can_be_shown(name):
    with pytest.raises(UsageError, match='expected names such as "test orders"'):
        load(SHOP, {name: TESTS})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([TESTS], r"^exclude: expected a section of names and values, got \["),
        ("test", "^exclude: expected a section of names and values"),
        ({"t": "test"}, "^exclude.t: expected a section with table, column, .*, got"),
        ({"t": [TESTS]}, "^exclude.t: expected a section with table, column"),
        ({"t": None}, "^exclude.t: expected a section with .*, got null"),
        ({1: TESTS}, "^exclude.1: expected text as a name; write it in quotes$"),
    ],
)
def test_rules_of_another_shape_are_refused(given, message):
    with pytest.raises(UsageError, match=message):
        load(SHOP, given)
    whole = {"data": {"source": "cdnow", "exclude": given}, "target": {"name": "churn"}}
    with pytest.raises(ConfigError, match=message.replace("^", r"^data\.")):
        Config.read(whole, environ={})


def test_a_rule_may_be_made_already():
    (rule,) = rules({"t": TESTS}).values()
    assert load(SHOP, {"t": rule}).report.tables == load(SHOP, {"t": TESTS}).report.tables


def test_order_lines_without_the_id_of_an_order_are_refused_as_always():
    lines = rows(line("1", Tags="test"), line("2")).drop("order_id")
    with pytest.raises(DataError, match="order_lines: required column order_id is missing"):
        load({"order_lines": lines}, {"t": TESTS})


def test_a_column_of_lists_is_no_text():
    lines = rows(line("1")).with_columns(Tags=pl.Series([["test"]]))
    with pytest.raises(DataError, match=r"exclude: t: column Tags holds List\(String\)"):
        load({"order_lines": lines}, {"t": TESTS})
    spans = lines.with_columns(Tags=pl.Series([timedelta(1)]))
    with pytest.raises(DataError, match=r"exclude: t: column Tags holds Duration.*expected text"):
        load({"order_lines": spans}, {"t": TESTS})


def test_an_id_that_is_no_text_is_named_with_its_table():
    odd = SHOP["shipments"].with_columns(order_id=pl.Series([["1"], ["2"], ["3"]]))
    with pytest.raises(DataError, match="exclude: t: shipments: column order_id holds List"):
        load(SHOP | {"shipments": odd}, {"t": TESTS})


def test_a_log_of_which_nothing_is_left_is_refused():
    with pytest.raises(DataError, match=r"every row is excluded by t \(1\)"):
        load({"order_lines": rows(line("1", Tags="test"))}, {"t": TESTS})


def test_a_table_of_which_nothing_is_left_is_absent_and_counted():
    rule = {"table": "messages", "column": "action", "values": ["sent"]}
    of_all = {"table": "customers", "column": "customer_id", "values": ["c"]}
    tables = SHOP | {"customers": SHOP["customers"].filter(customer_id="c")}
    log = load(tables, {"ours": rule, "guests": of_all})
    assert "messages" not in log.tables
    assert "customers" not in log.tables
    assert log.report.tables["messages"].excluded == {"ours": 1}
    assert "messages: all rows are excluded, so treated as absent" in log.report.notes


# ------------------------------------------------------------------ oracle: had they never been
MARKED = {"marked": {"table": "order_lines", "column": "mark", "values": ["x"]},
          "gone": {"table": "customers", "column": "mark", "values": ["x"]}}  # fmt: skip


@pytest.fixture(scope="module")
def frames(make_shop):
    """Every table of the noise shop, with a customer list."""
    made = bazaar.frames(make_shop(customers=60))
    names = made["order_lines"]["customer_id"].unique().sort()
    return made | {"customers": pl.DataFrame({"customer_id": names})}


def never_had(frames, orders, people):
    """The tables without these orders and customers, by a join per table."""
    parcels = frames["shipments"].filter(pl.col("order_id").is_in(orders))["shipment_id"]
    left = {}
    for name, frame in frames.items():
        kept = frame
        if "customer_id" in frame.columns:
            kept = kept.filter(~pl.col("customer_id").is_in(people))
        if "order_id" in frame.columns:
            kept = kept.filter(~pl.col("order_id").is_in(orders).fill_null(value=False))
        elif "shipment_id" in frame.columns:
            kept = kept.filter(~pl.col("shipment_id").is_in(parcels.implode()))
        if "ticket_id" in frame.columns and "order_id" not in frame.columns:
            opened = frames["tickets_opened"]
            of = opened.filter(pl.col("order_id").is_in(orders))["ticket_id"]
            kept = kept.filter(~pl.col("ticket_id").is_in(of.implode()))
        left[name] = kept
    return left


@settings(max_examples=12)
@given(data=st.data())
def test_the_log_is_that_of_a_shop_that_never_had_these_rows(frames, data):
    orders = frames["order_lines"]["order_id"].unique().sort().to_list()
    people = frames["customers"]["customer_id"].to_list()
    bad = data.draw(st.lists(st.sampled_from(orders), max_size=8, unique=True))
    staff = data.draw(st.lists(st.sampled_from(people), max_size=5, unique=True))
    marked = {
        "order_lines": mark(frames["order_lines"], "order_id", bad),
        "customers": mark(frames["customers"], "customer_id", staff),
    }
    log = plain(frames | marked, exclude=rules(MARKED))
    expected = plain(never_had(frames, bad, staff))
    assert log.tables.keys() == expected.tables.keys()
    assert log.fingerprint == expected.fingerprint
    for name, table in expected.report.tables.items():
        found = log.report.tables[name]
        assert (found.rows_read, found.kept, found.repaired, found.quarantined, found.first) == (
            table.rows_in, table.kept, table.repaired, table.quarantined, table.first
        )  # fmt: skip


def mark(frame, column, names):
    """The frame with a column that says x in every second row of the names, at least once."""
    hit = pl.col(column).is_in(names)
    first = pl.int_range(pl.len()).over(column) % 2 == 0
    return frame.with_columns(mark=pl.when(hit & first).then(pl.lit(" X")))


def rules(given):
    return {name: ExcludeRule(**rule) for name, rule in given.items()}


def plain(tables, **how):
    return load_tables({n: RawTable(f) for n, f in tables.items()}, timezone="UTC", currency="GBP",
                       **how)  # fmt: skip


def test_without_rules_nothing_is_touched(frames):
    raw = {name: RawTable(frame) for name, frame in frames.items()}
    assert exclusion.without(raw, {}) == raw


# ------------------------------------------------------------------ every way in
FLAT = """order_id,customer_id,sku,order_timestamp,return_flag,return_timestamp,Tags
1,a,tea,2026-01-05 10:00,no,,
1,a,cup,2026-01-05 10:00,yes,2026-01-09 10:00,"vip, Test"
2,b,tea,2026-01-06 10:00,yes,2026-01-09 10:00,vip
3,c,tea,2026-01-07 10:00,no,,
"""


@pytest.fixture
def flat(tmp_path):
    path = tmp_path / "flat.csv"
    path.write_text(FLAT)
    return path


def test_a_flat_table_keeps_its_columns_for_rules(flat):
    sets = {"data.source": "flat", "data.path": str(flat), "target.name": "churn",
            "data.exclude": {"t": TESTS}}  # fmt: skip
    config = inputs.load_log(Config.read(None, sets).data, now=PRESENT)
    frame = ppi_ml.load(pl.read_csv(flat), exclude={"t": TESTS}, now=PRESENT)
    for log in (config, frame):
        assert ids(log, "order_lines", "order_id") == ["2", "3"]
        assert ids(log, "returns", "order_id") == ["2"]
        assert log.report.tables["returns"].excluded == {"t": 1}
        assert not any("ignored columns" in note for note in log.report.notes)
    assert config.fingerprint == frame.fingerprint


def test_a_flat_table_of_other_names(flat):
    pl.read_csv(flat).rename({"order_timestamp": "Created"}).write_csv(flat)
    log = ppi_ml.load(flat, columns={"flat": {"order_timestamp": "Created"}},
                      exclude={"t": TESTS}, now=PRESENT)  # fmt: skip
    assert ids(log, "order_lines", "order_id") == ["2", "3"]


@pytest.fixture
def folder(tmp_path):
    for name, frame in SHOP.items():
        frame.rename({"Tags": "Labels"} if name == "order_lines" else {}).write_csv(
            tmp_path / f"{name}.csv"
        )
    return tmp_path


def test_a_config_names_columns_after_the_mapping_of_names(folder):
    mapped = {"order_lines": {"columns": {"order_type": "Labels"}}}
    sets = {"data.source": "files", "data.path": str(folder), "target.name": "churn",
            "data.exclude": {"staff": STAFF, "t": TESTS | {"column": "Labels"}}}  # fmt: skip
    log = inputs.load_log(Config.read(None, sets).data, now=PRESENT)
    assert ids(log, "order_lines", "order_id") == ["1", "5"]
    sets["data.exclude"] = {"t": TESTS | {"column": "order_type"}}
    data = Config.read(None, sets | {"data.tables": mapped, "data.max_quarantined": 0.9}).data
    assert ids(inputs.load_log(data, now=PRESENT), "order_lines", "order_id") == ["4"]


def test_a_database_is_read_the_same(tmp_path):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    with sqlalchemy.create_engine(url).begin() as connection:
        for name in ("order_lines", "customers"):
            SHOP[name].to_pandas().to_sql(name, connection, index=False)
    queries = {n: {"query": f"SELECT * FROM {n}"} for n in ("order_lines", "customers")}
    sets = {"data.source": "sql", "data.url": url, "data.tables": queries, "target.name": "churn",
            "data.exclude": {"staff": STAFF, "t": TESTS}}  # fmt: skip
    log = inputs.load_log(Config.read(None, sets).data, now=PRESENT)
    assert ids(log, "order_lines", "order_id") == ["1", "5"]


def test_validate_tells_them(folder):
    rule = (TESTS | {"column": "Labels", "values": "[test]"}).items()
    sets = [f"--set=data.exclude.t.{name}={value}" for name, value in rule]
    args = ["validate", str(folder / "order_lines.csv"), "--quiet", *sets]
    told = CliRunner().invoke(cli.app(), args)
    assert told.exit_code == 0, told.output
    assert "6 rows in = 3 kept + 0 repaired + 0 quarantined + 3 excluded" in told.stdout


def test_drift_looks_at_the_rows_that_are_wanted():
    """Bad rows are a tenth of the rest before and after, whatever there is of test orders."""
    told = []
    for tests in (0, 900):
        bad = [line(f"b{i}", quantity=-1 if i < 10 else 1) for i in range(100)]
        unwanted = [line(f"t{i}", Tags="test") for i in range(tests)]
        lines = rows(*bad, *unwanted).with_columns(Tags=pl.lit(None) if not tests else "Tags")
        told.append(load({"order_lines": lines}, {"t": TESTS}).report.to_dict())
    assert not [d.to_text() for d in drift.between(*told) if "unusable" in d.to_text()]


# ------------------------------------------------------------------ the bundle knows them
BULK = {"bulk": {"table": "order_lines", "column": "quantity", "above": 3}}


@pytest.fixture(scope="module")
def trained_without(make_shop, as_log, tmp_path_factory):
    """(run, scorer, frames) of a model that never saw an order with more than three of a thing."""
    frames = make_shop(seed=1, customers=250, quitters=True)
    log = shop_of(frames, exclude=rules(BULK))
    out = {"output.folder": str(tmp_path_factory.mktemp("runs"))}
    run = train(log, target="churn", settings=SMALL | out, track=False)
    return run, Scorer.load(run.bundle), frames


def test_the_bundle_records_the_rules(trained_without):
    run, scorer, _ = trained_without
    assert scorer.config.data.exclude == run.config.data.exclude == rules(BULK)
    assert bundles.load(run.bundle).manifest["data"]["excluded"] == ["bulk"]
    lines = run.report.tables["order_lines"].excluded["bulk"]
    assert lines > 0
    told = f"Order lines left out by rule: bulk {lines:,}. Other tables: see the load report."
    assert told in run.scorecard.notes


def test_a_log_that_was_loaded_with_other_rules_is_told(trained_without):
    _, scorer, frames = trained_without
    same, bare = shop_of(frames, exclude=rules(BULK)), shop_of(frames)
    other = replace(same, exclude=rules({"bulk": BULK["bulk"] | {"above": 2}}))
    found = [
        [n for n in scorer.score(log, "2020-01-01").attrs["notes"] if n.startswith("exclude")]
        for log in (same, bare, other)
    ]
    trained = "exclude: the model was trained with the rules bulk; this log was loaded with"
    assert found == [[], [f"{trained} none"], [f"{trained} others of these names"]]


def test_a_request_is_answered_like_the_batch(trained_without):
    _, scorer, frames = trained_without
    log = shop_of(frames, exclude=rules(BULK))
    hit = frames["order_lines"].filter(pl.col("quantity") > 3)["customer_id"].unique().sort()
    check_requests(scorer, log, frames, hit)


def test_a_request_need_not_have_the_columns_of_a_rule(trained_without):
    _, scorer, frames = trained_without
    lines = frames["order_lines"].filter(customer_id="c1").drop("quantity")
    assert scorer.one({"order_lines": lines}, "2020-01-01").status == "scored"


def test_the_self_test_is_of_customers_that_no_rule_leaves_out(make_shop, tmp_path):
    """A rule that would leave out what the self-test makes up."""
    frames = make_shop(seed=1, customers=250, quitters=True)
    all_but_one = {"x": {"table": "order_lines", "column": "sku", "values": ["sku", "s1"]}}
    few = rules(all_but_one | {"y": {"table": "order_lines", "column": "quantity", "below": 2}})
    run = train(shop_of(frames, exclude=few), target="churn", track=False,
                settings=SMALL | {"output.folder": str(tmp_path)})  # fmt: skip
    assert Scorer.load(run.bundle).dated == "2020-01-01"


def test_a_folder_is_read_with_the_rules_of_the_bundle(trained_without, tmp_path):
    run, scorer, frames = trained_without
    log = from_folder(scorer, frames, tmp_path)
    assert log.exclude == rules(BULK)
    assert not (log.tables["order_lines"].frame["quantity"] > 3).any()
    told = "read in days of Europe/London, money in GBP, without bulk"
    assert how_read(run, tmp_path) == told


def test_a_training_takes_the_rules_of_a_log_and_contradicts_none(shop):
    with pytest.raises(UsageError, match="the log that is given was loaded otherwise"):
        train(shop, settings=SMALL | {"data.exclude": BULK})


def test_rules_survive_the_config_they_are_written_to():
    data = {"source": "cdnow", "exclude": {"a b": TESTS, "staff": STAFF, "w": WHOLESALE}}
    config = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    assert Config.read(config.to_dict(), environ={}) == config
    assert np.isfinite(config.data.exclude["w"].above)
