"""The outer fold: the recipe and every baseline predict dates that no choice has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import dataset, evaluation, labels, recipe, rows, segments, splits
from ppi_ml.backtest import Backtest, FloatArray, SurvivalArray
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline, Family
from ppi_ml.errors import NotTrainableError
from ppi_ml.future import Future
from ppi_ml.material import Material
from ppi_ml.models import hazard
from ppi_ml.models.curve import EDGES, Curves
from ppi_ml.models.durations import Durations
from ppi_ml.models.mixture import Mixture, in_words
from ppi_ml.problem import Problem
from ppi_ml.progress import Progress, Step
from ppi_ml.recipe import Recipe
from ppi_ml.score_rows import MODEL
from ppi_ml.scorecard import Scorecard, unjudged
from ppi_ml.snapshots import Wanted
from ppi_ml.splits import Fold, Plan


def judge(
    material: Material,
    plan: Plan,
    chosen: Recipe | Mixture,
    families: Sequence[Family],
    baselines: Sequence[Baseline],
    say: Progress,
    wanted: Wanted | None = None,
) -> tuple[Scorecard, pl.DataFrame | None]:
    """The scorecard of a recipe, and the predictions it rests on (None if nothing is judged).

    `chosen` may also be a model that is there already; then it is judged, and nothing but the
    baselines is fitted. Its states are those of the fold's end in the material. `wanted` says
    which pairs are judged, where rows are pairs.
    """
    fold, entity = plan.outer, material.data.entity.name
    if fold is None:
        reason = f"the log is too short to judge even {splits.SHORTEST_HORIZON} days"
        return unjudged(reason, metric=material.metric, entity=entity), None
    usable = material.states.usable
    if not usable([fold.end]) or not usable(fold.train):
        reason = f"no purchase process could be fitted by {fold.end}"
        return unjudged(reason, metric=material.metric, entity=entity), None
    with say.stage("judging out of time", 1 + len(baselines)) as step:
        test = _test_rows(material, fold, families, wanted)
        waits = labels.durations(test, material.log, material.log.observed_until)
        end = material.log.observed_until
        followed = labels.uninterrupted(test, material.log, end, plan.horizon)
        test, waits = test.take(followed), waits.take(followed)
        try:
            fitted = recipe.fit(material, fold, chosen) if isinstance(chosen, Recipe) else chosen
            curves = recipe.curves(fitted, test, material.states, fold.end)
        except NotTrainableError as error:
            return unjudged(str(error), metric=material.metric, entity=entity), None
        step()
        problem = Problem.of(material, fold)
        answers = _answers(problem, test, baselines, step)
        answers.predictions[MODEL] = _kept(curves.survival(problem.days))
        backtest = _backtest(problem, plan, test, waits, answers, _process_alone(fitted))
        words = {b.name: b.description for b in baselines}
        words[MODEL] = f"the recipe of this run: {in_words(fitted)}"
        card = evaluation.judge(backtest, seed=material.seed, labels=words)
        about = (*_about_time(material, plan, fold), *_about_rows(test, followed, wanted))
        notes = (*about, *card.notes, *answers.notes)
    return replace(card, notes=notes), _table(test, backtest, curves)


def _about_time(material: Material, plan: Plan, fold: Fold) -> list[str]:
    """What a reader must know of the test cutoffs: how few, and what was not known there."""
    notes = []
    span = fold.test[-1].days_since(fold.test[0])
    if len(fold.test) == 1:
        notes.append("One test cutoff alone: one season, one draw of luck.")
    elif span < plan.horizon:
        notes.append(
            f"The test cutoffs lie within {span:.0f} days, so they share part of their "
            f"{plan.horizon} days."
        )
    late = sum(Future(material.log, c, c).unsettled() for c in fold.test)
    if late:
        notes.append(
            f"{late:,} order lines had happened at a test cutoff and were not known there; they "
            "are in neither past nor future."
        )
    return notes


def _about_rows(test: Dataset, followed: NDArray[np.bool_], wanted: Wanted | None) -> list[str]:
    """Which pairs were judged, where not all of them were."""
    notes = []
    if out := int((~followed).sum()):
        notes.append(
            f"{out:,} pairs are left out: their product could not be bought for part of the time."
        )
    if wanted is not None and wanted.most is not None:
        many = max(np.diff(test.starts), default=0)
        if many > 0.9 * wanted.most:
            notes.append(
                f"Judged on a draw of some {wanted.most:,} pairs at each cutoff, by their hash."
            )
    return notes


def _test_rows(
    material: Material, fold: Fold, families: Sequence[Family], wanted: Wanted | None
) -> Dataset:
    """Rows of the test cutoffs with the states of the training end, as scoring would have them.

    What only the segments read stands beside them; no model reads a column it does not name.
    """
    states = material.data.states[str(fold.end)]
    made = dataset.build(
        material.log, fold.test, [*families, segments.FAMILY], entity=material.data.entity,
        wanted=wanted, states=states,
        threads=material.threads, memory=material.memory,
    )  # fmt: skip
    return replace(made, tree_names=material.data.tree_names)


@dataclass(frozen=True)
class _Answers:
    """What the rivals said: curves by name, why some are missing, and what they add in words."""

    predictions: dict[str, SurvivalArray] = field(default_factory=dict)
    untrainable: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _answers(
    problem: Problem, test: Dataset, baselines: Sequence[Baseline], step: Step
) -> _Answers:
    """Every baseline's curves on the test rows, or why it could not be trained.

    What a baseline returns may have a method `note(rows)`, a remark for the scorecard.
    """
    found = _Answers()
    for baseline in baselines:
        try:
            predict = baseline.fit(problem)
            found.predictions[baseline.name] = _kept(predict(test))
            if hasattr(predict, "note"):
                asked = test.take(test.eligible(problem.material.active_within))
                found.notes.append(f"{baseline.name}: {predict.note(asked)}")
        except NotTrainableError as error:
            found.untrainable[baseline.name] = str(error)
        step()
    return found


def _kept(survival: FloatArray) -> SurvivalArray:
    """Curves take half the memory as float32; one probability per row (n,) or (n, 1) stays."""
    columns = survival[:, None] if survival.ndim == 1 else survival
    return columns if columns.shape[1] == 1 else columns.astype(np.float32)


def _process_alone(fitted: Mixture) -> str | None:
    """The process that is the whole of a model; None where there is more to it."""
    settings = fitted.settings
    return settings.alone if settings.stages == hazard.STAGES[0] else None


def _backtest(
    problem: Problem,
    plan: Plan,
    test: Dataset,
    waits: Durations,
    answers: _Answers,
    same_as: str | None,
) -> Backtest:
    material = problem.material
    eligible = test.eligible(material.active_within)
    return Backtest(
        customer=rows.codes(test),
        cutoff=np.array([str(c) for c in test.cutoffs])[test.cutoff_index],
        eligible=eligible,
        days=waits.days,
        observed=waits.observed,
        grid=problem.days,
        predictions=answers.predictions,
        untrainable=answers.untrainable,
        horizon_days=plan.horizon,
        asked_days=plan.asked,
        metric=material.metric,
        whole_days=material.whole_days,
        segments=segments.segments(test, eligible),
        entity=test.entity.name,
        same_as=same_as,
    )


def _table(test: Dataset, backtest: Backtest, curves: Curves) -> pl.DataFrame:
    """The out-of-time predictions as a table: outcomes, and one column per model.

    `days` are the days waited, at most the horizon; the column of a model is its P(no purchase
    within the horizon). The curves of the model stand beside it.
    """
    models = {name: backtest.at_horizon(name) for name in (MODEL, *backtest.baselines)}
    return pl.DataFrame(
        {
            **{key: test.keys[key] for key in test.entity.keys},
            "cutoff": backtest.cutoff,
            "eligible": backtest.eligible,
            "purchased": backtest.event,
            "days": np.minimum(backtest.days, backtest.horizon_days),
            **models,
            **_curve_columns(curves, backtest.horizon_days),
        }
    )


def _curve_columns(curves: Curves, horizon: int) -> dict[str, NDArray[np.float64]]:
    """P(no purchase within d days) of the model at the edges within the horizon, and at its end."""
    days = sorted({day for day in EDGES if 0 < day < horizon} | {horizon})
    survival = curves.survival(days)
    return {f"no_event_by_{day}d": survival[:, i] for i, day in enumerate(days)}
