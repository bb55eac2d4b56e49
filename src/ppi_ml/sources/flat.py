"""The flat table that small shops have: a row per order line, and what became of it beside it.

`order_id, customer_id, sku, order_timestamp, ship_timestamp, delivery_timestamp, return_flag,
refund_amount, review_text, review_rating, promo_code, content_exposure_tags`, and what else
`_flat_cells.COLUMNS` names. Each filled cell becomes an event at its own time. Which of them are
fit for use is the contract's decision; this source only says what they are and when they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from ppi_ml.declare import Source
from ppi_ml.errors import ConfigError, DataError
from ppi_ml.instants import parse_zone
from ppi_ml.intake import RawTable
from ppi_ml.schema import TABLES
from ppi_ml.sources import _flat_cells, _flat_dates, _flat_events
from ppi_ml.sources._flat_cells import is_flat, renamed
from ppi_ml.sources._kit import as_we_write, read_parts, read_table

if TYPE_CHECKING:
    import polars as pl

    from ppi_ml.config import DataSettings
    from ppi_ml.exclude_rule import ExcludeRule

_NO_RULES: Mapping[str, ExcludeRule] = MappingProxyType({})

__all__ = ["SOURCE", "is_flat", "read", "renamed", "split", "unfolded"]


def split(
    table: RawTable,
    *,
    zone: str,
    lags: Mapping[str, int],
    rules: Mapping[str, ExcludeRule] = _NO_RULES,
) -> dict[str, RawTable]:
    """The tables that a flat table holds: order lines, and those whose columns it has.

    Args:
        table: the flat table, its columns named as `_flat_cells.COLUMNS`.
        zone: the business zone.
        lags: `returns`, `refunds`, `reviews` -> whole days after the delivery, or after the order
            where no delivery is known, at which these happened where the table does not say.
        rules: for rows to leave out later; for them the order lines keep columns of other names.

    Raises:
        DataError: a column is missing or holds something else than it should, or events have
            neither a time nor a lag.
    """
    parse_zone(zone)
    has = frozenset(table.frame.columns)
    try:
        rows = _flat_cells.read(table.frame, zone)
        found = {
            "returns": _flat_events.sent_back(rows),
            "refunds": _flat_events.paid_back(rows),
            "reviews": _flat_events.reviewed(rows),
        }
        _flat_dates.check_lags(found, lags)
    except DataError as error:
        where = f" ({table.origin})" if table.origin else ""
        raise DataError(f"flat table{where}: {error}") from error
    made, notes = _events(rows, has, lags, zone)
    ignored = [name for name in table.frame.columns if name not in _flat_cells.COLUMNS]
    if any(rule.table == "order_lines" for rule in rules.values()):
        # a line per row, in the order of the file
        spare = [name for name in ignored if name not in TABLES["order_lines"].names]
        made["order_lines"] = made["order_lines"].with_columns(table.frame.select(spare))
        ignored = [name for name in ignored if name not in spare]
    if ignored:
        notes.insert(0, f"flat table: ignored columns {', '.join(ignored)}")
    tables = {
        name: replace(table, frame=frame, reckoned=name in lags, notes=())
        for name, frame in made.items()
    }
    # The order lines are always read, and first: what there is to say of all tables stands there.
    tables["order_lines"] = replace(tables["order_lines"], notes=(*table.notes, *notes))
    return tables


def read(settings: DataSettings) -> dict[str, RawTable]:
    """The tables in the flat table at `data.path`, or at `data.tables.flat.path` with its columns.

    Other tables of `data.tables` are read beside it, as the source `files` does.
    """
    raw = {
        name: read_table(name, table, settings)
        for name, table in settings.tables.items()
        if name != "flat" and table.path is not None
    }
    lines = split(
        _flat_table(settings), zone=settings.timezone, lags=settings.lags, rules=settings.exclude
    )
    return beside(lines, raw)


def unfolded(
    raw: dict[str, RawTable],
    zone: str,
    lags: Mapping[str, int],
    rules: Mapping[str, ExcludeRule],
) -> dict[str, RawTable]:
    """The tables, with those that a flat table holds in its place; the same if there is none."""
    lines = raw["order_lines"]
    if not is_flat(lines.frame.columns):
        return raw
    others = {name: table for name, table in raw.items() if name != "order_lines"}
    return beside(split(lines, zone=zone, lags=lags, rules=rules), others)


def beside(flat: Mapping[str, RawTable], others: Mapping[str, RawTable]) -> dict[str, RawTable]:
    """The tables of a flat table and others; `DataError` if a table comes from both."""
    twice = sorted(set(flat) & set(others))
    if twice:
        raise DataError(
            f"{', '.join(twice)}: given as a table, and told by columns of the flat table too; "
            "leave one of them out"
        )
    return {**flat, **others}


def _flat_table(settings: DataSettings) -> RawTable:
    stated = settings.tables.get("flat")
    path = settings.path if stated is None or stated.path is None else stated.path
    if path is None:
        raise ConfigError("data.path: the source flat needs the path of the flat table")
    parts = read_parts(path, settings.encoding)
    if stated is None:
        notes = parts.uneven("flat", {})
        return RawTable(parts.frame, origin=path, settings="flat", notes=notes)
    frame = renamed(parts.frame, stated.columns, stated.constants)
    frame = as_we_write("flat", frame, stated.written, settings.exclude, stated.constants)
    notes = parts.uneven("flat", stated.columns)
    return RawTable(frame, stated.granularity, origin=path, settings="flat", notes=notes)


def _events(
    rows: pl.DataFrame, has: frozenset[str], lags: Mapping[str, int], zone: str
) -> tuple[dict[str, pl.DataFrame], list[str]]:
    """Table -> its frame, for each table that one of the columns can fill; and notes."""
    packed = _flat_events.parcels(rows)
    every: dict[str, tuple[AbstractSet[str], Callable[[], _flat_events.Made]]] = {
        "order_lines": (has, lambda: _flat_events.order_lines(rows, has)),
        "shipments": ({"ship_timestamp"}, lambda: _flat_events.shipments(packed, has)),
        "deliveries": ({"delivery_timestamp"}, lambda: _flat_events.deliveries(packed, has)),
        "returns": ({"return_flag"}, lambda: _flat_events.returns(rows, has, lags, zone)),
        "refunds": ({"refund_amount"}, lambda: _flat_events.refunds(rows, has, lags, zone)),
        "reviews": (
            {"review_text", "review_rating"},
            lambda: _flat_events.reviews(rows, lags, zone),
        ),
        "exposures": ({"content_exposure_tags"}, lambda: _flat_events.exposures(rows, zone)),
        "products": ({"product_name"}, lambda: _flat_events.products(rows)),
    }
    frames, notes = dict[str, "pl.DataFrame"](), list[str]()
    for name, (columns, make) in every.items():
        if has & columns:
            frames[name], said = make()
            notes += said
    return frames, notes


SOURCE = Source(
    name="flat",
    description="one table: a row per order line with what became of it; path: CSV or Parquet",
    attribution="",
    read=read,
)
