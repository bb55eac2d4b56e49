"""Dataset -> what the hazard model reads: histories, process states, and the smooth facts.

Process parameters at a cutoff are fitted on the past of that cutoff; scoring replays those of the
bundle. The same code serves training and scoring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import pair_rows
from ppi_ml.dataset import Dataset
from ppi_ml.errors import NotTrainableError
from ppi_ml.instants import Cutoff
from ppi_ml.models.covariates import MONTH_DAYS, MONTHS, RECENT_DAYS, Rows, process_hazards
from ppi_ml.models.gaps import next_gap
from ppi_ml.models.histories import Histories
from ppi_ml.models.processes import PROCESSES

FloatArray = NDArray[np.float64]
ProcessState = dict[str, dict[str, Any]]
"""Process -> its parameters at one cutoff; `gaps` is always there, it places the waits."""

MOST_CUSTOMERS = 8_000
_LEAST_SPAN = 1e-8
"""The least share of a customer's age that two purchases lie apart."""
_UNKNOWN_ENTRY_DAYS = 60
"""Whose first purchase falls into so many first days of a log may have been there before it: the
fits of the processes leave them out, if enough others remain."""
_CROWDED_DAYS = 30
"""Where most turn up in so many first days, they were there before. Not `_UNKNOWN_ENTRY_DAYS`: a
cohort that joins within a quarter was seen to begin."""
_ENOUGH = 0.5
_PLACE = "gaps"


def histories(data: Dataset) -> Histories:
    """The five numbers of every row that a purchase process reads."""
    repeats = data.column("cadence__purchases__count") - 1
    age = data.column("cadence__age__max")
    # columns are float32: two purchases around one midnight may round to the same age
    between = np.maximum(age - data.column("cadence__elapsed__days_since"), _LEAST_SPAN * age)
    span = np.where(repeats > 0, between, 0.0)
    total = np.nan_to_num(data.column("cadence__ln_gap__sum"))
    # for the same reason a customer with equal gaps may seem to have less than no spread
    squares = np.maximum(
        np.nan_to_num(data.column("cadence__ln_gap_sq__sum")), total**2 / np.maximum(repeats, 1)
    )
    return Histories(repeats, span, age, total, squares)


def facts_of(data: Dataset) -> tuple[str, ...]:
    """The names of the further columns of the regression; none for customers."""
    return pair_rows.fact_names(data) if data.entity.is_pair else ()


def keys(data: Dataset) -> NDArray[np.int64]:
    """A stable number of every row's customer (n,): the CRC-32 of the id."""
    distinct = data.customers.unique()
    numbers = [crc32(customer.encode()) for customer in distinct]
    return np.asarray(
        data.customers.replace_strict(distinct, pl.Series(numbers, dtype=pl.Int64)).to_numpy()
    )


def codes(data: Dataset) -> NDArray[np.int64]:
    """A whole number per customer (n,), the same in all rows of that customer."""
    return np.asarray(data.customers.rank("dense").to_numpy(), dtype=np.int64)


@dataclass(frozen=True)
class ProcessStates:
    """The parameters of every process at every cutoff where all of them could be fitted.

    `by_cutoff` ISO date -> process -> parameters; `names` the processes that are used;
    `reasons` process -> why it is not.
    """

    names: tuple[str, ...]
    by_cutoff: Mapping[str, ProcessState]
    reasons: Mapping[str, str]

    def usable(self, cutoffs: Sequence[Cutoff]) -> tuple[Cutoff, ...]:
        """The cutoffs at which every process could be fitted."""
        return tuple(c for c in cutoffs if str(c) in self.by_cutoff)

    def replayed(self, dated: Cutoff, cutoffs: Sequence[Cutoff]) -> ProcessStates:
        """The parameters of one date for rows of other cutoffs, as scoring uses them."""
        return replace(self, by_cutoff={str(c): self.by_cutoff[str(dated)] for c in cutoffs})


def fit_processes(
    data: Dataset,
    names: Sequence[str],
    log_start: Cutoff,
    on_fit: Callable[[], None] = lambda: None,
    deciding: Sequence[Cutoff] | None = None,
) -> ProcessStates:
    """Fit every process at every cutoff of the data, on that cutoff's past alone.

    A process that cannot be fitted at most of the cutoffs is not used; a cutoff at which one of
    the others cannot be fitted is left out. `NotTrainableError` if nothing is left. If `deciding`
    is given, only these cutoffs decide which processes are used: in the early years of a long log
    there may have been too few customers for any.
    """
    if data.entity.is_pair:
        return _fit_pairs(data, on_fit)
    wanted = tuple(dict.fromkeys((*names, _PLACE)))
    everything = histories(data)
    key = keys(data)
    fitted: dict[str, ProcessState] = {}
    reasons: dict[str, str] = {}
    for cutoff in data.cutoffs:
        part = data.rows_at(cutoff)
        chosen = _learn_from(everything.take(part), key[part], cutoff.days_since(log_start))
        fitted[str(cutoff)] = {}
        for name in wanted:
            try:
                fitted[str(cutoff)][name] = PROCESSES[name].fit(chosen)
            except NotTrainableError as error:
                reasons[name] = f"at {cutoff}: {error}"
        on_fit()
    return _usable(names, fitted, reasons, _PLACE, deciding)


def _fit_pairs(data: Dataset, on_fit: Callable[[], None]) -> ProcessStates:
    """The one process of pairs, on the sample of pairs that every cutoff carries."""
    fitted: dict[str, ProcessState] = {}
    reasons: dict[str, str] = {}
    for cutoff in map(str, data.cutoffs):
        fitted[cutoff] = {}
        try:
            fitted[cutoff][pair_rows.NAME] = pair_rows.fit(data.samples[cutoff], data.entity.least)
        except NotTrainableError as error:
            reasons[pair_rows.NAME] = f"at {cutoff}: {error}"
        on_fit()
    return _usable((pair_rows.NAME,), fitted, reasons, pair_rows.NAME)


def _usable(
    names: Sequence[str],
    fitted: Mapping[str, ProcessState],
    reasons: Mapping[str, str],
    place: str,
    deciding: Sequence[Cutoff] | None = None,
) -> ProcessStates:
    last, newest = list(fitted.items())[-1]
    asked = fitted.values() if deciding is None else [fitted[str(c)] for c in deciding]
    kept = tuple(n for n in names if n in newest and sum(n in s for s in asked) * 2 >= len(asked))
    needed = {*kept, place}
    by_cutoff = {cutoff: state for cutoff, state in fitted.items() if needed <= state.keys()}
    if not kept or last not in by_cutoff:
        why = "; ".join(dict.fromkeys(reasons.values()))
        raise NotTrainableError(
            f"no purchase process can be fitted: {why}; load more customers or a longer history"
        )
    return ProcessStates(kept, by_cutoff, {n: r for n, r in reasons.items() if n not in kept})


def _learn_from(all_: Histories, key: NDArray[np.int64], log_days: float) -> Histories:
    """At most 8,000 customers by hash, those with a known entry if they are at least half."""
    known = _entered_later(all_, log_days)
    chosen = np.flatnonzero(known) if _are_enough(known) else np.arange(len(all_))
    order = np.lexsort((chosen, key[chosen]))[:MOST_CUSTOMERS]
    return all_.take(np.sort(chosen[order]))


def _entered_later(all_: Histories, log_days: float) -> NDArray[np.bool_]:
    """Whose entry is known (n,): the first purchase seen is not one of the log's first days."""
    return np.asarray(all_.age_days <= log_days - _UNKNOWN_ENTRY_DAYS)


def lives_begin(data: Dataset, log_start: Cutoff) -> bool:
    """Whether most customers of one cutoff made their first purchase after the log's first month.

    Else they turn up as soon as the log begins: they were there before, those of them who had
    lapsed by then are missing, and the processes expect too long lives.
    """
    (cutoff,) = data.cutoffs
    age = histories(data).age_days
    return _are_enough(age <= cutoff.days_since(log_start) - _CROWDED_DAYS)


def _are_enough(known: NDArray[np.bool_]) -> bool:
    return bool(known.sum() >= _ENOUGH * len(known))


def build(data: Dataset, states: ProcessStates, edges: Sequence[float]) -> Rows:
    """The rows of the hazard model; every cutoff of the data must have a process state."""
    borders = np.asarray(edges, dtype=np.float64)
    if data.entity.is_pair:
        return _build_pairs(data, states, borders)
    everything = histories(data)
    log_hazards = np.empty((len(data), len(borders) - 1, len(states.names)))
    place = np.empty((len(data), 2))
    for cutoff in data.cutoffs:
        part, state = data.rows_at(cutoff), states.by_cutoff[str(cutoff)]
        here = everything.take(part)
        place[part] = next_gap(state[_PLACE], here)
        for i, name in enumerate(states.names):
            survival = PROCESSES[name].survival(state[name], here, borders)
            log_hazards[part, :, i] = process_hazards(survival, borders)
    return replace(_rows(data, everything, log_hazards, place), by_month=_by_month(data))


def _by_month(data: Dataset) -> FloatArray:
    """Purchases in the last 0, 30, 60, ... 420 days (n, 15)."""
    ages = range(MONTH_DAYS, (MONTHS + 1) * MONTH_DAYS, MONTH_DAYS)
    counts = [data.column(f"anniversary__purchases__count__{age}d") for age in ages]
    return np.column_stack([np.zeros(len(data)), *counts])


def _build_pairs(data: Dataset, states: ProcessStates, borders: FloatArray) -> Rows:
    n, m = len(data), len(borders) - 1
    log_hazards, ending, place = np.empty((n, m, 1)), np.empty((n, m)), np.empty((n, 2))
    for cutoff in data.cutoffs:
        part = data.rows_at(cutoff)
        state = states.by_cutoff[str(cutoff)][pair_rows.NAME]
        said = pair_rows.said(data.at([cutoff]), state, borders)
        log_hazards[part, :, 0], ending[part], place[part] = said
    built = _rows(data, pair_rows.histories(data), log_hazards, place)
    return replace(built, facts=pair_rows.facts(data), ending=ending)


def _rows(data: Dataset, everything: Histories, hazards: FloatArray, place: FloatArray) -> Rows:
    """What is read the same way, whatever a row is about."""
    return Rows(
        histories=everything,
        log_hazards=hazards,
        gap_place=place,
        recent=np.column_stack(
            [data.column(f"cadence__recent__count__{window}d") for window in RECENT_DAYS]
        ),
        value=data.column("cadence__value__mean"),
        mean_gap=data.column("cadence__gap__mean"),
        median_gap=data.column("cadence__gap__median"),
        trees=data.trees(),
        day=data.day,
        key=keys(data),
    )
