"""Where the time of a training goes, as ratios within one run on the data that ships.

    python benchmarks/speed.py [--threads 2]

Absolute seconds depend on the machine and on what else it does; the ratios hold. CPU seconds are
those of this process and all its threads.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ppi_ml import dataset, inputs, labels, recipe, rows, splits
from ppi_ml.config import Config
from ppi_ml.material import Material
from ppi_ml.models import boost, hazard
from ppi_ml.models.mixture import Mixture
from ppi_ml.problem import Problem
from ppi_ml.recipe import Recipe

Result = TypeVar("Result")
CLASSIFIER = {"num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 20, "lambda_l2": 0.0}
ROUNDS = 300


@dataclass(frozen=True)
class Timing:
    """One step: CPU and wall seconds."""

    name: str
    cpu: float
    wall: float


def timed(name: str, work: Callable[[], Result], record: list[Timing]) -> Result:
    """Do the work and note what it cost."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    record.append(Timing(name, time.process_time() - cpu, time.perf_counter() - wall))
    return result


def main() -> None:
    """Print one line per step, with its CPU beside that of a plain classifier."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    config = Config.read(inputs.demo_config(), {"engine.threads": threads}, {})
    record: list[Timing] = []
    log = timed("load and validate", lambda: inputs.load_log(config.data), record)
    spacing = splits.Spacing()
    plan = splits.forward(log.observed_from, log.observed_until, config.target.horizon, spacing)
    fold = plan.final
    cutoffs = [*fold.train, fold.end]
    families = dataset.families()
    data = timed(
        f"features at {len(cutoffs)} cutoffs",
        lambda: dataset.build(log, cutoffs, families, threads=threads),
        record,
    )
    states = timed(
        "purchase processes",
        lambda: rows.fit_processes(data, config.model.processes, log.observed_from),
        record,
    )
    material = Material(
        log, data, states, plan.horizon, config.target.active_within, labels.settling_days(log),
        config.model.max_rows, config.seed, threads,
    )  # fmt: skip
    chosen = Recipe(hazard.STAGES[-1], states.names[0], 0.3, config.model.trees.model_dump())
    started = timed("hazard, stages 1-2", lambda: recipe.smooth(material, fold, chosen), record)
    model = timed("hazard, stage 3", lambda: Mixture(recipe.stage(started, chosen)), record)
    problem = Problem.of(material, fold)
    sample = classifier_sample(material, problem.data.at(problem.ripe))
    plain = timed(
        f"plain classifier, {ROUNDS} rounds",
        lambda: boost.train(
            "binary", sample, data.tree_names, CLASSIFIER, rounds=ROUNDS, seed=1, threads=threads
        ),
        record,
    )
    timed(
        "score everybody",
        lambda: recipe.curves(model, data.at([fold.end]), states, fold.end),
        record,
    )
    print(f"{len(data):,} rows, {len(started.intervals):,} person-intervals, "
          f"{model.staged.trees.rounds if model.staged.trees else 0} trees; plain classifier on "
          f"{len(sample.target):,} rows, {plain.rounds} trees")  # fmt: skip
    report(record)


def classifier_sample(material: Material, data: dataset.Dataset) -> boost.Sample:
    """The rows and labels a plain classifier would be trained on."""
    waits = labels.durations(data, material.log, material.log.observed_until)
    target = (~labels.within(waits, material.horizon)).astype(np.float64)
    return boost.Sample(data.trees(), target, np.zeros(len(data)))


def report(record: list[Timing]) -> None:
    """The table: seconds, and CPU as a multiple of the plain classifier's."""
    unit = next(t.cpu for t in record if t.name.startswith("plain classifier"))
    print(f"{'step':<34}{'CPU s':>8}{'wall s':>8}{'x classifier':>14}")
    for t in record:
        print(f"{t.name:<34}{t.cpu:>8.2f}{t.wall:>8.2f}{t.cpu / unit:>14.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB")


if __name__ == "__main__":
    main()
