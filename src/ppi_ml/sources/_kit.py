"""What several sources need: files to frames, and the shop's column names to ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import polars as pl

from ppi_ml.customer_columns import of_table
from ppi_ml.errors import ConfigError, DataError
from ppi_ml.intake import RawTable
from ppi_ml.respelling import respelled
from ppi_ml.schema import table_named
from ppi_ml.sources import _flat_cells
from ppi_ml.sources._csv import read_csv
from ppi_ml.written_as import WrittenAs

if TYPE_CHECKING:
    from ppi_ml.config import DataSettings, TableSettings
    from ppi_ml.exclude_rule import ExcludeRule

_NO_RULES: Mapping[str, ExcludeRule] = MappingProxyType({})
_PARQUET, _CSV = (".parquet", ".pq"), (".csv", ".tsv", ".txt")
_MOST_NAMED = 3
_NO_COLUMNS = pl.Schema()
_SAY = "say where they lie in the config, or with --set data.path=..."


def lacks_path(source: str, what: str) -> ConfigError:
    """The error of a source without a copy of its own that nobody told where its data lie."""
    return ConfigError(f"data.path: the source {source} needs the path of {what}; {_SAY}")


@dataclass(frozen=True)
class Parts:
    """The rows of all files of a table; `lacking` column of some files -> those without it."""

    frame: pl.DataFrame
    lacking: Mapping[str, frozenset[Path]]

    def uneven(self, table: str, columns: Mapping[str, str]) -> tuple[str, ...]:
        """Notes on columns of a table that are read and that some of the files lack.

        `columns` maps our names to theirs. `DataError` for a column that is required: no row of
        such a file could be used.
        """
        notes = []
        for name, required in _asked(table).items():
            theirs = columns.get(name, name)
            theirs = theirs if theirs in self.frame.columns else theirs.strip()
            files = self.lacking.get(theirs)
            if not files:
                continue
            called = theirs if theirs == name else f"{theirs} ({name})"
            said = f"{table}: {_some(file.name for file in files)}: no column {called}"
            instead = [n for n, without in self.lacking.items() if not without & files]
            others = "other files of the table have it"
            others += f", and not {_some(instead)}" if instead else ""
            if required:
                raise DataError(f"{said}; {others}. Give the column one name in all of them")
            notes.append(f"{said}, so it is {_taken_as(table, name)} there; {others}")
        return tuple(notes)


def _asked(table: str) -> dict[str, bool]:
    """The columns that are read of a table, and whether it must have them."""
    flat = {name: name in _flat_cells.REQUIRED for name in _flat_cells.KINDS}
    if table == "flat":
        return flat
    own = {column.name: column.required for column in table_named(table).columns}
    return {**flat, **own} if table == "order_lines" else own


def _taken_as(table: str, name: str) -> str:
    """What an empty cell of a column is taken for."""
    columns = table_named("order_lines" if table == "flat" else table).columns
    column = next((column for column in columns if column.name == name), None)
    if column is not None and column.kind == "currency":
        return "that of the log"
    return str(column.default) if column is not None and column.fills else "unknown"


def _some(names: Iterable[str]) -> str:
    named = sorted(names)
    more = f" and {len(named) - _MOST_NAMED:,} more" if len(named) > _MOST_NAMED else ""
    return f"{', '.join(named[:_MOST_NAMED])}{more}"


def read_table(name: str, table: TableSettings, settings: DataSettings) -> RawTable:
    """One table of `data.tables` under our names, as the contract writes; it must have a path."""
    parts = read_parts(str(table.path), settings.encoding)
    further = of_table(name, settings.segments)
    frame = to_our_names(name, parts.frame, table.columns, table.constants, further)
    frame = as_we_write(name, frame, table.written, settings.exclude, table.constants)
    notes = parts.uneven(name, table.columns)
    return RawTable(frame, table.granularity, origin=str(table.path), settings=name, notes=notes)


def read_files(path: str | Path, encoding: str | None = None) -> pl.DataFrame:
    """All rows of a file, of a glob such as `orders-*.csv`, or of a (partitioned) folder.

    CSV is read as text, so that ids keep their leading zeros; `encoding` is that of files that are
    no UTF-8. Files are read in the order of their names; parts of a path such as `month=3` become
    columns. `DataError` if nothing can be read.
    """
    return read_parts(path, encoding).frame


def read_parts(path: str | Path, encoding: str | None = None) -> Parts:
    """The same with what some of the files lack."""
    files, root = _files(Path(path).expanduser())
    frames = [_partition(_read_file(file, encoding), file.relative_to(root)) for file in files]
    names = dict.fromkeys(name for frame in frames for name in frame.columns)
    lacking = {
        name: frozenset(f for f, one in zip(files, frames, strict=True) if name not in one.columns)
        for name in names
    }
    try:
        whole = pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{path}: the {len(files)} files do not fit together: one column holds text in one of "
            "them and something else in another"
        ) from error
    return Parts(whole, {name: without for name, without in lacking.items() if without})


def read_columns(
    path: str | Path, types: pl.Schema, optional: pl.Schema = _NO_COLUMNS
) -> pl.DataFrame:
    """These columns, of these types, of one Parquet file; `DataError` naming what does not fit.

    Of the `optional` ones those that are there.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise DataError(f"data.path: {file}: no such file; {_SAY}")
    try:
        found = pl.read_parquet_schema(file)
        missing = [name for name in types if name not in found]
        if missing:
            raise DataError(
                f"{file}: columns {', '.join(missing)} are missing; found: {', '.join(found)}"
            )
        wanted = {**types, **{name: kind for name, kind in optional.items() if name in found}}
        return pl.read_parquet(file, columns=list(wanted)).cast(pl.Schema(wanted))
    except (pl.exceptions.PolarsError, OSError) as error:
        expected = ", ".join(f"{name} {dtype}" for name, dtype in types.items())
        raise DataError(f"{file}: expected Parquet with the columns {expected}") from error


def to_our_names(
    table: str,
    frame: pl.DataFrame,
    columns: Mapping[str, str],
    constants: Mapping[str, str | int | float] | None = None,
    further: Sequence[str] = (),
) -> pl.DataFrame:
    """The frame of a table with the schema's column names.

    `columns` maps our names to theirs; columns that it does not name keep their own. `constants`
    are columns that hold one value everywhere; `further` names columns beside those of the schema.
    `DataError` for names that do not exist.
    """
    ours = (*table_named(table).names, *further)
    for name in (*columns, *(constants or {})):
        if name not in ours:
            raise DataError(f"{table}: columns: {name} is unknown{_near(name, ours)}")
    # blanks around a name are taken off where a file is read
    columns = {n: t if t in frame.columns else t.strip() for n, t in columns.items()}
    for name, theirs in columns.items():
        if theirs not in frame.columns:
            near = _near(theirs, frame.columns)
            raise DataError(f"{table}: columns.{name}: there is no column {theirs}{near}")
    mapped = [pl.col(theirs).alias(name) for name, theirs in columns.items()]
    # A column that bears one of our names without being meant stays visible, among the ignored.
    others = [
        pl.col(name).alias(f"{name} (not mapped)" if name in columns else name)
        for name in frame.columns
        if name not in columns.values()
    ]
    result = frame.select(*mapped, *others)
    for name, value in (constants or {}).items():
        if name in result.columns:
            raise DataError(f"{table}: constants.{name}: the column {name} is there already")
        result = result.with_columns(pl.lit(value).alias(name))
    return result


def as_we_write(
    table: str,
    frame: pl.DataFrame,
    how: WrittenAs,
    rules: Mapping[str, ExcludeRule] = _NO_RULES,
    constants: Iterable[str] = (),
) -> pl.DataFrame:
    """A table with our column names; its times and numbers spelled as the contract reads them.

    `table` is one of the schema, or `flat`; what is called order lines may be the flat table too.
    A column of the shop's own is a number where one of the `rules` compares it with one.
    `constants` are columns that somebody stated, and not as the shop writes.
    """
    kinds: dict[str, str] = {}
    if table in ("flat", "order_lines"):
        kinds |= _flat_cells.KINDS
    if table != "flat":
        kinds |= {column.name: column.kind for column in table_named(table).columns}
    of_rows = "order_lines" if table == "flat" else table
    for rule in rules.values():
        if rule.table == of_rows and rule.values is None:
            kinds.setdefault(rule.column, "number")
    stated = set(constants)
    _check_words(table, how, [name for name in frame.columns if name not in stated])
    return respelled(frame, {name: kinds[name] for name in kinds if name not in stated}, how)


def _check_words(table: str, how: WrittenAs, names: Sequence[str]) -> None:
    """`DataError` for words of a column that is not there, or that it cannot be."""
    columns = () if table == "flat" else table_named(table).columns
    choices = {column.name: column.choices for column in columns if column.choices}
    for name, words in how.words.items():
        if name not in names:
            raise DataError(f"{table}: words: there is no column {name}{_near(name, names)}")
        for ours in words.values():
            if ours and name in choices and ours not in choices[name]:
                raise DataError(
                    f'{table}: words.{name}: "{ours}" is none of {", ".join(choices[name])}'
                )


def _near(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f".{hint} The columns are: {', '.join(names)}"


def _files(path: Path) -> tuple[list[Path], Path]:
    """(files, the folder from which the names of partitions count)."""
    if path.is_file():
        return [path], path.parent
    root = path if path.is_dir() else Path(path.anchor)
    pattern = "**/*" if path.is_dir() else str(path.relative_to(root))
    found = sorted(file for file in root.glob(pattern) if file.is_file())
    # A folder may hold other things too, and hidden copies; a glob names just what is meant.
    files = [file for file in found if _is_part(file, root)] if path.is_dir() else found
    if not files:
        raise DataError(f"{path}: no such file, no match, or no CSV or Parquet file in the folder")
    return files, root


def _is_part(file: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
    return _is_table(file) and not hidden


def _is_table(file: Path) -> bool:
    return file.suffix.lower() in (*_PARQUET, *_CSV)


def _read_file(file: Path, encoding: str | None) -> pl.DataFrame:
    if not _is_table(file):
        raise DataError(f"{file}: expected a name that ends in .csv, .tsv, .txt or .parquet")
    try:
        if file.suffix.lower() in _CSV:
            return read_csv(file, encoding)
        return pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        expected = "CSV" if file.suffix.lower() in _CSV else "Parquet"
        raise DataError(f"{file}: cannot be read as {expected}; it may be damaged") from error


def _partition(frame: pl.DataFrame, file: Path) -> pl.DataFrame:
    pairs = [part.split("=", 1) for part in file.parts[:-1] if "=" in part]
    return frame.with_columns(pl.lit(value).alias(name) for name, value in pairs)
