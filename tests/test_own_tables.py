"""Tables that a plug-in brings: what may be one, and the road from its file to the features."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import ppi_ml as ppi
from ppi_ml import (
    dataset,
    entities,
    event_files,
    made_up,
    occasion_past,
    own_tables,
    schema,
    snapshot,
)
from ppi_ml.commands import features, validate
from ppi_ml.config import Config, DataSettings
from ppi_ml.errors import ConfigError, DataError, IntegrityError, UsageError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.last_training import LastTraining
from ppi_ml.progress import Progress
from ppi_ml.schema import TABLES, Column, Derived, Table
from ppi_ml.shelf import load_plugins

ID = Column("claim_id", "id", "", "quarantined", required=True)
COST = Column("cost", "number", "money", "cost unknown", least=0)
CLAIMS = Table(
    name="claims",
    about="what broke",
    key=("claim_id",),
    own=(ID, Column("sku", "id", "", "product unknown"), COST),
    derived=(Derived("cost_e4", decimals=4, of=("cost",)),),
)


def choice(*words):
    return Column("how", "choice", "", "unknown", choices=words or ("yes",))


SOURCE = """
from ppi_ml.declare import Family, Feature
from ppi_ml.schema import Column, Derived, Table

TABLE = Table(
    name="claims",
    about="what broke",
    key=("claim_id",),
    own=(
        Column("claim_id", "id", "", "quarantined", required=True),
        Column("sku", "id", "", "product unknown"),
        Column("cost", "number", "money", "cost unknown", least=0),
    ),
    derived=(Derived("cost_e4", decimals=4, of=("cost",)),),
)
FAMILY = Family(
    name="claims",
    entity="customer",
    needs=("claims",),
    features=(
        Feature("claims", "count", "claims", "claims", "no table", windows=(30,)),
        Feature("cost", "sum", "claims", "money", "no table", of="cost_e4", scale=10_000,
                windows=(30,)),
    ),
)
"""
LINES = pl.DataFrame({
    "order_id": ["1", "2"], "line_id": "1", "customer_id": ["a", "b"],
    "occurred_at": ["2021-01-01", "2021-04-20"],
})  # fmt: skip
ROWS = pl.DataFrame({
    "claim_id": ["x", "y", "z"], "customer_id": ["a", "a", "b"], "cost": ["12.50", "7", "-1"],
    "occurred_at": ["2021-04-10", "2021-05-09", "2021-04-21"],
    "known_at": ["2021-04-10", "2021-05-30", "2021-04-21"],
})  # fmt: skip


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """What a test declares is gone after it."""
    before = dict(TABLES)
    yield
    for name in set(TABLES) - set(before):
        schema._TABLES.pop(name)


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "claims.py"
    found.write_text(SOURCE)
    return found


def test_from_its_file_to_rows_quarantine_and_features(path):
    log = ppi.load(
        {"order_lines": LINES, "claims": ROWS}, plugins=[path], max_quarantined={"claims": 0.4}
    )
    report = log.report.tables["claims"]
    assert report.quarantined == {"cost must be >= 0": 1}
    assert log.claims["cost"].tolist() == [12.5, 7.0]
    chosen = dataset.families(["claims"], plugins=load_plugins([path]))
    built = dataset.build(log, [Cutoff.parse("2021-05-10", "UTC")], chosen)
    assert built.names == ("claims__claims__count__30d", "claims__cost__sum__30d")
    # the second claim of a was known only later, the one of b was set aside
    assert built.values[0].tolist() == [1.0, 12.5]
    assert ppi.load({"order_lines": LINES}).claims.empty


def test_pairs_are_told_what_a_table_without_skus_says_of_their_customer(tmp_path):
    found = tmp_path / "claims.py"
    found.write_text(
        SOURCE.replace('        Column("sku", "id", "", "product unknown"),\n', "")
        .replace('entity="customer"', 'entity="customer_product"')
    )  # fmt: skip
    lines = pl.DataFrame({
        "order_id": ["1", "1", "2"], "line_id": ["1", "2", "1"], "customer_id": ["a", "a", "b"],
        "sku": ["tea", "mug", "tea"], "occurred_at": ["2021-01-01", "2021-01-01", "2021-04-20"],
    })  # fmt: skip
    log = ppi.load(
        {"order_lines": lines, "claims": ROWS}, plugins=[found], max_quarantined={"claims": 0.4}
    )
    plugins = load_plugins([found])
    cutoff, entity = Cutoff.parse("2021-05-10", "UTC"), entities.Entity(entities.PAIR)
    chosen = dataset.families(["claims"], plugins=plugins, entity=entities.PAIR)
    built = dataset.build(entities.prepared(log, entity), [cutoff], chosen, entity=entity)
    assert built.keys["customer_id"].to_list() == ["a", "a", "b"]
    assert built.column("claims__claims__count__30d").tolist() == [1.0, 1.0, 0.0]
    assert str(built.column("claims__cost__sum__30d").tolist()) == "[12.5, 12.5, nan]"


CALLS = """
from ppi_ml.declare import Family, Feature
FAMILY = Family(name="calls", entity=("customer", "customer_product"), needs=("tickets_opened",),
    features=(Feature("tickets", "count", "tickets_opened", "tickets", "hardly observed",
                      windows=(90,), where=None),
              Feature("tickets", "rate", "tickets_opened", "tickets per day", "hardly observed",
                      windows=(90,))))
"""


@pytest.fixture
def calls(tmp_path):
    """A family of customers and pairs alike, and a log in which somebody has just called first."""
    found = tmp_path / "calls.py"
    found.write_text(CALLS)
    lines = pl.DataFrame({
        "order_id": ["1", "2", "3", "4"], "line_id": "1", "customer_id": ["a", "b", "new", "old"],
        "sku": "tea",
        "occurred_at": ["2020-01-01", "2020-01-01", "2021-05-01", "2019-12-01"],
    })  # fmt: skip
    tickets = pl.DataFrame({
        "ticket_id": ["x", "y", "z"], "customer_id": ["a", "new", "old"],
        "occurred_at": ["2021-05-09", "2021-05-08", "2019-12-05"],
    })  # fmt: skip
    return found, ppi.load({"order_lines": lines, "tickets_opened": tickets})


def test_what_is_said_of_the_customer_is_observed_as_long_as_the_customer(calls):
    path, log = calls
    built = {}
    for name in (entities.CUSTOMER, entities.PAIR):
        entity = entities.Entity(name)
        chosen = dataset.families(["calls"], plugins=load_plugins([path]), entity=name)
        cutoff = Cutoff.parse("2021-05-10", "UTC")
        found = dataset.build(entities.prepared(log, entity), [cutoff], chosen, entity=entity)
        assert found.keys["customer_id"].to_list() == ["a", "b", "new", "old"]
        built[name] = found.values
    assert built[entities.PAIR][0].tolist() == [1.0, np.float32(1 / 90)]
    assert np.isnan(built[entities.PAIR][2]).all()  # a customer of nine days
    np.testing.assert_array_equal(built[entities.PAIR], built[entities.CUSTOMER])


def test_a_column_that_a_view_does_not_have_is_named(calls):
    path, log = calls
    path.write_text(CALLS.replace("where=None", 'where="since_last"'))
    entity = entities.Entity(entities.PAIR)
    chosen = dataset.families(["calls"], plugins=load_plugins([path]), entity=entities.PAIR)
    with pytest.raises(ConfigError, match='calls: the feature "tickets" reads "since_last", but'):
        dataset.build(
            entities.prepared(log, entity), [Cutoff.parse("2021-05-10", "UTC")], chosen,
            entity=entity,
        )  # fmt: skip


def test_without_the_plugin_there_is_no_such_table():
    with pytest.raises(DataError, match='unknown table "claims"'):
        ppi.load({"order_lines": LINES, "claims": ROWS})


def test_a_config_may_name_it_and_a_typing_error_is_found_when_loading(path, tmp_path):
    LINES.write_csv(tmp_path / "order_lines.csv")
    ROWS.write_csv(tmp_path / "claims.csv")
    told = {
        "data": {
            "source": "files",
            "path": str(tmp_path),
            "max_quarantined": {"claims": 0.4},
            "exclude": {"cheap": {"table": "claims", "column": "cost", "below": 10}},
        },
        "plugins": [str(path)],
        "target": {"name": "churn"},
    }
    from ppi_ml.inputs import load_log

    config = Config.read(told, environ={})
    log = load_log(config.data, load_plugins(config.plugins))
    assert log.claims["claim_id"].tolist() == ["x"]
    without = {**told, "plugins": []}
    schema._TABLES.pop("claims")
    with pytest.raises(ConfigError, match=r'data\.max_quarantined: unknown table "claims"'):
        Config.read(without, environ={})
    for wrong in (
        {"max_quarantined": {"claim": 0.4}},
        {"exclude": {"cheap": {"table": "claim", "column": "cost", "below": 10}}},
    ):
        config = Config.read({**told, "data": {**told["data"], **wrong}}, environ={})
        with pytest.raises(DataError, match=r'unknown table "claim"\. Did you mean claims'):
            load_log(config.data, load_plugins(config.plugins))


def test_forgetting_reaches_it_by_a_config(path, tmp_path):
    config = tmp_path / "shop.yaml"
    files = {name: tmp_path / f"{name}.csv" for name in ("order_lines", "claims", "products")}
    for file in files.values():
        file.write_text("customer_id\na\n")
    tables = "\n".join(f"    {name}: {{path: {file}}}" for name, file in files.items())
    config.write_text(
        f"data:\n  source: files\n  tables:\n{tables}\nplugins: [{path}]\ntarget: {{name: churn}}\n"
    )
    expected = {files["order_lines"]: "customer_id", files["claims"]: "customer_id"}
    assert event_files.files_of(config).columns == expected
    schema._TABLES.pop("claims")
    config.write_text(
        f"data: {{source: files, path: {tmp_path}}}\nplugins: [{path}]\ntarget: {{name: churn}}\n"
    )
    assert event_files.files_of(config).columns == expected


def test_declaring_it_again_changes_nothing_but_another_one_is_refused():
    own_tables.declare("claims", CLAIMS)
    own_tables.declare("claims", replace(CLAIMS))
    with pytest.raises(ConfigError, match=r"there is a table claims already.*start Python anew"):
        own_tables.declare("claims", replace(CLAIMS, about="something else"))
    with pytest.raises(ConfigError, match="there is a table returns already"):
        own_tables.declare("returns", replace(CLAIMS, name="returns"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "losses"}, 'its name is "losses", and a thing is named after its file'),
        ({"of_customers": False}, "expected plain events of customers"),
        ({"dated": False}, "expected plain events of customers"),
        ({"once_per": "claim_id"}, "expected plain events of customers"),
        ({"key": ()}, "key: expected required columns"),
        ({"key": ("claim_id", "claim_id")}, "key: expected required columns"),
        ({"key": "claim_id"}, r"key: expected a tuple of str, such as \(str"),
        ({"own": ID}, "own: expected a tuple of Column"),
        ({"own": ("claim_id",)}, "own: expected a tuple of Column"),
        ({"derived": CLAIMS.derived[0]}, "derived: expected a tuple of Derived"),
        ({"about": ""}, "about: say in a few words"),
        ({"key": ("sku",)}, "key: expected required columns that tell rows apart, got sku"),
        ({"own": (ID, replace(COST, name="known"))}, "known: no name of a column of its own"),
        ({"own": (ID, replace(COST, name="customer_id"))}, "customer_id: no name of a column"),
        ({"own": (ID, replace(COST, name="wait_us"))}, "wait_us: no name of a column"),
        ({"own": (ID, replace(COST, name="Cost"))}, "Cost: no name of a column"),
        ({"own": (ID, COST, COST)}, "cost: is declared twice"),
        ({"own": (ID, replace(COST, null=""))}, "cost: null: say what an empty cell means"),
        ({"own": (ID, COST, Column("seen", "time", "instant", "never"))}, "seen: .* end in _at"),
        ({"own": (ID, COST, Column("how", "choice", "", "unknown"))}, "how: a choice names"),
        ({"own": (ID, COST, Column("how", "int", "", "unknown"))}, "how: int is no kind of column"),
        ({"own": (ID, COST, choice("Yes"))}, "how: choices and spellings are in small letters"),
        ({"own": (ID, COST, replace(choice(), choices="ab"))}, "how: choices: expected a tuple"),
        ({"own": (ID, COST, replace(choice(), otherwise="no"))}, "how: spellings, otherwise and"),
        ({"own": (ID, replace(COST, most=0))}, "cost: its bounds leave no number"),
        ({"own": (ID, replace(COST, default="abc"))}, "cost: bounds are of numbers"),
        ({"own": (ID, COST, replace(COST, name="sku"))}, "sku: expected the kind id"),
        ({"own": (ID, COST, replace(COST, name="order_id"))}, "order_id: expected the kind id"),
        ({"own": (ID, COST, Column("money", "currency", "", "?"))}, "money: .* is called currency"),
        ({"own": (ID, replace(COST, name="now_at"))}, "now_at: no name of a column of its own"),
        ({"derived": (replace(CLAIMS.derived[0], decimals=-1),)}, "cost_e4: expected to be made"),
        ({"own": (ID,)}, "cost_e4: expected to be made of numbers of this table"),
    ],
)
def test_what_cannot_be_a_table_is_refused_with_the_reason(change, message):
    with pytest.raises(ConfigError, match=rf"plugins: claims\.py: TABLE: .*{message}"):
        own_tables.declare("claims", replace(CLAIMS, **change))
    assert "claims" not in TABLES


@pytest.mark.parametrize("name", ["report", "trips", "listed"])
def test_a_table_may_not_be_called_like_something_else(name):
    with pytest.raises(ConfigError, match=f"{name}: expected small letters"):
        own_tables.declare(name, replace(CLAIMS, name=name))


def test_the_names_that_are_taken_are_those_of_a_log_and_its_pasts():
    public = {name for name in dir(EventLog) if not name.startswith("_")} - {"purchases"}
    public |= set(EventLog.__dataclass_fields__) - {"purchases"}
    views = {*snapshot._OF_LINES, *snapshot._OF_DELIVERIES, snapshot.LISTED, "flat"}
    assert set(own_tables.NOT_TABLES) == public | views
    ours = {entities.PRODUCT, entities.GROUP, entities.SKUS, entities.PACK, *snapshot._DATES}
    assert ours | {occasion_past.OCCASION, schema.VALID_FROM} <= set(own_tables.NOT_COLUMNS)


@pytest.mark.parametrize("name", [n for n in TABLES if n not in ("order_lines", "consents")])
def test_the_events_that_ship_would_be_tables_of_ones_own(name):
    table = TABLES[name]
    if table.of_customers and table.dated:
        assert [*own_tables._shapes(table), *own_tables._problems(name, table)] == []


def test_what_is_no_table_is_refused():
    with pytest.raises(ConfigError, match=r"x\.py: TABLE: expected a ppi_ml\.schema\.Table"):
        own_tables.declare("x", 7)


def test_where_one_plugin_fails_none_has_declared_anything(path, tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        load_plugins([path, tmp_path / "broken.py"])
    assert "claims" not in TABLES


def test_features_are_built_with_a_plugin(path):
    log = ppi.load({"order_lines": LINES, "claims": ROWS[:2]}, plugins=path)
    built = ppi.build_features(log, "2021-05-10", families=["claims"], plugins=path)
    assert built["claims__claims__count__30d"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    "bounds",
    [
        {"above": 0, "most": 1},
        {"least": 0.1, "most": 0.9},
        {"above": 5},
        {"most": 1},
        {"least": -5, "most": -1},
        {"above": 0, "most": 1e9},
        {"least": 1, "most": 5},
        {},
    ],
    ids=str,
)
def test_made_up_numbers_keep_their_bounds(bounds):
    number = Column("share", "number", "share", "unknown", **bounds)
    own_tables.declare("claims", replace(CLAIMS, own=(ID, number), derived=()))
    log = ppi.load(pl.concat([LINES] * 40).with_columns(line_id=pl.arange(80).cast(pl.String)))
    rows = made_up.rows(TABLES["claims"], log.tables["order_lines"].frame, "GBP")
    again = ppi.load({"order_lines": log.order_lines, "claims": rows})
    assert again.report.tables["claims"].kept == len(rows) > 0
    assert rows["share"].n_unique() > 1


OF_CUSTOMERS = [
    t for t in TABLES.values() if t.of_customers and t.dated and t.name != "order_lines"
]


@pytest.mark.parametrize("table", [*OF_CUSTOMERS, CLAIMS], ids=lambda table: table.name)
def test_made_up_rows_keep_every_rule_of_their_table(table):
    own_tables.declare("claims", CLAIMS)
    lines = [
        {"customer_id": f"c{i % 7}", "order_id": f"o{i}", "sku": f"s{i % 3}",
         "occurred_at": f"2021-{1 + i // 28:02}-{1 + i % 28:02}"}
        for i in range(60)
    ]  # fmt: skip
    log = ppi.load(pl.DataFrame(lines).with_columns(line_id=pl.lit("1")), currency="GBP")
    rows = made_up.rows(table, log.tables["order_lines"].frame, "GBP")
    assert rows.equals(made_up.rows(table, log.tables["order_lines"].frame, "GBP"))
    assert set(rows.columns) == {*table.names} - {"known_at"}
    again = ppi.load({"order_lines": log.order_lines, table.name: rows}, currency="GBP")
    told = again.report.tables[table.name]
    assert (told.rows_in, told.kept, told.quarantined) == (len(rows), len(rows), {})
    assert len(rows) >= 55  # of consents a customer may say the same twice at the end of the log


def test_a_folder_is_read_with_the_plugins_of_the_training_it_is_compared_with(path, tmp_path):
    """A folder does not say what its plug-ins are; a changed file is not run for it."""
    settings = DataSettings(source="dataframes")
    digest = load_plugins(path)[0].sha256
    schema._TABLES.pop("claims")
    last = LastTraining(tmp_path, {}, None, frozenset(), settings, (str(path),), {"claims": digest})
    assert [plugin.name for plugin in validate._plugins(tmp_path, last, ())] == ["claims"]
    assert "claims" in TABLES
    assert validate._plugins(tmp_path, None, ()) == ()
    path.write_text(SOURCE + "\n")
    with pytest.raises(IntegrityError, match="not the file that this bundle was trained with"):
        validate._plugins(tmp_path, last, ())


def test_a_file_without_a_family_cannot_be_checked(tmp_path):
    table_alone = SOURCE.split("FAMILY =")[0].replace('"claims"', '"claims_alone"')
    (tmp_path / "claims_alone.py").write_text(table_alone)
    with pytest.raises(UsageError, match="it has no FAMILY"):
        features._check(tmp_path / "claims_alone.py", json=False, progress=Progress(quiet=True))
