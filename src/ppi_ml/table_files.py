"""Which file holds which table: a folder with a file per table, or what a config names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from ppi_ml.config import DataSettings, TableSettings
from ppi_ml.errors import ConfigError, UsageError
from ppi_ml.schema import TABLES

SUFFIXES = (".csv", ".parquet")
_LINES, _MOST_NAMED = "order_lines", 5
_NEARLY = 0.8
"""How much of two names must agree for one to be meant by the other."""


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
        elif near := difflib.get_close_matches(path.stem, TABLES, n=1, cutoff=_NEARLY):
            raise UsageError(f"{path}: no table has this name. Did you mean {near[0]}?")
    if _LINES not in found:
        raise UsageError(f"{folder}: expected order_lines.csv or order_lines.parquet in there")
    return found


def left_alone(folder: Path, read: Iterable[str | Path | None] = ()) -> tuple[str, ...]:
    """What else lies in a folder with a file per table and is not read, as a note; none if nothing.

    `read` are the paths of tables that are read beside those that `tables_in` finds. A table in a
    format that is not read, such as returns.xlsx, would else go missing unseen: what looks like one
    is named first, and always.
    """
    known = {Path(path).expanduser().resolve() for path in read if path is not None}
    others = [
        path.name
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".")
        and path.resolve() not in known
        and not (_may_be_table(path) and path.stem in TABLES)
    ]
    if not others:
        return ()
    others.sort(key=_looks_like_table, reverse=True)
    named = max(_MOST_NAMED, sum(map(_looks_like_table, others)))
    more = f" and {len(others) - named:,} more" if len(others) > named else ""
    said = f"not read in {folder}: {', '.join(others[:named])}{more}"
    return (f"{said}; a table is a CSV or Parquet file that bears its name",)


def _looks_like_table(name: str) -> bool:
    """Whether a file's name begins with that of a table, or nearly, whatever its format."""
    stem = name.split(".")[0].lower()
    return bool(difflib.get_close_matches(stem, TABLES, n=1, cutoff=_NEARLY))


def _may_be_table(path: Path) -> bool:
    return not path.name.startswith(".") and (path.is_dir() or path.suffix in SUFFIXES)


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
