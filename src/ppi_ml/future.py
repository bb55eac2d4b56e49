"""The future: the only door to what happens from the cutoff on. Labels come through here.

Nothing that computes features or scores may import this module, not even through another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ppi_ml import kinds
from ppi_ml.entities import PRODUCT, SKUS, Entity
from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.snapshot import is_purchase, without_cancelled

_AT_LEAST_US = 1_000_000
"""An order in the very instant of the cutoff counts as one second after it."""


@dataclass(frozen=True)
class Future:
    """What happens at or after a cutoff, as far as it was known at `as_of`."""

    log: EventLog
    cutoff: Cutoff
    as_of: Cutoff

    def next_purchase(self, keys: Sequence[str] = ("customer_id",)) -> pl.DataFrame:
        """Entities with an order at or after the cutoff, with `days` to the first one.

        Elapsed local days for timed tables; for tables that know days only, an order on local day
        c + k has `days` k + 1, because the whole day must have passed to know that it had none.
        """
        table = self.log.tables["order_lines"]
        coming = table.frame.filter(
            is_purchase(self.log), pl.col("at") >= self.cutoff.at, pl.col("known") < self.as_of.at
        )
        if (cancelled := self.log.tables.get("cancellations")) is not None:
            known = pl.col("known") < self.as_of.at
            coming = without_cancelled(coming, cancelled.frame.filter(known))
        wait = pl.col("wall").min() - self.cutoff.wall
        if table.granularity == "day":
            return coming.group_by(keys).agg(days=wait / DAY_US + 1.0)
        # One microsecond more: an order at cutoff + d is no order in [cutoff, cutoff + d).
        return coming.group_by(keys).agg(
            days=pl.max_horizontal(wait + 1, pl.lit(_AT_LEAST_US)) / DAY_US
        )

    def next_outage(self, entity: Entity) -> pl.DataFrame:
        """Products that cannot be bought at some time from the cutoff on, with `days` until then.

        0 for those that are out at the cutoff. A product is out while every one of its skus is; a
        sku counts as there until its first row. `entity` says what a product is.
        """
        rows = kinds.stocked(self.log, entity, self.cutoff)
        known = rows.filter(pl.col("known") < self.as_of.at)
        there = (pl.col("available") == "yes").cast(pl.Int64)
        steps = known.sort("at", "sku").with_columns(
            step=there - there.shift(1, fill_value=1).over("sku"),
        )
        # of one instant, what comes back first: a product of which one sku takes the other's place
        # is never out
        steps = steps.sort("at", "step", descending=[False, True])
        left = steps.with_columns(left=pl.col(SKUS) + pl.col("step").cum_sum().over(PRODUCT))
        before = pl.col("at") < self.cutoff.at
        wait = (pl.col("wall") - self.cutoff.wall) / DAY_US
        now = left.filter(before).group_by(PRODUCT).agg(out=pl.col("left").last() <= 0)
        later = left.filter(~before & (pl.col("left") <= 0)).group_by(PRODUCT).agg(days=wait.min())
        out = now.filter("out").select(PRODUCT, days=pl.lit(0.0))
        return pl.concat([out, later]).group_by(PRODUCT).agg(pl.col("days").min()).drop_nulls()

    def unsettled(self) -> int:
        """Order lines that occurred before the cutoff and became known only after it."""
        table = self.log.tables["order_lines"]
        late = (pl.col("at") < self.cutoff.at) & (pl.col("known") >= self.cutoff.at)
        return int(table.frame.select(late.sum()).item())
