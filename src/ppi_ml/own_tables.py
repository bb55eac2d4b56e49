"""Tables that a plug-in brings: a type of event that the contract does not know.

What a plug-in declares holds for the whole process, as its code does. So two declarations of one
name must agree: no log can mean something else by a table than another one does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ppi_ml.errors import ConfigError
from ppi_ml.schema import TABLES, Column, Table, add

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_VIEWS = ("purchases", "lines", "trips", "substitutes", "listed", "arrivals", "on_the_way", "flat")
"""Names that mean something else where a family or a config says them."""
_TAKEN = ("at", "known", "wall", "age_us", "product", "day", "row")
"""What a log and its past call columns of their own."""


def declare(file: str, table: object) -> None:
    """Add the table of a plug-in; `ConfigError` where it cannot be one, or is another already.

    Args:
        file: the name of the plug-in, without .py.
        table: what its `TABLE` holds.
    """
    where = f"plugins: {file}.py: TABLE"
    if not isinstance(table, Table):
        raise ConfigError(f"{where}: expected a ppi_ml.schema.Table")
    if table.name != file:
        raise ConfigError(
            f'{where}: its name is "{table.name}", and a thing is named after its file; rename '
            "one of them"
        )
    if TABLES.get(table.name) == table:
        return
    if table.name in TABLES:
        raise ConfigError(
            f"{where}: there is a table {table.name} already, with other columns or another key. "
            "If this file was changed, start Python anew; else rename it"
        )
    wrong = next(_problems(table), None)
    if wrong:
        raise ConfigError(f"{where}: {wrong}")
    add(table)


def _problems(table: Table) -> Iterator[str]:
    """What keeps a declaration from being a table of events of customers."""
    if not _NAME.fullmatch(table.name) or table.name in _VIEWS:
        yield f"{table.name}: expected small letters, digits and single _, and none of {_said()}"
    if not (table.of_customers and table.dated) or table.once_per or table.holds:
        yield "expected plain events of customers: of_customers, dated, once_per, holds stay as set"
    names = [column.name for column in table.own]
    made = [derived.name for derived in table.derived]
    standard = replace(table, own=()).names
    for name in (*names, *made):
        taken = name in _TAKEN or name in standard or name.endswith("_us")
        if not _NAME.fullmatch(name) or taken:
            yield f"{name}: no name of a column of its own; every table has customer_id and times"
        if (*names, *made).count(name) > 1:
            yield f"{name}: is declared twice"
    sure = {column.name for column in table.columns if column.required}
    if not table.key or not sure.issuperset(table.key):
        yield (
            f"key: expected required columns that tell rows apart, got {', '.join(table.key)}; "
            f"required are {', '.join(sorted(sure))}"
        )
    yield from (wrong for column in table.own for wrong in _of_column(column))
    numbers = {column.name for column in table.own if column.kind == "number"}
    for derived in table.derived:
        factors = {*derived.of, *([derived.minus] if derived.minus else ())}
        if not derived.of or not factors <= numbers:
            yield f"{derived.name}: expected to be made of numbers of this table"


def _of_column(column: Column) -> Iterator[str]:
    if column.kind == "time" and not column.name.endswith("_at"):
        yield f"{column.name}: the name of a further time must end in _at"
    if (column.kind == "choice") != bool(column.choices):
        yield f"{column.name}: a choice names its choices, and nothing else does"
    if not column.null:
        yield f"{column.name}: null: say what an empty cell means"


def _said() -> str:
    return ", ".join(_VIEWS)
