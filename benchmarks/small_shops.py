"""Shops of 500 customers: train on a sample, score everybody else, compare with the classics.

    python benchmarks/small_shops.py [--samples 40] [--processes 1]

A sample is 500 customers of CDNOW or Online Retail II, drawn with a seed. A churn model with
default settings is trained on their events up to the origin and scores the eligible *other*
customers from those customers' own events up to the origin. Log-loss against what they then did,
minus that of the best classical model: the purchase process with the least loss on the inner folds
of the same training, fitted on the sample's past at the origin. CDNOW is read from
`$PPI_ML_DATA/cdnow/cdnow_master.parquet` and left out if it is not there. The baselines of the
training's own judgement do not touch the model and are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

import ppi_ml
from findings import Check, Part, at_most, table, today
from ppi_ml import dataset, inputs, labels, metrics, rows
from ppi_ml.config import DataSettings
from ppi_ml.dataset import Dataset
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.models.processes import PROCESSES

CUSTOMERS, HORIZON = 500, 90
MEAN, WORST = 0.002, 0.02
ORIGINS = {"cdnow": "1997-10-01", "online_retail": "2011-06-13"}
"""Data set -> origin: day 273 of CDNOW, and an origin half a year before the end of the other."""
TITLES = {"cdnow": "CDNOW", "online_retail": "Online Retail II"}
_FIRST = next(iter(PROCESSES))
_HEAD = ("sample", "scored", "stages", "classical model", "its log-loss", "ours", "difference")


@dataclass(frozen=True)
class Task:
    """One sample of one data set: its number is its seed; `trials` None is the default."""

    shop: str
    number: int
    customers: int
    trials: int | None
    threads: int


@dataclass(frozen=True)
class Outcome:
    """What came of a sample: both log-losses on `scored` other customers; `process` is the rival's.

    `chosen` is False where the log had no inner folds to choose the process on.
    """

    number: int
    scored: int
    stages: str
    process: str
    chosen: bool
    ours: float
    theirs: float

    @property
    def difference(self) -> float:
        """Ours minus theirs; below 0 is better."""
        return self.ours - self.theirs

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table, in the order of its head."""
        process = self.process if self.chosen else f"{self.process} (nothing to choose on)"
        return (
            str(self.number),
            f"{self.scored:,}",
            self.stages,
            process,
            f"{self.theirs:.4f}",
            f"{self.ours:.4f}",
            f"{self.difference:+.4f}",
        )


@dataclass(frozen=True)
class Shop:
    """A data set at its origin: everybody with a past there (n), and who then stayed away (n,)."""

    log: EventLog
    origin: Cutoff
    data: Dataset
    gone: NDArray[np.bool_]


@cache
def shop_of(name: str) -> Shop:
    """A data set, read once in a process."""
    log = inputs.load_demo() if name == "online_retail" else inputs.load_log(_cdnow())
    origin = Cutoff.parse(ORIGINS[name], log.timezone)
    data = dataset.build(log, [origin], dataset.families("cadence"))
    waits = labels.durations(data, log, log.observed_until)
    return Shop(log, origin, data, ~labels.within(waits, HORIZON))


def _cdnow() -> DataSettings:
    return DataSettings(source="cdnow", path=str(cdnow_path()))


def cdnow_path() -> Path | None:
    """The CDNOW master file, if the data are there."""
    root = os.environ.get("PPI_ML_DATA")
    path = Path(root or "") / "cdnow" / "cdnow_master.parquet"
    return path if root and path.is_file() else None


def drawn(customers: pl.Series, count: int, number: int) -> NDArray[np.bool_]:
    """Which of the customers (n,) are in the sample of that number."""
    chosen = np.random.default_rng(number).choice(len(customers), count, replace=False)
    mask = np.zeros(len(customers), dtype=np.bool_)
    mask[chosen] = True
    return mask


def run(task: Task) -> Outcome | str:
    """Train on one sample and score the others; why that failed if it did."""
    try:
        return compare(task)
    except ppi_ml.PpiError as error:
        return f"sample {task.number}: {error}"


def compare(task: Task) -> Outcome:
    """The same, with the error if it fails."""
    shop = shop_of(task.shop)
    sampled = drawn(shop.data.customers, task.customers, task.number)
    then = shop.log.until(shop.origin)
    ours = then.only(shop.data.customers.filter(pl.Series(sampled)).to_list())
    others = then.only(shop.data.customers.filter(pl.Series(~sampled)).to_list())
    settings: dict[str, object] = {
        "target.horizon": f"{HORIZON}d", "baselines": ["base_rate"], "engine.threads": task.threads,
    }  # fmt: skip
    if task.trials is not None:
        settings["tune.trials"] = task.trials
    with tempfile.TemporaryDirectory() as folder:
        asked = {**settings, "output.folder": folder}
        trained = ppi_ml.train(ours, target="churn", settings=asked, track=False)
        search = json.loads((trained.folder / "tuning.json").read_text(encoding="utf-8"))
        scorer = ppi_ml.Scorer.load(trained.bundle, threads=task.threads)
        scores = scorer.score(others, shop.origin, allow_stale=True)
    asked_about = ~sampled & shop.data.eligible(trained.config.target.active_within)
    if shop.data.customers.filter(pl.Series(asked_about)).to_list() != list(scores["customer_id"]):
        raise RuntimeError("the scored customers are not the eligible other ones")
    best = best_process(search["losses"])
    gone = shop.gone[asked_about]
    return Outcome(
        number=task.number,
        scored=len(gone),
        stages=scorer.model.stages,
        process=best or _FIRST,
        chosen=best is not None,
        ours=metrics.log_loss(gone, scores["churn_probability"].to_numpy(dtype=np.float64)),
        theirs=metrics.log_loss(gone, classical(shop, sampled, asked_about, best or _FIRST)),
    )


def best_process(losses: Mapping[str, float]) -> str | None:
    """The purchase process with the least loss on the inner folds; None if there were none."""
    known = {name: losses[f"process {name}"] for name in PROCESSES if f"process {name}" in losses}
    return min(known, key=lambda name: known[name]) if known else None


def classical(
    shop: Shop,
    sampled: NDArray[np.bool_],
    asked_about: NDArray[np.bool_],
    process: str,
) -> NDArray[np.float64]:
    """P(no purchase within the horizon) of a process fitted on the sample, for the others."""
    states = rows.fit_processes(shop.data.take(sampled), [process], shop.log.observed_from)
    state = states.by_cutoff[str(shop.origin)][process]
    histories = rows.histories(shop.data.take(asked_about))
    return PROCESSES[process].survival(state, histories, np.array([float(HORIZON)]))[:, 0]


def measure(
    shop: str, samples: int = 40, customers: int = CUSTOMERS, processes: int = 1,
    trials: int | None = None,
) -> Part:  # fmt: skip
    """All samples of one data set."""
    threads = 2 if processes == 1 else 1
    tasks = [Task(shop, number, customers, trials, threads) for number in range(samples)]
    found, failed = list[Outcome](), list[str]()
    for outcome in _all(tasks, processes):
        if isinstance(outcome, Outcome):
            found.append(outcome)
        else:
            failed.append(outcome)
        print(f"{shop}: {len(found) + len(failed)}/{samples}", file=sys.stderr, flush=True)
    return part_of(shop, found, failed, options(shop, samples, customers, trials))


def _all(tasks: Sequence[Task], processes: int) -> Iterator[Outcome | str]:
    if processes == 1:
        yield from map(run, tasks)
        return
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # for the processes that are about to start
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run, tasks)


def options(shop: str, samples: int, customers: int, trials: int | None) -> dict[str, object]:
    """What was asked for, as it is told beside the numbers."""
    searched = "default" if trials is None else trials
    return {
        "origin": ORIGINS[shop], "horizon": HORIZON, "samples": samples, "customers": customers,
        "trials": searched,
    }  # fmt: skip


def part_of(
    shop: str, found: Sequence[Outcome], failed: Sequence[str], settings: Mapping[str, object]
) -> Part:
    """The numbers that are asked for, and every sample."""
    lost = Check("samples that could not be trained", str(len(failed)), "none", not failed)
    blocks = [table(_HEAD, [o.cells for o in found]), "\n".join(f"- {why}" for why in failed)]
    title = f"Small shops: samples of {TITLES[shop]}"
    checks = (*(_compared(found) if found else ()), lost)
    return Part(title, settings, checks, "\n".join(blocks).strip(), today())


def _compared(found: Sequence[Outcome]) -> list[Check]:
    differences = np.array([outcome.difference for outcome in found])
    worst = max(found, key=lambda outcome: outcome.difference)
    better = int((differences < 0).sum())
    spread = differences.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else float("nan")
    ours, theirs = (np.mean([getattr(o, name) for o in found]) for name in ("ours", "theirs"))
    return [
        at_most("mean difference of log-loss", float(differences.mean()), MEAN, "+.4f"),
        at_most(f"worst sample (number {worst.number})", worst.difference, WORST, "+.4f"),
        Check("standard error of the mean difference", f"{spread:.4f}"),
        Check("samples in which ours is better", f"{better} of {len(found)}"),
        Check("mean log-loss, ours and the classical model's", f"{ours:.4f}, {theirs:.4f}"),
        Check("classical models chosen", counted(Counter(o.process for o in found))),
        Check("stages of ours", counted(Counter(o.stages for o in found))),
    ]


def counted(names: Mapping[str, int]) -> str:
    """How often each, the most frequent first."""
    ordered = sorted(names.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered)


def shops() -> list[str]:
    """The data sets that are there; says which is not."""
    if cdnow_path() is not None:
        return list(ORIGINS)
    print("left out: CDNOW, there is no $PPI_ML_DATA/cdnow/cdnow_master.parquet", file=sys.stderr)
    return [name for name in ORIGINS if name != "cdnow"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=40, help="of each data set")
    parser.add_argument("--customers", type=int, default=CUSTOMERS, help="in a sample")
    parser.add_argument("--processes", type=int, default=1, help="samples at the same time")
    parser.add_argument("--trials", type=int, help="of the search; default: the default")
    given = parser.parse_args(arguments)
    for shop in shops():
        part = measure(shop, given.samples, given.customers, given.processes, given.trials)
        print(part.to_markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
