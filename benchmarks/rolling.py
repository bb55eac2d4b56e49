"""Predicted over actual returning customers at rolling origins of the data that ship.

    python benchmarks/rolling.py [--origins 6] [--every 30] [--trials 20]

At each origin the log is cut to what was known then, a churn model is trained on it with default
settings, and everybody eligible is scored. The baselines of the target are fitted at the same
origin on the same rows, as judging does. The sum of the predicted probabilities of a purchase
within the horizon is compared with how many customers bought. The origins are the last ones with
a whole horizon of log after them; the baselines of the training's own judgement do not touch the
model and are left out.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

import ppi_ml
from findings import Check, Part, at_most, table, today, within
from ppi_ml import dataset, labels, rows, training
from ppi_ml.config import Config
from ppi_ml.dataset import Dataset
from ppi_ml.declare import Baseline, Target
from ppi_ml.errors import NotTrainableError
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.material import Material
from ppi_ml.problem import Problem
from ppi_ml.shelf import shelf
from ppi_ml.splits import Fold

LOW, HIGH = 0.85, 1.18
OURS = "ppi_ml"


@dataclass(frozen=True)
class Origin:
    """One origin: eligible customers, how many bought, and how many each model expected."""

    date: str
    eligible: int
    actual: int
    expected: Mapping[str, float]
    untrainable: Mapping[str, str] = field(default_factory=dict)

    def ratio(self, name: str) -> float:
        """Expected over actual; NaN where the model could not be trained."""
        return self.expected.get(name, float("nan")) / self.actual


def origins_of(until: Cutoff, horizon: int, every: int, count: int) -> list[Cutoff]:
    """The last origins with a whole horizon before the end of the log, earliest first."""
    return [until.plus(-horizon - every * back) for back in reversed(range(count))]


def measure(
    origins: int = 6, every: int = 30, horizon: int = 90, trials: int | None = None
) -> Part:
    """Train and compare at every origin."""
    whole = ppi_ml.load_demo()
    settings: dict[str, object] = {"target.horizon": f"{horizon}d", "baselines": ["base_rate"]}
    if trials is not None:
        settings["tune.trials"] = trials
    found = []
    for cutoff in origins_of(whole.observed_until, horizon, every, origins):
        print(f"origin {cutoff} ...", file=sys.stderr, flush=True)
        found.append(at_origin(whole, cutoff, settings))
    return part_of(found, options(origins, every, horizon, trials))


def options(origins: int, every: int, horizon: int, trials: int | None) -> dict[str, object]:
    """What was asked for, as it is told beside the numbers."""
    searched = "default" if trials is None else trials
    return {"origins": origins, "every": every, "horizon": horizon, "trials": searched}


def at_origin(whole: EventLog, cutoff: Cutoff, settings: Mapping[str, object]) -> Origin:
    """One origin: train on the log as known then, score, and fit the baselines on the same."""
    then = whole.until(cutoff)
    with tempfile.TemporaryDirectory() as folder:
        asked = {**settings, "output.folder": folder}
        run = ppi_ml.train(then, target="churn", settings=asked, track=False)
        scores = ppi_ml.Scorer.load(run.bundle).score(then, cutoff, allow_stale=True)
    problem = problem_of(then, run.config)
    now = problem.material.data.at([problem.fold.end])
    asked_about = now.take(now.eligible(problem.material.active_within))
    if asked_about.customers.to_list() != scores["customer_id"].tolist():
        raise RuntimeError(f"{cutoff}: model and baselines were asked about different customers")
    waits = labels.durations(asked_about, whole, whole.observed_until)
    expected, untrainable = {OURS: float((1 - scores["churn_probability"]).sum())}, {}
    for baseline in baselines():
        try:
            expected[baseline.name] = returning(baseline, problem, asked_about)
        except NotTrainableError as error:
            untrainable[baseline.name] = str(error)
    actual = int(labels.within(waits, problem.horizon).sum())
    return Origin(str(cutoff), len(asked_about), actual, expected, untrainable)


def problem_of(log: EventLog, config: Config) -> Problem:
    """What a baseline is given at the end of a log: the rows of the model that ships."""
    plan = training.plan_of(log, config)
    fold: Fold = plan.final
    families = dataset.families(config.features.families, config.features.windows)
    data = dataset.build(
        log, [*fold.train, fold.end], dataset.for_the_model(families),
        threads=config.engine.threads,
    ).varying()  # fmt: skip
    material = Material(
        log=log,
        data=data,
        states=rows.fit_processes(
            data, config.model.processes, log.observed_from, deciding=fold.newer
        ),
        horizon=plan.asked,
        active_within=config.target.active_within,
        settling=labels.settling_days(log),
        max_rows=config.model.max_rows,
        seed=config.seed,
        threads=config.engine.threads,
    )
    return Problem.of(material, fold)


def baselines() -> list[Baseline]:
    """The baselines of the target churn."""
    target = cast(Target, shelf("ppi_ml.targets", "TARGET")["churn"])
    known = shelf("ppi_ml.baselines", "BASELINE")
    return [cast(Baseline, known[name]) for name in target.baselines]


def returning(baseline: Baseline, problem: Problem, asked_about: Dataset) -> float:
    """How many of the rows a baseline expects to buy within the horizon."""
    stays_away = np.asarray(baseline.fit(problem)(asked_about)).reshape(len(asked_about), -1)
    return float((1 - stays_away[:, -1]).sum())


def distance(ratios: Sequence[float]) -> float:
    """Mean |ln ratio|: 0 is right on every day, ln 2 is wrong by a factor of two."""
    return sum(abs(math.log(ratio)) for ratio in ratios) / len(ratios)


def part_of(found: Sequence[Origin], settings: Mapping[str, object]) -> Part:
    """The numbers that are asked for, and the ratios of every origin."""
    names = list(dict.fromkeys(name for origin in found for name in origin.expected))
    ratios = {name: [origin.ratio(name) for origin in found] for name in names}
    distances = {name: distance(values) for name, values in ratios.items()}
    head = ("origin", "eligible", "returned", *names)
    body = [
        (o.date, f"{o.eligible:,}", f"{o.actual:,}", *(f"{o.ratio(name):.3f}" for name in names))
        for o in found
    ]
    body += [
        ("mean |ln ratio|", "", "", *(f"{distances[name]:.4f}" for name in names)),
        ("least", "", "", *(f"{min(ratios[name]):.3f}" for name in names)),
        ("greatest", "", "", *(f"{max(ratios[name]):.3f}" for name in names)),
    ]
    notes = {f"- {name}: {why}" for origin in found for name, why in origin.untrainable.items()}
    tables = "\n".join([table(head, body), *sorted(notes)])
    title = "Predicted over actual returning customers, Online Retail II"
    return Part(title, settings, tuple(checks(ratios, distances)), tables, today())


def checks(ratios: Mapping[str, Sequence[float]], distances: Mapping[str, float]) -> list[Check]:
    """Ours against the best baseline that could be trained at every origin, and our range."""
    rivals = {name: d for name, d in distances.items() if name != OURS and d == d}
    said = [within("ratio at every origin", ratios[OURS], LOW, HIGH)]
    if rivals:
        best = min(rivals, key=lambda name: rivals[name])
        why = f"{best}, the best of {len(rivals)} baselines"
        said.insert(0, at_most("mean |ln ratio|", distances[OURS], rivals[best], ".4f", why))
    typical = math.exp(sum(math.log(ratio) for ratio in ratios[OURS]) / len(ratios[OURS]))
    return [*said, Check("geometric mean of the ratios", f"{typical:.3f}")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--origins", type=int, default=6)
    parser.add_argument("--every", type=int, default=30, help="days between origins")
    parser.add_argument("--horizon", type=int, default=90, help="days ahead")
    parser.add_argument("--trials", type=int, help="of the search; default: the default")
    given = parser.parse_args(arguments)
    part = measure(given.origins, given.every, given.horizon, given.trials)
    print(part.to_markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
