"""Tables that a plug-in brings: what may be one, and the road from its file to the features."""

from dataclasses import replace

import polars as pl
import pytest

import ppi_ml as ppi
from ppi_ml import dataset, event_files, made_up, own_tables, schema
from ppi_ml.config import Config
from ppi_ml.errors import ConfigError, DataError
from ppi_ml.instants import Cutoff
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


def test_forgetting_reaches_it_whether_its_plugin_is_loaded_or_not(path, tmp_path):
    config = tmp_path / "shop.yaml"
    files = {name: tmp_path / f"{name}.csv" for name in ("order_lines", "claims", "products")}
    for file in files.values():
        file.write_text("customer_id\na\n")
    tables = "\n".join(f"    {name}: {{path: {file}}}" for name, file in files.items())
    config.write_text(
        f"data:\n  source: files\n  tables:\n{tables}\nplugins: [{path}]\ntarget: {{name: churn}}\n"
    )
    found = event_files.files_of(config)
    assert found == {files["order_lines"]: "customer_id", files["claims"]: "customer_id"}


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
        ({"key": ("sku",)}, "key: expected required columns that tell rows apart, got sku"),
        ({"own": (ID, replace(COST, name="known"))}, "known: no name of a column of its own"),
        ({"own": (ID, replace(COST, name="customer_id"))}, "customer_id: no name of a column"),
        ({"own": (ID, replace(COST, name="wait_us"))}, "wait_us: no name of a column"),
        ({"own": (ID, replace(COST, name="Cost"))}, "Cost: no name of a column"),
        ({"own": (ID, COST, COST)}, "cost: is declared twice"),
        ({"own": (ID, replace(COST, null=""))}, "cost: null: say what an empty cell means"),
        ({"own": (ID, COST, Column("seen", "time", "instant", "never"))}, "seen: .* end in _at"),
        ({"own": (ID, COST, Column("how", "choice", "", "unknown"))}, "how: a choice names"),
        ({"own": (ID,)}, "cost_e4: expected to be made of numbers of this table"),
    ],
)
def test_what_cannot_be_a_table_is_refused_with_the_reason(change, message):
    with pytest.raises(ConfigError, match=rf"plugins: claims\.py: TABLE: .*{message}"):
        own_tables.declare("claims", replace(CLAIMS, **change))
    assert "claims" not in TABLES


@pytest.mark.parametrize(("name", "thing"), [("trips", replace(CLAIMS, name="trips")), ("x", 7)])
def test_a_name_of_a_view_and_what_is_no_table_are_refused(name, thing):
    with pytest.raises(ConfigError, match=rf"plugins: {name}\.py: TABLE: "):
        own_tables.declare(name, thing)


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
    # of consents a customer may say the same twice at the end of the log
    assert set(told.quarantined) <= {"duplicate of an earlier row"}
    assert told.kept >= 0.95 * len(rows)
