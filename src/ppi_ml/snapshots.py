"""One cutoff of a matrix: who is a row there, and what stands in the columns of the families.

Customers are all rows. Pairs are many, so the families that learn from everybody see all of them,
and the others only those that are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import aggregation
from ppi_ml.declare import Family, State
from ppi_ml.engine.local import map_buckets
from ppi_ml.entities import GROUP, PRODUCT, Entity
from ppi_ml.events import EventLog
from ppi_ml.instants import DAY_US, Cutoff
from ppi_ml.snapshot import Past

T = TypeVar("T")

SAMPLED_PAIRS = 20_000
"""Pairs that the processes of a cutoff are fitted on, at most."""


@dataclass(frozen=True)
class Wanted:
    """Which of the pairs become rows, all with a past if None is given.

    `within` days of silence at most, and as many purchases as the entity must have; `in_stock`
    leaves out what cannot be bought at the cutoff. Of these `most` at each cutoff, drawn by hash
    of the pair and `seed`, so that the draw depends on nothing else.
    """

    within: int
    most: int | None = None
    seed: int = 0
    in_stock: bool = False


@dataclass(frozen=True)
class Cut:
    """One cutoff of a build: the buckets, what is asked, and the states if they are given."""

    buckets: Sequence[EventLog]
    cutoff: Cutoff
    entity: Entity
    chosen: tuple[Family, ...]
    states: Mapping[str, State] | None
    threads: int

    def past(self, bucket: EventLog) -> Past:
        """The past of one bucket."""
        return Past(bucket, self.cutoff, self.entity)

    def each(self, work: Callable[[EventLog], T]) -> list[T]:
        """The work done on every bucket, in order."""
        return map_buckets(work, self.buckets, self.threads)


@dataclass(frozen=True)
class Snapshot:
    """The rows of one cutoff, sorted by key; the states used; pairs to fit processes on."""

    frame: pl.DataFrame
    states: dict[str, State]
    sample: pl.DataFrame | None = None


def snapshot(at: Cut, wanted: Wanted | None) -> Snapshot:
    """All rows of one cutoff: everybody, or the pairs that are wanted."""
    if at.entity.is_pair:
        return _pairs(at, wanted)
    learned = learned_states(at)
    frame = pl.concat(at.each(lambda bucket: _computed(at.past(bucket), at.chosen, learned)))
    frame, states = _fitted(frame.sort(at.entity.keys), at)
    return Snapshot(frame, learned | states)


def states_of(at: Cut, fitted: Sequence[Family]) -> dict[str, State]:
    """The states of families that are fitted on the columns of everybody."""
    if not fitted:
        return {}
    return snapshot(replace(at, chosen=tuple(fitted)), None).states


def learned_states(at: Cut) -> dict[str, State]:
    """What the views of the families know of everybody: learned here, or as it was given."""
    found: dict[str, State] = {}
    for family in at.chosen:
        learned = family.learned
        if learned is None:
            continue
        if at.states is not None:
            found[family.name] = at.states[family.name]
            continue
        parts = at.each(lambda bucket, own=learned: own.collect(at.past(bucket).seen))  # type: ignore[misc]
        found[family.name] = learned.fit(pl.concat(parts))
    return found


def unused(log: EventLog, chosen: Sequence[Family], states: Mapping[str, State]) -> tuple[str, ...]:
    """What the families could not learn, a clause each; a table that is absent is none.

    Args:
        log: the events.
        chosen: the families.
        states: family -> its state, those of the model that ships.
    """
    found = []
    for family in chosen:
        told = family.learned.unused if family.learned else None
        if told is not None and any(view.of in log.tables for view in family.views):
            found.append(told(states[family.name]))
    return tuple(why for why in found if why)


def _computed(past: Past, chosen: Sequence[Family], learned: Mapping[str, State]) -> pl.DataFrame:
    """Keys, silence and purchases of the rows, and the columns of the families before `fitted`."""
    frame = past.entities.drop("seen_us")
    for family in chosen:
        columns = aggregation.compute(family, past, learned.get(family.name))
        frame = frame.hstack(columns.drop(past.entity.keys))
    return frame


def _fitted(frame: pl.DataFrame, at: Cut) -> tuple[pl.DataFrame, dict[str, State]]:
    """The frame with the columns that need a state, and the states."""
    used: dict[str, State] = {}
    for family in at.chosen:
        if family.fitted is None:
            continue
        if at.states is None:
            used[family.name] = family.fitted.fit(family.fitted.collect(frame))
        else:
            used[family.name] = at.states[family.name]
        frame = frame.with_columns(**family.fitted.columns(used[family.name]))
    return frame, used


def _pairs(at: Cut, wanted: Wanted | None) -> Snapshot:
    """Pairs are many: what is fitted sees all of them, the other families only the rows.

    So the families with a state are computed on every pair first; then the rows are drawn.
    """
    learned = learned_states(at)
    fitted = [family for family in at.chosen if family.fitted is not None]
    everybody = pl.concat(at.each(lambda bucket: _computed(at.past(bucket), fitted, learned)))
    everybody, states = _fitted(everybody.sort(at.entity.keys), at)
    number = pair_numbers(everybody, 0 if wanted is None else wanted.seed)
    sample = None if at.states is not None else _sample(everybody, at.entity, number)
    rows = everybody if wanted is None else _drawn(everybody, at, wanted, number)
    others = [family for family in at.chosen if family.fitted is None]
    if others:
        parts = at.each(lambda bucket: _computed(at.past(bucket).only(rows), others, learned))
        further = pl.concat(parts).sort(at.entity.keys)
        rows = rows.hstack(further.drop(*at.entity.keys, GROUP, "silent_us", "purchases"))
    return Snapshot(rows, learned | states, sample)


def _drawn(
    frame: pl.DataFrame, at: Cut, wanted: Wanted, number: NDArray[np.float64]
) -> pl.DataFrame:
    """The rows that are wanted."""
    least = at.entity.least
    asked = (frame["silent_us"] <= wanted.within * DAY_US) & (frame["purchases"] >= least)
    if wanted.in_stock:
        asked = asked & ~frame[PRODUCT].is_in(at.past(at.buckets[0]).out_of_stock().to_list())
    mask = asked.to_numpy()
    if wanted.most is not None and mask.sum() > wanted.most:
        mask = mask & (number < wanted.most / mask.sum())
    return frame.filter(pl.Series(mask))


def _sample(frame: pl.DataFrame, entity: Entity, number: NDArray[np.float64]) -> pl.DataFrame:
    """At most so many pairs with enough purchases, however long they have been silent."""
    mask = (frame["purchases"] >= entity.least).to_numpy()
    if mask.sum() > SAMPLED_PAIRS:
        mask = mask & (number < SAMPLED_PAIRS / mask.sum())
    return frame.filter(pl.Series(mask))


def pair_numbers(frame: pl.DataFrame, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for every pair (n,) that depends on customer, product and seed alone."""
    codes = []
    for name in (PRODUCT, "customer_id"):
        distinct = frame[name].unique()
        numbers = pl.Series([crc32(value.encode()) for value in distinct], dtype=pl.UInt64)
        codes.append(frame[name].replace_strict(distinct, numbers, return_dtype=pl.UInt64))
    mixed = codes[0].to_numpy() << np.uint64(32) | codes[1].to_numpy()
    mixed = mixed + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    last = (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)
    return np.asarray(last.astype(np.float64) / 2.0**53)
