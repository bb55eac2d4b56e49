"""Events in: frames, files, folders and configs."""

import json

import pandas as pd
import polars as pl
import pytest

from ppi_ml import instants
from ppi_ml.config import DataSettings
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.inputs import data_settings, demo_config, load, load_log, plugins_of
from ppi_ml.instants import Cutoff
from ppi_ml.table_files import tables_of

LINES = {
    "order_id": ["1", "1", "2"],
    "line_id": ["1", "2", "1"],
    "customer_id": ["a", "a", "b"],
    "occurred_at": ["2026-01-05 10:00", "2026-01-05 10:00", "2026-01-09 12:00"],
    "sku": ["x", "y", "x"],
    "quantity": ["1", "2", "1"],
    "unit_price": ["3.50", "1.00", "3.50"],
}
CONFIG = """
data: {source: files, timezone: Europe/Berlin, tables: {order_lines: {path: x.csv}}}
target: {name: churn}
"""


@pytest.fixture
def folder(tmp_path):
    pl.DataFrame(LINES).write_csv(tmp_path / "order_lines.csv")
    return tmp_path


def test_a_folder_with_a_file_per_table_is_all_of_them(tmp_path):
    lines = "order_id,line_id,customer_id,occurred_at\n1,1,a,2020-01-01T10:00\n"
    (tmp_path / "order_lines.csv").write_text(lines)
    (tmp_path / "returns.csv").write_text(
        "return_id,customer_id,occurred_at\n1,a,2020-02-01T10:00\n"
    )
    (tmp_path / "truth").mkdir()
    log = load(str(tmp_path))
    assert set(log.tables) == {"order_lines", "returns"}
    assert len(log.order_lines) == len(log.returns) == 1


def test_what_else_lies_in_a_folder_is_named_in_the_report(folder):
    for name in ("Returns.CSV.gz", "returns.xlsx", "notes.txt", ".hidden", "figures.csv"):
        (folder / name).write_text("x")
    note = (
        f"not read in {folder}: Returns.CSV.gz, returns.xlsx, figures.csv, notes.txt; a table is a "
        "CSV or Parquet file that bears its name"
    )
    settings = DataSettings(source="files", path=str(folder))
    for log in (load(folder), load_log(settings), load_log(data_settings(folder))):
        assert note in log.report.notes
    for place in "abcdef":
        (folder / f"photo_{place}").mkdir()
    said = load(folder).report.notes[0]
    assert "Returns.CSV.gz, returns.xlsx, figures.csv, notes.txt, photo_a and 5 more;" in said


def test_a_file_that_a_config_names_is_not_called_unread(folder):
    (folder / "back.csv").write_text("return_id,customer_id,occurred_at\n1,a,2020-02-01\n")
    tables = {"returns": {"path": str(folder / "back.csv")}}
    log = load_log(DataSettings(source="files", path=str(folder), tables=tables))
    assert len(log.returns) == 1
    assert not any("not read" in note for note in log.report.notes)


def test_frames_of_both_kinds_and_files_give_the_same_log(folder):
    given = [pd.DataFrame(LINES), pl.DataFrame(LINES), folder / "order_lines.csv"]
    logs = [load({"order_lines": lines}, timezone="Europe/Berlin") for lines in given]
    assert len({log.fingerprint for log in logs}) == 1
    assert logs[0].tables["order_lines"].frame.height == 3
    assert logs[0].timezone == "Europe/Berlin"


def test_one_table_alone_is_the_order_lines_and_names_can_be_mapped():
    theirs = pd.DataFrame(LINES).rename(columns={"customer_id": "Client"})
    log = load(theirs, columns={"order_lines": {"customer_id": "Client"}}, currency="EUR")
    assert log.customer_ids.to_list() == ["a", "b"]
    assert (log.currency, log.timezone) == ("EUR", "UTC")


PRODUCTS = {"sku": ["x", "y"], "category": ["tea", "cups"], "unit_size": ["250", ""]}
STOCK = {"sku": ["x"], "occurred_at": ["2026-01-07 08:00"], "available": ["0"]}


def test_tables_without_customers_load_from_frames_files_and_folders(folder):
    pl.DataFrame(PRODUCTS).write_csv(folder / "products.csv")
    pl.DataFrame(STOCK).write_parquet(folder / "stock.parquet")
    frames = {
        "order_lines": pd.DataFrame(LINES),
        "products": pd.DataFrame(PRODUCTS).rename(columns={"sku": "Article"}),
        "stock": pl.DataFrame(STOCK).with_columns(available=False),
    }
    log = load(frames, columns={"products": {"sku": "Article"}})
    assert log.products["unit_size"].to_list()[0] == 250.0
    assert log.stock["available"].to_list() == ["no"]
    assert load_log(data_settings(folder)).fingerprint == log.fingerprint
    tables = {
        "order_lines": {"path": str(folder / "order_lines.csv")},
        "products": {"path": str(folder / "products.csv"), "granularity": "day"},
        "stock": {"path": str(folder / "stock.parquet")},
    }
    of_config = load_log(DataSettings(source="files", tables=tables))
    assert of_config.fingerprint == log.fingerprint


def test_a_table_that_is_nearly_named_like_one_of_ours_is_pointed_at():
    with pytest.raises(DataError, match=r'unknown table "product"\. Did you mean products\?'):
        load({"order_lines": pd.DataFrame(LINES), "product": pd.DataFrame(PRODUCTS)})


def test_lag_and_end_are_passed_on():
    log = load(pd.DataFrame(LINES), known_lag={"order_lines": "2d"}, until="2026-01-08")
    assert log.customer_ids.to_list() == ["a"]


def in_the_future(*moments):
    """Sixty orders, and some more at these moments."""
    days = [f"2026-01-{1 + n % 28:02}T10:{n:02}:00" for n in range(60)]
    times = [*days, *moments]
    return pd.DataFrame({
        "order_id": map(str, range(len(times))), "line_id": "1", "customer_id": "a",
        "occurred_at": times,
    })  # fmt: skip


def test_events_after_the_present_instant_are_quarantined():
    frame = in_the_future("2026-03-02T10:00:00", "2062-01-05T10:00:00")
    log = load(frame, now="2026-03-01T12:00:00")  # a day of grace
    assert log.report.tables["order_lines"].quarantined == {
        "occurred_at lies after the present instant": 1
    }
    assert str(log.observed_until) == "2026-03-02"
    assert log.report.quarantine["order_lines"]["row"].to_list() == [61]


def test_a_log_that_is_read_tomorrow_is_the_same():
    frame = in_the_future("2062-01-05T10:00:00")
    prints = {
        load(frame, now=now).fingerprint for now in ("2026-03-01", "2026-03-02", "2031-01-01")
    }
    assert prints == {load(in_the_future()).fingerprint}


def test_the_clock_of_this_machine_is_the_present_where_nobody_says_it(folder, monkeypatch):
    settings = data_settings(folder / "order_lines.csv")
    assert load_log(settings).report.tables["order_lines"].kept == 3
    monkeypatch.setattr(instants, "present", lambda: Cutoff.parse("2026-01-07", "UTC").at)
    for read in (lambda: load(pd.DataFrame(LINES)), lambda: load_log(settings)):
        with pytest.raises(DataError, match="occurred_at lies after the present instant: 1"):
            read()
    assert load_log(settings, now="2026-02-01").report.tables["order_lines"].kept == 3


def test_what_a_lag_dates_may_lie_ahead():
    """A return of today, of which it is only said that it comes 14 days after the order."""
    flat = pd.DataFrame({
        "order_id": ["1", "2"], "customer_id": ["a", "b"], "sku": ["x", "x"],
        "order_timestamp": ["2026-02-01 10:00", "2026-02-27 10:00"], "return_flag": ["yes", "yes"],
    })  # fmt: skip
    log = load(flat, lags={"returns": "14d"}, now="2026-03-01")
    assert log.report.tables["returns"].kept == 2
    with pytest.raises(DataError, match=r"order_lines: 1 of 2 rows.*after the present instant"):
        load(flat, lags={"returns": "14d"}, now="2026-02-10")


def test_order_lines_are_required():
    with pytest.raises(UsageError, match="order_lines is missing"):
        load({"returns": pd.DataFrame(LINES)})


FLAT = {
    "order_id": ["1", "2"],
    "customer_id": ["a", "b"],
    "order_timestamp": ["2026-01-05 10:00", "2026-01-09 12:00"],
    "ship_timestamp": ["2026-01-06 08:00", None],
}


def test_the_flat_table_is_known_by_its_columns_wherever_it_comes_from(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    pl.DataFrame(FLAT).write_csv(tmp_path / "flat.csv")
    pl.DataFrame(FLAT).write_parquet(tmp_path / "flat.parquet")
    pl.DataFrame(FLAT).write_csv(folder / "order_lines.csv")
    tables = {"order_lines": {"path": str(tmp_path / "flat.csv")}}
    logs = [
        load(pd.DataFrame(FLAT)),
        load({"order_lines": pl.DataFrame(FLAT)}),
        load(tmp_path / "flat.csv"),
        load_log(data_settings(tmp_path / "flat.csv")),
        load_log(data_settings(tmp_path / "flat.parquet")),
        load_log(data_settings(folder)),
        load_log(DataSettings(source="files", tables=tables)),
        load_log(DataSettings(source="flat", path=str(tmp_path / "flat.csv"))),
    ]
    assert {tuple(log.tables) for log in logs} == {("order_lines", "shipments")}
    assert len({log.fingerprint for log in logs}) == 1
    assert logs[0].shipments["shipment_id"].to_list() == ["1-1"]


def test_order_lines_that_have_more_columns_are_no_flat_table():
    lines = pd.DataFrame(LINES).assign(ship_timestamp="2026-01-06")
    log = load(lines)
    assert list(log.tables) == ["order_lines"]
    assert "order_lines: ignored columns ship_timestamp" in log.report.notes


def test_a_config_gives_its_data_section(tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG)
    assert data_settings(tmp_path / "c.yaml").timezone == "Europe/Berlin"


def config_of(folder, data):
    """A config with a data section, as the path of a file."""
    (folder / "c.yaml").write_text(json.dumps({"data": data, "target": {"name": "churn"}}))
    return folder / "c.yaml"


def test_a_config_names_a_folder_with_a_file_per_table(folder):
    (folder / "notes").mkdir()
    pl.DataFrame(PRODUCTS).write_parquet(folder / "products.parquet")
    config = config_of(folder, {"source": "files", "path": str(folder)})
    bare = load_log(data_settings(folder))
    assert set(bare.tables) == {"order_lines", "products"}
    assert load_log(data_settings(config)).fingerprint == bare.fingerprint
    assert load(folder).fingerprint == bare.fingerprint
    file = {"source": "files", "path": str(folder / "order_lines.csv")}
    assert set(load_log(data_settings(config_of(folder, file))).tables) == {"order_lines"}


def test_what_columns_are_called_stands_beside_the_folder(folder):
    pl.DataFrame(LINES).rename({"sku": "Article"}).write_csv(folder / "order_lines.csv")
    stock = folder / "elsewhere.csv"
    pl.DataFrame(STOCK).write_csv(stock)
    tables = {"order_lines": {"columns": {"sku": "Article"}}, "stock": {"path": str(stock)}}
    settings = data_settings(
        config_of(folder, {"source": "files", "path": str(folder), "tables": tables})
    )
    log = load_log(settings)
    assert log.order_lines["sku"].to_list() == ["x", "y", "x"]
    assert set(log.tables) == {"order_lines", "stock"}


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"path": "{}/empty"}, UsageError, r"empty: expected order_lines\.csv"),
        ({"path": "{}/none"}, DataError, "none: no such file, no match"),
        ({"path": "{}", "tables": {"returns": {"columns": {}}}}, ConfigError,
         r"data\.tables\.returns: has no path, and .* holds no returns\.csv or returns\.parquet"),
    ],
)  # fmt: skip
def test_a_folder_that_lacks_what_is_asked_for(folder, data, error, message):
    (folder / "empty").mkdir()
    data = {"source": "files", **data, "path": data["path"].format(folder)}
    with pytest.raises(error, match=message):
        load_log(data_settings(config_of(folder, data)))


def test_settings_of_the_data_can_be_changed_at_the_prompt(folder):
    """As ppi-ml train changes them: of a config whose data lie elsewhere, and of a bare folder."""
    elsewhere = config_of(folder, {"source": "flat"})  # which needs a path
    flat = folder / "flat.csv"
    pl.DataFrame(FLAT).write_csv(flat)
    sets = [f"data.path={flat}", "data.timezone=Europe/Berlin"]
    settings = data_settings(elsewhere, sets=sets)
    assert (settings.path, settings.timezone) == (str(flat), "Europe/Berlin")
    assert plugins_of(elsewhere, sets) == ()
    like = DataSettings(source="dataframes", timezone="Europe/Berlin", currency="EUR")
    changed = ["data.timezone=Asia/Tokyo", "data.tables.order_lines.columns.channel=sku"]
    settings = data_settings(folder / "order_lines.csv", like, changed)
    assert (settings.timezone, settings.currency) == ("Asia/Tokyo", "EUR")
    lines = settings.tables["order_lines"]
    assert (lines.path, lines.columns) == (str(folder / "order_lines.csv"), {"channel": "sku"})


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ("tune.trials=5", UsageError, "--set tune.trials: only data is read here"),
        ("data.path=x", UsageError, "--set data.path: .*order_lines.csv says it already"),
        ("data.timezone=Mars", ConfigError, 'data.timezone: unknown time zone "Mars"'),
        ("data.timezon=UTC", ConfigError, "Did you mean data.timezone"),
        ("data.timezone", ConfigError, "expected a setting such as"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(folder, setting, error, message):
    with pytest.raises(error, match=message):
        data_settings(folder / "order_lines.csv", sets=[setting])


def test_a_file_holds_order_lines(folder):
    settings = data_settings(folder / "order_lines.csv")
    assert settings.source == "files"
    assert settings.tables["order_lines"].path == str(folder / "order_lines.csv")


def test_a_folder_holds_a_file_per_table(folder):
    pl.DataFrame({"return_id": ["1"]}).write_parquet(folder / "returns.parquet")
    (folder / "README.md").write_text("not a table")
    pl.DataFrame({"sku": ["x"]}).write_csv(folder / "warehouses.csv")
    settings = data_settings(folder)
    assert settings.path == str(folder)
    tables = tables_of(settings)
    assert set(tables) == {"order_lines", "returns"}
    assert tables["returns"].path == str(folder / "returns.parquet")


def test_a_bare_file_takes_over_zone_columns_and_constants_but_not_the_end(folder):
    table = {"path": "old.csv", "columns": {"sku": "SKU"}, "constants": {"currency": "EUR"}}
    like = DataSettings(
        source="files", timezone="Europe/Berlin", tables={"order_lines": table}, until="2025-01-01"
    )
    settings = data_settings(folder / "order_lines.csv", like=like)
    assert (settings.timezone, settings.until) == ("Europe/Berlin", None)
    lines = settings.tables["order_lines"]
    assert lines.path == str(folder / "order_lines.csv")
    assert (lines.columns, lines.constants) == ({"sku": "SKU"}, {"currency": "EUR"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "no such file"),
        ("notes.txt", "expected a .yaml, .csv or .parquet file"),
        ("empty", r"expected order_lines\.csv"),
        ("near", "Did you mean order_lines"),
        ("twice", "two files for the table order_lines"),
    ],
)
def test_what_is_not_understood_is_told_with_what_is(tmp_path, name, message):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for folder, files in {
        "near": ["orderlines.csv"],
        "twice": ["order_lines.csv", "order_lines.parquet"],
    }.items():
        (tmp_path / folder).mkdir()
        for file in files:
            (tmp_path / folder / file).write_text("order_id\n")
    with pytest.raises(UsageError, match=message):
        data_settings(tmp_path / name)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.parquet").write_text("not parquet")
    with pytest.raises(DataError, match=r"x\.parquet: cannot be read"):
        load_log(data_settings(tmp_path / "x.parquet"))


def test_the_demo_has_a_config():
    assert demo_config().name == "demo.yaml"
    assert demo_config().exists()
