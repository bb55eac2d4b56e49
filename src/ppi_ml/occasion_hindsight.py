"""A bundle about orders or lines, judged on the occasions that came after its training."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import polars as pl

from ppi_ml import consent, occasion_data, occasion_training, outcomes
from ppi_ml.asked_for import asked_for
from ppi_ml.errors import UsageError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.occasion_recipe import Ingredients
from ppi_ml.occasion_scoring import OccasionScorer
from ppi_ml.occasion_training import Question
from ppi_ml.progress import Progress, Step
from ppi_ml.scorecard import Scorecard
from ppi_ml.splits import MOST_TEST_CUTOFFS


def judged(
    scorer: OccasionScorer,
    log: EventLog,
    named: tuple[Cutoff, ...],
    train: tuple[Cutoff, ...],
    say: Progress,
) -> tuple[Scorecard, tuple[Cutoff, ...]]:
    """The scorecard, and the starts of the periods it is about: those named, else the latest.

    `train` are the starts of the periods that the bundle and its baselines learn from. What is
    not settled yet is left out.
    """
    model, config, found = scorer.model, scorer.config, asked_for(scorer.config)
    question = Question(found.target, model.entity, found.families, found.baselines)
    test = named or _latest(scorer, log, question)
    asked = [scorer.asked(log, cutoff, allow_stale=False) for cutoff in test][-1]
    whole = consent.permitted(asked.log)
    with say.stage("finding occasions"):
        rows = occasion_training.occasions_of(whole, model.entity, model.asking, config)
    with say.stage("building features", len(train)) as step:
        made = _ingredients(scorer, whole, rows, train, question, step)
    end = Cutoff.parse(scorer.dated, log.timezone)
    with say.stage("judging out of time", 1 + len(found.baselines)) as step:
        problem = occasion_training.problem_of(made, end, model.horizon)
        card, _ = occasion_training.judged_at(
            whole, rows, test, model.family_states, problem, model.chance, question, config, step
        )
    return replace(card, notes=(*card.notes, *asked.notes)), test


def _latest(scorer: OccasionScorer, log: EventLog, asked: Question) -> tuple[Cutoff, ...]:
    """The starts of the latest periods that are settled, none before the end of the training."""
    every, horizon = scorer.config.folds.every, scorer.model.horizon
    settling = ceil(occasion_training.settling_of(log, asked.target, scorer.config))
    needed = every + horizon + settling
    dated = Cutoff.parse(scorer.dated, log.timezone)
    newest = log.observed_until.plus(-needed)
    starts = [newest.plus(-every * step) for step in range(MOST_TEST_CUTOFFS)]
    found = tuple(sorted(start for start in starts if start >= dated))
    if not found:
        raise UsageError(
            f"evaluate: the log ends at {log.observed_until}, and the training knew all until "
            f"{dated}; {needed} days after it are needed for what happens within {horizon} days of "
            f"the occasions of {every} days to be known; load newer events, or name a cutoff"
        )
    return found


def _ingredients(
    scorer: OccasionScorer,
    log: EventLog,
    rows: pl.DataFrame,
    train: tuple[Cutoff, ...],
    asked: Question,
    step: Step,
) -> Ingredients:
    """What the baselines learn from: the occasions of the training, and what was known of them."""
    model, config = scorer.model, scorer.config
    end = Cutoff.parse(scorer.dated, log.timezone)
    states = {
        str(when): occasion_data.states_at(log, when, asked.families, config.engine.threads)
        for when in train
    }
    data = occasion_data.build(
        log, rows.filter(pl.col("now_at") < end.at), train, asked.families, asked.entity, states,
        threads=config.engine.threads, on_period=step,
    )  # fmt: skip
    settling = occasion_training.settling_of(log, asked.target, config)
    known = outcomes.outcomes(asked.target, data.keys, log, end, model.horizon, settling)
    return Ingredients(
        data, {str(end): known}, config.model.trees.model_dump(), config.seed,
        config.engine.threads, model.chance.names,
    )  # fmt: skip
