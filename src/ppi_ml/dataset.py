"""Snapshot x families -> one float32 matrix; the same code for training and for scoring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import aggregation
from ppi_ml.declare import STANDARD_WINDOWS, Expression, Family, Feature, State
from ppi_ml.engine.buckets import GIGABYTE, bucket_count, split
from ppi_ml.engine.local import map_buckets
from ppi_ml.errors import ConfigError, UsageError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.shelf import Plugin, shelf
from ppi_ml.snapshot import Past, table_of

if TYPE_CHECKING:
    import pandas as pd

    from ppi_ml.events import EventLog

_HISTORY = "cadence"
States = dict[str, dict[str, State]]
"""Cutoff (ISO) -> family -> the state fitted on the past of that cutoff."""


@dataclass(frozen=True)
class Dataset:
    """Rows (customer, cutoff) in order of cutoff and customer id, with one column per feature.

    `values` (n, p) float32, NaN = null; `silent_days` (n,) days since the last purchase;
    `starts` index of the first row of every cutoff, and n at the end.
    """

    cutoffs: tuple[Cutoff, ...]
    starts: tuple[int, ...]
    customers: pl.Series
    values: NDArray[np.float32]
    silent_days: NDArray[np.float64]
    names: tuple[str, ...]
    tree_names: tuple[str, ...]
    states: States = field(repr=False)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return (
            f"Dataset({len(self):,} rows at {len(self.cutoffs)} cutoffs, {len(self.names)} columns)"
        )

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def column(self, name: str) -> NDArray[np.float64]:
        """One column (n,) as float64."""
        return self.values[:, self._position[name]].astype(np.float64)

    def trees(self) -> NDArray[np.float32]:
        """The columns that a tree may see, in the order of `tree_names`."""
        return self.values[:, [self._position[n] for n in self.tree_names]]

    def rows_at(self, cutoff: Cutoff) -> slice:
        """Where the rows of a cutoff lie."""
        i = self.cutoffs.index(cutoff)
        return slice(self.starts[i], self.starts[i + 1])

    def customers_at(self, cutoff: Cutoff) -> pl.Series:
        """The customers of a cutoff, in the order of its rows."""
        rows = self.rows_at(cutoff)
        return self.customers[rows.start : rows.stop]

    @cached_property
    def cutoff_index(self) -> NDArray[np.int64]:
        """The index of each row's cutoff (n,)."""
        return np.repeat(np.arange(len(self.cutoffs)), np.diff(self.starts))

    def eligible(self, active_within: int) -> NDArray[np.bool_]:
        """Rows with a purchase in the last `active_within` days (n,)."""
        return self.silent_days <= active_within

    @cached_property
    def day(self) -> NDArray[np.float64]:
        """The local day of each row's cutoff, counted from 1970-01-01 (n,)."""
        return np.array([c.wall / DAY_US for c in self.cutoffs])[self.cutoff_index]

    def at(self, cutoffs: Sequence[Cutoff]) -> Dataset:
        """The rows of some of the cutoffs, earliest first."""
        chosen = tuple(sorted(cutoffs))
        slices = [self.rows_at(c) for c in chosen]
        rows = np.concatenate([np.arange(s.start, s.stop) for s in slices])
        return Dataset(
            cutoffs=chosen,
            starts=tuple(np.cumsum([0, *(s.stop - s.start for s in slices)]).tolist()),
            customers=self.customers[rows],
            values=self.values[rows],
            silent_days=self.silent_days[rows],
            names=self.names,
            tree_names=self.tree_names,
            states={str(c): self.states[str(c)] for c in chosen},
        )

    def take(self, rows: NDArray[np.bool_]) -> Dataset:
        """The rows for which the mask (n,) holds; all cutoffs stay, even if empty."""
        counts = [int(rows[a:b].sum()) for a, b in zip(self.starts, self.starts[1:], strict=False)]
        return Dataset(
            cutoffs=self.cutoffs,
            starts=tuple(np.cumsum([0, *counts]).tolist()),
            customers=self.customers.filter(pl.Series(rows)),
            values=self.values[rows],
            silent_days=self.silent_days[rows],
            names=self.names,
            tree_names=self.tree_names,
            states=self.states,
        )

    def to_pandas(self) -> pd.DataFrame:
        """The matrix with index (customer_id, cutoff)."""
        import pandas as pd

        cutoffs = np.array([str(c) for c in self.cutoffs])[self.cutoff_index]
        index = pd.MultiIndex.from_arrays(
            [self.customers.to_list(), cutoffs], names=["customer_id", "cutoff"]
        )
        return pd.DataFrame(self.values, index=index, columns=list(self.names))


def families(
    names: str | Sequence[str] = "all",
    windows: Sequence[int] = STANDARD_WINDOWS,
    plugins: Sequence[Plugin] = (),
) -> list[Family]:
    """The families asked for, in the order of their names; `all` is the whole shelf."""
    found = shelf("ppi_ml.features", "FAMILY", plugins)
    asked = set(found if names == "all" else [names] if isinstance(names, str) else names)
    return [_with_windows(_family(found, name), tuple(windows)) for name in sorted(asked)]


def for_the_model(chosen: Sequence[Family], plugins: Sequence[Plugin] = ()) -> list[Family]:
    """The families with cadence among them, which the curve is made of.

    Where it was not asked for, its columns reach the smooth models only, not the trees.
    """
    if any(family.name == _HISTORY for family in chosen):
        return list(chosen)
    cadence = families(_HISTORY, plugins=plugins)[0]
    hidden = replace(
        cadence,
        features=tuple(replace(f, trees=False) for f in cadence.features),
        expressions=tuple(replace(e, trees=False) for e in cadence.expressions),
    )
    return sorted([*chosen, hidden], key=lambda family: family.name)


def _family(found: Mapping[str, object], name: str) -> Family:
    family = cast(Family, found[name])
    if family.name != name:
        raise ConfigError(
            f"features: the file {name}.py holds a family called {family.name}; a file is named "
            "after what it holds"
        )
    return family


def _with_windows(family: Family, windows: tuple[int, ...]) -> Family:
    """The family with other standard windows, without expressions that these cannot feed."""
    features = tuple(
        replace(f, windows=windows) if f.windows == STANDARD_WINDOWS else f for f in family.features
    )
    made = {name for f in features for name, _ in f.columns(family.name)}
    kept = tuple(e for e in family.expressions if made.issuperset(e.needs))
    return replace(family, features=features, expressions=kept)


def build(
    log: EventLog,
    cutoffs: Sequence[Cutoff],
    chosen: Sequence[Family],
    *,
    states: Mapping[str, State] | None = None,
    threads: int = 2,
    memory: int = 4 * GIGABYTE,
    on_cutoff: Callable[[], None] = lambda: None,
) -> Dataset:
    """Everybody with a purchase before each cutoff, with the columns of the families.

    States are fitted on the past of each cutoff, or replayed when `states` (family -> state) is
    given. The work is split into as many buckets as `memory` (bytes) asks for. `UsageError` if the
    log knows whole days only and a cutoff is not a local midnight.
    """
    ordered = tuple(sorted(set(cutoffs)))
    _check_midnights(log, ordered)
    buckets = split(log, bucket_count(log, memory, threads))
    frames, fitted = [], {}
    for cutoff in ordered:
        frame, state = _snapshot(buckets, cutoff, chosen, states, threads)
        frames.append(frame)
        fitted[str(cutoff)] = state
        on_cutoff()
    return _assemble(ordered, frames, chosen, fitted)


def _check_midnights(log: EventLog, cutoffs: Sequence[Cutoff]) -> None:
    daily = [name for name, table in log.tables.items() if table.granularity == "day"]
    wrong = [c for c in cutoffs if daily and not c.is_midnight]
    if wrong:
        raise UsageError(
            f"the cutoff {wrong[0]} is not a local midnight, and the table {daily[0]} knows whole "
            f"days only; give a date, or a time of 00:00 in {log.timezone}"
        )


def _snapshot(
    buckets: Sequence[EventLog],
    cutoff: Cutoff,
    chosen: Sequence[Family],
    states: Mapping[str, State] | None,
    threads: int,
) -> tuple[pl.DataFrame, dict[str, State]]:
    """All rows of one cutoff, sorted by customer, and the states that were used."""
    parts = map_buckets(lambda bucket: _bucket(Past(bucket, cutoff), chosen), buckets, threads)
    frame = pl.concat([part for part, _ in parts]).sort("customer_id")
    used: dict[str, State] = {}
    for family in chosen:
        if family.fitted is None:
            continue
        if states is None:
            partials = [partial[family.name] for _, partial in parts]
            used[family.name] = family.fitted.fit(_merge(partials))
        else:
            used[family.name] = states[family.name]
        frame = frame.with_columns(**family.fitted.columns(used[family.name]))
    return frame, used


def _bucket(past: Past, chosen: Sequence[Family]) -> tuple[pl.DataFrame, dict[str, dict[str, int]]]:
    frame = past.customers.select("customer_id", "silent_us")
    partials = {}
    for family in chosen:
        columns = aggregation.compute(family, past)
        if family.fitted is not None:
            partials[family.name] = family.fitted.collect(columns)
        frame = frame.hstack(columns.drop("customer_id"))
    return frame, partials


def _merge(partials: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {key: sum(partial[key] for partial in partials) for key in partials[0]}


def _assemble(
    cutoffs: tuple[Cutoff, ...],
    frames: Sequence[pl.DataFrame],
    chosen: Sequence[Family],
    states: States,
) -> Dataset:
    columns = [column for family in chosen for column in aggregation.columns_of(family)]
    names = tuple(name for name, _ in columns)
    whole = pl.concat(frames)
    values = whole.select(pl.col(names).cast(pl.Float32).fill_null(float("nan")))
    return Dataset(
        cutoffs=cutoffs,
        starts=tuple(np.cumsum([0, *(f.height for f in frames)]).tolist()),
        customers=whole["customer_id"],
        values=np.ascontiguousarray(values.to_numpy()),
        silent_days=whole["silent_us"].to_numpy() / DAY_US,
        names=names,
        tree_names=tuple(name for name, declared in columns if declared.trees),
        states=states,
    )


def build_features(
    log: EventLog,
    cutoffs: Sequence[object] | object,
    *,
    entity: str = "customer",
    families: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Point-in-time features: index (customer_id, cutoff), one float32 column per feature.

    Args:
        log: the events.
        cutoffs: one cutoff or several: dates, ISO texts or aware times.
        entity: what a row is about; `customer`.
        families: names of families; all of them if not given.

    Every row knows only what was known before its cutoff. NaN is null: the catalogue
    (`ppi-ml features`) says what that means for each column.
    """
    if entity != "customer":
        raise UsageError(f'unknown entity "{entity}"; features exist for "customer"')
    asked = [cutoffs] if isinstance(cutoffs, str) or not isinstance(cutoffs, Sequence) else cutoffs
    instants = [Cutoff.parse(c, log.timezone) for c in asked]
    return build(log, instants, _families("all" if families is None else families)).to_pandas()


def catalogue(chosen: Sequence[Family]) -> list[dict[str, str]]:
    """One line per column: name, unit, meaning of null, source table, and who may see it."""
    return [
        _describe(family, name, declared)
        for family in chosen
        for name, declared in aggregation.columns_of(family)
    ]


def _describe(family: Family, name: str, declared: Feature | Expression) -> dict[str, str]:
    return {
        "name": name,
        "family": family.name,
        "unit": declared.unit,
        "null": declared.null,
        "table": table_of(declared.view),
        "used_by": "trees and smooth models" if declared.trees else "smooth models",
    }


_families = families
