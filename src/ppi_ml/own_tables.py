"""Tables that a plug-in brings: a type of event that the contract does not know.

What a plug-in declares holds for the whole process, as its code does. So two declarations of one
name must agree: no log can mean something else by a table than another one does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from ppi_ml.errors import ConfigError
from ppi_ml.schema import TABLES, Column, Derived, Kind, Table, add

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
NOT_TABLES = (
    "purchases", "lines", "trips", "substitutes", "listed", "arrivals", "on_the_way", "flat",
    "bucket", "currency", "customer", "customer_ids", "exclude", "fingerprint", "known_lag",
    "observed_from", "observed_until", "only", "rates", "report", "segments", "tables", "timezone",
    "until",
)  # fmt: skip
"""Names that are views of the past, or something else that an `EventLog` has."""
NOT_COLUMNS = (
    "at", "known", "wall", "day", "row", "valid_from", "product", "product_group", "product_skus",
    "pack_e6", "occasion", "its_order", "now_at", "now_wall", "who", "own", "since_last", "other",
)  # fmt: skip
"""What a log and its pasts call columns of their own."""


def declare(file: str, table: object) -> None:
    """Add the table of a plug-in; `ConfigError` where it cannot be one, or is another already.

    Args:
        file: the name of the plug-in, without .py.
        table: what its `TABLE` holds.
    """
    where = f"plugins: {file}.py: TABLE"
    if not isinstance(table, Table):
        raise ConfigError(f"{where}: expected a ppi_ml.schema.Table")
    wrong = next(_shapes(table), None) or next(_problems(file, table), None)
    if wrong:
        raise ConfigError(f"{where}: {wrong}")
    if TABLES.get(table.name, table) != table:
        raise ConfigError(
            f"{where}: there is a table {table.name} already, with other columns or another key. "
            "If this file was changed, start Python anew; else rename it"
        )
    add(table)


def _shapes(table: Table) -> Iterator[str]:
    """What is not made of what a table is made of, such as a tuple without its comma."""
    parts: tuple[tuple[str, object, type], ...] = (
        ("key", table.key, str), ("own", table.own, Column), ("derived", table.derived, Derived),
    )  # fmt: skip
    for name, given, kind in parts:
        if not isinstance(given, tuple) or not all(isinstance(one, kind) for one in given):
            yield f"{name}: expected a tuple of {kind.__name__}, such as ({kind.__name__}(...),)"
    if not isinstance(table.name, str):
        yield "name: expected a word"


def _problems(file: str, table: Table) -> Iterator[str]:
    """What keeps a declaration from being a table of events of customers."""
    if table.name != file:
        yield (
            f'its name is "{table.name}", and a thing is named after its file; rename one of them'
        )
    if not _NAME.fullmatch(table.name) or table.name in NOT_TABLES:
        yield (
            f"{table.name}: expected small letters, digits and single _, and none of "
            f"{', '.join(NOT_TABLES)}"
        )
    if not (table.of_customers and table.dated) or table.once_per or table.holds:
        yield "expected plain events of customers: of_customers, dated, once_per, holds stay as set"
    if not table.about:
        yield "about: say in a few words what the table holds"
    yield from _of_names(table)
    sure = {column.name for column in table.columns if column.required}
    if not table.key or not sure.issuperset(table.key) or len(set(table.key)) < len(table.key):
        yield (
            f"key: expected required columns that tell rows apart, got {', '.join(table.key)}; "
            f"required are {', '.join(sorted(sure))}"
        )
    yield from (wrong for column in table.own for wrong in _of_column(column))
    numbers = {column.name for column in table.own if column.kind == "number"}
    for derived in table.derived:
        factors = {*derived.of, *([derived.minus] if derived.minus else ())}
        if not derived.of or not factors <= numbers or derived.decimals < 0:
            yield f"{derived.name}: expected to be made of numbers of this table, of 0 decimals up"


def _of_names(table: Table) -> Iterator[str]:
    """Columns with a name that means something else, or that is there twice."""
    names = [*(column.name for column in table.own), *(made.name for made in table.derived)]
    standard = replace(table, own=()).names
    for name in names:
        taken = name in NOT_COLUMNS or name in standard or name.endswith("_us")
        if not _NAME.fullmatch(name) or taken:
            yield f"{name}: no name of a column of its own; every table has customer_id and times"
        if names.count(name) > 1:
            yield f"{name}: is declared twice"
    if sum(column.kind == "currency" for column in table.own) > 1:
        yield "expected at most one column of the kind currency"


_SHARED = {c.name: c.kind for t in tuple(TABLES.values()) for c in t.own if c.name.endswith("_id")}
"""Ids by which tables belong together; in every table they are ids."""


def _of_column(column: Column) -> Iterator[str]:
    name, kind = column.name, column.kind
    if kind not in get_args(Kind):
        yield f"{name}: {kind} is no kind of column; expected one of {', '.join(get_args(Kind))}"
    if _SHARED.get(name, "id" if name == "sku" else kind) != kind:
        yield f"{name}: expected the kind id, as in every table"
    if kind == "currency" and name != "currency":
        yield f"{name}: a column of the kind currency is called currency"
    if kind == "time" and not name.endswith("_at"):
        yield f"{name}: the name of a further time must end in _at"
    if not column.null:
        yield f"{name}: null: say what an empty cell means"
    yield from _of_words(column)
    ends = [end for end in (column.above, column.least) if end is not None]
    numeric = not isinstance(column.default, str) if kind == "number" else not ends
    if not numeric or (kind != "number" and column.most is not None):
        yield f"{name}: bounds are of numbers, and so is the default of a number"
    elif column.most is not None and any(end >= column.most for end in ends):
        yield f"{name}: its bounds leave no number"


def _of_words(column: Column) -> Iterator[str]:
    name, words = column.name, column.choices
    if (column.kind == "choice") != bool(words):
        yield f"{name}: a choice names its choices, and nothing else does"
    if not isinstance(words, tuple) or not all(isinstance(word, str) for word in words):
        yield f'{name}: choices: expected a tuple of words, such as ("yes", "no")'
        return
    if any(word != word.strip().lower() for word in (*words, *dict(column.spellings))):
        yield f"{name}: choices and spellings are in small letters; cells are read in any case"
    said = {*dict(column.spellings).values(), column.otherwise, column.default} - {None}
    if column.kind == "choice" and not said <= set(words):
        yield f"{name}: spellings, otherwise and default lead to one of its choices"
