"""Is a family of features honest? The checks that every family of the shelf has to pass.

They run on a log and two of its dates: who is a row, what a cut log gives, what a tree may see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ppi_ml import dataset, entities
from ppi_ml.aggregation import columns_of
from ppi_ml.declare import Family
from ppi_ml.entities import CUSTOMER, PAIR, Entity
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.snapshot import Past


@dataclass(frozen=True)
class Finding:
    """One check: what was asked, whether it holds, and where it does not."""

    check: str
    holds: bool
    where: str = ""


def check(family: Family, log: EventLog) -> list[Finding]:
    """Every check on one family, at two thirds and at the end of a log."""
    length = log.observed_until.days_since(log.observed_from)
    cutoffs = [log.observed_from.plus(length * 2 // 3), log.observed_until]
    return [finding for cutoff in cutoffs for finding in _at(family, log, cutoff)]


def _at(family: Family, log: EventLog, cutoff: Cutoff) -> Iterator[Finding]:
    entity = Entity(CUSTOMER if family.serves(CUSTOMER) else PAIR)
    log = entities.prepared(log, entity)
    data = dataset.build(log, [cutoff], [family], entity=entity)
    cut = dataset.build(log.until(cutoff), [cutoff], [family], entity=entity)
    split = dataset.build(log, [cutoff], [family], entity=entity, memory=10**8, threads=1)
    everybody = Past(log, cutoff, entity).entities.select(entity.keys)
    declared = columns_of(family)
    said = [name for name, column in declared if not (column.unit and column.null)]
    yield Finding("every column says its unit and what null means", not said, ", ".join(said))
    same = data.keys.select(entity.keys).equals(everybody)
    yield Finding(f"{cutoff}: one row for everybody with a past, no more and no less", same)
    leaks = _differing(data, cut)
    yield Finding(f"{cutoff}: a log cut at the date gives the same", not leaks, ", ".join(leaks))
    splits = _differing(data, split)
    yield Finding(f"{cutoff}: any split into buckets gives the same", not splits, ", ".join(splits))
    constant = [name for name in data.tree_names if _is_constant(data.column(name))]
    yield Finding(
        f"{cutoff}: no tree input is the same for everybody", not constant, ", ".join(constant)
    )


def _differing(one: dataset.Dataset, other: dataset.Dataset) -> list[str]:
    if len(one) != len(other):
        return ["the number of rows"]
    equal = (one.values == other.values) | (np.isnan(one.values) & np.isnan(other.values))
    return [name for name, same in zip(one.names, equal.all(axis=0), strict=True) if not same]


def _is_constant(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bool:
    """Whether all rows hold one value, or none any."""
    return len(np.unique(values)) <= 1
