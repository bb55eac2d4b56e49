"""The future: the only door to what happens from the cutoff on. Labels come through here.

Nothing that computes features or scores may import this module, not even through another one.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.snapshot import is_purchase

_AT_LEAST_US = 1_000_000
"""An order in the very instant of the cutoff counts as one second after it."""


@dataclass(frozen=True)
class Future:
    """What happens at or after a cutoff, as far as it was known at `as_of`."""

    log: EventLog
    cutoff: Cutoff
    as_of: Cutoff

    def next_purchase(self) -> pl.DataFrame:
        """Customers who order at or after the cutoff, with `days` to their first order.

        Elapsed local days for timed tables; for tables that know days only, an order on local day
        c + k has `days` k + 1, because the whole day must have passed to know that it had none.
        """
        table = self.log.tables["order_lines"]
        coming = table.frame.filter(
            is_purchase(), pl.col("at") >= self.cutoff.at, pl.col("known") < self.as_of.at
        )
        wait = pl.col("wall").min() - self.cutoff.wall
        if table.granularity == "day":
            return coming.group_by("customer_id").agg(days=wait / DAY_US + 1.0)
        # One microsecond more: an order at cutoff + d is no order in [cutoff, cutoff + d).
        return coming.group_by("customer_id").agg(
            days=pl.max_horizontal(wait + 1, pl.lit(_AT_LEAST_US)) / DAY_US
        )

    def unsettled(self) -> int:
        """Order lines that occurred before the cutoff and became known only after it."""
        table = self.log.tables["order_lines"]
        late = (pl.col("at") < self.cutoff.at) & (pl.col("known") >= self.cutoff.at)
        return int(table.frame.select(late.sum()).item())
