"""Dates and decimals as a shop writes them: what is read, what is quarantined, what is said."""

import json
import sqlite3
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ppi_ml
from ppi_ml.config import Config
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.inputs import load_log
from ppi_ml.respelling import MARK, dates, numbers
from ppi_ml.shapes import shapes_of
from ppi_ml.sources import sql
from ppi_ml.sources._kit import as_we_write
from ppi_ml.written_as import WrittenAs

NOW = "2025-06-01"
EUROPEAN = {"dates": {"order_lines": "%d.%m.%Y"}, "decimal": {"order_lines": ","}}


def lines(when, prices=None):
    n = len(when)
    return pl.DataFrame(
        {
            "order_id": [f"o{i}" for i in range(n)],
            "line_id": ["1"] * n,
            "customer_id": [f"0{i}" for i in range(n)],
            "occurred_at": when,
            "sku": ["a"] * n,
            "unit_price": prices or ["1"] * n,
        }
    )


@given(
    st.integers(0, 10**9), st.integers(0, 99), st.sampled_from([(",", "."), (",", " "),
    (",", "'"), (".", ","), (".", " "), (",", "")]),
)  # fmt: skip
def test_every_grouped_decimal_is_read_as_the_number_it_is(whole, cents, signs):
    sign, group = signs
    text = f"{whole:,}".replace(",", group) + f"{sign}{cents:02d}"
    assert numbers(pl.Series([text]), sign).to_list() == [f"{whole}.{cents:02d}"]


@given(st.dates(date(1970, 1, 2), date(2199, 12, 31)), st.sampled_from(["%d.%m.%Y", "%m/%d/%Y"]))
def test_a_format_reads_what_it_wrote(day, style):
    assert dates(pl.Series([day.strftime(style)]), style).to_list() == [day.isoformat()]


@pytest.mark.parametrize("cell", [
    "12.5", "1.23,5", "1.2345,00", "1,2,3", "12,50 EUR", "0.125", "00.125", "-0 500",
])  # fmt: skip
def test_what_is_not_written_as_stated_is_marked_and_never_guessed(cell):
    assert numbers(pl.Series([cell]), ",").to_list() == [cell + MARK]


@pytest.mark.parametrize(("cell", "style"), [
    ("31.12.24", "%d.%m.%Y"), ("5/6/24", "%d/%m/%Y"), ("24/12/31", "%Y/%m/%d"),
    ("31.12.24 20:24", "%d.%m.%Y %H:%M"), ("31.12.024", "%d.%m.%Y"),
])  # fmt: skip
def test_a_year_of_four_digits_is_not_read_of_two(cell, style):
    assert dates(pl.Series([cell]), style).to_list() == [None]


def test_a_format_with_two_digits_of_the_year_gets_its_turn():
    formats = {"order_lines": ["%d.%m.%Y", "%d.%m.%y"]}
    log = ppi_ml.load(lines(["31.12.2024", "30.12.24"]), currency="EUR", dates=formats, now=NOW)
    assert sorted(at.date() for at in log.order_lines["occurred_at"]) == [
        date(2024, 12, 30), date(2024, 12, 31),
    ]  # fmt: skip


def test_a_product_never_holds_always_because_its_year_has_two_digits():
    products = pl.DataFrame({"sku": ["a", "b"], "valid_from": ["05.05.26", "05.05.2024"]})
    given = {"order_lines": lines(["01.02.2025"]), "products": products}
    for written in (given, given | {"products": products.with_columns(
        valid_from=pl.Series(["31-12-24", "2024-05-05"])
    )}):  # fmt: skip
        german = {"products": "%d.%m.%Y"} if written is given else {}
        log = ppi_ml.load(
            written, currency="EUR", now=NOW, max_quarantined=0.5,
            dates={"order_lines": "%d.%m.%Y"} | german,
        )  # fmt: skip
        assert log.report.tables["products"].rows_quarantined == 1


def test_an_iso_date_of_a_short_year_is_no_date():
    with pytest.raises(DataError, match="must be an ISO date or time"):
        ppi_ml.load(lines(["31-12-24"]), currency="EUR", now=NOW)


FLAT = """order_id;customer_id;sku;order_timestamp;return_flag;return_timestamp
1;a;x;31.12.2024 10:00;yes;2025-05-06 23:10
2;b;x;02.01.2025 10:00;yes;
4;b;x;2025-01-07 09:00;yes;
"""


@pytest.mark.parametrize("lags", [None, {"returns": "14d"}])
def test_a_cell_of_a_flat_table_that_is_not_written_so_is_no_day_either(tmp_path, lags):
    (tmp_path / "flat.csv").write_text(FLAT)
    log = ppi_ml.load(
        tmp_path / "flat.csv", dates={"flat": "%d.%m.%Y %H:%M"}, lags=lags, currency="EUR",
        now=NOW, max_quarantined=1.0,
    )  # fmt: skip
    kept = ["2025-01-16"] if lags else []
    returns = getattr(log, "returns", None)
    assert [str(at.date()) for at in ([] if returns is None else returns["occurred_at"])] == kept


def test_a_time_of_a_flat_table_that_cannot_be_is_no_day_either(tmp_path):
    iso = FLAT.replace("31.12.2024", "2024-12-31").replace("02.01.2025", "2025-01-02")
    (tmp_path / "flat.csv").write_text(iso.replace("23:10", "25:99"))
    log = ppi_ml.load(
        tmp_path / "flat.csv", lags={"returns": "14d"}, currency="EUR", now=NOW,
        max_quarantined=1.0,
    )  # fmt: skip
    assert log.report.tables["returns"].rows_quarantined == 1


def test_frames_and_files_and_a_config_read_a_european_export_alike(tmp_path):
    frame = lines(["31.12.2024", "01.02.2025", " 3.2.2025 "], ["1.234,50", "12,50", "7"])
    iso = lines(["2024-12-31", "2025-02-01", "2025-02-03"], ["1234.50", "12.50", "7"])
    frame.write_csv(tmp_path / "o.csv", separator=";")
    table = {"path": str(tmp_path / "o.csv"), "dates": "%d.%m.%Y", "decimal": ","}
    data = {"source": "files", "currency": "EUR", "tables": {"order_lines": table}}
    config = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    logs = [
        ppi_ml.load(frame, currency="EUR", now=NOW, **EUROPEAN),
        ppi_ml.load(frame.to_pandas(), currency="EUR", now=NOW, **EUROPEAN),
        ppi_ml.load(str(tmp_path / "o.csv"), currency="EUR", now=NOW, **EUROPEAN),
        load_log(config.data, now=NOW),
    ]
    expected = ppi_ml.load(iso, currency="EUR", now=NOW).fingerprint
    assert {log.fingerprint for log in logs} == {expected}
    assert logs[0].order_lines["unit_price"].tolist() == [1234.5, 12.5, 7.0]


def test_several_formats_are_tried_in_turn():
    when = ["31.12.2024 13:45", "01.02.2025"]
    formats = {"order_lines": ["%d.%m.%Y %H:%M", "%d.%m.%Y"]}
    log = ppi_ml.load(lines(when), timezone="Europe/Berlin", currency="EUR", dates=formats, now=NOW)
    walls = [at.tz_localize(None).to_pydatetime() for at in log.order_lines["occurred_at"]]
    assert sorted(walls) == [datetime(2024, 12, 31, 13, 45), datetime(2025, 2, 1)]


def test_an_iso_date_is_quarantined_where_a_format_says_otherwise():
    log = ppi_ml.load(
        lines(["31.12.2024", "2025-02-01"]), currency="EUR", now=NOW, max_quarantined=0.5,
        **EUROPEAN,
    )  # fmt: skip
    assert log.report.tables["order_lines"].quarantined == {
        "occurred_at must be an ISO date or time": 1
    }
    assert log.report.quarantine["order_lines"]["value"].to_list() == ["2025-02-01" + MARK]
    told = [note for note in log.report.notes if "9999-99-99 (1 row)" in note]
    assert len(told) == 1 and 'dates["order_lines"] says otherwise' in told[0]
    assert "2025-02-01" not in log.report.to_text()


def test_the_error_shows_the_shape_and_the_line_to_write_and_no_value():
    with pytest.raises(DataError) as caught:
        ppi_ml.load(lines(["31.12.2024"] * 3), currency="EUR", now=NOW)
    assert "99.99.9999 (3 rows)" in str(caught.value)
    assert 'dates={"order_lines": "%d.%m.%Y"}' in str(caught.value)
    assert "31.12" not in str(caught.value)


@pytest.mark.parametrize(("cell", "style"), [
    ("31.12.2024 13:45:01", "%d.%m.%Y %H:%M:%S"), ("31.12.24 13:45", "%d.%m.%y %H:%M"),
])  # fmt: skip
def test_a_format_to_add_is_offered_where_another_is_stated(cell, style):
    when, stated = [cell, "01.02.2025 10:00"], "%d.%m.%Y %H:%M"
    with pytest.raises(DataError, match=rf'mend the cells, or add "{style}" there') as caught:
        ppi_ml.load(lines(when), currency="EUR", dates={"order_lines": stated}, now=NOW)
    assert "13:45" not in str(caught.value)
    both = {"order_lines": [stated, style]}
    assert len(ppi_ml.load(lines(when), currency="EUR", dates=both, now=NOW).order_lines) == 2


@pytest.mark.parametrize("decimal", [None, {"order_lines": ","}])
@pytest.mark.parametrize("price", ["9,50 €", "€ 9,50", "9,50 EUR", "3 Stk", "USD9,50"])
def test_a_unit_is_not_said_to_be_a_matter_of_the_decimal_sign(price, decimal):
    with pytest.raises(DataError, match="beside a unit or sign: take that off") as caught:
        ppi_ml.load(
            lines(["2025-01-01"], [price]), currency="EUR", now=NOW, decimal=decimal,
            max_quarantined=0.0,
        )  # fmt: skip
    assert "decimal" not in str(caught.value) and price not in str(caught.value)


@pytest.mark.parametrize(("when", "style"), [
    (["Dec 31, 2024", "Jan 2, 2025"], "%B %d, %Y"),
    (["December 31, 2024 1:05 PM", "January 2, 2025 11:30 AM"], "%B %d, %Y %I:%M %p"),
    (["31. December 2024", "2. January 2025"], "%d. %B %Y"),
    (["31-Dec-2024", "02-Jan-2025"], "%d-%B-%Y"),
])  # fmt: skip
def test_one_format_is_offered_for_months_by_name_and_it_reads_them(when, style):
    with pytest.raises(DataError) as caught:
        ppi_ml.load(lines(when), currency="EUR", now=NOW)
    assert f'Say how it is written: dates={{"order_lines": "{style}"}}. ' in str(caught.value)
    log = ppi_ml.load(lines(when), currency="EUR", now=NOW, dates={"order_lines": style})
    assert len(log.order_lines) == 2


def test_decimals_without_a_digit_before_the_sign_have_no_unit():
    with pytest.raises(DataError, match=r'Say how it is written: decimal={"order_lines": ","}'):
        ppi_ml.load(lines(["2024-12-31"] * 2, [",50", ",95"]), currency="EUR", now=NOW)


def test_day_or_month_first_is_left_to_the_reader():
    with pytest.raises(DataError, match=r"%d/%m/%Y.* or .*%m/%d/%Y.*only you know"):
        ppi_ml.load(lines(["01/02/2024", "03/04/2024"]), currency="EUR", now=NOW)
    with pytest.raises(DataError) as caught:
        ppi_ml.load(lines(["01/02/2024", "03/14/2024"]), currency="EUR", now=NOW)
    assert "%m/%d/%Y" in str(caught.value) and "%d/%m/%Y" not in str(caught.value)


def test_year_or_day_first_is_left_to_the_reader():
    with pytest.raises(DataError, match=r"%d/%m/%y.* or .*%y/%m/%d.*only you know"):
        ppi_ml.load(lines(["24/05/06", "25/11/30"]), currency="EUR", now=NOW)


def test_no_setting_is_offered_that_would_lose_the_other_cells():
    frame = lines(["2024-12-31", "2025-01-01", "2025-01-02"], ["1.50", "2", "3,50"])
    with pytest.raises(DataError, match="No one decimal sign reads the whole column") as caught:
        ppi_ml.load(frame, currency="EUR", now=NOW)
    assert "decimal=" not in str(caught.value)
    when = ["31.12.2024", "Dec 31, 2024", "2024-12-31"]
    with pytest.raises(DataError, match=r'list all formats there are as dates\["order_lines"\]'):
        ppi_ml.load(lines(when), currency="EUR", now=NOW)


@pytest.mark.parametrize(("when", "formats"), [
    (["2024-12-31", "2025-01-01", "31.12.2024"], ["%d.%m.%Y", "%Y-%m-%d"]),
    (["31.12.2024 12:50", "31.12.2024"], ["%d.%m.%Y", "%d.%m.%Y %H:%M"]),
])  # fmt: skip
def test_formats_that_read_a_column_together_are_offered_as_a_list(when, formats):
    with pytest.raises(DataError) as caught:
        ppi_ml.load(lines(when), currency="EUR", now=NOW, max_quarantined=0.0)
    assert f'dates={{"order_lines": {json.dumps(formats)}}}' in str(caught.value)
    log = ppi_ml.load(lines(when), currency="EUR", now=NOW, dates={"order_lines": formats})
    assert len(log.order_lines) == len(when)


def test_what_is_offered_reads_the_other_times_of_the_table_too():
    frame = lines(["31.12.2024", "01.01.2025"]).with_columns(known_at=pl.lit("2025-01-02"))
    with pytest.raises(DataError) as caught:
        ppi_ml.load(frame, currency="EUR", now=NOW)
    assert 'dates={"order_lines": ["%d.%m.%Y", "%Y-%m-%d"]}' in str(caught.value)
    formats = {"order_lines": ["%d.%m.%Y", "%Y-%m-%d"]}
    assert len(ppi_ml.load(frame, currency="EUR", now=NOW, dates=formats).order_lines) == 2


@pytest.mark.parametrize(("times", "prices"), [
    (["2024-12-31", "2025-01-01", "unknown"], ["1.50", "2", "3"]),
    (["2024-12-31", "2025-01-01", "2025-01-02"], ["1", "2", "free"]),
])  # fmt: skip
def test_words_are_not_said_to_be_a_matter_of_settings(times, prices):
    with pytest.raises(DataError, match=r"Words are no (dates|numbers): mend") as caught:
        ppi_ml.load(lines(times, prices), currency="EUR", now=NOW)
    assert "Say how it is written" not in str(caught.value)


def test_the_flat_table_is_read_so_too():
    frame = pl.DataFrame(
        {
            "order_id": ["1"], "customer_id": ["c"], "Wann": ["31.12.2024"],
            "unit_price": ["1.000,50"],
        }
    )  # fmt: skip
    log = ppi_ml.load(
        frame, columns={"flat": {"order_timestamp": "Wann"}}, dates={"flat": "%d.%m.%Y"},
        decimal={"flat": ","}, currency="EUR", now=NOW,
    )  # fmt: skip
    assert log.order_lines["unit_price"].tolist() == [1000.5]


def test_a_flat_table_in_a_config_may_lie_at_the_path_of_the_data(tmp_path):
    rows = "order_id,customer_id,sku,order_timestamp\n1,a,x,31.12.2024\n"
    (tmp_path / "flat.csv").write_text(rows)
    data = {
        "source": "flat", "path": str(tmp_path / "flat.csv"), "currency": "EUR",
        "tables": {"flat": {"dates": "%d.%m.%Y"}},
    }  # fmt: skip
    config = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    assert len(load_log(config.data, now=NOW).order_lines) == 1


def test_settings_of_order_lines_hold_for_a_flat_table_with_columns_of_its_own():
    frame = pl.DataFrame(
        {
            "order_id": ["1", "2"], "customer_id": ["a", "b"],
            "Created": ["31.12.2024 10:00", "02.01.2025 10:00"], "Preis": ["12,50", "1.000"],
        }
    )  # fmt: skip
    given = {
        "columns": {"flat": {"order_timestamp": "Created", "unit_price": "Preis"}},
        "currency": "EUR", "now": NOW,
    }  # fmt: skip
    with pytest.raises(DataError, match=r'dates=\{"flat": "%d.%m.%Y %H:%M"\}'):
        ppi_ml.load(frame, **given)
    style = "%d.%m.%Y %H:%M"
    for table in ("flat", "order_lines"):
        log = ppi_ml.load(frame, dates={table: style}, decimal={"order_lines": ","}, **given)
        assert log.order_lines["unit_price"].tolist() == [12.5, 1000.0]


@pytest.mark.parametrize("setting", [{"dates": {"flat": "%d.%m.%Y"}}, {"decimal": {"flat": ","}}])
def test_a_setting_of_a_flat_table_that_is_none_is_named(setting):
    with pytest.raises(UsageError) as caught:
        ppi_ml.load(lines(["2024-12-31"]), **setting)
    assert str(caught.value).startswith(f'{next(iter(setting))}["flat"]: for a flat table')


GERMAN = {"currency": "EUR", "now": NOW, **EUROPEAN}


def pandas_lines(**more):
    when = [f"0{day}.02.2025" for day in range(1, 5)]
    return lines(when).to_pandas().assign(**more)


@pytest.mark.parametrize(("prices", "read"), [
    ([Decimal("1.125"), Decimal("2.50"), None, Decimal("3")], [1.125, 2.5, None, 3.0]),
    ([1.125, 2.5, "12,50", "1.000"], [1.125, 2.5, 12.5, 1000.0]),
])  # fmt: skip
def test_numbers_of_a_frame_keep_their_value_beside_text(prices, read):
    frame = pandas_lines(unit_price=pd.Series(prices, dtype=object), discount=["0,5", "0"] * 2)
    log = ppi_ml.load(frame, **GERMAN).order_lines
    assert log["unit_price"].replace(np.nan, None).tolist() == read
    assert log["discount"].tolist() == [0.5, 0.0] * 2


def test_dates_of_a_frame_keep_their_day_beside_text():
    day, at = date(2025, 2, 3), pd.Timestamp("2025-02-03 10:00")
    for cells in ([day] * 4, [at, at, "04.02.2025", "05.02.2025"]):
        log = ppi_ml.load(pandas_lines(occurred_at=pd.Series(cells, dtype=object)), **GERMAN)
        days = [cell.date() for cell in log.order_lines["occurred_at"]]
        assert days == [day, day, *([day] * 2 if cells[2] == day else [date(2025, 2, 4 + n)
            for n in range(2)])]  # fmt: skip


def test_numbers_of_a_database_keep_their_value_beside_text(tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute("CREATE TABLE l (order_id, customer_id, occurred_at, unit_price, discount)")
        shop.executemany("INSERT INTO l VALUES (?, 'c', '31.12.2024', ?, '0,5')", [
            ("a", 1.125), ("b", 2), ("c", 99.5), ("d", "1.000"),
        ])  # fmt: skip
    shop.close()
    table = {
        "query": "SELECT order_id, 1 AS line_id, customer_id, occurred_at, unit_price, discount "
        "FROM l ORDER BY order_id", "dates": "%d.%m.%Y", "decimal": ",",
    }  # fmt: skip
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    data = {"source": "sql", "url": url, "currency": "EUR", "tables": {"order_lines": table}}
    config = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    log = load_log(config.data, now=NOW).order_lines
    assert sorted(log["unit_price"]) == [1.125, 2.0, 99.5, 1000.0]


def test_a_decimal_of_a_database_is_no_text():
    told = sql._series("unit_price", [Decimal("1.250")], "q").alias("unit_price").to_frame()
    spelled = as_we_write("order_lines", told, WrittenAs(decimal=","))
    assert spelled["unit_price"].to_list() == ["1.250"]
    chunks = [sql._series("unit_price", cells, "q") for cells in ([1.5], [None], ["1.250"])]
    told = sql._joined(chunks).alias("unit_price").to_frame()
    spelled = as_we_write("order_lines", told, WrittenAs(decimal=","))
    assert spelled["unit_price"].to_list() == ["1.5", None, "1250"]


def test_a_constant_is_written_as_a_config_is(tmp_path):
    lines(["31.12.2024"]).write_csv(tmp_path / "o.csv")
    table = {
        "path": str(tmp_path / "o.csv"), "dates": "%d.%m.%Y", "decimal": ",",
        "constants": {"discount": "0.25", "known_at": "2025-01-01"},
    }  # fmt: skip
    data = {"source": "files", "currency": "EUR", "tables": {"order_lines": table}}
    config = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    log = load_log(config.data, now=NOW).order_lines
    assert log["discount"].tolist() == [0.25]


def test_a_rule_compares_numbers_of_the_shops_own_as_they_are_written(tmp_path):
    frame = lines(["01.02.2025", "02.02.2025", "03.02.2025"])
    frame = frame.with_columns(Total=pl.Series(["1.500", "2,50", "1.234,50"]))
    rule = {"table": "order_lines", "column": "Total", "above": 1000}
    log = ppi_ml.load(frame, exclude={"large": rule}, **GERMAN)
    assert log.order_lines["order_id"].tolist() == ["o1"]
    frame.write_csv(tmp_path / "o.csv")
    table = {"path": str(tmp_path / "o.csv"), "dates": "%d.%m.%Y", "decimal": ","}
    data = {
        "source": "files", "currency": "EUR", "tables": {"order_lines": table},
        "exclude": {"large": rule},
    }  # fmt: skip
    config = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    assert load_log(config.data, now=NOW).order_lines["order_id"].tolist() == ["o1"]


def test_shapes_hold_no_letter_and_no_digit_of_a_cell():
    cells = pl.Series(["José 31", "x" * 40, "4\u202f000"])
    assert shapes_of(cells).to_list() == ["aaaa 99", "a" * 24 + "...", "9?999"]


def test_a_missing_column_is_named_with_the_line_to_paste():
    frame = lines(["2024-01-01"]).rename({"customer_id": "Customer_ID"})
    with pytest.raises(DataError) as caught:
        ppi_ml.load(frame)
    assert "data.tables.order_lines.columns: {customer_id: Customer_ID}" in str(caught.value)
    assert 'columns={"order_lines": {"customer_id": "Customer_ID"}}' in str(caught.value)


WRONG = {
    "unknown part": "%d.%q.%Y",
    "no year": "%d.%m",
    "twice": "%d.%d.%m.%Y",
    "no minutes": "%d.%m.%Y %H",
    "half a day unknown": "%d.%m.%Y %I:%M",
    "no format": "dd.mm.yyyy",
}


@pytest.mark.parametrize("style", WRONG.values(), ids=WRONG)
def test_a_format_that_cannot_be_is_refused_with_its_place(style):
    data = {"source": "files", "tables": {"order_lines": {"path": "x.csv", "dates": style}}}
    with pytest.raises(ConfigError, match=r"data\.tables\.order_lines\.dates.*expected"):
        Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    with pytest.raises(UsageError, match=r"dates: order_lines: .*expected"):
        ppi_ml.load(lines(["2024-01-01"]), dates={"order_lines": style})


def test_a_table_that_was_not_given_and_a_sign_that_is_none_are_refused():
    with pytest.raises(UsageError, match=r"no such table was given: returns"):
        ppi_ml.load(lines(["2024-01-01"]), decimal={"returns": ","})
    with pytest.raises(UsageError, match=r'expected "," or "\."'):
        ppi_ml.load(lines(["2024-01-01"]), decimal={"order_lines": ";"})


@pytest.mark.parametrize("stated", [
    {"dates": "%d.%m.%Y"}, {"dates": {"order_lines": 5}}, {"dates": {"order_lines": [5]}},
    {"decimal": ","},
])  # fmt: skip
def test_settings_of_the_wrong_form_are_refused_with_what_was_expected(stated):
    with pytest.raises(UsageError, match="expected a"):
        ppi_ml.load({"order_lines": lines(["2024-01-01"])}, **stated)


def test_all_missing_columns_are_named_at_once_and_how_an_order_tells_the_customer():
    frame = lines(["2025-01-01"])
    with pytest.raises(DataError) as caught:
        ppi_ml.load(frame.rename({"customer_id": "Client", "order_id": "Orders"}))
    assert "required columns customer_id, order_id are missing" in str(caught.value)
    assert "customer_id: its name there, order_id: Orders" in str(caught.value)
    assert "docs/operate.md" not in str(caught.value)
    returns = frame.select("order_id", return_id="order_id", occurred_at=pl.lit("2025-01-02"))
    with pytest.raises(DataError, match="or take it from the order lines by order_id"):
        ppi_ml.load({"order_lines": frame, "returns": returns}, currency="EUR", now=NOW)
    who = frame.select("order_id", "customer_id").unique("order_id")
    joined = returns.join(who, on="order_id", how="left")
    log = ppi_ml.load({"order_lines": frame, "returns": joined}, currency="EUR", now=NOW)
    assert log.tables["returns"].frame.height == 1


# ------------------------------------------------------------------ words
WORDS = {"Abo": "subscription", "einmalig": "one_off"}


def of_types(types):
    return lines(["2025-01-01T10:00:00"] * len(types)).with_columns(order_type=pl.Series(types))


def test_words_of_the_shop_are_read_alike_from_frames_files_and_a_config(tmp_path):
    frame = of_types(["Abo", " ABO ", "einmalig", "one_off", "Subscription"])
    expected = ["subscription", "subscription", "one_off", "one_off", "subscription"]
    frame.write_csv(tmp_path / "o.csv")
    words = {"order_lines": {"order_type": WORDS}}
    table = {"path": str(tmp_path / "o.csv"), "words": words["order_lines"]}
    data = {"source": "files", "currency": "EUR", "tables": {"order_lines": table}}
    config = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
    logs = [
        ppi_ml.load(frame, currency="EUR", now=NOW, words=words),
        ppi_ml.load(frame.to_pandas(), currency="EUR", now=NOW, words=words),
        ppi_ml.load(str(tmp_path / "o.csv"), currency="EUR", now=NOW, words=words),
        load_log(config.data, now=NOW),
        load_log(Config.read(config.to_dict(), environ={}).data, now=NOW),
    ]
    for log in logs:
        found = log.tables["order_lines"].frame.sort("order_id")["order_type"]
        assert found.to_list() == expected
        assert log.report.tables["order_lines"].rows_quarantined == 0


@pytest.mark.parametrize("codes", [
    pl.Series([1, 2, None]), pl.Series([1.0, 2.0, None]), pl.Series(["1", "2.0", None]),
    pl.Series([False, True, None]), pd.Series([1, "2", None], dtype=object),
])  # fmt: skip
def test_codes_are_read_as_words_whatever_their_type(codes):
    words = {"1": "one_off", "2": "subscription", "false": "one_off", "true": "subscription"}
    frame = of_types(codes) if isinstance(codes, pl.Series) else (
        of_types(["", "", ""]).to_pandas().assign(order_type=codes))  # fmt: skip
    log = ppi_ml.load(frame, currency="EUR", now=NOW, words={"order_type": words})
    found = log.tables["order_lines"].frame.sort("order_id")["order_type"]
    assert found.to_list() == ["one_off", "subscription", "one_off"]


def test_a_word_may_stand_for_a_number_that_is_written_as_stated():
    frame = lines(["2025-01-01"] * 3, ["gratis", "1,50", "Gratis"])
    log = ppi_ml.load(
        frame, currency="EUR", now=NOW, decimal={"order_lines": ","},
        words={"order_lines": {"unit_price": {"gratis": "0,00"}}},
    )  # fmt: skip
    assert log.order_lines["unit_price"].tolist() == [0.0, 1.5, 0.0]


def test_words_of_a_flat_table_are_read_so_too():
    frame = pl.DataFrame({
        "order_id": ["1", "2"], "customer_id": ["a", "b"], "sku": ["x", "x"],
        "order_timestamp": ["2025-01-01T10:00:00"] * 2, "return_flag": ["ja", "nein"],
    })  # fmt: skip
    words = {"flat": {"return_flag": {"ja": "yes", "nein": "no"}}}
    log = ppi_ml.load(frame, currency="EUR", now=NOW, words=words, lags={"returns": "14d"})
    assert log.tables["returns"].frame["customer_id"].to_list() == ["a"]


def test_words_that_cannot_be_come_with_the_setting_that_reads_them():
    with pytest.raises(DataError, match="column order_type has words that it cannot be") as caught:
        ppi_ml.load(of_types(["Secret", "Abo"]), currency="EUR", now=NOW)
    assert "Secret" not in str(caught.value) and "aaaaaa (1 row)" in str(caught.value)
    assert ('words={"order_lines": {"order_type": {"a word of yours": "one_off"}}}') in str(
        caught.value
    )


@pytest.mark.parametrize(("words", "message"), [
    ({"order_lines": {"order_type": {"Abo": "abo"}}}, 'words.order_type: "abo" is none of one_off'),
    ({"order_lines": {"order_typ": {"Abo": "free"}}}, "there is no column order_typ.*Did you mean"),
    ({"returns": {"reason": {"Abo": "x"}}}, "words: no such table was given: returns"),
    ({"order_lines": {"order_type": "subscription"}}, "expected column -> word -> ours"),
    ({"order_lines": {"order_type": {"ja": True}}}, "expected column -> word -> ours"),
    ({"order_lines": None}, ""),
])  # fmt: skip
def test_words_that_say_nothing_are_refused_with_what_was_expected(words, message):
    frame = {"order_lines": of_types(["one_off"])}
    if not message:
        assert len(ppi_ml.load(frame, currency="EUR", now=NOW, words=words).order_lines) == 1
        return
    with pytest.raises((DataError, UsageError), match=message):
        ppi_ml.load(frame, currency="EUR", now=NOW, words=words)


# ------------------------------------------------------------------ one table alone
def test_settings_of_one_table_alone_need_not_name_it(tmp_path):
    frame = of_types(["Abo", "einmalig"]).with_columns(
        occurred_at=pl.Series(["31.12.2024", "01.02.2025"]), unit_price=pl.Series(["1,50", "2"])
    ).rename({"customer_id": "Kunde"})  # fmt: skip
    frame.write_csv(tmp_path / "o.csv", separator=";")
    how = {"columns": {"customer_id": "Kunde"}, "dates": ["%d.%m.%Y"], "decimal": ",",
           "words": {"order_type": WORDS}}  # fmt: skip
    by_name = {setting: {"order_lines": value} for setting, value in how.items()}
    expected = ppi_ml.load({"order_lines": frame}, currency="EUR", now=NOW, **by_name)
    for table in (frame, frame.to_pandas(), str(tmp_path / "o.csv")):
        for stated in (
            how,
            by_name,
            how | {"dates": "%d.%m.%Y"},
            how | {"words": by_name["words"]},
        ):
            log = ppi_ml.load(table, currency="EUR", now=NOW, **stated)
            assert log.fingerprint == expected.fingerprint
    with pytest.raises(UsageError, match="no such table was given: customer_id"):
        ppi_ml.load({"order_lines": frame}, currency="EUR", now=NOW, columns=how["columns"])


@pytest.mark.parametrize("columns", [
    "customer_id", ["customer_id"], 5, {"customer_id": 0}, {"order_lines": {"customer_id": 0}},
    {"order_lines": None}, {"order_lines": {"order_type": {"Abo": "free"}}}, {0: "customer_id"},
])  # fmt: skip
def test_names_of_columns_in_another_form_are_refused_with_an_example(columns):
    for tables in (of_types(["free"]), {"order_lines": of_types(["free"])}):
        with pytest.raises(UsageError, match="columns: expected table -> our column -> theirs"):
            ppi_ml.load(tables, columns=columns)


def test_columns_of_a_flat_table_alone_need_no_name_either():
    frame = pl.DataFrame({
        "Nr": ["1", "2"], "Kunde": ["a", "b"], "Datum": ["31.12.2024", "01.02.2025"],
    })  # fmt: skip
    columns = {"order_id": "Nr", "customer_id": "Kunde", "order_timestamp": "Datum"}
    log = ppi_ml.load(frame, currency="EUR", now=NOW, columns=columns, dates="%d.%m.%Y")
    same = ppi_ml.load(
        frame, currency="EUR", now=NOW, columns={"flat": columns}, dates={"flat": "%d.%m.%Y"}
    )
    assert log.fingerprint == same.fingerprint
    assert len(log.order_lines) == 2
