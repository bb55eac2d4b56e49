"""What `ppi-ml train --dry-run` prints: events, cutoffs and baselines, without training."""

from __future__ import annotations

from ppi_ml import consent, draw, entities, occasion_training, training, training_log
from ppi_ml.asked_for import AskedFor, asked_for
from ppi_ml.config import Config
from ppi_ml.events import EventLog


def describe(config: Config, log: EventLog | None = None) -> str:
    """What `ppi-ml train --dry-run` prints: events, cutoffs and baselines, without training.

    Args:
        config: the training that would be done.
        log: its events; if None they are read as the config says.
    """
    found = asked_for(config)
    log = training_log.read(config, found.plugins, log)
    if found.entity.is_occasion:
        return _described(config, log, found)
    permitted, of_pairs = consent.permitted(log), found.entity.is_pair
    drawn = draw.customers(permitted, config.model.max_customers, config.seed)
    folds = training.plan_of(drawn, config, of_pairs=of_pairs)
    known = entities.prepared(drawn, found.entity)  # says what is wrong with the products
    lost = entities.in_no_pair(known, found.entity) if of_pairs else ()
    judged = "too little history to judge: the model would ship unjudged"
    if folds.outer:
        judged = (
            f"test cutoffs {', '.join(map(str, folds.outer.test))}, judged at {folds.horizon} of "
            f"{folds.asked} days; training ends {folds.outer.end}"
        )
    lines = [
        log.report.to_text(),
        *draw.said(permitted, drawn),
        *lost,
        f"target: {found.target.name}, {config.target.horizon} days ahead",
        f"families: {', '.join(f.name for f in found.families)}",
        f"baselines: {', '.join(b.name for b in found.baselines)}",
        judged,
        f"inner folds end {', '.join(str(f.end) for f in folds.inner) or 'nowhere'}",
        f"the model that ships trains on {len(folds.final.train)} cutoffs, "
        f"{folds.final.train[0]} to {folds.final.train[-1]}",
    ]
    return "\n".join(lines)


def _described(config: Config, log: EventLog, found: AskedFor) -> str:
    """What would be trained about orders or lines."""
    plan = occasion_training.plan_of(consent.permitted(log), found.target, config)
    judged = "too little history to judge: the model would ship unjudged"
    if plan.test:
        judged = (
            f"test periods of {plan.every} days from {', '.join(map(str, plan.test))}; training "
            f"ends {plan.outer_end}"
        )
    lines = [
        log.report.to_text(),
        f"target: {found.target.name}, asked when {' and when '.join(found.target.asked_at)}, "
        f"{plan.horizon} days ahead",
        f"families: {', '.join(f.name for f in found.families)}",
        f"baselines: {', '.join(b.name for b in found.baselines)}",
        judged,
        f"chosen on the periods from {', '.join(map(str, plan.inner)) or 'nowhere'}",
        f"the model that ships trains on {len(plan.periods)} periods, from {plan.periods[0]}",
    ]
    return "\n".join(lines)
