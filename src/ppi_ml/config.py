"""One training, written down: pydantic models of every section, read from and written to YAML.

A setting comes from, first match wins: `--set tune.trials=50`, the environment
(`PPI_ML_TUNE__TRIALS=50`: two underscores between section and setting), the file, the default.
Relative paths inside a file are relative to the current directory, not to the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ppi_ml import customer_columns, exclude_rule, purchase_types, settings, stated_rates
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.exclude_rule import ExcludeRule
from ppi_ml.instants import parse_days, parse_zone
from ppi_ml.purchase_types import PurchaseType
from ppi_ml.schema import MOST_QUARANTINED, table_named


def _length(value: object, least: int) -> int:
    try:
        days = parse_days(value)  # type: ignore[arg-type]  # it refuses what it cannot read
    except UsageError as error:
        raise ValueError(str(error)) from error
    if days < least:
        raise ValueError(f'expected a length of at least {least}d, got "{days}d"')
    return days


def _days(least: int) -> tuple[object, ...]:
    schema = {"type": ["string", "integer"], "pattern": r"^\d+\s*d(ays?)?$", "minimum": least}
    return (
        BeforeValidator(lambda value: _length(value, least)),
        PlainSerializer(lambda days: f"{days}d", return_type=str),
        WithJsonSchema({**schema, "examples": ["90d"]}),
    )


def _zone(value: object) -> object:
    if isinstance(value, str):
        try:
            parse_zone(value)
        except UsageError as error:
            raise ValueError(str(error)) from error
    return value


def _purchases(value: object) -> object:
    if wrong := purchase_types.problem(value):
        raise ValueError(wrong)
    return purchase_types.checked(value)  # type: ignore[arg-type]  # it has been looked at


def _segments(value: object) -> object:
    if wrong := customer_columns.problem(value):
        raise ValueError(wrong)
    return customer_columns.checked(value)  # type: ignore[arg-type]  # it has been looked at


def _moment(value: object) -> object:
    text = value.isoformat() if isinstance(value, date) else value
    if isinstance(text, str):
        try:
            datetime.fromisoformat(text)
        except ValueError as error:
            message = f'expected a date such as 2011-12-09 or an ISO date and time, got "{text}"'
            raise ValueError(message) from error
    return text


# An SQLAlchemy URL: dialect://user:password@host/database?name=value
_URL = "postgresql+pg8000://user:${PASSWORD}@host/shop"
_VARIABLE = re.compile(r"\$\{\w+\}")
_ACCOUNT = re.compile(r"^[\w+]+://[^:/]*:([^@]*)@")
_SECRETS = re.compile(r"(?i)(?:passw(?:or)?d|pwd|secret|token|api_?key)\w*(?:=|%3D)([^&;%]*)")


def _without_secret(value: object) -> object:
    """A URL in which no password stands: it would go on into run folders, bundles and trackers."""
    if not isinstance(value, str) or _VARIABLE.fullmatch(value):
        return value
    if "://" not in value:
        raise ValueError(f"expected a URL such as {_URL}")
    account = _ACCOUNT.search(value)
    secrets = [*([account[1]] if account else []), *_SECRETS.findall(value)]
    if any(secret and not _VARIABLE.fullmatch(secret) for secret in secrets):
        raise ValueError(
            "a password stands in it, and what stands in a config is written down with every run; "
            "put it into an environment variable and write ${ITS_NAME} in its place"
        )
    return value


Whole = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1)]
Rate = Annotated[Number, Field(gt=0)]
Lag = Annotated[int, *_days(0)]
Length = Annotated[int, *_days(1)]
Zone = Annotated[str, BeforeValidator(_zone)]
Moment = Annotated[str, BeforeValidator(_moment)]
Purchases = Annotated[tuple[PurchaseType, ...], BeforeValidator(_purchases), Field(min_length=1)]
Segments = Annotated[tuple[str, ...], BeforeValidator(_segments)]
Url = Annotated[str, BeforeValidator(_without_secret)]
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80, examples=["churn_online_retail"]),
]
Names = Annotated[tuple[str, ...], Field(min_length=1)]

LAGGED = ("returns", "refunds", "reviews")
"""Tables whose events a flat table may tell of without a time."""


class Section(BaseModel):
    """What all sections share: frozen, no unknown settings, docstrings become descriptions."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )


class TableSettings(Section):
    """Where one table lies and how its columns are called there."""

    path: str | None = None
    """Source files: a file, a glob such as exports/orders-*.csv, or a partitioned folder."""
    query: str | None = None
    """Source sql: the SELECT that gives the rows."""
    columns: dict[str, str] = {}
    """Our column name -> the name in the file or query; columns not named keep theirs."""
    constants: dict[str, str | Whole | Number] = {}
    """Columns that are lacking there and that hold one value everywhere."""
    granularity: Literal["instant", "day"] = "instant"
    """day: the file holds dates without a time, and a day is known when it is over."""


class DataSettings(Section):
    """Where the events come from and how they are read."""

    source: str
    """A name on the sources shelf: online_retail, files ..."""
    path: str | None = None
    """What the source reads; null: the copy that ships, where there is one. Source files: a folder
    with a file per table, each named after its table."""
    url: Url | None = None
    """Source sql: an SQLAlchemy URL; ${NAME} stands for an environment variable."""
    tables: dict[str, TableSettings] = {}
    """The tables of the sources `files`, `sql` and `flat`, by name."""
    timezone: Zone = "UTC"
    """The business zone: days, weekdays and seasons are those of its clock."""
    currency: str | None = None
    """The one currency of the log; null: whatever the currency column holds."""
    rates: dict[str, Rate] = {}
    """Currency -> what one unit is in data.currency, as in {USD: 0.92}; its money is converted."""
    purchases: Purchases = purchase_types.DEFAULT
    """Types of orders that make a purchase: one_off, subscription. Exchanges, replacements and free
    goods never do; a subscription that is none still fills the house."""
    exclude: dict[str, ExcludeRule] = {}
    """Name of a rule -> rows to leave out, counted in the report: a table, a column of it, and
    values, above or below. order_lines takes the order along, customers the customer."""
    segments: Segments = ()
    """Further columns of text of the table customers, such as loyalty_tier and plan, that become
    features as its region does."""
    known_lag: dict[str, Lag] = {}
    """Table -> days after which an event was known, where the table does not say."""
    lags: dict[str, Lag] = {}
    """Flat table: returns, refunds, reviews -> days after the delivery, or after the order where no
    delivery is known, at which these happened where the table does not say when."""
    until: Moment | None = None
    """Pretend that the log ends there: a date (00:00 in the zone) or an instant."""
    keep_months: Count | None = None
    """Drop older events at load, counted in the report; null keeps everything."""
    max_quarantined: Share | dict[str, Share] = MOST_QUARANTINED
    """Share of unusable rows above which loading fails: of every table, or by table, as in
    {order_lines: 0.3}; tables that are not named then have 0.05."""
    max_staleness: Lag = 2
    """How old the last event of a table may be at the cutoff when scoring."""

    @field_validator("max_quarantined")
    @classmethod
    def _only_of_tables(cls, shares: float | dict[str, float]) -> float | dict[str, float]:
        for name in shares if isinstance(shares, dict) else ():
            try:
                table_named(name)
            except DataError as error:
                raise ValueError(str(error)) from error
        return shares

    @field_validator("rates")
    @classmethod
    def _rates_into_the_currency(
        cls, rates: dict[str, float], info: ValidationInfo
    ) -> dict[str, float]:
        known = "currency" in info.data  # absent where it was wrong itself
        if known and (wrong := stated_rates.problem(rates, info.data["currency"])):
            raise ValueError(wrong)
        return rates

    @field_validator("exclude")
    @classmethod
    def _rules_that_can_be_shown(cls, rules: dict[str, ExcludeRule]) -> dict[str, ExcludeRule]:
        exclude_rule.check_names(rules)
        return rules

    @field_validator("lags")
    @classmethod
    def _only_where_a_time_may_lack(cls, lags: dict[str, int]) -> dict[str, int]:
        if strange := sorted(set(lags) - set(LAGGED)):
            raise ValueError(f'expected {", ".join(LAGGED)}, got "{strange[0]}"')
        return lags

    @model_validator(mode="after")
    def _the_flat_table_has_one_place(self) -> Self:
        stated = self.tables.get("flat")
        mapped = stated.path if stated else None
        if self.source == "flat" and (self.path is None) == (mapped is None):
            raise ValueError(
                "source flat needs the path of its table: data.path, or data.tables.flat.path "
                "where columns have other names"
            )
        return self

    @model_validator(mode="after")
    def _tables_have_a_place(self) -> Self:
        place = {"files": "path", "sql": "query"}.get(self.source)
        if place is None:
            return self
        if self.source == "files" and self.path is not None:
            return self  # its files say which tables there are
        if self.source == "sql" and not self.url:
            raise ValueError(f"source sql needs data.url, such as {_URL}")
        folder = "data.path, a folder with a file per table, or "
        either = folder if self.source == "files" else ""
        for name in ("order_lines", *self.tables):
            table = self.tables.get(name)
            if table is None or getattr(table, place) is None:
                raise ValueError(
                    f"source {self.source} needs {either}data.tables.{name} with a {place}"
                )
        return self


class NudgeSettings(Section):
    """When to remind a customer of a product that is about to run out."""

    quantile: Annotated[Number, Field(gt=0, lt=1)] = 0.5
    """The run-out date to be in time for: 0.5 is the median, 0.1 an early one."""
    delivery: Lag = 2
    """Days from order to delivery."""
    channel: Lag = 1
    """Days from the message to the order."""


class TargetSettings(Section):
    """What is predicted."""

    name: str
    """A name on the targets shelf, such as churn or repurchase."""
    horizon: Length = 90
    """The question is asked about [cutoff, cutoff + horizon)."""
    active_within: Length = 180
    """Eligible are customers, or pairs, with a purchase in so many days before the cutoff."""
    window: Length = 7
    """Width of the best window; at most the horizon, also where it is not given."""
    product: str = "sku"
    """Pairs only: what a product is: sku, or a column of the table products such as category."""
    group: str | None = "auto"
    """Pairs only: the column of products that a product falls back to; auto: category for a sku,
    category_group for a category, else none; null: none."""
    least_purchases: Count = 1
    """Pairs only: how often a customer must have bought a product to be asked about it."""
    nudge: NudgeSettings = NudgeSettings()
    """Pairs only: when to remind."""

    @field_validator("window")
    @classmethod
    def _within_the_horizon(cls, window: int, info: ValidationInfo) -> int:
        horizon = info.data.get("horizon", window)  # absent where it was wrong itself
        if window > horizon:
            raise ValueError(f'expected at most the horizon of {horizon}d, got "{window}d"')
        return window

    @model_validator(mode="after")
    def _default_within_the_horizon(self) -> Self:
        # frozen for everybody else; only a default can still be wider here
        object.__setattr__(self, "window", min(self.window, self.horizon))
        return self


class FeatureSettings(Section):
    """What the model may look at."""

    families: Literal["all"] | Names = "all"
    """Names on the features shelf; all: the whole shelf (columns of absent tables are null)."""
    windows: Annotated[tuple[Length, ...], Field(min_length=1)] = (30, 90, 180, 365)
    """Windows before the cutoff over which events are counted and summed; each once."""

    @field_validator("windows")
    @classmethod
    def _each_once(cls, windows: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(windows)) < len(windows):
            raise ValueError("expected every window once")
        return windows


class FoldSettings(Section):
    """Which cutoffs train and which test."""

    every: Length = 30
    """Distance between training cutoffs."""
    train_cutoffs: Count = 24
    """At most so many training cutoffs."""
    test_cutoffs: Count = 2
    """At least so many test cutoffs, later than all training cutoffs."""
    settling: Lag | None = None
    """Days until the events of a day are known; null: measured, 99 % of the order lines."""


class TreeSettings(Section):
    """The trees to start from; tuning keeps them unless something beats them."""

    num_leaves: Annotated[Whole, Field(ge=2)] = 6
    """Leaves of one tree."""
    learning_rate: Annotated[Number, Field(gt=0, le=1)] = 0.05
    """Shrinkage of each tree."""
    min_data_in_leaf: Count = 300
    """Rows that a leaf must hold."""
    lambda_l2: Annotated[Number, Field(ge=0)] = 30.0
    """L2 penalty on leaf values."""


class ModelSettings(Section):
    """How the model is built."""

    stages: Literal["auto", "process", "process+glm", "process+glm+trees"] = "auto"
    """Curves only. auto: what the log is large enough for, unless a simpler is surely better."""
    processes: Annotated[
        tuple[Literal["mbg_nbd", "bg_nbd", "pareto_nbd", "gaps"], ...], Field(min_length=1)
    ] = ("mbg_nbd", "bg_nbd", "pareto_nbd", "gaps")
    """Curves of customers only: purchase processes that feed the first stage."""
    season: Literal["auto", "off"] = "auto"
    """Curves only. auto: a seasonal term where the history is long enough for one."""
    members: Literal["auto", "staged", "staged+cox+newest"] = "auto"
    """Curves only: those that are averaged; auto: all, on small logs staged and processes."""
    max_rows: Annotated[Whole, Field(ge=1000)] = 450_000
    """Person-intervals above which rows (customer, cutoff) are sampled, whole and by hash."""
    max_customers: Count = 50_000
    """Curves only: customers above which some are drawn, by hash, to learn from and to be judged
    on; everybody is scored."""
    trees: TreeSettings = TreeSettings()
    """Settings of the tree stage."""


class TuneSettings(Section):
    """The search for tree settings."""

    trials: Count = 20
    """Trials, the settings of model.trees included."""
    minutes: Annotated[Number, Field(gt=0)] | None = None
    """Stop after so many minutes; null: never, and the result repeats."""
    objective: Literal["auto", "log_loss", "ibs"] = "auto"
    """What the search minimises on forward folds; auto: the target's own loss."""
    workers: Count = 1
    """Trials at the same time; only 1 repeats exactly."""


class EngineSettings(Section):
    """What the work runs on."""

    kind: Literal["local"] = "local"
    """local: this machine."""
    threads: Count = 2
    """Threads at the same time."""
    memory: Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s?[MG]B$", examples=["4GB"])] = "4GB"
    """Memory to stay within, such as 4GB."""


class TrackingSettings(Section):
    """Where runs are recorded besides their folder."""

    kind: Literal["mlflow", "none"] = "mlflow"
    """none: only the run folder."""
    uri: str | None = None
    """null: MLFLOW_TRACKING_URI, else the sqlite store mlruns/mlflow.db."""


class OutputSettings(Section):
    """Where run folders are written."""

    folder: str = "mlruns/runs"
    """The folder that holds one folder per run."""


class Config(Section):
    """A whole training. Only `data` and `target` are required."""

    version: Literal[1] = 1
    """Version of this format."""
    name: Name = "run"
    """Names run folder, MLflow experiment and model; default: the target's name."""
    seed: Annotated[Whole, Field(ge=0, le=2**31 - 1)] = 7
    """Every random draw follows from it."""
    data: DataSettings
    """Where the events come from."""
    plugins: tuple[str, ...] = ()
    """Paths of your own files that hold a FAMILY, TARGET, BASELINE or SOURCE."""
    target: TargetSettings
    """What is predicted."""
    features: FeatureSettings = FeatureSettings()
    """What the model may look at."""
    folds: FoldSettings = FoldSettings()
    """Which cutoffs train and which test."""
    model: ModelSettings = ModelSettings()
    """How the model is built."""
    tune: TuneSettings = TuneSettings()
    """The search for tree settings."""
    baselines: Literal["auto"] | tuple[str, ...] = "auto"
    """auto: the target's own list; else names on the baselines shelf."""
    engine: EngineSettings = EngineSettings()
    """What the work runs on."""
    tracking: TrackingSettings = TrackingSettings()
    """Where runs are recorded besides their folder."""
    output: OutputSettings = OutputSettings()
    """Where run folders are written."""

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_target(cls, values: object) -> object:
        if isinstance(values, Mapping) and "name" not in values:
            target = values.get("target")
            if isinstance(target, Mapping) and "name" in target:
                return {**values, "name": target["name"]}
        return values

    @classmethod
    def read(
        cls,
        source: str | Path | Mapping[str, Any] | None = None,
        sets: Mapping[str, object] | Iterable[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> Config:
        """The config of a YAML file, a dict, or of settings alone.

        Args:
            source: path of a YAML file, a nested dict, or None for an empty one.
            sets: overrides, as `{"tune.trials": 50}` or as `["tune.trials=50"]`.
            environ: where `PPI_ML_*` is looked up; None: the process's own environment.

        Raises:
            ConfigError: one line per wrong setting: file, path, what was expected and found.
        """
        schema = json_schema()
        values = settings.read_mapping(source)
        found = settings.from_environment(os.environ if environ is None else environ, schema)
        for path, (_, value) in found.items():
            settings.assign(values, path, value)
        for path, value in settings.from_sets(sets):
            settings.assign(values, path, value)
            found.pop(path, None)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            prefix = f"{source}: " if isinstance(source, str | Path) else ""
            lines = settings.explain(error.errors(), values, schema)
            origins = {
                path: f" ({variable} in the environment)" for path, (variable, _) in found.items()
            }
            raise ConfigError(
                "\n".join(prefix + line + origins.get(line.split(":")[0], "") for line in lines)
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """Every setting, defaults included, as JSON-able values; lengths as "90d"."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """Every setting, defaults included; `Config.read` of it gives the same config."""
        return settings.write(self.to_dict())


def json_schema() -> dict[str, Any]:
    """The JSON schema of a config file, for editors and for the messages of `Config.read`."""
    schema = Config.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
