"""Training, told in order: events in, a judged bundle out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from ppi_ml import bundle as bundles
from ppi_ml import dataset, evaluation, inputs, labels, packing, recipe, rows, selftest, splits
from ppi_ml.config import Config
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline, Family, Target
from ppi_ml.errors import NotTrainableError, UsageError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.models.hazard import Hazard
from ppi_ml.progress import Progress, Step
from ppi_ml.recipe import Material, Problem, Recipe
from ppi_ml.rows import ProcessStates
from ppi_ml.runs import JOURNAL, Run, RunFolder, write_json
from ppi_ml.scorecard import Scorecard, unjudged
from ppi_ml.scoring import Scorer
from ppi_ml.shelf import Plugin, load_plugins, shelf
from ppi_ml.splits import Fold, Plan, Spacing
from ppi_ml.tracking import Tracker, tracker_for
from ppi_ml.tuning import Budget, Search, search

SEASON_SD = 0.3
LIBRARIES = ("lightgbm", "numpy", "polars", "scikit-learn", "scipy")


@dataclass(frozen=True)
class _Shelves:
    """What the config asks for, found on the shelves."""

    target: Target
    families: list[Family]
    baselines: list[Baseline]
    plugins: tuple[Plugin, ...]


@dataclass(frozen=True)
class _Fitted:
    """The model that ships, with the material and the search behind it."""

    model: packing.Model
    found: Search
    plan: Plan
    n_train: int


def train(
    log: EventLog | None = None,
    *,
    config: Config | str | Path | None = None,
    target: str | None = None,
    settings: Mapping[str, object] | None = None,
    track: bool = True,
    resume: str | Path | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train a model, judge it out of time against its baselines, and write its bundle.

    Args:
        log: events; if None they are read as the config says.
        config: a config, or the path of one; None: defaults, for a log that is given.
        target: what is predicted, such as "churn"; overrides the config.
        settings: further settings by path, such as {"tune.trials": 50}, like `--set`.
        track: False records nothing in MLflow, whatever the config says.
        resume: the folder of an interrupted run, whose search goes on where it stopped.
        progress: where to tell what is being done; None says nothing.

    Raises:
        ConfigError: a setting that cannot be.
        DataError: events that break their contract.
        NotTrainableError: the events are too few to learn from; the message says what is missing.
    """
    filled = _config(config, log, target, settings, track)
    say = progress or Progress(quiet=True)
    found = _shelves(filled)
    with RunFolder(filled, resume) as folder, _tracked(filled, folder.name) as tracking:
        with say.stage("reading events"):
            log = inputs.load_log(filled.data) if log is None else _cut(log, filled)
        fitted, scorecard, backtest = _learn(log, filled, found, folder.path, say)
        with say.stage("writing the bundle"):
            scorer = _bundle(folder, fitted, filled, log, scorecard, found.plugins)
        _write(folder.path, filled, log, scorecard, backtest, fitted.found, scorer)
        tracking.params({"data.fingerprint": log.fingerprint, **_flat(filled.to_dict())})
        tracking.metrics(_metrics(scorecard, fitted.found))
        done = folder.finish()
        tracking.folder(done)
    return Run(
        folder=done,
        bundle=done / "bundle",
        scorecard=scorecard,
        report=log.report,
        run_id=tracking.run_id or None,
        config=filled,
        target=found.target.name,
        cutoffs=tuple(map(str, fitted.plan.outer.test)) if fitted.plan.outer else (),
        n_train=fitted.n_train,
        n_test=0 if backtest is None else backtest.height,
    )


@contextmanager
def _tracked(config: Config, name: str) -> Iterator[Tracker]:
    """A tracker with an open run, closed as finished, failed or killed."""
    tracking = tracker_for(config.tracking, config.name)
    tracking.start(name, {"target": config.target.name})
    try:
        yield tracking
    except BaseException as error:
        tracking.finish("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    tracking.finish()


def _learn(
    log: EventLog, config: Config, found: _Shelves, folder: Path, say: Progress
) -> tuple[_Fitted, Scorecard, pl.DataFrame | None]:
    """Features, search, judgement and the model that ships. The order is the order of the work."""
    plan = plan_of(log, config)
    cutoffs = sorted({c for f in _folds(plan) for c in (*f.train, f.end)})
    with say.stage("building features", len(cutoffs)) as step:
        data = dataset.build(
            log, cutoffs, found.families, threads=config.engine.threads, on_cutoff=step
        )
    with say.stage("fitting purchase processes", len(cutoffs)) as step:
        states = rows.fit_processes(data, config.model.processes, log.observed_from, step)
    material = _material(log, data, states, plan, config)
    with say.stage("searching a recipe", config.tune.trials) as step:
        chosen = _search(material, plan, config, folder, step)
    say.note(f"stages: {chosen.why}")
    scorecard, backtest = _judge(material, plan, chosen.recipe, found, config, say)
    with say.stage("fitting the model that ships"):
        shipped = replace(material, horizon=plan.asked)
        model = recipe.fit(shipped, plan.final, chosen.recipe)
        n_train = len(shipped.part(plan.final)[0])
    packed = _model(model, data, states, plan, found, log, config)
    return _Fitted(packed, chosen, plan, n_train), scorecard, backtest


def plan_of(log: EventLog, config: Config) -> Plan:
    """The folds of a log under a config; `NotTrainableError` if not even one cutoff fits."""
    spacing = Spacing(config.folds.every, config.folds.train_cutoffs, config.folds.test_cutoffs)
    plan = splits.forward(log.observed_from, log.observed_until, config.target.horizon, spacing)
    if not plan.final.train:
        raise NotTrainableError(
            f"the log covers {log.observed_until.days_since(log.observed_from):.0f} days, from "
            f"{log.observed_from} to {log.observed_until}; that leaves no training cutoff. Load a "
            "longer history, or set folds.every to fewer days"
        )
    return plan


def plan(config: Config, log: EventLog | None = None) -> str:
    """What `ppi-ml train --dry-run` prints: events, cutoffs and baselines, without training."""
    found = _shelves(config)
    log = inputs.load_log(config.data) if log is None else log
    folds = plan_of(log, config)
    judged = (
        f"test cutoffs {', '.join(map(str, folds.outer.test))} at {folds.horizon} of "
        f"{folds.asked} days; training ends {folds.outer.end}"
        if folds.outer
        else "too little history to judge: the model will ship unjudged"
    )
    return "\n".join(
        [
            log.report.to_text(),
            f"target: {found.target.name}, {config.target.horizon} days ahead",
            f"families: {', '.join(f.name for f in found.families)}",
            f"baselines: {', '.join(b.name for b in found.baselines)}",
            judged,
            f"inner folds end {', '.join(str(f.end) for f in folds.inner) or 'nowhere'}",
            f"the model that ships trains on {len(folds.final.train)} cutoffs, "
            f"{folds.final.train[0]} to {folds.final.train[-1]}",
        ]
    )


def _folds(plan: Plan) -> list[Fold]:
    return [plan.final, *plan.inner, *([plan.outer] if plan.outer else [])]


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
    if isinstance(config, Config):
        return Config.read(config.to_dict(), sets, {}) if sets else config
    if config is None and log is None:
        raise UsageError("train: give a log, or a config that says where the events are")
    if config is None and log is not None:
        sets = {"data.source": "dataframes", "target.name": "churn", **sets}
        sets |= {"data.timezone": log.timezone, "data.currency": log.currency}
    return Config.read(config, sets)


def _cut(log: EventLog, config: Config) -> EventLog:
    return log if config.data.until is None else log.until(config.data.until)


def _shelves(config: Config) -> _Shelves:
    plugins = load_plugins(config.plugins)
    target = cast(Target, shelf("ppi_ml.targets", "TARGET", plugins)[config.target.name])
    names = target.baselines if config.baselines == "auto" else config.baselines
    baselines = shelf("ppi_ml.baselines", "BASELINE", plugins)
    return _Shelves(
        target,
        dataset.families(config.features.families, config.features.windows, plugins),
        [cast(Baseline, baselines[name]) for name in names],
        plugins,
    )


def _material(
    log: EventLog, data: Dataset, states: ProcessStates, plan: Plan, config: Config
) -> Material:
    return Material(
        log=log,
        data=data,
        states=states,
        horizon=plan.horizon,
        active_within=config.target.active_within,
        settling=labels.settling_days(log),
        max_rows=config.model.max_rows,
        seed=config.seed,
        threads=config.engine.threads,
    )


def _search(material: Material, plan: Plan, config: Config, folder: Path, step: Step) -> Search:
    default = Recipe(
        config.model.stages, material.states.names[0], SEASON_SD, config.model.trees.model_dump()
    )
    return search(
        material,
        plan.inner,
        plan.outer or plan.final,
        default,
        stages=config.model.stages,
        budget=Budget(config.tune.trials, config.tune.minutes),
        journal=folder / JOURNAL,
        on_trial=step,
    )


def _judge(
    material: Material,
    plan: Plan,
    chosen: Recipe,
    found: _Shelves,
    config: Config,
    say: Progress,
) -> tuple[Scorecard, pl.DataFrame | None]:
    """The recipe and every baseline on the outer fold, touched here and nowhere else."""
    fold = plan.outer
    if fold is None:
        reason = f"the log is too short to judge even {splits.SHORTEST_HORIZON} days"
        return unjudged(reason), None
    if not material.states.usable([fold.end]) or not material.states.usable(fold.train):
        return unjudged(f"no purchase process could be fitted at {fold.end}"), None
    with say.stage("judging out of time", 1 + len(found.baselines)) as step:
        test = dataset.build(
            material.log, fold.test, found.families,
            states=material.data.states[str(fold.end)], threads=material.threads,
        )  # fmt: skip
        model = recipe.fit(material, fold, chosen)
        curves = recipe.curves(model, test, material.states, fold.end)
        predictions = {"model": curves.survival([float(plan.horizon)])[:, 0]}
        step()
        untrainable = _baselines(Problem.of(material, fold), test, found, predictions, step)
        happened = labels.within(
            labels.durations(test, material.log, material.log.observed_until), plan.horizon
        )
        backtest = evaluation.Backtest(
            customer=rows.codes(test),
            cutoff=np.array([str(c) for c in test.cutoffs])[test.cutoff_index],
            eligible=test.eligible(material.active_within),
            event=happened,
            predictions=predictions,
            untrainable=untrainable,
            horizon_days=plan.horizon,
            asked_days=plan.asked,
        )
        words = {"model": f"this recipe ({chosen.stages})"}
        words |= {b.name: b.description for b in found.baselines}
        scorecard = evaluation.judge(backtest, seed=config.seed, labels=words)
    return scorecard, _backtest_table(test, backtest)


def _baselines(
    problem: Problem,
    test: Dataset,
    found: _Shelves,
    predictions: dict[str, Any],
    step: Step,
) -> dict[str, str]:
    """Adds every baseline's predictions; returns why some could not be trained."""
    untrainable = {}
    for baseline in found.baselines:
        try:
            predictions[baseline.name] = baseline.fit(problem)(test)
        except NotTrainableError as error:
            untrainable[baseline.name] = str(error)
        step()
    return untrainable


def _backtest_table(test: Dataset, backtest: evaluation.Backtest) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer_id": test.customers,
            "cutoff": backtest.cutoff,
            "eligible": backtest.eligible,
            "purchased": backtest.event,
            **backtest.predictions,
        }
    )


def _model(
    fitted: Hazard,
    data: Dataset,
    states: ProcessStates,
    plan: Plan,
    found: _Shelves,
    log: EventLog,
    config: Config,
) -> packing.Model:
    end = plan.final.end
    return packing.Model(
        hazard=fitted,
        processes=states.replayed(end, [end]),
        dated=str(end),
        family_states=data.states[str(end)],
        families=tuple(f.name for f in found.families),
        windows=config.features.windows,
        columns=data.names,
        tables=packing.tables_of(log),
        target=found.target.to_dict(),
        horizon=plan.asked,
        active_within=config.target.active_within,
    )


def _bundle(
    folder: RunFolder,
    fitted: _Fitted,
    config: Config,
    log: EventLog,
    scorecard: Scorecard,
    plugins: tuple[Plugin, ...],
) -> Scorer:
    """Write the bundle, let it score its self-test, and seal it with the answers."""
    files = packing.pack(fitted.model, config) | {"scorecard.json": scorecard.to_dict()}
    manifest = _manifest(folder.name, fitted, config, log, scorecard, plugins)
    place = folder.path / "bundle"
    bundles.save(place, files | {"selftest.json": None}, manifest)
    threads = config.engine.threads
    answers = selftest.record(Scorer(bundles.load(place), threads))
    bundles.save(place, files | {"selftest.json": answers}, manifest)
    return Scorer(bundles.load(place), threads)


def _manifest(
    name: str,
    fitted: _Fitted,
    config: Config,
    log: EventLog,
    scorecard: Scorecard,
    plugins: tuple[Plugin, ...],
) -> dict[str, Any]:
    repeats = config.tune.minutes is None and config.tune.workers == 1
    return {
        "name": config.name,
        "version": name,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "ppi_ml": version("ppi_ml"),
        "libraries": {library: version(library) for library in LIBRARIES},
        "target": dict(fitted.model.target),
        "stages": {"used": fitted.found.recipe.stages, "why": fitted.found.why},
        "recipe": fitted.found.recipe.to_dict(),
        "data": {
            "fingerprint": log.fingerprint,
            "observed_from": str(log.observed_from),
            "observed_until": str(log.observed_until),
        },
        "known_until": str(log.observed_until),
        "state_date": fitted.model.dated,
        "training_cutoffs": [str(c) for c in fitted.plan.final.train],
        "seed": config.seed,
        "repeatable": repeats or "not reproducible: tune.minutes or tune.workers is set",
        "verdict": asdict(scorecard.verdict),
        "plugins": [plugin.record() for plugin in plugins],
    }


def _write(
    folder: Path,
    config: Config,
    log: EventLog,
    scorecard: Scorecard,
    backtest: pl.DataFrame | None,
    found: Search,
    scorer: Scorer,
) -> None:
    """Everything of the run folder but the bundle."""
    (folder / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    write_json(folder / "load_report.json", log.report.to_dict())
    log.report.write_quarantine(folder / "quarantine")
    write_json(folder / "scorecard.json", scorecard.to_dict())
    (folder / "scorecard.md").write_text(scorecard.to_markdown(), encoding="utf-8")
    write_json(
        folder / "tuning.json",
        {"why": found.why, "losses": dict(found.losses), "trials": list(found.trials)},
    )
    if backtest is not None:
        backtest.write_parquet(folder / "backtest.parquet")
    end = scorer.model.dated
    predictions = scorer.score(log, Cutoff.parse(end, log.timezone), allow_stale=True)
    predictions.to_parquet(folder / "predictions.parquet", index=False)
    (folder / JOURNAL).unlink(missing_ok=True)


def _metrics(scorecard: Scorecard, found: Search) -> list[tuple[str, float, int]]:
    """Every number of the scorecard, and the tuning losses, as MLflow metrics."""
    cutoffs = sorted({row.cutoff for row in scorecard.rows})
    scored = [
        (f"{r.segment}.{r.model}.{r.metric}", r.value, cutoffs.index(r.cutoff))
        for r in scorecard.rows
        if r.value is not None
    ]
    inner = [
        (f"inner.{n.replace(' ', '.').replace('+', '_')}", v, 0) for n, v in found.losses.items()
    ]
    return [*scored, *inner]


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings by path."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        here = f"{path}.{name}" if path else name
        flat |= _flat(value, here) if isinstance(value, Mapping) else {here: value}
    return flat
