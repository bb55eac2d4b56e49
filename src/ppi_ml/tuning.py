"""The search for tree settings on forward folds inside the training part. Every use of Optuna.

The defaults are trial 0 and stay unless something beats them. What a trial loses on a fold is
asked in `questions`; the stages are chosen in `choosing`, with the trees that were found.

The search lives in a journal file, so a killed one goes on where it stopped.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ppi_ml import choosing
from ppi_ml.choosing import Size
from ppi_ml.material import Material
from ppi_ml.models import hazard
from ppi_ml.models.mixture import Mixture
from ppi_ml.questions import Question, ask, is_sure, row_losses
from ppi_ml.recipe import Recipe
from ppi_ml.splits import Fold

if TYPE_CHECKING:
    import optuna

FloatArray = NDArray[np.float64]

_SMALLEST = 1e-6


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
    """What the search found; `losses` stage -> loss on the inner folds, empty without any."""

    recipe: Recipe
    losses: Mapping[str, float]
    trials: tuple[Mapping[str, Any], ...]
    why: str


def search(
    material: Material,
    inner: tuple[Fold, ...],
    outer_end: Fold,
    default: Recipe,
    *,
    stages: str,
    members: str = "auto",
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
        members: `auto`, or the members that the config asks for.
        budget: trials and minutes.
        journal: file in which the search is kept, to go on after a kill.
        on_trial: called after every trial.
    """
    size = Size.of(material, outer_end)
    of_pairs = material.data.entity.is_pair
    start = choosing.first_recipe(default, size, stages, members, of_pairs)
    questions = [q for fold in inner if (q := ask(material, fold, outer_end, start)) is not None]
    if not questions:
        return Search(start, {}, (), choosing.said(start, size, stages, {}, material.metric))
    best, trials = start, tuple[Mapping[str, Any], ...]()
    if start.stages == hazard.STAGES[-1]:
        asked = [partial(_asked, question) for question in questions]
        study = _study(material.seed, asked, start.trees, budget, journal, on_trial)
        trials = tuple(_record(t, material.metric) for t in study.trials)
        found = replace(start, trees={**start.trees, **study.best_params})
        best = found if _beats(questions, found, start) else start
    best, losses = choosing.choose(questions, best, stages, material.states.names)
    why = choosing.said(best, size, stages, losses, material.metric)
    return Search(best, losses, trials, why)


def _beats(questions: list[Question], found: Recipe, default: Recipe) -> bool:
    """Whether a recipe beats the defaults on every fold, and by more than chance would.

    Most searches end within noise of where they began; then the defaults stay, which have been
    tried on many shops.
    """
    gains = []
    for question in questions:
        ours, theirs = (
            row_losses(question, _with_trees(question, r.trees)) for r in (found, default)
        )
        gains.append(theirs - ours)
    return is_sure(gains)


def _with_trees(question: Question, trees: Mapping[str, Any]) -> Mixture:
    """The member `staged` with all its stages; the others have no settings to choose."""
    return Mixture(hazard.add_trees(question.started, trees))


def _asked(question: Question, trees: Mapping[str, Any]) -> float:
    return float(row_losses(question, _with_trees(question, trees)).mean())


def search_trees(
    losses: Sequence[Callable[[Mapping[str, Any]], FloatArray]],
    default: Mapping[str, Any],
    *,
    seed: int,
    budget: Budget,
    journal: Path | None = None,
    on_trial: Callable[[], None] = lambda: None,
) -> tuple[Mapping[str, Any], tuple[Mapping[str, Any], ...]]:
    """Tree settings with the least mean loss, and the trials; the defaults unless surely beaten.

    Each of `losses` gives the loss of every row of one inner fold under some settings; the other
    arguments are those of `search`.
    """
    means = [partial(_mean_of, one) for one in losses]
    study = _study(seed, means, default, budget, journal, on_trial)
    trials = tuple(_record(t, "log_loss") for t in study.trials)
    found = {**default, **study.best_params}
    sure = is_sure([one(default) - one(found) for one in losses])
    return (found if sure else default), trials


def _mean_of(losses: Callable[[Mapping[str, Any]], FloatArray], trees: Mapping[str, Any]) -> float:
    return float(losses(trees).mean())


def _study(
    seed: int,
    questions: Sequence[Callable[[Mapping[str, Any]], float]],
    default: Mapping[str, Any],
    budget: Budget,
    journal: Path | None,
    on_trial: Callable[[], None],
) -> optuna.Study:
    _load_optuna()
    import optuna

    study = _open(journal)

    def objective(trial: optuna.Trial) -> float:
        trees = {**default, **_suggest(trial, default)}
        losses = []
        for step, question in enumerate(questions):
            losses.append(question(trees))
            trial.report(float(np.mean(losses)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(losses))

    # A trial that was killed has failed: it is made up for, the defaults above all.
    tried = [t.params for t in study.trials if t.state.is_finished() and t.state.name != "FAIL"]
    first = {name: max(default[name], _SMALLEST) for name in _RANGES}
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


def _record(trial: optuna.trial.FrozenTrial, metric: str) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        metric: trial.value,
        **trial.params,
    }
