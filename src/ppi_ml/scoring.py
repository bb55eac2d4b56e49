"""Scoring with a bundle: a log in, one row per customer out; the same for one and for all.

Features are recomputed on the current history, states are replayed and never refitted. Nothing
here knows labels, the future or the targets shelf.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import bundle as bundles
from ppi_ml import dataset, entities, packing, rows, score_table, selftest, settings, staleness
from ppi_ml import explain as reasons
from ppi_ml.config import Config
from ppi_ml.dataset import Dataset
from ppi_ml.engine.buckets import bucket_count, bytes_of
from ppi_ml.entities import PRODUCT
from ppi_ml.errors import DataError, IntegrityError, UsageError
from ppi_ml.events import EventLog, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.intake import NO_CURRENCY, RawTable
from ppi_ml.models.consuming import consuming
from ppi_ml.models.covariates import Rows
from ppi_ml.models.curve import Curves
from ppi_ml.models.readings import Asked, Nudge
from ppi_ml.shelf import load_plugins
from ppi_ml.snapshot import Past
from ppi_ml.snapshots import Wanted

if TYPE_CHECKING:
    import pandas as pd

_GRACE_US = 5 * 60 * 1_000_000
_OLD_STATE_DAYS = 180
_PAIR_MEMORY = 4
"""A part of the pairs takes so many times the memory of its events, tables included."""


@dataclass(frozen=True)
class Prediction:
    """What is said of one customer: `values` are the columns of the score table."""

    customer_id: str
    cutoff: Cutoff
    status: str
    values: Mapping[str, Any]
    curves: Curves
    rows: Sequence[Mapping[str, Any]] = ()
    """All rows of the customer: one, or one for every product; `values` is the first."""


@dataclass(frozen=True)
class _Request:
    """What a scoring is about: events that are fresh enough, the cutoff, and notes on both."""

    log: EventLog
    cutoff: Cutoff
    notes: tuple[str, ...]

    def of(self, ids: Sequence[str]) -> _Request:
        """The same for some of the customers."""
        return replace(self, log=self.log.only(ids))


class Scorer:
    """A verified bundle, ready to score; made with `Scorer.load`."""

    def __init__(self, bundle: bundles.Bundle, threads: int = 2, memory: str | None = None) -> None:
        """Read the parts of a verified bundle and let it prove itself on three customers."""
        self.bundle = bundle
        self.config = Config.read(_settings_of(bundle), environ={})
        self.model = packing.unpack(bundle, threads)
        noted = {p["name"]: p["sha256"] for p in bundle.manifest.get("plugins", [])}
        plugins = load_plugins(self.config.plugins, noted)
        for name in noted.keys() - {plugin.name for plugin in plugins}:
            raise IntegrityError(f"this bundle was trained with the plug-in {name}, missing here")
        self._families = dataset.families(
            self.model.families, self.model.windows, plugins, self.model.entity.name
        )
        self._threads = threads
        self._memory = bytes_of(memory or self.config.engine.memory)
        stored = bundle.json("selftest.json")
        if stored is not None:
            selftest.check(stored, self.answer, bundle.folder)

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 2, memory: str | None = None) -> Scorer:
        """A scorer from a bundle folder.

        Args:
            path: the folder `bundle/` of a run, or the run folder.
            threads: threads to work with.
            memory: memory to stay within, such as "4GB"; None: as in training.

        Raises:
            IntegrityError: the bundle is damaged, foreign, or fails its own self-test.
        """
        folder = Path(path)
        inner = folder / "bundle"
        found = inner if not (folder / bundles.MANIFEST).exists() and inner.is_dir() else folder
        return cls(bundles.load(found), threads, memory)

    def __repr__(self) -> str:
        sha = self.bundle.content_sha256[:12]
        return f"Scorer({self.bundle.version}, {sha}, states of {self.model.dated})"

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
        """The score table: one row per eligible customer, sorted by id.

        Args:
            log: events; what became known at or after the cutoff is not used.
            cutoff: the instant at which we stand: a date, an ISO text, an aware time.
            everyone: everybody with a purchase before the cutoff instead.
            ids: exactly these customers instead, in this order, known or not.
            days: adds `no_event_by_<d>d` for each.
            allow_stale: score although a table ended too long before the cutoff; features of
                such a table other than the order lines are null.

        Returns:
            The table; its `.attrs["notes"]` say which events and tables were not used.

        Raises:
            DataError: a table is too old for the cutoff.
            UsageError: a day beyond the reach of the curve, or a cutoff that is none.
        """
        asked = self._asked(log, cutoff, allow_stale)
        if ids is not None:
            few = asked.of(ids) if self.model.entity.is_pair else asked
            table, eligible = self._scored(few, days, everyone=True)
            always = {"cutoff": str(asked.cutoff), **self._names}
            table = score_table.exactly(table, ids, eligible, self.model.active_within, always)
        else:
            parts = (self._scored(part, days, everyone=everyone)[0] for part in self._parts(asked))
            table = pl.concat(parts).sort(self.model.entity.keys)
        frame = score_table.to_pandas(table)
        frame.attrs["notes"] = [*asked.notes, *_not_used(log, asked.cutoff)]
        return frame

    def score_parts(
        self,
        log: EventLog,
        cutoff: object,
        *,
        everyone: bool = False,
        days: Sequence[int] = (),
        allow_stale: bool = False,
    ) -> Iterator[pl.DataFrame]:
        """The score table part by part, so that no more than a part of it is in memory.

        Each part holds all rows of some of the customers (by hash), sorted by key; how many parts
        there are follows from the memory of the scorer. The arguments are those of `score`.
        """
        asked = self._asked(log, cutoff, allow_stale)
        for part in self._parts(asked):
            yield self._scored(part, days, everyone=everyone)[0]

    @property
    def of_pairs(self) -> bool:
        """Whether a row is a product of a customer."""
        return self.model.entity.is_pair

    def notes(self, log: EventLog, cutoff: object, *, allow_stale: bool = False) -> list[str]:
        """Which events and tables `score_parts` does not use, as `score` says in its notes."""
        asked = self._asked(log, cutoff, allow_stale)
        return [*asked.notes, *_not_used(log, asked.cutoff)]

    def _parts(self, asked: _Request) -> Iterator[_Request]:
        """The request by customers. Customers are worked on in buckets anyway; pairs are many."""
        count = 1
        if self.model.entity.is_pair:
            count = bucket_count(asked.log, self._memory // _PAIR_MEMORY, self._threads)
        for index in range(count):
            part = asked.log if count == 1 else asked.log.bucket(index, count)
            yield replace(asked, log=part)

    def _scored(
        self, asked: _Request, days: Sequence[int], *, everyone: bool
    ) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
        """The rows of a request as a table, and which of them are eligible."""
        data = self._features(asked.log, asked.cutoff, everyone=everyone)
        table = self._table(asked.log, data, self._curves(data), days)
        eligible = data.eligible(self.model.active_within)
        if not everyone:
            return table.filter(pl.Series(eligible)), eligible[eligible]
        return table, eligible

    def curves(
        self,
        log: EventLog,
        cutoff: object,
        days: Sequence[float] | None = None,
        *,
        allow_stale: bool = False,
    ) -> Curves:
        """Survival curves of everybody with a purchase before the cutoff; of the eligible pairs.

        Args:
            log: events.
            cutoff: as in `score`.
            days: checked against the reach of the curve, so that a mistake shows at once.
            allow_stale: as in `score`.
        """
        asked = self._asked(log, cutoff, allow_stale)
        for note in asked.notes:
            warnings.warn(note, stacklevel=2)
        everyone = not self.model.entity.is_pair
        curves = self._curves(self._features(asked.log, asked.cutoff, everyone=everyone))
        if days is not None:
            curves.survival(np.asarray(list(days), dtype=np.float64))
        return curves

    def explain(
        self,
        log: EventLog,
        cutoff: object,
        entities: Sequence[str] | None = None,
        *,
        allow_stale: bool = False,
    ) -> pd.DataFrame:
        """Why each churn probability is what it is, by theme, in points of probability.

        Costs about ten times a score, so ask for those you want to know about.

        Args:
            log: events, as in `score`.
            cutoff: as in `score`.
            entities: ids of customers; None: the eligible ones.
            allow_stale: as in `score`.

        Returns:
            One row per customer and theme, sorted by id, a customer's weightiest theme first:
            `customer_id`, `theme`, `points` (hundredths of probability that the theme adds, above
            0 for more risk), `base_probability` (of the typical customer of the training rows) and
            `churn_probability`, which is the base plus the sum of the points / 100. Customers
            without a purchase before the cutoff have no rows; `.attrs["notes"]` counts them.

        Raises:
            UsageError: the bundle was trained by a version without explanations.
        """
        if self.model.entity.is_pair:
            raise UsageError("explain: reasons are told of customers; pairs have none yet")
        typical = self._typical()
        asked = self._asked(log, cutoff, allow_stale)
        data, notes = self._features(asked.log, asked.cutoff, everyone=True), [*asked.notes]
        wanted = data.eligible(self.model.active_within)
        if entities is not None:
            named = sorted(set(entities))
            wanted = data.customers.is_in(named).to_numpy()
            if unknown := len(named) - int(wanted.sum()):
                notes.append(f"no reasons for {unknown:,} without a purchase before the cutoff")
        data = data.take(wanted)
        shares = reasons.contributions(
            self.model.curve, self._inputs(data), typical, self.model.horizon
        )
        frame = reasons.table(data.customers, shares)
        frame.attrs["notes"] = [*notes, *_not_used(log, data.cutoffs[0])]
        return frame

    def one(self, events: Mapping[str, Any], cutoff: object | None = None) -> Prediction:
        """What is said of one customer, from that customer's own events alone.

        Args:
            events: table -> list of dicts or DataFrame; `order_lines` is required. Tables that the
                model knows and that are not given count as empty, not as unknown.
            cutoff: the instant at which we stand; None is now.

        Raises:
            DataError: an event breaks its contract, lies after the cutoff (five minutes' grace for
                clocks that differ), or belongs to another customer than the rest.
        """
        instant = Cutoff.parse(cutoff or datetime.now(UTC), self.config.data.timezone)
        log = entities.prepared(self._small_log(events, instant), self.model.entity)
        if len(log.customer_ids) != 1:
            raise DataError(
                f"events: expected the events of one customer, got {len(log.customer_ids)}; "
                "use score for several"
            )
        # Not checked for stale tables: how long one customer is silent says nothing of the export.
        data = self._features(log, instant, everyone=True)
        if not len(data):
            known = " of a product that the table products of the request names"
            raise DataError(
                f"order_lines: no purchase{known if self.of_pairs else ''} before the cutoff"
            )
        curves = self._curves(data)
        rows_ = self._table(log, data, curves, ()).to_dicts()
        return Prediction(log.customer_ids[0], instant, rows_[0]["status"], rows_[0], curves, rows_)

    def answer(self, events: Mapping[str, Any], cutoff: str) -> list[float]:
        """The cumulative hazard of one customer at the edges of the curve, for the self-test."""
        found: list[float] = self.one(events, cutoff).curves.cumulative.ravel().tolist()
        return found

    @property
    def _names(self) -> dict[str, str]:
        return {
            "target": str(self.model.target["name"]),
            "model_version": self.bundle.version,
            "model_sha256": self.bundle.content_sha256,
        }

    def _table(
        self, log: EventLog, data: Dataset, curves: Curves, days: Sequence[int]
    ) -> pl.DataFrame:
        target, cutoff = self.config.target, data.cutoffs[0]
        asked = Asked.at(cutoff, self.model.horizon, target.window)
        if self.model.entity.is_pair:
            out = Past(log, cutoff, self.model.entity).out_of_stock()
            wish = target.nudge
            blocked = data.keys[PRODUCT].is_in(out.to_list()).to_numpy()
            lead = wish.delivery + wish.channel
            asked = replace(asked, nudge=Nudge(wish.quantile, lead, blocked))
        return score_table.scored(
            data, curves, days, self.model.target["reading"], asked, self._names
        )

    def _small_log(self, events: Mapping[str, Any], cutoff: Cutoff) -> EventLog:
        """A log of a request: tables observed since the training log began, up to the cutoff."""
        unknown = sorted(set(events) - set(self.model.tables))
        if unknown:
            raise UsageError(
                f'events: this model was trained without the table "{unknown[0]}"; it knows '
                f"{', '.join(self.model.tables)}"
            )
        raw = {
            name: RawTable(
                _frame(events.get(name)),
                granularity="day" if known["granularity"] == "day" else "instant",
                origin="the request",
                observed_from=known["observed_from"],
                observed_until=cutoff,
                sure=True,
            )
            for name, known in self.model.tables.items()
        }
        data = self.config.data
        log = load_tables(
            raw, timezone=data.timezone, currency=data.currency, known_lag=data.known_lag,
            max_quarantined=0.0,
        )  # fmt: skip
        for name, table in log.tables.items():
            late = table.frame["at"].max() if table.dated else None
            if isinstance(late, int) and late > cutoff.at + _GRACE_US:
                raise DataError(f"{name}: an event lies after the cutoff {cutoff}; leave it out")
        return log

    def _asked(self, log: EventLog, cutoff: object, allow_stale: bool) -> _Request:
        """What is asked, with events as fresh as they must be, and what there is to say of them."""
        instant = Cutoff.parse(cutoff, log.timezone)
        self._check_money_and_clock(log)
        most, fresh, notes = self.config.data.max_staleness, log, list[str]()
        if len(log.customer_ids) > 1:  # how long one customer is silent says nothing of the export
            fresh, notes = staleness.check(log, instant, most, allow_stale=allow_stale)
        notes += [
            f"{name}: the model was trained with this table, which is absent; its features are null"
            for name in self.model.tables
            if name not in log.tables
        ]
        age = instant.days_since(Cutoff.parse(self.model.dated, log.timezone))
        if age > _OLD_STATE_DAYS:
            notes.append(f"the states of this bundle are {age:.0f} days old; train again soon")
        return _Request(entities.prepared(fresh, self.model.entity), instant, tuple(notes))

    def _check_money_and_clock(self, log: EventLog) -> None:
        """`DataError` if the log counts money or days otherwise than the model does."""
        data = self.config.data
        known = {data.currency, log.currency} - {None, NO_CURRENCY}
        if len(known) > 1:
            raise DataError(
                f"the model was trained on {data.currency}, this log is in {log.currency}; convert "
                "the money before loading, or train on this log"
            )
        if log.timezone != data.timezone:
            raise DataError(
                f"the model was trained on days of {data.timezone}, this log has days of "
                f"{log.timezone}; load it with that zone"
            )

    def _features(self, log: EventLog, cutoff: Cutoff, *, everyone: bool) -> Dataset:
        """The rows of a cutoff: of pairs the eligible ones, unless everyone is wanted."""
        entity = self.model.entity
        wanted = None if everyone or not entity.is_pair else Wanted(self.model.active_within)
        data = dataset.build(
            entities.prepared(log, entity), [cutoff], self._families, entity=entity, wanted=wanted,
            states=self.model.family_states, threads=self._threads, memory=self._memory,
        )  # fmt: skip
        if data.names != self.model.columns:
            raise IntegrityError(
                "the features of this bundle are not those of the installed ppi_ml; "
                f"install the version it was trained with ({self.bundle.manifest.get('ppi_ml')})"
            )
        return replace(data, tree_names=self.model.curve.settings.tree_names)

    def _curves(self, data: Dataset) -> Curves:
        edges = packing.edges_of(self.model)
        dated = Cutoff.parse(self.model.dated, data.cutoffs[0].zone)
        states = self.model.processes.replayed(dated, data.cutoffs)
        keys = data.keys.select(data.entity.keys)
        inputs = rows.build(data, states, edges.tolist())
        cumulative = self.model.curve.cumulative(inputs)
        if inputs.ending is None:
            return Curves(edges, cumulative, keys)
        still = Curves(edges, consuming(cumulative, inputs.ending, edges), keys)
        return Curves(edges, cumulative, keys, still)

    def _typical(self) -> reasons.Reference:
        """The typical customer, which reasons are told against."""
        if "explain.json" not in self.bundle.manifest["files"]:
            raise UsageError(
                f"{self.bundle.folder}: trained by a version of ppi_ml that kept nothing to "
                "explain scores with; train it again"
            )
        return reasons.Reference.from_dict(self.bundle.json("explain.json"))

    def _inputs(self, data: Dataset) -> Rows:
        """What the model reads of every row."""
        dated = Cutoff.parse(self.model.dated, data.cutoffs[0].zone)
        states = self.model.processes.replayed(dated, data.cutoffs)
        return rows.build(data, states, packing.edges_of(self.model).tolist())


def _not_used(log: EventLog, cutoff: Cutoff) -> list[str]:
    """A note on the events that became known too late for the cutoff, if there are any."""
    dated = [table.frame for table in log.tables.values() if table.dated]
    late = sum(int((frame["known"] >= cutoff.at).sum()) for frame in dated)
    return [f"{late:,} events known at or after {cutoff} were not used"] if late else []


def _frame(rows_: Any) -> pl.DataFrame:  # noqa: ANN401  (dicts, pandas or polars)
    if rows_ is None:
        return pl.DataFrame(schema={"customer_id": pl.String, "occurred_at": pl.String})
    if isinstance(rows_, pl.DataFrame):
        return rows_
    if isinstance(rows_, Sequence):
        return pl.DataFrame(list(rows_), infer_schema_length=None)
    return pl.DataFrame(pl.from_pandas(rows_))


def _settings_of(bundle: bundles.Bundle) -> dict[str, Any]:
    found = settings.parse(bundle.text("config.yaml"))
    if not isinstance(found, dict):
        raise IntegrityError(f"{bundle.folder / 'config.yaml'}: not a config")
    return found
