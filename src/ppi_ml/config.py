"""One training, written down: pydantic models of every section, read from and written to YAML.

A setting comes from, first match wins: `--set tune.trials=50`, the environment
(`PPI_ML_TUNE__TRIALS=50`: two underscores between section and setting), the file, the default.
Relative paths inside a file are relative to the current directory, not to the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from ppi_ml import settings
from ppi_ml.data_section import LAGGED, DataSettings, TableSettings
from ppi_ml.errors import ConfigError
from ppi_ml.section import Count, Lag, Length, Number, Section, Whole, of_plugins

__all__ = [
    "LAGGED",
    "Config",
    "DataSettings",
    "EngineSettings",
    "FeatureSettings",
    "FoldSettings",
    "ModelSettings",
    "NudgeSettings",
    "OutputSettings",
    "Section",
    "TableSettings",
    "TargetSettings",
    "TrackingSettings",
    "TreeSettings",
    "TuneSettings",
    "json_schema",
]

Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=80, examples=["churn_online_retail"]),
]
Names = Annotated[tuple[str, ...], Field(min_length=1)]


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
    train_cutoffs: Count = 60
    """At most so many training cutoffs. Those beyond 24 are of customers alone, lie twice as far
    apart, and are fewer where a shop has more than 20,000 customers to learn from.
    """
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
    """Curves only. auto: a seasonal term, and what a customer bought a year ago, where the history
    is long enough; off: neither."""
    members: Literal["auto", "staged", "staged+cox+newest"] = "auto"
    """Curves only: those that are averaged; auto: all (of pairs staged alone), on small logs staged
    and processes."""
    max_rows: Annotated[Whole, Field(ge=1000)] = 450_000
    """Person-intervals above which rows (customer, cutoff) and, with fewer than a quarter of them
    left, intervals without a purchase are sampled, by hash."""
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
    """Paths of your own files that hold a FAMILY, TABLE, TARGET, BASELINE or SOURCE."""
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
            return cls.model_validate(values, context=of_plugins(values))
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
