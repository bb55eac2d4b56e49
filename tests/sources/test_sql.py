"""The source sql against SQLite and against a real PostgreSQL server that this file starts."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy
from typer.testing import CliRunner

from ppi_ml import cli, inputs, settings
from ppi_ml.config import Config
from ppi_ml.errors import ConfigError, DataError
from ppi_ml.sources import sql

PASSWORD = "s3cret@/:%? word"  # every sign that means something in a URL


def config(url, query="SELECT * FROM lines", *, columns=None, **tables):
    """A config of these queries; order_lines is `query`."""
    order_lines = {"query": query, "columns": columns or {}}
    queries = {name: {"query": text} for name, text in tables.items()}
    data = {"source": "sql", "url": url, "tables": {"order_lines": order_lines, **queries}}
    return Config.read({"data": data, "target": {"name": "churn"}}, environ={})


def frames(asked):
    return {name: raw.frame for name, raw in sql.SOURCE.read(asked.data).items()}


@pytest.fixture
def lite(tmp_path):
    """lite(script) -> the URL of a SQLite file with these tables."""

    def make(script):
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            connection.executescript(script)
        connection.close()
        return f"sqlite:///{tmp_path / 'shop.db'}"

    return make


LINES = """
CREATE TABLE lines (order_id, line_id, customer_id, occurred_at, sku, quantity, unit_price);
INSERT INTO lines VALUES
    ('007', 1, 'ann', '2026-01-05 10:00:00', 'x', 2, 1.5),
    ('007', 2, 'ann', '2026-01-05 10:00:00', 'y', 1, 3),
    ('008', 1, 'bob', '2026-01-09', 'x', 1, NULL);
CREATE TABLE sent_back (nr INTEGER, client TEXT, asked TEXT);
INSERT INTO sent_back VALUES (1, 'ann', '2026-01-07 09:00:00');
"""


# --- the config -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@host/shop",
        "postgresql+pg8000://ann:${A}s3cret@host/shop",
        "postgresql://ann:s3c@ret@host/shop",
        "postgresql://host/shop?user=ann&password=s3cret",
        "mysql://host/shop?ssl_key_password=s3cret",
        "snowflake://host/shop?token=s3cret",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Dann%3BPWD%3Ds3cret%3B",
        "ann:s3cret@host/shop",
    ],
)
def test_a_password_in_the_config_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigError, match=r"^data\.url: ") as caught:
        config(url)
    assert "s3c" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "${SHOP_URL}",
        "postgresql+pg8000://ann:${PASSWORD}@host:5432/shop",
        "postgresql://ann@host/shop?sslmode=require&sslkey=client.key",
        "postgresql://host/shop?password=${PASSWORD}",
        "sqlite:////data/shop.db",
    ],
)
def test_a_name_in_its_place_stays_a_name_wherever_the_config_is_written(url):
    filled = config(url)
    assert filled.to_dict()["data"]["url"] == url
    assert Config.read(filled.to_dict(), environ={"PASSWORD": "s3cret"}) == filled


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "data: source sql needs data.url"),
        ({"url": "sqlite://"}, "data: source sql needs data.tables.order_lines with a query"),
        (
            {"url": "sqlite://", "tables": {"order_lines": {"path": "x.csv"}}},
            "data: source sql needs data.tables.order_lines with a query",
        ),
        (
            {"url": "sqlite://", "tables": {"order_lines": {"query": "SELECT 1"}, "returns": {}}},
            "data: source sql needs data.tables.returns with a query",
        ),
    ],
)
def test_what_is_missing_is_named(data, message):
    with pytest.raises(ConfigError, match=message):
        Config.read({"data": {"source": "sql", **data}, "target": {"name": "churn"}}, environ={})


def test_the_example_of_the_docs_is_a_config():
    page = Path(__file__).parents[2] / "docs" / "events.md"
    (example,) = re.findall(
        r"^```yaml\n(data:\n  source: sql\n.*?)^```$", page.read_text(), re.S | re.M
    )
    found = Config.read({**settings.parse(example), "target": {"name": "churn"}}, environ={})
    assert set(found.data.tables) == {"order_lines", "returns"}


def test_files_still_need_a_path():
    data = {"source": "files", "tables": {"order_lines": {"query": "SELECT 1"}}}
    message = r"needs data\.path, .* data\.tables\.order_lines with a path"
    with pytest.raises(ConfigError, match=message):
        Config.read({"data": data, "target": {"name": "churn"}}, environ={})


# --- the URL ----------------------------------------------------------------------------------


def test_names_are_replaced_wherever_they_stand(monkeypatch):
    monkeypatch.setenv("WHO", "a:b")
    monkeypatch.setenv("WORD", PASSWORD)
    monkeypatch.setenv("WHERE", "db.example")
    monkeypatch.setenv("PORT", "5433")
    url = sql._target("postgresql+pg8000://${WHO}:${WORD}@${WHERE}:${PORT}/shop?app=${WHO}")
    assert (url.username, url.password, url.host, url.port) == ("a:b", PASSWORD, "db.example", 5433)
    assert url.query["app"] == "a:b"
    monkeypatch.setenv("SHOP_URL", "mysql://u:w@h/d")
    assert sql._target("${SHOP_URL}").password == "w"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_named(monkeypatch, value):
    monkeypatch.delenv("SHOP_WORD", raising=False)
    if value is not None:
        monkeypatch.setenv("SHOP_WORD", value)
    with pytest.raises(ConfigError, match="environment variable SHOP_WORD is not set"):
        frames(config("postgresql://ann:${SHOP_WORD}@host/shop"))


def test_a_url_that_is_none_is_refused_without_repeating_it(monkeypatch):
    monkeypatch.setenv("SHOP_URL", "s3cret")
    with pytest.raises(ConfigError, match="not an SQLAlchemy URL") as caught:
        frames(config("${SHOP_URL}"))
    assert "s3cret" not in str(caught.value)


def test_a_database_or_driver_that_is_not_there_is_named(monkeypatch):
    with pytest.raises(ConfigError, match="knows no database called oracel"):
        frames(config("oracel://host/shop"))
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    with pytest.raises(ConfigError, match=r"driver of mysql.* is not installed: pip install"):
        frames(config("mysql+mysqldb://host/shop"))


def test_a_user_that_the_driver_needs_is_asked_for():
    """The driver's own function says so, with a TypeError, before it looks for the host."""
    with pytest.raises(ConfigError) as caught:
        frames(config("postgresql+pg8000://nowhere.invalid/shop"))
    assert str(caught.value) == (
        "data.url: the driver pg8000 needs user; expected something like "
        "postgresql+pg8000://user:${PASSWORD}@host:5432/shop"
    )


def test_the_hint_of_a_missing_url_names_a_user():
    with pytest.raises(ConfigError, match=r"such as postgresql\+pg8000://user:\$\{PASSWORD\}@host"):
        Config.read({"data": {"source": "sql"}, "target": {"name": "churn"}})


def test_without_sqlalchemy_it_is_said_what_to_install(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.split(".")[0] == "sqlalchemy"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"pip install 'ppi_ml\[sql\]' pg8000"):
        frames(config(f"sqlite:///{tmp_path / 'x.db'}"))


def test_a_sqlite_file_that_is_missing_is_not_made(tmp_path):
    with pytest.raises(DataError, match="no such SQLite file"):
        frames(config(f"sqlite:///{tmp_path / 'gone.db'}"))
    assert list(tmp_path.iterdir()) == []


# --- rows -------------------------------------------------------------------------------------


def test_a_query_per_table_loads_like_files(lite):
    url = lite(LINES)
    data = {
        "source": "sql",
        "url": url,
        "timezone": "Europe/Berlin",
        "tables": {
            "order_lines": {"query": "SELECT * FROM lines;\n", "constants": {"currency": "EUR"}},
            "returns": {
                "query": "SELECT nr, client, asked, 'x' AS sku FROM sent_back",
                "columns": {"return_id": "nr", "customer_id": "client", "occurred_at": "asked"},
            },
        },
    }
    asked = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    log = inputs.load_log(asked.data)
    lines = log.tables["order_lines"].frame
    assert lines["order_id"].to_list() == ["007", "007", "008"]
    assert lines["value_e4"].to_list() == [30000, 30000, None]
    assert log.currency == "EUR"
    assert log.report.tables["order_lines"].kept == 3
    assert log.tables["returns"].frame.select("return_id", "sku").rows() == [("1", "x")]


def test_a_query_of_the_flat_table_loads_as_the_file_does(lite):
    script = """
    CREATE TABLE flat (order_id, customer_id, sku, ordered, delivery_timestamp, return_flag,
                       return_timestamp, picture);
    INSERT INTO flat VALUES
        ('1', 'ann', 'x', '2026-01-05 10:00', '2026-01-07 09:00', 'yes', '2026-01-10', x'ff'),
        ('2', 'bob', 'y', '2026-01-09 12:00', NULL, 'no', NULL, x'ff');
    """
    asked = config(lite(script), "SELECT *, ordered AS order_timestamp FROM flat")
    log = inputs.load_log(asked.data)
    assert log.report.tables["order_lines"].kept == 2
    assert log.tables["deliveries"].frame["order_id"].to_list() == ["1"]
    assert log.tables["returns"].frame["sku"].to_list() == ["x"]


def test_colons_and_percent_signs_in_a_query_are_what_they_are(lite):
    url = lite("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x :b 10:30 100%'), ('y');")
    query = "SELECT a AS sku, ':c' AS order_id, 7 % 4 AS line_id FROM t WHERE a LIKE '%:b 10:30%'"
    rows = frames(config(url, query))["order_lines"].rows()
    assert rows == [("x :b 10:30 100%", ":c", 3)]


def test_a_column_that_nobody_reads_costs_nothing_but_is_listed(lite):
    url = lite(LINES)
    query = "SELECT *, x'ff00' AS picture, 1 AS extra FROM lines"
    read = frames(config(url, query))["order_lines"]
    assert read.schema["picture"] == read.schema["extra"] == pl.Null
    asked = config(url, query)
    notes = inputs.load_log(asked.data).report.notes
    assert any("ignored columns" in note and "picture, extra" in note for note in notes)


def test_two_columns_of_one_name_are_refused(lite):
    url = lite(LINES)
    with pytest.raises(DataError, match=r"order_lines\.query: several columns are named sku"):
        frames(config(url, "SELECT sku, sku FROM lines"))


def test_a_column_of_bytes_is_refused_by_name(lite):
    url = lite("CREATE TABLE t (a BLOB); INSERT INTO t VALUES (x'736563726574');")
    with pytest.raises(DataError, match=r"column sku holds bytes; .*CAST it") as caught:
        frames(config(url, "SELECT a AS sku FROM t"))
    assert "736563726574" not in str(caught.value) and "secret" not in str(caught.value)


def test_cells_of_several_types_become_text_in_one_chunk_and_across_chunks(lite, monkeypatch):
    url = lite(
        "CREATE TABLE t (a, b, c); INSERT INTO t VALUES (NULL, 1, 1), (12, NULL, 2.5), "
        "('0012', 3, NULL), (1.5, 2.5, 9223372036854775807);"
    )
    query = "SELECT a AS order_id, b AS line_id, c AS quantity FROM t"
    in_one = frames(config(url, query))["order_lines"]
    monkeypatch.setattr(sql, "CHUNK", 1)
    across = frames(config(url, query))["order_lines"]
    assert in_one["order_id"].to_list() == [None, "12", "0012", "1.5"]
    assert in_one["quantity"].to_list() == ["1", "2.5", None, "9223372036854775807"]
    assert across.equals(in_one)


def test_chunks_give_the_same_rows_as_one_piece(lite, monkeypatch):
    url = lite(LINES)
    whole = frames(config(url))["order_lines"]
    for size in (1, 2, 3, 4):
        monkeypatch.setattr(sql, "CHUNK", size)
        assert frames(config(url))["order_lines"].equals(whole)


def test_a_query_without_rows_is_an_empty_table(lite):
    url = lite(LINES)
    asked = config(url, returns="SELECT * FROM sent_back WHERE nr > 5")
    assert frames(asked)["returns"].shape == (0, 3)
    assert "returns: no rows, so treated as absent" in inputs.load_log(asked.data).report.notes
    with pytest.raises(DataError, match="order_lines: no rows"):
        inputs.load_log(config(url, "SELECT * FROM lines WHERE 0").data)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM linse", "order_lines.query: no such table: linse"),
        ("SELECT price FROM lines", "order_lines.query: no such column: price"),
        ("SELEC 1", 'order_lines.query: near "SELEC": syntax error'),
        ("DELETE FROM lines", "order_lines.query: the database refused it"),
        ("BEGIN", "order_lines.query: the database refused it"),
        ("DROP TABLE lines", "order_lines.query: the database refused it"),
        ("PRAGMA temp_store = 1", "order_lines.query: gives no rows"),
    ],
)
def test_a_query_that_cannot_run_is_told_by_its_table(lite, query, message):
    url = lite(LINES)
    with pytest.raises(DataError) as caught:
        frames(config(url, query))
    assert message in str(caught.value)
    assert caught.value.__cause__ is None  # no traceback shows the driver's own words
    assert len(frames(config(url))["order_lines"]) == 3


def test_what_a_driver_says_of_a_cell_is_not_repeated(lite):
    url = lite("CREATE TABLE t (a TEXT); INSERT INTO t VALUES (CAST(x'73656372657420ff' AS TEXT));")
    with pytest.raises(DataError, match=r"refused it \(OperationalError\)") as caught:
        frames(config(url, "SELECT a AS sku FROM t"))
    assert "secret" not in str(caught.value)


# --- PostgreSQL -------------------------------------------------------------------------------


def _binaries():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    path = found[-1] if found else shutil.which("initdb")
    return Path(path).parent if path else None


def _as_somebody():
    """A prefix for commands: PostgreSQL does not start as root."""
    if os.geteuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        done = subprocess.run(["id", "-g", name], capture_output=True, text=True, check=False)
        if done.returncode == 0 and shutil.which("setpriv"):
            group = done.stdout.strip()
            return ["setpriv", f"--reuid={name}", f"--regid={group}", "--clear-groups"]
    return None


def _run(*command):
    """The command's whole output if it failed, else None."""
    with tempfile.TemporaryFile("w+") as told:  # a pipe would stay open as long as the server
        done = subprocess.run(command, stdout=told, stderr=told, cwd="/", timeout=60, check=False)
        told.seek(0)
        return told.read() if done.returncode else None


@pytest.fixture(scope="module")
def server():
    """(URL with ${PPI_TEST_WORD} for the password, engine) of a PostgreSQL server of our own."""
    pytest.importorskip("pg8000", reason="the driver pg8000 is not installed")
    binaries, prefix = _binaries(), _as_somebody()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here: apt-get install postgresql")
    if prefix is None:
        pytest.skip("PostgreSQL does not start as root, and there is no other account to use")
    folder = Path(tempfile.mkdtemp(prefix="ppi-ml-pg-"))
    word = folder / "word"
    word.write_text(PASSWORD)
    if prefix:
        name = prefix[1].removeprefix("--reuid=")
        for path in (folder, word):
            shutil.chown(path, name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    failed = _run(
        *prefix, str(binaries / "initdb"), "-D", str(data), "-U", "shop", "-E", "UTF8",
        "--locale=C", "-A", "scram-sha-256", f"--pwfile={word}", "--no-sync",
    )  # fmt: skip
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    failed = failed or _run(
        *prefix, str(binaries / "pg_ctl"), "-D", str(data), "-o", options, "-w", "-t", "30",
        "-l", str(folder / "log"), "start",
    )  # fmt: skip
    if failed:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL could not be started: {failed[-500:]}")
    url = sqlalchemy.URL.create(
        "postgresql+pg8000", "shop", PASSWORD, "127.0.0.1", port, "postgres"
    )
    engine = sqlalchemy.create_engine(url)
    try:
        yield f"postgresql+pg8000://shop:${{PPI_TEST_WORD}}@127.0.0.1:{port}/postgres", engine
    finally:
        engine.dispose()
        _run(*prefix, str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(server, monkeypatch):
    """postgres(script) -> the URL, with these tables in an empty schema."""
    url, engine = server
    monkeypatch.setenv("PPI_TEST_WORD", PASSWORD)

    def make(script):
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
            for statement in filter(str.strip, script.split(";")):
                connection.exec_driver_sql(statement)
        return url

    return make


TYPED = """
CREATE TABLE lines (
    order_id numeric(20), line_id smallint, customer_id uuid, occurred_at timestamptz,
    known_at timestamp, sku varchar(9), quantity numeric(8, 3), unit_price money_amount,
    discount double precision, promo_code text, picture bytea, more jsonb
);
INSERT INTO lines VALUES
    (12345678901234567890, 1, '00000000-0000-0000-0000-00000000000a',
     '2026-03-29 03:30:00+02', '2026-03-29 12:00:00', '007', 1.500, 19.99, 0.25, NULL, 'x', '{}'),
    (2, 1, '00000000-0000-0000-0000-00000000000b',
     '2026-10-25 02:30:00.123456+02', NULL, 'ü', 2, 0.10, NULL, 'A:B', NULL, NULL);
CREATE TABLE stock (sku text, occurred_at date, available boolean);
INSERT INTO stock VALUES ('007', '2026-01-01', true), ('007', '2026-02-01', false)
"""


def test_the_types_of_postgresql_arrive_as_they_are(postgres):
    url = postgres("CREATE DOMAIN money_amount AS numeric(12, 2);" + TYPED)
    asked = config(url, "SELECT * FROM lines ORDER BY line_id, sku", stock="TABLE stock")
    read = frames(asked)
    lines, stock = read["order_lines"], read["stock"]
    assert lines["order_id"].to_list() == ["12345678901234567890", "2"]
    assert lines["customer_id"][0] == "00000000-0000-0000-0000-00000000000a"
    assert lines.schema["occurred_at"] == pl.Datetime("us", "UTC")
    assert lines["occurred_at"].dt.strftime("%d %H:%M:%S%.6f").to_list() == [
        "29 01:30:00.000000",
        "25 00:30:00.123456",
    ]
    assert lines.schema["known_at"] == pl.Datetime("us")
    assert lines["unit_price"].to_list() == ["19.99", "0.10"]
    assert lines["quantity"].to_list() == ["1.500", "2.000"]
    assert lines["discount"].to_list() == [0.25, None]
    assert lines.schema["picture"] == lines.schema["more"] == pl.Null
    assert stock.schema["occurred_at"] == pl.Date
    assert stock.schema["available"] == pl.Boolean
    log = inputs.load_log(asked.data.model_copy(update={"timezone": "Europe/Berlin"}))
    assert log.tables["order_lines"].frame["value_e4"].sort().to_list() == [2000, 297350]
    assert log.tables["stock"].frame["available"].to_list() == ["yes", "no"]
    assert log.tables["stock"].granularity == "day"


def test_infinite_times_are_quarantined_and_not_an_error(postgres):
    url = postgres(
        "CREATE TABLE lines AS SELECT n AS order_id, 1 AS line_id, 'a' AS customer_id, "
        "CASE WHEN n = 3 THEN 'infinity'::timestamp ELSE '2026-01-01'::timestamp END "
        "AS occurred_at FROM generate_series(1, 100) n"
    )
    report = inputs.load_log(config(url).data).report.tables["order_lines"]
    assert report.quarantined == {"occurred_at must be an ISO date or time": 1}
    assert report.kept == 99


def test_a_server_streams_in_chunks(postgres, monkeypatch):
    url = postgres(
        "CREATE TABLE lines AS SELECT n AS order_id, 1 AS line_id, 'c' || n % 7 AS customer_id, "
        "timestamptz '2026-01-01+00' + n * interval '1 minute' AS occurred_at "
        "FROM generate_series(1, 2500) n"
    )
    sizes = []
    genuine = sql._series
    monkeypatch.setattr(sql, "_series", lambda *args: sizes.append(len(args[1])) or genuine(*args))
    monkeypatch.setattr(sql, "CHUNK", 1000)
    read = frames(config(url, "SELECT * FROM lines WHERE order_id % 1 = 0 ORDER BY order_id"))
    assert set(sizes) == {1000, 500}
    assert read["order_lines"]["order_id"].to_list() == list(range(1, 2501))


def test_a_chunk_is_read_before_the_last_row_exists(postgres, monkeypatch):
    url = postgres("")
    read = []
    genuine = sql._series
    monkeypatch.setattr(sql, "_series", lambda *args: read.append(args[1]) or genuine(*args))
    monkeypatch.setattr(sql, "CHUNK", 1000)
    query = "SELECT 1 / (5000 - n) AS order_id FROM generate_series(1, 5000) n"
    with pytest.raises(DataError, match="SQLSTATE 22012"):
        frames(config(url, query))
    assert [len(cells) for cells in read] == [1000] * 4


def test_nothing_can_be_written(postgres):
    url = postgres("CREATE TABLE lines AS SELECT 1 AS order_id")
    query = "DELETE FROM lines RETURNING *"
    with pytest.raises(DataError):
        frames(config(url, query))
    assert frames(config(url))["order_lines"].height == 1


def test_all_queries_see_one_state_of_the_data(postgres, server, monkeypatch):
    url = postgres("CREATE TABLE lines AS SELECT 1 AS order_id; CREATE TABLE gone (return_id int)")
    genuine = sql._table

    def table(connection, name, stated):
        found = genuine(connection, name, stated)
        with server[1].begin() as other:
            other.exec_driver_sql("INSERT INTO gone VALUES (1)")
        return found

    monkeypatch.setattr(sql, "_table", table)
    assert frames(config(url, returns="SELECT * FROM gone"))["returns"].height == 0
    assert frames(config(url, "SELECT return_id AS order_id FROM gone"))["order_lines"].height == 2


def test_a_wrong_password_is_told_but_not_shown(postgres, monkeypatch):
    url = postgres("")
    monkeypatch.setenv("PPI_TEST_WORD", "wr0ng")
    with pytest.raises(DataError, match=r'^data\.url: no connection: .*user "shop"') as caught:
        frames(config(url))
    assert "wr0ng" not in str(caught.value)


def test_a_server_that_is_not_there_is_told(monkeypatch):
    pytest.importorskip("pg8000", reason="the driver pg8000 is not installed")
    monkeypatch.setenv("PPI_TEST_WORD", "127.0.0.1")  # a driver that names the host names this
    with pytest.raises(DataError, match=r"^data\.url: no connection: ") as caught:
        frames(config("postgresql+pg8000://shop:${PPI_TEST_WORD}@127.0.0.1:1/shop"))
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM linse", 'order_lines.query: relation "linse" does not exist'),
        ("SELECT 1 AS order_id FORM x", "order_lines.query: syntax error"),
        ("SELECT ('s3cret')::int", r"refused it (ProgrammingError, SQLSTATE 22P02)"),
    ],
)
def test_what_postgresql_says_of_words_is_repeated_and_of_cells_is_not(postgres, query, message):
    url = postgres("")
    with pytest.raises(DataError) as caught:
        frames(config(url, query))
    assert message in str(caught.value).replace("DatabaseError", "ProgrammingError")
    assert "s3cret" not in str(caught.value)


# --- the command line -------------------------------------------------------------------------


def ppi_ml(*args):
    return CliRunner().invoke(cli.app(), [str(arg) for arg in args])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_is_validated_and_scored_as_the_log_it_holds(
    kind, trained, tmp_path, request, monkeypatch
):
    run, log = trained
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'shop.db'}"
        engine = sqlalchemy.create_engine(url)
    else:
        url, engine = request.getfixturevalue("server")
        monkeypatch.setenv("PPI_TEST_WORD", PASSWORD)
    for name in ("order_lines", "returns"):
        frame = getattr(log, name)
        if kind == "sqlite":  # which has no times
            times = frame[["occurred_at", "known_at"]].map(lambda at: at.isoformat())
            frame = frame.assign(**{column: times[column] for column in times})
        frame.to_sql(name, engine, if_exists="replace", index=False)
    engine.dispose()
    data = {
        "source": "sql", "url": url, "timezone": log.timezone, "currency": log.currency,
        "until": "2020-01-01",
        "tables": {name: {"query": f"SELECT * FROM {name}"} for name in log.tables},
    }  # fmt: skip
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps({"data": data, "target": {"name": "churn"}}))
    ended = ppi_ml("validate", path, "--json")
    assert ended.exit_code == 0, ended.output
    rows = {name: part["kept"] for name, part in json.loads(ended.stdout)["tables"].items()}
    assert rows == {name: table.frame.height for name, table in log.tables.items()}
    out = tmp_path / "scores.parquet"
    ended = ppi_ml("score", "--model", run.bundle, "--data", path, "--cutoff", "2020-01-01",
                   "--out", out, "--quiet", "--json")  # fmt: skip
    assert ended.exit_code == 0, ended.output
    written = "".join(file.read_text(errors="ignore") for file in tmp_path.glob("*.*"))
    assert PASSWORD not in written + ended.output
    from ppi_ml.scoring import Scorer

    straight = pl.from_pandas(Scorer.load(run.bundle).score(log, "2020-01-01"))
    scored = pl.read_parquet(out)
    assert scored["customer_id"].to_list() == straight["customer_id"].to_list()
    assert scored["churn_probability"].to_list() == pytest.approx(
        straight["churn_probability"].to_list(), abs=1e-12
    )
