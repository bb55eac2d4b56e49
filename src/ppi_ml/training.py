"""Training, told in order: events in, a judged bundle out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import ceil, inf
from pathlib import Path
from typing import Any

from ppi_ml import (
    consent,
    dataset,
    draw,
    entities,
    judging,
    labels,
    occasion_training,
    packing,
    recipe,
    rows,
    shipping,
    splits,
    training_log,
)
from ppi_ml.asked_for import AskedFor, asked_for
from ppi_ml.config import Config
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Target
from ppi_ml.engine.buckets import bytes_of
from ppi_ml.entities import Entity
from ppi_ml.errors import NotTrainableError, UsageError
from ppi_ml.events import EventLog, check_log
from ppi_ml.explain import Reference
from ppi_ml.material import Material
from ppi_ml.models.mixture import Mixture, in_words
from ppi_ml.occasion_training import Question
from ppi_ml.progress import Progress, Step
from ppi_ml.recipe import Recipe
from ppi_ml.rows import ProcessStates
from ppi_ml.runs import JOURNAL, PRIVATE, Run, RunFolder
from ppi_ml.scorecard import Scorecard
from ppi_ml.shipping import Choice, Shipment
from ppi_ml.snapshots import Wanted, unused
from ppi_ml.splits import Plan, Spacing
from ppi_ml.tracking import Tracker, tracker_for
from ppi_ml.tuning import Budget, Search, search

SEASON_SD = 0.3
_INTERVALS_OF_A_ROW, _LEAST_PAIRS, _WARM_UP_OF_PAIRS = 20, 2_000, 60


def train(
    log: EventLog | None = None,
    *,
    config: Config | str | Path | None = None,
    target: str | None = None,
    settings: Mapping[str, object] | None = None,
    track: bool = True,
    resume: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> Run:
    """Train a model, judge it out of time against its baselines, and write its bundle.

    Args:
        log: events; if None they are read as the config says.
        config: a config, or the path of one; None: defaults, for a log that is given.
        target: what is predicted, such as "churn"; overrides the config.
        settings: further settings by path, such as {"tune.trials": 50}, like `--set`.
        track: False records nothing in MLflow, whatever the config says.
        resume: the folder of an interrupted run, whose search goes on where it stopped.
        progress: True tells on stderr what is being done, as `ppi-ml train` does; or where to tell
            it; None says nothing.

    Raises:
        ConfigError: a setting that cannot be.
        DataError: events that break their contract.
        NotTrainableError: the events are too few to learn from; the message says what is missing.
    """
    if log is not None:
        check_log(log)
    filled = _config(config, log, target, settings, track)
    say = progress if isinstance(progress, Progress) else Progress(quiet=not progress)
    found = asked_for(filled)
    # --quiet too must hear what is kept of an interrupted run; who gives no progress hears nothing
    tell = say.insist if isinstance(progress, Progress) else say.note
    with (
        RunFolder(filled, resume, tell) as folder,
        _tracked(filled, folder.name, say) as tracking,
    ):
        with say.stage("reading events"):
            log = training_log.read(filled, found.plugins, log)
        for told in training_log.remarks(log):
            say.note(told)
        folder.pin(filled, log.fingerprint)
        about = _learn_occasions if found.entity.is_occasion else _learn
        shipment, n_train = about(log, filled, found, folder.path, say)
        with say.stage("writing the run folder"):
            shipping.write(folder, shipment)
            place = folder.finish()
        with say.stage("recording the run"):
            tracking.params({"data.fingerprint": log.fingerprint, **_flat(filled.to_dict())})
            tracking.metrics(_metrics(shipment.scorecard, shipment.found))
            tracking.folder(place, without=PRIVATE)
    return _run(place, shipment, found.target, tracking.run_id, n_train)


def _learn(
    log: EventLog, config: Config, found: AskedFor, folder: Path, say: Progress
) -> tuple[Shipment, int]:
    """Features, search, judgement, and the model that ships; with its number of training rows."""
    whole, permitted = log, consent.permitted(log)
    log = draw.customers(permitted, config.model.max_customers, config.seed)
    drawn = draw.said(permitted, log)
    for note in drawn:
        say.note(note)
    folds = plan_of(log, config, of_pairs=found.entity.is_pair)
    kept = entities.as_trained(found.entity, log)
    log = entities.prepared(log, found.entity)
    lost = entities.in_no_pair(log, found.entity) if found.entity.is_pair else ()
    for note in lost:
        say.note(note)
    with say.stage("building features", len(folds.cutoffs)) as step:
        data = dataset.build(
            log, folds.cutoffs, found.families, entity=found.entity,
            wanted=wanted_of(found.entity, config), threads=config.engine.threads,
            memory=bytes_of(config.engine.memory), on_cutoff=step,
        ).varying()  # fmt: skip
    for what in unused(log, found.families, data.states[str(folds.final.end)]):
        say.note(f"not used: {what}")
    with say.stage("fitting purchase processes", len(folds.cutoffs)) as step:
        states = rows.fit_processes(
            data, config.model.processes, log.observed_from, step, folds.newer
        )
    for name, reason in states.reasons.items():
        say.note(f"not used: the process {name} ({reason})")
    material = material_of(log, data, states, folds.horizon, config, found.target)
    with say.stage("searching a recipe", config.tune.trials) as step:
        chosen = _search(material, folds, config, folder, step)
    say.note(f"stages: {chosen.why}")
    scorecard, backtest = judging.judge(
        material, folds, chosen.recipe, found.families, found.baselines, say,
        wanted_of(found.entity, config),
    )  # fmt: skip
    how = f"The stages: {chosen.why}."
    in_no_pair = (f"{note}." for note in lost)
    notes = (*scorecard.notes, *drawn, how, *in_no_pair, *training_log.said(whole))
    scorecard = replace(scorecard, notes=notes)
    with say.stage("fitting the model that ships"):
        material = replace(material, horizon=folds.asked)
        fitted = recipe.fit(material, folds.final, chosen.recipe)
        of_pairs = found.entity.is_pair  # of which reasons are not told yet
        typical = None if of_pairs else recipe.typical(material, folds.final, fitted)
    say.note(f"ships: {in_words(fitted)}")
    model = _pack(fitted, typical, data, states, folds, replace(found, entity=kept), log, config)
    choice = Choice(chosen.recipe.to_dict(), chosen.why, chosen.losses, chosen.trials)
    shipment = Shipment(
        model, config, whole, folds.final.train, folds.outer.test if folds.outer else (), choice,
        scorecard, backtest, found.plugins,
    )  # fmt: skip
    return shipment, len(material.part(folds.final)[0])


def _learn_occasions(
    log: EventLog, config: Config, found: AskedFor, folder: Path, say: Progress
) -> tuple[Shipment, int]:
    """The same about orders and lines, each asked about at a moment of its own."""
    asked = Question(found.target, found.entity, found.families, found.baselines)
    got = occasion_training.learn(consent.permitted(log), asked, config, folder, say)
    choice = Choice(got.recipe, got.why, got.losses, got.trials)
    notes = (*got.scorecard.notes, f"The stages: {got.why}.", *training_log.said(log))
    shipment = Shipment(
        got.model, config, log, got.plan.periods, got.plan.test, choice,
        replace(got.scorecard, notes=notes, entity=found.entity.name), got.backtest, found.plugins,
    )  # fmt: skip
    return shipment, got.rows


def wanted_of(entity: Entity, config: Config) -> Wanted | None:
    """Which pairs are rows: those asked about, and no more of them than the model can use."""
    if not entity.is_pair:
        return None
    most = max(_LEAST_PAIRS, config.model.max_rows // _INTERVALS_OF_A_ROW)
    return Wanted(config.target.active_within, most, config.seed, in_stock=True)


def plan_of(log: EventLog, config: Config, *, of_pairs: bool = False) -> Plan:
    """The folds of a log under a config; `NotTrainableError` if not even one cutoff fits.

    Pairs (`of_pairs`) come back within weeks, so their first cutoff may stand earlier, and no older
    cutoffs are asked about: what these are worth was measured for customers.
    """
    spacing = Spacing(
        config.folds.every, _train_cutoffs(log, config, of_pairs=of_pairs),
        config.folds.test_cutoffs, ceil(settling_of(log, config)),
        _WARM_UP_OF_PAIRS if of_pairs else None,
        inf if of_pairs else labels.usual_gap(log),
    )  # fmt: skip
    folds = splits.forward(log.observed_from, log.observed_until, config.target.horizon, spacing)
    if not folds.final.train:
        raise NotTrainableError(
            f"the log covers {log.observed_until.days_since(log.observed_from):.0f} days, from "
            f"{log.observed_from} to {log.observed_until}; that leaves no training cutoff. Load a "
            "longer history, or set folds.every to fewer days"
        )
    return folds


def _train_cutoffs(log: EventLog, config: Config, *, of_pairs: bool) -> int:
    """How many training cutoffs there may be: older ones as far as memory is bounded by rows."""
    newer = splits.NEWER_CUTOFFS
    room = newer * config.model.max_customers // max(1, len(draw.buyers(log)))
    return min(config.folds.train_cutoffs, newer if of_pairs else max(newer, room))


def _config(
    config: Config | str | Path | None,
    log: EventLog | None,
    target: str | None,
    settings: Mapping[str, object] | None,
    track: bool,
) -> Config:
    """The filled config; a log that is given needs no data section."""
    sets = dict(settings or {})
    if target is not None:
        sets["target.name"] = target
    if not track:
        sets["tracking.kind"] = "none"
    if config is None and log is None:
        raise UsageError("train: give a log, or a config that says where the events are")
    if config is None:
        sets = {"data.source": "dataframes", "target.name": "churn", **sets}
    if isinstance(config, Config):
        filled = Config.read(config.to_dict(), sets, {}) if sets else config
    else:
        filled = Config.read(config, sets)
    return filled if log is None else training_log.stated(filled, log)


def settling_of(log: EventLog, config: Config) -> float:
    """How many days the log needs to know what happened: measured, or as the config says."""
    asked = config.folds.settling
    return labels.settling_days(log) if asked is None else float(asked)


@contextmanager
def _tracked(config: Config, name: str, say: Progress) -> Iterator[Tracker]:
    """A tracker with an open run, closed as finished, failed or killed."""
    tracking = tracker_for(config.tracking, config.name)
    with say.stage("opening the record of runs"):
        tracking.start(name, {"target": config.target.name})
    try:
        yield tracking
    except BaseException as error:
        tracking.finish("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    tracking.finish()


def material_of(
    log: EventLog,
    data: Dataset,
    states: ProcessStates,
    horizon: int,
    config: Config,
    target: Target,
) -> Material:
    """What every fit shares, with the settings of a config; `horizon` is judged."""
    return Material(
        log=log,
        data=data,
        states=states,
        horizon=horizon,
        active_within=config.target.active_within,
        settling=settling_of(log, config),
        max_rows=config.model.max_rows,
        seed=config.seed,
        threads=config.engine.threads,
        season=config.model.season == "auto",
        memory=bytes_of(config.engine.memory),
        metric=target.metric,
    )


def _search(material: Material, folds: Plan, config: Config, folder: Path, step: Step) -> Search:
    asked = config.tune.objective
    return search(
        material if asked == "auto" else replace(material, metric=asked),
        folds.inner,
        folds.outer or folds.final,
        Recipe(config.model.stages, None, SEASON_SD, config.model.trees.model_dump()),
        stages=config.model.stages,
        members=config.model.members,
        budget=Budget(config.tune.trials, config.tune.minutes, config.tune.workers),
        journal=folder / JOURNAL,
        on_trial=step,
    )


def _pack(
    fitted: Mixture,
    typical: Reference | None,
    data: Dataset,
    states: ProcessStates,
    folds: Plan,
    found: AskedFor,
    log: EventLog,
    config: Config,
) -> packing.Model:
    end = folds.final.end
    return packing.Model(
        curve=fitted,
        processes=states.replayed(end, [end]),
        dated=str(end),
        family_states=data.states[str(end)],
        families=tuple(f.name for f in found.families),
        windows=config.features.windows,
        columns=dataset.names_of(found.families),
        tables=packing.tables_of(log),
        target=found.target.to_dict(),
        horizon=folds.asked,
        active_within=config.target.active_within,
        entity=found.entity,
        typical=typical,
    )


def _run(place: Path, shipment: Shipment, target: Target, run_id: str, n_train: int) -> Run:
    return Run(
        folder=place,
        bundle=place / "bundle",
        scorecard=shipment.scorecard,
        report=shipment.log.report,
        run_id=run_id or None,
        config=shipment.config,
        target=target.name,
        cutoffs=tuple(map(str, shipment.tested)),
        n_train=n_train,
        n_test=0 if shipment.backtest is None else shipment.backtest.height,
    )


def _metrics(scorecard: Scorecard, found: Choice) -> list[tuple[str, float, int]]:
    """Every number of the scorecard, and the tuning losses, as MLflow metrics."""
    cutoffs = sorted({row.cutoff for row in scorecard.rows})
    scored = [
        (f"{r.segment}.{r.model}.{r.metric}", r.value, cutoffs.index(r.cutoff))
        for r in scorecard.rows
        if r.value is not None
    ]
    plain = str.maketrans({" ": ".", "+": "_"})
    inner = [(f"inner.{name.translate(plain)}", loss, 0) for name, loss in found.losses.items()]
    return [*scored, *inner]


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings by path."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        flat |= _flat(value, here) if isinstance(value, Mapping) else {here: value}
    return flat
