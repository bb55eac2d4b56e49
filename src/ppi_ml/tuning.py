"""The search for a recipe on forward folds inside the training part. Every use of Optuna.

The defaults are trial 0 and stay unless something beats them. What is minimised is the log-loss of
"no purchase within the horizon" at the inner folds' own dates, seen from the outer end; never a
ranking measure. Every candidate is first given the level of the fold: the shock that a date deals
to everybody is one draw, and two or three folds cannot choose a rule for it.

The search lives in a journal file, so a killed one goes on where it stopped.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ppi_ml import labels, metrics, recipe, rows
from ppi_ml.errors import NotTrainableError
from ppi_ml.models import hazard
from ppi_ml.models.covariates import Rows
from ppi_ml.models.curve import Curves
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
    """How long to search: trials (the defaults included), minutes if not None, and workers.

    More than one worker tries settings at the same time; the result then depends on luck.
    """

    trials: int
    minutes: float | None = None
    workers: int = 1


@dataclass(frozen=True)
class Search:
    """What the search found; `losses` stage -> log-loss on the inner folds, empty without any."""

    recipe: Recipe
    losses: Mapping[str, float]
    trials: tuple[Mapping[str, Any], ...]
    why: str


@dataclass(frozen=True)
class _Question:
    """One inner fold: what was fitted at its end, and what came of the n eligible rows there.

    `gone` (n,): no purchase within `horizon` days.
    """

    started: hazard.Smooth
    rows: Rows
    gone: NDArray[np.bool_]
    horizon: float


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
        study = _study(material.seed, questions, default, budget, journal, on_trial)
        trials = tuple(_record(t) for t in study.trials)
        found = replace(default, trees={**default.trees, **study.best_params})
        best = found if _beats(questions, found, default) else default
    losses = _losses(questions, best, material.states.names)
    chosen, alone = _choose(losses, stages)
    best = replace(best, stages=chosen, alone=alone)
    return Search(best, losses, trials, _why(losses, chosen, stages))


def _unsearched(material: Material, outer: Fold, default: Recipe, stages: str) -> Search:
    """The defaults, where there is too little history to choose on forward folds."""
    try:
        seen = int(material.part(outer)[1].observed.sum())
    except NotTrainableError:
        seen = 0
    kept = stages
    if stages == "auto":
        kept = hazard.STAGES[-1] if seen >= _FEW_EVENTS else hazard.STAGES[0]
    why = f"too little history for forward folds; {kept} for {seen:,} purchases to learn from"
    return Search(replace(default, stages=kept), {}, (), why)


def _question(material: Material, fold: Fold, outer: Fold, default: Recipe) -> _Question | None:
    """The fold fitted up to stage two, or None where nothing can be asked of it."""
    horizon = min(float(material.horizon), float(np.floor(material.sight(fold.end, outer.end))))
    usable = material.states.usable
    if horizon < 1 or not usable(fold.train) or not usable([fold.end]):
        return None
    data = material.data.at([fold.end])
    waits = labels.durations(data, material.log, outer.end, material.settling)
    eligible = data.eligible(material.active_within)
    gone = ~labels.within(waits, horizon)[eligible]
    if not gone.any() or gone.all():
        return None
    try:
        started = recipe.smooth(material, fold, default, TUNING_ROWS)
    except NotTrainableError:
        return None
    edges = started.hazard.settings.edges
    inputs = rows.build(data.take(eligible), material.states, edges)
    return _Question(started, inputs, gone, min(horizon, edges[-1]))


def _row_losses(question: _Question, model: hazard.Hazard) -> FloatArray:
    """Log-loss of every row (n,), with the model at the level of the fold."""
    curves = Curves(np.asarray(model.settings.edges), model.cumulative(question.rows))
    survival = curves.survival([question.horizon])[:, 0]
    return metrics.log_losses(question.gone, at_level(survival, float(question.gone.mean())))


def _loss(question: _Question, model: hazard.Hazard) -> float:
    return float(_row_losses(question, model).mean())


def _beats(questions: list[_Question], found: Recipe, default: Recipe) -> bool:
    """Whether a recipe beats the defaults on every fold, and by more than chance would.

    Most searches end within noise of where they began; then the defaults stay, which have been
    tried on many shops.
    """
    gains = []
    for question in questions:
        ours, theirs = (
            _row_losses(question, hazard.add_trees(question.started, r.trees))
            for r in (found, default)
        )
        gains.append(theirs - ours)
    every = np.concatenate(gains)
    noise = float(every.std()) / np.sqrt(len(every))
    return all(gain.mean() > 0 for gain in gains) and float(every.mean()) > noise


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
    seed: int,
    questions: list[_Question],
    default: Recipe,
    budget: Budget,
    journal: Path | None,
    on_trial: Callable[[], None],
) -> optuna.Study:
    _load_optuna()
    import optuna

    study = _open(journal)

    def objective(trial: optuna.Trial) -> float:
        trees = {**default.trees, **_suggest(trial, default.trees)}
        losses = []
        for step, question in enumerate(questions):
            losses.append(_loss(question, hazard.add_trees(question.started, trees)))
            trial.report(float(np.mean(losses)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(losses))

    # A trial that was killed has failed: it is made up for, the defaults above all.
    tried = [t.params for t in study.trials if t.state.is_finished() and t.state.name != "FAIL"]
    first = {name: max(default.trees[name], _SMALLEST) for name in _RANGES}
    if first not in tried:
        study.enqueue_trial(first)
    _optimize(study, objective, budget, seed, len(tried), on_trial)
    return study


def _optimize(
    study: optuna.Study,
    objective: Callable[[optuna.Trial], float],
    budget: Budget,
    seed: int,
    tried: int,
    on_trial: Callable[[], None],
) -> None:
    """Trials one at a time, each with a seed of its own number, so that a resumed search goes on
    with the draws it would have made; several workers share one sampler.
    """
    import optuna

    until = None if budget.minutes is None else time.monotonic() + 60 * budget.minutes
    at_once = budget.trials if budget.workers > 1 else 1
    for number in range(tried, budget.trials, at_once):
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            return
        study.sampler = optuna.samplers.TPESampler(seed=seed + number)
        study.optimize(
            objective,
            n_trials=min(at_once, budget.trials - number),
            timeout=left,
            n_jobs=budget.workers,
            callbacks=[lambda *_: on_trial()],
        )


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


def _load_optuna() -> None:
    """Load Optuna without the warning of its progress bars, which are not used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _open(journal: Path | None) -> optuna.Study:
    """A study, in memory or in a journal; trials that a kill left running have failed."""
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
    return study


def _record(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "log_loss": trial.value,
        **trial.params,
    }


def _losses(questions: list[_Question], best: Recipe, processes: Sequence[str]) -> dict[str, float]:
    """Mean log-loss on the inner folds of every stage, and of every process alone."""
    losses: dict[str, list[float]] = {}
    for question in questions:
        full = hazard.add_trees(question.started, best.trees)
        variants = {stage: hazard.with_stages(full, stage) for stage in hazard.STAGES[1:]}
        for name in processes:
            variants[f"process {name}"] = hazard.with_stages(full, hazard.STAGES[0], name)
        for name, model in variants.items():
            losses.setdefault(name, []).append(_loss(question, model))
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
