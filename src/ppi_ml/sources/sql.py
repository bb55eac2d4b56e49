"""Any database that SQLAlchemy reaches: one query per table, as `data.tables` says.

- `data.url` is an SQLAlchemy URL. A password is never written there but stands in the environment,
  as `${NAME}`; it is put in place when the connection is made, and nothing keeps or prints it.
- All queries run on one connection, and on one state of the data where the database can
  (PostgreSQL, SQLite, MySQL), so that no return comes without its order. Nothing is committed, and
  PostgreSQL and SQLite are told that nothing may be written.
- Rows are streamed: of the rows as the driver gives them only `CHUNK` are held at a time.
- Decimals become text, so that neither money nor a long number of an order loses a digit; UUIDs
  too. Times keep what they are, with or without an offset. A column whose cells are of several
  types becomes text as a whole, and the contract judges every cell; which of them were text is
  kept until the spelling of the table is applied, for only these are written as the shop writes.
- What a driver says of an error may hold a cell. It is repeated where it can only be about the
  connection or the words of the query.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl

from ppi_ml.customer_columns import of_table
from ppi_ml.declare import Source
from ppi_ml.errors import ConfigError, DataError
from ppi_ml.intake import RawTable
from ppi_ml.respelling import MIXED, mixed
from ppi_ml.schema import table_named
from ppi_ml.sources._csv import check_names
from ppi_ml.sources._flat_cells import COLUMNS as FLAT
from ppi_ml.sources._flat_cells import is_flat
from ppi_ml.sources._kit import as_we_write, to_our_names

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import URL

    from ppi_ml.config import DataSettings

CHUNK = 100_000  # rows of Python objects that are held at a time

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_LIKE = "something like postgresql+pg8000://user:${PASSWORD}@host:5432/shop"
_ARGUMENT = re.compile(r"'(\w+)'")
_SNAPSHOTS = ("postgresql", "mysql", "mariadb")
# SQLSTATE classes of errors about connections, names and syntax; others may quote a cell
_ABOUT_WORDS = ("08", "28", "3D", "3F", "42", "57")
_SQLITE_WORDS = ("no such", "near ", "unable to open", "ambiguous column", "unrecognized token")
_TYPES: Mapping[type, pl.DataType] = {
    bool: pl.Boolean(),
    int: pl.Int64(),
    float: pl.Float64(),
    str: pl.String(),
    date: pl.Date(),
}


def read(settings: DataSettings) -> dict[str, RawTable]:
    """The tables that `data.tables` has queries for, with their columns renamed to ours.

    Raises:
        ConfigError: SQLAlchemy or a driver is not installed, or the URL cannot be understood.
        DataError: no connection, a query that fails, or a column of a type that no cell can have.
    """
    target = _target(settings.url or "")
    engine = _engine(target)
    try:
        with _said("data.url: no connection", of_events=False, secret=target.password):
            connection = _read_only(_connected(engine))
        with connection:
            return {name: _table(connection, name, settings) for name in settings.tables}
    finally:
        engine.dispose()


def _table(connection: Connection, name: str, settings: DataSettings) -> RawTable:
    table, origin = settings.tables[name], f"data.tables.{name}.query"
    with _said(origin):
        wanted = partial(_wanted, name, settings)
        frame = _rows(connection, str(table.query), origin, wanted)
    further = of_table(name, settings.segments)
    ours = to_our_names(name, frame, table.columns, table.constants, further)
    ours = as_we_write(name, ours, table.written, settings.exclude, table.constants)
    return RawTable(ours, table.granularity, origin=origin, settings=name)


def _wanted(name: str, settings: DataSettings, names: Sequence[str]) -> frozenset[str]:
    """Of the columns of the query those that will be read; of the others only names are kept."""
    table = settings.tables[name]
    theirs = table.columns.values()
    ruled = (rule.column for rule in settings.exclude.values() if rule.table == name)
    further = of_table(name, settings.segments)
    flat = name == "order_lines" and is_flat((*names, *table.columns, *table.constants))
    unfolded = FLAT if flat else ()  # its other tables come of columns that no order line has
    return frozenset({*theirs, *table_named(name).names, *ruled, *further, *unfolded})


def _engine(target: URL) -> Engine:
    import sqlalchemy

    _refuse_missing_file(target)
    try:
        return sqlalchemy.create_engine(target, poolclass=sqlalchemy.NullPool)
    except sqlalchemy.exc.NoSuchModuleError:
        raise ConfigError(
            f"data.url: SQLAlchemy knows no database called {target.drivername}; expected one of "
            "its dialects, such as postgresql+pg8000, and the package that brings it"
        ) from None
    except ImportError as error:
        raise ConfigError(
            f"data.url: the driver of {target.drivername} is not installed: pip install "
            f"{error.name}, or name another one, as in postgresql+pg8000://"
        ) from None


def _connected(engine: Engine) -> Connection:
    """A connection; `ConfigError` if the driver needs what the URL lacks, such as a user."""
    try:
        return engine.connect()
    except TypeError as error:  # the driver's own function lacks an argument
        lacks = ", ".join(_ARGUMENT.findall(str(error))) or "more than the URL says"
        driver = engine.dialect.driver
        raise ConfigError(
            f"data.url: the driver {driver} needs {lacks}; expected {_LIKE}"
        ) from None


def _target(url: str) -> URL:
    """The URL with every ${NAME} replaced from the environment."""
    try:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise ConfigError(
            "data.source: sql needs SQLAlchemy and the driver of your database; install them, "
            "as in: pip install 'ppi_ml[sql]' pg8000"
        ) from None
    whole = _VARIABLE.fullmatch(url)
    text = _variable(whole[1]) if whole else _filled(url)
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(f"data.url: not an SQLAlchemy URL; expected {_LIKE}") from None


def _filled(url: str) -> str:
    """Names replaced by values; in the account and after the `?` any character may stand there."""
    account, at, place = url.rpartition("@")
    place, mark, options = place.partition("?")

    def plain(found: re.Match[str]) -> str:
        return _variable(found[1])

    def quoted(found: re.Match[str]) -> str:
        return quote(_variable(found[1]), safe="")

    return "".join(
        (
            _VARIABLE.sub(quoted, account) + at,
            _VARIABLE.sub(plain, place) + mark,
            _VARIABLE.sub(quoted, options),
        )
    )


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(f"data.url: the environment variable {name} is not set")
    return value


def _refuse_missing_file(target: URL) -> None:
    """SQLite would make an empty database where there is none."""
    path = target.database or ""
    if target.get_backend_name() != "sqlite" or path in ("", ":memory:") or "file:" in path:
        return
    if not Path(path).is_file():
        raise DataError(f"data.url: {path}: no such SQLite file")


def _read_only(connection: Connection) -> Connection:
    """The same connection, streaming, on one state of the data and without leave to write."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
    # Without parameters a colon or a percent sign in a query is just that.
    options: dict[str, Any] = {
        "stream_results": True,
        "max_row_buffer": CHUNK,
        "no_parameters": True,
    }
    if dialect in _SNAPSHOTS:
        options["isolation_level"] = "REPEATABLE READ"
    if dialect == "postgresql":
        options["postgresql_readonly"] = True
    return connection.execution_options(**options)


def _rows(
    connection: Connection,
    query: str,
    origin: str,
    wanted: Callable[[Sequence[str]], frozenset[str]],
) -> pl.DataFrame:
    with connection.exec_driver_sql(query.strip().rstrip(";")) as result:
        if not result.returns_rows:
            raise DataError(f"{origin}: gives no rows; expected a SELECT")
        names = list(result.keys())
        check_names(names, origin)
        kept = wanted(names)
        read = [place for place, name in enumerate(names) if name in kept]
        chunks: list[list[pl.Series]] = [[] for _ in names]
        height = 0
        for rows in result.partitions(CHUNK):
            height += len(rows)
            for place in read:
                cells = [row[place] for row in rows]
                chunks[place].append(_series(names[place], cells, origin))
    columns = [
        _joined(parts) if parts else pl.Series([None], dtype=pl.Null).new_from_index(0, height)
        for parts in chunks
    ]
    return pl.DataFrame([column.alias(name) for name, column in zip(names, columns, strict=True)])


def _series(name: str, cells: Sequence[object], origin: str) -> pl.Series:
    """The cells of one chunk, of their own type where they have one, else as text."""
    kinds = {type(cell) for cell in cells} - {type(None)}
    if not kinds:
        return pl.Series(cells, dtype=pl.Null)
    aware = {cell.tzinfo is not None for cell in cells if isinstance(cell, datetime)}
    try:
        if kinds == {datetime} and aware == {False}:
            return pl.Series(cells, dtype=pl.Datetime("us"))
        if kinds == {datetime} and aware == {True}:
            utc = [cell.astimezone(UTC) if isinstance(cell, datetime) else None for cell in cells]
            return pl.Series(utc, dtype=pl.Datetime("us", "UTC"))
        if len(kinds) == 1 and (dtype := _TYPES.get(*kinds)) is not None:
            return pl.Series(cells, dtype=dtype)
    except OverflowError:
        pass  # a number of more than 64 bits, or the year 9999 in another zone: as text
    texts = [_text(cell, name, origin) for cell in cells]
    return mixed(texts, [isinstance(cell, str) for cell in cells])


def _text(cell: object, name: str, origin: str) -> str | None:
    match cell:
        case None:
            return None
        case bool():
            return str(cell).lower()
        case str() | int() | float() | uuid.UUID():
            return str(cell)
        case datetime() | date():
            return cell.isoformat()
        case Decimal():
            return format(cell, "f")
    raise DataError(
        f"{origin}: column {name} holds {type(cell).__name__}; expected text, numbers, times or "
        "yes and no: CAST it in the query, or leave it out"
    )


def _joined(parts: Sequence[pl.Series]) -> pl.Series:
    """All chunks of a column; as text where they are of several types."""
    types = {part.dtype for part in parts} - {pl.Null()}
    if len(types) <= 1:
        return pl.concat([part.cast(*types) if types else part for part in parts])
    return pl.concat([_as_mixed(part) for part in parts])


def _as_mixed(part: pl.Series) -> pl.Series:
    if part.dtype == MIXED:
        return part
    text = part.cast(pl.String)
    if isinstance(part.dtype, pl.Datetime):
        offset = "+00:00" if part.dtype.time_zone else ""
        text = part.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.6f{offset}")
    return mixed(text.to_list(), [part.dtype == pl.String] * len(part))


@contextmanager
def _said(where: str, *, of_events: bool = True, secret: object = None) -> Iterator[None]:
    """Errors of the driver as `DataError`, in words that hold neither a cell nor the password."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except DBAPIError as error:
        words = _words(error.orig, of_events)
        if secret:
            words = words.replace(str(secret), "***")
        raise DataError(f"{where}: {words}") from None
    except SQLAlchemyError as error:
        raise DataError(f"{where}: {type(error).__name__}") from None


def _words(error: BaseException | None, of_events: bool) -> str:
    told = error.args[0] if error is not None and error.args else ""
    fields = told if isinstance(told, Mapping) else {}  # as pg8000 has it: C code, M message
    code = fields.get("C") or getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    message = " ".join(str(fields.get("M", told)).split())
    if not of_events or str(code).startswith(_ABOUT_WORDS) or message.startswith(_SQLITE_WORDS):
        return message
    kind = type(error).__name__ + (f", SQLSTATE {code}" if code else "")
    return (
        f"the database refused it ({kind}); its own words may hold a customer's value, so run the "
        "query by hand to read them"
    )


SOURCE = Source(
    name="sql",
    description="any database: data.url, and a query per table, see data.tables",
    attribution="",
    read=read,
)
