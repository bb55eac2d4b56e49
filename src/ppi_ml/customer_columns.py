"""Columns of the table customers that a shop names itself: a loyalty tier, a plan, a kind of trade.

The setting `data.segments` names them; a log holds them as `segment_<name>`, so that none can be
taken for a column of ours. What is not named is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ppi_ml.errors import DataError, UsageError
from ppi_ml.schema import TABLES, Column, Table

if TYPE_CHECKING:
    import polars as pl

    from ppi_ml.intake import RawTable

TABLE, PREFIX = "customers", "segment_"
HINT = "data.segments makes features of columns of text that it names"
_LONGEST = 40
_NAME = re.compile(rf"(?=.{{1,{_LONGEST}}}$)[A-Za-z0-9]+(_[A-Za-z0-9]+)*")
_EXPECTED = f"expected names of columns of {TABLE}, as a list, such as [loyalty_tier, plan]"
_FEW_WORDS = 20
"""So few words can be those of kinds of customers, however few customers there are."""


def problem(names: object) -> str | None:
    """What is wrong with a list of columns that shall become features; None where nothing is."""
    if isinstance(names, str) or not isinstance(names, Collection):
        return _EXPECTED
    for name in names:
        if name in TABLES[TABLE].names:
            return f"{name} is a column that the log knows already; leave it out"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return (
                f'{_EXPECTED}; got "{name}": letters, digits and single underscores between them, '
                f"at most {_LONGEST}; data.tables.{TABLE}.columns can rename a column"
            )
    return None


def checked(names: Collection[str]) -> tuple[str, ...]:
    """The names, each once and sorted; `UsageError` for a wrong one."""
    if wrong := problem(names):
        raise UsageError(f"segments: {wrong}")
    return tuple(sorted(set(names)))


def of_table(name: str, segments: Sequence[str]) -> tuple[str, ...]:
    """The names of columns that a table has beside those of the schema."""
    return tuple(segments) if name == TABLE else ()


def held(segments: Sequence[str]) -> tuple[str, ...]:
    """What a log calls these columns."""
    return tuple(f"{PREFIX}{name}" for name in segments)


def declared(table: Table, segments: Sequence[str]) -> Table:
    """The table with the columns that a log has of it."""
    own = of_table(table.name, segments)
    more = (Column(name, "text", "", "segment unknown") for name in held(own))
    return replace(table, own=(*table.own, *more))


def there(raw: Mapping[str, RawTable], segments: Sequence[str]) -> tuple[str, ...]:
    """Those of the columns that raw tables have."""
    found = raw[TABLE].frame.columns if TABLE in raw else ()
    return tuple(name for name in segments if name in found)


def named(raw: Mapping[str, RawTable], segments: Sequence[str]) -> dict[str, RawTable]:
    """Raw tables with the names that the log has for these columns; `DataError` if one is missing.

    A table of no rows may lack them.
    """
    if not segments:
        return dict(raw)
    if TABLE not in raw:
        raise DataError(
            f"segments: {', '.join(segments)}: these are columns of the table {TABLE}, which is "
            "not there; load it, or leave them out"
        )
    frame = raw[TABLE].frame
    for name in segments if frame.height else ():
        if name not in frame.columns:
            near = get_close_matches(name, frame.columns, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise DataError(
                f"{TABLE}: segments: there is no column {name}.{hint} The columns are: "
                f"{', '.join(frame.columns)}"
            )
    ours = dict(zip(segments, held(segments), strict=True))
    taken = {name: f"{name} (not mapped)" for name in ours.values()}
    # at once, for one of these columns may be called what the log calls another
    return {**raw, TABLE: replace(raw[TABLE], frame=frame.rename(taken | ours, strict=False))}


def refuse_ids(frame: pl.DataFrame, segments: Sequence[str]) -> None:
    """`DataError` for a column that names customers, not kinds of them.

    That is one with more different words than half of the customers (and than twenty): no model
    should learn by heart who somebody is.
    """
    for name, column in zip(segments, held(segments), strict=True):
        told = frame.select("customer_id", column).drop_nulls()
        customers, words = told["customer_id"].n_unique(), told[column].n_unique()
        if words > max(customers / 2, _FEW_WORDS):
            raise DataError(
                f"{TABLE}: segments: {name} has {words:,} different words for {customers:,} "
                "customers, so it tells who somebody is and not of what kind; leave it out, or "
                "bring a coarser column"
            )
