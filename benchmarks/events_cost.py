"""What all the event tables cost: CPU of the features of everybody at one cutoff, as a ratio.

    python benchmarks/events_cost.py [--events 10000000] [--threads 1]

A simulated brand (`ppi_ml.simulate`) with about so many events over all its tables is written to a
folder. Then two processes read it and build the features of all customers at one cutoff, the end of
the log, in as many buckets as 4 GB ask for: one from the order lines alone (families orders,
cadence, calendar), one from all tables, with every family about customers. CPU seconds are those
of the process on all its threads, memory is its peak, libraries and log included. Loading is told
apart. A third process builds each family alone; the cost of finding out who is a row, which all of
them share, is taken off. Absolute numbers depend on the machine; the ratios hold.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from findings import Check, Part, table, today
from million import peak
from ppi_ml import dataset, simulate
from ppi_ml.declare import Family
from ppi_ml.engine.buckets import GIGABYTE, bucket_count, split
from ppi_ml.entities import ONE_CUSTOMER
from ppi_ml.events import EventLog, RawTable, load_tables
from ppi_ml.snapshots import Cut, snapshot
from simulator import SEED, customers_for

ORDERS_ALONE = ("orders", "cadence", "calendar")
MEMORY = 4 * GIGABYTE
MOST_MB = 12_000.0
STEPS: Mapping[str, str] = {"orders": "orders alone", "all": "all tables", "families": "families"}
_NO_EVENTS = ("products", "customers")
_MEGABYTE = 1e6

Result = TypeVar("Result")


def make(folder: Path, events: int) -> dict[str, int]:
    """Simulate about so many events into a folder; rows of every table."""
    rows: dict[str, int] = simulate.write_brand(folder, customers_for(events), seed=SEED)["rows"]
    return rows


def read(folder: Path, *, alone: bool = False) -> EventLog:
    """The validated log of the folder; `alone`: of its order lines only."""
    files = [folder / "order_lines.parquet"] if alone else sorted(folder.glob("*.parquet"))
    raw = {file.stem: RawTable(pl.read_parquet(file)) for file in files}
    return load_tables(raw)


def families_of(step: str) -> list[Family]:
    """Every family about customers, or those of the order lines alone."""
    return dataset.families(ORDERS_ALONE if step == "orders" else "all")


def timed(work: Callable[[], Result]) -> tuple[Result, dict[str, float]]:
    """What the work gives, and the CPU and wall seconds that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def run(step: str, folder: Path, threads: int) -> dict[str, Any]:
    """One step in this process: what loading and building cost."""
    log, loading = timed(lambda: read(folder, alone=step == "orders"))
    loaded = {"load": loading, "loaded_mb": peak(), "buckets": bucket_count(log, MEMORY, threads)}
    if step == "families":
        return {**loaded, "families": each(log, threads)}
    chosen = families_of(step)
    data, building = timed(
        lambda: dataset.build(log, [log.observed_until], chosen, threads=threads, memory=MEMORY)
    )
    return {
        **loaded, "build": building, "rows": len(data), "columns": len(data.names),
        "log_mb": sum(t.frame.estimated_size() for t in log.tables.values()) / _MEGABYTE,
        "peak_mb": peak(),
    }  # fmt: skip


def each(log: EventLog, threads: int) -> dict[str, dict[str, float]]:
    """Family -> CPU seconds and columns; the rows alone stand under the name "rows"."""
    buckets = split(log, bucket_count(log, MEMORY, threads))

    def cost(chosen: tuple[Family, ...]) -> dict[str, float]:
        cut = Cut(buckets, log.observed_until, ONE_CUSTOMER, chosen, None, threads)
        made, spent = timed(lambda: snapshot(cut, None))
        return {**spent, "columns": made.frame.width}

    cost(())  # the first one pays for what the log keeps
    rows = cost(())
    found = {"rows": {**rows, "columns": 0.0}}
    for family in families_of("all"):
        own = cost((family,))
        found[family.name] = {name: own[name] - rows[name] for name in own}
    return found


def measure(events: int = 10_000_000, threads: int = 1) -> Part:
    """Every step in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "shop"
        print("events_cost: simulating ...", file=sys.stderr, flush=True)
        rows, found = make(folder, events), {}
        for step in STEPS:
            print(f"events_cost: {STEPS[step]} ...", file=sys.stderr, flush=True)
            command = [sys.executable, __file__, "--step", step, "--folder", str(folder),
                       "--threads", str(threads)]  # fmt: skip
            ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[step] = json.loads(ended.stdout.splitlines()[-1])
    return part_of(rows, found, options(events, threads))


def options(events: int, threads: int) -> dict[str, object]:
    """What was asked for, as it is told beside the numbers."""
    return {"events": f"{events:,}", "days": 730, "threads": threads}


def part_of(
    rows: Mapping[str, int], found: Mapping[str, Mapping[str, Any]], settings: Mapping[str, object]
) -> Part:
    """The ratios, and what they are made of."""
    alone, every = found["orders"], found["all"]
    events = sum(count for name, count in rows.items() if name not in _NO_EVENTS)
    lines = rows["order_lines"]
    ratio = every["build"]["cpu"] / alone["build"]["cpu"]
    checks = (
        Check("CPU of features with all event tables, multiple of orders alone", f"{ratio:.1f}"),
        Check("the same per column", f"{ratio * alone['columns'] / every['columns']:.2f}"),
        Check("CPU of loading all tables, multiple of the order lines alone",
              f"{every['load']['cpu'] / alone['load']['cpu']:.1f}"),
        Check("peak MB with all tables", f"{every['peak_mb']:,.0f}", f"at most {MOST_MB:,.0f}",
              bool(every["peak_mb"] <= MOST_MB)),
        Check("bytes of memory per event while building, beyond the loaded log",
              f"{(every['peak_mb'] - every['loaded_mb']) * _MEGABYTE / events:,.0f}"),
        Check("events, order lines among them", f"{events:,}, {lines:,}"),
        Check("rows (customers at the cutoff)", f"{every['rows']:,}"),
    )  # fmt: skip
    steps = [
        (STEPS[step], f"{one['columns']}", f"{one['buckets']}",
         *(f"{one[what][unit]:.1f}" for what in ("load", "build") for unit in ("cpu", "wall")),
         f"{one['loaded_mb']:,.0f}", f"{one['peak_mb']:,.0f}")
        for step, one in (("orders", alone), ("all", every))
    ]  # fmt: skip
    head = ("log", "columns", "buckets", "load CPU s", "load s", "features CPU s", "features s",
            "MB loaded", "peak MB")  # fmt: skip
    body = [
        (name, f"{one['columns']:.0f}", f"{one['cpu']:.2f}", f"{one['wall']:.2f}",
         f"{one['cpu'] / alone['build']['cpu']:.2f}")
        for name, one in sorted(found["families"]["families"].items(), key=lambda i: -i[1]["cpu"])
    ]  # fmt: skip
    by_family = table(("family alone", "columns", "CPU s", "s", "x orders alone"), body)
    blocks = f"{table(head, steps)}\n{by_family}"
    return Part("Cost of all event tables", settings, checks, blocks, today())


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and print the numbers, or do one step for the process that asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=10_000_000, help="about so many")
    parser.add_argument("--threads", type=int, default=1, help="buckets at the same time")
    parser.add_argument("--step", choices=tuple(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.step is not None:
        print(json.dumps(run(given.step, given.folder, given.threads)))
    else:
        print(measure(given.events, given.threads).to_markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
