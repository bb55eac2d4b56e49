"""What a fit on a million snapshot rows costs, as multiples of one plain LightGBM classifier.

    python benchmarks/million.py [--rows 1000000] [--threads 2]

Rows are (customer, cutoff) of a made-up shop at 12 cutoffs 30 days apart, all of which have seen
their 90 days, with 60 features that trees may see. Ours is what a training fits once its recipe is
known, with default settings: the purchase processes at every cutoff, then labels, regression,
trees, Cox and newest (`recipe.fit`), person-intervals sampled down to `model.max_rows`; it reads
the columns of curves beside the 60. The classifier is LightGBM as it comes, 300 rounds of 31
leaves, no sampling, "no purchase within 90 days" of the same rows and the 60, its labels ready
made. Each runs in a process of its own that loads what it reads first; CPU seconds are those of the
fit, on all threads, and memory is the peak of the process. Building the features is told apart.
Absolute numbers depend on the machine; the ratios hold.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

import crowd
from findings import Check, Part, at_most, table, today
from ppi_ml import dataset, labels, recipe, rows
from ppi_ml.config import Config
from ppi_ml.dataset import Dataset
from ppi_ml.events import EventLog
from ppi_ml.instants import Cutoff
from ppi_ml.material import Material
from ppi_ml.models import hazard
from ppi_ml.recipe import HEDGED, Recipe
from ppi_ml.splits import Fold
from ppi_ml.training import SEASON_SD

CUTOFFS, EVERY, HORIZON, FEATURES = 12, 30, 90, 60
ROUNDS, LEAVES = 300, 31
_WINDOWS = (7, 14, 21, 30, 60, 90, 120, 180, 270, 365)
"""More than there are by default, so that a shop of orders and returns has 60 features."""
MOST_CPU, MOST_MEMORY = 3.0, 2.0
SEED = 7
_NEEDED = ("customer_id", "at", "known", "wall", "order_type")  # of the log, for labels
_VALUES, _REST, _TREES, _GONE = "values.npy", "rest.pickle", "trees.npy", "gone.npy"
_MEGABYTE = 1024.0  # kilobytes


Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Loaded:
    """What both fits start from; the first `n` rows are those of the training cutoffs.

    `log` holds what labels are made of; `gone` (n,) whether no purchase came within the horizon.
    """

    log: EventLog
    data: Dataset
    fold: Fold
    gone: NDArray[np.bool_]

    @classmethod
    def read(cls, folder: Path) -> Loaded:
        """The files that `build` wrote; numbers are read straight into place."""
        with (folder / _REST).open("rb") as file:
            rest: Loaded = pickle.load(file)  # written by this very benchmark
        return replace(rest, data=replace(rest.data, values=np.load(folder / _VALUES)))

    def save(self, folder: Path) -> None:
        """Write them; the matrix apart, because unpickling it would take its memory twice.

        What the classifier reads, too: the tree columns of all rows that have labels.
        """
        np.save(folder / _VALUES, self.data.values)
        np.save(folder / _TREES, self.data.trees()[: len(self.gone)])
        np.save(folder / _GONE, self.gone)
        empty = replace(self.data, values=np.empty((0, 0), dtype=np.float32))
        with (folder / _REST).open("wb") as file:
            pickle.dump(replace(self, data=empty), file)


def customers_for(asked: int) -> int:
    """How many customers make about so many rows: they join evenly over the time of the log."""
    days = crowd.DAYS - HORIZON - EVERY * np.arange(CUTOFFS)
    return round(asked / float((days / crowd.DAYS).sum()))


def build(folder: Path, asked: int, threads: int) -> dict[str, Any]:
    """Make the shop, its features and labels, and save what the fits load."""
    started = time.process_time()
    log = crowd.log_of(crowd.orders(customers_for(asked), SEED), SEED)
    made = time.process_time()
    end = log.observed_until
    train = tuple(end.plus(-HORIZON - EVERY * back) for back in reversed(range(CUTOFFS)))
    data = dataset.build(log, [*train, end], dataset.families(windows=_WINDOWS), threads=threads)
    built = time.process_time()
    data = narrowed(data.varying())
    gone = ~labels.within(labels.durations(data.at(train), log, end), HORIZON)
    Loaded(_slim(log, train[0]), data, Fold(end, train, (end,)), gone).save(folder)
    return {
        "customers": len(log.customer_ids),
        "lines": log.tables["order_lines"].frame.height,
        "rows": len(gone),
        "share": float(gone.mean()),
        "columns": len(data.names),
        "tree_columns": len(data.tree_names),
        "log_cpu": made - started,
        "features_cpu": built - made,
    }


def narrowed(data: Dataset, most: int = FEATURES) -> Dataset:
    """The rows with the columns of curves, and at most so many that trees may see."""
    seen = sorted(data.tree_names, key=lambda name: not _is_of_curves(name))[:most]
    names = tuple(name for name in data.names if name in seen or _is_of_curves(name))
    columns = [data.names.index(name) for name in names]
    return replace(
        data,
        names=names,
        tree_names=tuple(name for name in data.tree_names if name in seen),
        values=np.ascontiguousarray(data.values[:, columns]),
    )


def _is_of_curves(name: str) -> bool:
    """Whether the column is of a family that a curve is made of, whatever else was asked for."""
    return name.startswith(("cadence__", "anniversary__"))


def _slim(log: EventLog, first: Cutoff) -> EventLog:
    """The log without what no label needs, so that the common load does not hide a fit's memory."""
    orders = log.tables["order_lines"]
    frame = orders.frame.filter(pl.col("at") >= first.at).select(_NEEDED)
    return replace(log, tables={"order_lines": replace(orders, frame=frame)})


def fit_ours(loaded: Loaded, threads: int) -> dict[str, Any]:
    """The recipe with default settings, and what each of its steps cost."""
    about = {"data": {"source": "dataframes"}, "target": {"name": "churn"}}
    model = Config.read(about, environ={}).model
    cost: dict[str, float] = {}
    states = _timed(cost, "purchase processes", lambda: rows.fit_processes(
        loaded.data, model.processes, loaded.log.observed_from))  # fmt: skip
    material = Material(
        log=loaded.log, data=loaded.data, states=states, horizon=HORIZON, active_within=180,
        settling=0.0, max_rows=model.max_rows, seed=SEED, threads=threads,
    )  # fmt: skip
    chosen = Recipe(hazard.STAGES[-1], None, SEASON_SD, model.trees.model_dump(), HEDGED)
    started = _timed(cost, "labels, sample, regression",
                     lambda: recipe.smooth(material, loaded.fold, chosen))  # fmt: skip
    fitted = _timed(cost, "trees, Cox, newest",
                    lambda: recipe.finish(material, loaded.fold, started, chosen))  # fmt: skip
    cox, trees = fitted.cox, fitted.staged.trees
    return {
        "steps": cost,
        "max_rows": model.max_rows,
        "intervals": len(started.intervals),
        "sampled": len(started.rows),
        "trees": trees.rounds if trees else 0,
        "cox_trees": cox.trees.rounds if cox and cox.trees else 0,
        "newest": fitted.newest is not None,
        "season": fitted.settings.season,
    }


def fit_plain(inputs: Matrix, gone: NDArray[np.bool_], threads: int) -> dict[str, Any]:
    """One LightGBM classifier on inputs (n, 60) of the same rows, read where they lie."""
    settings = {
        "objective": "binary", "num_leaves": LEAVES, "num_threads": threads, "verbosity": -1,
    }  # fmt: skip
    cost: dict[str, float] = {}
    booster = _timed(cost, "classifier", lambda: lgb.train(
        settings, lgb.Dataset(inputs, gone.astype(np.float32)), num_boost_round=ROUNDS
    ))  # fmt: skip
    return {"steps": cost, "trees": int(booster.num_trees())}


def _timed(cost: dict[str, float], name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Do the work and note its CPU seconds."""
    started = time.process_time()
    result = work()
    cost[name] = time.process_time() - started
    return result


def peak() -> float:
    """The most memory that this process has had so far, in MB.

    On Linux `ru_maxrss` starts from what the parent had when it started this process, so the
    kernel's own mark of the process is read there.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / _MEGABYTE
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / _MEGABYTE / (_MEGABYTE if sys.platform == "darwin" else 1)


def step(name: str, folder: Path, asked: int, threads: int) -> dict[str, Any]:
    """One step in this process: what it found, its CPU seconds, and its memory."""
    if name == "build":
        return build(folder, asked, threads)
    if name == "ours":
        loaded = Loaded.read(folder)
        before, found = peak(), fit_ours(loaded, threads)
    else:
        inputs, gone = (np.load(folder / file) for file in (_TREES, _GONE))
        before, found = peak(), fit_plain(inputs, gone, threads)
    return {**found, "cpu": sum(found["steps"].values()), "loaded_mb": before, "peak_mb": peak()}


def measure(asked: int = 1_000_000, threads: int = 2) -> Part:
    """Every step in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for name in ("build", "plain", "ours"):
            print(f"million: {name} ...", file=sys.stderr, flush=True)
            command = [sys.executable, __file__, "--step", name, "--folder", folder,
                       "--rows", str(asked), "--threads", str(threads)]  # fmt: skip
            ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[name] = json.loads(ended.stdout.splitlines()[-1])
    return part_of(found["build"], found["ours"], found["plain"], options(asked, threads))


def options(asked: int, threads: int) -> dict[str, object]:
    """What was asked for, as it is told beside the numbers."""
    return {"rows": asked, "threads": threads}


def part_of(
    built: Mapping[str, Any],
    ours: Mapping[str, Any],
    plain: Mapping[str, Any],
    settings: Mapping[str, object],
) -> Part:
    """The ratios, and what they are made of."""
    fewer = "" if built["tree_columns"] >= FEATURES else f", fewer than {FEATURES}: all there are"
    extra = (ours["peak_mb"] - ours["loaded_mb"], plain["peak_mb"] - plain["loaded_mb"])
    checks = (
        at_most("CPU, multiple of the classifier's", ours["cpu"] / plain["cpu"], MOST_CPU, ".2f"),
        at_most("peak memory, multiple of the classifier's",
                ours["peak_mb"] / plain["peak_mb"], MOST_MEMORY, ".2f"),
        Check("rows (customer, cutoff)", f"{built['rows']:,} of {built['customers']:,} customers"),
        Check("features of both", f"{built['tree_columns']}{fewer}"),
        Check("further columns of ours", f"{built['columns'] - built['tree_columns']}"),
        Check("row cap of ours, person-intervals", f"{ours['max_rows']:,}"),
        Check("person-intervals, rows that ours learned from",
              f"{ours['intervals']:,}, {ours['sampled']:,}"),
        Check("trees of ours, staged and Cox", f"{ours['trees']}, {ours['cox_trees']}"),
        Check("season, newest snapshot", f"{_yes(ours['season'])}, {_yes(ours['newest'])}"),
        Check("memory beyond what both load, ours and the classifier's, MB",
              f"{extra[0]:,.0f}, {extra[1]:,.0f}"),
        Check("CPU of building the features, multiple of the classifier's",
              f"{built['features_cpu'] / plain['cpu']:.2f}"),
    )  # fmt: skip
    steps = [("features", built["features_cpu"], ""), *(
        (name, cpu, "") for name, cpu in ours["steps"].items()
    ), ("ours in all", ours["cpu"], f"{ours['peak_mb']:,.0f}"),
        ("classifier", plain["cpu"], f"{plain['peak_mb']:,.0f}")]  # fmt: skip
    body = [(name, f"{cpu:.1f}", f"{cpu / plain['cpu']:.2f}", mb) for name, cpu, mb in steps]
    costs = table(("step", "CPU s", "x classifier", "peak MB"), body)
    return Part(f"Fit on {built['rows']:,} snapshot rows", settings, checks, costs, today())


def _yes(value: object) -> str:
    return "yes" if value else "no"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers, or do one step for the process that asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="about so many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--step", choices=("build", "plain", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.step is not None:
        print(json.dumps(step(given.step, given.folder, given.rows, given.threads)))
    else:
        print(measure(given.rows, given.threads).to_markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
