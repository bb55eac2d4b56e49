"""Events in: frames, files, folders and configs."""

import pandas as pd
import polars as pl
import pytest

from ppi_ml.config import DataSettings
from ppi_ml.errors import DataError, UsageError
from ppi_ml.inputs import data_settings, demo_config, load, load_log

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


def test_a_file_holds_order_lines(folder):
    settings = data_settings(folder / "order_lines.csv")
    assert settings.source == "files"
    assert settings.tables["order_lines"].path == str(folder / "order_lines.csv")


def test_a_folder_holds_a_file_per_table(folder):
    pl.DataFrame({"return_id": ["1"]}).write_parquet(folder / "returns.parquet")
    (folder / "README.md").write_text("not a table")
    pl.DataFrame({"sku": ["x"]}).write_csv(folder / "warehouses.csv")
    tables = data_settings(folder).tables
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
