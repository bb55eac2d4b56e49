"""The outer fold: the recipe and every baseline predict dates that no choice has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import dataset, evaluation, labels, recipe, rows, splits
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline, Family
from ppi_ml.errors import NotTrainableError
from ppi_ml.future import Future
from ppi_ml.progress import Progress, Step
from ppi_ml.recipe import Material, Problem, Recipe
from ppi_ml.scorecard import Scorecard, unjudged
from ppi_ml.splits import Fold, Plan

FloatArray = NDArray[np.float64]


def judge(
    material: Material,
    plan: Plan,
    chosen: Recipe,
    families: Sequence[Family],
    baselines: Sequence[Baseline],
    say: Progress,
) -> tuple[Scorecard, pl.DataFrame | None]:
    """The scorecard of a recipe, and the predictions it rests on (None if nothing is judged)."""
    fold = plan.outer
    if fold is None:
        reason = f"the log is too short to judge even {splits.SHORTEST_HORIZON} days"
        return unjudged(reason), None
    usable = material.states.usable
    if not usable([fold.end]) or not usable(fold.train):
        return unjudged(f"no purchase process could be fitted by {fold.end}"), None
    with say.stage("judging out of time", 1 + len(baselines)) as step:
        test = _test_rows(material, fold, families)
        try:
            predictions = {"model": _model(material, fold, chosen, test, plan.horizon)}
        except NotTrainableError as error:
            return unjudged(str(error)), None
        step()
        untrainable = _add_baselines(Problem.of(material, fold), test, baselines, predictions, step)
        backtest = _backtest(material, plan, test, predictions, untrainable)
        words = {b.name: b.description for b in baselines}
        words["model"] = f"the recipe of this run, stages {chosen.stages}"
        scorecard = evaluation.judge(backtest, seed=material.seed, labels=words)
        scorecard = replace(scorecard, notes=(*_about_time(material, plan, fold), *scorecard.notes))
    return scorecard, _table(test, backtest)


def _about_time(material: Material, plan: Plan, fold: Fold) -> list[str]:
    """What a reader must know of the test cutoffs: how few, and what was not known there."""
    notes = []
    span = fold.test[-1].days_since(fold.test[0])
    if len(fold.test) == 1:
        notes.append("One test cutoff is all the log has room for: one season, one draw of luck.")
    elif span < plan.horizon:
        notes.append(
            f"The test cutoffs lie within {span:.0f} days, so they share part of their "
            f"{plan.horizon} days; the log has no room for more."
        )
    late = sum(Future(material.log, c, c).unsettled() for c in fold.test)
    if late:
        notes.append(
            f"{late:,} order lines had happened at a test cutoff and were not known there; they "
            "are in neither past nor future."
        )
    return notes


def _test_rows(material: Material, fold: Fold, families: Sequence[Family]) -> Dataset:
    """Rows of the test cutoffs with the states of the training end, as scoring would have them."""
    states = material.data.states[str(fold.end)]
    return dataset.build(
        material.log, fold.test, families, states=states, threads=material.threads,
        memory=material.memory,
    )  # fmt: skip


def _model(
    material: Material, fold: Fold, chosen: Recipe, test: Dataset, horizon: int
) -> FloatArray:
    fitted = recipe.fit(material, fold, chosen)
    curves = recipe.curves(fitted, test, material.states, fold.end)
    return curves.survival([float(horizon)])[:, 0]


def _add_baselines(
    problem: Problem,
    test: Dataset,
    baselines: Sequence[Baseline],
    predictions: dict[str, FloatArray],
    step: Step,
) -> dict[str, str]:
    """Adds every baseline's predictions; returns why some could not be trained."""
    untrainable = {}
    for baseline in baselines:
        try:
            predictions[baseline.name] = baseline.fit(problem)(test)
        except NotTrainableError as error:
            untrainable[baseline.name] = str(error)
        step()
    return untrainable


def _backtest(
    material: Material,
    plan: Plan,
    test: Dataset,
    predictions: dict[str, FloatArray],
    untrainable: dict[str, str],
) -> evaluation.Backtest:
    waits = labels.durations(test, material.log, material.log.observed_until)
    return evaluation.Backtest(
        customer=rows.codes(test),
        cutoff=np.array([str(c) for c in test.cutoffs])[test.cutoff_index],
        eligible=test.eligible(material.active_within),
        event=labels.within(waits, plan.horizon),
        predictions=predictions,
        untrainable=untrainable,
        horizon_days=plan.horizon,
        asked_days=plan.asked,
    )


def _table(test: Dataset, backtest: evaluation.Backtest) -> pl.DataFrame:
    """The out-of-time predictions as a table, one column per model."""
    return pl.DataFrame(
        {
            "customer_id": test.customers,
            "cutoff": backtest.cutoff,
            "eligible": backtest.eligible,
            "purchased": backtest.event,
            **backtest.predictions,
        }
    )
