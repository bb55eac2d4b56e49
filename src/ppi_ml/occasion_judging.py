"""The outer fold of occasions: the recipe and every baseline predict periods nobody has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ppi_ml import evaluation, metrics, rows
from ppi_ml.backtest import Backtest, FloatArray
from ppi_ml.chances import Answer, Chance
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline, Target
from ppi_ml.errors import NotTrainableError
from ppi_ml.occasion_data import AGAIN
from ppi_ml.outcomes import Outcomes
from ppi_ml.progress import Step
from ppi_ml.score_rows import MODEL
from ppi_ml.scorecard import Scorecard

_SOONER = 0.5
"""Days after which a row to which nothing happened counts as over, in a backtest of events."""


@dataclass(frozen=True)
class OccasionProblem:
    """What a baseline about occasions is given: the training rows of the fold, and what came.

    `names` are the columns that the model reads.
    """

    data: Dataset
    outcomes: Outcomes
    names: tuple[str, ...]
    horizon: int


def judge(
    target: Target,
    problem: OccasionProblem,
    model: Chance,
    test: Dataset,
    known: Outcomes,
    baselines: Sequence[Baseline],
    seed: int,
    step: Step,
) -> tuple[Scorecard, pl.DataFrame]:
    """The scorecard, and the predictions it rests on.

    Args:
        target: what is asked.
        problem: what the baselines learn from.
        model: fitted on the same rows.
        test: occasions of the test periods, with the states of the training end.
        known: what came of them; rows that are not settled are left out, and counted.
        baselines: the rivals.
        seed: of the resamples.
        step: called after every baseline.
    """
    unripe = int((~known.ripe).sum())
    test, known = test.take(known.ripe), known.take(known.ripe)
    answer = model.predict(test)
    predictions, missing = {MODEL: answer.chance[:, None]}, {}
    for baseline in baselines:
        try:
            predictions[baseline.name] = baseline.fit(problem)(test)[:, None]
        except NotTrainableError as error:
            missing[baseline.name] = str(error)
        step()
    backtest = _backtest(target, problem.horizon, test, known, predictions, missing)
    words = {b.name: b.description for b in baselines}
    words[MODEL] = f"the recipe of this run: {model.stages.replace('+', ' and ')}"
    card = evaluation.judge(backtest, seed=seed, labels=words)
    notes = list(card.notes)
    if unripe:
        notes.append(f"{unripe:,} occasions are left out: their outcome is not settled yet.")
    if known.conditional:
        notes.append(_about_given(answer, known, test))
    table = test.keys.select(*test.entity.keys, "trigger").with_columns(
        cutoff=pl.Series(backtest.cutoff), happened=pl.Series(known.hit),
        **{name: pl.Series(values[:, 0]) for name, values in predictions.items()},
    )  # fmt: skip
    return replace(card, notes=tuple(notes)), table


def _backtest(
    target: Target,
    horizon: int,
    test: Dataset,
    known: Outcomes,
    predictions: dict[str, FloatArray],
    missing: dict[str, str],
) -> Backtest:
    return Backtest(
        customer=rows.codes(test),
        cutoff=np.array([str(c) for c in test.cutoffs])[test.cutoff_index],
        eligible=test.column(AGAIN) == 0,
        days=np.where(known.hit, float(horizon), _SOONER),
        observed=~known.hit,
        grid=np.array([float(horizon)]),
        predictions=predictions,
        untrainable=missing,
        horizon_days=horizon,
        asked_days=horizon,
        segments=_by_trigger(test),
        question=target.question.rstrip("?").lower(),
        entity=target.entity,
    )


def _by_trigger(test: Dataset) -> dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The rows of each trigger, where there are several."""
    triggers = test.keys["trigger"].to_numpy()
    names = sorted(set(triggers[test.column(AGAIN) == 0]))
    return {f"asked when {n}": triggers == n for n in names} if len(names) > 1 else {}


def _about_given(answer: Answer, known: Outcomes, test: Dataset) -> str:
    """How good P(it happens | the condition) is, on the first occasions that met the condition."""
    among = known.given & (test.column(AGAIN) == 0)
    hit = known.hit[among]
    if answer.if_given is None or not hit.any() or hit.all():
        return "The probability given the condition could not be judged."
    chance = answer.if_given[among]
    blind = metrics.log_losses(hit, np.full(len(hit), hit.mean())).mean()
    return (
        f"Of the {len(hit):,} first occasions that met the condition, it happened to "
        f"{hit.mean():.1%}: the probability given the condition has AUC "
        f"{metrics.roc_auc(hit, chance):.3f} and log-loss "
        f"{metrics.log_losses(hit, chance).mean():.4f} (their own share, known afterwards: "
        f"{blind:.4f})."
    )
