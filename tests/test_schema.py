import subprocess
import sys

import pytest

from ppi_ml.errors import DataError
from ppi_ml.schema import TABLES, Column, rows, table_named


def test_every_table_has_its_key_and_the_common_columns_and_no_name_twice():
    for table in TABLES.values():
        assert len(set(table.names)) == len(table.names)
        who = {"customer_id"} if table.of_customers else set()
        when = {"occurred_at"} if table.dated else set()
        assert {*who, *when, *table.key} <= set(table.names)
        assert ("customer_id" in table.names) == table.of_customers
        assert ("known_at" in table.names) == ("occurred_at" in table.names) == table.dated
        required = {column.name for column in table.columns if column.required}
        since = set() if table.dated else {"valid_from"}  # part of the key, empty for "always"
        assert since == {"valid_from"} & {*table.key} == {"valid_from"} & set(table.names)
        assert {*table.key, *who, *when} - since <= required
        for derived in table.derived:
            assert {*derived.of, derived.minus or derived.of[0]} <= set(table.names)


ORDERS = {
    "order_lines": ("customer_id", "at", "order_id", "line_id"),
    "messages": ("customer_id", "at", "message_id", "action"),
    "consents": ("customer_id", "at", "purpose", "granted"),
    "stock": ("at", "sku"),
    "products": ("sku", "valid_from"),
    "customers": ("customer_id", "valid_from"),
}


def test_tables_differ_in_customers_dates_and_in_what_silence_means():
    assert {t.name for t in TABLES.values() if not t.of_customers} == {"stock", "products"}
    assert {t.name for t in TABLES.values() if not t.dated} == {"products", "customers"}
    assert {t.name for t in TABLES.values() if t.holds} == {"stock", "consents"}
    assert {n: TABLES[n].order for n in ORDERS} == ORDERS
    assert next(iter(TABLES)) == "order_lines"  # the period of others is told by theirs
    assert TABLES["stock"].frame_key == ("sku", "at")


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
    choice = Column("c", "choice", "", "none", choices=("a", "b"))
    assert choice.rule == "one of a, b"
    spelled = Column("c", "choice", "", "none", choices=("a", "b"), spellings=(("1", "a"),))
    assert spelled.rule == "one of a, b (or 1)"


def test_words_are_in_small_letters_so_that_any_case_of_them_means_one_word():
    choices = [c for table in TABLES.values() for c in table.columns if c.kind == "choice"]
    assert len(choices) >= 8
    for column in choices:
        words = [*column.choices, *(spelling for spelling, _ in column.spellings)]
        assert words == [word.lower() for word in words]
        assert len(set(words)) == len(words)
        assert {word for _, word in column.spellings} <= set(column.choices)


def test_unknown_table_is_answered_with_the_nearest_name():
    with pytest.raises(DataError, match=r"Did you mean order_lines\?"):
        table_named("order_line")


def test_schema_needs_no_data_frame_library():
    heavy = "{'polars', 'pandas', 'numpy'}"
    code = f"import sys, ppi_ml.schema; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
