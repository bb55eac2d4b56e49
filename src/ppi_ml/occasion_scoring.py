"""Scoring of orders and lines: every one that is still open at the cutoff gets its probability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from ppi_ml import bundle as bundles
from ppi_ml import consent, occasion_data, occasion_packing, score_table, selftest, why_none
from ppi_ml.chances import Answer
from ppi_ml.engine.buckets import bucket_count
from ppi_ml.errors import DataError, IntegrityError, UsageError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.models.curve import Curves
from ppi_ml.occasion_packing import OccasionModel
from ppi_ml.occasions import standing, tables_of
from ppi_ml.scorer_base import Prediction, Request, ScorerBase, ids_of, not_used, unknown_of

if TYPE_CHECKING:
    import pandas as pd


class OccasionScorer(ScorerBase):
    """A verified bundle about orders or lines, ready to score; made with `Scorer.load`."""

    model: OccasionModel

    def __init__(self, bundle: bundles.Bundle, threads: int = 2, memory: str | None = None) -> None:
        """Read the parts of a verified bundle and let it prove itself on made-up customers."""
        super().__init__(bundle, occasion_packing.unpack(bundle, threads), threads, memory)

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
        """The score table: one row per order or line that is open at the cutoff, sorted by key.

        Args:
            log: events; what became known at or after the cutoff is not used.
            cutoff: as in `Scorer.score`.
            everyone: changes nothing: what is closed has its answer.
            ids: all open rows of these customers; one row without values for one who has none.
            days: not for these models.
            allow_stale: score although a table ended too long before the cutoff.

        Returns:
            The table; its `.attrs["notes"]` say which events and tables were not used. Customers
            who had denied profiling have one row each, without values.

        Raises:
            DataError: a table is too old for the cutoff.
            UsageError: days are asked for, or a cutoff that is none.
        """
        asked = self.asked(log, cutoff, allow_stale)
        if ids is not None:
            ids = ids_of(ids)
            if len(set(ids)) < len(ids):
                raise UsageError("ids: a customer is asked for twice")
            few = asked.of(ids)
            found = self._part(few, days)
            missing = [name for name in ids if name not in set(found["customer_id"])]
            table = pl.concat([found, self._nothing(missing, few)])
        else:
            table = pl.concat([self._part(part, days) for part in self._parts(asked)])
        frame = score_table.to_pandas(table.sort(self.model.entity.keys, nulls_last=True))
        unknown = unknown_of(log, ids)
        frame.attrs["notes"] = [*asked.notes, *not_used(log, asked.cutoff), *unknown]
        return frame

    def asked(self, log: EventLog, cutoff: object, allow_stale: bool) -> Request:
        """As for every scorer; `DataError` if the log has no event that triggers the question."""
        asking = self.model.asking
        tables = [tables_of(replace(asking, at=(name,)))[0] for name in asking.at]
        if not any(name in log.tables for name in tables):
            raise DataError(
                f"{self.model.target['name']} is asked when something was "
                f"{' or '.join(asking.at)}, and this log has no table {' or '.join(tables)}; load "
                "it"
            )
        found = super().asked(log, cutoff, allow_stale)
        needed = tables_of(asking)  # without these, what is closed would look open
        old = {n: log.tables[n] for n in needed if n in log.tables and n not in found.log.tables}
        if not old:
            return found
        notes = [f"{name}: used all the same; what looks open may be closed" for name in old]
        kept = replace(found.log, tables={**found.log.tables, **old})
        return replace(found, log=kept, notes=(*found.notes, *notes))

    def score_parts(
        self,
        log: EventLog,
        cutoff: object,
        *,
        everyone: bool = False,
        days: Sequence[int] = (),
        allow_stale: bool = False,
    ) -> Iterator[pl.DataFrame]:
        """The score table by customers, so that no more than a part of it is in memory."""
        for part in self._parts(self.asked(log, cutoff, allow_stale)):
            yield self._part(part, days)

    def one(self, events: Mapping[str, Any], cutoff: object | None = None) -> Prediction:
        """What is said of the open orders of one customer, from that customer's events alone.

        Args:
            events: table -> list of dicts or DataFrame; `order_lines` is required.
            cutoff: the instant at which we stand; None is now.

        Raises:
            DataError: an event breaks its contract, lies after the cutoff, or belongs to another
                customer than the rest.

        Returns:
            Every open row; if nothing is open, one without values whose `status` and `reason` are
            those of `score(ids=...)`.
        """
        instant = Cutoff.parse(
            datetime.now(UTC) if cutoff is None else cutoff, self.config.data.timezone
        )
        log = self.small_log(events, instant)
        if len(log.customer_ids) != 1:
            raise DataError(
                f"events: expected the events of one customer, got {len(log.customer_ids)}; "
                "use score for several"
            )
        asked = Request(log, instant, ())
        # a request holds nothing late but what the clocks' grace lets in: there, denials count
        denied = consent.withdrawn(log)
        if len(denied):
            found = score_table.withheld(self._columns_of(asked), denied, self._always(asked))
        else:
            found = self._part(asked, ())
        if found.is_empty():
            found = self._nothing(log.customer_ids.to_list(), asked)
        rows = found.to_dicts()
        return Prediction(log.customer_ids[0], instant, rows[0]["status"], rows[0], None, rows)

    def answer(self, events: Mapping[str, Any], cutoff: str) -> dict[str, list[float]]:
        """The probabilities of one customer's open rows, for the self-test."""
        instant = Cutoff.parse(cutoff, self.config.data.timezone)
        log = self.small_log(events, instant, made_up=True)
        return {selftest.CURVE: self._part(Request(log, instant, ()), ())["probability"].to_list()}

    def check_days(self, days: Sequence[float]) -> None:
        """`UsageError` if there are any: a probability is one number, not a curve."""
        if days:
            raise UsageError(f"days: {self.model.target['name']} has no curve to read them from")

    def curves(
        self,
        log: EventLog,
        cutoff: object,
        days: Sequence[float] | None = None,
        *,
        allow_stale: bool = False,
    ) -> Curves:
        """`UsageError`: a probability is one number, not a curve."""
        raise UsageError(f"curves: {self.model.target['name']} gives a probability, not a curve")

    def explain(
        self,
        log: EventLog,
        cutoff: object,
        entities: Sequence[str] | None = None,
        *,
        allow_stale: bool = False,
    ) -> pd.DataFrame:
        """`UsageError`: reasons are told of customers."""
        raise UsageError("explain: reasons are told of customers; orders and lines have none yet")

    def _parts(self, asked: Request) -> Iterator[Request]:
        count = bucket_count(asked.log, self._memory, self._threads)
        for index in range(count):
            part = asked.log if count == 1 else asked.log.bucket(index, count)
            yield replace(asked, log=part)

    def _part(self, asked: Request, days: Sequence[int]) -> pl.DataFrame:
        """The open rows of a request, and one row for each customer who has denied profiling."""
        self.check_days(days)
        denied = consent.denied(asked.log, asked.cutoff)
        keys = self.model.entity.keys
        rows = standing(asked.log, self.model.entity, self.model.asking, asked.cutoff)
        refused = rows.filter(pl.col("customer_id").is_in(denied.implode()))["customer_id"].unique()
        rows = rows.filter(~pl.col("customer_id").is_in(denied.implode()))
        states = {str(asked.cutoff): self.model.family_states}
        data = occasion_data.build(
            asked.log, rows, [asked.cutoff], self._families, self.model.entity, states,
            threads=self._threads,
        )  # fmt: skip
        if data.names != self.model.columns:
            raise IntegrityError(
                "the features of this bundle are not those of the installed ppi_ml; "
                f"install the version it was trained with ({self.bundle.manifest.get('ppi_ml')})"
            )
        told = data.keys.select(*keys).with_columns(
            status=pl.lit("scored"),
            reason=pl.lit(None, dtype=pl.String),
            **self._values(self.model.chance.predict(data)),
        )
        table = self._columns(told, asked)
        if refused.is_empty():
            return table
        told_no = score_table.withheld(table, refused.sort(), self._always(asked))
        return pl.concat([table, told_no])

    def _always(self, asked: Request) -> dict[str, str]:
        return {"cutoff": str(asked.cutoff), **self.names}

    def _columns_of(self, asked: Request) -> pl.DataFrame:
        """The score table without rows."""
        return self._part(replace(asked, log=asked.log.only([])), ())

    def _values(self, answer: Answer) -> dict[str, pl.Series]:
        """The columns of values; the same for every table of this model."""
        said = {"probability": answer.chance}
        if answer.given is not None and answer.if_given is not None:
            said |= {"probability_of_condition": answer.given, "probability_if": answer.if_given}
        return {name: pl.Series(values) for name, values in said.items()}

    def _columns(self, told: pl.DataFrame, asked: Request) -> pl.DataFrame:
        values = [name for name in told.columns if name.startswith("probability")]
        always = self._always(asked)
        named = told.with_columns(
            *(pl.lit(value).alias(name) for name, value in always.items()),
            horizon_days=pl.lit(self.model.horizon, dtype=pl.Int64),
        )
        return named.select(
            *self.model.entity.keys, "cutoff", "target", "status", "reason", *values,
            "horizon_days", "model_version", "model_sha256",
        )  # fmt: skip

    def _nothing(self, customers: Sequence[str], asked: Request) -> pl.DataFrame:
        """One row for each customer of whom nothing is open, without values."""
        why = why_none.of_occasions(asked.log, asked.cutoff, self.model.entity, self.model.asking)
        refused = set(consent.denied(asked.log, asked.cutoff))
        told = pl.DataFrame(
            [
                (name, "no_consent", consent.REASON)
                if name in refused
                else (name, "not_eligible", why[name])
                if name in why
                else (name, "no_history", why_none.NO_ORDER)
                for name in customers
            ],
            schema=dict.fromkeys(("customer_id", "status", "reason"), pl.String),
            orient="row",
        )
        table = self._columns_of(asked)
        blank = [
            pl.lit(None, dtype=table.schema[name]).alias(name)
            for name in table.columns
            if name not in told.columns
        ]
        filled = self._columns(told.with_columns(blank), asked)
        return filled.select(pl.col(name).cast(kind) for name, kind in table.schema.items())
