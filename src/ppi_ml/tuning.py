"""The search for a recipe on forward folds inside the training part. Every use of Optuna.

The defaults are trial 0 and stay unless something beats them. What is minimised is the log-loss of
"no purchase within the horizon" at the inner folds' own dates, seen from the outer end; never a
ranking measure. Every candidate is first given the level of the fold: the shock that a date deals
to everybody is one draw, and two or three folds cannot choose a rule for it.

The search lives in a journal file, so a killed one goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ppi_ml import labels, metrics, recipe
from ppi_ml.dataset import Dataset
from ppi_ml.models import hazard
from ppi_ml.recipe import Material, Recipe
from ppi_ml.splits import Fold

if TYPE_CHECKING:
    import optuna

FloatArray = NDArray[np.float64]

_FARTHEST = 6.0
_SMALLEST = 1e-6
_FEW_EVENTS = 300
TUNING_ROWS = 150_000
"""Person-intervals per fold while searching; the chosen recipe is refitted on all."""


@dataclass(frozen=True)
class Budget:
    """How long to search: trials (the defaults included), and minutes if not None."""

    trials: int
    minutes: float | None


@dataclass(frozen=True)
class Search:
    """What the search found; `losses` stage -> log-loss on the inner folds, empty without any."""

    recipe: Recipe
    losses: Mapping[str, float]
    trials: tuple[Mapping[str, Any], ...]
    why: str


@dataclass(frozen=True)
class _Question:
    """One inner fold: what was fitted at its end, and what came of the rows there."""

    started: Mapping[float, hazard.Smooth]
    data: Dataset
    gone: NDArray[np.bool_]
    horizon: float
    fold: Fold


def search(
    material: Material,
    inner: tuple[Fold, ...],
    outer_end: Fold,
    default: Recipe,
    *,
    stages: str,
    budget: Budget,
    journal: Path | None = None,
    on_trial: Callable[[], None] = lambda: None,
) -> Search:
    """The recipe with the least forward loss.

    Args:
        material: data, labels and process states.
        inner: forward folds inside the training part.
        outer_end: the fold whose end censors the inner labels.
        default: trial 0.
        stages: `auto`, or the stages that the config asks for.
        budget: trials and minutes.
        journal: file in which the search is kept, to go on after a kill.
        on_trial: called after every trial.
    """
    questions = [q for f in inner if (q := _question(material, f, outer_end, default)) is not None]
    if not questions:
        return _unsearched(material, outer_end, default, stages)
    best, trials = default, tuple[Mapping[str, Any], ...]()
    if stages in ("auto", hazard.STAGES[-1]):
        study = _study(material, questions, default, budget, journal, on_trial)
        trials = tuple(_record(t) for t in study.trials)
        best = replace(default, trees={**default.trees, **study.best_params})
    losses = _losses(material, questions, best)
    chosen, alone = _choose(losses, stages)
    best = replace(best, stages=chosen, alone=alone)
    return Search(best, losses, trials, _why(losses, chosen, stages))


def _unsearched(material: Material, outer: Fold, default: Recipe, stages: str) -> Search:
    """The defaults, where there is too little history to choose on forward folds."""
    _, waits = material.part(outer)
    seen = int(waits.observed.sum())
    kept = stages
    if stages == "auto":
        kept = hazard.STAGES[-1] if seen >= _FEW_EVENTS else hazard.STAGES[0]
    why = f"too little history for forward folds; {kept} for {seen:,} purchases to learn from"
    return Search(replace(default, stages=kept), {}, (), why)


def _question(material: Material, fold: Fold, outer: Fold, default: Recipe) -> _Question | None:
    """The fold fitted up to stage two, or None where nothing can be asked of it."""
    horizon = min(float(material.horizon), float(np.floor(material.sight(fold.end, outer.end))))
    if not material.states.usable(fold.train) or not material.states.usable([fold.end]):
        return None
    data = material.data.at([fold.end])
    waits = labels.durations(data, material.log, outer.end, material.settling)
    eligible = data.eligible(material.active_within)
    gone = ~labels.within(waits, horizon)[eligible]
    if horizon < 1 or not gone.any() or gone.all():
        return None
    started = recipe.smooth(material, fold, default, TUNING_ROWS)
    return _Question({default.season_sd: started}, data.take(eligible), gone, horizon, fold)


def _loss(material: Material, question: _Question, model: hazard.Hazard) -> float:
    curves = recipe.curves(model, question.data, material.states, question.fold.end)
    survival = curves.survival(np.array([min(question.horizon, curves.max_days)]))[:, 0]
    return metrics.log_loss(question.gone, at_level(survival, float(question.gone.mean())))


def at_level(survival: FloatArray, share: float) -> FloatArray:
    """Survival (n,) with all hazards multiplied by the one factor that makes its mean `share`.

    `share` lies strictly between 0 and 1; the factor stays within e^-6 to e^6.
    """
    hazard_sum = -np.log(np.clip(survival, 1e-12, 1.0 - 1e-12))

    def excess(log_factor: float) -> float:
        return float(np.exp(-np.exp(log_factor) * hazard_sum).mean()) - share

    low, high = -_FARTHEST, _FARTHEST
    if excess(low) <= 0 or excess(high) >= 0:
        return survival
    factor = np.exp(brentq(excess, low, high, xtol=1e-10))
    return np.asarray(np.exp(-factor * hazard_sum))


def _study(
    material: Material,
    questions: list[_Question],
    default: Recipe,
    budget: Budget,
    journal: Path | None,
    on_trial: Callable[[], None],
) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("optuna").setLevel(logging.ERROR)
    study = _open(material.seed, journal)

    def objective(trial: optuna.Trial) -> float:
        trees = {**default.trees, **_suggest(trial, default.trees)}
        losses = []
        for step, question in enumerate(questions):
            (started,) = question.started.values()
            losses.append(_loss(material, question, hazard.add_trees(started, trees)))
            trial.report(float(np.mean(losses)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(losses))

    done = sum(t.state.is_finished() for t in study.trials)
    if not study.trials:
        study.enqueue_trial({name: default.trees[name] for name in _RANGES})
    study.optimize(
        objective,
        n_trials=max(0, budget.trials - done),
        timeout=None if budget.minutes is None else 60 * budget.minutes,
        callbacks=[lambda *_: on_trial()],
    )
    return study


_RANGES: Mapping[str, tuple[float, float]] = {
    "num_leaves": (3, 12),
    "learning_rate": (0.02, 0.1),
    "min_data_in_leaf": (50, 800),
    "lambda_l2": (1.0, 100.0),
}


def _suggest(trial: optuna.Trial, default: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a trial, from ranges that are widened to hold the defaults."""
    found: dict[str, Any] = {}
    for name, (low, high) in _RANGES.items():
        given = default[name]
        low, high = min(low, given), max(high, given)
        if isinstance(given, int):
            found[name] = trial.suggest_int(name, int(low), int(high), log=True)
        else:
            found[name] = trial.suggest_float(name, max(low, _SMALLEST), high, log=True)
    return found


def _open(seed: int, journal: Path | None) -> optuna.Study:
    """A study, in memory or in a journal; the seed moves on with the trials already made."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = None if journal is None else JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.create_study(
        study_name="recipe", storage=storage, load_if_exists=True, direction="minimize",
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=2, reduction_factor=2),
    )  # fmt: skip
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    return study


def _record(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "log_loss": trial.value,
        **trial.params,
    }


def _losses(material: Material, questions: list[_Question], best: Recipe) -> dict[str, float]:
    """Mean log-loss on the inner folds of every stage, and of every process alone."""
    losses: dict[str, list[float]] = {}
    for question in questions:
        (started,) = question.started.values()
        full = hazard.add_trees(started, best.trees)
        variants = {stage: hazard.with_stages(full, stage) for stage in hazard.STAGES[1:]}
        for name in material.states.names:
            variants[f"process {name}"] = hazard.with_stages(full, hazard.STAGES[0], name)
        for name, model in variants.items():
            losses.setdefault(name, []).append(_loss(material, question, model))
    return {name: float(np.mean(values)) for name, values in losses.items()}


def _choose(losses: Mapping[str, float], stages: str) -> tuple[str, str]:
    """The stages with the least loss (or those asked for), and the best process alone."""
    alone = min((n for n in losses if n.startswith("process ")), key=lambda n: losses[n])
    by_stage = {hazard.STAGES[0]: losses[alone], **{s: losses[s] for s in hazard.STAGES[1:]}}
    best = min(by_stage, key=lambda s: by_stage[s]) if stages == "auto" else stages
    return best, alone.removeprefix("process ")


def _why(losses: Mapping[str, float], chosen: str, asked: str) -> str:
    listed = ", ".join(f"{name} {loss:.4f}" for name, loss in sorted(losses.items()))
    if asked != "auto":
        return f"{asked} was asked for (log-loss on forward folds: {listed})"
    return f"{chosen} had the least log-loss on forward folds: {listed}"
