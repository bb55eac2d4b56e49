"""Any shop: a folder with a file per table, or a file, glob or folder of parts for each of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ppi_ml.declare import Source
from ppi_ml.intake import RawTable
from ppi_ml.sources._kit import read_table
from ppi_ml.table_files import left_alone, tables_of

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings


def read(settings: DataSettings) -> dict[str, RawTable]:
    """The tables that lie at `data.path` or that `data.tables` names, with columns renamed to ours.

    `UsageError`, `ConfigError` or `DataError` if one is not there or cannot be read.
    """
    named = tables_of(settings)
    tables = {name: read_table(name, table, settings) for name, table in named.items()}
    place = None if settings.path is None else Path(settings.path).expanduser()
    if place is not None and place.is_dir():
        others = left_alone(place, (table.path for table in named.values()))
        lines = tables["order_lines"]
        tables["order_lines"] = replace(lines, notes=(*lines.notes, *others))
    return tables


SOURCE = Source(
    name="files",
    description="CSV or Parquet: path is a folder with a file per table; else see data.tables",
    attribution="",
    read=read,
)
