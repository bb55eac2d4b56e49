"""Events in: from frames and paths in Python, from a config, a file or a folder at the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ppi_ml import customer_columns, purchase_types, written_as
from ppi_ml.config import LAGGED, Config, DataSettings, TableSettings
from ppi_ml.data_section import known_encoding
from ppi_ml.declare import Source
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.exclude_rule import ExcludeRule
from ppi_ml.instants import Cutoff, parse_days
from ppi_ml.schema import MOST_QUARANTINED, table_named
from ppi_ml.settings import from_sets, write
from ppi_ml.shelf import Plugin, load_plugins, shelf
from ppi_ml.table_files import SUFFIXES, holds_tables, left_alone, tables_in

if TYPE_CHECKING:
    from ppi_ml.events import EventLog
    from ppi_ml.sources.dataframes import AnyTable


def load(
    tables: AnyTable | Mapping[str, AnyTable],
    *,
    columns: Mapping[str, Mapping[str, str]] | Mapping[str, str] | None = None,
    timezone: str | None = None,
    currency: str | None = None,
    known_lag: Mapping[str, str | int] | None = None,
    lags: Mapping[str, str | int] | None = None,
    until: object = None,
    max_quarantined: float | Mapping[str, float] = MOST_QUARANTINED,
    now: object = None,
    purchases: Sequence[str] = purchase_types.DEFAULT,
    exclude: Mapping[str, Mapping[str, object]] | None = None,
    segments: Sequence[str] = (),
    rates: Mapping[str, float] | None = None,
    dates: Mapping[str, str | Sequence[str]] | str | Sequence[str] | None = None,
    decimal: Mapping[str, written_as.Decimal] | written_as.Decimal | None = None,
    words: Mapping[str, written_as.Words] | written_as.Words | None = None,
    encoding: str | None = None,
    plugins: str | Path | Sequence[str | Path] = (),
) -> EventLog:
    """A validated log from frames or files; `.report` says what became of every row.

    Args:
        tables: table name -> pandas or polars frame, path or glob; one alone is the order lines,
            or the flat table, told by its columns. A folder that holds order_lines and other
            tables, a file (or folder) each, is all of them. With one alone `columns`, `dates`,
            `decimal` and `words` may leave out the name of the table.
        columns: table name -> our column name -> theirs; what is not named keeps its name. Those of
            a flat table stand under "flat".
        timezone: the business zone, such as "Europe/Berlin"; None: UTC.
        currency: the one currency, such as "EUR"; None: what the currency column says.
        known_lag: table name -> days ("2d") after which a row without known_at was known.
        lags: flat table only: returns, refunds, reviews -> days ("14d") after the delivery, or
            after the order where no delivery is known, at which these happened where the table
            does not say when.
        until: pretend that the log ends there: a date, or an instant.
        max_quarantined: share of unusable rows (0 to 1) above which loading fails, for all tables
            or by name; a table that is not named has the usual share.
        now: the present instant, after which (and a day of grace) nothing can have occurred; None:
            by the clock of this machine.
        purchases: types of orders that make a purchase: "one_off", "subscription", or both.
        exclude: name of a rule -> which rows to leave out, such as {"test orders": {"table":
            "order_lines", "column": "Tags", "values": ["test"]}}; counted in the report.
        segments: further columns of text of customers, such as ["loyalty_tier"], that become
            features as its region does.
        rates: other currency -> what one unit of it is in `currency`, such as {"USD": 0.92}, by
            which money is converted; counted in the report.
        dates: table name -> how its text writes dates and times, where it is not ISO: "%d.%m.%Y",
            or several formats, of which the first that fits a cell reads it.
        decimal: table name -> the decimal sign of its text, "," or "."; the other one, a space or
            an apostrophe then group thousands.
        words: table name -> our column -> a word of the shop -> ours, such as {"products":
            {"consumable": {"ja": "yes", "nein": "no"}}}; other words stay what they are.
        encoding: that of CSV files that are no UTF-8, such as "cp1252"; None: refuse them.
        plugins: a file of your own whose `TABLE` is a further table, or several.

    Raises:
        ConfigError: a plug-in that cannot be used.
        DataError: the tables break their contract; the message says where and how to mend it.
        UsageError: a table, zone, share, date, type of purchase, rule or rate that cannot be
            understood.
    """
    from ppi_ml.events import load_tables
    from ppi_ml.sources import flat
    from ppi_ml.sources.dataframes import raw_tables

    load_plugins(plugins)
    others: tuple[str, ...] = ()
    if isinstance(tables, str | Path) and holds_tables(Path(tables)):
        others, tables = left_alone(Path(tables)), dict(tables_in(Path(tables)))
    if isinstance(tables, Mapping) and "order_lines" not in tables:
        raise UsageError('tables: expected {"order_lines": ..., ...}; order_lines is missing')
    if strange := sorted(set(lags or {}) - set(LAGGED)):
        raise UsageError(f'lags: expected {", ".join(LAGGED)}, got "{strange[0]}"')
    stated = {name: parse_days(lag) for name, lag in (lags or {}).items()}
    known = {name: parse_days(lag) for name, lag in (known_lag or {}).items()}
    by_table: dict[str, Any] = {
        "columns": columns,
        "dates": dates,
        "decimal": decimal,
        "words": words,
    }
    if not isinstance(tables, Mapping):
        by_table = _of_lines(**by_table)
    _check_columns(by_table["columns"])
    try:
        written = written_as.checked(by_table["dates"], by_table["decimal"], by_table["words"])
    except ValueError as error:
        raise UsageError(str(error)) from None
    rules = _rules({} if exclude is None else exclude)
    found = raw_tables(
        tables, by_table["columns"], customer_columns.checked(segments), written, rules,
        _encoding(encoding),
    )  # fmt: skip
    lines = found["order_lines"]
    found["order_lines"] = replace(lines, notes=(*lines.notes, *others))
    raw = flat.unfolded(found, timezone or "UTC", stated, rules)
    said = {"lags": stated} | {
        f'{name}["flat"]': (given or {}).get("flat") for name, given in by_table.items()
    }
    if raw is found and (of_flat := [name for name, value in said.items() if value]):
        raise UsageError(
            f"{', '.join(of_flat)}: for a flat table; these order lines are none: a flat "
            "table has order_timestamp and no occurred_at"
        )
    zone = timezone or "UTC"
    return load_tables(
        raw, timezone=zone, currency=currency, known_lag=known, until=until,
        max_quarantined=max_quarantined, now=_present(now, zone), caller="load",
        purchases=purchases, exclude=rules, segments=segments,
        rates={} if rates is None else rates,
    )  # fmt: skip


def _of_lines(columns: Any, dates: Any, decimal: Any, words: Any) -> dict[str, Any]:  # noqa: ANN401
    """Settings by table, where they were given of the one table there is without its name."""
    if isinstance(columns, Mapping) and all(isinstance(name, str) for name in columns.values()):
        of_flat = not set(columns) <= {*table_named("order_lines").names}
        columns = {"flat" if of_flat else "order_lines": columns} if columns else columns
    if dates is not None and not isinstance(dates, Mapping):
        dates = {"order_lines": dates}
    if isinstance(decimal, str):
        decimal = {"order_lines": decimal}
    if isinstance(words, Mapping) and not any(
        isinstance(ours, Mapping) for of in words.values() if isinstance(of, Mapping)
        for ours in of.values()
    ):  # fmt: skip
        words = {"order_lines": words} if words else words
    return {"columns": columns, "dates": dates, "decimal": decimal, "words": words}


def _check_columns(columns: object) -> None:
    """`UsageError` for names of columns that are no text, or not by table."""
    by_table = {} if columns is None else columns
    said = [by_table]
    if isinstance(by_table, Mapping):
        pairs = [of.items() if isinstance(of, Mapping) else [(of,)] for of in by_table.values()]
        said = [*by_table, *(name for of in pairs for pair in of for name in pair)]
    if not all(isinstance(name, str) for name in said) or isinstance(by_table, str):
        raise UsageError(
            'columns: expected table -> our column -> theirs, as in {"order_lines": '
            '{"customer_id": "Kunde"}}'
        )


def load_log(
    settings: DataSettings,
    plugins: Sequence[Plugin] = (),
    now: object = None,
    *,
    spare: bool = False,
) -> EventLog:
    """The log that a config's data section describes.

    Args:
        settings: source, path or tables, zone, currency, lags and limits.
        plugins: a user's own files, among which the source may be.
        now: as in `load`.
        spare: whether columns of `data.segments` may be lacking, as they may when scoring.

    Raises:
        DataError: the events break their contract.
        ConfigError: there is no such source, or it does not read `data.tables`.
    """
    from ppi_ml.events import load_tables
    from ppi_ml.sources import flat

    source = cast(Source, shelf("ppi_ml.sources", "SOURCE", plugins)[settings.source])
    if settings.tables and not source.takes_tables:
        raise ConfigError(
            f"data.tables.{next(iter(settings.tables))}: the source {source.name} reads one known "
            "layout, and nothing of data.tables; leave it out, or read files of another layout "
            "with data.source: files"
        )
    raw = dict(source.read(settings))
    if "order_lines" not in raw:
        raise DataError(f"the source {settings.source} gives no order_lines")
    return load_tables(
        flat.unfolded(raw, settings.timezone, settings.lags, settings.exclude),
        timezone=settings.timezone,
        currency=settings.currency,
        known_lag=settings.known_lag,
        until=settings.until,
        keep_months=settings.keep_months,
        max_quarantined=settings.max_quarantined,
        now=_present(now, settings.timezone),
        purchases=settings.purchases,
        exclude=settings.exclude,
        segments=customer_columns.there(raw, settings.segments) if spare else settings.segments,
        rates=settings.rates,
    )


def _rules(given: object) -> dict[str, ExcludeRule]:
    """Rules by name, of plain values or made already; `UsageError` with all that is wrong."""
    plain = given
    if isinstance(given, Mapping):
        known = (Mapping, ExcludeRule)
        plain = {name: dict(r) if isinstance(r, known) else r for name, r in given.items()}
    data = {"source": "dataframes", "exclude": plain}
    try:
        return Config.read({"data": data, "target": {"name": "churn"}}, environ={}).data.exclude
    except ConfigError as error:
        raise UsageError(str(error).replace("data.exclude", "exclude")) from None


def _present(now: object, zone: str) -> Cutoff:
    """The instant that is stated, or that of the clock of this machine."""
    return Cutoff.now(zone) if now is None else Cutoff.parse(now, zone)


def _encoding(name: str | None) -> str | None:
    """The encoding; `UsageError` if Python knows none of that name."""
    try:
        return cast("str | None", known_encoding(name))
    except ValueError as error:
        raise UsageError(f"encoding: {error}") from None


def load_demo() -> EventLog:
    """The log that ships with the package: Online Retail II, a UK gift shop, 2009 to 2011."""
    return load_log(Config.read(demo_config(), environ={}).data)


def demo_config() -> Path:
    """The config of the demo: inside an installed package, in configs/ of a checkout."""
    package = Path(__file__).parent
    installed = package / "data" / "demo.yaml"
    return installed if installed.exists() else package.parents[1] / "configs" / "demo.yaml"


def data_settings(
    path: str | Path, like: DataSettings | None = None, sets: Sequence[str] = ()
) -> DataSettings:
    """How to read DATA: a config's data section, one file, or a folder with a file per table.

    Args:
        path: a .yaml config; a CSV or Parquet file of order lines, or the flat table; or a folder
            that holds order_lines.csv (or .parquet, or a folder of that name) and other tables
            likewise.
        like: settings that a bare file or folder takes over, such as zone and currency.
        sets: settings of the data section that stand above all others, such as
            "data.timezone=Europe/Berlin".

    Raises:
        UsageError: there is nothing at that path, nothing that is understood, or a setting of
            another section.
        ConfigError: a setting that cannot be.
    """
    path = Path(path)
    changed = [name for name, _ in from_sets(sets)]
    for name in changed:
        if not name.startswith("data."):
            raise UsageError(f"--set {name}: only data is read here; expected one of data.*")
    if _is_config(path):
        return Config.read(path, sets).data
    found = _bare(path, like)
    for name in changed:
        if name in ("data.path", "data.source"):
            raise UsageError(f"--set {name}: {path} says it already; name the other file or folder")
    return _changed(found, sets) if sets else found


def _is_config(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml")


def _bare(path: Path, like: DataSettings | None) -> DataSettings:
    """How to read a file or a folder."""
    if path.is_dir():
        return _folder(path, like)
    if path.is_file() and path.suffix in SUFFIXES:
        return _file(path, like)
    problem = "expected a .yaml, .csv or .parquet file" if path.exists() else "no such file"
    raise UsageError(f"{path}: {problem}, or a folder with one file per table")


def _changed(settings: DataSettings, sets: Sequence[str]) -> DataSettings:
    """Settings of no config with others above them."""
    whole = {"data": settings.model_dump(mode="json"), "target": {"name": "churn"}}
    return Config.read(whole, sets, environ={}).data


def check_config(path: str | Path) -> None:
    """`ConfigError` if events lie where a config is expected; it holds a config to start from."""
    path = Path(path)
    if not (path.is_dir() or (path.is_file() and path.suffix in SUFFIXES)):
        return
    try:
        example = _config_for(path)
    except UsageError as error:
        configs = sorted(path.glob("*.yaml"))
        near = configs[0] if configs else "configs/churn.yaml"
        raise ConfigError(
            f"{path}: a folder; expected a config such as {near} ({error})"
        ) from error
    raise ConfigError(
        f"{path}: these are events; expected a config, which says where they lie and what to "
        f"predict from them. Write this one as churn.yaml:\n\n{example}\n"
        "and run: ppi-ml train churn.yaml\n"
        "Any setting can be changed there, or with --set data.timezone=Europe/Berlin; all of them: "
        "ppi-ml schema config"
    )


def _config_for(path: Path) -> str:
    """The YAML of a config that trains churn on a file, or on a folder with a file per table."""
    found = data_settings(path)
    data = {"source": found.source, "path": str(path), "timezone": found.timezone}
    return write({"data": data, "target": {"name": "churn"}})


def plugins_of(path: str | Path, sets: Sequence[str] = ()) -> tuple[Plugin, ...]:
    """The plug-ins that DATA asks for: those of a config, none of a file or folder.

    The arguments are those of `data_settings`.
    """
    return load_plugins(Config.read(path, sets).plugins) if _is_config(Path(path)) else ()


def log_as_trained(path: str | Path, trained: DataSettings, sets: Sequence[str] = ()) -> EventLog:
    """The events of DATA for a model that was trained with those settings of the data.

    The other arguments are those of `data_settings`.
    """
    settings = data_settings(path, trained, sets)
    settings = settings.model_copy(update={"segments": trained.segments})
    return load_log(settings, plugins_of(path, sets), spare=True)


def _file(path: Path, like: DataSettings | None) -> DataSettings:
    """Settings of one file; a flat table is known by its columns, or by the names `like` maps."""
    mapped = like.tables.get("flat") if like else None
    if like is None or mapped is None:
        return _of_files(like, None, {"order_lines": str(path)})
    tables = {"flat": mapped.model_copy(update={"path": str(path)})}
    return like.model_copy(update={"source": "flat", "tables": tables, "until": None})


def _folder(path: Path, like: DataSettings | None) -> DataSettings:
    """How to read a folder with a file per table."""
    return _of_files(like, str(path), dict.fromkeys(tables_in(path)))


def _of_files(
    like: DataSettings | None, folder: str | None, paths: Mapping[str, str | None]
) -> DataSettings:
    """Settings of the source `files`: a folder, or the path of every table.

    Column names and constants stay as `like` has them.
    """
    before = like.tables if like else {}
    tables = {
        name: before.get(name, TableSettings()).model_copy(update={"path": path})
        for name, path in paths.items()
        if name in before or path is not None
    }
    if like is None:
        return DataSettings(source="files", path=folder, tables=tables)
    update = {"source": "files", "path": folder, "tables": tables, "until": None}
    return like.model_copy(update=update)
