"""A bundle judged by what came after its training: did the model that is used keep its promise?

Its baselines learn from what it learned from, the same cutoffs as known at the date of its states,
and all of them answer on later dates that neither has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, floor
from pathlib import Path
from typing import cast

from ppi_ml import consent, dataset, draw, judging, occasion_hindsight, splits, training
from ppi_ml.asked_for import AskedFor, asked_for
from ppi_ml.engine.buckets import bytes_of
from ppi_ml.errors import UsageError
from ppi_ml.events import EventLog, check_log
from ppi_ml.instants import Cutoff
from ppi_ml.material import Material
from ppi_ml.models.mixture import in_words
from ppi_ml.occasion_scoring import OccasionScorer
from ppi_ml.packing import Model
from ppi_ml.progress import Progress
from ppi_ml.runs import Run
from ppi_ml.score_rows import MODEL
from ppi_ml.scorecard import Scorecard
from ppi_ml.scorer_base import ScorerBase
from ppi_ml.scoring import Scorer
from ppi_ml.splits import Fold, Plan

_IN_SAMPLE = (
    "In sample: the model learned from outcomes of dates that are judged here, so this says "
    "nothing about dates to come."
)


def evaluate(
    bundle: str | Path | Run | ScorerBase,
    log: EventLog,
    cutoffs: object = None,
    *,
    in_sample: bool = False,
    progress: Progress | bool | None = None,
) -> Scorecard:
    """The scorecard of a bundle on dates after its training, beside the target's baselines.

    Args:
        bundle: a bundle or run folder, the run, or its scorer.
        log: events of the training and of what came since: the baselines learn from the former.
        cutoffs: one date or several at which to predict; None: the latest ones whose horizon the
            log has seen, as far apart as those of the training, at most six. Of orders and lines
            they are the starts of periods of `folds.every` days.
        in_sample: judge dates before the end of the training too. The scorecard says so.
        progress: as for `train`.

    Returns:
        The scorecard. Where the log has not seen the horizon of the last cutoff, all are judged at
        as many days as it has, and the verdict says so; orders and lines that are not settled yet
        are left out, and counted.

    Raises:
        UsageError: a cutoff before the end of the training, or one that is followed for fewer
            than 28 days; a log without the history of the training.
        DataError: a table is too old for a cutoff.
    """
    check_log(log)
    scorer = bundle if isinstance(bundle, ScorerBase) else Scorer.load(bundle)
    say = progress if isinstance(progress, Progress) else Progress(quiet=not progress)
    dated = Cutoff.parse(scorer.dated, log.timezone)
    named = _named(cutoffs, log.timezone)
    if named and named[0] < dated and not in_sample:
        raise UsageError(
            f"evaluate: the cutoff {named[0]} lies before {dated}, up to which the model has seen "
            "what happened; choose later ones, or ask for in_sample (--in-sample), which says "
            "nothing about dates to come"
        )
    train = _learned_from(scorer, log)
    if isinstance(scorer, OccasionScorer):
        card, test = occasion_hindsight.judged(scorer, log, named, train, say)
    else:
        card, test = _judged(cast(Scorer, scorer), log, named, train, say)
    about = f"The bundle {scorer.bundle.version} learned from what was known by {dated}"
    card = replace(
        card,
        notes=(f"{about}, and so did the baselines.", *card.notes),
        labels={**card.labels, MODEL: f"the bundle: {_in_words(scorer)}"},
    )
    return _stamped(card) if test[0] < dated else card


def _named(cutoffs: object, timezone: str) -> tuple[Cutoff, ...]:
    """The cutoffs that were asked for, earliest first; none where that is left to us."""
    if cutoffs is None:
        return ()
    alone = isinstance(cutoffs, str) or not isinstance(cutoffs, Sequence)
    listed: Sequence[object] = (cutoffs,) if alone else cast(Sequence[object], cutoffs)
    if not listed:
        raise UsageError("evaluate: cutoffs: expected one date or more, got none")
    return tuple(sorted({Cutoff.parse(one, timezone) for one in listed}))


def _learned_from(scorer: ScorerBase, log: EventLog) -> tuple[Cutoff, ...]:
    """The training cutoffs of the bundle; `UsageError` for a log that begins after them."""
    named = scorer.bundle.manifest["training_cutoffs"]
    train = tuple(Cutoff.parse(cutoff, log.timezone) for cutoff in named)
    if log.observed_from >= train[-1]:
        raise UsageError(
            f"evaluate: the log begins at {log.observed_from}, and the training looked at "
            f"{train[0]} to {train[-1]}; the baselines learn from these dates, so load that "
            "history too"
        )
    return train


def _judged(
    scorer: Scorer,
    log: EventLog,
    named: tuple[Cutoff, ...],
    train: tuple[Cutoff, ...],
    say: Progress,
) -> tuple[Scorecard, tuple[Cutoff, ...]]:
    """The scorecard of curves, and the cutoffs it is about: those named, else the latest."""
    test, horizon = _dates(scorer, log, named)
    asked = [scorer.asked(log, cutoff, allow_stale=False) for cutoff in test][-1]
    config, whole = scorer.config, consent.permitted(asked.log)
    drawn = draw.customers(whole, config.model.max_customers, config.seed)
    found = asked_for(config)
    fold = Fold(Cutoff.parse(scorer.dated, log.timezone), train, test)
    plan = Plan(horizon, scorer.model.horizon, train[0], fold, (), fold)
    with say.stage("building features", len(plan.cutoffs)) as step:
        material = _material(scorer, drawn, plan, found, step)
    card, _ = judging.judge(
        material, plan, scorer.model.curve, found.families, found.baselines, say,
        training.wanted_of(scorer.model.entity, config),
    )  # fmt: skip
    return replace(card, notes=(*card.notes, *asked.notes, *draw.said(whole, drawn))), test


def _dates(
    scorer: Scorer, log: EventLog, named: tuple[Cutoff, ...]
) -> tuple[tuple[Cutoff, ...], int]:
    """The cutoffs, earliest first, and for how many days all of them can be judged."""
    horizon, every = scorer.model.horizon, scorer.config.folds.every
    dated = Cutoff.parse(scorer.dated, log.timezone)
    settling = ceil(training.settling_of(log, scorer.config))
    end = log.observed_until.plus(-settling)
    starts = [end.plus(-horizon - every * step) for step in range(splits.MOST_TEST_CUTOFFS)]
    latest = tuple(sorted(start for start in starts if start >= dated))
    test = named or latest or (dated,)
    seen = max(0, floor(end.days_since(test[-1])))
    if seen < (least := min(horizon, splits.SHORTEST_HORIZON)):
        late = f", its last {settling} days not fully known yet" if settling else ""
        raise UsageError(
            f"evaluate: the log ends at {log.observed_until}{late}, so the cutoff {test[-1]} can "
            f"be followed for {seen} days, and {least} are needed; load newer events"
            f"{', or choose an earlier cutoff' if named else ''}"
        )
    return test, min(horizon, seen)


def _material(
    scorer: Scorer, log: EventLog, plan: Plan, found: AskedFor, on_cutoff: Callable[[], None]
) -> Material:
    """The rows that the baselines learn from, with the states of the bundle at the fold's end."""
    model, config, end = scorer.model, scorer.config, plan.final.end
    data = dataset.build(
        log, plan.cutoffs, found.families, entity=model.entity,
        wanted=training.wanted_of(model.entity, config), threads=config.engine.threads,
        memory=bytes_of(config.engine.memory), on_cutoff=on_cutoff,
    )  # fmt: skip
    data = replace(
        data,
        tree_names=model.curve.settings.tree_names,
        states={**data.states, str(end): dict(model.family_states)},
    )
    states = model.processes.replayed(end, plan.cutoffs)
    return training.material_of(log, data, states, plan.horizon, config, found.target)


def _in_words(scorer: ScorerBase) -> str:
    """What the model is made of."""
    model = scorer.model
    return in_words(model.curve) if isinstance(model, Model) else model.stages.replace("+", " and ")


def _stamped(card: Scorecard) -> Scorecard:
    """The scorecard with the warning that some of it was learned, in the verdict and first."""
    verdict = replace(card.verdict, text=f"{card.verdict.text}; in sample")
    return replace(card, verdict=verdict, notes=(_IN_SAMPLE, *card.notes))
