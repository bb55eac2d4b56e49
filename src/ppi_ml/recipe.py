"""One way to fit the curve, on any fold: the same for tuning, for the test and for release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppi_ml import explain, labels, rows
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Metric
from ppi_ml.engine.buckets import GIGABYTE
from ppi_ml.errors import NotTrainableError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.models import covariates, cox, hazard
from ppi_ml.models.boost import Trees
from ppi_ml.models.covariates import Rows
from ppi_ml.models.curve import Curves
from ppi_ml.models.durations import Durations
from ppi_ml.models.hazard import Hazard, Smooth
from ppi_ml.models.intervals import interval_edges
from ppi_ml.models.mixture import WEIGHTS, Mixture
from ppi_ml.models.thinning import draw_rows, thinning
from ppi_ml.rows import ProcessStates
from ppi_ml.splits import Fold, reach_of

SEASON_NEEDS_DAYS = 548
"""With less history a seasonal term did harm (12 to 18 months: log-loss +.012 to +.046)."""
SEASON_SEEN_DAYS = 365
"""From then on a season can be guessed at: not for the whole curve, but for one member of it."""
_EVENTS_PER_INTERVAL = 50
_NEWEST_INTERVALS = 150_000
"""One snapshot has the luck of one date: all of a large one would cost memory and gain .0003."""

STAGED, THREE, HEDGED, HALVES = (
    "staged", "staged+cox+newest", "staged+cox+newest+processes+seasonal", "staged+processes",
)  # fmt: skip
MEMBERS = (STAGED, THREE, HEDGED, HALVES)
"""The curves that are averaged. `processes` joins the three only where the log is too young for a
season or for a ripe snapshot, `seasonal` only where it is a year old and too young for a season of
all; beside `staged` alone `processes` has half the weight."""


@dataclass(frozen=True)
class Recipe:
    """What tuning decides; everything else follows from data and config.

    `stages` as in `models.hazard.STAGES`; `alone` the process used if there is no later stage, None
    their mean; `season_sd` prior standard deviation of the season; `trees` LightGBM's settings;
    `members` the curves that are averaged, a value of `MEMBERS`.
    """

    stages: str
    alone: str | None
    season_sd: float
    trees: Mapping[str, Any]
    members: str = "staged"

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON-able data."""
        return {
            "stages": self.stages,
            "alone": self.alone,
            "season_sd": self.season_sd,
            "trees": dict(self.trees),
            "members": self.members,
        }


@dataclass(frozen=True)
class Material:
    """What every fit of one training shares.

    `data` holds the rows of every training cutoff and of every fold's end; `horizon` is judged
    (days); `settling` is how long the log needs to know what happened (days).
    """

    log: EventLog
    data: Dataset
    states: ProcessStates
    horizon: int
    active_within: int
    settling: float
    max_rows: int
    seed: int
    threads: int
    season: bool = True
    memory: int = 4 * GIGABYTE
    metric: Metric = "log_loss"

    @property
    def whole_days(self) -> bool:
        """Whether purchases are known by day only."""
        return self.log.tables["order_lines"].granularity == "day"

    def part(self, fold: Fold) -> tuple[Dataset, Durations]:
        """The training rows of a fold with their labels as known at its end."""
        seen = [c for c in self.states.usable(fold.train) if self.sight(c, fold.end) > 0]
        if not seen:
            raise NotTrainableError(
                f"no training cutoff before {fold.end} has both a purchase process and a day of "
                "follow-up; load a longer history"
            )
        data = self.data.at(seen)
        waits = labels.durations(data, self.log, fold.end, self.settling)
        if not waits.observed.any():
            raise NotTrainableError(labels.nobody_bought(data, self.log, fold.end, self.settling))
        return data, waits

    def sight(self, cutoff: Cutoff, end: Cutoff) -> float:
        """Days after a cutoff that can be seen from an end."""
        return end.days_since(cutoff) - self.settling


def smooth(material: Material, fold: Fold, recipe: Recipe, most: int | None = None) -> Smooth[Rows]:
    """The first two stages on a fold, from at most so many person-intervals."""
    data, durations = material.part(fold)
    settings = _settings(material, fold, recipe, data, durations)
    return _smooth(material, data, durations, settings, most or material.max_rows)


def fit(material: Material, fold: Fold, recipe: Recipe) -> Mixture:
    """The whole recipe on the training part of a fold."""
    return finish(material, fold, smooth(material, fold, recipe), recipe)


def finish(material: Material, fold: Fold, started: Smooth[Rows], recipe: Recipe) -> Mixture:
    """The third stage, if the recipe has one, and the other members."""
    staged = stage(started, recipe)
    if staged.settings.stages == hazard.STAGES[0] or recipe.members == STAGED:
        return Mixture(staged)
    if recipe.members == HALVES:
        return Mixture(staged, processes=WEIGHTS["staged"])
    newest, seen = _newest(material, fold, staged)
    # What no season can be told from yet, and what no snapshot has seen, the processes hedge.
    unsure = newest is None or not staged.settings.season
    hedged = recipe.members == HEDGED
    hedge = WEIGHTS["processes"] if unsure and hedged else 0.0
    seasonal = _seasonal(material, fold, started) if hedged else None
    usable = material.states.usable(fold.train)
    paced = rows.knows_lives(material.data, usable, material.log.observed_from)
    proportional = _cox(started, staged, recipe, paced=paced)
    return Mixture(staged, proportional, newest, seen, hedge, seasonal)


def stage(started: Smooth[Rows], recipe: Recipe) -> Hazard:
    """The member `staged`: trees if the recipe has them and they help, cut to its stages."""
    model = started.hazard
    if recipe.stages == hazard.STAGES[-1]:
        model = hazard.add_trees(started, recipe.trees)
    stages = recipe.stages
    if model.trees is None and stages == hazard.STAGES[-1]:
        stages = hazard.STAGES[1]  # no round of trees helped
    return hazard.with_stages(model, stages, recipe.alone)


def _cox(started: Smooth[Rows], staged: Hazard, recipe: Recipe, *, paced: bool) -> cox.Cox:
    """The member `cox`, on the rows of `staged` and with its season; a cutoff is a stratum.

    `paced`: its trees start from what the processes expect.
    """
    inputs, names = started.rows.standing(staged.settings)
    day = started.rows.day
    return cox.fit(
        inputs,
        names,
        cox.Waits(started.days, started.observed, day.astype(np.int64), started.rows.key),
        staged.settings.edges,
        recipe.trees,
        season=covariates.season_effect(staged.glm, day, staged.settings),
        pace=covariates.pace(started.rows, staged.settings) if paced else None,
        whole_days=staged.settings.whole_days,
        seed=staged.settings.seed,
        threads=staged.settings.threads,
    )


def _seasonal(material: Material, fold: Fold, started: Smooth[Rows]) -> Hazard | None:
    """The member `seasonal`: the regression again, with a season; None where it has no place.

    One year cannot tell a season from that year's luck. As one voice among others it halves the
    harm of a first Christmas, and costs little where there is no season.
    """
    settings = started.hazard.settings
    seen = fold.end.days_since(material.log.observed_from)
    if settings.season or not material.season or seen < SEASON_SEEN_DAYS:
        return None
    alone = replace(settings, season=True, stages=hazard.STAGES[1])
    return hazard.fit_smooth(started.rows, started.days, started.observed, alone).hazard


def _newest(material: Material, fold: Fold, staged: Hazard) -> tuple[Hazard | None, int]:
    """The member `newest` and how many intervals its snapshot has seen; None if none is ripe.

    It has no season: one snapshot cannot tell a date from an interval. Nor could it teach trees, so
    it takes those of `staged`.
    """
    settings = staged.settings
    usable = material.states.usable(fold.train)
    ripe = [c for c in usable if material.sight(c, fold.end) >= material.horizon]
    if not ripe:
        return None, 0
    data = material.data.at(ripe[-1:])
    waits = labels.durations(data, material.log, fold.end, material.settling)
    if not waits.observed.any():
        return None, 0
    alone = replace(settings, season=False)
    most = min(material.max_rows, _NEWEST_INTERVALS)
    fitted = _smooth(material, data, waits, alone, most, staged.trees)
    seen = np.asarray(settings.edges[1:]) <= material.sight(ripe[-1], fold.end)
    return fitted.hazard, int(seen.sum())


def _smooth(
    material: Material,
    data: Dataset,
    durations: Durations,
    settings: covariates.Settings,
    most: int,
    trees: Trees | None = None,
) -> Smooth[Rows]:
    shares = thinning(durations.days, durations.observed, settings.edges, most)
    if shares.rows < 1:
        mask = np.zeros(len(data), dtype=np.bool_)
        mask[draw_rows(rows.keys(data), data.day, shares.rows, material.seed)] = True
        data, durations = data.take(mask), durations.take(mask)
    inputs = rows.build(data, material.states, settings.edges)
    thin = replace(settings, quiet=shares.quiet)
    return hazard.fit_smooth(inputs, durations.days, durations.observed, thin, trees)


def typical(material: Material, fold: Fold, model: Mixture) -> explain.Reference:
    """What explanations compare with: means over the training rows that the target is asked about.

    The rows of a fold, some of them by hash; all of them if nobody is eligible.
    """
    data, _ = material.part(fold)
    asked = data.eligible(material.active_within)
    data = data.take(asked) if asked.any() else data
    mask = np.zeros(len(data), dtype=np.bool_)
    mask[explain.typical_rows(rows.keys(data), data.day, material.seed)] = True
    inputs = rows.build(data.take(mask), material.states, model.settings.edges)
    return explain.reference(model, inputs)


def curves(model: Mixture, data: Dataset, states: ProcessStates, dated: Cutoff) -> Curves:
    """Survival curves of all rows of the data, with the process parameters of one date."""
    replayed = states.replayed(dated, data.cutoffs)
    edges = np.asarray(model.settings.edges)
    return Curves(edges, model.cumulative(rows.build(data, replayed, edges.tolist())))


def _settings(
    material: Material,
    fold: Fold,
    recipe: Recipe,
    data: Dataset,
    durations: Durations,
) -> covariates.Settings:
    start = material.log.observed_from
    reach = reach_of(start, fold.end, material.horizon)
    # the shape of a lone process is known; thinning would only lose it
    least = 0 if recipe.stages == hazard.STAGES[0] else _EVENTS_PER_INTERVAL
    edges = interval_edges(
        reach, durations.days[durations.observed], least, keep=(material.horizon,)
    )
    return covariates.Settings(
        edges=tuple(edges.tolist()),
        processes=material.states.names,
        tree_names=data.tree_names,
        facts=rows.facts_of(data),
        alone=recipe.alone,
        season=material.season and fold.end.days_since(start) >= SEASON_NEEDS_DAYS,
        season_sd=recipe.season_sd,
        whole_days=material.whole_days,
        trees=recipe.trees,
        seed=material.seed,
        threads=material.threads,
    )
