"""How a family's declarations become columns: one grouped aggregation per view, in polars.

Sums run over integers, so that any split into buckets and a single customer alone give the same
float32. Row counts never change: a customer without a row in a view has 0 counts and null means.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, State
from ppi_ml.errors import ConfigError
from ppi_ml.instants import DAY_US
from ppi_ml.snapshot import Past, record_of, table_of

_COUNTS = ("count", "rate", "distinct")
_OBSERVED_SHARE = 4
_SINCE_FIRST = "_since_first_us"


def compute(family: Family, past: Past, state: State | None = None) -> pl.DataFrame:
    """One row per entity of the past (sorted by key), one Float64 column per declared column.

    The keys stand first. Columns of a family whose tables are absent are null throughout. `state`
    is what the views of the family learned, if they learn anything.
    """
    frame = past.entities.select(*past.entity.keys, "seen_us", "silent_us")
    for view in _views(family):
        frame = _add_view(frame, family, view, past, {} if state is None else state)
    for expression in family.expressions:
        frame = frame.with_columns(_safe(expression.compute()).alias(column_of(family, expression)))
    return frame.drop("seen_us", "silent_us")


def table_behind(family: Family, view: str) -> str:
    """The table whose record says how long a view of the family was observed."""
    own = family.view(view)
    return table_of(view) if own is None else own.of


def column_of(family: Family, expression: Expression) -> str:
    """The full column name of a named expression."""
    return f"{family.name}__{expression.name}"


def columns_of(family: Family) -> list[tuple[str, Feature | Expression]]:
    """Every column of a family in order, with the declaration that makes it."""
    plain = [(name, f) for f in family.features for name, _ in f.columns(family.name)]
    named: Iterable[Expression] = family.expressions
    if family.fitted is not None:
        named = (*family.expressions, *family.fitted.describes)
    return [*plain, *((column_of(family, e), e) for e in named)]


def _views(family: Family) -> list[str]:
    return list(dict.fromkeys(f.view for f in family.features))


def _add_view(
    frame: pl.DataFrame, family: Family, view: str, past: Past, state: State
) -> pl.DataFrame:
    own, table = family.view(view), table_behind(family, view)
    declared = [f for f in family.features if f.view == view]
    features = [f for f in declared if past.has(table) and past.has(f.since or table)]
    names = [name for f in declared for name, _ in f.columns(family.name) if f not in features]
    frame = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias(n) for n in names)
    if not features:
        return frame
    if own is None:
        rows, keys = past.view(view), past.keys_of(view)
    else:
        rows, keys = own.make(past.seen, state), own.keys
    if family.rows and view in family.rows:
        rows = rows.with_columns(**family.rows[view]())
    _check_columns(family, view, features, rows)
    rows = past.with_records(rows, {f.since for f in features if f.since is not None})
    raw = rows.group_by(keys).agg(
        *(
            _aggregate(f, _inside(window) & _since(f)).alias(name)
            for f in features
            for name, window in f.columns(family.name)
        ),
    )
    frame = frame.join(raw, on=keys, how="left", maintain_order="left")
    exposure = pl.min_horizontal(_SINCE_FIRST, record_of(table))
    return (
        past.with_records(_since_first(frame, past, keys), {table})
        .with_columns(
            _finish(f, name, window, exposure).alias(name)
            for f in features
            for name, window in f.columns(family.name)
        )
        .drop(_SINCE_FIRST, record_of(table))
    )


def _check_columns(
    family: Family, view: str, features: Iterable[Feature], rows: pl.DataFrame
) -> None:
    """`ConfigError` if a feature reads a column that its view does not have."""
    for feature in features:
        for column in (feature.of, feature.where):
            if column is not None and column not in rows.columns:
                there = ", ".join(name for name in rows.columns if not name.startswith("_"))
                raise ConfigError(
                    f'features.families: {family.name}: the feature "{feature.what}" reads '
                    f'"{column}", but the view {view} has only {there}'
                )


def _since_first(frame: pl.DataFrame, past: Past, keys: tuple[str, ...]) -> pl.DataFrame:
    """The rows with the age of the first purchase that the keys of a view have made.

    What a view says of the customer of a pair has been observed since the customer's first
    purchase of anything, not since that of the pair.
    """
    if keys == past.entity.keys or not past.entity.is_pair:
        return frame.with_columns(pl.col("seen_us").alias(_SINCE_FIRST))
    first = past.trips.group_by(keys).agg(pl.col("age_us").max().alias(_SINCE_FIRST))
    return frame.join(first, on=keys, how="left", maintain_order="left")


def _inside(window: int | None) -> pl.Expr:
    age = pl.col("age_us")
    return age.is_not_null() if window is None else age <= window * DAY_US


def _since(feature: Feature) -> pl.Expr:
    if feature.since is None:
        return pl.lit(True)
    return pl.col("age_us") <= pl.col(record_of(feature.since))


def _aggregate(feature: Feature, inside: pl.Expr) -> pl.Expr:
    """The aggregation of one column over the rows of one customer that are inside."""
    if feature.where is not None and feature.aggregate != "share":
        inside = inside & pl.col(feature.where)
    if feature.aggregate in ("count", "rate"):
        return inside.sum().cast(pl.Int64)
    if feature.aggregate == "share":
        if feature.of is not None:
            inside = inside & pl.col(feature.of)
        hits = (inside & pl.col(feature.where or "")).sum().cast(pl.Int64)
        return hits / _positive(inside.sum())
    if feature.aggregate == "days_since":
        return pl.col("age_us").filter(inside).min()
    if feature.aggregate == "entropy":
        return pl.col(feature.of or "").filter(inside).unique_counts().entropy(normalize=True)
    return _of_values(feature, pl.col(feature.of or "").filter(inside))


def _of_values(feature: Feature, values: pl.Expr) -> pl.Expr:
    count = values.count()
    if feature.aggregate == "sum":
        return pl.when(count > 0).then(values.sum())
    if feature.aggregate == "mean":
        return values.sum() / _positive(count)
    if feature.aggregate == "std":
        return values.cast(pl.Float64).std()
    simple = {
        "min": values.min(), "max": values.max(), "median": values.median(),
        "first": values.drop_nulls().first(), "last": values.drop_nulls().last(),
        "distinct": values.drop_nulls().n_unique(),
    }  # fmt: skip
    return simple[feature.aggregate]


def _finish(feature: Feature, name: str, window: int | None, exposure: pl.Expr) -> pl.Expr:
    """Zero counts for absent rows, units, rates over the observed time, and window honesty."""
    value = pl.col(name)
    if feature.aggregate in _COUNTS:
        value = value.fill_null(0)
    if feature.aggregate == "rate" and window is not None:
        value = value / (pl.min_horizontal(exposure, window * DAY_US) / DAY_US)
    scale = float(DAY_US) if feature.aggregate == "days_since" else feature.scale
    # polars divides a column of one row otherwise than a longer one; products are alike
    value = value.cast(pl.Float64) * (1.0 / scale)
    if feature.honest and window is not None:
        value = pl.when(exposure * _OBSERVED_SHARE >= window * DAY_US).then(value)
    return _safe(value)


def _positive(count: pl.Expr) -> pl.Expr:
    return pl.when(count > 0).then(count)


def _safe(value: pl.Expr) -> pl.Expr:
    """Infinite or undefined values are null: nobody should learn from a division by zero."""
    value = value.cast(pl.Float64)
    return pl.when(value.is_finite()).then(value)
