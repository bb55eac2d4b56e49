import subprocess
import sys

import pytest

from ppi_ml.errors import DataError
from ppi_ml.schema import TABLES, Column, rows, table_named


def test_every_table_has_its_key_and_the_common_columns_and_no_name_twice():
    for table in TABLES.values():
        assert len(set(table.names)) == len(table.names)
        assert {"customer_id", "occurred_at", "known_at", *table.key} <= set(table.names)
        required = {column.name for column in table.columns if column.required}
        assert {*table.key, "customer_id", "occurred_at"} <= required
        for derived in table.derived:
            assert {*derived.of, derived.minus or derived.of[0]} <= set(table.names)


def test_rows_say_what_an_empty_cell_means_in_every_column():
    listed = rows()
    assert len(listed) == sum(len(table.columns) for table in TABLES.values())
    assert all(row["null"] for row in listed)
    quantity = next(r for r in listed if (r["table"], r["column"]) == ("order_lines", "quantity"))
    assert quantity == {
        "table": "order_lines",
        "column": "quantity",
        "kind": "number",
        "unit": "units",
        "key": "",
        "required": "",
        "rule": "> 0, <= 1e+09",
        "null": "quarantined; absent column: 1",
    }


def test_rule_of_a_choice_lists_its_words():
    assert Column("c", "choice", "", "none", choices=("a", "b")).rule == "one of a, b"


def test_unknown_table_is_answered_with_the_nearest_name():
    with pytest.raises(DataError, match=r"Did you mean order_lines\?"):
        table_named("order_line")


def test_schema_needs_no_data_frame_library():
    heavy = "{'polars', 'pandas', 'numpy'}"
    code = f"import sys, ppi_ml.schema; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
