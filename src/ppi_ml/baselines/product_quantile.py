"""The last purchase plus the 75th percentile of the product's gaps: by then most have come back.

Of all gaps of the product, whoever's, that had closed by the end of the fold. Where they are few
the percentile is drawn to that of the product's group, and this one to that of everything: on the
logarithm, the level above weighing as much as ten gaps. A gap that is still open is in none, as
it is in no percentile that a shop computes.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.baselines._kit import FloatArray, GapRule, require_pairs
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.engine.buckets import bucket_count, split
from ppi_ml.engine.local import map_buckets
from ppi_ml.entities import GROUP, PRODUCT
from ppi_ml.errors import NotTrainableError
from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US
from ppi_ml.problem import Problem
from ppi_ml.snapshot import Past

_QUANTILE = 0.75
_GAPS_OF_PRIOR = 10.0
_OF_PRODUCT, _OF_GROUP = "of_product", "of_group"


def fit(problem: Problem) -> GapRule:
    """`NotTrainableError` if no pair had been bought twice by the end of the fold."""
    require_pairs(problem)
    gaps = _gaps(problem)
    if not gaps.height:
        raise NotTrainableError(f"no pair had been bought twice by {problem.fold.end}")
    everything = pl.lit(gaps["ln_gap"].quantile(_QUANTILE, "linear"))
    groups = _level(gaps.drop_nulls(GROUP), GROUP, _OF_GROUP, everything)
    above = pl.coalesce(pl.col(_OF_GROUP), everything)
    products = _level(gaps.join(groups, on=GROUP, how="left"), PRODUCT, _OF_PRODUCT, above)

    def gap(rows: Dataset) -> FloatArray:
        found = rows.keys.select(PRODUCT, GROUP)
        for level, key in ((products, PRODUCT), (groups, GROUP)):
            found = found.join(level, on=key, how="left", maintain_order="left")
        days = pl.coalesce(_OF_PRODUCT, _OF_GROUP, everything).exp()
        return found.select(days=days)["days"].to_numpy()

    return GapRule(gap, problem.days)


def _gaps(problem: Problem) -> pl.DataFrame:
    """Product, group and ln(days) of every gap that had closed by the end of the fold."""
    material, end, entity = problem.material, problem.fold.end, problem.data.entity
    buckets = split(material.log, bucket_count(material.log, material.memory, material.threads))

    def closed(bucket: EventLog) -> pl.DataFrame:
        purchases = Past(bucket, end, entity).purchases
        days = pl.col("gap_us") / DAY_US
        return purchases.drop_nulls("gap_us").select(PRODUCT, GROUP, ln_gap=days.log())

    return pl.concat(map_buckets(closed, buckets, material.threads))


def _level(gaps: pl.DataFrame, key: str, name: str, above: pl.Expr) -> pl.DataFrame:
    """One row per key with the ln of its percentile, drawn to the one of the level above."""
    own = pl.col("ln_gap").quantile(_QUANTILE, "linear")
    weighed = pl.len() * own + _GAPS_OF_PRIOR * above.first()
    return gaps.group_by(key).agg((weighed / (pl.len() + _GAPS_OF_PRIOR)).alias(name))


BASELINE = Baseline(
    "product_quantile", "last purchase plus the 75th percentile of the product's gaps", fit
)
