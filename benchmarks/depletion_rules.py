"""The dates of rules of thumb at the end of a log, for all pairs that a model is asked about."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import polars as pl

from ppi_ml import asked_for, dataset, entities, labels, rows, training
from ppi_ml.baselines._kit import GapRule
from ppi_ml.config import Config
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline
from ppi_ml.entities import PAIR, PRODUCT
from ppi_ml.events import EventLog
from ppi_ml.material import Material
from ppi_ml.problem import Problem
from ppi_ml.shelf import shelf
from ppi_ml.snapshots import Wanted

RULES = (
    "last_gap", "mean_gap", "median_gap", "quantity_over_rate", "product_quantile", "shrunk_gap",
)  # fmt: skip
"""Baselines that give one date: the last purchase plus a gap."""


def rule_dates(log: EventLog, config: Config) -> pl.DataFrame:
    """Days from the end of the log until the date of each rule, never below 0, for every pair."""
    problem = problem_of(log, config)
    asked = problem.material.data.at([problem.fold.end])
    elapsed = asked.column("cadence__elapsed__days_since")
    found = asked.keys.select("customer_id", PRODUCT)
    known = shelf("ppi_ml.baselines", "BASELINE")
    for name in RULES:
        rule = cast(Baseline, known[name]).fit(problem)
        if not isinstance(rule, GapRule):
            raise TypeError(f"{name}: expected a rule of one date, got {type(rule).__name__}")
        left = np.maximum(rule.gap(asked) - elapsed, 0.0)
        found = found.with_columns(pl.Series(left).alias(name))
    return found


def problem_of(log: EventLog, config: Config) -> Problem:
    """What a rule is given at the end of a log: pairs asked about there, and one cutoff before."""
    entity, plan = asked_for.entity_of(PAIR, config), training.plan_of(log, config)
    fold = replace(plan.final, train=plan.final.train[-1:])
    log = entities.prepared(log, entity)
    families = dataset.families(["cadence"], config.features.windows, entity=PAIR)
    data: Dataset = dataset.build(
        log, [*fold.train, fold.end], dataset.for_the_model(families, PAIR), entity=entity,
        wanted=Wanted(config.target.active_within), threads=config.engine.threads,
    )  # fmt: skip
    material = Material(
        log=log,
        data=data,
        states=rows.fit_processes(data, config.model.processes, log.observed_from),
        horizon=plan.asked,
        active_within=config.target.active_within,
        settling=labels.settling_days(log),
        max_rows=config.model.max_rows,
        seed=config.seed,
        threads=config.engine.threads,
        metric="ibs",
    )
    return Problem.of(material, fold)
