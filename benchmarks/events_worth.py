"""What every family of events is worth: forward log-loss of churn with it and without it.

    python benchmarks/events_worth.py [SHOP ...] [--customers 5000] [--seeds 1 2] [--threads 1]

Shops: `simulated`, brands of `ppi_ml.simulate` with the default effects; `complete_journey`
(`$PPI_ML_DATA/completejourney`: mailings and coupons); `online_retail` (the demo: returns). Each is
split as a training splits it, and on every fold forward in time, the inner ones and the outer one,
the member `staged` with default settings (from as many person-intervals as the search takes) is
fitted and asked about the eligible rows: once with the families orders, cadence and calendar for
the trees, then with one more family, then with all. Everything else is the same (labels, processes,
regression, seed), so differences are those of the columns that trees may see.

Differences of log-loss are paired by row, customers are resampled, and the intervals of one shop
hold together (`ppi_ml.paired_bootstrap`). Gain is what LightGBM says each column lowered the
training loss by, summed over the fits that were offered it. A column without gain in any fit of any
shop is listed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from findings import Check, Part, table, today
from ppi_ml import (
    choosing,
    consent,
    dataset,
    inputs,
    labels,
    metrics,
    paired_bootstrap,
    recipe,
    rows,
    simulate,
    training,
)
from ppi_ml.choosing import Size
from ppi_ml.config import Config
from ppi_ml.dataset import Dataset
from ppi_ml.engine.buckets import bytes_of
from ppi_ml.events import EventLog
from ppi_ml.material import Material
from ppi_ml.models.mixture import Mixture
from ppi_ml.questions import TUNING_ROWS
from ppi_ml.recipe import STAGED, Recipe
from ppi_ml.splits import Fold, Plan

FloatArray = NDArray[np.float64]

ALWAYS = ("orders", "cadence", "calendar")
SHOPS: Mapping[str, int] = {"simulated": 90, "complete_journey": 14, "online_retail": 90}
"""Shop -> horizon in days."""
DRAWS, SEED = 1_000, 7
ALL = "all"


@dataclass(frozen=True)
class Asked:
    """A fold and the n rows asked about there: the customers' ids, and who stayed away."""

    fold: Fold
    rows: Dataset
    horizon: int
    gone: NDArray[np.bool_]


@dataclass(frozen=True)
class Shop:
    """A shop ready to be fitted: all columns, the recipe of its size, and its questions."""

    name: str
    material: Material
    recipe: Recipe
    asked: tuple[Asked, ...]


@dataclass
class Found:
    """Losses (n,) of all rows asked about under every variant, and gains of columns by variant."""

    losses: dict[str, FloatArray] = field(default_factory=dict)
    gains: dict[str, dict[str, float]] = field(default_factory=dict)


def logs(
    names: Sequence[str], customers: int, seeds: Sequence[int]
) -> Iterator[tuple[str, int, EventLog]]:
    """Name, horizon and log of every shop that is there."""
    for name in names:
        if name == "simulated":
            for seed in seeds:
                yield f"{name} {seed}", SHOPS[name], simulate.simulate_shop(customers, seed=seed)
        elif name == "online_retail":
            yield name, SHOPS[name], inputs.load_demo()
        elif (path := _data("completejourney")) is not None:
            zone = "America/New_York"
            data = {"source": name, "path": str(path), "currency": "USD", "timezone": zone}
            config = Config.read({"data": data, "target": {"name": "churn"}}, environ={})
            yield name, SHOPS[name], inputs.load_log(config.data)
        else:
            print(f"left out: {name}, there is no $PPI_ML_DATA/completejourney", file=sys.stderr)


def _data(folder: str) -> Path | None:
    root = os.environ.get("PPI_ML_DATA")
    path = Path(root or "") / folder
    return path if root and path.is_dir() else None


def prepare(
    name: str, horizon: int, log: EventLog, threads: int = 1, max_rows: int = TUNING_ROWS
) -> Shop:
    """Features, processes, recipe and questions, as a training of churn would have them."""
    about = {"data": {"source": "dataframes"}, "target": {"name": "churn"}}
    config = Config.read(about, {"target.horizon": horizon, "engine.threads": threads}, {})
    log = consent.permitted(log)
    plan = training.plan_of(log, config)
    if plan.outer is None:
        raise SystemExit(f"{name}: the log is too short to judge anything")
    memory = bytes_of(config.engine.memory)
    families = dataset.families()
    data = dataset.build(log, plan.cutoffs, families, threads=threads, memory=memory).varying()
    material = Material(
        log=log, data=data, horizon=plan.horizon, active_within=config.target.active_within,
        states=rows.fit_processes(data, config.model.processes, log.observed_from),
        settling=labels.settling_days(log), max_rows=max_rows, seed=config.seed,
        threads=threads, memory=memory,
    )  # fmt: skip
    default = Recipe(config.model.stages, None, training.SEASON_SD, config.model.trees.model_dump())
    start = choosing.first_recipe(default, Size.of(material, plan.outer), "auto", STAGED)
    states = data.states[str(plan.outer.end)]
    tested = dataset.build(log, plan.outer.test, families, states=states, threads=threads,
                           memory=memory)  # fmt: skip
    tested = replace(tested, tree_names=data.tree_names)
    return Shop(name, material, start, tuple(questions(material, plan, tested)))


def questions(material: Material, plan: Plan, tested: Dataset) -> Iterator[Asked]:
    """The eligible rows of every fold and what came of them; `tested` are those of the outer."""
    outer, log = plan.outer, material.log
    assert outer is not None
    folds = [(f, material.data.at([f.end]), outer.end) for f in plan.inner]
    for fold, data, end in (*folds, (outer, tested, log.observed_until)):
        newest = data.cutoffs[-1]
        horizon = min(material.horizon, int(np.floor(material.sight(newest, end))))
        if fold is outer:
            horizon = material.horizon
        eligible = data.eligible(material.active_within)
        waits = labels.durations(data, log, end, 0.0 if fold is outer else material.settling)
        gone = ~labels.within(waits.take(eligible), horizon)
        if gone.any() and not gone.all():
            yield Asked(fold, data.take(eligible), horizon, gone)


def variants(shop: Shop) -> dict[str, tuple[str, ...]]:
    """Name -> columns for the trees: the families there always are, one more, and all."""
    columns = shop.material.data.tree_names
    there = dict.fromkeys(family_of(name) for name in columns)
    further = [family for family in there if family not in ALWAYS]
    chosen = {"orders alone": ALWAYS, **{f: (*ALWAYS, f) for f in further}, ALL: tuple(there)}
    return {
        variant: tuple(name for name in columns if family_of(name) in families)
        for variant, families in chosen.items()
    }


def family_of(column: str) -> str:
    """The family that a column belongs to."""
    return column.split("__", 1)[0]


def losses(
    shop: Shop, columns: Sequence[str], chosen: Recipe | None = None
) -> tuple[FloatArray, dict[str, float]]:
    """Log-loss of every row asked about (n,) if trees see these columns; and their gains."""
    material = replace(shop.material, data=replace(shop.material.data, tree_names=tuple(columns)))
    found, gains = [], dict.fromkeys(columns, 0.0)
    for asked in shop.asked:
        fitted = recipe.fit(material, asked.fold, chosen or shop.recipe)
        data = replace(asked.rows, tree_names=tuple(columns))
        curves = recipe.curves(fitted, data, material.states, asked.fold.end)
        survival = curves.survival([asked.horizon])[:, 0]
        found.append(metrics.log_losses(asked.gone, survival))
        for name, gain in gains_of(fitted).items():
            if name in gains:
                gains[name] += gain
    return np.concatenate(found), gains


def gains_of(fitted: Mixture) -> dict[str, float]:
    """Column -> its gain in the trees of every member that has some."""
    total: dict[str, float] = {}
    for trees in (fitted.staged.trees, fitted.cox and fitted.cox.trees):
        if trees:
            gains = trees.booster.feature_importance("gain")
            for name, gain in zip(trees.names, gains, strict=True):
                total[name] = total.get(name, 0.0) + float(gain)
    return total


def run(shop: Shop) -> Found:
    """Every variant of one shop."""
    found = Found()
    for variant, columns in variants(shop).items():
        started = time.perf_counter()
        found.losses[variant], found.gains[variant] = losses(shop, columns)
        spent = time.perf_counter() - started
        print(f"{shop.name}: {variant} {found.losses[variant].mean():.5f} ({spent:.0f} s)",
              file=sys.stderr, flush=True)  # fmt: skip
    return found


def compared(shop: Shop, found: Found) -> list[tuple[str, ...]]:
    """One line per variant: its loss, and the difference to orders alone with its interval."""
    first, *others = found.losses
    own = found.losses[first]
    ids = pl.concat([asked.rows.customers for asked in shop.asked]).rank("dense").to_numpy()
    paired = paired_bootstrap.paired(own, [found.losses[name] for name in others])
    everybody = [np.ones(len(own), dtype=np.bool_)]
    drawn = paired_bootstrap.intervals(ids.astype(np.int64), paired, everybody, SEED, DRAWS)
    lines: list[tuple[str, ...]] = [
        (shop.name, first, _size(found, first), f"{own.mean():.5f}", "", "", "")
    ]
    for name, (low, high) in zip(others, drawn[0].difference, strict=True):
        gain = float((own - found.losses[name]).mean())
        # how much lower the loss is, so the ends of the interval change places
        said = "lower" if low > 0 else "**higher**" if high < 0 else ""
        lines.append((shop.name, name, _size(found, name), f"{found.losses[name].mean():.5f}",
                      f"{-gain:+.5f}", f"{-high:+.5f} to {-low:+.5f}", said))  # fmt: skip
    return lines


def _size(found: Found, variant: str) -> str:
    gains = found.gains[variant]
    return f"{sum(gain > 0 for gain in gains.values())} of {len(gains)}"


def unused(every: Mapping[str, Found]) -> list[tuple[str, ...]]:
    """Columns that some shop offered and no fit used: family, column, shops."""
    offered: dict[str, list[str]] = {}
    used: set[str] = set()
    for shop, found in every.items():
        for gains in found.gains.values():
            used |= {name for name, gain in gains.items() if gain > 0}
            for name in gains:
                offered.setdefault(name, [])
                if shop not in offered[name]:
                    offered[name].append(shop)
    return [
        (family_of(name), name, ", ".join(shops))
        for name, shops in sorted(offered.items()) if name not in used
    ]  # fmt: skip


def most_used(every: Mapping[str, Found], most: int = 40) -> list[tuple[str, ...]]:
    """The columns of events with the largest share of the gain of all columns offered together."""
    shares: dict[str, list[float]] = {}
    for found in every.values():
        gains = found.gains[ALL]
        total = sum(gains.values()) or 1.0
        for name, gain in gains.items():
            if family_of(name) not in ALWAYS:
                shares.setdefault(name, []).append(gain / total)
    best = sorted(shares.items(), key=lambda item: -max(item[1]))[:most]
    return [(name, f"{max(each):.1%}", str(len(each))) for name, each in best]


def measure(names: Sequence[str], customers: int, seeds: Sequence[int], threads: int) -> Part:
    """Every shop that is there."""
    lines: list[tuple[str, ...]] = []
    every: dict[str, Found] = {}
    for name, horizon, log in logs(names, customers, seeds):
        shop = prepare(name, horizon, log, threads)
        every[name] = run(shop)
        lines += compared(shop, every[name])
    left = unused(every)
    offered = {column for found in every.values() for column in found.gains[ALL]}
    checks = (
        Check("columns that trees were offered", str(len(offered))),
        Check("columns without gain in any fit", str(len(left))),
    )
    head = ("shop", "families", "columns used", "log-loss", "difference", "95 % interval", "")
    blocks = [
        table(head, lines),
        table(("column of events", "largest share of the gain", "shops"), most_used(every)),
        table(("family", "column without gain", "offered in"), left),
    ]
    settings = {"shops": " ".join(every), "customers": customers, "threads": threads}
    return Part("Worth of the event families", settings, checks, "\n".join(blocks), today())


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shops", nargs="*", default=list(SHOPS), help=" ".join(SHOPS))
    parser.add_argument("--customers", type=int, default=5_000, help="of a simulated shop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="of simulated shops")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    print(measure(given.shops, given.customers, given.seeds, given.threads).to_markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
