"""The files that events lie in, as DATA names them, and the column that says whose a row is."""

from __future__ import annotations

from pathlib import Path

from ppi_ml import table_files
from ppi_ml.config import Config, DataSettings, TableSettings
from ppi_ml.customer_list import NAMES
from ppi_ml.errors import UsageError
from ppi_ml.row_removal import SUFFIXES
from ppi_ml.schema import TABLES
from ppi_ml.shelf import load_plugins

_FLAT = "flat"


def files_of(data: Path) -> dict[Path, str | None]:
    """The files that hold events of customers, with the column that must say whose a row is.

    None in place of a column: none need be there. `UsageError` for what is no table of ours.

    Args:
        data: a folder of tables, a file, or a config of the sources `files` and `flat`.
    """
    if data.suffix in (".yaml", ".yml"):
        found: dict[Path, str | None] = {}
        config = Config.read(data)
        load_plugins(config.plugins)  # which files of a folder are tables, they say too
        for name, table in _tables(data, config.data).items():
            if table.path is None:
                raise UsageError(f"{data}: {name} is no file; remove the rows where it comes from")
            column = table.columns.get(NAMES[0], NAMES[0])
            found |= dict.fromkeys(_files(Path(table.path).expanduser()), column)
        return found
    if data.is_dir():
        return {file: _needed(file.relative_to(data)) for file in _files(data)}
    if data.is_file() and data.suffix.lower() in SUFFIXES:
        return {data: NAMES[0]}
    raise UsageError(f"{data}: expected a folder of tables, a CSV or Parquet file, or a config")


def _tables(config: Path, settings: DataSettings) -> dict[str, TableSettings]:
    """The tables of customers that a config names; `UsageError` where they are no tables of ours.

    A flat table is one, and so is that of a plug-in.
    """
    if settings.source == "files":
        named = table_files.tables_of(settings)
    elif settings.source == "flat":
        alone = {} if settings.path is None else {_FLAT: TableSettings(path=settings.path)}
        named = {**alone, **settings.tables}
    else:
        raise UsageError(
            f"{config}: events of the source {settings.source} are not rewritten: they are no "
            f"tables with a column {NAMES[0]}. Remove these customers where the events come from; "
            "of a file or folder that does have the column, name the file or folder itself"
        )
    return {
        name: table for name, table in named.items() if name == _FLAT or TABLES[name].of_customers
    }


def _files(path: Path) -> list[Path]:
    """A file, all tables of a folder, or what a glob names; `UsageError` if that is nothing."""
    if path.is_file():
        return [path]
    root = path if path.is_dir() else Path(path.anchor)
    pattern = "**/*" if path.is_dir() else str(path.relative_to(root))
    found = sorted(p for p in root.glob(pattern) if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise UsageError(f"{path}: no such file, no match, or no table in the folder")
    return found


def _needed(place: Path) -> str | None:
    """The column that a file of a folder of tables must have: its name tells what it holds."""
    table = TABLES.get(Path(place.parts[0]).stem)
    return NAMES[0] if table is not None and table.of_customers else None
