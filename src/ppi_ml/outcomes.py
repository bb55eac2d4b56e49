"""Occasions -> what came of them, and whether that is settled. Training and monitoring only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml.declare import Target
from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.labels import SETTLING_QUANTILE
from ppi_ml.schema import TABLES
from ppi_ml.sent_back import matched

_TYPES = {"number": pl.Float64, "time": pl.Int64}


@dataclass(frozen=True)
class Aftermath:
    """Occasions and what was known at `as_of`, for the `outcome` of a target.

    `rows` as `occasions.triggered` gives them; `horizon` in days from each occasion on. An outcome
    is a frame with one row per occasion, in order: `hit` (boolean), `settled_at` (the instant from
    which no later event can change it, were everything known at once; null: it can never be told),
    and perhaps `given` (boolean), a condition without which there is no hit.
    """

    rows: pl.DataFrame
    log: EventLog
    as_of: Cutoff
    horizon: int

    def known(self, table: str) -> pl.DataFrame:
        """The events of a table known at `as_of`; without rows where the log has no such table."""
        if table not in self.log.tables:
            own = {column.name: _TYPES.get(column.kind, pl.String) for column in TABLES[table].own}
            sums = [derived.name for derived in TABLES[table].derived]
            times = dict.fromkeys(("at", "known", "wall", *sums), pl.Int64)
            return pl.DataFrame(schema={"customer_id": pl.String, **own, **times})
        return self.log.tables[table].frame.filter(pl.col("known") < self.as_of.at)

    def returned(self) -> pl.DataFrame:
        """The lines that units came back from, as far as that was known (`sent_back.matched`)."""
        return matched(self.known("order_lines"), self.known("returns"))[0]

    @property
    def ends(self) -> pl.Expr:
        """The instant at which the horizon of each row ends."""
        return pl.col("now_at") + self.horizon * DAY_US


@dataclass(frozen=True)
class Outcomes:
    """What came of n occasions.

    `hit` (n,) whether it happened; `given` (n,) whether its condition did, all of them without a
    condition; `ripe` (n,) whether the outcome was settled, whichever it was.
    """

    hit: NDArray[np.bool_]
    given: NDArray[np.bool_]
    ripe: NDArray[np.bool_]
    conditional: bool = False

    def take(self, rows: NDArray[np.bool_]) -> Outcomes:
        """Those of some rows."""
        return Outcomes(self.hit[rows], self.given[rows], self.ripe[rows], self.conditional)


def outcomes(
    target: Target, rows: pl.DataFrame, log: EventLog, as_of: Cutoff, horizon: int, settling: float
) -> Outcomes:
    """What was known at `as_of` of what came of occasions.

    A row is ripe when its outcome was settled `settling` days before `as_of`, whether or not it
    had already shown: early hits alone would make everything look likelier.
    """
    if target.outcome is None:
        raise ValueError(f"the target {target.name} says nothing of outcomes")
    found = target.outcome(Aftermath(rows, log, as_of, horizon))
    hit = found["hit"].fill_null(value=False).to_numpy()
    conditional = "given" in found.columns
    given = found["given"].to_numpy() if conditional else np.ones(len(hit), dtype=np.bool_)
    latest = as_of.at - round(settling * DAY_US)
    ripe = (found["settled_at"] <= latest).fill_null(value=False).to_numpy()
    return Outcomes(hit, given, ripe, conditional)


def settling_days(log: EventLog, table: str) -> float:
    """How many days it takes until 99 % of the events of a table are known; 0 without the table."""
    if table not in log.tables:
        return 0.0
    frame = log.tables[table].frame
    late = (frame["known"] - frame["at"]).quantile(SETTLING_QUANTILE, "higher")
    return float(late or 0.0) / DAY_US
