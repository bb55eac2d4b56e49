"""A trained model <-> the files of its bundle: text and JSON, never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ppi_ml import explain, reads
from ppi_ml.bundle import Bundle
from ppi_ml.config import Config
from ppi_ml.declare import State
from ppi_ml.entities import ONE_CUSTOMER, Entity
from ppi_ml.errors import IntegrityError
from ppi_ml.events import EventLog
from ppi_ml.models import covariates, cox, hazard
from ppi_ml.models.boost import Trees
from ppi_ml.models.glm import PoissonGlm
from ppi_ml.models.mixture import Mixture, Window
from ppi_ml.rows import ProcessState, ProcessStates


@dataclass(frozen=True)
class Model:
    """Everything that is needed to score.

    `dated` is the ISO date of the states; `tables` the tables that were there, with the start of
    their record (ISO), their granularity and the share of the rows in which a column is filled;
    `families` the families with their windows.
    """

    curve: Mixture
    processes: ProcessStates
    dated: str
    family_states: Mapping[str, State]
    families: tuple[str, ...]
    windows: tuple[int, ...]
    columns: tuple[str, ...]
    tables: Mapping[str, Mapping[str, Any]]
    target: Mapping[str, Any]
    horizon: int
    active_within: int
    entity: Entity = ONE_CUSTOMER
    typical: explain.Reference | None = None
    """What explanations compare with; None: this model cannot explain itself."""

    @property
    def stages(self) -> str:
        """Which stages the member `staged` has."""
        return self.curve.settings.stages

    @property
    def process_state(self) -> ProcessState:
        """The process parameters dated the training end."""
        return self.processes.by_cutoff[self.dated]


def tables_of(log: EventLog) -> dict[str, dict[str, Any]]:
    """The tables of a log: the start of their record, their granularity, what is filled in them."""
    filled = reads.filled(log)
    return {
        name: {
            "observed_from": str(table.observed_from),
            "granularity": table.granularity,
            "filled": filled.get(name, {}),
        }
        for name, table in log.tables.items()
    }


def pack(model: Model, config: Config) -> dict[str, object]:
    """The files of a bundle, but for the self-test and the scorecard."""
    curve, settings = model.curve, model.curve.settings
    staged = curve.staged
    return {
        "model.txt": staged.trees.text if staged.trees else "",
        "cox.txt": curve.cox.trees.text if curve.cox and curve.cox.trees else "",
        "glm.json": {
            "staged": _regression(staged),
            "seasonal": _regression(curve.seasonal),
            **{name: window.glm.to_dict() for name, window in curve.windows.items()},
            "cox": _proportional(curve.cox),
        },
        "state.json": {
            "dated": model.dated,
            "families": dict(model.family_states),
            "processes": {"names": list(model.processes.names), "states": model.process_state},
            "tables": {name: dict(table) for name, table in model.tables.items()},
        },
        "features.json": {
            "families": list(model.families),
            "windows": list(model.windows),
            "columns": list(model.columns),
            "tree_columns": list(settings.tree_names),
        },
        "target.json": {
            **model.target,
            "horizon_days": model.horizon,
            "active_within_days": model.active_within,
            "rows": asdict(model.entity),
            "curve": {
                "edges": list(settings.edges),
                "stages": settings.stages,
                "alone": settings.alone,
                "season": settings.season,
                "season_sd": settings.season_sd,
                "yearly": settings.yearly,
                "whole_days": settings.whole_days,
                "facts": list(settings.facts),
                "members": curve.weights,
                "windows": {
                    name: {"seen": window.seen, "season": window.season}
                    for name, window in curve.windows.items()
                },
                "processes": curve.processes,
            },
        },
        "calibration.json": {"kind": "identity"},
        "vocabulary.json": {},
        "config.yaml": config.to_yaml(),
        **({"explain.json": model.typical.to_dict()} if model.typical else {}),
    }


def unpack(bundle: Bundle, threads: int) -> Model:
    """The model of a verified bundle; `IntegrityError` if its parts do not fit together."""
    state, features = bundle.json("state.json"), bundle.json("features.json")
    target = bundle.json("target.json")
    try:
        return _model(bundle, state, features, target, threads)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{bundle.folder}: the parts of this bundle do not fit together ({error}); "
            "it was made by another version or by hand"
        ) from error


def _model(
    bundle: Bundle,
    state: Mapping[str, Any],
    features: Mapping[str, Any],
    target: Mapping[str, Any],
    threads: int,
) -> Model:
    curve, names = target["curve"], tuple(state["processes"]["names"])
    settings = covariates.Settings(
        edges=tuple(curve["edges"]),
        processes=names,
        tree_names=tuple(features["tree_columns"]),
        stages=curve["stages"],
        alone=curve["alone"],
        season=curve["season"],
        season_sd=curve["season_sd"],
        yearly=curve["yearly"],
        whole_days=curve["whole_days"],
        facts=tuple(curve["facts"]),
        threads=threads,
    )
    return Model(
        curve=_mixture(bundle, settings, curve),
        processes=ProcessStates(names, {state["dated"]: state["processes"]["states"]}, {}),
        dated=state["dated"],
        family_states=state["families"],
        families=tuple(features["families"]),
        windows=tuple(features["windows"]),
        columns=tuple(features["columns"]),
        tables=state["tables"],
        target=target,
        horizon=int(target["horizon_days"]),
        active_within=int(target["active_within_days"]),
        entity=_entity(target["rows"]),
    )


def _entity(rows: Mapping[str, Any]) -> Entity:
    kept = {name: rows[name] for name in ("packs", "groups")}
    tuples = {n: None if v is None else tuple(map(tuple, v)) for n, v in kept.items()}
    return Entity(**{**rows, **tuples})


def _regression(model: hazard.Hazard | None) -> dict[str, Any] | None:
    return model.glm.to_dict() if model and model.glm else None


def _proportional(model: cox.Cox | None) -> dict[str, Any] | None:
    return None if model is None else {"baseline": model.baseline.tolist(), "paced": model.paced}


def _mixture(bundle: Bundle, settings: covariates.Settings, curve: Mapping[str, Any]) -> Mixture:
    glm, text = bundle.json("glm.json"), bundle.text("model.txt")
    inputs = (*settings.tree_names, *covariates.interval_names(settings.processes))
    staged = hazard.Hazard(
        settings,
        None if glm["staged"] is None else PoissonGlm.from_dict(glm["staged"]),
        Trees.read(text, inputs) if text else None,
    )
    proportional = seasonal = None
    if glm["cox"] is not None:
        trees, standing = bundle.text("cox.txt"), covariates.standing_names(settings)
        proportional = cox.Cox(
            settings.edges,
            np.asarray(glm["cox"]["baseline"], dtype=np.float64),
            Trees.read(trees, standing) if trees else None,
            paced=bool(glm["cox"]["paced"]),
        )
    if glm["seasonal"] is not None:
        with_season = replace(settings, season=True, stages=hazard.STAGES[1])
        seasonal = hazard.Hazard(with_season, PoissonGlm.from_dict(glm["seasonal"]), None)
    windows = {
        name: Window(PoissonGlm.from_dict(glm[name]), int(told["seen"]), bool(told["season"]))
        for name, told in curve["windows"].items()
    }
    return Mixture(
        staged, proportional, windows.get("newest"), windows.get("recent"),
        int(curve["processes"]), seasonal,
    )  # fmt: skip


def edges_of(model: Model) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The edges of the curve, days."""
    return np.asarray(model.curve.settings.edges, dtype=np.float64)
