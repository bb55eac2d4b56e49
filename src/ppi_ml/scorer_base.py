"""What every scorer does before it predicts: the bundle proves itself, events are checked.

Features are recomputed on the current history, states are replayed and never refitted. Nothing
here knows labels, the future or the targets shelf.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from ppi_ml import bundle as bundles
from ppi_ml import (
    consent,
    customer_columns,
    dataset,
    entities,
    loaded_alike,
    reads,
    selftest,
    settings,
    staleness,
)
from ppi_ml.config import Config
from ppi_ml.engine.buckets import bytes_of
from ppi_ml.errors import ConfigError, DataError, IntegrityError, UsageError
from ppi_ml.events import EventLog, check_log, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.intake import RawTable
from ppi_ml.models.curve import Curves
from ppi_ml.occasion_packing import OccasionModel
from ppi_ml.packing import Model
from ppi_ml.shelf import load_plugins

if TYPE_CHECKING:
    import pandas as pd

END = "end"
"""In place of a cutoff: the end of the log."""
_GRACE_US = 5 * 60 * 1_000_000
_OLD_STATE_DAYS = 180


_OF_EVERY_ROW = (
    "customer_id", "cutoff", "target", "status", "horizon_days", "model_version", "model_sha256",
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Prediction:
    """What is said of one customer: `values` are the columns of the score table.

    `status` is `scored`; or there are no values and no curve, and `values["reason"]` says why:
    `no_consent` (profiling was denied), `no_history` (nothing was bought), `not_eligible` (of
    orders and lines: none of them is open).
    """

    customer_id: str
    cutoff: Cutoff
    status: str
    values: Mapping[str, Any]
    curves: Curves | None
    rows: Sequence[Mapping[str, Any]] = ()
    """All rows of the customer: one, or one for every product; `values` is the first."""

    def __repr__(self) -> str:
        """What is said, in a line, without the id: it may end in a log."""
        told = {n: v for n, v in self.values.items() if v is not None and n not in _OF_EVERY_ROW}
        said = ", ".join(
            f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in told.items()
        )
        more = f"; the first of {len(self.rows):,} rows" if len(self.rows) > 1 else ""
        return f"Prediction({self.cutoff}, {self.status}{': ' if said else ''}{said}{more})"


@dataclass(frozen=True)
class Request:
    """What a scoring is about: events that are fresh enough, the cutoff, and notes on both."""

    log: EventLog
    cutoff: Cutoff
    notes: tuple[str, ...]

    def of(self, ids: Sequence[str]) -> Request:
        """The same for some of the customers."""
        return replace(self, log=self.log.only(ids))


class ScorerBase(ABC):
    """A verified bundle, ready to score."""

    model: Model | OccasionModel

    def __init__(
        self,
        bundle: bundles.Bundle,
        model: Model | OccasionModel,
        threads: int = 2,
        memory: str | None = None,
    ) -> None:
        """Take the parts of a verified bundle and let it prove itself on made-up customers."""
        self.bundle, self.model = bundle, model
        config = _config_of(bundle)
        here = {"threads": threads, "memory": memory or config.engine.memory}
        self.config = config.model_copy(update={"engine": config.engine.model_copy(update=here)})
        noted = {p["name"]: p["sha256"] for p in bundle.manifest.get("plugins", [])}
        plugins = load_plugins(self.config.plugins, noted)
        for name in noted.keys() - {plugin.name for plugin in plugins}:
            raise IntegrityError(f"this bundle was trained with the plug-in {name}, missing here")
        entity = model.entity
        self._families = dataset.families(
            model.families, model.windows, plugins, entity.name, self.config.data.segments
        )
        for family in dataset.for_the_model(self._families, entity.name, plugins):
            if family.name not in model.families:
                raise IntegrityError(
                    f"{bundle.folder / 'features.json'}: the family {family.name} is missing, "
                    f"which this version of ppi_ml needs; {bundle.remedy}"
                )
        self._read = reads.tables(self._families, entity.name, model.tables)
        # what a plug-in reads nobody says
        self._unread = frozenset() if plugins else reads.unread((entity.product, entity.group))
        self._threads = threads
        self._memory = bytes_of(self.config.engine.memory)
        stored = bundle.json("selftest.json")
        if stored is not None:
            selftest.check(stored, self.answer, bundle.folder)

    def __repr__(self) -> str:
        sha = self.bundle.content_sha256[:12]
        asked = f"{self.config.target.name} within {self.model.horizon} days"
        return f"Scorer({self.bundle.version}, {asked}, states of {self.model.dated}, {sha})"

    @property
    def dated(self) -> str:
        """The date of the states (ISO): the end of the training log."""
        return self.model.dated

    @property
    def of_pairs(self) -> bool:
        """Whether a row is a product of a customer."""
        return self.model.entity.is_pair

    @property
    def _currency(self) -> str | None:
        """That of the training log: a config may leave it to the table, and the bundle knows it."""
        currency: str | None = self.bundle.manifest.get("data", {}).get("currency")
        return currency

    @abstractmethod
    def score(
        self,
        log: EventLog,
        cutoff: object,
        *,
        everyone: bool = False,
        ids: Sequence[str] | None = None,
        days: Sequence[int] = (),
        allow_stale: bool = False,
    ) -> pd.DataFrame:
        """The score table."""

    @abstractmethod
    def score_parts(
        self,
        log: EventLog,
        cutoff: object,
        *,
        everyone: bool = False,
        days: Sequence[int] = (),
        allow_stale: bool = False,
    ) -> Iterator[pl.DataFrame]:
        """The score table part by part."""

    @abstractmethod
    def check_days(self, days: Sequence[float]) -> None:
        """`UsageError` for days that `score` cannot add; it needs no events to say so."""

    @abstractmethod
    def one(self, events: Mapping[str, Any], cutoff: object | None = None) -> Prediction:
        """What is said of one customer, from that customer's own events alone."""

    @abstractmethod
    def answer(self, events: Mapping[str, Any], cutoff: str) -> dict[str, list[float]]:
        """The numbers of one customer for the self-test, by what they say."""

    @abstractmethod
    def curves(
        self,
        log: EventLog,
        cutoff: object,
        days: Sequence[float] | None = None,
        *,
        allow_stale: bool = False,
    ) -> Curves:
        """Survival curves, where the model has them."""

    @abstractmethod
    def explain(
        self,
        log: EventLog,
        cutoff: object,
        entities: Sequence[str] | None = None,
        *,
        allow_stale: bool = False,
    ) -> pd.DataFrame:
        """Reasons, where the model tells them."""

    def notes(self, log: EventLog, cutoff: object, *, allow_stale: bool = False) -> list[str]:
        """Which events and tables `score_parts` does not use, as `score` says in its notes."""
        asked = self.asked(log, cutoff, allow_stale)
        return [*asked.notes, *not_used(log, asked.cutoff)]

    @property
    def names(self) -> dict[str, str]:
        """What every row of the score table says of the model."""
        return {
            "target": str(self.model.target["name"]),
            "model_version": self.bundle.version,
            "model_sha256": self.bundle.content_sha256,
        }

    def small_log(
        self, events: Mapping[str, Any], cutoff: Cutoff, *, made_up: bool = False
    ) -> EventLog:
        """A log of a request: tables observed since the training log began, up to the cutoff.

        What `data.keep_months` and `data.exclude` leave out of a log is left out of it, too; but
        not of customers who are `made_up` for the self-test.
        """
        if not isinstance(events, Mapping):
            raise UsageError(
                'events: expected the tables of one customer, such as {"order_lines": frame}; got '
                f"{type(events).__name__}"
            )
        tables = {**self.model.tables}
        if consent.TABLE in events:  # heeded, also by a model that was trained without such a table
            tables.setdefault(consent.TABLE, {**tables["order_lines"], "granularity": "instant"})
        unknown = sorted(set(events) - set(tables))
        if unknown:
            raise UsageError(
                f'events: this model was trained without the table "{unknown[0]}"; it knows '
                f"{', '.join(self.model.tables)}"
            )
        raw = {
            name: RawTable(
                _frame(name, events.get(name)),
                granularity="day" if known["granularity"] == "day" else "instant",
                origin="the request",
                observed_from=known["observed_from"],
                observed_until=cutoff,
                sure=True,
            )
            for name, known in tables.items()
        }
        data = self.config.data
        log = load_tables(
            raw, timezone=data.timezone, currency=data.currency, known_lag=data.known_lag,
            max_quarantined=0.0, keep_months=None if made_up else data.keep_months,
            caller="request", purchases=data.purchases, exclude={} if made_up else data.exclude,
            segments=customer_columns.there(raw, data.segments), rates=data.rates,
        )  # fmt: skip
        for name, table in log.tables.items():
            late = table.frame["at"].max() if table.dated else None
            if isinstance(late, int) and late > cutoff.at + _GRACE_US:
                raise DataError(f"{name}: an event lies after the cutoff {cutoff}; leave it out")
        loaded_alike.checked(log, data, self._currency)
        return log

    def asked(self, log: EventLog, cutoff: object, allow_stale: bool) -> Request:
        """What is asked, with events as fresh as they must be, and what there is to say of them.

        `UsageError` for events that are no log.
        """
        check_log(log)
        instant = log.observed_until if cutoff == END else Cutoff.parse(cutoff, log.timezone)
        trained = self.config.data
        loaded_alike.checked(log, trained, self._currency)
        log, notes = loaded_alike.as_trained(log, trained)
        if cutoff == END:
            notes.append(f"the log ends at {instant}, and that is the cutoff")
        most, fresh = trained.max_staleness, log
        dated = Cutoff.parse(self.model.dated, log.timezone)
        began = Cutoff.parse(self.model.tables["order_lines"]["observed_from"], log.timezone)
        if len(log.customer_ids) > 1:  # how long one customer is silent says nothing of the export
            fresh, old = staleness.check(log, instant, most, allow_stale=allow_stale)
            notes += old + staleness.cut_off(log, instant, began, dated)
        notes += _absent([name for name in self.model.tables if name not in log.tables])
        notes += reads.vanished(self.model.tables, fresh, self._read, self._unread)
        age = instant.days_since(dated)
        if age > _OLD_STATE_DAYS:
            notes.append(f"the states of this bundle are {age:.0f} days old; train again soon")
        made = entities.prepared(fresh, self.model.entity)
        if self.model.entity.is_pair and len(log.customer_ids) > 1:
            notes += entities.in_no_pair(made, self.model.entity)
        return Request(made, instant, tuple(notes))


def ids_of(ids: str | Iterable[str]) -> list[str]:
    """Ids of customers as a list; one may stand alone. `UsageError` if one is no text."""
    named = [ids] if isinstance(ids, str) else list(ids)
    for name in named:
        if not isinstance(name, str):
            raise UsageError(
                f"ids: expected text, as in log.customer_ids, got {type(name).__name__}"
            )
    return named


def unknown_of(log: EventLog, ids: Sequence[str] | None) -> list[str]:
    """A note on how many of the ids asked for are in no table of the log; none if nobody is.

    Who was asked for by a slip (a header, another kind of id) looks like a new customer otherwise.
    """
    missing = len(set(ids or ()) - set(log.customer_ids))
    if not missing:
        return []
    return [f"{missing:,} of {len(ids or ()):,} ids asked for are in no table of this log"]


def not_used(log: EventLog, cutoff: Cutoff) -> list[str]:
    """Notes on what became known too late for the cutoff: events, and denials among them."""
    dated = [table.frame for table in log.tables.values() if table.dated]
    late = sum(int((frame["known"] >= cutoff.at).sum()) for frame in dated)
    notes = [f"{late:,} events known at or after {cutoff} were not used"] if late else []
    since = set(consent.denied(log)) - set(consent.denied(log, cutoff))
    if since:
        notes.append(
            f"{len(since):,} customers have {consent.REASON} since {cutoff}; what is said of them "
            "may serve to check the model, and nothing else"
        )
    return notes


def _absent(tables: Sequence[str]) -> list[str]:
    """What it means that tables of the training are not there."""
    trained = "the model was trained with"
    others = [name for name in tables if name != consent.TABLE]
    notes = []
    if len(others) == 1:
        notes.append(f"{others[0]}: {trained} this table, which is absent; its features are null")
    elif others:
        named = ", ".join(others)
        notes.append(f"{named}: {trained} these tables, which are absent; their features are null")
    if len(others) < len(tables):
        allowed = f"everybody counts as having allowed {consent.PURPOSE}"
        notes.append(f"{consent.TABLE}: {trained} this table, which is absent; {allowed}")
    return notes


def _frame(name: str, rows_: Any) -> pl.DataFrame:  # noqa: ANN401  (dicts, pandas or polars)
    """The rows of a request; what a library says of rows it cannot read may hold their values."""
    if rows_ is None:
        return pl.DataFrame(schema={"customer_id": pl.String, "occurred_at": pl.String})
    if isinstance(rows_, pl.DataFrame):
        return rows_
    try:
        if isinstance(rows_, Sequence):
            return pl.DataFrame(list(rows_), infer_schema_length=None)
        return pl.DataFrame(pl.from_pandas(rows_))
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        raise DataError(
            f"{name}: expected a DataFrame, or a list of dicts, with values of one kind in a column"
        ) from None


def _config_of(bundle: bundles.Bundle) -> Config:
    """The config of the training; `IntegrityError` if this version of ppi_ml cannot read it."""
    place = bundle.folder / "config.yaml"
    try:
        found = settings.parse(bundle.text("config.yaml"))
        if isinstance(found, dict):
            return Config.read(found, environ={})
    except (ConfigError, yaml.YAMLError) as error:
        raise IntegrityError(f"{place}: {error}; {bundle.remedy}") from error
    raise IntegrityError(f"{place}: not a config")
