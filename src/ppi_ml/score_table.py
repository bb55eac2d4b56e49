"""The score table: one row per customer, with columns that never depend on the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ppi_ml import consent
from ppi_ml.dataset import Dataset
from ppi_ml.entities import PRODUCT
from ppi_ml.errors import UsageError
from ppi_ml.models.curve import Curves
from ppi_ml.models.readings import READINGS, Asked
from ppi_ml.why_none import NO_PURCHASE

if TYPE_CHECKING:
    import pandas as pd

_ALWAYS = ("cutoff", "target", "model_version", "model_sha256")
_NULLABLE: Mapping[object, str] = {pl.Int64: "Int64", pl.Boolean: "boolean"}
"""polars type -> the pandas type that can hold a null; the usual one would change with the data."""


def scored(
    data: Dataset, curves: Curves, days: Sequence[int], reading: str, asked: Asked,
    fixed: Mapping[str, str],
) -> pl.DataFrame:  # fmt: skip
    """Every row of the data as scored.

    Args:
        data: n rows of one cutoff.
        curves: their n survival curves.
        days: adds `no_event_by_<d>d` for each.
        reading: the name of the target's reading.
        asked: what is asked of every curve.
        fixed: target, model_version and model_sha256.
    """
    survival = curves.survival([float(d) for d in days]) if len(days) else np.empty((len(data), 0))
    always = {"cutoff": str(data.cutoffs[0]), **fixed}
    values = {**READINGS[reading](curves, asked)}
    values |= {f"no_event_by_{d}d": survival[:, i] for i, d in enumerate(days)}
    table = (
        data.keys.select(data.entity.keys)
        .with_columns(**{name: pl.Series(values_of) for name, values_of in values.items()})
        .with_columns(
            pl.col(pl.Float64).fill_nan(None),
            status=pl.lit("scored"),
            reason=pl.lit(None, dtype=pl.String),
            **{name: pl.lit(value) for name, value in always.items()},
        )
    )
    return table.select(
        *data.entity.keys, "cutoff", "target", "status", "reason", *values,
        "model_version", "model_sha256",
    )  # fmt: skip


def withheld(table: pl.DataFrame, customers: pl.Series, always: Mapping[str, str]) -> pl.DataFrame:
    """One row for each customer who has denied profiling, in the columns of a table, all null.

    Args:
        table: a score table, of which only the columns count.
        customers: who has denied it.
        always: cutoff, target, model_version and model_sha256.
    """
    said = {**always, "status": "no_consent", "reason": consent.REASON}
    told = {name: pl.lit(value) for name, value in said.items()}
    blank = pl.DataFrame({"customer_id": customers.cast(pl.String)}).with_columns(
        told.get(name, pl.lit(None)).cast(kind).alias(name)
        for name, kind in table.schema.items()
        if name != "customer_id"
    )
    return blank.select(table.columns)


def why_not(data: Dataset, active_within: int) -> pl.Series:
    """Why each row is not asked about (n,): silent for too long, bought too seldom; else null."""
    least, silent = data.entity.least, data.silent_days > active_within
    too_few = f"bought on fewer than {least} days"
    return (
        pl.DataFrame({"silent": silent, "eligible": data.eligible(active_within)})
        .select(
            pl.when("eligible")
            .then(None)
            .when("silent")
            .then(pl.lit(f"no purchase in the last {active_within} days"))
            .otherwise(pl.lit(too_few))
        )
        .to_series()
    )


def exactly(
    table: pl.DataFrame,
    ids: Sequence[str],
    why: pl.Series,
    absent: Mapping[str, str],
    always: Mapping[str, str],
    denied: pl.Series | None = None,
) -> pl.DataFrame:
    """Exactly the customers asked for, in their order; values are null unless scored.

    Args:
        table: every customer as `scored` made it.
        ids: the customers asked for, each once.
        why: (n,) why each row of the table is not asked about; null where it is.
        absent: customer -> why no row is about them; who is not in there never ordered.
        always: cutoff, target, model_version and model_sha256, for customers without history.
        denied: customers who have denied profiling, None if nobody has; nothing else is said of
            them.
    """
    asked = pl.DataFrame({"customer_id": pl.Series(list(ids), dtype=pl.String)})
    if asked["customer_id"].is_duplicated().any():
        raise UsageError("ids: a customer is asked for twice")
    known = table.drop("status", "reason").with_columns(
        why=why.cast(pl.String), has_row=pl.lit(True)
    )
    whole = asked.join(known, on="customer_id", how="left", maintain_order="left")
    refused = pl.Series([], dtype=pl.String) if denied is None else denied
    no_row = [absent.get(name, NO_PURCHASE) for name in whole["customer_id"]]
    reason = (
        pl.when(pl.col("customer_id").is_in(refused.implode()))
        .then(pl.lit(consent.REASON))
        .when(pl.col("has_row").is_null())
        .then(pl.Series(no_row, dtype=pl.String))
        .otherwise("why")
    )
    status = (
        pl.when(pl.col("customer_id").is_in(refused.implode()))
        .then(pl.lit("no_consent"))
        .when(pl.col("has_row").is_null())
        .then(pl.lit("no_history"))
        .when(pl.col("why").is_null())
        .then(pl.lit("scored"))
        .otherwise(pl.lit("not_eligible"))
    )
    keep = {"customer_id", PRODUCT, "status", "reason", *_ALWAYS}
    values = [name for name in table.columns if name not in keep]
    return (
        whole.with_columns(status=status, reason=reason)
        .with_columns(
            *(pl.lit(value).alias(name) for name, value in always.items()),
            *(pl.when(pl.col("status") == "scored").then(pl.col(v)).alias(v) for v in values),
        )
        .select(table.columns)
    )


def to_pandas(table: pl.DataFrame) -> pd.DataFrame:
    """The table as pandas shows it, with types that do not depend on which values are null.

    Dates become datetime64 at midnight.
    """
    types = {n: _NULLABLE[kind] for n, kind in table.schema.items() if kind in _NULLABLE}
    return table.to_pandas().astype(types)
