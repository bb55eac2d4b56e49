"""What shops really export: each ugly file ends in a log, or in one sentence that says why not."""

import csv as csv_module
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppi_ml.errors import DataError, PpiError
from ppi_ml.events import load_tables
from ppi_ml.schema import TABLES
from ppi_ml.sources.dataframes import raw_tables

HEADER = "order_id,line_id,customer_id,occurred_at,quantity,unit_price"
SECRET = "jane.doe@example.com"


def load(table, **settings):
    raw = raw_tables({"order_lines": table})
    return load_tables(raw, **{"timezone": "UTC", "max_quarantined": 0.5, **settings})


def csv(tmp_path, *rows, header=HEADER, encoding="utf-8"):
    path = tmp_path / "orders.csv"
    path.write_bytes("\n".join([header, *rows, ""]).encode(encoding))
    return path


GOOD = f"1,1,{SECRET},2011-07-01T10:00:00,1,2.50"

REFUSED = {
    "no rows": ([], "order_lines: no rows"),
    "every customer empty": (["1,1,,2011-07-01,1,2"], "customer_id is empty in every row"),
    "every date American": (
        [f"{n},1,{SECRET},07/{n}/2011,1,2" for n in range(10, 20)],
        r"10 of 10 rows \(100.0%\).*occurred_at must be an ISO date or time: 10",
    ),
    "every quantity with a comma": (
        [f'{n},1,{SECRET},2011-07-01,"1,5",2' for n in range(5)],
        "quantity must be a number: 5",
    ),
    "some times with an offset": (
        [GOOD, f"2,1,{SECRET},2011-07-01T10:00:00Z,1,2"],
        r"order_lines \(.*orders.csv\): column occurred_at mixes times with and without",
    ),
    "a row too long": ([GOOD + ",extra"], "rows longer than its header"),
}


@pytest.mark.parametrize(("rows", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_with_the_reason_and_without_a_customer(tmp_path, rows, message):
    with pytest.raises(DataError, match=message) as caught:
        load(csv(tmp_path, *rows))
    assert SECRET not in str(caught.value)


HEADERS = {
    "missing column": (HEADER.replace("customer_id", "Kunde"), "required column customer_id"),
    "column twice": (HEADER.replace("line_id", "order_id"), "several columns are named order_id"),
    "other separator within": (HEADER.replace(",", "/"), "rows longer than its header"),
}


@pytest.mark.parametrize(("header", "message"), HEADERS.values(), ids=HEADERS)
def test_headers_that_do_not_fit(tmp_path, header, message):
    with pytest.raises(DataError, match=message):
        load(csv(tmp_path, GOOD, header=header))


def test_mixed_currencies_name_what_was_found(tmp_path):
    path = csv(tmp_path, GOOD + ",EUR", GOOD[1:].join("23") + ",USD", header=HEADER + ",currency")
    with pytest.raises(DataError, match="holds EUR, USD; expected EUR only"):
        load(path, currency="EUR")


FINE = {
    "formula": "=cmd|' /C calc'!A0",
    "unicode": "Zoë 🛒 Ω",
    "embedded newline": '"two\nlines"',
    "quotes": '"say ""hi"""',
    "path": "../../etc/passwd",
    "right to left": "\u202eabc",
    "leading zeros": "000123",
    "long": "x" * 10_000,
    "looks like a number": "1e5",
}


@pytest.mark.parametrize("cell", FINE.values(), ids=FINE)
def test_odd_ids_are_text_like_any_other(tmp_path, cell):
    log = load(csv(tmp_path, GOOD, f"2,1,{cell},2011-07-02T10:00:00,1,2"))
    (value,) = next(csv_module.reader([cell]))
    assert value in log.customer_ids.to_list()
    assert log.report.tables["order_lines"].kept == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path, encoding):
    assert load(csv(tmp_path, GOOD, encoding=encoding)).customer_ids.to_list() == [SECRET]


def test_windows_line_ends_and_a_missing_last_one(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_bytes(f"{HEADER}\r\n{GOOD}".encode())
    assert load(path).tables["order_lines"].frame["unit_price"].to_list() == [2.5]


def test_short_rows_are_quarantined_for_what_they_lack(tmp_path):
    log = load(csv(tmp_path, GOOD, "2,1,c2"))
    assert log.report.tables["order_lines"].quarantined == {"occurred_at missing": 1}


def test_a_file_with_everything_wrong_still_adds_up(tmp_path):
    rows = [
        GOOD,
        GOOD,
        f"1,1,{SECRET},2011-07-01T10:00:00,2,2.50",
        f"2, 1,{SECRET}.0,2011-07-01 10:00,1,2.50",
        "3,1,7.0,2011-07-02,1,",
        "3,2,8,2011-07-02,1,1",
        "4,1,,2011-07-02,1,1",
        "5,1,9,never,1,1",
        "6,1,9,2011-07-02,0,1",
        "7,1,9,2011-07-02,nan,1",
        "8,1,9,2011-07-02,1,-1",
        "9,1,9,1969-12-31,1,1",
        ",1,9,2011-07-02,1,1",
    ]
    log = load(csv(tmp_path, *rows), max_quarantined=1.0)
    report = log.report.tables["order_lines"]
    assert (report.rows_in, report.kept, report.repaired) == (
        13,
        1,
        {"surrounding spaces stripped": 1},
    )
    assert report.quarantined == {
        "customer_id missing": 1,
        "order_id missing": 1,
        "quantity must be a number": 1,
        "quantity must be > 0": 1,
        "unit_price must be >= 0": 1,
        "occurred_at must be an ISO date or time": 1,
        "occurred_at must lie between 1970-01-02 and 2200-01-01": 1,
        "duplicate of an earlier row": 1,
        "key repeated with other content": 1,
        "order_id with more than one customer": 2,
    }
    assert log.report.write_quarantine(tmp_path / "q")[0].name == "order_lines.parquet"


def test_a_load_is_the_same_every_time(tmp_path):
    path = csv(tmp_path, GOOD, "2,1,c2,2011-07-02T10:00:00,1,2", GOOD)
    first, second = load(path), load(path)
    assert first.fingerprint == second.fingerprint
    assert first.report == second.report


SOUND = {
    "order_id": ["1", "2"],
    "line_id": ["1", "1"],
    "customer_id": ["a", "b"],
    "occurred_at": ["2011-07-01T10:00:00", "2011-07-02T10:00:00"],
}
ANYTHING = {
    "nulls": pl.Series([None, None]),
    "booleans": pl.Series([True, False]),
    "small integers": pl.Series([1, 255], dtype=pl.UInt8),
    "wide integers": pl.Series([0, 2**64 - 1], dtype=pl.UInt64),
    "wider integers": pl.Series([1, 2**100], dtype=pl.Int128),
    "floats": pl.Series([1e300, float("nan")]),
    "decimals": pl.Series([Decimal("1.10"), Decimal("2")]),
    "dates": pl.Series([date(2011, 7, 1), date(1, 1, 1)]),
    "far dates": pl.Series([date(2011, 7, 1), date(9999, 1, 1)]),
    "times of day": pl.Series([time(1), time(2)]),
    "durations": pl.Series([timedelta(1), timedelta(2)]),
    "datetimes": pl.Series([datetime(2011, 7, 1), datetime(9999, 1, 1)]),
    "categories": pl.Series(["a", "b"], dtype=pl.Categorical),
    "bytes": pl.Series([b"a", b"\xff"]),
    "lists": pl.Series([[1], [2]]),
    "structs": pl.Series([{"a": 1}, {"a": 2}]),
    "objects": pl.Series([object(), object()], dtype=pl.Object),
}


@pytest.mark.parametrize("column", TABLES["order_lines"].names)
@pytest.mark.parametrize("cells", ANYTHING.values(), ids=ANYTHING)
def test_any_type_in_any_column_is_read_or_refused_in_words(column, cells):
    frame = pl.DataFrame({**SOUND, column: cells})
    try:
        log = load(frame, max_quarantined=1.0)
    except PpiError as error:
        assert str(error)
    else:
        report = log.report.tables["order_lines"]
        assert (
            report.rows_in == report.kept + sum(report.repaired.values()) + report.rows_quarantined
        )


cell = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.datetimes(),
    st.dates(),
    st.sampled_from(["2011-07-01", "2011-07-01T10:00:00Z", "1.0", "-1", "EUR"]),
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_pandas_frame_is_read_or_refused_in_words(data):
    rows = data.draw(st.integers(1, 6))
    names = [*SOUND, "known_at", "quantity", "unit_price", "discount", "currency", "order_type"]
    columns = {name: data.draw(st.lists(cell, min_size=rows, max_size=rows)) for name in names}
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})
    try:
        log = load(frame, max_quarantined=1.0)
    except PpiError as error:
        assert str(error)
    else:
        assert log.tables["order_lines"].frame.height > 0
