"""One way to fit the curve, on any fold: the same for tuning, for the test and for release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppi_ml import explain, labels, rows
from ppi_ml.dataset import Dataset
from ppi_ml.instants import Cutoff
from ppi_ml.material import Material
from ppi_ml.models import covariates, cox, hazard
from ppi_ml.models.covariates import Rows
from ppi_ml.models.curve import Curves
from ppi_ml.models.durations import Durations
from ppi_ml.models.hazard import Hazard, Smooth
from ppi_ml.models.intervals import interval_edges
from ppi_ml.models.mixture import Mixture, Window
from ppi_ml.rows import ProcessStates
from ppi_ml.splits import Fold, reach_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SEASON_NEEDS_DAYS = 548
"""With less history a seasonal term did harm (12 to 18 months: log-loss +.012 to +.046)."""
SEASON_SEEN_DAYS = 365
"""From then on a season can be guessed at: not for the whole curve, but for one member of it."""
_EVENTS_PER_INTERVAL = 50
_WINDOW_INTERVALS = 150_000
"""A few dates have the luck of few dates: all of large ones would cost memory and gain .0003."""
_RECENT_DAYS = 60

STAGED, THREE, HEDGED, HALVES = (
    "staged", "staged+cox+newest", "staged+cox+newest+recent+processes+seasonal",
    "staged+processes",
)  # fmt: skip
MEMBERS = (STAGED, THREE, HEDGED, HALVES)
"""The curves that are averaged. `processes` joins the others only where the log is too young for a
ripe snapshot, or for a season if most lives were seen to begin, and then has two voices until it
has seen a year; `seasonal` only where it is a year old and too young for a season of all."""


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
    members = recipe.members.split("+")
    if staged.settings.stages == hazard.STAGES[0]:
        return Mixture(staged)
    newest = _newest(material, fold, staged) if "newest" in members else None
    begun = len(members) > 1 and _lives_begin(material, fold)
    return Mixture(
        staged,
        _cox(material, started, staged, recipe, paced=begun) if "cox" in members else None,
        newest,
        _recent(material, fold, staged) if "recent" in members else None,
        _voices(material, fold, recipe, staged, ripe=newest is not None, begun=begun),
        _seasonal(material, fold, started) if "seasonal" in members else None,
    )


def stage(started: Smooth[Rows], recipe: Recipe) -> Hazard:
    """The member `staged`: trees if the recipe has them and they help, cut to its stages."""
    model = started.hazard
    if recipe.stages == hazard.STAGES[-1]:
        model = hazard.add_trees(started, recipe.trees)
    stages = recipe.stages
    if model.trees is None and stages == hazard.STAGES[-1]:
        stages = hazard.STAGES[1]  # no round of trees helped
    return hazard.with_stages(model, stages, recipe.alone)


def _cox(
    material: Material, started: Smooth[Rows], staged: Hazard, recipe: Recipe, *, paced: bool
) -> cox.Cox:
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


def _voices(
    material: Material, fold: Fold, recipe: Recipe, staged: Hazard, *, ripe: bool, begun: bool
) -> int:
    """How many voices the processes have among the members.

    They are half of the curve of a thin log. Else they hedge what no snapshot has seen, and, where
    they know lives from the beginning, what no season can be told from yet: with two voices until
    the log has seen a year, of whose rest nobody else knows more.
    """
    if recipe.members == HALVES:
        return 1
    sure = ripe and (staged.settings.season or not begun)
    if "processes" not in recipe.members.split("+") or sure:
        return 0
    return 2 if begun and _seen_days(material, fold) < SEASON_SEEN_DAYS else 1


def _seen_days(material: Material, fold: Fold) -> float:
    """Days from the start of the log to the end of a fold."""
    return fold.end.days_since(material.log.observed_from)


def _lives_begin(material: Material, fold: Fold) -> bool:
    """Whether most customers were seen to begin, as far as the processes of a fold know them."""
    newest = material.states.usable(fold.train)[-1]
    return rows.lives_begin(material.data.at([newest]), material.log.observed_from)


def _seasonal(material: Material, fold: Fold, started: Smooth[Rows]) -> Hazard | None:
    """The member `seasonal`: the regression again, with a season; None where it has no place.

    One year cannot tell a season from that year's luck. As one voice among others it halves the
    harm of a first Christmas, and costs little where there is no season.
    """
    settings = started.hazard.settings
    young = _seen_days(material, fold) < SEASON_SEEN_DAYS
    if settings.season or not material.season or young:
        return None
    alone = replace(settings, season=True, stages=hazard.STAGES[1])
    return hazard.fit_smooth(started.rows, started.days, started.observed, alone).hazard


def _newest(material: Material, fold: Fold, staged: Hazard) -> Window | None:
    """The member `newest`: the newest snapshot that has seen the whole horizon; None without one.

    It knows how the last of whom everything is known went on, and is the voice without a season.
    """
    ripe = [c for c in material.sighted(fold) if material.sight(c, fold.end) >= material.horizon]
    return _window(material, fold, staged, ripe[-1:], season=False)


def _recent(material: Material, fold: Fold, staged: Hazard) -> Window | None:
    """The member `recent`: the snapshots of the last 60 days; None without one.

    It knows how things go now, as far as that can be seen, the season aside.
    """
    late = [c for c in material.sighted(fold) if material.sight(c, fold.end) <= _RECENT_DAYS]
    return _window(material, fold, staged, late, season=True)


def _window(
    material: Material, fold: Fold, staged: Hazard, cutoffs: Sequence[Cutoff], *, season: bool
) -> Window | None:
    """The regression on some cutoffs; None without any, or where nobody bought.

    It starts from that of `staged`, and so few dates could teach neither trees nor a season: these
    are those of `staged`.
    """
    if not cutoffs or staged.glm is None:
        return None
    seen = np.asarray(staged.settings.edges[1:]) <= material.sight(cutoffs[0], fold.end)
    data = material.data.at(cutoffs)
    waits = labels.durations(data, material.log, fold.end, material.settling)
    if not (seen.any() and waits.observed.any()):
        return None
    settings = replace(staged.settings, season=False)
    most = min(material.max_rows, _WINDOW_INTERVALS)
    inputs, waits, settings = material.drawn(data, waits, settings, most)
    dated = covariates.season_effect(staged.glm, inputs.day, staged.settings)
    columns = tuple(name for name in staged.glm.names if not name.startswith("season_"))
    start = staged.glm.only(columns)

    def known(row: IntArray, interval: IntArray) -> FloatArray:
        smooth, _ = inputs.smooth(row, interval, settings)
        there = start.log_hazard(smooth) + staged.trees_at(inputs, row, interval)
        return there + dated[row, interval] if season else there

    moved = hazard.fit_smooth(inputs, waits.days, waits.observed, settings, known).hazard.glm
    return None if moved is None else Window(start.plus(moved), int(seen.sum()), season)


def _smooth(
    material: Material,
    data: Dataset,
    durations: Durations,
    settings: covariates.Settings,
    most: int,
) -> Smooth[Rows]:
    inputs, waits, settings = material.drawn(data, durations, settings, most)
    return hazard.fit_smooth(inputs, waits.days, waits.observed, settings)


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
    season = material.season and _seen_days(material, fold) >= SEASON_NEEDS_DAYS
    reach = reach_of(material.log.observed_from, fold.end, material.horizon)
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
        season=season,
        season_sd=recipe.season_sd,
        yearly=season and not data.entity.is_pair,
        whole_days=material.whole_days,
        trees=recipe.trees,
        seed=material.seed,
        threads=material.threads,
    )
