import csv
import subprocess

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ppi_ml
from ppi_ml import inputs
from ppi_ml.config import DataSettings
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.sources._kit import read_columns, read_files, to_our_names
from ppi_ml.table_files import tables_in


def test_csv_is_text_whatever_it_looks_like(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes('﻿id,"na,me",n\r\n007,"line\r\nbreak",1\r\n=1+1,Zoë 🛒,\r\n'.encode())
    frame = read_files(file)
    assert frame.columns == ["id", "na,me", "n"]
    assert frame.rows() == [("007", "line\r\nbreak", "1"), ("=1+1", "Zoë 🛒", None)]


QUOTES = {
    "inches": 'a,b\n1,5" pipe\n2,6" pipe\n3,x\n',
    "inches at the end of a row": 'a,b\n"1",5"\n2,6"\n3,x\n',
    "of three columns": 'a,b,c\n1,5" pipe,x\n2,"y, z",6"\n',
    "a blank line first": "\na,b\n1,2\n",
    "blank lines and empty rows": "a,b\n\n1,2\n,\n3,4\n\n",
    "line ends of an old Mac": "a,b\r1,2\r3,4\r",
    "a name of two lines": '"a\nz",b\n1,2\n',
    "a first name of two lines": '"a\n\nz, y";"b"\n1;2\n',
    "a separator in a name": '"a, z";b\n1;2\n',
}
READ = {
    "inches": [("1", '5" pipe'), ("2", '6" pipe'), ("3", "x")],
    "inches at the end of a row": [("1", '5"'), ("2", '6"'), ("3", "x")],
    "of three columns": [("1", '5" pipe', "x"), ("2", "y, z", '6"')],
    "a blank line first": [("1", "2")],
    "blank lines and empty rows": [("1", "2"), ("3", "4")],
    "line ends of an old Mac": [("1", "2"), ("3", "4")],
    "a name of two lines": [("1", "2")],
    "a first name of two lines": [("1", "2")],
    "a separator in a name": [("1", "2")],
}


@pytest.mark.parametrize("case", QUOTES)
def test_quotes_and_blank_lines_take_no_row_along(tmp_path, case):
    file = tmp_path / "a.csv"
    file.write_bytes(QUOTES[case].encode())
    assert read_files(file).rows() == READ[case]


PLAIN = st.text(st.sampled_from('xy" '), max_size=4).map(lambda cell: cell.lstrip('"'))
QUOTED = st.text(st.sampled_from('xy" ,\n'), max_size=4).map(
    lambda cell: '"' + cell.replace('"', '""') + '"'
)


@given(rows=st.lists(st.lists(PLAIN | QUOTED, min_size=3, max_size=3), max_size=9))
def test_rows_are_those_of_the_standard_reader(tmp_path_factory, rows):
    """Whatever stands between quotes, and wherever else a quote stands."""
    lines = ["a,b,c", *map(",".join, rows)]
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    file.write_text("\n".join(lines) + "\n")
    with file.open(newline="") as text:
        expected = [row for row in csv.reader(text, strict=True) if any(row)][1:]
    got = [[cell or "" for cell in row] for row in read_files(file).rows()]
    assert [row for row in got if any(row)] == expected


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_told_by_the_header(tmp_path, separator):
    file = tmp_path / "a.csv"
    file.write_text(f"a{separator}b\n1{separator}2\n")
    assert read_files(file).rows() == [("1", "2")]


def test_a_glob_reads_files_by_name_and_columns_by_name(tmp_path):
    (tmp_path / "x-2.csv").write_text("b,a\n4,3\n")
    (tmp_path / "x-1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "y.csv").write_text("a,b\n9,9\n")
    assert read_files(tmp_path / "x-*.csv").rows() == [("1", "2"), ("3", "4")]


def test_a_partitioned_folder_gives_its_parts_as_columns(tmp_path):
    for month in ("01", "02"):
        part = tmp_path / f"month={month}"
        part.mkdir()
        pl.DataFrame({"a": [month * 2]}).write_parquet(part / "0.parquet")
        (part / "_SUCCESS").touch()
    assert read_files(str(tmp_path)).rows() == [("0101", "01"), ("0202", "02")]


def test_hidden_files_are_no_parts_and_no_tables(tmp_path):
    """A Mac writes ._a.csv beside a.csv, and notebooks keep a copy in .ipynb_checkpoints."""
    parts = tmp_path / "order_lines"
    (parts / ".ipynb_checkpoints").mkdir(parents=True)
    (parts / "a.csv").write_text("a,b\n1,2\n")
    (parts / ".ipynb_checkpoints/a-checkpoint.csv").write_text("a,b\n1,2\n")
    (parts / "._a.csv").write_bytes(b"\x00\x05\x16\x07")
    assert read_files(parts).rows() == [("1", "2")]
    (tmp_path / "._order_lines.csv").write_bytes(b"\x00\x05\x16\x07")
    assert tables_in(tmp_path) == {"order_lines": parts}


UNREADABLE = {
    "nothing": ("a.csv", b"", "cannot be read as CSV"),
    "latin-1": ("a.csv", "a,b\nJosé,1\n".encode("latin-1"), "cannot be read as CSV in UTF-8"),
    "an empty file": ("a.csv", b"", "the file is empty. Expected a header"),
    "how to mend latin-1": ("a.csv", "a,b\nJosé,1\n".encode("latin-1"), "data.encoding: cp1252"),
    "late latin-1": ("a.csv", b"a,b\n" + b"1,2\n" * 9999 + b"\xe9,1\n", "bytes that are no UTF-8"),
    "UTF-16": (
        "a.csv",
        "a,b\nJosé,1\n".encode("utf-16"),
        "written in UTF-16. Say so: data.encoding: utf-16",
    ),
    "UTF-16 bare": ("a.csv", "a,b\nJosé,1\n".encode("utf-16-le"), "written in UTF-16"),
    "UTF-16 bare and plain": ("a.csv", "a,b\nx,1\n".encode("utf-16-le"), "written in UTF-16"),
    "unquoted decimals": ("a.csv", b"a,b\n1,secret\n1,12,50\n", "line 3 has 3 fields and the head"),
    "a quote that stays open": (
        "a.csv",
        b'a,b\n1,2\n3,"secret\n4,5\n',
        "begins on line 3 has a field whose quote is never cl",
    ),
    "quotes in quotes": (
        "a.csv",
        b'a,b\n1,"a "secret, b" c"\n',
        "row that begins on line 2 .* is not written twice",
    ),
    "longer rows": ("a.csv", b"a,b\n1,2,3\n", "rows longer than its header"),
    "sep": ("a.csv", b"sep=;\r\na;b\r\n1;2;secret\r\n", "first line is sep=, a note to Excel"),
    "sep of tabs": ("a.csv", b"sep=\t\na\tb\tc\n1\t2\tsecret\n", "line is sep=, a note to Excel"),
    "no parquet": ("a.parquet", b"PAR1 secret", "cannot be read as Parquet"),
    "a renamed workbook": (
        "a.csv",
        b"PK\x03\x04\x14\x00\xe9,\n",
        "it is an Excel workbook or a zip",
    ),
    "an old one": ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it is an Excel workbook, what"),
    "compressed": ("a.csv", b"\x1f\x8b\x08\x00secret", "it is compressed by gzip.* Unpack it"),
    "parquet as CSV": ("a.csv", b"PAR1 secret\n", "it is a Parquet file.*ends in .parquet"),
    "excel": ("a.xlsx", b"PK", "expected a name that ends in"),
    "columns twice": ("a.csv", b"a,b,a\n1,2,3\n", "several columns are named a"),
}


@pytest.mark.parametrize(("name", "content", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_file_is_named_and_not_quoted(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_files(tmp_path / name)
    if message.startswith("it is"):  # no encoding makes a text of it
        with pytest.raises(DataError, match=message):
            read_files(tmp_path / name, "latin-1")
    assert name in str(caught.value)
    assert "José" not in str(caught.value) and "secret" not in str(caught.value)


ABOVE = {
    "sep": (b"sep=;\na;b;c\n1;2;3\n", "sep=, a note to Excel"),
    "sep of two columns": (b"sep=;\r\na;b\r\n1;2\r\n", "sep=, a note to Excel"),
    "a title below a blank line": (b"\nAll orders\na;b;c\n1;2;3\n", "line 3 like the header"),
    "a title": (b"All orders of 2026\n\na;b;c\n1;2;3\n", "line 3 like the header"),
    "two titles with separators": (b"Orders;;\nas of 1.1.;;\na;b;c\n1;2;3\n", "line 3 like the"),
    "a title in quotes": (b'"Orders, 2026"\n"a","b","c"\n"1","2","3"\n', "line 2 like the header"),
    "a title of two cells": (b"Orders;2026;;;\na;b;c;d;e\n1;2;3;4;5\n", "line 2 like the header"),
}


@pytest.mark.parametrize(
    "row",
    [
        "1;Red, green, blue, grey, pink;3",
        '1;"Red, green, blue, grey, pink";3',
        '1;"red; blue; grey";3',
    ],
)
def test_a_header_above_texts_with_other_separators_is_no_title(tmp_path, row):
    file = tmp_path / "a.csv"
    file.write_text(f"a;b;c;;\n{row};;\n")
    assert read_files(file).columns == ["a", "b", "c"]
    assert read_files(file)["c"].to_list() == ["3"]


@pytest.mark.parametrize(("content", "message"), ABOVE.values(), ids=ABOVE)
def test_the_line_that_mends_a_file_runs_as_it_stands(tmp_path, content, message):
    """Where it lies, so that a glob or the name of a table still finds it."""
    file = tmp_path / "my exports" / "orders 'may'.csv"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_files(file)
    subprocess.run(str(caught.value).split("or: ")[1], shell=True, check=True)
    assert read_files(file.parent / "*.csv").columns[:2] == ["a", "b"]
    assert read_files(file.parent).rows()[0][:2] == ("1", "2")


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("cp1252", "a,b\nJosé €,1\n".encode("cp1252")),
        ("utf-16", "a,b\nJosé €,1\n".encode("utf-16")),
        ("utf-16", "a,b\nJosé €,1\n".encode("utf-16-le")),
        ("cp1252", "a,b\nJosé €,1\n".encode()),  # what is UTF-8 is read as such
        ("cp1252", "\ufeffa,b\nJosé €,1\n".encode()),
        (None, "\ufeffa,b\nJosé €,1\n".encode()),
    ],
)
def test_what_is_no_utf_8_is_read_as_stated(tmp_path, encoding, content):
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    assert read_files(file, encoding).rows() == [("José €", "1")]


def test_plain_text_in_utf_16_without_a_mark_is_read_as_stated(tmp_path):
    """Every byte of it is UTF-8, too."""
    file = tmp_path / "a.csv"
    file.write_bytes("a;b\n1;2\n".encode("utf-16-le"))
    assert read_files(file, "utf-16").rows(named=True) == [{"a": "1", "b": "2"}]


def test_what_is_not_of_the_stated_encoding_either_is_refused(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(b"a,b\nsecret\x81,1\n")
    with pytest.raises(DataError, match="bytes that are no cp1252 either") as caught:
        read_files(file, "cp1252")
    assert "secret" not in str(caught.value)


def test_names_lose_the_blanks_around_them_and_empty_columns_without_one_are_left_out(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("a; b ;\u00a0c;;\n1;2;3;;\n4;5;6;;\n")
    assert read_files(file).columns == ["a", "b", "c"]
    assert read_files(file).rows() == [("1", "2", "3"), ("4", "5", "6")]
    assert to_our_names("order_lines", read_files(file), {"sku": " b "})["sku"].to_list() == [
        "2",
        "5",
    ]
    for text, number in (("a;;b\n1;2;3\n", 2), ("a;b;;c;\n1;2;;;4\n", 5)):
        file.write_text(text)
        with pytest.raises(DataError, match=f"column {number} has no name and is not empty"):
            read_files(file)


def test_numbers_of_rows_without_a_name_are_ignored_and_told(tmp_path):
    """As `DataFrame.to_csv` writes them where nobody says index=False."""
    head = ["order_id", "line_id", "customer_id", "occurred_at", "sku", "quantity"]
    frame = pd.DataFrame([["1", "1", "a", "2024-01-01", "x", "1"]] * 2, columns=head)
    frame.assign(order_id=["1", "2"]).to_csv(tmp_path / "o.csv")
    log = ppi_ml.load(str(tmp_path / "o.csv"), currency="EUR")
    assert log.order_lines["customer_id"].tolist() == ["a", "a"]
    assert "order_lines: ignored columns column 1 (no name)" in log.report.notes
    (tmp_path / "o.csv").write_text(",a\nx,1\n")
    with pytest.raises(DataError, match="column 1 has no name and is not empty"):
        read_files(tmp_path / "o.csv")


def test_an_empty_cell_is_none_with_quotes_and_without(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('"a","b",""\n"1","",""\n"","",""\n"","2",""\n')
    assert read_files(file).columns == ["a", "b"]
    assert read_files(file).rows() == [("1", None), (None, "2")]


def test_a_column_that_some_files_lack_is_told_or_refused(tmp_path):
    head = "order_id,line_id,customer_id,occurred_at,sku,quantity"
    (tmp_path / "o-1.csv").write_text(f"{head},cost\n1,1,a,2024-01-01,x,1,5\n")
    (tmp_path / "o-2.csv").write_text(f"{head},unit_price\n2,1,a,2024-01-02,x,1,5\n")
    log = ppi_ml.load(str(tmp_path / "o-*.csv"))
    assert (
        "order_lines: o-1.csv: no column unit_price, so it is unknown there; other files of the "
        "table have it, and not cost"
    ) in log.report.notes
    assert not [note for note in log.report.notes if "o-2.csv" in note]  # nobody reads the cost
    (tmp_path / "o-3.csv").write_text(
        f"{head.replace('customer_id', 'client')}\n3,1,a,2024-01-03,x,1\n"
    )
    with pytest.raises(
        DataError, match=r"o-3\.csv: no column customer_id; .* and not client\. Give"
    ):
        ppi_ml.load(str(tmp_path / "o-*.csv"))
    for cost in ("cost", " cost "):
        settings = {"source": "files", "currency": "EUR", "tables": {"order_lines": {
            "path": str(tmp_path / "o-[12].csv"), "columns": {"unit_price": cost}}}}  # fmt: skip
        log = inputs.load_log(DataSettings(**settings))
        told = [note for note in log.report.notes if "o-2.csv: no column cost (unit_price)" in note]
        assert len(told) == 1


def test_what_an_empty_cell_is_taken_for_is_said_where_some_files_lack_its_column(tmp_path):
    head = "order_id,line_id,customer_id,occurred_at,sku,quantity"
    (tmp_path / "o-1.csv").write_text(f"{head}\n1,1,a,2024-01-01,x,1\n")
    more = f"{head},order_type,currency,channel\n2,1,a,2024-01-02,x,1,subscription,EUR,web\n"
    (tmp_path / "o-2.csv").write_text(more)
    log = ppi_ml.load(str(tmp_path / "o-*.csv"), currency="EUR")
    for name, what in (("order_type", "one_off"), ("currency", "that of the log")):
        said = f"order_lines: o-1.csv: no column {name}, so it is {what} there; other files"
        assert [note for note in log.report.notes if note.startswith(said)]
    assert "no column channel, so it is unknown there" in "".join(log.report.notes)
    assert log.order_lines["order_type"].tolist() == ["one_off", "subscription"]


def test_the_encoding_is_stated_in_python_and_in_a_config(tmp_path):
    head = "order_id,line_id,customer_id,occurred_at,sku,quantity"
    file = tmp_path / "order_lines.csv"
    file.write_bytes(f"{head}\n1,1,a,2024-01-01,Grüntee,1\n".encode("cp1252"))
    log = ppi_ml.load(str(file), encoding="cp1252")
    assert log.order_lines["sku"].tolist() == ["Grüntee"]
    same = inputs.load_log(DataSettings(source="files", path=str(tmp_path), encoding="cp1252"))
    assert same.order_lines["sku"].tolist() == ["Grüntee"]
    with pytest.raises(UsageError, match="encoding: expected the name of an encoding"):
        ppi_ml.load(str(file), encoding="cp99999")
    with pytest.raises(ValueError, match="expected the name of an encoding, such as cp1252"):
        DataSettings(source="files", path=str(tmp_path), encoding="base64")


@pytest.mark.parametrize("path", ["gone.csv", "gone-*.csv", "."])
def test_a_path_that_leads_nowhere_is_named(tmp_path, path):
    with pytest.raises(DataError, match="no such file, no match"):
        read_files(tmp_path / path)


def test_files_of_different_types_do_not_fit_together(tmp_path):
    pl.DataFrame({"a": [[1]]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"a": ["x"]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match="the 2 files do not fit together"):
        read_files(tmp_path)


def test_columns_of_a_known_layout_are_checked(tmp_path):
    file = tmp_path / "a.parquet"
    pl.DataFrame({"a": [1], "b": ["x"]}).write_parquet(file)
    assert read_columns(file, pl.Schema({"a": pl.Float64()})).rows() == [(1.0,)]
    with pytest.raises(DataError, match="columns c are missing; found: a, b"):
        read_columns(file, pl.Schema({"c": pl.Int64()}))
    with pytest.raises(DataError, match="expected Parquet with the columns b Int64"):
        read_columns(file, pl.Schema({"b": pl.Int64()}))
    with pytest.raises(DataError, match=r"no such file; say where .* --set data\.path="):
        read_columns(tmp_path / "gone.parquet", pl.Schema({"a": pl.Int64()}))


@pytest.mark.parametrize("source", ["olist", "cdnow", "complete_journey", "shopify"])
def test_a_source_without_a_copy_says_how_to_name_its_place(source):
    message = rf"^data\.path: the source {source} needs the path of .* --set data\.path="
    with pytest.raises(ConfigError, match=message):
        inputs.load_log(DataSettings(source=source))


@pytest.mark.parametrize("source", ["online_retail", "olist", "cdnow", "shopify"])
def test_a_source_of_one_layout_refuses_settings_that_it_would_not_read(source):
    data = {"source": source, "path": "x", "tables": {"order_lines": {"dates": "%d.%m.%Y"}}}
    message = (
        rf"^data\.tables\.order_lines: the source {source} reads one known layout, .* leave it"
    )
    with pytest.raises(ConfigError, match=message):
        inputs.load_log(DataSettings(**data))


FRAME = pl.DataFrame({"Client": ["c"], "sku": ["s"], "customer_id": ["internal"]})


def test_mapping_wins_over_a_column_that_bears_our_name():
    mapped = to_our_names("order_lines", FRAME, {"customer_id": "Client"}, {"currency": "EUR"})
    assert mapped.rows(named=True) == [
        {"customer_id": "c", "sku": "s", "customer_id (not mapped)": "internal", "currency": "EUR"}
    ]


def test_one_of_their_columns_may_serve_twice():
    frame = pl.DataFrame({"Created": ["2020-01-01"]})
    both = to_our_names("order_lines", frame, {"occurred_at": "Created", "known_at": "Created"})
    assert both.columns == ["occurred_at", "known_at"]


@pytest.mark.parametrize(
    ("columns", "constants", "message"),
    [
        ({"custmer_id": "Client"}, {}, r"custmer_id is unknown\. Did you mean customer_id\?"),
        ({"customer_id": "Cliemt"}, {}, r"there is no column Cliemt\. Did you mean Client\?"),
        ({}, {"curency": "EUR"}, r"curency is unknown\. Did you mean currency\?"),
        ({}, {"sku": "CD"}, "the column sku is there already"),
    ],
)
def test_wrong_names_are_answered_with_the_nearest(columns, constants, message):
    with pytest.raises(DataError, match=message):
        to_our_names("order_lines", FRAME, columns, constants)
