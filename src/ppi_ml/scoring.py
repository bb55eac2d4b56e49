"""Scoring with a bundle: a log in, one row per customer out; the same for one and for all.

Features are recomputed on the current history, states are replayed and never refitted. Nothing
here knows labels, the future or the targets shelf.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ppi_ml import bundle as bundles
from ppi_ml import (
    consent,
    dataset,
    entities,
    houses,
    occasion_packing,
    packing,
    rows,
    score_table,
    selftest,
    why_none,
)
from ppi_ml import explain as reasons
from ppi_ml.dataset import Dataset
from ppi_ml.engine.buckets import bucket_count
from ppi_ml.entities import PRODUCT
from ppi_ml.errors import DataError, IntegrityError, UsageError
from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.models.covariates import Rows
from ppi_ml.models.curve import Curves
from ppi_ml.models.readings import Asked, Nudge
from ppi_ml.occasion_scoring import OccasionScorer
from ppi_ml.runs import Run
from ppi_ml.scorer_base import Prediction, Request, ScorerBase, ids_of, not_used, unknown_of
from ppi_ml.snapshot import Past
from ppi_ml.snapshots import Wanted

if TYPE_CHECKING:
    import pandas as pd

_PAIR_MEMORY = 4
"""A part of the pairs takes so many times the memory of its events, tables included."""


class Scorer(ScorerBase):
    """A verified bundle, ready to score; made with `Scorer.load`."""

    model: packing.Model

    def __init__(self, bundle: bundles.Bundle, threads: int = 2, memory: str | None = None) -> None:
        """Read the parts of a verified bundle and let it prove itself on three customers."""
        super().__init__(bundle, packing.unpack(bundle, threads), threads, memory)

    @classmethod
    def load(
        cls, path: str | Path | Run, *, threads: int = 2, memory: str | None = None
    ) -> ScorerBase:
        """A scorer from a bundle folder.

        Args:
            path: the folder `bundle/` of a run, the run folder, or the run itself.
            threads: threads to work with.
            memory: memory to stay within, such as "4GB"; None: as in training.

        Raises:
            IntegrityError: the bundle is damaged, foreign, or fails its own self-test.
        """
        folder = path.bundle if isinstance(path, Run) else Path(path)
        inner = folder / "bundle"
        found = inner if not (folder / bundles.MANIFEST).exists() and inner.is_dir() else folder
        return of_bundle(bundles.load(found), threads, memory)

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
            cutoff: the instant at which we stand: a date, an ISO text, an aware time; or "end",
                the end of the log.
            everyone: everybody with a purchase before the cutoff instead.
            ids: exactly these customers instead, in this order, known or not.
            days: adds `no_event_by_<d>d` for each.
            allow_stale: score although a table ended too long before the cutoff; features of
                such a table other than the order lines are null.

        Returns:
            The table; its `.attrs["notes"]` say which events and tables were not used. Customers
            who had denied profiling have one row each, without values.

        Raises:
            DataError: a table is too old for the cutoff.
            UsageError: no list of days, a day beyond the reach of the curve, or a cutoff that is
                none.
        """
        self.check_days(days)
        asked = self.asked(log, cutoff, allow_stale)
        if ids is not None:
            ids = ids_of(ids)
            few = asked.of(ids)
            scored = asked if not self.model.entity.is_pair else few
            table, why = self._scored(scored, days, everyone=True)
            absent = why_none.of_purchases(few.log, asked.cutoff, self.model.entity)
            denied = consent.denied(asked.log, asked.cutoff)
            table = score_table.exactly(table, ids, why, absent, self._always(asked.cutoff), denied)
        else:
            parts = (self._part(part, days, everyone=everyone) for part in self._parts(asked))
            table = pl.concat(parts).sort(self.model.entity.keys)
        frame = score_table.to_pandas(table)
        unknown = unknown_of(log, ids)
        frame.attrs["notes"] = [*asked.notes, *not_used(log, asked.cutoff), *unknown]
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
        self.check_days(days)
        asked = self.asked(log, cutoff, allow_stale)
        for part in self._parts(asked):
            yield self._part(part, days, everyone=everyone)

    def _parts(self, asked: Request) -> Iterator[Request]:
        """The request by customers. Customers are worked on in buckets anyway; pairs are many."""
        count = 1
        if self.model.entity.is_pair:
            count = bucket_count(asked.log, self._memory // _PAIR_MEMORY, self._threads)
        for index in range(count):
            part = asked.log if count == 1 else asked.log.bucket(index, count)
            yield replace(asked, log=part)

    def _part(self, asked: Request, days: Sequence[int], *, everyone: bool) -> pl.DataFrame:
        """The rows of a request, those of customers who have denied profiling among them."""
        table, _ = self._scored(asked, days, everyone=everyone)
        refused = self._withheld(asked, everyone=everyone)
        if refused.is_empty():
            return table
        told = score_table.withheld(table, refused, self._always(asked.cutoff))
        return pl.concat([table, told]).sort(self.model.entity.keys)

    def _withheld(self, asked: Request, *, everyone: bool) -> pl.Series:
        """Who would have rows, had they not denied profiling (n,): the eligible, or everyone."""
        entity = self.model.entity
        past = Past(asked.log, asked.cutoff, entity)
        if past.denied.is_empty():
            return past.denied
        rows_ = past.withheld
        if not everyone:
            recent = pl.col("silent_us") <= self.model.active_within * DAY_US
            rows_ = rows_.filter(recent, pl.col("purchases") >= entity.least)
        return rows_["customer_id"].unique().sort()

    def _scored(
        self, asked: Request, days: Sequence[int], *, everyone: bool
    ) -> tuple[pl.DataFrame, pl.Series]:
        """The rows of a request as a table, and why each is not asked about; null where it is."""
        data = self._features(asked.log, asked.cutoff, everyone=everyone)
        table = self._table(asked.log, data, self._curves(data), days)
        why = score_table.why_not(data, self.model.active_within)
        if not everyone:
            return table.filter(why.is_null()), why.filter(why.is_null())
        return table, why

    def check_days(self, days: Sequence[float]) -> None:
        """`UsageError` for what is no list of days, or a day beyond the reach of the curve."""
        if isinstance(days, str) or not isinstance(days, Iterable):
            raise UsageError(f"days: expected a list such as [30, 60], got {type(days).__name__}")
        edges = packing.edges_of(self.model)
        Curves(edges, np.zeros((0, len(edges)))).survival(list(days))

    def curves(
        self,
        log: EventLog,
        cutoff: object,
        days: Sequence[float] | None = None,
        *,
        allow_stale: bool = False,
    ) -> Curves:
        """Survival curves of everybody with a purchase before the cutoff; of the eligible pairs.

        Who had denied profiling has none, and a warning counts them.

        Args:
            log: events.
            cutoff: as in `score`.
            days: checked against the reach of the curve, so that a mistake shows at once.
            allow_stale: as in `score`.
        """
        self.check_days(() if days is None else days)
        asked = self.asked(log, cutoff, allow_stale)
        everyone = not self.model.entity.is_pair
        left_out = _left_out("no curves of", len(self._withheld(asked, everyone=everyone)))
        for note in (*asked.notes, *left_out):
            warnings.warn(note, stacklevel=2)
        return self._curves(self._features(asked.log, asked.cutoff, everyone=everyone))

    def explain(
        self,
        log: EventLog,
        cutoff: object,
        entities: str | Sequence[str] | None = None,
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
            without a purchase before the cutoff have no rows, nor have those who had denied
            profiling; `.attrs["notes"]` counts both.

        Raises:
            UsageError: the bundle was trained by a version without explanations.
        """
        if self.model.entity.is_pair:
            raise UsageError("explain: reasons are told of customers; pairs have none yet")
        typical = self._typical()
        asked = self.asked(log, cutoff, allow_stale)
        data, notes = self._features(asked.log, asked.cutoff, everyone=True), [*asked.notes]
        wanted = data.eligible(self.model.active_within)
        if entities is None:
            denied = len(self._withheld(asked, everyone=False))
        else:
            named = sorted(set(ids_of(entities)))
            wanted = data.customers.is_in(named).to_numpy()
            denied = int(consent.denied(asked.log, asked.cutoff).is_in(named).sum())
            if unknown := len(named) - int(wanted.sum()) - denied:
                notes.append(f"no reasons for {unknown:,} without a purchase before the cutoff")
        notes += _left_out("no reasons for", denied)
        data = data.take(wanted)
        shares = reasons.contributions(
            self.model.curve, self._inputs(data), typical, self.model.horizon
        )
        frame = reasons.table(data.customers, shares)
        frame.attrs["notes"] = [*notes, *not_used(log, data.cutoffs[0])]
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

        Returns:
            What `score` says of everybody with a purchase, however long ago that was. Without a
            purchase (of a product that is known), or where profiling was denied, a row without
            values whose `status` and `reason` are those of `score(ids=...)`.
        """
        data = self.config.data
        instant = Cutoff.parse(datetime.now(UTC) if cutoff is None else cutoff, data.timezone)
        return self._one(self.small_log(events, instant), instant)

    def _one(self, asked: EventLog, instant: Cutoff) -> Prediction:
        log = entities.prepared(asked, self.model.entity)
        if len(log.customer_ids) != 1:
            raise DataError(
                f"events: expected the events of one customer, got {len(log.customer_ids)}; "
                "use score for several"
            )
        # Not checked for stale tables: how long one customer is silent says nothing of the export.
        data = self._features(log, instant, everyone=True)
        # a request holds nothing late but what the clocks' grace lets in: there, denials count
        denied = consent.withdrawn(log)
        if len(denied) or not len(data):
            return self._nothing(log, data.take(np.zeros(len(data), dtype=np.bool_)), denied)
        curves = self._curves(data)
        rows_ = self._table(log, data, curves, ()).to_dicts()
        return Prediction(log.customer_ids[0], instant, rows_[0]["status"], rows_[0], curves, rows_)

    def _nothing(self, log: EventLog, nobody: Dataset, denied: pl.Series) -> Prediction:
        """What is said of a customer without a row: nothing but why, in the usual columns."""
        curves, cutoff = self._curves(nobody), nobody.cutoffs[0]
        absent = why_none.of_purchases(log, cutoff, self.model.entity)
        empty = self._table(log, nobody, curves, ())
        rows_ = score_table.exactly(
            empty, log.customer_ids.to_list(), pl.Series([], dtype=pl.String), absent,
            self._always(cutoff), denied,
        ).to_dicts()  # fmt: skip
        return Prediction(log.customer_ids[0], cutoff, rows_[0]["status"], rows_[0], curves, rows_)

    def _always(self, cutoff: Cutoff) -> dict[str, str]:
        return {"cutoff": str(cutoff), **self.names}

    def answer(self, events: Mapping[str, Any], cutoff: str) -> dict[str, list[float]]:
        """The cumulative hazards of one customer at the edges of the curve, for the self-test."""
        instant = Cutoff.parse(cutoff, self.config.data.timezone)
        # the made-up customers are older than a short data.keep_months
        curves = self._one(self.small_log(events, instant, made_up=True), instant).curves
        run_out = None if curves is None else curves.consuming
        said = {selftest.CURVE: curves, selftest.RUN_OUT: run_out}
        return {name: c.cumulative.ravel().tolist() for name, c in said.items() if c is not None}

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
            data, curves, days, self.model.target["reading"], asked, self.names
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
        inputs, curve = rows.build(data, states, edges.tolist()), self.model.curve
        if not data.entity.is_pair:
            return Curves(edges, curve.cumulative(inputs), keys)
        said = houses.Answer.of(curve, inputs)
        still = Curves(edges, houses.run_out(curve, data, said, states, edges), keys)
        return Curves(edges, said.cumulative, keys, still)

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


def _left_out(what: str, denied: int) -> list[str]:
    """A note on those who have denied profiling, if there are any."""
    return [f"{what} {denied:,} who have {consent.REASON}"] if denied else []


def of_bundle(bundle: bundles.Bundle, threads: int = 2, memory: str | None = None) -> ScorerBase:
    """The scorer of a verified bundle: of curves, or of orders and lines."""
    kind = OccasionScorer if occasion_packing.is_of_occasions(bundle) else Scorer
    return kind(bundle, threads, memory)
