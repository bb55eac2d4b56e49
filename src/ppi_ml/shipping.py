"""What a training leaves in its run folder: bundle, scorecard, predictions, reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from ppi_ml import bundle as bundles
from ppi_ml import (
    occasion_packing,
    packing,
    pair_scores,
    run_figures,
    run_outs,
    scoring,
    selftest,
)
from ppi_ml.config import Config
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.kept import BACKTEST
from ppi_ml.occasion_packing import OccasionModel
from ppi_ml.runs import RunFolder, write_json
from ppi_ml.scorecard import Scorecard
from ppi_ml.scorer_base import ScorerBase
from ppi_ml.shelf import Plugin

LIBRARIES = ("lightgbm", "numpy", "polars", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Choice:
    """How the recipe was found: what it is, why, losses on earlier dates, and the trials."""

    recipe: Mapping[str, Any]
    why: str
    losses: Mapping[str, float]
    trials: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Shipment:
    """All that a run folder is written from; `backtest` is None where nothing was judged.

    `trained` and `tested` are the cutoffs, or the starts of periods, that the model that ships was
    trained on and that its recipe was judged at.
    """

    model: packing.Model | OccasionModel
    config: Config
    log: EventLog
    trained: Sequence[Cutoff]
    tested: Sequence[Cutoff]
    found: Choice
    scorecard: Scorecard
    backtest: pl.DataFrame | None
    plugins: Sequence[Plugin]


def write(folder: RunFolder, shipment: Shipment) -> None:
    """Everything of the run folder; the bundle has scored before it is said to be whole."""
    scorer = _bundle(folder, shipment)
    path, log, found = folder.path, shipment.log, shipment.found
    (path / "config.yaml").write_text(shipment.config.to_yaml(), encoding="utf-8")
    write_json(path / "load_report.json", log.report.to_dict())
    log.report.write_quarantine(path / "quarantine")
    write_json(path / "scorecard.json", shipment.scorecard.to_dict())
    search = {"why": found.why, "losses": dict(found.losses), "trials": list(found.trials)}
    write_json(path / "tuning.json", search)
    if shipment.backtest is not None:
        shipment.backtest.write_parquet(path / BACKTEST)
    page = shipment.scorecard.to_markdown() + run_figures.write(path)
    (path / "scorecard.md").write_text(page, encoding="utf-8")
    _predict(path, scorer, log)


def _predict(folder: Path, scorer: ScorerBase, log: EventLog) -> None:
    """The score table at the end of the log; of pairs part by part, and as a list for people."""
    end = Cutoff.parse(scorer.model.dated, log.timezone)
    if not scorer.of_pairs:
        scores = scorer.score(log, end, allow_stale=True)
        scores.to_parquet(folder / "predictions.parquet", index=False)
        return
    pair_scores.write(
        scorer.score_parts(log, end, allow_stale=True), folder,
        keys=scorer.model.entity.keys, notes=scorer.notes(log, end, allow_stale=True),
        horizon=scorer.model.horizon, cutoff=str(end),
        products=run_outs.what_they_are(log, scorer.model.entity, end),
    )  # fmt: skip


def _bundle(folder: RunFolder, shipment: Shipment) -> ScorerBase:
    """Write the bundle, let it answer its self-test, and seal it with the answers."""
    files = _files(shipment)
    files["scorecard.json"] = shipment.scorecard.to_dict()
    manifest, place = _manifest(folder, shipment), folder.path / "bundle"
    threads = shipment.config.engine.threads
    bundles.save(place, files | {"selftest.json": None}, manifest)
    end = Cutoff.parse(shipment.model.dated, shipment.log.timezone)
    first = scoring.of_bundle(bundles.load(place), threads)
    answers = selftest.record(first.answer, end, shipment.model.tables)
    bundles.save(place, files | {"selftest.json": answers}, manifest)
    return scoring.of_bundle(bundles.load(place), threads)


def _files(shipment: Shipment) -> dict[str, object]:
    """The files of the model's bundle."""
    if isinstance(shipment.model, OccasionModel):
        return occasion_packing.pack(shipment.model, shipment.config)
    return packing.pack(shipment.model, shipment.config)


def _manifest(folder: RunFolder, shipment: Shipment) -> dict[str, Any]:
    config, log, found = shipment.config, shipment.log, shipment.found
    return {
        "name": config.name,
        "version": folder.name,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "ppi_ml": version("ppi_ml"),
        "libraries": {library: version(library) for library in LIBRARIES},
        "target": dict(shipment.model.target),
        "stages": {"used": shipment.model.stages, "why": found.why},
        "recipe": dict(found.recipe),
        "data": {
            "fingerprint": log.fingerprint,
            "currency": log.currency,
            "rates": dict(log.rates),
            "purchases": list(log.purchases),
            "excluded": sorted(log.exclude),
            "observed_from": str(log.observed_from),
            "observed_until": str(log.observed_until),
        },
        "known_until": str(log.observed_until),
        "state_date": shipment.model.dated,
        "training_cutoffs": [str(c) for c in shipment.trained],
        "seed": config.seed,
        "repeatable": _repeatable(config, folder.resumed),
        "verdict": asdict(shipment.scorecard.verdict),
        "plugins": [plugin.record() for plugin in shipment.plugins],
    }


def _repeatable(config: Config, resumed: bool) -> bool | str:
    """True if the same config, data and versions give the same bundle; else why they may not."""
    reasons = {
        "tune.minutes is set": config.tune.minutes is not None,
        "tune.workers is more than 1": config.tune.workers > 1,
        "the search was interrupted and resumed": resumed,
    }
    found = [reason for reason, holds in reasons.items() if holds]
    return f"not reproducible: {', '.join(found)}" if found else True
