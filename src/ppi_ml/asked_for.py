"""What a config asks for: target, entity, families, baselines and plug-ins, from the shelves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from ppi_ml import dataset, entities, occasions
from ppi_ml.config import Config, ModelSettings, Section, TargetSettings
from ppi_ml.declare import Baseline, Family, Target
from ppi_ml.entities import Entity
from ppi_ml.errors import ConfigError
from ppi_ml.models.probability import STAGES
from ppi_ml.models.readings import READINGS
from ppi_ml.nouns import NOUNS
from ppi_ml.shelf import Plugin, load_plugins, shelf

_OF_CURVES = ("stages", "processes", "season", "members", "max_customers")
"""Settings of `model` that say how a survival curve is built, and nothing else."""
_OF_PAIRS = ("product", "group", "least_purchases", "nudge")
"""Settings of `target` that say something of products that a customer buys, and nothing else."""


@dataclass(frozen=True)
class AskedFor:
    """What the config asks for, found on the shelves."""

    target: Target
    entity: Entity
    families: list[Family]
    baselines: list[Baseline]
    plugins: tuple[Plugin, ...]


def asked_for(config: Config) -> AskedFor:
    """All of it; `ConfigError` for a name that no shelf has, or a target that cannot be trained."""
    plugins = load_plugins(config.plugins)
    targets = shelf("ppi_ml.targets", "TARGET", plugins)
    target = cast(Target, targets[config.target.name])
    _check_kind(target)
    _check_settings(target, config)
    owner = target if target.of is None else cast(Target, targets[target.of])
    if owner.of is not None or (owner.entity, owner.kind, owner.event) != (
        target.entity, target.kind, target.event,
    ):  # fmt: skip
        raise ConfigError(
            f"target.name: {target.name}: it reads the curve of {target.of}, so entity, kind and "
            f"event must be the same, and {target.of} must have a curve of its own"
        )
    names = target.baselines if config.baselines == "auto" else config.baselines
    rivals = shelf("ppi_ml.baselines", "BASELINE", plugins)
    baselines = [cast(Baseline, rivals[name]) for name in names]
    for rival in baselines:
        if rival.kind != target.kind:
            raise ConfigError(
                f"baselines: {rival.name} answers questions of the kind {rival.kind}, and "
                f"{target.name} is of the kind {target.kind}"
            )
    asked = config.features
    return AskedFor(
        target,
        entity_of(target.entity, config),
        dataset.for_the_model(
            dataset.families(
                asked.families, asked.windows, plugins, target.entity, config.data.segments
            ),
            target.entity,
            plugins,
        ),
        baselines,
        plugins,
    )


def _check_kind(target: Target) -> None:
    """`ConfigError` for a target that nothing here can train."""
    curves, occasions_ = (entities.CUSTOMER, entities.PAIR), (entities.ORDER, entities.LINE)
    if target.kind == "duration" and target.entity in curves and target.reading in READINGS:
        return
    whole = bool(target.asked_at) and set(target.asked_at) <= set(occasions.TRIGGERS)
    whole = whole and target.until in occasions.CLOSED and target.outcome is not None
    if target.kind == "probability" and target.entity in occasions_ and whole:
        return
    raise ConfigError(
        f"target.name: {target.name}: what can be trained are readings of a survival curve (kind "
        f"duration, entity {' or '.join(curves)}, reading {' or '.join(READINGS)}) and outcomes of "
        f"orders (kind probability, entity {' or '.join(occasions_)}, asked_at some of "
        f"{', '.join(occasions.TRIGGERS)}, until one of {', '.join(occasions.CLOSED)}, an outcome)"
    )


def _check_settings(target: Target, config: Config) -> None:
    """`ConfigError` naming every setting that says nothing of what the target asks."""
    of_others, of_curves = _of_others(target, config), _of_curves(target, config)
    wrong = {**of_others, **of_curves}
    if not wrong:
        return
    lines = [f"{path}: {why}; leave it out" for path, why in wrong.items()]
    if of_others:
        lines.append(f"{target.name} asks about {NOUNS[target.entity].many}")
    if of_curves:
        lines.append(
            f"{target.name} is a probability without a curve. Its stages ({', '.join(STAGES)}) are "
            "chosen on earlier periods; what can be set of its model are model.trees, "
            "model.max_rows and tune.trials, tune.minutes, tune.workers"
        )
    raise ConfigError("\n".join(lines))


def _of_others(target: Target, config: Config) -> dict[str, str]:
    """Path -> why, of what was set for pairs and is no pair's, or for customers and is a pair's."""
    if target.entity == entities.PAIR:
        own = _changed(config.model, ModelSettings(), ("processes",))
        return {f"model.{name}": "is of customers alone; pairs have their own" for name in own}
    found = _changed(config.target, TargetSettings(name=target.name), _OF_PAIRS)
    return {f"target.{name}": "is of pairs of a customer and a product alone" for name in found}


def _of_curves(target: Target, config: Config) -> dict[str, str]:
    """Path -> why, of what was set for a curve, of which a question about orders has none."""
    if target.kind != "probability":
        return {}
    wrong = [f"model.{name}" for name in _changed(config.model, ModelSettings(), _OF_CURVES)]
    if config.tune.objective not in ("auto", target.metric):
        wrong.append("tune.objective")
    return dict.fromkeys(wrong, "is of survival curves alone")


def _changed(settings: Section, usual: Section, names: Iterable[str]) -> list[str]:
    """The settings among these that are not at their default."""
    return [name for name in names if getattr(settings, name) != getattr(usual, name)]


def entity_of(name: str, config: Config) -> Entity:
    """What a row is about, as the config says it."""
    if name == entities.CUSTOMER:
        return entities.ONE_CUSTOMER
    if name in (entities.ORDER, entities.LINE):
        return Entity(name)
    asked = config.target
    group = entities.GROUPS.get(asked.product) if asked.group == "auto" else asked.group
    if group == asked.product:
        raise ConfigError(
            f"target.group: {group} is the product itself; expected a column of products that is "
            "coarser, auto, or null"
        )
    return Entity(name, asked.product, group, asked.least_purchases)
