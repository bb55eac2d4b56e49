"""Any shop: one CSV or Parquet file, glob or folder per table, as `data.tables` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppi_ml.declare import Source
from ppi_ml.intake import RawTable
from ppi_ml.sources._kit import read_files, to_our_names

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings


def read(settings: DataSettings) -> dict[str, RawTable]:
    """The tables that `data.tables` names, with their columns renamed to ours."""
    tables = {}
    for name, table in settings.tables.items():
        path = str(table.path)  # the config sees to it that there is one
        frame = to_our_names(name, read_files(path), table.columns, table.constants)
        tables[name] = RawTable(frame, granularity=table.granularity, origin=path)
    return tables


SOURCE = Source(
    name="files",
    description="CSV or Parquet: a path, glob or folder per table, see data.tables",
    attribution="",
    read=read,
)
