"""Tables in memory: pandas or polars frames, or paths, as `ppi_ml.load` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl

from ppi_ml.customer_columns import of_table
from ppi_ml.declare import Source
from ppi_ml.errors import UsageError
from ppi_ml.intake import RawTable
from ppi_ml.respelling import mixed
from ppi_ml.sources._csv import check_names
from ppi_ml.sources._flat_cells import renamed
from ppi_ml.sources._kit import as_we_write, read_parts, to_our_names
from ppi_ml.written_as import WrittenAs

if TYPE_CHECKING:
    import pandas as pd

    from ppi_ml.config import DataSettings
    from ppi_ml.exclude_rule import ExcludeRule

    AnyTable: TypeAlias = "pd.DataFrame | pl.DataFrame | pl.LazyFrame | str | Path"


_AS_EVER: Mapping[str, WrittenAs] = MappingProxyType({})
_NO_RULES: Mapping[str, ExcludeRule] = MappingProxyType({})
# Python objects of any other type, or of several, are told apart by their text alone: times with
# and without an offset, numbers and words.
_PLAIN_OBJECTS = ("string", "floating", "boolean")


def raw_tables(
    tables: AnyTable | Mapping[str, AnyTable],
    columns: Mapping[str, Mapping[str, str]] | None = None,
    segments: Sequence[str] = (),
    written: Mapping[str, WrittenAs] = _AS_EVER,
    rules: Mapping[str, ExcludeRule] = _NO_RULES,
    encoding: str | None = None,
) -> dict[str, RawTable]:
    """Raw tables from frames, paths or globs by table name; one alone is the order lines.

    `columns` maps, per table, our column names to theirs; `segments` names columns of customers
    beside those of the schema; `written` says per table how its text is written, `rules` which rows
    are left out later. What is said of "flat" is of the order lines, if these are a flat table; of
    it "order_lines" may say how it is written, too; `encoding` is that of files that are no UTF-8.
    The frames are not changed.
    `UsageError` for what is neither a frame nor a path; `DataError` for what cannot be read.
    """
    named = tables if isinstance(tables, Mapping) else {"order_lines": tables}
    columns, written = dict(columns or {}), dict(written)
    as_flat, of_flat = columns.pop("flat", {}), written.pop("flat", WrittenAs())
    strangers = sorted(set(columns) - set(named))
    if strangers:
        raise UsageError(f"columns: no such table was given: {', '.join(strangers)}")
    if unknown := sorted(set(written) - set(named)):
        raise UsageError(f"dates, decimal, words: no such table was given: {', '.join(unknown)}")
    raw = {}
    for name, table in named.items():
        parts = read_parts(table, encoding) if isinstance(table, str | Path) else None
        frame = _frame(name, table) if parts is None else parts.frame
        origin = "" if not isinstance(table, str | Path) else str(table)
        theirs, further = columns.get(name, {}), of_table(name, segments)
        ours = to_our_names(name, frame, theirs, further=further)
        how, settings = written.get(name, WrittenAs()), name
        if name == "order_lines" and (as_flat or of_flat != WrittenAs()):
            ours, settings = renamed(ours, as_flat), "flat"
            how = of_flat.over(how)
        ours = as_we_write(name, ours, how, rules)
        mapped = {**theirs, **(as_flat if settings == "flat" else {})}
        notes = () if parts is None else parts.uneven(settings, mapped)
        raw[name] = RawTable(ours, origin=origin, settings=settings, notes=notes)
    return raw


def read(settings: DataSettings) -> dict[str, RawTable]:
    """Frames cannot be named in a config: `UsageError` that says what to do instead."""
    raise UsageError(
        f"data.source: {settings.source} holds tables in memory; pass them to ppi_ml.load(...), or "
        "use data.source: files"
    )


def _frame(name: str, table: object) -> pl.DataFrame:
    if isinstance(table, pl.LazyFrame):
        return table.collect()
    if isinstance(table, pl.DataFrame):
        return table
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return _from_pandas(name, table)
    raise UsageError(
        f"{name}: expected a pandas or polars DataFrame or a path, got {type(table).__name__}"
    )


def _from_pandas(name: str, table: pd.DataFrame) -> pl.DataFrame:
    names = [str(column) for column in table.columns]
    check_names(names, name)
    series = (_series(table.iloc[:, place]) for place in range(len(names)))
    return pl.DataFrame([column.alias(ours) for column, ours in zip(series, names, strict=True)])


def _series(column: pd.Series[Any]) -> pl.Series:
    """One column; the text of its cells where they are Python objects of no plain type."""
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        utc = column.dt.tz_convert("UTC").dt.tz_localize(None)
        naive: pl.Series = pl.from_pandas(utc)
        return naive.dt.replace_time_zone("UTC")
    objects = pd.api.types.is_object_dtype(column) or isinstance(column.dtype, pd.PeriodDtype)
    if not objects or pd.api.types.infer_dtype(column, skipna=True) in _PLAIN_OBJECTS:
        return pl.from_pandas(column, nan_to_null=True)
    empty = column.isna().tolist()
    objects_of = column.tolist()
    pairs = zip(objects_of, empty, strict=True)
    texts = [None if gap else str(cell) for cell, gap in pairs]
    return mixed(texts, [isinstance(cell, str) for cell in objects_of])


SOURCE = Source(
    name="dataframes",
    description="pandas or polars frames in memory, through ppi_ml.load",
    attribution="",
    read=read,
)
