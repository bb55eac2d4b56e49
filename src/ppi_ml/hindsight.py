"""A bundle judged by what came after its training: did the model that is used keep its promise?

Its baselines learn from what it learned from, the same cutoffs as known at the date of its states,
and all of them answer on later dates that neither has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, floor
from pathlib import Path

from ppi_ml import consent, dataset, draw, judging, splits, training
from ppi_ml.asked_for import AskedFor, asked_for
from ppi_ml.engine.buckets import bytes_of
from ppi_ml.errors import UsageError
from ppi_ml.events import EventLog, check_log
from ppi_ml.instants import Cutoff
from ppi_ml.material import Material
from ppi_ml.progress import Progress
from ppi_ml.runs import Run
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
            log has seen, as far apart as those of the training, at most six.
        in_sample: judge dates before the end of the training too. The scorecard says so.
        progress: as for `train`.

    Returns:
        The scorecard. Where the log has not seen the horizon of the last cutoff, all are judged at
        as many days as it has, and the verdict says so.

    Raises:
        UsageError: a cutoff before the end of the training, or one that is followed for fewer
            than 28 days; a log without the history of the training.
        DataError: a table is too old for a cutoff.
    """
    check_log(log)
    scorer = bundle if isinstance(bundle, ScorerBase) else Scorer.load(bundle)
    if not isinstance(scorer, Scorer):
        raise UsageError(
            f"evaluate: {scorer.config.target.name} asks about each {scorer.model.entity.name} at "
            "a moment of its own; there is no evaluation of these after the training yet"
        )
    say = progress if isinstance(progress, Progress) else Progress(quiet=not progress)
    test, judged = _dates(scorer, log, cutoffs, in_sample=in_sample)
    asked = [scorer.asked(log, cutoff, allow_stale=False) for cutoff in test]
    notes, whole = asked[-1].notes, consent.permitted(asked[-1].log)
    config = scorer.config
    drawn = draw.customers(whole, config.model.max_customers, config.seed)
    found = asked_for(config)
    plan = _plan(scorer, log.observed_from, test, judged)
    with say.stage("building features", len(plan.cutoffs)) as step:
        material = _material(scorer, drawn, plan, found, step)
    card, _ = judging.judge(
        material, plan, scorer.model.curve, found.families, found.baselines, say,
        training.wanted_of(scorer.model.entity, config),
    )  # fmt: skip
    said = (_about(scorer), *card.notes, *notes, *draw.said(whole, drawn))
    card = replace(card, notes=said)
    return _stamped(card) if test[0] < plan.final.end else card


def _dates(
    scorer: Scorer, log: EventLog, cutoffs: object, *, in_sample: bool
) -> tuple[tuple[Cutoff, ...], int]:
    """The cutoffs, earliest first, and for how many days all of them can be judged."""
    horizon, every = scorer.model.horizon, scorer.config.folds.every
    dated = Cutoff.parse(scorer.dated, log.timezone)
    settling = training.settling_of(log, scorer.config)
    end = log.observed_until.plus(-ceil(settling))
    if cutoffs is None:
        newest = end.plus(-horizon)
        steps = range(0, max(1, splits.MOST_TEST_CUTOFFS * every), every)
        found = {c for step in steps if (c := newest.plus(-step)) >= dated} or {dated}
    else:
        found = {Cutoff.parse(one, log.timezone) for one in _listed(cutoffs)}
    test = tuple(sorted(found))
    if not test:
        raise UsageError("evaluate: cutoffs: expected one date or more, got none")
    if test[0] < dated and not in_sample:
        raise UsageError(
            f"evaluate: the cutoff {test[0]} lies before {dated}, up to which the model has seen "
            "what happened; choose later ones, or ask for in_sample (--in-sample), which says "
            "nothing about dates to come"
        )
    seen = max(0, floor(end.days_since(test[-1])))
    if seen < (least := min(horizon, splits.SHORTEST_HORIZON)):
        late = f", its last {ceil(settling)} days not fully known yet" if settling >= 1 else ""
        raise UsageError(
            f"evaluate: the log ends at {log.observed_until}{late}, so the cutoff {test[-1]} can "
            f"be followed for {seen} days, and {least} are needed; load newer events"
            f"{'' if cutoffs is None else ', or choose an earlier cutoff'}"
        )
    return test, min(horizon, seen)


def _listed(cutoffs: object) -> Sequence[object]:
    if isinstance(cutoffs, Sequence) and not isinstance(cutoffs, str):
        return cutoffs
    return (cutoffs,)


def _plan(scorer: Scorer, began: Cutoff, test: tuple[Cutoff, ...], judged: int) -> Plan:
    """One fold: what the bundle was trained on, and the dates to judge it at."""
    zone = test[0].zone
    train = tuple(Cutoff.parse(c, zone) for c in scorer.bundle.manifest["training_cutoffs"])
    if began >= train[-1]:
        raise UsageError(
            f"evaluate: the log begins at {began}, and the training looked at {train[0]} to "
            f"{train[-1]}; the baselines learn from these dates, so load that history too"
        )
    fold = Fold(Cutoff.parse(scorer.dated, zone), train, test)
    return Plan(judged, scorer.model.horizon, train[0], fold, (), fold)


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


def _about(scorer: Scorer) -> str:
    return (
        f"The bundle {scorer.bundle.version} learned from what was known by {scorer.dated}, and so "
        "did the baselines."
    )


def _stamped(card: Scorecard) -> Scorecard:
    """The scorecard with the warning that some of it was learned, in the verdict and first."""
    verdict = replace(card.verdict, text=f"{card.verdict.text}; in sample")
    return replace(card, verdict=verdict, notes=(_IN_SAMPLE, *card.notes))
