"""Snapshot x families -> one float32 matrix; the same code for training and for scoring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import aggregation
from ppi_ml.declare import STANDARD_WINDOWS, Expression, Family, Feature, State
from ppi_ml.engine.buckets import GIGABYTE, bucket_count, split
from ppi_ml.entities import (
    CUSTOMER,
    GROUP,
    GROUPS,
    LINE,
    ONE_CUSTOMER,
    ORDER,
    PAIR,
    Entity,
    prepared,
)
from ppi_ml.errors import ConfigError, UsageError
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.shelf import Plugin, load_plugins, shelf
from ppi_ml.snapshots import Cut, Snapshot, Wanted, snapshot

if TYPE_CHECKING:
    import pandas as pd

    from ppi_ml.events import EventLog

_HISTORY: Mapping[str, tuple[str, ...]] = {
    CUSTOMER: ("anniversary", "cadence"),
    PAIR: ("cadence", "house", "refills"),
}
_PART_OF: Mapping[str, tuple[str, ...]] = {ORDER: (CUSTOMER,), LINE: (ORDER, CUSTOMER)}
_ROW = ("silent_us", "purchases")
States = dict[str, dict[str, State]]
"""Cutoff (ISO) -> family -> the state fitted on the past of that cutoff."""


@dataclass(frozen=True)
class Dataset:
    """Rows (entity, cutoff) in order of cutoff and key, with one column per feature.

    `keys` (n) the columns that name the entity, for pairs also the group of the product; `values`
    (n, p) float32, NaN = null; `silent_days` and `purchases` (n,) days since the last purchase and
    how many there were; `starts` index of the first row of every cutoff, and n at the end.
    `constants` column -> what it holds in every row, for columns without a place in `values`;
    `samples` holds, for pairs, cutoff (ISO) -> pairs of every silence, which the process is fitted
    on.
    """

    entity: Entity
    cutoffs: tuple[Cutoff, ...]
    starts: tuple[int, ...]
    keys: pl.DataFrame
    values: NDArray[np.float32]
    silent_days: NDArray[np.float64]
    purchases: NDArray[np.int64]
    names: tuple[str, ...]
    tree_names: tuple[str, ...]
    states: States = field(repr=False)
    constants: Mapping[str, float] = field(default_factory=dict, repr=False)
    samples: Mapping[str, pl.DataFrame] = field(default_factory=dict, repr=False)

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
        if name in self.constants:
            return np.full(len(self), self.constants[name])
        return self.values[:, self._position[name]].astype(np.float64)

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self.constants or name in self._position

    def trees(self) -> NDArray[np.float32]:
        """The columns that a tree may see, in the order of `tree_names`."""
        return self.values[:, [self._position[n] for n in self.tree_names]]

    def rows_at(self, cutoff: Cutoff) -> slice:
        """Where the rows of a cutoff lie."""
        i = self.cutoffs.index(cutoff)
        return slice(self.starts[i], self.starts[i + 1])

    def varying(self) -> Dataset:
        """The same without room for columns that hold one value, or none, in every row.

        A table that is absent makes such columns, and a shop that never uses what it could: of 253
        some hundred are left where there are orders alone. No tree can learn from them, and the
        fewer columns it draws from, the better; who asks for one by name still gets it.
        """
        kept = [_varies(self.column(name)) for name in self.names]
        first = self.values[0] if len(self) else np.full(len(self.names), np.nan)
        alike = {
            name: float(value)
            for name, value, varies in zip(self.names, first, kept, strict=True)
            if not varies
        }
        return replace(
            self,
            values=self.values[:, kept],
            names=tuple(name for name in self.names if name not in alike),
            tree_names=tuple(name for name in self.tree_names if name not in alike),
            constants={**self.constants, **alike},
        )

    @property
    def customers(self) -> pl.Series:
        """The customer of each row (n,)."""
        return self.keys["customer_id"]

    def keys_at(self, cutoff: Cutoff) -> pl.DataFrame:
        """The keys of a cutoff, in the order of its rows."""
        rows = self.rows_at(cutoff)
        return self.keys[rows.start : rows.stop]

    @cached_property
    def cutoff_index(self) -> NDArray[np.int64]:
        """The index of each row's cutoff (n,)."""
        return np.repeat(np.arange(len(self.cutoffs)), np.diff(self.starts))

    def eligible(self, active_within: int) -> NDArray[np.bool_]:
        """Rows that a target is asked about (n,): those with a purchase in the last
        `active_within` days, and with as many purchases as the entity must have.
        """
        return np.asarray(
            (self.silent_days <= active_within) & (self.purchases >= self.entity.least)
        )

    @cached_property
    def day(self) -> NDArray[np.float64]:
        """The local day of each row's cutoff, counted from 1970-01-01 (n,)."""
        return np.array([c.wall / DAY_US for c in self.cutoffs])[self.cutoff_index]

    def at(self, cutoffs: Sequence[Cutoff]) -> Dataset:
        """The rows of some of the cutoffs, earliest first."""
        chosen = tuple(sorted(cutoffs))
        slices = [self.rows_at(c) for c in chosen]
        rows = _joined(slices)
        return replace(
            self,
            cutoffs=chosen,
            starts=tuple(np.cumsum([0, *(s.stop - s.start for s in slices)]).tolist()),
            keys=self.keys[rows],
            values=self.values[rows],
            silent_days=self.silent_days[rows],
            purchases=self.purchases[rows],
            states={str(c): self.states[str(c)] for c in chosen},
        )

    def take(self, rows: NDArray[np.bool_]) -> Dataset:
        """The rows for which the mask (n,) holds; all cutoffs stay, even if empty."""
        counts = [int(rows[a:b].sum()) for a, b in zip(self.starts, self.starts[1:], strict=False)]
        return replace(
            self,
            starts=tuple(np.cumsum([0, *counts]).tolist()),
            keys=self.keys.filter(pl.Series(rows)),
            values=self.values[rows],
            silent_days=self.silent_days[rows],
            purchases=self.purchases[rows],
        )

    def to_pandas(self) -> pd.DataFrame:
        """The matrix with index (keys, cutoff)."""
        import pandas as pd

        cutoffs = np.array([str(c) for c in self.cutoffs])[self.cutoff_index]
        index = pd.MultiIndex.from_arrays(
            [*(self.keys[key].to_list() for key in self.entity.keys), cutoffs],
            names=[*self.entity.keys, "cutoff"],
        )
        return pd.DataFrame(self.values, index=index, columns=list(self.names))


def _varies(values: NDArray[np.float64]) -> bool:
    """Whether there are several values, empty cells counting as one."""
    known = values[~np.isnan(values)]
    return bool(len(known) and (len(known) < len(values) or (known != known[0]).any()))


def families(
    names: str | Sequence[str] = "all",
    windows: Sequence[int] = STANDARD_WINDOWS,
    plugins: Sequence[Plugin] = (),
    entity: str = CUSTOMER,
    segments: tuple[str, ...] = (),
) -> list[Family]:
    """The families asked for, in the order of their names; `all` are those about the entity.

    `segments` are the columns of customers that `data.segments` names.
    """
    found = shelf("ppi_ml.features", "FAMILY", plugins)
    asked = set(found if names == "all" else [names] if isinstance(names, str) else names)
    chosen = [cast(Family, found[name]) for name in sorted(asked)]
    if names == "all":
        chosen = [f for f in chosen if _serves(f, entity)]
    for family in chosen:
        if not _serves(family, entity):
            raise ConfigError(
                f"features.families: {family.name} is about {family.entity}, not about {entity}"
            )
    whole = [_with_segments(family, segments) for family in chosen]
    if names == "all":
        whole = [family for family in whole if _is_read(family, entity)]
    return [_with_windows(family, tuple(windows)) for family in whole]


def _with_segments(family: Family, segments: tuple[str, ...]) -> Family:
    return family if family.of_segments is None or not segments else family.of_segments(segments)


def _serves(family: Family, entity: str) -> bool:
    """Whether its rows can be about this entity, or about the order or the customer it is of."""
    return any(family.serves(name) for name in (entity, *_PART_OF.get(entity, ())))


def _is_read(family: Family, entity: str) -> bool:
    """Whether a model about the entity reads it.

    What no tree may see is for curves alone, and only what has a curve has a `_HISTORY`.
    """
    return entity in _HISTORY or any(column.trees for _, column in aggregation.columns_of(family))


def every_family(plugins: Sequence[Plugin] = ()) -> list[Family]:
    """The whole shelf, whatever a row is about."""
    return [
        families(name, plugins=plugins, entity=_entities_of(family)[0])[0]
        for name, family in sorted(shelf("ppi_ml.features", "FAMILY", plugins).items())
    ]


def _entities_of(family: object) -> tuple[str, ...]:
    about = cast(Family, family).entity
    return (about,) if isinstance(about, str) else about


def for_the_model(
    chosen: Sequence[Family], entity: str = CUSTOMER, plugins: Sequence[Plugin] = ()
) -> list[Family]:
    """The families, with those that curves are made of: `_HISTORY`.

    Where one was not asked for, its columns reach the smooth models only, not the trees.
    """
    there = {family.name for family in chosen}
    needed = [name for name in _HISTORY.get(entity, ()) if name not in there]
    missing = families(needed, plugins=plugins, entity=entity) if needed else []
    return sorted([*chosen, *map(_hidden, missing)], key=lambda family: family.name)


def _hidden(family: Family) -> Family:
    """The family with no column that a tree may see."""
    fitted = family.fitted
    if fitted is not None:
        describes = tuple(replace(e, trees=False) for e in fitted.describes)
        fitted = replace(fitted, describes=describes)
    return replace(
        family,
        features=tuple(replace(f, trees=False) for f in family.features),
        expressions=tuple(replace(e, trees=False) for e in family.expressions),
        fitted=fitted,
    )


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
    entity: Entity = ONE_CUSTOMER,
    wanted: Wanted | None = None,
    states: Mapping[str, State] | None = None,
    threads: int = 2,
    memory: int = 4 * GIGABYTE,
    on_cutoff: Callable[[], None] = lambda: None,
) -> Dataset:
    """Everybody with a purchase before each cutoff, with the columns of the families.

    For pairs (`entity`) the log is one that `entities.prepared` has been through, and `wanted`
    says which of them are rows. States are fitted on the past of each cutoff, of all pairs, or
    replayed when `states` (family -> state) is given. The work is split into as many buckets as
    `memory` (bytes) asks for. `UsageError` if the log knows whole days only and a cutoff is not a
    local midnight.
    """
    ordered = tuple(sorted(set(cutoffs)))
    _check_midnights(log, ordered)
    buckets = split(log, bucket_count(log, memory, threads))
    parts = []
    for cutoff in ordered:
        made = snapshot(Cut(buckets, cutoff, entity, tuple(chosen), states, threads), wanted)
        parts.append(_Part.of(made, entity, chosen))
        on_cutoff()
    return _assemble(entity, ordered, parts, chosen)


def _check_midnights(log: EventLog, cutoffs: Sequence[Cutoff]) -> None:
    daily = [name for name, table in log.tables.items() if table.granularity == "day"]
    wrong = [c for c in cutoffs if daily and not c.is_midnight]
    if wrong:
        raise UsageError(
            f"the cutoff {wrong[0]} is not a local midnight, and the table {daily[0]} knows whole "
            f"days only; give a date, or a time of 00:00 in {log.timezone}"
        )


@dataclass(frozen=True)
class _Part:
    """The rows of one cutoff as they will lie in the matrix; a snapshot is three times as large."""

    keys: pl.DataFrame
    values: NDArray[np.float32]
    states: dict[str, State]
    sample: pl.DataFrame | None

    @classmethod
    def of(cls, made: Snapshot, entity: Entity, chosen: Sequence[Family]) -> _Part:
        named = (*entity.keys, GROUP) if entity.is_pair else entity.keys
        columns = pl.col(names_of(chosen)).cast(pl.Float32).fill_null(float("nan"))
        values = made.frame.select(columns).to_numpy()
        return cls(made.frame.select(*_ROW, *named), values, made.states, made.sample)


def names_of(chosen: Sequence[Family]) -> tuple[str, ...]:
    """The columns of the families, in their order in the matrix."""
    return tuple(name for family in chosen for name, _ in aggregation.columns_of(family))


def _assemble(
    entity: Entity, cutoffs: tuple[Cutoff, ...], parts: list[_Part], chosen: Sequence[Family]
) -> Dataset:
    """One matrix of all parts, which are let go one by one: together they are as large as it is."""
    states = {str(c): part.states for c, part in zip(cutoffs, parts, strict=True)}
    sampled = {str(c): part.sample for c, part in zip(cutoffs, parts, strict=True)}
    starts = tuple(np.cumsum([0, *(part.keys.height for part in parts)]).tolist())
    rows = pl.concat([part.keys for part in parts])
    names = names_of(chosen)
    values = np.empty((starts[-1], len(names)), dtype=np.float32)
    while parts:
        last = parts.pop()
        values[starts[len(parts)] : starts[len(parts) + 1]] = last.values
    return Dataset(
        entity=entity,
        cutoffs=cutoffs,
        starts=starts,
        keys=rows.drop(_ROW),
        values=values,
        silent_days=rows["silent_us"].to_numpy() / DAY_US,
        purchases=rows["purchases"].to_numpy(),
        names=names,
        tree_names=tuple(
            name for f in chosen for name, declared in aggregation.columns_of(f) if declared.trees
        ),
        states=states,
        samples={date: sample for date, sample in sampled.items() if sample is not None},
    )


def build_features(
    log: EventLog,
    cutoffs: Sequence[object] | object,
    *,
    entity: str = "customer",
    product: str = "sku",
    families: Sequence[str] | None = None,
    plugins: str | Path | Sequence[str | Path] = (),
) -> pd.DataFrame:
    """Point-in-time features: index (keys, cutoff), one float32 column per feature.

    Args:
        log: the events.
        cutoffs: one cutoff or several: dates, ISO texts or aware times.
        entity: what a row is about; `customer` (key customer_id), or `customer_product`
            (customer_id and product).
        product: for `customer_product`, what a product is: `sku`, or a column of `products`.
        families: names of families; all of them if not given.
        plugins: a file of your own with a family, or several.

    Every row knows only what was known before its cutoff. NaN is null: the catalogue
    (`ppi-ml features`) says what that means for each column.
    """
    if entity not in _HISTORY:
        raise UsageError(f'unknown entity "{entity}"; features exist for {" and ".join(_HISTORY)}')
    about = ONE_CUSTOMER if entity == CUSTOMER else Entity(entity, product, GROUPS.get(product))
    log = prepared(log, about)
    asked = [cutoffs] if isinstance(cutoffs, str) or not isinstance(cutoffs, Sequence) else cutoffs
    instants = [Cutoff.parse(c, log.timezone) for c in asked]
    asked_for = "all" if families is None else families
    own = load_plugins(plugins)
    chosen = _families(asked_for, plugins=own, entity=entity, segments=log.segments)
    return build(log, instants, chosen, entity=about).to_pandas()


def _joined(slices: Sequence[slice]) -> slice | NDArray[np.int64]:
    """The rows of some slices; one slice where they lie side by side, which copies nothing."""
    if all(one.stop == then.start for one, then in pairwise(slices)):
        return slice(slices[0].start, slices[-1].stop)
    return np.concatenate([np.arange(s.start, s.stop) for s in slices])


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
        "table": aggregation.table_behind(family, declared.view),
        "used_by": "trees and smooth models" if declared.trees else "smooth models",
    }


_families = families
