"""Training about orders and lines, told in order: occasions in, a judged model out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ppi_ml import (
    consent,
    draw,
    occasion_data,
    occasion_folds,
    occasion_judging,
    occasion_recipe,
    outcomes,
)
from ppi_ml.chances import Chance
from ppi_ml.config import Config
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline, Family, State, Target
from ppi_ml.entities import CUSTOMER, Entity
from ppi_ml.errors import NotTrainableError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.models.probability import STAGES
from ppi_ml.occasion_folds import OccasionPlan
from ppi_ml.occasion_judging import OccasionProblem
from ppi_ml.occasion_packing import OccasionModel
from ppi_ml.occasion_recipe import Ingredients
from ppi_ml.occasions import Asking, tables_of, triggered
from ppi_ml.packing import tables_of as record_of
from ppi_ml.progress import Progress, Step
from ppi_ml.scorecard import Scorecard, unjudged
from ppi_ml.snapshots import unused
from ppi_ml.splits import NEWER_CUTOFFS, Spacing
from ppi_ml.tuning import Budget, search_trees

JOURNAL = "tuning.journal"


@dataclass(frozen=True)
class Question:
    """What is asked: the target, what a row is, who may answer, and with which columns."""

    target: Target
    entity: Entity
    families: Sequence[Family]
    baselines: Sequence[Baseline]


@dataclass(frozen=True)
class Learned:
    """What a training about occasions gives; `backtest` is None where nothing was judged."""

    model: OccasionModel
    plan: OccasionPlan
    recipe: Mapping[str, Any]
    why: str
    losses: Mapping[str, float]
    trials: Sequence[Mapping[str, Any]]
    scorecard: Scorecard
    backtest: pl.DataFrame | None
    rows: int


def learn(log: EventLog, asked: Question, config: Config, folder: Path, say: Progress) -> Learned:
    """Occasions, states, choice of the recipe, judgement, and the model that ships.

    Raises:
        NotTrainableError: a table is missing, or too little has happened to learn from.
    """
    asking = asking_of(asked.target, config)
    plan = plan_of(log, asked.target, config)
    with say.stage("finding occasions"):
        rows = occasions_of(log, asked.entity, asking, config)
    with say.stage("learning states", len(plan.periods) + 1) as step:
        states: dict[str, Mapping[str, State]] = {}
        for when in (*plan.periods, plan.end):
            said = occasion_data.states_at(log, when, asked.families, config.engine.threads)
            states[str(when)] = said
            step()
    for what in unused(log, asked.families, states[str(plan.end)]):
        say.note(f"not used: {what}")
    with say.stage("building features", len(plan.periods)) as step:
        data = occasion_data.build(
            log, rows, plan.periods, asked.families, asked.entity, states,
            threads=config.engine.threads, on_period=step,
        )  # fmt: skip
    made = _ingredients(log, data, plan, asked, config)
    with say.stage("searching a recipe", config.tune.trials) as step:
        made = _narrowed(made, plan, asked)
        stages, trees, losses, trials, why = _chosen(made, plan, config, folder, step)
    say.note(f"stages: {why}")
    scorecard, backtest = _judged(log, rows, states, made, plan, asked, config, stages, trees, say)
    with say.stage("fitting the model that ships"):
        fitted = occasion_recipe.fit(made, plan.end, stages, trees)
    model = OccasionModel(
        chance=fitted,
        dated=str(plan.end),
        family_states=dict(states[str(plan.end)]),
        families=tuple(f.name for f in asked.families),
        windows=config.features.windows,
        columns=data.names,
        tables=record_of(log),
        target=asked.target.to_dict(),
        horizon=plan.horizon,
        entity=asked.entity,
        asking=asking,
    )
    n = len(occasion_recipe.part(made, plan.end)[0])
    return Learned(
        model, plan, {"stages": stages, "trees": dict(trees)}, why, losses, trials, scorecard,
        backtest, n,
    )  # fmt: skip


def asking_of(target: Target, config: Config) -> Asking:
    """When the target asks, with the days of `target.active_within`."""
    return Asking(target.asked_at, target.until, config.target.active_within)


def plan_of(log: EventLog, target: Target, config: Config) -> OccasionPlan:
    """The folds of a log; `NotTrainableError` if a table is missing, or not one period fits."""
    _check_tables(log, target, asking_of(target, config))
    spacing = Spacing(
        config.folds.every, min(config.folds.train_cutoffs, NEWER_CUTOFFS),
        config.folds.test_cutoffs, ceil(settling_of(log, target, config)),
    )  # fmt: skip
    plan = occasion_folds.forward(
        log.observed_from, log.observed_until, config.target.horizon, spacing
    )
    if len(plan.periods) < 2:
        raise NotTrainableError(
            f"the log covers {log.observed_until.days_since(log.observed_from):.0f} days, too few "
            f"for periods of {spacing.every} days; load a longer history, or set folds.every lower"
        )
    return plan


def _check_tables(log: EventLog, target: Target, asking: Asking) -> None:
    """`NotTrainableError` unless something can trigger the question and something answer it."""
    there = [t for t in target.asked_at if tables_of(replace(asking, at=(t,)))[0] in log.tables]
    needed = {target.event, *tables_of(asking)[len(target.asked_at) :]}
    missing = sorted(needed - set(log.tables))
    if not there or missing:
        lacking = ", ".join(missing) or " or ".join(tables_of(asking)[: len(target.asked_at)])
        raise NotTrainableError(
            f"{target.name} needs the table {lacking}, which this log does not have; load it"
        )


def occasions_of(log: EventLog, entity: Entity, asking: Asking, config: Config) -> pl.DataFrame:
    """Every occasion of a log that may be used, at most `model.max_rows` of them.

    More are drawn by hash of the order and the seed, so that an order stays whole.
    """
    rows = consent.allowed(log, triggered(log, entity, asking, log.observed_until))
    if rows.height <= config.model.max_rows:
        return rows
    most = config.model.max_rows / rows.height
    orders = rows["order_id"].unique()
    kept = orders.filter(pl.Series(draw.uniform(orders, config.seed) < most))
    return rows.filter(pl.col("order_id").is_in(kept.implode()))


def _ingredients(
    log: EventLog,
    data: Dataset,
    plan: OccasionPlan,
    asked: Question,
    config: Config,
) -> Ingredients:
    settling = settling_of(log, asked.target, config)
    ends = {str(end): end for end in (*plan.inner, plan.outer_end, plan.end)}
    known = {
        name: outcomes.outcomes(asked.target, data.keys, log, end, plan.horizon, settling)
        for name, end in ends.items()
    }
    made = Ingredients(
        data, known, config.model.trees.model_dump(), config.seed, config.engine.threads
    )
    # what varies among the rows of the outer fold; the model that ships reads the same columns
    before, _ = occasion_recipe.part(made, plan.outer_end)
    return replace(made, names=before.varying().tree_names)


def _narrowed(made: Ingredients, plan: OccasionPlan, asked: Question) -> Ingredients:
    """With the columns of the order or line itself alone, unless the customer's surely help."""
    prefixes = tuple(f"{f.name}__" for f in asked.families if not f.serves(CUSTOMER))
    own = [n for n in made.names if n.startswith(prefixes) or n in occasion_data.OWN]
    inner = occasion_recipe.askable(made, plan.inner, plan.outer_end)
    if not prefixes or len(own) <= len(occasion_data.OWN):
        return made
    return replace(made, names=occasion_recipe.choose_columns(made, inner, plan.outer_end, own))


def settling_of(log: EventLog, target: Target, config: Config) -> float:
    """How many days the log needs to know what happened: measured, or as the config says."""
    asked = config.folds.settling
    return outcomes.settling_days(log, target.event) if asked is None else float(asked)


def _chosen(
    made: Ingredients,
    plan: OccasionPlan,
    config: Config,
    folder: Path,
    step: Any,  # noqa: ANN401
) -> tuple[str, Mapping[str, Any], Mapping[str, float], Sequence[Mapping[str, Any]], str]:
    """Stages, tree settings, losses by stages, trials, and why in words."""
    inner = occasion_recipe.askable(made, plan.inner, plan.outer_end)
    if not inner:
        why = "all of them: the history is too short to choose among them"
        return STAGES[2], made.trees, {}, (), why

    def losses(trees: Mapping[str, Any], when: Cutoff) -> NDArray[np.float64]:
        model = occasion_recipe.fit(made, when, STAGES[2], trees)
        return occasion_recipe.inner_losses(made, [when], plan.outer_end, {str(when): model})[0]

    trees, trials = search_trees(
        [partial(losses, when=when) for when in inner], made.trees,
        seed=config.seed, budget=Budget(config.tune.trials, config.tune.minutes,
                                        config.tune.workers),
        journal=folder / JOURNAL, on_trial=step,
    )  # fmt: skip
    stages, means = occasion_recipe.choose(made, inner, plan.outer_end, trees)
    said = ", ".join(f"{name} {loss:.4f}" for name, loss in means.items())
    columns = f"{len(made.names)} of {len(made.data.varying().tree_names)} columns"
    where = f"on {len(inner)} earlier periods at their own level"
    why = f"{stages} of {columns}: log-loss {where}: {said}"
    return stages, trees, means, trials, why


def _judged(
    log: EventLog,
    rows: pl.DataFrame,
    states: Mapping[str, Mapping[str, State]],
    made: Ingredients,
    plan: OccasionPlan,
    asked: Question,
    config: Config,
    stages: str,
    trees: Mapping[str, Any],
    say: Progress,
) -> tuple[Scorecard, pl.DataFrame | None]:
    """The scorecard of the recipe on the test periods, with the states of the training end."""
    if not plan.test:
        return unjudged("the log is too short to judge even two periods"), None
    with say.stage("judging out of time", 1 + len(asked.baselines)) as step:
        end = plan.outer_end
        problem = problem_of(made, end, plan.horizon)
        fitted = occasion_recipe.fit(made, end, stages, trees)
        return judged_at(
            log, rows, plan.test, states[str(end)], problem, fitted, asked, config, step
        )


def problem_of(made: Ingredients, end: Cutoff, horizon: int) -> OccasionProblem:
    """What the baselines learn from: the training rows of a fold."""
    before, then = occasion_recipe.part(made, end)
    return OccasionProblem(before, then, made.names, horizon)


def judged_at(
    log: EventLog,
    rows: pl.DataFrame,
    periods: Sequence[Cutoff],
    state: Mapping[str, State],
    problem: OccasionProblem,
    model: Chance,
    asked: Question,
    config: Config,
    step: Step,
) -> tuple[Scorecard, pl.DataFrame]:
    """The scorecard of a model on the occasions of some periods, given by their starts.

    `state` is that of the training end, family -> state; outcomes are those the whole log knows.
    """
    of_periods = [
        pl.col("now_at").is_between(p.at, p.plus(config.folds.every).at, closed="left")
        for p in periods
    ]
    test = occasion_data.build(
        log, rows.filter(pl.any_horizontal(of_periods)), periods, asked.families, asked.entity,
        {str(when): state for when in periods}, threads=config.engine.threads,
    )  # fmt: skip
    settling, end = settling_of(log, asked.target, config), log.observed_until
    known = outcomes.outcomes(asked.target, test.keys, log, end, problem.horizon, settling)
    step()
    return occasion_judging.judge(
        asked.target, problem, model, test, known, asked.baselines, config.seed, step
    )
