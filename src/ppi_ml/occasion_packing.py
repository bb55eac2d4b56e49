"""A model of occasions <-> the files of its bundle: text and JSON, never a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppi_ml.bundle import Bundle
from ppi_ml.chances import Chance
from ppi_ml.config import Config
from ppi_ml.declare import State
from ppi_ml.entities import Entity
from ppi_ml.errors import IntegrityError
from ppi_ml.models.probability import Chances
from ppi_ml.occasions import Asking


@dataclass(frozen=True)
class OccasionModel:
    """Everything that is needed to score occasions.

    `dated` is the ISO date of the states; `tables` the tables that were there, with the start of
    their record (ISO), their granularity and the share of the rows in which a column is filled;
    `families` the families with their windows.
    """

    chance: Chance
    dated: str
    family_states: Mapping[str, State]
    families: tuple[str, ...]
    windows: tuple[int, ...]
    columns: tuple[str, ...]
    tables: Mapping[str, Mapping[str, Any]]
    target: Mapping[str, Any]
    horizon: int
    entity: Entity
    asking: Asking

    @property
    def stages(self) -> str:
        """Which stages the model has."""
        return self.chance.stages


def pack(model: OccasionModel, config: Config) -> dict[str, object]:
    """The files of a bundle, but for the self-test and the scorecard."""
    trees = {f"{n}.txt": p.trees.text for n, p in model.chance.parts.items() if p.trees}
    return {
        **trees,
        "glm.json": {name: part.to_dict() for name, part in model.chance.parts.items()},
        "state.json": {
            "dated": model.dated,
            "families": dict(model.family_states),
            "tables": {name: dict(table) for name, table in model.tables.items()},
        },
        "features.json": {
            "families": list(model.families),
            "windows": list(model.windows),
            "columns": list(model.columns),
            "tree_columns": list(model.chance.names),
        },
        "target.json": {
            **model.target,
            "horizon_days": model.horizon,
            "active_within_days": model.asking.within,
            "conditional": model.chance.conditional,
        },
        "calibration.json": {"kind": "identity"},
        "vocabulary.json": {},
        "config.yaml": config.to_yaml(),
    }


def is_of_occasions(bundle: Bundle) -> bool:
    """Whether a verified bundle holds such a model."""
    return bool(bundle.json("target.json").get("kind") == "probability")


def unpack(bundle: Bundle, threads: int) -> OccasionModel:
    """The model of a verified bundle; `IntegrityError` if its parts do not fit together."""
    state, features = bundle.json("state.json"), bundle.json("features.json")
    target = bundle.json("target.json")
    try:
        parts = {
            name: Chances.from_dict(part, _text(bundle, f"{name}.txt"))
            for name, part in bundle.json("glm.json").items()
        }
        return OccasionModel(
            chance=Chance(parts, bool(target["conditional"]), threads),
            dated=state["dated"],
            family_states=state["families"],
            families=tuple(features["families"]),
            windows=tuple(features["windows"]),
            columns=tuple(features["columns"]),
            tables=state["tables"],
            target=target,
            horizon=int(target["horizon_days"]),
            entity=Entity(target["entity"]),
            asking=Asking(
                tuple(target["asked_at"]), target["until"], int(target["active_within_days"])
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{bundle.folder}: the parts of this bundle do not fit together ({error}); "
            "it was made by another version or by hand"
        ) from error


def _text(bundle: Bundle, name: str) -> str:
    return bundle.text(name) if name in bundle.manifest["files"] else ""
