"""What the hazard model sees of a person-interval: smooth columns for the regression, tree inputs.

Which facts may go where is the heart of it. Ages, life-time counts and the calendar date go to the
smooth regression alone; a tree that could tell the date would learn that date's luck by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppi_ml.models.glm import PoissonGlm
from ppi_ml.models.histories import Histories

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Matrix = NDArray[np.float32]

YEAR_DAYS = 365.25
HAZARD_FLOOR, HAZARD_CEILING = -14.0, 3.0
"""Bounds of every log hazard: one purchase in 3,000 years, and 20 a day."""
_SPANS = (7, 30, 90)
RECENT_DAYS = (7, 14, 30, 90, 365)
"""Windows before the cutoff whose purchases the regression counts."""
MONTH_DAYS, MONTHS = 30, 14
"""Purchases are counted by age in steps of so many days, up to so many of them: a year ago and 30
days more lie within."""
_YEAR_AGO = 365


@dataclass(frozen=True)
class Rows:
    """What the model knows of n (entity, cutoff) rows; m intervals, P processes, p tree inputs.

    `log_hazards` (n, m, P) of the processes; `gap_place` (n, 2) mean and spread of the ln gap that
    the population lends to the customer's own; `recent` (n, 5) purchases in the last `RECENT_DAYS`;
    `value` (n,) mean money of a purchase, NaN if unknown; `mean_gap`, `median_gap` (n,) own gaps,
    NaN without one; `trees` (n, p) float32; `day` (n,) the cutoff's local day since 1970-01-01;
    `key` (n,) a stable number of the customer for sampling and hold-out. `facts` (n, f) further
    columns for the regression, named in `Settings.facts`; `ending` (n, m) how much higher the log
    hazard of every interval is for a pair that is known to still consume, None for customers.
    `by_month` (n, 15) purchases in the last 0, 30, 60, ... 420 days, None for pairs.
    """

    histories: Histories
    log_hazards: FloatArray
    gap_place: FloatArray
    recent: FloatArray
    value: FloatArray
    mean_gap: FloatArray
    median_gap: FloatArray
    trees: Matrix
    day: FloatArray
    key: IntArray
    facts: FloatArray | None = None
    ending: FloatArray | None = None
    by_month: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.histories)

    def take(self, rows: slice | NDArray[Any]) -> Rows:
        """Some of the rows: a slice, positions, or a mask."""
        some = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        kept: dict[str, Any] = {n: None if v is None else v[rows] for n, v in some.items()}
        return Rows(self.histories.take(rows), **kept)

    def smooth(
        self, row: IntArray, interval: IntArray, settings: Settings
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """Columns (k, q) of person-intervals for the regression, and their names."""
        return glm_columns(self, row, interval, settings)

    def offset(self, row: IntArray, interval: IntArray) -> FloatArray:
        """The log hazard (k,) that the regression starts from: the mean of the processes'."""
        return np.asarray(self.log_hazards.mean(axis=2)[row, interval])

    def alone(self, settings: Settings) -> FloatArray:
        """The log hazard (n, m) of the one process that is the whole model, or of their mean."""
        if settings.alone is None:
            return mean_of_processes(self, settings)
        return np.asarray(self.log_hazards[:, :, settings.processes.index(settings.alone)])

    def tree_inputs(
        self, row: IntArray, interval: IntArray, settings: Settings
    ) -> tuple[Matrix, tuple[str, ...]]:
        """Inputs (k, p + interval inputs) of person-intervals for the trees, and their names."""
        names = (*settings.tree_names, *interval_names(settings.processes))
        return tree_inputs(self, row, interval, settings), names

    def standing(self, settings: Settings) -> tuple[Matrix, tuple[str, ...]]:
        """Inputs (n, p') that do not change with the days after the cutoff, and their names."""
        return standing_inputs(self, settings)


@dataclass(frozen=True)
class Settings:
    """How the hazard is fitted; `edges` (m+1,) days from 0 to the reach of the curve."""

    edges: tuple[float, ...]
    processes: tuple[str, ...]
    tree_names: tuple[str, ...]
    stages: str = "process+glm+trees"
    alone: str | None = None
    """The process that is the whole model where no later stage is used; None: their mean."""
    season: bool = False
    season_sd: float = 0.3
    yearly: bool = False
    """Whether the regression sees what customers bought in the same weeks a year ago."""
    smooth_sd: float = 0.1
    """Prior sd of a standardised column; small, because it corrects what the processes say."""
    step_sd: float = 0.15
    whole_days: bool = False
    trees: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    """Further columns of the regression, where the entity has them."""
    quiet: float = 1.0
    """The share of the intervals without an event that a fit looks at; see `thinning`."""
    seed: int = 0
    threads: int = 2

    @property
    def middles(self) -> FloatArray:
        """The middle of every interval, in days."""
        edges = np.asarray(self.edges)
        return np.asarray((edges[1:] + edges[:-1]) / 2)

    @property
    def widths(self) -> FloatArray:
        """The width of every interval, in days."""
        return np.asarray(np.diff(np.asarray(self.edges)))


def process_hazards(survival: FloatArray, edges: FloatArray) -> FloatArray:
    """ln of the constant hazard of every interval (n, m) from survival at the edges (n, m+1)."""
    drop = -np.diff(np.log(np.maximum(survival, 1e-300)), axis=1)
    with np.errstate(divide="ignore"):
        log_hazard = np.log(np.maximum(drop, 0.0) / np.diff(edges))
    return np.asarray(np.clip(log_hazard, HAZARD_FLOOR, HAZARD_CEILING))


def mean_of_processes(rows: Rows, settings: Settings) -> FloatArray:
    """The log hazard (n, m) of the plain mean of the processes' survival curves."""
    steps = np.exp(rows.log_hazards) * settings.widths[None, :, None]
    survival = np.exp(-np.cumsum(steps, axis=1)).mean(axis=2)
    whole = np.hstack([np.ones((len(rows), 1)), survival])
    return process_hazards(whole, np.asarray(settings.edges))


def pace(rows: Rows, settings: Settings) -> FloatArray:
    """Log of the mean hazard (n,), per day, that the processes expect over the next 90 days."""
    ends = np.cumsum(settings.widths)
    j = int(np.abs(ends - _SPANS[-1]).argmin())
    hazards = np.exp(mean_of_processes(rows, settings)[:, : j + 1])
    return np.asarray(np.log(hazards @ settings.widths[: j + 1] / ends[j]))


def glm_columns(
    rows: Rows, row: IntArray, interval: IntArray, settings: Settings
) -> tuple[FloatArray, tuple[str, ...]]:
    """Columns (k, q) of person-intervals and their names."""
    smooth = _smooth_facts(rows)
    middle = settings.middles[interval]
    log_middle = np.log(middle)
    parts = {name: values[row] for name, values in smooth.items()}
    parts["log_middle"] = log_middle
    parts["log_middle_sq"] = log_middle**2
    parts["waited_place"] = waited_place(rows, row, middle)
    for name in ("log_recency", "log_count", "log_age"):
        parts[f"{name}_x_log_middle"] = parts[name] * log_middle
    if rows.facts is not None:
        parts |= {f"fact_{name}": rows.facts[row, i] for i, name in enumerate(settings.facts)}
    for i, process in enumerate(settings.processes):
        parts[f"h_{process}"] = rows.log_hazards[row, interval, i]
    for j in range(len(settings.widths)):
        parts[f"step_{j}"] = (interval == j).astype(np.float64)
    if settings.yearly:
        parts |= _year_ago(rows, row, middle)
    if settings.season:
        parts |= _season(rows.day[row] + middle)
    return np.column_stack(list(parts.values())), tuple(parts)


def _smooth_facts(rows: Rows) -> dict[str, FloatArray]:
    h = rows.histories
    recency, count = np.log1p(h.elapsed_days), np.log1p(h.repeats)
    facts = {
        "log_recency": recency,
        "log_count": count,
        "log_age": np.log1p(h.age_days),
        "log_recency_x_log_count": recency * count,
        "log_recency_sq": recency**2,
        "log_count_sq": count**2,
        "one_timer": (h.repeats == 0).astype(np.float64),
        "log_value": np.log1p(np.maximum(np.nan_to_num(rows.value), 0.0)),
    }
    for i, window in enumerate(RECENT_DAYS):
        facts[f"log_recent_{window}"] = np.log1p(rows.recent[:, i])
    return facts


def waited_place(rows: Rows, row: IntArray, middle: FloatArray) -> FloatArray:
    """Where the wait at the middle of an interval lies among the customer's gaps, in spreads."""
    waited = np.log(rows.histories.elapsed_days[row] + middle)
    place = (waited - rows.gap_place[row, 0]) / rows.gap_place[row, 1]
    return np.asarray(np.clip(place, -4.0, 4.0))


def _year_ago(rows: Rows, row: IntArray, middle: FloatArray) -> dict[str, FloatArray]:
    """What was bought a year before the middle of an interval, 30 days before and after that.

    `year_ago` (k,) is ln(1 + purchases) and `year_ago_known` 1 where the customer was there all
    that time and it lies before the cutoff; else both are 0.
    """
    last = _YEAR_AGO - middle - MONTH_DAYS
    first = last + 2 * MONTH_DAYS
    known = (last >= 0) & (rows.histories.age_days[row] >= first)
    there = _up_to(rows, row, np.where(known, first, 0.0))
    there -= _up_to(rows, row, np.where(known, last, 0.0))
    return {"year_ago": np.log1p(there), "year_ago_known": known.astype(np.float64)}


def _up_to(rows: Rows, row: IntArray, age: FloatArray) -> FloatArray:
    """The purchases of rows in the last `age` days (k,), below 420 of them.

    Between the ages at which `by_month` counts they are taken to be spread evenly.
    """
    if rows.by_month is None:
        raise ValueError("what was bought a year ago needs purchases by month, and pairs have none")
    place, rest = np.divmod(age, MONTH_DAYS)
    i, share = place.astype(np.int64), rest / MONTH_DAYS
    before, after = rows.by_month[row, i], rows.by_month[row, i + 1]
    return np.asarray((1 - share) * before + share * after)


def _season(day: FloatArray) -> dict[str, FloatArray]:
    """Two harmonics of the interval's own calendar date."""
    angle = 2 * np.pi * day / YEAR_DAYS
    return {
        f"season_{name}{k}": wave(k * angle)
        for k in (1, 2)
        for name, wave in (("sin", np.sin), ("cos", np.cos))
    }


def season_effect(glm: PoissonGlm | None, day: FloatArray, settings: Settings) -> FloatArray:
    """What a regression says of the date of every interval: log effect (n, m), 0 without a season.

    `day` (n,) is the local day of the cutoff since 1970-01-01.
    """
    effect = np.zeros((len(day), len(settings.widths)))
    if glm is None or not any(name.startswith("season_") for name in glm.names):
        return effect
    waves = _season(day[:, None] + settings.middles[None, :])
    for name, coefficient in zip(glm.names, glm.coefficients, strict=True):
        if name in waves:
            effect += coefficient * waves[name]
    return effect


def interval_names(processes: Sequence[str]) -> tuple[str, ...]:
    """The tree inputs that belong to the interval, not to the row."""
    own = ("middle", "width", "waited", "waited_over_mean_gap", "waited_over_median_gap", "place")
    return tuple(f"interval__{name}" for name in (*own, *(f"h_{p}" for p in processes)))


def tree_inputs(rows: Rows, row: IntArray, interval: IntArray, settings: Settings) -> Matrix:
    """Inputs (k, p + interval inputs) of person-intervals, float32."""
    middle = settings.middles[interval]
    waited = rows.histories.elapsed_days[row] + middle
    own = [
        middle,
        settings.widths[interval],
        waited,
        waited / rows.mean_gap[row],
        waited / rows.median_gap[row],
        waited_place(rows, row, middle),
        *(rows.log_hazards[row, interval, i] for i in range(len(settings.processes))),
    ]
    p = rows.trees.shape[1]
    inputs = np.empty((len(row), p + len(own)), dtype=np.float32)
    inputs[:, :p] = rows.trees[row]
    for i, column in enumerate(own):
        inputs[:, p + i] = column
    return inputs


def standing_inputs(rows: Rows, settings: Settings) -> tuple[Matrix, tuple[str, ...]]:
    """What a proportional-hazards model sees of a row: inputs (n, p') and their names.

    Beside the families' columns: the wait so far, over the own gaps, its place among them, and the
    mean hazard of every process up to the edges nearest to 7, 30 and 90 days.
    """
    names = standing_names(settings)
    waited = rows.histories.elapsed_days
    everybody = np.arange(len(rows))
    own = [
        waited,
        waited / rows.mean_gap,
        waited / rows.median_gap,
        waited_place(rows, everybody, np.zeros(len(rows))),
    ]
    ends = np.cumsum(settings.widths)
    mass = np.cumsum(np.exp(rows.log_hazards) * settings.widths[None, :, None], axis=1)
    for day in _SPANS:
        j = int(np.abs(ends - day).argmin())
        own += [np.log(mass[:, j, i] / ends[j]) for i in range(len(settings.processes))]
    p = rows.trees.shape[1]
    inputs = np.empty((len(rows), p + len(own)), dtype=np.float32)
    inputs[:, :p] = rows.trees
    for i, column in enumerate(own):
        inputs[:, p + i] = column
    return inputs, names


def standing_names(settings: Settings) -> tuple[str, ...]:
    """The names of `standing_inputs`."""
    own = ("waited", "waited_over_mean_gap", "waited_over_median_gap", "place")
    spans = (f"h_{process}_{day}d" for day in _SPANS for process in settings.processes)
    return (*settings.tree_names, *(f"row__{name}" for name in (*own, *spans)))
