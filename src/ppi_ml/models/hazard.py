"""The hazard of the next purchase: piecewise exponential, in three stages.

1. Processes: each gives the log hazard of every interval after the cutoff (`process_hazards`).
2. A Poisson regression on these, the smooth facts of the history, and the season.
3. LightGBM on top, which must not learn which date it is: see `design.md`.

The model knows arrays and equations: no events, no files, no config.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppi_ml.models import boost
from ppi_ml.models.curve import PersonIntervals, expand
from ppi_ml.models.glm import PoissonGlm, fit_poisson
from ppi_ml.models.histories import Histories

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Matrix = NDArray[np.float32]

STAGES = ("process", "process+glm", "process+glm+trees")
YEAR_DAYS = 365.25
_HAZARD_FLOOR, _HAZARD_CEILING = -14.0, 3.0
_SMOOTH_SD, _STEP_SD = 1.0, 0.5
_PERIOD_DAYS, _PERIOD_PRIOR_EVENTS = 15, 50.0
_CHUNK_INTERVALS = 400_000
_HELD_CUSTOMERS, _BLOCK_DAYS, _HELD_BLOCKS = 4, 30, 4
_REFIT_ROUNDS = 1.1


@dataclass(frozen=True)
class Rows:
    """What the model knows of n (entity, cutoff) rows; m intervals, P processes, p tree inputs.

    `log_hazards` (n, m, P) of the processes; `gap_place` (n, 2) mean and spread of the ln gap that
    the population lends to the customer's own; `recent` (n, 3) purchases in 30, 90, 365 days;
    `value` (n,) mean money of a purchase, NaN if unknown; `mean_gap`, `median_gap` (n,) own gaps,
    NaN without one; `trees` (n, p) float32; `day` (n,) the cutoff's local day since 1970-01-01;
    `key` (n,) a stable number of the customer for sampling and hold-out.
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

    def __len__(self) -> int:
        return len(self.histories)

    def take(self, rows: slice | NDArray[Any]) -> Rows:
        """Some of the rows: a slice, positions, or a mask."""
        return Rows(self.histories.take(rows), *(
            getattr(self, name)[rows]
            for name in ("log_hazards", "gap_place", "recent", "value", "mean_gap", "median_gap",
                         "trees", "day", "key")
        ))  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How the hazard is fitted; `edges` (m+1,) days from 0 to the reach of the curve."""

    edges: tuple[float, ...]
    processes: tuple[str, ...]
    tree_names: tuple[str, ...]
    stages: str = STAGES[-1]
    alone: str | None = None
    """The process that is the whole model where no later stage is used."""
    season: bool = False
    season_sd: float = 0.3
    whole_days: bool = False
    trees: Mapping[str, Any] = field(default_factory=dict)
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
    return np.asarray(np.clip(log_hazard, _HAZARD_FLOOR, _HAZARD_CEILING))


@dataclass(frozen=True)
class Hazard:
    """A fitted hazard model. `glm` and `trees` are None where that stage is not used."""

    settings: Settings
    glm: PoissonGlm | None
    trees: boost.Trees | None

    def cumulative(self, rows: Rows) -> FloatArray:
        """The cumulative hazard (n, m+1) at the edges, 0 at day 0; S(t) = exp(-cumulative)."""
        widths = self.settings.widths
        total = np.zeros((len(rows), len(widths) + 1))
        step = max(1, _CHUNK_INTERVALS // len(widths))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            log_hazard = self._log_hazard(rows.take(part))
            total[part, 1:] = np.cumsum(np.exp(log_hazard) * widths, axis=1)
        return total

    def _log_hazard(self, rows: Rows) -> FloatArray:
        n, m = len(rows), len(self.settings.widths)
        if self.glm is None:
            alone = self.settings.processes.index(self.settings.alone or self.settings.processes[0])
            return rows.log_hazards[:, :, alone]
        row, interval = np.repeat(np.arange(n), m), np.tile(np.arange(m), n)
        columns, _ = glm_columns(rows, row, interval, self.settings)
        score = self.glm.log_hazard(columns)
        if self.trees is not None:
            inputs = tree_inputs(rows, row, interval, self.settings)
            score = score + self.trees.score(inputs, self.settings.threads)
        return np.clip(score, _HAZARD_FLOOR, _HAZARD_CEILING).reshape(n, m)


@dataclass(frozen=True)
class Smooth:
    """The first two stages of a fit, and what the third goes on from; `score` is (k,)."""

    hazard: Hazard
    rows: Rows
    intervals: PersonIntervals
    score: FloatArray


def fit_smooth(
    rows: Rows, days: FloatArray, observed: NDArray[np.bool_], settings: Settings
) -> Smooth:
    """Processes and regression; see `fit`."""
    intervals = expand(days, observed, settings.edges, settings.whole_days)
    columns, names = glm_columns(rows, intervals.row, intervals.interval, settings)
    sd, standardise = _priors(names, settings)
    glm = fit_poisson(columns, intervals.event, intervals.exposure, names, sd, standardise)
    return Smooth(Hazard(settings, glm, None), rows, intervals, glm.log_hazard(columns))


def add_trees(smooth: Smooth, trees: Mapping[str, Any]) -> Hazard:
    """The third stage; the model stays without trees where they do not help."""
    settings = replace(smooth.hazard.settings, trees=trees)
    fitted = _fit_trees(smooth.rows, smooth.intervals, smooth.score, settings)
    return Hazard(settings, smooth.hazard.glm, fitted)


def fit(rows: Rows, days: FloatArray, observed: NDArray[np.bool_], settings: Settings) -> Hazard:
    """The hazard model of the stages in `settings`.

    Args:
        rows: n training rows.
        days: (n,) days to the event or to the end of sight.
        observed: (n,) whether the event was seen.
        settings: stages, edges, priors, tree settings.
    """
    if settings.stages == STAGES[0]:
        return Hazard(settings, None, None)
    smooth = fit_smooth(rows, days, observed, settings)
    return smooth.hazard if settings.stages == STAGES[1] else add_trees(smooth, settings.trees)


def sample_rows(
    key: IntArray, day: FloatArray, days: FloatArray, edges: Sequence[float], most: int, seed: int
) -> NDArray[np.int64]:
    """Whole rows, drawn by hash, that make about `most` person-intervals; all rows if fewer.

    `key`, `day` and `days` (n,) as in `Rows` and `fit`; the draw depends on customer, cutoff and
    seed alone.
    """
    made = np.searchsorted(np.asarray(edges)[1:-1], days, side="left") + 1
    share = most / max(int(made.sum()), 1)
    if share >= 1:
        return np.arange(len(key))
    return np.flatnonzero(_uniform(key, day, seed) < share)


def _uniform(key: IntArray, day: FloatArray, seed: int) -> FloatArray:
    """A number in [0, 1) that depends on customer, cutoff and seed alone (splitmix64)."""
    step = seed * 0x9E3779B97F4A7C15 % 2**64
    state = key.astype(np.uint64) + np.uint64(step)
    state = state ^ (np.floor(day).astype(np.int64).astype(np.uint64) << np.uint64(33))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return ((state ^ (state >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53


# ------------------------------------------------------------------ stage 2: inputs of the GLM
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
    for i, process in enumerate(settings.processes):
        parts[f"h_{process}"] = rows.log_hazards[row, interval, i]
    for j in range(len(settings.widths)):
        parts[f"step_{j}"] = (interval == j).astype(np.float64)
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
    for i, window in enumerate((30, 90, 365)):
        facts[f"log_recent_{window}"] = np.log1p(rows.recent[:, i])
    return facts


def waited_place(rows: Rows, row: IntArray, middle: FloatArray) -> FloatArray:
    """Where the wait at the middle of an interval lies among the customer's gaps, in spreads."""
    waited = np.log(rows.histories.elapsed_days[row] + middle)
    place = (waited - rows.gap_place[row, 0]) / rows.gap_place[row, 1]
    return np.asarray(np.clip(place, -4.0, 4.0))


def _season(day: FloatArray) -> dict[str, FloatArray]:
    """Two harmonics of the interval's own calendar date."""
    angle = 2 * np.pi * day / YEAR_DAYS
    return {
        f"season_{name}{k}": wave(k * angle)
        for k in (1, 2)
        for name, wave in (("sin", np.sin), ("cos", np.cos))
    }


def _priors(names: Sequence[str], settings: Settings) -> tuple[FloatArray, NDArray[np.bool_]]:
    kinds = {"step": _STEP_SD, "season": settings.season_sd}
    prefix = [name.split("_")[0] for name in names]
    sd = np.array([kinds.get(p, _SMOOTH_SD) for p in prefix])
    return sd, np.array([p not in kinds for p in prefix])


# ------------------------------------------------------------------ stage 3: trees on top
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


def _fit_trees(
    rows: Rows, intervals: PersonIntervals, score: FloatArray, settings: Settings
) -> boost.Trees | None:
    """Trees that correct the GLM; None where they do not help on held-out customers and dates."""
    day = rows.day[intervals.row] + settings.middles[intervals.interval]
    start = np.log(intervals.exposure) + score + _period_effects(day, intervals, score)
    inputs = tree_inputs(rows, intervals.row, intervals.interval, settings)
    names = (*settings.tree_names, *interval_names(settings.processes))
    sample = boost.Sample(inputs, intervals.event, start)
    fixed = {"seed": settings.seed, "threads": settings.threads}
    learn, check = _hold_out(rows.key[intervals.row], day)
    if not intervals.event[check].any() or not intervals.event[learn].any():
        return None
    rounds = boost.best_rounds(
        "poisson", sample.take(learn), sample.take(check), names, settings.trees, **fixed
    )
    if rounds == 0:
        return None
    rounds = max(1, round(_REFIT_ROUNDS * rounds))
    return boost.train("poisson", sample, names, settings.trees, rounds=rounds, **fixed)


def _period_effects(day: FloatArray, intervals: PersonIntervals, score: FloatArray) -> FloatArray:
    """ln of shrunk observed over expected events of the 15 days an interval lies in, (k,).

    What a date did to everybody is taken out here, so that trees need not explain it; it is left
    out at prediction, because nobody knows the next date's.
    """
    period = np.floor(day / _PERIOD_DAYS).astype(np.int64)
    period -= period.min()
    expected = np.bincount(period, intervals.exposure * np.exp(score))
    seen = np.bincount(period, intervals.event)
    effect = np.log((seen + _PERIOD_PRIOR_EVENTS) / (expected + _PERIOD_PRIOR_EVENTS))
    return np.asarray(effect[period])


def _hold_out(key: IntArray, day: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Learn from some customers on some dates; check on the other customers on other dates.

    Dates are held out in blocks, because customers of one date share its luck.
    """
    held_day = np.floor(day / _BLOCK_DAYS).astype(np.int64) % _HELD_BLOCKS == 0
    held = key % _HELD_CUSTOMERS == 0
    return ~held & ~held_day, held & held_day


def with_stages(model: Hazard, stages: str, alone: str | None = None) -> Hazard:
    """The same fit, cut down to simpler stages."""
    keep = STAGES.index(stages)
    return Hazard(
        replace(model.settings, stages=stages, alone=alone),
        model.glm if keep >= 1 else None,
        model.trees if keep == len(STAGES) - 1 else None,
    )
