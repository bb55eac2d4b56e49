"""What a model reads of a log, table by table and column by column, and what of that is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ppi_ml import customer_columns
from ppi_ml.drift import EXPECTED
from ppi_ml.schema import TABLES
from ppi_ml.summaries import newest_rows

if TYPE_CHECKING:
    import polars as pl

    from ppi_ml.declare import Family
    from ppi_ml.events import EventLog

_ALWAYS = ("order_lines", "cancellations", "consents")  # purchases, and who may be asked about
_UNREAD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "order_lines": ("channel",),
        "cancellations": ("reason",),
        "shipments": ("carrier", "service"),
        "returns": ("reason",),
        "tickets_opened": ("channel",),
        "exposures": ("campaign", "variant", "channel"),
        "messages": ("campaign", "channel"),
        "products": ("category_group", "department", "brand"),
    }
)
"""Columns that no family of ours reads; whatever a product is, is read all the same."""


def tables(families: Iterable[Family], entity: str, trained: Collection[str]) -> frozenset[str]:
    """The tables of a training that its model reads.

    All of them unless it is about customers: a product has stock and a size, a parcel a promise.
    """
    if entity != "customer":
        return frozenset(trained)
    needs = {table for family in families for table in family.needs}
    return frozenset(trained) & (needs | set(_ALWAYS))


def unread(products: Collection[str | None]) -> frozenset[str]:
    """The columns ("table.column") that no family of ours reads.

    `products` names those columns of the table products that a product, or its group, is.
    """
    return frozenset(
        f"{table}.{column}"
        for table, columns in _UNREAD.items()
        for column in columns
        if not (table == "products" and column in products)
    )


def filled(log: EventLog) -> dict[str, dict[str, float]]:
    """Table -> column -> share of its newest rows with something in it (3 digits).

    Columns that were not there, or hold nothing, are not named.
    """
    return {name: _shares(name, log) for name in log.tables}


def vanished(
    trained: Mapping[str, Mapping[str, Any]],
    log: EventLog,
    read: Collection[str],
    spare: Collection[str],
) -> list[str]:
    """Notes on columns that a model was trained with and that are absent or empty now.

    Args:
        trained: tables of the training; what `filled` said of each stands under "filled".
        log: events of today.
        read: the tables that the model reads.
        spare: columns that it does not read.
    """
    notes = []
    for name in log.tables.keys() & trained.keys() & set(read):
        now, given, rows = _shares(name, log), _given(name, log), _newest(name, log).height
        for column, share in trained[name].get("filled", {}).items():
            if column in now or f"{name}.{column}" in spare:
                continue
            if column not in given:
                notes.append(_note(name, column, given=False))
            elif share * rows >= EXPECTED:  # else nobody would expect one that is filled
                notes.append(_note(name, column, given=True))
    return sorted(notes)


def _shares(name: str, log: EventLog) -> dict[str, float]:
    frame = _newest(name, log)
    counts = {c: frame.height - frame[c].null_count() for c in _given(name, log)}
    return {c: round(count / frame.height, 3) for c, count in counts.items() if count}


def _given(name: str, log: EventLog) -> list[str]:
    """The columns of a table that were there when it was loaded."""
    report = log.report.tables.get(name)
    told = report.summary.columns if report and report.summary else {}
    own = [column.name for column in customer_columns.declared(TABLES[name], log.segments).own]
    return [column for column in own if column in told and told[column].given]


def _newest(name: str, log: EventLog) -> pl.DataFrame:
    frame = log.tables[name].frame
    return newest_rows(frame)[0] if log.tables[name].dated else frame


def _note(name: str, column: str, *, given: bool) -> str:
    declared = next((own for own in TABLES[name].own if own.name == column), None)
    default = not given and declared is not None and declared.default is not None
    gone = "empty now" if given else "absent"
    if declared is None and not given:
        gone = "absent, or not named in segments when the log was loaded"
    means = "its default stands everywhere" if default else "features made of it are null"
    return f"{name}.{column}: the model was trained with this column, which is {gone}; {means}"
