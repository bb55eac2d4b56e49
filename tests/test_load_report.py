import json

import polars as pl

from ppi_ml.ledger import QUARANTINE_SCHEMA, Ledger
from ppi_ml.load_report import LoadReport, TableReport


def mask(*rows):
    return pl.Series([row in rows for row in range(4)])


def test_a_row_is_entered_once_under_its_first_rule():
    ledger = Ledger(4)
    ledger.repair("trimmed", mask(0, 1))
    ledger.repair("moved", mask(1, 2))
    ledger.quarantine("empty", ("b",), mask(2))
    ledger.quarantine("negative", ("a", "b"), mask(2, 3))
    ledger.quarantine("never first", ("a",), mask(3))
    assert ledger.counts() == (0, {"trimmed": 2}, {"empty": 1, "negative": 1})
    assert ledger.sound.to_list() == [True, True, False, False]
    raw = pl.DataFrame({"a": [1, 2, 3, -4], "b": ["x", None, None, "y" * 500]})
    found = ledger.quarantined("t", raw)
    assert found.schema == QUARANTINE_SCHEMA
    assert found.rows() == [
        ("t", 2, "empty", "b", None),
        ("t", 3, "negative", "a, b", "-4, " + "y" * 196),
    ]


REPORT = LoadReport(
    tables={
        "order_lines": TableReport(
            10, 7, {"trimmed": 1}, {"empty": 2}, "2020-01-01T00:00:00", "2020-02-01T00:00:00", 0.125
        ),
        "returns": TableReport(0, 0, {}, {}, None, None, None),
    },
    notes=("a <note>",),
    quarantine={
        "order_lines": pl.DataFrame(
            [("order_lines", 3, "empty", "sku", "")], QUARANTINE_SCHEMA, orient="row"
        ),
        "returns": pl.DataFrame(schema=QUARANTINE_SCHEMA),
    },
)


def test_text_tells_every_number():
    assert REPORT.to_text() == (
        "order_lines: 10 rows in = 7 kept + 1 repaired + 2 quarantined\n"
        "  repaired             1  trimmed\n"
        "  quarantined          2  empty\n"
        "  from 2020-01-01T00:00:00 to 2020-02-01T00:00:00; "
        "12.5% known on a later day than they occurred\n"
        "returns: 0 rows in = 0 kept + 0 repaired + 0 quarantined\n"
        "note: a <note>"
    )
    assert "a &lt;note&gt;" in REPORT._repr_html_()


def test_report_is_json_without_the_quarantined_cells():
    stored = json.loads(json.dumps(REPORT.to_dict()))
    assert stored["tables"]["order_lines"]["quarantined"] == {"empty": 2}
    assert stored["tables"]["returns"]["lateness"] == "lateness not measured"
    assert stored["notes"] == ["a <note>"]
    assert set(stored) == {"tables", "notes"}


def test_quarantine_is_one_file_per_table_that_has_rows(tmp_path):
    paths = REPORT.write_quarantine(tmp_path / "q")
    assert [path.name for path in paths] == ["order_lines.parquet"]
    assert pl.read_parquet(paths[0]).equals(REPORT.quarantine["order_lines"])
