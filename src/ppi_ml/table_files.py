"""Which file holds which table: a folder with a file per table, or what a config names."""

from __future__ import annotations

import difflib
from pathlib import Path

from ppi_ml.config import DataSettings, TableSettings
from ppi_ml.errors import ConfigError, UsageError
from ppi_ml.schema import TABLES

SUFFIXES = (".csv", ".parquet")
_LINES, _MOST_NAMED = "order_lines", 5


def holds_tables(folder: Path) -> bool:
    """Whether it is a folder with one file per table, and not the parts of one table."""
    return folder.is_dir() and any(path.stem == _LINES for path in folder.iterdir())


def tables_in(folder: Path) -> dict[str, Path]:
    """Table -> the file, or folder of parts, that bears its name; see `left_alone` for the others.

    `UsageError` if there are no order lines, two files for a table, or a name that is nearly one.
    """
    found: dict[str, Path] = {}
    for path in filter(_may_be_table, sorted(folder.iterdir())):
        if path.stem in found:
            raise UsageError(f"{folder}: two files for the table {path.stem}; keep one of them")
        if path.stem in TABLES:
            found[path.stem] = path
        elif near := difflib.get_close_matches(path.stem, TABLES, n=1, cutoff=0.8):
            raise UsageError(f"{path}: no table has this name. Did you mean {near[0]}?")
    if _LINES not in found:
        raise UsageError(f"{folder}: expected order_lines.csv or order_lines.parquet in there")
    return found


def left_alone(folder: Path) -> tuple[str, ...]:
    """What else lies in a folder with a file per table and is not read, as a note; none if nothing.

    A table in a format that is not read, such as returns.xlsx, would else go missing unseen.
    """
    others = [
        path.name
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and not (_may_be_table(path) and path.stem in TABLES)
    ]
    if not others:
        return ()
    more = f" and {len(others) - _MOST_NAMED:,} more" if len(others) > _MOST_NAMED else ""
    named = ", ".join(others[:_MOST_NAMED])
    return (f"not read, because no table is called so, or it is no CSV or Parquet: {named}{more}",)


def _may_be_table(path: Path) -> bool:
    return path.is_dir() or path.suffix in SUFFIXES


def tables_of(settings: DataSettings) -> dict[str, TableSettings]:
    """The tables of the source `files`, each with its path.

    `data.path` is a folder with a file per table, or the order lines alone; `data.tables` says
    where others lie and what columns are called, also of those in the folder.

    Raises:
        UsageError: the folder is not made of tables.
        ConfigError: a table without a path that is not in the folder either.
    """
    found: dict[str, TableSettings] = {}
    if settings.path is not None:
        place = Path(settings.path).expanduser()
        paths = tables_in(place) if place.is_dir() else {_LINES: place}
        found = {name: TableSettings(path=str(path)) for name, path in paths.items()}
    for name, table in settings.tables.items():
        if table.path is None and name not in found:
            raise ConfigError(
                f"data.tables.{name}: has no path, and {settings.path} holds no {name}.csv or "
                f"{name}.parquet; say where it lies, or leave it out"
            )
        place_of = table.path or found[name].path
        found[name] = table.model_copy(update={"path": place_of})
    return found
