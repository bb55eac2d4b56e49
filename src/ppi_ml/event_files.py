"""The files that events lie in, as DATA names them, and the column that says whose a row is."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ppi_ml import table_files
from ppi_ml.config import Config, DataSettings, TableSettings
from ppi_ml.customer_list import NAMES
from ppi_ml.errors import DataError, UsageError
from ppi_ml.row_removal import SUFFIXES, columns_of
from ppi_ml.schema import TABLES, Table
from ppi_ml.shelf import load_plugins

_FLAT, _EXAMPLE = "flat", "order_lines"
_TRUTH = "truth.json"
"""`ppi-ml simulate` writes it beside tables that no shop has, of customers that it invents."""
_NO_DATA = (".yaml", ".yml", ".png", ".svg", ".lock")


@dataclass(frozen=True)
class EventFiles:
    """The tables that DATA names, and what else lies beside them.

    `columns`: file -> the column that must say whose a row is, None where none need be there;
    `others`: what lies in the same folder and is of no kind that is read; `folder`: where names
    of files say which tables they are, None where a config or a single file says it.
    """

    columns: Mapping[Path, str | None]
    others: tuple[Path, ...] = ()
    folder: Path | None = None

    def check(self, looked_into: Container[Path]) -> None:
        """`DataError` if not one file of the folder could be looked into: nobody was searched."""
        if self.folder is not None and not any(path in looked_into for path in self.columns):
            raise DataError(
                f"{self.folder}: none of its {len(self.columns):,} tables was looked into, and "
                "nothing was done: no file is called as a table of customers is, such as "
                f"{_EXAMPLE}.csv (ppi-ml schema lists them), and none has a column {NAMES[0]}. "
                "Name the files after their tables, or give --data a config whose data.tables say "
                f"where each lies and how its column is called, such as {_EXAMPLE}: {{path: "
                f"FILE, columns: {{{NAMES[0]}: YOUR_COLUMN}}}}"
            )


def files_of(data: Path) -> EventFiles:
    """The files that hold events of customers; `UsageError` for what is no table of ours.

    Args:
        data: a folder of tables, a file, or a config of the sources `files` and `flat`.
    """
    if data.suffix in (".yaml", ".yml"):
        return _of_config(data)
    if data.is_dir():
        columns = {file: _needed(file.relative_to(data)) for file in _files(data)}
        return EventFiles(columns, _others(data, columns), data)
    if data.is_file() and data.suffix.lower() in SUFFIXES:
        return EventFiles({data: NAMES[0]})
    raise UsageError(f"{data}: expected a folder of tables, a CSV or Parquet file, or a config")


def holds_nobody(path: Path, *, by_name: bool) -> bool:
    """Whether a table without a column of customers is empty, or one of ours that never has any.

    Args:
        path: a table in which `row_removal.search` found no such column.
        by_name: it lies in a folder of events, where its name says which table it is; elsewhere
            its columns must be those of that table, too.
    """
    names, table = columns_of(path), _table_of(path)
    if table is not None and not table.of_customers and (by_name or set(names) <= {*table.names}):
        return True
    return not names or (path.parent / _TRUTH).is_file()


def _table_of(path: Path) -> Table | None:
    """The table that a file, or the folder of its parts, is called after."""
    return TABLES.get(path.stem) or TABLES.get(path.parent.name)


def _of_config(data: Path) -> EventFiles:
    columns: dict[Path, str | None] = {}
    config = Config.read(data)
    load_plugins(config.plugins)  # which files of a folder are tables, they say too
    for name, table in _tables(data, config.data).items():
        if table.path is None:
            raise UsageError(f"{data}: {name} is no file; remove the rows where it comes from")
        column = table.columns.get(NAMES[0], NAMES[0])
        columns |= dict.fromkeys(_files(Path(table.path).expanduser()), column)
    folder = Path(config.data.path or "").expanduser()
    is_folder = config.data.path is not None and folder.is_dir()
    return EventFiles(columns, _others(folder, columns) if is_folder else ())


def _others(folder: Path, tables: Iterable[Path]) -> tuple[Path, ...]:
    """What else lies in a folder of events and may hold customers, in whatever format."""
    named = {path.resolve() for path in tables}
    return tuple(
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.resolve() not in named
        and not _of_nobody(path.relative_to(folder))
    )


def _of_nobody(place: Path) -> bool:
    hidden = any(part.startswith(".") for part in place.parts)
    table = _table_of(place)
    of_things = table is not None and not table.of_customers
    return hidden or of_things or place.name == _TRUTH or place.suffix.lower() in _NO_DATA


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
