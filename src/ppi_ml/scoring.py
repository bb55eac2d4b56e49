"""Scoring with a bundle: a log in, one row per customer out; the same for one and for all.

Features are recomputed on the current history, states are replayed and never refitted. Nothing
here knows labels, the future or the targets shelf.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ppi_ml import bundle as bundles
from ppi_ml import dataset, packing, rows, score_table, selftest, settings, staleness
from ppi_ml import explain as reasons
from ppi_ml.config import Config
from ppi_ml.dataset import Dataset
from ppi_ml.engine.buckets import bytes_of
from ppi_ml.errors import DataError, IntegrityError, UsageError
from ppi_ml.events import EventLog, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.intake import NO_CURRENCY, RawTable
from ppi_ml.models.covariates import Rows
from ppi_ml.models.curve import Curves
from ppi_ml.models.readings import Asked
from ppi_ml.shelf import load_plugins

if TYPE_CHECKING:
    import pandas as pd

_GRACE_US = 5 * 60 * 1_000_000
_OLD_STATE_DAYS = 180


@dataclass(frozen=True)
class Prediction:
    """What is said of one customer: `values` are the columns of the score table."""

    customer_id: str
    cutoff: Cutoff
    status: str
    values: Mapping[str, Any]
    curves: Curves


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
        self._families = dataset.families(self.model.families, self.model.windows, plugins)
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
        data, notes = self._dataset(log, cutoff, allow_stale)
        curves = self._curves(data)
        table = self._table(data, curves, days)
        eligible = data.eligible(self.model.active_within)
        if ids is not None:
            always = {"cutoff": str(data.cutoffs[0]), **self._names}
            table = score_table.exactly(table, ids, eligible, self.model.active_within, always)
        elif not everyone:
            table = table.filter(pl.Series(eligible))
        frame = score_table.to_pandas(table)
        frame.attrs["notes"] = [*notes, *_not_used(log, data.cutoffs[0])]
        return frame

    def curves(
        self,
        log: EventLog,
        cutoff: object,
        days: Sequence[float] | None = None,
        *,
        allow_stale: bool = False,
    ) -> Curves:
        """Survival curves of everybody with a purchase before the cutoff.

        Args:
            log: events.
            cutoff: as in `score`.
            days: checked against the reach of the curve, so that a mistake shows at once.
            allow_stale: as in `score`.
        """
        data, notes = self._dataset(log, cutoff, allow_stale)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        curves = self._curves(data)
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
        typical = self._typical()
        data, notes = self._dataset(log, cutoff, allow_stale)
        wanted = data.eligible(self.model.active_within)
        if entities is not None:
            asked = sorted(set(entities))
            wanted = data.customers.is_in(asked).to_numpy()
            if unknown := len(asked) - int(wanted.sum()):
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
        log = self._small_log(events, instant)
        if len(log.customers) != 1:
            raise DataError(
                f"events: expected the events of one customer, got {len(log.customers)}; "
                "use score for several"
            )
        # Not checked for stale tables: how long one customer is silent says nothing of the export.
        data = self._features(log, instant)
        if not len(data):
            raise DataError("order_lines: no purchase before the cutoff")
        curves = self._curves(data)
        values = self._table(data, curves, ()).row(0, named=True)
        return Prediction(log.customers[0], instant, values["status"], values, curves)

    def answer(self, events: Mapping[str, Any], cutoff: str) -> list[float]:
        """The cumulative hazard of one customer at the edges of the curve, for the self-test."""
        found: list[float] = self.one(events, cutoff).curves.cumulative[0].tolist()
        return found

    @property
    def _names(self) -> dict[str, str]:
        return {
            "target": str(self.model.target["name"]),
            "model_version": self.bundle.version,
            "model_sha256": self.bundle.content_sha256,
        }

    def _table(self, data: Dataset, curves: Curves, days: Sequence[int]) -> pl.DataFrame:
        reading, window = self.model.target["reading"], self.config.target.window
        asked = Asked.at(data.cutoffs[0], self.model.horizon, window)
        return score_table.scored(data, curves, days, reading, asked, self._names)

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
            late = table.frame["at"].max()
            if isinstance(late, int) and late > cutoff.at + _GRACE_US:
                raise DataError(f"{name}: an event lies after the cutoff {cutoff}; leave it out")
        return log

    def _dataset(
        self, log: EventLog, cutoff: object, allow_stale: bool
    ) -> tuple[Dataset, list[str]]:
        instant = Cutoff.parse(cutoff, log.timezone)
        self._check_money_and_clock(log)
        most, fresh, notes = self.config.data.max_staleness, log, list[str]()
        if len(log.customers) > 1:  # how long one customer is silent says nothing of the export
            fresh, notes = staleness.check(log, instant, most, allow_stale=allow_stale)
        notes += [
            f"{name}: the model was trained with this table, which is absent; its features are null"
            for name in self.model.tables
            if name not in log.tables
        ]
        age = instant.days_since(Cutoff.parse(self.model.dated, log.timezone))
        if age > _OLD_STATE_DAYS:
            notes.append(f"the states of this bundle are {age:.0f} days old; train again soon")
        return self._features(fresh, instant), notes

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

    def _features(self, log: EventLog, cutoff: Cutoff) -> Dataset:
        data = dataset.build(
            log, [cutoff], self._families, states=self.model.family_states, threads=self._threads,
            memory=self._memory,
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
        keys = pl.DataFrame({"customer_id": data.customers})
        inputs = rows.build(data, states, edges.tolist())
        return Curves(edges, self.model.curve.cumulative(inputs), keys)

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
    late = sum(int((table.frame["known"] >= cutoff.at).sum()) for table in log.tables.values())
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
