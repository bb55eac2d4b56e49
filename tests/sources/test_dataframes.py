from datetime import UTC, date, datetime

import pandas as pd
import polars as pl
import pytest

from ppi_ml.config import DataSettings
from ppi_ml.errors import DataError, UsageError
from ppi_ml.events import load_tables
from ppi_ml.sources.dataframes import SOURCE, raw_tables

CELLS = {
    "order_id": ["1", "1", "2", None],
    "line_id": [1, 2, 1, 1],
    "customer_id": [7.0, 7.0, None, 9.0],
    "occurred_at": [datetime(2011, 7, day, 10) for day in (1, 1, 2, 3)],
    "sku": ["a", None, "b", "c"],
    "quantity": [1.0, 2.0, 3.0, None],
    "unit_price": [1.5, None, 2.0, 2.0],
}


def load(table, **columns):
    raw = raw_tables({"order_lines": table}, {"order_lines": columns} if columns else None)
    return load_tables(raw, timezone="Europe/London", currency="GBP", max_quarantined=1.0)


def test_pandas_polars_and_files_give_the_same_log(tmp_path):
    in_polars, in_pandas = pl.DataFrame(CELLS), pd.DataFrame(CELLS)
    in_pandas.to_csv(tmp_path / "lines.csv", index=False)
    in_polars.write_parquet(tmp_path / "lines.parquet")
    tables = {
        "polars": in_polars,
        "lazy": in_polars.lazy(),
        "pandas": in_pandas,
        "pandas objects": in_pandas.astype(object),
        "pandas extension": in_pandas.convert_dtypes(),
        "pandas zoned": in_pandas.assign(
            occurred_at=in_pandas["occurred_at"].dt.tz_localize("Europe/London")
        ),
        "csv": tmp_path / "lines.csv",
        "parquet": str(tmp_path / "lines.parquet"),
    }
    logs = {name: load(table) for name, table in tables.items()}
    assert {log.fingerprint for log in logs.values()} == {logs["polars"].fingerprint}
    assert {log.report.tables["order_lines"].rows_quarantined for log in logs.values()} == {2}
    assert logs["pandas"].customer_ids.to_list() == ["7"]


def test_the_frame_of_the_caller_is_left_alone():
    frame = pd.DataFrame(CELLS)
    before = frame.copy()
    load(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_one_frame_alone_is_the_order_lines():
    assert list(raw_tables(pd.DataFrame(CELLS))) == ["order_lines"]


def test_columns_are_mapped_per_table():
    frame = pd.DataFrame(CELLS).rename(columns={"customer_id": "Client"})
    assert load(frame, customer_id="Client").customer_ids.to_list() == ["7"]
    with pytest.raises(UsageError, match="no such table was given: returns"):
        raw_tables({"order_lines": frame}, {"returns": {"return_id": "id"}})


def test_columns_of_mixed_objects_are_read_by_their_text():
    frame = pd.DataFrame(CELLS).assign(
        line_id=pd.Series([1, "A1", 2.0, None], dtype=object),
        occurred_at=pd.Series([date(2011, 7, 1)] * 4, dtype=object),
        sku=pd.period_range("2020", periods=4),
    )
    lines = load(frame).order_lines
    assert (list(lines["line_id"]), list(lines["sku"])) == (
        ["1", "A1"],
        ["2020-01-01", "2020-01-02"],
    )


def test_objects_with_and_without_an_offset_are_an_error():
    moments = [datetime(2011, 7, 1), datetime(2011, 7, 1, tzinfo=UTC)] * 2
    frame = pd.DataFrame(CELLS).assign(occurred_at=pd.Series(moments, dtype=object))
    with pytest.raises(DataError, match="mixes times with and without an offset"):
        load(frame)


def test_two_columns_of_one_name_are_an_error():
    frame = pd.DataFrame([[1, 2, 3]], columns=["sku", "order_id", "sku"])
    with pytest.raises(DataError, match="several columns are named sku"):
        raw_tables(frame)


def test_what_is_no_table_is_refused():
    with pytest.raises(
        UsageError, match="expected a pandas or polars DataFrame or a path, got list"
    ):
        raw_tables({"order_lines": [1, 2]})


def test_frames_cannot_be_named_in_a_config():
    with pytest.raises(UsageError, match=r"ppi_ml\.load"):
        SOURCE.read(DataSettings(source="dataframes"))
